/* Lost disks: a node's data folder is emptied, the cluster is told to replace the node, and it comes back as new replicas.
 *
 * What keeps it survivable: one node at a time, and the next only when the cluster says that the last one is replaced; it begins
 * while all others are ready and none of their replicas is suspect or taken out; until it is over no other disk loses anything
 * (fsync, bitflip and power wait). Everything else may happen meanwhile: kills, pauses, partitions, full and slow disks, clocks.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define AGAIN_MS 300
#define WATCH_S "900"

enum wipe_stage {
    WIPE_NONE,
    WIPE_TELLING, /* the node is down and empty, the cluster is asked to replace it */
    WIPE_FILLING, /* it runs, and has not all its replicas yet */
};

static struct {
    enum wipe_stage stage;
    uint32_t node;
    pid_t watch;       /* maitre node replace; 0: none */
    uint64_t again_ms; /* when to ask again */
    uint64_t kill_ms;  /* when to kill the node once while it is filled; 0: not */
    uint64_t since_ms;
    char words[NEMESIS_PATH]; /* what maitre says */
} wipe;

const char *nemesis_wipe_unable (struct nemesis *run)
{
    return run->options.nodes < 3 || run->options.replication < 3 ? "it takes three replicas: two must be left" : NULL;
}

uint32_t nemesis_wipe_node (void)
{
    return wipe.stage == WIPE_NONE ? 0 : wipe.node;
}

bool nemesis_wipe_holds (uint32_t node)
{
    return wipe.stage == WIPE_TELLING && wipe.node == node;
}

/* Everybody but that node has all that it ever had. */
static bool others_are_well (struct nemesis *run, uint32_t but)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (node != but && (run->nodes[node].state != NODE_RUNNING || run->nodes[node].owner >= 0 ||
                               run->nodes[node].may_refuse || atomic_load (&run->nodes[node].chaos->sync_fail) != 0 ||
                               !nemesis_node_ready (run, node) || nemesis_metric (run, node, "suspect_replicas") != 0 ||
                               nemesis_metric (run, node, "quarantined_replicas") != 0))
            return false;
    return true;
}

static void empty (struct nemesis *run, uint32_t node)
{
    char data[NEMESIS_PATH], name[NEMESIS_PATH + 16];
    if (!nemesis_data_of (run, node, data))
        return;
    nemesis_remove_tree (data);
    snprintf (name, sizeof name, "%s.power", data); /* what preload_power noted about the files that are gone */
    nemesis_remove_tree (name);
    nemesis_bitflip_forget (run, node);
}

uint64_t nemesis_wipe_on (struct nemesis *run)
{
    /* With other damage in the run, always its node: another one's disk may hold something that nobody has found yet. */
    uint32_t node = (run->options.families & (1u << FAMILY_BITFLIP | 1u << FAMILY_STALE)) != 0
                        ? nemesis_unlucky (run)
                        : 1 + nemesis_draw (run, run->options.nodes);
    if (wipe.stage != WIPE_NONE || run->nodes[node].owner >= 0 || run->nodes[node].state != NODE_RUNNING ||
        !others_are_well (run, node))
        return 0;
    wipe.node = node;
    wipe.since_ms = nemesis_now_ms ();
    wipe.again_ms = 0;
    wipe.kill_ms = 0;
    run->nodes[node].owner = FAMILY_WIPE;
    nemesis_node_kill (run, node);
    empty (run, node);
    wipe.stage = WIPE_TELLING;
    nemesis_note (run, "begin", FAMILY_WIPE, "the disk of node %u is lost", node);
    return nemesis_between (run, 3000, 10000);
}

void nemesis_wipe_off (struct nemesis *run)
{
    (void) run; /* it is over when the cluster says so */
}

static void ask (struct nemesis *run)
{
    char program[NEMESIS_PATH], client[NEMESIS_PATH + 48], token[1200], number[16];
    if (!nemesis_path (program, run->options.bin, "maitre") ||
        !nemesis_path (wipe.words, run->options.dir, "replace.log"))
        return;
    snprintf (client, sizeof client, "MAITRE_CLUSTER=%s/client/chaos.client", run->cluster);
    snprintf (token, sizeof token, "MAITRE_TOKEN=%s", run->token);
    snprintf (number, sizeof number, "%u", wipe.node);
    const char *const argv[] = {program, "node", "replace", number, "--wait", WATCH_S, NULL};
    const char *const more[] = {client, token, NULL};
    struct child_setup setup = {
        .argv = argv, .space = run->client_space, .more = more, .out = wipe.words, .err = wipe.words};
    unlink (wipe.words);
    wipe.watch = nemesis_spawn (&setup);
}

/* Its replacement has been written down: the node may come. */
static bool accepted (void)
{
    char words[4096];
    return wipe.watch != 0 && nemesis_read_file (wipe.words, words, sizeof words) && strncmp (words, "node ", 5) == 0;
}

/* The watching maitre has ended: over, refused, or cut off from the cluster for long. */
static void watch_ended (struct nemesis *run, int code)
{
    wipe.watch = 0;
    wipe.again_ms = nemesis_now_ms () + AGAIN_MS;
    if (code == 0 && wipe.stage == WIPE_FILLING) {
        nemesis_note (run, "end", FAMILY_WIPE, "node %u is replaced, after %llu ms", wipe.node,
            (unsigned long long) (nemesis_now_ms () - wipe.since_ms));
        wipe.stage = WIPE_NONE;
        run->nodes[wipe.node].owner = -1;
    } else if (wipe.stage == WIPE_FILLING) {
        char words[512];
        if (!nemesis_read_file (wipe.words, words, sizeof words))
            words[0] = '\0';
        nemesis_broken (run, "maitre node replace %u ended with %d while it was filled: %s", wipe.node, code, words);
    }
}

void nemesis_wipe_step (struct nemesis *run)
{
    uint64_t now_ms = nemesis_now_ms ();
    int code = wipe.watch == 0 ? -1 : nemesis_wait (wipe.watch, 0);
    bool begins = wipe.stage == WIPE_TELLING && accepted ();
    if (begins) {
        wipe.stage = WIPE_FILLING;
        wipe.kill_ms = nemesis_draw (run, 2) == 0 ? now_ms + nemesis_log_between (run, 50, 3000) : 0;
        nemesis_note (run, "start", FAMILY_WIPE, "node %u comes back empty", wipe.node);
        nemesis_node_start (run, wipe.node);
    }
    if (code >= 0)
        watch_ended (run, code);
    if (wipe.stage == WIPE_TELLING && wipe.watch == 0 && now_ms >= wipe.again_ms)
        ask (run);
    if (wipe.stage == WIPE_FILLING && wipe.kill_ms != 0 && now_ms >= wipe.kill_ms) {
        wipe.kill_ms = 0;
        nemesis_note (run, "again", FAMILY_WIPE, "kill -9 of node %u while it is filled", wipe.node);
        nemesis_node_kill (run, wipe.node);
        nemesis_node_start (run, wipe.node);
    }
}

bool nemesis_wipe_finish (struct nemesis *run, uint64_t timeout_ms)
{
    uint64_t end_ms = nemesis_now_ms () + timeout_ms;
    while (wipe.stage != WIPE_NONE && nemesis_now_ms () < end_ms && run->broken == 0 && !nemesis_interrupted) {
        nemesis_nodes_watch (run);
        nemesis_sleep_ms (20);
    }
    if (wipe.stage == WIPE_NONE)
        return true;
    char words[512];
    if (!nemesis_read_file (wipe.words, words, sizeof words))
        words[0] = '\0';
    nemesis_broken (run, "node %u is not replaced %llu s after healing: %s", wipe.node,
        (unsigned long long) (timeout_ms / 1000), words);
    return false;
}
