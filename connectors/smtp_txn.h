/* connectors/smtp_txn.h: between smtp_client.c (the connection), smtp_peer.c (who is at its other end) and smtp_txn.c
 * (the message on it); nobody else's. */
#ifndef CONNECTORS_SMTP_TXN_H
#define CONNECTORS_SMTP_TXN_H

#include "connectors/smtp_client.h"

/* ---- smtp_txn.c, called by the connection ---- */

/* Pushes as much of the transaction as may leave now; ends it when nothing is open any more. */
void txn_advance(struct smtp_client *c);
/* The connection is gone: the transaction ends as UNKNOWN, STALE or LOST.  `answer`: the reply that said so, if any. */
void txn_abandon(struct smtp_client *c, bool answered_421);

void on_rset(struct smtp_client *c, const struct reply *r, bool last);
void on_mail(struct smtp_client *c, const struct reply *r, bool last);
void on_rcpt(struct smtp_client *c, const struct reply *r, bool last);
void on_data(struct smtp_client *c, const struct reply *r, bool last);
void on_bdat(struct smtp_client *c, const struct reply *r, bool last);
void on_dot(struct smtp_client *c, const struct reply *r, bool last);

/* ---- smtp_peer.c, called by the connection ---- */

/* After a handshake.  False: the certificate is not what the level asks, and the connection has been ended. */
bool client_judge_peer(struct smtp_client *c, const struct tls_peer *peer);

/* ---- smtp_client.c, called by the others ---- */

void client_pass_stage(struct smtp_client *c, enum smtp_stage next, struct str says);

void client_expect(struct smtp_client *c, enum asked asked, bool last);
void client_report(struct smtp_client *c); /* done() and READY or DEAD at the end of this turn */
/* Ends the connection.  `r` is what its messages are deferred with unless they are sent elsewhere. */
void client_fail(struct smtp_client *c, struct reply r, bool bad_host, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same because the security that the level asks for is not to be had: codes by status_codes, and the stable reason
 * code of spec 5.4 behind the words. */
enum tls_refusal { REFUSED_STARTTLS, REFUSED_HANDSHAKE, REFUSED_CHAIN, REFUSED_NAME };
void client_refuse(struct smtp_client *c, enum tls_refusal why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "mx.example[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO)": one clean line. */
struct str client_quote(const struct smtp_client *c, const struct reply *r, enum asked asked, char *room, size_t n);

#endif
