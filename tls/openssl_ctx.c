/* tls/openssl_ctx.c: one SSL_CTX per listener or connector role, made once, shared, never changed.
 *
 * What holds in every context: TLS >= 1.2, no renegotiation, no compression, no early data, no buffers kept while idle;
 * the chain of the other side is verified and the verdict recorded, but the handshake never fails for it (spec 3.5.1:
 * opportunistic TLS takes any certificate, attribution wants to know why one was not good enough).
 * The verdict travels in the session's verify result, so a resumed session brings it along. */
#include "tls/openssl_tls.h"

#include "base/must.h"
#include "base/time.h"
#include "tls/certs.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>

enum { TICKET_LIFETIME_S = 7200, CHAIN_DEPTH = 16, SEEN_MAX = 64 };

int openssl_err(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
{
	unsigned long first = ERR_get_error();
	const char *reason = first == 0 ? NULL : ERR_reason_error_string(first);
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	if (reason == NULL)
		return err_set(e, code, where, "%s", what);
	return err_set(e, code, where, "%s: %s", what, reason);
}

/* ---- the verdict on a chain ---- */

/* No EKU at all means any use (RFC 5280 4.2.1.12). */
static bool eku_allows(X509 *x, uint32_t use)
{
	uint32_t has = X509_get_extended_key_usage(x);

	return has == UINT32_MAX || (has & XKU_ANYEKU) || (has & use);
}

/* The trust anchor (last) may be an old root with an odd EKU: trusting it was the administrator's decision. */
static bool chain_allows(STACK_OF(X509) * chain, uint32_t use)
{
	int n = sk_X509_num(chain);

	for (int i = 0; i < n; i++)
		if ((i == 0 || i < n - 1) && !eku_allows(sk_X509_value(chain, i), use))
			return false;
	return true;
}

static enum tls_revocation revocation_of(int verdict)
{
	switch (verdict) {
	case X509_V_ERR_CERT_REVOKED:
		return TLS_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
		return TLS_REVOCATION_UNKNOWN;
	default:
		return TLS_NOT_REVOKED;
	}
}

static int look_slot; /* of an X509_STORE_CTX: the verdict about revocation so far */
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;

static void make_slot(void)
{
	look_slot = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	must(look_slot >= 0);
}

/* Inside the verification, which looks at lists before signatures: what is said about revocation, and only that, is
 * kept for later.  So whoever has no other fault is known to be good but for that, and its lists may be fetched; and
 * connectors may differ about how much it matters. */
static int on_verify_step(int ok, X509_STORE_CTX *store)
{
	int verdict = X509_STORE_CTX_get_error(store);
	int before = (int)(uintptr_t)X509_STORE_CTX_get_ex_data(store, look_slot);

	if (ok)
		return 1;
	if (revocation_of(verdict) == TLS_NOT_REVOKED)
		return 0;
	if (revocation_of(verdict) > revocation_of(before))
		must(X509_STORE_CTX_set_ex_data(store, look_slot, (void *)(uintptr_t)verdict) == 1);
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* Returns the verdict about revocation. */
static int look_at_chain(X509_STORE_CTX *store, struct tls_judgement *out)
{
	pthread_once(&slot_once, make_slot);
	X509_STORE_CTX_set_verify_cb(store, on_verify_step);
	bool good = X509_verify_cert(store) == 1;
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	int revocation = (int)(uintptr_t)X509_STORE_CTX_get_ex_data(store, look_slot);

	*out = (struct tls_judgement){
		.made = true,
		.path_error = good ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)),
		.revocation = revocation_of(revocation),
		.revocation_error = X509_verify_cert_error_string(revocation),
		.as_server = good && chain_allows(chain, XKU_SSL_SERVER),
		.as_client = good && chain_allows(chain, XKU_SSL_CLIENT),
	};
	ERR_clear_error();
	return revocation;
}

void chain_look(X509_STORE_CTX *store, struct tls_judgement *out)
{
	look_at_chain(store, out);
}

/* Public CAs stop issuing clientAuth, so a client with a server's certificate is welcome unless told otherwise. */
static bool is_usable(const struct tls_ctx *c, const struct tls_judgement *j)
{
	if (!c->server)
		return j->as_server;
	return c->eku == EKU_ANY || j->as_client || (c->eku == EKU_SERVER_OR_CLIENT && j->as_server);
}

/* Replaces OpenSSL's verification: runs it, adds our rules, and lets the handshake go on whatever came out. */
int chain_judge(X509_STORE_CTX *store, void *arg)
{
	const struct tls_ctx *c = arg;
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct secured *t = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
	struct tls_judgement j;
	int revocation = look_at_chain(store, &j);

	if (j.path_error == NULL && !is_usable(c, &j))
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
	else if (j.path_error == NULL && ((j.revocation == TLS_REVOKED && c->crl != CRL_OFF) ||
					  (j.revocation == TLS_REVOCATION_UNKNOWN && c->crl == CRL_HARD)))
		X509_STORE_CTX_set_error(store, revocation);
	if (t != NULL)
		t->judgement = j;
	return 1;
}

/* ---- what both roles have ---- */

static void set_limits(SSL_CTX *ssl, const struct conf_tls *tls)
{
	int least = str_eq(tls->min, S("1.3")) ? TLS1_3_VERSION : TLS1_2_VERSION;

	must(SSL_CTX_set_min_proto_version(ssl, least) == 1);
	/* P-384 last: never our choice for a key, but without it TLS 1.2 servers may not show a P-384 certificate */
	must(SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384") == 1);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* NO_AUTO_CHAIN: the file holds the chain; OpenSSL would build one from the CA bundle in every handshake */
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ssl, 1); /* else each record costs two reads, header and body */
	SSL_CTX_set_max_early_data(ssl, 0);
	SSL_CTX_set_timeout(ssl, TICKET_LIFETIME_S);
	SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH);
}

static void set_verification(struct tls_ctx *c)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c->ssl);

	/* whom to trust is set for each connection (ctx_verify_by): lists of revocations are renewed in between.
	 * Without FAIL_IF_NO_PEER_CERT: a server asks for a certificate and takes what it gets */
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(c->ssl, chain_judge, c);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY); /* the EKU is ours to judge */
	if (c->looks)
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

/* What the two kinds of options have in common. */
struct ctx_options {
	struct str certificate, key, ca;
	const struct conf_tls *tls;
	bool allow_expired;
	struct certs *certs;
	const struct cert *own;
	bool lenient;
	enum conf_crl crl;
	bool looks; /* at revocation lists: somebody may want to know */
};

static int check_validity(const struct cert *own, bool allow_expired, struct err *e)
{
	const struct cert_facts *f = cert_facts(own);

	if (!allow_expired && f->not_after_ms < clock_wall_ms())
		return err_set(e, ERR_TLS, "tls.certificate", "the certificate in " STR_FMT " has expired",
			       STR_ARG(f->file));
	return 0;
}

/* `own`, or else the file that is named. */
static int find_certificate(struct tls_ctx *c, const struct ctx_options *o, struct err *e)
{
	struct buf problems;

	c->own = o->own;
	if (o->certs != NULL)
		c->certs = certs_ref(o->certs);
	if (o->own != NULL || o->certificate.n == 0)
		return 0;
	if (c->certs == NULL) {
		const struct conf_tls files = { .ca = o->ca.n > 0 ? o->ca : o->tls->ca };
		buf_init(&problems, 4096);
		c->certs = certs_load(&files, false, &problems);
		if (c->certs == NULL)
			err_set(e, ERR_TLS, "tls.certificate", "%s", buf_cstr(&problems));
		buf_fini(&problems);
	}
	if (c->certs != NULL)
		c->own = certs_get(c->certs, o->certificate, o->key, clock_wall_ms(), e);
	return c->own == NULL ? -1 : 0;
}

static struct tls_ctx *ctx_new(bool server, const struct ctx_options *o, struct err *e)
{
	const struct conf_tls *tls = o->tls;
	struct trust_files files = { .ca = o->ca.n > 0 ? o->ca : tls->ca };

	if (o->crl == CRL_HARD && tls->crl_file.n == 0 && tls->crl_dir.n == 0 && tls->crl_fetch.n == 0) {
		err_set(e, ERR_TLS, "tls.context",
			"crl = hard needs crl_file, crl_dir or crl_fetch: without it every certificate fails");
		return NULL;
	}
	if (o->looks) {
		files.crl_file = tls->crl_file;
		files.crl_dir = tls->crl_dir;
		files.crl_cache = tls->crl_fetch.n > 0 ? tls->crl_cache : STR_NONE;
	}
	struct trust *trust = trust_get(&files, o->lenient, e);
	if (trust == NULL)
		return NULL;
	struct tls_ctx *c = calloc(1, sizeof *c);
	must(c != NULL);
	*c = (struct tls_ctx){
		.trust = trust, .server = server, .eku = tls->client_cert_eku, .crl = o->crl, .looks = o->looks
	};
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	c->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	c->bio = secured_bio_new();
	must(c->ssl != NULL && c->bio != NULL);
	set_limits(c->ssl, tls);
	secured_watch(c->ssl);
	set_verification(c);
	if (find_certificate(c, o, e) != 0 ||
	    (c->own != NULL && (check_validity(c->own, o->allow_expired, e) != 0 || cert_use(c->own, c->ssl, e) != 0)))
		tls_ctx_unref(&c);
	return c;
}

/* ---- server ---- */

/* A session that carries a client certificate is not resumed: the full handshake shows and verifies it again. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_n,
				   SSL_TICKET_STATUS status, void *arg)
{
	(void)ssl, (void)name, (void)name_n, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_peer(session) != NULL)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static int on_ticket_made(SSL *ssl, void *arg)
{
	(void)ssl, (void)arg;
	return 1;
}

/* Tickets are sealed with keys of this context, so they die with it (reload: new CA, new CRL), and bound to the
 * listener's name, so they are worth nothing at another one. */
static void set_server_sessions(SSL_CTX *ssl, struct str id_context)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned id_n = 0;

	must(EVP_Digest(id_context.n > 0 ? id_context.p : "", id_context.n, id, &id_n, EVP_sha256(), NULL) == 1);
	must(SSL_CTX_set_session_id_context(ssl, id, id_n) == 1);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_session_ticket_cb(ssl, on_ticket_made, on_ticket, NULL);
}

/* The client hello has been read and no certificate chosen: one that names the host asked for, if there is one. */
static int on_choose(SSL *ssl, void *arg)
{
	const struct tls_ctx *c = arg;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct cert *better = certs_for_host(c->certs, str_c(host), clock_wall_ms());

	if (better != NULL && better != c->own && !cert_covers(c->own, str_c(host)))
		cert_use_once(better, ssl);
	ERR_clear_error();
	return 1; /* never a reason to fail: the listener's own certificate stands */
}

struct tls_ctx *tls_server_new(const struct tls_server_options *o, struct err *e)
{
	const struct ctx_options both = { .certificate = o->certificate,
					  .key = o->key,
					  .ca = o->ca,
					  .tls = o->tls,
					  .allow_expired = o->allow_expired,
					  .certs = o->certs,
					  .own = o->own,
					  .lenient = o->lenient,
					  .crl = o->tls->crl,
					  .looks = o->tls->crl != CRL_OFF || o->tls->crl_of_inbound };
	struct tls_ctx *c;

	if (o->certificate.n == 0 && o->own == NULL) {
		err_set(e, ERR_TLS, "tls.certificate", "a server needs a certificate");
		return NULL;
	}
	c = ctx_new(true, &both, e);
	if (c == NULL)
		return NULL;
	SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* no list of acceptable CAs is sent: some clients show no certificate when theirs is not on it */
	set_server_sessions(c->ssl, o->id_context);
	SSL_CTX_set_cert_cb(c->ssl, on_choose, c);
	return c;
}

/* ---- client ---- */

/* TLS 1.3 servers hand out tickets after the handshake, whenever they like. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct secured *t = SSL_get_app_data(ssl);

	if (t == NULL || t->session_key.n == 0)
		return 0;
	sessions_save(t->ctx->sessions, t->session_key, session);
	return 1; /* the reference is ours now */
}

struct tls_ctx *tls_client_new(const struct tls_client_options *o, struct err *e)
{
	enum conf_crl crl = o->crl != NULL ? *o->crl : o->tls->crl;
	const struct ctx_options both = { .certificate = o->certificate,
					  .key = o->key,
					  .ca = o->ca,
					  .tls = o->tls,
					  .allow_expired = o->allow_expired,
					  .certs = o->certs,
					  .own = o->own,
					  .lenient = o->lenient,
					  .crl = crl,
					  .looks = crl != CRL_OFF };
	struct tls_ctx *c = ctx_new(false, &both, e);

	if (c == NULL)
		return NULL;
	c->sessions = sessions_new();
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, on_session);
	return c;
}

/* ---- life ---- */

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
	must(atomic_fetch_add(&c->refs, 1) > 0);
	return c;
}

void tls_ctx_unref(struct tls_ctx **cp)
{
	struct tls_ctx *c = *cp;

	*cp = NULL;
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	sessions_free(&c->sessions);
	trust_put(&c->trust);
	certs_unref(&c->certs);
	sk_X509_pop_free(c->seen, X509_free);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int64_t tls_ctx_not_after_ms(const struct tls_ctx *c)
{
	return c->own == NULL ? 0 : cert_facts(c->own)->not_after_ms;
}

/* ---- revocation lists, renewed while in use ---- */

void ctx_verify_by(struct tls_ctx *c, SSL *ssl)
{
	pthread_mutex_lock(&c->lock);
	must(SSL_set1_verify_cert_store(ssl, trust_store(c->trust)) == 1);
	pthread_mutex_unlock(&c->lock);
}

void tls_ctx_crls(struct tls_ctx *c, struct tls_crls *out)
{
	pthread_mutex_lock(&c->lock);
	*out = *trust_crls(c->trust);
	pthread_mutex_unlock(&c->lock);
}

/* The leaf and what is between it and the root; the newest stay. */
void tls_note_chain(struct stream *s)
{
	struct secured *t = s->under;
	STACK_OF(X509) *chain = t != NULL && t->judgement.made ? SSL_get0_verified_chain(t->ssl) : NULL;

	if (chain == NULL || !t->ctx->looks || t->judgement.path_error != NULL)
		return;
	pthread_mutex_lock(&t->ctx->lock);
	if (t->ctx->seen == NULL)
		must((t->ctx->seen = sk_X509_new_null()) != NULL);
	STACK_OF(X509) *seen = t->ctx->seen;
	for (int i = 0; i < sk_X509_num(chain) - 1; i++)
		must(X509_add_cert(seen, sk_X509_value(chain, i), X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1);
	while (sk_X509_num(seen) > SEEN_MAX)
		X509_free(sk_X509_shift(seen));
	pthread_mutex_unlock(&t->ctx->lock);
}

/* One caller at a time, so that `trust` is ours to look at without the lock. */
int tls_ctx_refresh(struct tls_ctx *c, struct err *e)
{
	if (!trust_crls_changed(c->trust))
		return 0;
	struct trust *next = trust_renew(c->trust, e), *old = c->trust;
	if (next == NULL)
		return -1;
	pthread_mutex_lock(&c->lock);
	c->trust = next;
	pthread_mutex_unlock(&c->lock);
	trust_put(&old);
	if (c->sessions != NULL) /* each holds the verdict of its first handshake */
		sessions_clear(c->sessions);
	return 1;
}
