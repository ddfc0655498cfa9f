/* connectors/tally.h: what became of the connections and recipients of each connector, for as long as a loop runs.
 *
 * Hops come and go with their traffic; these counters stay, by the connector's name, through reloads too.
 * Threads: the loop's. */
#ifndef CONNECTORS_TALLY_H
#define CONNECTORS_TALLY_H

#include "connectors/smtp_client.h"

#include "connectors/connectors.h"

struct tally {
	SLIST_ENTRY(tally) link;
	struct connector_stats stats;
	int64_t age_alarm_ms; /* loop time of the last one; 0 = none */
};
SLIST_HEAD(tallies, tally);

struct tally *tally_of(struct tallies *all, struct str connector); /* made when new */
void tallies_free(struct tallies *all);
size_t tallies_copy(const struct tallies *all, struct connector_stats *rows, size_t max);

void tally_ready(struct tally *t, const struct smtp_client *c); /* a connection is up, with the TLS it has */
void tally_failed(struct tally *t, enum smtp_stage at, enum smtp_why reason, const char *why);
void tally_unknown(struct tally *t); /* a message was sent and may or may not have been taken */
void tally_result(struct tally *t, enum rcpt_result result);

#endif
