/* Messages of several calls as the front takes them apart, and replies as it puts them together: frames in any number and order
 * from several connections, between calls that are served, left and dropped, against a model that is a list.
 *
 * Every call comes out once, those of a connection in their order, unless its connection was cut off; turns go round; counters
 * agree after every step.
 */
#include "router/front/front_inbox.h"
#include "router/front/front_outbox.h"
#include "schemas/generated/wire.h"
#include "test/fuzz/fuzz.h"

#define CONNECTIONS 5
#define STEPS_MAX 200
#define CALLS_MAX 512

/* What is expected of a connection: its calls, in order. */
struct expected {
    uint32_t serial, message;
    bool whole, followed;
};

static struct line {
    struct expected calls[CALLS_MAX];
    uint32_t first, count;
} lines[CONNECTIONS];

static uint32_t serial, message_number;

static struct front_call *give (struct front_inbox *inbox, const void *data, size_t len, bool more)
{
    zmq_msg_t frame;
    maitre_assert (zmq_msg_init_size (&frame, len) == 0);
    if (len > 0)
        memcpy (zmq_msg_data (&frame), data, len);
    struct front_call *call = front_inbox_frame (inbox, &frame, more);
    maitre_assert (zmq_msg_size (&frame) == 0);
    zmq_msg_close (&frame);
    return call;
}

/* One message: 0 to 40 calls, with or without an empty frame before and half a call behind. */
static void receive (struct front_inbox *inbox, struct fuzz *fuzz)
{
    uint8_t who = (uint8_t) fuzz_below (fuzz, CONNECTIONS), shape = fuzz_u8 (fuzz);
    uint32_t frames = shape % 4 == 0 ? (uint32_t) fuzz_below (fuzz, 81) : 2 * (uint32_t) (1 + shape / 4 % 6);
    struct line *line = &lines[who];
    uint8_t padding[256] = {0};
    bool dropped = false, delimiter = fuzz_u8 (fuzz) % 8 == 0;
    if (line->count + frames / 2 + 1 > CALLS_MAX)
        return;
    message_number++;
    front_inbox_begin (inbox, bytes_of (&who, 1));
    if (delimiter)
        maitre_assert (give (inbox, "", 0, frames > 0) == NULL || frames == 0);
    if (delimiter && frames == 0) { /* an empty frame alone is half a call */
        line->calls[(line->first + line->count++) % CALLS_MAX] = (struct expected){.message = message_number};
        return;
    }
    for (uint32_t i = 0; i < frames; i++) {
        bool more = i + 1 < frames, head = i % 2 == 0;
        uint32_t taken = i / 2 + 1;
        uint32_t mark = head ? ++serial : serial;
        memcpy (padding, &mark, sizeof mark);
        struct front_call *call = give (inbox, padding, sizeof mark + fuzz_below (fuzz, 200), more);
        maitre_assert ((call != NULL) == (head && !dropped));
        if (call != NULL) {
            call->client.fd = who;
            maitre_assert (call->client.delimiter == delimiter && call->client.identity_len == 1);
            line->calls[(line->first + line->count++) % CALLS_MAX] =
                (struct expected){.serial = mark, .message = message_number};
        } else if (!dropped) {
            struct expected *last = &line->calls[(line->first + line->count - 1) % CALLS_MAX];
            last->whole = taken <= FRONT_CALLS_MAX;
            last->followed = more && last->whole;
            dropped = !last->whole;
        }
    }
}

static struct expected take (struct line *line)
{
    maitre_assert (line->count > 0);
    struct expected taken = line->calls[line->first];
    line->first = (line->first + 1) % CALLS_MAX;
    line->count--;
    return taken;
}

/* The next call: the model's first one of its connection. */
static struct front_call *serve (struct front_inbox *inbox, struct expected *expected)
{
    struct front_call *call = front_inbox_next (inbox);
    uint32_t waiting = 0;
    for (int i = 0; i < CONNECTIONS; i++)
        waiting += lines[i].count;
    maitre_assert ((call == NULL) == (waiting == 0));
    if (call == NULL)
        return NULL;
    maitre_assert (call->client.identity[0] < CONNECTIONS);
    *expected = take (&lines[call->client.identity[0]]);
    maitre_assert (call->whole == expected->whole && call->followed == expected->followed);
    if (expected->serial != 0)
        maitre_assert (memcmp (zmq_msg_data (&call->head), &expected->serial, sizeof expected->serial) == 0);
    if (call->whole)
        maitre_assert (memcmp (zmq_msg_data (&call->body), &expected->serial, sizeof expected->serial) == 0);
    return call;
}

/* Everything that waits, in turns: between two calls of one connection each other one that waits is served. */
static void serve_rounds (struct front_inbox *inbox)
{
    struct expected expected;
    struct front_call *call;
    uint32_t served[CONNECTIONS] = {0};
    while ((call = serve (inbox, &expected)) != NULL) {
        uint32_t who = call->client.identity[0];
        served[who]++;
        for (uint32_t i = 0; i < CONNECTIONS; i++)
            maitre_assert (lines[i].count == 0 || served[i] + 1 >= served[who]);
    }
}

static void check_over (struct front_inbox *inbox)
{
    struct front_client client;
    while (front_inbox_over (inbox, &client)) {
        maitre_assert (client.identity[0] < CONNECTIONS && lines[client.identity[0]].count > 0);
        lines[client.identity[0]].count = 0;
    }
    front_inbox_check (inbox);
}

static void take_apart (struct fuzz *fuzz)
{
    struct front_inbox_limits limits = {.calls_max = 1 + (uint32_t) fuzz_below (fuzz, 400),
        .bytes_max = 1000 + fuzz_below (fuzz, 65536),
        .in_all_max = 2000 + 4 * fuzz_below (fuzz, 65536)};
    struct front_inbox *inbox = front_inbox_new (&limits);
    struct expected expected;
    maitre_assert (inbox != NULL);
    memset (lines, 0, sizeof lines);
    serial = message_number = 0;
    for (int i = 0; i < STEPS_MAX && fuzz->left > 0; i++) {
        uint8_t kind = fuzz_u8 (fuzz);
        struct front_call *call = kind % 4 < 2 ? NULL : serve (inbox, &expected);
        if (kind % 4 < 2) {
            receive (inbox, fuzz);
        } else if (kind % 4 == 3 && call != NULL && kind >= 128) { /* a header that does not say many */
            struct line *line = &lines[call->client.identity[0]];
            while (expected.followed && line->count > 0 && line->calls[line->first].message == expected.message)
                expected.followed = take (line).followed;
            front_inbox_skip (inbox);
        }
        check_over (inbox);
    }
    serve_rounds (inbox);
    front_inbox_check (inbox);
    front_inbox_destroy (&inbox);
}

/* Replies: each is handed out once, in order of its connection, many only to those that take many. */
static void put_together (struct fuzz *fuzz)
{
    static struct front_outbox *outbox;
    uint32_t given[CONNECTIONS] = {0}, handed[CONNECTIONS] = {0};
    if (outbox == NULL)
        outbox = front_outbox_new ();
    maitre_assert (outbox != NULL);
    while (fuzz->left > 0) {
        uint8_t who = (uint8_t) fuzz_below (fuzz, CONNECTIONS), draw = fuzz_u8 (fuzz);
        struct front_client client = {.identity_len = 1, .identity = {who}, .many = draw % 4 != 0};
        uint32_t number = given[who];
        struct bytes body = fuzz_run (fuzz, draw / 4);
        if (front_outbox_full (outbox, sizeof number + body.len))
            break;
        given[who]++;
        maitre_assert (
            front_outbox_add (outbox, &client, bytes_of ((const uint8_t *) &number, sizeof number), body) == STATUS_OK);
    }
    struct front_message message;
    while (front_outbox_next (outbox, &message)) {
        uint8_t who = message.client->identity[0];
        maitre_assert (message.count >= 1 && message.count <= FRONT_CALLS_MAX);
        maitre_assert (message.count == 1 || message.client->many);
        for (size_t i = 0; i < message.count; i++) {
            maitre_assert (memcmp (message.replies[i].head.data, &handed[who], sizeof handed[who]) == 0);
            handed[who]++;
        }
    }
    maitre_assert (memcmp (given, handed, sizeof given) == 0);
    front_outbox_clear (outbox);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    if (fuzz_u8 (&fuzz) % 4 == 0)
        put_together (&fuzz);
    else
        take_apart (&fuzz);
    return 0;
}
