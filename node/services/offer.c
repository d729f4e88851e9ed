#include "node/services/offer.h"

#include "node/services/hold.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

/* Layout, big-endian: u8 version, 16 provider, 16 quota, u8 state, u8 kind, u8 bucket kind, u8 approval, 3 currency,
 * 6 x u32, 4 x u64, zeros up to OFFER_HEAD_BYTES. */
#define HEAD_VERSION 1
#define AT_PROVIDER 1
#define AT_QUOTA 17
#define AT_SMALL 33
#define AT_CURRENCY 37
#define AT_U32 40
#define AT_U64 64

_Static_assert(OFFER_HOLD_TTL_MS_DEFAULT <= OFFER_HOLD_TTL_MS_MAX, "the usual hold is one that may be asked for");
_Static_assert(AT_U64 == AT_U32 + 6 * 4, "six fields of 32 bits");
_Static_assert(AT_U32 == AT_CURRENCY + CURRENCY_TEXT_LEN_MAX, "the currency is three letters");
_Static_assert(AT_CURRENCY == AT_SMALL + 4, "four small fields");
_Static_assert(AT_SMALL == AT_QUOTA + ID_SIZE, "the small fields follow the quota");
_Static_assert(AT_QUOTA == AT_PROVIDER + ID_SIZE, "the quota follows the provider");
_Static_assert(AT_U64 + 4 * 8 <= OFFER_HEAD_BYTES, "the packed head fits");

void offer_head_make (const struct offer *offer, struct offer_head *head)
{
    maitre_assert (offer->currency.len == sizeof head->currency);
    maitre_assert (offer->capacity <= UINT32_MAX);
    maitre_assert (offer->first_bucket <= BUCKET_NUMBER_MAX);
    maitre_assert (offer->last_bucket <= BUCKET_NUMBER_MAX);
    const struct policy *policy = &offer->policy;
    *head = (struct offer_head){
        .offer = offer->offer,
        .provider = offer->provider,
        .state = (uint8_t) offer->state,
        .kind = (uint8_t) offer->kind,
        .bucket_kind = (uint8_t) offer->bucket_kind,
        .first = (uint32_t) offer->first_bucket,
        .last = (uint32_t) offer->last_bucket,
        .capacity = (uint32_t) offer->capacity,
        .price_minor = offer->price_minor,
    };
    if (offer->has_quota)
        head->quota = offer->quota;
    memcpy (head->currency, offer->currency.data, sizeof head->currency);
    if (!offer->has_policy)
        return;
    /* Absent fields are zero after decoding, and zero means "none" in every one of them. */
    head->approval = policy->has_approval && policy->approval;
    head->overbooking = policy->has_overbooking ? (uint32_t) policy->overbooking : 0;
    head->customer_limit = policy->has_customer_limit ? (uint32_t) policy->customer_limit : 0;
    head->cancel_window_buckets = policy->has_cancel_window_buckets ? (uint32_t) policy->cancel_window_buckets : 0;
    head->cancel_window_ms = policy->has_cancel_window_ms ? policy->cancel_window_ms : 0;
    head->cancel_fee_minor = policy->has_cancel_fee_minor ? policy->cancel_fee_minor : 0;
    head->hold_ttl_ms = policy->has_hold_ttl_ms ? policy->hold_ttl_ms : 0;
}

static void head_pack (const struct offer_head *head, uint8_t out[OFFER_HEAD_BYTES])
{
    maitre_assert (head->state != 0);
    maitre_assert (head->kind != 0);
    maitre_assert (head->bucket_kind != 0);
    memset (out, 0, OFFER_HEAD_BYTES);
    out[0] = HEAD_VERSION;
    memcpy (out + AT_PROVIDER, head->provider.b, ID_SIZE);
    memcpy (out + AT_QUOTA, head->quota.b, ID_SIZE);
    out[AT_SMALL] = head->state;
    out[AT_SMALL + 1] = head->kind;
    out[AT_SMALL + 2] = head->bucket_kind;
    out[AT_SMALL + 3] = head->approval;
    memcpy (out + AT_CURRENCY, head->currency, sizeof head->currency);
    bytes_put_u32 (out + AT_U32, head->first);
    bytes_put_u32 (out + AT_U32 + 4, head->last);
    bytes_put_u32 (out + AT_U32 + 8, head->capacity);
    bytes_put_u32 (out + AT_U32 + 12, head->overbooking);
    bytes_put_u32 (out + AT_U32 + 16, head->customer_limit);
    bytes_put_u32 (out + AT_U32 + 20, head->cancel_window_buckets);
    bytes_put_u64 (out + AT_U64, head->cancel_window_ms);
    bytes_put_u64 (out + AT_U64 + 8, head->cancel_fee_minor);
    bytes_put_u64 (out + AT_U64 + 16, head->hold_ttl_ms);
    bytes_put_u64 (out + AT_U64 + 24, head->price_minor);
}

void offer_head_store (struct service_call *call, const struct offer_head *head)
{
    uint8_t packed[OFFER_HEAD_BYTES];
    head_pack (head, packed);
    struct key key = key_entity (TABLE_OFFER_HEAD, &head->offer);
    state_put (call->state, key_of (&key), bytes_of (packed, sizeof packed));
}

bool offer_head_matches (const struct offer_head *head, struct bytes stored)
{
    uint8_t packed[OFFER_HEAD_BYTES];
    head_pack (head, packed);
    return bytes_equal (bytes_of (packed, sizeof packed), stored);
}

bool offer_head_load (struct service_call *call, const struct id *offer, struct offer_head *head)
{
    struct key key = key_entity (TABLE_OFFER_HEAD, offer);
    struct bytes stored;
    if (!state_get (call->state, key_of (&key), &stored))
        return false;
    if (stored.len != OFFER_HEAD_BYTES || stored.data[0] != HEAD_VERSION) {
        service_damage (call);
        return false;
    }
    const uint8_t *in = stored.data;
    head->offer = *offer;
    memcpy (head->provider.b, in + AT_PROVIDER, ID_SIZE);
    memcpy (head->quota.b, in + AT_QUOTA, ID_SIZE);
    head->state = in[AT_SMALL];
    head->kind = in[AT_SMALL + 1];
    head->bucket_kind = in[AT_SMALL + 2];
    head->approval = in[AT_SMALL + 3] != 0;
    memcpy (head->currency, in + AT_CURRENCY, sizeof head->currency);
    head->first = bytes_get_u32 (in + AT_U32);
    head->last = bytes_get_u32 (in + AT_U32 + 4);
    head->capacity = bytes_get_u32 (in + AT_U32 + 8);
    head->overbooking = bytes_get_u32 (in + AT_U32 + 12);
    head->customer_limit = bytes_get_u32 (in + AT_U32 + 16);
    head->cancel_window_buckets = bytes_get_u32 (in + AT_U32 + 20);
    head->cancel_window_ms = bytes_get_u64 (in + AT_U64);
    head->cancel_fee_minor = bytes_get_u64 (in + AT_U64 + 8);
    head->hold_ttl_ms = bytes_get_u64 (in + AT_U64 + 16);
    head->price_minor = bytes_get_u64 (in + AT_U64 + 24);
    return true;
}

bool offer_open (struct service_call *call, const struct id *offer, struct offer_head *head)
{
    if (!offer_head_load (call, offer, head))
        return false;
    maitre_assert (call->index > 0);
    if (call->meta->next_deadline_ms <= call->time_ms) {
        hold_expire_counter (call, offer);
        if (!id_is_zero (&head->quota))
            hold_expire_counter (call, &head->quota);
    }
    return !call->damaged;
}

bool offer_has_range (const struct offer_head *head, uint64_t first, uint64_t count)
{
    maitre_assert (count >= 1);
    return first >= head->first && first <= head->last && count - 1 <= head->last - first;
}
