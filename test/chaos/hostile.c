/* hostile: one kind of ill-meant load on every node of a cluster, at a rate, for some seconds. What scripts/chaos hostile runs.
 *
 *   hostile KIND --nodes N [--seconds S] [--rate R]
 *
 * R: so many a second in all. Nodes and keys are those of the client file in MAITRE_CLUSTER. Says at the end, as one line
 * of JSON, what it did. Exit status: 0 it did that; 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "schemas/generated/auth.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/wire.h"
#include "schemas/runtime/codec.h"
#include "schemas/runtime/placement_hash.h"
#include "test/support/raw_client.h"

#define NODES_MAX 16
#define OPEN_MAX_ 3000 /* connections that are held at a time */
#define TICK_MS 5
#define GREETING 64   /* RFC 23 */
#define HELD_TICKS 20 /* so long a connection that sends rubbish is held */
#define LOGIN "admin"
#define SECONDS_MAX 600
#define RATE_MAX 100000

struct target {
    struct raw_target raw;
    struct sockaddr_in address;
    void *socket;
};

/* A TCP connection, and how many ticks it is still held; 0 descriptors are not in the list. */
struct link {
    int fd;
    uint32_t ticks;
    bool greeted;
};

struct attack {
    struct target targets[NODES_MAX];
    uint32_t count, next;
    struct link links[OPEN_MAX_];
    uint32_t links_count;
    uint64_t done, answered, failed, bytes;
    struct request_header header;
    uint8_t body[1024];
    size_t body_len;
    uint8_t noise[65536];
};

static uint64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* ---- connections without ZeroMQ */

static void link_close (struct attack *attack, uint32_t i)
{
    close (attack->links[i].fd);
    attack->links[i] = attack->links[--attack->links_count];
}

/* Never waits: a full queue of the listener is somebody else's success. */
static void link_open (struct attack *attack, uint32_t ticks)
{
    const struct target *target = &attack->targets[attack->next++ % attack->count];
    if (attack->links_count == OPEN_MAX_)
        return;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect (fd, (const struct sockaddr *) &target->address, sizeof target->address) != 0 &&
                      errno != EINPROGRESS)) {
        attack->failed++;
        if (fd >= 0)
            close (fd);
        return;
    }
    attack->links[attack->links_count++] = (struct link){.fd = fd, .ticks = ticks};
    attack->done++;
}

static void link_write (struct attack *attack, struct link *link, const uint8_t *data, size_t len)
{
    ssize_t sent = send (link->fd, data, len, MSG_NOSIGNAL);
    attack->bytes += sent > 0 ? (uint64_t) sent : 0;
}

/* ZMTP 3.0 (RFC 23), as a client that has a key. */
static void greet (struct attack *attack, struct link *link)
{
    uint8_t greeting[GREETING] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'C', 'U', 'R', 'V', 'E'};
    link_write (attack, link, greeting, sizeof greeting);
    link->greeted = true;
}

static void connects (struct attack *attack)
{
    link_open (attack, 1);
}

static void halfopen (struct attack *attack)
{
    link_open (attack, UINT32_MAX);
}

static void garbage (struct attack *attack)
{
    link_open (attack, HELD_TICKS);
}

/* What links say once they stand. Half-open ones: every second one its greeting, and then nothing. */
static void links_tick (struct attack *attack, const char *kind)
{
    bool rubbish = strcmp (kind, "garbage") == 0, huge = strcmp (kind, "huge") == 0,
         half = strcmp (kind, "halfopen") == 0;
    for (uint32_t i = attack->links_count; i-- > 0;) {
        struct link *link = &attack->links[i];
        struct pollfd state = {.fd = link->fd, .events = POLLOUT};
        int ready = poll (&state, 1, 0);
        if ((ready > 0 && (state.revents & (POLLERR | POLLHUP)) != 0) ||
            (link->ticks != UINT32_MAX && link->ticks-- == 0)) {
            link_close (attack, i);
            continue;
        }
        if (ready <= 0)
            continue;
        if (!link->greeted && (huge || (half && i % 2 == 0) || (rubbish && i % 2 == 0)))
            greet (attack, link);
        else if (huge) { /* a message of two GiB, which never ends */
            static const uint8_t head[9] = {0x02, 0, 0, 0, 0, 0x80, 0, 0, 0};
            link_write (attack, link, head, sizeof head);
            link_write (attack, link, attack->noise, sizeof attack->noise);
        } else if (rubbish)
            link_write (attack, link, attack->noise + i % 4096, 1024);
    }
}

/* ---- messages */

static void call_prepare (
    struct attack *attack, const char *method, bool token, const struct codec_type *type, const void *body)
{
    const char *text = getenv ("MAITRE_TOKEN");
    attack->header = (struct request_header){.protocol = 1,
        .call = 1,
        .method = bytes_text (method),
        .has_request_id = true,
        .has_remaining_ms = true,
        .remaining_ms = 2000,
        .has_token = token && text != NULL,
        .token = token && text != NULL ? bytes_text (text) : bytes_of (NULL, 0)};
    if (codec_encode (type, body, attack->body, sizeof attack->body, &attack->body_len) != STATUS_OK)
        raw_die ("a call does not encode", method);
}

/* Each is a new request, of this moment, for the shard of the one user that it names. */
static void call_send (struct attack *attack)
{
    static uint64_t requests;
    void *socket = attack->targets[attack->next++ % attack->count].socket;
    uint8_t head[REQUEST_HEADER_ENCODED_MAX];
    size_t len;
    attack->header.call++;
    attack->header.request_id = id_make ((uint64_t) time (NULL) * 1000, placement_hash_user (bytes_text (LOGIN)),
        ((uint64_t) getpid () << 24) + ++requests);
    if (codec_encode (&request_header_type, &attack->header, head, sizeof head, &len) != STATUS_OK)
        raw_die ("a header does not encode", "call");
    if (zmq_send (socket, head, len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send (socket, attack->body, attack->body_len, ZMQ_DONTWAIT) < 0)
        attack->failed++; /* nobody takes it any more */
    else
        attack->done++;
}

static void calls_read (struct attack *attack)
{
    for (uint32_t i = 0; i < attack->count; i++) {
        uint8_t frame[4096];
        int more = 0;
        size_t size = sizeof more;
        while (zmq_recv (attack->targets[i].socket, frame, sizeof frame, ZMQ_DONTWAIT) >= 0) {
            zmq_getsockopt (attack->targets[i].socket, ZMQ_RCVMORE, &more, &size);
            attack->answered += more == 0;
        }
    }
}

static const struct kind {
    const char *name;
    uint32_t rate; /* a second */
    void (*act) (struct attack *attack);
    bool calls, reads;
} kinds[] = {
    {"connects", 1000, connects, false, false}, /* opened and closed */
    {"halfopen", 500, halfopen, false, false},  /* opened and held, up to OPEN_MAX_ */
    {"garbage", 500, garbage, false, false}, {"huge", 20, garbage, false, false},
    {"calls", 2000, call_send, true, true},   /* without a token: refused */
    {"unread", 1000, call_send, true, false}, /* long answers, which nobody reads */
    {"logins", 200, call_send, true, true},   /* with a wrong password */
};

static void calls_open (struct attack *attack, const char *kind)
{
    struct status_request all = {.has_shards = true, .shards = true};
    struct login_request login = {.login = BYTES_LITERAL (LOGIN), .password = BYTES_LITERAL ("not the password")};
    if (strcmp (kind, "logins") == 0)
        call_prepare (attack, "auth.Login", false, &login_request_type, &login);
    else
        call_prepare (attack, "cluster.Status", strcmp (kind, "unread") == 0, &status_request_type, &all);
    void *context = zmq_ctx_new ();
    for (uint32_t i = 0; i < attack->count; i++) {
        int linger_ms = 0, one = 1;
        void *socket = context == NULL ? NULL : zmq_socket (context, ZMQ_DEALER);
        if (socket == NULL)
            raw_die ("no socket", zmq_strerror (zmq_errno ()));
        zmq_setsockopt (socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        if (strcmp (kind, "unread") == 0)
            zmq_setsockopt (socket, ZMQ_RCVHWM, &one, sizeof one);
        raw_keys_set (socket, &attack->targets[i].raw, "good");
        if (zmq_connect (socket, attack->targets[i].raw.endpoint) != 0)
            raw_die ("cannot connect to", attack->targets[i].raw.endpoint);
        attack->targets[i].socket = socket;
    }
}

static void targets_find (struct attack *attack, uint32_t nodes)
{
    for (uint32_t node = 1; node <= nodes; node++) {
        struct target *target = &attack->targets[attack->count++];
        char host[64];
        unsigned port;
        if (!raw_target_find (node, &target->raw) ||
            sscanf (target->raw.endpoint, "tcp://%63[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX)
            raw_die ("no such node, or one that is not on this machine, in", getenv ("MAITRE_CLUSTER"));
        target->address.sin_family = AF_INET;
        target->address.sin_port = htons ((uint16_t) port);
        if (inet_pton (AF_INET, host, &target->address.sin_addr) != 1 || strncmp (host, "127.", 4) != 0)
            raw_die ("only loopback is attacked, not", host);
    }
}

static uint64_t number (const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull (text, &end, 10);
    if (*end != '\0' || value == 0 || value > most)
        raw_die ("not a number, or out of bounds", text);
    return value;
}

int main (int argc, char **argv)
{
    static struct attack attack;
    const struct kind *kind = NULL;
    uint64_t nodes = 3, seconds = 10, rate = 0;
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
        kind = strcmp (argv[1], kinds[i].name) == 0 ? &kinds[i] : kind;
    if (kind == NULL)
        raw_die (
            "give connects, halfopen, garbage, huge, calls, unread or logins, not", argc > 1 ? argv[1] : "nothing");
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 >= argc)
            raw_die ("a value is missing after", argv[i]);
        if (strcmp (argv[i], "--nodes") == 0)
            nodes = number (argv[i + 1], NODES_MAX);
        else if (strcmp (argv[i], "--seconds") == 0)
            seconds = number (argv[i + 1], SECONDS_MAX);
        else if (strcmp (argv[i], "--rate") == 0)
            rate = number (argv[i + 1], RATE_MAX);
        else
            raw_die ("unknown option", argv[i]);
    }
    rate = rate == 0 ? kind->rate : rate;
    targets_find (&attack, (uint32_t) nodes);
    if (getrandom (attack.noise, sizeof attack.noise, 0) != (ssize_t) sizeof attack.noise)
        raw_die ("no random bytes", strerror (errno));
    if (kind->calls)
        calls_open (&attack, kind->name);
    uint64_t begin_ms = now_ms (), tried = 0;
    for (uint64_t now = begin_ms; now < begin_ms + seconds * 1000; now = now_ms ()) {
        uint64_t due = (now - begin_ms) * rate / 1000;
        for (uint64_t budget = rate * 20 / 1000 + 1; tried < due && budget > 0; budget--, tried++)
            kind->act (&attack);
        tried = due; /* what there was no time for is not made up for */
        if (kind->calls && kind->reads)
            calls_read (&attack);
        else if (!kind->calls)
            links_tick (&attack, kind->name);
        struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
        nanosleep (&tick, NULL);
    }
    printf (
        "{\"kind\":\"%s\",\"rate\":%llu,\"done\":%llu,\"answered\":%llu,\"failed\":%llu,\"bytes\":%llu,\"held\":%u}\n",
        kind->name, (unsigned long long) rate, (unsigned long long) attack.done, (unsigned long long) attack.answered,
        (unsigned long long) attack.failed, (unsigned long long) attack.bytes, attack.links_count);
    return 0; /* sockets and links end with the process, as a hostile one's would */
}
