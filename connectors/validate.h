/* connectors/validate.h: the connectors of one loop, probed again and again (spec 3.8).
 *
 *   timer (jittered) -> probe -> a valid_host for each address -> validity_judge -> tally, and the log when it changed
 *
 * Logs connector.validity, and alarm CONNECTOR-DEGRADED or CONNECTOR-FAILED.  Threads: the loop's. */
#ifndef CONNECTORS_VALIDATE_H
#define CONNECTORS_VALIDATE_H

#include "connectors/connectors.h"

struct validator;

/* One event: a direction ("out", "in") of a connector is not what it was.  `asymmetric`: the other one works. */
void validate_tell(const char *connector, const char *direction, enum valid_state before, const struct validation *v,
		   bool asymmetric);

struct validator *validator_new(struct deliver *d);
void validator_reconfigure(struct validator *v); /* the deliver has another configuration */
void validator_free(struct validator **v);

#endif
