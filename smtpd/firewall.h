/* smtpd/firewall.h: the session's side of the header firewall: who sent this header, and what of it passes. */
#ifndef SMTPD_FIREWALL_H
#define SMTPD_FIREWALL_H

#include "smtpd/session.h"

/* transaction.on_header: the claim in the header is taken into account, then the policy; sets t->edits. */
void firewall_judge(void *session, struct transaction *t);

#endif
