#include "node/placement/placement.h"

#include <string.h>

#include "schemas/runtime/assert.h"

_Static_assert(PLACEMENT_PHASE_WAITING < PLACEMENT_PHASE_DONE, "phases grow");
_Static_assert(PLACEMENT_PHASE_NONE < PLACEMENT_PHASE_WAITING, "what does not move has no phase");
_Static_assert(PLACEMENT_PHASE_DONE <= UINT8_MAX, "a phase is a byte of the record");

struct placement placement_none (void)
{
    return (struct placement){.epoch = PLACEMENT_EPOCH_FIRST, .next_replica = 1};
}

static bool phases_valid (const struct replacement *running, uint32_t shard_count)
{
    if (running->phases.len != (size_t) shard_count + 1)
        return false;
    for (size_t i = 0; i < running->phases.len; i++) {
        if (running->phases.data[i] > PLACEMENT_PHASE_DONE)
            return false;
    }
    return true;
}

bool placement_valid (const struct placement *record, uint32_t shard_count)
{
    if (record->epoch < PLACEMENT_EPOCH_FIRST)
        return false;
    for (size_t i = 0; i < record->nodes_count; i++) {
        const struct placed_node *row = &record->nodes[i];
        bool ascends = i == 0 || record->nodes[i - 1].node < row->node;
        bool below = row->first_replica < record->next_replica &&
                     record->next_replica - row->first_replica > (uint64_t) shard_count;
        if (!ascends || !below)
            return false;
    }
    if (record->has_origin && record->origin >= record->next_replica)
        return false;
    if (!record->has_running)
        return true;
    const struct placed_node *row = placement_node (record, record->running.node);
    return row != NULL && row->first_replica == record->running.first_replica &&
           phases_valid (&record->running, shard_count);
}

void placement_check (const struct placement *record, uint32_t shard_count)
{
    maitre_assert (placement_valid (record, shard_count));
    for (size_t i = 0; i < record->nodes_count; i++) {
        const struct placed_node *row = &record->nodes[i];
        maitre_assert (row->retired_count <= PLACEMENT_RETIRED_MAX);
        maitre_assert (row->has_folder || (record->has_running && record->running.node == row->node));
        for (size_t j = 0; j < row->retired_count; j++)
            maitre_assert (!row->has_folder || !id_equal (&row->retired[j], &row->folder)); /* invariant 2 */
        for (size_t j = 0; j < i; j++) { /* invariant 1: the ranges of two nodes do not meet */
            uint64_t a = record->nodes[j].first_replica, b = row->first_replica;
            maitre_assert (a > b ? a - b > shard_count : b - a > shard_count);
        }
    }
}

/* ---- questions */

const struct placed_node *placement_node (const struct placement *record, uint64_t node)
{
    for (size_t i = 0; i < record->nodes_count; i++) {
        if (record->nodes[i].node == node)
            return &record->nodes[i];
    }
    return NULL;
}

uint64_t placement_replica (const struct placement *record, uint64_t node, uint32_t shard)
{
    const struct placed_node *row = placement_node (record, node);
    return row == NULL ? 0 : row->first_replica + shard;
}

static bool is_retired (const struct placed_node *row, const struct id *folder)
{
    maitre_assert (row->retired_count <= PLACEMENT_RETIRED_MAX);
    for (size_t i = 0; i < row->retired_count; i++) {
        if (id_equal (&row->retired[i], folder))
            return true;
    }
    return false;
}

enum placement_folder placement_folder_of (const struct placement *record, uint64_t node, const struct id *folder)
{
    const struct placed_node *row = placement_node (record, node);
    if (row == NULL)
        return PLACEMENT_FOLDER_UNSAID;
    if (row->has_folder)
        return id_equal (&row->folder, folder) ? PLACEMENT_FOLDER_OWNER : PLACEMENT_FOLDER_REFUSED;
    return is_retired (row, folder) || id_is_zero (folder) ? PLACEMENT_FOLDER_REFUSED : PLACEMENT_FOLDER_AWAITED;
}

enum placement_phase placement_phase_of (const struct placement *record, uint32_t shard)
{
    if (!record->has_running || shard >= record->running.phases.len)
        return PLACEMENT_PHASE_NONE;
    return (enum placement_phase) record->running.phases.data[shard];
}

uint64_t placement_moves_for (const struct placement *record, uint32_t shard)
{
    enum placement_phase phase = placement_phase_of (record, shard);
    if (phase == PLACEMENT_PHASE_NONE || phase == PLACEMENT_PHASE_DONE)
        return 0;
    const struct placed_node *row = placement_node (record, record->running.node);
    return row != NULL && row->has_folder ? record->running.first_replica : 0;
}

void placement_count (const struct placement *record, uint32_t *moves, uint32_t *done)
{
    *moves = *done = 0;
    for (size_t i = 0; record->has_running && i < record->running.phases.len; i++) {
        *moves += record->running.phases.data[i] != PLACEMENT_PHASE_NONE;
        *done += record->running.phases.data[i] == PLACEMENT_PHASE_DONE;
    }
    maitre_assert (*done <= *moves);
    maitre_assert (*moves <= record->running.phases.len || !record->has_running);
}

/* ---- changes */

static struct placed_node *find (struct placement *record, uint64_t node)
{
    for (size_t i = 0; i < record->nodes_count; i++) {
        if (record->nodes[i].node == node)
            return &record->nodes[i];
    }
    return NULL;
}

/* A row for the node, in order. The array is copied: the old one is as large as it was decoded. */
static struct placed_node *make (struct placement *record, uint64_t node, struct arena *arena)
{
    maitre_assert (placement_node (record, node) == NULL);
    maitre_assert (record->nodes_count <= PLACEMENT_NODES_COUNT_MAX);
    if (record->nodes_count == PLACEMENT_NODES_COUNT_MAX)
        return NULL;
    struct placed_node *nodes = arena_alloc (arena, (record->nodes_count + 1) * sizeof *nodes);
    if (nodes == NULL)
        return NULL;
    size_t at = 0;
    while (at < record->nodes_count && record->nodes[at].node < node)
        at++;
    if (at > 0)
        memcpy (nodes, record->nodes, at * sizeof *nodes);
    if (at < record->nodes_count)
        memcpy (nodes + at + 1, record->nodes + at, (record->nodes_count - at) * sizeof *nodes);
    nodes[at] = (struct placed_node){.node = node};
    record->nodes = nodes;
    record->nodes_count++;
    maitre_assert (at == 0 || nodes[at - 1].node < node);
    maitre_assert (at + 1 == record->nodes_count || nodes[at + 1].node > node);
    return &nodes[at];
}

/* The oldest one makes room: it is refused by name only while a new folder is awaited, and its replica ids for ever. */
static bool retire (struct placed_node *row, const struct id *folder, struct arena *arena)
{
    maitre_assert (!id_is_zero (folder));
    if (is_retired (row, folder))
        return true;
    struct id *retired = arena_alloc (arena, PLACEMENT_RETIRED_MAX * sizeof *retired);
    if (retired == NULL)
        return false;
    size_t drop = row->retired_count == PLACEMENT_RETIRED_MAX;
    size_t keep = row->retired_count - drop;
    if (keep > 0)
        memcpy (retired, row->retired + drop, keep * sizeof *retired);
    retired[keep] = *folder;
    maitre_assert (keep < PLACEMENT_RETIRED_MAX);
    row->retired = retired;
    row->retired_count = keep + 1;
    return true;
}

/* It is over when every move is done and the number has a folder again. */
static void finish (struct placement *record)
{
    maitre_assert (record->has_running);
    uint32_t moves, done;
    placement_count (record, &moves, &done);
    const struct placed_node *row = placement_node (record, record->running.node);
    maitre_assert (row != NULL);
    if (done < moves || !row->has_folder)
        return;
    record->has_running = false;
    record->running = (struct replacement){0};
}

static bool run (
    struct placement *record, const struct placed_node *row, struct bytes hosted, uint64_t time_ms, struct arena *arena)
{
    maitre_assert (hosted.len >= 2);
    maitre_assert (!row->has_folder);
    uint8_t *phases = arena_alloc (arena, hosted.len);
    if (phases == NULL)
        return false;
    for (size_t i = 0; i < hosted.len; i++)
        phases[i] = hosted.data[i] != 0 ? PLACEMENT_PHASE_WAITING : PLACEMENT_PHASE_NONE;
    record->running = (struct replacement){.node = row->node,
        .first_replica = row->first_replica,
        .phases = bytes_of (phases, hosted.len),
        .since_ms = time_ms};
    record->has_running = true;
    return true;
}

enum status placement_begin (struct placement *record, const struct replace_node_request *request, uint32_t shard_count,
    uint64_t time_ms, struct arena *arena)
{
    if (!request->has_hosted || request->hosted.len != (size_t) shard_count + 1 || !request->has_first_free)
        return STATUS_INVALID_ARGUMENT;
    if (record->has_running && record->running.node != request->node)
        return STATUS_FAILED_PRECONDITION;
    struct placed_node *row = find (record, request->node);
    if (row != NULL && !row->has_folder)
        return STATUS_OK; /* invariant 3: nobody has used these ids yet */
    uint64_t first = record->next_replica > request->first_free ? record->next_replica : request->first_free;
    if (first > UINT64_MAX - shard_count - 1)
        return STATUS_RESOURCE_EXHAUSTED;
    maitre_assert (first >= record->next_replica);
    struct placement changed = *record; /* all or nothing */
    if (row == NULL) {
        row = make (&changed, request->node, arena);
    } else { /* in a copy of its own */
        changed.nodes = arena_alloc (arena, record->nodes_count * sizeof *changed.nodes);
        if (changed.nodes != NULL) {
            memcpy (changed.nodes, record->nodes, record->nodes_count * sizeof *changed.nodes);
            row = &changed.nodes[row - record->nodes];
        }
    }
    if (row == NULL || changed.nodes == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    const struct id *known = row->has_folder ? &row->folder : request->has_known_folder ? &request->known_folder : NULL;
    if (known != NULL && !id_is_zero (known) && !retire (row, known, arena))
        return STATUS_RESOURCE_EXHAUSTED;
    row->has_folder = false;
    row->folder = (struct id){{0}};
    row->first_replica = first;
    changed.next_replica = first + shard_count + 1;
    changed.epoch++;
    maitre_assert (changed.next_replica > record->next_replica);
    maitre_assert (changed.next_replica - row->first_replica == (uint64_t) shard_count + 1);
    if (!run (&changed, row, request->hosted, time_ms, arena))
        return STATUS_RESOURCE_EXHAUSTED;
    maitre_assert (changed.has_running);
    maitre_assert (changed.running.first_replica == row->first_replica);
    maitre_assert (row->node == request->node);
    *record = changed;
    placement_check (record, shard_count);
    return STATUS_OK;
}

enum status placement_bind (struct placement *record, uint64_t node, uint64_t first_replica, const struct id *folder)
{
    struct placed_node *row = find (record, node);
    if (row == NULL || row->first_replica != first_replica)
        return STATUS_NOT_FOUND;
    enum placement_folder verdict = placement_folder_of (record, node, folder);
    if (verdict == PLACEMENT_FOLDER_OWNER)
        return STATUS_OK;
    if (verdict != PLACEMENT_FOLDER_AWAITED)
        return STATUS_FAILED_PRECONDITION;
    maitre_assert (!row->has_folder);
    maitre_assert (!is_retired (row, folder));
    maitre_assert (!id_is_zero (folder));
    row->has_folder = true;
    row->folder = *folder;
    record->epoch++;
    if (record->has_running && record->running.node == node)
        finish (record);
    return STATUS_OK;
}

void placement_note (struct placement *record, const struct note_moves_request *request, struct arena *arena)
{
    struct replacement *running = &record->running;
    if (!record->has_running || running->node != request->node || running->first_replica != request->first_replica)
        return;
    uint8_t *phases = arena_alloc (arena, running->phases.len);
    if (phases == NULL)
        return; /* it is noted again */
    memcpy (phases, running->phases.data, running->phases.len);
    for (size_t i = 0; i < request->moves_count; i++) {
        const struct placement_move *move = &request->moves[i];
        maitre_assert (move->phase <= PLACEMENT_PHASE_DONE);
        if (move->shard >= running->phases.len || phases[move->shard] == PLACEMENT_PHASE_NONE)
            continue;
        if (move->phase > phases[move->shard])
            phases[move->shard] = (uint8_t) move->phase;
    }
    running->phases = bytes_of (phases, running->phases.len);
    maitre_assert (running->phases.len >= 2);
    finish (record);
}
