/* What the services of a shard share: one call as its handler sees it, and the few things every handler does.
 *
 * Room: node/services, pure; internal to the room. Ownership: everything in a call is borrowed; what the helpers return
 * lives in the call's arena, which is large enough by the contract of services_apply and services_read: helpers never
 * return NULL. Thread safety: none, one shard is stepped by one thread at a time.
 *
 * How to write a service
 *   - Its header declares the handlers; dispatch.c has one line per method that names them.
 *   - An apply handler checks everything, then puts (invariant 2 of services.h), then answers by exactly one of
 *     service_refuse and service_reply_ok. The frame has already done what all commands share: request id, record, log
 *     time. A read handler is the same without puts.
 *   - Stock is moved through counter.h alone.
 *   - A stored value that does not read, or a counter that would go below zero, is damage: service_damage, then return.
 *     The frame then halts the shard (P9); nothing the handler did after that matters.
 */
#ifndef MAITRED_NODE_SERVICES_SERVICE_H
#define MAITRED_NODE_SERVICES_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "node/services/keys.h"
#include "node/services/services.h"
#include "node/services/state.h"
#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/runtime/planted.h"

struct service_meta; /* sessions.h */

struct service_call {
    const struct services_config *config;
    struct state *state;
    struct arena *arena;
    struct services_reply *reply;
    const struct method *method;
    struct principal principal;
    struct id request_id;      /* zero in a read */
    uint64_t time_ms;          /* log time of the entry; in a read as services_read got it */
    uint64_t index;            /* of the entry; 0 in a read */
    const void *request;       /* decoded, of method->request */
    struct bytes body;         /* what request was decoded from */
    struct bytes prepared;     /* log-entry.prepared, else empty */
    struct service_meta *meta; /* the frame's; NULL in a read */
    bool damaged;              /* see service_damage */
    bool answered;
};

typedef void service_apply (struct service_call *call);

/* Leader only, before the proposal. prepare starts as SERVICES_PREPARE_NONE and *logged_body as the body; answering the
 * call (service_refuse, service_reply_ok) makes it SERVICES_PREPARE_DONE. */
typedef void service_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body);

/* For a write whose caller proves in the call itself who it is (a login): asked in apply before the record, so that knowing
 * a request id replays nothing to a stranger, and prepare is always asked. False after refusing, which is not recorded. */
typedef bool service_guard (struct service_call *call);

/* A write has apply and maybe prepare; a read has read. The table is in dispatch.c, indexed by method number. */
struct service_method {
    service_apply *apply;
    service_apply *read;
    service_prepare *prepare;
    service_guard *guard;
    bool anonymous; /* may be called without a principal */
};

/* The handlers of a method, or NULL when the services do not know it. */
const struct service_method *dispatch_find (uint64_t number);

/* ---- answers */

/* Refuses the call. reason and message: static text, or in the arena; message ends with what to do next. refusal may be
 * NULL. Precondition: status is not OK, the call has no answer yet. */
void service_refuse (struct service_call *call, enum status status, const char *reason, const char *message,
    const struct refusal *refusal);

/* service_refuse that names the field to blame ("items[2].offer"). */
void service_refuse_field (
    struct service_call *call, enum status status, const char *reason, const char *message, const char *field);

/* Answers with *value. A value outside the bounds of its type is a bug. */
void service_reply_ok (struct service_call *call, const struct codec_type *type, const void *value);

/* ---- state */

/* Copies the value of `key` into the arena and decodes it. False when there is none, or when it is damaged (then
 * call->damaged is set as well). */
bool service_load (struct service_call *call, const struct key *key, const struct codec_type *type, void *value);

/* Decodes a value that a scan handed out, as service_load does. */
bool service_read_value (struct service_call *call, struct bytes stored, const struct codec_type *type, void *value);

/* Puts the deterministic encoding of *value. A value outside the bounds of its type is a bug. */
void service_store (struct service_call *call, const struct key *key, const struct codec_type *type, const void *value);

/* An index row: a key without a value. */
void service_mark (struct service_call *call, const struct key *key);
void service_remove (struct service_call *call, const struct key *key);
bool service_exists (struct service_call *call, const struct key *key);

/* Says that stored data contradicts itself. */
void service_damage (struct service_call *call);

/* ---- memory: never NULL, not zeroed (service_alloc) or zeroed (service_zero) */
void *service_alloc (struct service_call *call, size_t size);
void *service_zero (struct service_call *call, size_t size);
struct bytes service_copy (struct service_call *call, struct bytes bytes);

/* Deterministic encoding in the arena. A value outside the bounds of its type is a bug. */
struct bytes service_encode (struct service_call *call, const struct codec_type *type, const void *value);

/* printf-free text: joins up to six parts (NULL ends them early) in the arena, cut at 400 bytes. */
const char *service_text (struct service_call *call, const char *a, const char *b, const char *c, const char *d,
    const char *e, const char *f);

/* ---- who may */

/* Operator or admin. */
bool service_is_operator (const struct service_call *call);

/* Staff, operator, admin or any API key: may name a customer other than the caller. */
bool service_acts_for_others (const struct service_call *call);

/* True when the caller is the owner of the stored provider, or an operator. False too when there is no such provider. */
bool service_owns_provider (struct service_call *call, const struct id *provider);

/* True when the id's placement hash routes to this shard. */
bool service_is_local (const struct service_call *call, const struct id *id);

/* ---- pages of a list, see page.c: opaque token bound to the method, the caller and all arguments but page_size and
 * page_token. */
struct service_page {
    size_t limit;        /* rows at most, 1..1000 */
    struct bytes cursor; /* where the last page ended: the key bytes given to service_page_token; empty at the start */
    uint64_t fingerprint;
    size_t bytes_left; /* of encoded rows; service_page_room */
};

#define SERVICE_PAGE_ROWS_DEFAULT 100
#define SERVICE_PAGE_BYTES_MAX (192 * 1024)
#define SERVICE_PAGE_SCANNED_MAX 5000 /* rows looked at for one page; filters may leave it short, never endless */
#define SERVICE_PAGE_CURSOR_MAX 96

/* Reads page_size and page_token of the request. False after refusing with INVALID_PAGE_TOKEN. */
bool service_page_open (struct service_call *call, struct service_page *page);

/* Accounts for a row of that many stored bytes; false when the page is full (the row then belongs to the next one). */
bool service_page_room (struct service_page *page, size_t rows, size_t row_bytes);

/* The token that goes on after `cursor` (at most SERVICE_PAGE_CURSOR_MAX bytes). */
struct bytes service_page_token (struct service_call *call, const struct service_page *page, struct bytes cursor);

/* One row of a list: takes it (appending to what `argument` collects) or leaves it out. FULL: it belongs to the next
 * page. What the visitor allocates for a row that it leaves out is taken back. It may get, never put. */
enum service_row { SERVICE_ROW_TAKEN, SERVICE_ROW_SKIPPED, SERVICE_ROW_FULL };
typedef enum service_row service_row_visit (struct service_call *call, void *argument, const struct id *id);

/* Walks the rows whose keys are `prefix` and one more id, from the page's cursor on, until the visitor is full, the prefix
 * ends or SERVICE_PAGE_SCANNED_MAX rows have been looked at. Returns the token of the next page, empty at the end. Reversed:
 * newest ids first. */
struct bytes service_list (struct service_call *call, const struct service_page *page, const struct key *prefix,
    bool reverse, service_row_visit *visit, void *argument);

#endif
