/* A run: cluster, load, phases of faults, healing, final reads, verdict.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define MIX_MAX 3
#define FEW 4 /* so many families are mixed all at once, until each pair of them has been at work in the same phase */
#define TICK_MS 10
#define LOAD_BEGINS_MS 65000 /* it gives up by itself after 60 s */
#define LOAD_GRACE_MS 90000
#define REACH_S "30" /* every client that lived through it all must reach every node within */
#define LOAD_DEAF 3  /* exit status of one that does not */
#define FINAL_MS 180000
#define CHECK_MS 600000
#define CALM_MS 2000      /* load on a healed cluster, before the final reads */
#define OVERTIME_MS 60000 /* for families whose turn has not come: a run that never hurt proves nothing */

/* One family at work in the present phase. */
struct actor {
    int family;
    bool on, last; /* last: begins no other one when this is over */
    uint64_t next_ms;
};

/* State reaches the disk, is read back and read through within the run, not only every 30 s and every hour. */
static bool configure (struct nemesis *run, uint32_t node, uint64_t flush_ms)
{
    char limits[160];
    snprintf (limits, sizeof limits,
        "limits\n    flush_ms = %llu\n    scrub_ms = 2000\n    scrub_mib_per_s = 16\nmetrics\n",
        (unsigned long long) flush_ms);
    return run->options.families == 0 || nemesis_configure (run, node, "metrics\n", limits);
}

bool nemesis_up (struct nemesis *run)
{
    bool small = (run->options.families >> FAMILY_DISKFULL & 1) != 0, fine = nemesis_cluster_create (run);
    uint64_t flush_ms = run->options.families != 0 ? nemesis_log_between (run, 200, 10000) : 0;
    for (uint32_t node = 1; fine && node <= run->options.nodes; node++)
        fine = configure (run, node, flush_ms);
    if (!fine || !nemesis_network_open (run) || (small && !nemesis_disks_open (run)) || !nemesis_network_start (run))
        return false;
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        /* Every change of a leader is in the logs: that is what one looks for in them afterwards. */
        if (!nemesis_configure (run, node, "level = info", "level = debug") || !nemesis_node_start (run, node))
            return false;
    if (!nemesis_nodes_ready (run, NEMESIS_READY_MS))
        return false;
    run->begin_ms = nemesis_now_ms ();
    for (uint32_t node = 1; run->preloaded && node <= run->options.nodes; node++)
        if (atomic_load (&run->nodes[node].chaos->clock_calls) == 0) {
            nemesis_say ("error: preload_chaos.so is not in node %u's way", node);
            return false;
        }
    return run->broken == 0;
}

/* ---- the load and its judge */

struct judge {
    char load[NEMESIS_PATH], check[NEMESIS_PATH], out[NEMESIS_PATH], verdict[NEMESIS_PATH], verdict_words[NEMESIS_PATH];
    char client[NEMESIS_PATH + 48], token[1200], clients[16], seconds[16], seed[32];
    const char *environment[3];
};

static bool judge_open (struct nemesis *run, struct judge *judge)
{
    const struct nemesis_options *options = &run->options;
    if (!nemesis_path (judge->load, options->bin, "test/chaos/chaos_load") ||
        !nemesis_path (judge->check, options->bin, "test/chaos/chaos_check") ||
        !nemesis_path (judge->out, options->dir, "load.log") ||
        !nemesis_path (judge->verdict, options->dir, "verdict.json") ||
        !nemesis_path (judge->verdict_words, options->dir, "verdict.txt") ||
        !nemesis_path (run->history, options->dir, "history.jsonl"))
        return false;
    snprintf (judge->client, sizeof judge->client, "MAITRE_CLUSTER=%s/client/chaos.client", run->cluster);
    snprintf (judge->token, sizeof judge->token, "MAITRE_TOKEN=%s", run->token);
    snprintf (judge->clients, sizeof judge->clients, "%u", options->clients);
    /* Told to stop at the end; the seconds are for the case that nobody tells it. */
    snprintf (judge->seconds, sizeof judge->seconds, "%u", options->seconds + 300);
    snprintf (judge->seed, sizeof judge->seed, "%llu", (unsigned long long) options->seed);
    judge->environment[0] = judge->client;
    judge->environment[1] = judge->token;
    return true;
}

static bool load_start (struct nemesis *run, struct judge *judge)
{
    const char *const argv[] = {judge->load, "--workloads", run->options.workloads, "--clients", judge->clients,
        "--seconds", judge->seconds, "--seed", judge->seed, "--reach", REACH_S, "--history", run->history, NULL};
    struct child_setup setup = {
        .argv = argv, .space = run->client_space, .more = judge->environment, .out = judge->out, .err = judge->out};
    run->load = nemesis_spawn (&setup);
    return run->load != 0;
}

static bool has_calls (const char *path)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen (path, "re");
    while (file != NULL && !found && fgets (line, sizeof line, file) != NULL)
        found = strstr (line, "\"type\":\"invoke\"") != NULL;
    if (file != NULL)
        fclose (file);
    return found;
}

/* Faults begin when there is something to hurt: on a busy machine the load takes seconds to make its users and offers. */
static void load_wait (struct nemesis *run)
{
    uint64_t until_ms = nemesis_now_ms () + LOAD_BEGINS_MS;
    while (!nemesis_interrupted && nemesis_now_ms () < until_ms && !has_calls (run->history))
        nemesis_sleep_ms (TICK_MS);
}

/* False: the load has ended by itself, or could not be ended. */
static bool load_stop (struct nemesis *run, struct judge *judge)
{
    kill (run->load, SIGTERM);
    int code = nemesis_wait (run->load, LOAD_GRACE_MS);
    if (code < 0) {
        kill (run->load, SIGKILL);
        nemesis_wait (run->load, 5000);
    }
    run->load = 0;
    if (code == LOAD_DEAF)
        nemesis_broken (run, "a client that lived through the faults does not reach every node: see %s", judge->out);
    else if (code != 0)
        nemesis_say ("error: the load ended with status %d: see %s", code, judge->out);
    return code == 0 || code == LOAD_DEAF;
}

static bool final_reads (struct nemesis *run, struct judge *judge)
{
    const char *const argv[] = {judge->load, "--final", "--history", run->history, NULL};
    struct child_setup setup = {
        .argv = argv, .space = run->client_space, .more = judge->environment, .out = judge->out, .err = judge->out};
    int code = nemesis_program (&setup, FINAL_MS);
    if (code != 0)
        nemesis_say ("error: the final reads ended with status %d: see %s", code, judge->out);
    return code == 0;
}

static int check (struct nemesis *run, struct judge *judge)
{
    const char *const argv[] = {judge->check, run->history, "--json", NULL};
    struct child_setup setup = {.argv = argv, .space = -1, .out = judge->verdict, .err = judge->verdict_words};
    nemesis_note (run, "check", FAMILY_COUNT, "%s", run->history);
    return nemesis_program (&setup, CHECK_MS);
}

/* ---- phases */

static uint32_t families_of (const struct nemesis *run, int out[FAMILY_COUNT])
{
    uint32_t count = 0;
    for (int family = 0; family < FAMILY_COUNT; family++)
        if ((run->options.families >> family & 1) != 0)
            out[count++] = family;
    return count;
}

/* Whether two of few families have not met yet. */
static bool strangers (const struct nemesis *run)
{
    int families[FAMILY_COUNT];
    uint32_t count = families_of (run, families), all = run->options.families;
    for (uint32_t i = 0; i < count && count <= FEW; i++)
        if (run->together[families[i]] != all)
            return true;
    return false;
}

/* Those of few families that have not been at work at all. */
static uint32_t missing (const struct nemesis *run, int out[FAMILY_COUNT])
{
    int families[FAMILY_COUNT];
    uint32_t count = families_of (run, families), left = 0;
    for (uint32_t i = 0; i < count && count <= FEW; i++)
        if (run->counts[families[i]] == 0)
            out[left++] = families[i];
    return left;
}

/* Draws the families of a phase. None: a quiet one. In overtime: what has not been at work yet, and nothing that keeps
   it from it, as a lost disk waits until no other node is down. */
static uint32_t draw_mix (struct nemesis *run, uint64_t lasts_ms, bool overtime, struct actor mix[FEW])
{
    int families[FAMILY_COUNT];
    uint32_t count = overtime ? missing (run, families) : families_of (run, families);
    uint32_t wanted = nemesis_draw (run, MIX_MAX) + 1;
    if (overtime || strangers (run))
        wanted = FEW;
    else if (run->phases > 0 && nemesis_draw (run, 6) == 0)
        return 0;
    else if (run->phases == 0 && wanted < 2)
        wanted = 2; /* a short run, too, mixes */
    wanted = wanted < count ? wanted : count;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t j = i + nemesis_draw (run, count - i);
        int family = families[j];
        families[j] = families[i];
        /* Each begins in the first quarter, however short the phase. */
        uint64_t latest_ms = nemesis_families[family].idle_max_ms / 2;
        latest_ms = latest_ms < lasts_ms / 4 ? latest_ms : lasts_ms / 4;
        mix[i] = (struct actor){
            .family = family, .next_ms = nemesis_now_ms () + nemesis_between (run, 100, 100 + latest_ms)};
    }
    return wanted;
}

static void act (struct nemesis *run, struct actor *actor)
{
    const struct family *family = &nemesis_families[actor->family];
    uint64_t lasts_ms = 0;
    if (actor->on)
        family->off (run);
    else
        lasts_ms = family->on (run);
    actor->on = lasts_ms > 0;
    run->counts[actor->family] += actor->on ? 1 : 0;
    if (actor->on) {
        run->worked |= 1u << actor->family;
        for (int i = 0; i < FAMILY_COUNT; i++)
            if ((run->worked >> i & 1) != 0)
                run->together[i] |= run->worked;
    }
    if (!actor->on)
        lasts_ms = nemesis_between (run, family->idle_min_ms, family->idle_max_ms);
    actor->next_ms = nemesis_now_ms () + lasts_ms;
}

/* ---- a pause may be longer than a phase: it goes on in the next one, unless that is quiet */

static void linger_end (struct nemesis *run)
{
    if (run->lingers_until_ms > 0)
        nemesis_families[FAMILY_PAUSE].off (run);
    run->lingers_until_ms = 0;
}

/* The phase is over: what still is on goes off, or lingers. While few families wait for one another nothing may: a paused
   node could keep one from its turn. */
static void mix_end (struct nemesis *run, const struct actor *mix, uint32_t count, bool may_linger)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!mix[i].on)
            continue;
        if (may_linger && mix[i].family == FAMILY_PAUSE && mix[i].next_ms > nemesis_now_ms ())
            run->lingers_until_ms = mix[i].next_ms;
        else
            nemesis_families[mix[i].family].off (run);
    }
}

/* A phase begins: what lingers is part of it. Returns how many act. */
static uint32_t mix_begin (struct nemesis *run, struct actor mix[FEW + 1], uint32_t count, bool overtime)
{
    uint32_t at = 0;
    run->worked = 0;
    if (count == 0 || overtime)
        linger_end (run);
    if (run->lingers_until_ms == 0)
        return count;
    while (at < count && mix[at].family != FAMILY_PAUSE)
        at++;
    mix[at] = (struct actor){.family = FAMILY_PAUSE, .on = true, .last = at == count, .next_ms = run->lingers_until_ms};
    run->lingers_until_ms = 0;
    run->worked = 1u << FAMILY_PAUSE;
    return at == count ? count + 1 : count;
}

/* False: the load has died, or somebody wants us to stop. */
static bool phase (struct nemesis *run, uint64_t end_ms, bool overtime)
{
    struct actor mix[FEW + 1];
    uint32_t count = draw_mix (run, end_ms - nemesis_now_ms (), overtime, mix);
    count = mix_begin (run, mix, count, overtime);
    char names[128] = "quiet";
    for (uint32_t i = 0, used = 0; i < count; i++)
        used += (uint32_t) snprintf (
            names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ", nemesis_families[mix[i].family].name);
    run->phases++;
    run->quiet_phases += count == 0 ? 1 : 0;
    nemesis_note (
        run, "phase", FAMILY_COUNT, "%s for %llu ms", names, (unsigned long long) (end_ms - nemesis_now_ms ()));
    bool fine = true;
    int unmet[FAMILY_COUNT];
    while (fine && nemesis_now_ms () < end_ms && !(overtime && missing (run, unmet) == 0)) {
        for (uint32_t i = 0; i < count; i++)
            if (nemesis_now_ms () >= mix[i].next_ms && (mix[i].on || !mix[i].last))
                act (run, &mix[i]);
        nemesis_nodes_watch (run);
        int code = nemesis_wait (run->load, 0);
        if (code >= 0) {
            nemesis_say ("error: the load ended by itself with status %d: see %s/load.log", code, run->options.dir);
            run->load = 0;
        }
        fine = run->load != 0 && !nemesis_interrupted;
        nemesis_sleep_ms (TICK_MS);
    }
    mix_end (run, mix, count, fine && !overtime && !strangers (run));
    return fine;
}

/* The time counts from the first call on: on a busy machine a cluster takes long to come up. Where few families were
   asked for, each has been at work in the end, however long it had to wait for its turn. */
static bool hurt (struct nemesis *run)
{
    uint64_t end_ms = nemesis_now_ms () + (uint64_t) run->options.seconds * 1000;
    bool fine = true;
    while (fine && nemesis_now_ms () + 1000 < end_ms) {
        uint64_t half_ms = (uint64_t) run->options.seconds * 500, longest_ms = NEMESIS_PHASE_MAX_MS;
        longest_ms = half_ms < longest_ms ? half_ms : longest_ms;
        uint64_t lasts_ms =
            nemesis_between (run, longest_ms < NEMESIS_PHASE_MIN_MS ? longest_ms : NEMESIS_PHASE_MIN_MS, longest_ms);
        uint64_t until_ms = nemesis_now_ms () + lasts_ms;
        fine = phase (run, until_ms < end_ms ? until_ms : end_ms, false);
    }
    int unmet[FAMILY_COUNT];
    if (fine && missing (run, unmet) > 0)
        fine = phase (run, nemesis_now_ms () + OVERTIME_MS, true);
    linger_end (run);
    return fine;
}

/* ---- the end */

static void summary (struct nemesis *run, enum nemesis_exit code, const struct judge *judge)
{
    const struct nemesis_options *options = &run->options;
    char verdict[16384];
    if (!nemesis_read_file (judge->verdict, verdict, sizeof verdict))
        snprintf (verdict, sizeof verdict, "null");
    verdict[strcspn (verdict, "\n")] = '\0';
    uint32_t halts = 0, refusals = 0;
    for (uint32_t node = 1; node <= options->nodes; node++) {
        halts += run->nodes[node].halts;
        refusals += run->nodes[node].refusals;
    }
    if (options->json) {
        printf ("{\"exit\":%d,\"seed\":%llu,\"seconds\":%u,\"nodes\":%u,\"network\":\"%s\",\"phases\":%u,\"quiet\":%u,"
                "\"halts\":%u,\"refusals\":%u,\"broken\":%u,\"faults\":{",
            (int) code, (unsigned long long) options->seed, options->seconds, options->nodes,
            options->network == NETWORK_NETNS ? "netns" : "proxy", run->phases, run->quiet_phases, halts, refusals,
            run->broken);
        bool first = true;
        for (int family = 0; family < FAMILY_COUNT; family++)
            if ((options->families >> family & 1) != 0) {
                printf ("%s\"%s\":%u", first ? "" : ",", nemesis_families[family].name, run->counts[family]);
                first = false;
            }
        printf ("},\"together\":[");
        first = true;
        for (int a = 0; a < FAMILY_COUNT; a++)
            for (int b = a + 1; b < FAMILY_COUNT; b++)
                if ((run->together[a] >> b & 1) != 0) {
                    printf ("%s\"%s+%s\"", first ? "" : ",", nemesis_families[a].name, nemesis_families[b].name);
                    first = false;
                }
        printf ("],\"skipped\":{");
        first = true;
        for (int family = 0; family < FAMILY_COUNT; family++)
            if (run->skipped[family][0] != '\0') {
                printf ("%s\"%s\":\"%s\"", first ? "" : ",", nemesis_families[family].name, run->skipped[family]);
                first = false;
            }
        printf ("},\"check\":%s}\n", verdict[0] == '\0' ? "null" : verdict);
        return;
    }
    printf ("seed %llu, %u s, %u nodes, network %s: %u phases, %u of them quiet\n", (unsigned long long) options->seed,
        options->seconds, options->nodes, options->network == NETWORK_NETNS ? "netns" : "proxy", run->phases,
        run->quiet_phases);
    for (int family = 0; family < FAMILY_COUNT; family++)
        if (run->skipped[family][0] != '\0')
            printf ("  %-10s skipped: %s\n", nemesis_families[family].name, run->skipped[family]);
        else if ((options->families >> family & 1) != 0)
            printf ("  %-10s %u times\n", nemesis_families[family].name, run->counts[family]);
    if (halts + refusals > 0)
        printf (
            "  nodes halted %u times and refused to start on damaged files or a full disk %u times, as they should\n",
            halts, refusals);
    printf ("check: %s\n", verdict[0] == '\0' ? "none" : verdict);
}

static void tell_violation (struct nemesis *run, int checked)
{
    if (run->broken > 0)
        nemesis_say ("VIOLATION: %s%s", run->why_broken, run->broken > 1 ? " (and more, see nemesis.jsonl)" : "");
    if (checked == NEMESIS_VIOLATION) {
        char path[NEMESIS_PATH], text[16384];
        nemesis_say ("VIOLATION, seed %llu:", (unsigned long long) run->options.seed);
        if (nemesis_path (path, run->options.dir, "verdict.txt") && nemesis_read_file (path, text, sizeof text))
            nemesis_say ("%s", text);
    }
    nemesis_say ("the history is %s/history.jsonl, what was done and when %s/nemesis.jsonl, the nodes' logs "
                 "%s/cluster/node-*.log",
        run->options.dir, run->options.dir, run->options.dir);
}

enum nemesis_exit nemesis_run (struct nemesis *run)
{
    static struct judge judge;
    if (!nemesis_up (run) || !judge_open (run, &judge) || !load_start (run, &judge))
        return NEMESIS_FAILED;
    load_wait (run);
    bool fine = hurt (run);
    if (nemesis_interrupted || run->load == 0)
        return NEMESIS_FAILED;
    nemesis_heal (run);
    nemesis_note (run, "heal", FAMILY_COUNT, "everything is healed, everybody runs");
    bool ready = nemesis_wipe_finish (run, NEMESIS_READY_MS) && nemesis_nodes_ready (run, NEMESIS_READY_MS);
    if (!ready)
        nemesis_broken (run, "not every node is ready %d s after healing", NEMESIS_READY_MS / 1000);
    else
        nemesis_note (run, "ready", FAMILY_COUNT, "all nodes are ready");
    for (uint64_t end_ms = nemesis_now_ms () + CALM_MS; nemesis_now_ms () < end_ms; nemesis_sleep_ms (TICK_MS))
        nemesis_nodes_watch (run);
    fine = load_stop (run, &judge) && ready && final_reads (run, &judge) && fine;
    nemesis_nodes_watch (run);
    nemesis_nodes_stop (run, true);
    int checked = fine ? check (run, &judge) : -1;
    enum nemesis_exit code = NEMESIS_FINE;
    if (run->broken > 0 || checked == NEMESIS_VIOLATION)
        code = NEMESIS_VIOLATION;
    else if (checked != 0)
        code = NEMESIS_FAILED;
    summary (run, code, &judge);
    if (code == NEMESIS_VIOLATION)
        tell_violation (run, checked);
    else if (code == NEMESIS_FAILED)
        nemesis_say ("error: the check ended with status %d: see %s", checked, judge.verdict_words);
    return code;
}
