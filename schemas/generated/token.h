/* Made by maitred_codegen from schemas/token.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_TOKEN_H
#define MAITRED_SCHEMAS_GENERATED_TOKEN_H

#include "schemas/runtime/codec.h"
#include "schemas/generated/auth.h"


struct token_claims {
    struct id principal;
    uint64_t kind; /* enum principal_kind */
    uint64_t roles;
    uint64_t issued_ms;
    uint64_t expires_ms; /* 0: never (API keys, which are revoked instead) */
    struct id audience; /* the cluster's id: a token of another cluster is worth nothing here */
    bool has_session;
    struct id session;
    bool has_name;
    struct bytes name;
};
#define TOKEN_CLAIMS_ENCODED_MAX 203
#define TOKEN_CLAIMS_ARENA_MAX (UINT64_C (0))
extern const struct codec_type token_claims_type;

#endif
