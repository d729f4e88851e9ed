#include "node/engine/daemon/allow_faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/engine/event_log.h"
#include "node/failpoint/failpoint.h"

bool allow_faults (bool allowed)
{
    const char *settings = getenv ("MAITRED_FAILPOINTS");
    char error[FAILPOINT_ERROR_BYTES];
    bool given = settings != NULL && *settings != '\0';
    if (!allowed && given)
        fprintf (stderr, "maitred: MAITRED_FAILPOINTS is set, but faults are not allowed: write faults = 1 into the "
                         "configuration of a node for tests (create-cluster --faults does), or unset it\n");
    if (!allowed)
        return !given;
    if (failpoint_allow (settings, error) != STATUS_OK) {
        fprintf (stderr, "maitred: MAITRED_FAILPOINTS: %s\n", error);
        return false;
    }
    if (given)
        event_log (EVENT_LOG_WARN, "failpoints are set", event_log_text ("settings", settings));
    return true;
}
