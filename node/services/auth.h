/* Users, logins and API keys.
 *
 * Room: node/services, pure; internal to the room. A user lives in the shard of the normalised login, an API key in the
 * system shard. No secret comes here: a password arrives as a hash or as a verdict in `prepared`, tokens are added to the reply
 * by node/identity.
 *
 * Invariants (auth_recount)
 *   1. Logins are unique (one TABLE_USER row), and so are user ids (TABLE_USER_ID names the login of each).
 *   2. A user's id is a function of the login alone; its placement hash is the login's.
 *   3. A user has at most AUTH_SESSIONS_MAX sessions: the oldest makes room.
 *   4. An API key, once revoked, stays revoked; its row never leaves.
 */
#ifndef MAITRED_NODE_SERVICES_AUTH_H
#define MAITRED_NODE_SERVICES_AUTH_H

#include "node/services/recount.h"
#include "node/services/service.h"

#define AUTH_ACCESS_TTL_MS 300000
#define AUTH_SESSIONS_MAX 32
#define AUTH_API_KEYS_MAX 10000

/* The id that the user of a normalised login has. */
struct id auth_user_id (struct bytes normalised_login);

/* auth_users.c: `prepared` of Register is a PHC string; of Login one verdict byte (1: the password is right) and the 8-byte
 * version of the credentials that were looked at, 0 when there is no such user. */
service_prepare auth_register_prepare;
service_apply auth_register_apply;
service_prepare auth_login_prepare;
service_guard auth_login_guard;
service_apply auth_login_apply;
service_apply auth_set_role_apply;

/* auth_keys.c */
service_apply auth_create_api_key_apply;
service_apply auth_revoke_api_key_apply;
service_apply auth_list_api_keys_read;

service_recount auth_recount;

#endif
