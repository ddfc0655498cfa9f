/* smtpd/echo.h: messages of ours that come back (connectors/echo.h), as a session sees them: taken at RCPT, told to who
 * sent them when their header has been read, and never delivered. */
#ifndef SMTPD_ECHO_H
#define SMTPD_ECHO_H

#include "smtpd/session.h"

/* The recipient is where an echo of ours comes to, and its tag, or that of the sender, is ours: it is taken. */
bool session_echo_rcpt(struct session *s, const struct addr *rcpt);
/* The table refused the recipient.  True: it is taken until the header tells whether an echo came for it; asked by the
 * other side only. */
bool session_echo_hope(struct session *s, const struct addr *rcpt, const struct verdict *refused);
/* The header is complete.  May judge. */
void session_echo_header(struct session *s);

#endif
