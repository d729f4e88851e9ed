/* What the files of the world share. Not included by tests. */
#ifndef MAITRED_TEST_SUPPORT_SHARD_WORLD_INTERNAL_H
#define MAITRED_TEST_SUPPORT_SHARD_WORLD_INTERNAL_H

#include "test/support/shard_world.h"

/* One persist of one turn, until it is synced. */
struct shard_world_batch {
    struct shard_world_batch *next;
    uint64_t sequence, due_ms;
    bool hard_state, reset, truncate;
    uint64_t term, vote, reset_index, reset_term, first_index;
    struct raft_entry *entries;
    size_t entries_count;
};

enum packet_kind { PACKET_RAFT, PACKET_CHUNK, PACKET_ACK };

/* Real wire bytes: what arrives shares no memory with who sent it. */
struct shard_world_packet {
    enum packet_kind kind;
    uint32_t from, to;
    uint64_t due_ms;
    uint8_t *data;
    size_t len;
};

struct shard_world_held {
    struct shard_world_held *next;
    uint64_t after_sequence;
    struct shard_world_packet packet;
};

extern const struct shard_snapshot_ops shard_world_snapshot_ops; /* context: the node */

void *shard_world_copy (const void *data, size_t len);
struct bytes shard_world_bytes_copy (struct bytes from);
void shard_world_bytes_free (struct bytes *bytes);
/* Makes room for one more than `count` items; what is new is zero. */
void shard_world_grow (void *items_p, size_t *size, size_t count, size_t item_size);
uint64_t shard_world_dice (struct shard_world *w, uint64_t bound);
uint32_t shard_world_node_of (uint64_t replica);
void shard_world_step (struct shard_world *w); /* one ms */

void shard_world_persist (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects);
/* Writes the batches that are due by then. */
void shard_world_sync (struct shard_world *w, struct shard_world_node *node, uint64_t due_ms);
void shard_world_disk_turn (struct shard_world *w, struct shard_world_node *node);
void shard_world_batch_free (struct shard_world_batch *batch);
void shard_world_log_cut (struct shard_world_node *node, uint64_t index, uint64_t term);
bool shard_world_durable (const struct shard_world_node *node, uint64_t index, uint64_t term);

/* Takes the packet's data over. */
void shard_world_packet_send (struct shard_world *w, struct shard_world_packet packet);
void shard_world_deliver (struct shard_world *w);
void shard_world_messages (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects);
void shard_world_snapshots (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects);
void shard_world_answers (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects);

#endif
