/* Ids, logins, placement hashes and checksums: what every node and client must compute alike, for ever. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schemas/runtime/arena.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/placement_hash.h"

static void test_id__lays_time_hash_and_random_out_big_endian (void **state)
{
    (void) state;
    struct id id = id_make (UINT64_C (0x0123456789ab), 0xcafebabe, UINT64_C (0xffff112233445566));
    char text[ID_TEXT_LEN + 1];
    id_format (&id, text);
    assert_string_equal (text, "0123456789abcafebabe112233445566");
    assert_int_equal (id_time_ms (&id), UINT64_C (0x0123456789ab));
    assert_int_equal (id_hash (&id), 0xcafebabe);
}

static void test_id__orders_by_time_first (void **state)
{
    (void) state;
    struct id early = id_make (1, 0xffffffff, 9), late = id_make (2, 0, 0);
    assert_true (id_compare (&early, &late) < 0);
    assert_true (id_compare (&late, &early) > 0);
    assert_true (id_equal (&early, &early));
    assert_false (id_equal (&early, &late));
    struct id none = {{0}};
    assert_true (id_is_zero (&none));
    assert_false (id_is_zero (&early));
}

static void test_id__parses_what_it_formats_and_nothing_else (void **state)
{
    (void) state;
    struct id id = id_make (77, 88, 99), back = {{0}}, kept = id;
    char text[ID_TEXT_LEN + 1];
    id_format (&id, text);
    assert_int_equal (id_parse (bytes_text (text), &back), STATUS_OK);
    assert_true (id_equal (&id, &back));
    assert_int_equal (id_parse (BYTES_LITERAL ("0123456789ABCDEFabcdef0123456789"), &back), STATUS_OK);
    assert_int_equal (back.b[4], 0x89);
    assert_int_equal (back.b[7], 0xef);
    static const char *const bad[] = {"", "00", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
        "0123456789abcdef0123456789abcdeg", "0123456789abcdef-123456789abcdef"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal (id_parse (bytes_text (bad[i]), &kept), STATUS_INVALID_ARGUMENT);
        assert_true (id_equal (&kept, &id));
    }
}

static void check_login (const char *login, const char *wanted)
{
    uint8_t buffer[LOGIN_LEN_MAX];
    struct bytes normalised = {0};
    enum status status = login_normalise (bytes_text (login), buffer, &normalised);
    if (wanted == NULL) {
        assert_int_equal (status, STATUS_INVALID_ARGUMENT);
        return;
    }
    assert_int_equal (status, STATUS_OK);
    assert_true (bytes_equal (normalised, bytes_text (wanted)));
}

static void test_login__has_one_spelling (void **state)
{
    (void) state;
    check_login ("Anna", "anna");
    check_login ("  ANNA@Example.Org \t", "anna@example.org");
    check_login ("A b", "a b");
    check_login ("\xc3\x89mile", "\xc3\x89mile");
    check_login ("abc", "abc");
    check_login ("ab", NULL);
    check_login (" ab ", NULL);
    check_login ("", NULL);
    check_login ("a\nb", NULL);
    check_login ("abc\x7f", NULL);
}

static void test_login__is_at_most_64_bytes (void **state)
{
    (void) state;
    char login[80] = {0};
    memset (login, 'X', 65);
    check_login (login, NULL);
    login[64] = ' ';
    char wanted[65] = {0};
    memset (wanted, 'x', 64);
    check_login (login, wanted);
}

static void test_siphash__gives_the_papers_vectors (void **state)
{
    (void) state;
    uint8_t input[15];
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t) i;
    uint64_t key0 = UINT64_C (0x0706050403020100), key1 = UINT64_C (0x0f0e0d0c0b0a0908);
    assert_int_equal (siphash24 (key0, key1, bytes_of (input, 15)), UINT64_C (0xa129ca6149be45e5));
    assert_int_equal (siphash24 (key0, key1, bytes_of (input, 0)), UINT64_C (0x726fdb47dd0e0e31));
    for (size_t cut = 0; cut <= 15; cut++)
        assert_int_equal (siphash24_joined (key0, key1, bytes_of (input, cut), bytes_of (input + cut, 15 - cut)),
            UINT64_C (0xa129ca6149be45e5));
}

static void test_placement_hash__is_siphash_of_the_prefixed_key (void **state)
{
    (void) state;
    assert_int_equal (
        placement_hash_group (BYTES_LITERAL ("alps")), (uint32_t) siphash24 (0, 0, BYTES_LITERAL ("g:alps")));
    assert_int_equal (
        placement_hash_user (BYTES_LITERAL ("anna")), (uint32_t) siphash24 (0, 0, BYTES_LITERAL ("u:anna")));
    assert_int_not_equal (placement_hash_user (BYTES_LITERAL ("anna")), placement_hash_group (BYTES_LITERAL ("anna")));
    struct id provider = id_make (UINT64_C (0x414243444546), 0, UINT64_C (0x616263646566));
    assert_int_equal (
        placement_hash_provider (&provider), (uint32_t) siphash24 (0, 0, BYTES_LITERAL ("p:ABCDEFabcdef")));
}

static void test_placement_hash__of_a_provider_ignores_the_hash_in_its_id (void **state)
{
    (void) state;
    struct id draft = id_make (1700000000000, 0, 12345);
    uint32_t hash = placement_hash_provider (&draft);
    struct id id = id_make (1700000000000, hash, 12345);
    assert_int_equal (placement_hash_provider (&id), hash);
}

/* Data placed by an older build must be found by this one. */
static void test_placement_hash__never_changes (void **state)
{
    (void) state;
    assert_int_equal (placement_hash_group (BYTES_LITERAL ("alps")), 0x84b2a996);
    assert_int_equal (placement_hash_user (BYTES_LITERAL ("anna")), 0x3f2ceb79);
    assert_int_equal (placement_shard (0, 64), 1);
    assert_int_equal (placement_shard (63, 64), 64);
    assert_int_equal (placement_shard (64, 64), 1);
}

static void test_checksum64__is_xxh64 (void **state)
{
    (void) state;
    assert_int_equal (checksum64 (0, BYTES_LITERAL ("")), UINT64_C (0xef46db3751d8e999));
    assert_int_equal (checksum64 (0, BYTES_LITERAL ("a")), UINT64_C (0xd24ec4f1a98c6e5b));
    assert_int_equal (checksum64 (0, BYTES_LITERAL ("abc")), UINT64_C (0x44bc2cf5ad770999));
    assert_int_equal (checksum64 (20141025, BYTES_LITERAL ("xxhash")), UINT64_C (0xb559b98d844e0635));
    assert_int_equal (
        checksum64 (0, BYTES_LITERAL ("Nobody inspects the spammish repetition")), UINT64_C (0xfbcea83c8a378bf1));
}

static void test_checksum64__sees_every_single_bit (void **state)
{
    (void) state;
    uint8_t data[77];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t) (i * 37);
    uint64_t sum = checksum64 (1, bytes_of (data, sizeof data));
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t) (1u << (bit % 8));
        assert_int_not_equal (checksum64 (1, bytes_of (data, sizeof data)), sum);
        data[bit / 8] ^= (uint8_t) (1u << (bit % 8));
    }
    assert_int_equal (checksum64 (1, bytes_of (data, sizeof data)), sum);
}

static void test_arena__aligns_and_stops_at_its_end (void **state)
{
    (void) state;
    _Alignas(8) uint8_t buffer[65];
    struct arena arena;
    arena_init (&arena, buffer + 1, 64);
    assert_null (arena_alloc (&arena, 58)); /* the seven bytes up to the first aligned one are lost */
    assert_non_null (arena_alloc (&arena, 57));
    arena_reset (&arena);
    uint8_t *first = arena_alloc (&arena, 3);
    uint8_t *second = arena_alloc (&arena, 8);
    assert_non_null (first);
    assert_non_null (second);
    assert_int_equal ((uintptr_t) first % 8, 0);
    assert_int_equal ((uintptr_t) second % 8, 0);
    assert_true (second >= first + 3);
    size_t used = arena.used;
    assert_null (arena_alloc (&arena, 64));
    assert_null (arena_alloc (&arena, SIZE_MAX));
    assert_int_equal (arena.used, used);
    arena_reset (&arena);
    assert_ptr_equal (arena_alloc (&arena, 1), first);
    const uint8_t *copy = arena_copy (&arena, "hello", 5);
    assert_memory_equal (copy, "hello", 5);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_id__lays_time_hash_and_random_out_big_endian),
        cmocka_unit_test (test_id__orders_by_time_first),
        cmocka_unit_test (test_id__parses_what_it_formats_and_nothing_else),
        cmocka_unit_test (test_login__has_one_spelling),
        cmocka_unit_test (test_login__is_at_most_64_bytes),
        cmocka_unit_test (test_siphash__gives_the_papers_vectors),
        cmocka_unit_test (test_placement_hash__is_siphash_of_the_prefixed_key),
        cmocka_unit_test (test_placement_hash__of_a_provider_ignores_the_hash_in_its_id),
        cmocka_unit_test (test_placement_hash__never_changes),
        cmocka_unit_test (test_checksum64__is_xxh64),
        cmocka_unit_test (test_checksum64__sees_every_single_bit),
        cmocka_unit_test (test_arena__aligns_and_stops_at_its_end),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
