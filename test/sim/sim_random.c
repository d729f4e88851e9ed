/* The one source of chance of a run. */
#include "test/sim/sim.h"

uint64_t sim_random_next (struct sim_random *random)
{
    uint64_t z = (random->state += UINT64_C (0x9e3779b97f4a7c15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below (struct sim *sim, uint64_t bound)
{
    return bound == 0 ? 0 : sim_random_next (&sim->random) % bound;
}

uint64_t sim_between (struct sim *sim, uint64_t least, uint64_t most)
{
    return least + sim_below (sim, most - least + 1);
}

bool sim_chance (struct sim *sim, uint64_t one_in)
{
    return one_in != 0 && sim_below (sim, one_in) == 0;
}
