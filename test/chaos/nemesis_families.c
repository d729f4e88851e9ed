/* Families that hurt processes and links. Who is hurt is drawn from the seed; only "the leader" is asked for at run time.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "test/chaos/nemesis.h"

/* ---- helpers: the nodes that a family holds */

static void name_nodes (struct nemesis *run, int family, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t node = 1; node <= run->options.nodes && used + 8 < size; node++)
        if (run->nodes[node].owner == family)
            used += (size_t) snprintf (out + used, size - used, "%s%u", used == 0 ? "" : ", ", node);
}

static uint32_t take_nodes (struct nemesis *run, int family, uint32_t wanted)
{
    uint32_t taken = 0;
    while (taken < wanted) {
        uint32_t node = nemesis_pick (run);
        if (node == 0)
            break;
        run->nodes[node].owner = family;
        taken++;
    }
    return taken;
}

/* The leader of a drawn shard, if nobody else has that node; else any. */
static uint32_t take_leader (struct nemesis *run, int family, uint32_t *shard)
{
    *shard = 1 + nemesis_draw (run, run->options.shards);
    uint32_t fallback = nemesis_pick (run), leader = nemesis_leader (run, *shard);
    if (leader == 0 || run->nodes[leader].owner >= 0 || run->nodes[leader].state != NODE_RUNNING) {
        leader = fallback;
        *shard = 0;
    }
    if (leader != 0)
        run->nodes[leader].owner = family;
    return leader;
}

static bool clocks_are_off (const struct nemesis *run)
{
    uint32_t off = 0;
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        off += atomic_load (&run->nodes[node].chaos->offset_ns) != 0 ||
               atomic_load (&run->nodes[node].chaos->drift_ppm) != 0;
    return off > 1;
}

/* ---- kill */

static uint64_t kill_on (struct nemesis *run)
{
    uint32_t dice = nemesis_draw (run, 10), shard = 0, wanted = 1;
    const char *who = "one";
    /* All nodes started while their clocks are wrong would rightly take the wrong time for the true one. */
    if (clocks_are_off (run) && dice >= 8)
        dice = 0;
    if (dice >= 4 && dice < 8) {
        if (take_leader (run, FAMILY_KILL, &shard) == 0)
            return 0;
        who = "a leader";
        wanted = 0;
    } else if (dice == 8) {
        who = "a majority";
        wanted = run->options.nodes / 2 + 1;
    } else if (dice == 9) {
        who = "all";
        wanted = run->options.nodes;
    }
    take_nodes (run, FAMILY_KILL, wanted);
    char names[64];
    name_nodes (run, FAMILY_KILL, names, sizeof names);
    if (names[0] == '\0')
        return 0;
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].owner == FAMILY_KILL)
            kill (run->nodes[node].pid, SIGKILL); /* all at the same moment, then one is waited for after the other */
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].owner == FAMILY_KILL)
            nemesis_node_kill (run, node);
    if (shard != 0)
        nemesis_note (run, "begin", FAMILY_KILL, "kill -9 of node %s, which leads shard %u", names, shard);
    else
        nemesis_note (run, "begin", FAMILY_KILL, "kill -9 of %s: node %s", who, names);
    return nemesis_log_between (run, 50, 4000);
}

static void release (struct nemesis *run, int family)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].owner == family) {
            run->nodes[node].owner = -1;
            nemesis_node_resume (run, node);
            nemesis_node_start (run, node);
        }
}

static void kill_off (struct nemesis *run)
{
    char names[64];
    name_nodes (run, FAMILY_KILL, names, sizeof names);
    release (run, FAMILY_KILL);
    nemesis_note (run, "end", FAMILY_KILL, "started node %s", names);
}

/* ---- pause */

static uint64_t pause_on (struct nemesis *run)
{
    uint32_t shard = 0, node;
    if (nemesis_draw (run, 2) == 0)
        node = take_leader (run, FAMILY_PAUSE, &shard);
    else if ((node = nemesis_pick (run)) != 0)
        run->nodes[node].owner = FAMILY_PAUSE;
    if (node == 0)
        return 0;
    nemesis_node_pause (run, node);
    uint64_t lasts_ms = nemesis_log_between (run, 100, 60000);
    nemesis_note (run, "begin", FAMILY_PAUSE, "node %u stands still for at most %llu ms%s", node,
        (unsigned long long) lasts_ms, shard != 0 ? " (a leader)" : "");
    return lasts_ms;
}

static void pause_off (struct nemesis *run)
{
    char names[64];
    name_nodes (run, FAMILY_PAUSE, names, sizeof names);
    release (run, FAMILY_PAUSE);
    nemesis_note (run, "end", FAMILY_PAUSE, "node %s goes on", names);
}

/* ---- links */

static const char *needs_network (struct nemesis *run)
{
    return run->options.network == NETWORK_NONE ? "the run has no network of its own" : NULL;
}

static const char *needs_three (struct nemesis *run)
{
    return run->options.nodes < 2 ? "it takes at least two nodes" : needs_network (run);
}

static void cut (struct nemesis *run, int family, uint32_t a, uint32_t b)
{
    nemesis_drop (run, family, a, b, true);
    nemesis_drop (run, family, b, a, true);
}

/* An order of the nodes, drawn. */
static void shuffle (struct nemesis *run, uint32_t order[NEMESIS_NODES_MAX])
{
    for (uint32_t i = 0; i < run->options.nodes; i++) {
        uint32_t j = nemesis_draw (run, i + 1);
        order[i] = order[j];
        order[j] = i + 1;
    }
}

static uint64_t partition_on (struct nemesis *run)
{
    uint32_t order[NEMESIS_NODES_MAX] = {0}, nodes = run->options.nodes, dice = nemesis_draw (run, 3);
    shuffle (run, order);
    uint32_t side = dice == 0 ? 1 : nodes / 2; /* [0, side) against the rest; a bridge stands between them */
    uint32_t bridge = dice == 2 && nodes > 2 ? nodes - 1 : nodes;
    char text[128];
    size_t used = 0;
    for (uint32_t i = 0; i < side; i++) {
        used += (size_t) snprintf (text + used, sizeof text - used, "%s%u", i == 0 ? "" : ", ", order[i]);
        for (uint32_t j = side; j < nodes; j++)
            if (j != bridge)
                cut (run, FAMILY_PARTITION, order[i], order[j]);
    }
    bool clients = nemesis_draw (run, 4) == 0;
    for (uint32_t j = side; clients && j < nodes; j++)
        cut (run, FAMILY_PARTITION, 0, order[j]);
    if (bridge < nodes)
        nemesis_note (run, "begin", FAMILY_PARTITION, "node %s against the rest, node %u sees both%s", text,
            order[bridge], clients ? "; the clients see the small side" : "");
    else
        nemesis_note (run, "begin", FAMILY_PARTITION, "node %s against the rest%s", text,
            clients ? "; the clients see the small side" : "");
    return nemesis_log_between (run, 200, 12000);
}

static void undrop (struct nemesis *run, int family)
{
    for (uint32_t i = 0; i <= run->options.nodes; i++)
        for (uint32_t j = 0; j <= run->options.nodes; j++)
            if (run->drops[family][i][j])
                nemesis_drop (run, family, i, j, false);
    nemesis_note (run, "end", family, "the links are whole");
}

static void partition_off (struct nemesis *run)
{
    undrop (run, FAMILY_PARTITION);
}

static uint64_t oneway_on (struct nemesis *run)
{
    uint32_t order[NEMESIS_NODES_MAX] = {0}, dice = nemesis_draw (run, 4);
    shuffle (run, order);
    if (dice < 2) {
        nemesis_drop (run, FAMILY_ONEWAY, order[0], order[1], true);
        nemesis_note (run, "begin", FAMILY_ONEWAY, "nothing from node %u reaches node %u", order[0], order[1]);
        return nemesis_log_between (run, 200, 12000);
    }
    for (uint32_t i = 1; i < run->options.nodes; i++)
        nemesis_drop (run, FAMILY_ONEWAY, order[dice == 2 ? 0 : i], order[dice == 2 ? i : 0], true);
    nemesis_note (run, "begin", FAMILY_ONEWAY,
        dice == 2 ? "nothing from node %u reaches any node" : "nothing from any node reaches node %u", order[0]);
    return nemesis_log_between (run, 200, 12000);
}

static void oneway_off (struct nemesis *run)
{
    undrop (run, FAMILY_ONEWAY);
}

/* Half of the time all links, else those of one node. */
static void links_of (struct nemesis *run, const char *fields, char *what, size_t size)
{
    uint32_t node = nemesis_draw (run, 2) == 0 ? 0 : 1 + nemesis_draw (run, run->options.nodes);
    char command[160];
    if (node == 0) {
        snprintf (what, size, "all links: %s", fields);
        snprintf (command, sizeof command, "link * * %s", fields);
        nemesis_link (run, command);
        return;
    }
    snprintf (what, size, "node %u's links: %s", node, fields);
    snprintf (command, sizeof command, "link %u * %s", node, fields);
    nemesis_link (run, command);
    snprintf (command, sizeof command, "link * %u %s", node, fields);
    nemesis_link (run, command);
}

static uint64_t loss_on (struct nemesis *run)
{
    char fields[64], what[128];
    snprintf (fields, sizeof fields, "loss %u double %u", (unsigned) nemesis_log_between (run, 10, 300),
        nemesis_draw (run, 2) * nemesis_draw (run, 100));
    links_of (run, fields, what, sizeof what);
    nemesis_note (run, "begin", FAMILY_LOSS, "%s (of 1000)", what);
    return nemesis_log_between (run, 500, 8000);
}

static void loss_off (struct nemesis *run)
{
    nemesis_link (run, "link * * loss 0 double 0");
    nemesis_note (run, "end", FAMILY_LOSS, "nothing is lost");
}

static uint64_t delay_on (struct nemesis *run)
{
    char fields[96], what[160];
    unsigned delay_us = (unsigned) nemesis_log_between (run, 500, 200000);
    unsigned rate = nemesis_draw (run, 4) == 0 ? (unsigned) nemesis_between (run, 200000, 5000000) : 0;
    snprintf (fields, sizeof fields, "delay %u jitter %u rate %u", delay_us, nemesis_draw (run, delay_us + 1), rate);
    links_of (run, fields, what, sizeof what);
    nemesis_note (run, "begin", FAMILY_DELAY, "%s (us, bytes/s)", what);
    return nemesis_log_between (run, 500, 8000);
}

static void delay_off (struct nemesis *run)
{
    nemesis_link (run, "link * * delay 0 jitter 0 rate 0");
    nemesis_note (run, "end", FAMILY_DELAY, "no delay");
}

static uint64_t reset_on (struct nemesis *run)
{
    char what[128];
    links_of (run, "reset 1", what, sizeof what);
    nemesis_note (run, "begin", FAMILY_RESET, "%s", what);
    return nemesis_log_between (run, 10, 400);
}

static void reset_off (struct nemesis *run)
{
    nemesis_link (run, "link * * reset 0");
    nemesis_note (run, "end", FAMILY_RESET, "no more resets");
}

/* ---- all of them; clocks and disks are in nemesis_disk.c */

static const char *able (struct nemesis *run)
{
    (void) run;
    return NULL;
}

const struct family nemesis_families[FAMILY_COUNT] = {
    [FAMILY_KILL] = {"kill", able, kill_on, kill_off, 300, 4000},
    [FAMILY_PAUSE] = {"pause", able, pause_on, pause_off, 300, 4000},
    [FAMILY_PARTITION] = {"partition", needs_three, partition_on, partition_off, 300, 5000},
    [FAMILY_ONEWAY] = {"oneway", needs_three, oneway_on, oneway_off, 300, 5000},
    [FAMILY_LOSS] = {"loss", needs_network, loss_on, loss_off, 100, 2000},
    [FAMILY_DELAY] = {"delay", needs_network, delay_on, delay_off, 100, 2000},
    [FAMILY_RESET] = {"reset", needs_network, reset_on, reset_off, 300, 3000},
    [FAMILY_CLOCK] = {"clock", nemesis_preload_unable, nemesis_clock_on, nemesis_clock_off, 500, 4000},
    [FAMILY_DISKFULL] = {"diskfull", nemesis_diskfull_unable, nemesis_diskfull_on, nemesis_diskfull_off, 1000, 5000},
    [FAMILY_FSYNC] = {"fsync", nemesis_preload_unable, nemesis_fsync_on, nemesis_fsync_off, 1000, 5000},
    [FAMILY_SLOWDISK] = {"slowdisk", nemesis_preload_unable, nemesis_slowdisk_on, nemesis_slowdisk_off, 500, 4000},
    [FAMILY_BITFLIP] = {"bitflip", nemesis_bitflip_unable, nemesis_bitflip_on, nemesis_bitflip_off, 1000, 5000},
    [FAMILY_POWER] = {"power", nemesis_power_unable, nemesis_power_on, nemesis_power_off, 1000, 6000},
    [FAMILY_WIPE] = {"wipe", nemesis_wipe_unable, nemesis_wipe_on, nemesis_wipe_off, 300, 2000},
    [FAMILY_STALE] = {"stale", nemesis_stale_unable, nemesis_stale_on, nemesis_stale_off, 500, 3000},
};
