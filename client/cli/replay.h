/* maitre replay: recorded bookings and orders, sent again in the order in which they were made.
 *
 * Room: client/cli. Everything that is sent derives from the run id and the row, and the time of the run's first start,
 * which stands in the description of its first provider: a replay that is started again under the same run id repeats
 * itself word for word, is answered with the stored outcomes, and so ends with the same counts. Thread safety: one
 * thread.
 */
#ifndef MAITRE_REPLAY_H
#define MAITRE_REPLAY_H

#include <stdio.h>

#include "client/cli/cli.h"

#define REPLAY_RUN_ID_MAX 64
#define REPLAY_FIELDS_MAX 12
#define REPLAY_NAME_MAX 160
#define REPLAY_BODY_MAX 512 /* replies that are waited for are small: put_reply, order_reply */

struct replay {
    const struct cli *cli;
    struct maitre *client;
    char run_id[REPLAY_RUN_ID_MAX + 1];
    uint64_t started_ms; /* of the first start under this run id, by the client's clock */
    uint64_t patience_ms;
    uint64_t progress_ms; /* monotonic: when something was last decided */
    uint64_t shown_ms, done, total;
    uint64_t replayed;
    bool terminal;
    int code; /* the first failure */
};

/* A CSV file without quotes: lines into fields. */
struct replay_csv {
    FILE *file;
    const char *path;
    uint64_t line;
    char text[1024];
    char *fields[REPLAY_FIELDS_MAX];
};

/* Opens the file and checks its header line. False after a complaint. */
bool replay_csv_open (struct replay_csv *csv, const char *path, const char *header);
/* The next line's fields, their number as in the header: 1, 0 at the end, -1 after a complaint. */
int replay_csv_next (struct replay_csv *csv, int fields);
int replay_csv_bad (const struct replay_csv *csv, const char *what); /* complains, returns CLI_USAGE */
/* Days since 1970 of YYYY-MM-DD, -1 when it is no date. */
long replay_days (const char *text);

/* Takes --run-id and --patience, and the one word that is left: the file. NULL after a complaint. */
const char *replay_options (struct replay *replay, struct cli *cli);
/* Opens the handle and finds or makes the run: `name` becomes its first provider. Returns the exit code. */
int replay_open (struct replay *replay, const char *name, enum provider_kind kind);
void replay_close (struct replay *replay);

/* The id of a thing of this run, placed with parent (NULL: nowhere). */
struct id replay_id (const struct replay *replay, const struct id *parent, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));
struct id replay_provider_id (const struct replay *replay, const char *name);

/* True when the answer is an outcome, and not a reason to send the same again. */
bool replay_decided (const struct maitre_reply *reply);
/* Counts what was decided, and shows it on a terminal. */
void replay_progress (struct replay *replay, const struct maitre_reply *reply);
/* Nothing was decided for longer than the patience: sets and returns the exit code. */
bool replay_out_of_patience (struct replay *replay);
/* An answer that ends the replay. */
void replay_fail (struct replay *replay, const struct maitre_reply *reply, const char *what);

/* Starts a call under the request id of `name` in this run; parent's placement is the request's. */
enum maitre_status replay_start (struct replay *replay, uint32_t method_number, const void *request,
    const struct id *parent, const char *name, maitre_reply_fn *answer, void *user) WARN_UNUSED;
/* A decided answer in the caller's memory. */
struct replay_answer {
    struct replay *replay;
    bool done, decided;
    struct maitre_reply reply; /* its texts and body are here too */
    char reason[41], message[501];
    uint8_t body[REPLAY_BODY_MAX];
};

/* replay_start until it is decided. False: the replay has failed (replay->code). */
bool replay_call (struct replay *replay, uint32_t method_number, const void *request, const struct id *parent,
    const char *name, struct replay_answer *answer);
/* The same for what must succeed; false after a complaint. value (of the method's reply) must borrow nothing; it may be
 * NULL. */
bool replay_must (struct replay *replay, uint32_t method_number, const void *request, const struct id *parent,
    const char *name, void *value);

int replay_hotels (struct cli *cli);
int replay_orders (struct cli *cli);

#endif
