/* Where a handle finds its cluster: options, the environment, the client file, CURVE keys; and ids. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <maitre.h>
#include <time.h>
#include <unistd.h>

#include "test/support/fake_node.h"

static char path[] = "/tmp/test_client_files_XXXXXX";

static int make_file (void **state)
{
    (void) state;
    int fd = mkstemp (path);
    unsetenv ("MAITRE_CLUSTER");
    unsetenv ("MAITRE_ENDPOINTS");
    unsetenv ("MAITRE_TOKEN");
    return fd < 0 || close (fd) != 0 ? -1 : 0;
}

static int remove_file (void **state)
{
    (void) state;
    return unlink (path);
}

static void write_file (const char *text)
{
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    fputs (text, file);
    assert_int_equal (fclose (file), 0);
}

static enum maitre_status open_file (struct maitre **client, struct maitre_error *error)
{
    struct maitre_options options;
    maitre_options_init (&options);
    options.cluster_file = path;
    options.deadline_ms = 1000;
    return maitre_new (&options, client, error);
}

static void test_client_files__says_what_is_missing (void **state)
{
    (void) state;
    struct maitre *client = NULL;
    struct maitre_error error;
    assert_int_equal (maitre_new (NULL, &client, &error), MAITRE_NOT_FOUND);
    assert_string_equal (error.reason, "NO_CLUSTER");
    assert_null (client);
    setenv ("MAITRE_CLUSTER", "/nonexistent/cluster.client", 1);
    assert_int_equal (maitre_new (NULL, &client, &error), MAITRE_NOT_FOUND);
    assert_non_null (strstr (error.message, "/nonexistent/cluster.client"));
    unsetenv ("MAITRE_CLUSTER");
    struct maitre_options options = {0}; /* no size */
    assert_int_equal (maitre_new (&options, &client, &error), MAITRE_INVALID_ARGUMENT);
    maitre_options_init (&options);
    options.endpoints = "nonsense";
    assert_int_equal (maitre_new (&options, &client, &error), MAITRE_INVALID_ARGUMENT);
    assert_string_equal (error.reason, "BAD_ENDPOINT");
    options.endpoints = " , ";
    assert_int_equal (maitre_new (&options, &client, &error), MAITRE_INVALID_ARGUMENT);
    options.endpoints = "tcp://127.0.0.1:1";
    options.outstanding_max = 65537;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_INVALID_ARGUMENT);
    assert_null (client);
}

static void test_client_files__the_environment_is_enough (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre *client = NULL;
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    setenv ("MAITRE_ENDPOINTS", node.endpoint, 1);
    assert_int_equal (maitre_new (NULL, &client, NULL), MAITRE_OK);
    unsetenv ("MAITRE_ENDPOINTS");
    time_t started = time (NULL);
    assert_int_equal (
        maitre_connect (client, 60000), MAITRE_OK); /* this node cannot tell the ring: no reason to wait */
    assert_true (time (NULL) - started < 30);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static void test_client_files__bad_files_are_refused (void **state)
{
    (void) state;
    static const char *const bad[] = {
        "",
        "maitre-client 2\nnode 1 tcp://127.0.0.1:1 -\n",
        "something else\n",
        "maitre-client 1\n",
        "maitre-client 1\nnode 0 tcp://127.0.0.1:1 -\n",
        "maitre-client 1\nnode x tcp://127.0.0.1:1 -\n",
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1\n",
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1 tooshort\n",
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1 -\nsurprise 1\n",
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1 " KEY "\n", /* no key of the client's own */
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1 -\nclient-key " KEY " " KEY "\n",
        "maitre-client 1\nnode 1 tcp://127.0.0.1:1 " KEY "\nclient-key " KEY "\n",
        ("maitre-client 1\nnode 1 tcp://"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789:1 -\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct maitre *client = NULL;
        struct maitre_error error;
        write_file (bad[i]);
        assert_int_equal (open_file (&client, &error), MAITRE_INVALID_ARGUMENT);
        assert_string_equal (error.reason, "BAD_CLUSTER_FILE");
        assert_null (client);
    }
}

static void test_client_files__a_plain_file_connects (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre *client = NULL;
    char text[256];
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    snprintf (text, sizeof text,
        "maitre-client 1\ncluster 00112233445566778899aabbccddeeff\nnode 1 %s -\nsignature 00\n", node.endpoint);
    write_file (text);
    assert_int_equal (open_file (&client, NULL), MAITRE_OK);
    assert_int_equal (maitre_connect (client, 5000), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void write_curve_file (const struct fake_node *node, const char *server_key)
{
    char text[512], public[41], secret[41];
    assert_int_equal (zmq_curve_keypair (public, secret), 0);
    snprintf (text, sizeof text, "maitre-client 1\nnode 1 %s %s\nclient-key %s %s\n", node->endpoint, server_key,
        public, secret);
    write_file (text);
}

static void test_client_files__curve_talks_to_the_right_key_only (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre *client = NULL;
    char other_public[41], other_secret[41];
    assert_int_equal (zmq_curve_keypair (node.curve_public, node.curve_secret), 0);
    assert_int_equal (zmq_curve_keypair (other_public, other_secret), 0);
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    write_curve_file (&node, node.curve_public);
    assert_int_equal (open_file (&client, NULL), MAITRE_OK);
    assert_int_equal (maitre_connect (client, 5000), MAITRE_OK);
    maitre_destroy (&client);
    write_curve_file (&node, other_public);
    assert_int_equal (open_file (&client, NULL), MAITRE_OK);
    assert_int_equal (maitre_connect (client, 300), MAITRE_UNAVAILABLE);
    maitre_destroy (&client);
    struct maitre_options plain;
    maitre_options_init (&plain);
    plain.endpoints = node.endpoint;
    assert_int_equal (maitre_new (&plain, &client, NULL), MAITRE_OK);
    assert_int_equal (maitre_connect (client, 300), MAITRE_UNAVAILABLE);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client_files__ids_carry_their_placement (void **state)
{
    (void) state;
    struct maitre *client = NULL;
    struct maitre_options options;
    maitre_options_init (&options);
    options.endpoints = "tcp://127.0.0.1:1";
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    struct maitre_id one = maitre_id_provider (client, "wedding"), two = maitre_id_provider (client, "wedding");
    assert_false (maitre_id_equal (&one, &two));
    assert_int_equal (maitre_id_hash (&one), maitre_id_hash (&two));
    assert_int_equal (maitre_id_hash (&one), placement_hash_group (BYTES_LITERAL ("wedding")));
    struct maitre_id alone = maitre_id_provider (client, NULL);
    struct id in;
    memcpy (in.b, alone.b, sizeof in.b);
    assert_int_equal (maitre_id_hash (&alone), placement_hash_provider (&in));
    struct maitre_id offer = maitre_id_beside (client, &alone);
    assert_int_equal (maitre_id_hash (&offer), maitre_id_hash (&alone));

    struct maitre_id first = maitre_id_derive (1000, &alone, "row 1"), again = maitre_id_derive (1000, &alone, "row 1");
    struct maitre_id other = maitre_id_derive (1000, &alone, "row 2");
    assert_true (maitre_id_equal (&first, &again));
    assert_false (maitre_id_equal (&first, &other));
    assert_int_equal (maitre_id_hash (&first), maitre_id_hash (&alone));
    struct maitre_id derived = maitre_id_derive_provider (1000, NULL, "hotel");
    memcpy (in.b, derived.b, sizeof in.b);
    assert_int_equal (maitre_id_hash (&derived), placement_hash_provider (&in));

    char text[MAITRE_ID_TEXT_SIZE];
    struct maitre_id parsed;
    maitre_id_format (&one, text);
    assert_int_equal (maitre_id_parse (text, &parsed), MAITRE_OK);
    assert_true (maitre_id_equal (&one, &parsed));
    assert_int_equal (maitre_id_parse ("xyz", &parsed), MAITRE_INVALID_ARGUMENT);
    assert_int_equal (maitre_id_parse (NULL, &parsed), MAITRE_INVALID_ARGUMENT);
    maitre_destroy (&client);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client_files__says_what_is_missing),
        cmocka_unit_test (test_client_files__the_environment_is_enough),
        cmocka_unit_test (test_client_files__bad_files_are_refused),
        cmocka_unit_test (test_client_files__a_plain_file_connects),
        cmocka_unit_test (test_client_files__curve_talks_to_the_right_key_only),
        cmocka_unit_test (test_client_files__ids_carry_their_placement),
    };
    return cmocka_run_group_tests (tests, make_file, remove_file);
}
