/* routing/token.c: the route token, written and read; see the header.
 *
 * The text without blanks is canonical: fields in one order, numbers without leading zeros, base64url without padding
 * and without stray bits.  What is verified is exactly that text, so two spellings of one token cannot exist. */
#include "routing/token.h"

#include "base/must.h"
#include "tls/mac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 76, KEYS_FILE_MAX = 64 * 1024 };

/* ---- base64url (RFC 4648 5) ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_base64(struct buf *b, const unsigned char *p, size_t n)
{
	unsigned held = 0, bits = 0;

	for (size_t i = 0; i < n; i++) {
		held = held << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			buf_addc(b, letters[held >> (bits - 6) & 63]);
	}
	if (bits > 0)
		buf_addc(b, letters[held << (6 - bits) & 63]);
}

static bool get_base64(struct str s, unsigned char *out, size_t n)
{
	unsigned held = 0, bits = 0;
	size_t at = 0;

	if (s.n != (n * 8 + 5) / 6)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char *letter = s.p[i] != '\0' ? strchr(letters, s.p[i]) : NULL;
		if (letter == NULL)
			return false;
		held = held << 6 | (unsigned)(letter - letters);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[at++] = (unsigned char)(held >> bits);
		}
	}
	return at == n && (held & ((1u << bits) - 1)) == 0;
}

/* ---- keys ---- */

static int hex_digit(char c)
{
	c = chr_lower(c);
	return chr_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_key(struct str id, struct str hex, struct token_key *k)
{
	*k = (struct token_key){ .key_n = hex.n / 2 };
	if (id.n == 0 || id.n >= sizeof k->id || hex.n % 2 != 0 || k->key_n < 16 || k->key_n > sizeof k->key)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!chr_is_alnum(id.p[i]))
			return false;
	memcpy(k->id, id.p, id.n);
	for (size_t i = 0; i < k->key_n; i++) {
		int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		k->key[i] = (unsigned char)(high * 16 + low);
	}
	return true;
}

static const struct token_key *find_key(const struct token_keys *keys, struct str id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (str_eq(str_c(keys->v[i].id), id))
			return &keys->v[i];
	return NULL;
}

int token_keys_parse(struct str text, struct token_keys *out, struct err *e)
{
	struct token_keys keys = { .n = 0 };
	struct str line, code, comment, id, hex;

	for (unsigned n = 1; text.n > 0; n++) {
		str_cut(text, '\n', &line, &text);
		str_cut(line, '#', &code, &comment);
		if (code.n > 0 && code.p[code.n - 1] == '\r')
			code.n--;
		id = str_word(&code);
		hex = str_word(&code);
		if (id.n == 0)
			continue;
		bool ok = keys.n < TOKEN_KEYS_MAX && str_trim(code).n == 0 && find_key(&keys, id) == NULL &&
			  parse_key(id, hex, &keys.v[keys.n]);
		if (!ok) {
			err_set(e, ERR_SYNTAX, "token.keys",
				"line %u: wanted at most %d lines `ID HEX`, each ID once, of letters and digits, each key of 16 "
				"to 64 bytes",
				n, TOKEN_KEYS_MAX);
			token_keys_fini(&keys);
			return -1;
		}
		keys.n++;
	}
	*out = keys;
	token_keys_fini(&keys);
	return 0;
}

int token_keys_load(const char *path, struct token_keys *out, struct err *e)
{
	struct buf text;
	char *room;
	int result = -1;
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		err_set(e, ERR_IO, "token.keys", "%s: %s", path, strerror(errno));
		return -1;
	}
	buf_init(&text, KEYS_FILE_MAX);
	while ((room = buf_reserve(&text, 4096)) != NULL) {
		size_t n = fread(room, 1, 4096, f);
		buf_commit(&text, n);
		if (n < 4096)
			break;
	}
	struct err why = { 0 };
	if (ferror(f) || text.full)
		err_set(e, ERR_IO, "token.keys", "%s: cannot be read", path);
	else if (token_keys_parse(buf_str(&text), out, &why) != 0)
		err_set(e, why.code, "token.keys", "%s: %s", path, why.text);
	else
		result = 0;
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);
	buf_fini(&text);
	fclose(f);
	return result;
}

void token_keys_fini(struct token_keys *k)
{
	explicit_bzero(k, sizeof *k);
}

/* ---- what it is about ---- */

/* Runs of blanks and folds count as one blank, those at the ends as none. */
static void put_canonical(struct buf *b, struct str value)
{
	bool gap = false, begun = false;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (chr_is_space(c) || c == '\r' || c == '\n') {
			gap = begun;
			continue;
		}
		if (gap)
			buf_addc(b, ' ');
		buf_addc(b, c);
		gap = false;
		begun = true;
	}
	buf_addc(b, '\n');
}

void token_bind(const struct token_message *m, unsigned char out[TOKEN_SHORT])
{
	unsigned char sum[MAC_SIZE];
	struct buf b;

	buf_init_sure(&b, m->message_id.n + m->date.n + m->from.n + 3);
	put_canonical(&b, m->message_id);
	put_canonical(&b, m->date);
	put_canonical(&b, m->from);
	must(!b.full);
	mac_sha256(buf_str(&b), sum);
	memcpy(out, sum, TOKEN_SHORT);
	buf_fini(&b);
}

struct token_rcpt token_rcpt_of(const unsigned char *rid_or_null, struct str address)
{
	unsigned char sum[MAC_SIZE];
	struct token_rcpt r;
	struct buf b;

	if (rid_or_null != NULL) {
		memcpy(r.id, rid_or_null, sizeof r.id);
		return r;
	}
	buf_init(&b, address.n + 1);
	for (size_t i = 0; i < address.n; i++)
		buf_addc(&b, chr_lower(address.p[i]));
	mac_sha256(buf_str(&b), sum);
	memcpy(r.id, sum, sizeof r.id);
	buf_fini(&b);
	return r;
}

static void hash_rcpt(const struct token_key *k, const struct token_rcpt *r, unsigned char out[TOKEN_HASH])
{
	unsigned char sum[MAC_SIZE];

	mac_hmac(str_n(k->key, k->key_n), str_n(r->id, sizeof r->id), sum);
	memcpy(out, sum, TOKEN_HASH);
}

bool token_add(const struct token_keys *keys, struct token *t, const struct token_rcpt *r)
{
	must(keys->n > 0);
	if (t->key == NULL)
		t->key = &keys->v[0];
	if (t->rcpt_n == TOKEN_RCPTS_MAX)
		return false;
	hash_rcpt(t->key, r, t->rcpts[t->rcpt_n++]);
	return true;
}

bool token_names(const struct token *t, const struct token_rcpt *r)
{
	unsigned char hash[TOKEN_HASH];
	bool found = false;

	hash_rcpt(t->key, r, hash);
	for (size_t i = 0; i < t->rcpt_n; i++)
		found = mac_equal(hash, t->rcpts[i], TOKEN_HASH) || found;
	return found;
}

/* ---- writing ---- */

static void sign(const struct token_key *k, struct str text, unsigned char out[TOKEN_SHORT])
{
	unsigned char sum[MAC_SIZE];

	mac_hmac(str_n(k->key, k->key_n), text, sum);
	memcpy(out, sum, TOKEN_SHORT);
}

/* Everything in front of ";s=". */
static void put_text(const struct token *t, struct buf *b)
{
	buf_addf(b, "v=%s;k=%s;p=%s;e=%llu;t=%llu;g=%u;m=",
		 t->bypass      ? "1b"
		 : t->journaled ? "1j"
				: "1",
		 t->key->id, conf_site_name(t->premises), (unsigned long long)t->epoch, (unsigned long long)t->unix_s,
		 t->generation);
	put_base64(b, t->message, sizeof t->message);
	buf_add(b, S(";r="));
	for (size_t i = 0; i < t->rcpt_n; i++) {
		if (i > 0)
			buf_addc(b, ',');
		put_base64(b, t->rcpts[i], TOKEN_HASH);
	}
}

/* Folds behind ";" and ",", at the last that still fits the line. */
static void put_folded(struct str name, struct str text, struct buf *out)
{
	size_t width = name.n;

	buf_add(out, name);
	while (text.n > 0) {
		size_t n = 0;
		while (n < text.n && text.p[n] != ';' && text.p[n] != ',')
			n++;
		n += n < text.n;
		if (width + n > LINE_WIDTH) {
			buf_add(out, S("\r\n\t"));
			width = 1;
		}
		buf_add(out, str_head(text, n));
		width += n;
		text = str_skip(text, n);
	}
	buf_add(out, S("\r\n"));
}

bool token_put(const struct token_keys *keys, struct token *t, struct buf *out)
{
	unsigned char mac[TOKEN_SHORT];
	struct buf text;

	must(keys->n > 0);
	if (t->key == NULL)
		t->key = &keys->v[0];
	buf_init_sure(&text, TOKEN_TEXT_MAX);
	put_text(t, &text);
	sign(t->key, buf_str(&text), mac);
	buf_add(&text, S(";s="));
	put_base64(&text, mac, sizeof mac);
	must(!text.full);
	put_folded(t->bypass ? S("X-Tombolo-Bypass: ") : S("X-Tombolo-Route: "), buf_str(&text), out);
	buf_fini(&text);
	return !out->full;
}

/* ---- reading ---- */

const char *token_verdict_name(enum token_verdict v)
{
	static const char *const names[] = { "valid", "malformed", "unknown-key", "forged", "other-message", "stale" };

	return names[v];
}

/* "x=value;" off the front */
static bool take(struct str *s, const char *name, struct str *value)
{
	struct str field, left;

	str_cut(*s, ';', &field, s);
	return str_cut(field, '=', &left, value) && str_eq(left, str_c(name));
}

static bool number(struct str s, uint64_t most, uint64_t *out)
{
	return str_u64(s, most, out) && (s.n == 1 || s.p[0] != '0');
}

static bool read_rcpts(struct str list, struct token *t)
{
	struct str one;

	for (bool more = list.n > 0; more;) {
		more = str_cut(list, ',', &one, &list);
		if (t->rcpt_n == TOKEN_RCPTS_MAX || !get_base64(one, t->rcpts[t->rcpt_n], TOKEN_HASH))
			return false;
		t->rcpt_n++;
	}
	return true;
}

static bool read_site(struct str s, enum conf_site *out)
{
	*out = str_eq(s, str_c(conf_site_name(SITE_CLOUD))) ? SITE_CLOUD : SITE_ONPREM;
	return str_eq(s, str_c(conf_site_name(*out)));
}

/* `text` without blanks.  The key is told by its name. */
static bool read_fields(struct str text, struct token *t, struct str *key, unsigned char mac[TOKEN_SHORT])
{
	struct str v, p, e, unix_s, g, m, r, s;
	uint64_t generation;

	if (!take(&text, "v", &v) || !take(&text, "k", key) || !take(&text, "p", &p) || !take(&text, "e", &e) ||
	    !take(&text, "t", &unix_s) || !take(&text, "g", &g) || !take(&text, "m", &m) || !take(&text, "r", &r) ||
	    !take(&text, "s", &s) || text.n > 0)
		return false;
	t->bypass = str_eq(v, S("1b"));
	t->journaled = str_eq(v, S("1j"));
	if ((!t->bypass && !t->journaled && !str_eq(v, S("1"))) || !read_site(p, &t->premises) ||
	    !number(e, UINT64_MAX, &t->epoch) || !number(unix_s, INT64_MAX / 1000, &t->unix_s) ||
	    !number(g, 1000, &generation))
		return false;
	t->generation = (unsigned)generation;
	return get_base64(m, t->message, TOKEN_SHORT) && read_rcpts(r, t) && get_base64(s, mac, TOKEN_SHORT);
}

static void put_without_blanks(struct buf *b, struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!chr_is_space(value.p[i]) && value.p[i] != '\r' && value.p[i] != '\n')
			buf_addc(b, value.p[i]);
}

static enum token_verdict verify_text(const struct token_keys *keys, struct str text,
				      const unsigned char message[TOKEN_SHORT], int64_t now_ms, bool bypass,
				      struct token *t)
{
	unsigned char mac[TOKEN_SHORT], want[TOKEN_SHORT];
	int64_t age_s;
	struct str key;

	*t = (struct token){ 0 };
	if (!read_fields(text, t, &key, mac) || t->bypass != bypass)
		return TOKEN_MALFORMED;
	t->key = find_key(keys, key);
	if (t->key == NULL)
		return TOKEN_UNKNOWN_KEY;
	/* the MAC is the last field, and its length is known */
	sign(t->key, str_head(text, text.n - (sizeof ";s=" - 1) - (TOKEN_SHORT * 8 + 5) / 6), want);
	if (!mac_equal(mac, want, TOKEN_SHORT))
		return TOKEN_FORGED;
	if (!mac_equal(t->message, message, TOKEN_SHORT))
		return TOKEN_OTHER_MESSAGE;
	age_s = now_ms / 1000 - (int64_t)t->unix_s;
	return age_s > TOKEN_AGE_MAX_S || age_s < -86400 ? TOKEN_STALE : TOKEN_VALID;
}

static enum token_verdict verify(const struct token_keys *keys, struct str value,
				 const unsigned char message[TOKEN_SHORT], int64_t now_ms, bool bypass,
				 struct token *out)
{
	struct buf text;
	enum token_verdict v = TOKEN_MALFORMED;

	buf_init(&text, TOKEN_TEXT_MAX);
	put_without_blanks(&text, value);
	if (!text.full)
		v = verify_text(keys, buf_str(&text), message, now_ms, bypass, out);
	buf_fini(&text);
	return v;
}

enum token_verdict token_verify(const struct token_keys *keys, struct str value,
				const unsigned char message[TOKEN_SHORT], int64_t now_ms, struct token *out)
{
	return verify(keys, value, message, now_ms, false, out);
}

enum token_verdict token_verify_bypass(const struct token_keys *keys, struct str value,
				       const unsigned char message[TOKEN_SHORT], int64_t now_ms, struct token *out)
{
	return verify(keys, value, message, now_ms, true, out);
}

bool token_is_from(struct str value, enum conf_site site)
{
	unsigned char mac[TOKEN_SHORT];
	struct token t = { 0 };
	struct str key;
	struct buf text;

	buf_init(&text, TOKEN_TEXT_MAX);
	put_without_blanks(&text, value);
	bool is = !text.full && read_fields(buf_str(&text), &t, &key, mac) && !t.bypass && t.premises == site;
	buf_fini(&text);
	return is;
}
