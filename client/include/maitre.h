/* libmaitre: the client library of maitred, a booking and order cluster. For C (C99 and later) and C++.
 *
 * Room: client; this is the one header that is installed. Links with libzmq and libcbor only.
 *
 * The short way: maitre_new, then the typed blocking functions (maitre_put_offer, maitre_reserve_create, ...); each
 * returns a status, and maitre_error () tells the rest about the last one that failed. The long way: maitre_call takes
 * the name of any method of schemas/ and its request as CBOR; maitre_start, maitre_process and maitre_fd do the same
 * without blocking, for event loops.
 *
 * Ownership. Everything passed in is copied before the function returns. What a callback or maitre_error () shows is
 * borrowed, and its lifetime stands there. Only maitre_new and maitre_call give something to destroy.
 *
 * Threads. One handle, one thread at a time; different handles share nothing. A handle has a private ZeroMQ context
 * with one IO thread, which blocks every signal. The library installs no signal handler, starts no other thread, writes
 * to no descriptor that it was not given, and calls back only from inside the caller's own calls.
 *
 * Fork. A handle must not be used in the child of a fork: every function then refuses (FAILED_PRECONDITION), and
 * maitre_destroy frees what can be freed there and leaves the parent's connections alone.
 *
 * Exactly once. Every write carries a request id. The library sends a write again under the same id when a node says
 * UNAVAILABLE, when a connection breaks and when an attempt gets no answer, until the deadline. So a write has at most
 * one effect, and its outcome is known unless the error says `maybe_applied`: then send it again with the same request
 * id and the same body (it is in the error), or ask maitre_call_outcome.
 *
 * Numbered promises, each with a test in test/unit/io/test_client*.c
 *  1. Every started call is answered exactly once: by its callback, at the latest inside maitre_destroy.
 *  2. No call outlives its deadline by more than the time between two calls of maitre_process.
 *  3. At most `outstanding_max` calls are under way; one more is refused (RESOURCE_EXHAUSTED) and sends nothing.
 *  4. maitre_fd is readable as long as maitre_process has something to do (level-triggered).
 *  5. No bytes from a node crash the caller: what is no answer is dropped, and the call goes on.
 */
#ifndef MAITRE_H
#define MAITRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAITRE_VERSION_MAJOR 0
#define MAITRE_VERSION_MINOR 1
#define MAITRE_VERSION_PATCH 0

#define MAITRE_API __attribute__ ((visibility ("default")))
#define MAITRE_WARN_UNUSED __attribute__ ((warn_unused_result))

/* ---- plain values */

/* gRPC's codes, same numbers. */
enum maitre_status {
    MAITRE_OK = 0,
    MAITRE_CANCELLED = 1,
    MAITRE_UNKNOWN = 2,
    MAITRE_INVALID_ARGUMENT = 3,
    MAITRE_DEADLINE_EXCEEDED = 4, /* send the same request id again, or ask for the outcome */
    MAITRE_NOT_FOUND = 5,
    MAITRE_ALREADY_EXISTS = 6,
    MAITRE_PERMISSION_DENIED = 7,
    MAITRE_RESOURCE_EXHAUSTED = 8,  /* slow down: see retry_after_ms */
    MAITRE_FAILED_PRECONDITION = 9, /* a refusal: do not retry as is */
    MAITRE_ABORTED = 10,            /* re-read and try again */
    MAITRE_OUT_OF_RANGE = 11,
    MAITRE_UNIMPLEMENTED = 12,
    MAITRE_INTERNAL = 13,
    MAITRE_UNAVAILABLE = 14,
    MAITRE_DATA_LOSS = 15,
    MAITRE_UNAUTHENTICATED = 16
};

/* "RESOURCE_EXHAUSTED", static storage; "INVALID_STATUS" outside the range. */
MAITRE_API const char *maitre_status_name (enum maitre_status status);

struct maitre_bytes {
    const void *data; /* may be NULL only when len is 0 */
    size_t len;
};

/* 48 bits of time in ms, 32 bits of placement hash, 48 random bits, big-endian. All zero: none. */
struct maitre_id {
    uint8_t b[16];
};

#define MAITRE_ID_TEXT_SIZE 33 /* 32 hexadecimal digits and a NUL */

/* Why a call was refused, as far as the node said. Only what its flag announces is set. */
struct maitre_refusal {
    bool has_offer, has_bucket, has_earliest_free, has_available, has_limit, has_state, has_version;
    char field[201]; /* which field of the request is to blame, or "" */
    struct maitre_id offer;
    uint32_t bucket;        /* the first bucket that could not be given */
    uint32_t earliest_free; /* the earliest one that could have been, for the same count and quantity */
    uint32_t available;
    uint32_t limit;
    uint64_t state; /* the present state of what was asked to change */
    uint64_t version;
};

struct maitre_error {
    enum maitre_status status;
    char reason[41];    /* a stable word such as "SOLD_OUT", or "" */
    char message[501];  /* for people; ends with what to do next */
    bool retryable;     /* the same request id may simply be sent again */
    bool maybe_applied; /* a write whose outcome is not known */
    uint32_t retry_after_ms;
    uint32_t attempts;
    struct maitre_id request_id; /* of the failed call; zero when it had none */
    struct maitre_refusal refusal;
};

/* ---- the handle */

struct maitre; /* a handle */

/* How to reach the cluster. Zero everything, set `size`, then what differs; maitre_options_init does the first two. */
struct maitre_options {
    size_t size;              /* sizeof (struct maitre_options) */
    const char *cluster_file; /* path of the client file; NULL: the environment's MAITRE_CLUSTER */
    const char *endpoints;    /* without a file, no CURVE: "tcp://h:p,tcp://h:p"; NULL: MAITRE_ENDPOINTS */
    const char *token;        /* API key or access token; NULL: MAITRE_TOKEN, or none */
    uint32_t deadline_ms;     /* of a call that names none; 0: 5000 */
    uint32_t attempt_ms; /* an attempt without an answer is repeated elsewhere after this, then twice this; 0: 500 */
    uint32_t backoff_ms; /* first pause between attempts, doubled up to backoff_max_ms, with jitter; 0: 2 */
    uint32_t backoff_max_ms;  /* 0: 50 */
    uint32_t outstanding_max; /* 0: 4096; at most 65536 */
};

static inline void maitre_options_init (struct maitre_options *options)
{
    memset (options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Makes a handle and begins to connect; it does not wait. options may be NULL (all from the environment). On OK the
 * caller destroys *client. error may be NULL; it is written on failure only.
 * INVALID_ARGUMENT: an option, a file or an endpoint is wrong (reason BAD_OPTIONS, BAD_CLUSTER_FILE, BAD_ENDPOINT).
 * NOT_FOUND: neither file nor endpoints are given, or the file cannot be read. RESOURCE_EXHAUSTED: no memory or
 * descriptors. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_new (
    const struct maitre_options *options, struct maitre **client, struct maitre_error *error);

/* Answers what is still under way with CANCELLED, closes everything, sets *client to NULL. NULL is fine. Not from
 * inside a callback. */
MAITRE_API void maitre_destroy (struct maitre **client);

/* Waits until a node answers and the map of the shards is known, so that the next calls go straight to their leaders.
 * Optional: calls work without. UNAVAILABLE when nobody answers in time. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_connect (struct maitre *client, uint32_t timeout_ms);

/* Replaces the token of the calls to come; NULL: none. INVALID_ARGUMENT: longer than 1024 bytes. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_set_token (struct maitre *client, const char *token);

/* The last failure of a blocking function of this handle: borrowed until the next call of the handle, never NULL. */
MAITRE_API const struct maitre_error *maitre_error (const struct maitre *client);

/* Nodes that the handle knows, and how many of them it is connected to now. */
MAITRE_API uint32_t maitre_nodes (const struct maitre *client, uint32_t *connected);

/* ---- any method, blocking or not */

struct maitre_call_options {
    size_t size;                 /* sizeof (struct maitre_call_options) */
    uint32_t deadline_ms;        /* 0: the handle's; at most 3600000 */
    uint32_t attempts_max;       /* 0: as many as the deadline allows */
    uint32_t node;               /* only this node of the client file (1 ..); 0: the shard's leader, or any */
    struct maitre_id request_id; /* zero: made here. Repeat a write with the id of its first try. */
};

static inline void maitre_call_options_init (struct maitre_call_options *options)
{
    memset (options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* An answer. reason and message are never NULL. */
struct maitre_reply {
    enum maitre_status status;
    const char *reason;
    const char *message;
    bool retryable;
    bool maybe_applied; /* a write whose outcome is not known */
    bool replayed;      /* the stored outcome of an earlier try */
    uint32_t retry_after_ms;
    uint32_t attempts;
    uint32_t node;       /* who answered; 0: nobody */
    uint32_t latency_us; /* from start to answer, all attempts; capped at UINT32_MAX */
    struct maitre_id request_id;
    struct maitre_bytes body; /* CBOR: the reply when OK, else the refusal (may be empty) */
    struct maitre_refusal refusal;
};

/* The answer to a started call. The reply is borrowed and ends with the callback. Inside, everything but
 * maitre_destroy, maitre_process and the blocking functions may be called. */
typedef void maitre_reply_fn (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user);

/* Starts a call of `method` ("reserve.Create") with the request `body` in CBOR. options may be NULL. *call (may be
 * NULL) is its number, never 0. A request id that is not given is made here from the body; the body must then be a
 * valid request of a method that this library knows. INVALID_ARGUMENT: no such request, body or option (maitre_error ()
 * says which). RESOURCE_EXHAUSTED: too many calls under way, or no memory. FAILED_PRECONDITION: in a forked child.
 * After a failure there is no callback. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_start (struct maitre *client, const char *method,
    struct maitre_bytes body, const struct maitre_call_options *options, maitre_reply_fn *answer, void *user,
    uint64_t *call);

/* Ends a call: its callback comes before this returns, with CANCELLED. What was sent may still be applied
 * (maybe_applied). NOT_FOUND: no such call is under way. */
MAITRE_API enum maitre_status maitre_cancel (struct maitre *client, uint64_t call);

/* Calls under way. */
MAITRE_API uint32_t maitre_outstanding (const struct maitre *client);

/* Sends, receives, retries, watches deadlines and calls back. Waits until a call was answered, at most timeout_ms (0:
 * does not wait; -1: as long as calls are under way). Returns the number of callbacks made, -1 in a forked child or
 * inside a callback. */
MAITRE_API int maitre_process (struct maitre *client, int timeout_ms);

/* One descriptor for poll, select or epoll (POLLIN): readable as long as maitre_process (client, 0) has something to
 * do, deadlines and retries included. An epoll descriptor that holds ZeroMQ's own (edge-triggered) ones, a timerfd and
 * an eventfd that is set while anything waits. It may be readable for nothing. Never read it, never close it. */
MAITRE_API int maitre_fd (const struct maitre *client);

/* maitre_start and maitre_process in one. Returns the status of the answer; other calls' callbacks may come meanwhile.
 * *reply (may be NULL) is the caller's to destroy, also after a refusal; NULL when the call could not be started. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_call (struct maitre *client, const char *method,
    struct maitre_bytes body, const struct maitre_call_options *options, struct maitre_reply **reply);
MAITRE_API void maitre_reply_destroy (struct maitre_reply **reply);

/* ---- flight recorder: the last 256 calls of a handle */

struct maitre_trace {
    char method[32];
    struct maitre_id request_id;
    uint64_t started_ms; /* since 1970 */
    uint32_t latency_us;
    uint32_t node; /* the last one asked */
    uint32_t attempts;
    enum maitre_status status;
    char reason[41];
};

/* Copies the newest `max` entries, oldest first; returns how many. */
MAITRE_API size_t maitre_trace (const struct maitre *client, struct maitre_trace *entries, size_t max);
/* Writes them as JSON, one object a line. */
MAITRE_API void maitre_trace_dump (const struct maitre *client, FILE *out);

/* ---- ids */

/* A new provider's id. Providers that name the same group (not NULL, not "") share a shard, so that one reservation can
 * take from both at once; name the same group in maitre_put_provider. */
MAITRE_API struct maitre_id maitre_id_provider (struct maitre *client, const char *group);
/* A new id placed with `parent`: an offer of a provider, a reservation of an offer, an order of a provider. */
MAITRE_API struct maitre_id maitre_id_beside (struct maitre *client, const struct maitre_id *parent);
/* A new id that is placed nowhere: a customer without an account, an API key. */
MAITRE_API struct maitre_id maitre_id_random (struct maitre *client);
/* The same id for the same name and time, placed with `parent` (or, when that is NULL, nowhere): for programs that must
 * repeat themselves after a crash. time_ms should be about the time of the first run. */
MAITRE_API struct maitre_id maitre_id_derive (uint64_t time_ms, const struct maitre_id *parent, const char *name);
/* The same for a provider. */
MAITRE_API struct maitre_id maitre_id_derive_provider (uint64_t time_ms, const char *group, const char *name);

MAITRE_API bool maitre_id_is_zero (const struct maitre_id *id);
MAITRE_API bool maitre_id_equal (const struct maitre_id *a, const struct maitre_id *b);
MAITRE_API void maitre_id_format (const struct maitre_id *id, char text[MAITRE_ID_TEXT_SIZE]);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_id_parse (const char *text, struct maitre_id *id);
/* The placement hash in an id; its shard is 1 + hash % (shards of the cluster). */
MAITRE_API uint32_t maitre_id_hash (const struct maitre_id *id);

/* ---- users
 * All functions from here to the end block, return the answer's status, and leave the details in maitre_error (). */

struct maitre_session {
    struct maitre_id user, session;
    uint32_t roles; /* customer 1, staff 2, courier 4, operator 8, admin 16 */
    uint64_t access_expires_ms, sequence;
    char login[65];
    char refresh_token[1025];         /* a secret, good for one maitre_refresh */
    struct maitre_id unknown_refresh; /* the library's: of a refresh that may have been applied */
};

/* *user (may be NULL) is the new principal. ALREADY_EXISTS: LOGIN_TAKEN. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_register (
    struct maitre *client, const char *login, const char *password, struct maitre_id *user);
/* On OK the handle uses the new access token from now on. UNAUTHENTICATED: BAD_CREDENTIALS. session may be NULL. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_login (
    struct maitre *client, const char *login, const char *password, struct maitre_session *session);

/* Exchanges the session's refresh token for new tokens, best before access_expires_ms: the handle uses the new access token,
 * *session holds the next refresh token. After an unknown outcome call it again with the same *session. UNAUTHENTICATED: the session has ended. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_refresh (struct maitre *client, struct maitre_session *session);
/* Ends the session: it can be refreshed no more. The handle keeps its access token until that expires. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_logout (
    struct maitre *client, const struct maitre_session *session);

/* ---- catalogue */

enum maitre_provider_kind {
    MAITRE_HOTEL = 1,
    MAITRE_RESTAURANT = 2,
    MAITRE_BAND = 3,
    MAITRE_SPORTS_CLUB = 4,
    MAITRE_CONFERENCE_HALL = 5,
    MAITRE_OTHER_PROVIDER = 15
};
enum maitre_offer_kind {
    MAITRE_ROOM = 1,
    MAITRE_DISH = 2,
    MAITRE_SPORT = 3,
    MAITRE_HALL = 4,
    MAITRE_BAND_SLOT = 5,
    MAITRE_TABLE = 6,
    MAITRE_SLOT = 7,
    MAITRE_SEAT = 8,
    MAITRE_QUOTA = 9,
    MAITRE_OTHER_OFFER = 15
};
enum maitre_bucket_kind {
    MAITRE_BUCKET_SLOT = 1,
    MAITRE_BUCKET_POOL = 2,
    MAITRE_BUCKET_NIGHT = 3,
    MAITRE_BUCKET_HOUR = 4
};

struct maitre_provider {
    struct maitre_id provider; /* from maitre_id_provider */
    enum maitre_provider_kind kind;
    const char *name;
    const char *description; /* NULL: none */
    const char *group;       /* as in maitre_id_provider; NULL: stands alone */
    uint64_t version;        /* that is replaced; 0: it must be new */
};
struct maitre_offer {
    struct maitre_id offer; /* from maitre_id_beside (client, &provider) */
    struct maitre_id provider;
    enum maitre_offer_kind kind;
    const char *name;
    const char *description;             /* NULL: none */
    uint64_t price_minor;                /* pence, cents: for one unit in one bucket */
    const char *currency;                /* ISO 4217 */
    enum maitre_bucket_kind bucket_kind; /* 0: slots */
    uint32_t first_bucket, last_bucket;  /* inclusive */
    uint32_t capacity;                   /* of every bucket */
    uint32_t customer_limit;             /* units one customer may hold or have; 0: no limit */
    uint64_t hold_ttl_ms;                /* 0: ten minutes */
    uint64_t version;                    /* that is replaced; 0: it must be new */
};

/* version may be NULL. ABORTED: STALE_VERSION. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_put_provider (
    struct maitre *client, const struct maitre_provider *provider, uint64_t *version);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_put_offer (
    struct maitre *client, const struct maitre_offer *offer, uint64_t *version);

/* The earliest `count` consecutive buckets at or after `first` in which all the offers (1 to 8, of one placement group)
 * have `quantity` units free; 0 stands for 1. *found false: there are none. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_find_common (struct maitre *client,
    const struct maitre_id *offers, size_t offers_count, uint32_t first, uint32_t count, uint32_t quantity, bool *found,
    uint32_t *bucket);

/* ---- reservations */

enum maitre_mode { MAITRE_HOLD = 1, MAITRE_BOOK = 2 };
enum maitre_reserve_state {
    MAITRE_HELD = 1,
    MAITRE_CONFIRMED = 2,
    MAITRE_RELEASED = 3,
    MAITRE_EXPIRED = 4,
    MAITRE_CANCELLED_RESERVATION = 5
};

#define MAITRE_ITEMS_MAX 16
#define MAITRE_NOTE_MAX 4096

struct maitre_item {
    struct maitre_id offer;
    uint32_t first;    /* bucket */
    uint32_t count;    /* consecutive buckets; 0: 1 */
    uint32_t quantity; /* units in each; 0: 1 */
};
struct maitre_reserve {
    struct maitre_id reservation; /* from maitre_id_beside (client, &items[0].offer); zero: made here */
    enum maitre_mode mode;
    const struct maitre_item *items;
    size_t items_count;          /* 1 to MAITRE_ITEMS_MAX, all or nothing */
    struct maitre_id customer;   /* zero: the caller */
    uint64_t hold_ttl_ms;        /* 0: the offer's */
    struct maitre_bytes note;    /* empty: none */
    struct maitre_id request_id; /* zero: made here */
};
struct maitre_reserved {
    struct maitre_id reservation;
    enum maitre_reserve_state state;
    uint64_t version;
    uint64_t total_minor;
    char currency[4];
    uint64_t hold_expires_ms; /* 0: no hold */
    uint64_t fee_minor;
    bool replayed;
};
struct maitre_reserve_event {
    uint64_t at_ms;
    enum maitre_reserve_state state;
    struct maitre_id actor;
};
struct maitre_reservation {
    struct maitre_id reservation, customer, actor;
    enum maitre_reserve_state state;
    uint64_t version, created_ms, total_minor, fee_minor, hold_expires_ms;
    char currency[4];
    size_t items_count, history_count, note_len;
    struct maitre_item items[MAITRE_ITEMS_MAX];
    struct maitre_reserve_event history[16];
    uint8_t note[MAITRE_NOTE_MAX];
};

/* FAILED_PRECONDITION: SOLD_OUT (see maitre_error ()->refusal.earliest_free), CLOSED, USER_LIMIT, ... `result` may be
 * NULL everywhere below. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_create (
    struct maitre *client, const struct maitre_reserve *request, struct maitre_reserved *result);
/* items NULL: the whole; otherwise a part, and the rest is released. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_confirm (struct maitre *client,
    const struct maitre_id *reservation, const struct maitre_item *items, size_t items_count,
    struct maitre_reserved *result);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_release (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reserved *result);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_cancel (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reserved *result);
/* On failure the old items are kept. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_move (struct maitre *client,
    const struct maitre_id *reservation, const struct maitre_item *items, size_t items_count,
    struct maitre_reserved *result);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_get (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reservation *result);

/* maitre_reserve_create without waiting: see maitre_start; decode the answer with maitre_reserve_result. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_create_start (struct maitre *client,
    const struct maitre_reserve *request, const struct maitre_call_options *options, maitre_reply_fn *answer,
    void *user, uint64_t *call);
/* Reads the body of an OK answer to one of the reserve writes. INTERNAL: it is none. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_reserve_result (
    const struct maitre_reply *reply, struct maitre_reserved *result);

/* ---- orders */

enum maitre_order_state {
    MAITRE_ORDER_PLACED = 1,
    MAITRE_ORDER_ACCEPTED = 2,
    MAITRE_ORDER_DECLINED = 3,
    MAITRE_ORDER_CANCELLED = 4,
    MAITRE_ORDER_EXPIRED = 5,
    MAITRE_ORDER_PREPARING = 6,
    MAITRE_ORDER_READY = 7,
    MAITRE_ORDER_IN_TRANSIT = 8,
    MAITRE_ORDER_COLLECTED = 9,
    MAITRE_ORDER_DELIVERED = 10,
    MAITRE_ORDER_FAILED = 11,
    MAITRE_ORDER_RETURNED = 12
};
enum maitre_order_event {
    MAITRE_ACCEPT = 1,
    MAITRE_DECLINE = 2,
    MAITRE_CANCEL = 3,
    MAITRE_PREPARE = 4,
    MAITRE_READY = 5,
    MAITRE_PICK_UP = 6,
    MAITRE_COLLECT = 7,
    MAITRE_DELIVER = 8,
    MAITRE_FAIL = 9,
    MAITRE_RETURN = 10,
    MAITRE_CLAIM = 11
};

#define MAITRE_LINES_MAX 64

struct maitre_line {
    struct maitre_id offer;
    uint32_t quantity;   /* 0: 1 */
    bool has_unit_price; /* refuse (PRICE_CHANGED) unless this is the present price */
    uint64_t unit_price_minor;
};
struct maitre_order_request {
    struct maitre_id order; /* from maitre_id_beside (client, &provider); zero: made here */
    struct maitre_id provider;
    const struct maitre_line *lines;
    size_t lines_count;          /* 1 to MAITRE_LINES_MAX, all or nothing */
    struct maitre_id customer;   /* zero: the caller */
    const char *address;         /* NULL: none */
    const char *note;            /* NULL: none */
    struct maitre_id request_id; /* zero: made here */
};
struct maitre_ordered {
    struct maitre_id order;
    enum maitre_order_state state;
    uint64_t version;
    uint64_t total_minor;
    char currency[4];
    bool replayed;
};
struct maitre_order_history {
    uint64_t at_ms;
    enum maitre_order_state state;
    struct maitre_id actor;
    char note[201];
};
struct maitre_order {
    struct maitre_id order, provider, customer, courier, actor;
    enum maitre_order_state state;
    uint64_t version, created_ms, total_minor;
    char currency[4];
    char address[301];
    char note[501];
    size_t lines_count, history_count;
    struct maitre_line lines[MAITRE_LINES_MAX];
    struct maitre_order_history history[24];
};

MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_order_place (
    struct maitre *client, const struct maitre_order_request *request, struct maitre_ordered *result);
/* version: refuse (ABORTED) unless this is the present one; 0: any. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_order_advance (struct maitre *client,
    const struct maitre_id *order, enum maitre_order_event event, uint64_t version, struct maitre_ordered *result);
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_order_get (
    struct maitre *client, const struct maitre_id *order, struct maitre_order *result);

/* ---- what became of a call, and how the cluster is */

enum maitre_outcome_state {
    MAITRE_OUTCOME_APPLIED = 1,
    MAITRE_OUTCOME_IN_FLIGHT = 2,
    MAITRE_OUTCOME_FENCED = 3, /* it was not applied, and can no longer be */
    MAITRE_OUTCOME_TOO_OLD = 4
};
struct maitre_outcome {
    enum maitre_outcome_state state;
    enum maitre_status status; /* what the call was answered, when applied */
    char reason[41];
};

/* Asks what became of the write with this request id, and fences it if it never arrived. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_call_outcome (
    struct maitre *client, const struct maitre_id *request_id, struct maitre_outcome *result);

struct maitre_cluster {
    struct maitre_id cluster;
    uint32_t node; /* who answered */
    char version[41];
    uint64_t epoch, uptime_ms;
    uint32_t shard_count, nodes, nodes_alive;
    uint32_t leaderless; /* shards without a known leader */
    bool healthy;
};
/* node 0: any. */
MAITRE_API MAITRE_WARN_UNUSED enum maitre_status maitre_cluster_status (
    struct maitre *client, uint32_t node, struct maitre_cluster *result);

#ifdef __cplusplus
}
#endif

#endif
