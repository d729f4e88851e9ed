/* Options in any place of the command line.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/cli/cli.h"

static void drop (struct cli *cli, int at, int count)
{
    for (int i = at; i + count <= cli->argc; i++)
        cli->argv[i] = cli->argv[i + count];
    cli->argc -= count;
}

const char *cli_take (struct cli *cli, const char *name, bool *bad)
{
    size_t len = strlen (name);
    for (int i = 0; i < cli->argc && strcmp (cli->argv[i], "--") != 0; i++) {
        if (strncmp (cli->argv[i], name, len) != 0)
            continue;
        if (cli->argv[i][len] == '=') {
            const char *value = cli->argv[i] + len + 1;
            drop (cli, i, 1);
            return value;
        }
        if (cli->argv[i][len] != '\0')
            continue;
        if (i + 1 >= cli->argc) {
            cli_complain (CLI_USAGE, "%s needs a value; see --help", name);
            *bad = true;
            drop (cli, i, 1);
            return NULL;
        }
        const char *value = cli->argv[i + 1];
        drop (cli, i, 2);
        return value;
    }
    return NULL;
}

bool cli_take_flag (struct cli *cli, const char *name)
{
    for (int i = 0; i < cli->argc && strcmp (cli->argv[i], "--") != 0; i++) {
        if (strcmp (cli->argv[i], name) == 0) {
            drop (cli, i, 1);
            return true;
        }
    }
    return false;
}

uint64_t cli_take_number (struct cli *cli, const char *name, uint64_t fallback, uint64_t min, uint64_t max, bool *bad)
{
    const char *text = cli_take (cli, name, bad);
    if (text == NULL)
        return fallback;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull (text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < min || value > max) {
        cli_complain (CLI_USAGE, "%s must be a number from %llu to %llu, not %s", name, (unsigned long long) min,
            (unsigned long long) max, text);
        *bad = true;
        return fallback;
    }
    return value;
}
