/* Which function carries out which method: one line each. Methods of class LOCAL are the entry node's own. */
#include "node/services/auth.h"
#include "node/services/avail.h"
#include "node/services/catalog.h"
#include "node/services/cluster.h"
#include "node/services/order.h"
#include "node/services/reserve.h"
#include "node/services/service.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

_Static_assert(METHOD_NUMBER_MAX <= UINT16_MAX, "the table is short enough to be indexed by number");

static const struct service_method table[METHOD_NUMBER_MAX + 1] = {
    [METHOD_NUMBER_AUTH_REGISTER] = {.apply = auth_register_apply, .prepare = auth_register_prepare, .anonymous = true},
    [METHOD_NUMBER_AUTH_LOGIN] = {.apply = auth_login_apply,
        .prepare = auth_login_prepare,
        .guard = auth_login_guard,
        .anonymous = true},
    [METHOD_NUMBER_AUTH_REFRESH] = {.apply = auth_refresh_apply,
        .prepare = auth_refresh_prepare,
        .guard = auth_refresh_guard,
        .anonymous = true},
    [METHOD_NUMBER_AUTH_REVOKE] = {.apply = auth_revoke_apply},
    [METHOD_NUMBER_AUTH_CHANGE_PASSWORD] = {.apply = auth_change_password_apply,
        .prepare = auth_change_password_prepare,
        .guard = auth_change_password_guard,
        .anonymous = true},
    [METHOD_NUMBER_AUTH_SET_ROLE] = {.apply = auth_set_role_apply},
    [METHOD_NUMBER_AUTH_CREATE_API_KEY] = {.apply = auth_create_api_key_apply},
    [METHOD_NUMBER_AUTH_REVOKE_API_KEY] = {.apply = auth_revoke_api_key_apply},
    [METHOD_NUMBER_AUTH_LIST_API_KEYS] = {.read = auth_list_api_keys_read},

    [METHOD_NUMBER_CATALOG_PUT_PROVIDER] = {.apply = catalog_put_provider_apply},
    [METHOD_NUMBER_CATALOG_PUT_OFFER] = {.apply = catalog_put_offer_apply},
    [METHOD_NUMBER_CATALOG_SET_OFFER_STATE] = {.apply = catalog_set_offer_state_apply},
    [METHOD_NUMBER_CATALOG_ADJUST_CAPACITY] = {.apply = catalog_adjust_capacity_apply},
    [METHOD_NUMBER_CATALOG_GET] = {.read = catalog_get_read, .anonymous = true},
    [METHOD_NUMBER_CATALOG_LIST] = {.read = catalog_list_read, .anonymous = true},

    [METHOD_NUMBER_AVAIL_CHECK] = {.read = avail_check_read, .anonymous = true},
    [METHOD_NUMBER_AVAIL_LIST_FREE] = {.read = avail_list_free_read, .anonymous = true},
    [METHOD_NUMBER_AVAIL_FIND_COMMON] = {.read = avail_find_common_read, .anonymous = true},

    [METHOD_NUMBER_RESERVE_CREATE] = {.apply = reserve_create_apply},
    [METHOD_NUMBER_RESERVE_CONFIRM] = {.apply = reserve_confirm_apply},
    [METHOD_NUMBER_RESERVE_RELEASE] = {.apply = reserve_release_apply},
    [METHOD_NUMBER_RESERVE_CANCEL] = {.apply = reserve_cancel_apply},
    [METHOD_NUMBER_RESERVE_MOVE] = {.apply = reserve_move_apply},
    [METHOD_NUMBER_RESERVE_GET] = {.read = reserve_get_read},
    [METHOD_NUMBER_RESERVE_LIST] = {.read = reserve_list_read},

    [METHOD_NUMBER_ORDER_QUOTE] = {.read = order_quote_read, .anonymous = true},
    [METHOD_NUMBER_ORDER_PLACE] = {.apply = order_place_apply},
    [METHOD_NUMBER_ORDER_ADVANCE] = {.apply = order_advance_apply},
    [METHOD_NUMBER_ORDER_GET] = {.read = order_get_read},
    [METHOD_NUMBER_ORDER_LIST] = {.read = order_list_read},

    [METHOD_NUMBER_CLUSTER_REPLACE_NODE] = {.apply = cluster_replace_node_apply},
    [METHOD_NUMBER_CLUSTER_BIND_FOLDER] = {.apply = cluster_bind_folder_apply},
    [METHOD_NUMBER_CLUSTER_NOTE_MOVES] = {.apply = cluster_note_moves_apply},
    [METHOD_NUMBER_CLUSTER_PLACEMENT] = {.read = cluster_placement_read, .anonymous = true},

    [METHOD_NUMBER_CALL_OUTCOME] = {.apply = sessions_outcome_apply, .anonymous = true},
};

const struct service_method *dispatch_find (uint64_t number)
{
    if (number > METHOD_NUMBER_MAX || (table[number].apply == NULL && table[number].read == NULL))
        return NULL;
    maitre_assert ((table[number].apply == NULL) != (table[number].read == NULL));
    maitre_assert (table[number].prepare == NULL || table[number].apply != NULL);
    maitre_assert (table[number].guard == NULL || table[number].prepare != NULL);
    return &table[number];
}
