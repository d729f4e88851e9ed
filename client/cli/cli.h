/* What the commands of `maitre` share: options, exit codes, the handle, output.
 *
 * Room: client/cli (libmaitre, jansson, the schema tables). Ownership: a `struct cli` lives in main and lends everything.
 * Thread safety: one thread, but for bench, whose threads have handles of their own.
 */
#ifndef MAITRE_CLI_H
#define MAITRE_CLI_H

#include <jansson.h>
#include <maitre.h>

#include "schemas/generated/methods.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/codec.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* or unhealthy */
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_CONFLICT = 4, /* conflict or precondition */
    CLI_UNKNOWN = 5,  /* the outcome is not known */
    CLI_UNAVAILABLE = 6,
    CLI_NOT_ALLOWED = 7,
    CLI_VIOLATION = 9, /* bench verify: something acknowledged is missing or was given twice */
};

/* The options that every command takes, and the words that are left. */
struct cli {
    bool json;
    bool help;
    const char *cluster_file, *cluster_key, *endpoints, *token;
    uint32_t timeout_ms; /* 0: the library's default */
    uint32_t node;       /* 0: any */
    bool has_request_id;
    struct maitre_id request_id;
    int argc;    /* words after the command */
    char **argv; /* NULL-terminated, borrowed from main */
    char token_file[1025];
};

/* A group of commands: `maitre NAME ...`. */
struct cli_command {
    const char *name;
    const char *summary;
    int (*run) (struct cli *cli);
};

int cli_bench (struct cli *cli);
int cli_replay (struct cli *cli);
int cli_call (struct cli *cli);
int cli_verb (struct cli *cli, const char *group); /* cli->argv[0] is the verb */
int cli_methods (struct cli *cli);
int cli_node (struct cli *cli); /* node_replace.c: what of `maitre node` is more than one call */
int cli_node_replace (struct cli *cli);
int cli_node_verify (struct cli *cli); /* node_verify.c */
/* Becomes maitred, the one beside this program or where MAITRED_PROGRAM says: what needs the database is its work.
 * words[0] is set here. Returns an exit code only when that failed. */
int cli_run_maitred (char *words[]);
int cli_snapshot (struct cli *cli); /* snapshot.c */
int cli_snapshot_save (struct cli *cli);

/* ---- cli_signature.c */

/* Checks the signature of a client file by the cluster key in key_file, or when that is NULL by cluster.public beside it; without
 * either there is nothing to check by. CLI_USAGE after a complaint. */
int cli_signature_check (const char *cluster_file, const char *key_file);

/* ---- cli_output.c */

/* One line on standard error, "maitre: ..."; returns exit_code. */
int cli_complain (int exit_code, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
/* The exit code that goes with an answer. */
int cli_exit_of (enum maitre_status status, bool maybe_applied);
/* Says what failed (as JSON on standard output with --json) and returns the exit code. */
int cli_failed (const struct cli *cli, const struct maitre_error *error);
int cli_failed_reply (const struct cli *cli, const struct maitre_reply *reply);
/* Prints and frees one JSON object. */
void cli_print_json (json_t *object);
/* Prints an object for people: scalars as lines, arrays of objects as tables. */
void cli_print_people (const json_t *object);

/* ---- cli_client.c */

/* A handle from the options; on failure it complains and *exit_code says what to exit with. */
struct maitre *cli_client (const struct cli *cli, uint32_t outstanding_max, int *exit_code);
/* Encodes a request struct and starts it: what the library does for typed calls, for all methods. The request id is the
 * given one or made from the routing hash. */
enum maitre_status cli_start (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user) WARN_UNUSED;

/* One call, waited for; *value is the decoded reply, in memory that the caller frees (NULL on failure, which
 * maitre_error tells). The request encodes to 256 bytes at most. */
enum maitre_status cli_ask (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, void **value) WARN_UNUSED;

/* ---- cli_options.c */

/* Takes `--name VALUE` or `--name=VALUE` out of cli->argv; NULL when it is not there. Complaints go to *bad. */
const char *cli_take (struct cli *cli, const char *name, bool *bad);
bool cli_take_flag (struct cli *cli, const char *name);
/* A number within bounds; fallback when the option is not given. */
uint64_t cli_take_number (struct cli *cli, const char *name, uint64_t fallback, uint64_t min, uint64_t max, bool *bad);

static inline struct id cli_id_in (const struct maitre_id *id)
{
    struct id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}

static inline struct maitre_id cli_id_out (const struct id *id)
{
    struct maitre_id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}

#endif
