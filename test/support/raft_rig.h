/* One Raft replica under test: the test plays its peers, its disk and its clock.
 *
 * Replicas 1..voters live on the nodes of the same number, with ranks from 0; shard 7.
 */
#ifndef MAITRED_TEST_SUPPORT_RAFT_RIG_H
#define MAITRED_TEST_SUPPORT_RAFT_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "node/raft/raft.h"

#define RIG_SHARD 7
#define RIG_ENTRIES_MAX 64

struct rig {
    struct raft_options options;
    struct raft *raft;
    struct raft_effects effects;
    uint64_t now_ms;
    struct raft_entry entries[RIG_ENTRIES_MAX]; /* of the message being made */
};

static inline struct raft_configuration rig_voters (unsigned voters)
{
    struct raft_configuration configuration = {0};
    for (unsigned i = 1; i <= voters; i++)
        assert_true (raft_configuration_set (&configuration,
            (struct raft_member){.replica = i, .node = i, .rank = (uint8_t) (i - 1), .roles = RAFT_VOTER}));
    return configuration;
}

static inline struct raft_entry rig_entry (uint64_t index, uint64_t term, const char *text)
{
    struct raft_entry entry = {.index = index,
        .term = term,
        .type = text ? RAFT_ENTRY_COMMAND : RAFT_ENTRY_NOOP,
        .payload = text ? bytes_text (text) : (struct bytes){0}};
    entry.checksum = raft_entry_checksum (RIG_SHARD, &entry);
    return entry;
}

/* Opens replica 1 (or options->replica) from *stored. */
static inline void rig_open_stored (
    struct rig *rig, const struct raft_options *options, const struct raft_stored *stored)
{
    memset (rig, 0, sizeof *rig);
    rig->options = *options;
    rig->options.shard = RIG_SHARD;
    if (rig->options.replica == 0)
        rig->options.replica = 1;
    if (rig->options.session == 0)
        rig->options.session = 10;
    rig->now_ms = 1000;
    raft_effects_init (&rig->effects);
    assert_int_equal (raft_new (&rig->options, stored, rig->now_ms, &rig->raft), STATUS_OK);
}

/* A log whose entry i has terms[i - 1]; no-ops. */
static inline void rig_open_log (struct rig *rig, unsigned voters, uint64_t term, const uint64_t *terms, size_t count)
{
    struct raft_configuration configuration = rig_voters (voters);
    struct raft_entry entries[RIG_ENTRIES_MAX];
    for (size_t i = 0; i < count; i++)
        entries[i] = rig_entry (i + 1, terms[i], NULL);
    struct raft_stored stored = {
        .term = term, .configuration = &configuration, .entries = entries, .entries_count = count};
    rig_open_stored (rig, &(struct raft_options){0}, &stored);
}

static inline void rig_open (struct rig *rig, unsigned voters)
{
    rig_open_log (rig, voters, 0, NULL, 0);
}

static inline void rig_close (struct rig *rig)
{
    raft_destroy (&rig->raft);
    raft_effects_close (&rig->effects);
}

static inline enum status rig_step (struct rig *rig, struct raft_event event)
{
    event.now_ms = rig->now_ms;
    enum status status = raft_step (rig->raft, &event, &rig->effects);
    raft_check (rig->raft);
    return status;
}

/* Ends the turn; its effects stay until rig_reset. */
static inline void rig_turn (struct rig *rig)
{
    assert_int_equal (rig_step (rig, (struct raft_event){.type = RAFT_TURN_END}), STATUS_OK);
}

static inline void rig_reset (struct rig *rig)
{
    raft_effects_reset (&rig->effects);
}

/* Reports everything handed to the disk so far as synced, in a turn of its own. */
static inline void rig_sync (struct rig *rig)
{
    uint64_t sequence = rig->effects.persist.sequence;
    rig_reset (rig);
    assert_int_equal (rig_step (rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence}), STATUS_OK);
    rig_turn (rig);
}

static inline struct raft_status rig_status (const struct rig *rig)
{
    struct raft_status status;
    raft_status (rig->raft, &status);
    return status;
}

static inline void rig_tick (struct rig *rig, uint64_t ms)
{
    rig->now_ms += ms;
    assert_int_equal (rig_step (rig, (struct raft_event){.type = RAFT_TICK}), STATUS_OK);
}

/* A message to the replica under test. Sessions of peers are 1 unless set; leadership is offered to the life that runs. */
static inline struct raft_message rig_message (const struct rig *rig, uint8_t type, uint64_t from, uint64_t term)
{
    return (struct raft_message){.shard = RIG_SHARD,
        .type = type,
        .from = from,
        .to = rig->options.replica,
        .term = term,
        .session = type == RAFT_TIMEOUT_NOW ? rig->options.session : 1};
}

static inline enum status rig_receive (struct rig *rig, struct raft_message message)
{
    return rig_step (rig, (struct raft_event){.type = RAFT_RECEIVE, .message = &message});
}

/* An append after (index, log_term) of no-ops with the given terms. */
static inline enum status rig_append (struct rig *rig, uint64_t from, uint64_t term, uint64_t index, uint64_t log_term,
    uint64_t commit, const uint64_t *terms, uint32_t count)
{
    struct raft_message message = rig_message (rig, RAFT_APPEND, from, term);
    for (uint32_t i = 0; i < count; i++)
        rig->entries[i] = rig_entry (index + 1 + i, terms[i], NULL);
    message.index = index;
    message.log_term = log_term;
    message.commit = commit;
    message.entries = rig->entries;
    message.count = count;
    return rig_receive (rig, message);
}

static inline enum status rig_ack (struct rig *rig, uint64_t from, uint64_t index)
{
    struct raft_message message = rig_message (rig, RAFT_APPEND_REPLY, from, rig_status (rig).term);
    message.index = index;
    return rig_receive (rig, message);
}

static inline const struct raft_message *rig_find_in (
    const struct raft_message *messages, size_t count, uint8_t type, uint64_t to)
{
    for (size_t i = count; i-- > 0;)
        if (messages[i].type == type && messages[i].to == to)
            return &messages[i];
    return NULL;
}

/* The newest message of a type to a replica that leaves at once, or after the sync; NULL when there is none. */
static inline const struct raft_message *rig_now (const struct rig *rig, uint8_t type, uint64_t to)
{
    return rig_find_in (rig->effects.send_now, rig->effects.send_now_count, type, to);
}

static inline const struct raft_message *rig_after (const struct rig *rig, uint8_t type, uint64_t to)
{
    return rig_find_in (rig->effects.send_after_persist, rig->effects.send_after_count, type, to);
}

/* Makes the replica under test the leader of the next term with the votes of all others; its no-op is not yet synced
 * and the effects of the turn in which it won are still there. */
static inline void rig_elect (struct rig *rig)
{
    uint64_t term = rig_status (rig).term + 1;
    const struct raft_configuration *members = raft_configuration (rig->raft);
    assert_int_equal (rig_step (rig, (struct raft_event){.type = RAFT_CAMPAIGN}), STATUS_OK);
    for (uint32_t i = 0; i < members->count; i++)
        if (members->members[i].replica != rig->options.replica)
            assert_int_equal (
                rig_receive (rig, rig_message (rig, RAFT_PREVOTE_REPLY, members->members[i].replica, term)), STATUS_OK);
    rig_turn (rig);
    rig_sync (rig);
    if (members->count == 1)
        return; /* alone: elected with its own vote, in this turn */
    rig_reset (rig);
    for (uint32_t i = 0; i < members->count; i++)
        if (members->members[i].replica != rig->options.replica)
            assert_int_equal (
                rig_receive (rig, rig_message (rig, RAFT_VOTE_REPLY, members->members[i].replica, term)), STATUS_OK);
    assert_int_equal (rig_status (rig).role, RAFT_LEADER);
    if (rig->effects.persist.sequence == 0)
        rig_turn (rig);
}

/* rig_elect, and everybody holds the no-op. */
static inline void rig_lead (struct rig *rig)
{
    rig_elect (rig);
    rig_sync (rig);
    const struct raft_configuration *members = raft_configuration (rig->raft);
    uint64_t last = rig_status (rig).last_index;
    for (uint32_t i = 0; i < members->count; i++)
        if (members->members[i].replica != rig->options.replica)
            assert_int_equal (rig_ack (rig, members->members[i].replica, last), STATUS_OK);
    rig_reset (rig);
    rig_turn (rig);
    rig_reset (rig);
    assert_int_equal (rig_status (rig).commit, last);
}

static inline enum status rig_propose (struct rig *rig, const char *text)
{
    struct bytes payload = bytes_text (text);
    return rig_step (rig, (struct raft_event){.type = RAFT_PROPOSE, .payloads = &payload, .payloads_count = 1});
}

#endif
