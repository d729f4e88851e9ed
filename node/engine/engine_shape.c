/* What decides where data is, pinned when a folder is made: another ring would look for it where it is not. */
#include <stdio.h>
#include <stdlib.h>

#include "node/engine/engine_internal.h"

#define SHAPE_FILE "shape"
#define PLACED_LINE "placement 1\n" /* there is files/map: a version that knows nothing of it must not start here */
#define SHAPE_BYTES_MAX (160 + CLUSTER_NODES_MAX * (CLUSTER_ZONE_BYTES_MAX + 16))

/* All that engine_recover.c builds the ring from, a line each. Endpoints and keys may change. */
static struct bytes write_shape (const struct engine_config *config, char out[SHAPE_BYTES_MAX])
{
    const struct cluster_nodes *nodes = &config->nodes;
    char cluster[ID_TEXT_LEN + 1];
    id_format (&nodes->cluster, cluster);
    int len = snprintf (out, SHAPE_BYTES_MAX, "cluster %s\nshards %u\nreplication %u\nnodes %u\n", cluster,
        config->shards, config->replication, nodes->node_count);
    for (uint32_t i = 0; i < nodes->node_count; i++) {
        const char *zone = nodes->nodes[i].zone;
        len += snprintf (
            out + len, SHAPE_BYTES_MAX - (size_t) len, "node %u zone %s\n", i + 1, zone[0] == '\0' ? "-" : zone);
        maitre_assert (len < SHAPE_BYTES_MAX);
    }
    return bytes_of (out, (size_t) len);
}

/* The line that begins at `at`, without its end. */
static struct bytes line_at (struct bytes text, size_t at)
{
    size_t end = at;
    while (end < text.len && text.data[end] != '\n')
        end++;
    return bytes_of (text.data + at, end - at);
}

/* Where the first line begins that the two do not share. */
static size_t first_difference (struct bytes a, struct bytes b)
{
    size_t at = 0, line = 0;
    while (at < a.len && at < b.len && a.data[at] == b.data[at]) {
        if (a.data[at++] == '\n')
            line = at;
    }
    return line;
}

static bool refuse (
    const struct engine_config *config, struct bytes pinned, struct bytes now, struct engine_error *error)
{
    size_t at = first_difference (pinned, now);
    struct bytes was = line_at (pinned, at), is = line_at (now, at);
    bool own_file = at > 0 && is.len > 0 && (is.data[0] == 's' || is.data[0] == 'r');
    return engine_fail (error, ENGINE_EXIT_FOLDER,
        "%s was made with \"%.*s\", but %s says \"%.*s\": that decides where data is and is fixed; put it back",
        config->data, (int) was.len, (const char *) was.data, own_file ? "the node's configuration" : "nodes.conf",
        (int) is.len, (const char *) is.data);
}

/* Without its last line, if that is PLACED_LINE. */
static struct bytes strip (struct bytes pinned, bool *placed)
{
    size_t len = sizeof PLACED_LINE - 1;
    *placed = pinned.len >= len && memcmp (pinned.data + pinned.len - len, PLACED_LINE, len) == 0;
    return *placed ? bytes_of (pinned.data, pinned.len - len) : pinned;
}

bool engine_shape_check (struct engine *engine, bool *pinned, struct engine_error *error)
{
    char text[SHAPE_BYTES_MAX];
    uint8_t *stored = NULL;
    size_t len = 0;
    struct bytes now = write_shape (&engine->config, text);
    enum status status = store_file_get (engine->store, SHAPE_FILE, &stored, &len);
    *pinned = status == STATUS_OK;
    bool fits = status == STATUS_NOT_FOUND;
    if (status == STATUS_DATA_LOSS)
        engine_fail (error, ENGINE_EXIT_DAMAGE,
            "%s/files/" SHAPE_FILE " is damaged: nothing was changed, see \"A disk that is lost or damaged\" in "
            "node/README.md",
            engine->config.data);
    else if (status == STATUS_OK) {
        struct bytes before = strip (bytes_of (stored, len), &engine->placement.pinned);
        fits = bytes_equal (before, now) || refuse (&engine->config, before, now, error);
    } else if (status != STATUS_NOT_FOUND)
        engine_fail (error, ENGINE_EXIT_RESOURCES, "%s: files cannot be read: check the disk", engine->config.data);
    free (stored);
    return fits;
}

bool engine_shape_pin (struct engine *engine, struct engine_error *error)
{
    char text[SHAPE_BYTES_MAX];
    if (!failpoint (FAILPOINT_SHAPE_BEFORE) &&
        store_file_put (engine->store, SHAPE_FILE, write_shape (&engine->config, text)) == STATUS_OK) {
        failpoint_pass (FAILPOINT_SHAPE_AFTER);
        return true;
    }
    return engine_fail (
        error, ENGINE_EXIT_RESOURCES, "%s: files cannot be written: check the disk", engine->config.data);
}

bool engine_shape_placed (struct engine *engine, struct engine_error *error)
{
    char text[SHAPE_BYTES_MAX];
    if (engine->placement.pinned)
        return true;
    struct bytes shape = write_shape (&engine->config, text);
    memcpy (text + shape.len, PLACED_LINE, sizeof PLACED_LINE - 1);
    shape.len += sizeof PLACED_LINE - 1;
    engine->placement.pinned = store_file_put (engine->store, SHAPE_FILE, shape) == STATUS_OK;
    return engine->placement.pinned || engine_fail (error, ENGINE_EXIT_RESOURCES,
                                           "%s: files cannot be written: check the disk", engine->config.data);
}
