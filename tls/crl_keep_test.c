/* Tests of the keeper of revocation lists: plan, judgement of what comes, files, restart, distribution points. */
#include "tls/crl_keep.h"

#include "base/time.h"
#include "tests/kit/web.h"
#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct web *web;
static char folder[100];
static const int64_t minute_ms = 60000, hour_ms = 3600000, day_ms = 86400000;

static int make(void **state)
{
	char port[20];

	if (certs_make(state) != 0)
		return -1;
	web = web_open(certs);
	snprintf(port, sizeof port, "%u", web_port(web));
	if (spawn_wait((char *[]){ "sh", "tests/crl.sh", certs, port, NULL }) != 0)
		return -1;
	return 0;
}

static int unmake(void **state)
{
	web_close(&web);
	return certs_remove(state);
}

/* ---- the plan ---- */

static void test_plan(void **state)
{
	const int64_t t = 1000 * day_ms;
	struct crl_source s = { 0 };
	(void)state;

	assert_int_equal(crl_next_fetch(&s, t), t); /* never had one: at once */
	s.has_list = true;
	s.list = (struct crl_facts){ .this_update_ms = t, .next_update_ms = t + 12 * hour_ms };
	assert_int_equal(crl_next_fetch(&s, t), t + 6 * hour_ms);                /* half of its time */
	assert_int_equal(crl_next_fetch(&s, t + hour_ms), t + 6 * hour_ms);      /* whenever it was fetched */
	assert_int_equal(crl_next_fetch(&s, t + 8 * hour_ms), t + 10 * hour_ms); /* then half of the rest */
	assert_int_equal(crl_next_fetch(&s, t + 12 * hour_ms), t + 12 * hour_ms + minute_ms);
	s.list.next_update_ms = t + 90 * day_ms;
	assert_int_equal(crl_next_fetch(&s, t), t + day_ms); /* daily at least */
	s.list.next_update_ms = 0;
	assert_int_equal(crl_next_fetch(&s, t), t + day_ms);
	static const int minutes[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	for (unsigned i = 0; i < 8; i++) {
		s.failures = i + 1;
		assert_int_equal(crl_next_fetch(&s, t), t + minutes[i] * minute_ms);
	}
	s.failures = 4000000000u;
	assert_int_equal(crl_next_fetch(&s, t), t + hour_ms);

	s = (struct crl_source){ .has_list = true, .list = { .next_update_ms = t } };
	assert_false(crl_is_forgotten(&s, t + 30 * day_ms));
	assert_true(crl_is_forgotten(&s, t + 30 * day_ms + 1));
	s.configured = true;
	assert_false(crl_is_forgotten(&s, t + 90 * day_ms));
}

/* ---- rounds ---- */

static struct tls_ctx *client_ctx(const char *own)
{
	const struct conf_tls tls = { .min = S("1.2"),
				      .crl = CRL_HARD,
				      .ca = cert("ca.pem"),
				      .crl_fetch = { .n = 1 },
				      .crl_cache = str_c(folder) };
	const struct tls_client_options o = { .tls = &tls, .certificate = cert(own) };
	struct err e = { 0 };
	struct tls_ctx *c = tls_client_new(&o, &e);

	if (c == NULL)
		fail_msg("%s", e.text);
	return c;
}

static struct crl_keep *open_keep(void)
{
	struct err e = { 0 };
	struct crl_keep *k = crl_keep_open(str_c(folder), clock_wall_ms(), &e);

	if (k == NULL)
		fail_msg("%s", e.text);
	return k;
}

static void fresh_folder(const char *name)
{
	snprintf(folder, sizeof folder, "%s/%s", certs, name);
}

static const char *url_of(const char *path)
{
	static char url[100];

	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", web_port(web), path);
	return url;
}

static bool round_at(struct crl_keep *k, int64_t now_ms, bool points)
{
	const struct crl_round r = { .now_ms = now_ms, .deadline_ms = 2000, .max_bytes = 1 << 20, .points = points };

	return crl_keep_round(k, &r);
}

/* One source with one answer: what does the keeper say, and how many lists are there then? */
static void test_judgement(void **state)
{
	static const struct {
		const char *answers, *says;
	} rows[] = {
		{ "early-crl.pem", "" },
		{ "late-crl.pem", "" },
		{ "early-crl.pem", "older than the one we have" }, /* somebody plays an old one */
		{ "other-crl.pem", "no authority we know has signed the list of CN=Another Demo CA" },
		{ "over-crl.pem", "was over when it came" },
		{ "delta-crl.pem", "delta" },
		{ "ca.pem", "no revocation list" },
		{ "empty", "the server answered 500" },
		{ "404", "the server answered 404" },
		{ "endless", "larger than" },
		{ "late-crl.pem", "" },
	};
	int64_t now_ms = clock_wall_ms();
	struct crl_source row;
	struct tls_ctx *c;
	(void)state;

	fresh_folder("judgement");
	c = client_ctx(NULL);
	struct crl_keep *k = open_keep();
	crl_keep_learn(k, c, false);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool news = i < 2;
		web_set(web, S("/a.crl"), str_c(rows[i].answers));
		crl_keep_want(k, str_c(url_of("/a.crl")), true);
		now_ms += 2 * day_ms; /* due whatever happened before */
		if (i == 2)
			now_ms -= 6 * day_ms; /* the list must not be over */
		if (round_at(k, now_ms, false) != news && i != 2)
			fail_msg("%zu: news", i);
		assert_int_equal(crl_keep_copy(k, &row, 1), 1);
		if (i == 2) { /* not due then: nothing was asked */
			now_ms += 5 * day_ms;
			crl_keep_want(k, str_c(url_of("/a.crl")), true);
			round_at(k, now_ms, false);
			crl_keep_copy(k, &row, 1);
		}
		if (str_find(str_c(row.error), str_c(rows[i].says)) < 0 ||
		    (rows[i].says[0] == '\0') != (row.failures == 0))
			fail_msg("%zu: %s: %u: %s", i, rows[i].answers, row.failures, row.error);
		assert_true(row.has_list && row.configured);
	}
	assert_string_equal(row.list.issuer, "CN=Tombolo Demo CA,O=Tombolo Demo");

	struct tls_crls crls; /* and the contexts have it: one list, the good one */
	assert_int_equal(tls_ctx_refresh(c, NULL), 1);
	tls_ctx_crls(c, &crls);
	assert_int_equal(crls.n, 1);
	assert_string_equal(crls.problem, "");
	tls_ctx_unref(&c);
	crl_keep_free(&k);
}

static void test_restart(void **state)
{
	struct crl_source row;
	struct tls_ctx *c;
	int64_t now_ms = clock_wall_ms();
	char junk[200];
	(void)state;

	fresh_folder("restart");
	web_set(web, S("/r.crl"), S("late-crl.pem early-crl.pem"));
	c = client_ctx(NULL);
	struct crl_keep *k = open_keep();
	crl_keep_learn(k, c, false);
	tls_ctx_unref(&c);
	crl_keep_want(k, str_c(url_of("/r.crl")), true);
	assert_true(round_at(k, now_ms, false));
	crl_keep_free(&k);

	/* what cannot be read is thrown away; the good one is not fetched again, and nobody had to tell its signer */
	snprintf(junk, sizeof junk, "%s/0123456789abcdef.crl", folder);
	assert_int_equal(spawn_wait((char *[]){ "cp", (char *)(uintptr_t)cert("ca.pem").p, junk, NULL }), 0);
	k = open_keep();
	assert_int_equal(access(junk, F_OK), -1);
	assert_int_equal(crl_keep_copy(k, &row, 1), 1);
	assert_string_equal(row.url, url_of("/r.crl"));
	assert_true(row.has_list && row.next_ms > now_ms && row.fetched_ms > 0);
	crl_keep_want(k, str_c(row.url), true);
	assert_false(round_at(k, now_ms, false));
	assert_int_equal(web_count(web, S("/r.crl")), 1);
	crl_keep_want(k, str_c(row.url), true);
	round_at(k, now_ms + 2 * day_ms, false);
	crl_keep_copy(k, &row, 1);
	assert_true(str_find(str_c(row.error), S("older")) >= 0); /* the signer is known, so the dates were judged */

	assert_true(round_at(k, now_ms + 2 * day_ms, false)); /* nobody wants it any more */
	assert_int_equal(crl_keep_copy(k, &row, 1), 0);
	crl_keep_free(&k);
	k = open_keep();
	assert_int_equal(crl_keep_copy(k, &row, 1), 0);
	crl_keep_free(&k);
}

/* ---- distribution points ---- */

static void step_note(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED && from == &p->client)
		tls_note_chain(&from->s);
	step_hello(p, from, e);
}

static const char *meet(struct tls_ctx *c, const char *shown)
{
	static char verdict[200];
	const struct conf_tls tls = { .min = S("1.2"), .ca = cert("ca.pem") };
	struct tls_ctx *server =
		tls_server_new(&(struct tls_server_options){ .tls = &tls, .certificate = cert(shown) }, NULL);
	struct pair p;

	assert_non_null(server);
	pair_open(&p, 0);
	p.step = step_note;
	p.client.ctx = c;
	p.server.ctx = server;
	pair_secure(&p);
	pair_run(&p);
	assert_true(end_saw(&p.client, STREAM_SECURED));
	snprintf(verdict, sizeof verdict, STR_FMT, STR_ARG(tls_peer(&p.client.s)->chain_error));
	pair_close(&p);
	tls_ctx_unref(&server);
	return verdict;
}

/* A peer with the list of an authority that is not ours, in hard mode: it is fetched, because all else was good; and
 * with it and the root's, the peer passes. */
static void test_points(void **state)
{
	struct crl_source rows[4];
	int64_t now_ms = clock_wall_ms();
	struct tls_ctx *c;
	(void)state;

	fresh_folder("points");
	web_set(web, S("/point.crl"), S("mid-crl.der"));
	web_set(web, S("/top.crl"), S("late-crl.pem"));
	c = client_ctx(NULL);
	struct crl_keep *k = open_keep();
	crl_keep_want(k, str_c(url_of("/top.crl")), true);
	crl_keep_learn(k, c, true);
	assert_true(round_at(k, now_ms, true));
	assert_int_equal(crl_keep_copy(k, rows, 4), 1); /* nothing else is known yet */
	assert_int_equal(tls_ctx_refresh(c, NULL), 1);

	assert_string_equal(meet(c, "stranger.pem"), "unable to get local issuer certificate");
	assert_string_equal(meet(c, "point.pem"), "unable to get certificate CRL");
	crl_keep_want(k, str_c(url_of("/top.crl")), true);
	crl_keep_learn(k, c, true);
	assert_true(round_at(k, now_ms, true));
	assert_int_equal(crl_keep_copy(k, rows, 4), 2); /* no ldap:, no file: */
	assert_string_equal(rows[1].url, url_of("/point.crl"));
	assert_string_equal(rows[1].error, "");
	assert_true(rows[1].has_list && !rows[1].configured);
	assert_int_equal(tls_ctx_refresh(c, NULL), 1);
	assert_string_equal(meet(c, "point.pem"), "");
	tls_ctx_unref(&c);

	/* a restart keeps what a certificate named; without `auto` it goes */
	crl_keep_free(&k);
	k = open_keep();
	crl_keep_want(k, str_c(url_of("/top.crl")), true);
	round_at(k, now_ms, true);
	assert_int_equal(crl_keep_copy(k, rows, 4), 2);
	crl_keep_want(k, str_c(url_of("/top.crl")), true);
	assert_true(round_at(k, now_ms, false));
	assert_int_equal(crl_keep_copy(k, rows, 4), 1);
	crl_keep_free(&k);

	/* our own certificate names its list as well */
	fresh_folder("own");
	c = client_ctx("point.pem");
	k = open_keep();
	crl_keep_learn(k, c, true);
	assert_true(round_at(k, now_ms, true));
	assert_int_equal(crl_keep_copy(k, rows, 4), 1);
	assert_string_equal(rows[0].error, "");
	crl_keep_free(&k);
	tls_ctx_unref(&c);
}

/* An unverified certificate names a place: nobody goes there. */
static void test_unverified(void **state)
{
	const struct conf_tls tls = { .min = S("1.2"), .crl = CRL_SOFT, .ca = cert("other-ca.pem") };
	struct tls_ctx *c = tls_client_new(&(struct tls_client_options){ .tls = &tls }, NULL);
	struct crl_source row;
	(void)state;

	assert_non_null(c);
	fresh_folder("unverified");
	struct crl_keep *k = open_keep();
	size_t before = web_count(web, STR_NONE);
	meet(c, "point.pem");
	crl_keep_learn(k, c, true);
	assert_false(round_at(k, clock_wall_ms(), true));
	assert_int_equal(crl_keep_copy(k, &row, 1), 0);
	assert_int_equal(web_count(web, STR_NONE), before);
	crl_keep_free(&k);
	tls_ctx_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),   cmocka_unit_test(test_judgement),  cmocka_unit_test(test_restart),
		cmocka_unit_test(test_points), cmocka_unit_test(test_unverified),
	};

	log_open("/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests_name("tls/crl_keep", tests, make, unmake);
}
