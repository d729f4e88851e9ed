/* The network of a chaos run: every byte between two of its ends passes through one process of ours, which can drop,
 * lose, delay, double, slow down and reset it, each direction of each link by itself.
 *
 * Room: test/chaos. Ends are numbered: 0 is where the clients are, 1 .. N are the nodes. Two kinds:
 *
 *   packets  each end is a network namespace with one TUN device; what comes out of one is put into another. Loss, delay,
 *            reordering (by jitter) and doubling are those of IP packets, TCP on both sides makes of them what it does.
 *   streams  for who may not make namespaces: a TCP proxy on loopback, one listener for each (from, to, port). TCP loses
 *            nothing, so a dropped direction is a stalled one, and a lost packet a pause of a retransmission (200 ms).
 *
 * Ownership: proxy_run takes the descriptors of its description and ends with the process. Control is a SEQPACKET
 * socket in the file system (PROXY.sock of the run's folder): one command a message, one answer a message,
 *
 *   link FROM TO [drop 0|1] [loss PERMILLE] [delay US] [jitter US] [double PERMILLE] [rate BYTES_PER_S] [reset 0|1]
 *   heal            all links as new; what was held back flows
 *   stats           counters of all links as one JSON object
 *
 * FROM and TO are ends or *. The answer is "ok", the JSON, or "error: ...".
 *
 * Invariants
 *  1. What is not said to be hurt passes unchanged and in order.
 *  2. Memory is bounded: PROXY_HELD_MAX packets, PROXY_BUFFER bytes a direction of a stream; beyond it packets are
 *     dropped as by a full queue, streams are read no further.
 */
#ifndef CHAOS_PROXY_H
#define CHAOS_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROXY_ENDS 10 /* the clients and up to nine nodes */
#define PROXY_HELD_MAX 16384
#define PROXY_BUFFER 262144
#define PROXY_LISTENERS_MAX 320

struct proxy_link {
    bool drop, reset;
    uint32_t loss_permille, double_permille;
    uint64_t delay_us, jitter_us, rate;
    uint64_t free_us; /* rate: when the link has sent what it took */
    uint64_t passed, dropped, delayed, doubled, resets;
};

struct proxy_listener {
    int fd;
    uint8_t from, to;
    uint16_t target; /* port on 127.0.0.1 */
};

/* What a proxy works on; all descriptors are non-blocking. */
struct proxy_setup {
    uint32_t ends;
    uint64_t seed;
    int control_fd;          /* listening */
    bool packets;            /* which of the two below */
    int devices[PROXY_ENDS]; /* TUN descriptors */
    struct proxy_listener listeners[PROXY_LISTENERS_MAX];
    uint32_t listener_count;
};

struct proxy; /* internal */

/* Runs until SIGTERM or until the process ends otherwise. Returns the exit code. */
int proxy_run (const struct proxy_setup *setup);

/* ---- for the nemesis: the other side of the control socket */

/* A listening control socket at path, which must not exist; -1 with errno. */
int proxy_listen (const char *path);
/* One command, one answer (cut to size - 1 bytes). False: the proxy is gone, or refused (then answer says why). */
bool proxy_command (const char *path, const char *command, char *answer, size_t size);

/* ---- between proxy*.c */

struct proxy_packets;
struct proxy_streams;

struct proxy {
    const struct proxy_setup *setup;
    struct proxy_link links[PROXY_ENDS][PROXY_ENDS];
    uint64_t random;
    int poll_fd;
    struct proxy_packets *held;
    struct proxy_streams *streams;
};

enum proxy_tag { PROXY_CONTROL, PROXY_CALLER, PROXY_DEVICE, PROXY_LISTENER, PROXY_STREAM_A, PROXY_STREAM_B };

uint64_t proxy_now_us (void);
uint32_t proxy_draw (struct proxy *proxy, uint32_t below);
/* When a piece of len bytes that came now may leave: delay, jitter and rate of its link. */
uint64_t proxy_due_us (struct proxy *proxy, struct proxy_link *link, uint64_t now_us, size_t len);
bool proxy_watch (struct proxy *proxy, int fd, uint32_t events, enum proxy_tag tag, uint32_t index);

/* Each: false when there is no memory. `next` is when it wants to be called again (UINT64_MAX: only for events). */
bool proxy_packets_open (struct proxy *proxy);
void proxy_packets_ready (struct proxy *proxy, uint32_t end, uint64_t now_us);
uint64_t proxy_packets_due (struct proxy *proxy, uint64_t now_us);

bool proxy_streams_open (struct proxy *proxy);
void proxy_streams_accept (struct proxy *proxy, uint32_t listener, uint64_t now_us);
void proxy_streams_ready (struct proxy *proxy, uint32_t index, bool side_b, uint32_t events, uint64_t now_us);
uint64_t proxy_streams_due (struct proxy *proxy, uint64_t now_us);
/* Links have changed: stalled streams look again. */
void proxy_streams_changed (struct proxy *proxy);

#endif
