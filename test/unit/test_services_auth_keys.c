/* API keys in the system shard: who makes, revokes and lists them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/services/auth.h"
#include "test/support/services_rig.h"

static struct world rig;

static int set_up (void **state)
{
    (void) state;
    rig_init (&rig, 0);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    world_close (&rig);
    return 0;
}

static enum status create_key (uint64_t caller_roles, uint64_t number, uint64_t roles)
{
    struct principal caller = world_principal (5, caller_roles);
    struct create_api_key_request request = {
        .key = id_make (9, 9, number), .name = BYTES_LITERAL ("till"), .roles = roles};
    return world_call (&rig, METHOD_NUMBER_AUTH_CREATE_API_KEY, &caller, &request);
}

static enum status revoke_key (uint64_t caller_roles, uint64_t number)
{
    struct principal caller = world_principal (5, caller_roles);
    struct revoke_api_key_request request = {.key = id_make (9, 9, number)};
    return world_call (&rig, METHOD_NUMBER_AUTH_REVOKE_API_KEY, &caller, &request);
}

static struct list_api_keys_reply list_keys (uint64_t page_size, struct bytes token)
{
    static uint8_t kept[SERVICES_PAGE_TOKEN_BYTES_MAX];
    struct principal caller = world_principal (5, ROLE_OPERATOR);
    struct list_api_keys_request request = {
        .has_page_size = true, .page_size = page_size, .has_page_token = true, .page_token = token};
    struct list_api_keys_reply reply;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_AUTH_LIST_API_KEYS, &caller, &request), STATUS_OK);
    world_reply (&rig, &list_api_keys_reply_type, &reply);
    if (reply.has_page_token) {
        memcpy (kept, reply.page_token.data, reply.page_token.len);
        reply.page_token.data = kept;
    }
    return reply;
}

static void test_services_auth_keys__keys_have_no_more_roles_than_their_maker (void **state)
{
    (void) state;
    struct create_api_key_reply reply;
    assert_int_equal (create_key (ROLE_OPERATOR, 1, ROLE_STAFF), STATUS_PERMISSION_DENIED);
    assert_true (rig_reason (&rig, "ADMIN_ONLY"));
    assert_int_equal (create_key (ROLE_ADMIN | ROLE_STAFF, 1, ROLE_STAFF | ROLE_COURIER), STATUS_PERMISSION_DENIED);
    assert_true (rig_reason (&rig, "ROLES_BEYOND_YOURS"));
    assert_int_equal (create_key (ROLE_ADMIN | ROLE_STAFF, 1, ROLE_STAFF), STATUS_OK);
    world_reply (&rig, &create_api_key_reply_type, &reply);
    assert_int_equal (reply.roles, ROLE_STAFF);
    assert_int_equal (reply.issued_ms, rig.now_ms);
    assert_false (reply.has_token);
    assert_int_equal (create_key (ROLE_ADMIN, 1, 0), STATUS_ALREADY_EXISTS);
    struct principal admin = world_principal (5, ROLE_ADMIN);
    struct create_api_key_request zero = {.name = BYTES_LITERAL ("none")};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_AUTH_CREATE_API_KEY, &admin, &zero), STATUS_INVALID_ARGUMENT);
}

static void test_services_auth_keys__revoked_once_is_revoked (void **state)
{
    (void) state;
    assert_int_equal (create_key (ROLE_ADMIN, 1, 0), STATUS_OK);
    assert_int_equal (revoke_key (ROLE_OPERATOR, 1), STATUS_PERMISSION_DENIED);
    assert_false (list_keys (10, bytes_of (NULL, 0)).keys[0].revoked);
    rig.now_ms += 1000;
    assert_int_equal (revoke_key (ROLE_ADMIN, 1), STATUS_OK);
    rig.now_ms += 1000;
    assert_int_equal (revoke_key (ROLE_ADMIN, 1), STATUS_OK);
    assert_int_equal (revoke_key (ROLE_ADMIN, 2), STATUS_OK); /* made offline: no list named it */
    assert_int_equal (create_key (ROLE_ADMIN, 2, 0), STATUS_ALREADY_EXISTS);
    struct list_api_keys_reply reply = list_keys (10, bytes_of (NULL, 0));
    assert_int_equal (reply.keys_count, 2);
    assert_true (reply.keys[0].revoked && reply.keys[1].revoked);
    assert_int_equal (reply.keys[0].revoked_ms, WORLD_START_MS + 1000);
    assert_int_equal (reply.keys[1].revoked_ms, WORLD_START_MS + 2000);
}

static void test_services_auth_keys__lists_keys_by_page (void **state)
{
    (void) state;
    rig.unchecked = true;
    for (uint64_t i = 0; i < 25; i++)
        assert_int_equal (create_key (ROLE_ADMIN, i, 0), STATUS_OK);
    uint64_t seen = 0;
    struct list_api_keys_reply reply = {.page_token = {0}};
    do {
        reply = list_keys (10, reply.page_token);
        for (size_t i = 0; i < reply.keys_count; i++) {
            struct id expected = id_make (9, 9, seen++);
            assert_true (id_equal (&reply.keys[i].key, &expected));
        }
    } while (reply.has_page_token);
    assert_int_equal (seen, 25);
    struct principal customer = world_principal (6, ROLE_CUSTOMER);
    struct list_api_keys_request request = {0};
    assert_int_equal (
        world_read (&rig, METHOD_NUMBER_AUTH_LIST_API_KEYS, &customer, &request), STATUS_PERMISSION_DENIED);
}

/* Whoever forges a token by the public checksum gets an answer, never a crash. */
static void test_services_auth_keys__forged_page_tokens_are_harmless (void **state)
{
    (void) state;
    assert_int_equal (create_key (ROLE_ADMIN, 1, 0), STATUS_OK);
    assert_int_equal (create_key (ROLE_ADMIN, 2, 0), STATUS_OK);
    struct principal caller = world_principal (5, ROLE_OPERATOR);
    struct list_api_keys_reply first = list_keys (1, bytes_of (NULL, 0));
    assert_true (first.has_page_token);
    uint8_t forged[600] = {0};
    size_t head = first.page_token.len - ID_SIZE;
    memcpy (forged, first.page_token.data, first.page_token.len);
    for (size_t len = 0; len <= sizeof forged; len++) {
        struct list_api_keys_request request = {
            .has_page_size = true, .page_size = 1, .has_page_token = true, .page_token = bytes_of (forged, len)};
        enum status status = world_read (&rig, METHOD_NUMBER_AUTH_LIST_API_KEYS, &caller, &request);
        assert_true (status == STATUS_OK || status == STATUS_INVALID_ARGUMENT);
        assert_true (len == 0 || len >= head || status == STATUS_INVALID_ARGUMENT);
    }
}

static void test_services_auth_keys__the_list_of_keys_is_bounded (void **state)
{
    (void) state;
    rig.unchecked = true;
    for (uint64_t i = 0; i < AUTH_API_KEYS_MAX; i++)
        assert_int_equal (create_key (ROLE_ADMIN, i, 0), STATUS_OK);
    assert_int_equal (create_key (ROLE_ADMIN, AUTH_API_KEYS_MAX, 0), STATUS_RESOURCE_EXHAUSTED);
    assert_true (rig_reason (&rig, "TOO_MANY_KEYS"));
    assert_int_equal (revoke_key (ROLE_ADMIN, AUTH_API_KEYS_MAX), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (revoke_key (ROLE_ADMIN, 3), STATUS_OK);
    rig_check (&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_services_auth_keys__keys_have_no_more_roles_than_their_maker),
        TEST (test_services_auth_keys__revoked_once_is_revoked),
        TEST (test_services_auth_keys__lists_keys_by_page),
        TEST (test_services_auth_keys__forged_page_tokens_are_harmless),
        TEST (test_services_auth_keys__the_list_of_keys_is_bounded),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
