/* A whole cluster in one thread from one seed: the production Raft cores over a simulated clock, network and disk.
 *
 * Room: test/sim. Ownership: one struct sim owns everything. Thread safety: none.
 * Source: design.md "One step, everywhere", faults.md "Two ways to check".
 *
 * Invariants, checked after every step by sim_oracle.c:
 *  1. At most one leader per (shard, term), and it holds everything that committed in earlier terms.
 *  2. A replica gives at most one vote per term; its durable term never goes back, rot aside.
 *  3. Two entries of one index and term are equal, and so are the entries before them (log matching).
 *  4. What was applied anywhere is applied everywhere: same entries, same state at the same index, for ever.
 *  5. What is applied is durable on a quorum (groups with a damaged disk aside).
 *  6. Reads and writes respect real time: a result is no older than anything that had completed when it was asked for.
 *  7. After healing every group elects, commits and converges within a bound, and then keeps its leader: not even
 *     removed replicas that live on disturb it. One direction between two nodes may stay cut.
 *  8. The same seed gives the same trace.
 */
#ifndef MAITRED_TEST_SIM_SIM_H
#define MAITRED_TEST_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/raft/raft.h"
#include "node/raft/raft_codec.h"
#include "schemas/runtime/ids.h"
#include "test/support/state_image.h"

#define SIM_NODES_MAX 7
#define SIM_WALL_START_MS UINT64_C (1750000000000)
#define SIM_SHARDS_MAX 33 /* services mode: the system shard is one of them */

struct sim;
struct sim_node;
struct sim_replica;

/* ---- sim_random.c ---- */
struct sim_random {
    uint64_t state;
};
uint64_t sim_random_next (struct sim_random *random);
/* Uniform below bound; 0 for a bound of 0. */
uint64_t sim_below (struct sim *sim, uint64_t bound);
uint64_t sim_between (struct sim *sim, uint64_t least, uint64_t most);
/* True once in `one_in`; never for 0. */
bool sim_chance (struct sim *sim, uint64_t one_in);

/* ---- sim_queue.c: what happens when ---- */
enum sim_happening_kind {
    SIM_WAKE = 1, /* node: a turn is due */
    SIM_DELIVER,  /* node: bytes of one message */
    SIM_LINK,     /* node: link to `peer` is up or down */
    SIM_DISK,     /* node: the batch under way is synced */
    SIM_SNAPSHOT, /* node: a snapshot arrives */
    SIM_SENT,     /* node: how a snapshot transfer ended */
    SIM_CLIENT,   /* client `value` asks */
    SIM_FAULT,    /* the next fault */
    SIM_RESTART,  /* node comes back */
    SIM_ADMIN,    /* the membership script goes on */
    SIM_STRIKE,   /* node: dies in the middle of its first steps as a leader */
    SIM_ASKED,    /* node: a message of client `peer` */
    SIM_ANSWERED, /* client `peer`: a message of `node`, in its life `value` */
};

struct sim_happening {
    uint64_t time_us, order;
    enum sim_happening_kind kind;
    uint32_t node, peer;
    uint64_t epoch; /* life of the node it is meant for, 0 = any */
    uint64_t value;
    bool up;
    bool late;     /* SIM_LINK: a silent cut that is noticed after a while */
    uint8_t *data; /* owned */
    size_t len;
};

struct sim_queue {
    struct sim_happening *heap;
    size_t count, size;
    uint64_t order;
};
void sim_queue_push (struct sim_queue *queue, struct sim_happening happening);
bool sim_queue_pop (struct sim_queue *queue, struct sim_happening *out);
void sim_queue_close (struct sim_queue *queue);

/* ---- sim_machine.c: the replicated state machine ---- */
struct sim_machine {
    uint64_t applied, applied_term;
    uint64_t hash;  /* of everything applied, in order */
    uint64_t value; /* of the newest command */
    uint64_t commands;
};
#define SIM_COMMAND_BYTES 24
void sim_machine_apply (struct sim_machine *machine, const struct raft_entry *entry);

/* ---- packets of the Raft mode (sim_duty.c): 1, the receiver's replica id, then real wire bytes ---- */
#define SIM_PACKET_HEAD 9

/* ---- sim_disk.c ---- */
struct sim_entry {
    uint64_t index, term, checksum;
    uint8_t type;
    struct bytes payload; /* owned */
};

struct sim_entries {
    struct sim_entry *items;
    size_t count, size;
};

/* One replica's durable state. It outlives the process. */
struct sim_stored {
    uint64_t replica;
    uint32_t shard;
    uint64_t term, vote, commit;
    uint64_t snapshot_index, snapshot_term;
    struct raft_configuration configuration;
    struct sim_entries log;
    struct sim_machine state;
    struct state_image image; /* services mode */
    bool suspect, emptied;
    bool damaged;                    /* lost synced data, and was not brought back yet */
    struct raft_configuration first; /* as it was made: what a replica that starts over begins with */
    struct sim_stored *next;         /* of the node */
};

enum sim_write_kind { SIM_WRITE_TURN = 1, SIM_WRITE_STATE, SIM_WRITE_INSTALL, SIM_WRITE_COMPACT, SIM_WRITE_SUSPECT };

struct sim_write {
    enum sim_write_kind kind;
    uint64_t replica;
    uint64_t batch;
    uint64_t sequence;
    bool hard_state, entries, reset, suspect;
    uint64_t term, vote, commit;
    uint64_t first, index, index_term;
    struct sim_entries log;
    struct sim_machine state;
    struct state_image image; /* services mode */
    struct raft_configuration configuration;
    uint64_t from; /* SIM_WRITE_INSTALL: who sent it */
    struct sim_write *next;
};

/* The bytes of a node's log: sim_platter.h. */
struct sim_platter {
    uint8_t *data; /* the write-ahead file */
    size_t len, size, synced;
    size_t *marks; /* where its batches begin */
    size_t marks_count, marks_size;
    uint64_t sequence;
    uint64_t turn_base, turn_synced, turn_last;
    struct sim_stored *base; /* what stands elsewhere already */
};

struct sim_disk {
    struct sim_platter platter;
    struct sim_stored *replicas;
    struct sim_write *oldest, *newest;  /* in order of their batches */
    uint64_t batch_open, batch_writing; /* 0: none */
    uint64_t batches;
};

/* A snapshot became durable: what it means for the log. */
void sim_disk_install (struct sim_stored *stored, uint64_t index, uint64_t term,
    const struct raft_configuration *configuration, bool resets);
void sim_disk_compact (
    struct sim_stored *stored, uint64_t index, uint64_t term, const struct raft_configuration *members);
struct sim_stored *sim_disk_find (struct sim_disk *disk, uint64_t replica);
/* members: NULL for a replica that waits to be filled. */
struct sim_stored *sim_disk_create (
    struct sim_node *node, uint32_t shard, uint64_t replica, const struct raft_configuration *members);
void sim_disk_erase (struct sim_node *node, uint64_t replica);
/* A zeroed write in the batch that is being collected. */
struct sim_write *sim_disk_write (struct sim_node *node, enum sim_write_kind kind, uint64_t replica);
/* Starts writing what was collected, if nothing is being written. */
void sim_disk_start (struct sim *sim, struct sim_node *node);
/* The batch under way is synced: it takes effect, and the replicas hear of it. */
void sim_disk_synced (struct sim *sim, struct sim_node *node);
/* Waits until everything handed to the disk so far is synced. */
void sim_disk_force (struct sim *sim, struct sim_node *node);
/* The power goes: each unsynced sector was written, or not, or is torn; what a start finds is decided now. */
void sim_disk_crash (struct sim *sim, struct sim_node *node);
/* A replica of a stopped node forgets its newest entries, as many as its state allows, and nothing on the disk says so. */
void sim_disk_forget (struct sim_node *node, struct sim_stored *stored, size_t entries);
void sim_disk_close (struct sim_disk *disk);
void sim_entries_append (struct sim_entries *entries, const struct raft_entry *entry);
void sim_entries_clear (struct sim_entries *entries);
void sim_entries_keep (struct sim_entries *entries, size_t count);
void sim_entries_truncate (struct sim_entries *entries, uint64_t from_index);
uint64_t sim_stored_last (const struct sim_stored *stored);
/* Whether the replica has (index, term) on disk, in its log or below its snapshot. */
bool sim_stored_has (const struct sim_stored *stored, uint64_t index, uint64_t term);

/* ---- sim_node.c, sim_turn.c ---- */
struct sim_input {
    struct raft_event event;
    uint8_t *data; /* RAFT_RECEIVE: the packet, owned */
    size_t len;
    uint64_t op;               /* proposals and reads: the client's operation */
    struct sim_write *install; /* RAFT_RESTORE: owned copy of the installed snapshot */
    struct raft_configuration configuration;
};

struct sim_held {
    uint64_t after_sequence;
    uint8_t *data;
    size_t len;
    struct raft_message message; /* its head, for the oracle */
};

struct sim_waiting {
    uint64_t op, index, term; /* proposals: where; reads: index to reach, term 0 */
};

struct sim_replica {
    struct sim_node *node;
    struct sim_stored *stored;
    uint32_t shard;
    uint64_t replica;
    struct raft *raft; /* services mode: the shard's own */
    struct sim_machine machine;
    struct sim_shard *shard_core; /* services mode */
    struct sim_input *inputs;
    size_t inputs_count, inputs_size;
    struct sim_held *held;
    size_t held_count, held_size;
    struct sim_waiting *waiting;
    size_t waiting_count, waiting_size;
    uint64_t persisted_sequence, handed_sequence; /* synced; given to the disk */
    uint64_t state_due_ms;
    bool state_writing, installing;
    enum raft_role role; /* as last seen */
    uint64_t term;
    uint64_t beat_ms, beat_term, turn_ms; /* sim_promises.c */
    struct sim_rounds *rounds;
};

enum sim_damage { SIM_DAMAGE_NONE = 0, SIM_DAMAGE_TAIL, SIM_DAMAGE_FLIP, SIM_DAMAGE_MISDIRECT };

struct sim_node {
    uint32_t index; /* from 1 */
    bool alive;
    uint64_t epoch;
    uint64_t paused_until_us;
    uint64_t clock_offset_us;
    int64_t drift_ppm;
    uint64_t wake_us;       /* the wake that counts */
    bool sync_fails;        /* its next sync */
    enum sim_damage damage; /* what happens to its disk in the next crash */
    struct sim_disk disk;
    struct sim_engine *engine; /* services mode, while it lives */
    /* services mode, in the data folder */
    struct id uuid;
    struct id known[SIM_NODES_MAX + 1]; /* whose folder a node number belongs to */
    uint64_t stored_incarnation;
    uint64_t told_incarnation; /* the greatest that ever left this folder */
    int64_t wall_offset_ms;
    uint64_t disk_full_until_us;
    struct sim_replica **replicas;
    size_t replicas_count, replicas_size;
};

void sim_node_start (struct sim *sim, struct sim_node *node);
/* False: nobody hears of it. */
bool sim_node_crash (struct sim *sim, struct sim_node *node);
void sim_node_open_replica (struct sim *sim, struct sim_node *node, struct sim_stored *stored);
void sim_node_drop_replica (struct sim *sim, struct sim_node *node, uint64_t replica);
struct sim_replica *sim_node_find (struct sim_node *node, uint64_t replica);
uint64_t sim_node_now_ms (const struct sim *sim, const struct sim_node *node);
void sim_node_wake (struct sim *sim, struct sim_node *node, uint64_t delay_us);
struct sim_input *sim_node_input (struct sim *sim, struct sim_replica *replica, enum raft_event_type type);
void sim_node_deliver (struct sim *sim, struct sim_node *node, uint32_t from, uint8_t *data, size_t len);
void sim_node_link (struct sim *sim, struct sim_node *node, uint32_t peer, bool up);
void sim_node_persisted (struct sim *sim, struct sim_node *node, struct sim_write *write);
void sim_node_snapshot (struct sim *sim, struct sim_node *node, const uint8_t *data, size_t len);
void sim_node_snapshot_sent (struct sim *sim, struct sim_node *node, const uint8_t *data);

/* ---- sim_turn.c ---- */
void sim_node_turn (struct sim *sim, struct sim_node *node);

/* ---- sim_duty.c: what both modes do with effects ---- */
void sim_duty_persist (struct sim *sim, struct sim_replica *replica, const struct sim_write *what,
    const struct raft_entry *entries, size_t count);
void sim_duty_suspect (struct sim *sim, struct sim_replica *replica, bool cleared, bool became);
void sim_duty_send (struct sim *sim, struct sim_replica *replica, const struct raft_message *message);
void sim_duty_hold (
    struct sim *sim, struct sim_replica *replica, const struct raft_message *message, uint64_t sequence);
void sim_duty_release (struct sim *sim, struct sim_replica *replica);
/* Decodes a RAFT packet; *message is good until the next call. */
void sim_duty_message (
    struct sim *sim, const struct sim_replica *replica, const struct sim_input *input, struct raft_message *message);
void sim_duty_decode (struct sim *sim, struct bytes item, struct raft_message *message);
void sim_duty_trace (struct sim *sim, const struct sim_replica *replica, const struct raft_message *message);
/* What became of the replica's role; true when it just lost its leadership. */
bool sim_duty_notice (struct sim *sim, struct sim_replica *replica);
/* Where in its duties the node dies this time; 0: nowhere. */
unsigned sim_duty_dies (struct sim *sim, bool hard_state);

/* ---- sim_shard*.c: services mode ---- */
struct sim_work;
void sim_shard_open (
    struct sim *sim, struct sim_replica *replica, const struct raft_options *options, const struct raft_stored *from);
void sim_shard_close (struct sim_replica *replica);
struct shard_event;
void sim_shard_step (struct sim_replica *replica, struct shard_event event, uint64_t now_ms);
/* Steps what waits for the replica; ends its turn (false: the node died in the middle of its duties). */
void sim_shard_inputs (struct sim *sim, struct sim_replica *replica, uint64_t now_ms);
bool sim_shard_turn (struct sim *sim, struct sim_replica *replica, uint64_t now_ms);
uint64_t sim_shard_deadline_ms (const struct sim_replica *replica);
void sim_shard_ask (struct sim *sim, uint64_t client);
void sim_shard_lost (struct sim *sim, uint64_t token);
/* sim_front.c: messages between clients and nodes. */
struct sim_engine;
void sim_front_received (struct sim_engine *engine, uint32_t client, struct bytes message, uint64_t now_ms);
void sim_front_calls_lost (struct sim *sim, struct bytes message);
void sim_front_answered (struct sim *sim, uint32_t node, uint64_t epoch, uint32_t client, struct bytes message);
void sim_shard_clients_close (struct sim *sim);
void sim_shard_final (struct sim *sim, struct sim_replica *replica);

/* A snapshot on its way, by value in a happening's data. */
struct sim_snapshot {
    uint32_t shard;
    uint64_t from, to;
    uint64_t index, term;
    struct raft_configuration configuration;
    struct sim_machine state;
    bool ok; /* SIM_SENT */
};

/* ---- sim_net.c ---- */
struct sim_path {
    bool cut;
    uint32_t loss_one_in, duplicate_one_in, straggler_one_in; /* 0: never */
    uint64_t delay_us, jitter_us;
    bool reorder;
    uint64_t last_us; /* arrival of the newest in-order message */
};
void sim_net_send (struct sim *sim, uint32_t from, uint32_t to, const uint8_t *data, size_t len);
void sim_net_snapshot (struct sim *sim, uint32_t from, uint32_t to, const struct sim_snapshot *snapshot);
/* Tells both ends that their connection broke or came back. */
void sim_net_link (struct sim *sim, uint32_t a, uint32_t b, bool up, uint64_t delay_us);
/* Whether news of a link still fit what the link has become meanwhile. */
bool sim_net_plausible (const struct sim *sim, const struct sim_happening *happening);
void sim_net_reset (struct sim *sim, uint32_t a, uint32_t b);
void sim_net_heal (struct sim *sim);

/* ---- sim_oracle.c ---- */
struct sim_map_item {
    uint64_t key[4];
    uint64_t value;
};
struct sim_map {
    struct sim_map_item *items;
    size_t count, size;
};
struct sim_committed {
    uint64_t term, checksum, hash;
    uint64_t by_term;       /* in which term it was first seen to be committed */
    uint64_t configuration; /* checksum of the newest one up to here; 0: the founding one */
};
struct sim_group {
    struct sim_committed *committed; /* [0] is index 1 */
    size_t committed_count, committed_size;
    uint64_t completed_index; /* the newest index that any finished operation has shown */
    uint64_t log_time_ms;     /* the newest that was applied anywhere */
    unsigned damaged;         /* replicas whose disk lost synced data, and are not yet cleared */
    uint64_t replicas_made;
};
/* What a run did, for the summary. */
#define SIM_FAMILIES_MAX 32
struct sim_counts {
    uint64_t elections, applied, reads, writes, unknown, repeated, snapshots, restores, suspects, cleared, refused,
        changes, forwarded;
    uint64_t twins;                      /* times that two nodes rotted at once */
    uint64_t certain, doubtful, emptied; /* replicas of a node whose log had a hole, by what became of them */
    uint64_t together, lists;            /* messages of several replies, parts of lists */
    uint64_t faults[SIM_FAMILIES_MAX];   /* injected, by the family's bit */
};
struct sim_oracle {
    struct sim_map facts; /* leaders, votes, entries */
    struct sim_group groups[SIM_SHARDS_MAX];
    struct sim_counts counts;
};
enum sim_fact {
    SIM_FACT_LEADER = 1,
    SIM_FACT_VOTE,
    SIM_FACT_ENTRY,
    SIM_FACT_STATE,
    SIM_FACT_PREVOTE,
    SIM_FACT_CANDIDATE,
    SIM_FACT_OFFER
};
/* States a fact; returns what was stated first, which is `value` when nobody contradicts. */
uint64_t sim_oracle_fact (struct sim *sim, enum sim_fact fact, uint32_t shard, uint64_t a, uint64_t b, uint64_t value);
bool sim_oracle_known (const struct sim *sim, enum sim_fact fact, uint32_t shard, uint64_t a, uint64_t b);
void sim_oracle_message (struct sim *sim, const struct raft_message *message);
void sim_oracle_persist (struct sim *sim, const struct sim_replica *replica, uint64_t first, uint64_t last);
void sim_oracle_leader (struct sim *sim, const struct sim_replica *replica);
void sim_oracle_applied (struct sim *sim, const struct sim_replica *replica, const struct raft_entry *entry);
/* Any two replicas that report a hash for an index must report the same. */
void sim_oracle_state (struct sim *sim, const struct sim_replica *replica, uint64_t index, uint64_t hash);
/* Log time as of an applied index: it never goes back, and no minority of clocks pushes it. */
void sim_oracle_log_time (struct sim *sim, const struct sim_replica *replica, uint64_t index, uint64_t log_time_ms);
void sim_oracle_installed (struct sim *sim, const struct sim_replica *replica);
void sim_oracle_hard_state (struct sim *sim, const struct sim_stored *stored, uint64_t term, uint64_t vote);
void sim_oracle_close (struct sim_oracle *oracle);

/* ---- sim_promises.c: checked when something leaves, before its consequences show ---- */
#define SIM_PROMOTE_LAG 1000
#define SIM_PROMOTE_LAG_SMALL 5
void sim_promise_message (struct sim *sim, const struct raft_message *message);
/* A suspect is trusted again. */
void sim_promise_cleared (struct sim *sim, const struct sim_replica *replica);
/* before: the status before the proposal that was taken. */
void sim_promise_proposed (struct sim *sim, const struct sim_replica *replica, const struct raft_status *before);
void sim_promise_configured (struct sim *sim, const struct sim_replica *replica, const struct raft_status *before,
    const struct raft_configuration *members, const struct raft_configuration *wanted);
void sim_promise_installed (
    struct sim *sim, const struct sim_replica *replica, uint64_t index, const struct raft_configuration *members);
uint64_t sim_promise_configuration (const struct raft_configuration *members);
/* Before a turn; and at its end: what is sent at once. */
void sim_promise_begin (struct sim_replica *replica);
void sim_promise_turn (
    struct sim *sim, struct sim_replica *replica, const struct raft_message *sent, size_t count, uint64_t now_ms);
void sim_promise_idle (struct sim *sim, struct sim_node *node);
/* A message that reached a replica; and a read that its Raft lets pass, asked for at asked_us. */
void sim_promise_heard (struct sim *sim, struct sim_replica *replica, const struct raft_message *message);
void sim_promise_read (struct sim *sim, struct sim_replica *replica, uint64_t asked_us);

/* ---- sim_phases.c: after everything has healed ---- */
void sim_phase_deaf (struct sim *sim);
void sim_phase_forget (struct sim *sim);
void sim_phase_restart (struct sim *sim);
/* Everybody lives, nothing is damaged, cut or on its way to other members. */
bool sim_phase_all_well (const struct sim *sim);
/* sim_bounds.c: how long a fail-over may take (P6). */
void sim_bounds_kill (struct sim *sim);
void sim_bounds_silence (struct sim *sim);
/* sim_run.c: what happens until then. Without clients they wait. */
void sim_run_until (struct sim *sim, uint64_t until_us, bool clients);

/* ---- sim_client.c ---- */
struct sim_op {
    bool read, pending;
    uint32_t shard;
    uint64_t floor; /* completed_index when it was asked */
    uint64_t give_up_us;
    uint64_t asked_us; /* reads: when its replica took it */
    uint64_t client;
};
void sim_client_ask (struct sim *sim, uint64_t client);
void sim_client_done (struct sim *sim, uint64_t op, const struct sim_replica *replica, uint64_t index, bool ok);
/* A live replica that believes it leads the shard, or NULL. */
struct sim_replica *sim_find_leader (struct sim *sim, uint32_t shard);

/* ---- sim_fault.c, sim_admin.c ---- */
enum sim_family {
    SIM_LOSS = 1 << 0,
    SIM_DELAY = 1 << 1,
    SIM_DUPLICATE = 1 << 2,
    SIM_REORDER = 1 << 3,
    SIM_PARTITION = 1 << 4,
    SIM_ONE_WAY = 1 << 5,
    SIM_RESET = 1 << 6,
    SIM_CRASH = 1 << 7,
    SIM_TORN = 1 << 8,
    SIM_POWER = 1 << 9,
    SIM_PAUSE = 1 << 10,
    SIM_SLOW_DISK = 1 << 11,
    SIM_DRIFT = 1 << 12,
    SIM_ROT = 1 << 13,
    SIM_TRANSFER = 1 << 14,
    SIM_MEMBERS = 1 << 15,
    SIM_COMPACT = 1 << 16,
    SIM_SMALL = 1 << 17,     /* small windows, messages and logs */
    SIM_CHURN = 1 << 18,     /* leaders die young */
    SIM_CLOCK = 1 << 19,     /* one node's wall clock jumps by an hour or ten years */
    SIM_CLOCKS = 1 << 20,    /* all wall clocks do */
    SIM_FULL = 1 << 21,      /* a disk is nearly full for a while */
    SIM_FLIP = 1 << 22,      /* bits of a log turn over */
    SIM_MISDIRECT = 1 << 23, /* a sector was written where another one belongs */
    SIM_EIO = 1 << 24,       /* a write or sync fails, or a start cannot read */
    SIM_WIPE = 1 << 25,      /* a data folder is lost: the node comes back as new replicas */
    SIM_FAMILIES = 26,
};
/* Words for the summary, by bit. */
extern const char *const sim_family_names[SIM_FAMILIES];
void sim_fault_count (struct sim *sim, uint32_t family);
void sim_fault_draw (struct sim *sim);
void sim_fault_next (struct sim *sim);
void sim_fault_heal (struct sim *sim);
/* A node just won an election; and what may follow. */
void sim_fault_elected (struct sim *sim, struct sim_node *node);
void sim_fault_strike (struct sim *sim, struct sim_node *node);
/* The node dies now, in the middle of its duties, and comes back. */
void sim_fault_dies (struct sim *sim, struct sim_node *node);
/* The damage that waits for a node that has just crashed. True: it may stop the node from starting. */
bool sim_fault_damage (struct sim *sim, struct sim_node *node);
/* A batch of the node is about to be synced: true when that fails, and the process with it. */
bool sim_fault_sync_fails (struct sim *sim, struct sim_node *node);
/* Whether another disk of the shard may lose synced data: never more than a minority. */
bool sim_fault_may_damage (struct sim *sim, uint32_t shard);

struct sim_change {
    bool running;
    uint64_t leaves, joins;
    uint64_t started_us;
};

void sim_admin_next (struct sim *sim);
/* sim_wipe.c: a node loses its data folder; and its replica of a shard is replaced, as an operator asks for. */
void sim_wipe (struct sim *sim, struct sim_node *node);
void sim_wipe_replace (struct sim *sim, uint32_t shard);
void sim_admin_replace (struct sim *sim, uint32_t shard, uint64_t leaves, uint32_t node);

/* ---- sim_main.c ---- */
struct sim_options {
    uint64_t seed;
    uint64_t duration_ms;
    bool trace;
    bool services;                   /* whole shards with their services instead of bare Raft cores */
    uint32_t families, families_set; /* forced when families_set */
};

struct sim {
    struct sim_options options;
    struct sim_random random;
    uint64_t time_us;
    uint64_t hash; /* of the trace */
    bool chaos;    /* faults are being injected */
    uint32_t families;
    uint32_t nodes_count, shards_count, voters;
    struct sim_node nodes[SIM_NODES_MAX + 1]; /* [0] is not used */
    struct sim_path paths[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
    struct sim_queue queue;
    struct sim_oracle oracle;
    uint64_t replicas_made;
    uint32_t *replica_nodes; /* by replica id */
    size_t replica_nodes_size;
    uint64_t *voted_terms; /* by replica id: the highest term in which it voted for another, whatever it remembers */
    size_t voted_terms_size;
    uint64_t *voted_for; /* likewise: for whom */
    size_t voted_for_size;
    struct sim_op *ops;
    size_t ops_count, ops_size;
    uint64_t clients;
    uint64_t candidacies; /* replicas that asked for votes in a term */
    struct sim_change changes[SIM_SHARDS_MAX];
    uint64_t disk_slow_until_us[SIM_NODES_MAX + 1];
    uint64_t mute_until_us[SIM_NODES_MAX + 1]; /* a young leader's own entries are lost on their way */
    struct raft_effects effects;
    struct sim_work *work;                                      /* services mode */
    struct id cluster;                                          /* services mode */
    struct gossip_effects *gossip_effects;                      /* services mode */
    struct raft_member first[SIM_SHARDS_MAX][RAFT_MEMBERS_MAX]; /* the map: who is to be a member */
    uint32_t first_count[SIM_SHARDS_MAX];
    uint64_t wiped[SIM_SHARDS_MAX]; /* the replica that was lost with its folder and is to be replaced, 0: none */
    uint32_t wiped_node;            /* 0: none in this run */
    uint64_t records_max;           /* request records that a shard keeps */
    uint32_t cut_from, cut_to;      /* a one-way cut that stays after healing; 0: none */
    uint64_t noticed_us_max, silent_us_max; /* the longest fail-over of a phase: connections broke; they did not */
};

struct sim_result {
    struct sim_counts counts;
    uint64_t simulated_us, settle_us, noticed_us, silent_us;
    uint32_t families, nodes, shards;
};
/* sim_run.c: one seed once; the hash of its trace. result may be NULL. */
uint64_t sim_run (const struct sim_options *options, struct sim_result *result);
/* The fault families of a seed, without running it. */
uint32_t sim_draw (const struct sim_options *options);

uint64_t sim_new_replica (struct sim *sim, uint32_t node);
uint32_t sim_node_of (const struct sim *sim, uint64_t replica);
/* A line of the trace: always hashed, printed when asked for. */
__attribute__ ((format (printf, 2, 3))) void sim_trace (struct sim *sim, const char *format, ...);
__attribute__ ((noreturn, format (printf, 2, 3))) void sim_fail (const struct sim *sim, const char *format, ...);
/* realloc that grows to hold one more. */
void sim_grow (void *array, size_t *size, size_t count, size_t item_size);
void *sim_copy (const void *data, size_t len);

#endif
