/* The node: a reactor that drains sockets, steps shards, persists, sends, applies and replies.
 *
 * Room: node/engine, not pure: the only one that joins all others. Ownership: engine_open/engine_close. Thread safety: one
 * thread opens, runs and closes; engine_stop may be called from any thread and from a signal handler.
 *
 * Threads: the reactor (everything that decides), one writer (the synced commit of a turn under load; with
 * little to do the reactor commits by itself), one flusher (state into
 * RocksDB), one scrubber (reads what is at rest), a few hashers (argon2id), the HTTP thread of the metrics, and ZeroMQ's own.
 *
 * One turn of the reactor
 *   drain links, peers, gossip, clients and finished work, each bounded -> step the shards -> end the turn of each shard
 *   that was stepped or is due -> put what is to persist into the open batch -> send what may leave now
 *   -> commit the batch, or give it to the writer if that is free and, under load, 0.7 ms have passed since the last one.
 *
 * Invariants (the duties of node/shard/shard.h, numbered there)
 *   1. What a shard asked to persist is in one batch with what it asked before; batches are synced in order (3).
 *   2. What waits for a batch leaves only after its sync (4); without one, nothing is held back.
 *   3. A call in the table has exactly one reply due; the table, every queue and every buffer is bounded (P7).
 *   4. After a failed sync, damage or an entry that is not understood nothing leaves the process: it ends (exit 70).
 */
#ifndef MAITRED_NODE_ENGINE_ENGINE_H
#define MAITRED_NODE_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "node/engine/engine_config.h"
#include "schemas/runtime/status.h"

/* Exit codes of a start that failed, and of a node that had to stop. */
enum engine_exit {
    ENGINE_EXIT_OK = 0,
    ENGINE_EXIT_CONFIG = 2,    /* bad option or configuration file */
    ENGINE_EXIT_PORT = 3,      /* a port is in use */
    ENGINE_EXIT_FOLDER = 4,    /* data folder in use, or another cluster's or node's */
    ENGINE_EXIT_KEY = 5,       /* a key file is missing or not acceptable */
    ENGINE_EXIT_DAMAGE = 6,    /* the data folder is damaged */
    ENGINE_EXIT_RESOURCES = 7, /* memory, descriptors, disk */
    ENGINE_EXIT_HALTED = 70,   /* invariant 4 */
    ENGINE_EXIT_AGAIN = 100,   /* never seen outside: the process starts over, for this node was replaced */
};

struct engine;

struct engine_error {
    enum engine_exit exit;
    char text[1024]; /* for people; ends with what to do next */
};

/* Opens the data folder, recovers, binds and dials. False: error tells. */
_Bool engine_open (const struct engine_config *config, struct engine **engine, struct engine_error *error);

/* Runs until engine_stop, then drains: hands leaderships over and finishes calls, for at most drain_ms. FOLDER: stopped by
 * itself, because most other nodes know this one's number under another data folder (the log says so). AGAIN: close it and
 * open it anew. */
enum engine_exit engine_run (struct engine *engine);

/* Asks engine_run to drain and return. A second call ends it at once. Async-signal-safe. */
void engine_stop (struct engine *engine);

void engine_close (struct engine **engine);

#endif
