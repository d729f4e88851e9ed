/* The loop inside maitre_process, and the one descriptor outside of it.
 *
 * ZeroMQ's descriptors are edge-triggered: a send may swallow the edge of a message that has come meanwhile. So every
 * socket that was touched is asked once before anybody waits, and what is left undone is kept visible by an eventfd.
 * Until maitre_fd was asked for, nobody but the loop itself waits, and the eventfd and the timerfd cost nothing.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/src/client.h"

#define LOOP_TOKEN_EVENT UINT64_MAX
#define LOOP_TOKEN_TIMER (UINT64_MAX - 1)
#define LOOP_EVENTS_MAX 64
#define LOOP_RECEIVE_MAX 512 /* messages of one node before the others have their turn */

static bool watch (int epoll, int fd, uint64_t token)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    return epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

enum status client_loop_open (struct maitre *client)
{
    client->epoll = epoll_create1 (EPOLL_CLOEXEC);
    client->event = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    client->timer = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (client->epoll < 0 || client->event < 0 || client->timer < 0 ||
        !watch (client->epoll, client->event, LOOP_TOKEN_EVENT) ||
        !watch (client->epoll, client->timer, LOOP_TOKEN_TIMER))
        return STATUS_RESOURCE_EXHAUSTED;
    return STATUS_OK;
}

void client_loop_close (struct maitre *client)
{
    if (client->epoll >= 0)
        close (client->epoll);
    if (client->event >= 0)
        close (client->event);
    if (client->timer >= 0)
        close (client->timer);
    client->epoll = client->event = client->timer = -1;
}

enum status client_loop_watch (struct maitre *client, struct client_node *node)
{
    uint64_t token = (uint64_t) (node - client->nodes) << 1;
    int data, monitor;
    size_t size = sizeof data;
    if (zmq_getsockopt (node->socket, ZMQ_FD, &data, &size) != 0 ||
        zmq_getsockopt (node->monitor, ZMQ_FD, &monitor, &size) != 0 || !watch (client->epoll, data, token) ||
        !watch (client->epoll, monitor, token | 1))
        return STATUS_RESOURCE_EXHAUSTED;
    node->ready = node->heard = true;
    return STATUS_OK;
}

/* ZeroMQ closes a socket's descriptor later, in a thread of its own, and until then it could wake the loop in vain. */
void client_loop_unwatch (struct maitre *client, struct client_node *node)
{
    void *sockets[] = {node->socket, node->monitor};
    for (int i = 0; i < 2; i++) {
        int fd;
        size_t size = sizeof fd;
        if (sockets[i] != NULL && zmq_getsockopt (sockets[i], ZMQ_FD, &fd, &size) == 0)
            epoll_ctl (client->epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    node->ready = node->heard = false;
}

static void set_event (struct maitre *client, bool on)
{
    uint64_t one = 1;
    if (on == client->event_set)
        return;
    ssize_t done = on ? write (client->event, &one, sizeof one) : read (client->event, &one, sizeof one);
    client->event_set = done == (ssize_t) sizeof one ? on : client->event_set;
}

/* The next moment when something is due without anything coming in. */
static uint64_t next_wake_us (const struct maitre *client)
{
    uint64_t wake = client_timer_next (client);
    uint64_t map = client->map.asking || client->map.ask_again_us == 0 ? UINT64_MAX : client->map.ask_again_us;
    wake = wake < map ? wake : map;
    for (uint32_t i = 0; i < client->node_count; i++) {
        uint64_t renew_us = client->nodes[i].renew_us;
        wake = renew_us != 0 && renew_us < wake ? renew_us : wake;
    }
    return wake;
}

static void set_timer (struct maitre *client)
{
    uint64_t wake_us = next_wake_us (client);
    /* A timer that fires too early costs a turn for nothing; setting it with every call would cost more. */
    if (wake_us >= client->timer_us && client->timer_us != 0)
        return;
    struct itimerspec when = {0};
    if (wake_us != UINT64_MAX) {
        when.it_value.tv_sec = (time_t) (wake_us / 1000000);
        when.it_value.tv_nsec = (long) (wake_us % 1000000) * 1000 + 1;
        client->timer_us = wake_us;
        timerfd_settime (client->timer, TFD_TIMER_ABSTIME, &when, NULL);
    }
}

void client_loop_touched (struct maitre *client)
{
    if (client->fd_used && !client->inside)
        set_event (client, true);
}

int maitre_fd (const struct maitre *client)
{
    struct maitre *own = (struct maitre *) client; /* a handle is never const in memory: maitre_new made it */
    if (!own->fd_used && client_alive (client)) {  /* a child shares the eventfd with its parent */
        own->fd_used = true;
        set_event (own, true);
    }
    return own->epoll;
}

/* Marks what the descriptors report; waits for at most timeout_ms. */
static void gather (struct maitre *client, int timeout_ms)
{
    struct epoll_event events[LOOP_EVENTS_MAX];
    int count = epoll_wait (client->epoll, events, LOOP_EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint64_t token = events[i].data.u64;
        if (token == LOOP_TOKEN_TIMER) {
            uint64_t fired;
            if (read (client->timer, &fired, sizeof fired) > 0)
                client->timer_us = 0;
        } else if (token != LOOP_TOKEN_EVENT) {
            struct client_node *node = &client->nodes[token >> 1];
            if (token & 1)
                node->heard = true;
            else
                node->ready = true;
        }
    }
}

static void turn (struct maitre *client)
{
    uint64_t now_us = client_now_us ();
    client->gathering = true;
    for (uint32_t i = 0; i < client->node_count; i++) {
        struct client_node *node = &client->nodes[i];
        if (node->renew_us != 0 && node->renew_us <= now_us)
            client_node_renew (client, node, now_us);
        if (node->ready)
            node->ready = client_node_receive (client, node, LOOP_RECEIVE_MAX, now_us);
        if (node->heard) {
            node->heard = false;
            client_node_listen (client, node, now_us);
        }
    }
    client_map_tick (client, now_us);
    now_us = client_now_us ();
    while (client_timer_next (client) <= now_us)
        client_retry_wake (client, client->heap[1], now_us);
    client->gathering = false;
    for (uint32_t i = 0; i < client->node_count; i++)
        client_node_flush (&client->nodes[i]);
}

/* True when something can be received without waiting. */
static bool work_left (struct maitre *client)
{
    bool left = false;
    for (uint32_t i = 0; i < client->node_count; i++) {
        struct client_node *node = &client->nodes[i];
        if (node->ready)
            node->ready = client_node_readable (node);
        left = left || node->ready;
    }
    return left;
}

static int wait_ms (const struct maitre *client, uint64_t until_us)
{
    uint64_t now_us = client_now_us ();
    uint64_t wake_us = next_wake_us (client);
    if (wake_us > until_us)
        wake_us = until_us;
    if (wake_us <= now_us)
        return 0;
    uint64_t ms = (wake_us - now_us + 999) / 1000;
    return ms > 60000 ? 60000 : (int) ms;
}

int maitre_process (struct maitre *client, int timeout_ms)
{
    if (!client_alive (client) || client->inside)
        return -1;
    uint64_t until_us = timeout_ms < 0 ? UINT64_MAX : client_now_us () + (uint64_t) timeout_ms * 1000;
    client->inside = true;
    client->delivered = 0;
    gather (client, 0);
    set_event (client, false);
    for (;;) {
        turn (client);
        bool left = work_left (client);
        bool over = client->delivered > 0 || timeout_ms == 0 || (timeout_ms < 0 && client->outstanding == 0) ||
                    client_now_us () >= until_us;
        if (over) {
            if (client->fd_used) {
                set_event (client, left);
                set_timer (client);
            }
            break;
        }
        gather (client, left ? 0 : wait_ms (client, until_us));
    }
    client->inside = false;
#ifndef NDEBUG
    client_check (client);
#endif
    return (int) client->delivered;
}
