/* Made by maitred_codegen from schemas/auth.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_AUTH_H
#define MAITRED_SCHEMAS_GENERATED_AUTH_H

#include "schemas/runtime/codec.h"

#define SECRET_PASSWORD_LEN_MAX 256
#define SECRET_TOKEN_LEN_MAX 1024
#define PASSWORD_HASH_LEN_MAX 160
#define ROLE_SET_MAX UINT64_C (31)

enum role {
    ROLE_CUSTOMER = 1,
    ROLE_STAFF = 2,
    ROLE_COURIER = 4,
    ROLE_OPERATOR = 8,
    ROLE_ADMIN = 16,
};
extern const struct codec_enum role_enum;

enum principal_kind {
    PRINCIPAL_KIND_ANONYMOUS = 0,
    PRINCIPAL_KIND_USER = 1,
    PRINCIPAL_KIND_API_KEY = 2,
};
extern const struct codec_enum principal_kind_enum;

struct register_request {
    struct bytes login;
    struct bytes password;
    bool has_display_name;
    struct bytes display_name;
};
#define REGISTER_REQUEST_ENCODED_MAX 451
#define REGISTER_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type register_request_type;

struct register_reply {
    struct id user;
    struct bytes login; /* as stored: normalised */
};
#define REGISTER_REPLY_ENCODED_MAX 86
#define REGISTER_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type register_reply_type;

struct login_request {
    struct bytes login;
    struct bytes password;
};
#define LOGIN_REQUEST_ENCODED_MAX 328
#define LOGIN_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type login_request_type;

/* The tokens are derived from (session, sequence, issued_ms): a replay makes the same ones, nothing secret is stored. */
struct login_reply {
    struct id user;
    uint64_t roles;
    struct id session;
    uint64_t sequence;
    uint64_t issued_ms;
    uint64_t access_expires_ms;
    bool has_access_token;
    struct bytes access_token;
    bool has_refresh_token;
    struct bytes refresh_token;
};
#define LOGIN_REPLY_ENCODED_MAX 2126
#define LOGIN_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type login_reply_type;

/* session and sequence as the last login or refresh replied them: a repeat of the request id is thereby bound to one token. */
struct refresh_request {
    struct bytes login;
    struct id session;
    uint64_t sequence;
    struct bytes refresh_token;
};
#define REFRESH_REQUEST_ENCODED_MAX 1124
#define REFRESH_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type refresh_request_type;

struct revoke_sessions_request {
    struct bytes login;
    bool has_session;
    struct id session; /* absent: all of the user's */
};
#define REVOKE_SESSIONS_REQUEST_ENCODED_MAX 86
#define REVOKE_SESSIONS_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type revoke_sessions_request_type;

struct revoke_sessions_reply {
    struct id user;
    uint64_t revoked; /* how many there were */
};
#define REVOKE_SESSIONS_REPLY_ENCODED_MAX 29
#define REVOKE_SESSIONS_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type revoke_sessions_reply_type;

struct change_password_request {
    struct bytes login;
    struct bytes old_password;
    struct bytes new_password;
};
#define CHANGE_PASSWORD_REQUEST_ENCODED_MAX 588
#define CHANGE_PASSWORD_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type change_password_request_type;

struct change_password_reply {
    struct id user;
};
#define CHANGE_PASSWORD_REPLY_ENCODED_MAX 19
#define CHANGE_PASSWORD_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type change_password_reply_type;

struct set_role_request {
    struct bytes login;
    uint64_t roles; /* the whole new set */
};
#define SET_ROLE_REQUEST_ENCODED_MAX 71
#define SET_ROLE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type set_role_request_type;

struct set_role_reply {
    struct id user;
    uint64_t roles;
};
#define SET_ROLE_REPLY_ENCODED_MAX 22
#define SET_ROLE_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type set_role_reply_type;

struct who_request {
    uint8_t unused; /* C has no empty struct */
};
#define WHO_REQUEST_ENCODED_MAX 1
#define WHO_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type who_request_type;

struct who_reply {
    struct id principal;
    uint64_t roles;
    uint64_t kind; /* enum principal_kind */
    bool has_expires_ms;
    uint64_t expires_ms;
    bool has_name;
    struct bytes name;
};
#define WHO_REPLY_ENCODED_MAX 157
#define WHO_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type who_reply_type;

/* API keys are signed tokens; the system shard keeps the list of them and of the revoked ones. */
struct api_key {
    struct id key;
    struct bytes name;
    uint64_t roles;
    uint64_t created_ms;
    bool revoked;
    bool has_revoked_ms;
    uint64_t revoked_ms;
};
#define API_KEY_ENCODED_MAX 167
#define API_KEY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type api_key_type;

struct create_api_key_request {
    struct id key; /* made by the client, random */
    struct bytes name;
    uint64_t roles;
};
#define CREATE_API_KEY_REQUEST_ENCODED_MAX 145
#define CREATE_API_KEY_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type create_api_key_request_type;

struct create_api_key_reply {
    struct id key;
    uint64_t issued_ms;
    uint64_t roles;
    struct bytes name;
    bool has_token;
    struct bytes token;
};
#define CREATE_API_KEY_REPLY_ENCODED_MAX 1183
#define CREATE_API_KEY_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type create_api_key_reply_type;

struct revoke_api_key_request {
    struct id key;
};
#define REVOKE_API_KEY_REQUEST_ENCODED_MAX 19
#define REVOKE_API_KEY_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type revoke_api_key_request_type;

struct revoke_api_key_reply {
    struct id key;
};
#define REVOKE_API_KEY_REPLY_ENCODED_MAX 19
#define REVOKE_API_KEY_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type revoke_api_key_reply_type;

struct list_api_keys_request {
    bool has_page_size;
    uint64_t page_size;
    bool has_page_token;
    struct bytes page_token;
};
#define LIST_API_KEYS_REQUEST_ENCODED_MAX 609
#define LIST_API_KEYS_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type list_api_keys_request_type;

struct list_api_keys_reply {
    struct api_key *keys; /* 0..1000 */
    size_t keys_count;
    bool has_page_token;
    struct bytes page_token;
};
#define LIST_API_KEYS_REPLY_KEYS_COUNT_MAX 1000
#define LIST_API_KEYS_REPLY_ENCODED_MAX 167609
#define LIST_API_KEYS_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1000 * sizeof (struct api_key) + ARENA_ALIGNMENT)
extern const struct codec_type list_api_keys_reply_type;

/* What a user's shard stores. */
struct user_record {
    struct id user;
    struct bytes login; /* normalised */
    uint64_t roles;
    struct bytes hash;
    uint64_t version; /* of the credentials: grows with every change of the password */
    uint64_t created_ms;
    bool has_display_name;
    struct bytes display_name;
};
#define USER_RECORD_ENCODED_MAX 395
#define USER_RECORD_ARENA_MAX (UINT64_C (0))
extern const struct codec_type user_record_type;

struct session_record {
    uint64_t sequence; /* of the refresh token that is good now */
    uint64_t issued_ms; /* of the last login or refresh */
};
#define SESSION_RECORD_ENCODED_MAX 21
#define SESSION_RECORD_ARENA_MAX (UINT64_C (0))
extern const struct codec_type session_record_type;

#endif
