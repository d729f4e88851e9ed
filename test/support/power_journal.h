/* What preload_power.so writes down of a data folder, and power_cut reads: which bytes and names no sync covers yet.
 *
 * Room: test/support. DIR.power/ lies beside the folder DIR: `journal` (records of this file, appended whole), and one
 * hard link `NUMBER` for each file that was unlinked or replaced while its folder was not synced since.
 *
 * A record: struct power_record | name | second name | bytes that were there before. Numbers are the machine's own: the
 * journal never leaves it. A write's record stands in front of the write, a sync's behind the sync; `upto` of a sync is
 * the journal's length when the sync began, so that a write beside a running sync is not taken for synced.
 */
#ifndef MAITRED_TEST_SUPPORT_POWER_JOURNAL_H
#define MAITRED_TEST_SUPPORT_POWER_JOURNAL_H

#include <stdint.h>

#define POWER_SUFFIX ".power"
#define POWER_JOURNAL "journal"
#define POWER_MAGIC UINT32_C (0x50575231)

enum power_kind {
    POWER_WRITE = 1, /* inode, offset, length; before: what of it was there, size: the file's size before */
    POWER_TRUNCATE,  /* inode, offset: the new size; before: what was cut off, size */
    POWER_SYNC,      /* inode (of a file or folder), upto */
    POWER_CREATE,    /* folder, name, inode: of a file that was not there */
    POWER_UNLINK,    /* folder, name, shadow */
    POWER_LINK,      /* folder, name, inode */
    POWER_RENAME,    /* folder, name -> second name within it, shadow of what was replaced (0: nothing) */
    POWER_MKDIR,     /* folder, name */
    POWER_RMDIR,     /* folder, name */
    POWER_BARRIER,   /* a rename between folders: taken as durable, with all names changed before it */
};

struct power_record {
    uint32_t magic, kind;
    uint64_t inode, folder, offset, length, size, upto, shadow;
    uint32_t name_len, second_len, before_len, total; /* total: of the whole record, padded to 8 bytes */
};

#endif
