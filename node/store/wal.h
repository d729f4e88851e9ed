/* Reads RocksDB's write-ahead files itself, to tell a torn tail from rot, and cuts a torn tail.
 *
 * Room: node/store, private; knows the file format, not the library. RocksDB cannot tell the two apart, and in some modes
 * drops synced batches silently (faults.md fact 1). Our side of the bargain is in store.h invariant 3: nothing is written
 * behind something unsynced, so only the very last batch may be torn, and damage with anything valid behind it is rot.
 * Source: RocksDB wiki "Write Ahead Log File Format": blocks of 32 KiB; records of crc32c u32 | length u16 | type u8 (all
 * little-endian) | payload; types FULL 1, FIRST 2, MIDDLE 3, LAST 4; a payload starts with its sequence number u64.
 */
#ifndef MAITRED_NODE_STORE_WAL_H
#define MAITRED_NODE_STORE_WAL_H

#include "node/store/store.h"

enum wal_condition {
    WAL_WHOLE, /* every record of every file is valid */
    WAL_TORN,  /* the last file that has content ends in something invalid */
    WAL_ROT,   /* something invalid has valid records or another file with content behind it */
};

struct wal_report {
    enum wal_condition condition;
    uint64_t file;    /* the damaged file's number */
    uint64_t offset;  /* where its last whole valid batch ends */
    uint64_t size;    /* its size */
    uint64_t records; /* whole valid batches in front of the damage, in all files */
};

/* Looks at every *.log file of `dir` (none is WAL_WHOLE). INTERNAL when a file cannot be read. */
WARN_UNUSED enum status wal_inspect (const char *dir, struct wal_report *report, struct store_error *error);

struct wal_salvaged {
    uint32_t files;   /* damaged ones, each written anew */
    uint64_t records; /* whole valid batches in them */
    bool end_lost;    /* nothing valid stands behind the last damage: who knows how much there was */
};

/* After WAL_ROT: writes each damaged file of `dir` anew into the folder `into`, with its whole valid batches alone, and
 * syncs it; nothing changes in `dir`. Reading goes on behind damage only where valid records follow one another to the end
 * of the block, and where batches' sequence numbers still rise: bytes within a payload are not taken for a record. Which
 * turns are missing then is for whoever reads turn numbers. INTERNAL. */
WARN_UNUSED enum status wal_salvage (
    const char *dir, const char *into, struct wal_salvaged *report, struct store_error *error);

/* Gives away every whole valid batch of all files of `dir`, in order, damage left out as above: sequence u64 and count u32
 * (little-endian), then the records of a RocksDB WriteBatch. INTERNAL. */
typedef void wal_visit (void *argument, struct bytes batch);
WARN_UNUSED enum status wal_read (const char *dir, wal_visit *visit, void *argument, struct store_error *error);

/* Cuts the damaged file of a WAL_TORN report at its offset and syncs it. INTERNAL. */
WARN_UNUSED enum status wal_cut (const char *dir, const struct wal_report *report, struct store_error *error);

#endif
