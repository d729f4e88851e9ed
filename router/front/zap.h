/* Who may connect: the ZAP handler of the process, a list of CURVE keys per domain.
 *
 * Room: router/front, not pure: a thread of its own answers ZeroMQ's questions. One handler a process (the address
 * inproc://zeromq.zap.01 is fixed). Ownership: zap_new/zap_destroy. Thread safety: all functions, any thread.
 * Source: ZeroMQ RFC 27 (ZAP), RFC 26 (CurveZMQ).
 *
 * Invariants
 *   1. A key that is not on its domain's list is refused, unless the domain was opened to any key.
 *   2. The user id that ZeroMQ attaches to every message of a connection is the name that the list gives its key: who sent
 *      a message is a fact of the connection, never of the message's own words.
 *   3. The handler runs before the first socket binds (zap_new returns only then).
 */
#ifndef MAITRED_ROUTER_FRONT_ZAP_H
#define MAITRED_ROUTER_FRONT_ZAP_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/runtime/status.h"

#define ZAP_KEY_BYTES 32
#define ZAP_KEYS_MAX 1024
#define ZAP_NAME_BYTES_MAX 15
#define ZAP_ADDRESS_BYTES_MAX 47

enum zap_domain {
    ZAP_CLIENT = 0, /* "client" */
    ZAP_PEER = 1,   /* "peer": other nodes, data and gossip */
    ZAP_DOMAINS,
};

struct zap;

/* FAILED_PRECONDITION: the process has a handler already. RESOURCE_EXHAUSTED: no memory or descriptors. */
WARN_UNUSED enum status zap_new (struct zap **zap);
void zap_destroy (struct zap **zap);

/* The name of a domain as sockets spell it. Static storage. */
const char *zap_domain_name (enum zap_domain domain);

/* Lets a key in under a name of 1 to ZAP_NAME_BYTES_MAX bytes (a node number for peers). A key that is there gets the new
 * name. RESOURCE_EXHAUSTED: ZAP_KEYS_MAX. */
WARN_UNUSED enum status zap_allow (
    struct zap *zap, enum zap_domain domain, const uint8_t key[ZAP_KEY_BYTES], const char *name);

/* Keeps a key out from now on; connections that are up stay up until they end. */
void zap_forbid (struct zap *zap, enum zap_domain domain, const uint8_t key[ZAP_KEY_BYTES]);

/* Lets every key into a domain, under the name "any": for clients that only their token identifies. */
void zap_allow_any (struct zap *zap, enum zap_domain domain);

/* The last connection that was refused. */
struct zap_refusal {
    bool peer; /* at a port for nodes; else for clients */
    char address[ZAP_ADDRESS_BYTES_MAX + 1];
};

/* Fills *last (all zero before the first) and returns what zap_refused does. */
uint64_t zap_refused_last (struct zap *zap, struct zap_refusal *last);

/* Connections refused since the start. */
uint64_t zap_refused (const struct zap *zap);

#endif
