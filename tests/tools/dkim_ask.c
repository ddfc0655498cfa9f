/* tests/tools/dkim_ask.c: a worker's DKIM on the command line, for comparisons with other programs.
 *
 *   dkim_ask sign CONFIG DOMAIN < message     prints the message with its signatures in front (keys: sign sections)
 *   dkim_ask verify ZONE < message            prints `RESULT DOMAIN SELECTOR ALGORITHM WHY`, a line a signature
 *
 * ZONE: lines `TXT NAME VALUE` and `FAIL NAME`, as in tests/kit/zone.h. */
#include "auth/dkim_lib.h"
#include "auth/keys.h"
#include "tests/kit/zone.h"
#include "wire/header.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

static char message[64 << 20], zone_text[1 << 20];

static size_t body_at(struct str all)
{
	struct header_scan scan;

	header_scan_init(&scan, AUTH_HEADER_MAX, 10000, STR_NONE);
	header_scan_add(&scan, all);
	header_scan_finish(&scan);
	must(!scan.too_big);
	size_t at = (size_t)scan.end;
	header_scan_fini(&scan);
	return at;
}

static int sign(const char *config, const char *domain, struct str all)
{
	static struct keys keys;
	struct buf problems, fields;
	char why[AUTH_TEXT];
	size_t at = 0, body = body_at(all);
	const struct sign_key *key;

	buf_init(&problems, 65536);
	buf_init(&fields, 1 << 20);
	struct config *c = config_load(config, &problems);
	if (c != NULL)
		keys_read(&keys, c, &problems);
	fputs(buf_cstr(&problems), stderr);
	while ((key = keys_next(&keys, str_c(domain), &at)) != NULL) {
		struct signing *s = signing_new(key, str_head(all, body), why);
		if (s == NULL)
			return 1;
		signing_body(s, str_skip(all, body));
		if (!signing_end(s, &fields, why))
			return 1;
		signing_free(&s);
	}
	fwrite(fields.p, 1, fields.n, stdout);
	fwrite(all.p, 1, all.n, stdout);
	config_unref(&c);
	keys_fini(&keys);
	buf_fini(&problems);
	buf_fini(&fields);
	return 0;
}

static int verify(const char *path, struct str all)
{
	static struct auth_sig sigs[AUTH_SIGS_MAX];
	static struct needs needs;
	size_t body = body_at(all), n;
	FILE *f = fopen(path, "re");
	struct zone z;

	must(f != NULL);
	zone_init(&z, str_n(zone_text, fread(zone_text, 1, sizeof zone_text, f)));
	fclose(f);
	struct verify *v = verify_new(str_head(all, body), 10, &needs);
	for (size_t at = body; at < all.n; at += 1000) /* in pieces */
		verify_body(v, str_head(str_skip(all, at), 1000));
	zone_answer(&z, &needs);
	n = verify_end(v, z.answers, sigs);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %s %s %s\n", auth_result_name(sigs[i].result), sigs[i].domain, sigs[i].selector,
		       sigs[i].algorithm, sigs[i].why);
	verify_free(&v);
	zone_fini(&z);
	return 0;
}

int main(int argc, char **argv)
{
	struct str all = str_n(message, fread(message, 1, sizeof message, stdin));

	dkim_lib_open();
	if (argc == 4 && strcmp(argv[1], "sign") == 0)
		return sign(argv[2], argv[3], all);
	return argc == 3 && strcmp(argv[1], "verify") == 0 ? verify(argv[2], all) : 2;
}
