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

#include <zmq.h>

#include "schemas/generated/wire.h"
#include "schemas/runtime/codec.h"
#include "schemas/runtime/status.h"

#define KEY_TEXT_SIZE 41
#define BODY_BYTES_MAX (256u * 1024 * 1024)

struct options {
    unsigned node;
    int timeout_ms, frames;
    const char *key, *header, *request_id, *method, *body;
    uint64_t bytes;
};

struct target {
    char endpoint[128], server[KEY_TEXT_SIZE], client_public[KEY_TEXT_SIZE], client_secret[KEY_TEXT_SIZE];
};

struct buffer {
    uint8_t *data;
    size_t len;
};

__attribute__ ((noreturn)) static void die (const char *what, const char *which)
{
    fprintf (stderr, "raw_call: %s: %s\n", what, which);
    exit (2);
}

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
        die ("no even number of hexadecimal digits", text);
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit (text[2 * i]), low = hex_digit (text[2 * i + 1]);
        if (high < 0 || low < 0)
            die ("not lower-case hexadecimal", text);
        buffer.data[i] = (uint8_t) (high * 16 + low);
    }
    return buffer;
}

static struct target find_target (unsigned node)
{
    const char *path = getenv ("MAITRE_CLUSTER");
    FILE *file = path == NULL ? NULL : fopen (path, "re");
    struct target target = {.endpoint = ""}, row;
    char line[512];
    unsigned number;
    if (file == NULL)
        die ("MAITRE_CLUSTER names no readable client file", path == NULL ? "(unset)" : path);
    while (fgets (line, sizeof line, file) != NULL) {
        if (sscanf (line, "node %u %127s %40s", &number, row.endpoint, row.server) == 3 && number == node) {
            memcpy (target.endpoint, row.endpoint, sizeof row.endpoint);
            memcpy (target.server, row.server, sizeof row.server);
        }
        (void) sscanf (line, "client-key %40s %40s", target.client_public, target.client_secret);
    }
    fclose (file);
    if (target.endpoint[0] == '\0')
        die ("there is no such node in", path);
    return target;
}

static void set_keys (void *socket, struct target *target, const char *kind)
{
    char other[KEY_TEXT_SIZE], other_secret[KEY_TEXT_SIZE];
    if (strcmp (kind, "none") == 0 || strcmp (target->server, "-") == 0)
        return;
    if (zmq_curve_keypair (other, other_secret) != 0)
        die ("no key pair", zmq_strerror (zmq_errno ()));
    bool wrong = strcmp (kind, "wrong") == 0, server = strcmp (kind, "server") == 0;
    if (!wrong && !server && strcmp (kind, "good") != 0)
        die ("--key is good, none, wrong or server, not", kind);
    int failed = zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, server ? other : target->server, KEY_TEXT_SIZE);
    failed |= zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, wrong ? other : target->client_public, KEY_TEXT_SIZE);
    failed |= zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, wrong ? other_secret : target->client_secret, KEY_TEXT_SIZE);
    if (failed != 0)
        die ("a key is refused", zmq_strerror (zmq_errno ()));
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
        die ("no request id", options->request_id);
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
        die ("the header does not encode for", options->method);
    return buffer;
}

static struct buffer make_body (const struct options *options)
{
    if (options->bytes == 0)
        return from_hex (options->body);
    struct buffer buffer = {calloc (1, options->bytes), options->bytes};
    if (buffer.data == NULL)
        die ("no memory for", "--bytes");
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
            die ("unknown option", argv[at]);
    }
    if (at >= argc || argc - at > 2 || options->bytes > BODY_BYTES_MAX)
        die ("give a method and at most one body", "see the head of raw_call.c");
    options->method = argv[at];
    options->body = at + 1 < argc ? argv[at + 1] : "a0";
    return 0;
}

int main (int argc, char **argv)
{
    struct options options = {.node = 1, .timeout_ms = 2000, .frames = 1, .key = "good"};
    parse (argc, argv, &options);
    struct target target = find_target (options.node);
    void *context = zmq_ctx_new ();
    void *socket = context == NULL ? NULL : zmq_socket (context, ZMQ_DEALER);
    int linger_ms = 0;
    if (socket == NULL)
        die ("no socket", zmq_strerror (zmq_errno ()));
    zmq_setsockopt (socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &options.timeout_ms, sizeof options.timeout_ms);
    zmq_setsockopt (socket, ZMQ_SNDTIMEO, &options.timeout_ms, sizeof options.timeout_ms);
    set_keys (socket, &target, options.key);
    if (zmq_connect (socket, target.endpoint) != 0)
        die ("cannot connect to", target.endpoint);
    send_all (socket, &options);
    int code = print_answer (socket);
    zmq_close (socket);
    zmq_ctx_term (context);
    return code;
}
