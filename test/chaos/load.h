/* chaos_load: clients that reach for the same few slots while a cluster is mistreated, and write down what they hear.
 *
 * Room: test/chaos, on libmaitre. Ownership: `struct load` owns its lanes, a lane its handles, clients and arenas.
 * Thread safety: one thread a lane; what lanes share is the writer and the names (each with a lock), the arenas handed over
 * under `handing`, and the atomics.
 *
 *   load_main.c    options, signals, the run          load_call.c     a call as a line and as a request
 *   load_lane.c    threads, phases, pace              load_answer.c   an answer as a line
 *   load_arena.c   providers and offers made ready    load_work.c     what a client of each workload does next
 *   load_names.c   ids to the names of the history    load_final.c    --final: asks for everything once more
 *
 * Invariants
 *   1. The invoke line is written before a call leaves, its answer's line after it came: the interval in the file holds the real
 *      one.
 *   2. A client has one call under way.
 *   3. A write is recorded as failed only if the error does not say maybe_applied.
 */
#ifndef MAITRED_TEST_CHAOS_LOAD_H
#define MAITRED_TEST_CHAOS_LOAD_H

#include <maitre.h>
#include <stdatomic.h>

#include "schemas/generated/catalog.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/order.h"
#include "schemas/generated/reserve.h"
#include "test/chaos/history.h"

#define LOAD_TEAM 8 /* clients of a lane, all in the same arena */
#define LOAD_HANDLES 2
#define LOAD_OFFERS_MAX 4
#define LOAD_CUSTOMERS_MAX 8
#define LOAD_THINGS 24
#define LOAD_RECENT 8
#define LOAD_DEBTS 64
#define LOAD_CALL_ITEMS 16
#define LOAD_NAME_MAX 24

enum load_workload { LOAD_SLOTS, LOAD_PAIRS, LOAD_ORDERS, LOAD_ONCE, LOAD_SET, LOAD_READS, LOAD_WORKLOADS };

struct load_offer {
    char name[LOAD_NAME_MAX];
    struct id id, provider;
    uint32_t first, last, capacity, limit;
};
struct load_customer {
    char name[LOAD_NAME_MAX];
    struct id id;
};
struct load_item {
    struct id offer, provider;
    uint32_t bucket, count, quantity;
};

/* One call, as it is written and sent. */
struct load_call {
    enum history_f f;
    enum load_workload workload;
    struct id request, of;     /* zero: none */
    struct id entity;          /* the reservation or order */
    struct id customer;        /* zero: none */
    bool of_order;             /* read, outcome: what it is about */
    enum history_f of_f;       /* outcome: what was asked for */
    uint8_t mode, event, note; /* note 0: none */
    uint32_t expect, capacity;
    struct load_item items[LOAD_CALL_ITEMS];
    uint32_t items_count;
    uint32_t node; /* 0: any */
    uint32_t deadline_ms;
    bool final;
};

/* An answer, as far as the next call may depend on it. */
struct load_answer {
    enum history_end end;
    bool of_order, not_found;
    unsigned state;
    uint64_t version;
};

/* A reservation or an order that an arena's clients know of. */
struct load_thing {
    struct id id, customer;
    bool of_order;
    unsigned state;
    uint64_t version;
};

struct load_arena {
    enum load_workload workload;
    uint32_t number;
    struct load_offer offers[LOAD_OFFERS_MAX];
    uint32_t offers_count;
    struct load_customer customers[LOAD_CUSTOMERS_MAX];
    uint32_t customers_count;
    uint32_t calls_left, sequence;
    struct load_thing things[LOAD_THINGS];
    uint32_t things_count; /* ever; the last LOAD_THINGS are kept */
    struct load_call recent[LOAD_RECENT];
    uint32_t recent_count;              /* ever */
    struct load_call debts[LOAD_DEBTS]; /* writes whose outcome is not known */
    uint32_t debts_count;
};

struct load;
struct load_lane;

struct load_client {
    struct load_lane *lane;
    struct maitre *handle;
    uint32_t number;
    bool busy;
    uint64_t due_ns, op;
    struct load_call call;
    struct load_arena *arena;
    uint32_t arena_number;
};

struct load_lane {
    struct load *load;
    struct maitre *handles[LOAD_HANDLES];
    struct load_client *clients;
    uint32_t number, clients_count;
    struct load_arena *arenas[LOAD_WORKLOADS]; /* in use */
    struct load_arena *next[LOAD_WORKLOADS];   /* made ready; guarded by load->handing */
    uint64_t random;
    /* The next call of a client; false: nothing to do now. */
    bool (*choose) (struct load_client *client, struct load_call *call);
    void (*learn) (struct load_client *client, const struct load_call *call, const struct load_answer *answer);
    uint8_t *room; /* for decoding */
    struct history_text line;
};

#define LOAD_ROOM (8u << 20)

struct load_names {
    struct {
        struct id id;
        char name[LOAD_NAME_MAX];
    } * rows;
    size_t size, count;
    pthread_mutex_t lock;
};

struct load {
    bool workloads[LOAD_WORKLOADS];
    enum load_workload order[LOAD_WORKLOADS]; /* the chosen ones */
    uint32_t workloads_count, clients, nodes;
    uint64_t seconds, seed, pace, reach_s;
    const char *path;
    struct history_writer writer;
    struct load_names names;
    struct load_lane *lanes;
    uint32_t lanes_count;
    uint64_t began_ns, setup_until_ns; /* 0: as long as it takes */
    _Atomic uint64_t ops, oks, unknowns;
    _Atomic uint32_t arenas;
    _Atomic bool stop;
    pthread_mutex_t handing;
};

static inline struct maitre_id load_id_out (const struct id *id)
{
    struct maitre_id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}
static inline struct id load_id_in (const struct maitre_id *id)
{
    struct id out;
    memcpy (out.b, id->b, sizeof out.b);
    return out;
}

extern const char *const load_workload_names[LOAD_WORKLOADS];

uint64_t load_draw (struct load_lane *lane, uint64_t bound);
struct maitre *load_handle (void); /* from the environment; complains and returns NULL */

/* ---- load_lane.c */
void load_lane_open (struct load *load, struct load_lane *lane, uint32_t number, uint32_t clients, uint32_t first);
void load_lane_close (struct load_lane *lane);
void *load_lane_run (void *lane); /* until load->stop, and everything under way is answered */

/* ---- load_call.c: writes the invoke line and sends; the answer comes to load_answer. */
void load_start (struct load_client *client, const struct load_call *call);
bool load_is_write (enum history_f f);

/* ---- load_answer.c */
maitre_reply_fn load_answered;

/* ---- load_arena.c */
/* Makes the arena's provider, offers and customers and describes them in the history; repeats until it works or the run
 * stops: then NULL. */
struct load_arena *load_arena_new (struct load *load, struct maitre *handle, enum load_workload workload);
void *load_builder (void *load); /* a thread: keeps a ready arena for every lane and workload */

/* ---- load_work.c */
bool load_choose (struct load_client *client, struct load_call *call);
void load_learn (struct load_client *client, const struct load_call *call, const struct load_answer *answer);

/* ---- load_names.c */
void load_name (struct load_names *names, const struct id *id, const char *name);
/* The name, or the id as text where there is none. */
void load_name_of (struct load_names *names, const struct id *id, char out[LOAD_NAME_MAX + 16]);

/* ---- load_final.c: the exit code */
int load_final (struct load *load);

#endif
