/* The client file's signature: by the key of --cluster-key (or MAITRE_CLUSTER_KEY), else by cluster.public beside the file, if
 * there is one. The library does not check it, so as not to need libsodium; whoever asks for a check gets one or an error.
 *
 * Beside the file, the key tells a file that was edited, cut off or mixed up with another cluster's, not one that an attacker
 * put there together with its key: against that, keep the key elsewhere and name it.
 */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/cli/cli.h"

#define FILE_BYTES_MAX (256 * 1024)
#define KEY_HEAD "maitre-cluster-key 1\n"
#define FILE_HEAD "maitre-client 1\ncluster "
#define SIGNATURE_HEAD "signature "

/* The whole file, NUL-terminated, on the heap. NULL: errno says why. */
static char *read_whole (const char *path, size_t *len)
{
    FILE *file = fopen (path, "re");
    char *text = file == NULL ? NULL : malloc (FILE_BYTES_MAX + 1);
    if (text != NULL) {
        *len = fread (text, 1, FILE_BYTES_MAX + 1, file);
        if (ferror (file) || *len > FILE_BYTES_MAX) {
            errno = ferror (file) ? EIO : EFBIG;
            free (text);
            text = NULL;
        } else {
            text[*len] = '\0';
        }
    }
    int why = errno;
    if (file != NULL)
        fclose (file);
    errno = why;
    return text;
}

static bool starts (const char *text, const char *head)
{
    return strncmp (text, head, strlen (head)) == 0;
}

/* `bytes` bytes in hex, which the line must end behind. */
static bool read_hex (const char *text, uint8_t *out, size_t bytes)
{
    size_t got = 0;
    const char *end = NULL;
    return strnlen (text, 2 * bytes) == 2 * bytes &&
           sodium_hex2bin (out, bytes, text, 2 * bytes, NULL, &got, &end) == 0 && got == bytes &&
           end == text + 2 * bytes && *end == '\n';
}

static bool key_of (const char *text, size_t len, uint8_t key[crypto_sign_PUBLICKEYBYTES])
{
    return len == strlen (KEY_HEAD) + 2 * crypto_sign_PUBLICKEYBYTES + 1 && starts (text, KEY_HEAD) &&
           read_hex (text + strlen (KEY_HEAD), key, crypto_sign_PUBLICKEYBYTES);
}

/* NULL: the key's owner signed every byte of the text. Else what is wrong with it. */
static const char *verdict (const char *text, size_t len, const uint8_t key[crypto_sign_PUBLICKEYBYTES])
{
    const size_t tail = strlen (SIGNATURE_HEAD) + 2 * crypto_sign_BYTES + 1;
    uint8_t cluster[ID_SIZE], expected[ID_SIZE], signature[crypto_sign_BYTES];
    if (!starts (text, FILE_HEAD) || !read_hex (text + strlen (FILE_HEAD), cluster, sizeof cluster))
        return "is not a client file of this version; fetch cluster.client again";
    if (crypto_generichash (expected, sizeof expected, key, crypto_sign_PUBLICKEYBYTES, NULL, 0) != 0 ||
        memcmp (cluster, expected, sizeof cluster) != 0)
        return "belongs to another cluster than the cluster key; fetch this cluster's cluster.client";
    const char *last = text + len - (len > tail ? tail : len);
    if (len <= tail || last[-1] != '\n' || !starts (last, SIGNATURE_HEAD) ||
        !read_hex (last + strlen (SIGNATURE_HEAD), signature, sizeof signature))
        return "has no signature in its last line; fetch cluster.client again";
    if (crypto_sign_verify_detached (signature, (const uint8_t *) text, len - tail, key) != 0)
        return "was changed after it was signed; fetch cluster.client again";
    return NULL;
}

/* cluster.public in the folder of `path`; false: that is too long. */
static bool beside (const char *path, char *out, size_t size)
{
    const char *slash = strrchr (path, '/');
    int folder = slash == NULL ? 0 : (int) (slash - path) + 1;
    return snprintf (out, size, "%.*scluster.public", folder, path) < (int) size;
}

int cli_signature_check (const char *cluster_file, const char *key_file)
{
    char near[4096];
    uint8_t key[crypto_sign_PUBLICKEYBYTES];
    size_t len = 0;
    bool named = key_file != NULL;
    if (!named && !beside (cluster_file, near, sizeof near))
        return CLI_OK;
    char *text = read_whole (named ? key_file : near, &len);
    if (text == NULL && !named && errno == ENOENT)
        return CLI_OK; /* the file is trusted as it is, like a private key */
    const char *key_path = named ? key_file : near;
    if (text == NULL)
        return cli_complain (CLI_USAGE, "cannot read the cluster key %s: %s", key_path, strerror (errno));
    bool good = sodium_init () >= 0 && key_of (text, len, key);
    free (text);
    if (!good)
        return cli_complain (CLI_USAGE, "%s is not a cluster key; restore cluster.public", key_path);
    text = read_whole (cluster_file, &len);
    if (text == NULL)
        return CLI_OK; /* the library says it better */
    const char *wrong = verdict (text, len, key);
    sodium_memzero (text, len); /* it holds the clients' key */
    free (text);
    return wrong == NULL ? CLI_OK : cli_complain (CLI_USAGE, "%s %s", cluster_file, wrong);
}
