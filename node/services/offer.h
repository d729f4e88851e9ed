/* What bookings and orders need of an offer, packed so that no booking decodes the offer's texts.
 *
 * Room: node/services, pure; internal to the room. Ownership: plain values. Thread safety: none.
 *
 * Invariants
 *   1. The head of an offer is a function of its stored offer record (offer_head_make); the catalogue writes both in one
 *      command.
 *   2. A quota is one level deep: what draws on an offer through its quota does not draw on that quota's own.
 */
#ifndef MAITRED_NODE_SERVICES_OFFER_H
#define MAITRED_NODE_SERVICES_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "node/services/service.h"

#define OFFER_HEAD_BYTES 120
#define OFFER_HOLD_TTL_MS_DEFAULT 600000
#define OFFER_HOLD_TTL_MS_MAX 86400000 /* of a hold on an offer whose policy does not say */

struct offer_head {
    struct id offer;
    struct id provider;
    struct id quota; /* zero: none */
    uint8_t state;
    uint8_t kind;
    uint8_t bucket_kind;
    bool approval;
    uint8_t currency[3];
    uint32_t first, last; /* buckets, inclusive */
    uint32_t capacity;    /* default of every bucket */
    uint32_t overbooking;
    uint32_t customer_limit; /* 0: none */
    uint32_t cancel_window_buckets;
    uint64_t cancel_window_ms;
    uint64_t cancel_fee_minor;
    uint64_t hold_ttl_ms; /* 0: the policy does not say */
    uint64_t price_minor;
};

/* The head of a stored offer. */
void offer_head_make (const struct offer *offer, struct offer_head *head);

/* Puts the head. */
void offer_head_store (struct service_call *call, const struct offer_head *head);

/* True when these are the packed bytes of *head (services_check). */
bool offer_head_matches (const struct offer_head *head, struct bytes stored);

/* Reads the head: false when there is no such offer (or it is damaged: call->damaged). For reads. */
bool offer_head_load (struct service_call *call, const struct id *offer, struct offer_head *head);

/* offer_head_load for a command: first expires the holds that are due on the offer's counter and on its quota's
 * (services.md: each command first expires the due holds of the counters that it touches). Call it for every offer of a
 * command before counter_plan_new. */
bool offer_open (struct service_call *call, const struct id *offer, struct offer_head *head);

/* True when units in [first, first + count) are among the offer's buckets. */
bool offer_has_range (const struct offer_head *head, uint64_t first, uint64_t count);

#endif
