#include "schemas/runtime/method.h"

#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

static enum status hash_login (struct bytes login, uint32_t *hash)
{
    uint8_t buffer[LOGIN_LEN_MAX];
    struct bytes normalised;
    enum status status = login_normalise (login, buffer, &normalised);
    if (status == STATUS_OK)
        *hash = placement_hash_user (normalised);
    return status;
}

enum status method_routing_hash (const struct method *method, const void *request, uint32_t *hash)
{
    const struct codec_type *type = method->request;
    const uint8_t *value = request;
    maitre_assert (method->route_steps_count <= METHOD_ROUTE_STEPS_MAX);
    if (method->route == ROUTE_NONE)
        return STATUS_INVALID_ARGUMENT;
    maitre_assert (method->route_steps_count > 0);
    for (size_t i = 0; i < method->route_steps_count; i++) {
        maitre_assert (type != NULL);
        maitre_assert (method->route_steps[i] < type->field_count);
        const struct codec_field *field = &type->fields[method->route_steps[i]];
        if (field->optional && !*(const bool *) (value + field->has_offset))
            return STATUS_INVALID_ARGUMENT;
        if (field->array && *(const size_t *) (value + field->count_offset) == 0)
            return STATUS_INVALID_ARGUMENT;
        value = field->array ? *(const uint8_t *const *) (value + field->offset) : value + field->offset;
        type = field->type;
    }
    if (method->route == ROUTE_LOGIN)
        return hash_login (*(const struct bytes *) value, hash);
    maitre_assert (method->route == ROUTE_ID);
    *hash = id_hash ((const struct id *) value);
    return STATUS_OK;
}

const struct method *method_find (
    const struct method *methods, const uint16_t *by_name, size_t count, struct bytes name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        maitre_assert (middle < high);
        maitre_assert (high <= count);
        const struct method *method = &methods[by_name[middle]];
        int order = bytes_compare (bytes_text (method->name), name);
        if (order == 0)
            return method;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
