/* catalog.PutOffer and SetOfferState. */
#include "node/services/catalog.h"

#include "node/services/hold.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

/* What the request makes of the offer: a put replaces the whole, but a state or kind of bucket left out stays. */
static void make_offer (struct service_call *call, const struct put_offer_request *request, const struct offer *present,
    struct offer *offer)
{
    maitre_assert (request->first_bucket <= request->last_bucket);
    maitre_assert (request->currency.len == CURRENCY_TEXT_LEN_MAX);
    *offer = (struct offer){
        .offer = request->offer,
        .provider = request->provider,
        .kind = request->kind,
        .name = request->name,
        .has_description = request->has_description,
        .description = request->description,
        .price_minor = request->price_minor,
        .currency = request->currency,
        .state = present != NULL ? present->state : OFFER_STATE_OPEN,
        .bucket_kind = present != NULL ? present->bucket_kind : BUCKET_KIND_SLOT,
        .first_bucket = request->first_bucket,
        .last_bucket = request->last_bucket,
        .capacity = request->capacity,
        .has_policy = request->has_policy,
        .policy = request->policy,
        .has_quota = request->has_quota,
        .version = (present != NULL ? present->version : 0) + 1,
        .updated_ms = call->time_ms,
    };
    if (request->has_quota)
        offer->quota = request->quota;
    if (request->has_state)
        offer->state = request->state;
    if (request->has_bucket_kind)
        offer->bucket_kind = request->bucket_kind;
    maitre_assert (offer->version > (present != NULL ? present->version : 0));
}

static bool check_provider (struct service_call *call, const struct put_offer_request *request)
{
    struct key key = key_entity (TABLE_PROVIDER, &request->provider);
    if (id_hash (&request->offer) != id_hash (&request->provider)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT",
            "the offer's id must carry its provider's placement hash; make the id with it", "offer");
        return false;
    }
    if (!service_exists (call, &key)) {
        service_refuse_field (
            call, STATUS_NOT_FOUND, "NO_PROVIDER", "there is no such provider; put the provider first", "provider");
        return false;
    }
    if (!service_owns_provider (call, &request->provider)) {
        service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
            "only the provider's owner and operators may put its offers; ask one of them", "provider");
        return false;
    }
    maitre_assert (id_hash (&request->offer) == id_hash (&request->provider));
    maitre_assert (!call->answered);
    return true;
}

static bool is_currency (struct bytes text)
{
    bool letters = text.len == 3;
    for (size_t i = 0; i < text.len; i++)
        letters = letters && text.data[i] >= 'A' && text.data[i] <= 'Z';
    return letters;
}

/* What is wrong with the offer by itself. */
static bool check_shape (struct service_call *call, const struct put_offer_request *request)
{
    if (!is_currency (request->currency)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_CURRENCY",
            "the currency must be three capital letters of ISO 4217, such as GBP; correct it", "currency");
        return false;
    }
    if (request->first_bucket > request->last_bucket) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_RANGE",
            "the last bucket must not come before the first; correct it", "last_bucket");
        return false;
    }
    if (!request->has_quota)
        return true;
    maitre_assert (request->first_bucket <= request->last_bucket);
    struct offer_head quota;
    if (!id_equal (&request->quota, &request->offer) && offer_head_load (call, &request->quota, &quota) &&
        id_equal (&quota.provider, &request->provider))
        return true;
    service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_QUOTA",
        "the quota must be another offer of the same provider; put that one first", "quota");
    return false;
}

static void refuse_in_use (struct service_call *call, const char *field)
{
    maitre_assert (field[0] != '\0');
    service_refuse_field (call, STATUS_FAILED_PRECONDITION, "IN_USE",
        "this cannot change while units of the offer are held or confirmed; make a new offer instead", field);
}

/* What the present offer's commitments forbid. */
static bool check_commitments (struct service_call *call, const struct offer *present, const struct offer *offer)
{
    const char *fixed = NULL;
    if (!bytes_equal (present->currency, offer->currency))
        fixed = "currency";
    else if (present->bucket_kind != offer->bucket_kind)
        fixed = "bucket_kind";
    else if (present->has_quota != offer->has_quota || !id_equal (&present->quota, &offer->quota))
        fixed = "quota";
    if (fixed != NULL && !counter_is_idle (call, &offer->offer)) {
        refuse_in_use (call, fixed);
        return false;
    }
    struct offer_head before, after;
    struct counter_shortage shortage;
    offer_head_make (present, &before);
    offer_head_make (offer, &after);
    maitre_assert (after.first <= after.last);
    maitre_assert (id_equal (&after.offer, &offer->offer));
    bool shrinks = after.first > before.first || after.last < before.last || after.capacity < before.capacity ||
                   after.overbooking < before.overbooking;
    if (!shrinks || counter_fits_head (call, &after, &shortage))
        return true;
    catalog_refuse_committed (call, &shortage);
    return false;
}

void catalog_put_offer_apply (struct service_call *call)
{
    const struct put_offer_request *request = call->request;
    struct offer_head head;
    struct offer present, offer;
    if (!check_provider (call, request) || !check_shape (call, request))
        return;
    bool exists = offer_open (call, &request->offer, &head) && catalog_offer_load (call, &request->offer, &present);
    if (call->damaged)
        return;
    if (exists && !id_equal (&present.provider, &request->provider)) {
        service_refuse_field (call, STATUS_FAILED_PRECONDITION, "PROVIDER_FIXED",
            "an offer stays with its provider; make a new offer for the other one", "provider");
        return;
    }
    if (!catalog_check_version (call, request->has_version ? request->version : 0, exists ? present.version : 0))
        return;
    make_offer (call, request, exists ? &present : NULL, &offer);
    if (exists && !check_commitments (call, &present, &offer))
        return;
    maitre_assert (id_hash (&offer.offer) == id_hash (&offer.provider));
    maitre_assert (offer.updated_ms == call->time_ms);
    maitre_assert (!offer.has_quota || !id_equal (&offer.quota, &offer.offer));
    catalog_offer_store (call, &offer);
    struct key key = key_pair (TABLE_PROVIDER_OFFER, &offer.provider, &offer.offer);
    if (!exists)
        service_mark (call, &key);
    catalog_answer (call, &offer.offer, offer.version);
}

void catalog_set_offer_state_apply (struct service_call *call)
{
    const struct set_offer_state_request *request = call->request;
    struct offer offer;
    if (!catalog_offer_open (call, &request->offer, request->has_version ? request->version : 0, &offer))
        return;
    maitre_assert (!call->answered);
    maitre_assert (request->state <= OFFER_STATE_CLOSED);
    offer.state = request->state;
    offer.version++;
    offer.updated_ms = call->time_ms;
    catalog_offer_store (call, &offer);
    catalog_answer (call, &offer.offer, offer.version);
}
