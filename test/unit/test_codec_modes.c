/* Strict and lenient: the same bytes, each mutation on its own, and what either reader makes of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/codec_sample.h"

/* Decodes hex as a sample_point in the mode; the error must be path and message, both "" for OK. */
static void check (enum codec_mode mode, const char *hex, const char *path, const char *message)
{
    uint8_t in[256];
    size_t len = sample_unhex (hex, in);
    struct sample_point point;
    struct codec_error error = {.path = "", .message = ""};
    enum status status = codec_decode (&sample_point_type, bytes_of (in, len), mode, NULL, &point, &error);
    assert_int_equal (status, *message == '\0' ? STATUS_OK : STATUS_INVALID_ARGUMENT);
    assert_string_equal (error.message, message);
    assert_string_equal (error.path, path);
    if (status != STATUS_OK)
        return;
    /* Whatever is accepted has one strict form. */
    uint8_t out[64];
    size_t out_len = 0;
    struct sample_point again;
    assert_int_equal (codec_encode (&sample_point_type, &point, out, sizeof out, &out_len), STATUS_OK);
    assert_int_equal (
        codec_decode (&sample_point_type, bytes_of (out, out_len), CODEC_STRICT, NULL, &again, NULL), STATUS_OK);
    assert_int_equal (again.x, point.x);
    assert_int_equal (again.has_label, point.has_label);
}

static void check_both (const char *hex, const char *path, const char *message)
{
    check (CODEC_STRICT, hex, path, message);
    check (CODEC_LENIENT, hex, path, message);
}

static void test_codec_modes__both_read_the_deterministic_form (void **state)
{
    (void) state;
    check_both ("a1 01 05", "", "");
    check_both ("a1 01 3863", "", "");
    check_both ("a2 01 00 02 656162636465", "", "");
}

static void test_codec_modes__only_lenient_reads_longer_integers (void **state)
{
    (void) state;
    static const char *const longer[] = {
        "a1 01 1805", "a1 01 190005", "a1 01 1a00000005", "a1 01 1b0000000000000005", "a1 01 3805", "a1 01 390005"};
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        check (CODEC_STRICT, longer[i], "x", "is not in its shortest form");
        check (CODEC_LENIENT, longer[i], "", "");
    }
    check (CODEC_STRICT, "a1 1801 05", "", "is not in its shortest form");
    check (CODEC_LENIENT, "a1 1801 05", "", "");
    check (CODEC_STRICT, "b801 01 05", "", "is not in its shortest form");
    check (CODEC_LENIENT, "b801 01 05", "", "");
    check (CODEC_STRICT, "a2 01 05 02 780161", "label", "is not in its shortest form");
    check (CODEC_LENIENT, "a2 01 05 02 780161", "", "");
}

static void test_codec_modes__only_lenient_reads_keys_in_any_order (void **state)
{
    (void) state;
    check (CODEC_STRICT, "a2 02 6161 01 05", "x", "is not in the order of the keys");
    check (CODEC_LENIENT, "a2 02 6161 01 05", "", "");
}

static void test_codec_modes__only_lenient_skips_unknown_keys (void **state)
{
    (void) state;
    static const char *const unknown[] = {"a2 01 05 03 00", "a2 03 00 01 05", "a2 01 05 03 a1 a1 01 02 f6",
        "a2 01 05 03 83 01 6161 f97e00", "a2 01 05 03 c1 c2 4101", "a2 01 05 03 fb3ff0000000000000",
        "a2 01 05 1bffffffffffffffff f7", "a2 01 05 03 80", "a2 01 05 03 82 a0 8120"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        check (CODEC_STRICT, unknown[i], "", "has an unknown key");
        check (CODEC_LENIENT, unknown[i], "", "");
    }
}

static void test_codec_modes__nobody_reads_a_key_twice (void **state)
{
    (void) state;
    check_both ("a2 01 05 01 05", "x", "is there twice");
    check (CODEC_LENIENT, "a3 01 05 03 00 03 00", "", "has a key twice");
    check (CODEC_LENIENT, "a3 03 00 01 05 1803 00", "", "has a key twice");
}

static void test_codec_modes__nobody_reads_trailing_bytes (void **state)
{
    (void) state;
    check_both ("a1 01 05 00", "", "has bytes behind its end");
    check_both ("", "", "is empty");
}

static void test_codec_modes__nobody_reads_indefinite_lengths (void **state)
{
    (void) state;
    const char *message = "has an indefinite length: only definite lengths are read";
    check_both ("bf 01 05 ff", "", message);
    check_both ("a2 01 05 02 7f 6161 ff", "label", message);
    check (CODEC_LENIENT, "a2 01 05 03 9f 01 ff", "", message);
    check (CODEC_LENIENT, "a2 01 05 03 81 5f 4101 ff", "", message);
    check_both ("a1 01 ff", "x", message);
}

static void test_codec_modes__nobody_reads_other_types_or_passes_a_bound (void **state)
{
    (void) state;
    static const char *const wrong[] = {"a1 01 1865", "a1 01 3864", "a1 01 4105", "a1 01 6105", "a1 01 f5", "a1 01 f6",
        "a1 01 80", "a1 01 a0", "a1 01 c105", "a1 01 f90000", "a1 01 1bffffffffffffffff", "a1 01 3bffffffffffffffff",
        "a1 01 3b8000000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        check_both (wrong[i], "x", "must be -100..100");
    check_both ("a2 01 05 02 60", "label", "must be a text of 1..5 bytes");
    check_both ("a2 01 05 02 66616263646566", "label", "must be a text of 1..5 bytes");
    check_both ("a2 01 05 02 4161", "label", "must be a text of 1..5 bytes");
    check_both ("a2 01 05 02 61ff", "label", "is not valid UTF-8");
    check_both ("a0", "x", "is missing");
    check_both ("a1 02 6161", "x", "is missing");
    check_both ("01", "", "must be a map");
    check_both ("81 a1 01 05", "", "must be a map");
    check_both ("a1 6101 05", "", "has a key that is not an unsigned integer");
    check_both ("a1 20 05", "", "has a key that is not an unsigned integer");
}

static void test_codec_modes__lengths_that_lie_are_refused (void **state)
{
    (void) state;
    check_both ("a2 01 05", "", "is cut short");
    check_both ("a2 01 05 02 7a 7fffffff 61", "label", "is cut short");
    check_both ("a2 01 05 02 7b ffffffffffffffff 61", "label", "is cut short");
    check_both ("bb ffffffffffffffff", "", "has too many keys");
    check (CODEC_LENIENT, "a2 01 05 03 9b ffffffffffffffff", "", "is cut short");
    check (CODEC_LENIENT, "a2 01 05 03 bb ffffffffffffffff", "", "is cut short");
    check (CODEC_LENIENT, "a2 01 05 03 bb 8000000000000001 00 00", "", "is cut short");
    check (CODEC_LENIENT, "a2 01 05 03 1c", "", "is not well-formed CBOR");
    check (CODEC_LENIENT, "a2 01 05 03 61ff", "", "is not valid UTF-8");
}

static void test_codec_modes__a_skipped_value_nests_sixteen_deep_at_most (void **state)
{
    (void) state;
    char hex[128] = "a2 01 05 03 ";
    size_t start = strlen (hex);
    for (int i = 0; i < 15; i++)
        memcpy (hex + start + (size_t) (2 * i), "81", 3);
    memcpy (hex + start + 30, "00", 3);
    check (CODEC_LENIENT, hex, "", "");
    memcpy (hex + start + 30, "8100", 5);
    check (CODEC_LENIENT, hex, "", "is nested too deep");
}

static void test_codec_modes__sixteen_unknown_keys_at_most (void **state)
{
    (void) state;
    char hex[128] = "b1 01 05";
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 16; i++) {
        char pair[] = "1820f6";
        pair[3] = digits[i];
        memcpy (hex + strlen (hex), pair, sizeof pair);
    }
    check (CODEC_LENIENT, hex, "", "");
    memcpy (hex, "b2", 2);
    memcpy (hex + strlen (hex), "1830f6", 7);
    check (CODEC_LENIENT, hex, "", "has too many unknown keys");
}

static void check_sample (const char *hex, const char *path, const char *message)
{
    uint8_t in[256];
    uint64_t memory[32];
    size_t len = sample_unhex (hex, in);
    struct sample value;
    struct arena arena;
    struct codec_error error = {.path = "", .message = ""};
    arena_init (&arena, memory, sizeof memory);
    enum status status = codec_decode (&sample_type, bytes_of (in, len), CODEC_LENIENT, &arena, &value, &error);
    assert_int_equal (status, STATUS_INVALID_ARGUMENT);
    assert_string_equal (error.path, path);
    assert_string_equal (error.message, message);
}

static void test_codec_modes__an_array_that_lies_takes_no_memory (void **state)
{
    (void) state;
    uint8_t in[16];
    uint64_t memory[32];
    size_t len = sample_unhex ("a1 19012c 84 01", in);
    struct sample value;
    struct arena arena;
    struct codec_error error;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (codec_decode (&sample_type, bytes_of (in, len), CODEC_LENIENT, &arena, &value, &error),
        STATUS_INVALID_ARGUMENT);
    assert_string_equal (error.path, "numbers");
    assert_int_equal (arena.used, 0);
}

static void test_codec_modes__errors_name_the_element_to_blame (void **state)
{
    (void) state;
    check_sample ("a1 181e 82 a10100 a1011865", "points[1].x", "must be -100..100");
    check_sample ("a1 181e 80", "points", "must have 1..3 elements");
    check_sample ("a1 181e 84 a0 a0 a0 a0", "points", "must have 1..3 elements");
    check_sample ("a1 181e a0", "points", "must have 1..3 elements");
    check_sample ("a1 181e 83 a10100", "points[1]", "is cut short");
    check_sample ("a1 181e 82 a10100 05", "points[1]", "must be a map");
    check_sample ("a1 19012c 82 09 0a", "numbers[1]", "must be 0..9");
    check_sample ("a1 1819 a2 0105 0260", "point.label", "must be a text of 1..5 bytes");
    check_sample ("a1 1818 03", "mood", "must be one of calm, busy, closed");
    check_sample ("a1 06 4f000000000000000000000000000000", "id", "must be an id of 16 bytes");
    check_sample ("a1 03 00", "flag", "must be true or false");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_codec_modes__both_read_the_deterministic_form),
        cmocka_unit_test (test_codec_modes__only_lenient_reads_longer_integers),
        cmocka_unit_test (test_codec_modes__only_lenient_reads_keys_in_any_order),
        cmocka_unit_test (test_codec_modes__only_lenient_skips_unknown_keys),
        cmocka_unit_test (test_codec_modes__nobody_reads_a_key_twice),
        cmocka_unit_test (test_codec_modes__nobody_reads_trailing_bytes),
        cmocka_unit_test (test_codec_modes__nobody_reads_indefinite_lengths),
        cmocka_unit_test (test_codec_modes__nobody_reads_other_types_or_passes_a_bound),
        cmocka_unit_test (test_codec_modes__lengths_that_lie_are_refused),
        cmocka_unit_test (test_codec_modes__a_skipped_value_nests_sixteen_deep_at_most),
        cmocka_unit_test (test_codec_modes__sixteen_unknown_keys_at_most),
        cmocka_unit_test (test_codec_modes__an_array_that_lies_takes_no_memory),
        cmocka_unit_test (test_codec_modes__errors_name_the_element_to_blame),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
