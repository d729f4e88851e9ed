/* What one Raft group costs on each side: a write of one entry, of sixteen in a turn, a read, and an idle heartbeat. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/raft/raft.h"

#define ROUNDS 200000
#define PAYLOAD_BYTES 150

struct side {
    struct raft *raft;
    struct raft_effects effects;
    double ns; /* spent inside */
};

static uint64_t now_ms = 1000;

static double clock_ns (void)
{
    struct timespec time;
    clock_gettime (CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

static void must (enum status status)
{
    if (status != STATUS_OK) {
        fprintf (stderr, "bench_raft: %s\n", status_name (status));
        exit (1);
    }
}

static void step (struct side *side, struct raft_event event)
{
    event.now_ms = now_ms;
    must (raft_step (side->raft, &event, &side->effects));
}

static void end (struct side *side)
{
    step (side, (struct raft_event){.type = RAFT_TURN_END});
}

static void open_side (struct side *side, uint64_t replica)
{
    struct raft_configuration voters = {0};
    for (uint64_t i = 1; i <= 3; i++)
        if (!raft_configuration_set (
                &voters, (struct raft_member){
                             .replica = i, .node = (uint32_t) i, .rank = (uint8_t) (i - 1), .roles = RAFT_VOTER}))
            exit (1);
    struct raft_options options = {.shard = 1, .replica = replica, .session = 1, .seed = replica};
    struct raft_stored stored = {.configuration = &voters};
    must (raft_new (&options, &stored, now_ms, &side->raft));
    raft_effects_init (&side->effects);
}

static void receive (struct side *side, const struct raft_message *message)
{
    step (side, (struct raft_event){.type = RAFT_RECEIVE, .message = message});
}

static struct raft_message from_peer (uint8_t type, uint64_t from, uint64_t to, uint64_t term)
{
    return (struct raft_message){.shard = 1, .type = type, .from = from, .to = to, .term = term, .session = 1};
}

/* Everything handed to the disk is synced; what committed is applied, and forgotten now and then. */
static void sync_side (struct side *side)
{
    uint64_t sequence = side->effects.persist.sequence;
    raft_effects_reset (&side->effects);
    if (sequence)
        step (side, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
}

static void applied (struct side *side)
{
    uint64_t last = side->effects.apply_last;
    if (last < side->effects.apply_first)
        return;
    step (side, (struct raft_event){.type = RAFT_APPLIED, .index = last});
    if (last % 1024 < 16)
        raft_compact (side->raft, last);
}

static void elect (struct side *leader)
{
    step (leader, (struct raft_event){.type = RAFT_CAMPAIGN});
    struct raft_message vote = from_peer (RAFT_PREVOTE_REPLY, 2, 1, 1);
    receive (leader, &vote);
    end (leader);
    sync_side (leader);
    vote.type = RAFT_VOTE_REPLY;
    receive (leader, &vote);
    end (leader);
    sync_side (leader);
    for (uint64_t peer = 2; peer <= 3; peer++) {
        struct raft_message ack = from_peer (RAFT_APPEND_REPLY, peer, 1, 1);
        ack.index = 1;
        receive (leader, &ack);
    }
    end (leader);
    applied (leader);
    raft_effects_reset (&leader->effects);
}

/* One turn of `count` entries on the leader and on one follower. */
static void write_turn (struct side *leader, struct side *follower, size_t count)
{
    static uint8_t payload[PAYLOAD_BYTES];
    struct bytes payloads[64];
    for (size_t i = 0; i < count; i++)
        payloads[i] = bytes_of (payload, sizeof payload);
    double start = clock_ns ();
    step (leader, (struct raft_event){.type = RAFT_PROPOSE, .payloads = payloads, .payloads_count = count});
    end (leader);
    double middle = clock_ns ();
    leader->ns += middle - start;
    for (size_t i = 0; i < leader->effects.send_now_count; i++)
        if (leader->effects.send_now[i].to == 2)
            receive (follower, &leader->effects.send_now[i]);
    end (follower);
    applied (follower);
    sync_side (follower);
    end (follower);
    applied (follower);
    raft_effects_reset (&follower->effects);
    start = clock_ns ();
    follower->ns += start - middle;
    sync_side (leader);
    struct raft_status status;
    raft_status (leader->raft, &status);
    for (uint64_t peer = 2; peer <= 3; peer++) {
        struct raft_message ack = from_peer (RAFT_APPEND_REPLY, peer, 1, 1);
        ack.index = status.last_index;
        receive (leader, &ack);
    }
    end (leader);
    applied (leader);
    raft_effects_reset (&leader->effects);
    leader->ns += clock_ns () - start;
}

static void require_equal_logs (const struct side *leader, const struct side *follower)
{
    struct raft_status a, b;
    raft_status (leader->raft, &a);
    raft_status (follower->raft, &b);
    if (a.last_index != b.last_index || a.applied != a.last_index) {
        fprintf (stderr, "bench_raft: leader at %lu, applied %lu, follower at %lu\n", (unsigned long) a.last_index,
            (unsigned long) a.applied, (unsigned long) b.last_index);
        exit (1);
    }
}

static void report (const char *what, struct side *leader, struct side *follower, size_t entries)
{
    require_equal_logs (leader, follower);
    printf ("%-28s leader %6.0f ns, follower %6.0f ns an entry\n", what, leader->ns / (double) entries,
        follower->ns / (double) entries);
    leader->ns = 0;
    follower->ns = 0;
}

static void read_turn (struct side *leader, size_t count)
{
    double start = clock_ns ();
    for (size_t i = 0; i < count; i++)
        step (leader, (struct raft_event){.type = RAFT_READ, .read_id = i});
    end (leader);
    struct raft_message ack = from_peer (RAFT_HEARTBEAT_REPLY, 2, 1, 1);
    ack.round = leader->effects.send_now[0].round;
    receive (leader, &ack);
    raft_effects_reset (&leader->effects);
    leader->ns += clock_ns () - start;
}

int main (void)
{
    struct side leader = {0}, follower = {0};
    open_side (&leader, 1);
    open_side (&follower, 2);
    elect (&leader);
    struct raft_message first = from_peer (RAFT_APPEND, 1, 2, 1);
    struct raft_entry noop = {.index = 1, .term = 1, .type = RAFT_ENTRY_NOOP};
    noop.checksum = raft_entry_checksum (1, &noop);
    first.entries = &noop;
    first.count = 1;
    receive (&follower, &first);
    end (&follower);
    sync_side (&follower);
    raft_effects_reset (&follower.effects);

    for (size_t i = 0; i < ROUNDS; i++)
        write_turn (&leader, &follower, 1);
    report ("one entry a turn", &leader, &follower, ROUNDS);
    for (size_t i = 0; i < ROUNDS / 16; i++)
        write_turn (&leader, &follower, 16);
    report ("sixteen entries a turn", &leader, &follower, ROUNDS);
    for (size_t i = 0; i < ROUNDS / 16; i++)
        read_turn (&leader, 16);
    report ("sixteen reads a turn", &leader, &follower, ROUNDS);

    double start = clock_ns ();
    struct raft_message ack = from_peer (RAFT_HEARTBEAT_REPLY, 2, 1, 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        now_ms += 50;
        step (&leader, (struct raft_event){.type = RAFT_TICK});
        receive (&leader, &ack);
        end (&leader);
        raft_effects_reset (&leader.effects);
    }
    printf ("%-28s leader %6.0f ns\n", "idle heartbeat of a group", (clock_ns () - start) / ROUNDS);
    raft_destroy (&leader.raft);
    raft_destroy (&follower.raft);
    raft_effects_close (&leader.effects);
    raft_effects_close (&follower.effects);
    return 0;
}
