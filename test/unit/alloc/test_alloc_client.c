/* libmaitre without memory: each of its allocations fails once. A call returns a status, the handle goes on working, and a write
 * that the node answered is never called "did not happen".
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/alloc_try.h"
#include "test/support/client_rig.h"

static void open_and_close (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    struct maitre *client = NULL;
    struct maitre_error error;
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    maitre_options_init (&options);
    options.endpoints = node.endpoint;
    alloc_fault_at (alloc_failing);
    enum maitre_status status = maitre_new (&options, &client, &error);
    assert_true ((client == NULL) == (status != MAITRE_OK));
    assert_true (status == MAITRE_OK || (status == MAITRE_RESOURCE_EXHAUSTED && error.reason[0] != '\0'));
    assert_int_equal (status != MAITRE_OK, alloc_fault_fired ());
    maitre_destroy (&client);
    fake_node_stop (&node);
}

/* The fake node leads all and acknowledges each booking. */
static void book_and_go_on (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {.leader = 1, .shard_count = 8, .cluster_count = 1};
    const struct fake_node *cluster[] = {&node};
    struct maitre_options options;
    struct maitre_reserved reserved;
    node.cluster = cluster;
    assert_true (fake_node_start (&node, fake_node_friendly, &seen));
    maitre_options_init (&options);
    options.deadline_ms = 60000; /* for what hangs: nothing here waits for it to pass */
    struct maitre *client = client_of (&node, NULL, &options);
    alloc_fault_at (alloc_failing);
    for (int i = 0; i < 3; i++) {
        uint32_t before = atomic_load (&node.requests);
        bool fired = alloc_fault_fired ();
        enum maitre_status status = book (client, &reserved);
        bool asked = atomic_load (&node.requests) > before;
        if (status == MAITRE_OK)
            continue;
        assert_true (!fired && alloc_fault_fired ()); /* this call alone may suffer */
        assert_int_equal (status, MAITRE_RESOURCE_EXHAUSTED);
        assert_string_equal (maitre_error (client)->reason, "NO_MEMORY");
        assert_int_equal (maitre_error (client)->maybe_applied, asked);
        assert_true (!asked || !maitre_id_is_zero (&maitre_error (client)->request_id));
    }
    alloc_fault_pause (true);
    assert_int_equal (book (client, &reserved), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static const struct alloc_scenario scenarios[] = {{"open", open_and_close}, {"book", book_and_go_on}};

static void test_alloc_client__a_handle_is_there_or_not (void **state)
{
    (void) state;
    alloc_try_all ("open");
}

static void test_alloc_client__calls_tell_the_truth_and_the_handle_goes_on (void **state)
{
    (void) state;
    alloc_try_all ("book");
}

int main (int argc, char **argv)
{
    if (argc == 4 && strcmp (argv[1], "--child") == 0)
        return alloc_try_child (scenarios, sizeof scenarios / sizeof *scenarios, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_alloc_client__a_handle_is_there_or_not),
        cmocka_unit_test (test_alloc_client__calls_tell_the_truth_and_the_handle_goes_on),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
