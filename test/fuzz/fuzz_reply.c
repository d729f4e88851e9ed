/* Replies as libmaitre takes them: any header and body from any node, about calls that wait, were sent, sent again or are long
 * over, between time-outs, broken connections and cancellations.
 *
 * Every call is answered once, with texts that a terminal may show; the handle's invariants hold after every step; an outcome
 * ends its call, whichever attempt it belongs to. No node is there: what is "sent" is only marked as sent.
 */
#include "client/src/client.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/wire.h"
#include "test/fuzz/fuzz.h"

#define CALLS 8
#define STEPS_MAX 64
#define OUT_SIZE (256 * 1024)

static struct maitre *client;
static uint8_t *memory, *out;
static uint64_t now_us;

static struct ours {
    bool live;
    uint64_t number;
    uint32_t answers;
    uint32_t status;
} ours[CALLS];

static void prepare (void)
{
    struct maitre_options options;
    if (client != NULL)
        return;
    maitre_options_init (&options);
    options.endpoints = "tcp://127.0.0.1:1,tcp://127.0.0.1:2"; /* nobody */
    options.outstanding_max = CALLS;
    options.token = "";
    maitre_assert (maitre_new (&options, &client, NULL) == MAITRE_OK);
    strcpy (client->client_public, "k"); /* with keys, nodes of a ring are not added: each would be a socket */
    memory = malloc (1u << 20);
    out = malloc (OUT_SIZE);
    maitre_assert (memory != NULL && out != NULL);
}

static void reset (void)
{
    client->random = 42;
    client->map.asking = client->map.answered = false;
    client->map.ask_again_us = client->map.epoch = 0;
    client->map.shard_count = 0;
    free (client->map.leaders);
    client->map.leaders = NULL;
    client->next_node = 0;
    client->numbers_guessed = true;
    for (uint32_t i = 0; i < client->node_count; i++) {
        client->nodes[i].up = client->nodes[i].doubted = client->nodes[i].many = false;
        client->nodes[i].number = i + 1;
    }
    memset (ours, 0, sizeof ours);
    now_us = client_now_us ();
}

static void check_text (const char *text)
{
    maitre_assert (text != NULL);
    for (const char *c = text; *c != '\0'; c++)
        maitre_assert ((uint8_t) *c >= 0x20 && *c != 0x7f);
}

static void answered (struct maitre *handle, uint64_t number, const struct maitre_reply *reply, void *user)
{
    struct ours *call = user;
    maitre_assert (handle == client && call->live && call->number == number && call->answers == 0);
    check_text (reply->reason);
    check_text (reply->message);
    check_text (reply->refusal.field);
    call->answers++;
    call->live = false;
    call->status = (uint32_t) reply->status;
}

static void start (struct fuzz *fuzz)
{
    static const char *const names[] = {
        "reserve.Get", "reserve.Cancel", "health.Check", "order.Advance", "no.Such", "auth.Logout"};
    static const uint8_t empty_map[] = {0xa0};
    struct ours *call = &ours[fuzz_below (fuzz, CALLS)];
    if (call->live)
        return;
    uint8_t draw = fuzz_u8 (fuzz);
    const char *name = names[draw % (sizeof names / sizeof *names)];
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.attempts_max = draw / 64;
    options.node = draw / 16 % 4 == 3 ? 1 + draw / 64 : 0;
    struct call_start asked = {.method = method_by_name (bytes_text (name)),
        .name = name,
        .body = {empty_map, sizeof empty_map},
        .options = &options,
        .has_request_id = true,
        .request_id = id_make (1, draw, draw),
        .answer = answered,
        .user = call};
    *call = (struct ours){.live = true};
    enum status status = client_call_start (client, &asked, &call->number);
    maitre_assert (status == STATUS_OK);
}

/* Any call under way, the library's own one included; NULL: none. */
static struct call *pick (struct fuzz *fuzz)
{
    if (client->heap_count == 0)
        return NULL;
    return client->heap[1 + fuzz_below (fuzz, client->heap_count)];
}

/* As client_retry_send does it, but for the sending. */
static void mark_sent (struct fuzz *fuzz)
{
    struct call *call = pick (fuzz);
    if (call == NULL || call->state == CALL_SENT)
        return;
    call->attempts++;
    call->node = 1 + (uint32_t) fuzz_below (fuzz, client->node_count);
    call->state = CALL_SENT;
    client_call_move (call, &client->nodes[call->node - 1].calls);
    uint64_t wake_us = now_us + 100000;
    client_timer_set (client, call, wake_us < call->deadline_us ? wake_us : call->deadline_us);
}

static struct bytes make_body (struct fuzz *fuzz, const struct reply_header *header)
{
    struct refusal refusal;
    struct ring_reply ring;
    uint8_t kind = fuzz_u8 (fuzz);
    if (kind % 4 == 0)
        return fuzz_run (fuzz, fuzz_below (fuzz, 200));
    if (header->status != STATUS_OK) {
        fuzz_map (fuzz, &refusal_type, (uint8_t *) &refusal);
        return fuzz_encode (&refusal_type, &refusal, out, OUT_SIZE);
    }
    fuzz_map (fuzz, &ring_reply_type, (uint8_t *) &ring);
    for (size_t i = 0; i < ring.nodes_count; i++)
        if (fuzz_u8 (fuzz) % 4 != 0)
            ring.nodes[i].client_endpoint = bytes_text (client->nodes[fuzz_below (fuzz, client->node_count)].endpoint);
    return fuzz_encode (&ring_reply_type, &ring, out, OUT_SIZE);
}

static void receive (struct fuzz *fuzz)
{
    static const char *const reasons[] = {"IN_DOUBT", "REQUEST_TOO_OLD", "NOT_LEADER", "NODE_BUSY"};
    uint8_t head[REPLY_HEADER_ENCODED_MAX];
    struct reply_header header;
    struct call *call = pick (fuzz);
    struct client_node *node = &client->nodes[fuzz_below (fuzz, client->node_count)];
    uint8_t draw = fuzz_u8 (fuzz);
    fuzz_map (fuzz, &reply_header_type, (uint8_t *) &header);
    if (draw % 8 != 7)
        header.has_more = false;
    if (draw % 4 == 0) {
        header.has_reason = true;
        header.reason = bytes_text (reasons[draw / 16 % 4]);
    }
    if (header.has_leader && draw % 4 != 3)
        header.leader = bytes_text (client->nodes[draw / 16 % client->node_count].endpoint);
    if (call != NULL && draw % 16 != 15)
        header.call = client_call_number (call) << 8 | ((call->attempts - (draw / 8 % 4 == 3)) & 0xff);
    struct bytes body = make_body (fuzz, &header);
    size_t len = 0;
    enum status status = codec_encode (&reply_header_type, &header, head, sizeof head, &len);
    maitre_assert (status == STATUS_OK);
    struct ours *asked = NULL;
    for (int i = 0; i < CALLS; i++)
        if (ours[i].live && ours[i].number == header.call >> 8)
            asked = &ours[i];
    bool more = draw >= 240;
    bool taken = client_answer (client, node, bytes_of (head, len), body, more, now_us);
    maitre_assert (taken == (!more || (header.has_many && header.many)));
    if (taken && asked != NULL && header.status == STATUS_OK && !(header.has_more && header.more) &&
        !(header.has_maybe_applied && header.maybe_applied))
        maitre_assert (asked->answers == 1 && asked->status == STATUS_OK);
}

static void step (struct fuzz *fuzz, uint8_t kind)
{
    struct client_node *node = &client->nodes[kind / 16 % client->node_count];
    struct call *call;
    struct bytes raw;
    switch (kind % 16) {
    case 0:
    case 1:
    case 2:
        start (fuzz);
        break;
    case 3:
    case 4:
    case 5:
        mark_sent (fuzz);
        break;
    case 6:
        if (client->heap_count > 0) { /* what is due next */
            now_us = now_us > client->heap[1]->wake_us ? now_us : client->heap[1]->wake_us;
            client_retry_wake (client, client->heap[1], now_us);
        }
        break;
    case 7:
        node->up = node->many = false;
        client_retry_lost (client, node, now_us);
        break;
    case 8:
        call = pick (fuzz);
        if (call != NULL && !call->own)
            maitre_assert (maitre_cancel (client, client_call_number (call)) == MAITRE_OK);
        break;
    case 9:
        client->map.ask_again_us = 1;
        client_map_tick (client, now_us);
        break;
    case 10:
        node->up = !node->up; /* ZeroMQ says then that it takes nothing now */
        break;
    case 11:
        raw = fuzz_run (fuzz, fuzz_below (fuzz, 100));
        (void) client_answer (client, node, raw, fuzz_run (fuzz, fuzz_below (fuzz, 100)), kind >= 128, now_us);
        break;
    default:
        receive (fuzz);
    }
    client_check (client);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct arena arena;
    struct fuzz fuzz = {.at = data, .left = size, .arena = &arena};
    prepare ();
    reset ();
    for (int i = 0; i < STEPS_MAX && fuzz.left > 0; i++) {
        arena_init (&arena, memory, 1u << 20);
        step (&fuzz, fuzz_u8 (&fuzz));
    }
    while (client->heap_count > 0) /* whatever is left ends, too */
        client_call_fail (client, client->heap[1], STATUS_CANCELLED, "CANCELLED", "over", now_us);
    client_check (client);
    maitre_assert (maitre_outstanding (client) == 0);
    for (int i = 0; i < CALLS; i++)
        maitre_assert (!ours[i].live);
    return 0;
}
