/* Makes allocations of a whole node fail: by LD_PRELOAD.
 *
 *   MAITRED_ALLOC        PART [after=N] [count=N] [linked=HEX-HEX] [usr2]
 *   PART                 who asks: own (the program), linked (the library in it that linked= gives the addresses of, as nm
 *                        shows them; of `own` those are left out then), part of a library's file name (libstdc++: operator
 *                        new, so most of RocksDB; libzmq; libc), or * for anybody
 *   after=N, count=N     the first N matching allocations are well (0); then N fail (1)
 *   usr2                 counting begins when SIGUSR2 comes: the process is past its start
 *
 * Who asks is told by the address to which malloc, calloc, realloc, reallocarray, aligned_alloc, memalign or posix_memalign
 * returns. The first failure says so on stderr: "preload_alloc: fired: RULE: from FILE+OFFSET, N bytes" (addr2line -e FILE
 * OFFSET). With count=1 and after=0, 1, 2, ... until nothing fires, every allocation of a run has failed once. Not seen:
 * mmap (so sodium_malloc, stacks), and what comes before this library is ready. Thread safety: any.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))
#define RANGES_MAX 256

/* glibc's own, under the names that it keeps for those who stand in front: no dlsym, which allocates itself. */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t count, size_t size);
extern void *__libc_realloc (void *memory, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

/* Code of what is asked for: written once, by the constructor, before there are threads. */
static struct {
    uintptr_t from, to, base;
    char name[160];
} ranges[RANGES_MAX];
static size_t ranges_count;
static char part[128];
static unsigned long after, count = 1;
static unsigned long linked_from, linked_to;
static bool anybody, program, linked, told;
static atomic_bool active;
static atomic_ulong seen;

static int add_ranges (struct dl_phdr_info *info, size_t size, void *data)
{
    (void) size;
    (void) data;
    bool own = info->dlpi_name[0] == 0; /* the program has no name here */
    bool meant = own ? program : strstr (info->dlpi_name, part) != NULL && !program;
    if (strstr (info->dlpi_name, "preload_") != NULL || !(meant || anybody))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW (Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0 || ranges_count == RANGES_MAX)
            continue;
        ranges[ranges_count].base = info->dlpi_addr;
        ranges[ranges_count].from = info->dlpi_addr + header->p_vaddr;
        ranges[ranges_count].to = ranges[ranges_count].from + header->p_memsz;
        snprintf (ranges[ranges_count++].name, sizeof ranges->name, "%s", own ? "the program" : info->dlpi_name);
    }
    return 0;
}

/* A rule that is not understood ends the process: it would make a test pass that should not. */
__attribute__ ((noreturn)) static void refuse (const char *rule, const char *why)
{
    fprintf (stderr, "preload_alloc: %s: %s\n", why, rule);
    _exit (99);
}

static void arm (int number)
{
    (void) number;
    atomic_store (&active, true);
}

__attribute__ ((constructor)) static void begin (void)
{
    const char *rule = getenv ("MAITRED_ALLOC");
    if (rule == NULL || rule[0] == 0)
        return;
    char copy[256], *save = NULL, *word;
    snprintf (copy, sizeof copy, "%s", rule);
    if ((word = strtok_r (copy, " \t", &save)) == NULL)
        refuse (rule, "not a rule");
    snprintf (part, sizeof part, "%s", word);
    anybody = strcmp (part, "*") == 0;
    linked = strcmp (part, "linked") == 0;
    program = linked || strcmp (part, "own") == 0;
    bool later = false;
    while ((word = strtok_r (NULL, " \t", &save)) != NULL) {
        if (strcmp (word, "usr2") == 0)
            later = true;
        else if (sscanf (word, "after=%lu", &after) != 1 && sscanf (word, "count=%lu", &count) != 1 &&
                 sscanf (word, "linked=%lx-%lx", &linked_from, &linked_to) != 2)
            refuse (rule, "not a rule");
    }
    dl_iterate_phdr (add_ranges, NULL);
    if (ranges_count == 0)
        refuse (rule, "no such library is loaded");
    if (later && signal (SIGUSR2, arm) == SIG_ERR)
        refuse (rule, "SIGUSR2 cannot be waited for");
    atomic_store (&active, !later);
}

/* Whether this allocation fails; errno says how then. */
static bool fails (void *caller, size_t size)
{
    if (!atomic_load_explicit (&active, memory_order_relaxed))
        return false;
    uintptr_t at = (uintptr_t) caller;
    size_t range = 0;
    while (range < ranges_count && (at < ranges[range].from || at >= ranges[range].to))
        range++;
    if (range == ranges_count)
        return false;
    uintptr_t offset = at - ranges[range].base;
    if (program && linked != (offset >= linked_from && offset < linked_to))
        return false;
    unsigned long place = atomic_fetch_add (&seen, 1);
    if (place < after || place - after >= count)
        return false;
    if (place == after && !told) {
        char line[512];
        told = true;
        int len =
            snprintf (line, sizeof line, "preload_alloc: fired: %s after=%lu count=%lu: from %s+0x%lx, %zu bytes\n",
                part, after, count, ranges[range].name, (unsigned long) offset, size);
        if (len > 0 && write (STDERR_FILENO, line, (size_t) len) < 0)
            _exit (99);
    }
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address (0)

EXPORT void *malloc (size_t size)
{
    return fails (CALLER, size) ? NULL : __libc_malloc (size);
}

EXPORT void *calloc (size_t number, size_t size)
{
    return fails (CALLER, number * size) ? NULL : __libc_calloc (number, size);
}

EXPORT void *realloc (void *memory, size_t size)
{
    return (memory == NULL || size > 0) && fails (CALLER, size) ? NULL : __libc_realloc (memory, size);
}

EXPORT void *reallocarray (void *memory, size_t number, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow (number, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return fails (CALLER, bytes) ? NULL : __libc_realloc (memory, bytes);
}

EXPORT void *memalign (size_t alignment, size_t size);
void *memalign (size_t alignment, size_t size)
{
    return fails (CALLER, size) ? NULL : __libc_memalign (alignment, size);
}

EXPORT void *aligned_alloc (size_t alignment, size_t size)
{
    return fails (CALLER, size) ? NULL : __libc_memalign (alignment, size);
}

EXPORT int posix_memalign (void **memory, size_t alignment, size_t size)
{
    void *got = fails (CALLER, size) ? NULL : __libc_memalign (alignment, size);
    if (got == NULL)
        return ENOMEM;
    *memory = got;
    return 0;
}
