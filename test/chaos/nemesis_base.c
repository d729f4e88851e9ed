/* Randomness, words and files of a run.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

volatile int nemesis_interrupted;

uint64_t nemesis_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * UINT64_C (1000000000) + (uint64_t) now.tv_nsec;
}

uint64_t nemesis_now_ms (void)
{
    return nemesis_now_ns () / 1000000;
}

void nemesis_sleep_ms (uint64_t ms)
{
    struct timespec wait = {.tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep (&wait, NULL);
}

/* splitmix64: good from any seed, 0 too. */
uint32_t nemesis_draw (struct nemesis *run, uint32_t below)
{
    run->random += UINT64_C (0x9e3779b97f4a7c15);
    uint64_t z = run->random;
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    z ^= z >> 31;
    return below == 0 ? 0 : (uint32_t) (((z >> 32) * below) >> 32);
}

uint64_t nemesis_between (struct nemesis *run, uint64_t low, uint64_t high)
{
    return low >= high ? low : low + nemesis_draw (run, (uint32_t) (high - low + 1));
}

uint64_t nemesis_log_between (struct nemesis *run, uint64_t low, uint64_t high)
{
    uint32_t doublings = 0;
    while (low << (doublings + 1) <= high)
        doublings++;
    uint64_t from = low << nemesis_draw (run, doublings + 1);
    return nemesis_between (run, from, from * 2 < high ? from * 2 : high);
}

void nemesis_say (const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fputc ('\n', stderr);
}

static void put_json_text (FILE *out, const char *text)
{
    fputc ('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf (out, "\\%c", *text);
        else if ((unsigned char) *text < 32)
            fprintf (out, "\\u%04x", (unsigned) (unsigned char) *text);
        else
            fputc (*text, out);
    }
    fputc ('"', out);
}

void nemesis_note (struct nemesis *run, const char *event, int family, const char *format, ...)
{
    char text[700];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    uint64_t now_ns = nemesis_now_ns ();
    struct timespec wall; /* what the nodes' logs have */
    struct tm parts;
    char time[32] = "";
    clock_gettime (CLOCK_REALTIME, &wall);
    if (gmtime_r (&wall.tv_sec, &parts) != NULL)
        strftime (time, sizeof time, "%H:%M:%S", &parts);
    const char *name = family == FAMILY_COUNT ? "run" : nemesis_families[family].name;
    fprintf (run->journal,
        "{\"t\":%llu,\"time\":\"%s.%03ld\",\"event\":\"%s\",\"fault\":\"%s\",\"what\":", (unsigned long long) now_ns,
        time, wall.tv_nsec / 1000000, event, name);
    put_json_text (run->journal, text);
    fputs ("}\n", run->journal);
    fflush (run->journal);
    nemesis_say ("%8.3f s  %-9s %-6s %s", (double) (now_ns / 1000000 - run->begin_ms) / 1000.0, name, event, text);
}

void nemesis_broken (struct nemesis *run, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    if (run->broken++ == 0)
        memcpy (run->why_broken, text, sizeof run->why_broken);
    nemesis_note (run, "broken", FAMILY_COUNT, "%s", text);
}

bool nemesis_path (char out[NEMESIS_PATH], const char *folder, const char *name)
{
    int len = snprintf (out, NEMESIS_PATH, "%s/%s", folder, name);
    if (len >= 0 && len < NEMESIS_PATH)
        return true;
    nemesis_say ("error: the path %s/%s is too long: give a shorter --dir", folder, name);
    return false;
}

bool nemesis_read_file (const char *path, char *out, size_t size)
{
    FILE *file = fopen (path, "re");
    if (file == NULL)
        return false;
    size_t len = fread (out, 1, size - 1, file);
    out[len] = '\0';
    bool whole = feof (file) != 0;
    fclose (file);
    return whole;
}

bool nemesis_write_file (const char *path, const char *text)
{
    FILE *file = fopen (path, "we");
    bool fine = file != NULL && fputs (text, file) >= 0;
    if (file != NULL && fclose (file) != 0)
        fine = false;
    if (!fine)
        nemesis_say ("error: %s cannot be written: %s", path, strerror (errno));
    return fine;
}

static int remove_one (const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void) status;
    (void) type;
    (void) walk;
    remove (path);
    return 0;
}

/* Never past a mount point: what is mounted below is somebody else's. */
void nemesis_remove_tree (const char *path)
{
    nftw (path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
