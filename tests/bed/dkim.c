/* tests/bed/dkim.c: the one place of libopendkim in the tests.
 *
 * Keys are looked up by a function of ours, so nothing asks a name server. */
#include "tests/bed/dkim.h"

#include "base/must.h"
#include "tests/bed/bed.h"

#include <opendkim/dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 8192 };

/* The library's Ed25519 signing leaks some hundred bytes a message; the sanitizer, where there is one, looks away. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static struct {
	DKIM_LIB *lib;
	char secret[2][KEY_MAX], record[2][KEY_MAX];
} keys;

static const char *const selectors[] = { "rsa", "ed" };

static void read_key(const char *dir, const char *name, const char *end, char room[KEY_MAX])
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.%s", dir, name, end);
	f = fopen(path, "re");
	size_t n = f == NULL ? 0 : fread(room, 1, KEY_MAX - 1, f);
	if (n == 0)
		bed_fail("dkim: cannot read %s", path);
	fclose(f);
	room[n] = '\0';
	if (strcmp(end, "txt") == 0)
		room[strcspn(room, "\n")] = '\0';
}

static DKIM_CBSTAT find_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t n)
{
	const char *selector = (const char *)dkim_sig_getselector(sig);

	(void)dkim;
	for (size_t i = 0; i < 2; i++)
		if (strcmp(selector, selectors[i]) == 0) {
			snprintf((char *)buf, n, "%s", keys.record[i]);
			return DKIM_CBSTAT_CONTINUE;
		}
	return DKIM_CBSTAT_NOTFOUND;
}

void dkim_open(const char *dir)
{
	for (size_t i = 0; i < 2; i++) {
		read_key(dir, selectors[i], "pem", keys.secret[i]);
		read_key(dir, selectors[i], "txt", keys.record[i]);
	}
	keys.lib = dkim_init(NULL, NULL);
	must(keys.lib != NULL);
	dkim_set_key_lookup(keys.lib, find_key);
}

void dkim_shut(void)
{
	dkim_close(keys.lib);
}

static DKIM_STAT feed(DKIM *d, struct str message)
{
	DKIM_STAT st = DKIM_STAT_OK;
	bool open = !str_ends(message, S("\r\n"));
	u_char *copy = malloc(message.n + 3); /* the library wants bytes it could write to */

	must(copy != NULL);
	memcpy(copy, message.p, message.n);
	memcpy(copy + message.n, "\r\n", 2); /* canonical bodies end so (RFC 6376 3.4.3); the library insists */
	st = dkim_chunk(d, copy, message.n + (open ? 2 : 0));
	if (st == DKIM_STAT_OK)
		st = dkim_chunk(d, NULL, 0);
	if (st == DKIM_STAT_OK)
		st = dkim_eom(d, NULL);
	free(copy);
	return st;
}

static bool told(DKIM *d, DKIM_STAT st, char why[160])
{
	const char *more = d == NULL ? NULL : dkim_geterror(d);

	snprintf(why, 160, "%s%s%.100s", dkim_getresultstr(st), more != NULL ? ": " : "", more != NULL ? more : "");
	return st == DKIM_STAT_OK;
}

bool dkim_make(struct str message, const struct dkim_way *way, struct buf *out, char why[160])
{
	DKIM_STAT st;
	u_char *header = NULL;
	size_t n = 0;
	DKIM *d = dkim_sign(keys.lib, (const u_char *)"bed", NULL, (dkim_sigkey_t)keys.secret[way->ed25519],
			    (const u_char *)selectors[way->ed25519], (const u_char *)"bed.example",
			    way->relaxed_header ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
			    way->relaxed_body ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
			    way->ed25519 ? DKIM_SIGN_ED25519SHA256 : DKIM_SIGN_RSASHA256, -1, &st);

	if (d == NULL)
		return told(NULL, st, why);
	if (__lsan_disable != NULL)
		__lsan_disable();
	dkim_set_margin(d, 0); /* folding the field itself, the library signs another text than it hands out */
	st = feed(d, message);
	if (st == DKIM_STAT_OK)
		st = dkim_getsighdr_d(d, sizeof "DKIM-Signature: " - 1, &header, &n);
	if (__lsan_enable != NULL)
		__lsan_enable();
	bool ok = told(d, st, why);
	if (ok) {
		buf_add(out, S("DKIM-Signature: "));
		buf_add(out, str_n(header, n));
		buf_add(out, S("\r\n"));
	}
	dkim_free(d);
	return ok;
}

bool dkim_holds(struct str message, char why[160])
{
	DKIM_STAT st;
	DKIM *d = dkim_verify(keys.lib, (const u_char *)"bed", NULL, &st);

	if (d == NULL)
		return told(NULL, st, why);
	st = feed(d, message);
	bool ok = told(d, st, why);
	dkim_free(d);
	return ok;
}
