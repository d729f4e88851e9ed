#include "router/front/front_inbox.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define CALL_BYTES 256 /* what a call takes beside its frames */
#define CHAINS 1024    /* a power of two */
#define SPARE_MAX 1024 /* calls kept for the next ones */

/* What waits of one connection; it exists while something does. */
struct line {
    uint8_t identity[FRONT_IDENTITY_BYTES_MAX];
    uint8_t identity_len;
    uint32_t calls;
    uint64_t bytes;
    struct front_call *first, *last;
    struct line *chained;               /* the next of the same chain */
    struct line *turn_next, *turn_prev; /* a ring of all */
};

struct front_inbox {
    struct front_inbox_limits limits;
    struct line *chains[CHAINS];
    struct line *turn; /* whose call is next; NULL: nobody waits */
    uint64_t bytes;    /* of all */
    struct front_call *lent;
    struct line *lent_line; /* of it, NULL when nothing of it is left */
    struct front_call *spare;
    uint32_t spare_count;

    /* The message that is coming in. */
    struct bytes identity;
    uint8_t identity_bytes[FRONT_IDENTITY_BYTES_MAX];
    bool dropped, delimiter, body_next;
    uint32_t taken;
    struct line *filled;     /* where its calls go */
    struct front_call *call; /* the last one begun */
};

struct front_inbox *front_inbox_new (const struct front_inbox_limits *limits)
{
    struct front_inbox *inbox = calloc (1, sizeof *inbox);
    if (inbox != NULL)
        inbox->limits = *limits;
    return inbox;
}

/* ---- calls */

static struct front_call *call_new (struct front_inbox *inbox)
{
    struct front_call *call = inbox->spare;
    if (call != NULL) {
        inbox->spare = call->next;
        inbox->spare_count--;
    } else {
        call = malloc (sizeof *call);
        if (call == NULL)
            return NULL;
    }
    call->client = (struct front_client){.fd = -1};
    call->whole = call->followed = false;
    call->bytes = 0;
    call->next = NULL;
    zmq_msg_init (&call->head);
    zmq_msg_init (&call->body);
    return call;
}

static void call_free (struct front_inbox *inbox, struct front_call *call)
{
    zmq_msg_close (&call->head);
    zmq_msg_close (&call->body);
    if (inbox->spare_count == SPARE_MAX) {
        free (call);
        return;
    }
    call->next = inbox->spare;
    inbox->spare = call;
    inbox->spare_count++;
}

/* ---- lines */

static struct line **chain_of (struct front_inbox *inbox, struct bytes identity)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < identity.len; i++)
        hash = (hash ^ identity.data[i]) * 16777619u;
    return &inbox->chains[(hash ^ hash >> 16) % CHAINS];
}

static struct bytes identity_of (const struct line *line)
{
    return bytes_of (line->identity, line->identity_len);
}

static struct line *line_of (struct front_inbox *inbox, struct bytes identity)
{
    struct line **chain = chain_of (inbox, identity);
    for (struct line *line = *chain; line != NULL; line = line->chained)
        if (bytes_equal (identity_of (line), identity))
            return line;
    struct line *line = calloc (1, sizeof *line);
    if (line == NULL)
        return NULL;
    line->identity_len = (uint8_t) identity.len;
    if (identity.len > 0)
        memcpy (line->identity, identity.data, identity.len);
    line->chained = *chain;
    *chain = line;
    if (inbox->turn == NULL) {
        inbox->turn = line->turn_next = line->turn_prev = line;
    } else { /* behind all the others */
        line->turn_next = inbox->turn;
        line->turn_prev = inbox->turn->turn_prev;
        line->turn_prev->turn_next = inbox->turn->turn_prev = line;
    }
    return line;
}

static void line_free (struct front_inbox *inbox, struct line *line)
{
    maitre_assert (line->first == NULL && line->calls == 0 && line->bytes == 0);
    struct line **link = chain_of (inbox, identity_of (line));
    while (*link != line)
        link = &(*link)->chained;
    *link = line->chained;
    line->turn_prev->turn_next = line->turn_next;
    line->turn_next->turn_prev = line->turn_prev;
    if (inbox->turn == line)
        inbox->turn = line->turn_next == line ? NULL : line->turn_next;
    if (inbox->filled == line)
        inbox->filled = NULL;
    if (inbox->lent_line == line)
        inbox->lent_line = NULL;
    free (line);
}

static void charge (struct front_inbox *inbox, struct line *line, struct front_call *call, uint64_t bytes)
{
    call->bytes += bytes;
    line->bytes += bytes;
    inbox->bytes += bytes;
}

/* The first call of a line, out of it. */
static struct front_call *line_take (struct front_inbox *inbox, struct line *line)
{
    struct front_call *call = line->first;
    line->first = call->next;
    if (line->first == NULL)
        line->last = NULL;
    line->calls--;
    line->bytes -= call->bytes;
    inbox->bytes -= call->bytes;
    if (inbox->call == call)
        inbox->call = NULL;
    return call;
}

static void line_clear (struct front_inbox *inbox, struct line *line)
{
    while (line->first != NULL)
        call_free (inbox, line_take (inbox, line));
    line_free (inbox, line);
}

void front_inbox_destroy (struct front_inbox **self_p)
{
    struct front_inbox *inbox = *self_p;
    if (inbox == NULL)
        return;
    if (inbox->lent != NULL)
        call_free (inbox, inbox->lent);
    while (inbox->turn != NULL)
        line_clear (inbox, inbox->turn);
    while (inbox->spare != NULL) {
        struct front_call *next = inbox->spare->next;
        free (inbox->spare);
        inbox->spare = next;
    }
    free (inbox);
    *self_p = NULL;
}

/* ---- in */

void front_inbox_begin (struct front_inbox *inbox, struct bytes identity)
{
    inbox->dropped = identity.len > FRONT_IDENTITY_BYTES_MAX;
    inbox->identity = bytes_of (inbox->identity_bytes, inbox->dropped ? 0 : identity.len);
    if (inbox->identity.len > 0)
        memcpy (inbox->identity_bytes, identity.data, identity.len);
    inbox->delimiter = inbox->body_next = false;
    inbox->taken = 0;
    inbox->filled = NULL;
    inbox->call = NULL;
}

void front_inbox_drop (struct front_inbox *inbox)
{
    inbox->dropped = true;
    if (inbox->call != NULL)
        inbox->call->followed = false;
    inbox->call = NULL;
}

static void take_body (struct front_inbox *inbox, zmq_msg_t *frame, bool more)
{
    struct front_call *call = inbox->call;
    inbox->body_next = false;
    if (call == NULL)
        return;
    charge (inbox, inbox->filled, call, zmq_msg_size (frame));
    zmq_msg_move (&call->body, frame);
    call->whole = inbox->taken <= FRONT_CALLS_MAX;
    call->followed = more && call->whole;
    if (!call->whole) /* what is beyond is one call too many, whatever it holds */
        front_inbox_drop (inbox);
}

static struct front_call *take_head (struct front_inbox *inbox, zmq_msg_t *frame, bool more)
{
    struct front_call *call = call_new (inbox);
    struct line *line = call == NULL ? NULL : line_of (inbox, inbox->identity);
    inbox->taken++;
    inbox->body_next = more;
    if (line == NULL) {
        if (call != NULL)
            call_free (inbox, call);
        front_inbox_drop (inbox);
        return NULL;
    }
    zmq_msg_move (&call->head, frame);
    call->client.delimiter = inbox->delimiter;
    call->client.identity_len = line->identity_len;
    memcpy (call->client.identity, line->identity, line->identity_len);
    if (line->last != NULL)
        line->last->next = call;
    else
        line->first = call;
    line->last = call;
    line->calls++;
    inbox->filled = line;
    inbox->call = call;
    charge (inbox, line, call, CALL_BYTES + zmq_msg_size (&call->head));
    return call;
}

struct front_call *front_inbox_frame (struct front_inbox *inbox, zmq_msg_t *frame, bool more)
{
    struct front_call *call = NULL;
    if (inbox->dropped)
        ;
    else if (inbox->body_next)
        take_body (inbox, frame, more);
    else if (inbox->taken == 0 && !inbox->delimiter && zmq_msg_size (frame) == 0 && more)
        inbox->delimiter = true; /* of a REQ */
    else
        call = take_head (inbox, frame, more);
    zmq_msg_close (frame);
    zmq_msg_init (frame);
    return call;
}

bool front_inbox_over (struct front_inbox *inbox, struct front_client *client)
{
    struct line *line = inbox->filled;
    if (line != NULL && line->calls <= inbox->limits.calls_max && line->bytes <= inbox->limits.bytes_max)
        line = NULL;
    if (line == NULL && inbox->bytes > inbox->limits.in_all_max) {
        line = inbox->turn;
        for (struct line *other = line->turn_next; other != inbox->turn; other = other->turn_next)
            if (other->bytes > line->bytes)
                line = other;
    }
    if (line == NULL)
        return false;
    *client = line->last->client;
    if (line == inbox->filled)
        front_inbox_drop (inbox);
    line_clear (inbox, line);
    return true;
}

/* ---- out */

struct front_call *front_inbox_next (struct front_inbox *inbox)
{
    if (inbox->lent != NULL)
        call_free (inbox, inbox->lent);
    inbox->lent = NULL;
    inbox->lent_line = NULL;
    struct line *line = inbox->turn;
    if (line == NULL)
        return NULL;
    inbox->turn = line->turn_next;
    inbox->lent = line_take (inbox, line);
    inbox->lent_line = line;
    if (line->first == NULL)
        line_free (inbox, line);
    return inbox->lent;
}

void front_inbox_skip (struct front_inbox *inbox)
{
    bool followed = inbox->lent != NULL && inbox->lent->followed;
    while (followed && inbox->lent_line != NULL) {
        struct line *line = inbox->lent_line;
        struct front_call *call = line_take (inbox, line);
        followed = call->followed;
        call_free (inbox, call);
        if (line->first == NULL)
            line_free (inbox, line);
    }
}

void front_inbox_check (const struct front_inbox *inbox)
{
    uint64_t in_all = 0;
    const struct line *line = inbox->turn;
    while (line != NULL) {
        uint64_t bytes = 0;
        uint32_t calls = 0;
        for (const struct front_call *call = line->first; call != NULL; call = call->next) {
            maitre_assert (call->next != NULL || call == line->last);
            bytes += call->bytes;
            calls++;
        }
        maitre_assert (calls > 0 && calls == line->calls && bytes == line->bytes);
        maitre_assert (line->turn_next->turn_prev == line);
        in_all += bytes;
        line = line->turn_next == inbox->turn ? NULL : line->turn_next;
    }
    maitre_assert (in_all == inbox->bytes);
}
