/* A failing seed made small: fault families off, then a shorter run, as long as it still fails. */
#include "test/sim/run/simulate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DURATION_LEAST_MS 100

/* What the seed draws when nobody interferes. */
static bool drawn (const struct simulate *self, struct simulate_failure *failure)
{
    char seed[24], path[] = "/tmp/maitred-draw-XXXXXX", why[200];
    int file = mkstemp (path);
    if (file < 0)
        return false;
    close (file);
    snprintf (seed, sizeof seed, "%lu", (unsigned long) failure->seed);
    const char *arguments[] = {"--any", "--draw", "--seed", seed, NULL};
    bool failed = simulate_once (self, arguments, why, sizeof why, path);
    json_t *value = failed ? NULL : json_load_file (path, 0, NULL);
    unlink (path);
    if (value == NULL)
        return false;
    const char *model = json_string_value (json_object_get (value, "model"));
    const char *families = json_string_value (json_object_get (value, "families"));
    failure->services = model && strcmp (model, "services") == 0;
    failure->families = families ? (uint32_t) strtoul (families, NULL, 16) : 0;
    failure->duration_ms = (uint64_t) json_integer_value (json_object_get (value, "duration_ms"));
    json_decref (value);
    return failure->duration_ms > 0;
}

static bool fails (const struct simulate *self, struct simulate_failure *failure, uint32_t families,
    uint64_t duration_ms, const char *trace)
{
    char seed[24], hex[16], duration[24], why[sizeof failure->why];
    snprintf (seed, sizeof seed, "%lu", (unsigned long) failure->seed);
    snprintf (hex, sizeof hex, "%x", families);
    snprintf (duration, sizeof duration, "%lu", (unsigned long) duration_ms);
    const char *arguments[] = {"--seed", seed, "--families", hex, "--duration", duration, trace ? "--trace" : "--stats",
        failure->services ? "--services" : NULL, NULL};
    if (!simulate_once (self, arguments, why, sizeof why, trace))
        return false;
    failure->families = families;
    failure->duration_ms = duration_ms;
    why[strcspn (why, "\n")] = '\0'; /* what follows says how to run it again */
    memcpy (failure->why, why, sizeof why);
    return true;
}

static void drop_families (const struct simulate *self, struct simulate_failure *failure)
{
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t family = UINT32_C (1) << bit;
            if (failure->families & family)
                smaller = fails (self, failure, failure->families & ~family, failure->duration_ms, NULL) || smaller;
        }
    }
}

static void shorten (const struct simulate *self, struct simulate_failure *failure)
{
    uint64_t least = 0; /* known to pass */
    while (failure->duration_ms > DURATION_LEAST_MS && failure->duration_ms - least > failure->duration_ms / 16) {
        uint64_t middle = least + (failure->duration_ms - least) / 2;
        if (!fails (self, failure, failure->families, middle, NULL))
            least = middle;
    }
}

static void note_command (const struct simulate *self, struct simulate_failure *failure)
{
    size_t len = (size_t) snprintf (failure->command, sizeof failure->command,
        "%s --seed %lu --families %x --duration %lu%s", self->simulator, (unsigned long) failure->seed,
        failure->families, (unsigned long) failure->duration_ms, failure->services ? " --services" : "");
    for (size_t i = 0; i < self->extra_count && len < sizeof failure->command; i++)
        len += (size_t) snprintf (failure->command + len, sizeof failure->command - len, " %s", self->extra[i]);
    if (len < sizeof failure->command)
        snprintf (failure->command + len, sizeof failure->command - len, " --trace");
}

void simulate_shrink (const struct simulate *self, struct simulate_failure *failure)
{
    const char *folder = getenv ("TMPDIR");
    if (!self->quiet)
        fprintf (stderr, "seed %lu failed; shrinking it\n", (unsigned long) failure->seed);
    failure->reproduced = drawn (self, failure) && fails (self, failure, failure->families, failure->duration_ms, NULL);
    if (!failure->reproduced) {
        snprintf (failure->command, sizeof failure->command, "%s --any --seed %lu --trace", self->simulator,
            (unsigned long) failure->seed);
        return;
    }
    drop_families (self, failure);
    shorten (self, failure);
    drop_families (self, failure);
    note_command (self, failure);
    snprintf (failure->trace, sizeof failure->trace, "%s/maitred-seed-%lu.trace", folder ? folder : "/tmp",
        (unsigned long) failure->seed);
    if (!fails (self, failure, failure->families, failure->duration_ms, failure->trace))
        failure->trace[0] = '\0';
}
