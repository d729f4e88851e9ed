/* The replicas of a scenario, their disks and the messages between them. */
#include "test/scenario/raft_scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

static const char *const role_names[] = {"follower", "pre-candidate", "candidate", "leader"};

void scenario_print (struct scenario_world *world, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start (arguments, format);
    int len = vsnprintf (line, sizeof line - 1, format, arguments);
    va_end (arguments);
    maitre_assert (len >= 0 && len < (int) sizeof line - 1);
    line[len++] = '\n';
    while (world->out_len + (size_t) len + 1 > world->out_size) {
        world->out_size = world->out_size == 0 ? 4096 : 2 * world->out_size;
        world->out = realloc (world->out, world->out_size);
        maitre_assert (world->out != NULL);
    }
    memcpy (world->out + world->out_len, line, (size_t) len);
    world->out_len += (size_t) len;
    world->out[world->out_len] = 0;
}

/* ---- entries ---- */

static struct raft_entry copy_entry (const struct raft_entry *entry)
{
    struct raft_entry copy = *entry;
    uint8_t *payload = malloc (entry->payload.len + 1);
    maitre_assert (payload != NULL);
    if (entry->payload.len > 0)
        memcpy (payload, entry->payload.data, entry->payload.len);
    copy.payload.data = payload;
    return copy;
}

static struct raft_entry *copy_entries (const struct raft_entry *entries, size_t count)
{
    struct raft_entry *copies = malloc ((count + 1) * sizeof *copies);
    maitre_assert (copies != NULL);
    for (size_t i = 0; i < count; i++)
        copies[i] = copy_entry (&entries[i]);
    return copies;
}

static void free_entries (struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free ((void *) (uintptr_t) entries[i].payload.data);
}

/* ---- messages ---- */

static void describe (struct scenario_world *world, const char *verb, const struct raft_message *m)
{
    static const char *const names[] = {"?", "prevote", "prevote reply", "vote", "vote reply", "append", "append reply",
        "heartbeat", "heartbeat reply", "timeout now"};
    char detail[128] = "";
    const char *refused = m->flags & RAFT_FLAG_REJECT ? " refused" : "";
    const char *suspect = m->flags & RAFT_FLAG_SUSPECT ? " suspect" : "";
    const char *transfer = m->flags & RAFT_FLAG_TRANSFER ? " transfer" : "";
    if (m->type == RAFT_PREVOTE || m->type == RAFT_VOTE)
        snprintf (detail, sizeof detail, " log %lu/%lu", (unsigned long) m->index, (unsigned long) m->log_term);
    else if (m->type == RAFT_APPEND)
        snprintf (detail, sizeof detail, " after %lu/%lu, %u entries, commit %lu", (unsigned long) m->index,
            (unsigned long) m->log_term, m->count, (unsigned long) m->commit);
    else if (m->type == RAFT_APPEND_REPLY && *refused)
        snprintf (detail, sizeof detail, " %lu, hint %lu/%lu", (unsigned long) m->index, (unsigned long) m->hint,
            (unsigned long) m->log_term);
    else if (m->type == RAFT_APPEND_REPLY)
        snprintf (detail, sizeof detail, " matched %lu", (unsigned long) m->index);
    else if (m->type == RAFT_HEARTBEAT)
        snprintf (detail, sizeof detail, " commit %lu%s", (unsigned long) m->commit, m->round ? " round" : "");
    else if (m->type == RAFT_HEARTBEAT_REPLY && m->round)
        snprintf (detail, sizeof detail, " round");
    scenario_print (world, "%lu %s %lu: %s term %lu%s%s%s%s", (unsigned long) m->from, verb, (unsigned long) m->to,
        names[m->type], (unsigned long) m->term, refused, suspect, transfer, detail);
}

static void queue (struct scenario_world *world, const struct raft_message *message, uint64_t after_sequence)
{
    maitre_assert (world->packets_count < SCENARIO_PACKETS_MAX);
    describe (world, after_sequence ? "holds for" : "->", message);
    world->packets[world->packets_count++] = (struct scenario_packet){
        .message = *message,
        .entries = copy_entries (message->entries, message->count),
        .after_sequence = after_sequence,
    };
}

static void remove_packet (struct scenario_world *world, size_t at)
{
    free_entries (world->packets[at].entries, world->packets[at].message.count);
    free (world->packets[at].entries);
    world->packets_count--;
    memmove (&world->packets[at], &world->packets[at + 1], (world->packets_count - at) * sizeof world->packets[0]);
}

unsigned scenario_deliver (struct scenario_world *world, uint64_t from, uint64_t to)
{
    unsigned delivered = 0;
    size_t limit = world->packets_count; /* what these messages cause waits for the next time */
    for (size_t i = 0; i < limit;) {
        struct scenario_packet packet = world->packets[i];
        const struct raft_message *m = &packet.message;
        bool held = packet.after_sequence > world->replicas[m->from].synced;
        if (held || (from && m->from != from) || (to && m->to != to)) {
            i++;
            continue;
        }
        world->packets_count--;
        memmove (&world->packets[i], &world->packets[i + 1], (world->packets_count - i) * sizeof world->packets[0]);
        limit--;
        struct scenario_replica *target = &world->replicas[m->to];
        if (target->raft && !world->cut[m->from][m->to]) {
            struct raft_message message = *m;
            message.entries = packet.entries;
            scenario_step (world, target, (struct raft_event){.type = RAFT_RECEIVE, .message = &message});
            delivered++;
        }
        free_entries (packet.entries, packet.message.count);
        free (packet.entries);
    }
    return delivered;
}

void scenario_drop (struct scenario_world *world, uint64_t from, uint64_t to)
{
    for (size_t i = world->packets_count; i-- > 0;) {
        const struct raft_message *m = &world->packets[i].message;
        if ((from && m->from != from) || (to && m->to != to))
            continue;
        describe (world, "loses to", m);
        remove_packet (world, i);
    }
}

/* ---- the disk ---- */

static void persist (struct scenario_world *world, struct scenario_replica *replica)
{
    const struct raft_effects *effects = &world->effects;
    if (effects->persist.sequence == 0)
        return;
    maitre_assert (replica->batches_count < sizeof replica->batches / sizeof replica->batches[0]);
    struct scenario_batch *batch = &replica->batches[replica->batches_count++];
    *batch = (struct scenario_batch){
        .sequence = effects->persist.sequence,
        .hard_state = effects->persist.hard_state,
        .term = effects->persist.term,
        .vote = effects->persist.vote,
        .entries = effects->persist.entries,
        .reset = effects->persist.reset,
        .first = effects->persist.first,
        .reset_index = effects->persist.reset_index,
        .reset_term = effects->persist.reset_term,
    };
    if (batch->hard_state)
        scenario_print (world, "%lu writes term %lu vote %lu", (unsigned long) replica->id, (unsigned long) batch->term,
            (unsigned long) batch->vote);
    if (batch->reset)
        scenario_print (world, "%lu writes a log that begins after %lu/%lu", (unsigned long) replica->id,
            (unsigned long) batch->reset_index, (unsigned long) batch->reset_term);
    if (!batch->entries)
        return;
    if (effects->persist.last >= effects->persist.first) {
        batch->count = (size_t) (effects->persist.last - effects->persist.first + 1);
        batch->log = copy_entries (raft_entry (replica->raft, effects->persist.first), batch->count);
        scenario_print (world, "%lu writes entries %lu..%lu", (unsigned long) replica->id,
            (unsigned long) effects->persist.first, (unsigned long) effects->persist.last);
    }
}

static void cut_log (struct scenario_replica *replica, uint64_t first)
{
    size_t keep = replica->count;
    while (keep > 0 && replica->log[keep - 1].index >= first)
        keep--;
    free_entries (replica->log + keep, replica->count - keep);
    replica->count = keep;
}

static void take_effect (struct scenario_replica *replica, struct scenario_batch *batch)
{
    if (batch->hard_state) {
        replica->term = batch->term;
        replica->vote = batch->vote;
    }
    if (batch->reset) {
        cut_log (replica, 0);
        replica->snapshot_index = batch->reset_index;
        replica->snapshot_term = batch->reset_term;
    }
    if (batch->entries)
        cut_log (replica, batch->first);
    for (size_t i = 0; i < batch->count; i++) {
        maitre_assert (replica->count < SCENARIO_ENTRIES_MAX);
        replica->log[replica->count++] = batch->log[i];
    }
    free (batch->log);
}

unsigned scenario_sync (struct scenario_world *world, struct scenario_replica *replica)
{
    if (!replica->raft || replica->batches_count == 0)
        return 0;
    uint64_t sequence = replica->batches[replica->batches_count - 1].sequence;
    for (size_t i = 0; i < replica->batches_count; i++)
        take_effect (replica, &replica->batches[i]);
    replica->batches_count = 0;
    replica->synced = sequence;
    scenario_step (world, replica, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
    return 1;
}

void scenario_forget (struct scenario_replica *replica, uint64_t index)
{
    maitre_assert (!replica->raft);
    cut_log (replica, index + 1);
}

/* ---- lives ---- */

void scenario_start (struct scenario_world *world, struct scenario_replica *replica, bool suspect)
{
    struct raft_options options = world->options;
    options.replica = replica->id;
    options.session = ++replica->session;
    options.seed = replica->id;
    options.suspect = suspect;
    struct raft_stored stored = {
        .term = replica->term,
        .vote = replica->vote,
        .snapshot_index = replica->snapshot_index,
        .snapshot_term = replica->snapshot_term,
        .configuration = &replica->configuration,
        .entries = replica->log,
        .entries_count = replica->count,
    };
    maitre_assert (!replica->raft);
    enum status status = raft_new (&options, &stored, world->now_ms, &replica->raft);
    replica->synced = 0;
    replica->applied = replica->snapshot_index; /* the state was lost with the process, and is made again */
    replica->role = RAFT_FOLLOWER;
    replica->shown_term = replica->term;
    replica->shown_leader = 0;
    if (status != STATUS_OK)
        scenario_print (world, "%lu does not start: %s", (unsigned long) replica->id, status_name (status));
}

void scenario_found (struct scenario_world *world, const struct raft_configuration *members)
{
    raft_effects_init (&world->effects);
    for (uint32_t i = 0; i < members->count; i++) {
        struct scenario_replica *replica = &world->replicas[members->members[i].replica];
        replica->id = members->members[i].replica;
        replica->configuration = *members;
        scenario_start (world, replica, false);
    }
}

void scenario_crash (struct scenario_world *world, struct scenario_replica *replica)
{
    raft_destroy (&replica->raft);
    for (size_t i = 0; i < replica->batches_count; i++) {
        free_entries (replica->batches[i].log, replica->batches[i].count);
        free (replica->batches[i].log);
    }
    replica->batches_count = 0;
    for (size_t i = world->packets_count; i-- > 0;) /* what waited for the disk was never sent */
        if (world->packets[i].message.from == replica->id && world->packets[i].after_sequence > replica->synced)
            remove_packet (world, i);
}

void scenario_close (struct scenario_world *world)
{
    for (unsigned id = 1; id <= SCENARIO_REPLICAS_MAX; id++) {
        scenario_crash (world, &world->replicas[id]);
        cut_log (&world->replicas[id], 0);
    }
    while (world->packets_count > 0)
        remove_packet (world, world->packets_count - 1);
    raft_effects_close (&world->effects);
    free (world->out);
}

/* ---- a step ---- */

static void notices (struct scenario_world *world, struct scenario_replica *replica)
{
    struct raft_status status;
    raft_status (replica->raft, &status);
    unsigned long id = (unsigned long) replica->id;
    if (status.role != replica->role || status.term != replica->shown_term || status.leader != replica->shown_leader) {
        if (status.role == RAFT_FOLLOWER && status.leader)
            scenario_print (world, "%lu is follower of %lu in term %lu", id, (unsigned long) status.leader,
                (unsigned long) status.term);
        else
            scenario_print (world, "%lu is %s in term %lu", id, role_names[status.role], (unsigned long) status.term);
    }
    replica->role = status.role;
    replica->shown_term = status.term;
    replica->shown_leader = status.leader;
    if (world->effects.suspect_cleared)
        scenario_print (world, "%lu is no longer suspect", id);
    if (world->effects.became_suspect)
        scenario_print (world, "%lu becomes suspect", id);
}

static void apply (struct scenario_world *world, struct scenario_replica *replica)
{
    const struct raft_effects *effects = &world->effects;
    unsigned long id = (unsigned long) replica->id;
    for (uint64_t i = effects->apply_first; i <= effects->apply_last; i++) {
        const struct raft_entry *entry = raft_entry (replica->raft, i);
        if (entry->type == RAFT_ENTRY_COMMAND)
            scenario_print (world, "%lu applies %lu/%lu \"%.*s\"", id, (unsigned long) i, (unsigned long) entry->term,
                (int) entry->payload.len, (const char *) entry->payload.data);
        else
            scenario_print (world, "%lu applies %lu/%lu %s", id, (unsigned long) i, (unsigned long) entry->term,
                entry->type == RAFT_ENTRY_NOOP ? "no-op" : "configuration");
        replica->applied = i;
    }
    for (size_t i = 0; i < effects->reads_count; i++)
        if (effects->reads[i].ok)
            scenario_print (world, "%lu may read %lu at %lu", id, (unsigned long) effects->reads[i].read_id,
                (unsigned long) effects->reads[i].index);
        else
            scenario_print (world, "%lu refuses read %lu", id, (unsigned long) effects->reads[i].read_id);
    for (size_t i = 0; i < effects->snapshots_count; i++)
        scenario_print (world, "%lu wants a snapshot for %lu", id, (unsigned long) effects->snapshots[i].replica);
}

void scenario_step (struct scenario_world *world, struct scenario_replica *replica, struct raft_event event)
{
    struct raft_effects *effects = &world->effects;
    maitre_assert (replica->raft != NULL);
    raft_effects_reset (effects);
    event.now_ms = world->now_ms;
    enum status status = raft_step (replica->raft, &event, effects);
    if (status != STATUS_OK)
        scenario_print (world, "%lu refuses: %s", (unsigned long) replica->id, status_name (status));
    struct raft_event end = {.type = RAFT_TURN_END, .now_ms = world->now_ms};
    status = raft_step (replica->raft, &end, effects);
    maitre_assert (status == STATUS_OK);
    raft_check (replica->raft);
    notices (world, replica);
    persist (world, replica);
    for (size_t i = 0; i < effects->send_now_count; i++)
        queue (world, &effects->send_now[i], 0);
    for (size_t i = 0; i < effects->send_after_count; i++)
        queue (world, &effects->send_after_persist[i], effects->after_sequence);
    apply (world, replica);
    struct raft_event applied = {.type = RAFT_APPLIED, .now_ms = world->now_ms, .index = replica->applied};
    status = raft_step (replica->raft, &applied, effects);
    maitre_assert (status == STATUS_OK);
}

void scenario_show (struct scenario_world *world, const struct scenario_replica *replica)
{
    struct raft_status s;
    char members[160] = "";
    size_t len = 0;
    if (!replica->raft) {
        scenario_print (world, "%lu is down", (unsigned long) replica->id);
        return;
    }
    raft_status (replica->raft, &s);
    const struct raft_configuration *configuration = raft_configuration (replica->raft);
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        const char *mark = member->roles == RAFT_LEARNER                                                   ? "?"
                           : !(member->roles & RAFT_VOTER)                                                 ? "-"
                           : raft_configuration_joint (configuration) && !(member->roles & RAFT_VOTER_OLD) ? "+"
                                                                                                           : "";
        len += (size_t) snprintf (members + len, sizeof members - len, " %lu%s", (unsigned long) member->replica, mark);
    }
    scenario_print (world, "%lu: %s%s term %lu vote %lu commit %lu applied %lu persisted %lu last %lu/%lu members%s",
        (unsigned long) replica->id, s.suspect ? "suspect " : "", role_names[s.role], (unsigned long) s.term,
        (unsigned long) s.vote, (unsigned long) s.commit, (unsigned long) s.applied, (unsigned long) s.persisted_index,
        (unsigned long) s.last_index, (unsigned long) s.last_term, members);
}

void scenario_restore (struct scenario_world *world, struct scenario_replica *from, struct scenario_replica *to)
{
    struct raft_status s;
    raft_status (from->raft, &s);
    struct raft_configuration members;
    bool known = raft_configuration_at (from->raft, s.applied, &members);
    maitre_assert (known);
    to->snapshot_index = s.applied;
    to->snapshot_term = raft_term_at (from->raft, s.applied);
    to->configuration = members;
    if (to->applied < s.applied)
        to->applied = s.applied;
    struct raft_event restore = {
        .type = RAFT_RESTORE, .index = s.applied, .term = to->snapshot_term, .configuration = &members};
    scenario_step (world, to, restore);
    struct raft_event sent = {.type = RAFT_SNAPSHOT_SENT, .replica = to->id, .index = s.applied, .ok = true};
    scenario_step (world, from, sent);
}
