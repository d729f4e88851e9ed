/* Raft's messages and configurations between the core's structs and their wire form (schemas/raft.cddl).
 *
 * Room: node/raft, pure. Ownership: both directions borrow, nothing is copied but headers. Thread safety: no state.
 * Transport packs the wire structs of one turn into one peer frame; test/sim sends them one by one.
 */
#ifndef MAITRED_NODE_RAFT_RAFT_CODEC_H
#define MAITRED_NODE_RAFT_RAFT_CODEC_H

#include "node/raft/raft.h"
#include "schemas/generated/raft.h"

/* Fills *wire, which borrows from message and from entries: room for message->count (at most
 * RAFT_MESSAGE_ENTRIES_MAX) wire entries that must live as long as *wire. */
void raft_codec_to_wire (
    const struct raft_message *message, struct raft_wire_message *wire, struct raft_wire_entry *entries);

/* Fills *message, which borrows from wire and from entries: room for wire->entries_count (at most
 * RAFT_MESSAGE_ENTRIES_MAX). INVALID_ARGUMENT: a number that is written as 0 instead of being left out, or an index
 * that overflows: not the deterministic form. */
WARN_UNUSED enum status raft_codec_from_wire (
    const struct raft_wire_message *wire, struct raft_message *message, struct raft_entry *entries);

#endif
