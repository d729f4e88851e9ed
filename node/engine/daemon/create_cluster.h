/* "maitred create-cluster": the files of a new cluster in one folder.
 *
 * Room: node/engine/daemon. Thread safety: none.
 */
#ifndef MAITRED_NODE_ENGINE_DAEMON_CREATE_CLUSTER_H
#define MAITRED_NODE_ENGINE_DAEMON_CREATE_CLUSTER_H

/* Runs the subcommand with its own arguments; returns the exit code. */
int create_cluster (int argc, char **argv);

#endif
