/* How a preloaded library finds the functions that it stands in front of (needs _GNU_SOURCE).
 * NEXT (result, name, parameters) makes next_NAME, and find_NAME (), which sets it. */
#ifndef MAITRED_TEST_SUPPORT_PRELOAD_NEXT_H
#define MAITRED_TEST_SUPPORT_PRELOAD_NEXT_H

#include <dlfcn.h>
#include <string.h>

/* POSIX gives dlsym as the way to functions; ISO C knows no cast from its void *. */
#define NEXT(result, name, ...)                                                                                        \
    static result (*next_##name) (__VA_ARGS__);                                                                        \
    static void find_##name (void)                                                                                     \
    {                                                                                                                  \
        if (next_##name == NULL) {                                                                                     \
            void *symbol = dlsym (RTLD_NEXT, #name);                                                                   \
            memcpy (&next_##name, &symbol, sizeof symbol);                                                             \
        }                                                                                                              \
    }

#endif
