/* What the files of the engine share. Not included from outside node/engine (and its tests).
 *
 * Room: node/engine. Everything here belongs to the reactor's thread unless a comment says otherwise.
 */
#ifndef MAITRED_NODE_ENGINE_INTERNAL_H
#define MAITRED_NODE_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <czmq.h>

#include "node/engine/engine.h"
#include "node/engine/engine_wait.h"
#include "node/failpoint/failpoint.h"
#include "node/gossip/gossip.h"
#include "node/identity/identity.h"
#include "node/identity/password_throttle.h"
#include "node/placement/placement.h"
#include "node/raft/raft_codec.h"
#include "node/shard/shard.h"
#include "node/store/store.h"
#include "node/store/store_log.h"
#include "node/store/store_state.h"
#include "node/store/table.h"
#include "node/transport/transport.h"
#include "router/front/front.h"
#include "router/front/zap.h"
#include "router/ring/ring.h"
#include "router/route/route.h"
#include "router/route/route_answer.h"
#include "router/route/route_admission.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/log.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/shard.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define ENGINE_NODES_MAX 255
#define ENGINE_REQUESTS_A_TURN 512
#define ENGINE_FRAMES_A_TURN 256
#define ENGINE_GOSSIP_A_TURN 64
#define ENGINE_BODY_BYTES_MAX (1024 * 1024)
#define ENGINE_PAGE_BYTES_MAX (4 * 1024 * 1024) /* a merged page of a list */
#define ENGINE_ARENA_BYTES (4 * 1024 * 1024)
#define ENGINE_UNKNOWN_RETRY_MS 20
#define PASSWORD_JOB_BYTES 1100 /* a refresh token, or a whole auth.ChangePassword */

/* ---- calls */

enum call_source {
    CALL_FREE = 0,
    CALL_CLIENT, /* of a client of this node: the reply goes to the front */
    CALL_PEER,   /* forwarded by another node: the reply goes back to it */
    CALL_PART,   /* one shard's part of a list that this node merges */
    CALL_OWN,    /* of this node itself: the list of revoked API keys */
};

struct fanout;

/* Whose try of a password a call is: it is given back when the password was right. */
struct attempt {
    uint8_t account[LOGIN_LEN_MAX]; /* the normalised login */
    size_t account_len;             /* 0: nothing was tried */
    char address[FRONT_ADDRESS_BYTES_MAX + 1];
};

struct call {
    enum call_source source;
    bool write;
    bool started;        /* a shard or another node has it: a write's outcome may be unknown from now on */
    uint32_t generation; /* of the slot */
    uint32_t next;       /* free list, index + 1 */
    uint32_t shard;
    uint32_t forwarded_to;   /* node, 0: none */
    uint64_t forwarded_term; /* in which that node led the shard; 0: the call was not sent there as to its leader */
    uint32_t peer_node;      /* CALL_PEER */
    uint32_t part;           /* CALL_PART */
    const struct method *method;
    uint64_t deadline_ms;
    uint64_t started_us;
    uint64_t remote_call; /* the client's or the peer's call id */
    struct fanout *fanout;
    struct attempt *attempt; /* NULL: costs no hash */
    struct principal principal;
    struct id request_id;
    struct front_client client;
};

/* ---- replicas */

struct engine;

/* The services' view of a replica's state: survives a change of the table under it. */
struct replica {
    struct engine *engine;
    uint32_t shard;
    uint64_t id; /* replica id */
    uint32_t generation;
    struct shard *core;
    struct table *table;
    struct state state;
    bool stepped;         /* since its last turn end */
    uint64_t deadline_ms; /* of its timers */
    uint64_t collecting;  /* persist sequence in the open batch, 0: none */
    uint64_t sealed;      /* in the batch at the writer */
    /* A cut of its log is in the open batch, in the one at the writer: it must not reach the disk behind a snapshot. */
    bool cut_collecting, cut_sealed;
    uint64_t persisted;   /* highest that is synced */
    uint32_t leader_node; /* 0: not known */
    uint64_t leader_term;
    uint64_t applied;
    uint64_t compacted;  /* index */
    uint64_t written;    /* index that the state database holds durably */
    uint64_t flushed_ms; /* start of its last write-back */
    uint64_t swept;      /* number of the last sweep that wrote it back */
    struct shard_log_keep log_keep;
    struct store_import *import;
    bool warming;      /* its table comes into memory */
    uint8_t *incoming; /* of the import: a chunk that is not complete yet */
    size_t incoming_len;
    bool suspect;
    bool read_failed;             /* by a failpoint */
    uint64_t placed_for;          /* was told which members its shard should have, by this replacement; 0: not told */
    enum placement_phase placing; /* how far it got as of the last look */
    bool damaged;                 /* its state is to be filled anew by its leader (engine_quarantine.c) */
    bool unreadable;              /* a snapshot of it could not be read */
    bool dead;                    /* its core met the damage itself: it is not stepped any more */
    uint64_t damaged_ms;          /* when that was found */
    uint64_t transfer_call;       /* token of the call that asked to hand the leadership over, 0: none */
    uint64_t wanted;              /* index that somebody waits for to be written back */
};

/* ---- work of other threads */

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_turn *work; /* NULL: idle. Under lock */
    bool done;               /* under lock: work was committed */
    enum status status;
    struct store_error error;
    bool stop;
    bool running;
    int event_fd;
};

struct flusher {
    pthread_t thread;
    pthread_mutex_t lock; /* of the fields below */
    pthread_cond_t wake;
    pthread_mutex_t disk; /* held while the state database is written: imports take turns with write-backs */
    struct store_batch **batches;
    size_t batches_count; /* 0: idle */
    bool sweep;
    bool left; /* the last sweep did not take all: a snapshot was being received, there was too much, or no room */
    bool mend; /* copy what is good, for a new state database */
    struct store_mend *mended;
    bool done;
    enum status status;
    struct store_error error;
    bool stop;
    bool running;
    int event_fd;
};

/* Reads what is at rest, one replica's state (or the log) at a time, at a bounded rate. */
struct scrubber {
    pthread_t thread;
    pthread_mutex_t lock; /* of the fields below */
    pthread_cond_t wake;
    bool busy;   /* there is a job; the thread clears it */
    bool begins; /* a pass begins with it */
    bool log;    /* the log, else a replica's state: */
    uint32_t shard, generation;
    uint64_t replica;
    enum status status;
    struct store_error error;
    bool stop;
    bool running;
    bool cancel;    /* the job is not wanted any more */
    uint64_t bytes; /* read since the start */
};

struct password_job {
    uint64_t token;
    enum services_prepare_kind kind;
    uint64_t credentials_version;
    enum status status;
    size_t password_len, hash_len, logged_len, prepared_len;
    uint8_t password[PASSWORD_JOB_BYTES];
    uint8_t hash[PASSWORD_JOB_BYTES];
    uint8_t prepared[PASSWORD_JOB_BYTES];
    uint8_t *logged; /* heap */
    struct password_job *next;
};

struct hashers {
    const struct identity *identity; /* its keys never change: threads may read them */
    pthread_t threads[8];
    uint32_t threads_count;
    pthread_mutex_t lock; /* of the lists and counts */
    pthread_cond_t wake;
    struct password_job *waiting_first, *waiting_last, *done_first, *done_last;
    uint32_t waiting_count;
    bool stop;
    int event_fd;
};

/* ---- images given away for backups (engine_backup.c) */

#define BACKUPS_MAX 4

struct backup {
    enum { BACKUP_FREE = 0, BACKUP_ASKING, BACKUP_WRITING, BACKUP_OPEN } state;
    uint32_t shard;
    struct id save;
    uint64_t call; /* token of the one that waits for it: ASKING, WRITING */
    uint64_t goal; /* index that it must hold at least: WRITING */
    uint64_t index, term;
    void *snapshot; /* OPEN, as the fields below */
    uint8_t *piece; /* the last one read */
    size_t piece_len;
    uint64_t pieces; /* read so far */
    bool last;       /* of them, the last */
    uint64_t used_ms;
};

/* ---- the engine */

struct engine_counters {
    uint64_t calls, calls_ok, calls_refused, calls_unavailable, calls_deadline, calls_busy, calls_unauthenticated;
    uint64_t forwarded_out, forwarded_in, replayed, maybe_applied, reads, writes;
    uint64_t turns, batches, batch_us, leader_changes, frames_impostor, wrong_shard, invalid;
    uint64_t flushes, flush_bytes, compactions, evicted_bytes, loops;
    uint64_t scrub_passes, damages, quarantines, backup_bytes;
};

struct peer_state {
    struct id uuid;                      /* bound at first contact, kept on disk; zero: never met */
    struct id told;                      /* the last folder that is none of its; told so whenever there is a link */
    bool impostor;                       /* the last word from that address had another uuid */
    bool awaited;                        /* ... and may become this node's: a replacement waits for a new folder */
    struct id seen;                      /* ... namely this one */
    uint64_t told_ms;                    /* when it was last told so */
    uint64_t denied_since_ms, denied_ms; /* when it first and last said that of this node; 0: never */
};

/* The record of replaced nodes (node/placement), and what this node does about it. */
struct placement_state {
    struct placement record; /* its arrays in memory[half] */
    uint8_t *memory[2];
    bool half;
    bool on_disk;  /* there is files/map */
    bool pinned;   /* files/shape says so */
    bool founded;  /* this node's replicas by the record were made */
    uint64_t seen; /* checksum of what the own replica of shard 0 last said */
    bool asking;   /* the leader of shard 0, in a call of this node's own */
    uint64_t asked_ms;
    uint32_t asked_count, ask_node;
    uint64_t foreign_ms; /* when it was last said that the others are not of this cluster */
    bool telling;        /* the system shard: a folder, or phases */
    uint64_t told_ms;
};

/* What the log holds of this node's replicas, for engine_placement_found. */
struct engine_held_replica {
    uint32_t shard;
    uint64_t replica;
    bool lost; /* its log is broken */
};
struct engine_held {
    const uint64_t *own; /* by shard: the id that the map gives to this node, 0: the log does not hold it */
    const struct engine_held_replica *others;
    size_t others_count;
};

struct engine {
    struct engine_config config;
    struct store *store;
    struct identity *identity;
    struct zap *zap;
    struct front *front;
    struct transport *transport;
    struct gossip *gossip;
    struct gossip_effects *gossip_effects;
    uint64_t gossip_next_ms;
    struct route_map map;
    struct route_admission *admission;
    struct password_throttle *throttle;
    struct table_budget budget;
    struct metrics *metrics;

    struct replica **replicas; /* by shard, NULL where there is none; [0 .. config.shards] */
    uint32_t replicas_count;
    uint32_t suspects;

    struct call *calls;
    uint32_t calls_free; /* index + 1 */
    uint32_t calls_used;
    struct fanout *fanouts; /* lists that go on at the top of the next turn */
    uint64_t calls_checked_ms;

    struct store_turn *turns[2];
    struct store_turn *collecting; /* the open batch */
    struct store_turn *at_writer;  /* NULL: the writer is free */
    uint64_t sealed_us;
    bool after_waiting; /* something was put in the AFTER lane since the last seal */
    struct store_turn *install;
    struct writer writer;
    struct flusher flusher;
    struct hashers hashers;
    struct scrubber scrubber;
    uint32_t scrub_next;                    /* shard; shards + 1: the log */
    uint64_t scrub_begun_ms, scrub_over_ms; /* of this pass; end of the last whole one, 0: none yet */
    bool scrub_asked;                       /* its job is at the thread */
    bool log_damaged;                       /* what is stored of the log is to be written anew and cut */
    uint64_t log_damaged_turn;              /* ... up to this turn */
    uint64_t rebuilt;                       /* replicas begun anew since: each has a session of its own */
    uint32_t quarantined;                   /* replicas that are damaged */
    enum { MEND_NONE, MEND_COPYING, MEND_COPIED } mending; /* of the state database: no write-back, import, export */
    struct store_mend *mend;                               /* COPIED */
    uint64_t mend_copied_ms, handed_ms;
    bool flush_again;        /* a round waits for the new database */
    bool flush_no_room;      /* told that the disk had no room for it */
    uint64_t flush_retry_ms; /* when the round is handed over once more; 0: it was not refused */
    uint64_t flush_checked_ms;
    uint32_t flush_next_shard;
    uint64_t turn_bytes_flushed; /* log bytes as of the last sweep */
    bool disk_held;              /* flusher.disk, by the reactor: while it takes a snapshot's chunk */
    bool warming;                /* some replica's table comes into memory */
    uint32_t warm_next;          /* shard that is next */
    bool old_state;              /* a snapshot or an empty replica has replaced some: the flusher is to sweep it */
    uint64_t swept_ms;           /* when that was asked for */
    uint64_t flush_sweep;        /* counts sweeps: write-backs of all replicas because the log has grown */
    struct replica **flushing;   /* those whose batches are at the flusher */
    size_t flushing_count;
    size_t flush_building; /* of those, being copied */
    struct store_batch **flush_batches;
    size_t flush_batches_count;

    struct backup backups[BACKUPS_MAX];
    struct peer_state peers[ENGINE_NODES_MAX + 1];
    struct placement_state placement;
    uint64_t now_ms, now_us, wall_median_ms, wall_base_ms, wall_checked_ms;
    uint64_t started_ms;
    uint64_t incarnation; /* of this life */
    uint64_t work;        /* messages since load_since_us */
    uint64_t load_since_us;
    uint32_t load_per_ms;
    uint64_t loaded_ms; /* when there was last much to do; 0: never */
    bool policy_batch;
    uint64_t sync_us; /* of late, smoothed */
    uint64_t slow_tick_ms;
    bool hints_changed;
    bool leaders_changed; /* some call may wait for who leads no more */
    bool disk_full, disk_slow, memory_full;
    bool ready;
    uint64_t led_ms; /* when every shard last had a leader that could be reached */
    bool draining;
    bool refusing; /* draining, and nothing is led here any more */
    uint64_t drain_until_ms, drain_checked_ms, disk_checked_ms;
    atomic_int stop_requests;
    enum engine_exit exit; /* not OK: this node must stop, and why */
    int stop_fd;
    uint64_t refused_keys, refused_keys_ms; /* as of the last word in the log, and when that was */
    uint64_t revoked_checked_ms;
    bool revoked_asked; /* a page is under way */
    uint8_t revoked_token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    size_t revoked_token_len;
    struct id *revoked; /* being collected over pages */
    size_t revoked_count;

    struct engine_wait wait;
    struct engine_counters counters;
    struct identity_claims claims; /* of the request that is being started */

    struct arena arena;                   /* one request's decoded form */
    struct arena scratch;                 /* of the shards */
    uint8_t *encoded;                     /* deterministic bodies; ENGINE_PAGE_BYTES_MAX */
    uint8_t *page;                        /* merged pages and local replies; ENGINE_PAGE_BYTES_MAX */
    struct raft_entry *entries;           /* RAFT_MESSAGE_ENTRIES_MAX */
    struct raft_wire_entry *wire_entries; /* RAFT_MESSAGE_ENTRIES_MAX */
    struct store_entry *store_entries;    /* RAFT_MESSAGE_ENTRIES_MAX */
    uint32_t random_state[4];
};

/* Ends the process: nothing more may leave it (invariant 4). */
__attribute__ ((noreturn, format (printf, 2, 3))) void engine_halt (struct engine *engine, const char *format, ...);

/* Why a start failed; returns false. */
__attribute__ ((format (printf, 3, 4))) bool engine_fail (
    struct engine_error *error, enum engine_exit code, const char *format, ...);

uint64_t engine_clock_ms (void); /* monotonic */
uint64_t engine_clock_us (void);
uint64_t engine_wall_ms (void);

/* engine_calls.c: the table of calls in flight */
WARN_UNUSED enum status engine_calls_init (struct engine *engine);
void engine_calls_close (struct engine *engine);
struct call *engine_call_new (struct engine *engine); /* NULL: the table is full */
void engine_call_free (struct engine *engine, struct call *call);
uint64_t engine_call_token (const struct engine *engine, const struct call *call);
struct call *engine_call_find (struct engine *engine, uint64_t token); /* NULL: answered meanwhile */
void engine_call_answer (
    struct engine *engine, struct call *call, const struct route_answer *answer); /* frees the call */
/* The same with a value of the method's reply type, which fits into a page. */
void engine_call_answer_value (struct engine *engine, struct call *call, const void *value);
void engine_call_refuse (struct engine *engine, struct call *call, enum status status, const char *reason,
    const char *message, uint32_t retry_after_ms);
void engine_calls_expire (struct engine *engine);
void engine_calls_link_lost (struct engine *engine, uint32_t node);
/* Answers the calls that were forwarded to a leader which has been replaced since: it may be paused or cut off and never
 * say so itself. Their outcome is unknown; whoever sent them asks the new leader under the same request id. */
void engine_calls_moved (struct engine *engine);
void engine_calls_shard_lost (struct engine *engine, uint32_t shard); /* those that its replica here had */
void engine_client_answer (struct engine *engine, const struct front_client *client, uint64_t client_call,
    const struct route_answer *answer, uint32_t shard, bool has_shard);

/* engine_requests.c: from the door to a shard or another node */
void engine_requests_drain (struct engine *engine);
void engine_route (struct engine *engine, struct call *call, struct bytes body, uint32_t hops);
void engine_route_to_shard (struct engine *engine, struct call *call, struct bytes body);
uint64_t engine_remaining_ms (const struct engine *engine, const struct call *call);

/* engine_forward.c: calls and replies between nodes */
bool engine_forward (struct engine *engine, struct call *call, struct bytes body, uint32_t node, uint32_t hops);
void engine_forward_answer (struct engine *engine, const struct call *call, const struct route_answer *answer);
void engine_forward_call_received (struct engine *engine, uint32_t node, struct bytes item);
void engine_forward_reply_received (struct engine *engine, uint32_t node, struct bytes item);

/* engine_fanout.c: lists over all shards */
void engine_fanout_start (struct engine *engine, struct call *call, struct bytes body);
void engine_fanout_part (struct engine *engine, struct call *part, const struct route_answer *answer);
void engine_fanouts_pump (struct engine *engine);
void engine_fanout_drop (struct engine *engine, struct fanout **fanout);

/* engine_local.c, engine_cluster.c: what the entry node answers itself */
void engine_local (struct engine *engine, struct call *call, struct bytes body);
bool engine_cluster_answer (struct engine *engine, struct call *call, struct bytes body);
/* Who leads a shard and can be reached, 0: nobody. By the own replica's word where there is one, else by hints. */
uint32_t engine_leader (const struct engine *engine, uint32_t shard);
void engine_cluster_leader_changed (struct engine *engine, struct replica *replica);

/* engine_faults.c: cluster.InjectFault */
void engine_faults_answer (struct engine *engine, struct call *call, const struct inject_fault_request *request);

/* engine_backup.c: cluster.SnapshotOpen, SnapshotRead, SnapshotClose */
void engine_backup_answer (struct engine *engine, struct call *call, const void *request);
void engine_backup_confirmed (struct engine *engine, struct call *call); /* the shard answered its read */
void engine_backups_step (struct engine *engine);                        /* once a turn */
void engine_backups_close (struct engine *engine);

/* engine_shards.c: turn ends and their effects */
struct replica *engine_replica (struct engine *engine, uint32_t shard);
void engine_step (struct engine *engine, struct replica *replica, struct shard_event *event);
void engine_shards_end_turn (struct engine *engine);
uint64_t engine_shards_deadline_ms (const struct engine *engine);

/* engine_peers.c */
void engine_peers_events (struct engine *engine);
void engine_peers_drain (struct engine *engine);
void engine_peer_bind (struct engine *engine, uint32_t node, const struct id *uuid);
void engine_peer_rumour (struct engine *engine, uint32_t node, const struct id *uuid, bool alive); /* by gossip */
void engine_peers_tick (struct engine *engine); /* about ten times a second */
bool engine_peers_load (struct engine *engine, struct engine_error *error);
void engine_peers_judge (struct engine *engine); /* the record of replaced nodes has changed */

/* engine_placement.c */
bool engine_placement_load (struct engine *engine, struct engine_error *error);
void engine_placement_close (struct engine *engine);
/* Puts the record in force over the map of the written configuration. */
void engine_placement_overlay (struct engine *engine);
/* Writes files/map, with engine->page. INTERNAL: the disk refuses. */
WARN_UNUSED enum status engine_placement_save (struct engine *engine, const struct placement *record, bool founded);
/* After a record gave this node new replicas: makes them, empty, and drops its old ones. False: error tells. */
bool engine_placement_found (struct engine *engine, const struct engine_held *held, struct engine_error *error);
void engine_placement_take (struct engine *engine, struct bytes record);
/* To a node that asks where shard 0 is not led: the record that this one goes by. False: go on as with any call. */
bool engine_placement_tell (struct engine *engine, struct call *call);
void engine_placement_answer (struct engine *engine, const struct route_answer *answer);
/* The system shard's state may have changed: before anybody is answered, who starts at once may be the replaced one. */
void engine_placement_applied (struct engine *engine);
void engine_placement_tick (struct engine *engine);                        /* about ten times a second, as the next */
uint64_t engine_own_replica (const struct engine *engine, uint32_t shard); /* 0: none */

/* engine_replace.c */
void engine_replace_tick (struct engine *engine);
void engine_replace_answer (struct engine *engine, const struct route_answer *answer);
/* cluster.ReplaceNode of a client: checked here, completed and sent to the system shard. */
void engine_replace_start (struct engine *engine, struct call *call, struct bytes body, uint32_t hops);

/* engine_membership.c */
WARN_UNUSED enum status engine_gossip_open (struct engine *engine);
void engine_gossip_drain (struct engine *engine);
void engine_gossip_tick (struct engine *engine);
void engine_gossip_link_down (struct engine *engine, uint32_t node);
void engine_gossip_forget_replaced (struct engine *engine); /* dead folders that the record has given up */
void engine_gossip_leave (struct engine *engine);
void engine_gossip_join (struct engine *engine);

/* engine_policy.c */
/* Under load a thread that wakes up waits until the one that runs has done its turn, instead of taking its place
 * (SCHED_BATCH): what it then finds is a turn's worth of messages, sent and received together. With more threads than cores
 * that is a tenth of the node's time. With little to do a call should wait for nobody. Every 100 ms or so. */
void engine_policy_watch (struct engine *engine);

/* engine_writer.c */
WARN_UNUSED enum status engine_writer_start (struct engine *engine);
void engine_writer_stop (struct engine *engine);
/* Hands the open batch over if the writer is free; true when messages were released. */
bool engine_writer_submit (struct engine *engine);
void engine_writer_completed (struct engine *engine); /* takes note of a synced batch */
void engine_writer_wait (struct engine *engine);      /* until no commit is running; does not take note */
/* Something that it asked to write is not on the disk yet. */
bool engine_replica_unwritten (const struct replica *replica);

/* engine_flush.c */
WARN_UNUSED enum status engine_flusher_start (struct engine *engine);
void engine_flusher_stop (struct engine *engine);
void engine_flush_step (struct engine *engine);
void engine_flush_completed (struct engine *engine);
void engine_flush_forget (struct engine *engine, const struct replica *replica); /* its table goes away */
void engine_flush_mend (struct engine *engine);  /* asks the thread for store_mend_copy */
void engine_flush_again (struct engine *engine); /* the round that waited for it */

/* engine_quarantine.c: damage in one replica's state, while the node goes on */
void engine_quarantine (struct engine *engine, struct replica *replica, const char *why);
void engine_quarantine_step (struct engine *engine); /* once a turn, after the writer */
void engine_mend_begin (struct engine *engine);      /* nothing, if it is under way */
void engine_mend_copied (struct engine *engine, struct store_mend *mend);

/* engine_scrub.c */
WARN_UNUSED enum status engine_scrubber_start (struct engine *engine);
void engine_scrubber_stop (struct engine *engine);
void engine_scrub_tick (struct engine *engine); /* about ten times a second */
bool engine_scrub_idle (
    struct engine *engine); /* nothing is being read; while the database is mended a job ends early */

/* engine_hashers.c */
WARN_UNUSED enum status engine_hashers_start (struct engine *engine);
void engine_hashers_stop (struct engine *engine);
void engine_hashers_add (struct engine *engine, const struct shard_prepare_job *job);
void engine_hashers_completed (struct engine *engine);

/* engine_snapshots.c */
extern const struct shard_snapshot_ops engine_snapshot_ops;
void engine_replica_bind_state (struct replica *replica);
WARN_UNUSED bool engine_disk_try (struct engine *engine); /* false: the flusher has it just now */
void engine_disk_release (struct engine *engine);
void engine_warm_step (struct engine *engine);
void engine_import_end (struct replica *replica); /* nothing, where none is open */

/* engine_recover.c */
bool engine_recover (struct engine *engine, struct engine_error *error);
void engine_tell_suspect (struct engine *engine); /* one event, where the folder is */
void engine_replicas_close (struct engine *engine);
/* The map of the written configuration alone, and the members that a shard's group is founded with by the map. */
bool engine_map_build (struct engine *engine, struct engine_error *error);
void engine_first_configuration (const struct engine *engine, uint32_t shard, struct raft_configuration *members);
void engine_state_failed (struct engine *engine); /* the next start mends the state database */
void engine_state_mended (struct engine *engine);
/* The next start goes on above it, and above what was kept before: gossip and replicas that start over both count. */
WARN_UNUSED enum status engine_incarnation_keep (struct engine *engine, uint64_t incarnation);
/* Makes an empty, suspect replica of a damaged one, under a new session. The writer is idle, nothing of the replica is to
 * be written. False: the disk or memory refuse. */
bool engine_replica_start_over (struct engine *engine, struct replica *replica, struct engine_error *error);

/* engine_shape.c: false: error tells what was changed. A folder without a shape is not *pinned. */
bool engine_shape_check (struct engine *engine, bool *pinned, struct engine_error *error);
bool engine_shape_pin (struct engine *engine, struct engine_error *error);
bool engine_shape_placed (struct engine *engine, struct engine_error *error); /* pins that there is a files/map */

/* engine_revoked.c */
void engine_revoked_poll (struct engine *engine);
void engine_revoked_answer (struct engine *engine, const struct route_answer *answer);

/* engine_metrics.c */
bool engine_metrics_open (struct engine *engine, struct engine_error *error);
void engine_metrics_publish (struct engine *engine);
void engine_metrics_close (struct engine *engine);

/* engine_drain.c */
void engine_drain_begin (struct engine *engine);
uint32_t engine_leads (const struct engine *engine); /* how many shards */
void engine_hand_over (struct engine *engine);       /* asks for some of them to be led elsewhere */
void engine_balance_set (struct engine *engine, bool balance);
bool engine_alone (const struct engine *engine); /* no other node can be reached */
bool engine_drain_over (struct engine *engine);
void engine_disk_watch (struct engine *engine);
bool engine_serves (const struct engine *engine); /* what /readyz and health.Check say */
void engine_slow_disk_watch (struct engine *engine);
void engine_memory_watch (struct engine *engine);

#endif
