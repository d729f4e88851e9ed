/* What the store's owner needs to know of the log under a shard. */
#include "node/shard/shard_internal.h"

bool shard_log_point (const struct shard *self, uint64_t index, uint64_t *term, struct raft_configuration *members)
{
    *term = raft_term_at (self->raft, index);
    return *term != 0 && raft_configuration_at (self->raft, index, members);
}

bool shard_restore_resets (const struct shard *self, uint64_t index, uint64_t term)
{
    return raft_restore_resets (self->raft, index, term);
}
