/* /metrics (Prometheus), /livez, /readyz over HTTP, from a page that the reactor publishes ten times a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <microhttpd.h>

#include "node/engine/engine_internal.h"

#define PAGE_BYTES (64 * 1024)
#define STALE_MS 5000
#define CONNECTIONS_MAX 64
#define BEHIND_ENTRIES 256 /* more than what is under way to a follower that keeps up */

struct metrics {
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock; /* of all below */
    char page[PAGE_BYTES];
    size_t page_len;
    bool ready;
    uint64_t published_ms;
};

struct page {
    char *text;
    size_t len;
};

__attribute__ ((format (printf, 2, 3))) static void add (struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    int len = vsnprintf (page->text + page->len, PAGE_BYTES - page->len, format, arguments);
    va_end (arguments);
    if (len > 0)
        page->len += (size_t) len;
    if (page->len >= PAGE_BYTES)
        page->len = PAGE_BYTES - 1;
}

static void metric (struct page *page, const char *name, const char *kind, const char *help, uint64_t value)
{
    add (page, "# HELP maitred_%s %s\n# TYPE maitred_%s %s\nmaitred_%s %llu\n", name, help, name, kind, name,
        (unsigned long long) value);
}

static void add_calls (struct page *page, const struct engine *engine)
{
    const struct engine_counters *c = &engine->counters;
    metric (page, "calls_total", "counter", "Calls of clients.", c->calls);
    metric (page, "calls_ok_total", "counter", "Calls answered OK.", c->calls_ok);
    metric (page, "calls_refused_total", "counter", "Calls refused at the door.", c->calls_refused);
    metric (page, "calls_unavailable_total", "counter", "Calls answered UNAVAILABLE.", c->calls_unavailable);
    metric (page, "calls_deadline_total", "counter", "Calls whose deadline passed.", c->calls_deadline);
    metric (page, "calls_busy_total", "counter", "Calls answered RESOURCE_EXHAUSTED.", c->calls_busy);
    metric (page, "calls_unauthenticated_total", "counter", "Calls with a bad token.", c->calls_unauthenticated);
    metric (page, "calls_replayed_total", "counter", "Calls answered from a stored outcome.", c->replayed);
    metric (page, "calls_unknown_total", "counter", "Calls whose outcome was unknown.", c->maybe_applied);
    metric (page, "calls_in_flight", "gauge", "Calls waiting for their reply.", engine->calls_used);
    metric (page, "writes_total", "counter", "Writes stepped into a shard here.", c->writes);
    metric (page, "reads_total", "counter", "Reads stepped into a shard here.", c->reads);
    metric (page, "forwarded_out_total", "counter", "Calls forwarded to other nodes.", c->forwarded_out);
    metric (page, "forwarded_in_total", "counter", "Calls forwarded by other nodes.", c->forwarded_in);
    metric (page, "invalid_total", "counter", "Messages and bodies that were refused.", c->invalid);
    metric (page, "wrong_shard_total", "counter", "Calls whose id and body disagree.", c->wrong_shard);
}

static void add_turns (struct page *page, const struct engine *engine)
{
    const struct engine_counters *c = &engine->counters;
    metric (page, "turns_total", "counter", "Turns of the reactor.", c->turns);
    metric (page, "batches_total", "counter", "Synced batches of the log.", c->batches);
    metric (page, "batch_us_total", "counter", "Microseconds from handing a batch over to its sync.", c->batch_us);
    metric (page, "flushes_total", "counter", "Write-backs of the state.", c->flushes);
    metric (page, "flush_bytes_total", "counter", "Bytes written back.", c->flush_bytes);
    metric (page, "backup_bytes_total", "counter", "Bytes of shards' images given away for backups.", c->backup_bytes);
    metric (page, "log_cuts_total", "counter", "Cuts of a replica's log.", c->compactions);
    metric (page, "evicted_bytes_total", "counter", "State dropped from memory.", c->evicted_bytes);
    metric (page, "state_bytes", "gauge", "State in memory.", engine->budget.used_bytes);
    metric (page, "leader_changes_total", "counter", "Changes of leader seen by replicas here.", c->leader_changes);
    metric (page, "disk_full", "gauge", "1 while writes are refused for want of disk.", engine->disk_full);
    metric (page, "disk_slow", "gauge", "1 while leaderships are handed over for a slow disk.", engine->disk_slow);
    metric (page, "memory_full", "gauge", "1 while writes wait for the write-back.", engine->memory_full);
    metric (page, "suspect_replicas", "gauge", "Replicas that may not vote yet.", engine->suspects);
    metric (page, "quarantined_replicas", "gauge", "Replicas taken out because their state is damaged.",
        engine->quarantined);
    metric (page, "quarantines_total", "counter", "Replicas emptied because their state was damaged.", c->quarantines);
    metric (page, "damages_total", "counter", "Damage met on the disk.", c->damages);
    metric (page, "scrub_passes_total", "counter", "Passes of the scrubber over all state and log.", c->scrub_passes);
    metric (page, "scrub_age_ms", "gauge", "Since the last whole pass of the scrubber, or since the start.",
        engine->now_ms - (engine->scrub_over_ms != 0 ? engine->scrub_over_ms : engine->started_ms));
    uint32_t moves, moves_done;
    placement_count (&engine->placement.record, &moves, &moves_done);
    metric (page, "moves", "gauge", "Shards of which a replaced node gets a new replica.", moves);
    metric (page, "moves_done", "gauge", "Those of them that are done.", moves_done);
    metric (page, "impostor_frames_total", "counter", "Frames from exchanged data folders.", c->frames_impostor);
}

static void add_store (struct page *page, struct engine *engine)
{
    struct store_stats stats;
    struct store_log_usage usage;
    store_stats (engine->store, &stats);
    store_log_usage (engine->store, &usage);
    metric (page, "store_turn_bytes_total", "counter", "Bytes of log written.", stats.turn_bytes);
    metric (page, "store_sync_us", "gauge", "Write and sync of the last batch.", stats.sync_us_last);
    metric (page, "store_state_bytes_total", "counter", "Bytes of state files written.", stats.state_bytes);
    metric (page, "store_log_bytes", "gauge", "Log on disk.", usage.bytes);
    pthread_mutex_lock (&engine->scrubber.lock);
    uint64_t scrubbed = engine->scrubber.bytes;
    pthread_mutex_unlock (&engine->scrubber.lock);
    metric (page, "scrub_bytes_total", "counter", "Bytes that the scrubber has read.", scrubbed);
}

static void add_links (struct page *page, struct engine *engine)
{
    struct transport_stats links;
    struct front_stats front;
    transport_stats (engine->transport, &links);
    front_stats (engine->front, &front);
    metric (page, "peer_frames_sent_total", "counter", "Frames to other nodes.", links.frames_sent);
    metric (page, "peer_bytes_sent_total", "counter", "Bytes to other nodes.", links.bytes_sent);
    metric (page, "peer_frames_received_total", "counter", "Frames of other nodes.", links.frames_received);
    metric (page, "peer_frames_dropped_total", "counter", "Frames that a peer did not take.", links.frames_dropped);
    metric (page, "peer_frames_refused_total", "counter", "Frames that were refused.", links.frames_refused);
    metric (page, "link_downs_total", "counter", "Broken links.", links.link_downs);
    metric (page, "gossip_sent_total", "counter", "Gossip messages.", links.gossip_sent);
    metric (page, "gossip_members", "gauge", "Data folders that gossip tells of, dead ones and the own included.",
        gossip_members_count (engine->gossip));
    metric (page, "client_connections", "gauge", "Connections of clients.", front.connections);
    metric (page, "client_connections_cut_total", "counter", "Connections beyond the bound.", front.connections_cut);
    metric (page, "client_greedy_cut_total", "counter", "Clients cut off for calls that waited for their turn.",
        front.waiting_cut);
    metric (page, "client_slow_cut_total", "counter", "Clients cut off because they did not read.", front.slow_cut);
    metric (
        page, "client_unfinished_cut_total", "counter", "Clients cut off in an endless message.", front.unfinished_cut);
    metric (page, "keys_refused_total", "counter", "Connections refused for their CURVE key.",
        engine->zap == NULL ? 0 : zap_refused (engine->zap));
    metric (page, "client_dropped_total", "counter", "Messages without a call id.", front.dropped);
    uint32_t leads = 0, known = 0, behind = 0;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        uint32_t leader = engine_leader (engine, shard);
        leads += leader == engine->config.node;
        known += leader != 0;
        behind +=
            engine->replicas[shard] == NULL ? 0 : shard_voters_behind (engine->replicas[shard]->core, BEHIND_ENTRIES);
    }
    metric (page, "shards_led", "gauge", "Shards that this node leads.", leads);
    metric (page, "shards_leaderless", "gauge", "Shards without a leader in reach.", engine->config.shards + 1 - known);
    metric (page, "replicas_behind", "gauge", "Of shards led here: out of reach, being filled or far behind.", behind);
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    metric (page, "cpu_us_total", "counter", "CPU time of the process.",
        (uint64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
            (uint64_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    metric (page, "resident_kib_max", "gauge", "Highest resident memory.", (uint64_t) usage.ru_maxrss);
}

void engine_metrics_publish (struct engine *engine)
{
    struct metrics *metrics = engine->metrics;
    if (metrics == NULL)
        return;
    struct page page = {.text = (char *) engine->page};
    add_calls (&page, engine);
    add_turns (&page, engine);
    add_store (&page, engine);
    add_links (&page, engine);
    pthread_mutex_lock (&metrics->lock);
    memcpy (metrics->page, page.text, page.len);
    metrics->page_len = page.len;
    metrics->ready = engine_serves (engine);
    metrics->published_ms = engine->now_ms;
    pthread_mutex_unlock (&metrics->lock);
}

/* ---- HTTP, on its own thread */

static enum MHD_Result reply (struct MHD_Connection *connection, unsigned code, const char *text, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer (len, (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header (response, "Content-Type", "text/plain; version=0.0.4");
    enum MHD_Result result = MHD_queue_response (connection, code, response);
    MHD_destroy_response (response);
    return result;
}

static enum MHD_Result answer (void *argument, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct metrics *metrics = argument;
    (void) version;
    (void) upload;
    (void) upload_size;
    (void) state;
    if (strcmp (method, "GET") != 0)
        return reply (connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n", 9);
    pthread_mutex_lock (&metrics->lock);
    bool live = engine_clock_ms () < metrics->published_ms + STALE_MS;
    bool ready = live && metrics->ready;
    enum MHD_Result result;
    if (strcmp (url, "/metrics") == 0)
        result = reply (connection, MHD_HTTP_OK, metrics->page, metrics->page_len);
    else if (strcmp (url, "/livez") == 0)
        result = live ? reply (connection, MHD_HTTP_OK, "live\n", 5)
                      : reply (connection, MHD_HTTP_SERVICE_UNAVAILABLE, "stuck\n", 6);
    else if (strcmp (url, "/readyz") == 0)
        result = ready ? reply (connection, MHD_HTTP_OK, "ready\n", 6)
                       : reply (connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready\n", 10);
    else
        result = reply (connection, MHD_HTTP_NOT_FOUND, "/metrics, /livez or /readyz\n", 28);
    pthread_mutex_unlock (&metrics->lock);
    return result;
}

bool engine_metrics_open (struct engine *engine, struct engine_error *error)
{
    if (engine->config.metrics_port == 0)
        return true;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons (engine->config.metrics_port)};
    struct metrics *metrics = calloc (1, sizeof *metrics);
    if (metrics == NULL)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more");
    error->exit = ENGINE_EXIT_CONFIG;
    if (inet_pton (AF_INET, engine->config.metrics_address, &address.sin_addr) != 1) {
        snprintf (error->text, sizeof error->text, "metrics/endpoint = %s: give an IPv4 address such as 127.0.0.1",
            engine->config.metrics_address);
        free (metrics);
        return false;
    }
    pthread_mutex_init (&metrics->lock, NULL);
    engine->metrics = metrics;
    engine_metrics_publish (engine);
    /* Not by select, MHD's own choice: a database of many files has all the descriptors that select knows. */
    errno = 0;
    metrics->daemon = MHD_start_daemon (MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, engine->config.metrics_port,
        NULL, NULL, answer, metrics, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned) CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_END);
    if (metrics->daemon != NULL)
        return true;
    if (errno == EADDRNOTAVAIL)
        return engine_fail (error, ENGINE_EXIT_CONFIG,
            "metrics/endpoint: cannot listen on %s: give an IPv4 address of this machine",
            engine->config.metrics_address);
    if (errno != EADDRINUSE)
        return engine_fail (error, ENGINE_EXIT_RESOURCES,
            "metrics/endpoint: port %u cannot be served (%s): give the node more memory, raise ulimit -n",
            engine->config.metrics_port, errno != 0 ? strerror (errno) : "libmicrohttpd does not say why");
    error->exit = ENGINE_EXIT_PORT;
    snprintf (error->text, sizeof error->text,
        "metrics/endpoint: port %u is in use by another process: stop it, or give this node another port",
        engine->config.metrics_port);
    return false;
}

void engine_metrics_close (struct engine *engine)
{
    if (engine->metrics == NULL)
        return;
    if (engine->metrics->daemon != NULL)
        MHD_stop_daemon (engine->metrics->daemon);
    pthread_mutex_destroy (&engine->metrics->lock);
    free (engine->metrics);
    engine->metrics = NULL;
}
