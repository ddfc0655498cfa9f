/* tls/tls.h: OpenSSL behind a stream: certificates, handshakes, and what the other side proved.
 *
 *   tls_server_new / tls_client_new            slow: PEM, CA bundle; off the loops; tls/certs.h has our certificates
 *     -> tls_accept / tls_connect -> STREAM_SECURED
 *       -> tls_peer: protocol, cipher, chain verdict, identities
 *         -> tls_name_match (pure)
 *
 * A context is immutable and shared by reference count; reload makes a new one and swaps it.  TLS >= 1.2, no
 * renegotiation, no compression, no early data; a client certificate is requested on every listener and never required
 * by the handshake: verification errors are recorded in the peer, judging them is the caller's business (spec 3.5.1).
 * Knows: streams, certificates.  Must not know: SMTP, STARTTLS, connectors.  Threads: contexts any; streams their loop.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/stream.h"
#include "config/config.h"

struct tls_ctx; /* one per listener or connector role */

struct cert;
struct certs;

struct tls_server_options {
	struct str certificate, key; /* PEM files, as in certs_get; not with `own` */
	struct str ca;               /* trusted for client certificates; empty = tls->ca, or the system's */
	const struct conf_tls *tls;
	struct str id_context;  /* listener name: sessions resume only where they were made */
	bool allow_expired;     /* show a certificate that is over (better than no TLS); see tls_ctx_not_after_ms */
	struct certs *certs;    /* where `own` is from; clients that name a host are shown the one for it */
	const struct cert *own; /* shown to everybody else */
	bool lenient;           /* begin without a list of revocations that is broken; see tls_ctx_crls */
};

struct tls_client_options {
	struct str certificate, key; /* our client certificate; empty = none */
	struct str ca;               /* as above, for server certificates */
	const struct conf_tls *tls;
	bool allow_expired;
	struct certs *certs;
	const struct cert *own;
	bool lenient;
	const enum conf_crl *crl; /* NULL: tls->crl */
};

/* NULL with err when a file cannot be read, is no PEM, is encrypted, is not valid now, or key and certificate
 * differ.  A context keeps a reference to `certs`. */
struct tls_ctx *tls_server_new(const struct tls_server_options *o, struct err *e);
struct tls_ctx *tls_client_new(const struct tls_client_options *o, struct err *e);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx **c);
/* When our own certificate ends (wall clock); 0 = the context has none. */
int64_t tls_ctx_not_after_ms(const struct tls_ctx *c);

struct tls_crls {               /* the revocation lists a context judges by */
	bool wanted;            /* a file or a folder is configured, and crl is not off */
	size_t n;               /* lists read */
	int64_t next_update_ms; /* of the one that is due first (or was); INT64_MAX when none says */
	char oldest[200];       /* its issuer */
	char problem[240];      /* a file that was passed over, and why; or empty */
};
void tls_ctx_crls(struct tls_ctx *c, struct tls_crls *out);
/* Looks at the files of revocation lists and takes those that changed for the next handshakes; slow, off the loops.
 * 1 when it did, 0 when nothing changed, -1 with err when they are no good: then what was in use stays.  One caller at
 * a time. */
int tls_ctx_refresh(struct tls_ctx *c, struct err *e);

/* The other side is one that matters to us (a peer by name): if its chain was verified, or would be but for a list that
 * is missing, the lists it names are worth fetching (tls/crl_keep.h). */
void tls_note_chain(struct stream *s);

/* Server side: after the 220 to STARTTLS has been flushed and input is empty. */
void tls_accept(struct stream *s, struct tls_ctx *c);
/* Client side: `sni` may be empty (or an IP literal: then none is sent).  `session_key` names what a saved session may
 * be reused for (connector + host + port); empty = no resumption.  The certificate is not judged here. */
void tls_connect(struct stream *s, struct tls_ctx *c, struct str sni, struct str session_key);

struct tls_identities { /* of one certificate, cleaned as spec 3.5.2 asks */
	struct str *sans;
	size_t san_n; /* dNSName, lower case A-labels */
	struct str *cns;
	size_t cn_n;
	struct str *ips;
	size_t ip_n;      /* iPAddress SANs as text */
	bool san_dropped; /* it had a dNSName that is no identity: the CN stays out of strict matching all the same */
};

enum tls_revocation { TLS_NOT_REVOKED, TLS_REVOCATION_UNKNOWN, TLS_REVOKED };

struct tls_judgement {          /* of a chain, before anybody has asked for anything */
	bool made;              /* false: there was none in this handshake, chain_ok stands for itself */
	const char *path_error; /* why there is no path to a trusted root that is valid now; NULL: there is */
	enum tls_revocation revocation;
	const char *revocation_error; /* unknown, revoked: OpenSSL's words */
	bool as_server, as_client;    /* the extended key usages of all its certificates allow it */
};

struct tls_peer {
	struct str protocol, cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
	unsigned cipher_bits;
	bool resumed;
	bool has_certificate;
	bool chain_ok;          /* path to a trusted root, valid now, purpose as configured, revocation as configured */
	struct str chain_error; /* why not, OpenSSL's words */
	struct tls_judgement judgement;
	struct str subject, issuer, sha256; /* DN in RFC 2253 order; fingerprint in hex */
	int64_t not_after_ms;
	struct tls_identities ids;
};
/* Pure (tls/judge.c): is its certificate good enough as a client's, by the rules of one connector?  *why (not NULL)
 * when it is not. */
bool tls_client_is_good(const struct tls_peer *p, enum conf_eku eku, enum conf_crl crl, struct str *why);

/* Facts of a secured stream; valid until the stream closes.  NULL when the stream is clear. */
const struct tls_peer *tls_peer(const struct stream *s);

/* What a client would prove that showed the certificate in the PEM file `path` (leaf first, its chain behind): for
 * explanations.  With `ca` the chain is judged as a listener's would be; empty: chain_ok is taken for granted.  Slow.
 * Texts in the arena.  0, or -1 with err. */
struct arena;
int tls_peer_of_file(const char *path, struct str ca, const struct conf_tls *tls, struct arena *a, struct tls_peer *out,
		     struct err *e);

/* ---- names: pure (tls/names.c); spec 3.5.2-3.5.4 ---- */

enum tls_direction { TLS_VERIFY, TLS_ATTRIBUTE };

struct tls_match_rules {
	enum conf_match mode;
	enum tls_direction direction;
	bool expand_presented_wildcard;
	bool cn_fallback; /* strict: CN when there is no dNSName SAN */
};

/* Does `pattern` (a configuration pattern, a host, or an IP address) match one of the identities?  *matched (may be
 * NULL) views into ids.  An IP address is compared with iPAddress SANs only; a pattern that does not check matches
 * nothing. */
bool tls_name_match(struct str pattern, const struct tls_identities *ids, const struct tls_match_rules *r,
		    struct str *matched);
/* "name" or "*.name" with the rules of 3.5.3; false = CONFIG-ERROR with the reason. */
bool tls_pattern_check(struct str pattern, const char **why);
/* Raw certificate names (as in a certificate, any bytes) -> is it an identity at all (3.5.2 drop list)? */
bool tls_identity_is_usable(struct str raw);

#endif
