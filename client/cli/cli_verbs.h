/* The table of verbs, and how one is run.
 *
 * Room: client/cli. Thread safety: immutable data.
 */
#ifndef MAITRE_CLI_VERBS_H
#define MAITRE_CLI_VERBS_H

#include "client/cli/cli.h"
#include "client/cli/json_value.h"

struct verb {
    const char *group, *name; /* the name may have two words */
    uint32_t method;
    const char *words; /* see cli_verbs.c */
    const char *make;  /* NULL: nothing is made */
    const char *summary, *example;
};

extern const struct verb verbs[];
extern const size_t verbs_count;

/* Encodes the JSON request, calls, prints. Takes the reference to request. Returns the exit code. */
int cli_invoke (struct cli *cli, const struct method *method, json_t *request, const char *make, bool all);

/* ---- cli_help.c */
void cli_help_group (const char *group, bool to_stderr);
void cli_help_verb (const struct verb *verb);

#endif
