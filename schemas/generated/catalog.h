/* Made by maitred_codegen from schemas/catalog.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_CATALOG_H
#define MAITRED_SCHEMAS_GENERATED_CATALOG_H

#include "schemas/runtime/codec.h"


enum provider_kind {
    PROVIDER_KIND_HOTEL = 1,
    PROVIDER_KIND_RESTAURANT = 2,
    PROVIDER_KIND_BAND = 3,
    PROVIDER_KIND_SPORTS_CLUB = 4,
    PROVIDER_KIND_CONFERENCE_HALL = 5,
    PROVIDER_KIND_OTHER = 15,
};
extern const struct codec_enum provider_kind_enum;

enum offer_kind {
    OFFER_KIND_ROOM = 1,
    OFFER_KIND_DISH = 2,
    OFFER_KIND_SPORT = 3,
    OFFER_KIND_HALL = 4,
    OFFER_KIND_BAND = 5,
    OFFER_KIND_TABLE = 6,
    OFFER_KIND_SLOT = 7,
    OFFER_KIND_SEAT = 8,
    OFFER_KIND_QUOTA = 9,
    OFFER_KIND_OTHER = 15,
};
extern const struct codec_enum offer_kind_enum;

enum offer_state {
    OFFER_STATE_OPEN = 1,
    OFFER_STATE_PAUSED = 2,
    OFFER_STATE_CLOSED = 3,
};
extern const struct codec_enum offer_state_enum;

enum bucket_kind {
    BUCKET_KIND_SLOT = 1,
    BUCKET_KIND_POOL = 2,
    BUCKET_KIND_NIGHT = 3,
    BUCKET_KIND_HOUR = 4,
};
extern const struct codec_enum bucket_kind_enum;

enum catalog_what {
    CATALOG_WHAT_OFFERS = 1,
    CATALOG_WHAT_PROVIDERS = 2,
};
extern const struct codec_enum catalog_what_enum;

struct provider {
    struct id provider;
    uint64_t kind; /* enum provider_kind */
    struct bytes name;
    bool has_description;
    struct bytes description;
    bool has_group;
    struct bytes group; /* placement group, fixed for ever; without one the provider stands alone */
    bool has_address;
    struct bytes address;
    bool has_owner;
    struct id owner; /* whose staff may change it */
    uint64_t version;
    uint64_t updated_ms;
};
#define PROVIDER_ENCODED_MAX 2613
#define PROVIDER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type provider_type;

struct policy {
    bool has_customer_limit;
    uint64_t customer_limit; /* units one customer may hold or have confirmed; 0 or absent: no limit */
    bool has_hold_ttl_ms;
    uint64_t hold_ttl_ms; /* default 600000 */
    bool has_cancel_window_buckets;
    uint64_t cancel_window_buckets; /* no cancelling when fewer buckets than these remain before the first one */
    bool has_cancel_window_ms;
    uint64_t cancel_window_ms; /* no cancelling later than this after the booking; 0 or absent: always */
    bool has_cancel_fee_minor;
    uint64_t cancel_fee_minor;
    bool has_overbooking;
    uint64_t overbooking; /* units above capacity that may be sold per bucket */
    bool has_approval;
    bool approval;
};
#define POLICY_ENCODED_MAX 47
#define POLICY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type policy_type;

struct offer {
    struct id offer; /* its placement hash is the provider's */
    struct id provider;
    uint64_t kind; /* enum offer_kind */
    struct bytes name;
    bool has_description;
    struct bytes description;
    uint64_t price_minor; /* for one unit in one bucket */
    struct bytes currency;
    uint64_t state; /* enum offer_state */
    uint64_t bucket_kind; /* enum bucket_kind */
    uint64_t first_bucket;
    uint64_t last_bucket; /* inclusive */
    uint64_t capacity; /* default of every bucket; AdjustCapacity overrides single ones */
    bool has_policy;
    struct policy policy;
    bool has_quota;
    struct id quota; /* another offer of the same provider whose buckets are drawn on as well */
    uint64_t version;
    uint64_t updated_ms;
};
#define OFFER_ENCODED_MAX 2289
#define OFFER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type offer_type;

struct put_provider_request {
    struct id provider;
    uint64_t kind; /* enum provider_kind */
    struct bytes name;
    bool has_description;
    struct bytes description;
    bool has_group;
    struct bytes group;
    bool has_address;
    struct bytes address;
    bool has_owner;
    struct id owner;
    bool has_version;
    uint64_t version; /* the version that is replaced; 0 or absent: it must be new */
};
#define PUT_PROVIDER_REQUEST_ENCODED_MAX 2603
#define PUT_PROVIDER_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type put_provider_request_type;

struct put_reply {
    struct id id;
    uint64_t version;
};
#define PUT_REPLY_ENCODED_MAX 29
#define PUT_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type put_reply_type;

struct put_offer_request {
    struct id offer;
    struct id provider;
    uint64_t kind; /* enum offer_kind */
    struct bytes name;
    bool has_description;
    struct bytes description;
    uint64_t price_minor;
    struct bytes currency;
    bool has_state;
    uint64_t state; /* enum offer_state; default: open when new, else unchanged */
    bool has_bucket_kind;
    uint64_t bucket_kind; /* enum bucket_kind; default: slot */
    uint64_t first_bucket;
    uint64_t last_bucket;
    uint64_t capacity;
    bool has_policy;
    struct policy policy;
    bool has_quota;
    struct id quota;
    bool has_version;
    uint64_t version;
};
#define PUT_OFFER_REQUEST_ENCODED_MAX 2279
#define PUT_OFFER_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type put_offer_request_type;

struct set_offer_state_request {
    struct id offer;
    uint64_t state; /* enum offer_state */
    bool has_version;
    uint64_t version;
};
#define SET_OFFER_STATE_REQUEST_ENCODED_MAX 31
#define SET_OFFER_STATE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type set_offer_state_request_type;

struct adjust_capacity_request {
    struct id offer;
    uint64_t capacity;
    bool has_first;
    uint64_t first; /* absent: the default of all buckets */
    bool has_count;
    uint64_t count; /* default 1 */
};
#define ADJUST_CAPACITY_REQUEST_ENCODED_MAX 35
#define ADJUST_CAPACITY_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type adjust_capacity_request_type;

struct catalog_get_request {
    struct id id; /* a provider's or an offer's */
};
#define CATALOG_GET_REQUEST_ENCODED_MAX 19
#define CATALOG_GET_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type catalog_get_request_type;

struct catalog_get_reply {
    bool has_provider;
    struct provider provider;
    bool has_offer;
    struct offer offer;
};
#define CATALOG_GET_REPLY_ENCODED_MAX 4905
#define CATALOG_GET_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type catalog_get_reply_type;

struct catalog_list_request {
    bool has_what;
    uint64_t what; /* enum catalog_what; default: offers */
    bool has_kind;
    uint64_t kind; /* provider-kind or offer-kind */
    bool has_provider;
    struct id provider;
    bool has_state;
    uint64_t state; /* enum offer_state */
    bool has_price_min_minor;
    uint64_t price_min_minor;
    bool has_price_max_minor;
    uint64_t price_max_minor;
    bool has_page_size;
    uint64_t page_size;
    bool has_page_token;
    struct bytes page_token;
};
#define CATALOG_LIST_REQUEST_ENCODED_MAX 661
#define CATALOG_LIST_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type catalog_list_request_type;

struct catalog_list_reply {
    bool has_providers;
    struct provider *providers; /* 0..1000 */
    size_t providers_count;
    bool has_offers;
    struct offer *offers; /* 0..1000 */
    size_t offers_count;
    bool has_page_token;
    struct bytes page_token;
};
#define CATALOG_LIST_REPLY_PROVIDERS_COUNT_MAX 1000
#define CATALOG_LIST_REPLY_OFFERS_COUNT_MAX 1000
#define CATALOG_LIST_REPLY_ENCODED_MAX 4902613
#define CATALOG_LIST_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1000 * sizeof (struct provider) + ARENA_ALIGNMENT \
    + 1000 * sizeof (struct offer) + ARENA_ALIGNMENT)
extern const struct codec_type catalog_list_reply_type;

struct avail_query {
    struct id offer;
    uint64_t first;
    bool has_count;
    uint64_t count; /* default 1 */
};
#define AVAIL_QUERY_ENCODED_MAX 29
#define AVAIL_QUERY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type avail_query_type;

struct avail_row {
    struct id offer;
    uint64_t bucket;
    uint64_t total; /* capacity and overbooking */
    uint64_t held;
    uint64_t confirmed;
    uint64_t waiting;
};
#define AVAIL_ROW_ENCODED_MAX 49
#define AVAIL_ROW_ARENA_MAX (UINT64_C (0))
extern const struct codec_type avail_row_type;

struct avail_check_request {
    struct avail_query *queries; /* 1..64; of one placement group */
    size_t queries_count;
};
#define AVAIL_CHECK_REQUEST_QUERIES_COUNT_MAX 64
#define AVAIL_CHECK_REQUEST_ENCODED_MAX 1860
#define AVAIL_CHECK_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 64 * sizeof (struct avail_query) + ARENA_ALIGNMENT)
extern const struct codec_type avail_check_request_type;

struct avail_check_reply {
    struct avail_row *rows; /* 0..4096 */
    size_t rows_count;
};
#define AVAIL_CHECK_REPLY_ROWS_COUNT_MAX 4096
#define AVAIL_CHECK_REPLY_ENCODED_MAX 200709
#define AVAIL_CHECK_REPLY_ARENA_MAX (UINT64_C (0) \
    + 4096 * sizeof (struct avail_row) + ARENA_ALIGNMENT)
extern const struct codec_type avail_check_reply_type;

struct avail_list_free_request {
    struct id offer;
    bool has_first;
    uint64_t first; /* default: the offer's first */
    bool has_last;
    uint64_t last; /* default: the offer's last */
    bool has_quantity;
    uint64_t quantity; /* default 1 */
    bool has_limit;
    uint64_t limit; /* default 100 */
};
#define AVAIL_LIST_FREE_REQUEST_ENCODED_MAX 41
#define AVAIL_LIST_FREE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type avail_list_free_request_type;

struct avail_list_free_reply {
    uint64_t *buckets; /* 0..1000 */
    size_t buckets_count;
    bool has_next;
    uint64_t next; /* go on from here; absent at the end */
};
#define AVAIL_LIST_FREE_REPLY_BUCKETS_COUNT_MAX 1000
#define AVAIL_LIST_FREE_REPLY_ENCODED_MAX 5011
#define AVAIL_LIST_FREE_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1000 * sizeof (uint64_t) + ARENA_ALIGNMENT)
extern const struct codec_type avail_list_free_reply_type;

struct avail_find_common_request {
    struct id *offers; /* 1..8; of one placement group */
    size_t offers_count;
    bool has_first;
    uint64_t first;
    bool has_count;
    uint64_t count; /* consecutive buckets; default 1 */
    bool has_quantity;
    uint64_t quantity;
};
#define AVAIL_FIND_COMMON_REQUEST_OFFERS_COUNT_MAX 8
#define AVAIL_FIND_COMMON_REQUEST_ENCODED_MAX 155
#define AVAIL_FIND_COMMON_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 8 * sizeof (struct id) + ARENA_ALIGNMENT)
extern const struct codec_type avail_find_common_request_type;

struct avail_find_common_reply {
    bool found;
    bool has_first;
    uint64_t first;
};
#define AVAIL_FIND_COMMON_REPLY_ENCODED_MAX 9
#define AVAIL_FIND_COMMON_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type avail_find_common_reply_type;

#endif
