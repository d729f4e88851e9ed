/* RocksDB's write-ahead files, whole, torn, rotten and never such files at all: what the inspection says of them, against
 * what was done to them, and that a torn file is whole once it was cut.
 *
 * Files lie in memory, and mostly in short blocks: the same code sees many times as many borders of blocks. Some inputs have
 * blocks of the real length and go through files on disk as well: both ways must say the same.
 */
#include <stdio.h>
#include <unistd.h>

#include "node/store/wal_scan.h"
#include "schemas/runtime/checksum.h"
#include "test/fuzz/fuzz.h"

#define FILE_BYTES (3u * WAL_BLOCK_BYTES)
#define BATCHES_MAX 32

/* One file, and what is known about it. */
struct file {
    uint8_t bytes[FILE_BYTES];
    size_t len;
    uint64_t ends[BATCHES_MAX]; /* of the batches put in */
    uint64_t count;
    bool harmed;     /* more than torn */
    uint64_t rot_at; /* the byte that rotted; UINT64_MAX: none, or one that means nothing */
};

static char folder[64];
static struct crc32c crc;
static struct file files[2];
static size_t block_bytes;

static void remove_folder (void)
{
    char path[96];
    for (int i = 1; i <= 2; i++) {
        snprintf (path, sizeof path, "%s/%06d.log", folder, i);
        unlink (path);
    }
    rmdir (folder);
}

static void prepare (void)
{
    if (folder[0] != '\0')
        return;
    crc32c_init (&crc);
    strcpy (folder, access ("/dev/shm", W_OK) == 0 ? "/dev/shm/maitred-fuzz-XXXXXX" : "/tmp/maitred-fuzz-XXXXXX");
    maitre_assert (mkdtemp (folder) != NULL);
    atexit (remove_folder);
}

/* ---- files as RocksDB writes them */

static void put_le (uint8_t *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t) (value >> (8 * i));
}

/* One record at `at`; returns its length. */
static size_t put_record (struct file *file, size_t at, uint8_t type, const uint8_t *payload, size_t len)
{
    uint8_t *out = file->bytes + at;
    out[6] = type;
    put_le (out + 4, len, 2);
    memcpy (out + 7, payload, len);
    uint32_t sum = crc32c_of (&crc, bytes_of (out + 6, len + 1));
    put_le (out, ((sum >> 15) | (sum << 17)) + UINT32_C (0xa282ead8), 4);
    return 7 + len;
}

/* A batch in as many records as its blocks want; false when it does not fit in any more. */
static bool put_batch (struct file *file, uint64_t sequence, size_t len)
{
    static uint8_t batch[2 * WAL_BLOCK_BYTES + 16];
    size_t done = 0, at = file->len;
    bool first = true; /* a FIRST at the very end of a block is empty */
    size_t records = len / (block_bytes - 7) + 3;
    if (file->count == BATCHES_MAX || at + len + records * 14 > FILE_BYTES)
        return false;
    /* Bytes that could be a record's type make the search for what follows damage try a checksum at each of them. */
    memset (batch, (int) (block_bytes < WAL_BLOCK_BYTES ? sequence : sequence | 0x80) & 0xff, len);
    put_le (batch, sequence, 8);
    do {
        size_t room = block_bytes - at % block_bytes;
        if (room < 7) {
            memset (file->bytes + at, 0, room);
            at += room;
            room = block_bytes;
        }
        size_t take = len - done < room - 7 ? len - done : room - 7;
        bool last = done + take == len;
        at += put_record (file, at, first && last ? 1 : first ? 2 : last ? 4 : 3, batch + done, take);
        done += take;
        first = false;
    } while (done < len);
    file->len = at;
    file->ends[file->count++] = at;
    return true;
}

/* True for the last bytes of a block, when they are too few for a record. */
static bool is_padding (const struct file *file, size_t at)
{
    const uint8_t *block = file->bytes + at / block_bytes * block_bytes;
    size_t end = 0; /* of the records */
    while (block_bytes - end >= 7 && end <= at % block_bytes)
        end += 7 + (block[end + 4] | (size_t) block[end + 5] << 8);
    return end <= at % block_bytes;
}

/* Batches, cut and then altered as the input says. */
static void make_file (struct file *file, struct fuzz *fuzz)
{
    uint64_t sequence = 1 + fuzz_u8 (fuzz);
    for (size_t n = fuzz_below (fuzz, BATCHES_MAX + 1); n > 0; n--) {
        uint8_t draw = fuzz_u8 (fuzz);
        size_t size = 12 + (draw < 200 ? draw % (block_bytes / 2) : fuzz_below (fuzz, 2 * block_bytes - 12));
        if (!put_batch (file, sequence, size))
            break;
        sequence += 1 + fuzz_u8 (fuzz) % 4;
    }
    uint8_t harm = fuzz_u8 (fuzz) % 4;
    if (harm == 1 && file->len > 0) { /* torn: any length */
        file->len -= 1 + fuzz_below (fuzz, file->len);
        while (file->count > 0 && file->ends[file->count - 1] > file->len)
            file->count--;
    } else if (harm == 2 && file->len > 0) { /* one byte rots; in padding nobody looks at it */
        size_t at = fuzz_below (fuzz, file->len);
        file->harmed = true;
        file->rot_at = is_padding (file, at) ? UINT64_MAX : at;
        file->bytes[at] ^= (uint8_t) (1 + fuzz_below (fuzz, 255));
    } else if (harm == 3) { /* anything behind it */
        struct bytes tail = fuzz_run (fuzz, fuzz_below (fuzz, 512));
        if (tail.len > 0 && file->len + tail.len <= FILE_BYTES) {
            memcpy (file->bytes + file->len, tail.data, tail.len);
            file->len += tail.len;
            file->harmed = true;
        }
    }
}

/* ---- the inspection */

static struct wal_report inspect (void)
{
    struct wal_report report = {.condition = WAL_WHOLE};
    for (uint64_t i = 0; i < 2; i++) {
        struct wal_scan scan = {.crc = &crc, .block_bytes = block_bytes};
        for (size_t at = 0; at < files[i].len; at += block_bytes) {
            size_t left = files[i].len - at;
            wal_scan_block (&scan, files[i].bytes + at, left < block_bytes ? left : block_bytes, at);
        }
        if (!wal_scan_end (&scan, i + 1, files[i].len, &report))
            break;
    }
    return report;
}

static void write_file (int number, const struct file *file)
{
    char path[96];
    snprintf (path, sizeof path, "%s/%06d.log", folder, number);
    FILE *out = fopen (path, "wbe");
    maitre_assert (out != NULL);
    maitre_assert (fwrite (file->bytes, 1, file->len, out) == file->len && fclose (out) == 0);
}

/* What lies in memory, through files: the same report, and the same when it is cut. */
static void check_on_disk (const struct wal_report *expected)
{
    struct wal_report report;
    write_file (1, &files[0]);
    write_file (2, &files[1]);
    enum status status = wal_inspect (folder, &report, NULL);
    maitre_assert (status == STATUS_OK);
    maitre_assert (report.condition == expected->condition && report.records == expected->records);
    maitre_assert (report.file == expected->file && report.offset == expected->offset && report.size == expected->size);
    if (report.condition != WAL_TORN)
        return;
    struct wal_report again;
    status = wal_cut (folder, &report, NULL);
    maitre_assert (status == STATUS_OK);
    status = wal_inspect (folder, &again, NULL);
    maitre_assert (status == STATUS_OK && again.condition == WAL_WHOLE && again.records == report.records);
}

/* What is known of the first file, when nothing lies behind it. */
static void check_known (const struct file *file, const struct wal_report *report)
{
    if (!file->harmed) { /* at most torn: nothing is lost */
        maitre_assert (report->condition != WAL_ROT);
        maitre_assert (report->records == file->count);
    } else if (file->rot_at != UINT64_MAX) { /* not taken for torn when a whole batch lies behind it */
        uint64_t hit = 0;
        while (file->ends[hit] <= file->rot_at)
            hit++;
        maitre_assert (report->condition == (hit + 1 < file->count ? WAL_ROT : WAL_TORN));
        maitre_assert (report->records == hit);
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const uint16_t blocks[] = {64, 64, 96, 128, 256, 512, 1024, 4096};
    struct fuzz fuzz = {.at = data, .left = size};
    prepare ();
    for (int i = 0; i < 2; i++) {
        files[i].len = files[i].count = 0;
        files[i].harmed = false;
        files[i].rot_at = UINT64_MAX;
    }
    uint8_t choice = fuzz_u8 (&fuzz), shape = fuzz_u8 (&fuzz);
    bool real = shape >= 252;
    block_bytes = real ? WAL_BLOCK_BYTES : blocks[shape % (sizeof blocks / sizeof *blocks)];
    if (choice % 8 == 0) {
        struct bytes raw = fuzz_rest (&fuzz);
        files[0].len = raw.len < FILE_BYTES ? raw.len : FILE_BYTES;
        if (raw.len > 0)
            memcpy (files[0].bytes, raw.data, files[0].len);
        files[0].harmed = true;
    } else {
        make_file (&files[0], &fuzz);
        if (choice % 8 >= 6)
            make_file (&files[1], &fuzz);
    }
    struct wal_report report = inspect ();
    maitre_assert (report.condition == WAL_WHOLE || report.offset <= report.size);
    if (files[1].len == 0)
        check_known (&files[0], &report);
    if (real && checksum64 (0, bytes_of (data, size)) % 16 == 0) /* one in so many: it is a hundred times as slow */
        check_on_disk (&report);
    if (report.condition == WAL_TORN) {
        maitre_assert (report.file >= 1 && report.file <= 2);
        files[report.file - 1].len = report.offset;
        struct wal_report again = inspect ();
        maitre_assert (again.condition == WAL_WHOLE && again.records == report.records);
    }
    return 0;
}
