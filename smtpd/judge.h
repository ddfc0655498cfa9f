/* smtpd/judge.h: who wrote this message, as far as SPF, DKIM, ARC and DMARC can tell, and what is done about it (spec
 * 4.7, docs/DMARC.md).
 *
 *   header complete   session_judge_begin -> SPF is asked; DKIM and ARC hear the header
 *   content           they hear the body, and names of keys are asked for meanwhile
 *   data end          session_judge_end   -> DMARC, the policy; Authentication-Results into the content
 *
 * Nothing is asked about mail that is refused before its content, nor where receive.dmarc is off or there are no
 * workers (auth.workers).  What cannot be found out in time is a temperror, never a loss.
 * Owner: the session's transaction, which lets go of it when it is over.  Threads: the loop's. */
#ifndef SMTPD_JUDGE_H
#define SMTPD_JUDGE_H

#include "smtpd/session.h"

/* From the firewall, when caller and header are settled and the header may pass. */
void session_judge_begin(struct session *s);
/* All content is in.  False: this message is not judged.  True: the session waits (s->wait is set), and done() runs
 * once, later; then t->verdict says whether it is refused, and env.hold whether it is held. */
bool session_judge_end(struct session *s, void (*done)(struct session *s));

#endif
