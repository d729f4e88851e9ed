/* From words to a request, from an answer to words.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli_verbs.h"

#define RUN_PAGES_MAX 10000

/* The request id before its hash is known, and the name that ids made for this request derive from: a repeat under the
 * same request id makes the same ids, and so the same body. */
struct seed {
    struct id base; /* hash 0 */
    char name[ID_TEXT_LEN + 1];
};

static struct seed make_seed (const struct cli *cli, struct maitre *client)
{
    struct maitre_id given = cli->has_request_id ? cli->request_id : maitre_id_random (client);
    struct id id = cli_id_in (&given);
    struct seed seed = {.base = id_make (id_time_ms (&id), 0, bytes_get_u64 (id.b + 8))};
    id_format (&seed.base, seed.name);
    return seed;
}

static void set_id (json_t *request, const char *field, struct maitre_id id)
{
    char text[MAITRE_ID_TEXT_SIZE];
    maitre_id_format (&id, text);
    json_object_set_new (request, field, json_string (text));
}

/* The id at "provider" or "items.offer". */
static bool find_id (json_t *request, const char *path, struct maitre_id *id)
{
    char name[64];
    size_t len = strcspn (path, ".");
    snprintf (name, sizeof name, "%.*s", (int) len, path);
    json_t *value = json_object_get (request, name);
    if (path[len] == '.')
        value = json_object_get (json_array_get (value, 0), path + len + 1);
    return json_is_string (value) && maitre_id_parse (json_string_value (value), id) == MAITRE_OK;
}

/* Adds the id that the verb makes, unless it is given or its parent is not. */
static void make_id (json_t *request, const char *make, const struct seed *seed)
{
    char field[64];
    size_t len = strcspn (make, "<");
    snprintf (field, sizeof field, "%.*s", (int) len, make);
    if (json_object_get (request, field) != NULL)
        return;
    uint64_t time_ms = id_time_ms (&seed->base);
    struct maitre_id parent;
    if (strcmp (field, "provider") == 0)
        set_id (request, field,
            maitre_id_derive_provider (time_ms, json_string_value (json_object_get (request, "group")), seed->name));
    else if (make[len + 1] == '\0')
        set_id (request, field, maitre_id_derive (time_ms, NULL, seed->name));
    else if (find_id (request, make + len + 1, &parent))
        set_id (request, field, maitre_id_derive (time_ms, &parent, seed->name));
}

/* The request in CBOR, in memory that the caller frees; NULL after a complaint. Sets the request id of a write. */
static uint8_t *encode (const struct cli *cli, const struct method *method, json_t *request, const struct seed *seed,
    size_t *len, struct maitre_id *request_id)
{
    const struct codec_type *type = method->request;
    size_t room_size = (size_t) type->arena_max * 2 + type->size + 65536;
    uint8_t *room = malloc (room_size), *out = malloc ((size_t) type->encoded_max);
    struct json_value_error error = {""};
    struct codec_error why = {"", ""};
    struct arena arena;
    enum status status = STATUS_RESOURCE_EXHAUSTED;
    if (room != NULL && out != NULL) {
        arena_init (&arena, room, room_size);
        void *value = arena_alloc (&arena, type->size);
        status = json_value_to (type, request, &arena, value, &error);
        if (status == STATUS_OK) {
            status = codec_encode_explained (type, value, out, (size_t) type->encoded_max, len, &why);
            snprintf (error.text, sizeof error.text, "%s %s", why.path, why.message);
        }
        uint32_t hash = 0;
        if (status == STATUS_OK && !cli->has_request_id &&
            (method->route == ROUTE_NONE || method_routing_hash (method, value, &hash) == STATUS_OK)) {
            struct id id = id_make (id_time_ms (&seed->base), hash, bytes_get_u64 (seed->base.b + 8));
            *request_id = cli_id_out (&id);
        }
    }
    free (room);
    if (status == STATUS_OK)
        return out;
    free (out);
    cli_complain (CLI_USAGE, "%s: %s; see --help", method->name, error.text[0] != '\0' ? error.text : "no memory");
    return NULL;
}

/* The decoded reply as JSON; NULL when it is none. */
static json_t *decode (const struct method *method, const struct maitre_reply *reply)
{
    const struct codec_type *type = method->reply;
    size_t room_size = (size_t) type->arena_max + type->size + 64;
    uint8_t *room = malloc (room_size);
    struct arena arena;
    json_t *object = NULL;
    if (room != NULL) {
        arena_init (&arena, room, room_size);
        void *value = arena_alloc (&arena, type->size);
        if (codec_decode (type, bytes_of (reply->body.data, reply->body.len), CODEC_LENIENT, &arena, value, NULL) ==
            STATUS_OK)
            object = json_value_from (type, value);
    }
    free (room);
    return object;
}

static void add_page (json_t *all, json_t *page)
{
    const char *name;
    json_t *value;
    json_object_foreach (page, name, value)
    {
        json_t *have = json_object_get (all, name);
        if (json_is_array (have) && json_is_array (value))
            json_array_extend (have, value);
        else
            json_object_set (all, name, value);
    }
}

/* What a health question answers decides the exit code too. */
static int verdict (const struct method *method, const json_t *reply)
{
    if (method->number == METHOD_NUMBER_CLUSTER_STATUS)
        return json_is_true (json_object_get (reply, "healthy")) ? CLI_OK : CLI_FAILED;
    if (method->number == METHOD_NUMBER_HEALTH_CHECK) {
        const char *status = json_string_value (json_object_get (reply, "status"));
        return status != NULL && strcmp (status, "serving") == 0 ? CLI_OK : CLI_FAILED;
    }
    return CLI_OK;
}

static int show (const struct cli *cli, const struct method *method, json_t *object, bool replayed,
    const struct maitre_id *request_id)
{
    bool write = method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
    int code = verdict (method, object);
    if (write)
        set_id (object, "request_id", *request_id);
    if (replayed)
        json_object_set_new (object, "replayed", json_true ());
    if (cli->json) {
        cli_print_json (object);
        return code;
    }
    cli_print_people (object);
    const char *token = json_string_value (json_object_get (object, "access_token"));
    if (token != NULL)
        printf ("\nto use it: export MAITRE_TOKEN=%s\n", token);
    json_decref (object);
    return code;
}

/* One call; *object is its reply. Returns the exit code. */
static int call_once (const struct cli *cli, struct maitre *client, const struct method *method, json_t *request,
    const struct seed *seed, json_t **object, bool *replayed, struct maitre_id *request_id)
{
    size_t len = 0;
    struct maitre_reply *reply = NULL;
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.node = cli->node;
    if (cli->has_request_id)
        options.request_id = cli->request_id;
    uint8_t *body = encode (cli, method, request, seed, &len, &options.request_id);
    *object = NULL;
    *request_id = options.request_id;
    if (body == NULL)
        return CLI_USAGE;
    enum maitre_status status = maitre_call (client, method->name, (struct maitre_bytes){body, len}, &options, &reply);
    free (body);
    int code = CLI_OK;
    if (status != MAITRE_OK)
        code = cli_failed (cli, maitre_error (client));
    else if ((*object = decode (method, reply)) == NULL)
        code = cli_complain (CLI_FAILED, "the reply of %s is not understood; is the cluster newer?", method->name);
    *replayed = reply != NULL && reply->replayed;
    maitre_reply_destroy (&reply);
    return code;
}

int cli_invoke (struct cli *cli, const struct method *method, json_t *request, const char *make, bool all)
{
    int code = CLI_OK;
    if (method->number == METHOD_NUMBER_CLUSTER_INJECT_FAULT && cli->node == 0) /* only that node itself takes it */
        cli->node = (uint32_t) json_integer_value (json_object_get (request, "node"));
    struct maitre *client = cli_client (cli, 16, &code);
    if (client != NULL) {
        struct seed seed = make_seed (cli, client);
        if (make != NULL)
            make_id (request, make, &seed);
        json_t *object = NULL, *pages = NULL;
        bool replayed = false;
        struct maitre_id request_id;
        for (int page = 0; page < RUN_PAGES_MAX; page++) {
            code = call_once (cli, client, method, request, &seed, &object, &replayed, &request_id);
            json_t *token = code == CLI_OK && all ? json_object_get (object, "page_token") : NULL;
            if (token == NULL || json_string_length (token) == 0)
                break;
            json_object_set (request, "page_token", token);
            json_object_del (object, "page_token");
            if (pages == NULL)
                pages = json_object ();
            add_page (pages, object);
            json_decref (object);
        }
        if (code == CLI_OK && pages != NULL) {
            add_page (pages, object);
            json_decref (object);
            object = json_incref (pages);
        }
        if (code == CLI_OK)
            code = show (cli, method, object, replayed, &request_id);
        json_decref (pages);
        maitre_destroy (&client);
    }
    json_decref (request);
    return code;
}

/* The verb that the words begin with; *used is how many words its name took. */
static const struct verb *find_verb (const struct cli *cli, const char *group, int *used)
{
    char two[64] = "";
    if (cli->argc >= 2)
        snprintf (two, sizeof two, "%s %s", cli->argv[0], cli->argv[1]);
    for (size_t i = 0; i < verbs_count; i++) {
        if (strcmp (verbs[i].group, group) != 0)
            continue;
        *used = strchr (verbs[i].name, ' ') != NULL ? 2 : 1;
        if (strcmp (verbs[i].name, *used == 2 ? two : cli->argv[0]) == 0)
            return &verbs[i];
    }
    return NULL;
}

/* Takes the word's field off the list; a last field with "..." stays. NULL: no field is left for a plain word. */
static const char *next_word (const char **words, char name[64])
{
    size_t len = strcspn (*words, " ");
    if (len == 0 || len >= 64)
        return NULL;
    snprintf (name, 64, "%.*s", (int) len, *words);
    if (len > 3 && strcmp (name + len - 3, "...") == 0)
        name[len - 3] = '\0';
    else
        *words += len + ((*words)[len] != '\0');
    return name;
}

static bool fill_request (struct cli *cli, const struct verb *verb, json_t *request)
{
    const struct codec_type *type = method_by_number (verb->method)->request;
    const char *words = verb->words;
    struct json_value_error error;
    for (int i = 0; i < cli->argc; i++) {
        char name[64];
        const char *word = cli->argv[i], *value = word;
        if (strncmp (word, "--", 2) == 0) {
            size_t len = strcspn (word + 2, "=");
            snprintf (name, sizeof name, "%.*s", (int) len, word + 2);
            const struct codec_field *field = json_value_field (type, name);
            if (word[2 + len] == '=')
                value = word + 3 + len;
            else if (field != NULL && field->kind == CODEC_BOOL)
                value = "true";
            else if (field != NULL && i + 1 >= cli->argc) {
                cli_complain (CLI_USAGE, "%s needs a value; see --help", word);
                return false;
            } else if (field != NULL)
                value = cli->argv[++i];
        } else if (next_word (&words, name) == NULL) {
            cli_complain (CLI_USAGE, "%s is one word too many; see maitre %s %s --help", word, verb->group, verb->name);
            return false;
        }
        if (!json_value_set (type, request, name, value, &error)) {
            cli_complain (CLI_USAGE, "%s", error.text);
            return false;
        }
    }
    return true;
}

/* One line of standard input into a field. */
static bool read_secret (json_t *request, const char *field)
{
    char line[512];
    if (fgets (line, sizeof line, stdin) == NULL) {
        cli_complain (CLI_USAGE, "there is no %s on standard input; pipe it in, on a line of its own", field);
        return false;
    }
    line[strcspn (line, "\r\n")] = '\0';
    json_object_set_new (request, field, json_string (line));
    return true;
}

static bool read_password (const struct codec_type *type, json_t *request)
{
    if (codec_field_by_name (type, BYTES_LITERAL ("old_password")) != NULL)
        return read_secret (request, "old_password") && read_secret (request, "new_password");
    if (codec_field_by_name (type, BYTES_LITERAL ("password")) != NULL)
        return read_secret (request, "password");
    cli_complain (CLI_USAGE, "--password-stdin is no option here; see --help");
    return false;
}

int cli_verb (struct cli *cli, const char *group)
{
    int used = 1;
    if (cli->argc == 0) {
        cli_help_group (group, !cli->help);
        return cli->help ? CLI_OK : CLI_USAGE;
    }
    const struct verb *verb = find_verb (cli, group, &used);
    if (verb == NULL)
        return cli_complain (CLI_USAGE, "%s has no verb %s; see maitre %s --help", group, cli->argv[0], group);
    cli->argv += used;
    cli->argc -= used;
    if (cli->help) {
        cli_help_verb (verb);
        return CLI_OK;
    }
    bool all = cli_take_flag (cli, "--all");
    bool from_stdin = cli_take_flag (cli, "--password-stdin");
    json_t *request = json_object ();
    if ((from_stdin && !read_password (method_by_number (verb->method)->request, request)) ||
        !fill_request (cli, verb, request)) {
        json_decref (request);
        return CLI_USAGE;
    }
    return cli_invoke (cli, method_by_number (verb->method), request, verb->make, all);
}

int cli_call (struct cli *cli)
{
    if (cli->argc > 0 && strcmp (cli->argv[0], "outcome") == 0)
        return cli_verb (cli, "call");
    if (cli->help || cli->argc < 1 || cli->argc > 2) {
        fprintf (cli->help ? stdout : stderr,
            "maitre call METHOD [JSON]        calls any method; - reads the JSON from standard input\n"
            "maitre call outcome REQUEST_ID   what became of a write\n\n"
            "Example: maitre call avail.ListFree '{\"offer\":\"018f...\",\"limit\":5}'\n"
            "maitre methods lists the methods; their fields stand in schemas/*.cddl.\n");
        return cli->help ? CLI_OK : CLI_USAGE;
    }
    const struct method *method = method_by_name (bytes_text (cli->argv[0]));
    if (method == NULL)
        return cli_complain (CLI_USAGE, "there is no method %s; see maitre methods", cli->argv[0]);
    json_error_t error;
    json_t *request;
    if (cli->argc < 2)
        request = json_object ();
    else if (strcmp (cli->argv[1], "-") == 0)
        request = json_loadf (stdin, JSON_REJECT_DUPLICATES, &error);
    else
        request = json_loads (cli->argv[1], JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object (request)) {
        json_decref (request);
        return cli_complain (CLI_USAGE, "the request is no JSON object: %s; quote it: '{\"field\":1}'",
            request == NULL ? error.text : "it is another value");
    }
    return cli_invoke (cli, method, request, NULL, false);
}

int cli_methods (struct cli *cli)
{
    static const char *const classes[] = {"write", "read", "local", "system-read", "system-write", "fanout"};
    json_t *rows = json_array ();
    for (size_t i = 0; i < METHOD_COUNT; i++)
        json_array_append_new (
            rows, json_pack ("{s:s, s:i, s:s, s:s, s:s, s:s}", "name", methods[i].name, "number",
                      (int) methods[i].number, "class", classes[methods[i].class], "request", methods[i].request->name,
                      "reply", methods[i].reply->name, "routed_by", methods[i].route_path));
    json_t *object = json_pack ("{s:o}", "methods", rows);
    if (cli->json) {
        cli_print_json (object);
    } else {
        cli_print_people (object);
        json_decref (object);
    }
    return CLI_OK;
}
