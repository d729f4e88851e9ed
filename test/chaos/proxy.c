/* The proxy's loop, its links and its control socket.
 */
#include "test/chaos/proxy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CALLERS_MAX 16
#define ANSWER_MAX 32768

static volatile sig_atomic_t told_to_stop;

uint64_t proxy_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

uint32_t proxy_draw (struct proxy *proxy, uint32_t below)
{
    proxy->random = proxy->random * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    return below == 0 ? 0 : (uint32_t) (((proxy->random >> 32) * below) >> 32);
}

uint64_t proxy_due_us (struct proxy *proxy, struct proxy_link *link, uint64_t now_us, size_t len)
{
    uint64_t due_us = now_us + link->delay_us;
    if (link->jitter_us > 0)
        due_us += proxy_draw (proxy, (uint32_t) link->jitter_us);
    if (link->rate > 0) {
        uint64_t begin_us = link->free_us > now_us ? link->free_us : now_us;
        link->free_us = begin_us + len * 1000000u / link->rate;
        due_us += link->free_us - now_us;
    }
    if (due_us > now_us)
        link->delayed++;
    return due_us;
}

bool proxy_watch (struct proxy *proxy, int fd, uint32_t events, enum proxy_tag tag, uint32_t index)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t) tag << 32 | index};
    return epoll_ctl (proxy->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- commands */

static bool parse_end (const struct proxy *proxy, const char *word, uint32_t *first, uint32_t *last)
{
    if (word != NULL && strcmp (word, "*") == 0) {
        *first = 0;
        *last = proxy->setup->ends - 1;
        return true;
    }
    char *end = NULL;
    unsigned long value = word == NULL ? 0 : strtoul (word, &end, 10);
    if (word == NULL || end == word || *end != '\0' || value >= proxy->setup->ends)
        return false;
    *first = *last = (uint32_t) value;
    return true;
}

static bool set_field (struct proxy_link *link, const char *name, uint64_t value)
{
    if (strcmp (name, "drop") == 0 && value <= 1)
        link->drop = value == 1;
    else if (strcmp (name, "reset") == 0 && value <= 1)
        link->reset = value == 1;
    else if (strcmp (name, "loss") == 0 && value <= 1000)
        link->loss_permille = (uint32_t) value;
    else if (strcmp (name, "double") == 0 && value <= 1000)
        link->double_permille = (uint32_t) value;
    else if (strcmp (name, "delay") == 0 && value <= 60000000)
        link->delay_us = value;
    else if (strcmp (name, "jitter") == 0 && value <= 60000000)
        link->jitter_us = value;
    else if (strcmp (name, "rate") == 0)
        link->rate = value;
    else
        return false;
    return true;
}

static const char *command_link (struct proxy *proxy, char **rest)
{
    uint32_t from[2], to[2];
    if (!parse_end (proxy, strtok_r (NULL, " \n", rest), &from[0], &from[1]) ||
        !parse_end (proxy, strtok_r (NULL, " \n", rest), &to[0], &to[1]))
        return "error: FROM and TO must be ends or *";
    for (char *name; (name = strtok_r (NULL, " \n", rest)) != NULL;) {
        const char *text = strtok_r (NULL, " \n", rest);
        char *end = NULL;
        uint64_t value = text == NULL ? 0 : strtoull (text, &end, 10);
        if (text == NULL || end == text || *end != '\0')
            return "error: every field needs a number";
        for (uint32_t i = from[0]; i <= from[1]; i++)
            for (uint32_t j = to[0]; j <= to[1]; j++)
                if (i != j && !set_field (&proxy->links[i][j], name, value))
                    return "error: no such field, or its value is out of bounds";
    }
    return "ok";
}

static const char *command_stats (const struct proxy *proxy, char *out, size_t size)
{
    size_t used = (size_t) snprintf (out, size, "{\"links\":[");
    bool first = true;
    for (uint32_t i = 0; i < proxy->setup->ends; i++)
        for (uint32_t j = 0; j < proxy->setup->ends; j++) {
            const struct proxy_link *link = &proxy->links[i][j];
            if (i == j || used + 200 > size)
                continue;
            used += (size_t) snprintf (out + used, size - used,
                "%s{\"from\":%u,\"to\":%u,\"passed\":%llu,\"dropped\":%llu,\"delayed\":%llu,\"doubled\":%llu,"
                "\"resets\":%llu}",
                first ? "" : ",", i, j, (unsigned long long) link->passed, (unsigned long long) link->dropped,
                (unsigned long long) link->delayed, (unsigned long long) link->doubled,
                (unsigned long long) link->resets);
            first = false;
        }
    snprintf (out + used, size - used, "]}");
    return out;
}

static void heal (struct proxy *proxy)
{
    for (uint32_t i = 0; i < PROXY_ENDS; i++)
        for (uint32_t j = 0; j < PROXY_ENDS; j++) {
            struct proxy_link old = proxy->links[i][j];
            proxy->links[i][j] = (struct proxy_link){.passed = old.passed,
                .dropped = old.dropped,
                .delayed = old.delayed,
                .doubled = old.doubled,
                .resets = old.resets};
        }
}

static void serve (struct proxy *proxy, int fd)
{
    static char answer[ANSWER_MAX];
    char command[512];
    ssize_t len = recv (fd, command, sizeof command - 1, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        close (fd); /* which takes it out of the epoll set */
        return;
    }
    command[len] = '\0';
    char *rest = NULL;
    const char *word = strtok_r (command, " \n", &rest), *said = "ok";
    if (word != NULL && strcmp (word, "link") == 0)
        said = command_link (proxy, &rest);
    else if (word != NULL && strcmp (word, "heal") == 0)
        heal (proxy);
    else if (word != NULL && strcmp (word, "stats") == 0)
        said = command_stats (proxy, answer, sizeof answer);
    else
        said = "error: the commands are link, heal and stats";
    if (!proxy->setup->packets)
        proxy_streams_changed (proxy);
    if (send (fd, said, strlen (said), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        close (fd);
}

static void take_caller (struct proxy *proxy)
{
    int fd = accept4 (proxy->setup->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && !proxy_watch (proxy, fd, EPOLLIN, PROXY_CALLER, (uint32_t) fd))
        close (fd);
}

/* ---- the loop */

static void dispatch (struct proxy *proxy, const struct epoll_event *event, uint64_t now_us)
{
    uint32_t index = (uint32_t) event->data.u64;
    switch ((enum proxy_tag) (event->data.u64 >> 32)) {
    case PROXY_CONTROL:
        take_caller (proxy);
        break;
    case PROXY_CALLER:
        serve (proxy, (int) index);
        break;
    case PROXY_DEVICE:
        proxy_packets_ready (proxy, index, now_us);
        break;
    case PROXY_LISTENER:
        proxy_streams_accept (proxy, index, now_us);
        break;
    case PROXY_STREAM_A:
    case PROXY_STREAM_B:
        proxy_streams_ready (proxy, index, event->data.u64 >> 32 == PROXY_STREAM_B, event->events, now_us);
        break;
    }
}

static void stop (int number)
{
    (void) number;
    told_to_stop = 1;
}

int proxy_run (const struct proxy_setup *setup)
{
    static struct proxy proxy;
    proxy = (struct proxy){.setup = setup, .random = setup->seed * 2 + 1};
    proxy.poll_fd = epoll_create1 (EPOLL_CLOEXEC);
    struct sigaction action = {.sa_handler = stop};
    sigaction (SIGTERM, &action, NULL);
    signal (SIGPIPE, SIG_IGN);
    if (proxy.poll_fd < 0 || !proxy_watch (&proxy, setup->control_fd, EPOLLIN, PROXY_CONTROL, 0) ||
        !(setup->packets ? proxy_packets_open (&proxy) : proxy_streams_open (&proxy))) {
        fprintf (stderr, "chaos proxy: it cannot start: %s\n", strerror (errno));
        return 1;
    }
    while (!told_to_stop) {
        uint64_t now_us = proxy_now_us ();
        uint64_t next_us = setup->packets ? proxy_packets_due (&proxy, now_us) : proxy_streams_due (&proxy, now_us);
        struct timespec wait = {.tv_sec = 1};
        if (next_us < now_us + 1000000) {
            uint64_t left_us = next_us > now_us ? next_us - now_us : 0;
            wait = (struct timespec){.tv_nsec = (long) left_us * 1000};
        }
        struct epoll_event events[64];
        int count = epoll_pwait2 (proxy.poll_fd, events, 64, &wait, NULL);
        if (count < 0 && errno != EINTR)
            return 1;
        now_us = proxy_now_us ();
        for (int i = 0; i < count; i++)
            dispatch (&proxy, &events[i], now_us);
    }
    return 0;
}

/* ---- the other side */

static bool address_of (const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen (path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy (address->sun_path, path, strlen (path) + 1);
    return true;
}

int proxy_listen (const char *path)
{
    struct sockaddr_un address;
    if (!address_of (path, &address))
        return -1;
    int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (bind (fd, (struct sockaddr *) &address, sizeof address) != 0 || listen (fd, CALLERS_MAX) != 0)) {
        int why = errno;
        close (fd);
        errno = why;
        return -1;
    }
    return fd;
}

bool proxy_command (const char *path, const char *command, char *answer, size_t size)
{
    struct sockaddr_un address;
    answer[0] = '\0';
    int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};
    if (fd < 0)
        return false;
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t len = -1;
    if (address_of (path, &address) && connect (fd, (struct sockaddr *) &address, sizeof address) == 0 &&
        send (fd, command, strlen (command), MSG_NOSIGNAL) >= 0)
        len = recv (fd, answer, size - 1, 0);
    close (fd);
    if (len <= 0)
        return false;
    answer[len] = '\0';
    return strncmp (answer, "error", 5) != 0;
}
