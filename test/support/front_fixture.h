/* A front and its clients, for the tests of both. Included once by a test, behind cmocka. */
#ifndef MAITRED_TEST_SUPPORT_FRONT_FIXTURE_H
#define MAITRED_TEST_SUPPORT_FRONT_FIXTURE_H

#include <string.h>

#include "router/front/front.h"
#include "router/front/safe_socket.h"
#include "schemas/runtime/codec.h"

#define WAIT_MS 60000

static inline struct front *open_front (struct front_options options)
{
    char error[512];
    struct front *front = NULL;
    options.endpoint = "tcp://127.0.0.1:*";
    assert_int_equal (front_new (&options, &front, error, sizeof error), STATUS_OK);
    return front;
}

static inline zsock_t *dial (const struct front *front, int type)
{
    zsock_t *client = zsock_new (type);
    assert_non_null (client);
    zsock_set_linger (client, 0);
    assert_int_equal (zmq_connect (zsock_resolve (client), front_endpoint (front)), 0);
    return client;
}

static inline bool readable (void *socket, long wait_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll (&item, 1, wait_ms) == 1;
}

static inline size_t make_header (uint64_t call, uint8_t *out, size_t size)
{
    struct request_header header = {.protocol = 1, .call = call, .method = BYTES_LITERAL ("health.Check")};
    size_t len;
    assert_int_equal (codec_encode (&request_header_type, &header, out, size, &len), STATUS_OK);
    return len;
}

static inline void send_call (zsock_t *client, uint64_t call, const char *body)
{
    uint8_t header[256];
    size_t len = make_header (call, header, sizeof header);
    assert_true (zmq_send (zsock_resolve (client), header, len, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (zsock_resolve (client), body, strlen (body), 0) >= 0);
}

/* Waits for one message to be dealt with. */
static inline enum status next (struct front *front, struct front_request *request)
{
    enum status status = STATUS_NOT_FOUND;
    for (int i = 0; i < 10 && status == STATUS_NOT_FOUND; i++) {
        if (i > 0 &&
            !readable (front_socket (front), WAIT_MS)) /* what waits in the front is no matter of the socket's */
            return STATUS_NOT_FOUND;
        front_watch (front);
        status = front_receive (front, request);
        front_flush (front);
    }
    return status;
}

/* Receives a reply's header into *header (borrowing `memory`); body frame's size returned. */
static inline size_t receive_reply (zsock_t *client, struct reply_header *header, uint8_t *memory, size_t size)
{
    void *raw = zsock_resolve (client);
    assert_true (readable (raw, WAIT_MS));
    int len = zmq_recv (raw, memory, size, 0);
    assert_true (len > 0 && (size_t) len <= size);
    assert_int_equal (
        codec_decode (&reply_header_type, bytes_of (memory, (size_t) len), CODEC_STRICT, NULL, header, NULL),
        STATUS_OK);
    assert_true (zsock_rcvmore (client));
    uint8_t body[256];
    int body_len = zmq_recv (raw, body, sizeof body, 0);
    assert_true (body_len >= 0);
    assert_false (zsock_rcvmore (client));
    return (size_t) body_len;
}

#endif
