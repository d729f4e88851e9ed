/* Users, their sessions, and API keys.
 *
 * Room: node/services, pure; internal to the room. A user lives in the shard of the normalised login, an API key in the
 * system shard. No secret comes here: a password arrives as a hash or as a verdict in `prepared`, tokens are added to the reply
 * by node/identity.
 *
 * Invariants (auth_recount)
 *   1. Logins are unique (one TABLE_USER row), and so are user ids (TABLE_USER_ID names the login of each).
 *   2. A user's id is a function of the login alone; its placement hash is the login's.
 *   3. A user has at most AUTH_SESSIONS_MAX sessions: the oldest makes room.
 *   4. A session's sequence grows with every refresh. A refresh with an older one means that two parties have the token: the
 *      session is removed (the only refusal that changes something).
 *   5. An API key, once revoked, stays revoked; its row never leaves.
 */
#ifndef MAITRED_NODE_SERVICES_AUTH_H
#define MAITRED_NODE_SERVICES_AUTH_H

#include "node/services/recount.h"
#include "node/services/service.h"

#define AUTH_ACCESS_TTL_MS 300000
#define AUTH_SESSIONS_MAX 32
#define AUTH_SESSION_TTL_MS UINT64_C (2592000000) /* a session that is not refreshed for 30 days is over */
#define AUTH_API_KEYS_MAX 10000

/* The id that the user of a normalised login has. */
struct id auth_user_id (struct bytes normalised_login);

/* The version of credentials that are verified when there is no such user. */
#define AUTH_NOBODY_VERSION 0

/* ---- auth_core.c: what the handlers share */

/* The stored spelling of the request's login, in the arena. False after refusing. */
bool auth_normalise (struct service_call *call, struct bytes login, struct bytes *normalised);

/* False when there is none, or it is damaged. */
bool auth_load_user (struct service_call *call, struct bytes normalised, struct user_record *user);
void auth_store_user (struct service_call *call, const struct user_record *user);

/* The hash that a password of this user is verified against, and the version of it; of nobody's when user is NULL: an
 * unknown login takes as long. */
void auth_prepare_verify (struct services_prepare *prepare, const struct user_record *user, struct bytes password);

/* What stands in a logged body in the place of a secret: the contract wants at least one character. */
#define AUTH_NO_SECRET BYTES_LITERAL ("-")

/* Reads the verdict that leads call->prepared and the user that it is about. False after refusing: NOT_PREPARED,
 * CREDENTIALS_CHANGED, BAD_CREDENTIALS. */
bool auth_check_verdict (struct service_call *call, struct bytes login, struct user_record *user);

/* Removes the user's sessions, or only that one; returns how many there were. */
uint64_t auth_remove_sessions (struct service_call *call, const struct id *user, const struct id *only);

/* ---- auth_users.c: `prepared` of Register is a PHC string; of ChangePassword a verdict and a PHC string */
service_prepare auth_register_prepare;
service_apply auth_register_apply;
service_apply auth_set_role_apply;
service_prepare auth_change_password_prepare;
service_guard auth_change_password_guard;
service_apply auth_change_password_apply;

/* ---- auth_sessions.c: `prepared` of Login is a verdict: one byte (1: the password is right) and the 8-byte version of the
 * credentials that were looked at; of Refresh one byte (1: the token is ours), 16 of session, 8 of sequence */
service_prepare auth_login_prepare;
service_guard auth_login_guard;
service_apply auth_login_apply;
service_prepare auth_refresh_prepare;
service_guard auth_refresh_guard;
service_apply auth_refresh_apply;
service_apply auth_revoke_apply;

/* auth_keys.c */
service_apply auth_create_api_key_apply;
service_apply auth_revoke_api_key_apply;
service_apply auth_list_api_keys_read;

service_recount auth_recount;

#endif
