/* The scheduling policy of the node's threads, by load. */
#include <dirent.h>
#include <sched.h>
#include <stdlib.h>

#include "node/engine/engine_internal.h"

#define LOAD_BATCH 6      /* messages a millisecond */
#define QUIET_MS_MIN 1000 /* before the node is quick to wake up again */

/* False: it goes on as it is, and tries again. */
static bool set_all (int policy)
{
    DIR *tasks = opendir ("/proc/self/task");
    if (tasks == NULL)
        return false;
    struct dirent *item;
    while ((item = readdir (tasks)) != NULL) {
        struct sched_param none = {0};
        int rc = atoi (item->d_name) > 0 ? sched_setscheduler (atoi (item->d_name), policy, &none) : 0;
        (void) rc; /* a thread that has just ended */
    }
    closedir (tasks);
    return true;
}

void engine_policy_watch (struct engine *engine)
{
    if (engine->load_per_ms >= LOAD_BATCH)
        engine->loaded_ms = engine->now_ms;
    bool loaded = engine->loaded_ms != 0 && engine->now_ms - engine->loaded_ms < QUIET_MS_MIN;
    if (loaded == engine->policy_batch)
        return;
    if (set_all (loaded ? SCHED_BATCH : SCHED_OTHER))
        engine->policy_batch = loaded;
}
