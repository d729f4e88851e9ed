/* One Raft replica whose peers send anything: every message that decodes, in any order, between the duties of its caller.
 *
 * Peers are authenticated, not trusted to be free of bugs: a message that no correct peer sends may be refused or cost
 * this group its progress, but neither the process nor the invariants of raft_check.
 */
#include "node/raft/raft.h"
#include "node/raft/raft_codec.h"
#include "test/fuzz/fuzz.h"

#define SHARD 7
#define SELF 1
#define REPLICAS 4 /* 1..3 vote, 4 is nobody or a learner */
#define ENTRIES_MAX 4
#define STEPS_MAX 400

struct rig {
    struct raft *raft;
    struct raft_effects effects;
    uint64_t now_ms;
    uint64_t persisted; /* sequence handed out */
    uint64_t applied, applied_written;
};

static enum status step (struct rig *rig, struct raft_event event)
{
    event.now_ms = rig->now_ms;
    enum status status = raft_step (rig->raft, &event, &rig->effects);
    raft_check (rig->raft);
    return status;
}

/* The duties of a turn; how far the disk gets is the fuzzer's choice. */
static void end_turn (struct rig *rig)
{
    enum status status = step (rig, (struct raft_event){.type = RAFT_TURN_END});
    maitre_assert (status == STATUS_OK);
    if (rig->effects.persist.sequence != 0) {
        maitre_assert (rig->effects.persist.sequence == rig->persisted + 1);
        rig->persisted = rig->effects.persist.sequence;
    }
    for (uint64_t i = rig->effects.apply_first; i != 0 && i <= rig->effects.apply_last; i++) {
        maitre_assert (i == rig->applied + 1 && raft_entry (rig->raft, i) != NULL);
        rig->applied = i;
    }
    uint64_t applied = rig->applied;
    raft_effects_reset (&rig->effects);
    status = step (rig, (struct raft_event){.type = RAFT_APPLIED, .index = applied});
    maitre_assert (status == STATUS_OK);
}

/* Near something that this replica knows. */
static uint64_t near_number (struct fuzz *fuzz, uint64_t base)
{
    uint8_t draw = fuzz_u8 (fuzz);
    if (draw >= 250)
        return fuzz_u64 (fuzz);
    uint64_t off = draw % 8;
    return draw & 8 ? base + off : base > off ? base - off : 0;
}

static uint64_t near_index (struct fuzz *fuzz, const struct raft_status *status)
{
    switch (fuzz_below (fuzz, 4)) {
    case 0:
        return near_number (fuzz, status->last_index);
    case 1:
        return near_number (fuzz, status->commit);
    case 2:
        return near_number (fuzz, status->snapshot_index);
    default:
        return near_number (fuzz, 0);
    }
}

static struct raft_configuration configuration_of (struct fuzz *fuzz)
{
    struct raft_configuration configuration = {.count = 0};
    for (uint64_t i = 1; i <= REPLICAS; i++) {
        uint8_t roles = fuzz_u8 (fuzz) % 8;
        if (roles != 0)
            raft_configuration_set (&configuration,
                (struct raft_member){.replica = i, .node = (uint32_t) i, .rank = (uint8_t) i, .roles = roles});
    }
    return configuration;
}

static void make_entries (struct fuzz *fuzz, struct raft_message *message, struct raft_entry *entries,
    uint8_t payloads[ENTRIES_MAX][RAFT_CONFIGURATION_BYTES_MAX])
{
    uint64_t term = message->log_term;
    message->count = (uint32_t) fuzz_below (fuzz, ENTRIES_MAX + 1);
    message->entries = message->count > 0 ? entries : NULL;
    for (uint32_t i = 0; i < message->count; i++) {
        uint8_t draw = fuzz_u8 (fuzz);
        term += draw % 16 == 15; /* mostly the same term */
        entries[i] = (struct raft_entry){.index = message->index + 1 + i,
            .term = draw >= 240 ? near_number (fuzz, term)
                    : term > 0  ? term
                                : message->term,
            .type = (uint8_t) (1 + (draw >> 4) % 3)};
        if (entries[i].type == RAFT_ENTRY_CONFIGURATION) {
            struct raft_configuration configuration = configuration_of (fuzz);
            if (raft_configuration_valid (&configuration))
                entries[i].payload = bytes_of (payloads[i], raft_configuration_encode (&configuration, payloads[i]));
        } else if (entries[i].type == RAFT_ENTRY_COMMAND) {
            entries[i].payload = fuzz_run (fuzz, fuzz_below (fuzz, 32));
        }
        entries[i].checksum = raft_entry_checksum (SHARD, &entries[i]);
        if (draw == 239)
            entries[i].checksum++;
    }
}

/* Every message goes the way of the wire first: only what decodes can arrive. */
static void receive (struct rig *rig, struct fuzz *fuzz)
{
    static uint8_t wire_bytes[64 * 1024], payloads[ENTRIES_MAX][RAFT_CONFIGURATION_BYTES_MAX];
    static uint64_t memory[8192];
    struct raft_entry entries[ENTRIES_MAX], arrived_entries[ENTRIES_MAX];
    struct raft_wire_entry wire_entries[ENTRIES_MAX];
    struct raft_status status;
    raft_status (rig->raft, &status);
    uint8_t draw = fuzz_u8 (fuzz);
    struct raft_message message = {.shard = draw == 255 ? SHARD + 1 : SHARD,
        .type = (uint8_t) (1 + draw % 9),
        .from = 1 + fuzz_below (fuzz, REPLICAS + 1),
        .to = SELF,
        .term = near_number (fuzz, status.term),
        .session = fuzz_below (fuzz, 4)};
    message.flags = fuzz_u8 (fuzz) % 16 < 8 ? 0 : fuzz_u8 (fuzz) % 8;
    message.index = near_index (fuzz, &status);
    message.log_term = draw >= 128 && message.index != 0 ? raft_term_at (rig->raft, message.index)
                                                         : near_number (fuzz, status.last_term);
    message.commit = near_index (fuzz, &status);
    message.hint = near_index (fuzz, &status);
    message.round = fuzz_below (fuzz, 8);
    if (message.type == RAFT_APPEND)
        make_entries (fuzz, &message, entries, payloads);
    struct raft_wire_message wire;
    struct arena arena;
    size_t len = 0;
    raft_codec_to_wire (&message, &wire, wire_entries);
    if (codec_encode (&raft_wire_message_type, &wire, wire_bytes, sizeof wire_bytes, &len) != STATUS_OK)
        return;
    arena_init (&arena, memory, sizeof memory);
    enum status decoded =
        codec_decode (&raft_wire_message_type, bytes_of (wire_bytes, len), CODEC_STRICT, &arena, &wire, NULL);
    maitre_assert (decoded == STATUS_OK);
    if (raft_codec_from_wire (&wire, &message, arrived_entries) == STATUS_OK)
        (void) !step (rig, (struct raft_event){.type = RAFT_RECEIVE, .message = &message});
}

/* Installs a snapshot as the shard does: only above what is applied, with a configuration. */
static void restore (struct rig *rig, struct fuzz *fuzz)
{
    struct raft_status status;
    raft_status (rig->raft, &status);
    struct raft_configuration members = configuration_of (fuzz);
    uint64_t index = near_index (fuzz, &status), term = near_number (fuzz, status.term);
    if (status.role == RAFT_LEADER || index <= rig->applied || index > RAFT_INDEX_MAX || term == 0 ||
        term > status.term || members.count == 0 || !raft_configuration_valid (&members))
        return;
    enum status restored =
        step (rig, (struct raft_event){.type = RAFT_RESTORE, .index = index, .term = term, .configuration = &members});
    maitre_assert (restored == STATUS_OK);
    rig->applied = index;
    rig->applied_written = index;
}

static void own_step (struct rig *rig, struct fuzz *fuzz, uint8_t kind)
{
    struct raft_status status;
    struct raft_configuration members;
    struct bytes payload;
    raft_status (rig->raft, &status);
    switch (kind) {
    case 0:
        rig->now_ms += fuzz_below (fuzz, 1024);
        (void) !step (rig, (struct raft_event){.type = RAFT_TICK});
        break;
    case 1:
        payload = fuzz_run (fuzz, fuzz_below (fuzz, 64));
        (void) !step (rig, (struct raft_event){.type = RAFT_PROPOSE, .payloads = &payload, .payloads_count = 1});
        break;
    case 2:
        (void) !step (rig, (struct raft_event){.type = RAFT_READ, .read_id = fuzz_u8 (fuzz)});
        break;
    case 3:
        (void) !step (rig, (struct raft_event){.type = RAFT_PERSISTED,
                               .sequence = rig->persisted - fuzz_below (fuzz, 3) % (rig->persisted + 1)});
        break;
    case 4:
        (void) !step (rig, (struct raft_event){.type = RAFT_LINK,
                               .node = 1 + (uint32_t) fuzz_below (fuzz, REPLICAS + 1),
                               .up = fuzz_u8 (fuzz) % 2 != 0});
        break;
    case 5:
        (void) !step (rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT,
                               .replica = fuzz_below (fuzz, REPLICAS + 2),
                               .index = near_index (fuzz, &status),
                               .ok = fuzz_u8 (fuzz) % 2 != 0});
        break;
    case 6:
        (void) !step (rig, (struct raft_event){.type = RAFT_TRANSFER, .replica = fuzz_below (fuzz, REPLICAS + 2)});
        break;
    case 7:
        members = configuration_of (fuzz);
        (void) !step (rig, (struct raft_event){.type = RAFT_CONFIGURE, .configuration = &members});
        break;
    case 8:
        (void) !step (rig, (struct raft_event){.type = RAFT_CAMPAIGN});
        break;
    case 9:
        restore (rig, fuzz);
        break;
    case 10: /* duty 8: written back up to what is applied, then cut */
        rig->applied_written = rig->applied;
        raft_compact (rig->raft, rig->applied_written - fuzz_below (fuzz, 4) % (rig->applied_written + 1));
        raft_check (rig->raft);
        break;
    default:
        end_turn (rig);
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    struct rig rig = {.now_ms = 1000};
    struct raft_configuration members = {0};
    uint8_t shape = fuzz_u8 (&fuzz);
    for (uint64_t i = 1; i <= (shape & 8 ? 1u : 3u); i++)
        raft_configuration_set (&members,
            (struct raft_member){.replica = i, .node = (uint32_t) i, .rank = (uint8_t) (i - 1), .roles = RAFT_VOTER});
    if (shape & 16)
        raft_configuration_set (&members, (struct raft_member){.replica = 4, .node = 4, .roles = RAFT_LEARNER});
    struct raft_options options = {.shard = SHARD, .replica = SELF, .session = 2, .suspect = (shape & 1) != 0};
    struct raft_stored stored = {.term = shape % 4, .configuration = &members};
    raft_effects_init (&rig.effects);
    if (raft_new (&options, &stored, rig.now_ms, &rig.raft) != STATUS_OK)
        abort ();
    for (int i = 0; i < STEPS_MAX && fuzz.left > 0; i++) {
        uint8_t kind = fuzz_u8 (&fuzz);
        if (kind % 2 == 0)
            receive (&rig, &fuzz);
        else
            own_step (&rig, &fuzz, kind / 2 % 14);
    }
    end_turn (&rig);
    raft_destroy (&rig.raft);
    raft_effects_close (&rig.effects);
    return 0;
}
