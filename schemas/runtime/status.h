/* Status codes of every call: gRPC's 17 codes with the same numbers.
 *
 * Room: schemas/runtime, pure. Thread safety: immutable data only.
 * Source: grpc.io "Status codes and their use in gRPC".
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_STATUS_H
#define MAITRED_SCHEMAS_RUNTIME_STATUS_H

enum status {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_ABORTED = 10,
    STATUS_OUT_OF_RANGE = 11,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_DATA_LOSS = 15,
    STATUS_UNAUTHENTICATED = 16,
};

#define STATUS_COUNT 17

#define WARN_UNUSED __attribute__ ((warn_unused_result))

/* The upper-case gRPC name of a status ("RESOURCE_EXHAUSTED"); "INVALID_STATUS" outside the range. Static storage. */
const char *status_name (enum status status);

#endif
