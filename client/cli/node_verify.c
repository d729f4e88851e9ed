/* maitre node verify DIR: the daemon's own check of a stopped node's folder. This program has no database library: maitred
 * does the work, the one beside this program. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"

static const char help[] =
    "maitre node verify DIR [--json]     checks the data folder of a stopped node, and changes nothing\n"
    "\n"
    "Identity, format and small files; every record, turn and entry of the log with its checksum and chain; every row "
    "of\n"
    "the state. Says what is wrong, and whether the node mends it at its next start or what you have to do. Needs no\n"
    "cluster and no token, but the program maitred beside maitre (or MAITRED_PROGRAM=/path/to/maitred).\n"
    "\n"
    "Exit codes: 0 sound, 1 damaged, 2 usage or no data folder, 4 a node runs on it or a newer version made it, 7 it "
    "could\n"
    "not be read.\n"
    "Example: maitre node verify /var/lib/maitred/data\n";

/* Beside this program, or where MAITRED_PROGRAM says. */
static int find_maitred (char path[PATH_MAX])
{
    const char *given = getenv ("MAITRED_PROGRAM");
    if (given != NULL && *given != '\0') {
        snprintf (path, PATH_MAX, "%s", given);
    } else {
        ssize_t len = readlink ("/proc/self/exe", path, PATH_MAX - sizeof "maitred");
        if (len <= 0)
            return cli_complain (CLI_FAILED, "cannot tell where this program is: %s", strerror (errno));
        path[len] = '\0';
        char *slash = strrchr (path, '/');
        strcpy (slash == NULL ? path : slash + 1, "maitred");
    }
    if (access (path, X_OK) != 0)
        return cli_complain (CLI_FAILED,
            "%s is not there or cannot be run: the node's own program does this; run it on a node's machine, or name "
            "it with "
            "MAITRED_PROGRAM",
            path);
    return CLI_OK;
}

int cli_run_maitred (char *words[])
{
    char path[PATH_MAX];
    int code = find_maitred (path);
    if (code != CLI_OK)
        return code;
    words[0] = path;
    execv (path, words);
    return cli_complain (CLI_FAILED, "%s cannot be run: %s", path, strerror (errno));
}

int cli_node_verify (struct cli *cli)
{
    if (cli->help) {
        fputs (help, stdout);
        return CLI_OK;
    }
    if (cli->argc != 2 || cli->argv[1][0] == '-')
        return cli_complain (CLI_USAGE, "name one data folder; see maitre node verify --help");
    char *words[] = {
        NULL, (char *) (uintptr_t) "verify", cli->argv[1], cli->json ? (char *) (uintptr_t) "--json" : NULL, NULL};
    return cli_run_maitred (words);
}
