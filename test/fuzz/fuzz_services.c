/* The services under whatever a client may ask: sequences of well-formed calls about the same few things, as any user,
 * prepared and logged as a leader does.
 *
 * No call may be refused as damage (that would end every replica of the shard), break the books (services_check), or be
 * answered with a body that its type does not allow.
 */
#include "test/fuzz/fuzz.h"
#include "test/support/services_rig.h"

#define IDS 12
#define BODY_SIZE (64 * 1024)
#define STEPS_MAX 64

static struct world w;
static uint8_t *made_memory, *body, *payload, *reply_memory, *check_memory;
static struct id ids[IDS];
static uint64_t request[2048], reply[4096];

static void prepare (void)
{
    if (made_memory == NULL) {
        world_init (&w);
        made_memory = malloc (1u << 20);
        body = malloc (BODY_SIZE);
        payload = malloc (2 * BODY_SIZE);
        size_t reply_size = 1;
        for (size_t i = 0; i < METHOD_COUNT; i++)
            reply_size = methods[i].reply->arena_max > reply_size ? methods[i].reply->arena_max : reply_size;
        reply_memory = malloc (reply_size);
        check_memory = malloc (SERVICES_CHECK_ARENA_BYTES);
        maitre_assert (
            check_memory != NULL && made_memory != NULL && body != NULL && payload != NULL && reply_memory != NULL);
    }
    state_map_close (&w.map);
    state_map_init (&w.map);
    w.unchecked = true;
    w.now_ms = WORLD_START_MS;
    w.serial = w.index = 0;
}

/* A hotel with a room and a restaurant's dish; the other ids are for users, reservations, orders and request ids. */
static void open_shop (uint32_t shard)
{
    w.config.shard = shard;
    w.config.shard_count = 1;
    for (size_t i = 0; i < IDS; i++)
        ids[i] = rig_id (&w, 5);
    if (shard == 0)
        return;
    struct principal admin = world_admin ();
    ids[0] = rig_put_provider (&w, &admin.id);
    struct put_offer_request dish = rig_dish (&w, &ids[0], 700, 3);
    rig_put_offer (&w, &dish);
    ids[1] = dish.offer;
    struct put_offer_request room = world_offer_request (&w, &ids[0]);
    room.offer = rig_id (&w, id_hash (&ids[0]));
    rig_put_offer (&w, &room);
    ids[2] = room.offer;
    ids[3] = admin.id;
}

static void check_books (void)
{
    char drift[200];
    struct arena arena;
    arena_init (&arena, check_memory, SERVICES_CHECK_ARENA_BYTES);
    if (services_check_in (&w.config, &w.state, &arena, drift, sizeof drift))
        return;
    fprintf (stderr, "services_check: %s\n", drift);
    abort ();
}

static void check_reply (const struct method *method)
{
    struct arena arena;
    const struct codec_type *type = w.reply.status == STATUS_OK ? method->reply : &refusal_type;
    maitre_assert (w.reply.status == STATUS_OK || w.reply.reason != NULL);
    maitre_assert (type->size <= sizeof reply);
    arena_init (&arena, reply_memory, type->arena_max);
    enum status status = codec_decode (type, w.reply.body, CODEC_STRICT, &arena, reply, NULL);
    maitre_assert (status == STATUS_OK);
}

/* What the threads for passwords and tokens would bring: mostly that it is right. */
static struct bytes prepared_for (struct fuzz *fuzz, const struct services_prepare *wanted, uint8_t out[160])
{
    static const char phc[] = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
    size_t len = 0;
    out[len++] = fuzz_u8 (fuzz) % 8 != 0;
    switch (wanted->kind) {
    case SERVICES_PREPARE_HASH:
        return BYTES_LITERAL (phc);
    case SERVICES_PREPARE_VERIFY:
    case SERVICES_PREPARE_CHANGE:
        bytes_put_u64 (out + len, wanted->credentials_version + (fuzz_u8 (fuzz) == 255));
        len += 8;
        if (wanted->kind == SERVICES_PREPARE_CHANGE) {
            memcpy (out + len, phc, sizeof phc - 1);
            len += sizeof phc - 1;
        }
        return bytes_of (out, len);
    case SERVICES_PREPARE_REFRESH:
        memcpy (out + len, ids[fuzz_below (fuzz, IDS)].b, ID_SIZE);
        bytes_put_u64 (out + len + ID_SIZE, fuzz_below (fuzz, 4));
        return bytes_of (out, len + ID_SIZE + 8);
    default:
        return bytes_of (NULL, 0);
    }
}

static void write_call (struct fuzz *fuzz, const struct method *method, const struct principal *principal,
    const struct id *request_id, struct bytes asked)
{
    struct services_prepare wanted;
    struct bytes logged = asked;
    uint8_t prepared_bytes[160];
    size_t len = 0;
    arena_reset (&w.read_arena);
    services_prepare (
        &w.config, &w.state, method, principal, request_id, asked, &w.read_arena, &wanted, &logged, &w.reply);
    if (wanted.kind == SERVICES_PREPARE_DONE) {
        if (!w.reply.replayed)
            check_reply (method);
        return;
    }
    struct bytes prepared = prepared_for (fuzz, &wanted, prepared_bytes);
    enum status status = services_encode_command (
        method, principal, request_id, w.now_ms, logged, prepared, payload, 2 * BODY_SIZE, &len);
    if (status != STATUS_OK) /* past the bounds of the log's entry: the leader refuses it */
        return;
    status = world_apply_payload (&w, bytes_of (payload, len));
    maitre_assert (status == STATUS_OK);
    check_reply (method);
}

static void call (struct fuzz *fuzz)
{
    struct arena arena;
    const struct method *method = &methods[fuzz_below (fuzz, METHOD_COUNT)];
    bool system = method->class == METHOD_SYSTEM_READ || method->class == METHOD_SYSTEM_WRITE;
    if (method->class == METHOD_LOCAL || system != (w.config.shard == 0))
        return; /* never gets to this shard */
    arena_init (&arena, made_memory, 1u << 20);
    fuzz->arena = &arena;
    fuzz->ids = ids;
    fuzz->ids_count = IDS;
    uint8_t draw = fuzz_u8 (fuzz);
    struct principal principal = {.id = ids[3 + draw % 4],
        .kind = draw / 4 % 8 == 0   ? PRINCIPAL_KIND_ANONYMOUS
                : draw / 4 % 8 == 1 ? PRINCIPAL_KIND_API_KEY
                                    : PRINCIPAL_KIND_USER,
        .roles = draw >= 128 ? ROLE_SET_MAX : draw / 32};
    struct id request_id = ids[4 + fuzz_below (fuzz, IDS - 4)];
    fuzz_map (fuzz, method->request, (uint8_t *) request);
    size_t len = 0;
    if (codec_encode (method->request, request, body, BODY_SIZE, &len) != STATUS_OK)
        return;
    struct bytes asked = bytes_of (body, len);
    if (method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE) {
        write_call (fuzz, method, &principal, &request_id, asked);
        return;
    }
    arena_reset (&w.arena);
    services_read (&w.config, &w.state, method, &principal, asked, w.now_ms, &w.arena, &w.reply);
    check_reply (method);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    uint8_t shape = fuzz_u8 (&fuzz);
    prepare ();
    w.config.records_max = shape & 2 ? 8 : 1000000;
    open_shop (shape & 1 ? 0 : 1);
    for (int i = 0; i < STEPS_MAX && fuzz.left > 0; i++) {
        uint8_t kind = fuzz_u8 (&fuzz);
        if (kind % 8 == 7) {
            w.now_ms += fuzz_below (&fuzz, 8) * (kind & 64 ? 3600000 : 30000);
            rig_housekeep (&w);
        } else {
            call (&fuzz);
        }
        if (kind % 16 == 15)
            check_books ();
    }
    check_books ();
    maitre_assert (!state_failed (&w.state));
    return 0;
}
