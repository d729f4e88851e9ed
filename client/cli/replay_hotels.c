/* A booking a row, and its cancellation on the day when it was made.
 *
 * Counters belong to an offer, a (hotel, room type): each offer is a stream of its own in which the order holds, and the
 * streams run side by side.
 */
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/replay.h"

#define HOTELS_OFFERS_MAX 256
#define HOTELS_HOTELS_MAX 64
#define HOTELS_NAME_MAX 64
#define HOTELS_PAUSE_MS 20
#define HOTELS_HEADER "booked_on,arrival,nights,hotel,room_type,adults,children,daily_rate,final_status,final_status_on"
#define CAPACITY_HEADER "hotel,room_type,rooms"

/* Within a day: cancellations of earlier bookings, bookings, cancellations of that day's bookings. */
enum phase { CANCEL_EARLIER, CREATE, CANCEL_SAME_DAY };

struct event {
    long day;
    enum phase phase;
    uint32_t row;
};

struct row {
    long arrival;
    uint32_t nights;
    uint32_t offer;
    bool booked;
    bool cancelled;
};

struct offer_stream {
    struct hotels *hotels;
    char hotel[HOTELS_NAME_MAX], type[HOTELS_NAME_MAX];
    uint32_t hotel_index, rooms;
    struct id offer;
    struct event *events;
    size_t count, room, next;
    bool paused;
    uint32_t *taken, peak; /* per night from hotels->first_night */
};

struct hotels {
    struct replay replay;
    char names[HOTELS_HOTELS_MAX][HOTELS_NAME_MAX];
    struct id providers[HOTELS_HOTELS_MAX];
    uint32_t hotel_count, stream_count;
    struct offer_stream streams[HOTELS_OFFERS_MAX];
    struct row *rows;
    size_t row_count, row_room;
    long first_night, last_night;
    uint64_t skipped_zero_nights, created, refused_sold_out, cancelled, cancel_skipped, nights_held;
};

static void run_next (struct offer_stream *stream);

static uint32_t find_hotel (struct hotels *hotels, const char *name)
{
    uint32_t at = 0;
    while (at < hotels->hotel_count && strcmp (hotels->names[at], name) != 0)
        at++;
    if (at == hotels->hotel_count) {
        if (at == HOTELS_HOTELS_MAX || strlen (name) >= HOTELS_NAME_MAX || name[0] == '\0')
            return UINT32_MAX;
        snprintf (hotels->names[hotels->hotel_count++], HOTELS_NAME_MAX, "%s", name);
    }
    return at;
}

static uint32_t find_stream (struct hotels *hotels, const char *hotel, const char *type)
{
    uint32_t at = 0;
    while (at < hotels->stream_count &&
           (strcmp (hotels->streams[at].hotel, hotel) != 0 || strcmp (hotels->streams[at].type, type) != 0))
        at++;
    if (at == hotels->stream_count) {
        uint32_t index = find_hotel (hotels, hotel);
        if (at == HOTELS_OFFERS_MAX || index == UINT32_MAX || strlen (type) >= HOTELS_NAME_MAX || type[0] == '\0')
            return UINT32_MAX;
        struct offer_stream *stream = &hotels->streams[hotels->stream_count++];
        stream->hotels = hotels;
        stream->hotel_index = index;
        snprintf (stream->hotel, sizeof stream->hotel, "%s", hotel);
        snprintf (stream->type, sizeof stream->type, "%s", type);
    }
    return at;
}

static bool add_event (struct offer_stream *stream, long day, enum phase phase, uint32_t row)
{
    if (stream->count == stream->room) {
        size_t room = stream->room == 0 ? 64 : stream->room * 2;
        struct event *larger = realloc (stream->events, room * sizeof *larger);
        if (larger == NULL)
            return false;
        stream->events = larger;
        stream->room = room;
    }
    stream->events[stream->count++] = (struct event){.day = day, .phase = phase, .row = row};
    return true;
}

static int add_row (struct hotels *hotels, const struct replay_csv *csv)
{
    long booked_on = replay_days (csv->fields[0]), arrival = replay_days (csv->fields[1]);
    long final_on = replay_days (csv->fields[9]);
    char *end;
    unsigned long nights = strtoul (csv->fields[2], &end, 10);
    uint32_t offer = find_stream (hotels, csv->fields[3], csv->fields[4]);
    bool cancels = strcmp (csv->fields[8], "Canceled") == 0;
    if (booked_on < 0 || arrival < 0 || *end != '\0' || nights > 366 || (cancels && final_on < 0))
        return replay_csv_bad (csv, "a date or the nights are wrong");
    if (offer == UINT32_MAX)
        return replay_csv_bad (csv, "too many hotels or room types, or a name that is empty or too long");
    if (hotels->row_count == hotels->row_room) {
        size_t room = hotels->row_room == 0 ? 4096 : hotels->row_room * 2;
        struct row *larger = realloc (hotels->rows, room * sizeof *larger);
        if (larger == NULL)
            return cli_complain (CLI_FAILED, "no memory for the rows");
        hotels->rows = larger;
        hotels->row_room = room;
    }
    uint32_t row = (uint32_t) hotels->row_count;
    hotels->rows[hotels->row_count++] = (struct row){.arrival = arrival, .nights = (uint32_t) nights, .offer = offer};
    if (nights == 0) {
        hotels->skipped_zero_nights++;
        return CLI_OK;
    }
    if (hotels->first_night == 0 || arrival < hotels->first_night)
        hotels->first_night = arrival;
    if (arrival + (long) nights - 1 > hotels->last_night)
        hotels->last_night = arrival + (long) nights - 1;
    struct offer_stream *stream = &hotels->streams[offer];
    bool fine = add_event (stream, booked_on, CREATE, row);
    if (fine && cancels)
        fine = final_on > booked_on ? add_event (stream, final_on, CANCEL_EARLIER, row)
                                    : add_event (stream, booked_on, CANCEL_SAME_DAY, row);
    return fine ? CLI_OK : cli_complain (CLI_FAILED, "no memory for the events");
}

static int by_order (const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    if (x->phase != y->phase)
        return x->phase < y->phase ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int load (struct hotels *hotels, const char *path, const char *capacity_path)
{
    struct replay_csv csv;
    int code = CLI_OK, got;
    if (!replay_csv_open (&csv, path, HOTELS_HEADER))
        return CLI_USAGE;
    while (code == CLI_OK && (got = replay_csv_next (&csv, 10)) != 0)
        code = got < 0 ? CLI_USAGE : add_row (hotels, &csv);
    fclose (csv.file);
    if (code != CLI_OK)
        return code;
    if (!replay_csv_open (&csv, capacity_path, CAPACITY_HEADER))
        return CLI_USAGE;
    while (code == CLI_OK && (got = replay_csv_next (&csv, 3)) != 0) {
        char *end;
        unsigned long rooms = got > 0 ? strtoul (csv.fields[2], &end, 10) : 0;
        if (got < 0)
            code = CLI_USAGE;
        else if (*end != '\0' || end == csv.fields[2] || rooms > UINT32_MAX)
            code = replay_csv_bad (&csv, "the number of rooms is wrong");
        else if ((got = (int) find_stream (hotels, csv.fields[0], csv.fields[1])) >= 0)
            hotels->streams[got].rooms = (uint32_t) rooms;
        else
            code = replay_csv_bad (&csv, "too many hotels or room types");
    }
    fclose (csv.file);
    if (code == CLI_OK && hotels->row_count == 0)
        code = cli_complain (CLI_USAGE, "%s has no rows", path);
    return code;
}

static bool prepare_streams (struct hotels *hotels)
{
    size_t nights = (size_t) (hotels->last_night - hotels->first_night + 1);
    for (uint32_t i = 0; i < hotels->stream_count; i++) {
        struct offer_stream *stream = &hotels->streams[i];
        if (stream->count > 0)
            qsort (stream->events, stream->count, sizeof *stream->events, by_order);
        stream->taken = calloc (nights, sizeof *stream->taken);
        if (stream->taken == NULL)
            return false;
        hotels->replay.total += stream->count;
    }
    return true;
}

static void put_all (struct hotels *hotels)
{
    struct replay *replay = &hotels->replay;
    char name[REPLAY_NAME_MAX];
    for (uint32_t i = 0; i < hotels->hotel_count; i++) {
        hotels->providers[i] = replay_provider_id (replay, hotels->names[i]);
        struct put_provider_request request = {
            .provider = hotels->providers[i], .kind = PROVIDER_KIND_HOTEL, .name = bytes_text (hotels->names[i])};
        snprintf (name, sizeof name, "provider %s", hotels->names[i]);
        if (i > 0 &&
            !replay_must (replay, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &request, &hotels->providers[i], name, NULL))
            return;
    }
    for (uint32_t i = 0; i < hotels->stream_count; i++) {
        struct offer_stream *stream = &hotels->streams[i];
        const struct id *provider = &hotels->providers[stream->hotel_index];
        stream->offer = replay_id (replay, provider, "offer/%s/%s", stream->hotel, stream->type);
        struct put_offer_request request = {.offer = stream->offer,
            .provider = *provider,
            .kind = OFFER_KIND_ROOM,
            .name = bytes_text (stream->type),
            .price_minor = 10000,
            .currency = BYTES_LITERAL ("EUR"),
            .has_bucket_kind = true,
            .bucket_kind = BUCKET_KIND_NIGHT,
            .first_bucket = (uint64_t) hotels->first_night,
            .last_bucket = (uint64_t) hotels->last_night,
            .capacity = stream->rooms};
        snprintf (name, sizeof name, "offer %s/%s", stream->hotel, stream->type);
        if (!replay_must (replay, METHOD_NUMBER_CATALOG_PUT_OFFER, &request, provider, name, NULL))
            return;
    }
}

static void count_nights (struct offer_stream *stream, const struct row *row, int change)
{
    for (uint32_t i = 0; i < row->nights; i++) {
        uint32_t *taken = &stream->taken[row->arrival - stream->hotels->first_night + (long) i];
        *taken = (uint32_t) ((int) *taken + change);
        if (*taken > stream->peak)
            stream->peak = *taken;
    }
}

/* Takes in a decided answer; false when it ends the replay. */
static bool take_in (struct offer_stream *stream, const struct event *event, const struct maitre_reply *reply)
{
    struct hotels *hotels = stream->hotels;
    struct row *row = &hotels->rows[event->row];
    char what[64];
    if (event->phase == CREATE && reply->status == MAITRE_OK) {
        row->booked = true;
        hotels->created++;
        count_nights (stream, row, 1);
    } else if (event->phase == CREATE && strcmp (reply->reason, "SOLD_OUT") == 0) {
        hotels->refused_sold_out++;
    } else if (event->phase != CREATE && reply->status == MAITRE_OK) {
        row->cancelled = true;
        hotels->cancelled++;
        count_nights (stream, row, -1);
    } else {
        snprintf (what, sizeof what, "%s of row %u", event->phase == CREATE ? "the booking" : "the cancellation",
            event->row + 1);
        replay_fail (&hotels->replay, reply, what);
        return false;
    }
    return true;
}

static void answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    struct offer_stream *stream = user;
    if (!replay_decided (reply)) {
        stream->paused = true; /* the same again, from the main loop */
        return;
    }
    if (!take_in (stream, &stream->events[stream->next], reply))
        return;
    stream->next++;
    replay_progress (&stream->hotels->replay, reply);
    run_next (stream);
}

static void send_create (struct offer_stream *stream, uint32_t row_index)
{
    struct hotels *hotels = stream->hotels;
    struct replay *replay = &hotels->replay;
    const struct row *row = &hotels->rows[row_index];
    char name[REPLAY_NAME_MAX];
    struct reserve_item item = {
        .offer = stream->offer, .first = (uint64_t) row->arrival, .has_count = row->nights > 1, .count = row->nights};
    struct reserve_create_request request = {.reservation = replay_id (replay, &stream->offer, "row/%u", row_index),
        .mode = RESERVE_MODE_BOOK,
        .items = &item,
        .items_count = 1,
        .has_customer = true,
        .customer = replay_id (replay, NULL, "customer/%u", row_index)};
    snprintf (name, sizeof name, "create %u", row_index);
    if (replay_start (replay, METHOD_NUMBER_RESERVE_CREATE, &request, &stream->offer, name, answer, stream) !=
        MAITRE_OK)
        stream->paused = true;
}

static void send_cancel (struct offer_stream *stream, uint32_t row_index)
{
    struct replay *replay = &stream->hotels->replay;
    char name[REPLAY_NAME_MAX];
    struct reserve_cancel_request request = {.reservation = replay_id (replay, &stream->offer, "row/%u", row_index)};
    snprintf (name, sizeof name, "cancel %u", row_index);
    if (replay_start (replay, METHOD_NUMBER_RESERVE_CANCEL, &request, &stream->offer, name, answer, stream) !=
        MAITRE_OK)
        stream->paused = true;
}

static void run_next (struct offer_stream *stream)
{
    struct hotels *hotels = stream->hotels;
    stream->paused = false;
    while (stream->next < stream->count && hotels->replay.code == CLI_OK) {
        const struct event *event = &stream->events[stream->next];
        if (event->phase == CREATE) {
            send_create (stream, event->row);
            return;
        }
        if (hotels->rows[event->row].booked) {
            send_cancel (stream, event->row);
            return;
        }
        hotels->cancel_skipped++;
        hotels->replay.done++;
        stream->next++;
    }
}

static void run_all (struct hotels *hotels)
{
    struct replay *replay = &hotels->replay;
    for (uint32_t i = 0; i < hotels->stream_count; i++)
        run_next (&hotels->streams[i]);
    for (bool paused = false; replay->code == CLI_OK;) {
        if (maitre_outstanding (replay->client) == 0 && !paused)
            break;
        if (maitre_outstanding (replay->client) > 0)
            maitre_process (replay->client, HOTELS_PAUSE_MS);
        else
            usleep (HOTELS_PAUSE_MS * 1000);
        paused = false;
        for (uint32_t i = 0; i < hotels->stream_count && replay->code == CLI_OK; i++)
            if (hotels->streams[i].paused && !replay_out_of_patience (replay))
                run_next (&hotels->streams[i]);
        for (uint32_t i = 0; i < hotels->stream_count; i++)
            paused = paused || hotels->streams[i].paused;
    }
    while (maitre_outstanding (replay->client) > 0)
        maitre_process (replay->client, -1);
}

static void report (struct hotels *hotels)
{
    json_t *peak = json_object ();
    for (size_t i = 0; i < hotels->row_count; i++)
        if (hotels->rows[i].booked && !hotels->rows[i].cancelled)
            hotels->nights_held += hotels->rows[i].nights;
    for (uint32_t i = 0; i < hotels->stream_count; i++) {
        char name[HOTELS_NAME_MAX * 2];
        snprintf (name, sizeof name, "%s/%s", hotels->streams[i].hotel, hotels->streams[i].type);
        if (hotels->streams[i].peak > 0)
            json_object_set_new (peak, name, json_integer (hotels->streams[i].peak));
    }
    json_t *object =
        json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:I}", "rows", (json_int_t) hotels->row_count,
            "skipped_zero_nights", (json_int_t) hotels->skipped_zero_nights, "created", (json_int_t) hotels->created,
            "refused_sold_out", (json_int_t) hotels->refused_sold_out, "cancelled", (json_int_t) hotels->cancelled,
            "cancel_skipped", (json_int_t) hotels->cancel_skipped, "room_nights_held", (json_int_t) hotels->nights_held,
            "peak", peak, "run_id", hotels->replay.run_id, "replayed", (json_int_t) hotels->replay.replayed);
    if (hotels->replay.cli->json) {
        cli_print_json (object);
    } else {
        cli_print_people (object);
        json_decref (object);
    }
}

int replay_hotels (struct cli *cli)
{
    bool bad = false;
    struct hotels *hotels = calloc (1, sizeof *hotels);
    const char *capacity = cli_take (cli, "--capacity", &bad);
    if (hotels == NULL)
        return cli_complain (CLI_FAILED, "no memory");
    const char *path = bad ? NULL : replay_options (&hotels->replay, cli);
    int code = path == NULL ? CLI_USAGE : CLI_OK;
    if (code == CLI_OK && capacity == NULL)
        code = cli_complain (CLI_USAGE, "replay hotels needs --capacity FILE; see maitre replay --help");
    if (code == CLI_OK)
        code = load (hotels, path, capacity);
    if (code == CLI_OK && !prepare_streams (hotels))
        code = cli_complain (CLI_FAILED, "no memory");
    if (code == CLI_OK)
        code = replay_open (&hotels->replay, hotels->names[0], PROVIDER_KIND_HOTEL);
    if (code == CLI_OK) {
        put_all (hotels);
        run_all (hotels);
        code = hotels->replay.code;
    }
    if (code == CLI_OK)
        report (hotels);
    replay_close (&hotels->replay);
    for (uint32_t i = 0; i < hotels->stream_count; i++) {
        free (hotels->streams[i].events);
        free (hotels->streams[i].taken);
    }
    free (hotels->rows);
    free (hotels);
    return code;
}
