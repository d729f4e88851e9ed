/* What speaks to a node past every check of the client library: where it is, and with which keys.
 *
 * Room: test/support. For programs: whatever is wrong ends them with 2, and says why. The caller owns what it gets.
 */
#ifndef MAITRED_TEST_SUPPORT_RAW_CLIENT_H
#define MAITRED_TEST_SUPPORT_RAW_CLIENT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define RAW_KEY_TEXT 41 /* Z85 of 32 bytes, and its end */

struct raw_target {
    char endpoint[128], server[RAW_KEY_TEXT], client_public[RAW_KEY_TEXT], client_secret[RAW_KEY_TEXT];
};

__attribute__ ((noreturn)) static inline void raw_die (const char *what, const char *which)
{
    fprintf (stderr, "error: %s: %s\n", what, which);
    exit (2);
}

/* The row of a node in the client file that MAITRE_CLUSTER names. False: it has no such node. */
static inline bool raw_target_find (unsigned node, struct raw_target *target)
{
    const char *path = getenv ("MAITRE_CLUSTER");
    FILE *file = path == NULL ? NULL : fopen (path, "re");
    struct raw_target row;
    char line[512];
    unsigned number;
    if (file == NULL)
        raw_die ("MAITRE_CLUSTER names no readable client file", path == NULL ? "(unset)" : path);
    memset (target, 0, sizeof *target);
    while (fgets (line, sizeof line, file) != NULL) {
        if (sscanf (line, "node %u %127s %40s", &number, row.endpoint, row.server) == 3 && number == node) {
            memcpy (target->endpoint, row.endpoint, sizeof row.endpoint);
            memcpy (target->server, row.server, sizeof row.server);
        }
        (void) sscanf (line, "client-key %40s %40s", target->client_public, target->client_secret);
    }
    fclose (file);
    return target->endpoint[0] != '\0';
}

/* `kind`: "good"; "none": no CURVE at all; "wrong": a key pair that nobody knows; "server": a server key that is not the
 * node's. */
static inline void raw_keys_set (void *socket, const struct raw_target *target, const char *kind)
{
    char other[RAW_KEY_TEXT], other_secret[RAW_KEY_TEXT];
    if (strcmp (kind, "none") == 0 || strcmp (target->server, "-") == 0)
        return;
    if (zmq_curve_keypair (other, other_secret) != 0)
        raw_die ("no key pair", zmq_strerror (zmq_errno ()));
    bool wrong = strcmp (kind, "wrong") == 0, server = strcmp (kind, "server") == 0;
    if (!wrong && !server && strcmp (kind, "good") != 0)
        raw_die ("--key is good, none, wrong or server, not", kind);
    int failed = zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, server ? other : target->server, RAW_KEY_TEXT);
    failed |= zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, wrong ? other : target->client_public, RAW_KEY_TEXT);
    failed |= zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, wrong ? other_secret : target->client_secret, RAW_KEY_TEXT);
    if (failed != 0)
        raw_die ("a key is refused", zmq_strerror (zmq_errno ()));
}

#endif
