/* RocksDB's write-ahead files, whole, torn, rotten and never such files at all: what the inspection says of them, against
 * what was done to them, and that a torn file is whole once it was cut. */
#include <stdio.h>
#include <unistd.h>

#include "node/store/crc32c.h"
#include "node/store/wal.h"
#include "test/fuzz/fuzz.h"

#define BLOCK_BYTES 32768u
#define FILE_BYTES (3u * BLOCK_BYTES)

static char folder[64];
static struct crc32c crc;
static uint8_t *file;

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
    if (file != NULL)
        return;
    file = malloc (FILE_BYTES);
    crc32c_init (&crc);
    strcpy (folder, access ("/dev/shm", W_OK) == 0 ? "/dev/shm/maitred-fuzz-XXXXXX" : "/tmp/maitred-fuzz-XXXXXX");
    maitre_assert (file != NULL && mkdtemp (folder) != NULL);
    atexit (remove_folder);
}

static void put_le (uint8_t *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t) (value >> (8 * i));
}

/* One record at `at`; returns its length. */
static size_t put_record (size_t at, uint8_t type, const uint8_t *payload, size_t len)
{
    uint8_t *out = file + at;
    out[6] = type;
    put_le (out + 4, len, 2);
    memcpy (out + 7, payload, len);
    uint32_t sum = crc32c_of (&crc, bytes_of (out + 6, len + 1));
    put_le (out, ((sum >> 15) | (sum << 17)) + UINT32_C (0xa282ead8), 4);
    return 7 + len;
}

/* A batch as RocksDB writes it, in as many records as its blocks want; the file's new length. */
static size_t put_batch (size_t at, uint64_t sequence, size_t len)
{
    static uint8_t batch[BLOCK_BYTES * 2];
    size_t done = 0;
    bool first = true; /* a FIRST at the very end of a block is empty */
    memset (batch, (int) (sequence & 0xff), len);
    put_le (batch, sequence, 8);
    do {
        size_t room = BLOCK_BYTES - at % BLOCK_BYTES;
        if (room < 7) {
            memset (file + at, 0, room);
            at += room;
            room = BLOCK_BYTES;
        }
        size_t take = len - done < room - 7 ? len - done : room - 7;
        bool last = done + take == len;
        at += put_record (at, first && last ? 1 : first ? 2 : last ? 4 : 3, batch + done, take);
        done += take;
        first = false;
    } while (done < len);
    return at;
}

static void write_file (int number, size_t len)
{
    char path[96];
    snprintf (path, sizeof path, "%s/%06d.log", folder, number);
    FILE *out = fopen (path, "wbe");
    maitre_assert (out != NULL);
    maitre_assert (fwrite (file, 1, len, out) == len && fclose (out) == 0);
}

/* One file of batches, cut and then altered as the input says; *batches and *whole tell of the part that was left alone. */
static size_t make_file (struct fuzz *fuzz, bool *harmed, uint64_t *batches)
{
    size_t len = 0, ends[64] = {0}, count = 0;
    uint64_t sequence = 1 + fuzz_u8 (fuzz);
    *harmed = false;
    for (size_t n = fuzz_below (fuzz, 32); count < n; count++) {
        size_t size = 12 + (fuzz_u8 (fuzz) < 240 ? fuzz_u8 (fuzz) : fuzz_below (fuzz, BLOCK_BYTES));
        if (len + size + 64 > FILE_BYTES)
            break;
        len = put_batch (len, sequence, size);
        sequence += 1 + fuzz_u8 (fuzz) % 4;
        ends[count] = len;
    }
    uint8_t harm = fuzz_u8 (fuzz);
    if (harm % 4 == 1 && len > 0) { /* torn: any length */
        len -= 1 + fuzz_below (fuzz, len);
    } else if (harm % 4 == 2 && len > 0) { /* rot */
        file[fuzz_below (fuzz, len)] ^= (uint8_t) (1 + fuzz_below (fuzz, 255));
        *harmed = true;
    } else if (harm % 4 == 3) { /* anything behind it */
        struct bytes tail = fuzz_run (fuzz, fuzz_below (fuzz, 512));
        if (tail.len > 0 && len + tail.len <= FILE_BYTES) {
            memcpy (file + len, tail.data, tail.len);
            len += tail.len;
            *harmed = true;
        }
    }
    *batches = 0;
    while (*batches < count && ends[*batches] <= len)
        (*batches)++;
    return len;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    struct wal_report report, again;
    bool harmed = true, second_harmed = true;
    uint64_t batches = 0, second_batches = 0;
    prepare ();
    uint8_t choice = fuzz_u8 (&fuzz);
    if (choice % 8 == 0) {
        struct bytes raw = fuzz_rest (&fuzz);
        if (raw.len > 0)
            memcpy (file, raw.data, raw.len < FILE_BYTES ? raw.len : FILE_BYTES);
        write_file (1, raw.len < FILE_BYTES ? raw.len : FILE_BYTES);
        write_file (2, 0);
    } else {
        write_file (1, make_file (&fuzz, &harmed, &batches));
        write_file (2, choice % 8 < 6 ? 0 : make_file (&fuzz, &second_harmed, &second_batches));
    }
    enum status status = wal_inspect (folder, &report, NULL);
    maitre_assert (status == STATUS_OK);
    maitre_assert (report.condition == WAL_WHOLE || report.offset <= report.size);
    if (choice % 8 != 0 && choice % 8 < 6 &&
        !harmed) { /* at most torn, in the last file with content: nothing is lost */
        maitre_assert (report.condition != WAL_ROT);
        maitre_assert (report.records == batches);
    }
    if (report.condition == WAL_TORN) {
        status = wal_cut (folder, &report, NULL);
        maitre_assert (status == STATUS_OK);
        status = wal_inspect (folder, &again, NULL);
        maitre_assert (status == STATUS_OK && again.condition == WAL_WHOLE);
        maitre_assert (again.records == report.records);
    }
    return 0;
}
