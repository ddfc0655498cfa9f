/* smtpd/pressure.h: back pressure: what the machine is short of, and whom we therefore turn away (spec 6.4).
 *
 *   pressure_watch samples every two seconds -> pressure_step -> who is shed -> MAIL and RCPT ask pressure_sheds
 *
 *   low <-> medium <-> high, each with a mark on the way up and a lower one on the way back
 *
 *   all low               nobody waits
 *   medium                strangers: the answer to MAIL comes late where a queue grew long (it often is a short rush),
 * and after HISTORY samples, or at once where it is the disk or memory, 452; RCPT is answered late high clients with a
 * password or a device's address too, after HIGH_SERVERS samples our own servers, after HIGH_PEER the other side: it
 * would keep the mail, but not for long
 *
 * Nothing is refused before MAIL: only then is it known who calls, and the other side comes to the same listener.
 * Reports, outcomes and the control socket are never shed.  Threads: step and watch on one thread, the rest any. */
#ifndef SMTPD_PRESSURE_H
#define SMTPD_PRESSURE_H

#include "config/config.h"
#include "wire/envelope.h"
#include "wire/reply.h"

enum pressure_level { PRESSURE_LOW, PRESSURE_MEDIUM, PRESSURE_HIGH };
enum pressure_shed { SHED_NOBODY, SHED_SLOWLY, SHED_STRANGERS, SHED_CLIENTS, SHED_SERVERS, SHED_PEER };

enum { HISTORY = 10, HIGH_SERVERS = 5, HIGH_PEER = 15 }; /* samples */
enum { PRESSURE_UNKNOWN = -1, PRESSURE_SAMPLE_MS = 2000 };

struct pressure_gauge {
	int64_t value; /* PRESSURE_UNKNOWN: this machine does not tell */
	enum pressure_level level;
	unsigned samples; /* since the level changed */
	bool changed;     /* by the newest sample */
};

struct pressure {
	struct pressure_gauge gauges[RES_N];
	enum pressure_shed shed;  /* atomic, as slow_ms: read by the sessions */
	int64_t slow_ms;          /* how late a stranger's MAIL or RCPT is answered */
	enum conf_resource worst; /* whose fault it is */
};

const char *pressure_level_name(enum pressure_level l); /* "medium" */
const char *pressure_shed_name(enum pressure_shed s);   /* "strangers" */

/* Takes one sample of everything.  Pure but for *p. */
void pressure_step(struct pressure *p, const struct conf_pressure *c, const int64_t values[RES_N]);

void pressure_read(const struct pressure *p, enum conf_resource r, int64_t *value, enum pressure_level *level);
enum pressure_shed pressure_sheds(const struct pressure *p);

enum pressure_answer { PRESSURE_TAKE, PRESSURE_WAIT, PRESSURE_REFUSE };
/* What MAIL of this origin is answered with; WAIT: `ms` late. */
enum pressure_answer pressure_at_mail(const struct pressure *p, enum env_origin origin, int64_t *ms);
/* How late RCPT is answered; 0 = at once. */
int64_t pressure_at_rcpt(const struct pressure *p, enum env_origin origin);

#endif
