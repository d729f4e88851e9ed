/* What the frame (apply.c, read.c, prepare.c) does with a call before its handler sees it. Internal to the room. */
#ifndef MAITRED_NODE_SERVICES_CALL_H
#define MAITRED_NODE_SERVICES_CALL_H

#include "node/services/service.h"

/* False after refusing a request whose routing key belongs to another shard. */
bool call_routes_here (struct service_call *call);

/* What every method asks of its caller: a principal (unless it may be anonymous) and the right shard. False after
 * refusing. */
bool call_admit (struct service_call *call, const struct service_method *handlers);

#endif
