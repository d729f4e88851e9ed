/* Made by maitred_codegen from schemas/common.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_COMMON_H
#define MAITRED_SCHEMAS_GENERATED_COMMON_H

#include "schemas/runtime/codec.h"

#define NAME_TEXT_LEN_MAX 120
#define LONG_TEXT_LEN_MAX 2000
#define LOGIN_TEXT_LEN_MAX 64
#define REASON_TEXT_LEN_MAX 40
#define ENDPOINT_TEXT_LEN_MAX 96
#define CURRENCY_TEXT_LEN_MAX 3
#define MINOR_UNITS_MAX UINT64_C (1000000000000)
#define BUCKET_NUMBER_MAX UINT64_C (4294967295)
#define PAGE_TOKEN_LEN_MAX 600
#define PAGE_SIZE_MAX UINT64_C (1000)

/* Body of every reply whose status is not OK. */
struct refusal {
    bool has_field;
    struct bytes field; /* which field of the request is to blame */
    bool has_offer;
    struct id offer;
    bool has_bucket;
    uint64_t bucket; /* the first bucket that could not be given */
    bool has_earliest_free;
    uint64_t earliest_free; /* the earliest bucket that could have been, for the same count and quantity */
    bool has_available;
    uint64_t available;
    bool has_limit;
    uint64_t limit;
    bool has_state;
    uint64_t state; /* the present state of what was asked to change */
    bool has_version;
    uint64_t version; /* the present version */
};
#define REFUSAL_ENCODED_MAX 266
#define REFUSAL_ARENA_MAX (UINT64_C (0))
extern const struct codec_type refusal_type;

struct empty {
    uint8_t unused; /* C has no empty struct */
};
#define EMPTY_ENCODED_MAX 1
#define EMPTY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type empty_type;

#endif
