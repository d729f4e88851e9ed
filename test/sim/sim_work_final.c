/* In the end: the counters equal a recount, and every acknowledged thing is there, on every replica that has all. */
#include "test/sim/sim_work.h"

#include <string.h>

#include "node/services/keys.h"
#include "schemas/generated/auth.h"
#include "schemas/generated/order.h"
#include "schemas/generated/reserve.h"

struct final {
    struct sim *sim;
    struct sim_replica *replica;
    struct services_config services;
    struct state state;
};

static void read_back (struct final *self, enum work_act act, const void *value, struct services_reply *reply)
{
    static uint64_t memory[SERVICES_ARENA_BYTES_MIN / 8 + 1024];
    struct principal who = work_admin ();
    struct arena arena;
    uint8_t body[64];
    size_t len;
    enum status status = codec_encode (work_method (act)->request, value, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    arena_init (&arena, memory, sizeof memory);
    services_read (&self->services, &self->state, work_method (act), &who, bytes_of (body, len),
        services_log_time (&self->state), &arena, reply);
}

static void check_thing (struct final *self, const struct work_thing *thing)
{
    struct services_reply reply;
    struct reserve_get_request reservation = {.reservation = thing->id};
    struct order_get_request placed = {.order = thing->id};
    uint64_t bucket;
    if (thing->kind == WORK_ORDER)
        read_back (self, WORK_ORDER_GET, &placed, &reply);
    else
        read_back (self, WORK_GET, &reservation, &reply);
    if (thing->created != (reply.status == STATUS_OK))
        sim_fail (self->sim, "shard %u: in the end a thing that was %s is %s", thing->shard,
            thing->created ? "acknowledged" : "refused", status_name (reply.status));
    if (!thing->created)
        return;
    uint64_t state = work_state_in (self->sim, thing, reply.body, &bucket);
    if (!(work_possible (thing) & work_bit (state)))
        sim_fail (self->sim, "shard %u: in the end a thing is in state %lu, which contradicts what was acknowledged",
            thing->shard, (unsigned long) state);
    if (thing->kind == WORK_BOOKING && !thing->moving && bucket != thing->bucket)
        sim_fail (self->sim, "shard %u: in the end a reservation is in slot %lu instead of %lu", thing->shard,
            (unsigned long) bucket, (unsigned long) thing->bucket);
}

static void check_key (struct final *self, const struct work_thing *thing)
{
    uint8_t key[1 + ID_SIZE] = {TABLE_API_KEY};
    struct bytes stored;
    struct api_key value;
    memcpy (key + 1, thing->id.b, ID_SIZE);
    bool there = state_get (&self->state, bytes_of (key, sizeof key), &stored);
    if (there && codec_decode (&api_key_type, stored, CODEC_STRICT, NULL, &value, NULL) != STATUS_OK)
        sim_fail (self->sim, "a stored API key does not decode");
    if (thing->created && !there)
        sim_fail (self->sim, "in the end an acknowledged API key is gone");
    if (thing->created && !(work_possible (thing) & work_bit (value.revoked ? 2 : 1)))
        sim_fail (self->sim, "in the end an API key is %s, which contradicts what was acknowledged",
            value.revoked ? "revoked" : "valid");
}

void sim_shard_final (struct sim *sim, struct sim_replica *replica)
{
    struct sim_work *work = work_of (sim);
    struct final self = {.sim = sim,
        .replica = replica,
        .services = sim_shard_services (sim, replica->shard),
        .state = state_map_state (&replica->shard_core->map)};
    char drift[200];
    struct sim_replica *leader = sim_find_leader (sim, replica->shard);
    if (!leader || raft_configuration_find (raft_configuration (leader->raft), replica->replica) == NULL ||
        replica->machine.applied != leader->machine.applied)
        return; /* it was removed, or is cut off: it need not know everything */
    if (!services_check (&self.services, &self.state, drift, sizeof drift))
        sim_fail (sim, "shard %u replica %lu: %s", replica->shard, (unsigned long) replica->replica, drift);
    for (size_t i = 0; i < work->things_count; i++) {
        const struct work_thing *thing = &work->things[i];
        if (thing->shard != replica->shard || (!thing->created && !thing->refused))
            continue;
        if (thing->kind == WORK_API_KEY)
            check_key (&self, thing);
        else
            check_thing (&self, thing);
    }
}
