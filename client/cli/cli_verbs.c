/* The friendly verbs: which method each one is, which fields come as plain words, which ids are made here.
 */
#include "client/cli/cli_verbs.h"

/* words: fields in order; the last may end in "..." (all that follow). make: the id that is made when it is not given,
 * and after '<' the field (or the first element of the array before '.') that it is placed with. */
const struct verb verbs[] = {
    {"auth", "register", METHOD_NUMBER_AUTH_REGISTER, "login", NULL, "make a user",
        "maitre auth register alice --password-stdin"},
    {"auth", "login", METHOD_NUMBER_AUTH_LOGIN, "login", NULL, "get an access token for five minutes",
        "maitre auth login alice --password-stdin --json"},
    {"auth", "set-role", METHOD_NUMBER_AUTH_SET_ROLE, "login roles", NULL, "replace the roles of a user (admins)",
        "maitre auth set-role alice customer,staff"},
    {"auth", "whoami", METHOD_NUMBER_AUTH_WHO_AM_I, "", NULL, "whose token this is", "maitre auth whoami"},
    {"auth", "api-key create", METHOD_NUMBER_AUTH_CREATE_API_KEY, "name roles", "key<", "make an API key (admins)",
        "maitre auth api-key create shop staff --json"},
    {"auth", "api-key revoke", METHOD_NUMBER_AUTH_REVOKE_API_KEY, "key", NULL, "end an API key (admins)",
        "maitre auth api-key revoke 018f00000000000000000000deadbeef"},
    {"auth", "api-key list", METHOD_NUMBER_AUTH_LIST_API_KEYS, "", NULL, "all API keys (admins)",
        "maitre auth api-key list"},

    {"catalog", "put-provider", METHOD_NUMBER_CATALOG_PUT_PROVIDER, "kind name", "provider<",
        "make or change a provider", "maitre catalog put-provider hotel 'The Grand' --group wedding"},
    {"catalog", "put-offer", METHOD_NUMBER_CATALOG_PUT_OFFER, "provider kind name", "offer<provider",
        "make or change an offer",
        "maitre catalog put-offer PROVIDER room Double --price-minor 9000 --currency GBP --bucket-kind night "
        "--first-bucket 2026-06-01 --last-bucket 2026-09-30 --capacity 12"},
    {"catalog", "set-state", METHOD_NUMBER_CATALOG_SET_OFFER_STATE, "offer state", NULL,
        "open, pause or close an offer", "maitre catalog set-state OFFER paused"},
    {"catalog", "adjust", METHOD_NUMBER_CATALOG_ADJUST_CAPACITY, "offer capacity", NULL,
        "change the capacity, of all buckets or of some",
        "maitre catalog adjust OFFER 10 --first 2026-07-01 --count 7"},
    {"catalog", "get", METHOD_NUMBER_CATALOG_GET, "id", NULL, "one provider or offer", "maitre catalog get ID"},
    {"catalog", "list", METHOD_NUMBER_CATALOG_LIST, "", NULL, "offers or providers",
        "maitre catalog list --what offers --provider PROVIDER --all"},

    {"avail", "check", METHOD_NUMBER_AVAIL_CHECK, "queries...", NULL,
        "taken and total of buckets: OFFER:FIRST:COUNT ...", "maitre avail check OFFER:2026-07-01:7"},
    {"avail", "free", METHOD_NUMBER_AVAIL_LIST_FREE, "offer", NULL, "the free buckets of an offer",
        "maitre avail free OFFER --first 0 --limit 20"},
    {"avail", "common", METHOD_NUMBER_AVAIL_FIND_COMMON, "offers...", NULL,
        "the earliest buckets free in all the offers", "maitre avail common HOTEL BAND --count 2"},

    {"reserve", "create", METHOD_NUMBER_RESERVE_CREATE, "items...", "reservation<items.offer",
        "hold or book items: OFFER:FIRST:COUNT:QUANTITY ...", "maitre reserve create HOTEL:12 BAND:12 --mode hold"},
    {"reserve", "confirm", METHOD_NUMBER_RESERVE_CONFIRM, "reservation", NULL, "confirm a hold, or a part of it",
        "maitre reserve confirm RESERVATION"},
    {"reserve", "release", METHOD_NUMBER_RESERVE_RELEASE, "reservation", NULL, "give a hold back",
        "maitre reserve release RESERVATION"},
    {"reserve", "cancel", METHOD_NUMBER_RESERVE_CANCEL, "reservation", NULL, "cancel a confirmed reservation",
        "maitre reserve cancel RESERVATION"},
    {"reserve", "move", METHOD_NUMBER_RESERVE_MOVE, "reservation items...", NULL,
        "other items instead; on failure the old ones are kept", "maitre reserve move RESERVATION HOTEL:13 BAND:13"},
    {"reserve", "get", METHOD_NUMBER_RESERVE_GET, "reservation", NULL, "one reservation with its history",
        "maitre reserve get RESERVATION"},
    {"reserve", "list", METHOD_NUMBER_RESERVE_LIST, "", NULL, "mine, a customer's or a provider's",
        "maitre reserve list --provider PROVIDER --state confirmed --all"},

    {"order", "quote", METHOD_NUMBER_ORDER_QUOTE, "provider lines...", NULL, "prices and stock, nothing is taken",
        "maitre order quote PROVIDER DISH:2"},
    {"order", "place", METHOD_NUMBER_ORDER_PLACE, "provider lines...", "order<provider",
        "order lines: OFFER:QUANTITY ...", "maitre order place PROVIDER DISH:2 DRINK:1 --address 'High Street 1'"},
    {"order", "advance", METHOD_NUMBER_ORDER_ADVANCE, "order event", NULL,
        "accept, decline, cancel, prepare, ready, ...", "maitre order advance ORDER accept"},
    {"order", "get", METHOD_NUMBER_ORDER_GET, "order", NULL, "one order with its history", "maitre order get ORDER"},
    {"order", "list", METHOD_NUMBER_ORDER_LIST, "", NULL, "mine, a provider's or a courier's",
        "maitre order list --provider PROVIDER --all"},

    {"call", "outcome", METHOD_NUMBER_CALL_OUTCOME, "request_id", NULL,
        "what became of a write; fences it if it never arrived", "maitre call outcome REQUEST_ID"},

    {"cluster", "status", METHOD_NUMBER_CLUSTER_STATUS, "", NULL, "members, shards, health (exit 1: unhealthy)",
        "maitre cluster status --shards"},
    {"cluster", "members", METHOD_NUMBER_CLUSTER_MEMBERS, "", NULL, "the nodes as the answering one sees them",
        "maitre cluster members"},
    {"cluster", "ring", METHOD_NUMBER_CLUSTER_RING, "", NULL, "which nodes hold and lead which shard",
        "maitre cluster ring --json"},
    {"cluster", "where", METHOD_NUMBER_CLUSTER_WHERE, "", NULL, "the shard of an id, login or group",
        "maitre cluster where --group wedding --without 1,2"},
    {"cluster", "transfer", METHOD_NUMBER_CLUSTER_TRANSFER_LEADER, "shard node", NULL,
        "move a shard's leader to a node", "maitre cluster transfer 7 2"},

    {"node", "health", METHOD_NUMBER_HEALTH_CHECK, "", NULL, "is a node serving (exit 1: it is not)",
        "maitre node health --node 2"},
};

const size_t verbs_count = sizeof verbs / sizeof *verbs;
