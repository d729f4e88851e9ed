/* What a method of the contract is, and which shard a request of it goes to.
 *
 * Room: schemas/runtime, pure. The table itself is schemas/generated/methods.h. Thread safety: immutable tables.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_METHOD_H
#define MAITRED_SCHEMAS_RUNTIME_METHOD_H

#include "schemas/runtime/codec.h"

#define METHOD_ROUTE_STEPS_MAX 4

enum method_class {
    METHOD_WRITE,        /* an entry in the log of one user shard */
    METHOD_READ,         /* a read of one user shard */
    METHOD_LOCAL,        /* answered by the entry node itself */
    METHOD_SYSTEM_READ,  /* a read of shard 0 */
    METHOD_SYSTEM_WRITE, /* an entry in the log of shard 0 */
    METHOD_FANOUT,       /* a list over all user shards */
};

enum method_route {
    ROUTE_NONE,
    ROUTE_ID,    /* the placement hash carried by an id of the request */
    ROUTE_LOGIN, /* the placement hash of the normalised login */
};

struct method {
    const char *name; /* "reserve.Create" */
    uint32_t number;
    enum method_class class;
    const struct codec_type *request, *reply;
    enum method_route route;
    const char *route_path; /* "items.offer"; "" with ROUTE_NONE */
    uint8_t route_steps_count;
    uint8_t route_steps[METHOD_ROUTE_STEPS_MAX]; /* indices into fields, from the request inwards */
};

/* The placement hash that a decoded request of the method goes by: along route_path, the first element of each array.
 * INVALID_ARGUMENT: the method has no route, or a field on the path is absent, empty or no login. */
enum status method_routing_hash (const struct method *method, const void *request, uint32_t *hash) WARN_UNUSED;

/* The method of that name in a table of count, whose indices by ascending name are given, or NULL. */
const struct method *method_find (
    const struct method *methods, const uint16_t *by_name, size_t count, struct bytes name);

#endif
