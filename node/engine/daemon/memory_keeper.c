#include "node/engine/daemon/memory_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/engine/event_log.h"

/* Sanitizers take a process that shares the memory for a thread that they have never seen. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

#define STACK_BYTES 16384
#define OWN_FD 0 /* the one descriptor that it keeps */

static _Alignas(16) char stack[STACK_BYTES];
static pid_t keeper;        /* 0: there is none */
static volatile int reason; /* why the keeper gave up, an errno; read once it has closed its end of the pipe */

/* It has the main thread's errno too, so it makes system calls only: some while the main thread waits for it to get ready,
 * then one that returns when the node has ended. */
static int keep (void *argument)
{
    int node = *(const int *) argument;
    bool ready = prctl (PR_SET_NAME, "memory-keeper") == 0 && setsid () > 0 && chdir ("/") == 0 &&
                 (node == OWN_FD || dup2 (node, OWN_FD) == OWN_FD) &&
                 syscall (SYS_close_range, OWN_FD + 1, UINT_MAX, 0) == 0; /* the pipe with the rest: it is ready */
    if (!ready)
        reason = errno;
    struct pollfd ended = {.fd = OWN_FD, .events = POLLIN};
    while (ready && syscall (SYS_ppoll, &ended, 1, NULL, NULL, 0) < 0 && errno == EINTR)
        ;
    syscall (SYS_exit_group, 0);
    return 0;
}

static pid_t start (int node)
{
    int ends[2];
    if (pipe2 (ends, O_CLOEXEC) != 0)
        return -1;
    /* A signal to the node's process group is none of its business: it ends when the node has. */
    sigset_t all, before;
    sigfillset (&all);
    sigprocmask (SIG_SETMASK, &all, &before);
    reason = 0;
    pid_t pid = clone (keep, stack + sizeof stack, CLONE_VM, &node);
    int failed = errno;
    sigprocmask (SIG_SETMASK, &before, NULL);
    close (ends[1]);
    char none;
    while (pid > 0 && read (ends[0], &none, 1) < 0 && errno == EINTR)
        ;
    close (ends[0]);
    if (pid > 0 && reason != 0) {
        failed = reason;
        waitpid (pid, NULL, __WALL);
        pid = -1;
    }
    errno = failed;
    return pid;
}

/* Valgrind ends a process that asks for such a clone. Its tools are preloaded libraries. */
static bool watched (void)
{
    const char *preloaded = getenv ("LD_PRELOAD");
    return WATCHED || (preloaded != NULL && strstr (preloaded, "vgpreload") != NULL);
}

bool memory_keeper_start (void)
{
    if (keeper != 0 || watched ())
        return keeper != 0;
    int node = (int) syscall (SYS_pidfd_open, getpid (), 0);
    pid_t pid = node < 0 ? -1 : start (node);
    if (pid < 0)
        event_log (EVENT_LOG_WARN,
            "no memory keeper: if this node is killed, its connections stand until its memory is freed",
            event_log_text ("why", strerror (errno)));
    if (node >= 0)
        close (node);
    keeper = pid > 0 ? pid : 0;
    return keeper != 0;
}

void memory_keeper_stop (void)
{
    if (keeper == 0)
        return;
    kill (keeper, SIGKILL);
    while (waitpid (keeper, NULL, __WALL) < 0 && errno == EINTR)
        ;
    keeper = 0;
}
