#include "schemas/runtime/status.h"

_Static_assert(STATUS_UNAUTHENTICATED + 1 == STATUS_COUNT, "the names go up to the last one");

static const char *const names[STATUS_COUNT] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *status_name (enum status status)
{
    int index = (int) status;
    return index >= 0 && index < STATUS_COUNT ? names[index] : "INVALID_STATUS";
}
