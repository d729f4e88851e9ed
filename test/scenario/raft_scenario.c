/* raft_scenario [--rewrite] FILE...: runs scenario files and compares what they print.
 *
 * A file is commands at the beginning of a line, their expected output below them indented by four spaces, and comments
 * after #. Commands:
 *   option NAME VALUE       before `voters`: a bound of raft_options (append_bytes_max)
 *   voters N [learners M]   a group of replicas 1..N, learners N+1..N+M; replica i lives on node i with rank i - 1
 *   tick R|all MS           time passes; the replica's timers run
 *   campaign R              propose R TEXT      read R ID        transfer R TARGET (0: the best)
 *   configure R 1 2 4 5?    wanted voters, learners with a question mark
 *   deliver [R] [S]         queued messages (from R (to S)) arrive; "0" is anybody
 *   drop [R] [S]            queued messages are lost
 *   sync R|all              batches are durable
 *   settle                  deliver and sync until nothing moves
 *   cut A B | mend          A and B cannot reach each other | all can
 *   link R NODE up|down     R is told about its connection
 *   crash R | start R [suspect]
 *   compact R INDEX         snapshot R S   R's state is installed at S
 *   show R|all
 *   quiet COMMAND...        runs it without printing
 */
#include "test/scenario/raft_scenario.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define WORDS_MAX 16
#define SETTLE_ROUNDS_MAX 200

struct words {
    char text[256];
    char *items[WORDS_MAX];
    size_t count;
};

static void split (const char *line, struct words *words)
{
    words->count = 0;
    snprintf (words->text, sizeof words->text, "%s", line);
    char *comment = strchr (words->text, '#');
    if (comment)
        *comment = 0;
    for (char *word = strtok (words->text, " \t\n"); word && words->count < WORDS_MAX; word = strtok (NULL, " \t\n"))
        words->items[words->count++] = word;
}

static uint64_t number (const struct words *words, size_t at)
{
    return at < words->count ? strtoull (words->items[at], NULL, 10) : 0;
}

static struct scenario_replica *replica_of (struct scenario_world *world, const struct words *words, size_t at)
{
    uint64_t id = number (words, at);
    maitre_assert (id >= 1);
    maitre_assert (id <= SCENARIO_REPLICAS_MAX);
    world->replicas[id].id = id;
    return &world->replicas[id];
}

static struct raft_member member_of (uint64_t replica, uint8_t roles)
{
    return (struct raft_member){
        .replica = replica, .node = (uint32_t) replica, .rank = (uint8_t) (replica - 1), .roles = roles};
}

static void found (struct scenario_world *world, const struct words *words)
{
    struct raft_configuration members = {0};
    uint64_t voters = number (words, 1), all = voters + number (words, 3);
    for (uint64_t id = 1; id <= all; id++) {
        bool fits = raft_configuration_set (&members, member_of (id, id <= voters ? RAFT_VOTER : RAFT_LEARNER));
        maitre_assert (fits);
    }
    scenario_found (world, &members);
}

static void configure (struct scenario_world *world, const struct words *words)
{
    struct raft_configuration wanted = {0};
    for (size_t i = 2; i < words->count; i++) {
        bool learner = strchr (words->items[i], '?') != NULL;
        bool fits =
            raft_configuration_set (&wanted, member_of (number (words, i), learner ? RAFT_LEARNER : RAFT_VOTER));
        maitre_assert (fits);
    }
    struct raft_event event = {.type = RAFT_CONFIGURE, .configuration = &wanted};
    scenario_step (world, replica_of (world, words, 1), event);
}

static void settle (struct scenario_world *world)
{
    unsigned moved = 1;
    for (unsigned round = 0; moved && round < SETTLE_ROUNDS_MAX; round++) {
        moved = scenario_deliver (world, 0, 0);
        for (unsigned id = 1; id <= SCENARIO_REPLICAS_MAX; id++)
            moved += scenario_sync (world, &world->replicas[id]);
    }
}

typedef void for_one (struct scenario_world *world, struct scenario_replica *replica);

static void tick_one (struct scenario_world *world, struct scenario_replica *replica)
{
    scenario_step (world, replica, (struct raft_event){.type = RAFT_TICK});
}

static void sync_one (struct scenario_world *world, struct scenario_replica *replica)
{
    (void) scenario_sync (world, replica);
}

static void show_one (struct scenario_world *world, struct scenario_replica *replica)
{
    scenario_show (world, replica);
}

static void one_or_all (struct scenario_world *world, const struct words *words, bool down_too, for_one *action)
{
    if (words->count > 1 && strcmp (words->items[1], "all") != 0) {
        action (world, replica_of (world, words, 1));
        return;
    }
    for (unsigned id = 1; id <= SCENARIO_REPLICAS_MAX; id++)
        if (world->replicas[id].id && (world->replicas[id].raft || down_too))
            action (world, &world->replicas[id]);
}

static void event (struct scenario_world *world, const struct words *words, struct raft_event what)
{
    scenario_step (world, replica_of (world, words, 1), what);
}

static bool run_fault (struct scenario_world *world, const struct words *words)
{
    const char *verb = words->items[0];
    if (strcmp (verb, "cut") == 0) {
        uint64_t a = number (words, 1), b = number (words, 2);
        world->cut[a][b] = world->cut[b][a] = true;
    } else if (strcmp (verb, "mend") == 0) {
        memset (world->cut, 0, sizeof world->cut);
    } else if (strcmp (verb, "drop") == 0) {
        scenario_drop (world, number (words, 1), number (words, 2));
    } else if (strcmp (verb, "link") == 0) {
        bool up = words->count > 3 && strcmp (words->items[3], "up") == 0;
        event (world, words, (struct raft_event){.type = RAFT_LINK, .node = (uint32_t) number (words, 2), .up = up});
    } else if (strcmp (verb, "crash") == 0) {
        scenario_crash (world, replica_of (world, words, 1));
    } else if (strcmp (verb, "forget") == 0) {
        scenario_forget (replica_of (world, words, 1), number (words, 2));
    } else if (strcmp (verb, "start") == 0) {
        scenario_start (world, replica_of (world, words, 1), words->count > 2);
    } else {
        return false;
    }
    return true;
}

static bool run (struct scenario_world *world, const struct words *words)
{
    const char *verb = words->items[0];
    if (run_fault (world, words))
        return true;
    if (strcmp (verb, "voters") == 0) {
        found (world, words);
    } else if (strcmp (verb, "option") == 0 && words->count > 2 && strcmp (words->items[1], "append_bytes_max") == 0) {
        world->options.append_bytes_max = (uint32_t) number (words, 2);
    } else if (strcmp (verb, "tick") == 0) {
        world->now_ms += number (words, 2);
        one_or_all (world, words, false, tick_one);
    } else if (strcmp (verb, "campaign") == 0) {
        event (world, words, (struct raft_event){.type = RAFT_CAMPAIGN});
    } else if (strcmp (verb, "propose") == 0 && words->count > 2) {
        struct bytes payload = bytes_text (words->items[2]);
        event (world, words, (struct raft_event){.type = RAFT_PROPOSE, .payloads = &payload, .payloads_count = 1});
    } else if (strcmp (verb, "read") == 0) {
        event (world, words, (struct raft_event){.type = RAFT_READ, .read_id = number (words, 2)});
    } else if (strcmp (verb, "transfer") == 0) {
        event (world, words, (struct raft_event){.type = RAFT_TRANSFER, .replica = number (words, 2)});
    } else if (strcmp (verb, "configure") == 0) {
        configure (world, words);
    } else if (strcmp (verb, "deliver") == 0) {
        (void) scenario_deliver (world, number (words, 1), number (words, 2));
    } else if (strcmp (verb, "sync") == 0) {
        one_or_all (world, words, false, sync_one);
    } else if (strcmp (verb, "settle") == 0) {
        settle (world);
    } else if (strcmp (verb, "compact") == 0) {
        raft_compact (replica_of (world, words, 1)->raft, number (words, 2));
    } else if (strcmp (verb, "snapshot") == 0) {
        scenario_restore (world, replica_of (world, words, 1), replica_of (world, words, 2));
    } else if (strcmp (verb, "show") == 0) {
        one_or_all (world, words, true, show_one);
    } else {
        return false;
    }
    return true;
}

/* ---- files ---- */

static char *read_all (const char *path)
{
    FILE *file = fopen (path, "r");
    if (!file)
        return NULL;
    char *text = malloc (1 << 20);
    maitre_assert (text != NULL);
    size_t len = fread (text, 1, (1 << 20) - 1, file);
    text[len] = 0;
    fclose (file);
    return text;
}

/* The file as it should be, in memory that the caller frees; NULL when a command is not known. */
static char *run_file (const char *path, const char *text)
{
    static struct scenario_world world;
    memset (&world, 0, sizeof world);
    size_t size = strlen (text) + (1 << 20), len = 0;
    char *made = malloc (size);
    maitre_assert (made != NULL);
    bool known = true;
    for (const char *line = text; *line && known;) {
        const char *end = strchr (line, '\n');
        size_t line_len = end ? (size_t) (end - line) + 1 : strlen (line);
        char copy[256];
        snprintf (copy, sizeof copy, "%.*s", (int) line_len, line);
        line += line_len;
        if (strncmp (copy, "    ", 4) == 0)
            continue; /* the old output */
        len += (size_t) snprintf (made + len, size - len, "%s", copy);
        struct words words;
        split (copy, &words);
        if (words.count == 0)
            continue;
        bool quiet = strcmp (words.items[0], "quiet") == 0 && words.count > 1;
        if (quiet) {
            words.count--;
            memmove (words.items, words.items + 1, words.count * sizeof words.items[0]);
        }
        world.out_len = 0;
        known = run (&world, &words);
        if (!known)
            fprintf (stderr, "%s: unknown command: %s", path, copy);
        for (char *out = world.out_len && !quiet ? world.out : NULL; out && *out;) {
            char *stop = strchr (out, '\n');
            len += (size_t) snprintf (made + len, size - len, "    %.*s", (int) (stop + 1 - out), out);
            out = stop + 1;
        }
        maitre_assert (len < size - 4096);
    }
    scenario_close (&world);
    if (known)
        return made;
    free (made);
    return NULL;
}

static void show_difference (const char *path, const char *is, const char *made)
{
    unsigned line = 1;
    while (*is && *is == *made) {
        line += *is == '\n';
        is++;
        made++;
    }
    while (line > 1 && is[-1] != '\n') {
        is--;
        made--;
    }
    fprintf (stderr, "%s:%u: expected\n%.*s\nbut it is\n%.*s\n", path, line, (int) strcspn (is, "\n"), is,
        (int) strcspn (made, "\n"), made);
}

int main (int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp (argv[1], "--rewrite") == 0;
    int failures = 0;
    for (int i = rewrite ? 2 : 1; i < argc; i++) {
        char *is = read_all (argv[i]);
        char *made = is ? run_file (argv[i], is) : NULL;
        if (!made) {
            fprintf (stderr, "%s: cannot be run\n", argv[i]);
            failures++;
        } else if (strcmp (is, made) != 0) {
            FILE *file = rewrite ? fopen (argv[i], "w") : NULL;
            if (file) {
                fputs (made, file);
                fclose (file);
            } else {
                show_difference (argv[i], is, made);
                failures++;
            }
        }
        free (is);
        free (made);
    }
    return failures == 0 ? 0 : 1;
}
