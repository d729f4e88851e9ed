/* Memory that one turn's effects borrow from: grows in blocks, is forgotten at the next turn.
 *
 * Room: node/shard, pure. A block never moves, so what was handed out stays where it is until output_reset.
 */
#ifndef MAITRED_NODE_SHARD_OUTPUT_H
#define MAITRED_NODE_SHARD_OUTPUT_H

#include <stddef.h>

#include "schemas/runtime/bytes.h"

struct output_block;

struct output {
    struct output_block *blocks; /* newest first */
};

void output_init (struct output *self);
void output_close (struct output *self);

/* Forgets everything; keeps one block for the next turn. */
void output_reset (struct output *self);

/* size bytes, aligned to 8, not zeroed. Never NULL. */
void *output_alloc (struct output *self, size_t size);
struct bytes output_copy (struct output *self, struct bytes data);
const char *output_text (struct output *self, const char *text); /* NULL stays NULL */

/* Grows *items_p so that it holds at least `count` items of item_size bytes. The one way arrays grow in this room. */
void output_reserve (void *items_p, size_t *size, size_t count, size_t item_size);

#endif
