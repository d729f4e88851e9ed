#include "node/failpoint/failpoint_setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WHY_BYTES 160
#define EXIT_HALTED 70 /* as when the node halts by itself */
#define DELAY_MS_MAX 60000

struct word {
    const char *name;
    uint64_t fallback; /* without an argument; NONE: it takes none, NEEDED: it cannot do without */
    uint64_t min, max;
};

#define NONE UINT64_MAX
#define NEEDED (UINT64_MAX - 1)

static const struct word actions[] = {
    [FAILPOINT_ACTION_OFF] = {"off", NONE, 0, 0},
    [FAILPOINT_ACTION_CRASH] = {"crash", NONE, 0, 0},
    [FAILPOINT_ACTION_EXIT] = {"exit", EXIT_HALTED, 0, 255},
    [FAILPOINT_ACTION_PANIC] = {"panic", NONE, 0, 0},
    [FAILPOINT_ACTION_DELAY] = {"delay", NEEDED, 1, DELAY_MS_MAX},
    [FAILPOINT_ACTION_ERROR] = {"error", EIO, 0, 0}, /* its argument is a name */
    [FAILPOINT_ACTION_DROP] = {"drop", NONE, 0, 0},
};

static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"EACCES", EACCES},
    {"ECONNREFUSED", ECONNREFUSED}};

static bool is (struct bytes text, const char *word)
{
    return bytes_equal (text, bytes_text (word));
}

/* Cuts the text off at the separator: what stood before it is returned. */
static struct bytes cut (struct bytes *rest, char separator)
{
    size_t len = 0;
    while (len < rest->len && rest->data[len] != (uint8_t) separator)
        len++;
    struct bytes head = bytes_of (rest->data, len);
    size_t skip = len < rest->len ? len + 1 : len;
    *rest = bytes_of (rest->data + skip, rest->len - skip);
    return head;
}

static bool number_of (struct bytes text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t) (text.data[i] - '0');
    }
    *out = number;
    return number >= min && number <= max;
}

static bool error_of (struct bytes text, uint64_t *out)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (is (text, errors[i].name)) {
            *out = (uint64_t) errors[i].number;
            return true;
        }
    }
    return false;
}

static bool parse_action (struct bytes text, struct failpoint_setting *setting, char *why)
{
    struct bytes argument = text, name = cut (&argument, ':');
    bool given = name.len < text.len;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct word *word = &actions[i];
        if (!is (name, word->name))
            continue;
        setting->action = (enum failpoint_action) i;
        if (!given && word->fallback != NEEDED) {
            setting->argument = word->fallback == NONE ? 0 : word->fallback;
            return true;
        }
        bool fine = i == FAILPOINT_ACTION_ERROR ? error_of (argument, &setting->argument)
                    : word->fallback == NONE    ? false
                                                : number_of (argument, word->min, word->max, &setting->argument);
        if (fine)
            return true;
        if (word->fallback == NONE)
            snprintf (why, WHY_BYTES, "%s takes no argument", word->name);
        else if (i == FAILPOINT_ACTION_ERROR)
            snprintf (why, WHY_BYTES, "error takes EIO, ENOSPC, ENOMEM, EMFILE, EACCES or ECONNREFUSED");
        else
            snprintf (why, WHY_BYTES, "%s takes a number from %" PRIu64 " to %" PRIu64 ", as in %s:%" PRIu64,
                word->name, word->min, word->max, word->name, word->max / 2);
        return false;
    }
    snprintf (why, WHY_BYTES, "the actions are off, crash, exit[:CODE], panic, delay:MS, error[:EIO] and drop");
    return false;
}

static bool parse_condition (struct bytes text, struct failpoint_setting *setting, char *why)
{
    struct bytes argument = text, name = cut (&argument, ':');
    if (is (text, "once")) {
        setting->once = true;
        return true;
    }
    if (is (name, "after") && number_of (argument, 1, UINT32_MAX, &setting->after))
        return true;
    if (is (name, "every") && number_of (argument, 1, UINT32_MAX, &setting->every))
        return true;
    struct bytes seed = argument, chance = cut (&seed, ':');
    setting->seed = 1;
    if (is (name, "chance") && number_of (chance, 1, 100, &setting->chance) &&
        (seed.len == 0 || number_of (seed, 1, UINT32_MAX, &setting->seed))) {
        setting->random = setting->seed;
        return true;
    }
    snprintf (why, WHY_BYTES, "the conditions are once, after:N, every:N and chance:PERCENT[:SEED]");
    return false;
}

bool failpoint_setting_parse (struct bytes text, struct failpoint_setting *setting, char *why)
{
    *setting = (struct failpoint_setting){.action = FAILPOINT_ACTION_OFF};
    bool fine = parse_action (cut (&text, ','), setting, why);
    while (fine && text.len > 0)
        fine = parse_condition (cut (&text, ','), setting, why);
    return fine;
}

static size_t add (char *out, size_t len, const char *name, uint64_t number)
{
    int more = snprintf (out + len, FAILPOINT_SETTING_BYTES_MAX + 1 - len, "%s%" PRIu64, name, number);
    return len + (size_t) more;
}

void failpoint_setting_format (const struct failpoint_setting *setting, char out[FAILPOINT_SETTING_BYTES_MAX + 1])
{
    const struct word *word = &actions[setting->action];
    size_t len = (size_t) snprintf (out, FAILPOINT_SETTING_BYTES_MAX + 1, "%s", word->name);
    if (setting->action == FAILPOINT_ACTION_ERROR) {
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            if ((uint64_t) errors[i].number == setting->argument)
                len += (size_t) snprintf (out + len, FAILPOINT_SETTING_BYTES_MAX + 1 - len, ":%s", errors[i].name);
        }
    } else if (word->fallback != NONE) {
        len = add (out, len, ":", setting->argument);
    }
    if (setting->after > 0)
        len = add (out, len, ",after:", setting->after);
    if (setting->every > 1)
        len = add (out, len, ",every:", setting->every);
    if (setting->chance > 0)
        len = add (out, add (out, len, ",chance:", setting->chance), ":", setting->seed);
    if (setting->once)
        snprintf (out + len, FAILPOINT_SETTING_BYTES_MAX + 1 - len, ",once");
}

/* xorshift64*: the same seed draws the same passes. */
static uint64_t draw (struct failpoint_setting *setting)
{
    uint64_t x = setting->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    setting->random = x;
    return (x * UINT64_C (2685821657736338717)) >> 32;
}

bool failpoint_setting_due (struct failpoint_setting *setting)
{
    if (setting->action == FAILPOINT_ACTION_OFF)
        return false;
    if (setting->passed++ < setting->after)
        return false;
    if (setting->every > 1 && (setting->passed - setting->after) % setting->every != 0)
        return false;
    return setting->chance == 0 || draw (setting) % 100 < setting->chance;
}
