/* auth/dkim_sign.c: libopendkim as a signer: relaxed/relaxed, the body whole, chosen fields, some of them once more
 * than they are there, so that nobody adds another (oversigning, hardening 4.8).
 *
 * The library wants the key as PEM text each time and reads it each time; the settings are made once a key.  It folds
 * its own field in a way that a line of 998 octets is safe from but a reader is not, so it is told not to, and the
 * field is folded here, where relaxed canonicalisation does not see it. */
#include "auth/dkim_lib.h"
#include "auth/keys.h"

#include "base/must.h"
#include "wire/header.h"

#include <opendkim/dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 76, HEADER_FIELDS_MAX = 10000, NAMES_MAX = 64 };

struct signing {
	DKIM *dkim;
	bool failed;
	bool any;
	char tail[2];
	char why[AUTH_TEXT];
};

/* The library's Ed25519 signing leaks some hundred bytes a message; workers are recycled, and the sanitizer, where
 * there is one, looks away. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void set_names(DKIM_LIB *lib, int option, const struct conf_list *names)
{
	const char *list[NAMES_MAX + 1];
	size_t n = 0;

	for (; n < names->n && n < NAMES_MAX; n++)
		list[n] = names->v[n].p;
	list[n] = NULL;
	if (n > 0)
		dkim_options(lib, DKIM_OP_SETOPT, (dkim_opts_t)option, list, sizeof(u_char **));
}

const char *sign_key_open(struct sign_key *key, const struct conf_list *headers, const struct conf_list *oversign,
			  unsigned least_bits)
{
	static const char message[] = "From: a@example.org\r\n";
	char why[AUTH_TEXT];
	struct buf field;

	key->lib = dkim_init(NULL, NULL);
	must(key->lib != NULL);
	set_names(key->lib, DKIM_OPTS_SIGNHDRS, headers);
	set_names(key->lib, DKIM_OPTS_OVERSIGNHDRS, oversign);
	if (!key->ed25519 && key->bits < least_bits)
		return "an RSA key with too few bits";
	/* a try: what is loaded lazily is loaded now, and a key that does not sign is found */
	struct signing *s = signing_new(key, str_c(message), why);
	buf_init(&field, AUTH_HEADER_MAX);
	bool good = s != NULL && signing_end(s, &field, why);
	buf_fini(&field);
	signing_free(&s);
	return good ? NULL : "not a key that signs";
}

void sign_key_close(struct sign_key *key)
{
	if (key->lib != NULL)
		dkim_close(key->lib);
	key->lib = NULL;
}

static void take_field(void *arg, const struct header_field *f)
{
	struct signing *s = arg;
	struct str raw = f->raw;

	while (raw.n > 0 && (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r'))
		raw.n--;
	if (s->failed)
		return;
	if (memchr(raw.p, '\0', raw.n) != NULL ||
	    dkim_header(s->dkim, (u_char *)(uintptr_t)raw.p, raw.n) != DKIM_STAT_OK) {
		s->failed = true;
		snprintf(s->why, sizeof s->why, "a header field cannot be signed");
	}
}

static bool say(struct signing *s, DKIM_STAT st)
{
	if (st == DKIM_STAT_OK)
		return true;
	s->failed = true;
	const char *more = dkim_geterror(s->dkim);
	snprintf(s->why, sizeof s->why, "%s%s%.100s", dkim_getresultstr(st), more != NULL ? ": " : "",
		 more != NULL ? more : "");
	return false;
}

struct signing *signing_new(const struct sign_key *key, struct str header, char why[AUTH_TEXT])
{
	struct signing *s = calloc(1, sizeof *s);
	struct header_scan scan;
	DKIM_STAT st;

	must(s != NULL);
	s->dkim = dkim_sign(key->lib, (const u_char *)"t", NULL, (dkim_sigkey_t)key->pem, (const u_char *)key->selector,
			    (const u_char *)key->domain, DKIM_CANON_RELAXED, DKIM_CANON_RELAXED,
			    key->ed25519 ? DKIM_SIGN_ED25519SHA256 : DKIM_SIGN_RSASHA256, -1, &st);
	if (s->dkim == NULL) {
		snprintf(why, AUTH_TEXT, "%s", dkim_getresultstr(st));
		free(s);
		return NULL;
	}
	dkim_set_margin(s->dkim, 0);
	header_scan_init(&scan, AUTH_HEADER_MAX + 2, HEADER_FIELDS_MAX, STR_NONE);
	scan.on_field = take_field;
	scan.arg = s;
	header_scan_add(&scan, header);
	header_scan_finish(&scan);
	bool good = !scan.too_big && !s->failed && say(s, dkim_eoh(s->dkim));
	if (scan.too_big)
		snprintf(s->why, sizeof s->why, "the header is too big");
	header_scan_fini(&scan);
	if (good)
		return s;
	snprintf(why, AUTH_TEXT, "%s", s->why);
	signing_free(&s);
	return NULL;
}

void signing_body(struct signing *s, struct str chunk)
{
	if (chunk.n == 0 || s->failed)
		return;
	s->any = true;
	s->tail[0] = chunk.n > 1 ? chunk.p[chunk.n - 2] : s->tail[1];
	s->tail[1] = chunk.p[chunk.n - 1];
	say(s, dkim_body(s->dkim, (u_char *)(uintptr_t)chunk.p, chunk.n));
}

/* One blank between tags, lines of about LINE octets, the long last tag (b=) cut anywhere: all the same to relaxed. */
static void fold(struct str text, struct buf *out)
{
	size_t line = sizeof "DKIM-Signature:" - 1;
	struct str tag;

	buf_add(out, S("DKIM-Signature:"));
	for (bool more = true; more;) {
		more = str_cut(text, ';', &tag, &text);
		char room[4096];
		size_t n = 0;
		bool may_cut = false;
		for (size_t i = 0; i < tag.n && n + 2 < sizeof room; i++) {
			char c = tag.p[i];
			if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
				room[n++] = c;
		}
		if (n == 0)
			continue;
		may_cut = n > 2 && room[0] == 'b' && room[1] == '=';
		if (more)
			room[n++] = ';';
		bool fits = line + 1 + n <= LINE;
		buf_add(out, fits ? S(" ") : S("\r\n\t"));
		line = fits ? line + 1 : 8;
		for (size_t at = 0; at < n;) {
			size_t take = may_cut && n - at > LINE - line ? LINE - line : n - at;
			buf_add(out, str_n(room + at, take));
			at += take;
			line += take;
			if (at < n) {
				buf_add(out, S("\r\n\t"));
				line = 8;
			}
		}
	}
	buf_add(out, S("\r\n"));
}

bool signing_end(struct signing *s, struct buf *field, char why[AUTH_TEXT])
{
	bool whole = !s->any || (s->tail[0] == '\r' && s->tail[1] == '\n');
	u_char end[] = "\r\n", *text = NULL;
	size_t n = 0;

	if (__lsan_disable != NULL)
		__lsan_disable();
	bool good = !s->failed && (whole || say(s, dkim_body(s->dkim, end, 2))) && say(s, dkim_eom(s->dkim, NULL)) &&
		    say(s, dkim_getsighdr_d(s->dkim, sizeof "DKIM-Signature: " - 1, &text, &n));
	if (__lsan_enable != NULL)
		__lsan_enable();
	if (good)
		fold(str_n(text, n), field);
	else
		snprintf(why, AUTH_TEXT, "%s", s->why);
	return good && !field->full;
}

void signing_free(struct signing **s)
{
	if (*s == NULL)
		return;
	dkim_free((*s)->dkim);
	free(*s);
	*s = NULL;
}
