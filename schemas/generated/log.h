/* Made by maitred_codegen from schemas/log.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_LOG_H
#define MAITRED_SCHEMAS_GENERATED_LOG_H

#include "schemas/runtime/codec.h"
#include "schemas/generated/auth.h"


enum log_kind {
    LOG_KIND_COMMAND = 1,
    LOG_KIND_EXPIRE = 2,
    LOG_KIND_DROP_RECORDS = 3,
};
extern const struct codec_enum log_kind_enum;

struct actor {
    struct id principal;
    uint64_t kind; /* enum principal_kind */
    uint64_t roles;
};
#define ACTOR_ENCODED_MAX 24
#define ACTOR_ARENA_MAX (UINT64_C (0))
extern const struct codec_type actor_type;

struct log_entry {
    uint64_t kind; /* enum log_kind */
    uint64_t time_ms; /* log time, stamped by the leader; never goes back */
    bool has_method;
    uint64_t method;
    bool has_request_id;
    struct id request_id;
    bool has_actor;
    struct actor actor;
    bool has_body;
    struct bytes body; /* the re-encoded request without its secret fields */
    bool has_prepared;
    struct bytes prepared; /* made before the log: a password hash, or the verdict on one */
    bool has_cut;
    uint64_t cut; /* expire, drop_records: what leaves, up to and including */
};
#define LOG_ENTRY_ENCODED_MAX 262480
#define LOG_ENTRY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type log_entry_type;

struct field_print {
    uint64_t key;
    uint64_t print;
};
#define FIELD_PRINT_ENCODED_MAX 15
#define FIELD_PRINT_ARENA_MAX (UINT64_C (0))
extern const struct codec_type field_print_type;

/* A stored outcome of one request id (exactly once). */
struct request_record {
    uint64_t status;
    bool has_reason;
    struct bytes reason;
    bool has_message;
    struct bytes message;
    bool has_body;
    struct bytes body;
    uint64_t method;
    struct field_print *fields; /* 0..32 */
    size_t fields_count;
    uint64_t time_ms;
};
#define REQUEST_RECORD_FIELDS_COUNT_MAX 32
#define REQUEST_RECORD_ENCODED_MAX 66589
#define REQUEST_RECORD_ARENA_MAX (UINT64_C (0) \
    + 32 * sizeof (struct field_print) + ARENA_ALIGNMENT)
extern const struct codec_type request_record_type;

#endif
