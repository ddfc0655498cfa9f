/* smtpd/simulate.h: recorded envelopes on their way through both gateways, under the mode in force and under another
 * one (spec 8.2): what would be different.
 *
 * Ours is the current recipient table and configuration; the other side is a model: its configuration, where there is
 * one, and the same table seen from there (LOCAL and REMOTE change places).  Decisions are route_decide's
 * (routing/passage). What only DNS knows is not asked here: which addresses an SPF record names (spf_check does), who
 * still has the old MX.
 * Knows: routing.  Must not know: JSON, files.  Threads: one; reads the store. */
#ifndef SMTPD_SIMULATE_H
#define SMTPD_SIMULATE_H

#include "routing/passage.h"

struct simulation;

struct sim_options {
	const struct config *ours, *theirs; /* theirs may be NULL: the defaults, and peer_type of our domains */
	struct routing *routing;
	struct mode asked;
};

struct sim_envelope {
	enum conf_site site; /* where it was received */
	bool site_was_mx;    /* the MX led there at that time */
	enum env_origin origin;
	enum env_class class;
	struct str from, client;
	uint64_t size;
};

struct simulation *sim_open(const struct sim_options *o, struct err *e);
void sim_close(struct simulation **s);
/* One message, then its recipients; the texts must live until the next one.  -1 when the table cannot be read. */
void sim_envelope(struct simulation *s, const struct sim_envelope *env);
int sim_rcpt(struct simulation *s, struct str rcpt, struct err *e);

/* ---- what came of it ---- */

enum sim_kind { SIM_CHANGED, SIM_REJECTED, SIM_LOOP, SIM_SPF, SIM_OLD_MX, SIM_KIND_N };
const char *sim_kind_name(enum sim_kind k); /* "changed path" */

struct sim_finding { /* views into the simulation */
	enum sim_kind kind;
	uint64_t recipients, bytes;
	const struct passage *before, *after; /* paths; NULL for SPF and OLD_MX */
	struct str from, rcpt;                /* a sample */
	struct str name;                      /* SPF: our domain; OLD_MX: the client's address */
	enum conf_site egress;                /* SPF: the side it would leave from */
	enum env_origin origin;
};

struct sim_totals {
	struct mode now, asked;
	uint64_t envelopes, recipients, bad_addresses;
	uint64_t found[SIM_KIND_N];       /* recipients; OLD_MX: envelopes */
	uint64_t untold;                  /* findings for which there was no room */
	uint64_t link_before, link_after; /* bytes between the two sides */
};

void sim_totals(const struct simulation *s, struct sim_totals *out);
void sim_each(const struct simulation *s, void (*each)(void *arg, const struct sim_finding *f),
	      void *arg); /* by kind,
			     most first */

/* "INTERNET onprem[R40 ->peer] cloud[R30 deliver] = DELIVERED". */
void sim_put_walk(struct buf *b, enum env_origin origin, const struct passage *w);

#endif
