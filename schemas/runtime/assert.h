/* Assertions that stay on in every build: one condition each, no side effects. For bugs only, never for outside bytes.
 *
 * Room: schemas/runtime, pure (the hook is the one outside symbol that the pure rooms may name).
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_ASSERT_H
#define MAITRED_SCHEMAS_RUNTIME_ASSERT_H

/* Writes one line to standard error and aborts. Never returns. */
__attribute__ ((noreturn, cold)) void maitre_assert_failed (const char *condition, const char *file, int line);

#define maitre_assert(condition) ((condition) ? (void) 0 : maitre_assert_failed (#condition, __FILE__, __LINE__))

#endif
