#include "node/engine/daemon/verify.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/engine/daemon/json_out.h"
#include "node/engine/engine.h"
#include "node/store/store_verify.h"

#define VERIFY_EXIT_DAMAGED 1

struct report {
    const char *dir;
    bool json, progress;
    unsigned findings;
};

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred verify DIR [--json] [--no-progress]     (the same: maitre node verify DIR)\n"
        "\n"
        "Checks the data folder DIR of a stopped node and changes nothing: identity, format and small files, every\n"
        "record, turn and entry of the log with its checksum and chain, every row of the state. Says what is wrong, "
        "who\n"
        "mends it (the node at its next start, from its log or from the others), or what you have to do.\n"
        "\n"
        "exit codes: 0 sound, 1 damaged, 2 usage or no data folder, 4 a node runs on it or a newer version made it,\n"
        "            7 it could not be read\n"
        "example: maitred verify ./cluster/data-2\n");
}

static void note_finding (void *argument, const struct store_verify_finding *finding)
{
    static const char *const kinds[] = {"note", "mended", "operator"};
    static const char *const words[] = {"note", "damaged, mended by a start", "DAMAGED"};
    struct report *report = argument;
    report->findings++;
    if (!report->json) {
        printf ("%s: %s\n  %s\n  what to do: %s\n", words[finding->kind], finding->where, finding->what, finding->todo);
        return;
    }
    printf ("%s{\"kind\": \"%s\", \"where\": ", report->findings > 1 ? ", " : "", kinds[finding->kind]);
    json_out_string (finding->where);
    printf (", \"what\": ");
    json_out_string (finding->what);
    printf (", \"todo\": ");
    json_out_string (finding->todo);
    putchar ('}');
}

static void note_progress (void *argument, const char *what, uint64_t done, uint64_t total)
{
    (void) argument;
    if (total > 0)
        fprintf (stderr, "\r%s: %" PRIu64 " of %" PRIu64 "        ", what, done, total);
    else
        fprintf (stderr, "\r%s: %" PRIu64 "        ", what, done);
}

static void print_end (
    const struct report *report, enum status status, const struct store_verify_totals *totals, const char *error)
{
    if (report->json) {
        printf ("], \"sound\": %s, \"node\": %" PRIu32 ", \"turns\": %" PRIu64 ", \"log_bytes\": %" PRIu64
                ", \"entries\": %" PRIu64 ", \"replicas\": %" PRIu64 ", \"rows\": %" PRIu64 ", \"row_bytes\": %" PRIu64,
            status == STATUS_OK ? "true" : "false", totals->identity.node_index, totals->turns, totals->log_bytes,
            totals->entries, totals->replicas, totals->rows, totals->row_bytes);
        if (error[0] != '\0') {
            printf (", \"error\": ");
            json_out_string (error);
        }
        printf ("}\n");
        return;
    }
    printf ("%s: node %" PRIu32 ", %" PRIu64 " replicas, %" PRIu64 " turns (%" PRIu64 " bytes) with %" PRIu64
            " entries, %" PRIu64 " rows (%" PRIu64 " bytes)\n",
        report->dir, totals->identity.node_index, totals->replicas, totals->turns, totals->log_bytes, totals->entries,
        totals->rows, totals->row_bytes);
    if (status == STATUS_OK)
        printf ("sound%s\n", totals->notes > 0 ? ", with the notes above" : "");
    else if (status == STATUS_DATA_LOSS && totals->operators == 0)
        printf ("damaged: the node's next start mends it\n");
    else if (status == STATUS_DATA_LOSS)
        printf ("damaged: the node does not start with it; keep the folder as it is until all is well\n");
}

static int exit_code (enum status status)
{
    switch (status) {
    case STATUS_OK:
        return ENGINE_EXIT_OK;
    case STATUS_DATA_LOSS:
        return VERIFY_EXIT_DAMAGED;
    case STATUS_NOT_FOUND:
        return ENGINE_EXIT_CONFIG;
    case STATUS_FAILED_PRECONDITION:
        return ENGINE_EXIT_FOLDER;
    default:
        return ENGINE_EXIT_RESOURCES;
    }
}

int verify_folder (int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"no-progress", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct report report = {.progress = isatty (STDERR_FILENO) == 1};
    int choice;
    while ((choice = getopt_long (argc, argv, "h", options, NULL)) != -1) {
        if (choice == 'h')
            usage (stdout);
        else if (choice == 'j')
            report.json = true;
        else if (choice == 'p')
            report.progress = false;
        else
            usage (stderr);
        if (choice == 'h' || choice == '?')
            return choice == 'h' ? ENGINE_EXIT_OK : ENGINE_EXIT_CONFIG;
    }
    if (optind + 1 != argc) {
        usage (stderr);
        return ENGINE_EXIT_CONFIG;
    }
    report.dir = argv[optind];
    struct store_verify_visitor visitor = {
        .argument = &report, .finding = note_finding, .progress = report.progress ? note_progress : NULL};
    struct store_verify_totals totals;
    struct store_error error = {.text = ""};
    if (report.json) {
        printf ("{\"folder\": ");
        json_out_string (report.dir);
        printf (", \"findings\": [");
    }
    enum status status = store_verify (report.dir, &visitor, &totals, &error);
    if (report.progress)
        fprintf (stderr, "\r%40s\r", "");
    bool told = status == STATUS_OK || status == STATUS_DATA_LOSS;
    if (report.json || told)
        print_end (&report, status, &totals, told ? "" : error.text);
    if (!told && !report.json)
        fprintf (stderr, "maitred verify: %s\n", error.text);
    return exit_code (status);
}
