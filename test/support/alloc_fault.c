#include "test/support/alloc_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_ulong failing, seen;
static atomic_bool fired, pausing;

void alloc_fault_at (unsigned long n)
{
    atomic_store (&seen, 0);
    atomic_store (&fired, false);
    atomic_store (&failing, n);
}

void alloc_fault_pause (bool paused)
{
    atomic_store (&pausing, paused);
}

bool alloc_fault_fired (void)
{
    return atomic_load (&fired);
}

unsigned long alloc_fault_count (void)
{
    return atomic_load (&seen);
}

static bool fails (void)
{
    if (atomic_load (&pausing) || atomic_fetch_add (&seen, 1) + 1 != atomic_load (&failing))
        return false;
    atomic_store (&fired, true);
    errno = ENOMEM;
    return true;
}

void *alloc_fault_malloc (size_t size)
{
    return fails () ? NULL : malloc (size);
}

void *alloc_fault_calloc (size_t count, size_t size)
{
    return fails () ? NULL : calloc (count, size);
}

void *alloc_fault_realloc (void *memory, size_t size)
{
    return fails () ? NULL : realloc (memory, size);
}
