/* What the services cost: applying a booking, a refusal, a replay, on an in-memory tree. Run by hand. */
#include <time.h>

#include "test/support/services_world.h"

#define SLOTS 500
#define BOOKINGS 200000

static double now_s (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static uint8_t payload[16384];
static size_t payload_len;
static double spent_s;

static void timed_apply (struct world *w)
{
    double from = now_s ();
    arena_reset (&w->arena);
    enum status status =
        services_apply (&w->config, &w->state, bytes_of (payload, payload_len), ++w->index, &w->arena, &w->reply);
    spent_s += now_s () - from;
    maitre_assert (status == STATUS_OK);
}

static void make_payload (struct world *w, const struct principal *who, const struct reserve_create_request *request)
{
    uint8_t body[8192];
    size_t len = 0;
    struct id request_id = world_id (w);
    enum status status = codec_encode (&reserve_create_request_type, request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    status = services_encode_command (method_by_number (METHOD_NUMBER_RESERVE_CREATE), who, &request_id, w->now_ms,
        bytes_of (body, len), bytes_of (NULL, 0), payload, sizeof payload, &payload_len);
    maitre_assert (status == STATUS_OK);
}

static void report (const char *what, unsigned n)
{
    if (what[0] != '\0')
        printf ("%-52s %6.2f us\n", what, spent_s / n * 1e6);
    spent_s = 0;
}

static struct id big_offer (struct world *w, const struct id *provider, uint64_t last, uint64_t capacity)
{
    struct put_offer_request request = world_offer_request (w, provider);
    request.last_bucket = last;
    request.capacity = capacity;
    return world_put_offer (w, &request);
}

static void bench_create (struct world *w, const char *what, uint64_t mode, struct reserve_item *items, size_t count,
    unsigned n, bool moving, enum status expected)
{
    static uint8_t note[100];
    for (unsigned i = 0; i < n; i++) {
        struct principal who = world_principal (1000 + w->serial % 5000, ROLE_CUSTOMER);
        struct reserve_create_request request = {
            .reservation = world_id (w),
            .mode = mode,
            .items = items,
            .items_count = count,
            .has_note = true,
            .note = bytes_of (note, sizeof note),
        };
        for (size_t k = 0; k < count && moving; k++)
            items[k].first = i % 100000;
        w->now_ms += i % 8 == 0;
        make_payload (w, &who, &request);
        timed_apply (w);
        maitre_assert (w->reply.status == expected);
    }
    report (what, n);
}

int main (void)
{
    struct world world, *w = &world;
    world_init (w);
    w->unchecked = true;
    struct id provider = world_provider (w);
    struct id hotel = big_offer (w, &provider, 99999, 1000000), band = big_offer (w, &provider, 99999, 1000000);
    struct reserve_item items[2] = {{.offer = hotel}, {.offer = band}};
    bench_create (w, "book 1 item, 100-byte note", RESERVE_MODE_BOOK, items, 1, BOOKINGS, true, STATUS_OK);
    timed_apply (w);
    spent_s = 0;
    for (unsigned i = 0; i < 100000; i++)
        timed_apply (w);
    maitre_assert (w->reply.replayed);
    report ("replay of it", 100000);
    bench_create (w, "hold 1 item", RESERVE_MODE_HOLD, items, 1, 50000, true, STATUS_OK);
    bench_create (w, "book 2 items (hotel and band)", RESERVE_MODE_BOOK, items, 2, 50000, true, STATUS_OK);

    struct id slots = big_offer (w, &provider, SLOTS - 1, 1);
    struct reserve_item slot = {.offer = slots};
    for (unsigned i = 0; i + 1 < SLOTS; i++) {
        slot.first = i;
        bench_create (w, "", RESERVE_MODE_BOOK, &slot, 1, 1, false, STATUS_OK);
    }
    slot.first = 0;
    bench_create (w, "refused: 499 of 500 slots are sold", RESERVE_MODE_BOOK, &slot, 1, 100000, false,
        STATUS_FAILED_PRECONDITION);
    w->now_ms += 3600000;
    unsigned ticks = 0;
    double from = now_s ();
    while (world_tick (w))
        ticks++;
    spent_s = now_s () - from;
    report ("expire a hold (entries of 1,000)", 50000);
    printf ("%u entries, %zu rows, %zu MiB\n", ticks, tree_count (w->map.tree), tree_bytes (w->map.tree) >> 20);
    world_close (w);
    return 0;
}
