/* connectors/echo.h: does the other side find its way back to us, and as whom (spec 3.8 "in", 8.8)?  It cannot be asked
 * to call, so a small message goes to an address over there that sends it back: a mailbox that forwards, or nobody at
 * all, so that a report comes.
 *
 *   MAIL FROM, From, Message-ID:  LOCAL+TAG@domain      LOCAL@domain: the option echo_from
 *   TAG: 8 digits (hex) of seconds, 32 of an HMAC over the connector's name and those seconds
 *   a report, or an answer   -> RCPT TO:<LOCAL+TAG@domain>
 *   a mailbox that forwards  -> RCPT TO:<LOCAL@domain>; TAG in MAIL FROM, or in the header
 *   how it came back         -> echo_judge -> struct validation
 *
 * A tag that is not ours, or older than a period, says nothing: its address is one like any other.
 * Pure.  Any thread. */
#ifndef CONNECTORS_ECHO_H
#define CONNECTORS_ECHO_H

#include "connectors/connectors.h"
#include "wire/header.h"

enum { ECHO_TAG = 40, ECHO_TAGS_MAX = 4 };

struct echo_nonce {
	const struct conf_send *send; /* of the configuration it was read with */
	int64_t unix_s;
};

/* "LOCAL+TAG@domain" of s->echo_from.  False when `out` is full. */
bool echo_put_address(const struct token_keys *keys, const struct conf_send *s, int64_t now_ms, struct buf *out);

enum echo_address { ECHO_NOT, ECHO_PLAIN, ECHO_TAGGED };
/* Is it where some connector's echoes come to?  *tag: what stands behind the "+"; not yet verified. */
enum echo_address echo_address(const struct config *c, const struct addr *a, struct str *tag);
bool echo_verify(const struct token_keys *keys, const struct config *c, struct str tag, int64_t now_ms,
		 struct echo_nonce *out);

/* What a header says about an echo: possible tags, and who took fields out. */
struct echo_seen {
	char tags[ECHO_TAGS_MAX][ECHO_TAG];
	unsigned tag_n;
	char filtered[160]; /* "X-CrossPremisesHeadersFilteredBySendConnector: mx.example"; empty: nobody */
};
void echo_take(struct echo_seen *e, const struct header_field *f);

/* Our own probe in the queue: it has one try, and no report is made about it. */
bool echo_is_probe(const struct envelope *env);

struct echo_return { /* how one came back */
	char connector[128];
	int64_t unix_s;      /* of its tag */
	bool report;         /* somebody wrote a report about it; else it is a copy */
	bool peer;           /* attributed to the other side ... */
	bool by_certificate; /* ... by what cannot be borrowed */
	enum env_org org;
	bool internal;
	char claim[128], how[300]; /* the organisation it named; "ip:10.0.0.0/8" */
	char certificate[300];     /* not attributed: what it showed */
	char filtered[160];
};

/* Sets state, differs and why; not the times. */
void echo_judge(const struct echo_return *r, struct validation *out);

#endif
