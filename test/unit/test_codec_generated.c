/* Every generated type: pseudo-random values go out and come back, and the promised limits hold. Methods and routes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schemas/generated/methods.h"
#include "schemas/generated/schema_text.h"
#include "schemas/runtime/placement_hash.h"
#include "test/support/codec_random.h"

#define MEMORY_SIZE (8u << 20)
#define OUT_SIZE (2u << 20)
#define ROUNDS 60

struct room {
    uint8_t *made, *read, *out, *again, *value, *back;
};

static void room_open (struct room *room)
{
    room->made = malloc (MEMORY_SIZE);
    room->read = malloc (MEMORY_SIZE);
    room->out = malloc (OUT_SIZE);
    room->again = malloc (OUT_SIZE);
    room->value = malloc (65536);
    room->back = malloc (65536);
    assert_true (room->made && room->read && room->out && room->again && room->value && room->back);
}

static void room_close (struct room *room)
{
    free (room->made);
    free (room->read);
    free (room->out);
    free (room->again);
    free (room->value);
    free (room->back);
}

static void round_trip (const struct codec_type *type, struct room *room, uint64_t seed)
{
    struct arena made, read;
    struct codec_error error = {.path = "", .message = ""};
    size_t len = 0, again_len = 0;
    arena_init (&made, room->made, MEMORY_SIZE);
    arena_init (&read, room->read, MEMORY_SIZE);
    struct codec_random random = {.state = seed, .arena = &made, .length_max = seed % 7};
    codec_random_map (&random, type, room->value);
    enum status status = codec_encode_explained (type, room->value, room->out, OUT_SIZE, &len, &error);
    if (status != STATUS_OK)
        fail_msg ("%s seed %llu: %s %s", type->name, (unsigned long long) seed, error.path, error.message);
    assert_true (len <= type->encoded_max);
    status = codec_decode (type, bytes_of (room->out, len), CODEC_STRICT, &read, room->back, &error);
    if (status != STATUS_OK)
        fail_msg ("%s seed %llu: %s %s", type->name, (unsigned long long) seed, error.path, error.message);
    assert_true (read.used <= type->arena_max);
    assert_int_equal (codec_encode (type, room->back, room->again, OUT_SIZE, &again_len), STATUS_OK);
    assert_int_equal (again_len, len);
    assert_memory_equal (room->out, room->again, len);
    arena_reset (&read);
    assert_int_equal (
        codec_decode (type, bytes_of (room->out, len), CODEC_LENIENT, &read, room->back, &error), STATUS_OK);
}

static void test_codec_generated__every_type_comes_back (void **state)
{
    (void) state;
    struct room room;
    room_open (&room);
    assert_true (codec_types_count > 0);
    for (size_t i = 0; i < codec_types_count; i++) {
        assert_true (codec_types[i]->size <= 65536);
        for (uint64_t seed = 0; seed < ROUNDS; seed++)
            round_trip (codec_types[i], &room, seed);
    }
    room_close (&room);
}

/* One flipped bit may give another valid message, never a broken one: what strict reads, encodes to the same bytes. */
static void test_codec_generated__strict_reads_one_form_only (void **state)
{
    (void) state;
    struct room room;
    room_open (&room);
    size_t accepted = 0, refused = 0;
    for (size_t i = 0; i < codec_types_count; i++) {
        const struct codec_type *type = codec_types[i];
        struct arena arena;
        size_t len = 0, again_len = 0;
        arena_init (&arena, room.made, MEMORY_SIZE);
        struct codec_random random = {.state = i, .arena = &arena, .length_max = 3};
        codec_random_map (&random, type, room.value);
        assert_int_equal (codec_encode (type, room.value, room.out, OUT_SIZE, &len), STATUS_OK);
        for (size_t bit = 0; bit < 8 * len && bit < 4096; bit++) {
            room.out[bit / 8] ^= (uint8_t) (1u << (bit % 8));
            arena_init (&arena, room.read, MEMORY_SIZE);
            if (codec_decode (type, bytes_of (room.out, len), CODEC_STRICT, &arena, room.back, NULL) == STATUS_OK) {
                accepted++;
                assert_int_equal (codec_encode (type, room.back, room.again, OUT_SIZE, &again_len), STATUS_OK);
                assert_int_equal (again_len, len);
                assert_memory_equal (room.out, room.again, len);
            } else {
                refused++;
            }
            room.out[bit / 8] ^= (uint8_t) (1u << (bit % 8));
        }
    }
    assert_true (accepted > 0 && refused > 0);
    room_close (&room);
}

static void test_codec_generated__redacted_and_fingerprints_work_for_every_type (void **state)
{
    (void) state;
    struct room room;
    room_open (&room);
    for (size_t i = 0; i < codec_types_count; i++) {
        const struct codec_type *type = codec_types[i];
        struct arena made, read;
        struct codec_print prints[CODEC_FIELDS_MAX], back[CODEC_FIELDS_MAX];
        size_t len = 0, count = 0, back_count = 0;
        arena_init (&made, room.made, MEMORY_SIZE);
        arena_init (&read, room.read, MEMORY_SIZE);
        struct codec_random random = {.state = i, .arena = &made, .length_max = 3};
        codec_random_map (&random, type, room.value);
        assert_int_equal (codec_encode_redacted (type, room.value, room.out, OUT_SIZE, &len), STATUS_OK);
        assert_int_equal (
            codec_decode (type, bytes_of (room.out, len), CODEC_REDACTED, &read, room.back, NULL), STATUS_OK);
        assert_int_equal (
            codec_fingerprint (type, room.value, room.again, OUT_SIZE, prints, CODEC_FIELDS_MAX, &count), STATUS_OK);
        assert_int_equal (
            codec_fingerprint (type, room.back, room.again, OUT_SIZE, back, CODEC_FIELDS_MAX, &back_count), STATUS_OK);
        assert_int_equal (count, back_count);
        for (size_t j = 0; j < count; j++) {
            assert_int_equal (prints[j].key, back[j].key);
            assert_int_equal (prints[j].hash, back[j].hash);
        }
    }
    room_close (&room);
}

static void test_codec_generated__types_and_text_are_listed (void **state)
{
    (void) state;
    for (size_t i = 0; i < codec_types_count; i++)
        assert_ptr_equal (codec_type_by_name (bytes_text (codec_types[i]->name)), codec_types[i]);
    assert_null (codec_type_by_name (BYTES_LITERAL ("no_such_type")));
    assert_int_equal (strlen (schema_text), schema_text_len);
    assert_non_null (strstr (schema_text, "reserve-create-request"));
}

static void test_methods__are_found_by_name_and_number (void **state)
{
    (void) state;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        assert_ptr_equal (method_by_name (bytes_text (methods[i].name)), &methods[i]);
        assert_ptr_equal (method_by_number (methods[i].number), &methods[i]);
        if (i > 0)
            assert_true (methods[i].number > methods[i - 1].number);
    }
    assert_null (method_by_name (BYTES_LITERAL ("reserve.create")));
    assert_null (method_by_name (BYTES_LITERAL ("")));
    assert_null (method_by_number (0));
    assert_null (method_by_number (METHOD_NUMBER_MAX + 1));
    assert_null (method_by_number (UINT64_MAX));
    assert_string_equal (method_by_number (METHOD_NUMBER_RESERVE_CREATE)->name, "reserve.Create");
}

static void test_methods__route_by_the_first_element (void **state)
{
    (void) state;
    const struct method *method = method_by_number (METHOD_NUMBER_RESERVE_CREATE);
    struct reserve_item items[2] = {{.offer = id_make (1, 0xabcd0123, 2)}, {.offer = id_make (1, 7, 2)}};
    struct reserve_create_request request = {.items = items, .items_count = 2};
    uint32_t hash = 0;
    assert_int_equal (method_routing_hash (method, &request, &hash), STATUS_OK);
    assert_int_equal (hash, 0xabcd0123);
    request.items_count = 0;
    assert_int_equal (method_routing_hash (method, &request, &hash), STATUS_INVALID_ARGUMENT);
}

static void test_methods__route_by_the_normalised_login (void **state)
{
    (void) state;
    const struct method *method = method_by_number (METHOD_NUMBER_AUTH_LOGIN);
    struct login_request request = {.login = BYTES_LITERAL ("  Anna ")};
    uint32_t hash = 0;
    assert_int_equal (method->class, METHOD_WRITE);
    assert_int_equal (method_routing_hash (method, &request, &hash), STATUS_OK);
    assert_int_equal (hash, placement_hash_user (BYTES_LITERAL ("anna")));
    request.login = BYTES_LITERAL ("   a   ");
    assert_int_equal (method_routing_hash (method, &request, &hash), STATUS_INVALID_ARGUMENT);
}

static void test_methods__without_a_route_have_no_hash (void **state)
{
    (void) state;
    const struct method *method = method_by_number (METHOD_NUMBER_CATALOG_LIST);
    struct catalog_list_request request = {0};
    uint32_t hash = 0;
    assert_int_equal (method->class, METHOD_FANOUT);
    assert_int_equal (method->route, ROUTE_NONE);
    assert_int_equal (method_routing_hash (method, &request, &hash), STATUS_INVALID_ARGUMENT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_codec_generated__every_type_comes_back),
        cmocka_unit_test (test_codec_generated__strict_reads_one_form_only),
        cmocka_unit_test (test_codec_generated__redacted_and_fingerprints_work_for_every_type),
        cmocka_unit_test (test_codec_generated__types_and_text_are_listed),
        cmocka_unit_test (test_methods__are_found_by_name_and_number),
        cmocka_unit_test (test_methods__route_by_the_first_element),
        cmocka_unit_test (test_methods__route_by_the_normalised_login),
        cmocka_unit_test (test_methods__without_a_route_have_no_hash),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
