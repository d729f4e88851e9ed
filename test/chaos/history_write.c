/* The loader's side of a history: lines that get their time under a lock and leave by one write each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/history.h"

#define TAIL 32 /* room for the time and the ends */

uint64_t history_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

/* A loader that was killed may have left half a line: what is added would make a whole one of it that is none. */
static bool cut_torn_line (int fd)
{
    off_t size = lseek (fd, 0, SEEK_END);
    char last[4096];
    while (size > 0) {
        size_t want = size < (off_t) sizeof last ? (size_t) size : sizeof last;
        off_t from = size - (off_t) want;
        if (pread (fd, last, want, from) != (ssize_t) want)
            return false;
        for (size_t i = want; i > 0; i--)
            if (last[i - 1] == '\n')
                return ftruncate (fd, from + (off_t) i) == 0;
        size = from;
    }
    return size == 0 && ftruncate (fd, 0) == 0;
}

bool history_writer_open (struct history_writer *writer, const char *path, bool append)
{
    *writer = (struct history_writer){.fd = -1};
    writer->fd = open (path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC), 0644);
    if (writer->fd < 0 || (append && !cut_torn_line (writer->fd)))
        return false;
    pthread_mutex_init (&writer->lock, NULL);
    return true;
}

void history_writer_close (struct history_writer *writer)
{
    if (writer->fd < 0)
        return;
    if (fsync (writer->fd) != 0 && errno != EINVAL)
        writer->broken = true;
    close (writer->fd);
    writer->fd = -1;
    pthread_mutex_destroy (&writer->lock);
}

static void put_all (struct history_writer *writer, const char *text, size_t len)
{
    while (len > 0 && !writer->broken) {
        ssize_t n = write (writer->fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            writer->broken = true;
            return;
        }
        text += n;
        len -= (size_t) n;
    }
}

uint64_t history_write (struct history_writer *writer, const struct history_text *line)
{
    char text[HISTORY_LINE_MAX + TAIL + 8];
    pthread_mutex_lock (&writer->lock);
    uint64_t now_ns = history_now_ns ();
    if (now_ns <= writer->last_ns)
        now_ns = writer->last_ns + 1;
    writer->last_ns = now_ns;
    int head = snprintf (text, TAIL, "{\"t\":%llu,", (unsigned long long) now_ns);
    maitre_assert (head > 0 && head < TAIL && line->len < HISTORY_LINE_MAX);
    memcpy (text + head, line->text, line->len);
    memcpy (text + head + line->len, "}\n", 2);
    put_all (writer, text, (size_t) head + line->len + 2);
    pthread_mutex_unlock (&writer->lock);
    return now_ns;
}

void history_text_clear (struct history_text *line)
{
    line->len = 0;
    line->text[0] = '\0';
}

void history_put_raw (struct history_text *line, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    int len = vsnprintf (line->text + line->len, sizeof line->text - line->len, format, arguments);
    va_end (arguments);
    maitre_assert (len >= 0 && (size_t) len < sizeof line->text - line->len);
    line->len += (size_t) len;
}

void history_put_text (struct history_text *line, const char *key, const char *value)
{
    char clean[512];
    size_t len = 0;
    for (; *value != '\0' && len + 1 < sizeof clean; value++)
        clean[len++] = *value == '"' || *value == '\\' || (unsigned char) *value < 0x20 ? '\'' : *value;
    clean[len] = '\0';
    history_put_raw (line, "%s\"%s\":\"%s\"", line->len > 0 ? "," : "", key, clean);
}

void history_put_u64 (struct history_text *line, const char *key, uint64_t value)
{
    history_put_raw (line, "%s\"%s\":%llu", line->len > 0 ? "," : "", key, (unsigned long long) value);
}

void history_put_bool (struct history_text *line, const char *key, bool value)
{
    history_put_raw (line, "%s\"%s\":%s", line->len > 0 ? "," : "", key, value ? "true" : "false");
}
