/* What the files that read a history share.
 *
 * Room: test/chaos; internal to history_*.c. Each bool is false after noting what is wrong in which line.
 */
#ifndef MAITRED_TEST_CHAOS_HISTORY_READING_H
#define MAITRED_TEST_CHAOS_HISTORY_READING_H

#include "test/chaos/history.h"

#define READING_CLIENTS_MAX (1u << 20)

struct reading {
    struct history *history;
    struct json_line line;
    uint64_t last_ns;
    size_t *open; /* by client: index + 1 of its operation under way */
    uint32_t open_count;
};

bool reading_wrong (struct reading *in, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Room for one more element of that size, by doubling. */
void *reading_grown (void *array, size_t *room, size_t count, size_t size);

bool reading_need_u64 (struct reading *in, const char *key, uint64_t max, uint64_t *value);
bool reading_may_u64 (struct reading *in, const char *key, uint64_t *value);
bool reading_need_text (struct reading *in, const char *key, struct bytes *text);
bool reading_need_name (struct reading *in, const char *key, struct history_names *names, uint32_t *number);
bool reading_is (struct bytes text, const char *word);
bool reading_has_true (const struct reading *in, const char *key);
uint32_t reading_offer (struct history *history, struct bytes name);
bool reading_items (struct reading *in, uint32_t *at, uint32_t *count, uint32_t *basket);

/* Index + 1 of the client's operation under way, 0: none. */
size_t *reading_open (struct reading *in, uint32_t client);

/* history_answer.c: an ok, fail or unknown line. */
bool reading_answer (struct reading *in, struct bytes type, uint64_t now_ns);

#endif
