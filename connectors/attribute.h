/* connectors/attribute.h: what attribution and its alarms ask alike; this room's. */
#ifndef CONNECTORS_ATTRIBUTE_H
#define CONNECTORS_ATTRIBUTE_H

#include "connectors/connectors.h"

/* ip_trust = full, and its last day has passed: the addresses recognise nobody any more. */
bool attribute_ip_is_over(const struct conf_inbound *in, int64_t now_ms);
bool attribute_in_ranges(const struct conf_inbound *in, const struct net_addr *client);

#endif
