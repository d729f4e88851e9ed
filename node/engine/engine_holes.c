/* Rot in a stopped node's log, replica by replica (P9): Alagappan et al., "Protocol-Aware Recovery" (FAST 2018).
 *
 * A lost turn may have held entries, a term and a vote of any replica here. So the folder is suspect: none of its replicas
 * gives a counting vote before a leader that was elected without it has brought it past the commit index. Whose log proves
 * itself whole goes on with it (registry.h); whose log merely ends before the hole is as one that lost its end; the others
 * start over, empty, and are filled by their leaders. */
#include <stdio.h>
#include <stdlib.h>

#include "node/engine/engine_found.h"

static void fail_log (struct engine *engine, enum status status, const char *why, struct engine_error *error)
{
    bool newer = status == STATUS_FAILED_PRECONDITION, damaged = status == STATUS_DATA_LOSS;
    engine_fail (error,
        newer     ? ENGINE_EXIT_FOLDER
        : damaged ? ENGINE_EXIT_DAMAGE
                  : ENGINE_EXIT_RESOURCES,
        "%s: %s: %s", engine->config.data, why,
        newer     ? "run that one"
        : damaged ? "see \"A disk that is lost or damaged\" in node/README.md"
                  : "check disk and memory, and start again");
}

static void tell_rebuilt (const struct engine *engine)
{
    const char *why;
    bool whole;
    if (store_log_rebuilt (engine->store, &why, &whole))
        event_log (EVENT_LOG_WARN,
            whole ? "the log database was made anew: nothing of it was lost; check the disk"
                  : "the log database was made anew from what is left of it: check the disk",
            event_log_text ("why", why));
}

bool engine_holes_read (struct recovery *recovery, const struct store_recovery *visitor, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    struct store_error why = {.text = ""};
    bool suspected = store_suspect (engine->store, NULL);
    enum status status = store_log_recover (engine->store, visitor, &why);
    if (status == STATUS_OK && recovery->memory_out) {
        status = STATUS_RESOURCE_EXHAUSTED;
        snprintf (why.text, sizeof why.text, "out of memory");
    }
    if (!suspected) /* found while the log was read: it ends before its last turn known to be synced */
        engine_tell_suspect (engine);
    failpoint_pass (FAILPOINT_START_LOG_AFTER);
    if (status != STATUS_OK)
        fail_log (engine, status, why.text, error);
    tell_rebuilt (engine);
    return status == STATUS_OK;
}

/* Its founding may have been in a lost turn, and nothing of it anywhere else. */
static void note_missing (struct recovery *recovery, uint32_t shard)
{
    struct engine *engine = recovery->engine;
    struct found *found = &recovery->found[shard];
    uint64_t own = engine_own_replica (engine, shard);
    if (own == 0 || found->row.replica != 0 || !engine->placement.founded)
        return;
    found->row = (struct store_replica){.shard = shard, .replica = own};
    snprintf (found->lost, sizeof found->lost, "the log knows nothing of it any more");
}

/* The state holds what had committed. Where the log has another term, turns are lost that had replaced what it holds, behind
 * a hole or at its end. */
static void check_state (const struct found *found, char why[160])
{
    const struct store_replica *row = &found->row;
    for (size_t i = 0; i < found->entries_count && found->lost[0] == '\0' && found->damage[0] == '\0'; i++) {
        if (row->applied_term != 0 && found->entries[i].index == row->applied_index &&
            found->entries[i].term != row->applied_term)
            snprintf (
                why, 160, "its log differs from its state at entry %llu", (unsigned long long) row->applied_index);
    }
}

/* Another node must hold what may be missing here. */
static bool others_hold (const struct engine *engine, const struct found *found, struct engine_error *error)
{
    if (found->lost[0] == '\0' && !found->row.doubtful)
        return true;
    if (route_map_shard (&engine->map, found->row.shard)->replicas_count >= 2)
        return true;
    return engine_fail (error, ENGINE_EXIT_DAMAGE,
        "shard %u: %s, and no other node has it: see \"A disk that is lost or damaged\" in node/README.md",
        found->row.shard, found->lost[0] != '\0' ? found->lost : "what rotted in the log may have been its");
}

/* Term and vote of all of them as well: those that are known from an entry alone are nowhere else. */
static enum status put_replica (
    struct engine *engine, struct found *found, struct store_turn *turn, struct store_error *why)
{
    const struct store_replica *row = &found->row;
    enum status status = STATUS_OK;
    if (found->lost[0] != '\0')
        status = engine_found_reset (engine, found, turn, why);
    if (status == STATUS_OK && row->term > 0)
        status = store_turn_hard_state (turn, row->shard, row->replica, row->term, row->vote);
    return status;
}

/* All of it in one turn: until that is synced, the next start finds the same hole. */
static enum status close_turn (struct recovery *recovery, struct store_error *why)
{
    struct engine *engine = recovery->engine;
    struct store_turn *turn = store_turn_new (engine->store);
    enum status status =
        turn == NULL || failpoint (FAILPOINT_START_OVER_BEFORE) ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
    for (uint32_t shard = 0; shard <= engine->config.shards && status == STATUS_OK; shard++) {
        if (recovery->found[shard].row.replica != 0)
            status = put_replica (engine, &recovery->found[shard], turn, why);
    }
    for (size_t i = 0; i < recovery->foreign_count && status == STATUS_OK; i++) {
        if (recovery->foreign[i].lost)
            status = store_turn_remove (turn, recovery->foreign[i].shard, recovery->foreign[i].replica);
    }
    if (status == STATUS_OK)
        status = store_turn_commit (turn, why);
    store_turn_destroy (&turn);
    return status;
}

bool engine_holes_close (struct recovery *recovery, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    struct store_error why = {.text = "out of memory"};
    struct store_hole hole;
    uint32_t lost = 0;
    bool holed = store_log_holed (engine->store, &hole);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++)
        check_state (&recovery->found[shard], holed ? recovery->found[shard].lost : recovery->found[shard].damage);
    if (!holed)
        return true;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct found *found = &recovery->found[shard];
        note_missing (recovery, shard);
        lost += found->lost[0] != '\0';
        if (found->row.replica != 0 && !others_hold (engine, found, error))
            return false;
    }
    event_log (EVENT_LOG_WARN,
        "turns of the log rotted: no replica here votes until a leader has looked after it; check the disk",
        event_log_u64 ("first", hole.turn_first), event_log_u64 ("last", hole.turn_last),
        event_log_u64 ("turns", hole.turns), event_log_u64 ("emptied", lost));
    if (close_turn (recovery, &why) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "%s: the damaged log cannot be gone on with: %s",
            engine->config.data, why.text);
    failpoint_pass (FAILPOINT_START_OVER_AFTER);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct found *found = &recovery->found[shard];
        if (found->lost[0] == '\0')
            continue;
        event_log (EVENT_LOG_WARN, "log is damaged: the replica is emptied and filled by its leader",
            event_log_u64 ("shard", shard), event_log_text ("why", found->lost));
        engine_found_emptied (found);
        found->damage[0] = '\0';
    }
    return true;
}
