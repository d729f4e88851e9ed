#include "node/services/auth.h"

#include "schemas/runtime/assert.h"

struct rows {
    size_t count;
    bool damaged;
    struct id user;
    struct service_call *call;
};

static bool visit_row (void *argument, struct bytes key, struct bytes value)
{
    struct rows *rows = argument;
    (void) key;
    (void) value;
    rows->count++;
    return true;
}

static bool visit_session (void *argument, struct bytes key, struct bytes value)
{
    struct rows *rows = argument;
    size_t mark = rows->call->arena->used;
    struct session_record session;
    if (key.len != 1 + 2 * ID_SIZE || !service_read_value (rows->call, value, &session_record_type, &session))
        rows->damaged = true;
    maitre_assert (rows->call->arena->used >= mark);
    rows->call->arena->used = mark;
    rows->count++;
    return true;
}

static void scan (struct service_call *call, const struct key *prefix, state_visit *visit, struct rows *rows)
{
    struct key to = *prefix;
    key_after_prefix (&to);
    maitre_assert (bytes_compare (key_of (prefix), key_of (&to)) < 0);
    state_scan (call->state, key_of (prefix), key_of (&to), false, visit, rows);
}

static size_t count_table (struct service_call *call, enum table table)
{
    struct rows rows = {0};
    struct key prefix = key_table (table);
    maitre_assert (prefix.len == 1);
    scan (call, &prefix, visit_row, &rows);
    return rows.count;
}

/* A user's login, from the row of its id; false after reporting. */
static bool read_user (
    struct service_call *call, struct recount *recount, const struct id *id, struct user_record *user)
{
    struct key id_key = key_entity (TABLE_USER_ID, id), key = key_table (TABLE_USER);
    struct bytes login;
    if (!state_get (call->state, key_of (&id_key), &login) || login.len < LOGIN_LEN_MIN || login.len > LOGIN_LEN_MAX) {
        recount_drift (recount, "a user id names no login", id);
        return false;
    }
    key_bytes (&key, login);
    if (!service_load (call, &key, &user_record_type, user)) {
        recount_drift (recount, "a user id names a login that nobody has", id);
        return false;
    }
    struct id expected = auth_user_id (user->login);
    if (!id_equal (&user->user, id) || !id_equal (&expected, id) ||
        !bytes_equal (user->login, bytes_of (key.b + 1, key.len - 1))) {
        recount_drift (recount, "a user's record is under another's login or id", id);
        return false;
    }
    maitre_assert (id_hash (&user->user) == id_hash (id));
    return true;
}

static void recount_user (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct user_record user;
    (void) read_user (call, recount, id, &user);
}

static bool first_visit (void *argument, struct bytes key, struct bytes value)
{
    struct rows *rows = argument;
    (void) value;
    rows->count = 1;
    rows->damaged = !key_read_id (key, 1, &rows->user);
    return false;
}

/* From user to user: those that have sessions. */
static void recount_sessions (struct service_call *call, struct recount *recount)
{
    struct key from = key_table (TABLE_SESSION), to = from;
    key_after_prefix (&to);
    for (;;) {
        struct rows first = {0}, rows = {.call = call};
        state_scan (call->state, key_of (&from), key_of (&to), false, first_visit, &first);
        if (first.count == 0)
            return;
        struct key id_key = key_entity (TABLE_USER_ID, &first.user), prefix = key_entity (TABLE_SESSION, &first.user);
        if (first.damaged || !service_exists (call, &id_key)) {
            recount_drift (recount, "a session belongs to no user", NULL);
            return;
        }
        scan (call, &prefix, visit_session, &rows);
        if (rows.damaged)
            recount_drift (recount, "a session does not read", &first.user);
        if (rows.count > AUTH_SESSIONS_MAX)
            recount_drift (recount, "a user has too many sessions", &first.user);
        from = prefix;
        key_after_prefix (&from);
        maitre_assert (bytes_compare (key_of (&prefix), key_of (&from)) < 0);
    }
}

static void recount_key (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct key key = key_entity (TABLE_API_KEY, id);
    struct api_key stored;
    if (!service_load (call, &key, &api_key_type, &stored) || !id_equal (&stored.key, id) ||
        stored.revoked != stored.has_revoked_ms)
        recount_drift (recount, "an API key does not read, or contradicts itself", id);
}

void auth_recount (struct service_call *call, struct recount *recount)
{
    recount_each (call, recount, TABLE_USER_ID, recount_user);
    if (count_table (call, TABLE_USER) != count_table (call, TABLE_USER_ID))
        recount_drift (recount, "a user has no id row", NULL);
    recount_sessions (call, recount);
    recount_each (call, recount, TABLE_API_KEY, recount_key);
}
