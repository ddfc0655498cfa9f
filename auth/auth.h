/* auth/auth.h: who wrote this mail?  SPF (RFC 7208) and DKIM (RFC 6376, 8301, 8463), judged and signed by processes of
 * their own.
 *
 *   auth_open -> struct auth, one a loop: its share of the workers (program tombolo-auth)
 *   MAIL        auth_spf(client, HELO, sender)        -> op: one verdict
 *   header end  auth_dkim_begin, auth_dkim_header     then auth_dkim_body as it streams
 *   data end    auth_dkim_end                         -> op: a verdict for each signature
 *   egress      auth_sign_begin, auth_sign_write*, auth_sign_end -> op: the fields to put in front
 *
 * The libraries that read hostile bytes live in the workers: no network, no files, recycled, and who dies costs one
 * temperror.  Names are asked for here (routing/dns), private keys never come here.
 * Nothing blocks; what waits is bounded by conf_auth.memory, and who gets no room has AUTH_TEMPERROR at once.
 * An op's done() runs on the loop, once, never inside a call; x_fini cancels and frees, and is harmless on zeros.
 *
 * Knows: the DNS, the configuration.  Must not know: sessions, queue, connectors.  Threads: the loop's. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "base/arena.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/op.h"
#include "config/config.h"

struct auth;
struct dns;

/* The words of RFC 8601 2.7, in its sense for SPF and DKIM. */
enum auth_result {
	AUTH_NONE,
	AUTH_NEUTRAL,
	AUTH_PASS,
	AUTH_FAIL,
	AUTH_SOFTFAIL, /* SPF only */
	AUTH_POLICY,   /* DKIM: it holds, but not as we want signatures to be */
	AUTH_TEMPERROR,
	AUTH_PERMERROR,
	AUTH_RESULT_N
};
const char *auth_result_name(enum auth_result r); /* "softfail" */

enum {
	AUTH_NAME = 256, /* a domain and its NUL */
	AUTH_TEXT = 512,
	AUTH_SIGS_MAX = 32,
	AUTH_HEADER_MAX = 1 << 20, /* of what DKIM looks at; a longer header has AUTH_NEUTRAL */
};

struct auth_stats { /* of one loop since its start; any thread, each by itself exact */
	uint64_t spf, dkim, signed_n, deaths, recycled, timeouts, refused;
	uint64_t bytes; /* waiting or kept now, of conf_auth.memory */
};

struct auth_options {
	struct loop *loop;
	struct dns *dns;
	const struct conf_auth *conf; /* copied */
	size_t shares;                /* loops that split conf->workers; each has one at least */
	int keeper;                   /* socket to the process that makes workers (auth/keeper.h); taken */
};
struct auth *auth_open(const struct auth_options *o);
void auth_close(struct auth **a); /* all of its questions are fini'd before */
/* After a reload: new limits, and workers that read the keys anew; questions in work end where they are. */
void auth_reconfigure(struct auth *a, const struct conf_auth *conf);
void auth_stats(const struct auth *a, struct auth_stats *out);

/* ---- SPF ---- */

struct auth_spf_ask { /* copied */
	struct net_addr client;
	struct str helo;     /* as the client said it; empty when it did not */
	struct str sender;   /* MAIL FROM; empty: the null sender, judged as postmaster@helo (RFC 7208 2.4) */
	struct str receiver; /* our name, for the domain's explanation */
	bool wants_story;
};

struct auth_spf {
	struct op op;
	enum auth_result result;
	bool helo;                   /* the identity that was judged: HELO, else MAIL FROM */
	bool secure;                 /* every answer it rests on was signed (DNSSEC) */
	char domain[AUTH_NAME];      /* that was judged */
	char mechanism[AUTH_NAME];   /* that matched, as written; "default" when none did; empty: no verdict */
	char explanation[AUTH_TEXT]; /* of the domain, for a fail; printable ASCII; a stranger's words */
	char why[AUTH_TEXT];         /* of an error, for a person */
	unsigned lookups, voids;     /* terms that asked the DNS; of these those without an answer */
	struct str story;            /* wants_story: lines that tell what was looked at */
	void *state;                 /* ours; zero before first use */
};

/* The verdict comes within conf_auth.spf_ms, AUTH_TEMPERROR at the latest then. */
void auth_spf(struct auth *a, const struct auth_spf_ask *ask, struct auth_spf *q, void (*done)(struct op *));
void auth_spf_fini(struct auth_spf *q);

/* ---- DKIM, verifying ---- */

struct auth_sig {
	enum auth_result result;
	char domain[AUTH_NAME];   /* d=, lower case */
	char selector[AUTH_NAME]; /* s= */
	char identity[AUTH_NAME]; /* i=, or @d */
	char algorithm[24];       /* a= */
	char b[12];               /* the first characters of b=, for header.b (RFC 6008) */
	char why[120];            /* for a person; empty for a pass */
	unsigned bits;            /* of the key; 0 = not known */
	bool testing;             /* the key's t=y */
	bool secure;              /* the key's answer was signed (DNSSEC) */
};

struct auth_dkim {
	struct op op;
	enum auth_result result; /* of the message: NONE (no signature), PASS (one at least), else the best there is */
	struct auth_sig *sigs;   /* in the order of the fields, at most conf_auth.signatures judged */
	size_t sig_n;
	char why[AUTH_TEXT];
	void *state;
};

void auth_dkim_begin(struct auth *a, struct auth_dkim *q);
/* Once: all fields with their CRLFs; the empty line behind them may be there or not. */
void auth_dkim_header(struct auth_dkim *q, struct str header);
void auth_dkim_body(struct auth_dkim *q, struct str chunk); /* copied */
void auth_dkim_end(struct auth_dkim *q, void (*done)(struct op *));
void auth_dkim_fini(struct auth_dkim *q);

/* ---- DKIM, signing ---- */

struct auth_sign {
	struct op op;
	bool ok;
	bool refused; /* not ok, and trying again is no use: there is no key that works, or no room for this header */
	struct str fields; /* one or more whole DKIM-Signature fields with CRLFs */
	char why[AUTH_TEXT];
	void *state;
};

/* `domain`: one of a sign section; all of its keys sign. */
void auth_sign_begin(struct auth *a, struct str domain, struct auth_sign *q);
/* Content as it leaves, header first, in any pieces.  False: enough for now; go on when `more` is called. */
bool auth_sign_write(struct auth_sign *q, struct str bytes, void (*more)(struct auth_sign *));
void auth_sign_end(struct auth_sign *q, void (*done)(struct op *));
void auth_sign_fini(struct auth_sign *q);

#endif
