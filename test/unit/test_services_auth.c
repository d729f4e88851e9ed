/* Users, logins and sessions: names are unique, secrets stay out of the log, a request id proves nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "node/services/auth.h"
#include "test/support/services_rig.h"

#define HASH_ONE "$argon2id$v=19$m=19456,t=2,p=1$one"
#define HASH_TWO "$argon2id$v=19$m=19456,t=2,p=1$two"

static struct world rig;
static uint8_t body_bytes[RIG_BYTES_MAX];

static int set_up (void **state)
{
    (void) state;
    rig_init (&rig, 1);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    world_close (&rig);
    return 0;
}

static enum status register_as (const char *login, const char *hash)
{
    struct principal nobody = rig_anonymous ();
    struct register_request request = {.login = bytes_text (login), .password = BYTES_LITERAL ("-")};
    struct id id = rig_request_id (&rig, METHOD_NUMBER_AUTH_REGISTER, &request);
    return world_call_as (&rig, METHOD_NUMBER_AUTH_REGISTER, &nobody, &id, &request, bytes_text (hash));
}

static enum status login_id (const char *login, bool right, uint64_t version, struct id *request_id)
{
    struct principal nobody = rig_anonymous ();
    struct login_request request = {.login = bytes_text (login), .password = BYTES_LITERAL ("-")};
    uint8_t prepared[9] = {right};
    bytes_put_u64 (prepared + 1, version);
    if (id_is_zero (request_id))
        *request_id = rig_request_id (&rig, METHOD_NUMBER_AUTH_LOGIN, &request);
    return world_call_as (
        &rig, METHOD_NUMBER_AUTH_LOGIN, &nobody, request_id, &request, bytes_of (prepared, sizeof prepared));
}

static enum status login_as (const char *login, bool right, uint64_t version)
{
    struct id id = {{0}};
    return login_id (login, right, version, &id);
}

/* What the leader would do before proposing. */
static struct services_prepare prepare_call (
    uint64_t number, const void *request, const struct id *request_id, struct bytes *logged)
{
    struct services_prepare prepare;
    struct principal nobody = rig_anonymous ();
    const struct method *method = method_by_number (number);
    struct bytes body = rig_encode (method->request, request, body_bytes);
    arena_reset (&rig.arena);
    services_prepare (
        &rig.config, &rig.state, method, &nobody, request_id, body, &rig.arena, &prepare, logged, &rig.reply);
    return prepare;
}

static void test_services_auth__registers_under_the_normalised_login (void **state)
{
    (void) state;
    struct register_reply reply;
    assert_int_equal (register_as ("  Ann@Example.org ", HASH_ONE), STATUS_OK);
    world_reply (&rig, &register_reply_type, &reply);
    assert_true (bytes_equal (reply.login, BYTES_LITERAL ("ann@example.org")));
    struct id expected = auth_user_id (BYTES_LITERAL ("ann@example.org"));
    assert_true (id_equal (&reply.user, &expected));
    assert_int_equal (id_hash (&reply.user), placement_hash_user (BYTES_LITERAL ("ann@example.org")));
}

static void test_services_auth__user_ids_are_golden (void **state)
{
    (void) state;
    char text[ID_TEXT_LEN + 1];
    struct id id = auth_user_id (BYTES_LITERAL ("ann@example.org"));
    id_format (&id, text);
    assert_string_equal (text, "26a0d011e80bd2e2eef796a745c3591e");
    struct id other = auth_user_id (BYTES_LITERAL ("bob@example.org"));
    assert_false (id_equal (&id, &other));
}

static void test_services_auth__logins_are_unique (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    assert_int_equal (register_as (" ANN", HASH_TWO), STATUS_ALREADY_EXISTS);
    assert_true (rig_reason (&rig, "LOGIN_TAKEN"));
    assert_true (bytes_equal (rig.refusal.field, BYTES_LITERAL ("login")));
    assert_int_equal (login_as ("ann", true, 1), STATUS_OK); /* still the first password's account */
}

static void test_services_auth__refuses_bad_logins_and_unprepared_entries (void **state)
{
    (void) state;
    struct register_request request = {.login = BYTES_LITERAL ("  a  "), .password = BYTES_LITERAL ("secret")};
    struct id id = rig_id (&rig, 0);
    struct bytes logged;
    assert_int_equal (prepare_call (METHOD_NUMBER_AUTH_REGISTER, &request, &id, &logged).kind, SERVICES_PREPARE_DONE);
    assert_int_equal (rig.reply.status, STATUS_INVALID_ARGUMENT);
    assert_int_equal (register_as ("ann", ""), STATUS_INTERNAL);
    assert_true (rig_reason (&rig, "NOT_PREPARED"));
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
}

static void test_services_auth__passwords_stay_out_of_the_log (void **state)
{
    (void) state;
    static const char secret[] = "correct horse battery staple";
    struct register_request request = {.login = BYTES_LITERAL ("Ann"),
        .password = BYTES_LITERAL (secret),
        .has_display_name = true,
        .display_name = BYTES_LITERAL ("Ann")};
    struct id id = rig_request_id (&rig, METHOD_NUMBER_AUTH_REGISTER, &request);
    struct bytes logged;
    struct services_prepare prepare = prepare_call (METHOD_NUMBER_AUTH_REGISTER, &request, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_HASH);
    assert_true (bytes_equal (prepare.password, BYTES_LITERAL (secret)));
    assert_null (memmem (logged.data, logged.len, secret, 8));
    struct register_request kept;
    assert_int_equal (codec_decode (&register_request_type, logged, CODEC_STRICT, NULL, &kept, NULL), STATUS_OK);
    assert_true (bytes_equal (kept.login, request.login));
    assert_true (kept.has_display_name);

    struct login_request login = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL (secret)};
    prepare = prepare_call (METHOD_NUMBER_AUTH_LOGIN, &login, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_VERIFY);
    assert_null (memmem (logged.data, logged.len, secret, 8));
}

static void test_services_auth__taken_names_cost_no_hashing (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct register_request request = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL ("x")};
    struct id id = rig_request_id (&rig, METHOD_NUMBER_AUTH_REGISTER, &request);
    struct bytes logged;
    assert_int_equal (prepare_call (METHOD_NUMBER_AUTH_REGISTER, &request, &id, &logged).kind, SERVICES_PREPARE_DONE);
    assert_true (rig_reason (&rig, "LOGIN_TAKEN"));
}

static void test_services_auth__unknown_logins_take_the_same_way (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct login_request known = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL ("x")};
    struct login_request unknown = {.login = BYTES_LITERAL ("bob"), .password = BYTES_LITERAL ("x")};
    struct bytes logged;
    struct id id = rig_request_id (&rig, METHOD_NUMBER_AUTH_LOGIN, &known);
    struct services_prepare prepare = prepare_call (METHOD_NUMBER_AUTH_LOGIN, &known, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_VERIFY);
    assert_true (bytes_equal (prepare.hash, BYTES_LITERAL (HASH_ONE)));
    assert_int_equal (prepare.credentials_version, 1);
    id = rig_request_id (&rig, METHOD_NUMBER_AUTH_LOGIN, &unknown);
    prepare = prepare_call (METHOD_NUMBER_AUTH_LOGIN, &unknown, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_VERIFY);
    assert_int_equal (prepare.credentials_version, 0);
    assert_memory_equal (prepare.hash.data, "$argon2id$v=19$m=19456,t=2,p=1$", 31);

    char message[256];
    assert_int_equal (login_as ("ann", false, 1), STATUS_UNAUTHENTICATED);
    assert_true (rig_reason (&rig, "BAD_CREDENTIALS"));
    snprintf (message, sizeof message, "%s", rig.reply.message);
    assert_int_equal (login_as ("bob", false, 0), STATUS_UNAUTHENTICATED);
    assert_true (rig_reason (&rig, "BAD_CREDENTIALS"));
    assert_string_equal (rig.reply.message, message);
    assert_int_equal (login_as ("bob", true, 0), STATUS_UNAUTHENTICATED); /* whoever knew the dummy's password */
}

static void test_services_auth__login_makes_a_session (void **state)
{
    (void) state;
    struct login_reply reply;
    struct id id = {{0}};
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    rig.now_ms += 1234;
    assert_int_equal (login_id ("ann", true, 1, &id), STATUS_OK);
    world_reply (&rig, &login_reply_type, &reply);
    assert_int_equal (reply.roles, ROLE_CUSTOMER);
    assert_int_equal (reply.sequence, 1);
    assert_int_equal (reply.issued_ms, rig.now_ms);
    assert_int_equal (reply.access_expires_ms, rig.now_ms + AUTH_ACCESS_TTL_MS);
    assert_false (reply.has_access_token || reply.has_refresh_token);
    struct id session = reply.session, user = auth_user_id (BYTES_LITERAL ("ann"));
    assert_true (id_equal (&reply.user, &user));

    /* The same request again, later: the same session. */
    rig.now_ms += 60000;
    assert_int_equal (login_id ("ann", true, 1, &id), STATUS_OK);
    assert_true (rig.reply.replayed);
    world_reply (&rig, &login_reply_type, &reply);
    assert_true (id_equal (&reply.session, &session));
    assert_int_equal (reply.issued_ms, rig.now_ms - 60000);
    /* Another request: another session. */
    assert_int_equal (login_as ("ann", true, 1), STATUS_OK);
    world_reply (&rig, &login_reply_type, &reply);
    assert_false (id_equal (&reply.session, &session));
}

/* A request id is no secret: it stands in logs and event feeds. */
static void test_services_auth__a_request_id_is_no_password (void **state)
{
    (void) state;
    struct id id = {{0}};
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    assert_int_equal (login_id ("ann", true, 1, &id), STATUS_OK);
    assert_int_equal (login_id ("ann", false, 1, &id), STATUS_UNAUTHENTICATED);
    assert_false (rig.reply.replayed);
    struct login_request request = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL ("guess")};
    struct bytes logged;
    assert_int_equal (prepare_call (METHOD_NUMBER_AUTH_LOGIN, &request, &id, &logged).kind, SERVICES_PREPARE_VERIFY);
    assert_int_equal (login_id ("ann", true, 1, &id), STATUS_OK);
    assert_true (rig.reply.replayed);
}

static void test_services_auth__failed_logins_leave_no_record (void **state)
{
    (void) state;
    struct id id = {{0}};
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    size_t rows = tree_count (rig.map.tree);
    assert_int_equal (login_id ("ann", false, 1, &id), STATUS_UNAUTHENTICATED);
    for (int i = 0; i < 100; i++)
        assert_int_equal (login_as ("ann", false, 1), STATUS_UNAUTHENTICATED);
    assert_int_equal (tree_count (rig.map.tree), rows);
    assert_int_equal (login_id ("ann", true, 1, &id), STATUS_OK);
}

static void test_services_auth__credentials_that_changed_meanwhile (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    assert_int_equal (login_as ("ann", true, 2), STATUS_ABORTED);
    assert_true (rig_reason (&rig, "CREDENTIALS_CHANGED"));
    assert_int_equal (login_as ("ann", false, 0), STATUS_ABORTED); /* registered between verdict and entry */
    struct principal nobody = rig_anonymous ();
    struct login_request request = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL ("-")};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_AUTH_LOGIN, &nobody, &request), STATUS_INTERNAL);
    assert_true (rig_reason (&rig, "NOT_PREPARED"));
}

static void test_services_auth__sessions_are_bounded (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    size_t before = tree_count (rig.map.tree);
    for (int i = 0; i < 3 * AUTH_SESSIONS_MAX; i++)
        assert_int_equal (login_as ("ann", true, 1), STATUS_OK);
    /* Records of all of them, sessions of the newest. */
    assert_int_equal (tree_count (rig.map.tree), before + 3 * AUTH_SESSIONS_MAX + AUTH_SESSIONS_MAX);
}

static enum status set_role (uint64_t caller_roles, const char *login, uint64_t roles)
{
    struct principal caller = world_principal (5, caller_roles);
    struct set_role_request request = {.login = bytes_text (login), .roles = roles};
    return world_call (&rig, METHOD_NUMBER_AUTH_SET_ROLE, &caller, &request);
}

static void test_services_auth__only_administrators_give_roles (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    assert_int_equal (set_role (ROLE_SET_MAX & ~(uint64_t) ROLE_ADMIN, "ann", ROLE_STAFF), STATUS_PERMISSION_DENIED);
    assert_true (rig_reason (&rig, "ADMIN_ONLY"));
    assert_int_equal (set_role (ROLE_ADMIN, "bob", ROLE_STAFF), STATUS_NOT_FOUND);
    assert_true (rig_reason (&rig, "NO_USER"));
    assert_int_equal (set_role (ROLE_ADMIN, " Ann", ROLE_STAFF | ROLE_COURIER), STATUS_OK);
    struct login_reply reply;
    assert_int_equal (login_as ("ann", true, 1), STATUS_OK); /* the credentials are the same */
    world_reply (&rig, &login_reply_type, &reply);
    assert_int_equal (reply.roles, ROLE_STAFF | ROLE_COURIER);
}

/* ---- sessions */

static enum status refresh_id (const char *login, const struct id *session, uint64_t sequence, bool ours,
    uint64_t token_sequence, const struct id *request_id)
{
    struct principal nobody = rig_anonymous ();
    struct refresh_request request = {
        .login = bytes_text (login), .session = *session, .sequence = sequence, .refresh_token = BYTES_LITERAL ("-")};
    uint8_t prepared[25] = {ours};
    memcpy (prepared + 1, session->b, ID_SIZE);
    bytes_put_u64 (prepared + 17, token_sequence);
    return world_call_as (
        &rig, METHOD_NUMBER_AUTH_REFRESH, &nobody, request_id, &request, bytes_of (prepared, sizeof prepared));
}

static enum status refresh (const char *login, const struct id *session, uint64_t sequence)
{
    struct id id = rig_id (&rig, placement_hash_user (bytes_text (login)));
    return refresh_id (login, session, sequence, true, sequence, &id);
}

static struct id session_of (const char *login, uint64_t version)
{
    struct login_reply reply;
    assert_int_equal (login_as (login, true, version), STATUS_OK);
    world_reply (&rig, &login_reply_type, &reply);
    return reply.session;
}

static void test_services_auth__refresh_rotates (void **state)
{
    (void) state;
    struct login_reply reply;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct id session = session_of ("ann", 1);
    assert_int_equal (set_role (ROLE_ADMIN, "ann", ROLE_COURIER), STATUS_OK);
    for (uint64_t sequence = 1; sequence < 5; sequence++) {
        rig.now_ms += 240000;
        assert_int_equal (refresh ("ann", &session, sequence), STATUS_OK);
        world_reply (&rig, &login_reply_type, &reply);
        assert_int_equal (reply.sequence, sequence + 1);
        assert_true (id_equal (&reply.session, &session));
        assert_int_equal (reply.issued_ms, rig.now_ms);
        assert_int_equal (reply.roles, ROLE_COURIER); /* a new role bites at once here */
    }
}

static void test_services_auth__a_used_refresh_token_ends_its_family (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct id session = session_of ("ann", 1), other = session_of ("ann", 1);
    assert_int_equal (refresh ("ann", &session, 1), STATUS_OK);
    rig.unchecked = true; /* this refusal changes something */
    assert_int_equal (refresh ("ann", &session, 1), STATUS_UNAUTHENTICATED);
    rig.unchecked = false;
    assert_true (rig_reason (&rig, "REFRESH_REUSED"));
    assert_int_equal (refresh ("ann", &session, 2), STATUS_UNAUTHENTICATED);
    assert_true (rig_reason (&rig, "SESSION_ENDED"));
    assert_int_equal (refresh ("ann", &other, 1), STATUS_OK);
}

static void test_services_auth__a_repeated_refresh_is_no_reuse (void **state)
{
    (void) state;
    struct login_reply reply;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct id session = session_of ("ann", 1), id = rig_id (&rig, placement_hash_user (BYTES_LITERAL ("ann")));
    for (int i = 0; i < 3; i++) {
        assert_int_equal (refresh_id ("ann", &session, 1, true, 1, &id), STATUS_OK);
        assert_int_equal (rig.reply.replayed, i > 0);
        world_reply (&rig, &login_reply_type, &reply);
        assert_int_equal (reply.sequence, 2);
    }
    /* The request id alone gets nothing: not without the token, not with another one. */
    assert_int_equal (refresh_id ("ann", &session, 1, false, 1, &id), STATUS_UNAUTHENTICATED);
    assert_int_equal (refresh_id ("ann", &session, 1, true, 2, &id), STATUS_UNAUTHENTICATED);
    assert_int_equal (refresh_id ("ann", &session, 2, true, 2, &id), STATUS_ALREADY_EXISTS);
    assert_true (rig_reason (&rig, "KEY_REUSED"));
    assert_int_equal (refresh ("ann", &session, 2), STATUS_OK); /* and none of it ended the session */
}

static void test_services_auth__refresh_needs_the_users_own_live_session (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    assert_int_equal (register_as ("bob", HASH_ONE), STATUS_OK);
    struct id session = session_of ("ann", 1);
    assert_int_equal (refresh ("bob", &session, 1), STATUS_UNAUTHENTICATED);
    assert_int_equal (refresh ("nobody", &session, 1), STATUS_UNAUTHENTICATED);
    rig.now_ms += AUTH_SESSION_TTL_MS;
    assert_int_equal (refresh ("ann", &session, 1), STATUS_OK);
    rig.now_ms += AUTH_SESSION_TTL_MS + 1;
    assert_int_equal (refresh ("ann", &session, 2), STATUS_UNAUTHENTICATED);
    assert_true (rig_reason (&rig, "SESSION_ENDED"));
    struct principal nobody = rig_anonymous ();
    struct refresh_request bare = {
        .login = BYTES_LITERAL ("ann"), .session = session, .sequence = 2, .refresh_token = BYTES_LITERAL ("-")};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_AUTH_REFRESH, &nobody, &bare), STATUS_INTERNAL);
}

static enum status revoke (const struct principal *caller, const char *login, const struct id *session)
{
    struct revoke_sessions_request request = {.login = bytes_text (login), .has_session = session != NULL};
    if (session != NULL)
        request.session = *session;
    return world_call (&rig, METHOD_NUMBER_AUTH_REVOKE, caller, &request);
}

static void test_services_auth__revokes_one_session_or_all (void **state)
{
    (void) state;
    struct revoke_sessions_reply reply;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct principal ann = {
        .id = auth_user_id (BYTES_LITERAL ("ann")), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_CUSTOMER};
    struct principal bob = world_principal (4, ROLE_CUSTOMER | ROLE_STAFF), boss = world_principal (5, ROLE_OPERATOR);
    struct id one = session_of ("ann", 1), two = session_of ("ann", 1), three = session_of ("ann", 1);
    assert_int_equal (revoke (&bob, "ann", NULL), STATUS_PERMISSION_DENIED);
    assert_int_equal (revoke (&ann, "ann", &one), STATUS_OK);
    world_reply (&rig, &revoke_sessions_reply_type, &reply);
    assert_int_equal (reply.revoked, 1);
    assert_int_equal (refresh ("ann", &one, 1), STATUS_UNAUTHENTICATED);
    assert_int_equal (refresh ("ann", &two, 1), STATUS_OK);
    assert_int_equal (revoke (&boss, "ann", NULL), STATUS_OK);
    world_reply (&rig, &revoke_sessions_reply_type, &reply);
    assert_int_equal (reply.revoked, 2);
    assert_int_equal (refresh ("ann", &three, 1), STATUS_UNAUTHENTICATED);
    assert_int_equal (revoke (&boss, "nobody", NULL), STATUS_NOT_FOUND);
}

/* ---- ChangePassword */

static enum status change_id (
    const char *login, bool right, uint64_t version, const char *hash, const struct id *request_id)
{
    struct principal nobody = rig_anonymous ();
    struct change_password_request request = {
        .login = bytes_text (login), .old_password = BYTES_LITERAL ("-"), .new_password = BYTES_LITERAL ("-")};
    uint8_t prepared[160] = {right};
    bytes_put_u64 (prepared + 1, version);
    memcpy (prepared + 9, hash, strlen (hash));
    return world_call_as (&rig, METHOD_NUMBER_AUTH_CHANGE_PASSWORD, &nobody, request_id, &request,
        bytes_of (prepared, 9 + strlen (hash)));
}

static void test_services_auth__a_new_password_ends_all_sessions (void **state)
{
    (void) state;
    assert_int_equal (register_as ("ann", HASH_ONE), STATUS_OK);
    struct id session = session_of ("ann", 1), id = rig_id (&rig, placement_hash_user (BYTES_LITERAL ("ann")));
    assert_int_equal (change_id ("ann", false, 1, HASH_TWO, &id), STATUS_UNAUTHENTICATED);
    assert_true (rig_reason (&rig, "BAD_CREDENTIALS"));
    assert_int_equal (change_id ("bob", true, 0, HASH_TWO, &id), STATUS_UNAUTHENTICATED);
    assert_int_equal (change_id ("ann", true, 1, "", &id), STATUS_INTERNAL);
    assert_int_equal (refresh ("ann", &session, 1), STATUS_OK);
    id = rig_id (&rig, placement_hash_user (BYTES_LITERAL ("ann")));
    assert_int_equal (change_id ("ann", true, 1, HASH_TWO, &id), STATUS_OK);
    assert_int_equal (refresh ("ann", &session, 2), STATUS_UNAUTHENTICATED);
    assert_int_equal (login_as ("ann", true, 1), STATUS_ABORTED); /* verified against the old hash */
    assert_int_equal (login_as ("ann", true, 2), STATUS_OK);

    struct login_request login = {.login = BYTES_LITERAL ("ann"), .password = BYTES_LITERAL ("x")};
    struct bytes logged;
    struct id other = rig_id (&rig, placement_hash_user (BYTES_LITERAL ("ann")));
    struct services_prepare prepare = prepare_call (METHOD_NUMBER_AUTH_LOGIN, &login, &other, &logged);
    assert_true (bytes_equal (prepare.hash, BYTES_LITERAL (HASH_TWO)));

    /* A repeat: its old password is wrong by now, yet it was done, and that is what is answered. */
    assert_int_equal (change_id ("ann", false, 2, HASH_ONE, &id), STATUS_OK);
    assert_true (rig.reply.replayed);
    assert_int_equal (login_as ("ann", true, 2), STATUS_OK);
}

static void test_services_auth__both_passwords_stay_out_of_the_log (void **state)
{
    (void) state;
    struct change_password_request request = {.login = BYTES_LITERAL ("ann"),
        .old_password = BYTES_LITERAL ("the-old-secret"),
        .new_password = BYTES_LITERAL ("the-new-secret")};
    struct refresh_request refreshing = {.login = BYTES_LITERAL ("ann"),
        .session = id_make (1, 2, 3),
        .sequence = 4,
        .refresh_token = BYTES_LITERAL ("the-token-secret")};
    struct bytes logged;
    struct id id = rig_id (&rig, placement_hash_user (BYTES_LITERAL ("ann")));
    struct services_prepare prepare = prepare_call (METHOD_NUMBER_AUTH_CHANGE_PASSWORD, &request, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_CHANGE);
    assert_null (memmem (logged.data, logged.len, "secret", 6));
    assert_non_null (memmem (prepare.password.data, prepare.password.len, "the-new-secret", 14));
    prepare = prepare_call (METHOD_NUMBER_AUTH_REFRESH, &refreshing, &id, &logged);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_REFRESH);
    assert_true (bytes_equal (prepare.password, refreshing.refresh_token));
    assert_null (memmem (logged.data, logged.len, "secret", 6));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_services_auth__registers_under_the_normalised_login),
        TEST (test_services_auth__user_ids_are_golden),
        TEST (test_services_auth__logins_are_unique),
        TEST (test_services_auth__refuses_bad_logins_and_unprepared_entries),
        TEST (test_services_auth__passwords_stay_out_of_the_log),
        TEST (test_services_auth__taken_names_cost_no_hashing),
        TEST (test_services_auth__unknown_logins_take_the_same_way),
        TEST (test_services_auth__login_makes_a_session),
        TEST (test_services_auth__a_request_id_is_no_password),
        TEST (test_services_auth__failed_logins_leave_no_record),
        TEST (test_services_auth__credentials_that_changed_meanwhile),
        TEST (test_services_auth__sessions_are_bounded),
        TEST (test_services_auth__only_administrators_give_roles),
        TEST (test_services_auth__refresh_rotates),
        TEST (test_services_auth__a_used_refresh_token_ends_its_family),
        TEST (test_services_auth__a_repeated_refresh_is_no_reuse),
        TEST (test_services_auth__refresh_needs_the_users_own_live_session),
        TEST (test_services_auth__revokes_one_session_or_all),
        TEST (test_services_auth__a_new_password_ends_all_sessions),
        TEST (test_services_auth__both_passwords_stay_out_of_the_log),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
