/* The replicated state machine of the Raft mode: a register, and a hash over its whole history. */
#include "test/sim/sim.h"

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

void sim_machine_apply (struct sim_machine *machine, const struct raft_entry *entry)
{
    maitre_assert (entry->index == machine->applied + 1);
    machine->applied = entry->index;
    machine->applied_term = entry->term;
    machine->hash = checksum64 (machine->hash ^ entry->checksum, entry->payload);
    if (entry->type != RAFT_ENTRY_COMMAND)
        return;
    maitre_assert (entry->payload.len >= 8);
    machine->value = bytes_get_u64 (entry->payload.data);
    machine->commands++;
}
