/* The log in memory against a plain array, and the wire form of messages. */
#include "test/support/raft_rig.h"

#include "node/raft/raft_codec.h"
#include "node/raft/raft_internal.h"

#define MODEL_MAX 4000

struct model {
    uint64_t first, last; /* (first, last] */
    uint64_t terms[MODEL_MAX];
    uint8_t fill[MODEL_MAX];
    size_t lens[MODEL_MAX];
};

static uint64_t next_random (uint64_t *state)
{
    *state = *state * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    return *state >> 33;
}

static void compare (const struct raft_log *log, const struct model *model)
{
    assert_int_equal (log->snapshot_index, model->first);
    assert_int_equal (raft_log_last (log), model->last);
    uint64_t bytes = 0;
    for (uint64_t i = model->first + 1; i <= model->last; i++) {
        const struct raft_entry *entry = raft_log_get (log, i);
        assert_int_equal (entry->index, i);
        assert_int_equal (entry->term, model->terms[i]);
        assert_int_equal (entry->payload.len, model->lens[i]);
        for (size_t j = 0; j < entry->payload.len; j += 37)
            assert_int_equal (entry->payload.data[j], model->fill[i]);
        assert_ptr_equal (entry, raft_log_get (log, model->first + 1) + (i - model->first - 1)); /* one run */
        bytes += entry->payload.len;
    }
    assert_int_equal (raft_log_bytes (log, model->first, model->last), bytes);
    for (uint64_t some = bytes, step = bytes / 3 + 1;; some -= step) {
        uint64_t index = raft_log_before (log, some), behind = raft_log_bytes (log, index, model->last);
        assert_true (behind <= some);
        assert_true (index == model->first || behind + model->lens[index] > some); /* the least one */
        if (some < step)
            break;
    }
    assert_null (raft_log_get (log, model->first));
    assert_null (raft_log_get (log, model->last + 1));
}

static void append (struct raft_log *log, struct model *model, uint64_t *seed)
{
    static uint8_t payload[9000];
    uint64_t index = model->last + 1;
    size_t len = next_random (seed) % 4 == 0 ? 0 : next_random (seed) % (next_random (seed) % 50 == 0 ? 9000 : 200);
    model->terms[index] = raft_log_last_term (log) + (next_random (seed) % 8 == 0 || index == 1);
    model->fill[index] = (uint8_t) next_random (seed);
    model->lens[index] = len;
    memset (payload, model->fill[index], len);
    struct raft_entry entry = {
        .index = index, .term = model->terms[index], .type = RAFT_ENTRY_COMMAND, .payload = bytes_of (payload, len)};
    assert_int_equal (raft_log_append (log, &entry), STATUS_OK);
    model->last = index;
}

/* Append, truncate and compact in any order, as a follower's life goes. */
static void test_raft_log__behaves_like_an_array (void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static struct model model;
        memset (&model, 0, sizeof model);
        struct raft_log log;
        uint64_t random = seed;
        raft_log_init (&log, 0, 0);
        while (model.last < MODEL_MAX - 60) {
            for (uint64_t n = next_random (&random) % 50; n > 0; n--)
                append (&log, &model, &random);
            uint64_t held = model.last - model.first;
            if (next_random (&random) % 3 == 0) {
                model.last -= next_random (&random) % (held / 4 + 1);
                raft_log_truncate (&log, model.last);
            }
            if (next_random (&random) % 3 == 0 && model.last > model.first) {
                model.first += next_random (&random) % (model.last - model.first + 1);
                raft_log_compact (&log, model.first);
                assert_int_equal (raft_log_term (&log, model.first), model.terms[model.first]);
            }
            if (next_random (&random) % 4 == 0)
                compare (&log, &model);
        }
        compare (&log, &model);
        raft_log_close (&log);
    }
}

/* Messages under way point into the log: what is appended later must not move their bytes. */
static void test_raft_log__payloads_stay_where_they_are (void **state)
{
    (void) state;
    struct raft_log log;
    raft_log_init (&log, 0, 0);
    uint8_t payload[100] = {7};
    struct raft_entry entry = {.index = 1, .term = 1, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of (payload, 100)};
    assert_int_equal (raft_log_append (&log, &entry), STATUS_OK);
    const uint8_t *first = raft_log_get (&log, 1)->payload.data;
    for (entry.index = 2; entry.index < 5000; entry.index++)
        assert_int_equal (raft_log_append (&log, &entry), STATUS_OK);
    assert_ptr_equal (raft_log_get (&log, 1)->payload.data, first);
    assert_int_equal (first[0], 7);
    raft_log_close (&log);
}

static void test_raft_log__goes_on_after_a_reset (void **state)
{
    (void) state;
    struct raft_log log;
    struct model *model = calloc (1, sizeof *model);
    uint64_t random = 3;
    raft_log_init (&log, 0, 0);
    for (int i = 0; i < 100; i++)
        append (&log, model, &random);
    raft_log_reset (&log, 500, 90);
    assert_int_equal (raft_log_last (&log), 500);
    assert_int_equal (raft_log_term (&log, 500), 90);
    assert_int_equal (raft_log_bytes (&log, 500, 500), 0);
    model->first = model->last = 500;
    for (int i = 0; i < 100; i++)
        append (&log, model, &random);
    compare (&log, model);
    raft_log_close (&log);
    free (model);
}

/* After a burst the memory goes back, and what is left of the log is as it was; it grows again when it must. */
static void test_raft_log__shrinks_after_a_burst (void **state)
{
    (void) state;
    struct raft_log log;
    raft_log_init (&log, 0, 0);
    uint64_t last = 0;
    for (int round = 0; round < 2; round++) {
        for (uint64_t burst = 0; burst < 40000; burst++) {
            uint8_t payload[8];
            bytes_put_u64 (payload, ++last);
            struct raft_entry entry = {
                .index = last, .term = 1, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of (payload, sizeof payload)};
            assert_int_equal (raft_log_append (&log, &entry), STATUS_OK);
        }
        size_t grown = log.size;
        for (uint64_t keep = 20000; keep > 10; keep /= 2)
            raft_log_compact (&log, last - keep);
        assert_true (log.size < grown);
        assert_true (log.size >= 4096);
        for (uint64_t i = log.snapshot_index + 1; i <= last; i++)
            assert_int_equal (bytes_get_u64 (raft_log_get (&log, i)->payload.data), i);
        assert_int_equal (raft_log_bytes (&log, log.snapshot_index, last), 8 * (last - log.snapshot_index));
    }
    raft_log_close (&log);
}

static void test_raft_log__finds_where_terms_may_match (void **state)
{
    (void) state;
    struct raft_log log;
    const uint64_t terms[] = {2, 2, 4, 4, 7};
    raft_log_init (&log, 10, 2);
    for (uint64_t i = 0; i < 5; i++) {
        struct raft_entry entry = {.index = 11 + i, .term = terms[i], .type = RAFT_ENTRY_NOOP};
        assert_int_equal (raft_log_append (&log, &entry), STATUS_OK);
    }
    assert_int_equal (raft_log_find (&log, 99, 9), 15);
    assert_int_equal (raft_log_find (&log, 15, 6), 14);
    assert_int_equal (raft_log_find (&log, 14, 3), 12);
    assert_int_equal (raft_log_find (&log, 13, 1), 10);
    assert_int_equal (raft_log_find (&log, 5, 1), 5);
    raft_log_close (&log);
}

/* An entry at another place, of another shard or term, is not this entry. */
static void test_raft_log__checksum_covers_where_it_belongs (void **state)
{
    (void) state;
    struct raft_entry entry = {
        .index = 3, .term = 2, .type = RAFT_ENTRY_COMMAND, .payload = BYTES_LITERAL ("two at eight")};
    uint64_t sum = raft_entry_checksum (1, &entry);
    struct raft_entry others[4] = {entry, entry, entry, entry};
    others[0].index = 4;
    others[1].term = 3;
    others[2].type = RAFT_ENTRY_NOOP;
    others[3].payload = BYTES_LITERAL ("two at nine ");
    assert_int_equal (raft_entry_checksum (1, &entry), sum);
    assert_int_not_equal (raft_entry_checksum (2, &entry), sum);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal (raft_entry_checksum (1, &others[i]), sum);
}

static void round_trip (const struct raft_message *message)
{
    static struct raft_wire_entry wire_entries[RAFT_MESSAGE_ENTRIES_MAX];
    static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    static uint64_t memory[(RAFT_WIRE_MESSAGE_ARENA_MAX + 7) / 8];
    static uint8_t bytes[65536];
    struct raft_wire_message wire, back;
    struct raft_message out;
    struct arena arena;
    size_t len;
    raft_codec_to_wire (message, &wire, wire_entries);
    assert_int_equal (codec_encode (&raft_wire_message_type, &wire, bytes, sizeof bytes, &len), STATUS_OK);
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (
        codec_decode (&raft_wire_message_type, bytes_of (bytes, len), CODEC_STRICT, &arena, &back, NULL), STATUS_OK);
    assert_int_equal (raft_codec_from_wire (&back, &out, entries), STATUS_OK);
    assert_int_equal (out.count, message->count);
    for (uint32_t i = 0; i < out.count; i++) {
        assert_int_equal (out.entries[i].index, message->entries[i].index);
        assert_int_equal (out.entries[i].term, message->entries[i].term);
        assert_int_equal (out.entries[i].type, message->entries[i].type);
        assert_int_equal (out.entries[i].checksum, message->entries[i].checksum);
        assert_true (bytes_equal (out.entries[i].payload, message->entries[i].payload));
    }
    out.entries = message->entries;
    assert_int_equal (out.shard, message->shard);
    assert_int_equal (out.type, message->type);
    assert_int_equal (out.flags, message->flags);
    assert_int_equal (out.from, message->from);
    assert_int_equal (out.to, message->to);
    assert_int_equal (out.term, message->term);
    assert_int_equal (out.index, message->index);
    assert_int_equal (out.log_term, message->log_term);
    assert_int_equal (out.commit, message->commit);
    assert_int_equal (out.hint, message->hint);
    assert_int_equal (out.round, message->round);
    assert_int_equal (out.session, message->session);
}

static void test_raft_log__messages_survive_the_wire (void **state)
{
    (void) state;
    struct raft_entry entries[3] = {rig_entry (8, 2, "first"), rig_entry (9, 3, NULL), rig_entry (10, 3, "third")};
    struct raft_message full = {.shard = 64,
        .type = RAFT_APPEND,
        .flags = 7,
        .from = UINT64_MAX,
        .to = 1,
        .term = 9,
        .index = 7,
        .log_term = 2,
        .commit = 6,
        .hint = 5,
        .round = 4,
        .session = 3,
        .entries = entries,
        .count = 3};
    struct raft_message bare = {.type = RAFT_PREVOTE, .from = 1, .to = 2, .term = 1};
    round_trip (&full);
    round_trip (&bare);
}

static void test_raft_log__wire_index_must_not_overflow (void **state)
{
    (void) state;
    struct raft_wire_message wire = {.type = RAFT_APPEND, .from = 1, .to = 2, .term = 1, .index = UINT64_MAX - 3};
    struct raft_message message;
    assert_int_equal (raft_codec_from_wire (&wire, &message, NULL), STATUS_INVALID_ARGUMENT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_log__behaves_like_an_array),
        cmocka_unit_test (test_raft_log__payloads_stay_where_they_are),
        cmocka_unit_test (test_raft_log__goes_on_after_a_reset),
        cmocka_unit_test (test_raft_log__shrinks_after_a_burst),
        cmocka_unit_test (test_raft_log__finds_where_terms_may_match),
        cmocka_unit_test (test_raft_log__checksum_covers_where_it_belongs),
        cmocka_unit_test (test_raft_log__messages_survive_the_wire),
        cmocka_unit_test (test_raft_log__wire_index_must_not_overflow),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
