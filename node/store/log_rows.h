/* The rows that are left of a damaged log: which of them count.
 *
 * Room: node/store, private, pure. Ownership: log_rows_close frees the marks. Thread safety: none.
 *
 * Without its index nobody knows which of the log's files are current and in which order, and a lost block may have held the
 * newest of several marks. So what is gathered may mix what stood in the log at different times. That is safe, because each row
 * is a fact that stays true, and because whoever uses them doubts all of them (STORE_SALVAGED_END: a hole in front of all
 * turns and one behind them):
 *   turns     never change once written, and carry their number. One that had been dropped stands again; 'm' tells, or it is
 *             read as what it was: history. One that is lost leaves a gap in the numbers: a hole (registry.h)
 *   'h'       a term only grows: the highest one counts. One that is lost may be one in which a vote was given: suspects
 *   'c', 'g'  a cut, with its term and configuration, is committed history. An older one needs entries that may be gone: then
 *             the replica's log does not reach its cut, or its state not the log, and it starts over
 *   'x'       once removed, removed for ever: what else is there of that replica is dropped
 */
#ifndef MAITRED_NODE_STORE_LOG_ROWS_H
#define MAITRED_NODE_STORE_LOG_ROWS_H

#include "node/store/store_log.h"

struct log_rows_mark {
    uint8_t key[16], key_len;
    uint64_t sequence;
    uint8_t *value;
    size_t value_len;
};

/* Who gets the rows. */
typedef void log_rows_put (void *argument, struct bytes key, struct bytes value);

struct log_rows {
    log_rows_put *put;
    void *argument;
    struct log_rows_mark *marks; /* by key */
    size_t count, room;
    uint64_t turns, turn_first; /* rows of turns; the lowest number */
    bool memory_out;
};

/* Takes a row: turns go on at once, marks wait. False: it is no whole row of a log. */
bool log_rows_take (struct log_rows *rows, struct bytes key, struct bytes value, uint64_t sequence);

/* Takes the puts of a RocksDB WriteBatch, header included. */
void log_rows_take_batch (struct log_rows *rows, struct bytes batch);

/* Whether a mark's value counts more than another one's; for 'c' the higher cut. */
bool log_rows_newer (struct bytes key, struct bytes value, struct bytes other);

/* Puts all marks, as they are. */
void log_rows_each_mark (struct log_rows *rows);

/* Puts the marks that count. */
void log_rows_finish (struct log_rows *rows);

void log_rows_close (struct log_rows *rows);

#endif
