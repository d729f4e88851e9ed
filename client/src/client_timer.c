/* The calls under way, ordered by when they wake: a binary heap whose room was made with the slots. */
#include "client/src/client.h"

static void place (struct maitre *client, uint32_t at, struct call *call)
{
    client->heap[at] = call;
    call->heap_at = at;
}

static void sift_up (struct maitre *client, uint32_t at, struct call *call)
{
    for (; at > 1 && client->heap[at / 2]->wake_us > call->wake_us; at /= 2)
        place (client, at, client->heap[at / 2]);
    place (client, at, call);
}

static void sift_down (struct maitre *client, uint32_t at, struct call *call)
{
    for (;;) {
        uint32_t child = at * 2;
        if (child > client->heap_count)
            break;
        if (child < client->heap_count && client->heap[child + 1]->wake_us < client->heap[child]->wake_us)
            child++;
        if (client->heap[child]->wake_us >= call->wake_us)
            break;
        place (client, at, client->heap[child]);
        at = child;
    }
    place (client, at, call);
}

void client_timer_set (struct maitre *client, struct call *call, uint64_t wake_us)
{
    if (call->heap_at == 0) {
        maitre_assert (client->heap_count < client->call_count);
        call->heap_at = ++client->heap_count;
        call->wake_us = wake_us;
        sift_up (client, call->heap_at, call);
        return;
    }
    bool sooner = wake_us < call->wake_us;
    call->wake_us = wake_us;
    if (sooner)
        sift_up (client, call->heap_at, call);
    else
        sift_down (client, call->heap_at, call);
}

void client_timer_remove (struct maitre *client, struct call *call)
{
    maitre_assert (call->heap_at != 0 && client->heap[call->heap_at] == call);
    uint32_t at = call->heap_at;
    struct call *last = client->heap[client->heap_count--];
    call->heap_at = 0;
    if (last == call)
        return;
    if (at > 1 && client->heap[at / 2]->wake_us > last->wake_us)
        sift_up (client, at, last);
    else
        sift_down (client, at, last);
}

uint64_t client_timer_next (const struct maitre *client)
{
    return client->heap_count == 0 ? UINT64_MAX : client->heap[1]->wake_us;
}
