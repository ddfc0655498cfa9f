/* tests/fuzz/authres_fuzz.c: Authentication-Results of any bytes: whose is said the same behind a comment and in
 * another case, and what we write out of any value is one field with our two results and nothing else. */
#include "tests/fuzz/fuzz.h"
#include "wire/authres.h"

#define OURS "mx.ours.example"

static void check_read(struct str in)
{
	static struct authres r;
	struct authres_result a;
	size_t room = in.n + 8;

	if (!authres_open(&r, in))
		return;
	/* whoever the grammar names, the generous eye sees as well */
	if (r.id.n > 0 && r.id.n < 200 && str_ieq(r.id, S(OURS)))
		must(authres_is_by(in, S(OURS)));
	while (authres_next(&r, &a) == 1) {
		must(a.method.n > 0 && a.result.n > 0 && a.prop_n <= AUTHRES_PROPS_MAX);
		must(r.rest.n < room); /* it goes on */
		room = r.rest.n + 1;
	}
	must(r.rest.n == 0);
}

static void check_whose(struct str in)
{
	struct buf b;
	bool ours = authres_is_by(in, S(OURS));

	buf_init(&b, in.n + 64);
	buf_add(&b, S("\r\n ((c) d) "));
	buf_add(&b, in);
	must(authres_is_by(buf_str(&b), S("MX.OURS.example.")) == ours);
	buf_fini(&b);
}

static void check_written(struct str in)
{
	static struct authres r;
	struct authres_result a;
	struct authres_writer w;
	struct buf b;

	buf_init(&b, 8192);
	authres_begin(&w, &b, S(OURS), in.n % 2 == 0);
	authres_result(&w, S("spf"), S("fail"));
	authres_reason(&w, in);
	authres_prop(&w, S("smtp"), S("mailfrom"), in);
	authres_result(&w, S("dmarc"), S("fail"));
	authres_end(&w);
	struct str value = str_skip(buf_str(&b), sizeof "Authentication-Results:" - 1);
	must(authres_is_by(value, S(OURS)) && authres_open(&r, value) && str_eq(r.id, S(OURS)));
	must(authres_next(&r, &a) == 1 && str_eq(a.method, S("spf")) && str_eq(a.result, S("fail")) && a.prop_n == 1);
	must(authres_next(&r, &a) == 1 && str_eq(a.method, S("dmarc")) && a.prop_n == 0);
	must(authres_next(&r, &a) == 0);
	/* line ends are folds, but for the last; and a reader that knows no quotes finds two semicolons */
	size_t semicolons = 0;
	for (size_t i = 0; i < b.n; i++) {
		semicolons += b.p[i] == ';';
		must(b.p[i] != '\r' || b.p[i + 1] == '\n');
		must(b.p[i] != '\n' || i + 1 == b.n || b.p[i + 1] == '\t');
		must(!chr_is_ctl(b.p[i]) || str_chr(S("\r\n\t"), b.p[i]) >= 0);
	}
	must(semicolons == 2);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);

	check_read(in);
	check_whose(in);
	check_written(in);
	return 0;
}
