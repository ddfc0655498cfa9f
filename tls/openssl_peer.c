/* tls/openssl_peer.c: what the other side proved, copied out of OpenSSL once, when somebody asks.
 *
 * Everything lives in the stream's arena.  A certificate with more names than fit there loses the rest of them: a name
 * that is missing can only make a match fail. */
#include "tls/openssl_tls.h"

#include "base/must.h"
#include "base/net.h"

#include <openssl/x509v3.h>

enum { NAMES_MAX = 1024, DN_MAX = 256 * 1024 };

static struct str dup_str(struct arena *a, struct str s)
{
	struct str copy = STR_NONE;

	return arena_dup(a, s, &copy) ? copy : STR_NONE;
}

static struct str asn1_str(const ASN1_STRING *s)
{
	int n = ASN1_STRING_length(s);

	return str_n(ASN1_STRING_get0_data(s), n > 0 ? (size_t)n : 0);
}

/* ---- identities ---- */

/* Adds a cleaned copy; false when it is no identity (3.5.2). */
static bool add_identity(struct arena *a, struct str *list, size_t *n, struct str raw)
{
	char *p;

	if (!tls_identity_is_usable(raw) || (p = arena_alloc(a, raw.n)) == NULL)
		return false;
	for (size_t i = 0; i < raw.n; i++)
		p[i] = chr_lower(raw.p[i]);
	list[(*n)++] = str_n(p, raw.n);
	return true;
}

static void add_ip(struct arena *a, struct tls_identities *ids, struct str raw)
{
	struct net_addr ip = { .v4 = { .sin_family = AF_INET } };
	char text[64];
	struct buf b;

	if (raw.n == 4)
		memcpy(&ip.v4.sin_addr, raw.p, 4);
	else if (raw.n == 16)
		ip.v6.sin6_family = AF_INET6, memcpy(&ip.v6.sin6_addr, raw.p, 16);
	else
		return;
	buf_init(&b, sizeof text);
	net_put_ip(&b, &ip);
	struct str copy = dup_str(a, buf_str(&b));
	buf_fini(&b);
	if (copy.n > 0)
		ids->ips[ids->ip_n++] = copy;
}

static void read_sans(X509 *x, struct arena *a, struct tls_identities *ids)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = sk_GENERAL_NAME_num(names);

	if (n <= 0)
		goto out;
	ids->san_dropped = n > NAMES_MAX;
	if (n > NAMES_MAX)
		n = NAMES_MAX;
	ids->sans = arena_alloc(a, (size_t)n * sizeof *ids->sans);
	ids->ips = arena_alloc(a, (size_t)n * sizeof *ids->ips);
	if (ids->sans == NULL || ids->ips == NULL) {
		ids->san_dropped = true;
		goto out;
	}
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == GEN_DNS && !add_identity(a, ids->sans, &ids->san_n, asn1_str(g->d.dNSName)))
			ids->san_dropped = true;
		if (g->type == GEN_IPADD)
			add_ip(a, ids, asn1_str(g->d.iPAddress));
	}
out:
	GENERAL_NAMES_free(names);
}

static void read_cns(X509 *x, struct arena *a, struct tls_identities *ids)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = -1, n = X509_NAME_entry_count(subject);

	if (n > NAMES_MAX)
		n = NAMES_MAX;
	if (n <= 0 || (ids->cns = arena_alloc(a, (size_t)n * sizeof *ids->cns)) == NULL)
		return;
	while (ids->cn_n < (size_t)n && (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
		unsigned char *utf8 = NULL;
		int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
		if (length > 0)
			add_identity(a, ids->cns, &ids->cn_n, str_n(utf8, (size_t)length));
		OPENSSL_free(utf8);
	}
}

void identities_read(X509 *x, struct arena *a, struct tls_identities *ids)
{
	*ids = (struct tls_identities){ 0 };
	read_sans(x, a, ids);
	read_cns(x, a, ids);
}

/* ---- the rest ---- */

void name_print(const X509_NAME *name, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	must(bio != NULL);
	/* UTF-8 stays readable; control bytes stay escaped */
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	long n = BIO_get_mem_data(bio, &p);
	if (n > 0)
		buf_add(out, str_n(p, (size_t)n));
	BIO_free(bio);
}

struct str name_dup(struct arena *a, const X509_NAME *name)
{
	struct str copy;
	struct buf b;

	buf_init(&b, DN_MAX);
	name_print(name, &b);
	copy = dup_str(a, buf_str(&b));
	buf_fini(&b);
	return copy;
}

int64_t asn1_time_ms(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

struct str fingerprint_dup(struct arena *a, X509 *x)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(x, EVP_sha256(), md, &n) != 1)
		return STR_NONE;
	for (unsigned i = 0; i < n; i++) {
		text[2 * i] = hex[md[i] >> 4];
		text[2 * i + 1] = hex[md[i] & 15];
	}
	return dup_str(a, str_n(text, 2 * (size_t)n));
}

static void read_certificate(SSL *ssl, X509 *x, struct arena *a, struct tls_peer *p)
{
	const struct secured *t = SSL_get_app_data(ssl);
	long verdict = SSL_get_verify_result(ssl);

	p->has_certificate = true;
	/* a resumed session brings the verdict of the first handshake; time has gone on since */
	if (verdict == X509_V_OK && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		verdict = X509_V_ERR_CERT_HAS_EXPIRED;
	p->chain_ok = verdict == X509_V_OK;
	if (!p->chain_ok)
		p->chain_error = dup_str(a, str_c(X509_verify_cert_error_string(verdict)));
	p->judgement = t != NULL ? t->judgement : (struct tls_judgement){ 0 };
	if (verdict == X509_V_ERR_CERT_HAS_EXPIRED && p->judgement.path_error == NULL)
		p->judgement.path_error = X509_verify_cert_error_string(verdict);
	p->subject = name_dup(a, X509_get_subject_name(x));
	p->issuer = name_dup(a, X509_get_issuer_name(x));
	p->sha256 = fingerprint_dup(a, x);
	p->not_after_ms = asn1_time_ms(X509_get0_notAfter(x));
	identities_read(x, a, &p->ids);
}

struct tls_peer *peer_make(SSL *ssl, struct arena *a)
{
	struct tls_peer *p = arena_alloc(a, sizeof *p);
	X509 *x = SSL_get0_peer_certificate(ssl);

	must(p != NULL);
	a->sure = false;                           /* what a certificate holds may be more than there is room for */
	p->protocol = str_c(SSL_get_version(ssl)); /* both are OpenSSL's constants */
	p->cipher = str_c(SSL_get_cipher_name(ssl));
	p->cipher_bits = (unsigned)SSL_get_cipher_bits(ssl, NULL);
	p->resumed = SSL_session_reused(ssl) == 1;
	if (x != NULL)
		read_certificate(ssl, x, a, p);
	else
		p->chain_error = S("no certificate");
	return p;
}
