#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "node/failpoint/failpoint.h"
#include "test/support/engine_fixture.h"

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

static enum status book (uint32_t node, const struct fixture_offer *offer, uint64_t bucket)
{
    struct id id = fixture_id (&fixture, offer->hash), reservation = fixture_id (&fixture, offer->hash);
    return fixture_book (&fixture, node, offer, bucket, &id, &reservation, &reply);
}

static uint32_t wait_leader (uint32_t node, uint32_t shard, uint32_t not_node)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    uint32_t leader;
    while ((leader = fixture_leader (&fixture, node, shard, &reply)) == 0 || leader == not_node) {
        assert_true (fixture_mono_ms () < until);
        zmq_poll (NULL, 0, 5);
    }
    return leader;
}

static void test_engine_cluster__any_node_answers_and_names_the_leader (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 4);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (uint32_t node = 1; node <= 3; node++) {
        assert_int_equal (book (node, &offer, node), STATUS_OK);
        uint32_t leader = fixture_leader (&fixture, node, placement_shard (offer.hash, 4), &reply);
        if (leader == node)
            assert_false (reply.header.has_leader);
    }
    for (uint32_t node = 1; node <= 3; node++)
        assert_int_equal (book (node, &offer, 2), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static void test_engine_cluster__one_hop_only (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 4);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    uint32_t shard = placement_shard (offer.hash, 4);
    struct catalog_get_request get = {.id = offer.offer};
    uint8_t body[64];
    size_t len;
    assert_int_equal (codec_encode (&catalog_get_request_type, &get, body, sizeof body, &len), STATUS_OK);
    struct request_header header = {.method = BYTES_LITERAL ("catalog.Get"), .has_hops = true, .hops = 1};
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    bool named = false;
    while (!named && fixture_mono_ms () < until) { /* the leader may be another by the time of the call */
        uint32_t leader = wait_leader (1, shard, 0), other = leader % 3 + 1;
        wait_leader (other, shard, 0);
        assert_true (fixture_exchange (&fixture, other, &header, bytes_of (body, len), &reply, FIXTURE_WAIT_MS));
        named = reply.header.status == STATUS_UNAVAILABLE && fixture_reason (&reply, "NOT_LEADER") &&
                reply.header.has_leader &&
                bytes_equal (
                    reply.header.leader, bytes_text (fixture.nodes[1].config.nodes.nodes[leader - 1].client_endpoint));
    }
    assert_true (named);
    fixture_close (&fixture);
}

static void test_engine_cluster__leadership_moves_on_request (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 4);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    uint32_t shard = placement_shard (offer.hash, 4);
    uint32_t leader = wait_leader (1, shard, 0);
    struct transfer_leader_request transfer = {.shard = shard, .has_node = true, .node = leader % 3 + 1};
    enum status status;
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do /* it goes back by itself after some seconds: on a slow machine before it is looked for */
        status = fixture_call (&fixture, 1, METHOD_NUMBER_CLUSTER_TRANSFER_LEADER, NULL, &transfer, &reply);
    while ((status != STATUS_OK || fixture_leader (&fixture, leader, shard, &reply) != leader % 3 + 1) &&
           fixture_mono_ms () < until);
    assert_int_equal (status, STATUS_OK);
    assert_true (fixture_mono_ms () < until);
    for (uint32_t node = 1; node <= 3; node++)
        assert_int_equal (book (node, &offer, node), STATUS_OK);
    fixture_close (&fixture);
}

static void test_engine_cluster__survives_any_one_node (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 4);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    uint64_t bucket = 0;
    for (uint32_t node = 1; node <= 3; node++) {
        fixture_stop (&fixture, node, node != 2);
        for (uint32_t other = 1; other <= 3; other++) {
            if (other != node)
                assert_int_equal (book (other, &offer, bucket++), STATUS_OK);
        }
        fixture_start (&fixture, node);
        assert_int_equal (book (node, &offer, bucket++), STATUS_OK);
    }
    for (uint64_t taken = 0; taken < bucket; taken++)
        assert_int_equal (book (1 + (uint32_t) taken % 3, &offer, taken), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static size_t list_page (uint32_t node, uint64_t size, uint8_t *token, size_t *token_len)
{
    static uint8_t memory[4 * 1024 * 1024];
    struct arena arena;
    struct catalog_list_request list = {.has_page_size = true,
        .page_size = size,
        .has_page_token = *token_len > 0,
        .page_token = bytes_of (token, *token_len)};
    struct catalog_list_reply page;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (fixture_call (&fixture, node, METHOD_NUMBER_CATALOG_LIST, NULL, &list, &reply), STATUS_OK);
    assert_int_equal (codec_decode (&catalog_list_reply_type, bytes_of (reply.body, reply.body_len), CODEC_STRICT,
                          &arena, &page, NULL),
        STATUS_OK);
    *token_len = page.has_page_token ? page.page_token.len : 0;
    if (*token_len > 0)
        memcpy (token, page.page_token.data, *token_len);
    return page.offers_count;
}

static void test_engine_cluster__lists_merge_all_shards_page_by_page (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 16);
    fixture_start_all (&fixture);
    for (int i = 0; i < 30; i++) {
        char group[16];
        snprintf (group, sizeof group, "group %d", i);
        fixture_offer_new (&fixture, 1 + (uint32_t) i % 3, group, 1);
    }
    static const uint64_t sizes[] = {1, 4, 7, 30, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t token[600];
        size_t token_len = 0, total = 0, pages = 0;
        do {
            size_t count = list_page (1 + (uint32_t) (i % 3), sizes[i], token, &token_len);
            assert_true (count <= sizes[i]);
            total += count;
            pages++;
        } while (token_len > 0 && pages < 100);
        assert_int_equal (total, 30);
    }
    fixture_close (&fixture);
}

static void test_engine_cluster__a_node_far_behind_is_filled_by_snapshots (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 2);
    for (uint32_t node = 1; node <= 3; node++)
        fixture.nodes[node].config.limits.flush_ms = 20;
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    fixture_stop (&fixture, 3, true);
    for (uint64_t bucket = 0; bucket < 300; bucket++)
        assert_int_equal (book (1 + (uint32_t) bucket % 2, &offer, bucket), STATUS_OK);
    /* Two rounds of write-back later the logs no longer reach back to where node 3 stopped. */
    for (uint64_t bucket = 300; bucket < 330; bucket++) {
        zmq_poll (NULL, 0, 30);
        assert_int_equal (book (1, &offer, bucket), STATUS_OK);
    }
    fixture_start (&fixture, 3);
    /* It must hold everything by itself: with node 1 down it is half of the majority. */
    assert_int_equal (book (3, &offer, 1000), STATUS_OK);
    fixture_stop (&fixture, 1, false);
    assert_int_equal (book (3, &offer, 1001), STATUS_OK);
    for (uint64_t bucket = 0; bucket < 330; bucket += 7)
        assert_int_equal (book (3, &offer, bucket), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static uint64_t suspects; /* as of the last shards_seen */

static void shards_seen (uint32_t node, uint64_t *leaderless, uint64_t *led, bool *healthy)
{
    struct status_reply status = fixture_status (&fixture, node, &reply);
    *leaderless = status.leaderless;
    *healthy = status.has_healthy && status.healthy;
    *led = suspects = 0;
    for (size_t i = 0; i < status.shards_count; i++) {
        *led += status.shards[i].leader != 0;
        suspects += status.shards[i].has_suspect && status.shards[i].suspect;
    }
}

/* Until one node has heard of another, or has met it: from then on it knows the other's data folder. */
static void wait_heard (uint32_t node, uint32_t other)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    static const struct id nobody;
    for (bool heard = false; !heard;) {
        assert_true (fixture_mono_ms () < until);
        struct status_reply status = fixture_status (&fixture, node, &reply);
        for (size_t i = 0; i < status.nodes_count; i++)
            heard |= status.nodes[i].node == other && !id_equal (&status.nodes[i].uuid, &nobody);
    }
}

static void wait_seen (uint32_t node, uint32_t other, bool alive)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    for (bool seen = false; !seen;) {
        assert_true (fixture_mono_ms () < until);
        struct status_reply status = fixture_status (&fixture, node, &reply);
        for (size_t i = 0; i < status.nodes_count; i++)
            seen |= status.nodes[i].node == other && alive == (status.nodes[i].state <= NODE_STATE_SUSPECT);
    }
}

static void test_engine_cluster__an_emptied_folder_is_not_taken_for_the_old_one (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 2);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (uint32_t node = 1; node <= 3; node++)
        assert_int_equal (book (node, &offer, node), STATUS_OK);
    /* Two followers have nothing to say to each other: one that has never heard of this one would believe any folder. */
    wait_seen (1, 3, true);
    wait_seen (2, 3, true);
    fixture_stop (&fixture, 3, true);
    char command[160];
    snprintf (command, sizeof command, "rm -rf %s/data-3", fixture.dir);
    assert_int_equal (system (command), 0);
    assert_int_equal (book (1, &offer, 10), STATUS_OK);
    /* With node 2 gone nobody may count the empty node 3: no majority, so no answer but "unavailable". One of the others
     * is no majority of them either: node 3 runs on. */
    fixture_stop (&fixture, 2, true);
    fixture_start (&fixture, 3);
    struct reserve_item item = {.offer = offer.offer, .first = 11};
    struct reserve_create_request request = {
        .reservation = fixture_id (&fixture, offer.hash), .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    uint8_t body[256];
    size_t len;
    assert_int_equal (codec_encode (&reserve_create_request_type, &request, body, sizeof body, &len), STATUS_OK);
    struct request_header header = {.method = BYTES_LITERAL ("reserve.Create"),
        .has_request_id = true,
        .request_id = fixture_id (&fixture, offer.hash),
        .has_token = true,
        .token = bytes_text (fixture.admin),
        .has_remaining_ms = true,
        .remaining_ms = 1500};
    uint64_t until = fixture_mono_ms () + 2000; /* longer than any election takes */
    while (fixture_mono_ms () < until) {
        if (fixture_exchange (&fixture, 1, &header, bytes_of (body, len), &reply, 3000))
            assert_int_not_equal (reply.header.status, STATUS_OK);
        zmq_poll (NULL, 0, 20);
    }
    assert_int_equal (pthread_tryjoin_np (fixture.nodes[3].thread, NULL), EBUSY);
    fixture_start (&fixture, 2);
    /* Both say that it is another: it stops. */
    assert_int_equal (fixture_wait_exit (&fixture, 3), ENGINE_EXIT_FOLDER);
    assert_int_equal (book (1, &offer, 12), STATUS_OK);
    assert_int_equal (book (1, &offer, 1), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static void test_engine_cluster__who_was_away_learns_whose_folder_it_was (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 2);
    fixture_start (&fixture, 1);
    fixture_start (&fixture, 3);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    wait_seen (1, 3, true);
    assert_int_equal (book (1, &offer, 1), STATUS_OK);
    fixture_stop (&fixture, 3, true);
    char command[160];
    snprintf (command, sizeof command, "rm -rf %s/data-3", fixture.dir);
    assert_int_equal (system (command), 0);
    wait_seen (1, 3, false);
    /* Node 2 was never up together with node 3. It hears from node 1 whom it missed. */
    fixture_start (&fixture, 2);
    wait_heard (2, 3);
    fixture_start (&fixture, 3);
    assert_int_equal (fixture_wait_exit (&fixture, 3), ENGINE_EXIT_FOLDER);
    assert_int_equal (book (1, &offer, 1), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

/* What the nodes say from here on goes into a file; returns the old descriptor. */
static int log_begin (void)
{
    char path[96];
    fflush (stderr);
    snprintf (path, sizeof path, "%s/log", fixture.dir);
    int old = dup (STDERR_FILENO), file = open (path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true (old >= 0 && file >= 0);
    assert_int_equal (dup2 (file, STDERR_FILENO), STDERR_FILENO);
    close (file);
    return old;
}

static void log_end (int old)
{
    dup2 (old, STDERR_FILENO);
    close (old);
}

static unsigned log_count (const char *words)
{
    char path[96], line[2048];
    unsigned count = 0;
    snprintf (path, sizeof path, "%s/log", fixture.dir);
    FILE *file = fopen (path, "r");
    assert_non_null (file);
    while (fgets (line, sizeof line, file) != NULL)
        count += strstr (line, words) != NULL;
    fclose (file);
    return count;
}

/* Which node leads that shard when nothing is wrong. */
static uint32_t home_of (uint32_t shard)
{
    return (uint32_t) fixture_status (&fixture, 1, &reply).shards[shard].replicas[0].node;
}

/* One node leads everything, so that the emptied one speaks to it alone, and one of two is no majority. The third, to which it
 * says no word, must tell it as well, and more than once, for the first times are lost. */
static void test_engine_cluster__an_emptied_folder_hears_of_it_from_those_it_does_not_speak_to (void **state)
{
    (void) state;
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    char command[160], error[FAILPOINT_ERROR_BYTES];
    fixture_init (&fixture, 3, 1);
    fixture_start_all (&fixture);
    for (uint32_t node = 1; node <= 3; node++) {
        wait_seen (node, node % 3 + 1, true);
        wait_seen (node, (node + 1) % 3 + 1, true);
    }
    /* What the emptied one would lead stays where it is, for it gets nothing handed back. */
    uint32_t emptied = home_of (1), leader = home_of (0) != emptied ? home_of (0) : emptied % 3 + 1;
    fixture_stop (&fixture, emptied, true);
    snprintf (command, sizeof command, "rm -rf %s/data-%u", fixture.dir, emptied);
    assert_int_equal (system (command), 0);
    for (uint32_t shard = 0; shard <= 1; shard++)
        fixture_make_leader (&fixture, leader, shard, &reply);
    int old = log_begin ();
    assert_int_equal (failpoint_allow ("send.notice.before=drop", error), STATUS_OK);
    fixture_start (&fixture, emptied);
    while (log_count ("a node speaks from another data folder") < 2) {
        assert_true (fixture_mono_ms () < until);
        zmq_poll (NULL, 0, 5);
    }
    for (uint32_t shard = 0; shard <= 1; shard++) /* before, it asks everybody for votes */
        assert_int_equal (wait_leader (emptied, shard, 0), leader);
    assert_int_equal (pthread_tryjoin_np (fixture.nodes[emptied].thread, NULL), EBUSY); /* nobody told it */
    failpoint_forbid ();
    enum engine_exit code = fixture_wait_exit (&fixture, emptied);
    log_end (old);
    assert_int_equal (code, ENGINE_EXIT_FOLDER);
    fixture_close (&fixture);
}

static void test_engine_cluster__without_a_majority_no_leader_is_named (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 4);
    fixture_start_all (&fixture);
    uint64_t leaderless, led;
    bool healthy;
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do {
        assert_true (fixture_mono_ms () < until);
        shards_seen (1, &leaderless, &led, &healthy);
    } while (!healthy);
    assert_int_equal (leaderless, 0);
    assert_int_equal (led, 5);
    fixture_stop (&fixture, 2, true);
    fixture_stop (&fixture, 3, true);
    until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do {
        assert_true (fixture_mono_ms () < until);
        shards_seen (1, &leaderless, &led, &healthy);
    } while (leaderless != 5);
    assert_int_equal (led, 0);
    assert_false (healthy);
    fixture_close (&fixture);
}

static void lead (uint32_t shard, uint32_t node)
{
    struct transfer_leader_request transfer = {.shard = shard, .has_node = true, .node = node};
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (fixture_leader (&fixture, node, shard, &reply) != node) {
        assert_true (fixture_mono_ms () < until);
        fixture_call (&fixture, 1, METHOD_NUMBER_CLUSTER_TRANSFER_LEADER, NULL, &transfer, &reply);
    }
}

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

static void test_engine_cluster__rotten_state_is_mended_by_the_others (void **state)
{
    (void) state;
    uint64_t leaderless, led, booked = 0;
    bool healthy;
    char error[FAILPOINT_ERROR_BYTES];
    struct failpoint_row over = {.hits = 0};
    fixture_init (&fixture, 3, 1);
    assert_int_equal (failpoint_allow ("", error), STATUS_OK); /* they count what passes */
    for (uint32_t node = 1; node <= 3; node++)
        fixture.nodes[node].config.limits.flush_ms = 20;
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (; booked < 200; booked++) /* many write-backs: the logs are cut */
        assert_int_equal (book (1 + (uint32_t) booked % 3, &offer, booked), STATUS_OK);
    for (int round = 0; round < 2; round++) {
        fixture_stop (&fixture, 3, true);
        fixture_rot_state (&fixture, 3, round == 1);
        for (int i = 0; i < 20; i++)
            assert_int_equal (book (1, &offer, booked++), STATUS_OK);
        uint64_t before = over.hits;
        fixture_start (&fixture, 3);
        failpoint_row (FAILPOINT_START_OVER_AFTER, &over);
        assert_true (over.hits > before); /* empty, and suspect until it is filled */
        uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
        do {
            assert_true (fixture_mono_ms () < until);
            shards_seen (3, &leaderless, &led, &healthy);
        } while (suspects > 0);
    }
    lead (1, 3);
    for (uint64_t bucket = 0; bucket < booked; bucket++)
        assert_int_equal (book (3, &offer, bucket), STATUS_FAILED_PRECONDITION);
    /* It counts again: with node 1 gone it is half of the majority. */
    fixture_stop (&fixture, 1, true);
    assert_int_equal (book (3, &offer, booked), STATUS_OK);
    /* Nothing rotten is left that a compaction could meet. */
    fixture_stop (&fixture, 3, true);
    fixture_start (&fixture, 3);
    shards_seen (3, &leaderless, &led, &healthy);
    assert_int_equal (suspects, 0);
    assert_int_equal (book (3, &offer, booked), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static bool has_state (uint32_t node)
{
    char path[160];
    glob_t found;
    snprintf (path, sizeof path, "%s/data-%u/state/*.sst", fixture.dir, node);
    bool any = glob (path, 0, NULL, &found) == 0;
    globfree (&found);
    return any;
}

/* A disk that said "synced" and was not: the state knows of entries of which nothing is left in the log. */
static void test_engine_cluster__a_log_that_is_lost_whole_is_filled_by_the_others (void **state)
{
    (void) state;
    uint64_t leaderless, led, booked = 0;
    bool healthy;
    char command[160];
    fixture_init (&fixture, 3, 1);
    for (uint32_t node = 1; node <= 3; node++)
        fixture.nodes[node].config.limits.flush_ms = 20;
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (booked < 20 || !has_state (3)) {
        assert_true (fixture_mono_ms () < until);
        assert_int_equal (book (1, &offer, booked++), STATUS_OK);
    }
    fixture_stop (&fixture, 3, true);
    snprintf (command, sizeof command, "truncate -s 0 %s/data-3/log/*.log", fixture.dir);
    assert_int_equal (system (command), 0);
    fixture_start (&fixture, 3);
    until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do {
        assert_true (fixture_mono_ms () < until);
        shards_seen (3, &leaderless, &led, &healthy);
    } while (suspects > 0);
    fixture_stop (&fixture, 1, true);
    for (uint64_t bucket = 0; bucket < booked; bucket++)
        assert_int_equal (book (3, &offer, bucket), STATUS_FAILED_PRECONDITION);
    assert_int_equal (book (3, &offer, booked), STATUS_OK);
    /* Its write-backs go on from where it is now. */
    fixture_stop (&fixture, 3, true);
    fixture_start (&fixture, 3);
    assert_int_equal (book (3, &offer, booked), STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

int main (void)
{
    event_log_setup (getenv ("VERBOSE") != NULL ? EVENT_LOG_INFO : EVENT_LOG_ERROR, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_engine_cluster__any_node_answers_and_names_the_leader),
        cmocka_unit_test (test_engine_cluster__one_hop_only),
        cmocka_unit_test (test_engine_cluster__leadership_moves_on_request),
        cmocka_unit_test (test_engine_cluster__survives_any_one_node),
        cmocka_unit_test (test_engine_cluster__lists_merge_all_shards_page_by_page),
        cmocka_unit_test (test_engine_cluster__a_node_far_behind_is_filled_by_snapshots),
        cmocka_unit_test (test_engine_cluster__without_a_majority_no_leader_is_named),
        cmocka_unit_test_teardown (test_engine_cluster__rotten_state_is_mended_by_the_others, forbid),
        cmocka_unit_test (test_engine_cluster__a_log_that_is_lost_whole_is_filled_by_the_others),
        cmocka_unit_test (test_engine_cluster__an_emptied_folder_is_not_taken_for_the_old_one),
        cmocka_unit_test_teardown (
            test_engine_cluster__an_emptied_folder_hears_of_it_from_those_it_does_not_speak_to, forbid),
        cmocka_unit_test (test_engine_cluster__who_was_away_learns_whose_folder_it_was),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
