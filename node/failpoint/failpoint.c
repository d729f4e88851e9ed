#include "node/failpoint/failpoint.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/failpoint/failpoint_setting.h"
#include "schemas/runtime/assert.h"

struct point {
    const char *name, *when, *what;
    enum failpoint_may may;
};

static const struct point points[FAILPOINT_COUNT] = {
#define POINT(id, name, may, when, what) {name, when, what, FAILPOINT_##may},
#include "node/failpoint/failpoint_points.h"
#undef POINT
};

atomic_bool failpoint_armed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the three below */
static struct failpoint_setting settings[FAILPOINT_COUNT];
static uint64_t hits[FAILPOINT_COUNT], fired[FAILPOINT_COUNT];

/* kill -9: no handler runs, nothing is flushed, like a lost machine but for the page cache. */
static __attribute__ ((noreturn)) void crash (void)
{
    kill (getpid (), SIGKILL);
    for (;;)
        pause ();
}

/* Said before the end, so that whoever reads the log does not look for a bug. One write, no buffers. */
static void say (enum failpoint_id id, const char *setting)
{
    char text[160];
    int len = snprintf (text, sizeof text, "maitred: failpoint %s: %s\n", points[id].name, setting);
    ssize_t written = write (STDERR_FILENO, text, (size_t) len);
    (void) written;
}

static bool act (enum failpoint_id id, const struct failpoint_setting *setting)
{
    switch (setting->action) {
    case FAILPOINT_ACTION_OFF:
        return false;
    case FAILPOINT_ACTION_CRASH:
        say (id, "crash");
        crash ();
    case FAILPOINT_ACTION_EXIT:
        say (id, "exit");
        _exit ((int) setting->argument);
    case FAILPOINT_ACTION_PANIC:
        maitre_assert_failed ("failpoint", points[id].name, 0);
    case FAILPOINT_ACTION_DELAY: {
        struct timespec left = {
            .tv_sec = (time_t) (setting->argument / 1000), .tv_nsec = (long) (setting->argument % 1000) * 1000000};
        while (nanosleep (&left, &left) != 0 && errno == EINTR)
            continue;
        return false;
    }
    case FAILPOINT_ACTION_ERROR:
        errno = (int) setting->argument;
        return true;
    case FAILPOINT_ACTION_DROP:
        return true;
    }
    return false;
}

bool failpoint_hit (enum failpoint_id id)
{
    maitre_assert ((unsigned) id < FAILPOINT_COUNT);
    struct failpoint_setting now;
    pthread_mutex_lock (&lock);
    hits[id]++;
    bool due = failpoint_setting_due (&settings[id]);
    now = settings[id];
    fired[id] += due;
    if (due && now.once)
        settings[id] = (struct failpoint_setting){.action = FAILPOINT_ACTION_OFF};
    pthread_mutex_unlock (&lock);
    return due && act (id, &now);
}

static enum failpoint_id find (struct bytes name)
{
    unsigned id = 0;
    while (id < FAILPOINT_COUNT && !bytes_equal (bytes_text (points[id].name), name))
        id++;
    return (enum failpoint_id) id;
}

static enum status set (struct bytes name, struct bytes text, char error[FAILPOINT_ERROR_BYTES])
{
    enum failpoint_id id = find (name);
    int shown = name.len > FAILPOINT_NAME_BYTES_MAX ? FAILPOINT_NAME_BYTES_MAX : (int) name.len;
    if (id == FAILPOINT_COUNT) {
        snprintf (error, FAILPOINT_ERROR_BYTES, "there is no failpoint \"%.*s\": maitred --failpoints lists them",
            shown, (const char *) name.data);
        return STATUS_NOT_FOUND;
    }
    struct failpoint_setting setting;
    char why[160];
    if (!failpoint_setting_parse (text, &setting, why)) {
        snprintf (error, FAILPOINT_ERROR_BYTES, "%s: %s", points[id].name, why);
        return STATUS_INVALID_ARGUMENT;
    }
    bool fails = setting.action == FAILPOINT_ACTION_ERROR || setting.action == FAILPOINT_ACTION_DROP;
    enum failpoint_may needs = setting.action == FAILPOINT_ACTION_ERROR ? FAILPOINT_ERROR : FAILPOINT_DROP;
    if (fails && points[id].may != needs) {
        snprintf (error, FAILPOINT_ERROR_BYTES, "%s %s: take another action, or another point", points[id].name,
            points[id].may == FAILPOINT_ERROR  ? "has no message to drop, it takes error"
            : points[id].may == FAILPOINT_DROP ? "loses a message, it takes drop"
                                               : "has nothing that could fail");
        return STATUS_INVALID_ARGUMENT;
    }
    pthread_mutex_lock (&lock);
    settings[id] = setting;
    pthread_mutex_unlock (&lock);
    return STATUS_OK;
}

enum status failpoint_set (struct bytes name, struct bytes setting, char error[FAILPOINT_ERROR_BYTES])
{
    if (!atomic_load (&failpoint_armed)) {
        snprintf (error, FAILPOINT_ERROR_BYTES, "faults are not allowed here: start the node with faults = 1");
        return STATUS_FAILED_PRECONDITION;
    }
    return set (name, setting, error);
}

enum status failpoint_allow (const char *text, char error[FAILPOINT_ERROR_BYTES])
{
    enum status status = STATUS_OK;
    failpoint_forbid ();
    while (text != NULL && *text != '\0' && status == STATUS_OK) {
        size_t len = strcspn (text, ";"), name_len = strcspn (text, "=;");
        if (name_len < len) {
            status = set (bytes_of (text, name_len), bytes_of (text + name_len + 1, len - name_len - 1), error);
        } else if (len > 0) {
            snprintf (error, FAILPOINT_ERROR_BYTES, "\"%.*s\": give NAME=ACTION, several with ; between them",
                len > 64 ? 64 : (int) len, text);
            status = STATUS_INVALID_ARGUMENT;
        }
        text += len + (text[len] == ';');
    }
    if (status != STATUS_OK) {
        failpoint_forbid ();
        return STATUS_INVALID_ARGUMENT;
    }
    atomic_store (&failpoint_armed, true);
    return STATUS_OK;
}

void failpoint_forbid (void)
{
    atomic_store (&failpoint_armed, false);
    pthread_mutex_lock (&lock);
    memset (settings, 0, sizeof settings);
    memset (hits, 0, sizeof hits);
    memset (fired, 0, sizeof fired);
    pthread_mutex_unlock (&lock);
}

void failpoint_row (enum failpoint_id id, struct failpoint_row *row)
{
    maitre_assert ((unsigned) id < FAILPOINT_COUNT);
    const struct point *point = &points[id];
    *row = (struct failpoint_row){.name = point->name, .when = point->when, .what = point->what, .may = point->may};
    pthread_mutex_lock (&lock);
    row->hits = hits[id];
    row->fired = fired[id];
    failpoint_setting_format (&settings[id], row->setting);
    pthread_mutex_unlock (&lock);
}

char *failpoint_text (enum failpoint_id id)
{
    char *text;
    int len = asprintf (&text, "IO error: injected at %s: %s", points[id].name, strerror (errno));
    maitre_assert (len >= 0);
    return text;
}

const char *failpoint_may_name (enum failpoint_may may)
{
    return may == FAILPOINT_ERROR ? "error" : may == FAILPOINT_DROP ? "drop" : "pass";
}
