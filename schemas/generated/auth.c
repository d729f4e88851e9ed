/* Made by maitred_codegen from schemas/auth.cddl. Do not edit: change that file, build codegen_run. */
#include "schemas/generated/auth.h"

static const struct codec_enum_value role_values[] = {
    {"customer", 1},
    {"staff", 2},
    {"courier", 4},
    {"operator", 8},
    {"admin", 16},
};
const struct codec_enum role_enum = {"role", role_values, 5};

static const struct codec_enum_value principal_kind_values[] = {
    {"anonymous", 0},
    {"user", 1},
    {"api_key", 2},
};
const struct codec_enum principal_kind_enum = {"principal_kind", principal_kind_values, 3};

static const struct codec_field register_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct register_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "password", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..256 bytes",
     .offset = offsetof (struct register_request, password), .element_size = sizeof (struct bytes),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (256)},
    {.name = "display_name", .key = 3, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct register_request, display_name), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct register_request, has_display_name),
     .min = UINT64_C (1), .max = UINT64_C (120)},
};
const struct codec_type register_request_type = {
    .name = "register_request",
    .fields = register_request_fields,
    .field_count = 3,
    .size = sizeof (struct register_request),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0x3),
    .encoded_max = REGISTER_REQUEST_ENCODED_MAX,
    .arena_max = REGISTER_REQUEST_ARENA_MAX,
};

static const struct codec_field register_reply_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct register_reply, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "login", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct register_reply, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
};
const struct codec_type register_reply_type = {
    .name = "register_reply",
    .fields = register_reply_fields,
    .field_count = 2,
    .size = sizeof (struct register_reply),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = REGISTER_REPLY_ENCODED_MAX,
    .arena_max = REGISTER_REPLY_ARENA_MAX,
};

static const struct codec_field login_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct login_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "password", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..256 bytes",
     .offset = offsetof (struct login_request, password), .element_size = sizeof (struct bytes),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (256)},
};
const struct codec_type login_request_type = {
    .name = "login_request",
    .fields = login_request_fields,
    .field_count = 2,
    .size = sizeof (struct login_request),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0x3),
    .encoded_max = LOGIN_REQUEST_ENCODED_MAX,
    .arena_max = LOGIN_REQUEST_ARENA_MAX,
};

static const struct codec_field login_reply_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct login_reply, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "roles", .key = 2, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct login_reply, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
    {.name = "session", .key = 3, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct login_reply, session), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "sequence", .key = 4, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct login_reply, sequence), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "issued_ms", .key = 5, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct login_reply, issued_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "access_expires_ms", .key = 6, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct login_reply, access_expires_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "access_token", .key = 7, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..1024 bytes",
     .offset = offsetof (struct login_reply, access_token), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct login_reply, has_access_token),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (1024)},
    {.name = "refresh_token", .key = 8, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..1024 bytes",
     .offset = offsetof (struct login_reply, refresh_token), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct login_reply, has_refresh_token),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (1024)},
};
const struct codec_type login_reply_type = {
    .name = "login_reply",
    .fields = login_reply_fields,
    .field_count = 8,
    .size = sizeof (struct login_reply),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0x3f),
    .encoded_max = LOGIN_REPLY_ENCODED_MAX,
    .arena_max = LOGIN_REPLY_ARENA_MAX,
};

static const struct codec_field refresh_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct refresh_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "session", .key = 2, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct refresh_request, session), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "sequence", .key = 3, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct refresh_request, sequence), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "refresh_token", .key = 4, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..1024 bytes",
     .offset = offsetof (struct refresh_request, refresh_token), .element_size = sizeof (struct bytes),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (1024)},
};
const struct codec_type refresh_request_type = {
    .name = "refresh_request",
    .fields = refresh_request_fields,
    .field_count = 4,
    .size = sizeof (struct refresh_request),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0xf),
    .encoded_max = REFRESH_REQUEST_ENCODED_MAX,
    .arena_max = REFRESH_REQUEST_ARENA_MAX,
};

static const struct codec_field revoke_sessions_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct revoke_sessions_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "session", .key = 2, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct revoke_sessions_request, session), .element_size = sizeof (struct id),
     .optional = true, .has_offset = offsetof (struct revoke_sessions_request, has_session),
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type revoke_sessions_request_type = {
    .name = "revoke_sessions_request",
    .fields = revoke_sessions_request_fields,
    .field_count = 2,
    .size = sizeof (struct revoke_sessions_request),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = REVOKE_SESSIONS_REQUEST_ENCODED_MAX,
    .arena_max = REVOKE_SESSIONS_REQUEST_ARENA_MAX,
};

static const struct codec_field revoke_sessions_reply_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct revoke_sessions_reply, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "revoked", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct revoke_sessions_reply, revoked), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type revoke_sessions_reply_type = {
    .name = "revoke_sessions_reply",
    .fields = revoke_sessions_reply_fields,
    .field_count = 2,
    .size = sizeof (struct revoke_sessions_reply),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = REVOKE_SESSIONS_REPLY_ENCODED_MAX,
    .arena_max = REVOKE_SESSIONS_REPLY_ARENA_MAX,
};

static const struct codec_field change_password_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct change_password_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "old_password", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..256 bytes",
     .offset = offsetof (struct change_password_request, old_password), .element_size = sizeof (struct bytes),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (256)},
    {.name = "new_password", .key = 3, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..256 bytes",
     .offset = offsetof (struct change_password_request, new_password), .element_size = sizeof (struct bytes),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (256)},
};
const struct codec_type change_password_request_type = {
    .name = "change_password_request",
    .fields = change_password_request_fields,
    .field_count = 3,
    .size = sizeof (struct change_password_request),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0x7),
    .encoded_max = CHANGE_PASSWORD_REQUEST_ENCODED_MAX,
    .arena_max = CHANGE_PASSWORD_REQUEST_ARENA_MAX,
};

static const struct codec_field change_password_reply_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct change_password_reply, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type change_password_reply_type = {
    .name = "change_password_reply",
    .fields = change_password_reply_fields,
    .field_count = 1,
    .size = sizeof (struct change_password_reply),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = CHANGE_PASSWORD_REPLY_ENCODED_MAX,
    .arena_max = CHANGE_PASSWORD_REPLY_ARENA_MAX,
};

static const struct codec_field set_role_request_fields[] = {
    {.name = "login", .key = 1, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct set_role_request, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "roles", .key = 2, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct set_role_request, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
};
const struct codec_type set_role_request_type = {
    .name = "set_role_request",
    .fields = set_role_request_fields,
    .field_count = 2,
    .size = sizeof (struct set_role_request),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = SET_ROLE_REQUEST_ENCODED_MAX,
    .arena_max = SET_ROLE_REQUEST_ARENA_MAX,
};

static const struct codec_field set_role_reply_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct set_role_reply, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "roles", .key = 2, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct set_role_reply, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
};
const struct codec_type set_role_reply_type = {
    .name = "set_role_reply",
    .fields = set_role_reply_fields,
    .field_count = 2,
    .size = sizeof (struct set_role_reply),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = SET_ROLE_REPLY_ENCODED_MAX,
    .arena_max = SET_ROLE_REPLY_ARENA_MAX,
};

const struct codec_type who_request_type = {
    .name = "who_request",
    .size = sizeof (struct who_request),
    .depth = 1,
    .required = UINT64_C (0x0),
    .encoded_max = WHO_REQUEST_ENCODED_MAX,
    .arena_max = WHO_REQUEST_ARENA_MAX,
};

static const struct codec_field who_reply_fields[] = {
    {.name = "principal", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct who_reply, principal), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "roles", .key = 2, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct who_reply, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
    {.name = "kind", .key = 3, .kind = CODEC_ENUM,
     .expected = "must be one of anonymous, user, api_key",
     .offset = offsetof (struct who_reply, kind), .element_size = sizeof (uint64_t),
     .min = 0, .max = 2, .enumeration = &principal_kind_enum},
    {.name = "expires_ms", .key = 4, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct who_reply, expires_ms), .element_size = sizeof (uint64_t),
     .optional = true, .has_offset = offsetof (struct who_reply, has_expires_ms),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "name", .key = 5, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct who_reply, name), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct who_reply, has_name),
     .min = UINT64_C (1), .max = UINT64_C (120)},
};
const struct codec_type who_reply_type = {
    .name = "who_reply",
    .fields = who_reply_fields,
    .field_count = 5,
    .size = sizeof (struct who_reply),
    .depth = 1,
    .required = UINT64_C (0x7),
    .encoded_max = WHO_REPLY_ENCODED_MAX,
    .arena_max = WHO_REPLY_ARENA_MAX,
};

static const struct codec_field api_key_fields[] = {
    {.name = "key", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct api_key, key), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "name", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct api_key, name), .element_size = sizeof (struct bytes),
     .min = UINT64_C (1), .max = UINT64_C (120)},
    {.name = "roles", .key = 3, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct api_key, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
    {.name = "created_ms", .key = 4, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct api_key, created_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "revoked", .key = 5, .kind = CODEC_BOOL,
     .expected = "must be true or false",
     .offset = offsetof (struct api_key, revoked), .element_size = sizeof (bool),
     .min = UINT64_C (0), .max = UINT64_C (1)},
    {.name = "revoked_ms", .key = 6, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct api_key, revoked_ms), .element_size = sizeof (uint64_t),
     .optional = true, .has_offset = offsetof (struct api_key, has_revoked_ms),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type api_key_type = {
    .name = "api_key",
    .fields = api_key_fields,
    .field_count = 6,
    .size = sizeof (struct api_key),
    .depth = 1,
    .required = UINT64_C (0x1f),
    .encoded_max = API_KEY_ENCODED_MAX,
    .arena_max = API_KEY_ARENA_MAX,
};

static const struct codec_field create_api_key_request_fields[] = {
    {.name = "key", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct create_api_key_request, key), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "name", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct create_api_key_request, name), .element_size = sizeof (struct bytes),
     .min = UINT64_C (1), .max = UINT64_C (120)},
    {.name = "roles", .key = 3, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct create_api_key_request, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
};
const struct codec_type create_api_key_request_type = {
    .name = "create_api_key_request",
    .fields = create_api_key_request_fields,
    .field_count = 3,
    .size = sizeof (struct create_api_key_request),
    .depth = 1,
    .required = UINT64_C (0x7),
    .encoded_max = CREATE_API_KEY_REQUEST_ENCODED_MAX,
    .arena_max = CREATE_API_KEY_REQUEST_ARENA_MAX,
};

static const struct codec_field create_api_key_reply_fields[] = {
    {.name = "key", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct create_api_key_reply, key), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "issued_ms", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct create_api_key_reply, issued_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "roles", .key = 3, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct create_api_key_reply, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
    {.name = "name", .key = 4, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct create_api_key_reply, name), .element_size = sizeof (struct bytes),
     .min = UINT64_C (1), .max = UINT64_C (120)},
    {.name = "token", .key = 5, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..1024 bytes",
     .offset = offsetof (struct create_api_key_reply, token), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct create_api_key_reply, has_token),
     .secret = true,
     .min = UINT64_C (1), .max = UINT64_C (1024)},
};
const struct codec_type create_api_key_reply_type = {
    .name = "create_api_key_reply",
    .fields = create_api_key_reply_fields,
    .field_count = 5,
    .size = sizeof (struct create_api_key_reply),
    .depth = 1,
    .has_secret = true,
    .required = UINT64_C (0xf),
    .encoded_max = CREATE_API_KEY_REPLY_ENCODED_MAX,
    .arena_max = CREATE_API_KEY_REPLY_ARENA_MAX,
};

static const struct codec_field revoke_api_key_request_fields[] = {
    {.name = "key", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct revoke_api_key_request, key), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type revoke_api_key_request_type = {
    .name = "revoke_api_key_request",
    .fields = revoke_api_key_request_fields,
    .field_count = 1,
    .size = sizeof (struct revoke_api_key_request),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = REVOKE_API_KEY_REQUEST_ENCODED_MAX,
    .arena_max = REVOKE_API_KEY_REQUEST_ARENA_MAX,
};

static const struct codec_field revoke_api_key_reply_fields[] = {
    {.name = "key", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct revoke_api_key_reply, key), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type revoke_api_key_reply_type = {
    .name = "revoke_api_key_reply",
    .fields = revoke_api_key_reply_fields,
    .field_count = 1,
    .size = sizeof (struct revoke_api_key_reply),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = REVOKE_API_KEY_REPLY_ENCODED_MAX,
    .arena_max = REVOKE_API_KEY_REPLY_ARENA_MAX,
};

static const struct codec_field list_api_keys_request_fields[] = {
    {.name = "page_size", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 0..1000",
     .offset = offsetof (struct list_api_keys_request, page_size), .element_size = sizeof (uint64_t),
     .optional = true, .has_offset = offsetof (struct list_api_keys_request, has_page_size),
     .min = UINT64_C (0), .max = UINT64_C (1000)},
    {.name = "page_token", .key = 2, .kind = CODEC_BYTES,
     .expected = "must be 0..600 bytes",
     .offset = offsetof (struct list_api_keys_request, page_token), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct list_api_keys_request, has_page_token),
     .min = UINT64_C (0), .max = UINT64_C (600)},
};
const struct codec_type list_api_keys_request_type = {
    .name = "list_api_keys_request",
    .fields = list_api_keys_request_fields,
    .field_count = 2,
    .size = sizeof (struct list_api_keys_request),
    .depth = 1,
    .required = UINT64_C (0x0),
    .encoded_max = LIST_API_KEYS_REQUEST_ENCODED_MAX,
    .arena_max = LIST_API_KEYS_REQUEST_ARENA_MAX,
};

static const struct codec_field list_api_keys_reply_fields[] = {
    {.name = "keys", .key = 1, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct list_api_keys_reply, keys), .element_size = sizeof (struct api_key),
     .array = true, .count_offset = offsetof (struct list_api_keys_reply, keys_count),
     .count_min = 0, .count_max = 1000,
     .count_expected = "must have 0..1000 elements",
     .type = &api_key_type},
    {.name = "page_token", .key = 2, .kind = CODEC_BYTES,
     .expected = "must be 0..600 bytes",
     .offset = offsetof (struct list_api_keys_reply, page_token), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct list_api_keys_reply, has_page_token),
     .min = UINT64_C (0), .max = UINT64_C (600)},
};
const struct codec_type list_api_keys_reply_type = {
    .name = "list_api_keys_reply",
    .fields = list_api_keys_reply_fields,
    .field_count = 2,
    .size = sizeof (struct list_api_keys_reply),
    .depth = 2,
    .required = UINT64_C (0x1),
    .encoded_max = LIST_API_KEYS_REPLY_ENCODED_MAX,
    .arena_max = LIST_API_KEYS_REPLY_ARENA_MAX,
};

static const struct codec_field user_record_fields[] = {
    {.name = "user", .key = 1, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct user_record, user), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "login", .key = 2, .kind = CODEC_TEXT,
     .expected = "must be a text of 3..64 bytes",
     .offset = offsetof (struct user_record, login), .element_size = sizeof (struct bytes),
     .min = UINT64_C (3), .max = UINT64_C (64)},
    {.name = "roles", .key = 3, .kind = CODEC_UINT,
     .expected = "must be 0..31",
     .offset = offsetof (struct user_record, roles), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (31)},
    {.name = "hash", .key = 4, .kind = CODEC_TEXT,
     .expected = "must be a text of 0..160 bytes",
     .offset = offsetof (struct user_record, hash), .element_size = sizeof (struct bytes),
     .min = UINT64_C (0), .max = UINT64_C (160)},
    {.name = "version", .key = 5, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct user_record, version), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "created_ms", .key = 6, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct user_record, created_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "display_name", .key = 7, .kind = CODEC_TEXT,
     .expected = "must be a text of 1..120 bytes",
     .offset = offsetof (struct user_record, display_name), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct user_record, has_display_name),
     .min = UINT64_C (1), .max = UINT64_C (120)},
};
const struct codec_type user_record_type = {
    .name = "user_record",
    .fields = user_record_fields,
    .field_count = 7,
    .size = sizeof (struct user_record),
    .depth = 1,
    .required = UINT64_C (0x3f),
    .encoded_max = USER_RECORD_ENCODED_MAX,
    .arena_max = USER_RECORD_ARENA_MAX,
};

static const struct codec_field session_record_fields[] = {
    {.name = "sequence", .key = 1, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct session_record, sequence), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "issued_ms", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct session_record, issued_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type session_record_type = {
    .name = "session_record",
    .fields = session_record_fields,
    .field_count = 2,
    .size = sizeof (struct session_record),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = SESSION_RECORD_ENCODED_MAX,
    .arena_max = SESSION_RECORD_ARENA_MAX,
};
