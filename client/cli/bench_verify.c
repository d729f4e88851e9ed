/* The log of what was acknowledged, and its final read-back: nothing may be missing, no slot given twice.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/cli/bench.h"

#define VERIFY_WINDOW 256
#define VERIFY_DEADLINE_MS 20000

struct booking {
    struct id reservation;
    uint8_t items_count;
    struct slot {
        struct id offer;
        uint64_t bucket;
    } items[2];
};

struct verify {
    const struct cli *cli;
    struct maitre *client;
    struct booking *bookings;
    size_t count, room, next, done;
    uint64_t found, missing, wrong, unreadable;
};

struct verify_call {
    struct verify *verify;
    size_t at;
};

void bench_log (struct bench *bench, const struct bench_client *client)
{
    char reservation[ID_TEXT_LEN + 1], first[ID_TEXT_LEN + 1], second[ID_TEXT_LEN + 1];
    id_format (&client->reservation, reservation);
    id_format (&client->items[0].offer, first);
    if (client->items_count == 1) {
        fprintf (bench->log, "{\"reservation\":\"%s\",\"items\":[[\"%s\",%llu]]}\n", reservation, first,
            (unsigned long long) client->items[0].first);
        return;
    }
    id_format (&client->items[1].offer, second);
    fprintf (bench->log, "{\"reservation\":\"%s\",\"items\":[[\"%s\",%llu],[\"%s\",%llu]]}\n", reservation, first,
        (unsigned long long) client->items[0].first, second, (unsigned long long) client->items[1].first);
}

static bool parse_line (const char *line, struct booking *booking)
{
    json_t *object = json_loads (line, 0, NULL), *items = NULL;
    const char *reservation = NULL;
    bool fine = object != NULL &&
                json_unpack (object, "{s:s, s:o}", "reservation", &reservation, "items", &items) == 0 &&
                id_parse (bytes_text (reservation), &booking->reservation) == STATUS_OK && json_is_array (items) &&
                json_array_size (items) >= 1 && json_array_size (items) <= 2;
    booking->items_count = 0;
    for (size_t i = 0; fine && i < json_array_size (items); i++) {
        const char *offer = NULL;
        json_int_t bucket = 0;
        struct slot *slot = &booking->items[booking->items_count++];
        fine = json_unpack (json_array_get (items, i), "[s, I]", &offer, &bucket) == 0 && bucket >= 0 &&
               id_parse (bytes_text (offer), &slot->offer) == STATUS_OK;
        slot->bucket = (uint64_t) bucket;
    }
    json_decref (object);
    return fine;
}

static int load (struct verify *verify, const char *path)
{
    FILE *file = fopen (path, "re");
    if (file == NULL)
        return cli_complain (CLI_USAGE, "cannot read %s: %s; give the file that --log wrote", path, strerror (errno));
    char line[512];
    int code = CLI_OK;
    while (code == CLI_OK && fgets (line, sizeof line, file) != NULL) {
        if (strchr (line, '\n') == NULL)
            break; /* the bench was killed while it wrote this line */
        if (verify->count == verify->room) {
            size_t room = verify->room == 0 ? 4096 : verify->room * 2;
            struct booking *larger = realloc (verify->bookings, room * sizeof *larger);
            if (larger == NULL) {
                code = cli_complain (CLI_FAILED, "no memory for the log");
                break;
            }
            verify->bookings = larger;
            verify->room = room;
        }
        if (parse_line (line, &verify->bookings[verify->count]))
            verify->count++;
        else
            code = cli_complain (
                CLI_USAGE, "line %zu of %s is not from a bench --log; give another file", verify->count + 1, path);
    }
    fclose (file);
    return code;
}

static bool same_booking (const struct booking *booking, const struct reservation *stored)
{
    if (stored->state != RESERVE_STATE_CONFIRMED || stored->items_count != booking->items_count)
        return false;
    for (size_t i = 0; i < stored->items_count; i++)
        if (!id_equal (&stored->items[i].offer, &booking->items[i].offer) ||
            stored->items[i].first != booking->items[i].bucket)
            return false;
    return true;
}

static void compare (struct verify *verify, const struct booking *booking, const struct maitre_reply *reply)
{
    uint8_t room[RESERVE_GET_REPLY_ARENA_MAX + 64];
    struct arena arena;
    struct reserve_get_reply value;
    arena_init (&arena, room, sizeof room);
    if (reply->status == MAITRE_NOT_FOUND)
        verify->missing++;
    else if (reply->status != MAITRE_OK ||
             codec_decode (&reserve_get_reply_type, bytes_of (reply->body.data, reply->body.len), CODEC_LENIENT, &arena,
                 &value, NULL) != STATUS_OK)
        verify->unreadable++;
    else if (same_booking (booking, &value.reservation))
        verify->found++;
    else
        verify->wrong++;
}

static void read_more (struct verify *verify);

static void read_back (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    struct verify_call *own = user;
    struct verify *verify = own->verify;
    verify->done++;
    compare (verify, &verify->bookings[own->at], reply);
    free (own);
    read_more (verify);
}

static void read_more (struct verify *verify)
{
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = verify->cli->timeout_ms != 0 ? verify->cli->timeout_ms : VERIFY_DEADLINE_MS;
    while (verify->next < verify->count && verify->next - verify->done < VERIFY_WINDOW) {
        struct verify_call *own = malloc (sizeof *own);
        struct reserve_get_request request = {.reservation = verify->bookings[verify->next].reservation};
        if (own != NULL)
            *own = (struct verify_call){.verify = verify, .at = verify->next};
        verify->next++;
        if (own == NULL ||
            cli_start (verify->client, METHOD_NUMBER_RESERVE_GET, &request, &options, read_back, own) != MAITRE_OK) {
            free (own);
            verify->done++;
            verify->unreadable++;
        }
    }
}

static int by_slot (const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    int order = id_compare (&x->offer, &y->offer);
    if (order != 0)
        return order;
    return x->bucket < y->bucket ? -1 : x->bucket > y->bucket;
}

/* Offers of a bench have a capacity of one: two acknowledged bookings of one slot are one too many. */
static bool count_twice (const struct verify *verify, uint64_t *twice)
{
    size_t count = 0;
    struct slot *slots = malloc ((verify->count * 2 + 1) * sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < verify->count; i++)
        for (size_t k = 0; k < verify->bookings[i].items_count; k++)
            slots[count++] = verify->bookings[i].items[k];
    qsort (slots, count, sizeof *slots, by_slot);
    *twice = 0;
    for (size_t i = 1; i < count; i++)
        *twice += by_slot (&slots[i - 1], &slots[i]) == 0 ? 1 : 0;
    free (slots);
    return true;
}

int bench_verify (struct cli *cli)
{
    if (cli->argc != 2)
        return cli_complain (CLI_USAGE, "bench verify takes one file, the one that bench --log wrote");
    struct verify verify = {.cli = cli};
    uint64_t twice = 0;
    int code = load (&verify, cli->argv[1]);
    if (code == CLI_OK && !count_twice (&verify, &twice))
        code = cli_complain (CLI_FAILED, "no memory for the log");
    if (code == CLI_OK)
        verify.client = cli_client (cli, VERIFY_WINDOW * 2, &code);
    if (code == CLI_OK) {
        read_more (&verify);
        while (verify.done < verify.count)
            maitre_process (verify.client, 1000);
        json_t *object = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I}", "acknowledged", (json_int_t) verify.count,
            "found", (json_int_t) verify.found, "missing", (json_int_t) verify.missing, "wrong",
            (json_int_t) verify.wrong, "given_twice", (json_int_t) twice, "unreadable", (json_int_t) verify.unreadable);
        if (verify.missing + verify.wrong + twice > 0)
            code = CLI_VIOLATION;
        else if (verify.unreadable > 0)
            code = CLI_UNAVAILABLE;
        if (cli->json) {
            cli_print_json (object);
        } else {
            cli_print_people (object);
            json_decref (object);
        }
    }
    maitre_destroy (&verify.client);
    free (verify.bookings);
    return code;
}
