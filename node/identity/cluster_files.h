/* The files that make a cluster: its secret, a key pair per node, the public list of nodes, the clients' file.
 *
 * Room: node/identity (libsodium, files). Ownership: plain values in the caller's memory. Thread safety: no shared
 * state.
 *
 * In the directory of a new cluster:
 *   cluster.secret   0600  the same on every node: all tokens come from it
 *   cluster.public   0644  the cluster key, hexadecimal: checks cluster.client
 *   node-N.secret    0600  node N's CURVE pair (curve_keys.h); absent without CURVE
 *   nodes.conf       0644  the nodes: numbers, endpoints, zones, public keys
 *   cluster.client   0600  what a client needs, signed: 0600 because it holds the clients' CURVE secret
 *   admin.token      0600  an API key with every role
 *
 * nodes.conf:                                             cluster.client:
 *   maitre-nodes 1                                          maitre-client 1
 *   cluster <32 hex>                                        cluster <32 hex>
 *   client-key <z85 public or ->                            node 1 tcp://127.0.0.1:7401 <z85 public or ->
 *   node 1 <client> <peer> <gossip> <zone or -> <z85 or ->  client-key <z85 public> <z85 secret>   (with CURVE only)
 *                                                           signature <128 hex>    over all bytes before this line
 *
 * Invariant: nodes are numbered 1..node_count without gaps, in the order of the file.
 */
#ifndef MAITRED_NODE_IDENTITY_CLUSTER_FILES_H
#define MAITRED_NODE_IDENTITY_CLUSTER_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "node/identity/curve_keys.h"
#include "node/identity/identity.h"
#include "node/identity/identity_file.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define CLUSTER_NODES_MAX 256
#define CLUSTER_ENDPOINT_BYTES_MAX 96
#define CLUSTER_ZONE_BYTES_MAX 32

struct cluster_member {
    uint32_t node; /* 1.. */
    char client_endpoint[CLUSTER_ENDPOINT_BYTES_MAX + 1];
    char peer_endpoint[CLUSTER_ENDPOINT_BYTES_MAX + 1];
    char gossip_endpoint[CLUSTER_ENDPOINT_BYTES_MAX + 1];
    char zone[CLUSTER_ZONE_BYTES_MAX + 1];    /* "" when there is none */
    char public_text[CURVE_KEY_TEXT_LEN + 1]; /* "" without CURVE */
};

struct cluster_nodes {
    struct id cluster;
    char client_public[CURVE_KEY_TEXT_LEN + 1]; /* the key that clients use; "" without CURVE */
    uint32_t node_count;
    struct cluster_member nodes[CLUSTER_NODES_MAX];
};

/* Makes all the files above in `directory`, which is created (0700) when it is not there. The caller fills node_count
 * and of each node the endpoints and zone; numbers, keys and cluster are filled in here. INVALID_ARGUMENT: no node, too
 * many, an endpoint that is empty or has a space in it. ALREADY_EXISTS: the directory holds a cluster (nothing is
 * overwritten). UNAVAILABLE: it cannot be written. */
WARN_UNUSED enum status cluster_files_create (
    const char *directory, struct cluster_nodes *nodes, bool curve, uint64_t now_ms, struct identity_error *error);

/* Reads nodes.conf. identity_file_read's statuses; INVALID_ARGUMENT: not such a file, or a published test key in it;
 * the error names the line. */
WARN_UNUSED enum status cluster_nodes_load (
    const char *path, struct cluster_nodes *nodes, struct identity_error *error);

/* The node's number of a CURVE public key as ZAP has it (32 bytes), 0 when it is nobody's. */
uint32_t cluster_nodes_find (const struct cluster_nodes *nodes, const uint8_t key[CURVE_KEY_BYTES]);

/* Checks the signature of a clients' file against the cluster key, and that the key is the cluster id's own. OK: every
 * byte of it is the cluster's word. INVALID_ARGUMENT: not such a file. PERMISSION_DENIED: signed by another key, or
 * changed since. */
WARN_UNUSED enum status cluster_client_verify (
    struct bytes text, const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct identity_error *error);

/* Writes the clients' file for these nodes into out, NUL-terminated. client_keys may be NULL (no CURVE).
 * RESOURCE_EXHAUSTED: out_size is too small (64 KiB suffice for 256 nodes). */
WARN_UNUSED enum status cluster_client_make (const struct identity *identity, const struct cluster_nodes *nodes,
    const struct curve_keys *client_keys, char *out, size_t out_size, size_t *out_len);

/* Reads cluster.public. identity_file_read's statuses; INVALID_ARGUMENT: not such a file. */
WARN_UNUSED enum status cluster_public_load (
    const char *path, uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct identity_error *error);

#endif
