/* maitred snapshot verify DIR, maitred snapshot restore DIR --config FILE: what of backups needs the database.
 *
 * Room: node/engine/daemon. Thread safety: one thread.
 */
#ifndef MAITRED_NODE_ENGINE_DAEMON_SNAPSHOT_H
#define MAITRED_NODE_ENGINE_DAEMON_SNAPSHOT_H

/* argv[0] is the word snapshot. Returns the exit code. */
int snapshot (int argc, char **argv);

#endif
