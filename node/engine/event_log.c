#include "node/engine/event_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define KIND_TEXT 1
#define KIND_ID 2

static enum event_log_level level_min = EVENT_LOG_INFO;
static uint32_t own_node;
static bool terminal;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct event_log_field event_log_u64 (const char *name, uint64_t number)
{
    return (struct event_log_field){.name = name, .number = number};
}

struct event_log_field event_log_text (const char *name, const char *text)
{
    return (struct event_log_field){.name = name, .text = text, .kind = KIND_TEXT};
}

struct event_log_field event_log_id (const char *name, const struct id *id)
{
    return (struct event_log_field){.name = name, .id = *id, .kind = KIND_ID};
}

void event_log_setup (enum event_log_level level, uint32_t node)
{
    level_min = level;
    own_node = node;
    terminal = isatty (STDERR_FILENO) == 1;
}

_Bool event_log_level_parse (const char *text, enum event_log_level *level)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp (text, level_names[i]) == 0) {
            *level = (enum event_log_level) i;
            return true;
        }
    }
    return false;
}

struct line {
    char text[LINE_BYTES];
    size_t len;
};

__attribute__ ((format (printf, 2, 3))) static void add (struct line *line, const char *format, ...)
{
    __builtin_va_list arguments;
    __builtin_va_start (arguments, format);
    int len = vsnprintf (line->text + line->len, sizeof line->text - line->len, format, arguments);
    __builtin_va_end (arguments);
    if (len > 0)
        line->len += (size_t) len;
    if (line->len > sizeof line->text - 3)
        line->len = sizeof line->text - 3; /* room to close the object */
}

static void add_json_text (struct line *line, const char *text)
{
    add (line, "\"");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char) *text;
        if (byte == '"' || byte == '\\')
            add (line, "\\%c", byte);
        else if (byte < 0x20)
            add (line, "\\u%04x", byte);
        else
            add (line, "%c", byte);
    }
    add (line, "\"");
}

static void add_field (struct line *line, const struct event_log_field *field)
{
    char hex[ID_TEXT_LEN + 1];
    const char *text = field->text == NULL ? "" : field->text;
    if (field->kind == KIND_ID) {
        id_format (&field->id, hex);
        text = hex;
    }
    if (terminal) {
        if (field->kind == 0)
            add (line, "  %s=%llu", field->name, (unsigned long long) field->number);
        else
            add (line, "  %s=%s", field->name, text);
        return;
    }
    add (line, ",\"%s\":", field->name);
    if (field->kind == 0)
        add (line, "%llu", (unsigned long long) field->number);
    else
        add_json_text (line, text);
}

void event_log_write (enum event_log_level level, const char *event, const struct event_log_field *fields, size_t count)
{
    if (level < level_min)
        return;
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r (&now.tv_sec, &utc);
    char stamp[32];
    strftime (stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    struct line line = {.len = 0};
    if (terminal) {
        add (&line, "%.8s.%03ld %-5s %s", stamp + 11, now.tv_nsec / 1000000, level_names[level], event);
    } else {
        add (&line, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"node\":%u,\"event\":", stamp, now.tv_nsec / 1000000,
            level_names[level], own_node);
        add_json_text (&line, event);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name != NULL)
            add_field (&line, &fields[i]);
    }
    add (&line, terminal ? "\n" : "}\n");
    ssize_t written = write (STDERR_FILENO, line.text, line.len);
    (void) written; /* there is nowhere to say that the log cannot be written */
}
