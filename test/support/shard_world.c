#include "test/support/shard_world_internal.h"

#define SPINS_MAX 3
#define REPLY_BYTES 262144

/* ---- turns */

uint64_t shard_world_clock (const struct shard_world *w, uint32_t node)
{
    return w->now_ms + UINT64_C (1000000) * node;
}

static uint64_t wall_ms (const struct shard_world *w)
{
    return w->wall_ms == 0 ? 0 : w->wall_ms + w->now_ms;
}

/* What was applied is on a majority's disks, and equal wherever it was applied. */
static void check_applied (struct shard_world *w, struct shard_world_node *node)
{
    struct shard_status status;
    struct raft_configuration members;
    uint64_t term;
    shard_status_get (node->shard, &status);
    if (status.applied_index == 0)
        return;
    bool known = shard_log_point (node->shard, status.applied_index, &term, &members);
    maitre_assert (known);
    uint32_t durable = 0, voters = w->options.nodes - w->options.learners;
    for (uint32_t i = 1; i <= voters; i++)
        durable += shard_world_durable (&w->nodes[i], status.applied_index, term);
    maitre_assert (durable > voters / 2);
    uint64_t hash = shard_world_hash (w, node->number);
    shard_world_grow (&w->hashes, &w->hashes_size, status.applied_index, sizeof *w->hashes);
    maitre_assert (w->hashes[status.applied_index] == 0 || w->hashes[status.applied_index] == hash);
    w->hashes[status.applied_index] = hash;
}

static void end_turn (struct shard_world *w, struct shard_world_node *node)
{
    struct shard_effects effects;
    shard_turn_end (node->shard, shard_world_clock (w, node->number), wall_ms (w), &effects);
    node->turns++;
    node->stepped = false;
    if (effects.fatal) {
        maitre_assert (effects.replies_count == 0 && effects.send_now_count == 0 && effects.chunks_count == 0);
        maitre_assert (effects.send_after_persist_count == 0 && effects.persist.sequence == 0);
        node->fatal = true;
        snprintf (node->fatal_reason, sizeof node->fatal_reason, "%s", effects.fatal_reason);
        shard_world_crash (w, node->number);
        return;
    }
    shard_check (node->shard);
    shard_world_messages (w, node, &effects);
    shard_world_persist (w, node, &effects);
    shard_world_snapshots (w, node, &effects);
    shard_world_answers (w, node, &effects);
    if (effects.applied_changed || effects.acks_count > 0)
        check_applied (w, node);
}

static void node_turn (struct shard_world *w, struct shard_world_node *node)
{
    uint64_t now_ms = shard_world_clock (w, node->number);
    for (unsigned spins = 0; node->shard != NULL; spins++) {
        if (!node->stepped && shard_deadline_ms (node->shard) > now_ms)
            return;
        maitre_assert (spins < SPINS_MAX); /* asked for turns without end */
        if (!node->stepped)
            shard_world_event (w, node->number, (struct shard_event){.type = SHARD_EVENT_TICK});
        end_turn (w, node);
    }
}

/* ---- life of a node */

static void node_drop_volatile (struct shard_world *w, struct shard_world_node *node)
{
    while (node->batches != NULL) {
        struct shard_world_batch *batch = node->batches;
        node->batches = batch->next;
        shard_world_batch_free (batch);
    }
    while (node->held != NULL) {
        struct shard_world_held *held = node->held;
        node->held = held->next;
        free (held->packet.data);
        free (held);
    }
    for (size_t i = 0; i < w->calls_count; i++) {
        struct shard_world_call *call = &w->calls[i];
        if (call->node == node->number && (call->state == CALL_WAITING || call->state == CALL_JOB))
            call->state = CALL_LOST;
    }
}

static void tell_link (struct shard_world *w, uint32_t number, bool up)
{
    for (uint32_t i = 1; i <= w->options.nodes && !w->no_links; i++) {
        if (i != number && !w->cut[i][number] && w->nodes[i].shard != NULL)
            shard_world_event (
                w, i, (struct shard_event){.type = SHARD_EVENT_LINK, .link = {.node = number, .up = up}});
    }
}

void shard_world_crash (struct shard_world *w, uint32_t number)
{
    struct shard_world_node *node = &w->nodes[number];
    if (node->shard == NULL)
        return;
    shard_destroy (&node->shard);
    maitre_assert (node->snapshots_open == 0 && !node->receiving); /* nothing leaks */
    node_drop_volatile (w, node);
    node->stepped = false;
    tell_link (w, number, false);
}

void shard_world_start (struct shard_world *w, uint32_t number)
{
    struct shard_world_node *node = &w->nodes[number];
    maitre_assert (node->shard == NULL);
    state_image_load (&node->image, &node->map);
    node->fatal = false;
    node->sequence = node->synced = node->synced_told = 0;
    node->session++;
    struct raft_stored stored = {.term = node->term,
        .vote = node->vote,
        .snapshot_index = node->log_index,
        .snapshot_term = node->log_term,
        .applied_index = node->image.index,
        .applied_term = node->image.term,
        .configuration = &node->base,
        .entries = node->entries,
        .entries_count = node->entries_count};
    struct shard_config config = {.services = w->ids.config,
        .raft = {.shard = WORLD_SHARD,
            .replica = node->replica,
            .session = node->session,
            .seed = w->options.seed + 17 * number,
            .suspect = node->suspect,
            .log_bytes_max = w->options.log_bytes_max},
        .stored = &stored,
        .state = state_map_state (&node->map),
        .scratch = &w->scratch,
        .snapshot_ops = &shard_world_snapshot_ops,
        .snapshot_context = node,
        .calls_max = w->options.calls_max,
        .apply_max = w->options.apply_max,
        .balance = w->options.balance};
    enum status status = shard_new (&config, shard_world_clock (w, number), &node->shard);
    maitre_assert (status == STATUS_OK);
    shard_check (node->shard);
    tell_link (w, number, true);
    if (w->target.count > 0)
        shard_world_event (w, number, (struct shard_event){.type = SHARD_EVENT_PLACE, .members = &w->target});
}

void shard_world_wipe (struct shard_world *w, uint32_t number)
{
    struct shard_world_node *node = &w->nodes[number];
    shard_world_crash (w, number);
    shard_world_log_cut (node, UINT64_MAX, 0);
    node->log_index = node->log_term = node->term = node->vote = 0;
    node->suspect = false;
    node->base = (struct raft_configuration){0};
    state_image_close (&node->image);
    node->image = (struct state_image){0};
    node->replica += 1000;
}

void shard_world_place (struct shard_world *w)
{
    w->target = (struct raft_configuration){0};
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        bool fits = raft_configuration_set (
            &w->target, (struct raft_member){
                            .replica = w->nodes[i].replica, .node = i, .rank = (uint8_t) (i - 1), .roles = RAFT_VOTER});
        maitre_assert (fits);
    }
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        if (w->nodes[i].shard != NULL)
            shard_world_event (w, i, (struct shard_event){.type = SHARD_EVENT_PLACE, .members = &w->target});
    }
}

bool shard_world_placed (const struct shard_world *w)
{
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        struct raft_configuration members;
        uint64_t term;
        if (w->nodes[i].shard == NULL)
            continue;
        struct shard_status status = shard_world_status (w, i);
        if (!shard_log_point (w->nodes[i].shard, status.commit_index, &term, &members) ||
            members.count != w->target.count)
            return false;
        for (uint32_t m = 0; m < members.count; m++) { /* field by field: the structs have padding */
            const struct raft_member *one = &members.members[m], *other = &w->target.members[m];
            if (one->replica != other->replica || one->node != other->node || one->roles != other->roles)
                return false;
        }
    }
    return true;
}

void shard_world_init (struct shard_world *w, const struct shard_world_options *options)
{
    *w = (struct shard_world){.step_ms = 1, .persist_ms = 1, .delay_ms = 1, .wall_ms = WORLD_START_MS};
    if (options != NULL)
        w->options = *options;
    if (w->options.nodes == 0)
        w->options.nodes = 3;
    w->options.seed++;
    w->random = w->options.seed * UINT64_C (0x9e3779b97f4a7c15);
    world_init (&w->ids);
    arena_init (&w->scratch, malloc (SHARD_SCRATCH_BYTES), SHARD_SCRATCH_BYTES);
    arena_init (&w->arena, malloc (REPLY_BYTES), REPLY_BYTES);
    maitre_assert (w->scratch.base != NULL && w->arena.base != NULL);
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        bool learner = i > w->options.nodes - w->options.learners;
        bool fits = raft_configuration_set (&w->members, (struct raft_member){.replica = SHARD_WORLD_REPLICA (i),
                                                             .node = i,
                                                             .rank = (uint8_t) (i - 1),
                                                             .roles = learner ? RAFT_LEARNER : RAFT_VOTER});
        maitre_assert (fits);
        w->nodes[i] = (struct shard_world_node){.world = w, .number = i, .replica = SHARD_WORLD_REPLICA (i)};
        state_map_init (&w->nodes[i].map);
    }
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        w->nodes[i].base = w->members;
        shard_world_start (w, i);
    }
}

void shard_world_close (struct shard_world *w)
{
    w->no_links = true;
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        struct shard_world_node *node = &w->nodes[i];
        shard_world_crash (w, i);
        state_map_close (&node->map);
        state_image_close (&node->image);
        state_image_close (&node->incoming);
        shard_world_log_cut (node, UINT64_MAX, 0);
        free (node->entries);
    }
    for (size_t i = 0; i < w->calls_count; i++) {
        struct shard_world_call *call = &w->calls[i];
        shard_world_bytes_free (&call->sent);
        shard_world_bytes_free (&call->body);
        shard_world_bytes_free (&call->job_password);
        shard_world_bytes_free (&call->job_hash);
        shard_world_bytes_free (&call->job_body);
    }
    for (size_t i = 0; i < w->packets_count; i++)
        free (w->packets[i].data);
    free (w->packets);
    free (w->calls);
    free (w->hashes);
    free (w->scratch.base);
    free (w->arena.base);
    world_close (&w->ids);
}

/* ---- time */

void shard_world_step (struct shard_world *w)
{
    w->now_ms += w->step_ms;
    w->ids.now_ms = WORLD_START_MS + w->now_ms;
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        if (w->nodes[i].shard != NULL)
            shard_world_disk_turn (w, &w->nodes[i]);
    }
    shard_world_deliver (w);
    for (uint32_t i = 1; i <= w->options.nodes; i++)
        node_turn (w, &w->nodes[i]);
}

void shard_world_run (struct shard_world *w, uint64_t ms)
{
    for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms;)
        shard_world_step (w);
}

uint32_t shard_world_leader (const struct shard_world *w)
{
    uint32_t leader = 0;
    uint64_t term = 0;
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        if (w->nodes[i].shard == NULL || !shard_leads (w->nodes[i].shard))
            continue;
        struct shard_status status = shard_world_status (w, i);
        maitre_assert (status.term != term); /* one leader a term */
        if (status.term > term) {
            term = status.term;
            leader = i;
        }
    }
    return leader;
}

uint32_t shard_world_elect (struct shard_world *w)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t leader = shard_world_leader (w);
        if (leader != 0)
            return leader;
        shard_world_step (w);
    }
    maitre_assert (!"no leader within 10 s");
    return 0;
}

void shard_world_isolate (struct shard_world *w, uint32_t node, bool cut)
{
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        if (i != node)
            w->cut[i][node] = w->cut[node][i] = cut;
    }
}

void shard_world_heal (struct shard_world *w)
{
    memset (w->cut, 0, sizeof w->cut);
    memset (w->slow, 0, sizeof w->slow);
    w->drop = w->twice = 0;
    w->step_ms = w->persist_ms = w->delay_ms = 1;
    w->on_raft = NULL;
    w->on_chunk = NULL;
    w->on_ack = NULL;
    w->no_links = false;
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        if (w->nodes[i].shard == NULL)
            shard_world_start (w, i);
    }
}

/* ---- the shard's environment */

struct shard_status shard_world_status (const struct shard_world *w, uint32_t node)
{
    struct shard_status status;
    maitre_assert (w->nodes[node].shard != NULL);
    shard_status_get (w->nodes[node].shard, &status);
    return status;
}

void shard_world_event (struct shard_world *w, uint32_t number, struct shard_event event)
{
    struct shard_world_node *node = &w->nodes[number];
    maitre_assert (node->shard != NULL);
    event.now_ms = shard_world_clock (w, number);
    event.wall_median_ms = wall_ms (w);
    shard_step (node->shard, &event);
    node->stepped = true;
}

void shard_world_write_back (struct shard_world *w, uint32_t number, uint64_t keep)
{
    struct shard_world_node *node = &w->nodes[number];
    struct shard_status status = shard_world_status (w, number);
    struct raft_configuration members;
    uint64_t index = status.applied_index, term;
    if (index <= node->image.index)
        return; /* nothing new: a follower applies what has come together */
    bool known = shard_log_point (node->shard, index, &term, &members);
    maitre_assert (known);
    state_image_close (&node->image);
    node->image = state_image_of (&node->map);
    node->image.index = index;
    node->image.term = term;
    if (index <= keep || index - keep <= node->log_index)
        return;
    index -= keep;
    known = shard_log_point (node->shard, index, &term, &members);
    maitre_assert (known);
    shard_world_sync (w, node, w->now_ms); /* the cut goes behind what was written before */
    shard_world_log_cut (node, index, term);
    node->base = members;
    shard_world_event (w, number, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = index});
}

bool shard_world_entry (struct shard_world *w, uint32_t number, uint64_t index, struct log_entry *entry)
{
    const struct shard_world_node *node = &w->nodes[number];
    for (size_t i = 0; i < node->entries_count; i++) {
        if (node->entries[i].index != index || node->entries[i].type != RAFT_ENTRY_COMMAND)
            continue;
        arena_reset (&w->arena);
        enum status status =
            codec_decode (&log_entry_type, node->entries[i].payload, CODEC_STRICT, &w->arena, entry, NULL);
        maitre_assert (status == STATUS_OK);
        return true;
    }
    return false;
}

unsigned shard_world_entries (struct shard_world *w, uint32_t node, uint64_t kind)
{
    struct log_entry entry;
    unsigned count = 0;
    for (uint64_t index = w->nodes[node].log_index + 1; index <= shard_world_status (w, node).last_index; index++)
        count += shard_world_entry (w, node, index, &entry) && entry.kind == kind;
    return count;
}

/* ---- in the end */

static bool all_equal (const struct shard_world *w)
{
    struct shard_status first = shard_world_status (w, 1);
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        struct shard_status status = shard_world_status (w, i);
        if (status.applied_index != first.applied_index || status.last_index != first.applied_index ||
            status.sending_snapshot || status.calls > 0)
            return false;
    }
    return shard_world_leader (w) != 0;
}

void shard_world_settle (struct shard_world *w)
{
    shard_world_heal (w);
    unsigned waited = 0;
    for (; waited < 30000 && !all_equal (w); waited++)
        shard_world_step (w);
    maitre_assert (waited < 30000);
    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        struct state state = state_map_state (&w->nodes[i].map);
        char drift[200];
        maitre_assert (shard_world_hash (w, i) == shard_world_hash (w, 1));
        if (!services_check (&w->ids.config, &state, drift, sizeof drift)) {
            fprintf (stderr, "services_check: %s\n", drift);
            abort ();
        }
    }
    for (size_t i = 0; i < w->calls_count; i++)
        maitre_assert (w->calls[i].state != CALL_WAITING);
}
