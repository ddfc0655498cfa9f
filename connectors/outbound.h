/* connectors/outbound.h: one configuration with the TLS contexts of its send connectors; this room's view of what
 * connectors.h names struct outbound. */
#ifndef CONNECTORS_OUTBOUND_H
#define CONNECTORS_OUTBOUND_H

#include "connectors/connectors.h"

const struct config *outbound_config(const struct outbound *o);

#endif
