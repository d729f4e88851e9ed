/* Older copies: what a node's folder held some time ago is put back under it, as from a restored image or a disk that lost writes.
 *
 * A part at a time: the log, the state, the small files, or one file of them; MARK stays, which tells that the log ends too early.
 * A whole folder of an earlier time is left out: nothing in it says that it is old, and when whoever remembers what it
 * acknowledged is away just then, it votes without it. scripts/chaos damage has that case while all others are up.
 */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

static struct {
    bool taken;       /* there is a copy */
    const char *part; /* what was put back last, its present self is in `aside`; NULL: nothing */
    char copy[NEMESIS_PATH], aside[NEMESIS_PATH];
} stale;

static bool program (struct nemesis *run, const char *const *argv)
{
    char log[NEMESIS_PATH];
    struct child_setup setup = {.argv = argv, .space = -1};
    if (!nemesis_path (log, run->options.dir, "stale.log"))
        return false;
    setup.out = setup.err = log;
    return nemesis_program (&setup, 30000) == 0;
}

static bool copy_tree (struct nemesis *run, const char *from, const char *to)
{
    const char *const argv[] = {"/bin/cp", "-a", from, to, NULL};
    return program (run, argv);
}

const char *nemesis_stale_unable (struct nemesis *run)
{
    return nemesis_bitflip_unable (run);
}

static void forget (void)
{
    if (stale.taken)
        nemesis_remove_tree (stale.copy);
    stale.taken = false;
}

void nemesis_stale_lost (void)
{
    forget ();
    stale.part = NULL;
}

/* One part of the folder as it was; as it is it goes aside. False: it cannot be. */
static bool put_back (struct nemesis *run, const char *data, const char *part)
{
    char from[NEMESIS_PATH], to[NEMESIS_PATH];
    if (!nemesis_path (from, stale.copy, part) || !nemesis_path (to, data, part) ||
        !nemesis_path (stale.aside, run->options.dir, "stale-aside") || access (from, F_OK) != 0 ||
        access (to, F_OK) != 0)
        return false;
    nemesis_remove_tree (stale.aside);
    if (!copy_tree (run, to, stale.aside))
        return false;
    nemesis_remove_tree (to);
    stale.part = part;
    return copy_tree (run, from, to);
}

void nemesis_stale_undo (struct nemesis *run)
{
    char data[NEMESIS_PATH], to[NEMESIS_PATH];
    if (stale.part == NULL || !nemesis_data_of (run, nemesis_unlucky (run), data) ||
        !nemesis_path (to, data, stale.part))
        return;
    nemesis_remove_tree (to);
    bool fine = copy_tree (run, stale.aside, to);
    nemesis_note (run, "mended", FAMILY_STALE, "node %u has its own %s again%s", nemesis_unlucky (run), stale.part,
        fine ? "" : ", or would have");
    stale.part = NULL;
}

uint64_t nemesis_stale_on (struct nemesis *run)
{
    static const char *const parts[] = {
        "log", "state", "files", "log/CURRENT", "state/CURRENT", "files/incarnation", "files/peers"};
    uint32_t number = nemesis_unlucky (run);
    struct nemesis_node *node = &run->nodes[number];
    char data[NEMESIS_PATH], journal[NEMESIS_PATH + 16];
    if (node->owner >= 0 || node->state != NODE_RUNNING || !nemesis_data_of (run, number, data) ||
        !nemesis_path (stale.copy, run->options.dir, "stale"))
        return 0;
    node->owner = FAMILY_STALE;
    nemesis_node_kill (run, number);
    if (!stale.taken) {
        stale.taken = copy_tree (run, data, stale.copy);
        nemesis_note (run, "copy", FAMILY_STALE, "node %u is down, its folder is copied", number);
    } else {
        const char *part = parts[nemesis_draw (run, sizeof parts / sizeof parts[0])];
        node->may_refuse = true;
        if (!put_back (run, data, part))
            nemesis_note (run, "begin", FAMILY_STALE, "node %u is down; it had no %s before", number, part);
        else
            nemesis_note (run, "begin", FAMILY_STALE, "node %u is down, its %s is an earlier one", number, part);
        snprintf (journal, sizeof journal, "%s.power", data); /* it speaks of other files */
        nemesis_remove_tree (journal);
        nemesis_power_forget (number);
        forget ();
    }
    nemesis_node_start (run, number);
    return nemesis_between (run, 1500, 4000);
}

void nemesis_stale_off (struct nemesis *run)
{
    uint32_t number = nemesis_unlucky (run);
    if (run->nodes[number].owner == FAMILY_STALE)
        run->nodes[number].owner = -1;
    nemesis_note (run, "end", FAMILY_STALE, "node %u is left alone", number);
}
