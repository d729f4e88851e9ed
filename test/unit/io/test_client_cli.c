/* The maitre command line against the real services behind a fake node: exit codes, ids, replays, bench and verify. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "test/support/service_node.h"

static char program[512], folder[] = "/tmp/test_client_cli_XXXXXX";
static char output[1 << 18];
static struct service_node service;

static int find_program (void **state)
{
    (void) state;
    ssize_t len = readlink ("/proc/self/exe", program, sizeof program - 32);
    if (len <= 0 || mkdtemp (folder) == NULL)
        return -1;
    program[len] = '\0';
    *strrchr (program, '/') = '\0';
    strcat (program, "/../maitre");
    unsetenv ("MAITRE_CLUSTER");
    unsetenv ("MAITRE_TOKEN");
    return access (program, X_OK);
}

static int remove_folder (void **state)
{
    (void) state;
    char command[128];
    snprintf (command, sizeof command, "rm -r %s", folder);
    return system (command);
}

static int start_service (void **state)
{
    (void) state;
    memset (&service, 0, sizeof service);
    if (!service_node_start (&service))
        return -1;
    return setenv ("MAITRE_ENDPOINTS", service.node.endpoint, 1);
}

static int stop_service (void **state)
{
    (void) state;
    service_node_stop (&service);
    return 0;
}

/* Runs `maitre ARGUMENTS`; `output` is what it wrote to both streams. Returns its exit code. */
static int run (const char *format, ...)
{
    char command[2048];
    int used = snprintf (command, sizeof command, "%s ", program);
    va_list args;
    va_start (args, format);
    used += vsnprintf (command + used, sizeof command - (size_t) used, format, args);
    va_end (args);
    snprintf (command + used, sizeof command - (size_t) used, " 2>&1");
    FILE *pipe = popen (command, "r");
    assert_non_null (pipe);
    size_t len = fread (output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    int result = pclose (pipe);
    assert_true (WIFEXITED (result));
    return WEXITSTATUS (result);
}

/* The text or number behind "name": in `output`. */
static const char *field (const char *name)
{
    static char value[8][128];
    static unsigned turn;
    char *out = value[turn++ % 8];
    char key[64];
    snprintf (key, sizeof key, "\"%s\":", name);
    const char *at = strstr (output, key);
    out[0] = '\0';
    if (at != NULL) {
        at += strlen (key);
        at += *at == '"';
        snprintf (out, 128, "%.*s", (int) strcspn (at, "\",}"), at);
    }
    return out;
}

static void assert_json_object (void)
{
    size_t len = strlen (output);
    assert_true (len > 2);
    assert_int_equal (output[0], '{');
    assert_string_equal (output + len - 2, "}\n");
    assert_ptr_equal (strchr (output, '\n'), output + len - 1); /* one line */
}

static void write_file (const char *name, const char *text)
{
    char path[128];
    snprintf (path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    fputs (text, file);
    assert_int_equal (fclose (file), 0);
}

/* A hotel with one room type of two rooms; the offer's id. */
static const char *make_offer (void)
{
    char provider[64];
    assert_int_equal (run ("catalog put-provider hotel Grand --group g --json"), 0);
    snprintf (provider, sizeof provider, "%s", field ("id"));
    assert_int_equal (run ("catalog put-offer %s room Double --price-minor 100 --currency GBP --bucket-kind night "
                           "--first-bucket 2026-06-01 --last-bucket 2026-06-30 --capacity 2 --json",
                          provider),
        0);
    return field ("id");
}

static void test_client_cli__a_reservation_from_hold_to_cancel (void **state)
{
    (void) state;
    char offer[64], reservation[64];
    snprintf (offer, sizeof offer, "%s", make_offer ());
    assert_int_equal (run ("reserve create %s:2026-06-03:2 --mode hold --note 'two nights' --json", offer), 0);
    assert_json_object ();
    assert_string_equal (field ("state"), "held");
    assert_string_equal (field ("total_minor"), "200");
    snprintf (reservation, sizeof reservation, "%s", field ("reservation"));
    assert_int_equal (run ("reserve confirm %s --json", reservation), 0);
    assert_string_equal (field ("state"), "confirmed");
    assert_int_equal (run ("reserve confirm %s --json", reservation), 4); /* it is confirmed already */
    assert_json_object ();
    assert_string_equal (field ("status"), "FAILED_PRECONDITION");
    assert_int_equal (run ("reserve move %s %s:2026-06-10 --json", reservation, offer), 0);
    assert_int_equal (run ("reserve get %s --json", reservation), 0);
    assert_string_equal (field ("first"), "20614"); /* 2026-06-10 in days since 1970 */
    assert_string_equal (field ("note"), "two nights");
    assert_int_equal (run ("reserve get %s", reservation), 0);
    assert_non_null (strstr (output, "confirmed"));
    assert_int_equal (run ("reserve cancel %s --json", reservation), 0);
    assert_string_equal (field ("state"), "cancelled");
    assert_int_equal (run ("reserve list --state cancelled --all --json"), 0);
    assert_non_null (strstr (output, reservation));
}

static void test_client_cli__sold_out_says_where_to_go_on (void **state)
{
    (void) state;
    char offer[64];
    snprintf (offer, sizeof offer, "%s", make_offer ());
    assert_int_equal (run ("reserve create %s:2026-06-01:3:2 --mode book --json", offer), 0);
    assert_int_equal (run ("reserve create %s:2026-06-02 --mode book --json", offer), 4);
    assert_string_equal (field ("reason"), "SOLD_OUT");
    assert_string_equal (field ("earliest_free"), "20608");
    assert_int_equal (run ("reserve create %s:2026-06-02 --mode book", offer), 4);
    assert_non_null (strstr (output, "earliest_free: 20608"));
    assert_int_equal (run ("call avail.ListFree '{\"offer\":\"%s\",\"limit\":1}' --json", offer), 0);
    assert_string_equal (field ("next"), "20609");
    assert_int_equal (run ("avail check %s:2026-06-01 --json", offer), 0);
    assert_string_equal (field ("confirmed"), "2");
}

static void test_client_cli__a_repeat_under_the_same_request_id_changes_nothing (void **state)
{
    (void) state;
    char offer[64], request_id[64], reservation[64];
    snprintf (offer, sizeof offer, "%s", make_offer ());
    assert_int_equal (run ("reserve create %s:2026-06-03 --mode book --json", offer), 0);
    snprintf (request_id, sizeof request_id, "%s", field ("request_id"));
    snprintf (reservation, sizeof reservation, "%s", field ("reservation"));
    assert_string_equal (field ("replayed"), "");
    assert_int_equal (run ("reserve create %s:2026-06-03 --mode book --json --request-id %s", offer, request_id), 0);
    assert_string_equal (field ("replayed"), "true");
    assert_string_equal (field ("reservation"), reservation); /* the ids made here derive from the request id */
    assert_int_equal (run ("reserve create %s:2026-06-04 --mode book --json --request-id %s", offer, request_id), 4);
    assert_string_equal (field ("reason"), "KEY_REUSED");
    assert_int_equal (run ("call outcome %s --json", request_id), 0);
    assert_string_equal (field ("state"), "applied");
}

static void test_client_cli__users_and_keys (void **state)
{
    (void) state;
    write_file ("wrong", "wrong-one\n");
    write_file ("right", "secret-one\n");
    assert_int_equal (run ("auth register 'Alice ' --password secret-one --json"), 0);
    assert_string_equal (field ("login"), "alice");
    assert_int_equal (run ("auth register alice --password other-one --json"), 4);
    assert_int_equal (run ("auth login alice --password-stdin --json <%s/wrong", folder), 7);
    assert_string_equal (field ("reason"), "BAD_CREDENTIALS");
    assert_int_equal (run ("auth login alice --password-stdin --json <%s/right", folder), 0);
    assert_int_equal (run ("auth set-role alice customer,staff --json"), 0);
    assert_string_equal (field ("roles"), "3");
    assert_int_equal (run ("auth api-key create shop staff --json"), 0);
    char key[64];
    snprintf (key, sizeof key, "%s", field ("key"));
    assert_int_equal (run ("auth api-key revoke %s", key), 0);
    assert_int_equal (run ("auth api-key list --json"), 0);
    assert_string_equal (field ("revoked"), "true");
}

static void test_client_cli__wrong_words_are_usage (void **state)
{
    (void) state;
    static const char *const wrong[] = {"", "nonsense", "reserve", "reserve nonsense", "reserve get", "reserve get x y",
        "reserve get nohex", "reserve create --mode", "reserve get --nonsense 1 2", "call nonsense.Method '{}'",
        "call reserve.Get '{'", "call reserve.Get '[]'", "call reserve.Get '{\"x\":1}'", "bench nonsense",
        "bench reserve --clients 0", "bench reserve --clients many", "bench pair --groups 3", "bench verify",
        "bench verify /nonexistent", "replay", "replay hotels", "replay hotels /nonexistent --capacity x",
        "replay orders /nonexistent --stock -1", "--timeout 0 node health", "--request-id 12 node health",
        "--token-file /nonexistent node health", "catalog list --kind", "order advance x y",
        "auth register al --password x", "auth change-password alice --password-stdin", "auth whoami --password-stdin"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int code = run ("%s </dev/null", wrong[i]);
        if (code != 2)
            print_error ("maitre %s: exit %d, %s\n", wrong[i], code, output);
        assert_int_equal (code, 2);
        assert_true (strlen (output) > 10);
    }
    assert_int_equal (service.node.requests, 0);
}

static void test_client_cli__every_group_and_verb_has_help_with_an_example (void **state)
{
    (void) state;
    static const char *const helped[] = {"auth", "catalog", "avail", "reserve", "order", "call", "cluster", "node",
        "bench", "replay", "reserve create", "auth api-key create", "catalog put-offer", "cluster where",
        "order place"};
    assert_int_equal (run ("--help"), 0);
    assert_non_null (strstr (output, "Exit codes"));
    for (size_t i = 0; i < sizeof helped / sizeof *helped; i++) {
        assert_int_equal (run ("%s --help", helped[i]), 0);
        assert_non_null (strstr (output, "Example: maitre "));
    }
    assert_int_equal (run ("methods --json"), 0);
    assert_json_object ();
    assert_non_null (strstr (output, "\"reserve.Create\""));
}

static void test_client_cli__exit_codes_tell_apart_what_happened (void **state)
{
    (void) state;
    assert_int_equal (run ("cluster status"), 0);
    assert_int_equal (run ("node health --json"), 0);
    assert_int_equal (run ("reserve get 000000000000000000000000deadbeef"), 3);
    assert_int_equal (run ("cluster members"), 1); /* the fake node has no members to tell */
    assert_int_equal (run ("--endpoints tcp://127.0.0.1:9 --timeout 100 node health"), 6);
    assert_non_null (strstr (output, "check that the cluster runs"));
}

static void script_silent (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->silent = true;
}

static void script_dead (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    static const struct health_reply sick = {.status = HEALTH_STATUS_NOT_SERVING, .node = 1};
    (void) node;
    (void) request;
    answer->type = &health_reply_type;
    answer->value = &sick;
}

static void test_client_cli__unknown_outcomes_and_sick_nodes (void **state)
{
    (void) state;
    struct fake_node silent = {0}, sick = {0};
    assert_true (fake_node_start (&silent, script_silent, NULL));
    assert_int_equal (
        run ("--endpoints %s --timeout 200 reserve release 000000000000000000000000deadbeef", silent.endpoint), 5);
    assert_non_null (strstr (output, "ask: maitre call outcome "));
    assert_int_equal (
        run ("--endpoints %s --timeout 200 reserve get 000000000000000000000000deadbeef", silent.endpoint), 6);
    fake_node_stop (&silent);
    assert_true (fake_node_start (&sick, script_dead, NULL));
    assert_int_equal (run ("--endpoints %s node health", sick.endpoint), 1);
    fake_node_stop (&sick);
}

/* ---- bench */

static void test_client_cli__bench_logs_what_verify_reads_back (void **state)
{
    (void) state;
    char log[64], copy[64], command[512];
    snprintf (log, sizeof log, "%s/log", folder);
    snprintf (copy, sizeof copy, "%s/copy", folder);
    assert_int_equal (run ("bench pair --clients 8 --seconds 1 --warmup 0 --json --log %s", log), 0);
    assert_json_object ();
    static const char *const keys[] = {"workload", "clients", "seconds", "ops", "ops_per_s", "p50_ms", "p99_ms",
        "p999_ms", "max_ms", "refused", "errors", "longest_gap_ms"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_string_not_equal (field (keys[i]), "");
    assert_true (strtoul (field ("ops"), NULL, 10) > 0);
    assert_int_equal (run ("bench verify %s --json", log), 0);
    assert_true (strtoul (field ("found"), NULL, 10) > 0);
    assert_string_equal (field ("missing"), "0");

    /* Planted: one booking that nobody made, one slot given twice. */
    snprintf (
        command, sizeof command, "head -1 %s | sed 's/reservation\":\"..../reservation\":\"ffff/' >%s", log, copy);
    assert_int_equal (system (command), 0);
    assert_int_equal (run ("bench verify %s --json", copy), 9);
    assert_string_equal (field ("missing"), "1");
    snprintf (command, sizeof command, "head -1 %s >%s; head -1 %s >>%s", log, copy, log, copy);
    assert_int_equal (system (command), 0);
    assert_int_equal (run ("bench verify %s --json", copy), 9);
    assert_string_equal (field ("given_twice"), "2");
    snprintf (command, sizeof command, "head -1 %s | sed 's/,[0-9]*\\]\\]/,999]]/' >%s", log, copy);
    assert_int_equal (system (command), 0);
    assert_int_equal (run ("bench verify %s --json", copy), 9);
    assert_string_equal (field ("wrong"), "1");
}

static void test_client_cli__races_end_when_every_slot_is_taken (void **state)
{
    (void) state;
    assert_int_equal (run ("bench race --clients 16 --json"), 0);
    assert_string_equal (field ("taken"), "500");
    unsigned long informed = strtoul (field ("attempts"), NULL, 10);
    assert_int_equal (run ("bench race --clients 16 --blind --connections 2 --json"), 0);
    assert_string_equal (field ("taken"), "500");
    assert_true (strtoul (field ("attempts"), NULL, 10) > informed);
    assert_int_equal (run ("bench reserve --clients 4 --seconds 1 --warmup 0 --json"), 0);
    assert_int_equal (run ("bench read --clients 4 --seconds 1 --warmup 0 --json"), 0);
}

/* ---- replays */

/* One room: the second row is refused, the third is booked on the day on which the first was cancelled, the fourth is
 * cancelled on the day of its booking (so the fifth, of that day, is refused), the sixth has no nights. B has no room. */
static const char hotel_rows[] =
    "booked_on,arrival,nights,hotel,room_type,adults,children,daily_rate,final_status,final_status_on\n"
    "2014-01-01,2015-07-01,3,H,A,2,0,1,Canceled,2014-01-05\n"
    "2014-01-02,2015-07-02,1,H,A,2,0,1,Canceled,2014-01-03\n"
    "2014-01-05,2015-07-01,2,H,A,2,0,1,Check-Out,2015-07-03\n"
    "2014-01-06,2015-07-03,1,H,A,2,0,1,Canceled,2013-01-01\n"
    "2014-01-06,2015-07-03,1,H,A,2,0,1,Check-Out,2015-07-04\n"
    "2014-01-07,2015-07-03,0,H,A,2,0,1,Check-Out,2015-07-03\n"
    "2014-01-08,2015-07-03,1,H,B,2,0,1,No-Show,2015-07-03\n";

static void assert_hotels (void)
{
    assert_json_object ();
    assert_string_equal (field ("rows"), "7");
    assert_string_equal (field ("skipped_zero_nights"), "1");
    assert_string_equal (field ("created"), "3");
    assert_string_equal (field ("refused_sold_out"), "3");
    assert_string_equal (field ("cancelled"), "2");
    assert_string_equal (field ("cancel_skipped"), "1");
    assert_string_equal (field ("room_nights_held"), "2");
    assert_non_null (strstr (output, "\"peak\":{\"H/A\":1}"));
}

static void test_client_cli__hotels_replay_in_the_order_of_the_days (void **state)
{
    (void) state;
    write_file ("hotels.csv", hotel_rows);
    write_file ("rooms.csv", "hotel,room_type,rooms\nH,A,1\n");
    service.lose_percent = 10;
    assert_int_equal (
        run ("replay hotels %s/hotels.csv --capacity %s/rooms.csv --run-id r1 --json", folder, folder), 0);
    assert_hotels ();
    assert_int_equal (
        run ("replay hotels %s/hotels.csv --capacity %s/rooms.csv --run-id r1 --json", folder, folder), 0);
    assert_hotels ();
    assert_true (strtoul (field ("replayed"), NULL, 10) >= 8); /* nothing was done twice */
    service.lose_percent = 0;
    assert_int_equal (run ("replay hotels %s/hotels.csv --capacity %s/rooms.csv --json", folder, folder), 0);
    assert_hotels ();
    assert_string_equal (field ("replayed"), "0"); /* another run, other hotels */
}

static void test_client_cli__orders_replay_with_their_prices (void **state)
{
    (void) state;
    write_file ("orders.csv", "order_id,ordered_at,item,quantity,unit_price,district\n"
                              "1,2015-09-01T14:42:00,Soup,2,3.95,London\n"
                              "1,2015-09-01T14:42:00,Rice,1,2,London\n"
                              "2,2015-09-01T14:43:00,Soup,2,4.5,London\n"
                              "2,2015-09-01T14:43:00,Soup,1,4.5,London\n" /* 2 + 2 + 1 of 4: refused, takes nothing */
                              "3,2015-09-01T14:44:00,Soup,2,4.50,London\n");
    service.lose_percent = 5;
    for (int i = 0; i < 2; i++) {
        assert_int_equal (run ("replay orders %s/orders.csv --stock 4 --run-id o1 --json", folder), 0);
        assert_json_object ();
        assert_string_equal (field ("orders"), "3");
        assert_string_equal (field ("lines"), "5");
        assert_string_equal (field ("items"), "2");
        assert_string_equal (field ("price_changes"), "1");
        assert_string_equal (field ("placed"), "2");
        assert_string_equal (field ("refused_sold_out"), "1");
        assert_string_equal (field ("units_sold"), "5");
        assert_string_equal (field ("revenue_minor"), "1890");
    }
    assert_string_equal (field ("replayed"), "6");
    service.lose_percent = 0;
    write_file ("bad.csv", "order_id,ordered_at,item,quantity,unit_price,district\n1,x,Soup,0,1,L\n");
    assert_int_equal (run ("replay orders %s/bad.csv --stock 4 --json", folder), 2);
    assert_non_null (strstr (output, "bad.csv:2:"));
}

#define with_service(test) cmocka_unit_test_setup_teardown (test, start_service, stop_service)

int main (void)
{
    const struct CMUnitTest tests[] = {
        with_service (test_client_cli__a_reservation_from_hold_to_cancel),
        with_service (test_client_cli__sold_out_says_where_to_go_on),
        with_service (test_client_cli__a_repeat_under_the_same_request_id_changes_nothing),
        with_service (test_client_cli__users_and_keys),
        with_service (test_client_cli__wrong_words_are_usage),
        with_service (test_client_cli__every_group_and_verb_has_help_with_an_example),
        with_service (test_client_cli__exit_codes_tell_apart_what_happened),
        with_service (test_client_cli__unknown_outcomes_and_sick_nodes),
        with_service (test_client_cli__bench_logs_what_verify_reads_back),
        with_service (test_client_cli__races_end_when_every_slot_is_taken),
        with_service (test_client_cli__hotels_replay_in_the_order_of_the_days),
        with_service (test_client_cli__orders_replay_with_their_prices),
    };
    return cmocka_run_group_tests (tests, find_program, remove_folder);
}
