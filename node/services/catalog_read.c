/* catalog.Get and catalog.List, and the catalogue's part of services_check. */
#include "node/services/catalog.h"

#include "schemas/runtime/assert.h"

void catalog_get_read (struct service_call *call)
{
    const struct catalog_get_request *request = call->request;
    struct catalog_get_reply reply = {0};
    reply.has_offer = catalog_offer_load (call, &request->id, &reply.offer);
    reply.has_provider = !reply.has_offer && catalog_provider_load (call, &request->id, &reply.provider);
    maitre_assert (!reply.has_offer || !reply.has_provider);
    if (reply.has_offer || reply.has_provider)
        service_reply_ok (call, &catalog_get_reply_type, &reply);
    else
        service_refuse_field (
            call, STATUS_NOT_FOUND, "NOT_FOUND", "there is no such provider or offer; check the id", "id");
}

struct listing {
    const struct catalog_list_request *request;
    struct service_page *page;
    struct catalog_list_reply reply;
};

static bool offer_matches (const struct catalog_list_request *request, const struct offer *offer)
{
    return (!request->has_kind || offer->kind == request->kind) &&
           (!request->has_provider || id_equal (&offer->provider, &request->provider)) &&
           (!request->has_state || offer->state == request->state) &&
           (!request->has_price_min_minor || offer->price_minor >= request->price_min_minor) &&
           (!request->has_price_max_minor || offer->price_minor <= request->price_max_minor);
}

static enum service_row offer_row (struct service_call *call, void *argument, const struct id *id)
{
    struct listing *list = argument;
    size_t count = list->reply.offers_count;
    maitre_assert (count <= list->page->limit);
    maitre_assert (list->page->limit <= CATALOG_LIST_REPLY_OFFERS_COUNT_MAX);
    if (count == list->page->limit)
        return SERVICE_ROW_FULL;
    size_t before = call->arena->used;
    struct offer *offer = &list->reply.offers[count];
    if (!catalog_offer_load (call, id, offer)) {
        service_damage (call);
        return SERVICE_ROW_FULL;
    }
    if (!offer_matches (list->request, offer))
        return SERVICE_ROW_SKIPPED;
    if (!service_page_room (list->page, count, call->arena->used - before))
        return SERVICE_ROW_FULL;
    list->reply.offers_count++;
    return SERVICE_ROW_TAKEN;
}

static enum service_row provider_row (struct service_call *call, void *argument, const struct id *id)
{
    struct listing *list = argument;
    const struct catalog_list_request *request = list->request;
    size_t count = list->reply.providers_count;
    maitre_assert (count <= list->page->limit);
    maitre_assert (list->page->limit <= CATALOG_LIST_REPLY_PROVIDERS_COUNT_MAX);
    if (count == list->page->limit)
        return SERVICE_ROW_FULL;
    size_t before = call->arena->used;
    struct provider *provider = &list->reply.providers[count];
    if (!catalog_provider_load (call, id, provider)) {
        service_damage (call);
        return SERVICE_ROW_FULL;
    }
    if ((request->has_kind && provider->kind != request->kind) ||
        (request->has_provider && !id_equal (&provider->provider, &request->provider)))
        return SERVICE_ROW_SKIPPED;
    if (!service_page_room (list->page, count, call->arena->used - before))
        return SERVICE_ROW_FULL;
    list->reply.providers_count++;
    return SERVICE_ROW_TAKEN;
}

void catalog_list_read (struct service_call *call)
{
    const struct catalog_list_request *request = call->request;
    struct service_page page;
    struct listing list = {.request = request, .page = &page};
    if (!service_page_open (call, &page))
        return;
    bool providers = request->has_what && request->what == CATALOG_WHAT_PROVIDERS;
    struct key prefix = key_table (providers ? TABLE_PROVIDER : TABLE_OFFER);
    list.reply.has_providers = providers;
    list.reply.has_offers = !providers;
    if (providers) {
        list.reply.providers = service_alloc (call, page.limit * sizeof *list.reply.providers);
        list.reply.page_token = service_list (call, &page, &prefix, false, provider_row, &list);
    } else {
        if (request->has_provider)
            prefix = key_entity (TABLE_PROVIDER_OFFER, &request->provider);
        list.reply.offers = service_alloc (call, page.limit * sizeof *list.reply.offers);
        list.reply.page_token = service_list (call, &page, &prefix, false, offer_row, &list);
    }
    list.reply.has_page_token = list.reply.page_token.len > 0;
    maitre_assert (list.reply.has_offers != list.reply.has_providers);
    maitre_assert (list.reply.offers_count == 0 || list.reply.has_offers);
    maitre_assert (list.reply.providers_count == 0 || list.reply.has_providers);
    maitre_assert (list.reply.offers_count + list.reply.providers_count <= page.limit);
    service_reply_ok (call, &catalog_list_reply_type, &list.reply);
}

/* ---- services_check */

static void recount_offer (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct offer offer;
    struct offer_head head;
    struct bytes stored;
    struct key key = key_entity (TABLE_OFFER_HEAD, id);
    if (!catalog_offer_load (call, id, &offer)) {
        recount_drift (recount, "an offer does not read", id);
        return;
    }
    offer_head_make (&offer, &head);
    maitre_assert (id_equal (&head.offer, &offer.offer));
    if (!state_get (call->state, key_of (&key), &stored) || !offer_head_matches (&head, stored))
        recount_drift (recount, "the head of an offer differs from the offer", id);
    key = key_entity (TABLE_PROVIDER, &offer.provider);
    if (!service_exists (call, &key))
        recount_drift (recount, "an offer's provider is not there", id);
    key = key_pair (TABLE_PROVIDER_OFFER, &offer.provider, id);
    recount_index (recount, &key);
}

static void recount_head (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct key key = key_entity (TABLE_OFFER, id);
    if (!service_exists (call, &key))
        recount_drift (recount, "a head stands for no offer", id);
}

void catalog_recount (struct service_call *call, struct recount *recount)
{
    recount_index_table (recount, TABLE_PROVIDER_OFFER);
    recount_each (call, recount, TABLE_OFFER, recount_offer);
    recount_each (call, recount, TABLE_OFFER_HEAD, recount_head);
}
