/* What the files of libmaitre share: the handle, its nodes, its calls, and who does what.
 *
 * Room: client (libzmq, one IO thread of its). Ownership: `struct maitre` owns everything here. Thread safety: one
 * thread at a time per handle; handles share nothing.
 *
 *   maitre.c          options, life and death of a handle           client_file.c   the client file, endpoint lists
 *   client_call.c     slots, start, finish, cancel                  client_node.c   sockets, monitors, frames
 *   client_retry.c    when and where an attempt is repeated         client_map.c    shard -> leader
 *   client_answer.c   what a reply means                            client_loop.c   descriptors, timers, process
 *   client_timer.c    the calls by the time they wake               client_trace.c  the flight recorder
 *   client_invoke.c   blocking calls, typed requests and replies    api_*.c         the typed functions
 *
 * The life of a call, each transition by the function named:
 *
 *   start -> WAITING --client_retry_send--> SENT --client_answer--> finished
 *               ^  ^                         |  |
 *               |  '--- no node is up -------'  '- refused for now --> PAUSED --client_retry_wake--> WAITING
 *               '------ connection lost, attempt timed out -----'
 *
 * Invariants (client_check)
 *  1. A call that is not free is in the timer heap, and in exactly one list: its node's when SENT, else the waiting one.
 *  2. `unknown` is set once an attempt of a write left and ended without a definite answer, and never cleared.
 *  3. outstanding counts the calls of the user, not the library's own.
 */
#ifndef MAITRE_CLIENT_H
#define MAITRE_CLIENT_H

#include <sys/types.h>
#include <zmq.h>

#include <maitre.h>

#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/wire.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define CLIENT_MESSAGE_CALLS_MAX 32       /* schemas/wire.cddl */
#define CLIENT_MESSAGE_BYTES (256 * 1024) /* of bodies, before a message is closed */
#define CLIENT_NODES_MAX 256
#define CLIENT_OUTSTANDING_MAX 65536
#define CLIENT_OWN_CALLS 8 /* slots beyond the user's bound for the library's own */
#define CLIENT_DEADLINE_MS_MAX 3600000
#define CLIENT_TOKEN_MAX 1024
#define CLIENT_BODY_MAX (1024 * 1024)       /* what a node accepts */
#define CLIENT_REPLY_MAX (16 * 1024 * 1024) /* the largest list, with room */
#define CLIENT_TRACE_MAX 256
#define CLIENT_KEY_LEN 40 /* Z85 */
#define CLIENT_NAME_MAX 64
#define CLIENT_REDIRECTS_MAX 3 /* leader hints followed without a pause */

struct client_node {
    uint32_t number; /* as users and the cluster count: 1 .. */
    char endpoint[ENDPOINT_TEXT_LEN_MAX + 1];
    char key[CLIENT_KEY_LEN + 1]; /* "" without CURVE */
    void *socket, *monitor;       /* NULL between a connection that broke and the next one */
    uint64_t renew_us;            /* when they are made anew; 0: they are there */
    bool up;                      /* a handshake succeeded and the connection has not broken since */
    bool ready;                   /* there may be something to receive */
    bool doubted;                 /* an attempt timed out, and nothing has come since */
    bool heard;                   /* monitor has events */
    struct call *calls;           /* SENT to this node */
    bool many;                    /* takes several calls in one message */
    zmq_msg_t held;               /* the last frame of a message that is still open */
    uint32_t held_count;          /* calls of that message; 0: none is open */
    size_t held_bytes;            /* of their bodies */
};

enum call_state { CALL_FREE, CALL_WAITING, CALL_SENT, CALL_PAUSED };

/* Why the last attempt failed, for the day when it was the last. */
struct call_failure {
    enum status status;
    uint32_t retry_after_ms;
    char reason[REASON_TEXT_LEN_MAX + 1];
    char message[501];
};

struct call {
    uint32_t slot, generation;
    enum call_state state;
    bool own; /* the library's own: not counted, not recorded */
    bool write;
    bool unknown;    /* invariant 2 */
    bool avoid_last; /* the last node asked is no good at the moment */
    bool has_request_id;
    const struct method *method; /* NULL: not known to this library */
    char name[CLIENT_NAME_MAX + 1];
    struct id request_id;
    zmq_msg_t body;
    uint64_t started_us, deadline_us, wake_us;
    uint32_t heap_at; /* 1 .. */
    uint32_t attempts, attempts_max;
    uint32_t failures; /* in a row: the exponent of the pause */
    uint32_t timeouts; /* attempts without an answer: the exponent of the attempt's time */
    uint32_t redirects;
    uint32_t pinned; /* node number, 0: any */
    uint32_t node;   /* index + 1 of the last node asked, 0: none */
    struct call *previous, *next, **list;
    struct call_failure *failure; /* NULL: none yet */
    maitre_reply_fn *answer;
    void *user;
};

struct client_map {
    uint32_t shard_count; /* 0: not known yet */
    uint64_t epoch;
    uint16_t *leaders; /* [0 .. shard_count]: index + 1 of the node, 0: not known */
    bool asking;
    bool answered;         /* the first question has ended, one way or the other */
    uint64_t ask_again_us; /* not before; 0: nothing to ask */
};

struct maitre {
    volatile uint8_t *fork_page; /* holds 1; the kernel wipes it in a forked child. NULL: ask getpid () */
    pid_t maker;
    void *context;
    uint64_t monitors;                                                         /* made so far, for their names */
    char client_public[CLIENT_KEY_LEN + 1], client_secret[CLIENT_KEY_LEN + 1]; /* "" without CURVE */
    uint32_t deadline_ms, attempt_ms, backoff_ms, backoff_max_ms, outstanding_max;
    char token[CLIENT_TOKEN_MAX + 1];
    size_t token_len;

    struct client_node *nodes; /* room for CLIENT_NODES_MAX: pointers to them stay good */
    uint32_t node_count, next_node, next_doubted;
    bool numbers_guessed; /* from a list of endpoints, until the ring is known */
    struct client_map map;

    struct call **calls; /* by slot, made on demand */
    uint32_t call_count, *free_slots, free_count;
    uint32_t outstanding;
    uint32_t delivered; /* callbacks of the present maitre_process */
    struct call **heap; /* [1 .. heap_count], smallest wake_us first */
    uint32_t heap_count;
    struct call *waiting;

    int epoll, event, timer;
    bool fd_used, event_set, inside;
    bool gathering;    /* calls that start now go out together at the end of the turn */
    uint64_t timer_us; /* what `timer` is set to; 0: off */
    uint64_t random;

    uint8_t *scratch; /* requests on their way out, arenas of replies */
    size_t scratch_size;
    struct maitre_error error;
    struct maitre_trace trace[CLIENT_TRACE_MAX];
    uint64_t trace_count;
};

/* ---- client_file.c */

/* Reads the client file, or the list of endpoints, into client->nodes and the keys. INVALID_ARGUMENT, NOT_FOUND or
 * RESOURCE_EXHAUSTED, with the words in *error. */
enum status client_file_read (struct maitre *client, const char *path, struct maitre_error *error) WARN_UNUSED;
enum status client_file_endpoints (struct maitre *client, const char *list, struct maitre_error *error) WARN_UNUSED;
/* Adds a node. RESOURCE_EXHAUSTED: too many, or no memory. INVALID_ARGUMENT: endpoint or key too long or empty. */
enum status client_file_add (
    struct maitre *client, uint32_t number, struct bytes endpoint, struct bytes key) WARN_UNUSED;

/* ---- maitre.c */

/* True in the process that made the handle. */
bool client_alive (const struct maitre *client);
/* Fills *error; status is returned. reason and message are cut to fit. */
enum status client_error (struct maitre_error *error, enum status status, const char *reason, const char *format, ...)
    __attribute__ ((format (printf, 4, 5)));
uint64_t client_now_us (void); /* monotonic */
uint64_t client_wall_ms (void);
uint64_t client_random (struct maitre *client);
/* At least size bytes at client->scratch; what was there is lost. NULL: no memory. */
uint8_t *client_scratch (struct maitre *client, size_t size);

/* ---- client_node.c */

enum status client_node_open (struct maitre *client, struct client_node *node) WARN_UNUSED;
void client_node_close (struct client_node *node);
/* Opens it again, or says when to try again. */
void client_node_renew (struct maitre *client, struct client_node *node, uint64_t now_us);
/* Sends one attempt of the call. UNAVAILABLE: the node takes nothing now. */
enum status client_node_send (
    struct maitre *client, struct client_node *node, struct call *call, uint64_t now_us) WARN_UNUSED;
/* Sends what client_node_send gathered. */
void client_node_flush (struct client_node *node);
/* Receives up to `max` messages; true when there may be more. */
bool client_node_receive (struct maitre *client, struct client_node *node, uint32_t max, uint64_t now_us);
/* Takes in what the monitor saw: connections made and broken. */
void client_node_listen (struct maitre *client, struct client_node *node, uint64_t now_us);
/* True when the socket has something to receive right now. */
bool client_node_readable (struct client_node *node);

/* ---- client_map.c */

/* The shard of a call, or UINT32_MAX when the map is not known or the call has none. */
uint32_t client_map_shard (const struct maitre *client, const struct call *call);
/* The node to ask next, or NULL when none is up. */
struct client_node *client_map_choose (struct maitre *client, const struct call *call);
/* Notes that the node leads the shard; true when that is news. */
bool client_map_hint (struct maitre *client, uint32_t shard, uint32_t node_index);
/* Index of the node with that endpoint, UINT32_MAX: none. */
uint32_t client_map_endpoint (const struct maitre *client, struct bytes endpoint);
/* Asks for the ring when it is time to. */
void client_map_tick (struct maitre *client, uint64_t now_us);
/* A reply carried this epoch. */
void client_map_epoch (struct maitre *client, uint64_t epoch, uint64_t now_us);

/* ---- client_call.c */

/* What client_call_start needs; the body is copied. */
struct call_start {
    const struct method *method; /* NULL: name is of a method this library does not know */
    const char *name;
    struct bytes body;
    const struct maitre_call_options *options; /* may be NULL */
    bool has_request_id;
    struct id request_id;
    bool own;
    maitre_reply_fn *answer;
    void *user;
};
enum status client_call_start (struct maitre *client, const struct call_start *start, uint64_t *number) WARN_UNUSED;
/* A fresh request id for that placement hash. */
struct id client_call_request_id (struct maitre *client, uint32_t hash);
uint64_t client_call_number (const struct call *call);
struct call *client_call_find (const struct maitre *client, uint32_t slot, uint32_t generation);
/* Moves the call into a list (a node's calls or client->waiting). */
void client_call_move (struct call *call, struct call **list);
/* Frees the slot, then calls back. reply->request_id and the counters are filled in here. */
void client_call_finish (struct maitre *client, struct call *call, struct maitre_reply *reply, uint64_t now_us);
/* The same without an answer from a node. */
void client_call_fail (struct maitre *client, struct call *call, enum status status, const char *reason,
    const char *message, uint64_t now_us);
/* Asserts the invariants. */
void client_check (const struct maitre *client);

/* ---- client_retry.c */

/* Sends a waiting call to the best node, or leaves it waiting. */
void client_retry_send (struct maitre *client, struct call *call, uint64_t now_us);
/* The time of the call has come: deadline, attempt timeout, or end of a pause. */
void client_retry_wake (struct maitre *client, struct call *call, uint64_t now_us);
/* The node answered that it cannot now. */
void client_retry_refused (
    struct maitre *client, struct call *call, const struct reply_header *header, uint64_t now_us);
/* The connection of everything in node->calls broke. */
void client_retry_lost (struct maitre *client, struct client_node *node, uint64_t now_us);
/* A node came up: whatever waits goes out. */
void client_retry_waiting (struct maitre *client, uint64_t now_us);
/* The shard has a leader: its calls need not pause any longer. */
void client_retry_led (struct maitre *client, uint32_t shard, uint64_t now_us);

/* ---- client_answer.c */

/* One reply from a node; both frames are borrowed. False: garbage, or `more` follows in its message although it does not say
 * many; it was dropped. */
bool client_answer (struct maitre *client, struct client_node *node, struct bytes header, struct bytes body, bool more,
    uint64_t now_us);

/* ---- client_timer.c */

void client_timer_set (struct maitre *client, struct call *call, uint64_t wake_us); /* adds or moves */
void client_timer_remove (struct maitre *client, struct call *call);
uint64_t client_timer_next (const struct maitre *client); /* UINT64_MAX: none */

/* ---- client_loop.c */

enum status client_loop_open (struct maitre *client) WARN_UNUSED;
void client_loop_close (struct maitre *client);
enum status client_loop_watch (struct maitre *client, struct client_node *node) WARN_UNUSED;
void client_loop_unwatch (struct maitre *client, struct client_node *node); /* before it is closed */
/* After a change outside of maitre_process: keeps the user's descriptor honest. */
void client_loop_touched (struct maitre *client);

/* ---- client_trace.c */

void client_trace_add (struct maitre *client, const struct call *call, const struct maitre_reply *reply);

/* ---- client_invoke.c */

/* A blocking call of a known method with its decoded request. *reply (may be NULL) is the caller's on any answer.
 * With `value` not NULL an OK body is decoded into it; it borrows from *reply and client->scratch. */
enum maitre_status client_invoke (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, struct maitre_reply **reply, void *value) WARN_UNUSED;
/* The non-blocking half of it. */
enum maitre_status client_invoke_start (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user, uint64_t *number) WARN_UNUSED;
/* NUL-terminated copy, cut to fit. */
void client_text (char *out, size_t size, struct bytes text);

static inline struct id client_id_in (const struct maitre_id *id)
{
    struct id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}

static inline struct maitre_id client_id_out (const struct id *id)
{
    struct maitre_id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}

#endif
