/* CURVE key pairs of nodes and clients (Curve25519, as libzmq wants them), and Z85, the text they travel in.
 *
 * Room: node/identity (libsodium, files). Ownership: plain values; curve_keys_close wipes one. Thread safety: no shared
 * state once curve_keys_make was called (it sets libsodium up).
 * Source: ZeroMQ RFC 26/CurveZMQ, RFC 32/Z85.
 *
 * A key file ("node-3.secret", mode 0600) is three lines: "maitre-curve-key 1", "public <z85>", "secret <z85>".
 */
#ifndef MAITRED_NODE_IDENTITY_CURVE_KEYS_H
#define MAITRED_NODE_IDENTITY_CURVE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "node/identity/identity_file.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define CURVE_KEY_BYTES 32
#define CURVE_KEY_TEXT_LEN 40

struct curve_keys {
    char public_text[CURVE_KEY_TEXT_LEN + 1]; /* Z85 */
    char secret_text[CURVE_KEY_TEXT_LEN + 1];
};

/* A fresh random pair. INTERNAL: libsodium does not start. */
WARN_UNUSED enum status curve_keys_make (struct curve_keys *keys);

/* Wipes the pair. */
void curve_keys_close (struct curve_keys *keys);

/* True when public_text is the public half of secret_text and neither is a published test key. */
bool curve_keys_valid (const struct curve_keys *keys);

/* True for keys that stand in the manuals and test suites of ZeroMQ and its bindings: everybody has them. */
bool curve_key_is_published (const char text[CURVE_KEY_TEXT_LEN + 1]);

/* Writes a new key file (identity_file_write's statuses). */
WARN_UNUSED enum status curve_keys_save (const struct curve_keys *keys, const char *path, struct identity_error *error);

/* Reads a key file: identity_file_read's statuses, and INVALID_ARGUMENT when it is not one, when its halves do not
 * belong together, or when it is a published test key. */
WARN_UNUSED enum status curve_keys_load (struct curve_keys *keys, const char *path, struct identity_error *error);

/* 32 bytes to 40 characters and a NUL. */
void curve_key_encode (const uint8_t key[CURVE_KEY_BYTES], char text[CURVE_KEY_TEXT_LEN + 1]);

/* 40 characters to 32 bytes. INVALID_ARGUMENT: not 40 characters of Z85, or a group above 2^32 - 1. */
WARN_UNUSED enum status curve_key_decode (struct bytes text, uint8_t key[CURVE_KEY_BYTES]);

#endif
