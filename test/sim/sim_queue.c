/* What happens when: a binary heap by time, then by order of arrival. */
#include "test/sim/sim.h"

#include <stdlib.h>

static bool before (const struct sim_happening *a, const struct sim_happening *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void sim_queue_push (struct sim_queue *queue, struct sim_happening happening)
{
    sim_grow (&queue->heap, &queue->size, queue->count, sizeof *queue->heap);
    happening.order = ++queue->order;
    size_t at = queue->count++;
    while (at > 0 && before (&happening, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = happening;
}

bool sim_queue_pop (struct sim_queue *queue, struct sim_happening *out)
{
    if (queue->count == 0)
        return false;
    *out = queue->heap[0];
    struct sim_happening last = queue->heap[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && before (&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!before (&queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    return true;
}

void sim_queue_close (struct sim_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        free (queue->heap[i].data);
    free (queue->heap);
    *queue = (struct sim_queue){0};
}
