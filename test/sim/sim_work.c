/* Requests and attempts: any node is asked, what is unknown is repeated, and a request id has one verdict. */
#include "test/sim/sim_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/generated/cluster.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/placement_hash.h"

struct sim_work *work_of (struct sim *sim)
{
    if (sim->work)
        return sim->work;
    struct sim_work *work = calloc (1, sizeof *work);
    maitre_assert (work != NULL);
    sim->work = work;
    for (uint32_t shard = 1; shard < sim->shards_count; shard++) {
        struct work_shard *self = &work->shards[shard];
        for (unsigned i = 0; self->hash == 0; i++) { /* a group that routes to this shard */
            snprintf (self->group, sizeof self->group, "group-%u", i);
            uint32_t hash = placement_hash_group (bytes_text (self->group));
            if (placement_shard (hash, sim->shards_count - 1) == shard)
                self->hash = hash;
        }
    }
    return work;
}

const struct method *work_method (enum work_act act)
{
    static const uint32_t numbers[WORK_ACTS] = {
        [WORK_PROVIDER] = METHOD_NUMBER_CATALOG_PUT_PROVIDER,
        [WORK_OFFER] = METHOD_NUMBER_CATALOG_PUT_OFFER,
        [WORK_DISH] = METHOD_NUMBER_CATALOG_PUT_OFFER,
        [WORK_CREATE] = METHOD_NUMBER_RESERVE_CREATE,
        [WORK_CONFIRM] = METHOD_NUMBER_RESERVE_CONFIRM,
        [WORK_RELEASE] = METHOD_NUMBER_RESERVE_RELEASE,
        [WORK_CANCEL] = METHOD_NUMBER_RESERVE_CANCEL,
        [WORK_MOVE] = METHOD_NUMBER_RESERVE_MOVE,
        [WORK_GET] = METHOD_NUMBER_RESERVE_GET,
        [WORK_CHECK] = METHOD_NUMBER_AVAIL_CHECK,
        [WORK_LIST] = METHOD_NUMBER_RESERVE_LIST,
        [WORK_PLACE] = METHOD_NUMBER_ORDER_PLACE,
        [WORK_ACCEPT] = METHOD_NUMBER_ORDER_ADVANCE,
        [WORK_DECLINE] = METHOD_NUMBER_ORDER_ADVANCE,
        [WORK_CALL_OFF] = METHOD_NUMBER_ORDER_ADVANCE,
        [WORK_ORDER_GET] = METHOD_NUMBER_ORDER_GET,
        [WORK_KEY] = METHOD_NUMBER_AUTH_CREATE_API_KEY,
        [WORK_REVOKE] = METHOD_NUMBER_AUTH_REVOKE_API_KEY,
        [WORK_OUTCOME] = METHOD_NUMBER_CALL_OUTCOME,
    };
    return method_by_number (numbers[act]);
}

struct principal work_admin (void)
{
    return (struct principal){.id = id_make (1, 1, 1), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_ADMIN};
}

static bool is_read (enum work_act act)
{
    return act == WORK_GET || act == WORK_ORDER_GET || act == WORK_CHECK || act == WORK_LIST;
}

size_t work_request_new (
    struct sim *sim, enum work_act act, uint32_t shard, size_t thing, const struct principal *who, const void *value)
{
    struct sim_work *work = work_of (sim);
    sim_grow (&work->requests, &work->requests_size, work->requests_count, sizeof *work->requests);
    struct work_request *request = &work->requests[work->requests_count++];
    memset (request, 0, sizeof *request);
    request->act = act;
    request->shard = shard;
    request->thing = thing;
    request->who = *who;
    if (!is_read (act))
        request->id = work_new_id (sim, shard);
    enum status status =
        codec_encode (work_method (act)->request, value, request->body, sizeof request->body, &request->body_len);
    maitre_assert (status == STATUS_OK);
    if (thing != 0) {
        work_unsure (sim, &work->things[thing - 1]);
        work->things[thing - 1].tried |= UINT32_C (1) << act;
        work_learnt (sim, &work->things[thing - 1]);
    }
    return work->requests_count;
}

/* ---- asking ---- */

static struct sim_node *choose_node (struct sim *sim, uint32_t shard)
{
    uint32_t hint = work_of (sim)->shards[shard].hint;
    if (hint != 0 && sim_chance (sim, 3))
        return &sim->nodes[hint];
    return &sim->nodes[sim_between (sim, 1, sim->nodes_count)];
}

static uint32_t any_shard (struct sim *sim)
{
    return sim_chance (sim, 30) ? 0 : (uint32_t) sim_between (sim, 1, sim->shards_count - 1);
}

static uint64_t new_attempt (struct sim *sim, const struct sim_node *node, uint32_t client, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    size_t place = work_choose (sim, shard);
    const struct work_request *request = &work->requests[place - 1];
    sim_grow (&work->attempts, &work->attempts_size, work->attempts_count, sizeof *work->attempts);
    struct work_attempt *attempt = &work->attempts[work->attempts_count++];
    *attempt = (struct work_attempt){.request = place, .pending = true, .node = node->index, .client = client};
    attempt->changed = request->settled && !request->too_old && sim_chance (sim, 3);
    if (request->act == WORK_LIST)
        work_list_noted (sim, work->attempts_count);
    else if (is_read (request->act))
        work_note_read (sim, attempt);
    return work->attempts_count;
}

/* One call, or several at once in one message: perhaps the same one twice. */
void sim_shard_ask (struct sim *sim, uint64_t client)
{
    uint64_t attempts[WORK_TOGETHER_MAX];
    uint32_t shard = any_shard (sim);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 2000, 60 * 1000),
                                     .kind = SIM_CLIENT,
                                     .value = client,
                                 });
    struct sim_node *node = choose_node (sim, shard);
    if (!node->alive)
        return; /* the connection is refused */
    bool together = sim_front_many ((uint32_t) client) && sim_chance (sim, 3);
    size_t count = together ? (size_t) sim_between (sim, 2, WORK_TOGETHER_MAX) : 1;
    for (size_t i = 0; i < count; i++)
        attempts[i] = new_attempt (sim, node, (uint32_t) client, i == 0 ? shard : any_shard (sim));
    sim_front_send (sim, node, (uint32_t) client, attempts, count);
}

struct principal sim_shard_principal (struct sim *sim, uint64_t token)
{
    const struct sim_work *work = work_of (sim);
    if (token == 0 || token > work->attempts_count)
        sim_fail (sim, "a call that nobody made");
    return work->requests[work->attempts[token - 1].request - 1].who;
}

struct sim_asked sim_shard_asked (struct sim *sim, uint64_t token)
{
    static uint8_t changed[256];
    struct sim_work *work = work_of (sim);
    struct work_attempt *attempt = &work->attempts[token - 1];
    const struct work_request *request = &work->requests[attempt->request - 1];
    size_t len = request->body_len;
    const uint8_t *body = request->body;
    if (attempt->changed)
        attempt->changed = work_change_body (sim, request, changed, sizeof changed, &len);
    if (attempt->changed)
        body = changed;
    return (struct sim_asked){.method = work_method (request->act),
        .principal = request->who,
        .request_id = request->id,
        .body = bytes_of (body, len)};
}

void sim_shard_lost (struct sim *sim, uint64_t token)
{
    struct work_attempt *attempt = &work_of (sim)->attempts[token - 1];
    if (!attempt->pending)
        sim_fail (sim, "call %lu is lost after it was answered", (unsigned long) token);
    attempt->pending = false;
    sim->oracle.counts.unknown++;
}

/* ---- answers ---- */

static bool reason_is (const struct route_answer *answer, const char *reason)
{
    return answer->reason && strcmp (answer->reason, reason) == 0;
}

/* Decided in the log: they are recorded under the request id, and stand. */
static bool is_final (const struct route_answer *answer)
{
    enum status status = answer->status;
    if (answer->maybe_applied || reason_is (answer, "REQUEST_FROM_FUTURE"))
        return false;
    return status == STATUS_OK || status == STATUS_NOT_FOUND || status == STATUS_ALREADY_EXISTS ||
           status == STATUS_FAILED_PRECONDITION || status == STATUS_PERMISSION_DENIED || reason_is (answer, "FENCED");
}

static void settle_outcome (struct sim *sim, const struct work_request *request, const struct route_answer *answer)
{
    static uint64_t memory[1024];
    struct outcome_reply reply;
    struct arena arena;
    struct work_request *about = &work_of (sim)->requests[request->about - 1];
    arena_init (&arena, memory, sizeof memory);
    if (answer->status != STATUS_OK)
        return; /* refused: nothing is known */
    if (codec_decode (&outcome_reply_type, answer->body, CODEC_STRICT, &arena, &reply, NULL) != STATUS_OK)
        sim_fail (sim, "a reply to call.Outcome does not decode");
    if (reply.state == OUTCOME_STATE_FENCED) {
        if (about->settled && about->verdict != STATUS_ABORTED)
            sim_fail (sim, "shard %u: a request that was answered %s is said to be given up", about->shard,
                status_name (about->verdict));
        about->fenced = true;
    }
    if (reply.state == OUTCOME_STATE_APPLIED && about->fenced)
        sim_fail (sim, "shard %u: a request that was given up is said to be applied", about->shard);
    if (reply.state == OUTCOME_STATE_APPLIED && about->settled && reply.has_status && about->verdict != reply.status)
        sim_fail (sim, "shard %u: a request that was answered %s is said to have been answered %s", about->shard,
            status_name (about->verdict), status_name ((enum status) reply.status));
}

static void note_founded (struct sim *sim, const struct work_request *request, const struct route_answer *answer)
{
    struct work_shard *shard = &work_of (sim)->shards[request->shard];
    bool ok = answer->status == STATUS_OK;
    if (!ok)
        sim_fail (sim, "shard %u cannot be founded: %s %s", request->shard, status_name (answer->status),
            answer->reason ? answer->reason : "");
    size_t place = (size_t) (request - work_of (sim)->requests) + 1; /* another one's: it was founded anew since */
    shard->provider = shard->provider || shard->provider_request == place;
    shard->offer = shard->offer || shard->offer_request == place;
    shard->dish = shard->dish || shard->dish_request == place;
}

static void note_thing (struct sim *sim, const struct work_request *request, bool ok)
{
    struct work_thing *thing = &work_of (sim)->things[request->thing - 1];
    work_unsure (sim, thing);
    if (ok)
        thing->done |= UINT32_C (1) << request->act;
    if (request->act == WORK_CREATE || request->act == WORK_PLACE || request->act == WORK_KEY) {
        thing->created = ok;
        thing->refused = !ok;
        thing->held_us = sim->time_us;
    }
    if (request->act == WORK_MOVE) {
        thing->moving = false;
        if (ok)
            thing->bucket = thing->target;
    }
    work_learnt (sim, thing);
}

/* The shard's founding goes on with another thing under a new request id. */
static void found_anew (struct work_shard *shard, size_t place)
{
    size_t *founding[] = {&shard->provider_request, &shard->offer_request, &shard->dish_request};
    for (size_t i = 0; i < sizeof founding / sizeof founding[0]; i++)
        if (*founding[i] == place)
            *founding[i] = 0;
}

static void settle (struct sim *sim, struct work_request *request, const struct route_answer *answer)
{
    uint64_t hash = checksum64 ((uint64_t) answer->status, answer->body);
    if (reason_is (answer, "REQUEST_TOO_OLD")) { /* its record left: what became of it is not said any more */
        request->too_old = true;
        if (!request->settled) /* all clocks went ahead before it was answered */
            found_anew (&work_of (sim)->shards[request->shard], (size_t) (request - work_of (sim)->requests) + 1);
        return;
    }
    if (request->settled) {
        sim->oracle.counts.repeated++;
        if (request->verdict != answer->status || request->verdict_hash != hash)
            sim_fail (sim, "shard %u: one request, two verdicts: %s and %s %s", request->shard,
                status_name (request->verdict), status_name (answer->status), answer->reason ? answer->reason : "");
        return;
    }
    if (request->fenced && !reason_is (answer, "FENCED"))
        sim_fail (
            sim, "shard %u: a request that was given up is answered %s", request->shard, status_name (answer->status));
    request->settled = true;
    request->verdict = answer->status;
    request->verdict_hash = hash;
    if (request->act == WORK_OUTCOME)
        settle_outcome (sim, request, answer);
    else if (request->act <= WORK_DISH)
        note_founded (sim, request, answer);
    else if (request->thing != 0)
        note_thing (sim, request, answer->status == STATUS_OK);
}

static void check_changed (struct sim *sim, const struct work_request *request, const struct route_answer *answer)
{
    bool fenced = request->verdict == STATUS_ABORTED && reason_is (answer, "FENCED");
    if (!reason_is (answer, "KEY_REUSED") && !reason_is (answer, "REQUEST_TOO_OLD") && !fenced)
        sim_fail (sim, "shard %u: another body under a used request id is answered %s %s", request->shard,
            status_name (answer->status), answer->reason ? answer->reason : "");
}

/* "Set the client's clock, then make a new id." */
static void set_clock_back (struct sim *sim, const struct work_request *request, size_t place)
{
    struct work_shard *shard = &work_of (sim)->shards[request->shard];
    /* Two clocks of three nodes that disagree are no majority of good ones: the lower one founds the shard. */
    if (!(sim->families & (SIM_CLOCK | SIM_CLOCKS)))
        sim_fail (sim, "shard %u: a good client's request is said to be from the future", request->shard);
    shard->slow_clock = true;
    found_anew (shard, place);
}

void sim_shard_answer (
    struct sim *sim, uint32_t node, uint32_t client, uint64_t token, const struct route_answer *answer)
{
    struct sim_work *work = work_of (sim);
    if (token == 0 || token > work->attempts_count)
        sim_fail (sim, "an answer to a call that nobody made");
    struct work_attempt *attempt = &work->attempts[token - 1];
    struct work_request *request = &work->requests[attempt->request - 1];
    if (!attempt->pending || attempt->node != node)
        sim_fail (sim, "call %lu is answered twice", (unsigned long) token);
    if (attempt->client != client)
        sim_fail (sim, "client %u gets the answer to call %lu, which client %u made", client, (unsigned long) token,
            attempt->client);
    attempt->pending = false;
    sim_trace (sim, "node %u answers %lu (act %u, request %lu): %s %s%s", node, (unsigned long) token,
        (unsigned) request->act, (unsigned long) attempt->request, status_name (answer->status),
        answer->reason ? answer->reason : "", answer->maybe_applied ? ", perhaps applied" : "");
    if (answer->leader_node != 0)
        work->shards[request->shard].hint = answer->leader_node;
    if (reason_is (answer, "REQUEST_FROM_FUTURE"))
        set_clock_back (sim, request, attempt->request);
    if (request->act == WORK_LIST && answer->status == STATUS_INVALID_ARGUMENT)
        sim_fail (sim, "shard %u: the token of a list is not taken back", request->shard);
    if (!is_final (answer)) {
        *(answer->maybe_applied ? &sim->oracle.counts.unknown : &sim->oracle.counts.refused) += 1;
        return;
    }
    if (is_read (request->act)) {
        sim->oracle.counts.reads++;
        if (request->act == WORK_LIST)
            work_list_answered (sim, token, request, answer);
        else
            work_check_read (sim, attempt, answer);
        return;
    }
    sim->oracle.counts.writes++;
    struct sim_group *group = &sim->oracle.groups[request->shard];
    if (group->committed_count > group->completed_index)
        group->completed_index = group->committed_count;
    if (attempt->changed)
        check_changed (sim, request, answer);
    else
        settle (sim, request, answer);
}

void sim_shard_clients_close (struct sim *sim)
{
    struct sim_work *work = sim->work;
    if (!work)
        return;
    work_lists_close (work);
    free (work->things);
    free (work->requests);
    free (work->attempts);
    free (work);
    sim->work = NULL;
}
