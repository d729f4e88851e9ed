/* Page tokens: version u8, shard u16, fingerprint u64 of method, caller and arguments, then the cursor of the list. */
#include "node/services/service.h"

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

#define TOKEN_VERSION 1
#define TOKEN_HEAD_BYTES 11
#define FINGERPRINT_SCRATCH_BYTES 4096

_Static_assert(SERVICE_PAGE_ROWS_DEFAULT <= PAGE_SIZE_MAX, "the default is a page that may be asked for");
_Static_assert(SERVICES_PAGE_TOKEN_BYTES_MAX <= PAGE_TOKEN_LEN_MAX, "the contract takes our tokens back");
_Static_assert(TOKEN_HEAD_BYTES + SERVICE_PAGE_CURSOR_MAX == SERVICES_PAGE_TOKEN_BYTES_MAX, "the longest token");
_Static_assert(TOKEN_HEAD_BYTES == 1 + sizeof (uint16_t) + sizeof (uint64_t), "version, shard, fingerprint");

static bool is_page_field (const struct codec_type *type, uint32_t key)
{
    const char *name = codec_field_name (type, key);
    return strcmp (name, "page_token") == 0 || strcmp (name, "page_size") == 0;
}

/* The value of an optional field of that name: NULL when the request has none. */
static const void *page_field (const struct method *method, const void *request, const char *name)
{
    const struct codec_field *field = codec_field_by_name (method->request, bytes_text (name));
    maitre_assert (field != NULL);
    maitre_assert (field->optional);
    const uint8_t *base = request;
    bool present;
    memcpy (&present, base + field->has_offset, sizeof present);
    return present ? base + field->offset : NULL;
}

static uint64_t arguments_fingerprint (
    const struct method *method, const struct principal *principal, const void *request)
{
    uint8_t scratch[FINGERPRINT_SCRATCH_BYTES];
    struct codec_print prints[CODEC_FIELDS_MAX];
    size_t count = 0;
    /* A list's arguments are small by their CDDL; a request that was decoded always fits. */
    enum status status =
        codec_fingerprint (method->request, request, scratch, sizeof scratch, prints, CODEC_FIELDS_MAX, &count);
    maitre_assert (status == STATUS_OK);
    maitre_assert (count <= method->request->field_count);
    uint64_t sum = checksum64 (method->number, id_bytes (&principal->id));
    for (size_t i = 0; i < count; i++) {
        if (is_page_field (method->request, prints[i].key))
            continue;
        uint8_t print[12];
        bytes_put_u32 (print, prints[i].key);
        bytes_put_u64 (print + 4, prints[i].hash);
        sum = checksum64 (sum, bytes_of (print, sizeof print));
    }
    return sum;
}

static size_t token_write (uint8_t *out, uint32_t shard, uint64_t fingerprint, struct bytes cursor)
{
    maitre_assert (shard <= UINT16_MAX);
    maitre_assert (cursor.len <= SERVICE_PAGE_CURSOR_MAX);
    out[0] = TOKEN_VERSION;
    bytes_put_u16 (out + 1, (uint16_t) shard);
    bytes_put_u64 (out + 3, fingerprint);
    if (cursor.len > 0)
        memcpy (out + TOKEN_HEAD_BYTES, cursor.data, cursor.len);
    return TOKEN_HEAD_BYTES + cursor.len;
}

enum status services_page_shard (struct bytes token, uint32_t *shard)
{
    if (token.len < TOKEN_HEAD_BYTES || token.len > TOKEN_HEAD_BYTES + SERVICE_PAGE_CURSOR_MAX ||
        token.data[0] != TOKEN_VERSION)
        return STATUS_INVALID_ARGUMENT;
    *shard = bytes_get_u16 (token.data + 1);
    return STATUS_OK;
}

size_t services_page_begin (const struct method *method, const struct principal *principal, const void *request,
    uint32_t shard, uint8_t out[SERVICES_PAGE_TOKEN_BYTES_MAX])
{
    return token_write (out, shard, arguments_fingerprint (method, principal, request), bytes_of (NULL, 0));
}

bool service_page_open (struct service_call *call, struct service_page *page)
{
    *page = (struct service_page){.limit = SERVICE_PAGE_ROWS_DEFAULT, .bytes_left = SERVICE_PAGE_BYTES_MAX};
    page->fingerprint = arguments_fingerprint (call->method, &call->principal, call->request);
    const uint64_t *size = page_field (call->method, call->request, "page_size");
    if (size != NULL && *size > 0)
        page->limit = *size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : (size_t) *size;
    maitre_assert (page->limit >= 1);
    maitre_assert (page->limit <= PAGE_SIZE_MAX);
    const struct bytes *token = page_field (call->method, call->request, "page_token");
    if (token == NULL || token->len == 0)
        return true;
    uint32_t shard = 0;
    if (services_page_shard (*token, &shard) != STATUS_OK || shard != call->config->shard ||
        bytes_get_u64 (token->data + 3) != page->fingerprint) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN",
            "the page token is not one that this list gave for these arguments; start again without it", "page_token");
        return false;
    }
    page->cursor = bytes_of (token->data + TOKEN_HEAD_BYTES, token->len - TOKEN_HEAD_BYTES);
    maitre_assert (page->cursor.len <= SERVICE_PAGE_CURSOR_MAX);
    return true;
}

bool service_page_room (struct service_page *page, size_t rows, size_t row_bytes)
{
    maitre_assert (rows <= page->limit);
    if (rows >= page->limit || (rows > 0 && row_bytes > page->bytes_left))
        return false;
    page->bytes_left -= row_bytes < page->bytes_left ? row_bytes : page->bytes_left;
    maitre_assert (page->bytes_left <= SERVICE_PAGE_BYTES_MAX);
    return true;
}

struct bytes service_page_token (struct service_call *call, const struct service_page *page, struct bytes cursor)
{
    uint8_t *token = service_alloc (call, TOKEN_HEAD_BYTES + SERVICE_PAGE_CURSOR_MAX);
    return bytes_of (token, token_write (token, call->config->shard, page->fingerprint, cursor));
}
