/* connectors/stage.h: how far a connection to another server has come: what its failure is counted under, and one line
 * of `tombolo connector test`. */
#ifndef CONNECTORS_STAGE_H
#define CONNECTORS_STAGE_H

enum smtp_stage {
	AT_RESOLVE, /* before there is a client */
	AT_CONNECT,
	AT_GREETING,
	AT_EHLO,
	AT_STARTTLS, /* offered, and answered 220 */
	AT_HANDSHAKE,
	AT_CHAIN, /* the server's certificate: trusted */
	AT_NAME,  /* ... and the one we want */
	AT_EHLO_AGAIN,
	AT_SESSION, /* all that comes after */
	AT_N
};
const char *smtp_stage_name(enum smtp_stage at); /* "handshake" */

enum smtp_why { /* of a failure, whatever the stage: what has to be done about it */
		WHY_OTHER,
		WHY_UNREACHABLE,
		WHY_TIMEOUT,
		WHY_PROTOCOL,    /* no sense, or it hung up; no TLS in common */
		WHY_REFUSED,     /* by a reply: 454, 421, 5xx */
		WHY_NOT_OFFERED, /* STARTTLS */
		WHY_CHAIN,
		WHY_EXPIRED,
		WHY_REVOKED, /* or no list where there must be one */
		WHY_NAME,
		WHY_N
};
const char *smtp_why_name(enum smtp_why w); /* "not offered" */

#endif
