/* maitre snapshot: backups. Saving is a client's work; checking and restoring one need the database, so maitred does them. */
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"

static void usage (FILE *out)
{
    fputs (
        "maitre snapshot save DIR [options]                     back the cluster up into a new folder while it runs\n"
        "maitre snapshot verify DIR [--json]                    is that backup sound, and what is in it\n"
        "maitre snapshot restore DIR --config FILE [--json]     make the data folder of one node of a new cluster\n"
        "\n"
        "maitre snapshot save --help (or verify, restore) tells more.\n"
        "\n"
        "Example: maitre snapshot save /backup/2026-11-20\n"
        "         maitre snapshot verify /backup/2026-11-20\n",
        out);
}

static int run_maitred (const struct cli *cli, const char *config)
{
    char *words[9] = {NULL, (char *) (uintptr_t) "snapshot", cli->argv[0]};
    size_t count = 3;
    if (cli->help)
        words[count++] = (char *) (uintptr_t) "--help";
    if (cli->json)
        words[count++] = (char *) (uintptr_t) "--json";
    if (config != NULL) {
        words[count++] = (char *) (uintptr_t) "--config";
        words[count++] = (char *) (uintptr_t) config;
    }
    if (cli->argc > 2)
        return cli_complain (CLI_USAGE, "name one backup; see maitre snapshot --help");
    if (cli->argc == 2)
        words[count] = cli->argv[1];
    return cli_run_maitred (words);
}

int cli_snapshot (struct cli *cli)
{
    const char *verb = cli->argc > 0 ? cli->argv[0] : "";
    if (strcmp (verb, "save") == 0)
        return cli_snapshot_save (cli);
    if (strcmp (verb, "verify") == 0)
        return run_maitred (cli, NULL);
    if (strcmp (verb, "restore") == 0) {
        bool bad = false;
        const char *config = cli_take (cli, "--config", &bad);
        return bad ? CLI_USAGE : run_maitred (cli, config);
    }
    if (cli->help && cli->argc == 0) {
        usage (stdout);
        return CLI_OK;
    }
    usage (stderr);
    return CLI_USAGE;
}
