/* auth/dkim_verify.c: libopendkim as a verifier, and what it leaves undone.
 *
 * The library swallows "try again" at the end of a message and calls the signature bad, so whoever asks sees to it that
 * every key is there, or known to be missing, before verify_end; a failure of the DNS is put in afterwards.  Signatures
 * that cover a part of the body, SHA-1 and short keys are judged here, by RFC 8301 and by what an attacker makes of
 * them (hardening 4.8).  Fields with NUL never reach it: it would read half of them. */
#include "auth/dkim_lib.h"

#include "base/must.h"
#include "wire/header.h"

#include <opendkim/dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_KEY_BITS = 1024, HEADER_FIELDS_MAX = 10000 };

static DKIM_LIB *lib;

/* How long the whole body is in a canonical form (RFC 6376 3.4.3, 3.4.4): the library counts what is signed only. */
struct length {
	uint64_t n;          /* up to the last line that is not empty */
	uint64_t line;       /* of the line being read, without blanks at its end */
	uint64_t ends;       /* empty lines behind n */
	bool relaxed, blank; /* blank: waiting for something behind it */
};

struct verify {
	DKIM *dkim;
	unsigned most;
	unsigned seen;            /* signature fields; the library does not get to know all of them */
	bool failed;              /* it takes no more */
	bool over;                /* the end of the header was read */
	bool any;                 /* there was a body */
	bool counts;              /* some signature says how much of it it covers */
	struct length lengths[2]; /* of the canonical body: simple, relaxed */
	char tail[2];             /* its last octets so far */
	struct needs *needs;
	const struct answers *keys;
	char why[120];
};

static void length_add(struct length *l, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\r')
			continue; /* of a line end; lone ones are refused at the door */
		if (l->relaxed && chr_is_space(c)) {
			l->blank = true;
			continue;
		}
		if (c != '\n') {
			l->line += 1 + l->blank;
			l->blank = false;
			continue;
		}
		if (l->line == 0)
			l->ends += 2;
		else
			l->n += l->ends + l->line + 2, l->ends = 0;
		l->line = 0;
		l->blank = false;
	}
}

static uint64_t length_of(const struct length *l)
{
	uint64_t n = l->n + (l->line > 0 ? l->ends + l->line + 2 : 0);

	return n == 0 && !l->relaxed ? 2 : n;
}

/* ---- keys ---- */

static bool key_name(DKIM_SIGINFO *sig, char name[AUTH_NAME])
{
	const char *s = (const char *)dkim_sig_getselector(sig), *d = (const char *)dkim_sig_getdomain(sig);

	if (s == NULL || d == NULL)
		return false;
	int n = snprintf(name, AUTH_NAME, "%s._domainkey.%s", s, d);
	return n > 0 && n < AUTH_NAME && rr_is_name(str_c(name));
}

static const struct answer *key_answer(const struct verify *v, DKIM_SIGINFO *sig)
{
	char name[AUTH_NAME];

	return v->keys != NULL && key_name(sig, name) ? answers_find(v->keys, RR_TXT, str_c(name)) : NULL;
}

/* The one record of a key among texts that may say other things too (a wildcard's); NULL when there is not just one. */
static const struct str *one_key(const struct answer *a)
{
	const struct str *key = NULL;
	size_t n = 0;

	for (size_t i = 0; a != NULL && i < a->value_n; i++)
		if (a->value_n == 1 || str_find(a->values[i], S("p=")) >= 0) {
			key = &a->values[i];
			n++;
		}
	return n == 1 ? key : NULL;
}

static DKIM_CBSTAT find_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t n)
{
	const struct verify *v = dkim_get_user_context(dkim);
	const struct str *key = one_key(key_answer(v, sig));

	if (key == NULL || key->n >= n || memchr(key->p, '\0', key->n) != NULL)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(buf, key->p, key->n);
	buf[key->n] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

static DKIM_CBSTAT look_at_sigs(DKIM *dkim, DKIM_SIGINFO **sigs, int n)
{
	struct verify *v = dkim_get_user_context(dkim);
	char name[AUTH_NAME];

	for (int i = 0; i < n; i++)
		v->counts = v->counts || dkim_sig_gettagvalue(sigs[i], false, (u_char *)(uintptr_t) "l") != NULL;
	for (int i = 0; i < n; i++)
		if ((unsigned)i >= v->most)
			dkim_sig_ignore(sigs[i]);
		else if (key_name(sigs[i], name))
			needs_add(v->needs, RR_TXT, str_c(name));
	return DKIM_CBSTAT_CONTINUE;
}

void dkim_lib_open(void)
{
	u_int flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
	u_int bits = MIN_KEY_BITS;

	if (lib != NULL)
		return;
	lib = dkim_init(NULL, NULL);
	must(lib != NULL);
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof bits);
	dkim_set_prescreen(lib, look_at_sigs);
	dkim_set_key_lookup(lib, find_key);
}

/* ---- the message ---- */

/* Tags that stand twice make the whole list void (RFC 6376 3.2); the library takes one of them. */
static bool has_twins(struct str value)
{
	bool seen[128] = { false };
	struct str tag, name, text;

	for (bool more = true; more;) {
		more = str_cut(value, ';', &tag, &value);
		str_cut(tag, '=', &name, &text);
		char only = '\0';
		size_t n = 0;
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] > ' ' && name.p[i] <= '~') {
				only = name.p[i];
				n++;
			}
		if (n != 1) /* of tags with longer names bh alone matters, and a second one of that is no attack */
			continue;
		if (seen[(unsigned char)only])
			return true;
		seen[(unsigned char)only] = true;
	}
	return false;
}

static void take_field(void *arg, const struct header_field *f)
{
	struct verify *v = arg;
	struct str raw = f->raw;
	bool signature = header_name_is(f->name, S("DKIM-Signature"));

	while (raw.n > 0 && (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r'))
		raw.n--;
	v->seen += signature;
	if (memchr(raw.p, '\0', raw.n) != NULL || (signature && has_twins(f->value)))
		return;
	dkim_header(v->dkim, (u_char *)(uintptr_t)raw.p, raw.n);
}

struct verify *verify_new(struct str header, unsigned most, struct needs *needs)
{
	struct verify *v = calloc(1, sizeof *v);
	struct header_scan scan;
	DKIM_STAT st;

	must(v != NULL && lib != NULL);
	needs->n = 0;
	needs->cut = false;
	v->needs = needs;
	v->most = most;
	v->lengths[1].relaxed = true;
	v->dkim = dkim_verify(lib, (const u_char *)"t", NULL, &st);
	must(v->dkim != NULL);
	dkim_set_user_context(v->dkim, v);
	header_scan_init(&scan, AUTH_HEADER_MAX + 2, HEADER_FIELDS_MAX, STR_NONE);
	scan.on_field = take_field;
	scan.arg = v;
	header_scan_add(&scan, header);
	header_scan_finish(&scan);
	v->failed = scan.too_big;
	header_scan_fini(&scan);
	st = v->failed ? DKIM_STAT_SYNTAX : dkim_eoh(v->dkim);
	v->needs = NULL;
	v->over = st == DKIM_STAT_OK || st == DKIM_STAT_NOSIG;
	v->failed = st != DKIM_STAT_OK;
	if (st != DKIM_STAT_OK && st != DKIM_STAT_NOSIG)
		snprintf(v->why, sizeof v->why, "%s", dkim_getresultstr(st));
	return v;
}

void verify_body(struct verify *v, struct str chunk)
{
	if (chunk.n == 0 || v->failed)
		return;
	v->any = true;
	for (size_t i = 0; v->counts && i < 2; i++)
		length_add(&v->lengths[i], chunk);
	v->tail[0] = chunk.n > 1 ? chunk.p[chunk.n - 2] : v->tail[1];
	v->tail[1] = chunk.p[chunk.n - 1];
	v->failed = dkim_body(v->dkim, (u_char *)(uintptr_t)chunk.p, chunk.n) != DKIM_STAT_OK;
}

/* ---- verdicts ---- */

static void copy_tag(DKIM_SIGINFO *sig, const char *tag, char *room, size_t n)
{
	const u_char *value = dkim_sig_gettagvalue(sig, false, (u_char *)(uintptr_t)tag);
	size_t used = 0;

	for (; value != NULL && *value != '\0' && used + 1 < n; value++)
		if (*value > ' ' && *value <= '~')
			room[used++] = (char)*value;
	room[used] = '\0';
}

static void set(struct auth_sig *s, enum auth_result r, const char *why)
{
	s->result = r;
	snprintf(s->why, sizeof s->why, "%s", why);
}

/* Permanent by what the signature or the key says of itself; the others are plain failures of the check. */
static enum auth_result result_of_error(DKIM_SIGERROR e)
{
	switch (e) {
	case DKIM_SIGERROR_BADSIG:
		return AUTH_FAIL;
	case DKIM_SIGERROR_KEYFAIL:
		return AUTH_TEMPERROR;
	case DKIM_SIGERROR_KEYTOOSMALL:
		return AUTH_POLICY;
	default:
		return AUTH_PERMERROR;
	}
}

static void judge_key(const struct verify *v, DKIM_SIGINFO *sig, struct auth_sig *s)
{
	const struct answer *a = key_answer(v, sig);
	char name[AUTH_NAME];

	s->secure = a != NULL && a->secure;
	if (!key_name(sig, name))
		set(s, AUTH_PERMERROR, "the name of the key is none");
	else if (a == NULL || a->status == RR_FAILED)
		set(s, AUTH_TEMPERROR, "the DNS gave no answer about the key");
	else if (a->value_n == 0)
		set(s, AUTH_PERMERROR, "there is no key of that name");
	else if (one_key(a) == NULL)
		set(s, AUTH_PERMERROR, "there is more than one key of that name");
}

static bool covers_less(const struct verify *v, DKIM_SIGINFO *sig)
{
	const char *l = (const char *)dkim_sig_gettagvalue(sig, false, (u_char *)(uintptr_t) "l");
	dkim_canon_t header, body = DKIM_CANON_SIMPLE;
	uint64_t n;

	if (l == NULL)
		return false;
	dkim_sig_getcanons(sig, &header, &body);
	return !str_u64(str_trim(str_c(l)), UINT64_MAX, &n) || n < length_of(&v->lengths[body == DKIM_CANON_RELAXED]);
}

static void judge(struct verify *v, DKIM_SIGINFO *sig, struct auth_sig *s)
{
	unsigned flags = dkim_sig_getflags(sig);
	DKIM_SIGERROR e = dkim_sig_geterror(sig);
	u_int bits = 0;

	s->testing = (flags & DKIM_SIGFLAG_TESTKEY) != 0;
	if (dkim_sig_getkeysize(sig, &bits) == DKIM_STAT_OK)
		s->bits = bits;
	if ((flags & DKIM_SIGFLAG_IGNORE) != 0) {
		set(s, AUTH_POLICY, "not judged: too many signatures");
		return;
	}
	if (s->algorithm[0] != '\0' && strcmp(s->algorithm, "rsa-sha256") != 0 &&
	    strcmp(s->algorithm, "ed25519-sha256") != 0) {
		set(s, AUTH_PERMERROR, "an algorithm that proves nothing"); /* RFC 8301 3.1 */
		return;
	}
	judge_key(v, sig, s);
	if (s->why[0] != '\0' && (e == DKIM_SIGERROR_OK || e == DKIM_SIGERROR_UNKNOWN || e == DKIM_SIGERROR_NOKEY ||
				  e == DKIM_SIGERROR_KEYFAIL || e == DKIM_SIGERROR_BADSIG))
		return;
	if (e != DKIM_SIGERROR_OK && e != DKIM_SIGERROR_UNKNOWN) {
		set(s, result_of_error(e), dkim_sig_geterrorstr(e) != NULL ? dkim_sig_geterrorstr(e) : "it is wrong");
		return;
	}
	if ((flags & DKIM_SIGFLAG_PASSED) == 0 || dkim_sig_getbh(sig) != DKIM_SIGBH_MATCH) {
		set(s, AUTH_FAIL,
		    dkim_sig_getbh(sig) != DKIM_SIGBH_MATCH ? "the body was changed" : "the signature does not match");
		return;
	}
	s->result = AUTH_PASS;
	s->why[0] = '\0';
	if (strcmp(s->algorithm, "ed25519-sha256") == 0)
		s->bits = 256; /* the library does not count them */
	if (covers_less(v, sig))
		set(s, AUTH_POLICY, "it covers a part of the body only (l=)");
}

static void describe(struct verify *v, DKIM_SIGINFO *sig, struct auth_sig *s)
{
	u_char identity[AUTH_NAME];

	*s = (struct auth_sig){ .result = AUTH_NEUTRAL };
	copy_tag(sig, "d", s->domain, sizeof s->domain);
	for (char *p = s->domain; *p != '\0'; p++)
		*p = chr_lower(*p);
	copy_tag(sig, "s", s->selector, sizeof s->selector);
	copy_tag(sig, "a", s->algorithm, sizeof s->algorithm);
	for (char *p = s->algorithm; *p != '\0'; p++)
		*p = chr_lower(*p);
	copy_tag(sig, "b", s->b, 9);
	if (dkim_sig_getidentity(v->dkim, sig, identity, sizeof identity) == DKIM_STAT_OK)
		snprintf(s->identity, sizeof s->identity, "%s", (const char *)identity);
	judge(v, sig, s);
}

size_t verify_end(struct verify *v, const struct answers *keys, struct auth_sig sigs[AUTH_SIGS_MAX])
{
	DKIM_SIGINFO **list = NULL;
	int n = 0;
	size_t used = 0;
	bool whole = !v->any || (v->tail[0] == '\r' && v->tail[1] == '\n');
	u_char end[] = "\r\n";

	v->keys = keys;
	if (!v->failed && !whole) /* the canonical body ends so; the library adds nothing (RFC 6376 3.4.3) */
		v->failed = dkim_body(v->dkim, end, 2) != DKIM_STAT_OK;
	if (v->over && !v->failed)
		dkim_eom(v->dkim, NULL);
	if (v->over && dkim_getsiglist(v->dkim, &list, &n) == DKIM_STAT_OK)
		for (int i = 0; i < n && used < AUTH_SIGS_MAX; i++)
			describe(v, list[i], &sigs[used++]);
	for (unsigned i = (unsigned)used; i < v->seen && used < AUTH_SIGS_MAX; i++) {
		sigs[used] = (struct auth_sig){ 0 };
		set(&sigs[used++], AUTH_PERMERROR, "a field that cannot be read");
	}
	if (used == 0 && v->why[0] != '\0') {
		sigs[0] = (struct auth_sig){ 0 };
		set(&sigs[used++], AUTH_PERMERROR, v->why);
	}
	return used;
}

void verify_free(struct verify **v)
{
	if (*v == NULL)
		return;
	dkim_free((*v)->dkim);
	free(*v);
	*v = NULL;
}
