/* Allocations that fail when a test says so: linked under copies of rooms whose malloc, calloc and realloc were renamed to
 * these (test/CMakeLists.txt), so that the test's own and the libraries' are left alone.
 *
 * Room: test/support. Thread safety: counts are atomic; one test at a time sets them.
 */
#ifndef MAITRED_TEST_SUPPORT_ALLOC_FAULT_H
#define MAITRED_TEST_SUPPORT_ALLOC_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* From now on the n-th allocation fails, that one alone; 0: none. Counts start anew. */
void alloc_fault_at (unsigned long n);
void alloc_fault_pause (bool paused); /* allocations meanwhile neither fail nor count */
bool alloc_fault_fired (void);
unsigned long alloc_fault_count (void); /* allocations since */

void *alloc_fault_malloc (size_t size);
void *alloc_fault_calloc (size_t count, size_t size);
void *alloc_fault_realloc (void *memory, size_t size);

#endif
