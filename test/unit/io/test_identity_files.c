/* Key files: who may read them, what is refused, what a new cluster's directory holds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/identity/cluster_files.h"
#include "node/identity/curve_keys.h"
#include "node/identity/identity.h"
#include "schemas/generated/auth.h"

static char directory[64];
static struct cluster_nodes nodes, loaded;

static int set_up (void **state)
{
    (void) state;
    strcpy (directory, "/tmp/maitre-identity-XXXXXX");
    return mkdtemp (directory) == NULL;
}

static int tear_down (void **state)
{
    (void) state;
    DIR *entries = opendir (directory);
    for (struct dirent *entry; entries != NULL && (entry = readdir (entries)) != NULL;)
        unlinkat (dirfd (entries), entry->d_name, 0);
    if (entries != NULL)
        closedir (entries);
    return rmdir (directory);
}

static const char *at (const char *name)
{
    static char path[IDENTITY_PATH_SIZE];
    assert_int_equal (identity_file_path (path, directory, name, NULL), STATUS_OK);
    return path;
}

static void put (const char *name, const char *text, mode_t mode)
{
    unlink (at (name));
    FILE *file = fopen (at (name), "w");
    assert_non_null (file);
    assert_int_equal (fputs (text, file) >= 0, 1);
    fclose (file);
    assert_int_equal (chmod (at (name), mode), 0);
}

static mode_t mode_of (const char *name)
{
    struct stat about;
    assert_int_equal (stat (at (name), &about), 0);
    return about.st_mode & 07777;
}

static void plan (uint32_t count)
{
    memset (&nodes, 0, sizeof nodes);
    nodes.node_count = count;
    for (uint32_t i = 0; i < count && i < CLUSTER_NODES_MAX; i++) {
        snprintf (nodes.nodes[i].client_endpoint, 64, "tcp://127.0.0.1:%u", 7401 + i);
        snprintf (nodes.nodes[i].peer_endpoint, 64, "tcp://127.0.0.1:%u", 7501 + i);
        snprintf (nodes.nodes[i].gossip_endpoint, 64, "tcp://127.0.0.1:%u", 7601 + i);
    }
}

static void test_identity_files__private_means_private (void **state)
{
    (void) state;
    struct identity_error error;
    char *text = NULL;
    size_t len = 0;
    put ("key", "secret", 0600);
    assert_int_equal (identity_file_read (at ("key"), true, &text, &len, &error), STATUS_OK);
    assert_string_equal (text, "secret");
    assert_int_equal (len, 6);
    identity_file_free (&text, len);
    assert_null (text);
    static const mode_t open_modes[] = {0640, 0604, 0610, 0602, 0644, 0666};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        put ("key", "secret", open_modes[i]);
        assert_int_equal (identity_file_read (at ("key"), true, &text, &len, &error), STATUS_PERMISSION_DENIED);
        char command[IDENTITY_PATH_SIZE + 16];
        snprintf (command, sizeof command, "chmod 600 %s", at ("key"));
        assert_non_null (strstr (error.text, command));
        assert_null (strstr (error.text, "secret\n"));
        assert_int_equal (identity_file_read (at ("key"), false, &text, &len, &error), STATUS_OK);
        identity_file_free (&text, len);
    }
    assert_int_equal (identity_file_read (at ("none"), true, &text, &len, &error), STATUS_NOT_FOUND);
    assert_int_equal (identity_file_read (directory, true, &text, &len, &error), STATUS_PERMISSION_DENIED);
}

static void test_identity_files__writes_whole_and_once (void **state)
{
    (void) state;
    struct identity_error error;
    assert_int_equal (identity_file_write (at ("a"), true, BYTES_LITERAL ("one"), &error), STATUS_OK);
    assert_int_equal (mode_of ("a"), 0600);
    assert_int_equal (identity_file_write (at ("a"), true, BYTES_LITERAL ("two"), &error), STATUS_ALREADY_EXISTS);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal (identity_file_read (at ("a"), true, &text, &len, &error), STATUS_OK);
    assert_string_equal (text, "one");
    identity_file_free (&text, len);
    assert_int_not_equal (access (at ("a.new"), F_OK), 0);
    assert_int_equal (identity_file_write (at ("no/where"), false, BYTES_LITERAL ("x"), &error), STATUS_UNAVAILABLE);
    assert_true (strlen (error.text) > 0);
}

/* ZeroMQ RFC 32's example, and the pair of zmq_curve(7) in both forms. */
static void test_curve_keys__z85_is_golden (void **state)
{
    (void) state;
    static const uint8_t key[CURVE_KEY_BYTES] = {0x8E, 0x0B, 0xDD, 0x69, 0x76, 0x28, 0xB9, 0x1D, 0x8F, 0x24, 0x55, 0x87,
        0xEE, 0x95, 0xC5, 0xB0, 0x4D, 0x48, 0x96, 0x3F, 0x79, 0x25, 0x98, 0x77, 0xB4, 0x9C, 0xD9, 0x06, 0x3A, 0xEA,
        0xD3, 0xB7};
    char text[CURVE_KEY_TEXT_LEN + 1];
    uint8_t back[CURVE_KEY_BYTES];
    curve_key_encode (key, text);
    assert_string_equal (text, "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6");
    assert_int_equal (curve_key_decode (bytes_text (text), back), STATUS_OK);
    assert_memory_equal (back, key, sizeof key);
    assert_int_equal (curve_key_decode (bytes_of (text, 39), back), STATUS_INVALID_ARGUMENT);
    text[3] = '"';
    assert_int_equal (curve_key_decode (bytes_text (text), back), STATUS_INVALID_ARGUMENT);
    /* Five times the largest digit is above 2^32 - 1. */
    assert_int_equal (
        curve_key_decode (BYTES_LITERAL ("#####%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"), back), STATUS_INVALID_ARGUMENT);
}

/* The pairs of zmq_curve(7), and each half with one of our own. */
static void test_curve_keys__refuse_what_everybody_has (void **state)
{
    (void) state;
    static const char *const pairs[][2] = {
        {"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"},
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"},
    };
    struct identity_error error;
    struct curve_keys own, keys;
    assert_int_equal (curve_keys_make (&own), STATUS_OK);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (int halves = 1; halves <= 3; halves++) {
            char text[160];
            snprintf (text, sizeof text, "maitre-curve-key 1\npublic %s\nsecret %s\n",
                halves & 1 ? pairs[i][0] : own.public_text, halves & 2 ? pairs[i][1] : own.secret_text);
            put ("node.secret", text, 0600);
            assert_int_equal (curve_keys_load (&keys, at ("node.secret"), &error), STATUS_INVALID_ARGUMENT);
            assert_non_null (strstr (error.text, "test key"));
        }
        memcpy (keys.public_text, pairs[i][0], sizeof keys.public_text);
        memcpy (keys.secret_text, pairs[i][1], sizeof keys.secret_text);
        assert_false (curve_keys_valid (&keys)); /* though they do belong together */
    }
    assert_false (curve_key_is_published (own.public_text));
}

static void test_curve_keys__save_and_load (void **state)
{
    (void) state;
    struct identity_error error;
    struct curve_keys keys, other, read;
    assert_int_equal (curve_keys_make (&keys), STATUS_OK);
    assert_int_equal (curve_keys_make (&other), STATUS_OK);
    assert_string_not_equal (keys.secret_text, other.secret_text);
    assert_true (curve_keys_valid (&keys));
    assert_int_equal (curve_keys_save (&keys, at ("node.secret"), &error), STATUS_OK);
    assert_int_equal (mode_of ("node.secret"), 0600);
    assert_int_equal (curve_keys_load (&read, at ("node.secret"), &error), STATUS_OK);
    assert_string_equal (read.public_text, keys.public_text);
    assert_string_equal (read.secret_text, keys.secret_text);

    assert_int_equal (chmod (at ("node.secret"), 0644), 0);
    assert_int_equal (curve_keys_load (&read, at ("node.secret"), &error), STATUS_PERMISSION_DENIED);
    memcpy (keys.public_text, other.public_text, sizeof keys.public_text); /* halves that do not belong together */
    assert_false (curve_keys_valid (&keys));
    assert_int_equal (curve_keys_save (&keys, at ("mixed.secret"), &error), STATUS_OK);
    assert_int_equal (curve_keys_load (&read, at ("mixed.secret"), &error), STATUS_INVALID_ARGUMENT);
    put ("cut.secret", "maitre-curve-key 1\npublic ", 0600);
    assert_int_equal (curve_keys_load (&read, at ("cut.secret"), &error), STATUS_INVALID_ARGUMENT);
}

static void test_cluster_files__a_new_cluster_is_complete (void **state)
{
    (void) state;
    struct identity_error error;
    plan (3);
    strcpy (nodes.nodes[1].zone, "east");
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1000, &error), STATUS_OK);
    assert_int_equal (mode_of ("cluster.secret"), 0600);
    assert_int_equal (mode_of ("node-3.secret"), 0600);
    assert_int_equal (mode_of ("cluster.client"), 0600);
    assert_int_equal (mode_of ("admin.token"), 0600);

    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_OK);
    assert_int_equal (loaded.node_count, 3);
    assert_true (id_equal (&loaded.cluster, &nodes.cluster));
    assert_string_equal (loaded.client_public, nodes.client_public);
    for (uint32_t i = 0; i < 3; i++) {
        struct curve_keys keys;
        char name[32];
        uint8_t key[CURVE_KEY_BYTES];
        snprintf (name, sizeof name, "node-%u.secret", i + 1);
        assert_int_equal (curve_keys_load (&keys, at (name), &error), STATUS_OK);
        assert_string_equal (keys.public_text, loaded.nodes[i].public_text);
        assert_memory_equal (&loaded.nodes[i], &nodes.nodes[i], sizeof nodes.nodes[i]);
        assert_int_equal (curve_key_decode (bytes_text (keys.public_text), key), STATUS_OK);
        assert_int_equal (cluster_nodes_find (&loaded, key), i + 1);
        key[0] ^= 1;
        assert_int_equal (cluster_nodes_find (&loaded, key), 0);
    }
    assert_string_equal (loaded.nodes[0].zone, "");

    struct identity *identity = NULL;
    struct identity_claims claims;
    char *token = NULL;
    size_t len = 0;
    assert_int_equal (identity_open (at ("cluster.secret"), 0, &identity, &error), STATUS_OK);
    assert_true (id_equal (identity_cluster (identity), &nodes.cluster));
    assert_int_equal (identity_file_read (at ("admin.token"), true, &token, &len, &error), STATUS_OK);
    assert_int_equal (identity_token_verify (identity, bytes_of (token, len - 1), 5000, &claims, NULL), STATUS_OK);
    assert_int_equal (claims.roles, ROLE_SET_MAX);
    identity_file_free (&token, len);
    identity_destroy (&identity);

    assert_int_equal (cluster_files_create (directory, &nodes, true, 1000, &error), STATUS_ALREADY_EXISTS);
}

static void test_cluster_files__clients_can_check_their_file (void **state)
{
    (void) state;
    struct identity_error error;
    plan (2);
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1000, &error), STATUS_OK);
    uint8_t key[IDENTITY_PUBLIC_KEY_BYTES], other[IDENTITY_PUBLIC_KEY_BYTES] = {9};
    char *text = NULL;
    size_t len = 0;
    assert_int_equal (cluster_public_load (at ("cluster.public"), key, &error), STATUS_OK);
    assert_int_equal (identity_file_read (at ("cluster.client"), true, &text, &len, &error), STATUS_OK);
    assert_int_equal (cluster_client_verify (bytes_of (text, len), key, &error), STATUS_OK);
    assert_int_equal (cluster_client_verify (bytes_of (text, len), other, &error), STATUS_PERMISSION_DENIED);
    assert_non_null (strstr (text, "\nnode 2 tcp://127.0.0.1:7402 "));
    assert_non_null (strstr (text, "\nclient-key "));
    for (size_t i = 0; i < len; i++) {
        text[i] ^= 1;
        /* The case of a hexadecimal digit is not content; a flipped low bit never changes case alone. */
        assert_int_not_equal (cluster_client_verify (bytes_of (text, len), key, NULL), STATUS_OK);
        text[i] ^= 1;
        assert_int_not_equal (cluster_client_verify (bytes_of (text, i), key, NULL), STATUS_OK);
    }
    identity_file_free (&text, len);
}

static void test_cluster_files__without_curve (void **state)
{
    (void) state;
    struct identity_error error;
    plan (1);
    assert_int_equal (cluster_files_create (directory, &nodes, false, 1000, &error), STATUS_OK);
    assert_int_not_equal (access (at ("node-1.secret"), F_OK), 0);
    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_OK);
    assert_string_equal (loaded.nodes[0].public_text, "");
    assert_string_equal (loaded.client_public, "");
    char *text = NULL;
    size_t len = 0;
    assert_int_equal (identity_file_read (at ("cluster.client"), true, &text, &len, &error), STATUS_OK);
    assert_non_null (strstr (text, "\nnode 1 tcp://127.0.0.1:7401 -\nsignature "));
    identity_file_free (&text, len);
}

static void test_cluster_files__refuse_bad_plans (void **state)
{
    (void) state;
    struct identity_error error;
    plan (0);
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1, &error), STATUS_INVALID_ARGUMENT);
    plan (CLUSTER_NODES_MAX + 1);
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1, &error), STATUS_INVALID_ARGUMENT);
    plan (2);
    strcpy (nodes.nodes[1].peer_endpoint, "tcp://a b");
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1, &error), STATUS_INVALID_ARGUMENT);
    plan (2);
    nodes.nodes[0].client_endpoint[0] = '\0';
    assert_int_equal (cluster_files_create (directory, &nodes, true, 1, &error), STATUS_INVALID_ARGUMENT);
    assert_int_not_equal (access (at ("cluster.secret"), F_OK), 0);
    plan (CLUSTER_NODES_MAX); /* the largest fits its files */
    for (uint32_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        struct cluster_member *node = &nodes.nodes[i];
        memset (node->client_endpoint, 'c', CLUSTER_ENDPOINT_BYTES_MAX);
        memset (node->peer_endpoint, 'p', CLUSTER_ENDPOINT_BYTES_MAX);
        memset (node->gossip_endpoint, 'g', CLUSTER_ENDPOINT_BYTES_MAX);
        memset (node->zone, 'z', CLUSTER_ZONE_BYTES_MAX);
    }
    assert_int_equal (cluster_files_create (directory, &nodes, false, 1, &error), STATUS_OK);
    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_OK);
    assert_memory_equal (&loaded, &nodes, sizeof nodes);
}

static void test_cluster_files__refuse_bad_node_lists (void **state)
{
    (void) state;
    static const char head[] = "maitre-nodes 1\ncluster 000102030405060708090a0b0c0d0e0f\nclient-key -\n";
    static const char *const tails[] = {
        "",                                                                            /* no node */
        "node 1 tcp://a tcp://b tcp://c - -",                                          /* cut off */
        "node 2 tcp://a tcp://b tcp://c - -\n",                                        /* a gap */
        "node 1 tcp://a tcp://b tcp://c -\n",                                          /* a word less */
        "node 1 tcp://a tcp://b tcp://c - - -\n",                                      /* a word more */
        "node 1 tcp://a  tcp://b tcp://c - -\n",                                       /* two spaces */
        "node 1 tcp://a tcp://b tcp://c - short\n",                                    /* not a key */
        "node 1 - tcp://b tcp://c - -\n",                                              /* no endpoint */
        "node 1 tcp://a tcp://b tcp://c - rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n", /* published */
        "hello\n",
    };
    struct identity_error error;
    char text[512];
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        snprintf (text, sizeof text, "%s%s", head, tails[i]);
        put ("nodes.conf", text, 0644);
        assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_INVALID_ARGUMENT);
        assert_non_null (strstr (error.text, "nodes.conf"));
    }
    put ("nodes.conf",
        "maitre-nodes 1\ncluster 000102030405060708090a0b0c0d0e0f\n"
        "client-key Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n" /* published */
        "node 1 tcp://a tcp://b tcp://c - -\n",
        0644);
    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_INVALID_ARGUMENT);
    snprintf (text, sizeof text, "%s\n# ours\nnode 1 tcp://a tcp://b tcp://c west -\n", head);
    put ("nodes.conf", text, 0644);
    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_OK);
    assert_string_equal (loaded.nodes[0].zone, "west");
    put ("nodes.conf", "maitre-nodes 2\n", 0644);
    assert_int_equal (cluster_nodes_load (at ("nodes.conf"), &loaded, &error), STATUS_INVALID_ARGUMENT);
}

static void test_identity_files__refuse_bad_secrets (void **state)
{
    (void) state;
    struct identity_error error;
    struct identity *identity = NULL;
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char text[256];
    snprintf (text, sizeof text, "maitre-cluster-secret 1\n%s\n", hex);
    put ("cluster.secret", text, 0600);
    assert_int_equal (identity_open (at ("cluster.secret"), 0, &identity, &error), STATUS_OK);
    identity_destroy (&identity);
    put ("cluster.secret", text, 0640);
    assert_int_equal (identity_open (at ("cluster.secret"), 0, &identity, &error), STATUS_PERMISSION_DENIED);
    text[30] = 'x';
    put ("cluster.secret", text, 0600);
    assert_int_equal (identity_open (at ("cluster.secret"), 0, &identity, &error), STATUS_INVALID_ARGUMENT);
    assert_null (strstr (error.text, "0405060708")); /* a secret is never shown */
    put ("cluster.secret", "", 0600);
    assert_int_equal (identity_open (at ("cluster.secret"), 0, &identity, &error), STATUS_INVALID_ARGUMENT);
    assert_int_equal (identity_open (at ("nothing"), 0, &identity, &error), STATUS_NOT_FOUND);
    assert_null (identity);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_identity_files__private_means_private),
        TEST (test_identity_files__writes_whole_and_once),
        TEST (test_curve_keys__z85_is_golden),
        TEST (test_curve_keys__refuse_what_everybody_has),
        TEST (test_curve_keys__save_and_load),
        TEST (test_cluster_files__a_new_cluster_is_complete),
        TEST (test_cluster_files__clients_can_check_their_file),
        TEST (test_cluster_files__without_curve),
        TEST (test_cluster_files__refuse_bad_plans),
        TEST (test_cluster_files__refuse_bad_node_lists),
        TEST (test_identity_files__refuse_bad_secrets),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
