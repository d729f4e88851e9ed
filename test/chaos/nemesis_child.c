/* Children: each dies with us.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

static void redirect (const char *path, int to)
{
    int fd = path == NULL ? -1 : open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0)
        dup2 (fd, to);
}

static void become (const struct child_setup *setup, pid_t parent)
{
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
        _exit (127);
    setpgid (0, 0); /* Ctrl-C is for the nemesis alone, which ends its children in order */
    sigset_t none;
    sigemptyset (&none);
    sigprocmask (SIG_SETMASK, &none, NULL);
    signal (SIGINT, SIG_DFL);
    signal (SIGTERM, SIG_DFL);
    signal (SIGPIPE, SIG_DFL);
    if (setup->space >= 0 && setns (setup->space, CLONE_NEWNET) != 0)
        _exit (126);
    int nothing = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2 (nothing, 0);
    redirect (setup->out, 1);
    redirect (setup->err, 2);
    if (setup->folder != NULL && chdir (setup->folder) != 0)
        _exit (126);
    for (const char *const *more = setup->more; more != NULL && *more != NULL; more++) {
        char *copy = strdup (*more);
        if (copy != NULL)
            putenv (copy);
    }
    /* What was inherited without the close-on-exec mark (a test runner's descriptors) would stay open as long as the node. */
    for (int fd = 3; fd < 64; fd++)
        fcntl (fd, F_SETFD, FD_CLOEXEC);
    execv (setup->argv[0], (char *const *) (uintptr_t) setup->argv);
    _exit (127);
}

pid_t nemesis_spawn (const struct child_setup *setup)
{
    pid_t parent = getpid (), pid = fork ();
    if (pid == 0)
        become (setup, parent);
    if (pid < 0) {
        nemesis_say ("error: no process for %s: %s", setup->argv[0], strerror (errno));
        return 0;
    }
    return pid;
}

int nemesis_wait (pid_t pid, uint64_t timeout_ms)
{
    uint64_t end_ms = nemesis_now_ms () + timeout_ms;
    for (;;) {
        int status;
        pid_t got = waitpid (pid, &status, WNOHANG);
        if (got == pid)
            return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
        if (got < 0 && errno != EINTR)
            return 127;
        if (nemesis_now_ms () >= end_ms)
            return -1;
        nemesis_sleep_ms (2);
    }
}

int nemesis_program (const struct child_setup *setup, uint64_t timeout_ms)
{
    pid_t pid = nemesis_spawn (setup);
    if (pid == 0)
        return -1;
    uint64_t end_ms = nemesis_now_ms () + timeout_ms;
    int code;
    do
        code = nemesis_wait (pid, 100);
    while (code < 0 && nemesis_now_ms () < end_ms && !nemesis_interrupted);
    if (code < 0) {
        kill (pid, SIGKILL);
        nemesis_wait (pid, 5000);
    }
    return code;
}
