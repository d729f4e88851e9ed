/* A lane: a thread with a few handles and up to eight clients, all of them in one arena at a time.
 */
#include <poll.h>
#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define IDLE_NS UINT64_C (5000000) /* a client that found nothing to do asks again after this */

uint64_t load_draw (struct load_lane *lane, uint64_t bound)
{
    uint64_t z = (lane->random += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

void load_lane_open (struct load *load, struct load_lane *lane, uint32_t number, uint32_t clients, uint32_t first)
{
    lane->load = load;
    lane->number = number;
    lane->clients_count = clients;
    lane->clients = calloc (clients, sizeof *lane->clients);
    lane->room = malloc (LOAD_ROOM);
    lane->random = load->seed * UINT64_C (0x2545f4914f6cdd1d) + number;
    lane->choose = load_choose;
    lane->learn = load_learn;
    maitre_assert (lane->clients != NULL && lane->room != NULL);
    for (uint32_t i = 0; i < clients; i++) {
        lane->clients[i].lane = lane;
        lane->clients[i].number = first + i;
    }
}

void load_lane_close (struct load_lane *lane)
{
    for (uint32_t i = 0; i < LOAD_HANDLES; i++)
        maitre_destroy (&lane->handles[i]);
    for (uint32_t w = 0; w < LOAD_WORKLOADS; w++) {
        free (lane->arenas[w]);
        free (lane->next[w]);
    }
    free (lane->clients);
    free (lane->room);
}

static uint64_t interval_ns (struct load_lane *lane)
{
    const struct load *load = lane->load;
    if (load->pace == 0)
        return 0;
    uint64_t usual = load->clients * UINT64_C (1000000000) / load->pace;
    return usual / 2 + load_draw (lane, usual + 1);
}

static void start_due (struct load_lane *lane, uint64_t now_ns)
{
    struct load_call call;
    for (uint32_t i = 0; i < lane->clients_count; i++) {
        struct load_client *client = &lane->clients[i];
        if (client->busy || client->due_ns > now_ns)
            continue;
        memset (&call, 0, sizeof call);
        client->due_ns = now_ns + interval_ns (lane);
        if (lane->choose (client, &call))
            load_start (client, &call);
        else
            client->due_ns = now_ns + IDLE_NS;
    }
}

/* Milliseconds until a client may go on, at most a few. */
static int patience_ms (const struct load_lane *lane, uint64_t now_ns)
{
    uint64_t wait_ns = IDLE_NS;
    for (uint32_t i = 0; i < lane->clients_count; i++) {
        const struct load_client *client = &lane->clients[i];
        if (client->busy)
            continue;
        uint64_t left_ns = client->due_ns > now_ns ? client->due_ns - now_ns : 0;
        wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
    }
    return (int) ((wait_ns + 999999) / 1000000);
}

static uint32_t busy_count (const struct load_lane *lane)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < lane->clients_count; i++)
        busy += lane->clients[i].busy ? 1 : 0;
    return busy;
}

void *load_lane_run (void *argument)
{
    struct load_lane *lane = argument;
    struct load *load = lane->load;
    for (uint32_t i = 0; i < lane->clients_count; i++)
        lane->clients[i].handle = lane->handles[i % LOAD_HANDLES];
    while (!atomic_load (&load->stop) || busy_count (lane) > 0) {
        struct pollfd polls[LOAD_HANDLES];
        uint64_t now_ns = history_now_ns ();
        if (!atomic_load (&load->stop))
            start_due (lane, now_ns);
        for (uint32_t i = 0; i < LOAD_HANDLES; i++)
            polls[i] = (struct pollfd){.fd = maitre_fd (lane->handles[i]), .events = POLLIN};
        poll (polls, LOAD_HANDLES, patience_ms (lane, history_now_ns ()));
        for (uint32_t i = 0; i < LOAD_HANDLES; i++)
            maitre_process (lane->handles[i], 0);
    }
    return NULL;
}
