/* Tests of fetching over HTTP: every way a server can be no use ends in time, with the reason. */
#include "tls/fetch.h"

#include "base/time.h"
#include "tests/kit/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct web *web;

static int get(const char *path, size_t max, int64_t deadline_ms, struct buf *out, struct err *e)
{
	char url[300];

	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", web_port(web), path);
	const struct fetch_order o = { .url = strstr(path, "://") != NULL ? path : url, .deadline_ms = deadline_ms };
	*e = (struct err){ 0 };
	buf_init(out, max);
	return fetch_url(&o, out, e);
}

static void test_good(void **state)
{
	struct buf out;
	struct err e;
	char url[100];
	(void)state;

	web_set(web, S("/makefile"), S("Makefile"));
	assert_int_equal(get("/makefile", 1 << 20, 5000, &out, &e), 0);
	assert_true(str_starts(buf_str(&out), S("# Tombolo")));
	buf_fini(&out);

	snprintf(url, sizeof url, ">http://127.0.0.1:%u/makefile", web_port(web));
	web_set(web, S("/moved"), str_c(url));
	assert_int_equal(get("/moved", 1 << 20, 5000, &out, &e), 0);
	assert_true(str_starts(buf_str(&out), S("# Tombolo")));
	buf_fini(&out);
}

static void test_bad(void **state)
{
	static const struct {
		const char *path, *answers;
		enum err_code code;
		const char *says;
	} rows[] = {
		{ "/nowhere", NULL, ERR_NET, "the server answered 404" },
		{ "/busy", "503", ERR_NET, "the server answered 503" },
		{ "/slow", "slow", ERR_NET, "timed out" },
		{ "/drip", "drip", ERR_NET, "timed out" },
		{ "/cut", "cut", ERR_NET, "transfer closed" },
		{ "/endless", "endless", ERR_TOO_BIG, "larger than 4096 bytes" },
		{ "/big", "Makefile", ERR_TOO_BIG, "larger than 4096 bytes" },
		{ "/file", ">file:///etc/passwd", ERR_NET, "not supported" },
		{ "/ftp", ">ftp://127.0.0.1/x", ERR_NET, "not supported" },
		{ "/gopher", ">gopher://127.0.0.1/x", ERR_NET, "not supported" },
		{ "/round", ">/round", ERR_NET, "redirects" },
		{ "file:///etc/passwd", NULL, ERR_NET, "not supported" },
		{ "http://127.0.0.1:1/", NULL, ERR_NET, "connect" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t begin_ms = clock_mono_ms();
		struct buf out;
		struct err e;

		if (rows[i].answers != NULL)
			web_set(web, str_c(rows[i].path), str_c(rows[i].answers));
		assert_int_equal(get(rows[i].path, 4096, 700, &out, &e), -1);
		if (e.code != rows[i].code || str_find(str_c(e.text), str_c(rows[i].says)) < 0)
			fail_msg("%s: %d %s", rows[i].path, e.code, e.text);
		assert_true(clock_mono_ms() - begin_ms < 3000);
		buf_fini(&out);
	}
}

static void test_stop(void **state)
{
	atomic_bool stop = true;
	int64_t begin_ms = clock_mono_ms();
	struct buf out;
	char url[100];
	(void)state;

	web_set(web, S("/wait"), S("slow"));
	snprintf(url, sizeof url, "http://127.0.0.1:%u/wait", web_port(web));
	buf_init(&out, 4096);
	assert_int_equal(
		fetch_url(&(struct fetch_order){ .url = url, .deadline_ms = 60000, .stop = &stop }, &out, NULL), -1);
	assert_true(clock_mono_ms() - begin_ms < 5000);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
					    cmocka_unit_test(test_stop) };

	web = web_open(".");
	int failed = cmocka_run_group_tests_name("tls/curl_fetch", tests, NULL, NULL);
	web_close(&web);
	return failed;
}
