/* Tests of the watch: the first look is at once, a kick makes another, renewed lists are taken, broken ones are not. */
#include "smtpd/tls_watch.h"

#include "base/must.h"
#include "base/op.h"
#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct bench {
	struct loop *loop;
	struct loop_timer poll;
	struct setup *setup;
	struct tls_watch *watch;
	size_t want, asked; /* lists to wait for; looks begun */
	size_t reloads;
	int left;
} bench;

static int make(void **state)
{
	if (certs_make(state) != 0)
		return -1;
	return spawn_wait((char *[]){ "sh", "tests/store.sh", certs, NULL });
}

static struct setup *current(void *arg)
{
	struct bench *b = arg;

	__atomic_add_fetch(&b->asked, 1, __ATOMIC_RELAXED);
	return setup_ref(b->setup);
}

static size_t lists(void)
{
	struct tls_crls crls;

	tls_ctx_crls(bench.setup->server_tls[0], &crls);
	return crls.n;
}

static void on_poll(struct loop_timer *t)
{
	if (lists() == bench.want || --bench.left <= 0)
		loop_stop(bench.loop);
	else
		loop_timer_set(t, 2);
}

static bool comes_to(size_t n)
{
	bench.want = n;
	bench.left = 1000;
	loop_timer_set(&bench.poll, 0);
	loop_run(bench.loop);
	return lists() == n;
}

/* Five turns of the poll. */
static void comes_to_nothing(void)
{
	bench.left = 5;
	loop_timer_set(&bench.poll, 0);
	loop_run(bench.loop);
}

static void copy(const char *from, const char *to)
{
	assert_int_equal(
		spawn_wait((char *[]){ "cp", (char *)(uintptr_t)cert(from).p, (char *)(uintptr_t)cert(to).p, NULL }),
		0);
}

static void test_watch(void **state)
{
	struct buf conf, problems;
	struct err e = { 0 };
	(void)state;

	buf_init(&conf, 4096);
	buf_init(&problems, 4096);
	assert_int_equal(mkdir(cert("crls").p, 0700), 0);
	buf_addf(&conf,
		 "hostname = mail.contoso.com\nsend out { space = '*' }\nreceive in { listen = '127.0.0.1:2525' }\n"
		 "tls { ca = %s/ca.pem certificate = %s/server.pem crl_dir = %s/crls }\n",
		 certs, certs, certs);
	struct config *c = config_parse(buf_str(&conf), "conf", &problems);
	assert_non_null(c);
	bench.setup = setup_make(c, "conf", SETUP_START, &problems);
	config_unref(&c);
	bench.loop = loop_new(NULL);
	assert_true(bench.setup != NULL && bench.loop != NULL);
	loop_timer_init(bench.loop, &bench.poll, on_poll);

	copy("crl.pem", "crls/a.crl"); /* after the setup, before the first look */
	const struct tls_watch_options o = { .loop = bench.loop, .setup = current, .arg = &bench };
	bench.watch = tls_watch_start(&o, &e);
	assert_non_null(bench.watch);
	assert_int_equal(lists() <= 1, 1);
	assert_true(comes_to(1));

	copy("server.key", "crls/b.crl"); /* no list: what was in use stays */
	tls_watch_kick(bench.watch);
	tls_watch_kick(bench.watch);
	size_t asked = bench.asked;
	bench.left = 500;
	while (__atomic_load_n(&bench.asked, __ATOMIC_RELAXED) == asked && bench.left > 0)
		comes_to(1);
	assert_int_equal(lists(), 1);

	copy("crl.der", "crls/b.crl");
	tls_watch_kick(bench.watch);
	assert_true(comes_to(2));

	tls_watch_kick(bench.watch); /* stopped with a kick on its way */
	tls_watch_stop(&bench.watch);
	assert_null(bench.watch);
	loop_timer_stop(&bench.poll);
	setup_unref(&bench.setup);
	loop_free(&bench.loop);
	buf_fini(&conf);
	buf_fini(&problems);
}

static int reload(void *arg, struct buf *problems)
{
	struct bench *b = arg;

	buf_add(problems, S("x.pem is broken"));
	__atomic_add_fetch(&b->reloads, 1, __ATOMIC_RELAXED);
	return -1;
}

/* The certificate in use is not the best any more: a reload, which fails here and is not repeated at once. */
static void test_outdated(void **state)
{
	struct buf conf, problems;
	struct err e = { 0 };
	(void)state;

	buf_init(&conf, 4096);
	buf_init(&problems, 4096);
	buf_addf(&conf,
		 "hostname = mail.contoso.com\nsend out { space = '*' }\nreceive in { listen = '127.0.0.1:2525' }\n"
		 "tls { ca = %s/ca.pem store = %s/ages overlap = 14d }\n",
		 certs, certs);
	struct config *c = config_parse(buf_str(&conf), "conf", &problems);
	assert_non_null(c);
	bench = (struct bench){ .loop = loop_new(NULL), .setup = setup_make(c, "conf", SETUP_START, &problems) };
	config_unref(&c);
	assert_true(bench.setup != NULL && bench.loop != NULL);
	bench.setup->uses[0].wish.overlap_ms = 0; /* as if the 14 days had passed */
	loop_timer_init(bench.loop, &bench.poll, on_poll);
	const struct tls_watch_options o = { .loop = bench.loop, .setup = current, .reload = reload, .arg = &bench };
	bench.watch = tls_watch_start(&o, &e);
	assert_non_null(bench.watch);
	for (int looks = 1; looks <= 3; looks++) {
		bench.left = 1000;
		bench.want = 99; /* never: only time passes */
		while (__atomic_load_n(&bench.asked, __ATOMIC_RELAXED) < (size_t)looks && bench.left > 0) {
			bench.left = bench.left > 5 ? bench.left - 5 : 0;
			int left = bench.left;
			comes_to_nothing();
			bench.left = left;
		}
		tls_watch_kick(bench.watch);
	}
	tls_watch_stop(&bench.watch);
	assert_int_equal(bench.reloads, 1);
	loop_timer_stop(&bench.poll);
	setup_unref(&bench.setup);
	loop_free(&bench.loop);
	buf_fini(&conf);
	buf_fini(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_watch), cmocka_unit_test(test_outdated) };

	log_open("/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests_name("smtpd/tls_watch", tests, make, certs_remove);
}
