/* smtpd/metrics.h: what a monitoring system wants to know, as OpenMetrics text (docs/METRICS.md has the names).
 *
 * Names are promises as much as those of commands: they stay.  Labels are bounded: connectors and rules by the
 * configuration, next hops by metrics.hops. */
#ifndef SMTPD_METRICS_H
#define SMTPD_METRICS_H

#include "smtpd/control.h"

enum { METRICS_MAX = 4 * 1024 * 1024 };

/* Asks all loops and waits for them: never on a loop.  `c` is the configuration in force. */
void metrics_write(const struct control_hooks *h, const struct config *c, struct buf *out);

#endif
