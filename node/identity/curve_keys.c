#include "node/identity/curve_keys.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "schemas/runtime/assert.h"

static const char z85_digits[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* The pairs printed in zmq_curve(7) and used by the test suites of libzmq and its bindings: server's, then client's. */
static const char *const published_keys[] = {
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
};

void curve_key_encode (const uint8_t key[CURVE_KEY_BYTES], char text[CURVE_KEY_TEXT_LEN + 1])
{
    for (size_t i = 0; i < CURVE_KEY_BYTES / 4; i++) {
        uint32_t group = bytes_get_u32 (key + 4 * i);
        for (size_t digit = 5; digit-- > 0; group /= 85)
            text[5 * i + digit] = z85_digits[group % 85];
    }
    text[CURVE_KEY_TEXT_LEN] = '\0';
}

enum status curve_key_decode (struct bytes text, uint8_t key[CURVE_KEY_BYTES])
{
    if (text.len != CURVE_KEY_TEXT_LEN)
        return STATUS_INVALID_ARGUMENT;
    uint8_t out[CURVE_KEY_BYTES];
    for (size_t i = 0; i < CURVE_KEY_BYTES / 4; i++) {
        uint64_t group = 0;
        for (size_t digit = 0; digit < 5; digit++) {
            const char *at = memchr (z85_digits, text.data[5 * i + digit], sizeof z85_digits - 1);
            if (at == NULL)
                return STATUS_INVALID_ARGUMENT;
            group = group * 85 + (uint64_t) (at - z85_digits);
        }
        if (group > UINT32_MAX)
            return STATUS_INVALID_ARGUMENT;
        bytes_put_u32 (out + 4 * i, (uint32_t) group);
    }
    memcpy (key, out, sizeof out);
    sodium_memzero (out, sizeof out);
    return STATUS_OK;
}

enum status curve_keys_make (struct curve_keys *keys)
{
    if (sodium_init () < 0)
        return STATUS_INTERNAL;
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
    crypto_box_keypair (public_key, secret_key);
    curve_key_encode (public_key, keys->public_text);
    curve_key_encode (secret_key, keys->secret_text);
    sodium_memzero (secret_key, sizeof secret_key);
    return STATUS_OK;
}

void curve_keys_close (struct curve_keys *keys)
{
    sodium_memzero (keys, sizeof *keys);
}

bool curve_key_is_published (const char text[CURVE_KEY_TEXT_LEN + 1])
{
    for (size_t i = 0; i < sizeof published_keys / sizeof published_keys[0]; i++)
        if (strcmp (text, published_keys[i]) == 0)
            return true;
    return false;
}

bool curve_keys_valid (const struct curve_keys *keys)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES], expected[CURVE_KEY_BYTES];
    if (curve_key_decode (bytes_text (keys->public_text), public_key) != STATUS_OK ||
        curve_key_decode (bytes_text (keys->secret_text), secret_key) != STATUS_OK)
        return false;
    bool valid = crypto_scalarmult_base (expected, secret_key) == 0 &&
                 sodium_memcmp (expected, public_key, sizeof expected) == 0;
    sodium_memzero (secret_key, sizeof secret_key);
    return valid && !curve_key_is_published (keys->public_text) && !curve_key_is_published (keys->secret_text);
}

enum status curve_keys_save (const struct curve_keys *keys, const char *path, struct identity_error *error)
{
    char text[160];
    int len = snprintf (
        text, sizeof text, "maitre-curve-key 1\npublic %s\nsecret %s\n", keys->public_text, keys->secret_text);
    maitre_assert (len > 0 && (size_t) len < sizeof text);
    enum status status = identity_file_write (path, true, bytes_of (text, (size_t) len), error);
    sodium_memzero (text, sizeof text);
    return status;
}

enum status curve_keys_load (struct curve_keys *keys, const char *path, struct identity_error *error)
{
    char *text = NULL;
    size_t len = 0;
    enum status status = identity_file_read (path, true, &text, &len, error);
    if (status != STATUS_OK)
        return status;
    struct curve_keys found = {0};
    int end = 0;
    int fields =
        sscanf (text, "maitre-curve-key 1 public %40s secret %40s %n", found.public_text, found.secret_text, &end);
    bool whole = fields == 2 && (size_t) end == len;
    identity_file_free (&text, len);
    if (whole && (curve_key_is_published (found.public_text) || curve_key_is_published (found.secret_text))) {
        identity_error_set (
            error, "%s holds a test key from ZeroMQ's manuals, which everybody has; make a new one", path);
        status = STATUS_INVALID_ARGUMENT;
    } else if (!whole || !curve_keys_valid (&found)) {
        identity_error_set (error, "%s is not a whole CURVE key file; restore it or make a new one", path);
        status = STATUS_INVALID_ARGUMENT;
    } else {
        *keys = found;
    }
    curve_keys_close (&found);
    return status;
}
