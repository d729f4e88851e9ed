/* The run, its ids, and calls that are repeated until they are decided.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/replay.h"

/* Entities of a run carry this time in their ids: what they are called must not depend on when a run was started. */
#define RUN_ENTITY_TIME_MS UINT64_C (1577836800000)
#define RUN_MARK "maitre replay, first started at ms "
#define RUN_DEADLINE_MS 10000
#define RUN_PATIENCE_S 300
#define RUN_PAUSE_MS 20
#define RUN_SHOW_MS 200

static const char usage[] =
    "maitre replay hotels FILE --capacity FILE2 [--run-id ID] [--patience S] [--json]\n"
    "maitre replay orders FILE --stock N        [--run-id ID] [--patience S] [--json]\n"
    "\n"
    "hotels  rows booked_on,arrival,nights,hotel,room_type,adults,children,daily_rate,final_status,final_status_on\n"
    "        with rooms from rows hotel,room_type,rooms: a booking a row, and its cancellation on its day\n"
    "orders  rows order_id,ordered_at,item,quantity,unit_price,district: an order per order_id, N portions an item\n"
    "\n"
    "A replay that was stopped goes on when it is started again with the same --run-id: every row is sent under an id\n"
    "that derives from it, and the counts come out the same. --patience is how long nothing may be decided (300).\n"
    "Example: maitre replay hotels hotel-bookings.csv --capacity capacity-demo.csv --json\n";

static uint64_t now_ms (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

struct id replay_id (const struct replay *replay, const struct id *parent, const char *format, ...)
{
    char text[REPLAY_RUN_ID_MAX + REPLAY_NAME_MAX + 2];
    int used = snprintf (text, sizeof text, "%s/", replay->run_id);
    va_list args;
    va_start (args, format);
    vsnprintf (text + used, sizeof text - (size_t) used, format, args);
    va_end (args);
    struct maitre_id beside;
    if (parent != NULL)
        beside = cli_id_out (parent);
    struct maitre_id id = maitre_id_derive (RUN_ENTITY_TIME_MS, parent != NULL ? &beside : NULL, text);
    return cli_id_in (&id);
}

struct id replay_provider_id (const struct replay *replay, const char *name)
{
    char text[REPLAY_RUN_ID_MAX + REPLAY_NAME_MAX + 2];
    snprintf (text, sizeof text, "%s/provider/%s", replay->run_id, name);
    struct maitre_id id = maitre_id_derive_provider (RUN_ENTITY_TIME_MS, NULL, text);
    return cli_id_in (&id);
}

bool replay_decided (const struct maitre_reply *reply)
{
    return !reply->maybe_applied && !reply->retryable && reply->status != MAITRE_UNAVAILABLE &&
           reply->status != MAITRE_DEADLINE_EXCEEDED && reply->status != MAITRE_RESOURCE_EXHAUSTED &&
           reply->status != MAITRE_CANCELLED;
}

void replay_progress (struct replay *replay, const struct maitre_reply *reply)
{
    replay->done++;
    replay->replayed += reply->replayed ? 1 : 0;
    replay->progress_ms = now_ms (CLOCK_MONOTONIC);
    if (replay->terminal && replay->progress_ms - replay->shown_ms >= RUN_SHOW_MS) {
        replay->shown_ms = replay->progress_ms;
        fprintf (stderr, "\r%llu of %llu ", (unsigned long long) replay->done, (unsigned long long) replay->total);
    }
}

bool replay_out_of_patience (struct replay *replay)
{
    if (now_ms (CLOCK_MONOTONIC) - replay->progress_ms < replay->patience_ms)
        return false;
    if (replay->code == CLI_OK)
        replay->code = cli_complain (CLI_UNAVAILABLE,
            "nothing was decided for %llu s; when the cluster answers again, go on with --run-id %s",
            (unsigned long long) replay->patience_ms / 1000, replay->run_id);
    return true;
}

void replay_fail (struct replay *replay, const struct maitre_reply *reply, const char *what)
{
    if (replay->code != CLI_OK)
        return;
    if (replay->terminal)
        fputc ('\n', stderr);
    cli_complain (0, "%s was refused; the run's id is %s", what, replay->run_id);
    replay->code = cli_failed_reply (replay->cli, reply);
}

enum maitre_status replay_start (struct replay *replay, uint32_t method_number, const void *request,
    const struct id *parent, const char *name, maitre_reply_fn *answer, void *user)
{
    char text[REPLAY_RUN_ID_MAX + REPLAY_NAME_MAX + 2];
    snprintf (text, sizeof text, "%s/request/%s", replay->run_id, name);
    struct maitre_id beside = cli_id_out (parent);
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = replay->cli->timeout_ms != 0 ? replay->cli->timeout_ms : RUN_DEADLINE_MS;
    options.request_id = maitre_id_derive (replay->started_ms, &beside, text);
    enum maitre_status status = cli_start (replay->client, method_number, request, &options, answer, user);
    if (status != MAITRE_OK && replay->code == CLI_OK)
        replay->code = cli_complain (CLI_FAILED, "%s is no valid request: %s", name, maitre_status_name (status));
    return status;
}

static void keep (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    struct replay_answer *answer = user;
    answer->done = true;
    answer->decided = replay_decided (reply);
    answer->reply = *reply;
    snprintf (answer->reason, sizeof answer->reason, "%s", reply->reason);
    snprintf (answer->message, sizeof answer->message, "%s", reply->message);
    answer->reply.reason = answer->reason;
    answer->reply.message = answer->message;
    answer->reply.body = (struct maitre_bytes){answer->body, reply->body.len};
    if (reply->body.len > sizeof answer->body)
        answer->reply.body.len = 0;
    else if (reply->body.len > 0)
        memcpy (answer->body, reply->body.data, reply->body.len);
    if (answer->decided)
        replay_progress (answer->replay, reply);
}

bool replay_call (struct replay *replay, uint32_t method_number, const void *request, const struct id *parent,
    const char *name, struct replay_answer *answer)
{
    answer->replay = replay;
    answer->decided = false;
    while (replay->code == CLI_OK && !answer->decided) {
        answer->done = false;
        if (replay_start (replay, method_number, request, parent, name, keep, answer) != MAITRE_OK)
            break;
        while (!answer->done)
            maitre_process (replay->client, -1);
        if (!answer->decided && !replay_out_of_patience (replay))
            usleep (RUN_PAUSE_MS * 1000);
    }
    return answer->decided;
}

bool replay_must (struct replay *replay, uint32_t method_number, const void *request, const struct id *parent,
    const char *name, void *value)
{
    struct replay_answer answer;
    if (!replay_call (replay, method_number, request, parent, name, &answer))
        return false;
    if (answer.reply.status != MAITRE_OK) {
        replay_fail (replay, &answer.reply, name);
        return false;
    }
    const struct codec_type *type = method_by_number (method_number)->reply;
    if (value != NULL && codec_decode (type, bytes_of (answer.body, answer.reply.body.len), CODEC_LENIENT, NULL, value,
                             NULL) != STATUS_OK) {
        replay->code = cli_complain (CLI_FAILED, "the reply to %s is not understood", name);
        return false;
    }
    return true;
}

/* When the run was first started: it stands in the provider that the first start made. */
static bool read_mark (struct replay *replay, const struct id *provider)
{
    struct catalog_get_request request = {.id = *provider};
    struct maitre_bytes body;
    uint8_t encoded[CATALOG_GET_REQUEST_ENCODED_MAX];
    struct maitre_reply *reply = NULL;
    struct catalog_get_reply value;
    size_t len = 0;
    if (codec_encode (&catalog_get_request_type, &request, encoded, sizeof encoded, &len) != STATUS_OK)
        return false;
    body = (struct maitre_bytes){encoded, len};
    enum maitre_status status = maitre_call (replay->client, "catalog.Get", body, NULL, &reply);
    bool fine = status == MAITRE_OK &&
                codec_decode (&catalog_get_reply_type, bytes_of (reply->body.data, reply->body.len), CODEC_LENIENT,
                    NULL, &value, NULL) == STATUS_OK &&
                value.has_provider && value.provider.has_description &&
                value.provider.description.len > sizeof RUN_MARK - 1 && value.provider.description.len < 100 &&
                memcmp (value.provider.description.data, RUN_MARK, sizeof RUN_MARK - 1) == 0;
    if (fine) {
        char text[100];
        snprintf (text, sizeof text, "%.*s", (int) value.provider.description.len,
            (const char *) value.provider.description.data);
        replay->started_ms = strtoull (text + sizeof RUN_MARK - 1, NULL, 10);
    }
    maitre_reply_destroy (&reply);
    return fine;
}

/* Makes the first provider, or finds it when this run was started before. */
static int mark_run (struct replay *replay, const char *name, enum provider_kind kind)
{
    struct id provider = replay_provider_id (replay, name);
    char description[100];
    uint64_t wall_ms = now_ms (CLOCK_REALTIME);
    snprintf (description, sizeof description, RUN_MARK "%llu", (unsigned long long) wall_ms);
    struct maitre_provider request = {.provider = cli_id_out (&provider),
        .kind = (enum maitre_provider_kind) kind,
        .name = name,
        .description = description};
    for (;;) {
        enum maitre_status status = maitre_put_provider (replay->client, &request, NULL);
        const struct maitre_error *error = maitre_error (replay->client);
        replay->started_ms = wall_ms;
        if (status == MAITRE_OK ||
            ((error->reason[0] != '\0' || error->maybe_applied) && read_mark (replay, &provider)))
            return CLI_OK;
        bool again =
            error->retryable || error->maybe_applied || status == MAITRE_ALREADY_EXISTS || status == MAITRE_ABORTED;
        if (!again || replay_out_of_patience (replay))
            return cli_failed (replay->cli, error);
        usleep (RUN_PAUSE_MS * 1000);
    }
}

const char *replay_options (struct replay *replay, struct cli *cli)
{
    bool bad = false;
    const char *run_id = cli_take (cli, "--run-id", &bad);
    replay->cli = cli;
    replay->patience_ms = cli_take_number (cli, "--patience", RUN_PATIENCE_S, 1, 86400, &bad) * 1000;
    replay->terminal = isatty (STDERR_FILENO) && !cli->json;
    if (bad)
        return NULL;
    if (cli->argc != 1 || strncmp (cli->argv[0], "--", 2) == 0) {
        cli_complain (CLI_USAGE, "a replay takes one file and options; see maitre replay --help");
        return NULL;
    }
    if (run_id != NULL && (run_id[0] == '\0' || strlen (run_id) > REPLAY_RUN_ID_MAX)) {
        cli_complain (CLI_USAGE, "--run-id must have 1 to %d bytes", REPLAY_RUN_ID_MAX);
        return NULL;
    }
    if (run_id != NULL)
        snprintf (replay->run_id, sizeof replay->run_id, "%s", run_id);
    return cli->argv[0];
}

int replay_open (struct replay *replay, const char *name, enum provider_kind kind)
{
    int code = CLI_OK;
    replay->progress_ms = now_ms (CLOCK_MONOTONIC);
    replay->client = cli_client (replay->cli, 256, &code);
    if (replay->client == NULL)
        return code;
    if (replay->run_id[0] == '\0') {
        struct maitre_id fresh = maitre_id_random (replay->client);
        char text[MAITRE_ID_TEXT_SIZE];
        maitre_id_format (&fresh, text);
        snprintf (replay->run_id, sizeof replay->run_id, "%s", text);
    }
    return mark_run (replay, name, kind);
}

void replay_close (struct replay *replay)
{
    if (replay->terminal && replay->done > 0)
        fputc ('\n', stderr);
    maitre_destroy (&replay->client);
}

int cli_replay (struct cli *cli)
{
    bool known = cli->argc > 0 && (strcmp (cli->argv[0], "hotels") == 0 || strcmp (cli->argv[0], "orders") == 0);
    if (cli->help || cli->argc == 0) {
        fputs (usage, cli->help ? stdout : stderr);
        return cli->help ? CLI_OK : CLI_USAGE;
    }
    if (!known)
        return cli_complain (CLI_USAGE, "replay takes hotels or orders, not %s", cli->argv[0]);
    bool hotels = cli->argv[0][0] == 'h';
    cli->argv++;
    cli->argc--;
    return hotels ? replay_hotels (cli) : replay_orders (cli);
}
