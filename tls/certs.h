/* tls/certs.h: our own certificates: read once, found by reference, chosen by rule, judged (spec 3.5.5, 3.5.7).
 *
 *   certs_load -> certs_get(reference) -> struct cert -> tls_server_new, tls_client_new
 *                                           -> cert_facts -> cert_alarms (pure)
 *
 * A store is built off the loops, complete before a context uses it, immutable from then on, shared by count.  Each
 * certificate has its key and its chain with it: what a peer lacks it does not fetch.
 * Knows: PEM files, names.  Must not know: connectors.  Threads: certs_load and certs_get one; the rest any. */
#ifndef TLS_CERTS_H
#define TLS_CERTS_H

#include "base/buf.h"
#include "tls/dn.h"
#include "tls/tls.h"

enum cert_chain {
	CERT_COMPLETE,    /* to a root that tls.ca trusts */
	CERT_FOREIGN,     /* to a root that tls.ca does not name; peers may trust it */
	CERT_INCOMPLETE,  /* an issuer was not found: peers will say "unable to get local issuer certificate" */
	CERT_SELF_SIGNED, /* its own issuer */
};

struct cert_facts {
	struct str file;
	struct str subject, issuer, sha256; /* DN in RFC 2253 order; fingerprint in lower case hex */
	struct dn subject_dn, issuer_dn;
	struct tls_identities ids;
	int64_t not_before_ms, not_after_ms;
	enum cert_chain chain;
	size_t shown_n;       /* certificates a peer is shown: this one and the intermediates */
	struct str missing;   /* CERT_INCOMPLETE: the name of the issuer that is not here */
	struct str weak;      /* why no peer with today's rules would take it, and OpenSSL does not show it; or empty */
	const char *key_type; /* "RSA", "EC" */
	int key_bits;
	bool in_store; /* of the folder: any listener may show it */
};

struct cert;
struct certs;

const struct cert_facts *cert_facts(const struct cert *c);

/* Reads the folder tls->store, if there is one.  Each problem is one line in `problems`, naming the file.  NULL when
 * there was any; with `lenient` a broken file is passed over instead (and still told): for a start, where some
 * certificates are better than none. */
struct certs *certs_load(const struct conf_tls *tls, bool lenient, struct buf *problems);
struct certs *certs_ref(struct certs *s);
void certs_unref(struct certs **s);

size_t certs_count(const struct certs *s);
const struct cert *certs_at(const struct certs *s, size_t i);

struct cert_wish {                     /* what else matters when several would do */
	int64_t overlap_ms;            /* how long a new one stands by while the one before it is good */
	const struct conf_list *names; /* patterns the other side knows us by; NULL: none known */
	enum tls_direction direction;  /* it judges us as a server, or recognises us as a client */
};

/* The best certificate for a reference (conf_in_store), or the one of a PEM file, which is read then.  An empty `key`
 * means NAME.key beside NAME.pem if it is there, else the same file.  It may be over, never too weak or not begun.
 * NULL with ERR_NOT_FOUND when the store has none that could be shown, ERR_TLS when a file is no good. */
const struct cert *certs_get(struct certs *s, struct str reference, struct str key, int64_t now_ms, struct err *e);
/* The same with wishes.  A certificate is chosen when a handshake with it has been rehearsed, as a server and as a
 * client (spec 3.5.5); one that fails is weak from then on. */
const struct cert *certs_choose(struct certs *s, struct str reference, struct str key, const struct cert_wish *w,
				int64_t now_ms, struct err *e);
/* It would do for the reference (one of the store) and is not too weak: it stands by. */
bool certs_stands_by(const struct cert *c, struct str reference, int64_t now_ms);
/* What certs_choose would come to by now, for a reference into the store, without a rehearsal; NULL: none.  Any thread.
 */
const struct cert *certs_would_choose(const struct certs *s, struct str reference, const struct cert_wish *w,
				      int64_t now_ms);

/* For a client that asked for `host` (SNI, any bytes): a certificate of the folder that covers it and is not over, the
 * best of them; NULL = show the listener's own.  A look into a sorted table: no path is made from what a peer sent. */
const struct cert *certs_for_host(const struct certs *s, struct str host, int64_t now_ms);

/* ---- pure (tls/certs.c) ---- */

/* Which is to be shown when several would do: not over, then with the names the other side knows, then chain complete,
 * then not self-signed, then the newest (but see cert_wish.overlap_ms).  > 0 when a is the better one. */
int cert_compare(const struct cert_facts *a, const struct cert_facts *b, const struct cert_wish *w, int64_t now_ms);
/* The first name of the wish that is not on it; empty: all are. */
struct str cert_lacks(const struct cert_facts *f, const struct cert_wish *w);
bool cert_is_begun(const struct cert_facts *f, int64_t now_ms); /* with some minutes for clocks that differ */
bool cert_matches(const struct cert_facts *f, struct str reference, struct arena *scratch);

/* ---- alarms (tls/alarms.c), pure: their names are a promise to whoever watches the log ---- */

enum tls_alarm {
	TLS_ALARM_CERT_MISSING,
	TLS_ALARM_CERT_EXPIRED,
	TLS_ALARM_CERT_EXPIRING, /* 60 days: told; 30 days: a warning */
	TLS_ALARM_CHAIN_INCOMPLETE,
	TLS_ALARM_NAME_NOT_COVERED,
	TLS_ALARM_KEY_WEAK,
	TLS_ALARM_SELF_SIGNED,
	TLS_ALARM_CRL_MISSING,
	TLS_ALARM_CRL_STALE,
	TLS_ALARM_CRL_FETCH_FAILED,
	TLS_ALARM_N
};

struct tls_alarms {
	bool is[TLS_ALARM_N], warn[TLS_ALARM_N]; /* warn: not just to be told */
	char why[TLS_ALARM_N][200];
};

const char *tls_alarm_name(enum tls_alarm a); /* "CERT-EXPIRED" */
/* Of one certificate, whoever shows it.  Replaces *out. */
void cert_alarms(const struct cert_facts *f, int64_t now_ms, struct tls_alarms *out);
/* Adds that a name is missing by which the other side knows us. */
void cert_alarm_wish(const struct cert_facts *f, const struct cert_wish *w, struct tls_alarms *out);
/* Adds that it is shown under a name it does not carry. */
void cert_alarm_name(const struct cert_facts *f, struct str fqdn, struct tls_alarms *out);
void crl_alarms(enum conf_crl mode, const struct tls_crls *crls, int64_t now_ms, struct tls_alarms *out);
void tls_alarm_raise(struct tls_alarms *a, enum tls_alarm which, bool warn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int64_t cert_days_left(const struct cert_facts *f, int64_t now_ms); /* whole days; < 0 when it is over */

#endif
