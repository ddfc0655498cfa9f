/* smtpd/setup.h: one configuration made ready for use: the config, our certificates and the TLS contexts that show
 * them.
 *
 * Built off the loops (PEM files, CA bundles are slow), immutable, counted; a reload makes a new one and hands it to
 * the loops, sessions keep the one they started with.  Only the lists of revocations inside are renewed
 * (setup_refresh). */
#ifndef SMTPD_SETUP_H
#define SMTPD_SETUP_H

#include "connectors/connectors.h"

/* START: what can be used is used, and the rest told as a warning: a certificate that is missing or over must not keep
 * the gateway down (spec 3.5.5).  CHECK: for a reload and for `tombolod -t`: each of these is an error, and what was in
 * use before stays. */
enum setup_how { SETUP_START, SETUP_CHECK };

struct cert_use {         /* a place where one of our certificates is shown, or should be */
	const char *kind; /* "receive", "send" */
	struct str name, fqdn;
	const struct cert *cert; /* NULL: none, and there should be one */
	char trouble[300];       /* why it is not the one that was asked for; or empty */
	char reference[400];     /* what it was found by */
	struct cert_wish wish;
};

struct setup {
	struct config *config;
	struct certs *certs;
	struct tls_ctx **server_tls; /* per config->receives; NULL where STARTTLS is not offered */
	struct outbound *outbound;
	struct cert_use *uses;
	size_t use_n;
	int refs;
};

/* Loads and checks `path`; every problem is one line in `problems`.  NULL when there was any error. */
struct setup *setup_load(const char *path, enum setup_how how, struct buf *problems);
/* The same of a configuration that was read before: certificates, keys, CA files and revocation lists as they are now.
 * `path` stands in messages. */
struct setup *setup_make(const struct config *config, const char *path, enum setup_how how, struct buf *problems);
struct setup *setup_ref(struct setup *s); /* any thread */
void setup_unref(struct setup **s);

/* Context of the receive connector `r` (one of s->config->receives), or NULL: no STARTTLS there. */
struct tls_ctx *setup_tls(const struct setup *s, const struct conf_receive *r);

/* By now another certificate of the store would be chosen: time has passed (overlap, begin, end). */
bool setup_is_outdated(const struct setup *s, int64_t now_ms);

/* Takes revocation lists that changed on disk; slow, off the loops, one caller at a time.  As tls_ctx_refresh. */
int setup_refresh(const struct setup *s, struct err *e);

/* Every context there is; a shared one more than once. */
void setup_each_ctx(const struct setup *s, void (*each)(void *arg, struct tls_ctx *c), void *arg);

/* ---- what we show and what is wrong with it (smtpd/setup_report.c) ---- */

struct cert_report {
	const struct cert_facts *facts; /* NULL: a certificate that is missing */
	struct str used_by; /* "receive inet, send to-cloud"; empty: a weak one of the store, shown to nobody */
	bool stands_by;     /* of the store: it would do for `used_by` and waits */
	struct tls_alarms alarms;
};

/* One call for each certificate in use, each missing one, each of the store that stands by or is too weak to be shown.
 */
void setup_each_cert(const struct setup *s, int64_t now_ms, void (*each)(void *to, const struct cert_report *r),
		     void *to);
void setup_crls(const struct setup *s, int64_t now_ms, struct tls_crls *crls, struct tls_alarms *alarms);

/* One line an alarm, "CERT-EXPIRING: the certificate ends in 20 days (receive inet; /etc/tombolo/mail.pem)". */
void setup_put_alarms(const struct setup *s, int64_t now_ms, const char *prefix, struct buf *out);
/* The same as log events tls.alarm, with what fetching lists came to (may be NULL); returns how many. */
size_t setup_log_alarms(const struct setup *s, int64_t now_ms, const struct tls_alarms *fetching);

#endif
