#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, offer;
static struct principal alice, bob;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    offer = world_offer (w, &provider, 10);
    alice = world_principal (100, ROLE_CUSTOMER);
    bob = world_principal (200, ROLE_CUSTOMER);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static struct reserve_create_request booking (struct reserve_item *item)
{
    *item = world_item (&offer, 5, 1, 1);
    return (struct reserve_create_request){
        .reservation = world_id (w), .mode = RESERVE_MODE_BOOK, .items = item, .items_count = 1};
}

static enum status book_as (
    const struct principal *who, const struct id *request_id, struct reserve_create_request *request)
{
    return world_call_as (w, METHOD_NUMBER_RESERVE_CREATE, who, request_id, request, bytes_of (NULL, 0));
}

static void test_services_sessions__repeat_is_answered_from_the_record (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = world_id (w);
    uint8_t body[256];
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_false (w->reply.replayed);
    size_t len = w->reply.body.len;
    memcpy (body, w->reply.body.data, len);
    w->now_ms += 1000;
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_true (w->reply.replayed);
    assert_int_equal (w->reply.body.len, len);
    assert_memory_equal (w->reply.body.data, body, len);
    assert_int_equal (world_bucket (w, &offer, 5).confirmed, 1);
}

static void test_services_sessions__refusal_is_repeated_though_it_would_fit_now (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    item.quantity = 10;
    struct id taken = world_take (w, &bob, RESERVE_MODE_HOLD, &offer, 5, 1), request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_FAILED_PRECONDITION);
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_RELEASE, &bob, &taken), STATUS_OK);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_FAILED_PRECONDITION);
    assert_true (w->reply.replayed);
    assert_string_equal (w->reply.reason, "SOLD_OUT");
    assert_non_null (w->reply.message);
    assert_true (w->refusal.has_available);
    assert_int_equal (w->refusal.available, 9);
}

static void test_services_sessions__scope_is_the_principal (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    request.reservation = world_id (w);
    assert_int_equal (book_as (&bob, &request_id, &request), STATUS_OK);
    assert_false (w->reply.replayed);
    assert_int_equal (world_bucket (w, &offer, 5).confirmed, 2);
}

static void assert_reused (const char *field)
{
    assert_int_equal (w->reply.status, STATUS_ALREADY_EXISTS);
    assert_string_equal (w->reply.reason, "KEY_REUSED");
    assert_false (w->reply.replayed);
    assert_true (w->refusal.has_field);
    assert_true (bytes_equal (w->refusal.field, bytes_text (field)));
}

static void test_services_sessions__other_body_names_the_first_field_that_differs (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item), other;
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    other = request;
    other.reservation = world_id (w);
    book_as (&alice, &request_id, &other);
    assert_reused ("reservation");
    other = request;
    other.mode = RESERVE_MODE_HOLD;
    book_as (&alice, &request_id, &other);
    assert_reused ("mode");
    item.first = 6;
    book_as (&alice, &request_id, &request);
    assert_reused ("items");
    item.first = 5;
    other = request;
    other.has_note = true;
    other.note = BYTES_LITERAL ("x");
    book_as (&alice, &request_id, &other);
    assert_reused ("note");
    /* None of that touched the record. */
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_true (w->reply.replayed);
}

static void test_services_sessions__other_method_is_a_reuse (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct reserve_cancel_request cancel = {.reservation = request.reservation};
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    world_call_as (w, METHOD_NUMBER_RESERVE_CANCEL, &alice, &request_id, &cancel, bytes_of (NULL, 0));
    assert_reused ("method");
}

static uint32_t foreign_hash (void)
{
    return placement_hash_group (world_group (WORLD_SHARD + 1));
}

static void test_services_sessions__request_id_of_another_shard_is_refused_and_not_recorded (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = id_make (w->now_ms, foreign_hash (), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (book_as (&alice, &request_id, &request), STATUS_INVALID_ARGUMENT);
        assert_string_equal (w->reply.reason, "WRONG_SHARD");
        assert_false (w->reply.replayed);
    }
}

static void test_services_sessions__body_of_another_shard_is_refused (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    item.offer = id_make (w->now_ms, foreign_hash (), 1);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_INVALID_ARGUMENT);
    assert_string_equal (w->reply.reason, "WRONG_SHARD");
    assert_true (bytes_equal (w->refusal.field, BYTES_LITERAL ("items.offer")));
    book_as (&alice, &request_id, &request);
    assert_true (w->reply.replayed);
}

static void test_services_sessions__id_too_far_ahead_is_refused_until_time_catches_up (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = id_make (w->now_ms + 600001, w->hash, 1);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_INVALID_ARGUMENT);
    assert_string_equal (w->reply.reason, "REQUEST_FROM_FUTURE");
    w->now_ms++;
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
}

static void test_services_sessions__records_leave_at_their_ttl_and_leave_a_horizon (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = world_id (w);
    uint64_t made_ms = w->now_ms;
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    w->now_ms = made_ms + 86400000 - 1;
    assert_false (world_tick (w));
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_true (w->reply.replayed);
    /* Within a minute of their time they go together. */
    w->now_ms = services_next_deadline (&w->config, &w->state);
    assert_true (w->now_ms >= made_ms + 86400000 && w->now_ms <= made_ms + 86400000 + 60000);
    assert_true (world_tick (w));
    assert_false (world_tick (w));
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_FAILED_PRECONDITION);
    assert_string_equal (w->reply.reason, "REQUEST_TOO_OLD");
    assert_false (w->reply.replayed);
    /* So is one that never was: it cannot be told apart. */
    struct id older = id_make (made_ms, w->hash, 1);
    request.reservation = world_id (w);
    assert_int_equal (book_as (&alice, &older, &request), STATUS_FAILED_PRECONDITION);
    struct id younger = id_make (made_ms + 1, w->hash, 1);
    assert_int_equal (book_as (&alice, &younger, &request), STATUS_OK);
    assert_int_equal (world_bucket (w, &offer, 5).confirmed, 2);
}

static void test_services_sessions__full_table_drops_the_oldest_ids_first (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    w->config.records_max = 64;
    struct id first = world_id (w);
    assert_int_equal (book_as (&alice, &first, &request), STATUS_OK);
    unsigned ticks = 0;
    struct id last = first;
    for (unsigned i = 0; i < 200; i++) {
        w->now_ms++;
        struct principal anyone = world_principal (1000 + i, ROLE_CUSTOMER);
        item.first = 10 + i % 80;
        request.reservation = world_id (w);
        last = world_id (w);
        assert_int_equal (book_as (&anyone, &last, &request), STATUS_OK);
        while (world_tick (w))
            ticks++;
    }
    /* In groups, not one by one. */
    assert_true (ticks > 20 && ticks < 100);
    struct principal latest = world_principal (1199, ROLE_CUSTOMER);
    assert_int_equal (book_as (&latest, &last, &request), STATUS_OK);
    assert_true (w->reply.replayed);
    book_as (&alice, &first, &request);
    assert_string_equal (w->reply.reason, "REQUEST_TOO_OLD");
}

static size_t count_records (void)
{
    struct tree_cursor cursor;
    const struct tree_entry *entry;
    size_t count = 0;
    tree_seek (w->map.tree, bytes_of (NULL, 0), &cursor);
    while ((entry = tree_next (&cursor)) != NULL)
        count += entry->key[0] == TABLE_RECORD;
    return count;
}

static void test_services_sessions__an_entry_drops_a_thousand_records_at_most (void **state)
{
    (void) state;
    struct reserve_cancel_request request = {.reservation = world_id (w)};
    w->unchecked = true;
    while (count_records () < 2500)
        world_call (w, METHOD_NUMBER_RESERVE_CANCEL, &alice, &request);
    w->now_ms += 86400000 + 60000;
    size_t left[] = {1500, 500, 0};
    for (size_t i = 0; i < 3; i++) {
        assert_true (world_tick (w));
        assert_int_equal (count_records (), left[i]);
    }
    assert_false (world_tick (w));
    assert_int_equal (services_next_deadline (&w->config, &w->state), UINT64_MAX);
}

static void test_services_sessions__log_time_never_goes_back (void **state)
{
    (void) state;
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 1, 1);
    uint64_t before = services_log_time (&w->state);
    assert_int_equal (before, w->now_ms);
    w->now_ms -= 5000;
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 1, 1);
    assert_int_equal (services_log_time (&w->state), before);
    assert_int_equal (world_reservation (w, &id).created_ms, before);
    struct state_map empty;
    state_map_init (&empty);
    struct state nothing = state_map_state (&empty);
    assert_int_equal (services_log_time (&nothing), 0);
    assert_int_equal (services_next_deadline (&w->config, &nothing), UINT64_MAX);
    state_map_close (&empty);
}

static void test_services_sessions__what_does_not_decode_halts (void **state)
{
    (void) state;
    uint8_t payload[512];
    size_t len = 0;
    struct log_entry entry = {.kind = LOG_KIND_COMMAND, .time_ms = w->now_ms};
    assert_int_equal (world_apply_payload (w, BYTES_LITERAL ("junk")), STATUS_DATA_LOSS);
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_DATA_LOSS);
    entry.has_method = entry.has_request_id = entry.has_actor = entry.has_body = true;
    entry.method = 9999;
    entry.request_id = world_id (w);
    entry.body = BYTES_LITERAL ("\xa0");
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_DATA_LOSS);
    entry.method = METHOD_NUMBER_RESERVE_GET; /* a read never is in the log */
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_DATA_LOSS);
    entry.method = METHOD_NUMBER_RESERVE_CREATE;
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_DATA_LOSS);
    entry = (struct log_entry){.kind = LOG_KIND_EXPIRE, .time_ms = w->now_ms};
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_DATA_LOSS);
}

static void test_services_sessions__damaged_rows_halt (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    const enum table tables[] = {TABLE_META, TABLE_OFFER_HEAD, TABLE_COUNTER, TABLE_USAGE};
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 5, 1);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct key from = key_table (tables[i]);
        struct tree_cursor cursor;
        tree_seek (w->map.tree, key_of (&from), &cursor);
        struct tree_entry *entry = tree_next (&cursor);
        assert_non_null (entry);
        assert_int_equal (entry->key[0], tables[i]);
        uint8_t value[600];
        size_t len = entry->value_len;
        memcpy (value, entry->value, len);
        assert_true (tree_set_value (w->map.tree, entry, bytes_of (value, len - 1)));
        uint8_t body[512], payload[1024];
        size_t body_len = 0, payload_len = 0;
        struct id request_id = world_id (w);
        request.reservation = world_id (w);
        assert_int_equal (
            codec_encode (&reserve_create_request_type, &request, body, sizeof body, &body_len), STATUS_OK);
        assert_int_equal (
            services_encode_command (method_by_number (METHOD_NUMBER_RESERVE_CREATE), &alice, &request_id, w->now_ms,
                bytes_of (body, body_len), bytes_of (NULL, 0), payload, sizeof payload, &payload_len),
            STATUS_OK);
        assert_int_equal (world_apply_payload (w, bytes_of (payload, payload_len)), STATUS_DATA_LOSS);
        assert_true (tree_set_value (w->map.tree, entry, bytes_of (value, len)));
    }
}

static void test_services_sessions__anonymous_callers_read_the_catalogue_only (void **state)
{
    (void) state;
    struct principal nobody = {0};
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&nobody, &request_id, &request), STATUS_UNAUTHENTICATED);
    assert_string_equal (w->reply.reason, "NO_TOKEN");
    struct catalog_get_request get = {.id = offer};
    assert_int_equal (world_read (w, METHOD_NUMBER_CATALOG_GET, &nobody, &get), STATUS_OK);
    struct reserve_list_request list = {0};
    assert_int_equal (world_read (w, METHOD_NUMBER_RESERVE_LIST, &nobody, &list), STATUS_UNAUTHENTICATED);
}

/* ---- prepare: the leader's look before it proposes */

static struct services_prepare prepare_create (const struct id *request_id, struct reserve_create_request *request)
{
    static uint8_t body[512];
    size_t len = 0;
    struct services_prepare prepare;
    struct bytes logged;
    assert_int_equal (codec_encode (&reserve_create_request_type, request, body, sizeof body, &len), STATUS_OK);
    arena_reset (&w->arena);
    services_prepare (&w->config, &w->state, method_by_number (METHOD_NUMBER_RESERVE_CREATE), &alice, request_id,
        bytes_of (body, len), &w->arena, &prepare, &logged, &w->reply);
    if (prepare.kind == SERVICES_PREPARE_NONE)
        assert_true (bytes_equal (logged, bytes_of (body, len)));
    return prepare;
}

static void test_services_prepare__answers_repeats_without_the_log (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id request_id = world_id (w);
    assert_int_equal (prepare_create (&request_id, &request).kind, SERVICES_PREPARE_NONE);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_int_equal (prepare_create (&request_id, &request).kind, SERVICES_PREPARE_DONE);
    assert_int_equal (w->reply.status, STATUS_OK);
    assert_true (w->reply.replayed);
    request.mode = RESERVE_MODE_HOLD;
    assert_int_equal (prepare_create (&request_id, &request).kind, SERVICES_PREPARE_DONE);
    assert_string_equal (w->reply.reason, "KEY_REUSED");
}

static void test_services_prepare__refuses_what_can_only_be_refused (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    struct id foreign = id_make (w->now_ms, foreign_hash (), 1), own = world_id (w);
    assert_int_equal (prepare_create (&foreign, &request).kind, SERVICES_PREPARE_DONE);
    assert_string_equal (w->reply.reason, "WRONG_SHARD");
    item.offer = foreign;
    assert_int_equal (prepare_create (&own, &request).kind, SERVICES_PREPARE_DONE);
    assert_string_equal (w->reply.reason, "WRONG_SHARD");
    struct services_prepare prepare;
    struct bytes logged;
    arena_reset (&w->arena);
    services_prepare (&w->config, &w->state, method_by_number (METHOD_NUMBER_RESERVE_CREATE), &alice, &own,
        BYTES_LITERAL ("\xa0"), &w->arena, &prepare, &logged, &w->reply);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_DONE);
    assert_string_equal (w->reply.reason, "BAD_REQUEST");
    arena_reset (&w->arena);
    services_prepare (&w->config, &w->state, method_by_number (METHOD_NUMBER_HEALTH_CHECK), &alice, &own,
        BYTES_LITERAL ("\xa0"), &w->arena, &prepare, &logged, &w->reply);
    assert_int_equal (prepare.kind, SERVICES_PREPARE_DONE);
    assert_int_equal (w->reply.status, STATUS_UNIMPLEMENTED);
}

/* ABORTED is an outcome like any other: only the reason FENCED makes a record a fence. */
static void test_services_sessions__an_aborted_call_is_repeated_as_it_was (void **state)
{
    (void) state;
    struct principal admin = world_admin ();
    struct put_offer_request request = world_offer_request (w, &provider);
    request.offer = offer;
    request.has_version = true;
    request.version = 99; /* nobody has seen it yet */
    struct id request_id = world_id (w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (
            world_call_as (w, METHOD_NUMBER_CATALOG_PUT_OFFER, &admin, &request_id, &request, bytes_of (NULL, 0)),
            STATUS_ABORTED);
        assert_string_equal (w->reply.reason, "STALE_VERSION");
        assert_int_equal (w->reply.replayed, i == 1);
    }
    struct outcome_request question = {.request_id = request_id};
    struct outcome_reply outcome;
    assert_int_equal (world_call (w, METHOD_NUMBER_CALL_OUTCOME, &admin, &question), STATUS_OK);
    world_reply (w, &outcome_reply_type, &outcome);
    assert_int_equal (outcome.state, OUTCOME_STATE_APPLIED);
    assert_int_equal (outcome.status, STATUS_ABORTED);
}

/* A body that goes on where the first one ended names the field that is new, and the other way round. */
static void test_services_sessions__a_field_more_or_less_at_the_end_is_another_body (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    const struct codec_field *last = &reserve_create_request_type.fields[reserve_create_request_type.field_count - 1];
    assert_true (last->optional);
    bool *has_last = (bool *) ((uint8_t *) &request + last->has_offset);
    for (int more = 0; more < 2; more++) {
        struct id request_id = world_id (w);
        request.reservation = world_id (w);
        *has_last = more == 0;
        book_as (&alice, &request_id, &request);
        *has_last = more == 1;
        assert_int_equal (book_as (&alice, &request_id, &request), STATUS_ALREADY_EXISTS);
        assert_string_equal (w->reply.reason, "KEY_REUSED");
        assert_true (bytes_equal (w->refusal.field, bytes_text (last->name)));
    }
}

/* Applies an entry that drops records up to now. */
static enum status drop_records (void)
{
    uint8_t payload[64];
    size_t len = 0;
    struct log_entry entry = {.kind = LOG_KIND_DROP_RECORDS, .time_ms = w->now_ms, .has_cut = true, .cut = UINT64_MAX};
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    w->unchecked = true; /* the books are damaged on purpose */
    enum status status = world_apply_payload (w, bytes_of (payload, len));
    w->unchecked = false;
    return status;
}

/* A shard does not go on with records that it cannot count: the next replica may have them whole. */
static void test_services_sessions__damaged_records_halt_the_drop (void **state)
{
    (void) state;
    uint8_t value[64];
    struct bytes stored;
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 5, 1);
    struct key meta = key_table (TABLE_META), stray = key_table (TABLE_RECORD);
    assert_true (state_get (&w->state, key_of (&meta), &stored));
    size_t len = stored.len;
    memcpy (value, stored.data, len);
    value[0]++; /* written by a version of the future */
    state_put (&w->state, key_of (&meta), bytes_of (value, len));
    assert_int_equal (drop_records (), STATUS_DATA_LOSS);
    value[0]--;
    uint64_t records = bytes_get_u64 (value + 9);
    assert_true (records > 1);
    bytes_put_u64 (value + 9, 1); /* fewer than there are */
    state_put (&w->state, key_of (&meta), bytes_of (value, len));
    assert_int_equal (drop_records (), STATUS_DATA_LOSS);
    bytes_put_u64 (value + 9, records);
    state_put (&w->state, key_of (&meta), bytes_of (value, len));
    stray.b[stray.len++] = 0; /* no record's key */
    state_put (&w->state, key_of (&stray), bytes_of (value, 1));
    assert_int_equal (drop_records (), STATUS_DATA_LOSS);
    state_remove (&w->state, key_of (&stray));
    assert_int_equal (drop_records (), STATUS_OK);
    assert_int_equal (count_records (), 0);
}

/* A cut behind the horizon, as an entry that was proposed twice brings it, does not take it back. */
static void test_services_sessions__the_horizon_never_goes_back (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 5, 1);
    struct id young = id_make (w->now_ms, w->hash, 9999), old = id_make (1, w->hash, 1);
    assert_int_equal (drop_records (), STATUS_OK);
    assert_int_equal (drop_records (), STATUS_OK); /* nothing is left to go */
    assert_int_equal (book_as (&alice, &old, &request), STATUS_FAILED_PRECONDITION);
    assert_string_equal (w->reply.reason, "REQUEST_TOO_OLD");
    assert_int_equal (drop_records (), STATUS_OK); /* drops the record of that refusal, whose id is below the horizon */
    assert_int_equal (book_as (&alice, &old, &request), STATUS_FAILED_PRECONDITION);
    assert_int_equal (book_as (&alice, &young, &request), STATUS_OK);
}

/* Before a whole lifetime of records has passed, none is of age. */
static void test_services_sessions__nothing_is_of_age_in_a_young_cluster (void **state)
{
    (void) state;
    struct reserve_item item;
    struct reserve_create_request request = booking (&item);
    w->config.record_ttl_ms = w->now_ms + 1000; /* longer than since 1970 */
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_OK);
    assert_false (world_tick (w));
    w->config.records_max = 1; /* too many, though none is of age */
    assert_true (world_tick (w));
    assert_int_equal (book_as (&alice, &request_id, &request), STATUS_FAILED_PRECONDITION);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_sessions__repeat_is_answered_from_the_record),
        TEST (test_services_sessions__refusal_is_repeated_though_it_would_fit_now),
        TEST (test_services_sessions__scope_is_the_principal),
        TEST (test_services_sessions__other_body_names_the_first_field_that_differs),
        TEST (test_services_sessions__other_method_is_a_reuse),
        TEST (test_services_sessions__request_id_of_another_shard_is_refused_and_not_recorded),
        TEST (test_services_sessions__body_of_another_shard_is_refused),
        TEST (test_services_sessions__id_too_far_ahead_is_refused_until_time_catches_up),
        TEST (test_services_sessions__records_leave_at_their_ttl_and_leave_a_horizon),
        TEST (test_services_sessions__full_table_drops_the_oldest_ids_first),
        TEST (test_services_sessions__an_entry_drops_a_thousand_records_at_most),
        TEST (test_services_sessions__log_time_never_goes_back),
        TEST (test_services_sessions__what_does_not_decode_halts),
        TEST (test_services_sessions__damaged_rows_halt),
        TEST (test_services_sessions__anonymous_callers_read_the_catalogue_only),
        TEST (test_services_prepare__answers_repeats_without_the_log),
        TEST (test_services_prepare__refuses_what_can_only_be_refused),
        cmocka_unit_test_setup_teardown (
            test_services_sessions__an_aborted_call_is_repeated_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown (
            test_services_sessions__a_field_more_or_less_at_the_end_is_another_body, setup, teardown),
        cmocka_unit_test_setup_teardown (test_services_sessions__damaged_records_halt_the_drop, setup, teardown),
        cmocka_unit_test_setup_teardown (test_services_sessions__the_horizon_never_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown (test_services_sessions__nothing_is_of_age_in_a_young_cluster, setup, teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
