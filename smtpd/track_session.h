/* smtpd/track_session.h: the steps of a message that happen in a session, for the tracking log.  One call an event;
 * nothing happens where there is no log. */
#ifndef SMTPD_TRACK_SESSION_H
#define SMTPD_TRACK_SESSION_H

#include "smtpd/session.h"

void session_track_received(struct session *s); /* committed */
/* One recipient was refused by the decision table. */
void session_track_refused_rcpt(struct session *s, struct str rcpt, const struct verdict *v, const struct reply *r);
void session_track_refused(struct session *s, const struct reply *r); /* the message as a whole, at its end */
void session_track_discarded(struct session *s);                      /* by a content filter */

#endif
