/* The node's log: one line an event, words for people on a terminal, one JSON object a line anywhere else.
 *
 * Room: node/engine. Thread safety: any thread; a line is one write. Never holds a secret or a body: callers pass ids and
 * numbers.
 */
#ifndef MAITRED_NODE_ENGINE_EVENT_LOG_H
#define MAITRED_NODE_ENGINE_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"

enum event_log_level { EVENT_LOG_DEBUG, EVENT_LOG_INFO, EVENT_LOG_WARN, EVENT_LOG_ERROR };

/* One named value. Made by the functions below; borrows its text. */
struct event_log_field {
    const char *name;
    const char *text; /* NULL: the number */
    uint64_t number;
    struct id id;
    uint8_t kind;
};

struct event_log_field event_log_u64 (const char *name, uint64_t number);
struct event_log_field event_log_text (const char *name, const char *text);
struct event_log_field event_log_id (const char *name, const struct id *id);

/* Lines below `level` are dropped; `node` goes into every line (0: not known yet). */
void event_log_setup (enum event_log_level level, uint32_t node);

/* "info", "debug", "warn", "error"; false on anything else. */
_Bool event_log_level_parse (const char *text, enum event_log_level *level);

void event_log_write (
    enum event_log_level level, const char *event, const struct event_log_field *fields, size_t count);

/* event_log (EVENT_LOG_INFO, "leader changed", event_log_u64 ("shard", 3), event_log_u64 ("term", 9)); */
#define event_log(level, ...) EVENT_LOG_CALL (level, __VA_ARGS__, event_log_u64 (NULL, 0))
#define EVENT_LOG_CALL(level, event, ...)                                                                              \
    event_log_write (level, event, (const struct event_log_field[]){__VA_ARGS__},                                      \
        sizeof ((const struct event_log_field[]){__VA_ARGS__}) / sizeof (struct event_log_field))

#endif
