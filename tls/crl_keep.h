/* tls/crl_keep.h: revocation lists fetched ahead of need (spec 3.5.7): from where, when, and what came of it.
 *
 *   crl_keep_open (reads the cache) -> per round: want(URL)*, learn(context)* -> crl_keep_round: fetch, check, keep
 *   the folder is one of those the contexts read (tls.crl_cache); tls_ctx_refresh takes what changed in it
 *
 * A source is named by the administrator or by a certificate that was verified, or is our own: an unverified
 * certificate must not make us connect anywhere.  What comes is used when a known authority signed it, it is not over
 * and not older than what we have; then it replaces the file in one step.  A file says where it came from and has the
 * certificate of its signer with it, so that a restart needs neither network nor peers.
 * Threads: crl_keep_copy any; the rest one, which may block for as long as a server is slow. */
#ifndef TLS_CRL_KEEP_H
#define TLS_CRL_KEEP_H

#include "tls/fetch.h"
#include "tls/tls.h"

enum { CRL_URL_MAX = 500, CRL_SOURCES_MAX = 128 };

struct crl_facts {
	int64_t this_update_ms, next_update_ms;
	char issuer[200];
};

struct crl_source {
	char url[CRL_URL_MAX + 1];
	bool configured; /* by name; else a certificate says so */
	bool has_list;   /* `list` is in the cache */
	struct crl_facts list;
	int64_t fetched_ms, tried_ms; /* the last success and the last try; 0 = not since the start */
	int64_t next_ms;              /* the next try */
	unsigned failures;            /* tries since the last success */
	char error[240];              /* of the last try; empty = it went well */
};

/* Pure: when to fetch next (wall clock).  At half of what is left of the list's time, but once a day at least;
 * after a failure soon, and then less and less often. */
int64_t crl_next_fetch(const struct crl_source *s, int64_t now_ms);
/* Pure: the list of a certificate is not wanted for ever.  Nobody named it for long, and what we have is over. */
bool crl_is_forgotten(const struct crl_source *s, int64_t now_ms);

struct crl_keep;

/* Makes the folder when it is not there.  NULL with err when there is no using it. */
struct crl_keep *crl_keep_open(struct str folder, int64_t now_ms, struct err *e);
void crl_keep_free(struct crl_keep **k);

/* Beyond CRL_SOURCES_MAX nothing is added. */
void crl_keep_want(struct crl_keep *k, struct str url, bool configured);
/* The context's authorities may sign lists; with `points`, the distribution points of its certificates are wanted:
 * those we trust, those we show, and those of peers that were noted (tls_note_chain). */
void crl_keep_learn(struct crl_keep *k, struct tls_ctx *c, bool points);

struct crl_round {
	int64_t now_ms, deadline_ms; /* wall clock; of one fetch */
	size_t max_bytes;
	const atomic_bool *stop;
	bool points; /* sources that nobody named are wanted too; else they and their files go */
	void *arg;
	void (*tried)(void *arg, const struct crl_source *s); /* after each try */
};

/* Tries every source that is due, one after the other, and forgets those that are not wanted any more (not by
 * crl_keep_want since the last round).  True when the folder changed. */
bool crl_keep_round(struct crl_keep *k, const struct crl_round *r);

size_t crl_keep_copy(struct crl_keep *k, struct crl_source *rows, size_t max);

/* ---- the OpenSSL side (tls/openssl_crl.c) ---- */

struct crl_known; /* certificates that may have signed a list */

struct crl_known *crl_known_new(void);
void crl_known_free(struct crl_known **k);
void crl_known_learn(struct crl_known *k, struct tls_ctx *c);
/* Calls `each` for the http and https URLs of the context's certificates. */
void crl_points_each(struct tls_ctx *c, void (*each)(void *arg, struct str url), void *arg);

/* Is `bytes` (PEM or DER) a whole list, by an authority we know?  Then *facts, and `pem`: the list and its signer's
 * certificate.  Dates are not looked at.  0, or -1 with err. */
int crl_judge(const struct crl_known *k, struct str bytes, struct crl_facts *facts, struct buf *pem, struct err *e);
/* What crl_judge wrote, read back: its signer is known from now on.  0, or -1 with err. */
int crl_recall(struct crl_known *k, struct str pem, struct crl_facts *facts, struct err *e);

#endif
