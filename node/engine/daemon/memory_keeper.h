/* Keeps the memory of a process that is killed until its sockets are closed.
 *
 * Linux frees the memory of a dying process before it closes its descriptors (do_exit: exit_mm, then exit_files): about
 * 45 ms a GiB, in which the other nodes still see every connection standing, and wait for a leader that is gone. The keeper
 * is a sleeping process that shares the memory and has no descriptor but one, which becomes readable when the node has
 * ended. So the node's end frees nothing: its sockets close at once, and the memory goes with the keeper, a moment later.
 *
 * It shows in a list of processes as "memory-keeper" with the node's arguments and memory, which is counted once. Where it
 * cannot be had (Linux before 5.9, no more processes) the node runs without, and dies as slowly as any other; so it does
 * under sanitizers and valgrind, which do not know such processes.
 *
 * Room: node/engine/daemon. Thread safety: the main thread, before there are others (start) and after them (stop).
 * Source: clone(2) CLONE_VM, pidfd_open(2), close_range(2).
 */
#ifndef MAITRED_NODE_ENGINE_DAEMON_MEMORY_KEEPER_H
#define MAITRED_NODE_ENGINE_DAEMON_MEMORY_KEEPER_H

#include <stdbool.h>

/* Starts the one keeper of this process, and waits until it has let go of all descriptors. False after a word in the log:
 * there is none. */
bool memory_keeper_start (void);

/* Ends it: at the end of the process, and before it becomes another by exec, whose memory would come on top of what the
 * keeper holds. Nothing where there is none. */
void memory_keeper_stop (void);

#endif
