/* smtpd/policy.h: small verdicts of a session, as pure functions of values. */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "connectors/connectors.h"
#include "wire/author.h"

/* Largest message this receive connector takes. */
uint64_t policy_size_max(const struct config *c, const struct conf_receive *r);

/* XOORG is offered to hosts that proved by certificate that they are the other side (spec 4.3). */
bool policy_offers_xoorg(const struct attribution *who);

/* May this caller start a transaction at all?  False with the reply (TLS wanted, no permission, partner restriction).
 */
bool policy_may_send(const struct conf_receive *r, const struct attribution *who, bool secured, enum conf_codes codes,
		     struct reply *why);

/* The reply with the id by which its message is found in the logs; as it is when it says so already.  `text` takes the
 * words. */
void policy_add_id(const struct reply *r, struct str id, char *text, size_t room, struct reply *out);

/* Is a recipient taken although the decision is to wait?  With a stale table (R03) the MX defers, but who uses us as a
 * smart host has nowhere else to go: its mail waits in our queue until the table is fresh (spec 2.5.7). */
bool policy_queues(const struct verdict *v, enum env_origin origin);

/* The reply to a RCPT that the decision table refused (its text names reason and rule) with the id; to our own side
 * also the cause and who can mend it. `text` takes the words; the reply views it.  Internet senders learn nothing of
 * tables and locations (spec 5.3). */
void policy_refusal(const struct verdict *v, enum env_origin origin, struct str id, char *text, size_t room,
		    struct reply *out);

/* A stranger's message has to name its author in a way that a filter and a mail program read alike (limits.author,
 * hardening HY-9).  False with the reply; `text` takes its words. */
bool policy_author(const struct config *c, enum env_origin origin, enum author author, struct str id, char *text,
		   size_t room, struct reply *out);

#endif
