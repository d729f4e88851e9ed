#include "router/front/front_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define REPLIES_MAX 256
#define SLOTS (2 * REPLIES_MAX) /* a power of two, never more than half full */
#define BYTES_MAX (256 * 1024)  /* before a flush; one large reply may pass it */
#define BYTES_KEPT_MAX (1024 * 1024)
#define NONE UINT32_MAX

struct waiting {
    struct front_client client;
    size_t at, head_len, body_len;
    uint32_t next; /* to the same connection, NONE at the end */
    bool follows;  /* it is some other's next: handed out with that one's message, or after it */
};

struct front_outbox {
    struct waiting replies[REPLIES_MAX];
    uint32_t count, handed; /* first .. handed: looked at as heads of chains */
    uint32_t chain;         /* the rest of a chain longer than a message, or NONE */
    uint32_t last[SLOTS];   /* by identity: the newest reply + 1, 0: none */
    uint8_t *bytes;
    size_t used, size;
};

struct front_outbox *front_outbox_new (void)
{
    struct front_outbox *outbox = calloc (1, sizeof *outbox);
    if (outbox != NULL)
        outbox->chain = NONE;
    return outbox;
}

void front_outbox_destroy (struct front_outbox **outbox)
{
    if (*outbox == NULL)
        return;
    free ((*outbox)->bytes);
    free (*outbox);
    *outbox = NULL;
}

bool front_outbox_full (const struct front_outbox *outbox, size_t bytes)
{
    return outbox->count == REPLIES_MAX || (outbox->count > 0 && outbox->used + bytes > BYTES_MAX);
}

static bool same_connection (const struct front_client *a, const struct front_client *b)
{
    return a->identity_len == b->identity_len && memcmp (a->identity, b->identity, a->identity_len) == 0;
}

/* The slot of a connection: its own, or the free one where it belongs. */
static uint32_t *slot_of (struct front_outbox *outbox, const struct front_client *client)
{
    uint32_t hash = 2166136261u;
    for (uint8_t i = 0; i < client->identity_len; i++)
        hash = (hash ^ client->identity[i]) * 16777619u;
    uint32_t at = (hash ^ hash >> 16) % SLOTS;
    while (outbox->last[at] != 0 && !same_connection (&outbox->replies[outbox->last[at] - 1].client, client))
        at = (at + 1) % SLOTS;
    return &outbox->last[at];
}

static bool make_room (struct front_outbox *outbox, size_t bytes)
{
    if (outbox->size - outbox->used >= bytes)
        return true;
    size_t size = outbox->size == 0 ? 64 * 1024 : outbox->size;
    while (size - outbox->used < bytes)
        size *= 2;
    uint8_t *larger = realloc (outbox->bytes, size);
    if (larger == NULL)
        return false;
    outbox->bytes = larger;
    outbox->size = size;
    return true;
}

enum status front_outbox_add (
    struct front_outbox *outbox, const struct front_client *client, struct bytes head, struct bytes body)
{
    maitre_assert (outbox->count < REPLIES_MAX);
    maitre_assert (outbox->handed == 0);
    if (!make_room (outbox, head.len + body.len))
        return STATUS_RESOURCE_EXHAUSTED;
    uint32_t number = outbox->count++;
    uint32_t *slot = slot_of (outbox, client);
    outbox->replies[number] = (struct waiting){.client = *client,
        .at = outbox->used,
        .head_len = head.len,
        .body_len = body.len,
        .next = NONE,
        .follows = *slot != 0};
    if (*slot != 0)
        outbox->replies[*slot - 1].next = number;
    *slot = number + 1;
    memcpy (outbox->bytes + outbox->used, head.data, head.len);
    if (body.len > 0)
        memcpy (outbox->bytes + outbox->used + head.len, body.data, body.len);
    outbox->used += head.len + body.len;
    return STATUS_OK;
}

bool front_outbox_next (struct front_outbox *outbox, struct front_message *message)
{
    uint32_t at = outbox->chain;
    while (at == NONE && outbox->handed < outbox->count) {
        if (!outbox->replies[outbox->handed].follows)
            at = outbox->handed;
        outbox->handed++;
    }
    if (at == NONE)
        return false;
    message->client = &outbox->replies[at].client;
    message->count = 0;
    do {
        const struct waiting *reply = &outbox->replies[at];
        message->replies[message->count].head = bytes_of (outbox->bytes + reply->at, reply->head_len);
        message->replies[message->count].body = bytes_of (outbox->bytes + reply->at + reply->head_len, reply->body_len);
        message->count++;
        at = reply->next;
    } while (
        at != NONE && message->client->many && outbox->replies[at].client.many && message->count < FRONT_CALLS_MAX);
    outbox->chain = at;
    return true;
}

void front_outbox_clear (struct front_outbox *outbox)
{
    maitre_assert (outbox->handed == outbox->count);
    maitre_assert (outbox->chain == NONE);
    if (outbox->count > 0)
        memset (outbox->last, 0, sizeof outbox->last);
    outbox->count = outbox->handed = 0;
    outbox->used = 0;
    if (outbox->size > BYTES_KEPT_MAX) { /* one large page is no reason to keep that much for good */
        free (outbox->bytes);
        outbox->bytes = NULL;
        outbox->size = 0;
    }
}
