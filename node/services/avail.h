/* Availability: what is free, by offer, by bucket, and in several offers at once. Answers are true when given and promise nothing:
 * only reserve.Create decides. Room: node/services, pure; internal to the room. */
#ifndef MAITRED_NODE_SERVICES_AVAIL_H
#define MAITRED_NODE_SERVICES_AVAIL_H

#include "node/services/service.h"

service_apply avail_check_read;
service_apply avail_list_free_read;
service_apply avail_find_common_read;

#endif
