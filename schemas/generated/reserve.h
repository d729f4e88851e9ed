/* Made by maitred_codegen from schemas/reserve.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_RESERVE_H
#define MAITRED_SCHEMAS_GENERATED_RESERVE_H

#include "schemas/runtime/codec.h"


enum reserve_mode {
    RESERVE_MODE_HOLD = 1,
    RESERVE_MODE_BOOK = 2,
};
extern const struct codec_enum reserve_mode_enum;

enum reserve_state {
    RESERVE_STATE_HELD = 1,
    RESERVE_STATE_CONFIRMED = 2,
    RESERVE_STATE_RELEASED = 3,
    RESERVE_STATE_EXPIRED = 4,
    RESERVE_STATE_CANCELLED = 5,
};
extern const struct codec_enum reserve_state_enum;

struct reserve_item {
    struct id offer;
    uint64_t first;
    bool has_count;
    uint64_t count; /* consecutive buckets; default 1 */
    bool has_quantity;
    uint64_t quantity; /* units in each bucket; default 1 */
};
#define RESERVE_ITEM_ENCODED_MAX 35
#define RESERVE_ITEM_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_item_type;

struct reserve_event {
    uint64_t at_ms; /* log time */
    uint64_t state; /* enum reserve_state */
    struct id actor;
};
#define RESERVE_EVENT_ENCODED_MAX 31
#define RESERVE_EVENT_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_event_type;

struct reservation {
    struct id reservation;
    uint64_t state; /* enum reserve_state */
    struct id customer;
    struct reserve_item *items; /* 1..16 */
    size_t items_count;
    uint64_t total_minor;
    struct bytes currency;
    uint64_t version;
    uint64_t created_ms;
    bool has_hold_expires_ms;
    uint64_t hold_expires_ms;
    bool has_fee_minor;
    uint64_t fee_minor; /* charged for a late cancellation */
    bool has_note;
    struct bytes note;
    struct id actor; /* who made it */
    struct reserve_event *history; /* 0..16; the first event and the last fifteen */
    size_t history_count;
    uint64_t *prices_minor; /* 1..16; of a unit of each item, as they were when it was booked */
    size_t prices_minor_count;
};
#define RESERVATION_ITEMS_COUNT_MAX 16
#define RESERVATION_HISTORY_COUNT_MAX 16
#define RESERVATION_PRICES_MINOR_COUNT_MAX 16
#define RESERVATION_ENCODED_MAX 5418
#define RESERVATION_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct reserve_item) + ARENA_ALIGNMENT \
    + 16 * sizeof (struct reserve_event) + ARENA_ALIGNMENT \
    + 16 * sizeof (uint64_t) + ARENA_ALIGNMENT)
extern const struct codec_type reservation_type;

struct reserve_create_request {
    struct id reservation; /* made by the client; its hash is the first offer's */
    uint64_t mode; /* enum reserve_mode */
    struct reserve_item *items; /* 1..16 */
    size_t items_count;
    bool has_customer;
    struct id customer; /* default: the caller; staff, operators and API keys may name another */
    bool has_hold_ttl_ms;
    uint64_t hold_ttl_ms;
    bool has_note;
    struct bytes note;
};
#define RESERVE_CREATE_REQUEST_ITEMS_COUNT_MAX 16
#define RESERVE_CREATE_REQUEST_ENCODED_MAX 4707
#define RESERVE_CREATE_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct reserve_item) + ARENA_ALIGNMENT)
extern const struct codec_type reserve_create_request_type;

struct reserve_reply {
    struct id reservation;
    uint64_t state; /* enum reserve_state */
    uint64_t version;
    bool has_total_minor;
    uint64_t total_minor;
    bool has_currency;
    struct bytes currency;
    bool has_hold_expires_ms;
    uint64_t hold_expires_ms;
    bool has_fee_minor;
    uint64_t fee_minor;
};
#define RESERVE_REPLY_ENCODED_MAX 66
#define RESERVE_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_reply_type;

struct reserve_confirm_request {
    struct id reservation;
    bool has_items;
    struct reserve_item *items; /* 1..16; a part to confirm, the rest is released; default: the whole */
    size_t items_count;
};
#define RESERVE_CONFIRM_REQUEST_ITEMS_COUNT_MAX 16
#define RESERVE_CONFIRM_REQUEST_ENCODED_MAX 581
#define RESERVE_CONFIRM_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct reserve_item) + ARENA_ALIGNMENT)
extern const struct codec_type reserve_confirm_request_type;

struct reserve_release_request {
    struct id reservation;
};
#define RESERVE_RELEASE_REQUEST_ENCODED_MAX 19
#define RESERVE_RELEASE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_release_request_type;

struct reserve_cancel_request {
    struct id reservation;
};
#define RESERVE_CANCEL_REQUEST_ENCODED_MAX 19
#define RESERVE_CANCEL_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_cancel_request_type;

struct reserve_move_request {
    struct id reservation;
    struct reserve_item *items; /* 1..16; all new items; on failure the old ones are kept */
    size_t items_count;
};
#define RESERVE_MOVE_REQUEST_ITEMS_COUNT_MAX 16
#define RESERVE_MOVE_REQUEST_ENCODED_MAX 581
#define RESERVE_MOVE_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct reserve_item) + ARENA_ALIGNMENT)
extern const struct codec_type reserve_move_request_type;

struct reserve_get_request {
    struct id reservation;
};
#define RESERVE_GET_REQUEST_ENCODED_MAX 19
#define RESERVE_GET_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_get_request_type;

struct reserve_get_reply {
    struct reservation reservation;
};
#define RESERVE_GET_REPLY_ENCODED_MAX 5420
#define RESERVE_GET_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1 * RESERVATION_ARENA_MAX)
extern const struct codec_type reserve_get_reply_type;

struct reserve_list_request {
    bool has_customer;
    struct id customer; /* default: the caller */
    bool has_provider;
    struct id provider; /* the provider's instead of a customer's */
    bool has_state;
    uint64_t state; /* enum reserve_state */
    bool has_page_size;
    uint64_t page_size;
    bool has_page_token;
    struct bytes page_token;
};
#define RESERVE_LIST_REQUEST_ENCODED_MAX 647
#define RESERVE_LIST_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reserve_list_request_type;

struct reserve_list_reply {
    struct reservation *reservations; /* 0..1000 */
    size_t reservations_count;
    bool has_page_token;
    struct bytes page_token;
};
#define RESERVE_LIST_REPLY_RESERVATIONS_COUNT_MAX 1000
#define RESERVE_LIST_REPLY_ENCODED_MAX 5418609
#define RESERVE_LIST_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1000 * sizeof (struct reservation) + ARENA_ALIGNMENT \
    + 1000 * RESERVATION_ARENA_MAX)
extern const struct codec_type reserve_list_reply_type;

#endif
