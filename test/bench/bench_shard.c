/* What a booking costs one core from the call to the reply: a single voter on an instant disk, so Raft, the services and
 * the shard between them alone. Run by hand. */
#include <time.h>

#include "node/shard/shard.h"
#include "test/support/services_world.h"

#define BOOKINGS 400000
#define OFFER_BUCKETS 100000
#define A_TURN_MAX 64

/* CPU time: what others do on the machine does not count. */
static double now_s (void)
{
    struct timespec t;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

struct bench {
    struct world *ids;
    struct shard *shard;
    uint64_t now_ms, sequence, answered, refused;
    struct shard_event events[A_TURN_MAX]; /* of the turn that is being made */
    uint8_t bodies[A_TURN_MAX][1024];
    unsigned events_count;
    double spent_s;
};

static void step (struct bench *b, struct shard_event event)
{
    event.now_ms = b->now_ms;
    event.wall_median_ms = WORLD_START_MS + b->now_ms;
    shard_step (b->shard, &event);
}

/* Ends turns until nothing is left to be synced. */
static void turn (struct bench *b)
{
    struct shard_effects effects;
    do {
        shard_turn_end (b->shard, b->now_ms, WORLD_START_MS + b->now_ms, &effects);
        maitre_assert (!effects.fatal);
        for (size_t i = 0; i < effects.replies_count; i++)
            b->refused += effects.replies[i].reply.status != STATUS_OK;
        b->answered += effects.replies_count;
        if (effects.persist.sequence != 0) {
            b->sequence = effects.persist.sequence;
            step (b, (struct shard_event){.type = SHARD_EVENT_PERSISTED, .persist_sequence = b->sequence});
        }
    } while (effects.persist.sequence != 0);
}

static void call (struct bench *b, uint32_t number, const struct principal *who, const void *request)
{
    size_t len = 0;
    uint8_t *body = b->bodies[b->events_count];
    const struct method *method = method_by_number (number);
    enum status status = codec_encode (method->request, request, body, sizeof b->bodies[0], &len);
    maitre_assert (status == STATUS_OK);
    b->events[b->events_count++] = (struct shard_event){.type = SHARD_EVENT_CALL,
        .call = {.token = 1,
            .method = method,
            .principal = *who,
            .request_id = method->class == METHOD_WRITE ? world_id (b->ids) : (struct id){{0}},
            .body = bytes_of (body, len)}};
}

static void timed_turn (struct bench *b)
{
    double from = now_s ();
    for (unsigned i = 0; i < b->events_count; i++)
        step (b, b->events[i]);
    b->events_count = 0;
    turn (b);
    b->spent_s += now_s () - from;
}

static void report (struct bench *b, const char *what, unsigned n)
{
    printf ("%-52s %6.2f us\n", what, b->spent_s / n * 1e6);
    b->spent_s = 0;
}

static void compact (struct bench *b)
{
    struct shard_status status;
    shard_status_get (b->shard, &status);
    if (status.log_bytes < 4 * 1024 * 1024)
        return;
    step (b, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = status.applied_index});
    turn (b);
}

static void bookings (struct bench *b, const struct id *offer, unsigned n, unsigned a_turn)
{
    static uint8_t note[100];
    for (unsigned i = 0; i < n; i++) {
        struct principal who = world_principal (1000 + i % 5000, ROLE_CUSTOMER);
        struct reserve_item item = {.offer = *offer, .first = i % OFFER_BUCKETS};
        struct reserve_create_request request = {.reservation = world_id (b->ids),
            .mode = RESERVE_MODE_BOOK,
            .items = &item,
            .items_count = 1,
            .has_note = true,
            .note = bytes_of (note, sizeof note)};
        call (b, METHOD_NUMBER_RESERVE_CREATE, &who, &request);
        if (i % a_turn == a_turn - 1) {
            b->now_ms += i % 8 == 0;
            b->ids->now_ms = WORLD_START_MS + b->now_ms;
            timed_turn (b);
            compact (b);
        }
    }
    timed_turn (b);
}

static void reads (struct bench *b, const struct id *offer, unsigned n, unsigned a_turn)
{
    struct principal who = {0};
    struct avail_query query = {.offer = *offer, .first = 7};
    struct avail_check_request request = {.queries = &query, .queries_count = 1};
    for (unsigned i = 0; i < n; i++) {
        call (b, METHOD_NUMBER_AVAIL_CHECK, &who, &request);
        if (i % a_turn == a_turn - 1)
            timed_turn (b);
    }
    timed_turn (b);
}

int main (void)
{
    static const struct shard_snapshot_ops none;
    struct world ids;
    static struct bench bench;
    struct bench *b = &bench;
    struct arena scratch;
    world_init (&ids);
    b->ids = &ids;
    b->now_ms = 1000;
    arena_init (&scratch, malloc (SHARD_SCRATCH_BYTES), SHARD_SCRATCH_BYTES);
    maitre_assert (scratch.base != NULL);
    struct raft_configuration alone = {
        .count = 1, .members = {{.replica = 1, .node = 1, .rank = 0, .roles = RAFT_VOTER}}};
    struct raft_stored stored = {.configuration = &alone};
    struct shard_config config = {.services = ids.config,
        .raft = {.shard = WORLD_SHARD, .replica = 1, .session = 1},
        .stored = &stored,
        .state = ids.state,
        .scratch = &scratch,
        .snapshot_ops = &none};
    enum status status = shard_new (&config, b->now_ms, &b->shard);
    maitre_assert (status == STATUS_OK);
    for (unsigned i = 0; i < 10; i++, b->now_ms += 10) {
        step (b, (struct shard_event){.type = SHARD_EVENT_TICK});
        turn (b);
    }
    maitre_assert (shard_leads (b->shard));
    struct principal admin = world_admin ();
    struct put_provider_request provider = {.provider = world_id (&ids),
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = world_group (WORLD_SHARD)};
    call (b, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &admin, &provider);
    struct put_offer_request offer = world_offer_request (&ids, &provider.provider);
    offer.last_bucket = OFFER_BUCKETS - 1;
    offer.capacity = 1000000;
    call (b, METHOD_NUMBER_CATALOG_PUT_OFFER, &admin, &offer);
    timed_turn (b);
    maitre_assert (b->answered == 2);
    b->spent_s = 0;
    bookings (b, &offer.offer, BOOKINGS / 4, 1);
    report (b, "book, 100-byte note, 1 a turn", BOOKINGS / 4);
    bookings (b, &offer.offer, BOOKINGS, 64);
    report (b, "book, 100-byte note, 64 a turn", BOOKINGS);
    reads (b, &offer.offer, 200000, 1);
    report (b, "read a bucket, 1 a turn", 200000);
    reads (b, &offer.offer, 200000, 64);
    report (b, "read a bucket, 64 a turn", 200000);
    maitre_assert (b->refused == 0);
    shard_destroy (&b->shard);
    free (scratch.base);
    world_close (&ids);
    return 0;
}
