/* smtpd/replay.h: the envelopes of tracking logs into a simulation.
 *
 * Knows: the format of connectors/track.  Must not know: what is done with the findings.
 * Threads: one; reads files, so the control's worker or `tombolo`, never a loop. */
#ifndef SMTPD_REPLAY_H
#define SMTPD_REPLAY_H

#include "smtpd/control_track.h"
#include "smtpd/simulate.h"

struct replay {
	struct simulation *sim;
	int64_t since_ms;      /* wall clock; 0 = from the beginning */
	bool joint;            /* the other side's log is here as well: what it handed over is counted there */
	uint64_t broken, lost; /* lines that are no events; events said to be missing */
};

/* 0, or -1: a log cannot be read, or the recipient table. */
int replay_logs(struct replay *r, const struct track_logs *logs, struct err *e);

#endif
