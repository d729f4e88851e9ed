/* raw_call: one message to a node, exactly as asked, past every check of the client library.
 *
 * Prints "STATUS REASON MESSAGE" of the answer and exits 0; "no answer" and 1 when none comes; 2 on bad usage. The node
 * is looked up in the client file that MAITRE_CLUSTER names, the token is MAITRE_TOKEN.
 *
 *   raw_call [--node N] [--timeout MS] [--key good|none|wrong|server] [--header HEX] [--request-id HEX] [--frames N]
 *            [--bytes N] METHOD [BODY]
 *
 * METHOD is sent as it is, BODY is hexadecimal. --header replaces the encoded header. --frames N sends N copies of the
 * body (N = 0: the header alone). --bytes N replaces the body by N zero bytes. --key: the file's client key, no CURVE at
 * all, a key pair that nobody knows, or the file's client key towards a server key that is not the node's.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/generated/wire.h"
#include "schemas/runtime/codec.h"
#include "schemas/runtime/status.h"
#include "test/support/raw_client.h"

#define BODY_BYTES_MAX (256u * 1024 * 1024)

struct options {
    unsigned node;
    int timeout_ms, frames;
    const char *key, *header, *request_id, *method, *body;
    uint64_t bytes;
};

struct buffer {
    uint8_t *data;
    size_t len;
};

static int hex_digit (char digit)
{
    const char *digits = "0123456789abcdef", *at = digit == '\0' ? NULL : strchr (digits, digit);
    return at == NULL ? -1 : (int) (at - digits);
}

static struct buffer from_hex (const char *text)
{
    size_t len = strlen (text) / 2;
    struct buffer buffer = {malloc (len + 1), len};
    if (buffer.data == NULL || strlen (text) % 2 != 0)
        raw_die ("no even number of hexadecimal digits", text);
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit (text[2 * i]), low = hex_digit (text[2 * i + 1]);
        if (high < 0 || low < 0)
            raw_die ("not lower-case hexadecimal", text);
        buffer.data[i] = (uint8_t) (high * 16 + low);
    }
    return buffer;
}

/* A request id of this moment, placed anywhere: enough for whatever is refused before its shard looks at it. */
static struct id request_id (const struct options *options)
{
    struct timespec now;
    struct id id;
    clock_gettime (CLOCK_REALTIME, &now);
    if (options->request_id == NULL)
        return id_make ((uint64_t) now.tv_sec * 1000, 7, (uint64_t) now.tv_nsec);
    if (id_parse (bytes_text (options->request_id), &id) != STATUS_OK)
        raw_die ("no request id", options->request_id);
    return id;
}

static struct buffer make_header (const struct options *options)
{
    if (options->header != NULL)
        return from_hex (options->header);
    const char *token = getenv ("MAITRE_TOKEN");
    struct request_header header = {.protocol = 1,
        .call = 42,
        .method = bytes_text (options->method),
        .has_request_id = true,
        .request_id = request_id (options),
        .has_remaining_ms = true,
        .remaining_ms = (uint64_t) options->timeout_ms,
        .has_token = token != NULL && *token != '\0'};
    header.token = header.has_token ? bytes_text (token) : bytes_of (NULL, 0);
    struct buffer buffer = {malloc (REQUEST_HEADER_ENCODED_MAX), 0};
    if (buffer.data == NULL ||
        codec_encode (&request_header_type, &header, buffer.data, REQUEST_HEADER_ENCODED_MAX, &buffer.len) != STATUS_OK)
        raw_die ("the header does not encode for", options->method);
    return buffer;
}

static struct buffer make_body (const struct options *options)
{
    if (options->bytes == 0)
        return from_hex (options->body);
    struct buffer buffer = {calloc (1, options->bytes), options->bytes};
    if (buffer.data == NULL)
        raw_die ("no memory for", "--bytes");
    return buffer;
}

/* A frame that the node does not take breaks the connection: what is not sent then is not missed. */
static void send_all (void *socket, const struct options *options)
{
    struct buffer header = make_header (options), body = make_body (options);
    bool sent = zmq_send (socket, header.data, header.len, options->frames > 0 ? ZMQ_SNDMORE : 0) >= 0;
    for (int i = 0; sent && i < options->frames; i++)
        sent = zmq_send (socket, body.data, body.len, i + 1 < options->frames ? ZMQ_SNDMORE : 0) >= 0;
    free (header.data);
    free (body.data);
}

static int print_answer (void *socket)
{
    uint8_t data[REPLY_HEADER_ENCODED_MAX];
    struct reply_header header;
    struct arena arena;
    uint8_t room[64];
    int len = zmq_recv (socket, data, sizeof data, 0);
    if (len < 0) {
        puts ("no answer");
        return 1;
    }
    arena_init (&arena, room, sizeof room);
    size_t size = (size_t) len < sizeof data ? (size_t) len : sizeof data;
    if (codec_decode (&reply_header_type, bytes_of (data, size), CODEC_LENIENT, &arena, &header, NULL) != STATUS_OK) {
        puts ("an answer that is not understood");
        return 1;
    }
    printf ("%s %.*s %.*s\n", status_name ((enum status) header.status), (int) header.reason.len,
        header.has_reason ? (const char *) header.reason.data : "", (int) header.message.len,
        header.has_message ? (const char *) header.message.data : "");
    return 0;
}

static int parse (int argc, char **argv, struct options *options)
{
    int at = 1;
    for (; at + 1 < argc && strncmp (argv[at], "--", 2) == 0; at += 2) {
        const char *name = argv[at] + 2, *value = argv[at + 1];
        if (strcmp (name, "node") == 0)
            options->node = (unsigned) strtoul (value, NULL, 10);
        else if (strcmp (name, "timeout") == 0)
            options->timeout_ms = (int) strtol (value, NULL, 10);
        else if (strcmp (name, "key") == 0)
            options->key = value;
        else if (strcmp (name, "header") == 0)
            options->header = value;
        else if (strcmp (name, "request-id") == 0)
            options->request_id = value;
        else if (strcmp (name, "frames") == 0)
            options->frames = (int) strtol (value, NULL, 10);
        else if (strcmp (name, "bytes") == 0)
            options->bytes = strtoull (value, NULL, 10);
        else
            raw_die ("unknown option", argv[at]);
    }
    if (at >= argc || argc - at > 2 || options->bytes > BODY_BYTES_MAX)
        raw_die ("give a method and at most one body", "see the head of raw_call.c");
    options->method = argv[at];
    options->body = at + 1 < argc ? argv[at + 1] : "a0";
    return 0;
}

int main (int argc, char **argv)
{
    struct options options = {.node = 1, .timeout_ms = 2000, .frames = 1, .key = "good"};
    parse (argc, argv, &options);
    struct raw_target target;
    if (!raw_target_find (options.node, &target))
        raw_die ("there is no such node in", getenv ("MAITRE_CLUSTER"));
    void *context = zmq_ctx_new ();
    void *socket = context == NULL ? NULL : zmq_socket (context, ZMQ_DEALER);
    int linger_ms = 0;
    if (socket == NULL)
        raw_die ("no socket", zmq_strerror (zmq_errno ()));
    zmq_setsockopt (socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &options.timeout_ms, sizeof options.timeout_ms);
    zmq_setsockopt (socket, ZMQ_SNDTIMEO, &options.timeout_ms, sizeof options.timeout_ms);
    raw_keys_set (socket, &target, options.key);
    if (zmq_connect (socket, target.endpoint) != 0)
        raw_die ("cannot connect to", target.endpoint);
    send_all (socket, &options);
    int code = print_answer (socket);
    zmq_close (socket);
    zmq_ctx_term (context);
    return code;
}
