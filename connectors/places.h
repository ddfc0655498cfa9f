/* connectors/places.h: the servers of a hop, in the order they are tried, and which of them to leave alone for now.
 *
 *   places_find -> done -> places_pick / places_failed / places_worked ... -> places_find again after PLACES_FRESH_MS
 *
 * Knows: names (routing/dns), addresses.  Must not know: connections, messages.  Threads: the loop's. */
#ifndef CONNECTORS_PLACES_H
#define CONNECTORS_PLACES_H

#include "connectors/pool.h"

enum { PLACES_FRESH_MS = 60 * 1000, PLACES_REST_MAX_MS = 30 * 1000 };

struct place {
	struct net_addr addr;
	struct str host;       /* lower case */
	int64_t rest_until_ms; /* not before (loop time) */
	unsigned fails;        /* in a row */
};

struct places {
	struct place *v;
	size_t n;
	int64_t found_ms; /* loop time of the last answer; 0 = never */
	/* when n == 0: why, and is that final? */
	bool final;
	struct reply reply;
	char text[400];

	/* looking */
	struct loop *loop;
	struct dns *dns;
	const struct net_addr *own;
	size_t own_n;
	const struct conf_send *send;
	enum hop_kind kind;
	struct str target;
	struct dns_lookup lookup;
	struct loop_task task; /* done() when no name had to be asked */
	size_t next;           /* smart host to look up next */
	bool looking, met_self;
	struct places_list {
		struct place *v;
		size_t n;
	} building;
	void (*done)(struct places *p);
};

/* `target` must outlive the places.  done() runs once per find, not inside it. */
void places_init(struct places *p, const struct pool_options *o, const struct conf_send *s, enum hop_kind kind,
		 struct str target, void (*done)(struct places *));
void places_fini(struct places *p);
void places_find(struct places *p);

/* The first place that need not rest; NULL when there is none. */
struct place *places_pick(struct places *p, int64_t now_ms);
void places_failed(struct places *p, const struct net_addr *a, int64_t now_ms); /* rests 1 s, 2 s, ... 30 s */
void places_worked(struct places *p, const struct net_addr *a);
void places_forget_rests(struct places *p); /* all may be tried at once */

/* "name", "name:port", "192.0.2.1", "[2001:db8::1]:25": the host without brackets.  False for a bad port. */
bool places_parse_host(struct str s, uint16_t default_port, struct str *host, uint16_t *port);

#endif
