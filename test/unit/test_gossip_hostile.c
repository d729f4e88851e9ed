/* Whatever bytes arrive: decode and step never crash, the invariants hold, the bounds hold (S4). */
#include "test/support/gossip_fixture.h"

static uint64_t random_state;

static uint64_t next_random (void)
{
    uint64_t x = random_state += UINT64_C (0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C (0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t below (uint64_t bound)
{
    return next_random () % bound;
}

/* Decodes strictly, as the transport does, and steps when that succeeds. True when it was a message. */
static bool feed (struct fixture *f, const uint8_t *bytes, size_t len)
{
    static uint64_t memory[GOSSIP_MESSAGE_ARENA_MAX / sizeof (uint64_t) + 2];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    struct gossip_message message;
    if (codec_decode (&gossip_message_type, bytes_of (bytes, len), CODEC_STRICT, &arena, &message, NULL) != STATUS_OK)
        return false;
    receive (f, &message);
    static uint8_t out[GOSSIP_MESSAGE_ENCODED_MAX];
    for (size_t i = 0; i < f->output->sends_count; i++) {
        size_t out_len;
        assert_int_equal (
            codec_encode (&gossip_message_type, f->output->sends[i].message, out, sizeof out, &out_len), STATUS_OK);
    }
    assert_true (f->output->notices_count <= 257 + 128 + 1);
    return true;
}

/* A well-formed message full of lies about few members, so that the lies meet each other. */
static struct gossip_message lie (struct gossip_record *records, struct leader_hint *hints)
{
    struct gossip_message message = message_from (1 + (uint32_t) below (12), 1 + below (7));
    message.self.incarnation = below (20);
    message.self.state = below (8) == 0 ? GOSSIP_LEFT : GOSSIP_ALIVE;
    message.sequence = below (3) == 0 ? next_random () : below (30);
    message.wall_ms = next_random () >> below (64);
    message.ring_epoch = below (1000) == 0 ? UINT64_MAX : below (50);
    message.has_to = below (4) != 0;
    message.has_target = below (2) == 0;
    message.target = uuid_of ((uint32_t) below (14));
    message.records = records;
    message.records_count = below (6) == 0 ? GOSSIP_RECORDS_MAX : below (8);
    for (size_t i = 0; i < message.records_count; i++) {
        uint32_t about = below (3) == 0 ? (uint32_t) below (400) : (uint32_t) below (14);
        records[i] = record_of (about, below (20), (enum gossip_state) (1 + below (4)));
        if (below (50) == 0)
            records[i].incarnation = GOSSIP_INCARNATION_MAX;
        records[i].node = 1 + below (20);
        records[i].has_accuser = below (2) == 0;
        records[i].accuser = uuid_of ((uint32_t) below (20));
    }
    message.hints = hints;
    message.hints_count = below (6) == 0 ? GOSSIP_HINTS_MAX : below (4);
    for (size_t i = 0; i < message.hints_count; i++)
        hints[i] =
            (struct leader_hint){.shard = below (5000), .term = next_random () >> below (64), .node = 1 + below (20)};
    return message;
}

static void any_event (struct fixture *f)
{
    struct gossip_event event = {
        .type = (enum gossip_event_type) (GOSSIP_TICK + below (6)), .uuid = uuid_of ((uint32_t) below (20))};
    if (event.type == GOSSIP_RECEIVE || (event.type == GOSSIP_LEAVE && below (50) != 0))
        event.type = GOSSIP_TICK;
    const struct bytes seed = endpoint_of ((uint32_t) below (30));
    if (event.type == GOSSIP_JOIN) {
        event.seeds = &seed;
        event.seeds_count = 1;
    }
    f->now_ms += below (10) == 0 ? below (5000) : below (100);
    step (f, &event);
}

static void test_gossip_hostile__survives_well_formed_lies (void **state)
{
    (void) state;
    static struct gossip_record records[GOSSIP_RECORDS_MAX];
    static struct leader_hint hints[GOSSIP_HINTS_MAX];
    static uint8_t bytes[GOSSIP_MESSAGE_ENCODED_MAX];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        random_state = seed;
        struct fixture f;
        fixture_open (&f);
        uint64_t incarnation = 5;
        for (int i = 0; i < 400; i++) {
            struct gossip_message message = lie (records, hints);
            size_t len;
            assert_int_equal (codec_encode (&gossip_message_type, &message, bytes, sizeof bytes, &len), STATUS_OK);
            assert_true (feed (&f, bytes, len));
            any_event (&f);
            assert_true (gossip_self (f.gossip)->incarnation >= incarnation);
            incarnation = gossip_self (f.gossip)->incarnation;
        }
        assert_true (incarnation <= 5 + 400 * 257);
        fixture_close (&f);
    }
}

static void test_gossip_hostile__survives_damaged_bytes (void **state)
{
    (void) state;
    static struct gossip_record records[GOSSIP_RECORDS_MAX];
    static struct leader_hint hints[GOSSIP_HINTS_MAX];
    static uint8_t bytes[GOSSIP_MESSAGE_ENCODED_MAX];
    random_state = 99;
    struct fixture f;
    fixture_open (&f);
    uint32_t accepted = 0;
    for (int i = 0; i < 4000; i++) {
        struct gossip_message message = lie (records, hints);
        message.records_count %= 8;
        message.hints_count %= 8;
        size_t len;
        assert_int_equal (codec_encode (&gossip_message_type, &message, bytes, sizeof bytes, &len), STATUS_OK);
        for (uint64_t flips = 1 + below (4); flips > 0; flips--)
            bytes[below (len)] ^= (uint8_t) (1 << below (8));
        if (below (4) == 0)
            len = below (len + 1);
        accepted += feed (&f, bytes, len);
    }
    assert_in_range (accepted, 1, 3999); /* both paths were walked */
    for (int i = 0; i < 4000; i++) {
        size_t len = below (300);
        for (size_t b = 0; b < len; b++)
            bytes[b] = (uint8_t) next_random ();
        assert_false (feed (&f, bytes, len));
    }
    fixture_close (&f);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_hostile__survives_well_formed_lies),
        cmocka_unit_test (test_gossip_hostile__survives_damaged_bytes),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
