/* maitre: the command line. Finds the command, takes the options that all commands share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

static int run_group (struct cli *cli);

static int run_status (struct cli *cli);

static const struct cli_command commands[] = {
    {"status", "the cluster's health at a glance (cluster status)", run_status},
    {"auth", "users, roles and API keys", run_group},
    {"catalog", "providers, offers, prices, capacities", run_group},
    {"avail", "what is free", run_group},
    {"reserve", "hold, book, confirm, move and cancel", run_group},
    {"order", "quote, place and advance orders", run_group},
    {"call", "any method with a JSON request; the outcome of an earlier call", cli_call},
    {"cluster", "status, members, where a key lives, moving a leader", run_group},
    {"node", "is one node serving, checking a data folder, replacing a lost one", cli_node},
    {"snapshot", "back the cluster up while it runs, check a backup, make a new cluster from one", cli_snapshot},
    {"methods", "every method that call takes", cli_methods},
    {"bench", "measure a running cluster", cli_bench},
    {"replay", "send recorded bookings or orders", cli_replay},
};

static const char *group; /* the first word, for run_group */

static int run_group (struct cli *cli)
{
    return cli_verb (cli, group);
}

static int run_status (struct cli *cli)
{
    cli->argv--; /* the word itself is the verb */
    cli->argc++;
    return cli_verb (cli, "cluster");
}

static void print_usage (FILE *out)
{
    fputs ("maitre COMMAND ...     talks to a maitred cluster\n\nCommands\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf (out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs ("\nOptions of every command\n"
           "  --cluster FILE      the cluster's client file (MAITRE_CLUSTER)\n"
           "  --cluster-key FILE  checks that file's signature (MAITRE_CLUSTER_KEY; else cluster.public beside it, if "
           "there)\n"
           "  --endpoints LIST    tcp://host:port,... instead of a file, without encryption (MAITRE_ENDPOINTS)\n"
           "  --token TOKEN       an access token or API key (MAITRE_TOKEN)\n"
           "  --token-file FILE   the same, from the first line of a file\n"
           "  --timeout MS        how long to try (5000)\n"
           "  --request-id ID     repeat a write under the id of its first try\n"
           "  --node N            ask this node and no other\n"
           "  --json              one JSON object on standard output\n"
           "  --help              about a command\n"
           "\n"
           "Exit codes: 0 ok, 1 failed or unhealthy, 2 usage, 3 not found, 4 conflict or precondition,\n"
           "  5 outcome unknown, 6 unavailable, 7 not allowed, 9 bench verify found a violation\n"
           "\n"
           "Example: maitre reserve create 018f...:42 --mode book\n",
        out);
}

static int read_token_file (struct cli *cli, const char *path)
{
    FILE *file = fopen (path, "re");
    if (file == NULL)
        return cli_complain (CLI_USAGE, "cannot read the token file %s: %s", path, strerror (errno));
    bool got = fgets (cli->token_file, sizeof cli->token_file, file) != NULL;
    fclose (file);
    cli->token_file[strcspn (cli->token_file, "\r\n")] = '\0';
    if (!got || cli->token_file[0] == '\0')
        return cli_complain (CLI_USAGE, "the token file %s is empty; put the token on its first line", path);
    cli->token = cli->token_file;
    return CLI_OK;
}

static int take_options (struct cli *cli)
{
    bool bad = false;
    cli->json = cli_take_flag (cli, "--json");
    cli->help = cli_take_flag (cli, "--help");
    cli->cluster_file = cli_take (cli, "--cluster", &bad);
    cli->cluster_key = cli_take (cli, "--cluster-key", &bad);
    cli->endpoints = cli_take (cli, "--endpoints", &bad);
    cli->token = cli_take (cli, "--token", &bad);
    const char *token_file = cli_take (cli, "--token-file", &bad);
    const char *request_id = cli_take (cli, "--request-id", &bad);
    cli->timeout_ms = (uint32_t) cli_take_number (cli, "--timeout", 0, 1, 3600000, &bad);
    cli->node = (uint32_t) cli_take_number (cli, "--node", 0, 1, 65535, &bad);
    if (bad)
        return CLI_USAGE;
    if (request_id != NULL) {
        if (maitre_id_parse (request_id, &cli->request_id) != MAITRE_OK)
            return cli_complain (CLI_USAGE, "--request-id must be 32 hexadecimal digits");
        cli->has_request_id = true;
    }
    return token_file != NULL ? read_token_file (cli, token_file) : CLI_OK;
}

int main (int argc, char **argv)
{
    struct cli cli = {.argc = argc - 1, .argv = argv + 1};
    if (argc < 1)
        return CLI_USAGE;
    if (argc > 1 && strcmp (argv[1], "--version") == 0) {
        printf ("maitre %d.%d.%d\n", MAITRE_VERSION_MAJOR, MAITRE_VERSION_MINOR, MAITRE_VERSION_PATCH);
        return CLI_OK;
    }
    int code = take_options (&cli);
    if (code != CLI_OK)
        return code;
    if (cli.argc == 0) {
        print_usage (cli.help ? stdout : stderr);
        return cli.help ? CLI_OK : CLI_USAGE;
    }
    group = cli.argv[0];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp (commands[i].name, group) == 0) {
            cli.argv++;
            cli.argc--;
            return commands[i].run (&cli);
        }
    }
    return cli_complain (CLI_USAGE, "there is no command %s; see maitre --help", group);
}
