/* Failpoints at the start of a process: allowed by the configuration alone, set by the environment.
 *
 * Room: node/engine/daemon. Thread safety: before other threads.
 */
#ifndef MAITRED_NODE_ENGINE_DAEMON_ALLOW_FAULTS_H
#define MAITRED_NODE_ENGINE_DAEMON_ALLOW_FAULTS_H

#include <stdbool.h>

/* Takes MAITRED_FAILPOINTS where faults are allowed. False after a complaint: it is set where they are not, or it is no good. */
bool allow_faults (bool allowed);

#endif
