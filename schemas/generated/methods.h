/* Made by maitred_codegen from all CDDL files. Do not edit: change those files, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_METHODS_H
#define MAITRED_SCHEMAS_GENERATED_METHODS_H

#include "schemas/runtime/method.h"
#include "schemas/generated/auth.h"
#include "schemas/generated/catalog.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/order.h"
#include "schemas/generated/reserve.h"

enum method_number {
    METHOD_NUMBER_AUTH_REGISTER = 16,
    METHOD_NUMBER_AUTH_LOGIN = 17,
    METHOD_NUMBER_AUTH_SET_ROLE = 18,
    METHOD_NUMBER_AUTH_WHO_AM_I = 19,
    METHOD_NUMBER_AUTH_CREATE_API_KEY = 20,
    METHOD_NUMBER_AUTH_REVOKE_API_KEY = 21,
    METHOD_NUMBER_AUTH_LIST_API_KEYS = 22,
    METHOD_NUMBER_AUTH_REFRESH = 23,
    METHOD_NUMBER_AUTH_REVOKE = 24,
    METHOD_NUMBER_AUTH_CHANGE_PASSWORD = 25,
    METHOD_NUMBER_CATALOG_PUT_PROVIDER = 32,
    METHOD_NUMBER_CATALOG_PUT_OFFER = 33,
    METHOD_NUMBER_CATALOG_SET_OFFER_STATE = 34,
    METHOD_NUMBER_CATALOG_ADJUST_CAPACITY = 35,
    METHOD_NUMBER_CATALOG_GET = 36,
    METHOD_NUMBER_CATALOG_LIST = 37,
    METHOD_NUMBER_AVAIL_CHECK = 48,
    METHOD_NUMBER_AVAIL_LIST_FREE = 49,
    METHOD_NUMBER_AVAIL_FIND_COMMON = 50,
    METHOD_NUMBER_RESERVE_CREATE = 64,
    METHOD_NUMBER_RESERVE_CONFIRM = 65,
    METHOD_NUMBER_RESERVE_RELEASE = 66,
    METHOD_NUMBER_RESERVE_CANCEL = 67,
    METHOD_NUMBER_RESERVE_MOVE = 68,
    METHOD_NUMBER_RESERVE_GET = 69,
    METHOD_NUMBER_RESERVE_LIST = 70,
    METHOD_NUMBER_ORDER_QUOTE = 80,
    METHOD_NUMBER_ORDER_PLACE = 81,
    METHOD_NUMBER_ORDER_ADVANCE = 82,
    METHOD_NUMBER_ORDER_GET = 83,
    METHOD_NUMBER_ORDER_LIST = 84,
    METHOD_NUMBER_CALL_OUTCOME = 112,
    METHOD_NUMBER_CLUSTER_STATUS = 128,
    METHOD_NUMBER_CLUSTER_MEMBERS = 129,
    METHOD_NUMBER_CLUSTER_RING = 130,
    METHOD_NUMBER_CLUSTER_WHERE = 131,
    METHOD_NUMBER_CLUSTER_TRANSFER_LEADER = 132,
    METHOD_NUMBER_HEALTH_CHECK = 144,
    METHOD_NUMBER_REFLECT_SCHEMA = 145,
};

#define METHOD_NUMBER_MAX 145

/* Every method, ascending numbers. */
#define METHOD_COUNT 39
extern const struct method methods[METHOD_COUNT];

/* The method of that name ("reserve.Create", exact case), or NULL. */
const struct method *method_by_name (struct bytes name);

/* The method of that number, or NULL. */
const struct method *method_by_number (uint64_t number);

#endif
