/* tests/kit/openssl_sealer.c: ARC chains for tests; see the header. */
#include "tests/kit/openssl_sealer.h"

#include "base/must.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { TEXT_MAX = 4 << 20 };

struct sealer_key {
	EVP_PKEY *key;
	bool ed;
};

struct sealer_key *sealer_key_new(unsigned rsa_bits)
{
	struct sealer_key *k = malloc(sizeof *k);

	must(k != NULL);
	k->ed = rsa_bits == 0;
	k->key = k->ed ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_RSA_gen(rsa_bits);
	must(k->key != NULL);
	return k;
}

void sealer_key_free(struct sealer_key **k)
{
	EVP_PKEY_free((*k)->key);
	free(*k);
	*k = NULL;
}

static void put_base64(struct buf *out, const unsigned char *bytes, size_t n)
{
	unsigned char *text = malloc(n * 2 + 16);

	must(text != NULL);
	int len = EVP_EncodeBlock(text, bytes, (int)n);
	buf_add(out, str_n(text, (size_t)len));
	free(text);
}

void sealer_key_record(const struct sealer_key *k, bool old, struct buf *out)
{
	unsigned char *der = NULL, raw[32];
	size_t n = sizeof raw;

	if (k->ed) {
		must(EVP_PKEY_get_raw_public_key(k->key, raw, &n) == 1);
		put_base64(out, raw, n);
		return;
	}
	int len = old ? i2d_PublicKey(k->key, &der) : i2d_PUBKEY(k->key, &der);
	must(len > 0);
	put_base64(out, der, (size_t)len);
	OPENSSL_free(der);
}

void sealer_key_pem(const struct sealer_key *k, struct buf *out)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;

	must(b != NULL && PEM_write_bio_PrivateKey_traditional(b, k->key, NULL, NULL, 0, NULL, NULL) == 1);
	long n = BIO_get_mem_data(b, &p);
	buf_add(out, str_n(p, (size_t)n));
	BIO_free(b);
}

static void sign(const struct sealer_key *k, struct str text, struct buf *out)
{
	unsigned char sig[2048], hash[32];
	size_t n = sizeof sig;
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	must(c != NULL && EVP_Digest(text.p, text.n, hash, NULL, EVP_sha256(), NULL) == 1);
	must(EVP_DigestSignInit(c, NULL, k->ed ? NULL : EVP_sha256(), NULL, k->key) == 1);
	must(EVP_DigestSign(c, sig, &n, k->ed ? hash : (const unsigned char *)text.p, k->ed ? sizeof hash : text.n) ==
	     1);
	put_base64(out, sig, n);
	EVP_MD_CTX_free(c);
}

/* ---- the message, plainly ---- */

static bool is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next field off the front of *rest, CRLF included; empty: the header is over. */
static struct str next_field(struct str *rest)
{
	size_t n = 0;

	if (str_starts(*rest, S("\r\n")))
		return STR_NONE;
	while (n < rest->n && !(rest->p[n] == '\n' && n + 1 < rest->n && !chr_is_space(rest->p[n + 1])))
		n++;
	struct str field = str_head(*rest, n + 1);
	*rest = str_skip(*rest, n + 1);
	return field;
}

static bool is_named(struct str field, struct str name)
{
	return str_istarts(field, name) && field.p[name.n] == ':';
}

static void relax(struct str field, struct buf *out)
{
	size_t colon = (size_t)str_chr(field, ':');

	for (size_t i = 0; i < colon; i++)
		buf_addc(out, chr_lower(field.p[i]));
	buf_addc(out, ':');
	struct str v = str_skip(field, colon + 1);
	while (v.n > 0 && is_gap(v.p[0]))
		v = str_skip(v, 1);
	while (v.n > 0 && is_gap(v.p[v.n - 1]))
		v.n--;
	for (size_t i = 0; i < v.n; i++)
		if (!is_gap(v.p[i]))
			buf_addc(out, v.p[i]);
		else if (!is_gap(v.p[i - 1]))
			buf_addc(out, ' ');
}

static void put_field(struct str field, bool relaxed, struct buf *out)
{
	if (relaxed)
		relax(field, out);
	else
		buf_add(out, str_ends(field, S("\r\n")) ? str_head(field, field.n - 2) : field);
}

static void put_body(struct str body, bool relaxed, struct buf *out)
{
	struct str line;

	while (body.n > 0) {
		str_cut(body, '\n', &line, &body);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		while (relaxed && line.n > 0 && chr_is_space(line.p[line.n - 1]))
			line.n--;
		for (size_t i = 0; i < line.n; i++)
			if (!relaxed || !chr_is_space(line.p[i]))
				buf_addc(out, line.p[i]);
			else if (!chr_is_space(line.p[i - (i > 0)]) || i == 0)
				buf_addc(out, ' ');
		buf_add(out, S("\r\n"));
	}
	while (out->n >= 4 && str_ends(buf_str(out), S("\r\n\r\n")))
		out->n -= 2;
	if (str_eq(buf_str(out), S("\r\n")) && relaxed)
		out->n = 0;
	if (out->n == 0 && !relaxed)
		buf_add(out, S("\r\n"));
}

/* The field of this name and instance, from the top; empty: none. */
static struct str find_instance(struct str message, struct str name, unsigned instance)
{
	char i[16];
	struct str field;

	snprintf(i, sizeof i, "i=%u;", instance);
	while ((field = next_field(&message)).n > 0)
		if (is_named(field, name) && str_find(field, str_c(i)) >= 0)
			return field;
	return STR_NONE;
}

static void put_named(struct str message, struct str list, bool relaxed, struct buf *out)
{
	struct str fields[2000], name, field;
	size_t n = 0;
	bool more = true;

	while ((field = next_field(&message)).n > 0 && n < 2000)
		fields[n++] = field;
	while (more) {
		more = str_cut(list, ':', &name, &list);
		for (size_t i = n; i-- > 0;)
			if (fields[i].n > 0 && is_named(fields[i], name)) {
				put_field(fields[i], relaxed, out);
				buf_add(out, S("\r\n"));
				fields[i].n = 0;
				break;
			}
	}
}

/* ---- the three fields ---- */

static const char * or (const char *s, const char *usual)
{
	return s != NULL ? s : usual;
}

static void put_front(struct buf *message, struct buf *field)
{
	struct buf whole;

	buf_init(&whole, TEXT_MAX);
	buf_add(&whole, buf_str(field));
	buf_add(&whole, buf_str(message));
	buf_reset(message);
	buf_add(message, buf_str(&whole));
	must(!message->full && !whole.full);
	buf_fini(&whole);
	buf_reset(field);
}

static void put_tags(const struct sealer_key *k, const struct sealer *s, struct buf *f, const char *name)
{
	char d[64];

	snprintf(d, sizeof d, "link%u.example", s->instance);
	buf_addf(f, "%s: i=%u;%sa=%s;%sd=%s;%ss=%s; ", name, s->instance, or (s->fold, " "),
		 or (s->a, k->ed ? "ed25519-sha256" : "rsa-sha256"), or (s->fold, " "), or (s->domain, d),
		 or (s->fold, " "), or (s->selector, "s"));
}

static void put_message_signature(const struct sealer_key *k, const struct sealer *s, struct buf *message)
{
	const char *c = or (s->c, "relaxed/relaxed"), *h = or (s->h, "from:to:subject:date");
	bool relaxed_header = str_starts(str_c(c), S("relaxed")), relaxed_body = str_ends(str_c(c), S("/relaxed"));
	struct buf field, text;
	unsigned char hash[32];

	buf_init(&field, TEXT_MAX);
	buf_init(&text, TEXT_MAX);
	put_body(str_skip(buf_str(message), (size_t)str_find(buf_str(message), S("\r\n\r\n")) + 4), relaxed_body,
		 &text);
	must(EVP_Digest(text.n > 0 ? text.p : "", text.n, hash, NULL, EVP_sha256(), NULL) == 1);
	buf_reset(&text);
	put_tags(k, s, &field, "ARC-Message-Signature");
	if (c[0] != '\0')
		buf_addf(&field, "c=%s; ", c);
	buf_addf(&field, "h=%s;%s%sbh=", h, or (s->fold, " "), or (s->more_ams, ""));
	if (s->bh != NULL)
		buf_add(&field, str_c(s->bh));
	else
		put_base64(&field, hash, sizeof hash);
	buf_add(&field, S("; b="));
	put_named(buf_str(message), str_c(h), relaxed_header, &text);
	put_field(buf_str(&field), relaxed_header, &text);
	sign(k, buf_str(&text), &field);
	buf_add(&field, S("\r\n"));
	put_front(message, &field);
	buf_fini(&field);
	buf_fini(&text);
}

static void put_seal(const struct sealer_key *k, const struct sealer *s, struct buf *message)
{
	static const struct str three[] = { STR_LIT("ARC-Authentication-Results"), STR_LIT("ARC-Message-Signature"),
					    STR_LIT("ARC-Seal") };
	struct buf field, text;

	buf_init(&field, TEXT_MAX);
	buf_init(&text, TEXT_MAX);
	put_tags(k, s, &field, "ARC-Seal");
	buf_addf(&field, "%scv=%s; b=", or (s->more_seal, ""), or (s->cv, s->instance == 1 ? "none" : "pass"));
	for (unsigned i = 1; i <= s->instance; i++)
		for (unsigned n = 0; n < (i < s->instance ? 3 : 2); n++) {
			struct str f = find_instance(buf_str(message), three[n], i);
			if (f.n == 0)
				continue;
			relax(f, &text);
			buf_add(&text, S("\r\n"));
		}
	relax(buf_str(&field), &text);
	sign(k, buf_str(&text), &field);
	buf_add(&field, S("\r\n"));
	put_front(message, &field);
	buf_fini(&field);
	buf_fini(&text);
}

void sealer_put(const struct sealer_key *k, const struct sealer *s, struct buf *message)
{
	struct buf field;

	buf_init(&field, TEXT_MAX);
	buf_addf(&field, "ARC-Authentication-Results: i=%u;%s\r\n", s->instance,
		 or (s->results, " mx.example; dmarc=pass header.from=x.example"));
	put_front(message, &field);
	buf_fini(&field);
	put_message_signature(k, s, message);
	put_seal(k, s, message);
}
