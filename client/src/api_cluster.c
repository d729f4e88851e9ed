/* Outcomes, and the state of the cluster.
 */
#include "client/src/client.h"

enum maitre_status maitre_call_outcome (
    struct maitre *client, const struct maitre_id *request_id, struct maitre_outcome *result)
{
    struct outcome_request request = {.request_id = client_id_in (request_id)};
    struct outcome_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_CALL_OUTCOME, &request, NULL, &reply, &value);
    if (status == MAITRE_OK && result != NULL) {
        *result = (struct maitre_outcome){.state = (enum maitre_outcome_state) value.state,
            .status = value.has_status ? (enum maitre_status) value.status : MAITRE_OK};
        client_text (result->reason, sizeof result->reason, value.has_reason ? value.reason : bytes_of (NULL, 0));
    }
    maitre_reply_destroy (&reply);
    return status;
}

enum maitre_status maitre_cluster_status (struct maitre *client, uint32_t node, struct maitre_cluster *result)
{
    struct status_request request = {.has_shards = false};
    struct status_reply value;
    struct maitre_reply *reply = NULL;
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.node = node;
    enum maitre_status status =
        client_invoke (client, METHOD_NUMBER_CLUSTER_STATUS, &request, &options, &reply, &value);
    if (status == MAITRE_OK && result != NULL) {
        *result = (struct maitre_cluster){.cluster = client_id_out (&value.cluster),
            .node = (uint32_t) value.node,
            .epoch = value.epoch,
            .uptime_ms = value.uptime_ms,
            .shard_count = (uint32_t) value.shard_count,
            .nodes = (uint32_t) value.nodes_count,
            .leaderless = (uint32_t) value.leaderless,
            .healthy = value.has_healthy && value.healthy};
        client_text (result->version, sizeof result->version, value.version);
        for (size_t i = 0; i < value.nodes_count; i++)
            result->nodes_alive += value.nodes[i].state == NODE_STATE_ALIVE ? 1 : 0;
    }
    maitre_reply_destroy (&reply);
    return status;
}
