/* Histories of chaos runs: one JSON object a line, written by chaos_load, read by chaos_check and by checkers of others.
 *
 * Room: test/chaos. The format is described in test/README.md. Ownership: a `struct history` owns everything it points to.
 * Thread safety: a writer may be shared by threads, a history by readers.
 *
 * Invariants
 *   1. A line is written by one write (): a killed loader loses at most its last line, and that one has no newline.
 *   2. Times never go back from line to line of one writer.
 *   3. Every operation has one invoke, and at most one of ok, fail and unknown after it. A client has one operation at a time.
 */
#ifndef MAITRED_TEST_CHAOS_HISTORY_H
#define MAITRED_TEST_CHAOS_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "schemas/runtime/bytes.h"

#define HISTORY_VERSION 1
#define HISTORY_LINE_MAX 65536
#define HISTORY_NEVER UINT64_MAX
#define HISTORY_NONE UINT32_MAX
#define HISTORY_ITEMS_MAX 16

enum history_f {
    HISTORY_BOOK,    /* reserve.Create: id res mode cust items [note] */
    HISTORY_CONFIRM, /* id res */
    HISTORY_RELEASE, /* id res */
    HISTORY_CANCEL,  /* id res */
    HISTORY_MOVE,    /* id res items */
    HISTORY_READ,    /* reserve.Get res, or order.Get order */
    HISTORY_CHECK,   /* avail.Check items */
    HISTORY_LIST,    /* reserve.List cust */
    HISTORY_ORDER,   /* order.Place: id order cust items */
    HISTORY_ADVANCE, /* id order event [expect] */
    HISTORY_STOCK,   /* catalog.AdjustCapacity of one bucket: id items capacity */
    HISTORY_OUTCOME, /* call.Outcome: id of */
    HISTORY_F_COUNT
};

enum history_end {
    HISTORY_OK,
    HISTORY_REFUSED, /* decided by the cluster: an answer that binds as much as an ok */
    HISTORY_FAILED,  /* not applied, and says nothing about the state */
    HISTORY_UNKNOWN  /* may have taken effect, or may yet */
};

/* What an answer says, packed so that two of them compare at once: code | a | b. */
enum history_code {
    CODE_NONE,
    CODE_OK,              /* a: state, b: version */
    CODE_SOLD_OUT,        /* a: bucket, b: available */
    CODE_USER_LIMIT,      /* b: available */
    CODE_OUT_OF_RANGE,    /* a: bucket */
    CODE_EXISTS,          /* a: state, b: version */
    CODE_NOT_FOUND,       /* no such reservation, order */
    CODE_STATE,           /* the state forbids it. a: state, b: version */
    CODE_STALE,           /* ABORTED / STALE_VERSION. a: state, b: version */
    CODE_BELOW_COMMITTED, /* a capacity below what is taken */
    CODE_KEY_REUSED,      /* the request id was used with another body */
    CODE_FENCED,          /* the request id was given up */
    CODE_STRANGE          /* decided, but not for any reason that the model knows: matches nothing */
};

#define HISTORY_RESULT(code, a, b)                                                                                     \
    ((uint64_t) (code) << 56 | ((uint64_t) (a) &0xffff) << 40 | ((uint64_t) (b) &0xffffffffff))
#define HISTORY_MASK_CODE (UINT64_C (0xff) << 56)
#define HISTORY_MASK_A (UINT64_C (0xffff) << 40)
#define HISTORY_MASK_B UINT64_C (0xffffffffff)

static inline enum history_code history_code (uint64_t result)
{
    return (enum history_code) (result >> 56);
}

struct history_item {
    uint32_t offer; /* index */
    uint32_t first, count, quantity;
};
struct history_row {
    uint32_t entity;     /* of a list */
    uint64_t a, b, c, d; /* check: total, held, confirmed; list: state, version; read: nothing */
};

struct history_op {
    uint64_t number, line, end_line; /* end_line 0: there is none */
    uint64_t begin_ns, end_ns;       /* HISTORY_NEVER: unknown */
    uint32_t client;
    uint8_t f;
    uint8_t end;
    uint8_t mode;  /* book: 1 hold, 2 book */
    uint8_t event; /* advance */
    bool final;
    bool of_order;     /* read: an order */
    bool has_replayed; /* ok and refused writes */
    bool replayed;
    bool applied; /* outcome: applied (result is the asked call's), else fenced */
    uint32_t entity, customer;
    uint32_t id, of;               /* request ids */
    uint32_t items, items_count;   /* where in history.items */
    uint32_t basket;               /* the same list of items has the same number */
    uint32_t expect;               /* advance: the version, 0: any */
    uint32_t capacity;             /* stock */
    uint32_t body;                 /* equal bodies of writes have equal numbers */
    uint64_t result, mask;         /* the answer, and which of its bits it gave */
    uint32_t rows, rows_count;     /* check, list */
    uint32_t seen_basket, seen_by; /* read: the items and the customer that were read */
};

struct history_offer {
    uint32_t first, last, capacity, limit, version;
    bool known;
    char id[33], provider[33]; /* as the history has them, "" without */
};

/* A table from texts to 0, 1, 2, ... */
struct history_names {
    char **texts;
    uint32_t count, room;
    uint32_t *slots;
    uint32_t slots_count;
};

struct history {
    struct history_op *ops; /* in order of invocation */
    size_t ops_count, ops_room;
    struct history_item *items;
    size_t items_count, items_room;
    uint32_t *basket_at; /* by basket: where its items begin */
    size_t basket_room;
    uint32_t *id_first; /* by request id: index + 1 of its first operation */
    size_t id_first_count, id_first_room;
    struct history_row *rows;
    size_t rows_count, rows_room;
    struct history_offer *offers;
    char (*customer_ids)[33]; /* by customer; "" without */
    size_t customer_ids_count, customer_ids_room;
    struct history_names offer_names, customers, entities, ids, baskets, bodies;
    uint64_t lines, seed, began_ms;
    bool torn;  /* the last line had no end and was left out */
    bool final; /* the final reads are there, to the last */
    bool begun; /* the run line is there */
    char error[200];
    uint64_t error_line;
};

/* Reads a file; "-" is standard input. False: history->error and error_line say why, and the history is to be closed all the
 * same. */
bool history_read (struct history *history, const char *path);
bool history_read_text (struct history *history, struct bytes text);
void history_close (struct history *history);

const char *history_f_name (enum history_f f);
/* "cancel"; event numbers are those of order.Advance. NULL when there is none. */
const char *history_event_name (unsigned event);
/* "confirmed"; states of reservations, or of orders. NULL when there is none. */
const char *history_state_name (bool of_order, unsigned state);
const char *history_reason (uint64_t result);

static inline bool history_is_write (enum history_f f)
{
    return f != HISTORY_READ && f != HISTORY_CHECK && f != HISTORY_LIST;
}

/* ---- names: history_names.c */

uint32_t history_name (struct history_names *names, struct bytes text);            /* makes it when there is none */
uint32_t history_name_find (const struct history_names *names, struct bytes text); /* HISTORY_NONE: none */
void history_names_close (struct history_names *names);

/* ---- JSON: history_json.c */

#define JSON_FIELDS_MAX 48

enum json_kind { JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_ARRAY, JSON_OBJECT };

struct json_field {
    struct bytes key;
    enum json_kind kind;
    struct bytes text; /* of a string what is between the quotes, else all of it */
};
struct json_line {
    struct json_field fields[JSON_FIELDS_MAX];
    size_t count;
};

/* One object, nothing after it. The texts are borrowed; escapes in them stay as they stand. NULL, or what is wrong. */
const char *json_read (struct bytes text, struct json_line *line);
const struct json_field *json_find (const struct json_line *line, const char *key);
/* A number that is a non-negative integer of at most 2^63. */
bool json_u64 (const struct json_field *field, uint64_t *value);

/* The elements of an array one after another: *cursor starts as the array's text. False at its end. */
struct json_cursor {
    struct bytes rest;
    bool started;
};
void json_open (struct json_cursor *cursor, struct bytes array);
bool json_next (struct json_cursor *cursor, struct json_field *element);

/* ---- writing: history_write.c */

struct history_writer {
    int fd;
    pthread_mutex_t lock;
    uint64_t last_ns;
    bool broken; /* a write failed: the run is worth nothing */
};
struct history_text { /* a line in the making */
    char text[HISTORY_LINE_MAX];
    size_t len;
};

uint64_t history_now_ns (void);
/* Opens for appending; what follows the last newline of an existing file is cut off. False: errno says why. */
bool history_writer_open (struct history_writer *writer, const char *path, bool append);
void history_writer_close (struct history_writer *writer);

/* The members after "t": the caller's text is `"c":3,"op":7,...` without braces. Returns the time that the line got. */
uint64_t history_write (struct history_writer *writer, const struct history_text *line);

void history_text_clear (struct history_text *line);
/* Appends `,"key":` (no comma at the start) and the value. */
void history_put_text (struct history_text *line, const char *key, const char *value);
void history_put_u64 (struct history_text *line, const char *key, uint64_t value);
void history_put_bool (struct history_text *line, const char *key, bool value);
void history_put_raw (struct history_text *line, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

#endif
