/* chaos_check: judges a history of chaos_load.
 */
#include <stdlib.h>
#include <string.h>

#include "test/chaos/check.h"

enum { FINE = 0, UNDECIDED = 1, MALFORMED = 2, VIOLATION = 9 };

#define LIMIT_MAX_S 86400

static const char usage[] =
    "usage: chaos_check FILE [--json] [--limit-s SECONDS] [--part]\n"
    "\n"
    "Reads a history (one JSON object a line; its format is in test/README.md; - is standard input) and judges whether "
    "there is an\n"
    "order of its operations that explains every answer: linearizable per slot, offer, customer and request id, pairs "
    "all or\n"
    "nothing, one outcome a request id, stock and limits kept, nothing acknowledged lost. On a violation it prints "
    "the\n"
    "shortest history that shows it.\n"
    "\n"
    "  --json            one JSON object instead of words\n"
    "  --limit-s SECONDS (1 to 86400) gives up after that time; what was not judged by then is undecided\n"
    "  --part            a part of a history is meant: it may end before the final reads\n"
    "\n"
    "Exit status: 0 nothing wrong; 9 a violation; 1 undecided, or incomplete: the final reads are missing, so that "
    "what "
    "was lost\n"
    "at the end would not show; 2 usage, or no history (says why, and in which line).\n"
    "\n"
    "example: chaos_check history.jsonl\n";

static void print_quoted (const char *text)
{
    putchar ('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar ('\\');
        if ((unsigned char) *text >= 0x20)
            putchar (*text);
    }
    putchar ('"');
}

static void print_json (const struct history *history, const struct check_report *report)
{
    static const char *const verdicts[] = {"fine", "violation", "undecided"};
    printf ("{\"verdict\":\"%s\",\"operations\":%zu,\"ok\":%llu,\"refused\":%llu,\"failed\":%llu,\"unknown\":%llu,"
            "\"resolved\":%llu,\"parts\":%llu,\"largest_part\":%llu,\"undecided_parts\":%zu,\"states\":%llu,"
            "\"entities\":%llu,\"entities_read\":%llu,\"final\":%s,\"torn\":%s,\"seed\":%llu,\"seconds\":%.3f,"
            "\"violations\":%zu,\"shown\":[",
        report->incomplete ? "incomplete" : verdicts[report->verdict], history->ops_count,
        (unsigned long long) report->by_end[HISTORY_OK], (unsigned long long) report->by_end[HISTORY_REFUSED],
        (unsigned long long) report->by_end[HISTORY_FAILED], (unsigned long long) report->by_end[HISTORY_UNKNOWN],
        (unsigned long long) report->resolved, (unsigned long long) report->parts,
        (unsigned long long) report->largest_part, report->undecided, (unsigned long long) report->states,
        (unsigned long long) report->entities, (unsigned long long) report->entities_read,
        history->final ? "true" : "false", history->torn ? "true" : "false", (unsigned long long) history->seed,
        report->seconds, report->violations_total);
    for (size_t i = 0; i < report->violations_count; i++) {
        const struct check_violation *violation = &report->violations[i];
        char text[2048];
        printf ("%s{\"headline\":", i > 0 ? "," : "");
        print_quoted (violation->headline);
        printf (",\"minimal\":%s,\"history\":[", violation->minimal ? "true" : "false");
        for (size_t k = 0; k < violation->count; k++) {
            check_tell (history, violation->ops[k], text, sizeof text);
            printf ("%s", k > 0 ? "," : "");
            print_quoted (text);
        }
        printf ("]}");
    }
    printf ("]}\n");
}

static void print_words (const struct history *history, const struct check_report *report)
{
    for (size_t i = 0; i < report->violations_count; i++) {
        const struct check_violation *violation = &report->violations[i];
        char text[2048];
        printf ("VIOLATION: %s\n", violation->headline);
        for (size_t k = 0; k < violation->count; k++) {
            check_tell (history, violation->ops[k], text, sizeof text);
            printf ("  %s\n", text);
        }
        if (violation->part_size > 0)
            printf ("  (these %zu of %zu operations on the same things%s)\n", violation->count, violation->part_size,
                violation->minimal ? "; no fewer show it" : "; perhaps fewer show it");
    }
    if (report->violations_total > report->violations_count)
        printf ("and %zu more\n", report->violations_total - report->violations_count);
    printf ("%zu operations: %llu ok, %llu refused, %llu failed, %llu unknown (%llu of them resolved); %llu parts, the "
            "largest of %llu; %llu states in %.2f s\n",
        history->ops_count, (unsigned long long) report->by_end[HISTORY_OK],
        (unsigned long long) report->by_end[HISTORY_REFUSED], (unsigned long long) report->by_end[HISTORY_FAILED],
        (unsigned long long) report->by_end[HISTORY_UNKNOWN], (unsigned long long) report->resolved,
        (unsigned long long) report->parts, (unsigned long long) report->largest_part,
        (unsigned long long) report->states, report->seconds);
    if (!history->final)
        printf ("there are no final reads: what was lost at the very end is not judged\n");
    else
        printf ("%llu of %llu reservations and orders were read at the end\n",
            (unsigned long long) report->entities_read, (unsigned long long) report->entities);
    if (report->undecided > 0)
        printf ("UNDECIDED: %zu parts took too long to judge\n", report->undecided);
    else if (report->verdict == SEARCH_FINE)
        printf ("nothing wrong%s\n", !history->final ? " so far" : "");
}

/* Why the file is no history, and what to do. */
static int no_history (const char *path, const struct history *history, const char *why)
{
    char line[40] = "";
    if (history->error_line > 0)
        snprintf (line, sizeof line, "line %llu: ", (unsigned long long) history->error_line);
    fprintf (stderr,
        "chaos_check: %s: %sno history: %s; give the history.jsonl of a run's folder, which chaos run keeps with "
        "--dir\n",
        path, line, why);
    return MALFORMED;
}

static int judge (const char *path, bool json, const struct check_options *options, struct history *history)
{
    struct check_report report = {0};
    int code;
    check_history (history, options, &report);
    if (history->error[0] != '\0') {
        code = no_history (path, history, history->error);
    } else {
        (json ? print_json : print_words) (history, &report);
        code = report.verdict == SEARCH_VIOLATION                        ? VIOLATION
               : report.verdict == SEARCH_UNDECIDED || report.incomplete ? UNDECIDED
                                                                         : FINE;
    }
    if (code == UNDECIDED && report.incomplete)
        fprintf (stderr,
            "chaos_check: %s: INCOMPLETE: it ends before the final reads; make them (chaos_load --final), while its "
            "cluster runs, or say --part if a part is meant\n",
            path);
    check_report_close (&report);
    return code;
}

static int check (const char *path, bool json, const struct check_options *options)
{
    struct history history;
    int code;
    const char *nothing = NULL;
    if (!history_read (&history, path))
        code = no_history (path, &history, history.error);
    else if ((nothing = check_nothing (&history)) != NULL)
        code = no_history (path, &history, nothing);
    else
        code = judge (path, json, options, &history);
    history_close (&history);
    return code;
}

int main (int argc, char **argv)
{
    struct check_options options = {0};
    const char *path = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        char *end = argv[0];
        if (strcmp (argv[i], "--help") == 0 || strcmp (argv[i], "-h") == 0) {
            fputs (usage, stdout);
            return FINE;
        } else if (strcmp (argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp (argv[i], "--limit-s") == 0 && i + 1 < argc) {
            const char *text = argv[++i];
            unsigned long long seconds = strtoull (text, &end, 10);
            if (text[0] < '0' || text[0] > '9' || *end != '\0' || seconds == 0 || seconds > LIMIT_MAX_S) {
                fprintf (stderr, "chaos_check: --limit-s must be a number of 1 to %d seconds, not '%s'\n", LIMIT_MAX_S,
                    text);
                return MALFORMED;
            }
            options.limit_ns = seconds * UINT64_C (1000000000);
        } else if (strcmp (argv[i], "--part") == 0) {
            options.part = true;
        } else if (path == NULL && (argv[i][0] != '-' || argv[i][1] == '\0')) {
            path = argv[i];
        } else {
            fprintf (stderr, "chaos_check: '%s' is not understood; see chaos_check --help\n", argv[i]);
            return MALFORMED;
        }
    }
    if (path == NULL) {
        fputs (usage, stderr);
        return MALFORMED;
    }
    return check (path, json, &options);
}
