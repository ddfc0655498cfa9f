/* tests/kit/host.h: a small real SMTP server for tools and demonstrations: what stands behind the gateway.
 *
 * It speaks the protocol with wire/, offers what its options say, and asks its owner for every verdict; it stores
 * nothing.  Content is handed over as it arrives, dots unstuffed, so that an owner may count, hash or keep it.
 * Threads: the loop's own.  One host may listen on one address; any number may share a loop. */
#ifndef TESTS_KIT_HOST_H
#define TESTS_KIT_HOST_H

#include "tls/tls.h"
#include "wire/body.h"
#include "wire/cmd.h"
#include "wire/ehlo.h"

struct host;

struct visit { /* one connection */
	struct stream stream;
	struct host *host;
	struct visit *next, **link; /* list of the host's visits */
	struct buf from, rcpts;     /* of the transaction; recipients end in '\n' each */
	struct body_in data;
	uint64_t bdat_left;
	bool in_data, in_bdat, bdat_last, has_from, content_begun, start_tls, greeted, thinking;
	unsigned rcpt_n;
	void *owner; /* for the owner; zero at first */
};

struct host_events { /* every member may be NULL: then the answer is yes */
	void *arg;
	void (*opened)(struct visit *v);
	void (*command)(struct visit *v, struct str line); /* as it came, before it is looked at */
	struct reply (*mail)(struct visit *v, const struct cmd_mail *mail);
	struct reply (*rcpt)(struct visit *v, const struct cmd_rcpt *rcpt);
	void (*content)(struct visit *v, struct str run);
	struct reply (*message)(struct visit *v); /* all content has come: what is said to it; code 0: host_answer */
	void (*secured)(struct visit *v);
	void (*closed)(struct visit *v);
};

struct host_options {
	struct net_addr listen; /* port 0: any; see host_port */
	struct str name;
	unsigned caps;       /* EHLO_*; STARTTLS only counts with tls */
	struct tls_ctx *tls; /* NULL: clear only */
};

/* `o` and `e` are copied; what they point to must live until host_close. */
struct host *host_open(struct loop *l, const struct host_options *o, const struct host_events *e, struct err *err);
void host_close(struct host **h); /* ends all visits too; run the loop once more for their memory */
/* What a `message` that answered with code 0 is told in the end; until then the visit reads nothing. */
void host_answer(struct visit *v, struct reply r);
uint16_t host_port(const struct host *h);
size_t host_visits(const struct host *h);
void *host_arg(const struct host *h);

#endif
