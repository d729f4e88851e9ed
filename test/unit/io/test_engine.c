#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "node/failpoint/failpoint.h"
#include "test/support/engine_fixture.h"

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

static struct id book (const struct fixture_offer *offer, uint64_t bucket, enum status expected)
{
    struct id id = fixture_id (&fixture, offer->hash), reservation = fixture_id (&fixture, offer->hash);
    assert_int_equal (fixture_book (&fixture, 1, offer, bucket, &id, &reservation, &reply), expected);
    return reservation;
}

static enum status get (uint32_t node, const struct id *reservation)
{
    struct reserve_get_request request = {.reservation = *reservation};
    struct id id = fixture_id (&fixture, id_hash (reservation));
    return fixture_call (&fixture, node, METHOD_NUMBER_RESERVE_GET, &id, &request, &reply);
}

static void test_engine__one_node_books_and_remembers_over_a_restart (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    struct id first = book (&offer, 7, STATUS_OK);
    book (&offer, 7, STATUS_FAILED_PRECONDITION);
    assert_true (fixture_reason (&reply, "SOLD_OUT"));
    for (int i = 0; i < 3; i++) {
        fixture_stop (&fixture, 1, i % 2 == 0);
        fixture_start (&fixture, 1);
        assert_int_equal (get (1, &first), STATUS_OK);
        book (&offer, 7, STATUS_FAILED_PRECONDITION);
        book (&offer, 100 + (uint64_t) i, STATUS_OK);
    }
    fixture_close (&fixture);
}

static void test_engine__the_same_request_id_happens_once (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    struct id id = fixture_id (&fixture, offer.hash), reservation = fixture_id (&fixture, offer.hash);
    assert_int_equal (fixture_book (&fixture, 1, &offer, 3, &id, &reservation, &reply), STATUS_OK);
    assert_false (reply.header.has_replayed);
    assert_int_equal (fixture_book (&fixture, 1, &offer, 3, &id, &reservation, &reply), STATUS_OK);
    assert_true (reply.header.has_replayed && reply.header.replayed);
    assert_int_equal (fixture_book (&fixture, 1, &offer, 4, &id, &reservation, &reply), STATUS_ALREADY_EXISTS);
    assert_true (fixture_reason (&reply, "KEY_REUSED"));
    fixture_close (&fixture);
}

/* Sends one call of reserve.Create with a header and a body of choice; the answer must come. */
static enum status raw_call (const char *method, const struct id *id, const char *token, struct bytes body)
{
    struct request_header header = {.method = bytes_text (method)};
    header.has_request_id = id != NULL;
    if (id != NULL)
        header.request_id = *id;
    header.has_token = token != NULL;
    if (token != NULL)
        header.token = bytes_text (token);
    assert_true (fixture_exchange (&fixture, 1, &header, body, &reply, FIXTURE_WAIT_MS));
    return (enum status) reply.header.status;
}

static void test_engine__bad_input_is_refused_with_a_reason (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    struct id id = fixture_id (&fixture, offer.hash);
    struct bytes empty = BYTES_LITERAL ("\xa0");
    assert_int_equal (raw_call ("no.Such", &id, NULL, empty), STATUS_UNIMPLEMENTED);
    assert_true (fixture_reason (&reply, "NO_SUCH_METHOD"));
    assert_int_equal (raw_call ("reserve.Create", NULL, NULL, empty), STATUS_INVALID_ARGUMENT);
    assert_true (fixture_reason (&reply, "REQUEST_ID_NEEDED"));
    assert_int_equal (raw_call ("reserve.Create", &id, "v4.public.nonsense", empty), STATUS_UNAUTHENTICATED);
    assert_true (fixture_reason (&reply, "BAD_TOKEN"));
    assert_int_equal (raw_call ("reserve.Create", &id, fixture.admin, empty), STATUS_INVALID_ARGUMENT);
    assert_true (fixture_reason (&reply, "BAD_REQUEST"));
    assert_int_equal (
        raw_call ("reserve.Create", &id, fixture.admin, BYTES_LITERAL ("\xff\x80\0\0\0")), STATUS_INVALID_ARGUMENT);
    static uint8_t deep[4096];
    memset (deep, 0x81, sizeof deep); /* arrays in arrays */
    assert_int_equal (
        raw_call ("reserve.Create", &id, fixture.admin, bytes_of (deep, sizeof deep)), STATUS_INVALID_ARGUMENT);
    /* An id that leads to another shard than the body does. */
    struct id elsewhere = fixture_id (&fixture, offer.hash + 1);
    struct id reservation = fixture_id (&fixture, offer.hash);
    assert_int_equal (fixture_book (&fixture, 1, &offer, 1, &elsewhere, &reservation, &reply), STATUS_INVALID_ARGUMENT);
    assert_true (fixture_reason (&reply, "WRONG_SHARD"));
    /* The node is as well as before. */
    book (&offer, 1, STATUS_OK);
    fixture_close (&fixture);
}

static void test_engine__a_passed_deadline_is_told (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct request_header header = {
        .method = BYTES_LITERAL ("health.Check"), .has_remaining_ms = true, .remaining_ms = 0};
    assert_true (fixture_exchange (&fixture, 1, &header, BYTES_LITERAL ("\xa0"), &reply, FIXTURE_WAIT_MS));
    assert_int_equal (reply.header.status, STATUS_DEADLINE_EXCEEDED);
    fixture_close (&fixture);
}

static void test_engine__rate_limit_tells_when_to_come_back (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture.nodes[1].config.limits.rate_per_s = 1;
    fixture.nodes[1].config.limits.rate_burst = 2;
    fixture_start (&fixture, 1);
    struct request_header header = {.method = BYTES_LITERAL ("health.Check")};
    enum status last = STATUS_OK;
    for (int i = 0; i < 3; i++) {
        assert_true (fixture_exchange (&fixture, 1, &header, BYTES_LITERAL ("\xa0"), &reply, FIXTURE_WAIT_MS));
        last = (enum status) reply.header.status;
    }
    assert_int_equal (last, STATUS_RESOURCE_EXHAUSTED);
    assert_true (fixture_reason (&reply, "RATE_LIMIT"));
    assert_true (reply.header.retry_after_ms > 0);
    fixture_close (&fixture);
}

static void test_engine__entry_node_answers_for_itself (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct health_request health = {0};
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_HEALTH_CHECK, NULL, &health, &reply), STATUS_OK);
    struct who_request who = {0};
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_WHO_AM_I, NULL, &who, &reply), STATUS_OK);
    struct who_reply me;
    assert_int_equal (
        codec_decode (&who_reply_type, bytes_of (reply.body, reply.body_len), CODEC_STRICT, NULL, &me, NULL),
        STATUS_OK);
    assert_int_equal (me.kind, PRINCIPAL_KIND_API_KEY);
    assert_true ((me.roles & ROLE_ADMIN) != 0);
    struct status_request status = {.has_shards = true, .shards = true};
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_CLUSTER_STATUS, NULL, &status, &reply), STATUS_OK);
    struct reflect_request schema = {0};
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_REFLECT_SCHEMA, NULL, &schema, &reply), STATUS_OK);
    assert_true (reply.body_len > 10000);
    fixture_close (&fixture);
}

static void test_engine__passwords_are_checked_off_the_log (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    uint32_t hash = placement_hash_user (BYTES_LITERAL ("ada"));
    struct id id = fixture_id (&fixture, hash);
    struct register_request new_user = {.login = BYTES_LITERAL (" Ada"), .password = BYTES_LITERAL ("correct horse")};
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_REGISTER, &id, &new_user, &reply), STATUS_OK);
    struct login_request login = {.login = BYTES_LITERAL ("ada"), .password = BYTES_LITERAL ("battery staple")};
    id = fixture_id (&fixture, hash);
    assert_int_equal (
        fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_LOGIN, &id, &login, &reply), STATUS_UNAUTHENTICATED);
    login.password = BYTES_LITERAL ("correct horse");
    id = fixture_id (&fixture, hash);
    assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_LOGIN, &id, &login, &reply), STATUS_OK);
    struct login_reply session;
    assert_int_equal (
        codec_decode (&login_reply_type, bytes_of (reply.body, reply.body_len), CODEC_STRICT, NULL, &session, NULL),
        STATUS_OK);
    assert_true (session.has_access_token && session.has_refresh_token);
    char token[1100];
    memcpy (token, session.access_token.data, session.access_token.len);
    token[session.access_token.len] = '\0';
    assert_int_equal (raw_call ("auth.WhoAmI", NULL, token, BYTES_LITERAL ("\xa0")), STATUS_OK);
    /* Right passwords are no tries ... */
    for (int i = 0; i < 12; i++) {
        id = fixture_id (&fixture, hash);
        assert_int_equal (fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_LOGIN, &id, &login, &reply), STATUS_OK);
    }
    /* ... wrong ones run out, and then the right one does not help either. */
    enum status last = STATUS_OK;
    for (int i = 0; i < 12 && last != STATUS_RESOURCE_EXHAUSTED; i++) {
        login.password = BYTES_LITERAL ("guess");
        id = fixture_id (&fixture, hash);
        last = fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_LOGIN, &id, &login, &reply);
    }
    assert_true (fixture_reason (&reply, "TOO_MANY_ATTEMPTS"));
    login.password = BYTES_LITERAL ("correct horse");
    id = fixture_id (&fixture, hash);
    assert_int_equal (
        fixture_call (&fixture, 1, METHOD_NUMBER_AUTH_LOGIN, &id, &login, &reply), STATUS_RESOURCE_EXHAUSTED);
    fixture_close (&fixture);
}

static void test_engine__refuses_what_it_cannot_start_with (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct engine_error error;
    struct engine *second = NULL;
    static struct engine_config config;
    config = fixture.nodes[1].config;
    assert_false (engine_open (&config, &second, &error));
    assert_int_equal (error.exit, ENGINE_EXIT_FOLDER);
    snprintf (config.data, sizeof config.data, "%s/data-other", fixture.dir);
    assert_false (engine_open (&config, &second, &error));
    assert_int_equal (error.exit, ENGINE_EXIT_PORT);
    snprintf (config.secret_path, sizeof config.secret_path, "%s/nowhere", fixture.dir);
    assert_false (engine_open (&config, &second, &error));
    assert_int_equal (error.exit, ENGINE_EXIT_KEY);
    assert_null (second);
    fixture_stop (&fixture, 1, true);
    config = fixture.nodes[1].config;
    config.shards = 5;
    while (!engine_open (&config, &second, &error) && error.exit == ENGINE_EXIT_PORT)
        zmq_poll (NULL, 0, 5);
    assert_int_equal (error.exit, ENGINE_EXIT_FOLDER);
    assert_non_null (strstr (error.text, "\"shards 4\""));
    fixture_close (&fixture);
}

/* Opens node 1 with a configuration that must be refused. */
static void refused (const struct engine_config *config, enum engine_exit exit, const char *why)
{
    struct engine *engine = NULL;
    struct engine_error error;
    do
        assert_false (engine_open (config, &engine, &error));
    while (error.exit == ENGINE_EXIT_PORT && zmq_poll (NULL, 0, 5) == 0);
    if (strstr (error.text, why) == NULL)
        fail_msg ("\"%s\" says nothing of \"%s\"", error.text, why);
    assert_int_equal (error.exit, exit);
}

static void test_engine__what_places_data_is_pinned (void **state)
{
    (void) state;
    static struct engine_config config;
    fixture_init (&fixture, 3, 4);
    fixture_start (&fixture, 1);
    fixture_stop (&fixture, 1, true);
    config = fixture.nodes[1].config;
    config.nodes.nodes[3] = config.nodes.nodes[2];
    config.nodes.nodes[3].node = ++config.nodes.node_count;
    refused (&config, ENGINE_EXIT_FOLDER, "\"nodes 3\", but nodes.conf says \"nodes 4\"");
    config = fixture.nodes[1].config;
    config.nodes.node_count = 2;
    refused (&config, ENGINE_EXIT_FOLDER, "\"nodes 3\", but nodes.conf says \"nodes 2\"");
    config = fixture.nodes[1].config;
    strcpy (config.nodes.nodes[1].zone, "east");
    refused (&config, ENGINE_EXIT_FOLDER, "\"node 2 zone -\", but nodes.conf says \"node 2 zone east\"");
    config = fixture.nodes[1].config;
    config.replication--;
    refused (&config, ENGINE_EXIT_FOLDER, "\"replication 3\", but the node's configuration says \"replication 2\"");
    /* What places nothing may change. */
    config = fixture.nodes[1].config;
    struct cluster_member *third = &fixture.nodes[1].config.nodes.nodes[2];
    snprintf (third->peer_endpoint, sizeof third->peer_endpoint, "tcp://127.0.0.1:%u", fixture_free_port ());
    fixture_start (&fixture, 1);
    fixture_close (&fixture);
}

/* Changes one byte of a file in the data folder of node 1. */
static void rot (const char *name)
{
    char path[160];
    snprintf (path, sizeof path, "%s/data-1/%s", fixture.dir, name);
    FILE *file = fopen (path, "r+");
    assert_non_null (file);
    assert_int_equal (fseek (file, -1, SEEK_END), 0);
    int last = fgetc (file);
    assert_int_equal (fseek (file, -1, SEEK_END), 0);
    assert_int_equal (fputc (last ^ 1, file), last ^ 1);
    fclose (file);
}

static void test_engine__what_is_pinned_is_never_dropped_silently (void **state)
{
    (void) state;
    char path[160];
    fixture_init (&fixture, 2, 4);
    fixture_start_all (&fixture);
    fixture_offer_new (&fixture, 1, "inn", 1); /* both have met */
    fixture_stop (&fixture, 1, true);
    rot ("files/peers");
    refused (&fixture.nodes[1].config, ENGINE_EXIT_DAMAGE, "files/peers is damaged");
    rot ("files/peers");
    rot ("files/incarnation");
    refused (&fixture.nodes[1].config, ENGINE_EXIT_DAMAGE, "files/incarnation is damaged");
    rot ("files/incarnation");
    rot ("files/shape");
    refused (&fixture.nodes[1].config, ENGINE_EXIT_DAMAGE, "files/shape is damaged");
    snprintf (path, sizeof path, "%s/data-1/files/shape", fixture.dir);
    assert_int_equal (unlink (path), 0);
    refused (&fixture.nodes[1].config, ENGINE_EXIT_DAMAGE, "lost its file files/shape");
    fixture_close (&fixture);
}

static void test_engine__rotten_state_that_nobody_else_has_is_refused (void **state)
{
    (void) state;
    uint64_t booked = 0;
    char error[FAILPOINT_ERROR_BYTES];
    struct failpoint_row written = {.hits = 0};
    fixture_init (&fixture, 1, 1);
    fixture.nodes[1].config.limits.flush_ms = 20;
    assert_int_equal (failpoint_allow ("", error), STATUS_OK); /* they count what passes */
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (booked < 30 || written.hits < 4) { /* write-backs, until the log is cut */
        assert_true (fixture_mono_ms () < until);
        book (&offer, booked++, STATUS_OK);
        zmq_poll (NULL, 0, 5);
        failpoint_row (FAILPOINT_FLUSH_DONE_AFTER, &written);
    }
    fixture_stop (&fixture, 1, true);
    fixture_rot_state (&fixture, 1, false);
    refused (&fixture.nodes[1].config, ENGINE_EXIT_DAMAGE, "no other node has it");
    fixture_rot_state (&fixture, 1, false); /* the same bits back: nothing was changed */
    fixture_start (&fixture, 1);
    for (uint64_t bucket = 0; bucket < booked; bucket++)
        book (&offer, bucket, STATUS_FAILED_PRECONDITION);
    fixture_close (&fixture);
}

static void *open_in_thread (void *config)
{
    struct engine_error error;
    struct engine *engine = NULL;
    return engine_open (config, &engine, &error) ? engine : NULL;
}

static bool connects (const char *endpoint)
{
    unsigned port = 0;
    assert_int_equal (sscanf (endpoint, "tcp://127.0.0.1:%u", &port), 1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons ((uint16_t) port), .sin_addr = {htonl (INADDR_LOOPBACK)}};
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    bool connected = connect (fd, (struct sockaddr *) &address, sizeof address) == 0;
    close (fd);
    return connected;
}

/* Reading a long log takes seconds: a call that was sent to the node meanwhile would wait for them. */
static void test_engine__nobody_connects_before_the_log_is_read (void **state)
{
    (void) state;
    char error[FAILPOINT_ERROR_BYTES];
    struct failpoint_row row = {.hits = 0};
    pthread_t thread;
    void *opened = NULL;
    fixture_init (&fixture, 1, 1);
    fixture_start (&fixture, 1);
    fixture_stop (&fixture, 1, true);
    assert_int_equal (failpoint_allow ("start.replica=delay:1000,once", error), STATUS_OK);
    assert_int_equal (pthread_create (&thread, NULL, open_in_thread, &fixture.nodes[1].config), 0);
    while (row.hits == 0)
        failpoint_row (FAILPOINT_START_REPLICA, &row);
    struct cluster_member *member = &fixture.nodes[1].config.nodes.nodes[0];
    bool client = connects (member->client_endpoint), peer = connects (member->peer_endpoint);
    assert_int_equal (pthread_join (thread, &opened), 0);
    assert_non_null (opened);
    assert_false (client || peer);
    assert_true (connects (member->client_endpoint) && connects (member->peer_endpoint));
    struct engine *engine = opened;
    engine_close (&engine);
    fixture_close (&fixture);
}

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

static void test_engine__a_nearly_full_disk_refuses_writes_and_serves_reads (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    struct id first = book (&offer, 7, STATUS_OK);
    fixture_stop (&fixture, 1, true);
    fixture.nodes[1].config.limits.disk_free_min_bytes = UINT64_MAX / 4;
    fixture_start (&fixture, 1);
    assert_int_equal (get (1, &first), STATUS_OK);
    book (&offer, 8, STATUS_RESOURCE_EXHAUSTED);
    assert_true (fixture_reason (&reply, "DISK_FULL"));
    assert_true (reply.header.retry_after_ms > 0);
    assert_false (fixture_serves (&fixture, 1, &reply));
    fixture_stop (&fixture, 1, true);
    fixture.nodes[1].config.limits.disk_free_min_bytes = 1;
    fixture_start (&fixture, 1);
    book (&offer, 8, STATUS_OK);
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (!fixture_serves (&fixture, 1, &reply))
        assert_true (fixture_mono_ms () < until);
    fixture_close (&fixture);
}

static void test_engine__more_calls_than_the_table_holds_are_told_to_slow_down (void **state)
{
    (void) state;
    fixture_init (&fixture, 1, 4);
    fixture.nodes[1].config.limits.calls = 16;
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1000);
    /* A burst on one connection: far more than 16 are under way before the first is answered. */
    void *raw = zsock_resolve (fixture.clients[1]);
    for (uint64_t i = 1; i <= 400; i++) {
        uint8_t bytes[512], body[256];
        size_t len, body_len;
        struct reserve_item item = {.offer = offer.offer, .first = i};
        struct reserve_create_request request = {.reservation = fixture_id (&fixture, offer.hash),
            .mode = RESERVE_MODE_BOOK,
            .items = &item,
            .items_count = 1};
        struct request_header header = {.protocol = 1,
            .call = 1000000 + i,
            .method = BYTES_LITERAL ("reserve.Create"),
            .has_request_id = true,
            .request_id = fixture_id (&fixture, offer.hash),
            .has_token = true,
            .token = bytes_text (fixture.admin)};
        assert_int_equal (
            codec_encode (&reserve_create_request_type, &request, body, sizeof body, &body_len), STATUS_OK);
        assert_int_equal (codec_encode (&request_header_type, &header, bytes, sizeof bytes, &len), STATUS_OK);
        zmq_send (raw, bytes, len, ZMQ_SNDMORE);
        zmq_send (raw, body, body_len, 0);
    }
    int fine = 0, busy = 0;
    for (int i = 0; i < 400; i++) {
        uint8_t bytes[1024], body[1024];
        struct reply_header header;
        zmq_pollitem_t item = {.socket = raw, .events = ZMQ_POLLIN};
        assert_int_equal (zmq_poll (&item, 1, FIXTURE_WAIT_MS), 1);
        int len = zmq_recv (raw, bytes, sizeof bytes, 0);
        zmq_recv (raw, body, sizeof body, 0);
        assert_int_equal (
            codec_decode (&reply_header_type, bytes_of (bytes, (size_t) len), CODEC_STRICT, NULL, &header, NULL),
            STATUS_OK);
        fine += header.status == STATUS_OK;
        busy += header.status == STATUS_RESOURCE_EXHAUSTED && header.retry_after_ms > 0;
    }
    assert_int_equal (fine + busy, 400);
    assert_true (fine > 0);
    assert_true (busy > 0);
    fixture_close (&fixture);
}

static size_t http_get (uint16_t port, const char *path, char *out, size_t size)
{
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = {.s_addr = htonl (INADDR_LOOPBACK)}};
    assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    char request[128];
    int len = snprintf (request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    assert_int_equal (send (fd, request, (size_t) len, MSG_NOSIGNAL), len);
    size_t got = 0;
    ssize_t part;
    while (got < size - 1 && (part = recv (fd, out + got, size - 1 - got, 0)) > 0)
        got += (size_t) part;
    out[got] = '\0';
    close (fd);
    return got;
}

static void test_engine__metrics_and_probes_over_http (void **state)
{
    (void) state;
    static char page[64 * 1024];
    fixture_init (&fixture, 1, 4);
    uint16_t port = fixture_free_port ();
    strcpy (fixture.nodes[1].config.metrics_address, "127.0.0.1");
    fixture.nodes[1].config.metrics_port = port;
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    book (&offer, 7, STATUS_OK);
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    do
        http_get (port, "/metrics", page, sizeof page);
    while (strstr (page, "\nmaitred_writes_total 3\n") == NULL && fixture_mono_ms () < until);
    assert_non_null (strstr (page, "\nmaitred_writes_total 3\n"));
    assert_non_null (strstr (page, "# TYPE maitred_calls_in_flight gauge\n"));
    do
        http_get (port, "/readyz", page, sizeof page);
    while (strstr (page, " 200 ") == NULL && fixture_mono_ms () < until);
    assert_non_null (strstr (page, " 200 "));
    http_get (port, "/livez", page, sizeof page);
    assert_non_null (strstr (page, " 200 "));
    http_get (port, "/etc/passwd", page, sizeof page);
    assert_non_null (strstr (page, " 404 "));
    fixture_close (&fixture);
}

/* A database has a descriptor for each of its files: thousands, where a node has been busy or its disk slow. */
static void test_engine__serves_its_page_beside_thousands_of_files (void **state)
{
    (void) state;
    static char page[64 * 1024];
    static int files[1500];
    const size_t count = sizeof files / sizeof *files;
    struct rlimit limit;
    assert_int_equal (getrlimit (RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * count)
        skip ();
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &raised), 0);
    for (size_t i = 0; i < count; i++) {
        files[i] = open ("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true (files[i] >= 0);
    }
    fixture_init (&fixture, 1, 1);
    uint16_t port = fixture_free_port ();
    strcpy (fixture.nodes[1].config.metrics_address, "127.0.0.1");
    fixture.nodes[1].config.metrics_port = port;
    fixture_start (&fixture, 1);
    http_get (port, "/livez", page, sizeof page);
    assert_non_null (strstr (page, " 200 "));
    fixture_close (&fixture);
    for (size_t i = 0; i < count; i++)
        close (files[i]);
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

int main (void)
{
    event_log_setup (getenv ("VERBOSE") != NULL ? EVENT_LOG_INFO : EVENT_LOG_ERROR, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_engine__one_node_books_and_remembers_over_a_restart),
        cmocka_unit_test (test_engine__the_same_request_id_happens_once),
        cmocka_unit_test (test_engine__bad_input_is_refused_with_a_reason),
        cmocka_unit_test (test_engine__a_passed_deadline_is_told),
        cmocka_unit_test (test_engine__rate_limit_tells_when_to_come_back),
        cmocka_unit_test (test_engine__entry_node_answers_for_itself),
        cmocka_unit_test (test_engine__passwords_are_checked_off_the_log),
        cmocka_unit_test (test_engine__refuses_what_it_cannot_start_with),
        cmocka_unit_test (test_engine__what_places_data_is_pinned),
        cmocka_unit_test (test_engine__what_is_pinned_is_never_dropped_silently),
        cmocka_unit_test_teardown (test_engine__nobody_connects_before_the_log_is_read, forbid),
        cmocka_unit_test_teardown (test_engine__rotten_state_that_nobody_else_has_is_refused, forbid),
        cmocka_unit_test (test_engine__a_nearly_full_disk_refuses_writes_and_serves_reads),
        cmocka_unit_test (test_engine__more_calls_than_the_table_holds_are_told_to_slow_down),
        cmocka_unit_test (test_engine__metrics_and_probes_over_http),
        cmocka_unit_test (test_engine__serves_its_page_beside_thousands_of_files),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
