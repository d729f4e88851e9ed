/* The system shard's record of replaced nodes (node/placement), as calls.
 *
 * Room: node/services, pure; internal to the room. One row, TABLE_PLACEMENT; no row: nothing was ever replaced.
 */
#ifndef MAITRED_NODE_SERVICES_CLUSTER_H
#define MAITRED_NODE_SERVICES_CLUSTER_H

#include "node/services/service.h"

void cluster_replace_node_apply (struct service_call *call);
void cluster_bind_folder_apply (struct service_call *call);
void cluster_note_moves_apply (struct service_call *call);
void cluster_placement_read (struct service_call *call);

#endif
