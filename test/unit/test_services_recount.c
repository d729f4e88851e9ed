/* services_check must see every kind of drift: each test breaks one row behind the services' back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, offer;
static struct principal alice;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_quota = true;
    request.quota = world_offer (w, &provider, 10);
    offer = world_put_offer (w, &request);
    alice = world_principal (100, ROLE_CUSTOMER);
    world_take (w, &alice, RESERVE_MODE_HOLD, &offer, 5, 2);
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 40, 1);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static bool is_sound (void)
{
    char drift[200];
    bool sound = services_check (&w->config, &w->state, drift, sizeof drift);
    assert_int_equal (sound, drift[0] == '\0');
    return sound;
}

/* The n-th row of a table, or NULL. */
static struct tree_entry *row_of (enum table table, size_t n)
{
    struct key from = key_table (table);
    struct tree_cursor cursor;
    tree_seek (w->map.tree, key_of (&from), &cursor);
    struct tree_entry *entry = tree_next (&cursor);
    while (n-- > 0 && entry != NULL)
        entry = tree_next (&cursor);
    return entry != NULL && entry->key[0] == table ? entry : NULL;
}

static const enum table checked[] = {TABLE_META, TABLE_RECORD, TABLE_PROVIDER, TABLE_OFFER, TABLE_OFFER_HEAD,
    TABLE_PROVIDER_OFFER, TABLE_COUNTER, TABLE_USAGE, TABLE_RESERVATION, TABLE_CUSTOMER_RESERVATION,
    TABLE_PROVIDER_RESERVATION, TABLE_HOLD_DUE, TABLE_COUNTER_HOLD};

static void test_services_recount__misses_every_row_that_is_taken_away (void **state)
{
    (void) state;
    for (size_t t = 0; t < sizeof checked / sizeof *checked; t++) {
        struct tree_entry *entry;
        size_t rows = 0;
        for (; (entry = row_of (checked[t], rows)) != NULL; rows++) {
            uint8_t key_copy[256], value_copy[1024];
            struct bytes key = {key_copy, entry->key_len}, value = {value_copy, entry->value_len};
            memcpy (key_copy, entry->key, key.len);
            memcpy (value_copy, entry->value, value.len);
            assert_true (is_sound ());
            state_remove (&w->state, key);
            assert_false (is_sound ());
            state_put (&w->state, key, value);
        }
        assert_true (rows > 0);
    }
    assert_true (is_sound ());
}

/* Every bit of what is counted: pages, usages, heads. */
static void test_services_recount__sees_every_flipped_bit_of_a_count (void **state)
{
    (void) state;
    const enum table tables[] = {TABLE_COUNTER, TABLE_USAGE, TABLE_OFFER_HEAD};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        struct tree_entry *entry;
        for (size_t n = 0; (entry = row_of (tables[t], n)) != NULL; n++) {
            for (size_t bit = 0; bit < entry->value_len * 8; bit++) {
                entry->value[bit / 8] ^= (uint8_t) (1 << bit % 8);
                assert_false (is_sound ());
                entry->value[bit / 8] ^= (uint8_t) (1 << bit % 8);
            }
        }
    }
    assert_true (is_sound ());
}

static void test_services_recount__rows_that_stand_for_nothing_are_drift (void **state)
{
    (void) state;
    const enum table tables[] = {TABLE_PROVIDER_OFFER, TABLE_CUSTOMER_RESERVATION, TABLE_PROVIDER_RESERVATION,
        TABLE_HOLD_DUE, TABLE_COUNTER_HOLD, TABLE_USAGE, TABLE_COUNTER};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        struct tree_entry *entry = row_of (tables[t], 0);
        assert_non_null (entry);
        uint8_t key_copy[256], value_copy[1024];
        struct bytes key = {key_copy, entry->key_len}, value = {value_copy, entry->value_len};
        memcpy (key_copy, entry->key, key.len);
        memcpy (value_copy, entry->value, value.len);
        key_copy[key.len - 1] ^= 0x80;
        state_put (&w->state, key, value);
        assert_false (is_sound ());
        state_remove (&w->state, key);
    }
    assert_true (is_sound ());
}

/* A capacity that went below what is committed, though every count is right. */
static void test_services_recount__oversold_is_drift (void **state)
{
    (void) state;
    struct tree_entry *entry = NULL;
    for (size_t n = 0; (entry = row_of (TABLE_OFFER, n)) != NULL; n++) {
        if (memcmp (entry->key + 1, offer.b, ID_SIZE) == 0)
            break;
    }
    assert_non_null (entry);
    /* {..., 12: 10, ...}: the default capacity, in the offer and in its head. */
    uint8_t *capacity = memmem (entry->value, entry->value_len, "\x0c\x0a", 2);
    assert_non_null (capacity);
    struct key key = key_entity (TABLE_OFFER_HEAD, &offer);
    struct tree_entry *head = tree_find (w->map.tree, key_of (&key));
    capacity[1] = head->value[40 + 11] = 2;
    assert_true (is_sound ());
    capacity[1] = head->value[40 + 11] = 1;
    assert_false (is_sound ());
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_recount__misses_every_row_that_is_taken_away),
        TEST (test_services_recount__sees_every_flipped_bit_of_a_count),
        TEST (test_services_recount__rows_that_stand_for_nothing_are_drift),
        TEST (test_services_recount__oversold_is_drift),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
