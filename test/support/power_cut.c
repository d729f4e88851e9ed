/* Takes a data folder back to a state that a power loss may leave: what no sync covered is dropped, kept or torn.
 *
 *   power_cut DIR --seed N        every process that had DIR open is dead (kill -9), each ran under preload_power.so
 *
 * Names: of each folder's changes since its last fsync a prefix stays, the rest is undone, as a file system with a
 * journal does it; the seed draws how many. Bytes: of each file's changes since its last sync every 512-byte sector (or
 * --sector) is the old or the new one, and the size the old one, the new one or between. What is left is durable: the
 * journal begins anew. Source of what happened: power_journal.h. The same journal and seed give the same folder.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/support/power_journal.h"

struct op {
    const struct power_record *record;
    uint64_t at; /* place in the journal */
    bool names;
};

struct cut {
    const char *dir;
    char shadow[PATH_MAX];
    uint64_t seed, sector;
    int keep; /* 1: everything survives, -1: nothing that was not synced, 0: as the seed says */
    bool quiet, json;
    uint8_t *journal;
    size_t journal_len;
    struct op *ops; /* what no sync covers, in order */
    size_t count, size;
    uint64_t files, bytes, sectors, names;
};

__attribute__ ((noreturn, format (printf, 1, 2))) static void fail (const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    fputs ("power_cut: ", stderr);
    vfprintf (stderr, format, arguments);
    fputc ('\n', stderr);
    va_end (arguments);
    exit (1);
}

static void *room (size_t size)
{
    void *memory = calloc (1, size + 1);
    if (memory == NULL)
        fail ("out of memory");
    return memory;
}

/* splitmix64 */
static uint64_t draw (uint64_t *state)
{
    uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Inode numbers differ from run to run, names hardly. */
static uint64_t stream (const struct cut *cut, const char *name)
{
    uint64_t hash = UINT64_C (0xcbf29ce484222325) ^ cut->seed * UINT64_C (0x100000001b3);
    for (; *name != 0; name++)
        hash = (hash ^ (uint8_t) *name) * UINT64_C (0x100000001b3);
    return hash;
}

/* ---- where an inode is now */

static bool find_inode (const char *dir, uint64_t inode, bool folder, char path[PATH_MAX])
{
    struct stat stat_buffer;
    if (folder && stat (dir, &stat_buffer) == 0 && stat_buffer.st_ino == inode) {
        snprintf (path, PATH_MAX, "%s", dir);
        return true;
    }
    struct dirent **items;
    int n = scandir (dir, &items, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < n; i++) {
        char below[PATH_MAX];
        if (!found && strcmp (items[i]->d_name, ".") != 0 && strcmp (items[i]->d_name, "..") != 0 &&
            (size_t) snprintf (below, sizeof below, "%s/%s", dir, items[i]->d_name) < sizeof below &&
            lstat (below, &stat_buffer) == 0) {
            if (S_ISDIR (stat_buffer.st_mode)) {
                found = find_inode (below, inode, folder, path);
            } else if (!folder && stat_buffer.st_ino == inode) {
                snprintf (path, PATH_MAX, "%s", below);
                found = true;
            }
        }
        free (items[i]);
    }
    if (n >= 0)
        free (items);
    return found;
}

/* ---- the journal */

static void read_journal (struct cut *cut)
{
    char path[PATH_MAX + 16];
    struct stat stat_buffer;
    snprintf (path, sizeof path, "%s/%s", cut->shadow, POWER_JOURNAL);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat (fd, &stat_buffer) != 0)
        fail ("%s: %s: did the node run with LD_PRELOAD=preload_power.so and MAITRED_POWER_DIR=%s?", path,
            strerror (errno), cut->dir);
    cut->journal_len = (size_t) stat_buffer.st_size;
    cut->journal = room (cut->journal_len);
    for (size_t done = 0; done < cut->journal_len;) {
        ssize_t n = read (fd, cut->journal + done, cut->journal_len - done);
        if (n <= 0)
            fail ("%s cannot be read", path);
        done += (size_t) n;
    }
    close (fd);
}

static bool touches_bytes (const struct power_record *record)
{
    return record->kind == POWER_WRITE || record->kind == POWER_TRUNCATE;
}

static void drop_synced (struct cut *cut, uint64_t inode, uint64_t upto)
{
    size_t kept = 0;
    for (size_t i = 0; i < cut->count; i++) {
        const struct op *op = &cut->ops[i];
        bool synced = op->at < upto && (op->names ? op->record->folder == inode : op->record->inode == inode);
        if (!synced)
            cut->ops[kept++] = *op;
    }
    cut->count = kept;
}

static void drop_bytes (struct cut *cut, uint64_t inode)
{
    size_t kept = 0;
    for (size_t i = 0; i < cut->count; i++) {
        if (cut->ops[i].names || cut->ops[i].record->inode != inode)
            cut->ops[kept++] = cut->ops[i];
    }
    cut->count = kept;
}

static void drop_names (struct cut *cut)
{
    size_t kept = 0;
    for (size_t i = 0; i < cut->count; i++) {
        if (!cut->ops[i].names)
            cut->ops[kept++] = cut->ops[i];
    }
    cut->count = kept;
}

/* A place that is written again and again: the bytes from before the first write are what matters. */
static bool same_place (struct cut *cut, const struct power_record *record, uint64_t at)
{
    for (size_t i = cut->count; record->kind == POWER_WRITE && i-- > 0;) {
        struct op *op = &cut->ops[i];
        if (op->names || op->record->inode != record->inode)
            continue;
        bool same = op->record->kind == POWER_WRITE && op->record->offset == record->offset &&
                    op->record->length == record->length && op->record->size == record->size;
        if (same)
            op->at = at;
        return same;
    }
    return false;
}

static void add_op (struct cut *cut, const struct power_record *record, uint64_t at)
{
    if (cut->count == cut->size) {
        cut->size = cut->size == 0 ? 1024 : cut->size * 2;
        cut->ops = realloc (cut->ops, cut->size * sizeof *cut->ops);
        if (cut->ops == NULL)
            fail ("out of memory");
    }
    cut->ops[cut->count++] = (struct op){.record = record, .at = at, .names = !touches_bytes (record)};
}

static void follow_journal (struct cut *cut)
{
    for (uint64_t at = 0; at + sizeof (struct power_record) <= cut->journal_len;) {
        const struct power_record *record = (const void *) (cut->journal + at);
        if (record->magic != POWER_MAGIC || record->total < sizeof *record || record->total > cut->journal_len - at)
            fail ("the journal of %s is damaged at byte %" PRIu64, cut->dir, at);
        if (record->kind == POWER_SYNC) {
            drop_synced (cut, record->inode, record->upto);
        } else if (record->kind == POWER_BARRIER) {
            drop_names (cut);
        } else {
            if (record->kind == POWER_CREATE)
                drop_bytes (cut, record->inode); /* the number's last file is gone */
            if (!same_place (cut, record, at))
                add_op (cut, record, at);
        }
        at += record->total;
    }
}

/* ---- names */

static void name_of (const struct power_record *record, char name[NAME_MAX + 1], char second[NAME_MAX + 1])
{
    const char *text = (const char *) (record + 1);
    snprintf (name, NAME_MAX + 1, "%.*s", (int) record->name_len, text);
    snprintf (second, NAME_MAX + 1, "%.*s", (int) record->second_len, text + record->name_len);
}

static void remove_tree (const char *path)
{
    struct dirent **items;
    int n = scandir (path, &items, NULL, NULL);
    for (int i = 0; i < n; i++) {
        char below[PATH_MAX];
        if (strcmp (items[i]->d_name, ".") != 0 && strcmp (items[i]->d_name, "..") != 0 &&
            (size_t) snprintf (below, sizeof below, "%s/%s", path, items[i]->d_name) < sizeof below)
            remove_tree (below);
        free (items[i]);
    }
    if (n >= 0)
        free (items);
    if (remove (path) != 0 && errno != ENOENT)
        fail ("%s cannot be removed: %s", path, strerror (errno));
}

static void restore (struct cut *cut, uint64_t shadow, const char *path)
{
    char from[PATH_MAX + 32];
    snprintf (from, sizeof from, "%s/%" PRIu64, cut->shadow, shadow);
    unlink (path);
    if (shadow != 0 && link (from, path) != 0)
        fail ("%s cannot come back as %s: %s", from, path, strerror (errno));
}

static void undo_name (struct cut *cut, const struct power_record *record)
{
    char folder[PATH_MAX], name[NAME_MAX + 1], second[NAME_MAX + 1], path[2 * PATH_MAX], other[2 * PATH_MAX];
    if (!find_inode (cut->dir, record->folder, true, folder))
        return; /* the folder itself is gone */
    name_of (record, name, second);
    snprintf (path, sizeof path, "%s/%s", folder, name);
    snprintf (other, sizeof other, "%s/%s", folder, second);
    switch (record->kind) {
    case POWER_CREATE:
    case POWER_LINK:
        if (unlink (path) != 0 && errno != ENOENT)
            fail ("%s cannot be undone: %s", path, strerror (errno));
        break;
    case POWER_UNLINK:
        restore (cut, record->shadow, path);
        break;
    case POWER_RENAME:
        if (rename (other, path) != 0 && errno != ENOENT)
            fail ("the renaming of %s cannot be undone: %s", other, strerror (errno));
        if (record->shadow != 0)
            restore (cut, record->shadow, other);
        break;
    case POWER_MKDIR:
        remove_tree (path);
        break;
    case POWER_RMDIR:
        if (mkdir (path, 0700) != 0 && errno != EEXIST)
            fail ("%s cannot be undone: %s", path, strerror (errno));
        break;
    default:
        fail ("record of kind %u", record->kind);
    }
    cut->names++;
}

/* How many of this folder's changes survive. */
static uint64_t survivors (struct cut *cut, uint64_t folder)
{
    char path[PATH_MAX];
    uint64_t n = 0;
    for (size_t i = 0; i < cut->count; i++)
        n += cut->ops[i].names && cut->ops[i].record->folder == folder;
    if (cut->keep != 0)
        return cut->keep > 0 ? n : 0;
    const char *name = find_inode (cut->dir, folder, true, path) ? path + strlen (cut->dir) : "";
    uint64_t state = stream (cut, name);
    switch (draw (&state) % 3) {
    case 0:
        return 0;
    case 1:
        return n;
    default:
        return draw (&state) % (n + 1);
    }
}

static void cut_names (struct cut *cut)
{
    bool *undone = room (cut->count * sizeof *undone);
    bool *decided = room (cut->count * sizeof *decided);
    for (size_t i = 0; i < cut->count; i++) {
        if (!cut->ops[i].names || decided[i])
            continue;
        uint64_t folder = cut->ops[i].record->folder, left = survivors (cut, folder);
        for (size_t k = i; k < cut->count; k++) {
            if (!cut->ops[k].names || cut->ops[k].record->folder != folder)
                continue;
            decided[k] = true;
            undone[k] = left == 0;
            left -= left > 0;
        }
    }
    for (size_t i = cut->count; i-- > 0;) {
        if (undone[i])
            undo_name (cut, cut->ops[i].record);
    }
    free (undone);
    free (decided);
}

/* ---- bytes */

struct image {
    uint8_t *data;
    uint64_t size, room;
};

static void image_resize (struct image *image, uint64_t size)
{
    if (size > image->room) {
        image->data = realloc (image->data, size);
        if (image->data == NULL)
            fail ("out of memory");
        memset (image->data + image->room, 0, size - image->room);
        image->room = size;
    }
    if (size < image->size)
        memset (image->data + size, 0, image->size - size);
    image->size = size;
}

static void undo_bytes (struct image *image, const struct power_record *record)
{
    const uint8_t *before = (const uint8_t *) (record + 1) + record->name_len + record->second_len;
    image_resize (image, record->size);
    if (record->before_len > 0 && record->offset + record->before_len <= image->size)
        memcpy (image->data + record->offset, before, record->before_len);
}

static struct image read_image (const char *path)
{
    struct stat stat_buffer;
    struct image image = {0};
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat (fd, &stat_buffer) != 0)
        fail ("%s: %s", path, strerror (errno));
    image_resize (&image, (uint64_t) stat_buffer.st_size);
    for (uint64_t done = 0; done < image.size;) {
        ssize_t n = pread (fd, image.data + done, image.size - done, (off_t) done);
        if (n <= 0)
            fail ("%s cannot be read", path);
        done += (uint64_t) n;
    }
    close (fd);
    return image;
}

/* `old` becomes what is left: each sector of it or of `now`. */
static void mix (struct cut *cut, struct image *old, const struct image *now, uint64_t *state)
{
    uint64_t was = old->size, most = now->size > was ? now->size : was;
    uint64_t least = now->size < was ? now->size : was, size;
    static const uint64_t sectors[] = {512, 4096};
    uint64_t sector = cut->sector != 0 ? cut->sector : sectors[draw (state) % 2];
    uint64_t mode = draw (state) % 4; /* old bytes, new bytes, each sector on its own, new ones up to a place */
    switch (draw (state) % 4) {
    case 0:
        size = was;
        break;
    case 1:
        size = least + draw (state) % (most - least + 1);
        break;
    default:
        size = now->size;
    }
    if (cut->keep != 0) {
        size = cut->keep > 0 ? now->size : was;
        mode = cut->keep > 0;
    }
    uint64_t upto = draw (state) % (most / sector + 2);
    image_resize (old, most);
    for (uint64_t at = 0, i = 0; at < most; at += sector, i++) {
        uint64_t len = most - at < sector ? most - at : sector;
        uint64_t there = at >= now->size ? 0 : now->size - at < len ? now->size - at : len;
        bool fresh = mode == 1 || (mode == 2 && draw (state) % 2 == 0) || (mode == 3 && i < upto);
        bool differs = (there > 0 && memcmp (old->data + at, now->data + at, there) != 0) || there < len;
        if (!differs)
            continue;
        if (!fresh) {
            cut->sectors++;
            continue;
        }
        memset (old->data + at, 0, len);
        if (there > 0)
            memcpy (old->data + at, now->data + at, there);
    }
    image_resize (old, size);
    cut->bytes += now->size > size ? now->size - size : 0;
}

static void write_image (const char *path, const struct image *image)
{
    int fd = open (path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ftruncate (fd, 0) != 0)
        fail ("%s: %s", path, strerror (errno));
    for (uint64_t done = 0; done < image->size;) {
        ssize_t n = pwrite (fd, image->data + done, image->size - done, (off_t) done);
        if (n <= 0)
            fail ("%s: %s", path, strerror (errno));
        done += (uint64_t) n;
    }
    close (fd);
}

static void cut_file (struct cut *cut, uint64_t inode)
{
    char path[PATH_MAX];
    if (!find_inode (cut->dir, inode, false, path))
        return; /* its name went */
    struct image now = read_image (path), old = read_image (path);
    for (size_t i = cut->count; i-- > 0;) {
        if (!cut->ops[i].names && cut->ops[i].record->inode == inode)
            undo_bytes (&old, cut->ops[i].record);
    }
    uint64_t state = stream (cut, path + strlen (cut->dir)), bytes = cut->bytes, sectors = cut->sectors;
    mix (cut, &old, &now, &state);
    /* An empty file has no data to compare, not even a place for it. */
    if (old.size != now.size || (now.size > 0 && memcmp (old.data, now.data, now.size) != 0)) {
        write_image (path, &old);
        cut->files++;
        if (!cut->quiet)
            fprintf (stderr, "power_cut: %s: %" PRIu64 " of %" PRIu64 " bytes left, %" PRIu64 " old sectors\n", path,
                old.size, now.size, cut->sectors - sectors);
    }
    (void) bytes;
    free (now.data);
    free (old.data);
}

static void cut_bytes (struct cut *cut)
{
    for (size_t i = 0; i < cut->count; i++) {
        bool first = !cut->ops[i].names;
        for (size_t k = 0; first && k < i; k++)
            first = cut->ops[k].names || cut->ops[k].record->inode != cut->ops[i].record->inode;
        if (first)
            cut_file (cut, cut->ops[i].record->inode);
    }
}

/* ---- */

static void begin_anew (const struct cut *cut)
{
    struct dirent **items;
    int n = scandir (cut->shadow, &items, NULL, NULL);
    for (int i = 0; i < n; i++) {
        char path[2 * PATH_MAX];
        snprintf (path, sizeof path, "%s/%s", cut->shadow, items[i]->d_name);
        if (strcmp (items[i]->d_name, ".") != 0 && strcmp (items[i]->d_name, "..") != 0)
            unlink (path); /* the journal too */
        free (items[i]);
    }
    if (n >= 0)
        free (items);
}

/* The node's own lock tells whether it still runs. */
static void refuse_running (const struct cut *cut)
{
    char path[PATH_MAX + 8];
    snprintf (path, sizeof path, "%s/LOCK", cut->dir);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock (fd, LOCK_EX | LOCK_NB) != 0)
        fail ("%s is in use: kill -9 its node first", cut->dir);
    close (fd);
}

static const char usage[] =
    "usage: power_cut DIR --seed N [--sector BYTES] [--keep | --drop] [--quiet] [--json]\n"
    "\n"
    "Takes the data folder DIR of a node that ran under preload_power.so (MAITRED_POWER_DIR=DIR) and was killed back "
    "to\n"
    "a state that a power loss may leave. The seed draws which unsynced sectors and names are dropped, kept or torn.\n"
    "\n"
    "  --seed N        the same journal and seed give the same folder\n"
    "  --sector BYTES  512 or 4096 (default: drawn for each file)\n"
    "  --keep, --drop  everything, or nothing, of what no sync covers survives\n"
    "  --quiet         no line a file on stderr\n"
    "  --json          one JSON object on stdout: files, bytes, sectors, names that were taken back\n"
    "\n"
    "Exit status: 0 done, 1 it cannot be done, 2 usage.\n"
    "example: kill -9 $(cat node-1.pid); power_cut data-1 --seed 42\n";

int main (int argc, char **argv)
{
    struct cut cut = {0};
    bool seeded = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        if (strcmp (argv[i], "--help") == 0 || strcmp (argv[i], "-h") == 0) {
            fputs (usage, stdout);
            return 0;
        }
        if ((strcmp (argv[i], "--seed") == 0 || strcmp (argv[i], "--sector") == 0) && value != NULL && *value != 0) {
            bool seed = strcmp (argv[i++], "--seed") == 0;
            uint64_t number = strtoull (value, &end, 10);
            *(seed ? &cut.seed : &cut.sector) = number;
            seeded = seeded || seed;
            if (*end == 0 && (seed || number == 512 || number == 4096))
                continue;
            cut.dir = NULL;
            break;
        }
        if (strcmp (argv[i], "--keep") == 0)
            cut.keep = 1;
        else if (strcmp (argv[i], "--drop") == 0)
            cut.keep = -1;
        else if (strcmp (argv[i], "--quiet") == 0)
            cut.quiet = true;
        else if (strcmp (argv[i], "--json") == 0)
            cut.json = true;
        else if (argv[i][0] != '-' && cut.dir == NULL)
            cut.dir = argv[i];
        else {
            cut.dir = NULL;
            break;
        }
    }
    if (cut.dir == NULL || !seeded) {
        fputs (usage, stderr);
        return 2;
    }
    char real[PATH_MAX];
    if (realpath (cut.dir, real) == NULL)
        fail ("%s: %s", cut.dir, strerror (errno));
    cut.dir = real;
    if ((size_t) snprintf (cut.shadow, sizeof cut.shadow, "%s%s", real, POWER_SUFFIX) >= sizeof cut.shadow)
        fail ("the path is too long");
    refuse_running (&cut);
    read_journal (&cut);
    follow_journal (&cut);
    cut_names (&cut);
    cut_bytes (&cut);
    begin_anew (&cut);
    printf (cut.json
                ? "{\"files\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"sectors\": %" PRIu64 ", \"names\": %" PRIu64 "}\n"
                : "taken back: %" PRIu64 " files, %" PRIu64 " bytes cut off, %" PRIu64 " sectors, %" PRIu64 " names\n",
        cut.files, cut.bytes, cut.sectors, cut.names);
    free (cut.ops);
    free (cut.journal);
    return 0;
}
