/* The pure rooms without memory: each allocation fails once. A constructor says so and leaves nothing; a step either refuses
 * cleanly, or the process ends at one of the assertions that say "there is no going on" (node/README.md, Memory). Whoever
 * goes on is checked by the world's oracles: equal states, nothing acknowledged lost, no call forgotten.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/gossip/gossip.h"
#include "node/raft/raft.h"
#include "router/ring/ring.h"
#include "router/route/route.h"
#include "router/route/route_admission.h"
#include "test/support/alloc_try.h"
#include "test/support/shard_world.h"

/* ---- scenarios */

static void make_raft (void **state)
{
    (void) state;
    struct raft_configuration members = {0};
    struct raft_entry entries[40];
    assert_true (raft_configuration_set (&members, (struct raft_member){.replica = 1, .node = 1, .roles = RAFT_VOTER}));
    for (uint64_t i = 0; i < 40; i++) {
        entries[i] = (struct raft_entry){
            .index = i + 1, .term = 1, .type = RAFT_ENTRY_COMMAND, .payload = BYTES_LITERAL ("something to remember")};
        entries[i].checksum = raft_entry_checksum (1, &entries[i]);
    }
    struct raft_stored stored = {.term = 1, .configuration = &members, .entries = entries, .entries_count = 40};
    struct raft_options options = {.shard = 1, .replica = 1, .session = 1};
    struct raft *raft = NULL;
    alloc_fault_at (alloc_failing);
    enum status status = raft_new (&options, &stored, 1000, &raft);
    assert_int_equal (status, alloc_fault_fired () ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK);
    assert_true ((raft == NULL) == alloc_fault_fired ());
    raft_destroy (&raft);
}

static void make_gossip (void **state)
{
    (void) state;
    struct gossip_config config;
    gossip_config_default (&config);
    config.cluster = (struct id){{1}};
    config.uuid = (struct id){{2}};
    config.node = 1;
    config.incarnation = 1;
    config.gossip_endpoint = config.peer_endpoint = config.client_endpoint = BYTES_LITERAL ("tcp://10.0.0.1:7000");
    struct gossip *gossip = NULL;
    alloc_fault_at (alloc_failing);
    struct gossip_effects *effects = gossip_effects_new ();
    enum status status = effects == NULL ? STATUS_RESOURCE_EXHAUSTED : gossip_new (&config, &gossip);
    assert_int_equal (status, alloc_fault_fired () ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK);
    gossip_destroy (&gossip);
    gossip_effects_destroy (&effects);
}

static void make_routes (void **state)
{
    (void) state;
    struct ring_member members[5];
    for (uint32_t i = 0; i < 5; i++)
        members[i] = (struct ring_member){.node = i + 1, .uuid = {{(uint8_t) (i + 1)}}, .weight = 1};
    struct ring ring;
    struct route_map map = {0};
    struct route_admission *admission = NULL;
    struct route_limits limits = {.rate_per_s = 100, .queue_max = 100};
    alloc_fault_at (alloc_failing);
    enum status status = ring_build (members, 5, 64, 3, 1, &ring);
    bool built = status == STATUS_OK;
    if (built)
        status = route_map_init (&map, 64);
    bool mapped = built && status == STATUS_OK;
    if (mapped)
        status = route_admission_new (&limits, &admission);
    assert_int_equal (status, alloc_fault_fired () ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK);
    if (built)
        ring_close (&ring);
    if (mapped)
        route_map_close (&map);
    route_admission_destroy (&admission);
}

static void make_shard (void **state)
{
    (void) state;
    static struct shard_world world;
    static const struct shard_snapshot_ops none = {0};
    struct shard_world *w = &world;
    shard_world_init (w, &(struct shard_world_options){.seed = 3});
    struct shard_world_node *node = &w->nodes[1];
    (void) shard_world_offer (w, 10);
    shard_world_run (w, 50);
    struct raft_stored stored = {.term = node->term,
        .configuration = &node->base,
        .entries = node->entries,
        .entries_count = node->entries_count};
    struct state_map map;
    state_map_init (&map);
    struct shard_config config = {.services = w->ids.config,
        .raft = {.shard = WORLD_SHARD, .replica = node->replica, .session = 9},
        .stored = &stored,
        .state = state_map_state (&map),
        .scratch = &w->scratch,
        .snapshot_ops = &none};
    struct shard *shard = NULL;
    alloc_fault_at (alloc_failing);
    enum status status = shard_new (&config, 1000, &shard);
    assert_int_equal (status, alloc_fault_fired () ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK);
    assert_true ((shard == NULL) == alloc_fault_fired ());
    shard_destroy (&shard);
    state_map_close (&map);
    shard_world_close (w);
}

/* Three replicas under writes, reads, repeats, a leader's crash and a snapshot; calls may be refused, never forgotten. */
static void run_shard (void **state)
{
    (void) state;
    static struct shard_world world;
    struct shard_world *w = &world;
    uint64_t tokens[64];
    unsigned count = 0;
    shard_world_init (w, &(struct shard_world_options){.seed = 3});
    struct id offer = shard_world_offer (w, 10);
    alloc_fault_at (alloc_failing);
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 30; i++)
        tokens[count++] = shard_world_book (w, leader, &offer, i % 9, RESERVE_MODE_BOOK, NULL);
    shard_world_run (w, 60);
    shard_world_crash (w, leader);
    uint32_t next = shard_world_elect (w);
    for (unsigned i = 0; i < 20; i++)
        tokens[count++] = shard_world_book (w, next, &offer, i % 9, RESERVE_MODE_HOLD, NULL);
    shard_world_run (w, 60);
    shard_world_write_back (w, next, 0);
    alloc_fault_pause (true); /* make_shard has what a start allocates */
    shard_world_start (w, leader);
    alloc_fault_pause (false);
    shard_world_run (w, 400);
    for (unsigned i = 0; i < count; i++)
        (void) shard_world_wait (w, tokens[i]);
    alloc_fault_pause (true); /* the oracle recounts all stock */
    shard_world_settle (w);
    shard_world_close (w);
}

static const struct alloc_scenario scenarios[] = {{"raft_new", make_raft}, {"gossip_new", make_gossip},
    {"routes", make_routes}, {"shard_new", make_shard}, {"shard", run_shard}};

static void test_alloc_pure__raft_new (void **state)
{
    (void) state;
    alloc_try_all ("raft_new");
}

static void test_alloc_pure__gossip_new (void **state)
{
    (void) state;
    alloc_try_all ("gossip_new");
}

static void test_alloc_pure__ring_and_routes (void **state)
{
    (void) state;
    alloc_try_all ("routes");
}

static void test_alloc_pure__shard_new (void **state)
{
    (void) state;
    alloc_try_all ("shard_new");
}

static void test_alloc_pure__shards_in_service (void **state)
{
    (void) state;
    alloc_try_all ("shard");
}

int main (int argc, char **argv)
{
    if (argc == 4 && strcmp (argv[1], "--child") == 0)
        return alloc_try_child (scenarios, sizeof scenarios / sizeof *scenarios, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_alloc_pure__raft_new),
        cmocka_unit_test (test_alloc_pure__gossip_new),
        cmocka_unit_test (test_alloc_pure__ring_and_routes),
        cmocka_unit_test (test_alloc_pure__shard_new),
        cmocka_unit_test (test_alloc_pure__shards_in_service),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
