/* The deterministic form: golden bytes, every bound in both directions, secrets, fingerprints, memory limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/codec_sample.h"

static void check_encode (const struct sample *value, enum status wanted, const char *path, const char *message)
{
    uint8_t out[256];
    size_t len = 0;
    struct codec_error error = {.path = "", .message = ""};
    assert_int_equal (codec_encode_explained (&sample_type, value, out, sizeof out, &len, &error), wanted);
    assert_string_equal (error.path, path);
    assert_string_equal (error.message, message);
}

static void test_codec__writes_the_golden_bytes (void **state)
{
    (void) state;
    uint8_t wanted[256], out[256];
    size_t wanted_len = sample_unhex (SAMPLE_HEX, wanted), len = 0;
    struct sample value = sample_value ();
    assert_int_equal (codec_encode (&sample_type, &value, out, sizeof out, &len), STATUS_OK);
    assert_int_equal (len, wanted_len);
    assert_memory_equal (out, wanted, len);
}

static void test_codec__reads_the_golden_bytes (void **state)
{
    (void) state;
    uint8_t in[256], memory[256];
    size_t len = sample_unhex (SAMPLE_HEX, in);
    struct arena arena;
    struct sample value;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (codec_decode (&sample_type, bytes_of (in, len), CODEC_STRICT, &arena, &value, NULL), STATUS_OK);
    assert_int_equal (value.small, 200);
    assert_true (value.any == INT64_MIN);
    assert_true (value.flag);
    assert_true (value.has_blob);
    assert_true (bytes_equal (value.blob, BYTES_LITERAL ("\x01\x02")));
    assert_true (bytes_equal (value.name, BYTES_LITERAL ("caf\xc3\xa9")));
    assert_int_equal (id_hash (&value.id), 2);
    assert_int_equal (value.mood, 4);
    assert_true (value.has_point);
    assert_int_equal (value.point.x, 24);
    assert_false (value.point.has_label);
    assert_int_equal (value.points_count, 2);
    assert_int_equal (value.points[1].x, -100);
    assert_true (value.points[1].has_label);
    assert_int_equal (value.numbers_count, 2);
    assert_int_equal (value.numbers[0], 9);
    assert_true (bytes_equal (value.secret, BYTES_LITERAL ("hush")));
    /* Texts borrow from the input: nothing was copied. */
    assert_true (value.secret.data > in && value.secret.data < in + len);
}

static void test_codec__refuses_to_write_what_is_out_of_bounds (void **state)
{
    (void) state;
    struct sample value = sample_value ();
    check_encode (&value, STATUS_OK, "", "");
    value.small = 0;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "small", "must be 1..255");
    value.small = 256;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "small", "must be 1..255");
    value = sample_value ();
    value.blob = BYTES_LITERAL ("12345");
    check_encode (&value, STATUS_INVALID_ARGUMENT, "blob", "must be 0..4 bytes");
    value.has_blob = false;
    check_encode (&value, STATUS_OK, "", "");
    value.name.len = 0;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "name", "must be a text of 1..8 bytes");
    value.name = BYTES_LITERAL ("bad\xc3");
    check_encode (&value, STATUS_INVALID_ARGUMENT, "name", "is not valid UTF-8");
    value = sample_value ();
    value.mood = 3;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "mood", "must be one of calm, busy, closed");
    value = sample_value ();
    value.point.x = 101;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "point.x", "must be -100..100");
    value = sample_value ();
    struct sample_point points[4] = {{.x = 1}, {.x = 2}, {.x = -101}, {.x = 0}};
    value.points = points;
    value.points_count = 3;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "points[2].x", "must be -100..100");
    value.points_count = 4;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "points", "must have 1..3 elements");
    value.points_count = 0;
    check_encode (&value, STATUS_INVALID_ARGUMENT, "points", "must have 1..3 elements");
}

static void test_codec__says_when_the_buffer_is_too_small (void **state)
{
    (void) state;
    uint8_t out[256];
    size_t len = 0, needed = 0;
    struct sample value = sample_value ();
    assert_int_equal (codec_encode (&sample_type, &value, out, sizeof out, &needed), STATUS_OK);
    for (size_t size = 0; size < needed; size++)
        assert_int_equal (codec_encode (&sample_type, &value, out, size, &len), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (codec_encode (&sample_type, &value, out, needed, &len), STATUS_OK);
}

static void test_codec__says_when_the_arena_is_full (void **state)
{
    (void) state;
    uint8_t in[256];
    uint64_t memory[32];
    size_t len = sample_unhex (SAMPLE_HEX, in);
    struct arena arena;
    struct codec_error error;
    struct sample value;
    arena_init (&arena, memory, sizeof (struct sample_point));
    assert_int_equal (codec_decode (&sample_type, bytes_of (in, len), CODEC_STRICT, &arena, &value, &error),
        STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal (error.path, "points");
    assert_int_equal (
        codec_decode (&sample_type, bytes_of (in, len), CODEC_STRICT, NULL, &value, &error), STATUS_RESOURCE_EXHAUSTED);
    arena_init (&arena, memory, sample_type.arena_max);
    assert_int_equal (codec_decode (&sample_type, bytes_of (in, len), CODEC_STRICT, &arena, &value, &error), STATUS_OK);
}

static void test_codec__every_shorter_input_is_refused (void **state)
{
    (void) state;
    uint8_t in[256];
    uint64_t memory[32];
    size_t len = sample_unhex (SAMPLE_HEX, in);
    for (size_t cut = 0; cut < len; cut++) {
        struct arena arena;
        struct sample value;
        struct codec_error error = {.message = NULL};
        arena_init (&arena, memory, sizeof memory);
        assert_int_equal (codec_decode (&sample_type, bytes_of (in, cut), CODEC_LENIENT, &arena, &value, &error),
            STATUS_INVALID_ARGUMENT);
        assert_non_null (error.message);
    }
}

static void test_codec__redacted_form_has_no_secret_and_reads_back (void **state)
{
    (void) state;
    uint8_t out[256];
    uint64_t memory[32];
    size_t len = 0;
    struct arena arena;
    struct codec_error error;
    struct sample value = sample_value (), back;
    assert_int_equal (codec_encode_redacted (&sample_type, &value, out, sizeof out, &len), STATUS_OK);
    assert_null (memmem (out, len, "hush", 4));
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (
        codec_decode (&sample_type, bytes_of (out, len), CODEC_REDACTED, &arena, &back, &error), STATUS_OK);
    assert_int_equal (back.small, 200);
    assert_int_equal (back.secret.len, 0);
    assert_int_equal (
        codec_decode (&sample_type, bytes_of (out, len), CODEC_STRICT, &arena, &back, &error), STATUS_INVALID_ARGUMENT);
    assert_string_equal (error.path, "secret");
    assert_string_equal (error.message, "is missing");
    len = sample_unhex (SAMPLE_HEX, out);
    arena_reset (&arena);
    assert_int_equal (codec_decode (&sample_type, bytes_of (out, len), CODEC_REDACTED, &arena, &back, &error),
        STATUS_INVALID_ARGUMENT);
    assert_string_equal (error.message, "is a secret and must not be here");
}

static void test_codec_fingerprint__tells_which_field_differs (void **state)
{
    (void) state;
    uint8_t scratch[256];
    struct codec_print before[11], after[11];
    size_t before_count = 0, after_count = 0;
    struct sample value = sample_value ();
    assert_int_equal (
        codec_fingerprint (&sample_type, &value, scratch, sizeof scratch, before, 11, &before_count), STATUS_OK);
    assert_int_equal (before_count, 10); /* all but the secret */
    value.secret = BYTES_LITERAL ("other");
    value.point.x = 25;
    assert_int_equal (
        codec_fingerprint (&sample_type, &value, scratch, sizeof scratch, after, 11, &after_count), STATUS_OK);
    assert_int_equal (after_count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal (before[i].key, after[i].key);
        assert_int_equal (before[i].hash == after[i].hash, before[i].key != 25);
    }
    value.has_numbers = false;
    assert_int_equal (
        codec_fingerprint (&sample_type, &value, scratch, sizeof scratch, after, 11, &after_count), STATUS_OK);
    assert_int_equal (after_count, 9);
    assert_int_equal (codec_fingerprint (&sample_type, &value, scratch, sizeof scratch, after, 3, &after_count),
        STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal (codec_field_name (&sample_type, 25), "point");
    assert_string_equal (codec_field_name (&sample_type, 26), "?");
}

/* Requests recorded by an older build must still match: XXH64, seeded with the key, of the encoded value. */
static void test_codec_fingerprint__never_changes (void **state)
{
    (void) state;
    uint8_t scratch[64];
    struct codec_print prints[2];
    size_t count = 0;
    struct sample_point point = {.x = 0};
    assert_int_equal (
        codec_fingerprint (&sample_point_type, &point, scratch, sizeof scratch, prints, 2, &count), STATUS_OK);
    assert_int_equal (count, 1);
    assert_int_equal (prints[0].key, 1);
    assert_int_equal (prints[0].hash, UINT64_C (0x771917c7f6ee2451));
}

static void test_codec__looks_names_up (void **state)
{
    (void) state;
    uint64_t value = 0;
    assert_ptr_equal (codec_field_by_name (&sample_type, BYTES_LITERAL ("mood")), &sample_fields[6]);
    assert_null (codec_field_by_name (&sample_type, BYTES_LITERAL ("moo")));
    assert_ptr_equal (codec_field_by_key (&sample_type, 70000), &sample_fields[10]);
    assert_null (codec_field_by_key (&sample_type, 7));
    assert_string_equal (codec_enum_name (&sample_mood_enum, 4), "closed");
    assert_null (codec_enum_name (&sample_mood_enum, 3));
    assert_int_equal (codec_enum_value (&sample_mood_enum, BYTES_LITERAL ("busy"), &value), STATUS_OK);
    assert_int_equal (value, 2);
    assert_int_equal (codec_enum_value (&sample_mood_enum, BYTES_LITERAL ("bus"), &value), STATUS_NOT_FOUND);
}

static void test_codec_utf8__knows_good_from_bad (void **state)
{
    (void) state;
    static const char *const good[] = {"", "plain ascii of some length", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "seven..\xe2\x82\xac behind a word"};
    static const char *const bad[] = {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2z", "\xe0\x9f\xbf",
        "\xe2\x82", "\xe2\x28\xa1", "\xe2\x82\x28", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xf0\x90\x80", "long enough for words \xe2\x82"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true (codec_utf8_valid (bytes_text (good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false (codec_utf8_valid (bytes_text (bad[i])));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_codec__writes_the_golden_bytes),
        cmocka_unit_test (test_codec__reads_the_golden_bytes),
        cmocka_unit_test (test_codec__refuses_to_write_what_is_out_of_bounds),
        cmocka_unit_test (test_codec__says_when_the_buffer_is_too_small),
        cmocka_unit_test (test_codec__says_when_the_arena_is_full),
        cmocka_unit_test (test_codec__every_shorter_input_is_refused),
        cmocka_unit_test (test_codec__redacted_form_has_no_secret_and_reads_back),
        cmocka_unit_test (test_codec_fingerprint__tells_which_field_differs),
        cmocka_unit_test (test_codec_fingerprint__never_changes),
        cmocka_unit_test (test_codec__looks_names_up),
        cmocka_unit_test (test_codec_utf8__knows_good_from_bad),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
