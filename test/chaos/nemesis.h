/* chaos_nemesis: a cluster of real processes, load on it, faults by a seeded schedule, and a verdict at the end.
 *
 * Room: test/chaos; Linux only. One thread. Everything that it makes hangs on its own life: nodes, load and proxy get
 * SIGKILL when it dies (PR_SET_PDEATHSIG), network namespaces have no names and no other holder, mounts live in a mount
 * namespace of its own, TUN devices are not persistent, and a janitor process removes the folder. So kill -9 of it
 * leaves nothing behind.
 *
 * Time: CLOCK_MONOTONIC everywhere, the same that the load writes into its history.
 *
 * Invariants
 *  1. What a family hurt, its `off` heals; finishing a run heals everything whatever the families think.
 *  2. No process is signalled that is not an unreaped child of this one.
 *  3. A node that ends by itself where no fault asks for it is an outcome of the run (exit 9), as a violation is.
 */
#ifndef CHAOS_NEMESIS_H
#define CHAOS_NEMESIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "test/chaos/proxy.h"
#include "test/support/preload_chaos.h"

#define NEMESIS_NODES_MAX (PROXY_ENDS - 1)
#define NEMESIS_PATH 512
#define NEMESIS_PHASE_MIN_MS 10000
#define NEMESIS_PHASE_MAX_MS 30000
#define NEMESIS_READY_MS 60000

enum nemesis_exit { NEMESIS_FINE = 0, NEMESIS_FAILED = 1, NEMESIS_USAGE = 2, NEMESIS_VIOLATION = 9 };

enum nemesis_network { NETWORK_AUTO, NETWORK_NETNS, NETWORK_PROXY, NETWORK_NONE };

enum family_kind {
    FAMILY_KILL,
    FAMILY_PAUSE,
    FAMILY_PARTITION,
    FAMILY_ONEWAY,
    FAMILY_LOSS,
    FAMILY_DELAY,
    FAMILY_RESET,
    FAMILY_CLOCK,
    FAMILY_DISKFULL,
    FAMILY_FSYNC,
    FAMILY_SLOWDISK,
    FAMILY_BITFLIP,
    FAMILY_POWER,
    FAMILY_WIPE,
    FAMILY_STALE,
    FAMILY_COUNT
};

enum node_state { NODE_DOWN, NODE_RUNNING, NODE_PAUSED };

struct nemesis_node {
    uint32_t number; /* 1 .. */
    pid_t pid;       /* 0: none */
    enum node_state state;
    int space; /* descriptor of its network namespace, -1: ours */
    struct preload_chaos *chaos;
    int owner;                                /* the family that holds it, -1: none */
    bool may_halt;                            /* its disk was made to fail: exit 70 is right, at a start 7 */
    bool may_refuse;                          /* its files were damaged: exit 6 is right */
    uint64_t restart_ms;                      /* when to start it again after it halted; 0: not */
    uint32_t starts, halts, refusals, deaths; /* deaths: that nothing asked for */
};

struct nemesis_options {
    uint32_t nodes, seconds, clients, shards, replication, port, kills;
    uint64_t seed;
    uint32_t families; /* bits */
    enum nemesis_network network;
    const char *workloads, *fault, *shards_hit;
    char dir[NEMESIS_PATH], bin[NEMESIS_PATH];
    bool own_dir, keep, json;
};

struct nemesis {
    struct nemesis_options options;
    struct nemesis_node nodes[NEMESIS_NODES_MAX + 1]; /* [1 ..] */
    char cluster[NEMESIS_PATH], history[NEMESIS_PATH];
    char token[1100];
    int client_space;
    bool private_mounts, preloaded;
    pid_t proxy, load;
    struct proxy_setup *proxy_setup;
    FILE *journal;
    uint64_t begin_ms, random;
    bool drops[FAMILY_COUNT][PROXY_ENDS][PROXY_ENDS];
    uint32_t counts[FAMILY_COUNT]; /* faults injected */
    /* Bits of the families that were at work in the same phase as this one, itself included; in the present one. */
    uint32_t together[FAMILY_COUNT], worked;
    uint64_t lingers_until_ms; /* the end of the pause that outlived its phase, between two phases; 0: there is none */
    char skipped[FAMILY_COUNT][128];
    uint32_t phases, quiet_phases, broken;
    char why_broken[600]; /* the first */
    int janitor;          /* pipe to the janitor */
};

/* What a family does: turns on, for how long; turns off again. The schedule calls them alternately. */
struct family {
    const char *name;
    /* NULL: it can work here; else why not (static storage). */
    const char *(*unable) (struct nemesis *run);
    /* Begins one fault; how long it should last in ms, 0: there was nothing to hurt just now. */
    uint64_t (*on) (struct nemesis *run);
    void (*off) (struct nemesis *run);
    uint32_t idle_min_ms, idle_max_ms; /* between two of them */
};

extern const struct family nemesis_families[FAMILY_COUNT];

/* ---- nemesis_base.c: randomness, words, small things */

uint64_t nemesis_now_ms (void);
uint64_t nemesis_now_ns (void);
uint32_t nemesis_draw (struct nemesis *run, uint32_t below); /* 0 .. below - 1 */
uint64_t nemesis_between (struct nemesis *run, uint64_t low, uint64_t high);
uint64_t nemesis_log_between (struct nemesis *run, uint64_t low, uint64_t high); /* every order of magnitude alike */
__attribute__ ((format (printf, 1, 2))) void nemesis_say (const char *format, ...);
/* One line in nemesis.jsonl, and on standard error: what happened, to which family (FAMILY_COUNT: none). */
__attribute__ ((format (printf, 4, 5))) void nemesis_note (
    struct nemesis *run, const char *event, int family, const char *format, ...);
/* The run has shown something that must not be; it goes on. */
__attribute__ ((format (printf, 2, 3))) void nemesis_broken (struct nemesis *run, const char *format, ...);
bool nemesis_path (char out[NEMESIS_PATH], const char *folder, const char *name);
bool nemesis_read_file (const char *path, char *out, size_t size);
bool nemesis_write_file (const char *path, const char *text);
void nemesis_remove_tree (const char *path);
void nemesis_sleep_ms (uint64_t ms);
extern volatile int nemesis_interrupted; /* SIGINT or SIGTERM came */

/* ---- nemesis_child.c: processes */

struct child_setup {
    const char *const *argv;
    int space;               /* network namespace, -1: ours */
    const char *const *more; /* environment beside ours, NULL-terminated, or NULL */
    const char *out, *err;   /* files, appended; NULL: ours */
    const char *folder;      /* to start in, or NULL */
};

/* The child's id; 0 with a word on standard error when it could not be made. Its death is bound to ours. */
pid_t nemesis_spawn (const struct child_setup *setup);
/* Exit code, 128 + signal, or -1: still running after timeout_ms (it then goes on). */
int nemesis_wait (pid_t pid, uint64_t timeout_ms);
/* Spawns and waits; kills what takes longer. -1: it could not be started, took too long, or the run was interrupted. */
int nemesis_program (const struct child_setup *setup, uint64_t timeout_ms);

/* ---- nemesis_space.c: the network */

/* Chooses what the options leave open, makes namespaces or listeners and rewrites the cluster's files. False: said why. */
bool nemesis_network_open (struct nemesis *run);
/* Starts the proxy. */
bool nemesis_network_start (struct nemesis *run);
void nemesis_link (struct nemesis *run, const char *command);
void nemesis_drop (struct nemesis *run, int family, uint32_t from, uint32_t to, bool drop);
/* Enters the namespace, or (-1) goes back to ours. */
void nemesis_enter (int space);

/* ---- nemesis_node.c: the nodes */

bool nemesis_cluster_create (struct nemesis *run);
/* Replaces a piece of text in the node's configuration. */
bool nemesis_configure (struct nemesis *run, uint32_t node, const char *from, const char *to);
bool nemesis_node_start (struct nemesis *run, uint32_t node);
void nemesis_node_kill (struct nemesis *run, uint32_t node);
void nemesis_node_pause (struct nemesis *run, uint32_t node);
void nemesis_node_resume (struct nemesis *run, uint32_t node);
/* Looks who died; starts again who halted as it should. */
void nemesis_nodes_watch (struct nemesis *run);
/* False, with words: not all of them are within the time, or one is down for good. */
bool nemesis_nodes_ready (struct nemesis *run, uint64_t timeout_ms);
/* One number of a node's /metrics; UINT64_MAX: it does not answer. */
uint64_t nemesis_metric (struct nemesis *run, uint32_t node, const char *name);
/* The node that leads the shard, 0: nobody knows. Takes up to a second. */
uint32_t nemesis_leader (struct nemesis *run, uint32_t shard);
bool nemesis_node_ready (struct nemesis *run, uint32_t node);
/* A node that runs and is nobody's, 0: none. */
uint32_t nemesis_pick (struct nemesis *run);
/* Ends everything in order; the exit codes are judged when `judge`. */
void nemesis_nodes_stop (struct nemesis *run, bool judge);
void nemesis_heal (struct nemesis *run);

/* ---- nemesis_disk.c, nemesis_damage.c: clocks, syncs, full and damaged disks */

/* The `unable`, `on` and `off` of their families. */
const char *nemesis_preload_unable (struct nemesis *run);
const char *nemesis_diskfull_unable (struct nemesis *run);
const char *nemesis_bitflip_unable (struct nemesis *run);
const char *nemesis_power_unable (struct nemesis *run);
uint64_t nemesis_clock_on (struct nemesis *run);
void nemesis_clock_off (struct nemesis *run);
uint64_t nemesis_diskfull_on (struct nemesis *run);
void nemesis_diskfull_off (struct nemesis *run);
uint64_t nemesis_fsync_on (struct nemesis *run);
void nemesis_fsync_off (struct nemesis *run);
uint64_t nemesis_slowdisk_on (struct nemesis *run);
void nemesis_slowdisk_off (struct nemesis *run);
uint64_t nemesis_bitflip_on (struct nemesis *run);
void nemesis_bitflip_off (struct nemesis *run);
/* The node's data folder. */
bool nemesis_data_of (struct nemesis *run, uint32_t node, char path[NEMESIS_PATH]);
/* Puts the flipped bits back, where the node has not written since. */
void nemesis_bitflip_undo (struct nemesis *run);
/* The node whose files are damaged in this run: always the same, so that no shard loses two copies. */
uint32_t nemesis_unlucky (struct nemesis *run);
/* Its disk was exchanged: there is nothing to put back. */
void nemesis_bitflip_forget (struct nemesis *run, uint32_t node);
uint64_t nemesis_power_on (struct nemesis *run);
void nemesis_power_off (struct nemesis *run);
/* Small file systems for the nodes' data, where diskfull is asked for. */
bool nemesis_disks_open (struct nemesis *run);

/* That node's folder was changed behind preload_power's back. */
void nemesis_power_forget (uint32_t node);

/* ---- nemesis_stale.c: older copies */

const char *nemesis_stale_unable (struct nemesis *run);
uint64_t nemesis_stale_on (struct nemesis *run);
void nemesis_stale_off (struct nemesis *run);
/* The copy, and what was put aside, are of a folder that is gone. */
void nemesis_stale_lost (void);
/* The operator's part where a node refuses the older copy: it gets its own back. */
void nemesis_stale_undo (struct nemesis *run);

/* ---- nemesis_wipe.c: lost disks */

const char *nemesis_wipe_unable (struct nemesis *run);
uint64_t nemesis_wipe_on (struct nemesis *run);
void nemesis_wipe_off (struct nemesis *run);
/* The node that is being replaced, 0: none. Meanwhile no other disk may lose anything. */
uint32_t nemesis_wipe_node (void);
/* The node must not be started now: the cluster does not know yet that it comes back empty. */
bool nemesis_wipe_holds (uint32_t node);
/* What is to be done next; nemesis_nodes_watch calls it. */
void nemesis_wipe_step (struct nemesis *run);
/* Waits until a replacement that is under way is over. False: it is not, which is noted as broken. */
bool nemesis_wipe_finish (struct nemesis *run, uint64_t timeout_ms);

/* ---- nemesis_run.c, nemesis_failover.c, nemesis_main.c */

enum nemesis_exit nemesis_run (struct nemesis *run);
enum nemesis_exit nemesis_failover (struct nemesis *run);
/* Cluster, network, nodes: ready. Used by both. */
bool nemesis_up (struct nemesis *run);

#endif
