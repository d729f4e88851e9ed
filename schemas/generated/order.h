/* Made by maitred_codegen from schemas/order.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_ORDER_H
#define MAITRED_SCHEMAS_GENERATED_ORDER_H

#include "schemas/runtime/codec.h"


enum order_state {
    ORDER_STATE_PLACED = 1,
    ORDER_STATE_ACCEPTED = 2,
    ORDER_STATE_DECLINED = 3,
    ORDER_STATE_CANCELLED = 4,
    ORDER_STATE_EXPIRED = 5,
    ORDER_STATE_PREPARING = 6,
    ORDER_STATE_READY = 7,
    ORDER_STATE_IN_TRANSIT = 8,
    ORDER_STATE_COLLECTED = 9,
    ORDER_STATE_DELIVERED = 10,
    ORDER_STATE_FAILED = 11,
    ORDER_STATE_RETURNED = 12,
};
extern const struct codec_enum order_state_enum;

enum order_event_kind {
    ORDER_EVENT_KIND_ACCEPT = 1,
    ORDER_EVENT_KIND_DECLINE = 2,
    ORDER_EVENT_KIND_CANCEL = 3,
    ORDER_EVENT_KIND_PREPARE = 4,
    ORDER_EVENT_KIND_READY = 5,
    ORDER_EVENT_KIND_PICK_UP = 6,
    ORDER_EVENT_KIND_COLLECT = 7,
    ORDER_EVENT_KIND_DELIVER = 8,
    ORDER_EVENT_KIND_FAIL = 9,
    ORDER_EVENT_KIND_RETURN = 10,
    ORDER_EVENT_KIND_CLAIM = 11,
};
extern const struct codec_enum order_event_kind_enum;

struct order_line {
    struct id offer;
    uint64_t quantity;
    bool has_bucket;
    uint64_t bucket; /* default: the offer's first bucket */
    bool has_unit_price_minor;
    uint64_t unit_price_minor; /* what the customer was shown; another present price refuses (PRICE_CHANGED) */
};
#define ORDER_LINE_ENCODED_MAX 41
#define ORDER_LINE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_line_type;

struct order_history {
    uint64_t at_ms;
    uint64_t state; /* enum order_state */
    struct id actor;
    bool has_note;
    struct bytes note;
};
#define ORDER_HISTORY_ENCODED_MAX 234
#define ORDER_HISTORY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_history_type;

struct order {
    struct id order;
    struct id provider;
    uint64_t state; /* enum order_state */
    struct id customer;
    struct order_line *lines; /* 1..64; with the prices that were charged */
    size_t lines_count;
    uint64_t total_minor;
    struct bytes currency;
    uint64_t version;
    uint64_t created_ms;
    bool has_courier;
    struct id courier;
    bool has_address;
    struct bytes address;
    bool has_note;
    struct bytes note;
    struct id actor;
    struct order_history *history; /* 0..24 */
    size_t history_count;
    bool has_accept_by_ms;
    uint64_t accept_by_ms; /* log time at which it expires unless accepted; absent: never */
    bool keeps_stock; /* false once its units went back to the counters */
};
#define ORDER_LINES_COUNT_MAX 64
#define ORDER_HISTORY_COUNT_MAX 24
#define ORDER_ENCODED_MAX 9194
#define ORDER_ARENA_MAX (UINT64_C (0) \
    + 64 * sizeof (struct order_line) + ARENA_ALIGNMENT \
    + 24 * sizeof (struct order_history) + ARENA_ALIGNMENT)
extern const struct codec_type order_type;

struct order_place_request {
    struct id order; /* made by the client; its hash is the provider's */
    struct id provider;
    struct order_line *lines; /* 1..64 */
    size_t lines_count;
    bool has_customer;
    struct id customer;
    bool has_address;
    struct bytes address;
    bool has_note;
    struct bytes note;
};
#define ORDER_PLACE_REQUEST_LINES_COUNT_MAX 64
#define ORDER_PLACE_REQUEST_ENCODED_MAX 3490
#define ORDER_PLACE_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 64 * sizeof (struct order_line) + ARENA_ALIGNMENT)
extern const struct codec_type order_place_request_type;

struct order_quote_request {
    struct id provider;
    struct order_line *lines; /* 1..64 */
    size_t lines_count;
};
#define ORDER_QUOTE_REQUEST_LINES_COUNT_MAX 64
#define ORDER_QUOTE_REQUEST_ENCODED_MAX 2646
#define ORDER_QUOTE_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 64 * sizeof (struct order_line) + ARENA_ALIGNMENT)
extern const struct codec_type order_quote_request_type;

struct order_quote_line {
    struct id offer;
    uint64_t quantity;
    uint64_t unit_price_minor;
    uint64_t line_minor;
    uint64_t available;
    bool orderable;
};
#define ORDER_QUOTE_LINE_ENCODED_MAX 53
#define ORDER_QUOTE_LINE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_quote_line_type;

struct order_quote_reply {
    struct order_quote_line *lines; /* 1..64 */
    size_t lines_count;
    uint64_t total_minor;
    struct bytes currency;
    bool orderable;
};
#define ORDER_QUOTE_REPLY_LINES_COUNT_MAX 64
#define ORDER_QUOTE_REPLY_ENCODED_MAX 3413
#define ORDER_QUOTE_REPLY_ARENA_MAX (UINT64_C (0) \
    + 64 * sizeof (struct order_quote_line) + ARENA_ALIGNMENT)
extern const struct codec_type order_quote_reply_type;

struct order_reply {
    struct id order;
    uint64_t state; /* enum order_state */
    uint64_t version;
    bool has_total_minor;
    uint64_t total_minor;
    bool has_currency;
    struct bytes currency;
};
#define ORDER_REPLY_ENCODED_MAX 46
#define ORDER_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_reply_type;

struct order_advance_request {
    struct id order;
    uint64_t event; /* enum order_event_kind */
    bool has_note;
    struct bytes note;
    bool has_version;
    uint64_t version; /* refuse (ABORTED) unless this is the present version */
};
#define ORDER_ADVANCE_REQUEST_ENCODED_MAX 234
#define ORDER_ADVANCE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_advance_request_type;

struct order_get_request {
    struct id order;
};
#define ORDER_GET_REQUEST_ENCODED_MAX 19
#define ORDER_GET_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_get_request_type;

struct order_get_reply {
    struct order order;
};
#define ORDER_GET_REPLY_ENCODED_MAX 9196
#define ORDER_GET_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1 * ORDER_ARENA_MAX)
extern const struct codec_type order_get_reply_type;

struct order_list_request {
    bool has_customer;
    struct id customer; /* default: the caller */
    bool has_provider;
    struct id provider;
    bool has_courier;
    struct id courier;
    bool has_state;
    uint64_t state; /* enum order_state */
    bool has_page_size;
    uint64_t page_size;
    bool has_page_token;
    struct bytes page_token;
};
#define ORDER_LIST_REQUEST_ENCODED_MAX 665
#define ORDER_LIST_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type order_list_request_type;

struct order_list_reply {
    struct order *orders; /* 0..1000 */
    size_t orders_count;
    bool has_page_token;
    struct bytes page_token;
};
#define ORDER_LIST_REPLY_ORDERS_COUNT_MAX 1000
#define ORDER_LIST_REPLY_ENCODED_MAX 9194609
#define ORDER_LIST_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1000 * sizeof (struct order) + ARENA_ALIGNMENT \
    + 1000 * ORDER_ARENA_MAX)
extern const struct codec_type order_list_reply_type;

#endif
