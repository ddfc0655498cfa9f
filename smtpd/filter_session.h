/* smtpd/filter_session.h: where a session asks its content filters, and goes on when they have answered.
 *
 * Every function here is for sessions with s->filters; without one the caller goes straight on. */
#ifndef SMTPD_FILTER_SESSION_H
#define SMTPD_FILTER_SESSION_H

#include "smtpd/session.h"

/* Asks; `then` is called once, now or later, with the verdict in s->filters, and says how the session goes on. `detail`
 * may go at once. */
enum step session_filter(struct session *s, enum milter_stage stage, struct str detail,
			 enum step (*then)(struct session *));

static inline bool session_is_filtered_out(const struct session *s)
{
	return s->filters->verdict.end != FILTER_GO;
}
/* The answer of a verdict that is no GO and no DISCARD; a CLOSE ends the session with it. */
enum step session_filter_reply(struct session *s);
/* The open transaction is over, one way or the other.  Harmless without filters and without a transaction. */
void session_filter_over(struct session *s);

#endif
