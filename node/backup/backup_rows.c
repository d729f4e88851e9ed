#include "node/backup/backup_rows.h"

#include "node/services/keys.h"
#include "schemas/generated/auth.h"
#include "schemas/generated/catalog.h"
#include "schemas/generated/log.h"
#include "schemas/generated/order.h"
#include "schemas/generated/placement.h"
#include "schemas/generated/reserve.h"
#include "schemas/runtime/codec.h"

/* How long a table's keys are (logins are of any length), and what its values are. */
static const struct {
    uint8_t table, key_len;
    const struct codec_type *type; /* of its values; NULL: packed or empty, which services_check looks at */
} tables[] = {
    {TABLE_META, 1},
    {TABLE_RECORD, 1 + 2 * ID_SIZE, &request_record_type},
    {TABLE_PROVIDER, 1 + ID_SIZE, &provider_type},
    {TABLE_OFFER, 1 + ID_SIZE, &offer_type},
    {TABLE_OFFER_HEAD, 1 + ID_SIZE},
    {TABLE_PROVIDER_OFFER, 1 + 2 * ID_SIZE},
    {TABLE_COUNTER, 1 + ID_SIZE + 4},
    {TABLE_USAGE, 1 + 2 * ID_SIZE},
    {TABLE_RESERVATION, 1 + ID_SIZE, &reservation_type},
    {TABLE_CUSTOMER_RESERVATION, 1 + 2 * ID_SIZE},
    {TABLE_PROVIDER_RESERVATION, 1 + 2 * ID_SIZE},
    {TABLE_HOLD_DUE, 1 + 8 + ID_SIZE},
    {TABLE_COUNTER_HOLD, 1 + ID_SIZE + 8 + ID_SIZE},
    {TABLE_ORDER, 1 + ID_SIZE, &order_type},
    {TABLE_CUSTOMER_ORDER, 1 + 2 * ID_SIZE},
    {TABLE_PROVIDER_ORDER, 1 + 2 * ID_SIZE},
    {TABLE_COURIER_ORDER, 1 + 2 * ID_SIZE},
    {TABLE_ORDER_DUE, 1 + 8 + ID_SIZE},
    {TABLE_USER, 0, &user_record_type},
    {TABLE_USER_ID, 1 + ID_SIZE},
    {TABLE_SESSION, 1 + 2 * ID_SIZE, &session_record_type},
    {TABLE_API_KEY, 1 + ID_SIZE, &api_key_type},
    {TABLE_PLACEMENT, 1, &placement_type},
};

size_t backup_row_scratch_bytes (void)
{
    size_t most = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct codec_type *type = tables[i].type;
        if (type != NULL && type->size + type->arena_max > most)
            most = type->size + (size_t) type->arena_max;
    }
    return most + 64;
}

static bool value_reads (const struct codec_type *type, struct bytes value, struct arena *scratch)
{
    arena_reset (scratch);
    void *out = arena_alloc (scratch, type->size);
    maitre_assert (out != NULL);
    return codec_decode (type, value, CODEC_STRICT, scratch, out, NULL) == STATUS_OK;
}

enum backup_row backup_row_look (struct bytes key, struct bytes value, struct arena *scratch)
{
    if (key.len == 0 || key.len > KEY_BYTES_MAX)
        return BACKUP_ROW_UNKNOWN;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i].table != key.data[0])
            continue;
        if (tables[i].key_len == 0 ? key.len == 1 : key.len != tables[i].key_len)
            return BACKUP_ROW_UNKNOWN;
        return tables[i].type == NULL || value_reads (tables[i].type, value, scratch) ? BACKUP_ROW_READS
                                                                                      : BACKUP_ROW_UNREADABLE;
    }
    return BACKUP_ROW_UNKNOWN;
}

void backup_count_row (struct backup_counts *counts, struct bytes key, struct bytes value)
{
    counts->rows++;
    counts->bytes += key.len + value.len;
    counts->providers += key.data[0] == TABLE_PROVIDER;
    counts->offers += key.data[0] == TABLE_OFFER;
    counts->reservations += key.data[0] == TABLE_RESERVATION;
    counts->orders += key.data[0] == TABLE_ORDER;
    counts->users += key.data[0] == TABLE_USER;
    counts->api_keys += key.data[0] == TABLE_API_KEY;
    counts->records += key.data[0] == TABLE_RECORD;
}
