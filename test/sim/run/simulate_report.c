/* What the seeds did, in sum: progress while they run, the summary, the failures. */
#include "test/sim/run/simulate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void count_kind (struct simulate *self, const char *name, uint64_t count)
{
    for (size_t i = 0; i < self->kinds_count; i++)
        if (strcmp (self->kinds[i].name, name) == 0) {
            self->kinds[i].count += count;
            return;
        }
    if (self->kinds_count == SIMULATE_KINDS_MAX)
        return;
    struct simulate_kind *kind = &self->kinds[self->kinds_count++];
    snprintf (kind->name, sizeof kind->name, "%s", name);
    kind->count = count;
}

static uint64_t field (const json_t *value, const char *name)
{
    return (uint64_t) json_integer_value (json_object_get (value, name));
}

void simulate_count (struct simulate *self, const char *line)
{
    json_t *value = json_loads (line, 0, NULL), *count;
    const char *name;
    if (value == NULL) {
        fprintf (stderr, "the simulator prints what is no JSON: %s\n", line);
        exit (3);
    }
    self->simulated_ms += field (value, "simulated_ms");
    self->elections += field (value, "elections");
    self->applied += field (value, "applied");
    self->writes += field (value, "writes");
    self->reads += field (value, "reads");
    self->unknown += field (value, "unknown");
    self->repeated += field (value, "repeated");
    self->restores += field (value, "restores");
    self->changes += field (value, "changes");
    const char *model = json_string_value (json_object_get (value, "model"));
    self->services += model && strcmp (model, "services") == 0;
    if (field (value, "settle_ms") > self->settle_ms_max) {
        self->settle_ms_max = field (value, "settle_ms");
        self->settle_seed = field (value, "seed");
    }
    uint64_t noticed_ms = field (value, "noticed_ms"), silent_ms = field (value, "silent_ms");
    self->noticed_ms_max = noticed_ms > self->noticed_ms_max ? noticed_ms : self->noticed_ms_max;
    self->silent_ms_max = silent_ms > self->silent_ms_max ? silent_ms : self->silent_ms_max;
    json_object_foreach (json_object_get (value, "faults"), name, count)
        count_kind (self, name, (uint64_t) json_integer_value (count));
    json_decref (value);
}

void simulate_progress (const struct simulate *self, bool last)
{
    static uint64_t shown_us;
    uint64_t now_us = simulate_clock_us ();
    bool terminal = isatty (2);
    uint64_t each_us = terminal ? 200000 : 60000000; /* in a file a line a minute */
    if (self->quiet || (terminal ? !last && now_us - shown_us < each_us : last || now_us - shown_us < each_us))
        return;
    if (!terminal && shown_us == 0) {
        shown_us = now_us;
        return;
    }
    shown_us = now_us;
    double seconds = (double) (now_us - self->started_us) / 1e6;
    char of[40] = "";
    if (self->seeds != 0)
        snprintf (of, sizeof of, " of %lu", (unsigned long) self->seeds);
    fprintf (stderr, "%s%lu%s seeds, %.1f simulated hours, %.0f s, %.1f seeds/s, %zu failed%s", terminal ? "\r" : "",
        (unsigned long) self->passed, of, (double) self->simulated_ms / 3.6e6, seconds,
        (double) self->passed / (seconds + 0.001), self->failures_count, last || !terminal ? "\n" : "   ");
}

/* Each seed is simulated twice. */
static double speed (const struct simulate *self)
{
    return self->cpu_us == 0 ? 0 : 2.0 * (double) self->simulated_ms * 1000.0 / (double) self->cpu_us;
}

static json_t *failures_json (const struct simulate *self)
{
    json_t *failures = json_array ();
    for (size_t i = 0; i < self->failures_count; i++) {
        const struct simulate_failure *failure = &self->failures[i];
        json_array_append_new (
            failures, json_pack ("{s:I, s:s, s:s, s:s, s:b}", "seed", (json_int_t) failure->seed, "why", failure->why,
                          "again", failure->command, "trace", failure->trace, "reproduced", failure->reproduced));
    }
    return failures;
}

static void report_json (const struct simulate *self, double seconds)
{
    json_t *kinds = json_object ();
    for (size_t i = 0; i < self->kinds_count; i++)
        json_object_set_new (kinds, self->kinds[i].name, json_integer ((json_int_t) self->kinds[i].count));
    json_t *report = json_pack ("{s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                                "s:I, s:o, s:o, s:b, s:I}",
        "seeds", (json_int_t) self->passed, "from", (json_int_t) self->from, "whole_nodes", (json_int_t) self->services,
        "simulated_hours", (double) self->simulated_ms / 3.6e6, "seconds", seconds, "simulated_s_per_core_s",
        speed (self), "settle_ms_max", (json_int_t) self->settle_ms_max, "settle_seed", (json_int_t) self->settle_seed,
        "elections", (json_int_t) self->elections, "entries_applied", (json_int_t) self->applied, "writes",
        (json_int_t) self->writes, "reads", (json_int_t) self->reads, "unknown", (json_int_t) self->unknown, "repeated",
        (json_int_t) self->repeated, "restores", (json_int_t) self->restores, "changes", (json_int_t) self->changes,
        "noticed_ms_max", (json_int_t) self->noticed_ms_max, "silent_ms_max", (json_int_t) self->silent_ms_max,
        "faults", kinds, "failures", failures_json (self), "interrupted", simulate_interrupted (), "next_seed",
        (json_int_t) self->next_seed);
    json_dumpf (report, stdout, JSON_COMPACT);
    printf ("\n");
    json_decref (report);
}

static void report_text (const struct simulate *self, double seconds)
{
    printf ("%lu seeds from %lu (%lu with whole nodes), %.2f simulated hours in %.0f s, %.0f simulated seconds a "
            "second and "
            "core, %.1f seeds/s\n",
        (unsigned long) self->passed, (unsigned long) self->from, (unsigned long) self->services,
        (double) self->simulated_ms / 3.6e6, seconds, speed (self), (double) self->passed / (seconds + 0.001));
    printf ("load: %lu writes, %lu reads, %lu repeats, %lu unknown, %lu entries applied, %lu elections, %lu snapshots "
            "installed, %lu membership changes\n",
        (unsigned long) self->writes, (unsigned long) self->reads, (unsigned long) self->repeated,
        (unsigned long) self->unknown, (unsigned long) self->applied, (unsigned long) self->elections,
        (unsigned long) self->restores, (unsigned long) self->changes);
    printf ("faults:");
    for (size_t i = 0; i < self->kinds_count; i++)
        printf ("%s %s %lu", i == 0 ? "" : ",", self->kinds[i].name, (unsigned long) self->kinds[i].count);
    printf ("\nslowest convergence after healing: %.1f s (seed %lu)\n", (double) self->settle_ms_max / 1000.0,
        (unsigned long) self->settle_seed);
    printf ("slowest fail-over of a cluster that is well: %lu ms after a broken connection, %lu ms after silence\n",
        (unsigned long) self->noticed_ms_max, (unsigned long) self->silent_ms_max);
    if (simulate_interrupted ())
        printf ("interrupted: go on with --from %lu\n", (unsigned long) self->next_seed);
    for (size_t i = 0; i < self->failures_count; i++) {
        const struct simulate_failure *failure = &self->failures[i];
        printf ("FAILED seed %lu%s\n  %s\n  again: %s\n", (unsigned long) failure->seed,
            failure->reproduced ? "" : " (and did not fail when it was run again: a defect of the simulator)",
            failure->why, failure->command);
        if (failure->trace[0] != '\0')
            printf ("  trace: %s\n", failure->trace);
    }
}

void simulate_report (const struct simulate *self)
{
    double seconds = (double) (simulate_clock_us () - self->started_us) / 1e6;
    if (self->json)
        report_json (self, seconds);
    else
        report_text (self, seconds);
}
