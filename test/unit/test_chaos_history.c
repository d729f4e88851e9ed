/* The format of histories: what is read, what is refused with its line, what a killed writer leaves. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "test/chaos/check.h"

#define HEAD                                                                                                           \
    "{\"t\":1,\"type\":\"info\",\"f\":\"run\",\"version\":1,\"seed\":7}\n"                                             \
    "{\"t\":2,\"type\":\"info\",\"f\":\"offer\",\"offer\":\"h\",\"first\":0,\"last\":9,\"capacity\":1}\n"
#define BOOK(t, c, op, res)                                                                                            \
    "{\"t\":" t ",\"c\":" c ",\"op\":" op ",\"type\":\"invoke\",\"f\":\"book\",\"id\":\"i" op "\",\"res\":\"" res      \
    "\",\"mode\":\"book\",\"cust\":\"k\",\"items\":[[\"h\",4,1,1]]}\n"
#define OK(t, c, op) "{\"t\":" t ",\"c\":" c ",\"op\":" op ",\"type\":\"ok\",\"state\":\"confirmed\",\"version\":1}\n"

static enum search_verdict judge (const char *text, struct check_report *report, struct history *history)
{
    const struct check_options options = {0};
    assert_true (history_read_text (history, bytes_text (text)));
    check_history (history, &options, report);
    return report->verdict;
}

static void test_chaos_history__reads_what_the_manual_describes (void **state)
{
    (void) state;
    struct history history;
    struct check_report report;
    assert_int_equal (
        judge (HEAD BOOK ("3", "1", "1", "a") OK ("4", "1", "1") BOOK ("5", "2", "2",
                   "b") "{\"t\":6,\"c\":2,\"op\":2,\"type\":\"fail\",\"decided\":true,\"reason\":\"SOLD_OUT\","
                        "\"offer\":\"h\",\"bucket\":4,\"available\":0,\"unheard\":[1,{\"of\":null}]}\n"
                        "{\"t\":7,\"type\":\"info\",\"f\":\"something new\"}\n",
            &report, &history),
        SEARCH_FINE);
    assert_int_equal (history.ops_count, 2);
    assert_int_equal (history.seed, 7);
    assert_int_equal (report.by_end[HISTORY_REFUSED], 1);
    check_report_close (&report);
    history_close (&history);
}

static void test_chaos_history__tells_a_slot_given_twice (void **state)
{
    (void) state;
    struct history history;
    struct check_report report;
    assert_int_equal (judge (HEAD BOOK ("1000000003", "1", "1", "a") BOOK ("1000000004", "2", "2", "b")
                                 OK ("2000000005", "1", "1") OK ("3000000006", "2", "2"),
                          &report, &history),
        SEARCH_VIOLATION);
    assert_string_equal (
        report.violations[0].headline, "slot 4 of h given twice: client 1 at 1.000 s got a, client 2 at 2.000 s got b");
    assert_int_equal (report.violations[0].count, 2);
    assert_true (report.violations[0].minimal);
    check_report_close (&report);
    history_close (&history);
}

static void refuses (const char *text, uint64_t line)
{
    struct history history;
    bool fine = history_read_text (&history, bytes_text (text));
    if (fine || history.error_line != line)
        print_error ("%s", text);
    assert_false (fine);
    assert_int_equal (history.error_line, line);
    assert_true (history.error[0] != '\0');
    history_close (&history);
}

static void test_chaos_history__names_the_line_that_is_none (void **state)
{
    (void) state;
    refuses (HEAD "hello\n", 3);
    refuses (HEAD "{\"t\":3,\"t\":3,\"type\":\"info\",\"f\":\"x\"}\n", 3);
    refuses (HEAD "{\"t\":3,\"type\":\"info\",\"f\":\"x\"} {}\n", 3);
    refuses (HEAD "{\"t\":3,\"type\":\"info\",\"f\":\"x\",\"z\":[1,]}\n", 3);
    refuses (HEAD "{\"t\":3,\"type\":\"info\",\"f\":\"x\",\"z\":01}\n", 3);
    refuses (HEAD "{\"t\":3,\"type\":\"info\",\"f\":\"x\",\"z\":[[[[[[[[[[[1]]]]]]]]]]]}\n", 3);
    refuses (HEAD "{\"t\":-3,\"type\":\"info\",\"f\":\"x\"}\n", 3);
    refuses (HEAD "{\"t\":1,\"type\":\"info\",\"f\":\"x\"}\n", 3); /* back in time */
    refuses (HEAD "{\"t\":3,\"type\":\"maybe\"}\n", 3);
    refuses (HEAD "\n", 3);
    refuses (HEAD OK ("3", "1", "1"), 3);                                                 /* nobody asked */
    refuses (HEAD BOOK ("3", "1", "1", "a") BOOK ("4", "1", "2", "b"), 4);                /* two at once */
    refuses (HEAD BOOK ("3", "1", "1", "a") OK ("4", "1", "2"), 4);                       /* another's answer */
    refuses (HEAD BOOK ("3", "1", "1", "a") OK ("4", "1", "1") OK ("5", "1", "1"), 5);    /* answered twice */
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"dance\"}\n", 3); /* no such thing */
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"read\"}\n", 3);
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"check\",\"items\":[]}\n", 3);
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"check\",\"items\":[[\"h\"]]}\n", 3);
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"check\",\"items\":[[\"nobody\",1]]}\n", 3);
    refuses (HEAD "{\"t\":3,\"c\":1,\"op\":1,\"type\":\"invoke\",\"f\":\"check\",\"items\":[[\"h\",1]]}\n"
                  "{\"t\":4,\"c\":1,\"op\":1,\"type\":\"ok\",\"rows\":[]}\n",
        4);
    refuses ("{\"t\":1,\"type\":\"info\",\"f\":\"run\",\"version\":2}\n", 1);
}

/* A refusal that no rule of the services knows is a violation, not something to pass over. */
static void test_chaos_history__strange_refusals_count (void **state)
{
    (void) state;
    struct history history;
    struct check_report report;
    assert_int_equal (
        judge (HEAD BOOK ("3", "1", "1", "a") "{\"t\":6,\"c\":1,\"op\":1,\"type\":\"fail\",\"decided\":true,"
                                              "\"reason\":\"BECAUSE\"}\n",
            &report, &history),
        SEARCH_VIOLATION);
    check_report_close (&report);
    history_close (&history);
}

static void test_chaos_history__a_torn_last_line_is_left_out_and_cut_off (void **state)
{
    (void) state;
    static struct history_text line;
    char path[] = "/tmp/test_chaos_history.XXXXXX";
    struct history_writer writer;
    struct history history;
    int fd = mkstemp (path);
    static const char torn[] = HEAD BOOK ("3", "1", "1", "a") "{\"t\":4,\"c\":1,\"op\":1,\"ty";
    assert_true (fd >= 0);
    FILE *file = fdopen (fd, "w");
    assert_non_null (file);
    assert_int_equal (fwrite (torn, 1, sizeof torn - 1, file), sizeof torn - 1);
    fclose (file);

    assert_true (history_read (&history, path));
    assert_true (history.torn);
    assert_int_equal (history.ops_count, 1);
    assert_int_equal (history.ops[0].end, HISTORY_UNKNOWN);
    history_close (&history);

    assert_true (history_writer_open (&writer, path, true));
    history_text_clear (&line);
    history_put_text (&line, "type", "info");
    history_put_text (&line, "f", "final");
    history_put_text (&line, "note", "a \"quoted\"\nword");
    uint64_t first = history_write (&writer, &line), second = history_write (&writer, &line);
    assert_true (second > first);
    history_writer_close (&writer);
    assert_false (writer.broken);

    assert_true (history_read (&history, path));
    assert_false (history.torn);
    assert_true (history.final);
    assert_int_equal (history.lines, 5);
    history_close (&history);
    remove (path);
}

/* What could not be judged is not called fine: nothing at all, and what ends before the final reads. */
static void test_chaos_history__nothing_to_judge_and_no_final_reads_are_told (void **state)
{
    (void) state;
    static const char *const nothing[] = {"", "{\"t\":1,\"ty", "{\"t\":1,\"type\":\"info\",\"f\":\"x\"}\n", HEAD,
        HEAD "{\"t\":3,\"type\":\"info\",\"f\":\"final\"}\n"};
    struct history history;
    struct check_report report;
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        assert_true (history_read_text (&history, bytes_text (nothing[i])));
        assert_non_null (check_nothing (&history));
        history_close (&history);
    }
    static const char whole[] =
        HEAD BOOK ("3", "1", "1", "a") OK ("4", "1", "1") "{\"t\":5,\"type\":\"info\",\"f\":\"final\"}\n";
    static const char cut[] = HEAD BOOK ("3", "1", "1", "a") OK ("4", "1", "1");
    assert_int_equal (judge (whole, &report, &history), SEARCH_FINE);
    assert_null (check_nothing (&history));
    assert_false (report.incomplete);
    check_report_close (&report);
    history_close (&history);
    assert_int_equal (judge (cut, &report, &history), SEARCH_FINE);
    assert_null (check_nothing (&history));
    assert_true (report.incomplete);
    check_history (&history, &(struct check_options){.part = true}, &report);
    assert_false (report.incomplete);
    check_report_close (&report);
    history_close (&history);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_chaos_history__reads_what_the_manual_describes),
        cmocka_unit_test (test_chaos_history__tells_a_slot_given_twice),
        cmocka_unit_test (test_chaos_history__names_the_line_that_is_none),
        cmocka_unit_test (test_chaos_history__strange_refusals_count),
        cmocka_unit_test (test_chaos_history__a_torn_last_line_is_left_out_and_cut_off),
        cmocka_unit_test (test_chaos_history__nothing_to_judge_and_no_final_reads_are_told),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
