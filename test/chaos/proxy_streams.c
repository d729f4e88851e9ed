/* Connections through the proxy: two sockets, two directions, each direction with a queue of pieces and when they are due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/chaos/proxy.h"

#define STREAMS_MAX 4096
#define PIECE_MAX 16384
#define RETRANSMIT_US 200000

struct piece {
    struct piece *next;
    uint64_t due_us;
    size_t len, sent;
    uint8_t bytes[];
};

struct direction {
    struct piece *first, *last;
    size_t held;
    bool ended, told; /* no more comes; the other side knows it */
};

struct stream {
    bool used, connected;
    bool gone[2];            /* its socket broke while its link was down: nobody can know yet */
    int fd[2];               /* 0: who called, 1: who is called */
    uint8_t end[2];          /* the ends that these are */
    uint32_t watched[2];     /* epoll events */
    struct direction way[2]; /* 0: from fd[0] to fd[1] */
};

struct proxy_streams {
    struct stream streams[STREAMS_MAX];
    uint32_t top; /* no used one at or above */
};

static struct proxy_link *link_of (struct proxy *proxy, const struct stream *stream, int way)
{
    return &proxy->links[stream->end[way]][stream->end[1 - way]];
}

bool proxy_streams_open (struct proxy *proxy)
{
    proxy->streams = calloc (1, sizeof *proxy->streams);
    if (proxy->streams == NULL)
        return false;
    for (uint32_t i = 0; i < proxy->setup->listener_count; i++)
        if (!proxy_watch (proxy, proxy->setup->listeners[i].fd, EPOLLIN, PROXY_LISTENER, i))
            return false;
    return true;
}

static void end_stream (struct stream *stream, bool hard)
{
    for (int side = 0; side < 2; side++) {
        struct linger linger = {.l_onoff = 1};
        if (hard)
            setsockopt (stream->fd[side], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close (stream->fd[side]);
        for (struct piece *piece = stream->way[side].first, *next; piece != NULL; piece = next) {
            next = piece->next;
            free (piece);
        }
    }
    memset (stream, 0, sizeof *stream);
}

/* What each side is asked about: reading while its queue has room and its link flows, writing while something is due. */
static void rewatch (struct proxy *proxy, struct stream *stream, uint64_t now_us)
{
    uint32_t index = (uint32_t) (stream - proxy->streams->streams);
    for (int side = 0; side < 2; side++) {
        const struct direction *out = &stream->way[1 - side], *in = &stream->way[side];
        bool stalled = link_of (proxy, stream, 1 - side)->drop;
        uint32_t events = 0;
        if (stream->connected && !in->ended && in->held < PROXY_BUFFER && !link_of (proxy, stream, side)->drop)
            events |= EPOLLIN;
        if ((side == 1 && !stream->connected) || (out->first != NULL && out->first->due_us <= now_us && !stalled))
            events |= EPOLLOUT;
        if (events == stream->watched[side] || stream->gone[side])
            continue;
        struct epoll_event event = {
            .events = events, .data.u64 = (uint64_t) (side == 0 ? PROXY_STREAM_A : PROXY_STREAM_B) << 32 | index};
        epoll_ctl (proxy->poll_fd, EPOLL_CTL_MOD, stream->fd[side], &event);
        stream->watched[side] = events;
    }
}

void proxy_streams_accept (struct proxy *proxy, uint32_t listener, uint64_t now_us)
{
    const struct proxy_listener *from = &proxy->setup->listeners[listener];
    int caller = accept4 (from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (caller < 0)
        return;
    struct proxy_streams *streams = proxy->streams;
    uint32_t index = 0;
    while (index < STREAMS_MAX && streams->streams[index].used)
        index++;
    int called = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons (from->target), .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    if (index == STREAMS_MAX || called < 0 ||
        (connect (called, (struct sockaddr *) &address, sizeof address) != 0 && errno != EINPROGRESS)) {
        if (called >= 0)
            close (called);
        close (caller);
        return;
    }
    setsockopt (caller, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt (called, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct stream *stream = &streams->streams[index];
    *stream = (struct stream){.used = true, .fd = {caller, called}, .end = {from->from, from->to}};
    if (index >= streams->top)
        streams->top = index + 1;
    if (!proxy_watch (proxy, caller, 0, PROXY_STREAM_A, index) ||
        !proxy_watch (proxy, called, 0, PROXY_STREAM_B, index)) {
        end_stream (stream, true);
        return;
    }
    rewatch (proxy, stream, now_us);
}

/* False: the connection is broken. */
static bool take (struct proxy *proxy, struct stream *stream, int side, uint64_t now_us)
{
    struct direction *way = &stream->way[side];
    struct proxy_link *link = link_of (proxy, stream, side);
    static uint8_t buffer[PIECE_MAX];
    ssize_t len = recv (stream->fd[side], buffer, sizeof buffer, 0);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    if (len == 0) {
        way->ended = true;
        return true;
    }
    struct piece *piece = malloc (sizeof *piece + (size_t) len);
    if (piece == NULL)
        return false;
    *piece = (struct piece){.len = (size_t) len, .due_us = proxy_due_us (proxy, link, now_us, (size_t) len)};
    memcpy (piece->bytes, buffer, (size_t) len);
    if (link->loss_permille > 0 && proxy_draw (proxy, 1000) < link->loss_permille) {
        link->dropped++;
        piece->due_us += RETRANSMIT_US;
    }
    if (way->last != NULL && piece->due_us < way->last->due_us)
        piece->due_us = way->last->due_us; /* a stream stays in order */
    link->passed++;
    if (way->first == NULL)
        way->first = piece;
    else
        way->last->next = piece;
    way->last = piece;
    way->held += piece->len;
    return true;
}

static bool give (struct proxy *proxy, struct stream *stream, int way_index, uint64_t now_us)
{
    struct direction *way = &stream->way[way_index];
    int to = stream->fd[1 - way_index];
    while (!link_of (proxy, stream, way_index)->drop && way->first != NULL && way->first->due_us <= now_us) {
        struct piece *piece = way->first;
        ssize_t len = send (to, piece->bytes + piece->sent, piece->len - piece->sent, MSG_NOSIGNAL);
        if (len < 0)
            return errno == EAGAIN || errno == EINTR;
        piece->sent += (size_t) len;
        way->held -= (size_t) len;
        if (piece->sent < piece->len)
            return true;
        way->first = piece->next;
        if (way->first == NULL)
            way->last = NULL;
        free (piece);
    }
    if (way->ended && way->first == NULL && !way->told && !link_of (proxy, stream, way_index)->drop) {
        shutdown (to, SHUT_WR);
        way->told = true;
    }
    return true;
}

static void move (struct proxy *proxy, struct stream *stream, uint64_t now_us)
{
    bool fine = true;
    for (int way = 0; way < 2 && fine; way++) {
        struct proxy_link *link = link_of (proxy, stream, way);
        if (link->reset) {
            link->resets++;
            fine = false;
        } else if (stream->gone[way]) {
            fine = link->drop;
        } else if (stream->connected) {
            fine = give (proxy, stream, way, now_us);
        }
    }
    if (!fine || (stream->way[0].told && stream->way[1].told))
        end_stream (stream, !fine);
    else
        rewatch (proxy, stream, now_us);
}

void proxy_streams_ready (struct proxy *proxy, uint32_t index, bool side_b, uint32_t events, uint64_t now_us)
{
    struct stream *stream = &proxy->streams->streams[index];
    int side = side_b ? 1 : 0;
    if (!stream->used)
        return;
    if (side == 1 && !stream->connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        int why = 0;
        socklen_t size = sizeof why;
        getsockopt (stream->fd[1], SOL_SOCKET, SO_ERROR, &why, &size);
        stream->connected = why == 0;
        if (why != 0) {
            end_stream (stream, true);
            return;
        }
    } else if ((events & EPOLLIN) != 0 && stream->connected) {
        if (!take (proxy, stream, side, now_us)) {
            end_stream (stream, true);
            return;
        }
    } else if ((events & (EPOLLERR | EPOLLHUP)) != 0 && link_of (proxy, stream, side)->drop) {
        epoll_ctl (proxy->poll_fd, EPOLL_CTL_DEL, stream->fd[side], NULL);
        stream->gone[side] = true;
        return;
    } else if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        end_stream (stream, true); /* with what was under way: as when a host dies */
        return;
    }
    move (proxy, stream, now_us);
}

uint64_t proxy_streams_due (struct proxy *proxy, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;
    struct proxy_streams *streams = proxy->streams;
    for (uint32_t i = 0; i < streams->top; i++) {
        struct stream *stream = &streams->streams[i];
        bool due = false;
        for (int way = 0; stream->used && way < 2; way++) {
            const struct piece *first = stream->way[way].first;
            if (first == NULL || link_of (proxy, stream, way)->drop)
                continue;
            if (first->due_us > now_us)
                next_us = first->due_us < next_us ? first->due_us : next_us;
            else if ((stream->watched[1 - way] & EPOLLOUT) == 0)
                due = true; /* otherwise the socket is full, and epoll tells when it is not */
        }
        if (due)
            move (proxy, stream, now_us);
    }
    while (streams->top > 0 && !streams->streams[streams->top - 1].used)
        streams->top--;
    return next_us;
}

void proxy_streams_changed (struct proxy *proxy)
{
    uint64_t now_us = proxy_now_us ();
    for (uint32_t i = 0; i < proxy->streams->top; i++)
        if (proxy->streams->streams[i].used)
            move (proxy, &proxy->streams->streams[i], now_us);
}
