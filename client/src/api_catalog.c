/* The catalogue, and when several offers are free at once.
 */
#include "client/src/client.h"

static enum maitre_status put (struct maitre *client, uint32_t method_number, const void *request, uint64_t *version)
{
    struct put_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, method_number, request, NULL, &reply, &value);
    if (status == MAITRE_OK && version != NULL)
        *version = value.version;
    maitre_reply_destroy (&reply);
    return status;
}

static struct bytes text_in (const char *text)
{
    return text == NULL ? bytes_of (NULL, 0) : bytes_text (text);
}

enum maitre_status maitre_put_provider (
    struct maitre *client, const struct maitre_provider *provider, uint64_t *version)
{
    struct put_provider_request request = {.provider = client_id_in (&provider->provider),
        .kind = provider->kind,
        .name = text_in (provider->name),
        .has_description = provider->description != NULL,
        .description = text_in (provider->description),
        .has_group = provider->group != NULL && provider->group[0] != '\0',
        .group = text_in (provider->group),
        .has_version = provider->version != 0,
        .version = provider->version};
    return put (client, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &request, version);
}

enum maitre_status maitre_put_offer (struct maitre *client, const struct maitre_offer *offer, uint64_t *version)
{
    struct put_offer_request request = {.offer = client_id_in (&offer->offer),
        .provider = client_id_in (&offer->provider),
        .kind = offer->kind,
        .name = text_in (offer->name),
        .has_description = offer->description != NULL,
        .description = text_in (offer->description),
        .price_minor = offer->price_minor,
        .currency = text_in (offer->currency),
        .has_bucket_kind = offer->bucket_kind != 0,
        .bucket_kind = offer->bucket_kind,
        .first_bucket = offer->first_bucket,
        .last_bucket = offer->last_bucket,
        .capacity = offer->capacity,
        .has_policy = offer->customer_limit != 0 || offer->hold_ttl_ms != 0,
        .policy = {.has_customer_limit = offer->customer_limit != 0,
            .customer_limit = offer->customer_limit,
            .has_hold_ttl_ms = offer->hold_ttl_ms != 0,
            .hold_ttl_ms = offer->hold_ttl_ms},
        .has_version = offer->version != 0,
        .version = offer->version};
    return put (client, METHOD_NUMBER_CATALOG_PUT_OFFER, &request, version);
}

#define FIND_OFFERS_MAX 8

enum maitre_status maitre_find_common (struct maitre *client, const struct maitre_id *offers, size_t offers_count,
    uint32_t first, uint32_t count, uint32_t quantity, bool *found, uint32_t *bucket)
{
    struct id ids[FIND_OFFERS_MAX];
    if (offers_count == 0 || offers_count > FIND_OFFERS_MAX)
        return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
            "1 to %d offers can be asked about at once; ask twice", FIND_OFFERS_MAX);
    for (size_t i = 0; i < offers_count; i++)
        ids[i] = client_id_in (&offers[i]);
    struct avail_find_common_request request = {.offers = ids,
        .offers_count = offers_count,
        .has_first = true,
        .first = first,
        .has_count = count > 1,
        .count = count,
        .has_quantity = quantity > 1,
        .quantity = quantity};
    struct avail_find_common_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_AVAIL_FIND_COMMON, &request, NULL, &reply, &value);
    if (status == MAITRE_OK) {
        *found = value.found && value.has_first;
        *bucket = value.has_first ? (uint32_t) value.first : 0;
    }
    maitre_reply_destroy (&reply);
    return status;
}
