/* chaos_check: judges a history of chaos_load.
 */
#include <stdlib.h>
#include <string.h>

#include "test/chaos/check.h"

enum { FINE = 0, UNDECIDED = 1, MALFORMED = 2, VIOLATION = 9 };

static const char usage[] =
    "usage: chaos_check FILE [--json] [--limit-s SECONDS]\n"
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
    "  --limit-s SECONDS gives up after that time; what was not judged by then is undecided\n"
    "\n"
    "Exit status: 0 nothing wrong; 9 a violation; 1 undecided; 2 usage, or no history (says in which line).\n"
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
        verdicts[report->verdict], history->ops_count, (unsigned long long) report->by_end[HISTORY_OK],
        (unsigned long long) report->by_end[HISTORY_REFUSED], (unsigned long long) report->by_end[HISTORY_FAILED],
        (unsigned long long) report->by_end[HISTORY_UNKNOWN], (unsigned long long) report->resolved,
        (unsigned long long) report->parts, (unsigned long long) report->largest_part, report->undecided,
        (unsigned long long) report->states, (unsigned long long) report->entities,
        (unsigned long long) report->entities_read, history->final ? "true" : "false", history->torn ? "true" : "false",
        (unsigned long long) history->seed, report->seconds, report->violations_total);
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
        printf ("there are no final reads: what was lost at the very end is not judged (chaos_load --final)\n");
    else
        printf ("%llu of %llu reservations and orders were read at the end\n",
            (unsigned long long) report->entities_read, (unsigned long long) report->entities);
    if (report->undecided > 0)
        printf ("UNDECIDED: %zu parts took too long to judge\n", report->undecided);
    else if (report->verdict == SEARCH_FINE)
        printf ("nothing wrong\n");
}

static int check (const char *path, bool json, const struct check_options *options)
{
    struct history history;
    struct check_report report = {0};
    int code;
    if (!history_read (&history, path)) {
        fprintf (
            stderr, "chaos_check: %s: line %llu: %s\n", path, (unsigned long long) history.error_line, history.error);
        history_close (&history);
        return MALFORMED;
    }
    check_history (&history, options, &report);
    if (history.error[0] != '\0') {
        fprintf (
            stderr, "chaos_check: %s: line %llu: %s\n", path, (unsigned long long) history.error_line, history.error);
        code = MALFORMED;
    } else {
        (json ? print_json : print_words) (&history, &report);
        code = report.verdict == SEARCH_VIOLATION ? VIOLATION : report.verdict == SEARCH_UNDECIDED ? UNDECIDED : FINE;
    }
    check_report_close (&report);
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
            options.limit_ns = strtoull (argv[++i], &end, 10) * UINT64_C (1000000000);
            if (*end != '\0' || options.limit_ns == 0) {
                fputs ("chaos_check: --limit-s needs a number of seconds\n", stderr);
                return MALFORMED;
            }
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
