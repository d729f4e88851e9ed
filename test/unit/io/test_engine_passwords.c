#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schemas/generated/auth.h"
#include "test/support/engine_fixture.h"

#define USERS 60

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

struct user {
    char login[16];
    uint32_t hash;
    struct id id;
};

static struct register_request registration (const struct user *user)
{
    return (struct register_request){
        .login = bytes_text (user->login), .password = BYTES_LITERAL ("correct horse battery staple")};
}

static void send_registration (const struct user *user, uint64_t call)
{
    uint8_t bytes[1024], body[256];
    size_t len, body_len;
    struct register_request request = registration (user);
    struct request_header header = {.protocol = 1,
        .call = call,
        .method = BYTES_LITERAL ("auth.Register"),
        .has_request_id = true,
        .request_id = user->id,
        .has_token = true,
        .token = bytes_text (fixture.admin)};
    assert_int_equal (codec_encode (&register_request_type, &request, body, sizeof body, &body_len), STATUS_OK);
    assert_int_equal (codec_encode (&request_header_type, &header, bytes, sizeof bytes, &len), STATUS_OK);
    void *raw = zsock_resolve (fixture.clients[1]);
    assert_int_equal (zmq_send (raw, bytes, len, ZMQ_SNDMORE), (int) len);
    assert_int_equal (zmq_send (raw, body, body_len, 0), (int) body_len);
}

/* C1: who floods a node with passwords gets no more of it than one queue, and is told at once. */
static void test_engine_passwords__the_queue_is_bounded_and_says_so (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture.nodes[1].config.limits.password_queue = 1;
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1); /* the shards lead */
    assert_int_not_equal (offer.hash, 0);
    static struct user users[USERS];
    for (unsigned i = 0; i < USERS; i++) {
        snprintf (users[i].login, sizeof users[i].login, "guest-%u", i);
        users[i].hash = placement_hash_user (bytes_text (users[i].login));
        users[i].id = fixture_id (&fixture, users[i].hash);
    }
    /* One is hashed, for tens of milliseconds, and one waits: of the others most come meanwhile. */
    for (unsigned i = 0; i < USERS; i++)
        send_registration (&users[i], 1000000 + i);
    void *raw = zsock_resolve (fixture.clients[1]);
    int fine = 0, full = 0;
    const struct user *refused = NULL;
    for (unsigned i = 0; i < USERS; i++) {
        zmq_pollitem_t item = {.socket = raw, .events = ZMQ_POLLIN};
        assert_int_equal (zmq_poll (&item, 1, FIXTURE_WAIT_MS), 1);
        int len = zmq_recv (raw, reply.header_bytes, sizeof reply.header_bytes, 0);
        assert_true (len > 0 && zmq_recv (raw, reply.body, sizeof reply.body, 0) >= 0);
        assert_int_equal (codec_decode (&reply_header_type, bytes_of (reply.header_bytes, (size_t) len), CODEC_STRICT,
                              NULL, &reply.header, NULL),
            STATUS_OK);
        assert_in_range (reply.header.call, 1000000, 1000000 + USERS - 1);
        if (reply.header.status == STATUS_OK) {
            fine++;
            continue;
        }
        assert_int_equal (reply.header.status, STATUS_RESOURCE_EXHAUSTED);
        assert_true (fixture_reason (&reply, "PASSWORD_QUEUE_FULL"));
        assert_true (reply.header.has_retry_after_ms && reply.header.retry_after_ms > 0);
        refused = &users[reply.header.call - 1000000];
        full++;
    }
    assert_int_equal (fine + full, USERS);
    assert_true (fine > 0);
    assert_true (full > 0);
    /* Nothing happened to who was refused: the same request id does it now. */
    struct register_request request = registration (refused);
    assert_int_equal (
        fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_REGISTER, &refused->id, &request, &reply), STATUS_OK);
    assert_false (reply.header.has_replayed && reply.header.replayed);
    fixture_close (&fixture);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_engine_passwords__the_queue_is_bounded_and_says_so),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
