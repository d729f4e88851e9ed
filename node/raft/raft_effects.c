/* What goes out of a step: messages, reads, and the memory that holds them. */
#include "node/raft/raft_internal.h"

#include <stdlib.h>

/* Without memory for its effects a step cannot be finished, and half a step must not be seen: the process ends. */
static void grow (void **array, size_t *size, size_t count, size_t element)
{
    maitre_assert (count <= *size);
    if (count < *size)
        return;
    size_t wanted = *size == 0 ? 16 : 2 * *size;
    void *bigger = realloc (*array, wanted * element);
    maitre_assert (bigger != NULL);
    *array = bigger;
    *size = wanted;
}

void raft_effects_init (struct raft_effects *effects)
{
    maitre_assert (effects != NULL);
    *effects = (struct raft_effects){0};
    raft_effects_reset (effects);
}

void raft_effects_reset (struct raft_effects *effects)
{
    maitre_assert (effects != NULL);
    struct raft_effects clean = {
        .send_now = effects->send_now,
        .send_now_size = effects->send_now_size,
        .send_after_persist = effects->send_after_persist,
        .send_after_size = effects->send_after_size,
        .reads = effects->reads,
        .reads_size = effects->reads_size,
        .apply_first = 1, /* an empty range */
    };
    *effects = clean;
}

void raft_effects_close (struct raft_effects *effects)
{
    maitre_assert (effects != NULL);
    free (effects->send_now);
    free (effects->send_after_persist);
    free (effects->reads);
    *effects = (struct raft_effects){0};
}

static struct raft_message *address (const struct raft *raft, struct raft_message *message, uint8_t type, uint64_t to)
{
    maitre_assert (to != 0);
    maitre_assert (to != raft->options.replica);
    *message = (struct raft_message){
        .shard = raft->options.shard,
        .type = type,
        .from = raft->options.replica,
        .to = to,
        .term = raft->term,
        .session = raft->options.session,
    };
    return message;
}

struct raft_message *raft_send_now (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to)
{
    grow ((void **) &effects->send_now, &effects->send_now_size, effects->send_now_count, sizeof *effects->send_now);
    return address (raft, &effects->send_now[effects->send_now_count++], type, to);
}

struct raft_message *raft_send_after (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to)
{
    grow ((void **) &effects->send_after_persist, &effects->send_after_size, effects->send_after_count,
        sizeof *effects->send_after_persist);
    return address (raft, &effects->send_after_persist[effects->send_after_count++], type, to);
}

struct raft_message *raft_reply (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to)
{
    /* R1: nobody learns of a term or vote that a crash could take back. */
    if (raft_persist_hard_state_durable (raft) || PLANTED (R1_TERM_BEFORE_SYNC))
        return raft_send_now (raft, effects, type, to);
    return raft_send_after (raft, effects, type, to);
}

void raft_effects_read (struct raft_effects *effects, uint64_t read_id, uint64_t index, bool ok)
{
    grow ((void **) &effects->reads, &effects->reads_size, effects->reads_count, sizeof *effects->reads);
    effects->reads[effects->reads_count++] = (struct raft_read_result){.read_id = read_id, .index = index, .ok = ok};
    maitre_assert (effects->reads_count <= effects->reads_size);
}
