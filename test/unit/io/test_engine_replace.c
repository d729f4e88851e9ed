/* A node with a lost folder in a running cluster: what it writes down, in which order, and what it refuses afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/failpoint/failpoint.h"
#include "node/placement/placement.h"
#include "node/store/store_log.h"
#include "test/support/engine_fixture.h"

#define SHARDS 4

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;
static uint8_t memory[PLACEMENT_FILE_ARENA_MAX + PLACEMENT_FILE_ENCODED_MAX];

/* By every node's own word: all have met by then. */
static void wait_healthy (void)
{
    static uint8_t rows[65536];
    for (uint32_t node = 1; node <= 3; node++) {
        struct status_request request = {.has_shards = false};
        struct status_reply answer = {.healthy = false};
        uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
        while (!answer.healthy) {
            struct arena arena;
            arena_init (&arena, rows, sizeof rows);
            assert_true (fixture_mono_ms () < until);
            assert_int_equal (
                fixture_call (&fixture, node, METHOD_NUMBER_CLUSTER_STATUS, NULL, &request, &reply), STATUS_OK);
            assert_int_equal (codec_decode (&status_reply_type, bytes_of (reply.body, reply.body_len), CODEC_STRICT,
                                  &arena, &answer, NULL),
                STATUS_OK);
            zmq_poll (NULL, 0, 10);
        }
    }
}

static enum status book (uint32_t node, const struct fixture_offer *offer, uint64_t bucket)
{
    struct id id = fixture_id (&fixture, offer->hash), reservation = fixture_id (&fixture, offer->hash);
    return fixture_book (&fixture, node, offer, bucket, &id, &reservation, &reply);
}

static void wipe (uint32_t node)
{
    char command[96];
    snprintf (command, sizeof command, "rm -rf %s/data-%u", fixture.dir, node);
    assert_int_equal (system (command), 0);
}

static struct placement record (uint32_t node)
{
    static uint8_t kept[PLACEMENT_ENCODED_MAX + 16];
    struct placement_request request = {.unused = 0};
    struct placement_reply answer;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (
        fixture_call (&fixture, node, METHOD_NUMBER_CLUSTER_PLACEMENT, NULL, &request, &reply), STATUS_OK);
    memcpy (kept, reply.body, reply.body_len);
    assert_int_equal (
        codec_decode (&placement_reply_type, bytes_of (kept, reply.body_len), CODEC_STRICT, &arena, &answer, NULL),
        STATUS_OK);
    return answer.placement;
}

static void wait_over (uint32_t node)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (record (node).has_running) {
        assert_true (fixture_mono_ms () < until);
        zmq_poll (NULL, 0, 20);
    }
}

/* The others must have seen its link break, and be up themselves; until then the node is taken to run, or to be needed. */
static void replace (uint32_t node, uint32_t by)
{
    struct replace_node_request request = {.node = node};
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    enum status status;
    do {
        struct id id = fixture_id (&fixture, 0);
        zmq_poll (NULL, 0, 20);
        status = fixture_call (&fixture, by, METHOD_NUMBER_CLUSTER_REPLACE_NODE, &id, &request, &reply);
        assert_true (fixture_mono_ms () < until);
    } while (
        status != STATUS_OK && (fixture_reason (&reply, "NODE_RUNS") || fixture_reason (&reply, "QUORUM_AT_RISK")));
    assert_int_equal (status, STATUS_OK);
}

/* Wiped, replaced, started: it took the record, wrote it down, and wants to start again. */
static void lose_and_replace (uint32_t node, uint32_t by)
{
    fixture_stop (&fixture, node, true);
    wipe (node);
    replace (node, by);
    fixture_start (&fixture, node);
    assert_int_equal (fixture_wait_exit (&fixture, node), ENGINE_EXIT_AGAIN);
}

static enum engine_exit start_in_vain (uint32_t node)
{
    struct engine_error error;
    struct engine *engine = NULL;
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do {
        assert_false (engine_open (&fixture.nodes[node].config, &engine, &error));
        zmq_poll (NULL, 0, 5);
    } while (error.exit == ENGINE_EXIT_PORT && fixture_mono_ms () < until);
    return error.exit;
}

static struct store *open_store (uint32_t node)
{
    struct store_options options = {.cluster = fixture.nodes[node].config.nodes.cluster, .node = node};
    struct store_error error;
    struct store *store = NULL;
    assert_int_equal (store_open (fixture.nodes[node].config.data, &options, &store, NULL, &error), STATUS_OK);
    return store;
}

struct held {
    uint64_t own[SHARDS + 1];
    size_t others;
    uint64_t first;
};

static void note_replica (void *argument, const struct store_replica *row)
{
    struct held *held = argument;
    if (row->replica == held->first + row->shard)
        held->own[row->shard] = row->last_index;
    else
        held->others++;
}

static void note_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    (void) argument, (void) shard, (void) replica, (void) entry;
}

static void look_into (struct store *store, struct held *held)
{
    struct store_recovery visitor = {.argument = held, .replica = note_replica, .entry = note_entry};
    struct store_error error;
    for (int shard = 0; shard <= SHARDS; shard++)
        held->own[shard] = UINT64_MAX;
    assert_int_equal (store_log_recover (store, &visitor, &error), STATUS_OK);
}

static bool founded (struct store *store)
{
    struct placement_file file;
    struct arena arena;
    uint8_t *content;
    size_t len;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (store_file_get (store, "map", &content, &len), STATUS_OK);
    assert_int_equal (
        codec_decode (&placement_file_type, bytes_of (content, len), CODEC_STRICT, &arena, &file, NULL), STATUS_OK);
    free (content);
    return file.founded;
}

static void mark_founded (struct store *store, bool mark)
{
    static uint8_t bytes[PLACEMENT_FILE_ENCODED_MAX];
    struct placement_file file;
    struct arena arena;
    uint8_t *content;
    size_t len;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (store_file_get (store, "map", &content, &len), STATUS_OK);
    assert_int_equal (
        codec_decode (&placement_file_type, bytes_of (content, len), CODEC_STRICT, &arena, &file, NULL), STATUS_OK);
    file.founded = mark;
    assert_int_equal (codec_encode (&placement_file_type, &file, bytes, sizeof bytes, &len), STATUS_OK);
    assert_int_equal (store_file_put (store, "map", bytes_of (bytes, len)), STATUS_OK);
    free (content);
}

static void test_engine_replace__old_replicas_go_new_ones_are_made_once (void **state)
{
    (void) state;
    struct held held = {.first = 0};
    fixture_init (&fixture, 3, SHARDS);
    fixture_start_all (&fixture);
    wait_healthy ();
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (uint64_t bucket = 0; bucket < 20; bucket++)
        assert_int_equal (book (1, &offer, bucket), STATUS_OK);
    lose_and_replace (2, 1);

    /* Crashed right after the record was written down: it holds what it took for its replicas, and nothing new yet. */
    held.first = record (1).nodes[0].first_replica;
    assert_true (held.first > 3 * (SHARDS + 1));
    struct store *store = open_store (2);
    assert_false (founded (store));
    look_into (store, &held);
    assert_int_equal (held.others, SHARDS + 1);
    for (int shard = 0; shard <= SHARDS; shard++)
        assert_int_equal (held.own[shard], UINT64_MAX);
    store_close (&store);

    fixture_start (&fixture, 2);
    wait_over (1);
    assert_int_equal (book (2, &offer, 20), STATUS_OK);
    fixture_stop (&fixture, 2, true);
    held.others = 0;
    store = open_store (2);
    assert_true (founded (store));
    look_into (store, &held);
    assert_int_equal (held.others, 0);
    for (int shard = 0; shard <= SHARDS; shard++)
        assert_true (held.own[shard] != UINT64_MAX && held.own[shard] > 0);
    uint64_t last = held.own[placement_shard (offer.hash, SHARDS)];

    /* Crashed after the replicas were made and before the mark: they are kept as they are. */
    mark_founded (store, false);
    store_close (&store);
    fixture_start (&fixture, 2);
    fixture_stop (&fixture, 1, true); /* 2 is needed for everything now */
    assert_int_equal (book (3, &offer, 21), STATUS_OK);
    assert_int_equal (book (2, &offer, 3), STATUS_FAILED_PRECONDITION);
    fixture_stop (&fixture, 2, true);
    store = open_store (2);
    assert_true (founded (store));
    look_into (store, &held);
    assert_true (held.own[placement_shard (offer.hash, SHARDS)] >= last);
    store_close (&store);
    fixture_close (&fixture);
}

static void test_engine_replace__a_replica_that_is_missing_later_is_not_made_again (void **state)
{
    (void) state;
    struct held held = {.first = 0};
    fixture_init (&fixture, 3, SHARDS);
    fixture_start_all (&fixture);
    wait_healthy ();
    lose_and_replace (2, 3);
    fixture_start (&fixture, 2);
    wait_over (1);
    wait_healthy ();
    fixture_stop (&fixture, 2, true);
    struct store *store = open_store (2);
    struct store_turn *turn = store_turn_new (store);
    struct store_error error;
    held.first = record (1).nodes[0].first_replica;
    look_into (store, &held);
    assert_non_null (turn);
    assert_int_equal (store_turn_remove (turn, 3, held.first + 3), STATUS_OK);
    assert_int_equal (store_turn_commit (turn, &error), STATUS_OK);
    store_turn_destroy (&turn);
    store_close (&store);
    assert_int_equal (start_in_vain (2), ENGINE_EXIT_DAMAGE);

    /* It can be replaced again: a new folder, and ids that nobody had. */
    lose_and_replace (2, 1);
    fixture_start (&fixture, 2);
    wait_over (3);
    assert_true (record (1).nodes[0].first_replica > held.first + SHARDS);
    assert_int_equal (record (1).nodes[0].retired_count, 2);
    fixture_close (&fixture);
}

/* As if it had never heard of the record: an emptied folder that the number belongs to, with replicas under the old ids. */
static void forget_record (uint32_t node)
{
    static const char line[] = "placement 1\n";
    char path[160];
    uint8_t *content;
    size_t len;
    struct store *store = open_store (node);
    assert_int_equal (store_file_get (store, "shape", &content, &len), STATUS_OK);
    assert_true (len > strlen (line) && memcmp (content + len - strlen (line), line, strlen (line)) == 0);
    assert_int_equal (store_file_put (store, "shape", bytes_of (content, len - strlen (line))), STATUS_OK);
    free (content);
    store_close (&store);
    snprintf (path, sizeof path, "%s/data-%u/files/map", fixture.dir, node);
    assert_int_equal (unlink (path), 0);
}

/* R12: they forgot what they promised, and their ids still stand in the shards' configurations. */
static void test_engine_replace__replicas_that_were_given_up_make_no_quorum (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, SHARDS);
    fixture_start_all (&fixture);
    wait_healthy ();
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    assert_int_equal (book (1, &offer, 1), STATUS_OK);
    lose_and_replace (2, 1);
    fixture_stop (&fixture, 3, true);
    forget_record (2);
    for (uint32_t shard = 0; shard <= SHARDS; shard++) {
        while (fixture_leader (&fixture, 1, shard, &reply) != 0)
            zmq_poll (NULL, 0, 20);
    }
    fixture_start (&fixture, 2);
    uint64_t until = fixture_mono_ms () + 3000; /* several elections */
    while (fixture_mono_ms () < until) {
        for (uint32_t shard = 0; shard <= SHARDS; shard++)
            assert_int_equal (fixture_leader (&fixture, 1, shard, &reply), 0);
        zmq_poll (NULL, 0, 50);
    }
    fixture_start (&fixture, 3);
    assert_int_equal (fixture_wait_exit (&fixture, 2), ENGINE_EXIT_AGAIN);
    fixture_start (&fixture, 2);
    wait_over (1);
    assert_int_equal (book (2, &offer, 1), STATUS_FAILED_PRECONDITION);
    assert_int_equal (book (2, &offer, 2), STATUS_OK);
    fixture_close (&fixture);
}

/* What gossip still tells of a folder that was replaced is the first that an empty node hears of that number. It then ignores
 * the node that lives there, which may be the very one that leads the system shard: another one must tell it. */
static void test_engine_replace__an_old_rumour_is_put_right_by_who_knows_the_record (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, SHARDS);
    fixture_start_all (&fixture);
    wait_healthy ();
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    assert_int_equal (book (1, &offer, 1), STATUS_OK);
    fixture_stop (&fixture, 3, true);
    struct store *store = open_store (3);
    struct id old = store_identity (store)->node;
    store_close (&store);
    fixture_start (&fixture, 3);
    lose_and_replace (3, 1);
    fixture_start (&fixture, 3);
    wait_over (1);
    wait_healthy ();
    fixture_make_leader (&fixture, 3, 0, &reply);

    fixture_stop (&fixture, 2, true);
    wipe (2);
    uint8_t peers[4 * ID_SIZE] = {0}; /* node 2 itself, and 1, it has yet to meet */
    memcpy (peers + 3 * ID_SIZE, old.b, ID_SIZE);
    store = open_store (2);
    assert_int_equal (store_file_put (store, "peers", bytes_of (peers, sizeof peers)), STATUS_OK);
    store_close (&store);
    replace (2, 1);
    assert_int_equal (fixture_leader (&fixture, 1, 0, &reply), 3);
    fixture_start (&fixture, 2);
    assert_int_equal (fixture_wait_exit (&fixture, 2), ENGINE_EXIT_AGAIN);
    fixture_start (&fixture, 2);
    wait_over (1);
    wait_healthy ();
    assert_int_equal (book (2, &offer, 1), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

/* Until a node knows that another one's new folder is waited for. */
static void wait_awaited (uint32_t node, uint32_t other)
{
    static uint8_t rows[65536];
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    for (bool awaited = false; !awaited;) {
        struct status_request request = {.has_shards = false};
        struct status_reply status;
        struct arena arena;
        arena_init (&arena, rows, sizeof rows);
        assert_true (fixture_mono_ms () < until);
        assert_int_equal (
            fixture_call (&fixture, node, METHOD_NUMBER_CLUSTER_STATUS, NULL, &request, &reply), STATUS_OK);
        assert_int_equal (codec_decode (&status_reply_type, bytes_of (reply.body, reply.body_len), CODEC_STRICT, &arena,
                              &status, NULL),
            STATUS_OK);
        awaited = status.nodes[other - 1].has_awaited && status.nodes[other - 1].awaited;
    }
}

/* The folder that was refused may be the very one that the replacement waits for: nobody may go on telling it that it is
 * none, also before it has said its first word. */
static void test_engine_replace__a_folder_that_was_refused_may_be_the_new_one (void **state)
{
    (void) state;
    char error[FAILPOINT_ERROR_BYTES];
    struct failpoint_row row;
    fixture_init (&fixture, 3, SHARDS);
    fixture_start_all (&fixture);
    wait_healthy ();
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    fixture_stop (&fixture, 2, true);
    wipe (2);
    fixture_start (&fixture, 2);
    assert_int_equal (fixture_wait_exit (&fixture, 2), ENGINE_EXIT_FOLDER);
    replace (2, 1);
    wait_awaited (1, 2);
    wait_awaited (3, 2);
    assert_int_equal (failpoint_allow ("", error), STATUS_OK); /* they count what passes */
    for (uint64_t until = fixture_mono_ms () + 1500;
         fixture_mono_ms () < until;) { /* once a second, while it was one */
        failpoint_row (FAILPOINT_SEND_NOTICE_BEFORE, &row);
        assert_int_equal (row.hits, 0);
        zmq_poll (NULL, 0, 20);
    }
    fixture_start (&fixture, 2);
    assert_int_equal (fixture_wait_exit (&fixture, 2), ENGINE_EXIT_AGAIN);
    failpoint_row (FAILPOINT_SEND_NOTICE_BEFORE, &row);
    assert_int_equal (row.hits, 0);
    failpoint_forbid ();
    fixture_start (&fixture, 2);
    wait_over (1);
    assert_int_equal (book (2, &offer, 1), STATUS_OK);
    fixture_close (&fixture);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_engine_replace__old_replicas_go_new_ones_are_made_once),
        cmocka_unit_test (test_engine_replace__replicas_that_were_given_up_make_no_quorum),
        cmocka_unit_test (test_engine_replace__an_old_rumour_is_put_right_by_who_knows_the_record),
        cmocka_unit_test (test_engine_replace__a_replica_that_is_missing_later_is_not_made_again),
        cmocka_unit_test_teardown (test_engine_replace__a_folder_that_was_refused_may_be_the_new_one, forbid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
