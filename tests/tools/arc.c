/* tests/tools/arc.c: ARC chains by hand, for comparing with other programs.
 *
 *   arc seal LINKS rsa|ed25519 RECORD C < message      puts links 1..LINKS in front (c=C), the key's record into the
 * file arc verify KEYS < message                     says what auth/arc says; KEYS: lines of "name text" */
#include "auth/arc.h"
#include "base/must.h"
#include "tests/kit/openssl_sealer.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_MAX = 16 << 20 };

static void read_all(FILE *f, struct buf *out)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, str_n(chunk, n));
}

static int seal(unsigned links, const char *kind, const char *record, const char *c, struct buf *m)
{
	struct sealer_key *k = sealer_key_new(strcmp(kind, "rsa") == 0 ? 2048 : 0);
	FILE *f = fopen(record, "w");
	struct buf text;

	must(f != NULL);
	buf_init(&text, 4096);
	sealer_key_record(k, false, &text);
	fprintf(f, "v=DKIM1; k=%s; p=" STR_FMT "\n", kind, STR_ARG(buf_str(&text)));
	fclose(f);
	for (unsigned i = 1; i <= links; i++)
		sealer_put(k, &(struct sealer){ .instance = i, .c = c }, m);
	fwrite(m->p, 1, m->n, stdout);
	buf_fini(&text);
	sealer_key_free(&k);
	return 0;
}

static void answer(struct arc *a, struct str keys, struct str name)
{
	struct str line, own, text;

	while (str_cut(keys, '\n', &line, &keys) || line.n > 0)
		if (str_cut(line, ' ', &own, &text) && str_ieq(own, name)) {
			arc_answer(a, TXT_DATA, &text, 1);
			return;
		}
	arc_answer(a, TXT_NXDOMAIN, NULL, 0);
}

static int verify(struct str keys, struct str m)
{
	struct header_scan h;
	struct arc a;
	struct str name;

	header_scan_init(&h, MESSAGE_MAX, 10000, STR_NONE);
	header_scan_add(&h, m);
	header_scan_finish(&h);
	arc_begin(&a, str_head(m, h.end), (uint64_t)time(NULL));
	arc_body(&a, str_skip(m, h.end));
	arc_end(&a);
	while ((name = arc_next(&a)).n > 0)
		answer(&a, keys, name);
	printf("%s %s\n", arc_verdict_name(arc_result(&a)->verdict), arc_result(&a)->why);
	arc_fini(&a);
	header_scan_fini(&h);
	return 0;
}

int main(int argc, char **argv)
{
	struct buf m, keys;

	buf_init(&m, MESSAGE_MAX);
	buf_init(&keys, MESSAGE_MAX);
	read_all(stdin, &m);
	if (argc == 6 && strcmp(argv[1], "seal") == 0)
		return seal((unsigned)(argv[2][0] - '0'), argv[3], argv[4], argv[5], &m);
	FILE *f = argc == 3 && strcmp(argv[1], "verify") == 0 ? fopen(argv[2], "r") : NULL;
	if (f == NULL) {
		fprintf(stderr, "usage: arc seal LINKS rsa|ed25519 RECORD C | arc verify KEYS\n");
		return 2;
	}
	read_all(f, &keys);
	fclose(f);
	return verify(buf_str(&keys), buf_str(&m));
}
