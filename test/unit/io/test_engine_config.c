#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine/engine_config.h"

static char dir[64];
static struct engine_config config; /* large */
static struct engine_config_error error;

static int set_up (void **state)
{
    (void) state;
    static struct cluster_nodes nodes;
    struct identity_error why;
    char files[96];
    strcpy (dir, "/tmp/maitred-config-XXXXXX");
    assert_non_null (mkdtemp (dir));
    memset (&nodes, 0, sizeof nodes);
    nodes.node_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        snprintf (
            nodes.nodes[i].client_endpoint, sizeof nodes.nodes[i].client_endpoint, "tcp://127.0.0.1:%u", 7401 + i);
        snprintf (nodes.nodes[i].peer_endpoint, sizeof nodes.nodes[i].peer_endpoint, "tcp://127.0.0.1:%u", 7501 + i);
        snprintf (
            nodes.nodes[i].gossip_endpoint, sizeof nodes.nodes[i].gossip_endpoint, "tcp://127.0.0.1:%u", 7601 + i);
    }
    snprintf (files, sizeof files, "%s/cluster", dir);
    assert_int_equal (cluster_files_create (files, &nodes, true, 1795000000000, &why), STATUS_OK);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    char command[96];
    engine_config_close (&config);
    snprintf (command, sizeof command, "rm -rf %s", dir);
    return system (command);
}

static enum status load (const char *text)
{
    char path[128];
    snprintf (path, sizeof path, "%s/cluster/node.conf", dir);
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
    return engine_config_load (path, &config, &error);
}

static void refused (const char *text, const char *because)
{
    assert_int_equal (load (text), STATUS_INVALID_ARGUMENT);
    if (strstr (error.text, because) == NULL)
        fail_msg ("\"%s\" does not say \"%s\"", error.text, because);
}

static void test_engine_config__reads_a_node_with_defaults (void **state)
{
    (void) state;
    assert_int_equal (load ("node = 2\n"), STATUS_OK);
    assert_int_equal (config.node, 2);
    assert_int_equal (config.nodes.node_count, 2);
    assert_true (config.curve);
    assert_int_equal (config.shards, 64);
    assert_int_equal (config.replication, 3);
    assert_int_equal (config.limits.calls, 16384);
    assert_int_equal (config.limits.flush_bytes, 64 * 1024 * 1024);
    assert_int_equal (config.metrics_port, 0);
    char expected[128];
    snprintf (expected, sizeof expected, "%s/cluster/data-2", dir);
    assert_string_equal (config.data, expected);
}

static void test_engine_config__reads_every_setting (void **state)
{
    (void) state;
    assert_int_equal (load ("node = 1\n"
                            "data = /var/lib/maitred\n"
                            "faults = 1\n"
                            "cluster\n"
                            "    nodes = nodes.conf\n"
                            "    secret = cluster.secret\n"
                            "    key = node-1.secret\n"
                            "    shards = 16\n"
                            "    replication = 2\n"
                            "metrics\n"
                            "    endpoint = 127.0.0.1:7701\n"
                            "limits\n"
                            "    calls = 100\n"
                            "    rate_per_s = 5\n"
                            "    flush_mib = 2\n"
                            "    disk_free_min_mib = 3\n"
                            "log\n"
                            "    level = warn\n"),
        STATUS_OK);
    assert_string_equal (config.data, "/var/lib/maitred");
    assert_true (config.faults);
    assert_int_equal (config.shards, 16);
    assert_int_equal (config.replication, 2);
    assert_string_equal (config.metrics_address, "127.0.0.1");
    assert_int_equal (config.metrics_port, 7701);
    assert_int_equal (config.limits.calls, 100);
    assert_int_equal (config.limits.rate_per_s, 5);
    assert_int_equal (config.limits.flush_bytes, 2 * 1024 * 1024);
    assert_int_equal (config.limits.disk_free_min_bytes, 3 * 1024 * 1024);
    assert_int_equal (config.log_level, EVENT_LOG_WARN);
}

static void test_engine_config__says_what_is_wrong (void **state)
{
    (void) state;
    refused ("data = here\n", "node is missing");
    refused ("node = three\n", "give a number");
    refused ("node = -1\n", "give a number");
    refused ("node = 3\n", "lists 2 nodes");
    refused ("node = 1\nmetrics\n    endpoint = 7701\n", "metrics/endpoint");
    refused ("node = 1\nmetrics\n    endpoint = localhost:0\n", "metrics/endpoint");
    refused ("node = 1\nlog\n    level = loud\n", "debug, info, warn or error");
    refused ("node = 1\nlimits\n    calls = 1\n", "limits/calls");
    refused ("node = 1\ncluster\n    nodes = nowhere.conf\n", "nowhere.conf");
    assert_int_equal (engine_config_load ("/nowhere/node.conf", &config, &error), STATUS_INVALID_ARGUMENT);
    assert_non_null (strstr (error.text, "/nowhere/node.conf"));
}

static void test_engine_config__refuses_keys_that_are_not_its_own (void **state)
{
    (void) state;
    refused ("node = 1\ncluster\n    key = node-2.secret\n", "own key file");
    assert_true (error.key);
    refused ("node = 1\ncluster\n    key = nowhere.secret\n", "nowhere.secret");
    assert_true (error.key);
    char command[128];
    snprintf (command, sizeof command, "chmod 644 %s/cluster/node-1.secret", dir);
    assert_int_equal (system (command), 0);
    refused ("node = 1\n", "chmod");
    assert_true (error.key);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_engine_config__reads_a_node_with_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_engine_config__reads_every_setting, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_engine_config__says_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_engine_config__refuses_keys_that_are_not_its_own, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
