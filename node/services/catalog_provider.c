/* catalog.PutProvider, and what the commands of the catalogue share. */
#include "node/services/catalog.h"

#include "node/services/hold.h"
#include "node/services/sessions.h"
#include "schemas/runtime/placement_hash.h"
#include "schemas/runtime/assert.h"

#define WRITERS (ROLE_STAFF | ROLE_OPERATOR | ROLE_ADMIN)

_Static_assert(PROVIDER_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "and so is a provider");
_Static_assert(OFFER_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "an offer is a value of the state");

bool catalog_provider_load (struct service_call *call, const struct id *id, struct provider *provider)
{
    struct key key = key_entity (TABLE_PROVIDER, id);
    return service_load (call, &key, &provider_type, provider);
}

bool catalog_offer_load (struct service_call *call, const struct id *id, struct offer *offer)
{
    struct key key = key_entity (TABLE_OFFER, id);
    return service_load (call, &key, &offer_type, offer);
}

void catalog_offer_store (struct service_call *call, const struct offer *offer)
{
    struct offer_head head;
    struct key key = key_entity (TABLE_OFFER, &offer->offer);
    offer_head_make (offer, &head);
    maitre_assert (id_equal (&head.offer, &offer->offer));
    service_store (call, &key, &offer_type, offer);
    offer_head_store (call, &head);
}

void catalog_answer (struct service_call *call, const struct id *id, uint64_t version)
{
    struct put_reply reply = {.id = *id, .version = version};
    service_reply_ok (call, &put_reply_type, &reply);
}

bool catalog_check_version (struct service_call *call, uint64_t asked, uint64_t present)
{
    struct refusal refusal = {
        .has_version = true, .version = present, .has_field = true, .field = BYTES_LITERAL ("version")};
    if (asked == present)
        return true;
    if (asked == 0)
        service_refuse (call, STATUS_ALREADY_EXISTS, "EXISTS",
            "this id exists already; name its present version to replace it", &refusal);
    else
        service_refuse (call, STATUS_ABORTED, "STALE_VERSION",
            "the version to be replaced is not the present one; read it again, then put with its version", &refusal);
    maitre_assert (call->answered);
    return false;
}

void catalog_refuse_committed (struct service_call *call, const struct counter_shortage *shortage)
{
    maitre_assert (shortage->verdict != COUNTER_FITS);
    struct refusal refusal = {
        .has_offer = true,
        .offer = shortage->offer,
        .has_bucket = true,
        .bucket = shortage->bucket,
        .has_limit = true,
        .limit = shortage->limit,
    };
    service_refuse (call, STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED",
        "more units than that are held or confirmed in the bucket named, limit of them; move or cancel some first",
        &refusal);
}

static void refuse_not_yours (struct service_call *call)
{
    service_refuse (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
        "only the provider's owner and operators may change it; ask one of them", NULL);
}

bool catalog_offer_open (struct service_call *call, const struct id *id, uint64_t version, struct offer *offer)
{
    struct offer_head head;
    if (!offer_open (call, id, &head) || !catalog_offer_load (call, id, offer)) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NO_OFFER", "there is no such offer; check the id", "offer");
        return false;
    }
    if (!service_owns_provider (call, &offer->provider)) {
        refuse_not_yours (call);
        return false;
    }
    maitre_assert (!call->answered);
    return version == 0 || catalog_check_version (call, version, offer->version);
}

/* A group is for ever: every id below the provider carries its hash. */
static bool check_group (
    struct service_call *call, const struct put_provider_request *request, const struct provider *present)
{
    if (present != NULL &&
        (present->has_group != request->has_group || !bytes_equal (present->group, request->group))) {
        service_refuse_field (call, STATUS_FAILED_PRECONDITION, "GROUP_FIXED",
            "a provider's group cannot change; make a new provider in the other group", "group");
        return false;
    }
    uint32_t hash =
        request->has_group ? placement_hash_group (request->group) : placement_hash_provider (&request->provider);
    if (id_hash (&request->provider) == hash)
        return true;
    service_refuse_field (call, STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT",
        "the provider's id must carry the placement hash of its group, or its own without one; make the id with it",
        "provider");
    maitre_assert (call->answered);
    return false;
}

static bool may_put (struct service_call *call, const struct provider *present)
{
    bool may =
        present == NULL ? (call->principal.roles & WRITERS) != 0 : service_owns_provider (call, &present->provider);
    if (!may && present == NULL)
        service_refuse (call, STATUS_PERMISSION_DENIED, "NOT_STAFF",
            "only staff and operators may make a provider; ask an operator for the role", NULL);
    else if (!may)
        refuse_not_yours (call);
    maitre_assert (may != call->answered);
    return may;
}

void catalog_put_provider_apply (struct service_call *call)
{
    const struct put_provider_request *request = call->request;
    struct provider present;
    bool exists = catalog_provider_load (call, &request->provider, &present);
    if (call->damaged || !may_put (call, exists ? &present : NULL) ||
        !check_group (call, request, exists ? &present : NULL) ||
        !catalog_check_version (call, request->has_version ? request->version : 0, exists ? present.version : 0))
        return;
    struct provider provider = {
        .provider = request->provider,
        .kind = request->kind,
        .name = request->name,
        .has_description = request->has_description,
        .description = request->description,
        .has_group = request->has_group,
        .group = request->group,
        .has_address = request->has_address,
        .address = request->address,
        .has_owner = true,
        .owner = call->principal.id,
        .version = (exists ? present.version : 0) + 1,
        .updated_ms = call->time_ms,
    };
    /* Without a word on it the maker owns it, and a change leaves it as it is. */
    if (request->has_owner) {
        provider.owner = request->owner;
    } else if (exists) {
        provider.has_owner = present.has_owner;
        provider.owner = present.owner;
    }
    maitre_assert (provider.has_owner || exists);
    maitre_assert (provider.updated_ms == call->time_ms);
    struct key key = key_entity (TABLE_PROVIDER, &provider.provider);
    service_store (call, &key, &provider_type, &provider);
    catalog_answer (call, &provider.provider, provider.version);
}
