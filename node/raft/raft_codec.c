/* Wire form of messages and configurations. */
#include "node/raft/raft_codec.h"

#include <assert.h>

#include "node/raft/raft_internal.h"

static_assert ((int) RAFT_WIRE_MESSAGE_TYPE_TIMEOUT_NOW == (int) RAFT_TIMEOUT_NOW, "the core's numbers are the wire's");
static_assert ((int) RAFT_WIRE_ENTRY_TYPE_CONFIGURATION == (int) RAFT_ENTRY_CONFIGURATION, "as above");
static_assert (RAFT_WIRE_MESSAGE_ENTRIES_COUNT_MAX == RAFT_MESSAGE_ENTRIES_MAX, "one bound");
static_assert (RAFT_WIRE_CONFIGURATION_MEMBERS_COUNT_MAX == RAFT_MEMBERS_MAX, "one bound");
static_assert (RAFT_WIRE_CONFIGURATION_ENCODED_MAX <= RAFT_CONFIGURATION_BYTES_MAX, "a configuration fits");

void raft_codec_to_wire (
    const struct raft_message *message, struct raft_wire_message *wire, struct raft_wire_entry *entries)
{
    maitre_assert (message->count <= RAFT_MESSAGE_ENTRIES_MAX);
    maitre_assert (message->count == 0 || entries != NULL);
    *wire = (struct raft_wire_message){
        .shard = message->shard,
        .type = message->type,
        .from = message->from,
        .to = message->to,
        .term = message->term,
        .has_flags = message->flags != 0,
        .flags = message->flags,
        .has_index = message->index != 0,
        .index = message->index,
        .has_log_term = message->log_term != 0,
        .log_term = message->log_term,
        .has_commit = message->commit != 0,
        .commit = message->commit,
        .has_hint = message->hint != 0,
        .hint = message->hint,
        .has_round = message->round != 0,
        .round = message->round,
        .has_session = message->session != 0,
        .session = message->session,
        .has_entries = message->count != 0,
        .entries = message->count != 0 ? entries : NULL,
        .entries_count = message->count,
    };
    for (uint32_t i = 0; i < message->count; i++)
        entries[i] = (struct raft_wire_entry){
            .term = message->entries[i].term,
            .type = message->entries[i].type,
            .checksum = message->entries[i].checksum,
            .has_payload = message->entries[i].payload.len != 0,
            .payload = message->entries[i].payload,
        };
}

/* Absent fields decode as 0, so copying without looking at has_x is right. */
enum status raft_codec_from_wire (
    const struct raft_wire_message *wire, struct raft_message *message, struct raft_entry *entries)
{
    maitre_assert (wire->entries_count <= RAFT_MESSAGE_ENTRIES_MAX);
    maitre_assert (wire->entries_count == 0 || entries != NULL);
    if (wire->index > UINT64_MAX - RAFT_MESSAGE_ENTRIES_MAX)
        return STATUS_INVALID_ARGUMENT;
    *message = (struct raft_message){
        .shard = (uint32_t) wire->shard,
        .type = (uint8_t) wire->type,
        .flags = (uint8_t) wire->flags,
        .from = wire->from,
        .to = wire->to,
        .term = wire->term,
        .index = wire->index,
        .log_term = wire->log_term,
        .commit = wire->commit,
        .hint = wire->hint,
        .round = wire->round,
        .session = wire->session,
        .entries = wire->entries_count != 0 ? entries : NULL,
        .count = (uint32_t) wire->entries_count,
    };
    for (size_t i = 0; i < wire->entries_count; i++)
        entries[i] = (struct raft_entry){
            .index = wire->index + 1 + i,
            .term = wire->entries[i].term,
            .checksum = wire->entries[i].checksum,
            .payload = wire->entries[i].payload,
            .type = (uint8_t) wire->entries[i].type,
        };
    return STATUS_OK;
}

size_t raft_configuration_encode (const struct raft_configuration *configuration, uint8_t *out)
{
    struct raft_wire_member members[RAFT_MEMBERS_MAX];
    size_t len = 0;
    maitre_assert (raft_configuration_valid (configuration));
    for (uint32_t i = 0; i < configuration->count; i++)
        members[i] = (struct raft_wire_member){
            .replica = configuration->members[i].replica,
            .node = configuration->members[i].node,
            .rank = configuration->members[i].rank,
            .roles = configuration->members[i].roles,
        };
    struct raft_wire_configuration wire = {.members = members, .members_count = configuration->count};
    enum status status = codec_encode (&raft_wire_configuration_type, &wire, out, RAFT_CONFIGURATION_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    return len;
}

enum status raft_configuration_decode (struct bytes in, struct raft_configuration *out)
{
    uint64_t memory[(RAFT_WIRE_CONFIGURATION_ARENA_MAX + 7) / 8];
    struct raft_wire_configuration wire;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    enum status status = codec_decode (&raft_wire_configuration_type, in, CODEC_STRICT, &arena, &wire, NULL);
    if (status != STATUS_OK)
        return STATUS_INVALID_ARGUMENT;
    maitre_assert (wire.members_count <= RAFT_MEMBERS_MAX);
    *out = (struct raft_configuration){.count = (uint32_t) wire.members_count};
    for (uint32_t i = 0; i < out->count; i++)
        out->members[i] = (struct raft_member){
            .replica = wire.members[i].replica,
            .node = (uint32_t) wire.members[i].node,
            .rank = (uint8_t) wire.members[i].rank,
            .roles = (uint8_t) wire.members[i].roles,
        };
    return raft_configuration_valid (out) ? STATUS_OK : STATUS_INVALID_ARGUMENT;
}
