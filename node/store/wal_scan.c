#include "node/store/wal_internal.h"
#include "schemas/runtime/planted.h"

/* RocksDB masks checksums so that a checksum over data that holds checksums stays strong. */
uint32_t wal_record_sum (const struct crc32c *crc, struct bytes typed)
{
    uint32_t sum = crc32c_of (crc, typed);
    return (sum >> 15 | sum << 17) + UINT32_C (0xa282ead8);
}

bool wal_record_at (const struct crc32c *crc, const uint8_t *block, size_t len, size_t at, struct wal_record *record)
{
    if (len - at < WAL_HEADER_BYTES)
        return false;
    const uint8_t *header = block + at;
    size_t payload_len = (size_t) header[4] | (size_t) header[5] << 8;
    unsigned type = header[6];
    if (type < WAL_RECORD_FULL || type > WAL_RECORD_LAST || payload_len > len - at - WAL_HEADER_BYTES)
        return false;
    uint32_t stored =
        (uint32_t) header[0] | (uint32_t) header[1] << 8 | (uint32_t) header[2] << 16 | (uint32_t) header[3] << 24;
    if (wal_record_sum (crc, bytes_of (header + 6, payload_len + 1)) != stored)
        return false;
    *record = (struct wal_record){.type = type, .payload = bytes_of (header + WAL_HEADER_BYTES, payload_len)};
    return true;
}

uint64_t wal_sequence_of (struct bytes payload)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < 8; i++)
        sequence |= (uint64_t) payload.data[i] << (8 * i);
    return sequence;
}

/* True when a batch that can follow the last one begins with this record. Its sequence number guards against taking
 * bytes within a payload for a record; a FIRST that filled the end of a block may be too short to hold one. */
static bool begins_batch (const struct wal_scan *scan, const struct wal_record *record)
{
    if (record->type == WAL_RECORD_FULL)
        return record->payload.len >= WAL_BATCH_HEADER_BYTES && wal_sequence_of (record->payload) > scan->sequence;
    return record->type == WAL_RECORD_FIRST &&
           (record->payload.len < WAL_BATCH_HEADER_BYTES || wal_sequence_of (record->payload) > scan->sequence);
}

/* Behind damage: looks for a batch that begins anywhere in block[at, len). */
static void search_behind (struct wal_scan *scan, const uint8_t *block, size_t len, size_t at)
{
    for (; at < len && !scan->valid_behind; at++) {
        struct wal_record record;
        if (wal_record_at (scan->crc, block, len, at, &record)) {
            scan->valid_behind = begins_batch (scan, &record);
            at += WAL_HEADER_BYTES + record.payload.len - 1;
        }
    }
}

/* Takes one valid record in; false when it cannot stand here. */
static bool take (struct wal_scan *scan, const struct wal_record *record, uint64_t end)
{
    bool begins = record->type == WAL_RECORD_FULL || record->type == WAL_RECORD_FIRST;
    if (begins == scan->inside || (begins && !begins_batch (scan, record)))
        return false;
    if (begins && record->payload.len >= WAL_BATCH_HEADER_BYTES)
        scan->sequence = wal_sequence_of (record->payload);
    scan->inside = record->type == WAL_RECORD_FIRST || record->type == WAL_RECORD_MIDDLE;
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
        if (len - at < WAL_HEADER_BYTES && len == scan->block_bytes)
            return; /* the padding of a full block */
        struct wal_record record;
        if (wal_record_at (scan->crc, block, len, at, &record) &&
            take (scan, &record, offset + at + WAL_HEADER_BYTES + record.payload.len))
            at += WAL_HEADER_BYTES + record.payload.len;
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
        *report =
            (struct wal_report){.condition = scan->valid_behind && !PLANTED (STORE_ROT_IS_TORN) ? WAL_ROT : WAL_TORN,
                .file = file,
                .offset = scan->whole_end,
                .size = size,
                .records = report->records};
    }
    return report->condition != WAL_ROT;
}
