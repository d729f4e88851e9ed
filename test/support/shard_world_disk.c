#include "test/support/shard_world_internal.h"

/* ---- small things */

void *shard_world_copy (const void *data, size_t len)
{
    void *copy = malloc (len > 0 ? len : 1);
    maitre_assert (copy != NULL);
    if (len > 0)
        memcpy (copy, data, len);
    return copy;
}

struct bytes shard_world_bytes_copy (struct bytes from)
{
    return bytes_of (shard_world_copy (from.data, from.len), from.len);
}

void shard_world_bytes_free (struct bytes *bytes)
{
    union {
        const uint8_t *data;
        void *memory;
    } owned = {.data = bytes->data};
    free (owned.memory);
    *bytes = (struct bytes){0};
}

void shard_world_grow (void *items_p, size_t *size, size_t count, size_t item_size)
{
    if (count < *size)
        return;
    size_t wanted = *size * 2 > count + 1 ? *size * 2 : count + 16;
    void *items;
    memcpy (&items, items_p, sizeof items);
    items = realloc (items, wanted * item_size);
    maitre_assert (items != NULL);
    memset ((uint8_t *) items + *size * item_size, 0, (wanted - *size) * item_size);
    memcpy (items_p, &items, sizeof items);
    *size = wanted;
}

uint64_t shard_world_dice (struct shard_world *w, uint64_t bound)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % bound;
}

uint32_t shard_world_node_of (uint64_t replica)
{
    return (uint32_t) (replica % 1000 / 10);
}

static uint64_t map_hash (const struct state_map *map)
{
    struct state_image image = state_image_of (map);
    uint64_t hash = checksum64 (1, bytes_of (image.data, image.len)) | 1;
    state_image_close (&image);
    return hash;
}

uint64_t shard_world_hash (struct shard_world *w, uint32_t node)
{
    return map_hash (&w->nodes[node].map);
}

/* ---- the disk */

void shard_world_batch_free (struct shard_world_batch *batch)
{
    for (size_t i = 0; i < batch->entries_count; i++)
        shard_world_bytes_free (&batch->entries[i].payload);
    free (batch->entries);
    free (batch);
}

static void batch_write (struct shard_world_node *node, struct shard_world_batch *batch)
{
    if (batch->hard_state) {
        maitre_assert (batch->term >= node->term);
        maitre_assert (batch->term > node->term || node->vote == 0 || node->vote == batch->vote);
        node->term = batch->term;
        node->vote = batch->vote;
    }
    if (batch->reset)
        shard_world_log_cut (node, UINT64_MAX, batch->reset_term);
    if (batch->reset)
        node->log_index = batch->reset_index;
    if (!batch->truncate)
        return;
    while (node->entries_count > 0 && node->entries[node->entries_count - 1].index >= batch->first_index)
        shard_world_bytes_free (&node->entries[--node->entries_count].payload);
    for (size_t i = 0; i < batch->entries_count; i++) {
        uint64_t last =
            node->entries_count > 0 ? node->entries[node->entries_count - 1].index : batch->entries[i].index - 1;
        maitre_assert (batch->entries[i].index == last + 1);
        shard_world_grow (&node->entries, &node->entries_size, node->entries_count, sizeof *node->entries);
        node->entries[node->entries_count] = batch->entries[i];
        node->entries[node->entries_count++].payload = shard_world_bytes_copy (batch->entries[i].payload);
    }
}

void shard_world_sync (struct shard_world *w, struct shard_world_node *node, uint64_t due_ms)
{
    (void) w;
    while (node->batches != NULL && node->batches->due_ms <= due_ms) {
        struct shard_world_batch *batch = node->batches;
        batch_write (node, batch);
        maitre_assert (batch->sequence > node->synced);
        node->synced = batch->sequence;
        node->batches = batch->next;
        shard_world_batch_free (batch);
    }
}

static void release_held (struct shard_world *w, struct shard_world_node *node)
{
    while (node->held != NULL && node->held->after_sequence <= node->synced) {
        struct shard_world_held *held = node->held;
        node->held = held->next;
        shard_world_packet_send (w, held->packet);
        free (held);
    }
}

void shard_world_disk_turn (struct shard_world *w, struct shard_world_node *node)
{
    if (!w->slow[node->number])
        shard_world_sync (w, node, w->now_ms);
    release_held (w, node);
    if (node->synced == node->synced_told)
        return;
    node->synced_told = node->synced;
    shard_world_event (
        w, node->number, (struct shard_event){.type = SHARD_EVENT_PERSISTED, .persist_sequence = node->synced});
}

bool shard_world_durable (const struct shard_world_node *node, uint64_t index, uint64_t term)
{
    if (index <= node->log_index)
        return true;
    for (size_t i = 0; i < node->entries_count; i++) {
        if (node->entries[i].index == index)
            return node->entries[i].term == term;
    }
    return false;
}

void shard_world_persist (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects)
{
    if (effects->persist.suspect)
        node->suspect = true;
    if (effects->persist.suspect_cleared)
        node->suspect = false;
    if (effects->persist.sequence == 0)
        return;
    maitre_assert (effects->persist.sequence == node->sequence + 1);
    node->sequence = effects->persist.sequence;
    struct shard_world_batch *batch = calloc (1, sizeof *batch), **end = &node->batches;
    maitre_assert (batch != NULL);
    *batch = (struct shard_world_batch){.sequence = effects->persist.sequence,
        .due_ms = w->now_ms + 1 + shard_world_dice (w, w->persist_ms),
        .hard_state = effects->persist.hard_state,
        .term = effects->persist.term,
        .vote = effects->persist.vote,
        .reset = effects->persist.reset,
        .reset_index = effects->persist.reset_index,
        .reset_term = effects->persist.reset_term,
        .truncate = effects->persist.truncate,
        .first_index = effects->persist.first_index,
        .entries_count = effects->persist.entries_count};
    batch->entries = shard_world_copy (effects->persist.entries, batch->entries_count * sizeof *batch->entries);
    for (size_t i = 0; i < batch->entries_count; i++)
        batch->entries[i].payload = shard_world_bytes_copy (batch->entries[i].payload);
    while (*end != NULL) {
        if ((*end)->due_ms > batch->due_ms)
            batch->due_ms = (*end)->due_ms;
        end = &(*end)->next;
    }
    *end = batch;
}

/* ---- snapshot operations; the context is the node */

struct snapshot {
    struct state_image image;
    size_t at;
};

static bool snapshot_open (void *context, uint32_t shard, uint64_t *index, uint64_t *term, void **out)
{
    struct shard_world_node *node = context;
    maitre_assert (shard == WORLD_SHARD);
    if (node->world->fail_open || node->image.index == 0)
        return false;
    struct snapshot *snapshot = calloc (1, sizeof *snapshot);
    maitre_assert (snapshot != NULL);
    state_image_append (&snapshot->image, node->image.data, node->image.len);
    *index = node->image.index;
    *term = node->image.term;
    *out = snapshot;
    node->snapshots_open++;
    node->snapshots_opened++;
    return true;
}

static bool snapshot_next (void *context, void *from, uint8_t *out, size_t size, size_t *len, bool *last)
{
    struct shard_world_node *node = context;
    struct snapshot *snapshot = from;
    uint32_t most = node->world->chunk_bytes;
    if (node->world->fail_next)
        return false;
    if (most != 0 && most < size)
        size = most;
    size_t left = snapshot->image.len - snapshot->at;
    *len = left < size ? left : size;
    memcpy (out, snapshot->image.data + snapshot->at, *len);
    snapshot->at += *len;
    *last = snapshot->at == snapshot->image.len;
    return true;
}

static void snapshot_close (void *context, void *from)
{
    struct shard_world_node *node = context;
    struct snapshot *snapshot = from;
    maitre_assert (node->snapshots_open > 0);
    node->snapshots_open--;
    state_image_close (&snapshot->image);
    free (snapshot);
}

static bool import_begin (void *context, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term)
{
    struct shard_world_node *node = context;
    maitre_assert (shard == WORLD_SHARD && replica == node->replica);
    maitre_assert (!node->receiving);
    if (node->world->fail_begin)
        return false;
    node->receiving = true;
    node->incoming.len = 0;
    node->incoming.index = index;
    node->incoming.term = term;
    return true;
}

static enum status import_chunk (void *context, uint32_t shard, struct bytes data)
{
    struct shard_world_node *node = context;
    maitre_assert (shard == WORLD_SHARD && node->receiving);
    if (node->world->fail_chunk)
        return STATUS_INTERNAL;
    if (node->world->refuse_chunks > 0) {
        node->world->refuse_chunks--;
        return node->world->no_room ? STATUS_RESOURCE_EXHAUSTED : STATUS_INVALID_ARGUMENT;
    }
    state_image_append (&node->incoming, data.data, data.len);
    return STATUS_OK;
}

static void import_abort (void *context, uint32_t shard)
{
    struct shard_world_node *node = context;
    maitre_assert (shard == WORLD_SHARD && node->receiving);
    node->receiving = false;
}

void shard_world_sync (struct shard_world *w, struct shard_world_node *node, uint64_t due_ms);

void shard_world_log_cut (struct shard_world_node *node, uint64_t index, uint64_t term)
{
    size_t drop = 0;
    while (drop < node->entries_count && node->entries[drop].index <= index)
        shard_world_bytes_free (&node->entries[drop++].payload);
    for (size_t i = drop; i < node->entries_count; i++)
        node->entries[i - drop] = node->entries[i];
    node->entries_count -= drop;
    node->log_index = index;
    node->log_term = term;
}

static bool import_finish (
    void *context, uint32_t shard, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    struct shard_world_node *node = context;
    maitre_assert (shard == WORLD_SHARD && node->receiving);
    maitre_assert (index == node->incoming.index && term == node->incoming.term);
    bool moves = node->world->target.count > 0;                     /* else they are those of the start */
    const struct raft_configuration *start = &node->world->members; /* by member: the structs have padding */
    maitre_assert (moves || members->count == start->count);
    for (uint32_t i = 0; i < members->count && !moves; i++) {
        maitre_assert (members->members[i].replica == start->members[i].replica);
        maitre_assert (members->members[i].node == start->members[i].node);
        maitre_assert (members->members[i].roles == start->members[i].roles);
    }
    node->receiving = false;
    if (node->world->fail_finish)
        return false;
    bool resets = shard_restore_resets (node->shard, index, term);
    shard_world_sync (node->world, node, UINT64_MAX); /* after every earlier batch of this shard */
    node->image.len = 0;
    state_image_append (&node->image, node->incoming.data, node->incoming.len);
    node->image.index = index;
    node->image.term = term;
    shard_world_log_cut (node, resets ? UINT64_MAX : index, term);
    node->log_index = index;
    node->base = *members;
    state_image_load (&node->image, &node->map);
    node->installs++;
    return true;
}

const struct shard_snapshot_ops shard_world_snapshot_ops = {
    .open = snapshot_open,
    .next = snapshot_next,
    .close = snapshot_close,
    .begin = import_begin,
    .chunk = import_chunk,
    .finish = import_finish,
    .abort = import_abort,
};
