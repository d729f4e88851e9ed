/* maitred verify: checks the data folder of a stopped node. Room: node/engine/daemon. */
#ifndef MAITRED_NODE_ENGINE_DAEMON_VERIFY_H
#define MAITRED_NODE_ENGINE_DAEMON_VERIFY_H

/* argv[0] is "verify". Returns the exit code: 0 sound, 1 damaged, 2 usage, 4 in use or of a newer version, 7 it could not
 * be read. */
int verify_folder (int argc, char **argv);

#endif
