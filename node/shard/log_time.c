#include "node/shard/log_time.h"

#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

/* Credit carries the fractions of frequent stamps; unused time is not hoarded, so a jump of the median meets 10 % of what
 * passes from then on. */
#define SLEW_CREDIT_MS_MAX 1000

_Static_assert(LOG_TIME_PATIENCE_MS < LOG_TIME_OFF_MS, "a cold leader waits for less than what counts as off");

struct reading {
    uint64_t time_ms;
    uint64_t slewed_ms;
};

static struct reading read_at (const struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms)
{
    uint64_t elapsed_ms = mono_ms > self->anchor_mono_ms ? mono_ms - self->anchor_mono_ms : 0;
    struct reading reading = {.time_ms = self->last_ms + elapsed_ms};
    if (wall_median_ms == 0)
        return reading;
    if (self->cold ||
        (PLANTED (X4_FOLLOWS_THE_WALL) && wall_median_ms > reading.time_ms)) { /* the one step, forward only */
        if (wall_median_ms > reading.time_ms)
            reading.time_ms = wall_median_ms;
        return reading;
    }
    uint64_t budget_ms = (self->slew_credit_ms + elapsed_ms) / 10;
    maitre_assert (self->slew_credit_ms <= SLEW_CREDIT_MS_MAX);
    if (wall_median_ms > reading.time_ms) {
        uint64_t behind_ms = wall_median_ms - reading.time_ms;
        reading.slewed_ms = behind_ms < budget_ms ? behind_ms : budget_ms;
        reading.time_ms += reading.slewed_ms;
    } else {
        uint64_t ahead_ms = reading.time_ms - wall_median_ms;
        if (budget_ms > elapsed_ms) /* slowing down takes from the time that passed, never from the past */
            budget_ms = elapsed_ms;
        reading.slewed_ms = ahead_ms < budget_ms ? ahead_ms : budget_ms;
        reading.time_ms -= reading.slewed_ms;
    }
    maitre_assert (reading.slewed_ms <= budget_ms);
    maitre_assert (wall_median_ms != 0);
    return reading;
}

void log_time_init (struct log_time *self, uint64_t recovered_ms, uint64_t mono_ms)
{
    *self = (struct log_time){.last_ms = recovered_ms, .anchor_mono_ms = mono_ms, .cold = true};
}

void log_time_applied (struct log_time *self, uint64_t time_ms, uint64_t mono_ms, bool live)
{
    if (time_ms > self->last_ms) { /* a leader's own stamp is older than its anchor, or equal to it */
        maitre_assert (self->slew_credit_ms <= SLEW_CREDIT_MS_MAX);
        self->last_ms = time_ms;
        self->anchor_mono_ms = mono_ms;
        self->slew_credit_ms = 0;
        /* Only an entry that carries time ends the cold start: a new leader's no-op says nothing about the clock. */
        if (live)
            self->cold = false;
    }
}

uint64_t log_time_now (const struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms)
{
    return read_at (self, mono_ms, wall_median_ms).time_ms;
}

uint64_t log_time_stamp (struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms)
{
    struct reading reading = read_at (self, mono_ms, wall_median_ms);
    maitre_assert (reading.time_ms >= self->last_ms);
    uint64_t elapsed_ms = mono_ms > self->anchor_mono_ms ? mono_ms - self->anchor_mono_ms : 0;
    uint64_t credit_ms = self->slew_credit_ms + elapsed_ms;
    uint64_t used_ms = reading.slewed_ms * 10;
    credit_ms = credit_ms > used_ms ? credit_ms - used_ms : 0;
    self->slew_credit_ms = credit_ms < SLEW_CREDIT_MS_MAX ? credit_ms : SLEW_CREDIT_MS_MAX;
    self->last_ms = reading.time_ms;
    self->anchor_mono_ms = mono_ms;
    if (wall_median_ms != 0)
        self->cold = false;
    maitre_assert (self->slew_credit_ms <= SLEW_CREDIT_MS_MAX);
    maitre_assert (!self->cold || wall_median_ms == 0);
    return reading.time_ms;
}

bool log_time_ready (const struct log_time *self, uint64_t wall_median_ms)
{
    return !self->cold || wall_median_ms != 0;
}

void log_time_wait (struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms, bool leads)
{
    if (!self->cold || !leads || wall_median_ms != 0) {
        self->waiting_since_ms = 0;
        return;
    }
    if (self->waiting_since_ms == 0)
        self->waiting_since_ms = mono_ms > 0 ? mono_ms : 1;
    maitre_assert (self->waiting_since_ms <= mono_ms || mono_ms == 0);
    if (self->last_ms != 0 && mono_ms >= self->waiting_since_ms + LOG_TIME_PATIENCE_MS)
        self->cold = false;
}

bool log_time_off (const struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms)
{
    if (wall_median_ms == 0 || self->cold)
        return false;
    uint64_t time_ms = log_time_now (self, mono_ms, wall_median_ms);
    uint64_t off_ms = time_ms > wall_median_ms ? time_ms - wall_median_ms : wall_median_ms - time_ms;
    return off_ms > LOG_TIME_OFF_MS;
}
