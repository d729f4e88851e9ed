/* The write-ahead file of a simulated node: batches as RocksDB frames them, sectors that a crash keeps, drops or tears. */
#include "test/sim/sim_platter.h"

#include <stdlib.h>
#include <string.h>

#include "node/store/crc32c.h"
#include "node/store/pack.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

#define BLOCK_BYTES 32768
#define HEADER_BYTES 7
#define BATCH_HEADER_BYTES 12
#define REBASE_BYTES (128 * 1024)

/* ---- a growing buffer ---- */

static struct state_image batch_image; /* the batch that is being made; one thread */

static void put_u8 (struct state_image *out, uint8_t value)
{
    state_image_append (out, &value, 1);
}

static void put_varint (struct state_image *out, size_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_u8 (out, (uint8_t) (value | 0x80));
    put_u8 (out, (uint8_t) value);
}

static void put_row (struct state_image *out, const uint8_t *key, size_t key_len, const uint8_t *value, size_t len)
{
    put_u8 (out, 1); /* kTypeValue */
    put_varint (out, key_len);
    state_image_append (out, key, key_len);
    put_varint (out, len);
    state_image_append (out, value, len);
}

/* ---- the file ---- */

static const struct crc32c *crc (void)
{
    static struct crc32c table;
    static bool made;
    if (!made)
        crc32c_init (&table);
    made = true;
    return &table;
}

static void append (struct sim_platter *platter, const void *data, size_t len)
{
    if (platter->len + len > platter->size) {
        platter->size = 2 * (platter->len + len);
        platter->data = realloc (platter->data, platter->size);
        maitre_assert (platter->data != NULL);
    }
    memcpy (platter->data + platter->len, data, len);
    platter->len += len;
}

static void append_record (struct sim_platter *platter, uint8_t type, const uint8_t *payload, size_t len)
{
    static uint8_t record[BLOCK_BYTES];
    record[4] = (uint8_t) len;
    record[5] = (uint8_t) (len >> 8);
    record[6] = type;
    memcpy (record + HEADER_BYTES, payload, len);
    uint32_t sum = crc32c_of (crc (), bytes_of (record + 6, len + 1));
    uint32_t masked = (sum >> 15 | sum << 17) + UINT32_C (0xa282ead8);
    for (int i = 0; i < 4; i++)
        record[i] = (uint8_t) (masked >> (8 * i));
    append (platter, record, HEADER_BYTES + len);
}

static void append_batch (struct sim_platter *platter, const uint8_t *data, size_t len)
{
    static const uint8_t zeros[HEADER_BYTES];
    enum { FULL = 1, FIRST, MIDDLE, LAST };
    bool first = true; /* a FIRST of no bytes may fill the end of a block */
    for (size_t at = 0;;) {
        size_t room = BLOCK_BYTES - platter->len % BLOCK_BYTES;
        if (room < HEADER_BYTES) {
            append (platter, zeros, room);
            continue;
        }
        size_t part = len - at < room - HEADER_BYTES ? len - at : room - HEADER_BYTES;
        bool last = at + part == len;
        append_record (platter, first && last ? FULL : first ? FIRST : last ? LAST : MIDDLE, data + at, part);
        at += part;
        first = false;
        if (last)
            break;
    }
}

/* ---- a turn ---- */

static size_t put_group (struct state_image *part, const struct sim_write *write, uint32_t shard)
{
    uint8_t head[PACK_GROUP_BYTES];
    struct pack_group group = {.shard = shard, .replica = write->replica};
    size_t groups = 0;
    if (write->reset) {
        group.flags = PACK_FLAG_RESET;
        group.first_index = write->index + 1;
        pack_write_group (head, &group);
        state_image_append (part, head, sizeof head);
        groups++;
    }
    if (!write->entries)
        return groups;
    group.flags = 0;
    group.truncate_from = write->first;
    group.first_index = write->log.count > 0 ? write->first : 0;
    group.count = (uint32_t) write->log.count;
    pack_write_group (head, &group);
    state_image_append (part, head, sizeof head);
    for (size_t i = 0; i < write->log.count; i++) {
        uint8_t entry_head[PACK_ENTRY_BYTES];
        const struct sim_entry *from = &write->log.items[i];
        struct store_entry entry = {
            .index = from->index, .term = from->term, .type = from->type, .payload = from->payload};
        pack_write_entry (entry_head, shard, write->replica, &entry);
        state_image_append (part, entry_head, sizeof entry_head);
        state_image_append (part, from->payload.data, from->payload.len);
    }
    return groups + 1;
}

static void put_mark (struct state_image *out, char kind, uint32_t shard, uint64_t replica, uint8_t *sealed, size_t len)
{
    uint8_t key[PACK_MARK_KEY_BYTES];
    pack_mark_key (key, kind, shard, replica);
    size_t whole = pack_seal (bytes_of (key, sizeof key), sealed, len);
    put_row (out, key, sizeof key, sealed, whole);
}

static uint32_t put_marks (struct state_image *out, const struct sim_write *write, uint32_t shard)
{
    uint8_t sealed[32 + RAFT_CONFIGURATION_BYTES_MAX];
    uint32_t count = 0;
    if (write->kind == SIM_WRITE_TURN && write->hard_state) {
        bytes_put_u64 (sealed + 1, write->term);
        bytes_put_u64 (sealed + 9, write->vote);
        put_mark (out, 'h', shard, write->replica, sealed, 16);
        count++;
    }
    bool cut = write->kind == SIM_WRITE_COMPACT;
    if (cut || (write->kind == SIM_WRITE_TURN && write->reset)) {
        size_t len = cut ? raft_configuration_encode (&write->configuration, sealed + 17) : 0;
        bytes_put_u64 (sealed + 1, write->index);
        bytes_put_u64 (sealed + 9, write->index_term);
        put_mark (out, 'c', shard, write->replica, sealed, 16 + len);
        count++;
    }
    return count;
}

/* One value for all groups of the turn, as store_turn packs it. */
static void put_turn (struct sim_platter *platter, struct sim_disk *disk, struct state_image *out, uint64_t batch)
{
    static struct state_image part;
    uint8_t header[PACK_HEADER_BYTES] = {0}, key[PACK_TURN_KEY_BYTES], sum[PACK_SUM_BYTES];
    uint32_t groups = 0;
    part.len = 0;
    state_image_append (&part, header, sizeof header);
    for (struct sim_write *write = disk->oldest; write && write->batch <= batch; write = write->next) {
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        if (stored && write->kind == SIM_WRITE_TURN)
            groups += (uint32_t) put_group (&part, write, stored->shard);
    }
    struct pack_part place = {.turn = platter->turn_last, .part = 0, .parts = 1, .groups = groups};
    pack_write_header (part.data, &place, (uint32_t) (part.len - PACK_HEADER_BYTES));
    bytes_put_u64 (sum, checksum64 (0, bytes_of (part.data, part.len)));
    state_image_append (&part, sum, sizeof sum);
    pack_turn_key (key, platter->turn_last, 0);
    put_row (out, key, sizeof key, part.data, part.len);
}

void sim_platter_write (struct sim *sim, struct sim_node *node)
{
    (void) sim;
    struct sim_disk *disk = &node->disk;
    struct sim_platter *platter = &disk->platter;
    struct state_image *out = &batch_image;
    uint8_t head[BATCH_HEADER_BYTES] = {0};
    uint32_t rows = 1;
    out->len = 0;
    platter->turn_last++;
    platter->sequence++;
    state_image_append (out, head, sizeof head);
    put_turn (platter, disk, out, disk->batch_writing);
    for (struct sim_write *write = disk->oldest; write && write->batch <= disk->batch_writing; write = write->next) {
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        if (stored)
            rows += put_marks (out, write, stored->shard);
    }
    for (int i = 0; i < 8; i++)
        out->data[i] = (uint8_t) (platter->sequence >> (8 * i));
    for (int i = 0; i < 4; i++)
        out->data[8 + i] = (uint8_t) (rows >> (8 * i));
    platter->sequence += rows;
    if (platter->marks_count == platter->marks_size) {
        platter->marks_size = platter->marks_size == 0 ? 64 : 2 * platter->marks_size;
        platter->marks = realloc (platter->marks, platter->marks_size * sizeof *platter->marks);
        maitre_assert (platter->marks != NULL);
    }
    platter->marks[platter->marks_count++] = platter->len;
    append_batch (platter, out->data, out->len);
}

/* ---- the base ---- */

static struct sim_stored *copy_of (const struct sim_stored *stored)
{
    struct sim_stored *copy = malloc (sizeof *copy);
    maitre_assert (copy != NULL);
    *copy = *stored;
    copy->image = (struct state_image){0};
    copy->log = (struct sim_entries){0};
    copy->next = NULL;
    for (size_t i = 0; i < stored->log.count; i++) {
        const struct sim_entry *from = &stored->log.items[i];
        struct raft_entry entry = {from->index, from->term, from->checksum, from->payload, from->type};
        sim_entries_append (&copy->log, &entry);
    }
    return copy;
}

void sim_platter_free_base (struct sim_platter *platter)
{
    while (platter->base) {
        struct sim_stored *stored = platter->base;
        platter->base = stored->next;
        sim_entries_clear (&stored->log);
        free (stored);
    }
}

void sim_platter_copy_base (struct sim_platter *platter)
{
    struct sim_stored *from = platter->base, **tail = &platter->base;
    *tail = NULL;
    for (; from; from = from->next) {
        *tail = copy_of (from);
        tail = &(*tail)->next;
    }
}

void sim_platter_rebase (struct sim_node *node)
{
    struct sim_platter *platter = &node->disk.platter;
    struct sim_stored **tail = &platter->base;
    maitre_assert (node->disk.batch_writing == 0);
    sim_platter_free_base (platter);
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next) {
        *tail = copy_of (stored);
        tail = &(*tail)->next;
    }
    platter->len = platter->synced = 0;
    platter->marks_count = 0;
    platter->turn_base = platter->turn_synced = platter->turn_last;
}

void sim_platter_created (struct sim_node *node, const struct sim_stored *stored)
{
    struct sim_stored *copy = copy_of (stored);
    copy->next = node->disk.platter.base;
    node->disk.platter.base = copy;
}

void sim_platter_erased (struct sim_node *node, uint64_t replica)
{
    for (struct sim_stored **at = &node->disk.platter.base; *at; at = &(*at)->next) {
        struct sim_stored *stored = *at;
        if (stored->replica != replica)
            continue;
        *at = stored->next;
        sim_entries_clear (&stored->log);
        free (stored);
        return;
    }
}

void sim_platter_synced (struct sim *sim, struct sim_node *node)
{
    (void) sim;
    struct sim_platter *platter = &node->disk.platter;
    platter->synced = platter->len;
    platter->turn_synced = platter->turn_last;
    if (platter->len > REBASE_BYTES)
        sim_platter_rebase (node);
}

/* ---- what a disk does to bytes ---- */

void sim_platter_crash (struct sim *sim, struct sim_node *node)
{
    struct sim_platter *platter = &node->disk.platter;
    if (platter->len == platter->synced)
        return;
    if (!(sim->families & SIM_TORN) || sim_chance (sim, 2)) {
        if (sim_chance (sim, 2))
            platter->len = platter->synced;
        return;
    }
    size_t end = platter->synced; /* behind the last byte that arrived */
    for (size_t at = platter->synced; at < platter->len;) {
        size_t next = (at / SIM_SECTOR_BYTES + 1) * SIM_SECTOR_BYTES;
        next = next < platter->len ? next : platter->len;
        size_t kept = sim_chance (sim, 2) ? next - at : sim_chance (sim, 3) ? sim_below (sim, next - at) : 0;
        memset (platter->data + at + kept, 0, next - at - kept);
        if (kept > 0)
            end = at + kept;
        at = next;
    }
    sim_fault_count (sim, SIM_TORN);
    if (sim_chance (sim, 2))
        platter->len = end; /* else zeros up to where it would have ended */
}

void sim_platter_cut_tail (struct sim *sim, struct sim_node *node, size_t batches)
{
    struct sim_platter *platter = &node->disk.platter;
    if (platter->marks_count == 0)
        return;
    size_t drop = batches < platter->marks_count ? batches : platter->marks_count;
    size_t from = platter->marks[platter->marks_count - drop];
    if (from >= platter->len)
        return;
    /* Not a clean end: the first of the lost batches is damaged, what was behind it is gone. */
    size_t keep = sim_below (sim, platter->len - from) / 2;
    platter->len = from + keep;
    if (keep > 0)
        platter->data[platter->len - 1] ^= 0x40;
}

bool sim_platter_flip (struct sim *sim, struct sim_node *node)
{
    struct sim_platter *platter = &node->disk.platter;
    if (platter->synced == 0 || platter->len == 0)
        return false;
    for (uint64_t i = sim_between (sim, 1, 4); i > 0; i--)
        platter->data[sim_below (sim, platter->len)] ^= (uint8_t) (1 << sim_below (sim, 8));
    return true;
}

bool sim_platter_misdirect (struct sim *sim, struct sim_node *node)
{
    struct sim_platter *platter = &node->disk.platter;
    size_t sectors = platter->len / SIM_SECTOR_BYTES;
    if (sectors < 3)
        return false;
    size_t from = sim_below (sim, sectors), to = sim_below (sim, sectors);
    if (from == to)
        return false;
    memcpy (platter->data + to * SIM_SECTOR_BYTES, platter->data + from * SIM_SECTOR_BYTES, SIM_SECTOR_BYTES);
    memset (platter->data + from * SIM_SECTOR_BYTES, 0, SIM_SECTOR_BYTES); /* its own place never saw it */
    return true;
}

void sim_platter_close (struct sim_disk *disk)
{
    sim_platter_free_base (&disk->platter);
    free (disk->platter.data);
    free (disk->platter.marks);
}
