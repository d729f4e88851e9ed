/* Made by maitred_codegen from all CDDL files. Do not edit: change those files, build codegen_run. */
#include "schemas/generated/methods.h"

const struct method methods[METHOD_COUNT] = {
    {.name = "auth.Register", .number = 16, .class = METHOD_WRITE,
     .request = &register_request_type, .reply = &register_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "auth.Login", .number = 17, .class = METHOD_WRITE,
     .request = &login_request_type, .reply = &login_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "auth.SetRole", .number = 18, .class = METHOD_WRITE,
     .request = &set_role_request_type, .reply = &set_role_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "auth.WhoAmI", .number = 19, .class = METHOD_LOCAL,
     .request = &who_request_type, .reply = &who_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "auth.CreateApiKey", .number = 20, .class = METHOD_SYSTEM_WRITE,
     .request = &create_api_key_request_type, .reply = &create_api_key_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "auth.RevokeApiKey", .number = 21, .class = METHOD_SYSTEM_WRITE,
     .request = &revoke_api_key_request_type, .reply = &revoke_api_key_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "auth.ListApiKeys", .number = 22, .class = METHOD_SYSTEM_READ,
     .request = &list_api_keys_request_type, .reply = &list_api_keys_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "auth.Refresh", .number = 23, .class = METHOD_WRITE,
     .request = &refresh_request_type, .reply = &login_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "auth.Revoke", .number = 24, .class = METHOD_WRITE,
     .request = &revoke_sessions_request_type, .reply = &revoke_sessions_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "auth.ChangePassword", .number = 25, .class = METHOD_WRITE,
     .request = &change_password_request_type, .reply = &change_password_reply_type,
     .route = ROUTE_LOGIN, .route_path = "login", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.PutProvider", .number = 32, .class = METHOD_WRITE,
     .request = &put_provider_request_type, .reply = &put_reply_type,
     .route = ROUTE_ID, .route_path = "provider", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.PutOffer", .number = 33, .class = METHOD_WRITE,
     .request = &put_offer_request_type, .reply = &put_reply_type,
     .route = ROUTE_ID, .route_path = "offer", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.SetOfferState", .number = 34, .class = METHOD_WRITE,
     .request = &set_offer_state_request_type, .reply = &put_reply_type,
     .route = ROUTE_ID, .route_path = "offer", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.AdjustCapacity", .number = 35, .class = METHOD_WRITE,
     .request = &adjust_capacity_request_type, .reply = &put_reply_type,
     .route = ROUTE_ID, .route_path = "offer", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.Get", .number = 36, .class = METHOD_READ,
     .request = &catalog_get_request_type, .reply = &catalog_get_reply_type,
     .route = ROUTE_ID, .route_path = "id", .route_steps_count = 1, .route_steps = {0}},
    {.name = "catalog.List", .number = 37, .class = METHOD_FANOUT,
     .request = &catalog_list_request_type, .reply = &catalog_list_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "avail.Check", .number = 48, .class = METHOD_READ,
     .request = &avail_check_request_type, .reply = &avail_check_reply_type,
     .route = ROUTE_ID, .route_path = "queries.offer", .route_steps_count = 2, .route_steps = {0, 0}},
    {.name = "avail.ListFree", .number = 49, .class = METHOD_READ,
     .request = &avail_list_free_request_type, .reply = &avail_list_free_reply_type,
     .route = ROUTE_ID, .route_path = "offer", .route_steps_count = 1, .route_steps = {0}},
    {.name = "avail.FindCommon", .number = 50, .class = METHOD_READ,
     .request = &avail_find_common_request_type, .reply = &avail_find_common_reply_type,
     .route = ROUTE_ID, .route_path = "offers", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.Create", .number = 64, .class = METHOD_WRITE,
     .request = &reserve_create_request_type, .reply = &reserve_reply_type,
     .route = ROUTE_ID, .route_path = "items.offer", .route_steps_count = 2, .route_steps = {2, 0}},
    {.name = "reserve.Confirm", .number = 65, .class = METHOD_WRITE,
     .request = &reserve_confirm_request_type, .reply = &reserve_reply_type,
     .route = ROUTE_ID, .route_path = "reservation", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.Release", .number = 66, .class = METHOD_WRITE,
     .request = &reserve_release_request_type, .reply = &reserve_reply_type,
     .route = ROUTE_ID, .route_path = "reservation", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.Cancel", .number = 67, .class = METHOD_WRITE,
     .request = &reserve_cancel_request_type, .reply = &reserve_reply_type,
     .route = ROUTE_ID, .route_path = "reservation", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.Move", .number = 68, .class = METHOD_WRITE,
     .request = &reserve_move_request_type, .reply = &reserve_reply_type,
     .route = ROUTE_ID, .route_path = "reservation", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.Get", .number = 69, .class = METHOD_READ,
     .request = &reserve_get_request_type, .reply = &reserve_get_reply_type,
     .route = ROUTE_ID, .route_path = "reservation", .route_steps_count = 1, .route_steps = {0}},
    {.name = "reserve.List", .number = 70, .class = METHOD_FANOUT,
     .request = &reserve_list_request_type, .reply = &reserve_list_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "order.Quote", .number = 80, .class = METHOD_READ,
     .request = &order_quote_request_type, .reply = &order_quote_reply_type,
     .route = ROUTE_ID, .route_path = "provider", .route_steps_count = 1, .route_steps = {0}},
    {.name = "order.Place", .number = 81, .class = METHOD_WRITE,
     .request = &order_place_request_type, .reply = &order_reply_type,
     .route = ROUTE_ID, .route_path = "provider", .route_steps_count = 1, .route_steps = {1}},
    {.name = "order.Advance", .number = 82, .class = METHOD_WRITE,
     .request = &order_advance_request_type, .reply = &order_reply_type,
     .route = ROUTE_ID, .route_path = "order", .route_steps_count = 1, .route_steps = {0}},
    {.name = "order.Get", .number = 83, .class = METHOD_READ,
     .request = &order_get_request_type, .reply = &order_get_reply_type,
     .route = ROUTE_ID, .route_path = "order", .route_steps_count = 1, .route_steps = {0}},
    {.name = "order.List", .number = 84, .class = METHOD_FANOUT,
     .request = &order_list_request_type, .reply = &order_list_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "call.Outcome", .number = 112, .class = METHOD_WRITE,
     .request = &outcome_request_type, .reply = &outcome_reply_type,
     .route = ROUTE_ID, .route_path = "request_id", .route_steps_count = 1, .route_steps = {0}},
    {.name = "cluster.Status", .number = 128, .class = METHOD_LOCAL,
     .request = &status_request_type, .reply = &status_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.Members", .number = 129, .class = METHOD_LOCAL,
     .request = &members_request_type, .reply = &members_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.Ring", .number = 130, .class = METHOD_LOCAL,
     .request = &ring_request_type, .reply = &ring_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.Where", .number = 131, .class = METHOD_LOCAL,
     .request = &where_request_type, .reply = &where_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.TransferLeader", .number = 132, .class = METHOD_LOCAL,
     .request = &transfer_leader_request_type, .reply = &transfer_leader_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.ReplaceNode", .number = 133, .class = METHOD_SYSTEM_WRITE,
     .request = &replace_node_request_type, .reply = &replace_node_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.Placement", .number = 134, .class = METHOD_SYSTEM_READ,
     .request = &placement_request_type, .reply = &placement_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.BindFolder", .number = 135, .class = METHOD_SYSTEM_WRITE,
     .request = &bind_folder_request_type, .reply = &bind_folder_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.NoteMoves", .number = 136, .class = METHOD_SYSTEM_WRITE,
     .request = &note_moves_request_type, .reply = &note_moves_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.SnapshotOpen", .number = 137, .class = METHOD_LOCAL,
     .request = &snapshot_open_request_type, .reply = &snapshot_open_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.SnapshotRead", .number = 138, .class = METHOD_LOCAL,
     .request = &snapshot_read_request_type, .reply = &snapshot_read_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.SnapshotClose", .number = 139, .class = METHOD_LOCAL,
     .request = &snapshot_close_request_type, .reply = &snapshot_close_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "cluster.InjectFault", .number = 140, .class = METHOD_LOCAL,
     .request = &inject_fault_request_type, .reply = &inject_fault_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "health.Check", .number = 144, .class = METHOD_LOCAL,
     .request = &health_request_type, .reply = &health_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
    {.name = "reflect.Schema", .number = 145, .class = METHOD_LOCAL,
     .request = &reflect_request_type, .reply = &reflect_reply_type,
     .route = ROUTE_NONE, .route_path = "", .route_steps_count = 0},
};

/* Ascending names. */
static const uint16_t by_name[METHOD_COUNT] = {
    9, /* auth.ChangePassword */
    4, /* auth.CreateApiKey */
    6, /* auth.ListApiKeys */
    1, /* auth.Login */
    7, /* auth.Refresh */
    0, /* auth.Register */
    8, /* auth.Revoke */
    5, /* auth.RevokeApiKey */
    2, /* auth.SetRole */
    3, /* auth.WhoAmI */
    16, /* avail.Check */
    18, /* avail.FindCommon */
    17, /* avail.ListFree */
    31, /* call.Outcome */
    13, /* catalog.AdjustCapacity */
    14, /* catalog.Get */
    15, /* catalog.List */
    11, /* catalog.PutOffer */
    10, /* catalog.PutProvider */
    12, /* catalog.SetOfferState */
    39, /* cluster.BindFolder */
    44, /* cluster.InjectFault */
    33, /* cluster.Members */
    40, /* cluster.NoteMoves */
    38, /* cluster.Placement */
    37, /* cluster.ReplaceNode */
    34, /* cluster.Ring */
    43, /* cluster.SnapshotClose */
    41, /* cluster.SnapshotOpen */
    42, /* cluster.SnapshotRead */
    32, /* cluster.Status */
    36, /* cluster.TransferLeader */
    35, /* cluster.Where */
    45, /* health.Check */
    28, /* order.Advance */
    29, /* order.Get */
    30, /* order.List */
    27, /* order.Place */
    26, /* order.Quote */
    46, /* reflect.Schema */
    22, /* reserve.Cancel */
    20, /* reserve.Confirm */
    19, /* reserve.Create */
    24, /* reserve.Get */
    25, /* reserve.List */
    23, /* reserve.Move */
    21, /* reserve.Release */
};

/* Index plus one; 0 is no method. */
static const uint16_t by_number[METHOD_NUMBER_MAX + 1] = {
    [16] = 1,
    [17] = 2,
    [18] = 3,
    [19] = 4,
    [20] = 5,
    [21] = 6,
    [22] = 7,
    [23] = 8,
    [24] = 9,
    [25] = 10,
    [32] = 11,
    [33] = 12,
    [34] = 13,
    [35] = 14,
    [36] = 15,
    [37] = 16,
    [48] = 17,
    [49] = 18,
    [50] = 19,
    [64] = 20,
    [65] = 21,
    [66] = 22,
    [67] = 23,
    [68] = 24,
    [69] = 25,
    [70] = 26,
    [80] = 27,
    [81] = 28,
    [82] = 29,
    [83] = 30,
    [84] = 31,
    [112] = 32,
    [128] = 33,
    [129] = 34,
    [130] = 35,
    [131] = 36,
    [132] = 37,
    [133] = 38,
    [134] = 39,
    [135] = 40,
    [136] = 41,
    [137] = 42,
    [138] = 43,
    [139] = 44,
    [140] = 45,
    [144] = 46,
    [145] = 47,
};

const struct method *method_by_name (struct bytes name)
{
    return method_find (methods, by_name, METHOD_COUNT, name);
}

const struct method *method_by_number (uint64_t number)
{
    if (number > METHOD_NUMBER_MAX || by_number[number] == 0)
        return NULL;
    return &methods[by_number[number] - 1];
}
