/* smtpd/switch_check.h: what must hold before the flow is switched (spec 1.6, PRECHECK), check by check.  Pure.
 *
 * control_switch.c gathers the findings (probes, DNS, tables); here they are judged.  A check that cannot be made says
 * so and is skipped: it never passes by not looking. */
#ifndef SMTPD_SWITCH_CHECK_H
#define SMTPD_SWITCH_CHECK_H

#include "connectors/connectors.h"
#include "routing/spf.h"
#include "routing/switch.h"

enum { CHECK_PROBES_MAX = 16, CHECK_DOMAINS_MAX = 16 };

struct check_probe { /* one send connector, tried */
	const struct conf_send *send;
	char rcpt[256]; /* asked for; empty = there was nobody to ask for */
	bool done;
	size_t hosts, good;
	uint64_t size_min;
	char why[200]; /* the first thing that failed */
};

struct check_mx {
	const struct conf_domain *domain;
	enum dns_status status;
	bool has_mx;
	int ttl_s; /* -1 = not known */
};

struct check_spf {
	bool done;
	enum spf_result result;
	char why[SPF_WHY + 80];
};

struct check_replay {       /* recorded mail under the new mode */
	const char *no_log; /* why there is nothing to replay; NULL = there was */
	bool failed;        /* could not be read: `sample` says why */
	uint64_t messages, recipients, changed, refused, loops;
	char sample[160]; /* the first that would be refused or loop */
};

struct check_findings {
	int64_t now_ms;
	struct flow to;
	struct check_probe probes[CHECK_PROBES_MAX];
	size_t probe_n;
	const struct connector_stats *stats;
	size_t stat_n;
	struct routing_stats table;
	struct check_mx mx[CHECK_DOMAINS_MAX];
	size_t mx_n;
	struct check_spf spf[CHECK_DOMAINS_MAX]; /* of the domains of mx */
	const char *spf_lacks;                   /* the option that names no address of a side that would send */
	struct check_replay replay;
	uint64_t waiting; /* recipients in the queue */
	size_t incidents; /* disagreements about locations that are not over */
};

/* The connectors to try: those to the other side and those to our mailboxes.  `local` and `remote`: whom to ask for. */
void switch_check_plan(const struct config *c, struct str local, struct str remote, struct check_findings *f);

/* Fills at most SWITCH_CHECKS_MAX; returns how many. */
size_t switch_check_judge(const struct config *c, const struct check_findings *f, struct switch_check *out);
bool switch_check_known(struct str name);
/* A failed check of that name becomes waived; false: it did not fail. */
bool switch_check_waive(struct switch_check *checks, size_t n, struct str name, struct str who, struct str why);

#endif
