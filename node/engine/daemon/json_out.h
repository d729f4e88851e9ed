/* JSON for --json of the daemon's commands. Room: node/engine/daemon. */
#ifndef MAITRED_NODE_ENGINE_DAEMON_JSON_OUT_H
#define MAITRED_NODE_ENGINE_DAEMON_JSON_OUT_H

/* Prints `text` as a JSON string to the standard output. It may come from a damaged disk: every byte that is no printable
 * ASCII character is escaped. */
void json_out_string (const char *text);

#endif
