#include "node/store/wal_scan.h"

#define HEADER_BYTES 7
#define BATCH_HEADER_BYTES 12 /* sequence u64, count u32 */

enum record_type { RECORD_FULL = 1, RECORD_FIRST = 2, RECORD_MIDDLE = 3, RECORD_LAST = 4 };

struct record {
    unsigned type;
    struct bytes payload;
};

/* The valid record at `at`, or false. */
static bool record_at (const struct crc32c *crc, const uint8_t *block, size_t len, size_t at, struct record *record)
{
    if (len - at < HEADER_BYTES)
        return false;
    const uint8_t *header = block + at;
    size_t payload_len = (size_t) header[4] | (size_t) header[5] << 8;
    unsigned type = header[6];
    if (type < RECORD_FULL || type > RECORD_LAST || payload_len > len - at - HEADER_BYTES)
        return false;
    uint32_t stored =
        (uint32_t) header[0] | (uint32_t) header[1] << 8 | (uint32_t) header[2] << 16 | (uint32_t) header[3] << 24;
    /* RocksDB masks checksums so that a checksum over data that holds checksums stays strong. */
    uint32_t rotated = stored - UINT32_C (0xa282ead8);
    uint32_t unmasked = rotated >> 17 | rotated << 15;
    if (crc32c_of (crc, bytes_of (header + 6, payload_len + 1)) != unmasked)
        return false;
    *record = (struct record){.type = type, .payload = bytes_of (header + HEADER_BYTES, payload_len)};
    return true;
}

static uint64_t sequence_of (struct bytes payload)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < 8; i++)
        sequence |= (uint64_t) payload.data[i] << (8 * i);
    return sequence;
}

/* True when a batch that can follow the last one begins with this record. Its sequence number guards against taking
 * bytes within a payload for a record; a FIRST that filled the end of a block may be too short to hold one. */
static bool begins_batch (const struct wal_scan *scan, const struct record *record)
{
    if (record->type == RECORD_FULL)
        return record->payload.len >= BATCH_HEADER_BYTES && sequence_of (record->payload) > scan->sequence;
    return record->type == RECORD_FIRST &&
           (record->payload.len < BATCH_HEADER_BYTES || sequence_of (record->payload) > scan->sequence);
}

/* Behind damage: looks for a batch that begins anywhere in block[at, len). */
static void search_behind (struct wal_scan *scan, const uint8_t *block, size_t len, size_t at)
{
    for (; at < len && !scan->valid_behind; at++) {
        struct record record;
        if (record_at (scan->crc, block, len, at, &record)) {
            scan->valid_behind = begins_batch (scan, &record);
            at += HEADER_BYTES + record.payload.len - 1;
        }
    }
}

/* Takes one valid record in; false when it cannot stand here. */
static bool take (struct wal_scan *scan, const struct record *record, uint64_t end)
{
    bool begins = record->type == RECORD_FULL || record->type == RECORD_FIRST;
    if (begins == scan->inside || (begins && !begins_batch (scan, record)))
        return false;
    if (begins && record->payload.len >= BATCH_HEADER_BYTES)
        scan->sequence = sequence_of (record->payload);
    scan->inside = record->type == RECORD_FIRST || record->type == RECORD_MIDDLE;
    if (!scan->inside) {
        scan->whole_end = end;
        scan->records++;
    }
    return true;
}

void wal_scan_block (struct wal_scan *scan, const uint8_t *block, size_t len, uint64_t offset)
{
    size_t at = 0;
    while (!scan->damaged && at < len) {
        if (len - at < HEADER_BYTES && len == scan->block_bytes)
            return; /* the padding of a full block */
        struct record record;
        if (record_at (scan->crc, block, len, at, &record) &&
            take (scan, &record, offset + at + HEADER_BYTES + record.payload.len))
            at += HEADER_BYTES + record.payload.len;
        else
            scan->damaged = true;
    }
    if (scan->damaged)
        search_behind (scan, block, len, at);
}

bool wal_scan_end (struct wal_scan *scan, uint64_t file, uint64_t size, struct wal_report *report)
{
    if (scan->inside)
        scan->damaged = true;
    if (report->condition == WAL_TORN && size > 0) {
        report->condition = WAL_ROT; /* this file was begun after the damaged one had been synced */
        return false;
    }
    report->records += scan->records;
    if (scan->damaged) {
        *report = (struct wal_report){.condition = scan->valid_behind ? WAL_ROT : WAL_TORN,
            .file = file,
            .offset = scan->whole_end,
            .size = size,
            .records = report->records};
    }
    return report->condition != WAL_ROT;
}
