#include "node/transport/transport_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/generated/peer.h"
#include "schemas/runtime/assert.h"

#define ITEM_HEAD_BYTES_MAX 5
#define SPARES_MAX 4
#define SECTION_KEPT_BYTES_MAX (256 * 1024)
#define MERGE_BYTES_MAX (64 * 1024)

/* Keys of the arrays in peer-frame, and how many items each may have. */
static const uint32_t section_count_max[OUTBOX_SECTIONS] = {PEER_FRAME_RAFT_COUNT_MAX, PEER_FRAME_ACKS_COUNT_MAX,
    PEER_FRAME_CALLS_COUNT_MAX, PEER_FRAME_REPLIES_COUNT_MAX, PEER_FRAME_CHUNKS_COUNT_MAX,
    PEER_FRAME_NOTICES_COUNT_MAX};
#define SECTION_KEY_FIRST 4

void outbox_init (struct outbox *outbox)
{
    memset (outbox, 0, sizeof *outbox);
}

static void free_frame (struct outbox_frame *frame)
{
    for (unsigned i = 0; i < OUTBOX_SECTIONS; i++)
        free (frame->sections[i].data);
    free (frame);
}

void outbox_close (struct outbox *outbox)
{
    outbox_clear (outbox);
    while (outbox->spare != NULL) {
        struct outbox_frame *frame = outbox->spare;
        outbox->spare = frame->next;
        free_frame (frame);
    }
    memset (outbox, 0, sizeof *outbox);
}

bool outbox_empty (const struct outbox *outbox)
{
    return outbox->first == NULL;
}

static struct outbox_frame *add_frame (struct outbox *outbox)
{
    if (outbox->frames >= OUTBOX_FRAMES_MAX)
        return NULL;
    struct outbox_frame *frame = outbox->spare;
    if (frame != NULL) {
        outbox->spare = frame->next;
        outbox->spares--;
    } else {
        frame = calloc (1, sizeof *frame);
        if (frame == NULL)
            return NULL;
    }
    frame->next = NULL;
    if (outbox->last != NULL)
        outbox->last->next = frame;
    else
        outbox->first = frame;
    outbox->last = frame;
    outbox->frames++;
    return frame;
}

static bool grow (struct outbox_section *section, size_t need)
{
    if (section->size - section->len >= need)
        return true;
    size_t size = section->size < 4096 ? 4096 : section->size;
    while (size - section->len < need)
        size *= 2;
    uint8_t *data = realloc (section->data, size);
    if (data == NULL)
        return false;
    section->data = data;
    section->size = size;
    return true;
}

uint8_t *outbox_reserve (struct outbox *outbox, unsigned section, size_t size)
{
    maitre_assert (section < OUTBOX_SECTIONS);
    struct outbox_frame *frame = outbox->last;
    bool full = frame == NULL || frame->sections[section].count >= section_count_max[section] ||
                (frame->bytes > 0 && frame->bytes + size > OUTBOX_FRAME_BYTES);
    if (full) {
        frame = add_frame (outbox);
        if (frame == NULL)
            return NULL;
    }
    struct outbox_section *target = &frame->sections[section];
    if (!grow (target, size + ITEM_HEAD_BYTES_MAX))
        return NULL;
    outbox->reserved = target;
    outbox->reserved_max = size;
    return target->data + target->len + ITEM_HEAD_BYTES_MAX;
}

/* A CBOR head in its shortest form, the only one that a strict reader takes. */
static size_t write_head (uint8_t *out, uint8_t major, uint64_t value)
{
    uint8_t type = (uint8_t) (major << 5);
    if (value < 24) {
        out[0] = (uint8_t) (type | value);
        return 1;
    }
    if (value <= UINT8_MAX) {
        out[0] = type | 24;
        out[1] = (uint8_t) value;
        return 2;
    }
    if (value <= UINT16_MAX) {
        out[0] = type | 25;
        bytes_put_u16 (out + 1, (uint16_t) value);
        return 3;
    }
    maitre_assert (value <= UINT32_MAX);
    out[0] = type | 26;
    bytes_put_u32 (out + 1, (uint32_t) value);
    return 5;
}

void outbox_commit (struct outbox *outbox, size_t len)
{
    struct outbox_section *section = outbox->reserved;
    maitre_assert (section != NULL && len >= 1 && len <= outbox->reserved_max);
    uint8_t *at = section->data + section->len;
    uint8_t head[ITEM_HEAD_BYTES_MAX];
    size_t head_len = write_head (head, 2, len);
    if (head_len < ITEM_HEAD_BYTES_MAX)
        memmove (at + head_len, at + ITEM_HEAD_BYTES_MAX, len);
    memcpy (at, head, head_len);
    section->len += head_len + len;
    section->count++;
    outbox->last->bytes += head_len + len;
    outbox->reserved = NULL;
}

/* Writes the frame's own bytes, with the sections in between when `items` is set; returns the length of all. */
static size_t compose (const struct outbox_frame *frame, const struct outbox_sender *sender, uint8_t *out, bool items)
{
    uint8_t scratch[OUTBOX_HEAD_BYTES_MAX];
    uint8_t *target = items ? out : scratch;
    size_t len = 0;
    size_t skipped = 0;
    len += write_head (target + len, 5, 3 + OUTBOX_SECTIONS);
    len += write_head (target + len, 0, 1);
    len += write_head (target + len, 2, ID_SIZE);
    memcpy (target + len, sender->cluster.b, ID_SIZE);
    len += ID_SIZE;
    len += write_head (target + len, 0, 2);
    len += write_head (target + len, 0, sender->node);
    len += write_head (target + len, 0, 3);
    len += write_head (target + len, 2, ID_SIZE);
    memcpy (target + len, sender->uuid.b, ID_SIZE);
    len += ID_SIZE;
    for (unsigned i = 0; i < OUTBOX_SECTIONS; i++) {
        const struct outbox_section *section = &frame->sections[i];
        len += write_head (target + len, 0, SECTION_KEY_FIRST + i);
        len += write_head (target + len, 4, section->count);
        if (items && section->len > 0) {
            memcpy (target + len, section->data, section->len);
            len += section->len;
        } else {
            skipped += section->len;
        }
    }
    return len + skipped;
}

size_t outbox_frame_size (const struct outbox *outbox, const struct outbox_sender *sender)
{
    maitre_assert (outbox->first != NULL);
    return compose (outbox->first, sender, NULL, false);
}

void outbox_frame_write (const struct outbox *outbox, const struct outbox_sender *sender, uint8_t *out)
{
    maitre_assert (outbox->first != NULL);
    (void) compose (outbox->first, sender, out, true);
}

uint32_t outbox_frame_count (const struct outbox *outbox, unsigned section)
{
    maitre_assert (outbox->first != NULL && section < OUTBOX_SECTIONS);
    return outbox->first->sections[section].count;
}

static void recycle (struct outbox *outbox, struct outbox_frame *frame)
{
    if (outbox->spares >= SPARES_MAX) {
        free_frame (frame);
        return;
    }
    for (unsigned i = 0; i < OUTBOX_SECTIONS; i++) {
        struct outbox_section *section = &frame->sections[i];
        if (section->size > SECTION_KEPT_BYTES_MAX) {
            free (section->data);
            *section = (struct outbox_section){0};
        }
        section->len = 0;
        section->count = 0;
    }
    frame->bytes = 0;
    frame->next = outbox->spare;
    outbox->spare = frame;
    outbox->spares++;
}

void outbox_pop (struct outbox *outbox)
{
    struct outbox_frame *frame = outbox->first;
    maitre_assert (frame != NULL);
    outbox->first = frame->next;
    if (outbox->first == NULL)
        outbox->last = NULL;
    outbox->frames--;
    outbox->reserved = NULL;
    recycle (outbox, frame);
}

void outbox_clear (struct outbox *outbox)
{
    while (outbox->first != NULL)
        outbox_pop (outbox);
}

/* Copies a small frame into the last one of `to`, so that a turn stays one message. */
static bool merge (struct outbox *to, const struct outbox_frame *frame)
{
    if (frame->bytes > MERGE_BYTES_MAX)
        return false;
    struct outbox_frame *target = to->last;
    if (target == NULL || target->bytes + frame->bytes > OUTBOX_FRAME_BYTES) {
        target = add_frame (to);
        if (target == NULL)
            return false;
    }
    for (unsigned i = 0; i < OUTBOX_SECTIONS; i++) {
        if (target->sections[i].count + frame->sections[i].count > section_count_max[i] ||
            !grow (&target->sections[i], frame->sections[i].len + 1))
            return false;
    }
    for (unsigned i = 0; i < OUTBOX_SECTIONS; i++) {
        struct outbox_section *section = &target->sections[i];
        if (frame->sections[i].len > 0)
            memcpy (section->data + section->len, frame->sections[i].data, frame->sections[i].len);
        section->len += frame->sections[i].len;
        section->count += frame->sections[i].count;
    }
    target->bytes += frame->bytes;
    return true;
}

void outbox_append (struct outbox *to, struct outbox *from)
{
    from->reserved = NULL;
    to->reserved = NULL;
    while (from->first != NULL) {
        struct outbox_frame *frame = from->first;
        if (merge (to, frame)) {
            outbox_pop (from);
            continue;
        }
        if (to->frames >= OUTBOX_FRAMES_MAX)
            return;
        from->first = frame->next;
        if (from->first == NULL)
            from->last = NULL;
        from->frames--;
        frame->next = NULL;
        if (to->last != NULL)
            to->last->next = frame;
        else
            to->first = frame;
        to->last = frame;
        to->frames++;
    }
}
