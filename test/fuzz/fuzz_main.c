/* Runs a fuzz target without libFuzzer, so that every build and every compiler has it: each file of the corpus, then as
 * many blind mutations of them as asked for, the same ones in every run.
 *
 *     fuzz_NAME [--runs N] [--seed N] FILE-OR-FOLDER...
 *
 * When the target dies, what it was given is left in fuzz_NAME.crash in the current folder: give that file to the same
 * program to see it again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (1u << 20)
#define GROWTH_BYTES_MAX 4096 /* mutations stay near the size of what is in the corpus */

struct input {
    uint8_t *data;
    size_t len;
};

static struct input *corpus;
static size_t corpus_count;
static struct input current;
static char crash_path[256];

static void on_crash (int number)
{
    int fd = open (crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write (fd, current.data, current.len) == (ssize_t) current.len && close (fd) == 0) {
        static const char told[] = "fuzz: the input is kept: ";
        if (write (2, told, sizeof told - 1) > 0 && write (2, crash_path, strlen (crash_path)) > 0 &&
            write (2, "\n", 1) > 0)
            fsync (2);
    }
    signal (number, SIG_DFL);
    raise (number);
}

/* The input lies alone on the heap, exactly as long as it is: memory checkers then see a byte too many. */
static void run (const uint8_t *data, size_t len)
{
    current = (struct input){.data = malloc (len > 0 ? len : 1), .len = len};
    maitre_assert (current.data != NULL);
    if (len > 0)
        memcpy (current.data, data, len);
    LLVMFuzzerTestOneInput (current.data, len);
    free (current.data);
    current = (struct input){0};
}

static bool load_file (const char *path)
{
    FILE *file = fopen (path, "rbe");
    uint8_t *data = malloc (INPUT_BYTES_MAX);
    maitre_assert (data != NULL);
    if (file == NULL) {
        fprintf (stderr, "fuzz: cannot read %s: give a file or a folder\n", path);
        free (data);
        return false;
    }
    size_t len = fread (data, 1, INPUT_BYTES_MAX, file);
    fclose (file);
    corpus = realloc (corpus, (corpus_count + 1) * sizeof *corpus);
    maitre_assert (corpus != NULL);
    corpus[corpus_count++] = (struct input){.data = data, .len = len};
    return true;
}

static bool load (const char *path)
{
    struct stat about;
    if (stat (path, &about) != 0 || !S_ISDIR (about.st_mode))
        return load_file (path);
    struct dirent **names;
    int count = scandir (path, &names, NULL, alphasort); /* the same order everywhere */
    bool fine = count >= 0;
    for (int i = 0; i < count; i++) {
        char inner[4096];
        snprintf (inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && fine)
            fine = load_file (inner);
        free (names[i]);
    }
    if (count >= 0)
        free (names);
    return fine;
}

static uint64_t random_state;

static uint64_t draw (uint64_t bound)
{
    random_state += UINT64_C (0x9e3779b97f4a7c15);
    uint64_t x = random_state;
    x = (x ^ (x >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C (0x94d049bb133111eb);
    return (x ^ (x >> 31)) % bound;
}

static size_t mutate_once (uint8_t *data, size_t len, size_t size)
{
    static const uint8_t edges[] = {0, 1, 0x17, 0x18, 0x1b, 0x20, 0x7f, 0x80, 0xa0, 0xff};
    size_t at = len > 0 ? draw (len) : 0, run_len = 1 + draw (8);
    switch (draw (7)) {
    case 0:
        if (len > 0)
            data[at] ^= (uint8_t) (1u << draw (8));
        return len;
    case 1:
        if (len > 0)
            data[at] = (uint8_t) draw (256);
        return len;
    case 2:
        if (len > 0)
            data[at] = edges[draw (sizeof edges)];
        return len;
    case 3: /* insert */
        if (len + run_len > size)
            return len;
        memmove (data + at + run_len, data + at, len - at);
        for (size_t i = 0; i < run_len; i++)
            data[at + i] = (uint8_t) draw (256);
        return len + run_len;
    case 4: /* cut out */
        if (len - at < run_len)
            run_len = len - at;
        memmove (data + at, data + at + run_len, len - at - run_len);
        return len - run_len;
    case 5: /* what stands elsewhere, here again */
        if (len < 2)
            return len;
        run_len = 1 + draw (len - at);
        memmove (data + at, data + draw (len - run_len + 1), run_len);
        return len;
    default: { /* the tail of another input */
        const struct input *other = &corpus[draw (corpus_count)];
        size_t from = other->len > 0 ? draw (other->len) : 0, tail = other->len - from;
        if (tail > size - at)
            tail = size - at;
        if (tail > 0)
            memcpy (data + at, other->data + from, tail);
        return at + tail;
    }
    }
}

static void mutate (uint64_t runs)
{
    uint8_t *data = malloc (INPUT_BYTES_MAX + GROWTH_BYTES_MAX);
    maitre_assert (data != NULL);
    for (uint64_t i = 0; i < runs; i++) {
        const struct input *from = &corpus[draw (corpus_count)];
        size_t len = from->len;
        memcpy (data, from->data, len);
        for (uint64_t n = 1 + draw (8); n > 0; n--)
            len = mutate_once (data, len, from->len + GROWTH_BYTES_MAX);
        run (data, len);
    }
    free (data);
}

int main (int argc, char **argv)
{
    uint64_t runs = 0;
    const char *name = strrchr (argv[0], '/');
    snprintf (crash_path, sizeof crash_path, "%s.crash", name == NULL ? argv[0] : name + 1);
    signal (SIGABRT, on_crash);
    signal (SIGSEGV, on_crash);
    signal (SIGBUS, on_crash);
    signal (SIGFPE, on_crash);
    for (int i = 1; i < argc; i++) {
        if (strcmp (argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoull (argv[++i], NULL, 10);
        else if (strcmp (argv[i], "--seed") == 0 && i + 1 < argc)
            random_state = strtoull (argv[++i], NULL, 10);
        else if (!load (argv[i]))
            return 2;
    }
    if (corpus_count == 0) {
        fprintf (stderr, "usage: %s [--runs N] [--seed N] FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < corpus_count; i++)
        run (corpus[i].data, corpus[i].len);
    mutate (runs);
    printf ("%zu inputs of the corpus, %llu mutations: nothing found\n", corpus_count, (unsigned long long) runs);
    for (size_t i = 0; i < corpus_count; i++)
        free (corpus[i].data);
    free (corpus);
    return 0;
}
