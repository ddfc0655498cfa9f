/* smtpd/cli_print_test.c: lines of the protocol in, what an administrator sees out. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/cli_print.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NOW_MS = 1000000000 };

struct print_case {
	const char *noun, *name;
	enum print_view view;
	const char *lines, *out;
	int exit;
	const char *error;
};

static const struct print_case cases[] = {
	{ "queue", "list", PRINT_TABLE,
	  "{\"row\":{\"id\":\"3KQ8ZC1T7XW4A\",\"state\":\"deferred\",\"arrived_ms\":992800000,\"size\":10240,"
	  "\"attempts\":2,\"due_ms\":1000300000,\"from\":\"\",\"rcpt\":\"u@example.net\",\"last\":\"451 later\"}}\n"
	  "{\"row\":{\"id\":\"3KQ8ZC1T7XW4B\",\"state\":\"active\",\"arrived_ms\":999999000,\"size\":12,"
	  "\"attempts\":0,\"due_ms\":1000000000,\"from\":\"a@x.example\",\"rcpt\":\"v@example.net\",\"last\":\"\"}}\n"
	  "{\"exit\":0}\n",
	  "ID             STATE       AGE  SIZE  TRIES  NEXT  FROM         TO\n"
	  "3KQ8ZC1T7XW4A  deferred  2h00m   10K      2    5m  <>           u@example.net\n"
	  "    451 later\n"
	  "3KQ8ZC1T7XW4B  active       1s    12      0   now  a@x.example  v@example.net\n",
	  0, "" },
	{ "queue", "list", PRINT_JSON, "{\"row\":{\"id\":\"A\"}}\n{\"text\":\"More\"}\n{\"exit\":0}\n",
	  "{\"id\":\"A\"}\n{\"text\":\"More\"}\n", 0, "" },
	{ "queue", "list", PRINT_TABLE, "{\"exit\":1,\"error\":\"nothing\"}\n", "", 1, "nothing" },
	{ "queue", "list", PRINT_POSTFIX, "{\"exit\":1,\"error\":\"nothing\"}\n", "Mail queue is empty\n", 0, "" },
	{ "queue", "list", PRINT_POSTFIX,
	  "{\"row\":{\"id\":\"3KQ8ZC1T7XW4A\",\"state\":\"held\",\"arrived_ms\":1000000,\"size\":1025,"
	  "\"from\":\"\",\"rcpt\":\"u@example.net\",\"last\":\"451 later\"}}\n"
	  "{\"row\":{\"id\":\"3KQ8ZC1T7XW4A\",\"state\":\"active\",\"arrived_ms\":1000000,\"size\":1025,"
	  "\"from\":\"\",\"rcpt\":\"v@example.net\",\"last\":\"\"}}\n"
	  "{\"row\":{\"id\":\"3KQ8ZC1T7XW4B\",\"state\":\"held\",\"arrived_ms\":1000000,\"size\":1,"
	  "\"from\":\"a@x.example\",\"rcpt\":\"w@example.net\",\"last\":\"\"}}\n"
	  "{\"exit\":0}\n",
	  "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
	  "3KQ8ZC1T7XW4A*        1025 Thu Jan  1 00:16:40 MAILER-DAEMON\n"
	  "                                                                   (451 later)\n"
	  "                                               u@example.net\n"
	  "                                               v@example.net\n"
	  "\n"
	  "3KQ8ZC1T7XW4B!           1 Thu Jan  1 00:16:40 a@x.example\n"
	  "                                               w@example.net\n"
	  "\n"
	  "-- 2 Kbytes in 2 Requests.\n",
	  0, "" },
	{ "queue", "remove", PRINT_TABLE,
	  "{\"row\":{\"action\":\"would be removed\",\"messages\":1,\"recipients\":3}}\n{\"exit\":0}\n",
	  "3 recipients of 1 message would be removed.\n", 0, "" },
	{ "config", "diff", PRINT_TABLE,
	  "{\"row\":{\"sign\":\"-\",\"section\":\"mode\",\"line\":\"mx = onprem\"}}\n{\"exit\":0}\n",
	  "- mode: mx = onprem\n", 0, "" },
	{ "mode", "show", PRINT_TABLE,
	  "{\"row\":{\"mode\":\"M1\",\"cmt\":false,\"grace_ms\":259200000,\"list\":[\"a\",\"b\"],"
	  "\"part\":{\"bytes\":2048,\"text\":\"\"}}}\n{\"exit\":0}\n",
	  "mode                  M1\n"
	  "cmt                   off\n"
	  "grace                 3d00h\n"
	  "list                  a, b\n"
	  "part\n"
	  "  bytes               2.0K\n"
	  "  text                -\n",
	  0, "" },
	{ "route", "explain", PRINT_TABLE,
	  "{\"row\":{\"step\":\"rule\",\"name\":\"R30\",\"hit\":false,\"says\":\"on this side\"}}\n"
	  "{\"row\":{\"step\":\"rule\",\"name\":\"R40\",\"hit\":true,\"says\":\"on the other side, and a reason that is "
	  "so long that it does not fit on one line of a terminal\"}}\n"
	  "{\"row\":{\"step\":\"result\",\"rule\":\"R40\"}}\n{\"exit\":0}\n",
	  "STEP     WHAT  WHY\n"
	  "rule     R30   on this side\n"
	  "      *  R40   on the other side, and a reason that is so long that it does not fit on one line of a\n"
	  "               terminal\n",
	  0, "" },
	{ "recipients", "export", PRINT_TABLE, "{\"data\":\"a,b\\nc,d\\n\"}\n{\"exit\":0}\n", "a,b\nc,d\n", 0, "" },
	{ "config", "show", PRINT_TABLE,
	  "{\"text\":\"mode {\"}\n{\"text\":\"\\tmx = onprem\\u001b[2J\"}\n{\"exit\":0}\n",
	  "mode {\n\tmx = onprem\\x1b[2J\n", 0, "" },
};

static void test_print(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct print_case *k = &cases[i];
		const struct verb v = { .noun = k->noun, .name = k->name };
		char *got = NULL;
		size_t n = 0;
		FILE *out = open_memstream(&got, &n);
		struct printer p;
		struct str rest = str_c(k->lines), line;

		printer_init(&p, &v, k->view, out, NOW_MS);
		while (rest.n > 0) {
			str_cut(rest, '\n', &line, &rest);
			assert_true(printer_line(&p, line));
		}
		assert_true(p.ended);
		assert_int_equal(p.exit, k->exit);
		assert_string_equal(p.error, k->error);
		printer_fini(&p);
		fclose(out);
		assert_string_equal(got, k->out);
		free(got);
	}
}

static void test_not_the_protocol(void **state)
{
	static const char *const lines[] = {
		"", "x", "[]", "{}", "{\"row\":1}", "{\"exit\":\"0\"}", "220 mail ESMTP", "\xff"
	};
	const struct verb v = { .noun = "queue", .name = "list" };
	struct printer p;

	(void)state;
	printer_init(&p, &v, PRINT_TABLE, stderr, NOW_MS);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_false(printer_line(&p, str_c(lines[i])));
	assert_false(p.ended);
	printer_fini(&p);
}

/* More rows than are held for the widths: nothing is lost. */
static void test_many_rows(void **state)
{
	const struct verb v = { .noun = "queue", .name = "summary" };
	char *got = NULL, line[200];
	size_t n = 0, lines = 0;
	FILE *out = open_memstream(&got, &n);
	struct printer p;

	(void)state;
	printer_init(&p, &v, PRINT_TABLE, out, NOW_MS);
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof line, "{\"row\":{\"name\":\"d%d.example\",\"recipients\":%d}}", i, i);
		assert_true(printer_line(&p, str_c(line)));
	}
	assert_true(printer_line(&p, S("{\"exit\":0}")));
	printer_fini(&p);
	fclose(out);
	for (size_t i = 0; i < n; i++)
		lines += got[i] == '\n';
	assert_int_equal(lines, 1001);
	free(got);
}

static void test_words(void **state)
{
	static const struct {
		int64_t ms;
		const char *age;
	} ages[] = { { -5, "0s" },         { 59999, "59s" },       { 60000, "1m" },       { 3599999, "59m" },
		     { 3600000, "1h00m" }, { 86399999, "23h59m" }, { 86400000, "1d00h" }, { 8640000000, "100d00h" } };
	static const struct {
		uint64_t n;
		const char *text;
	} sizes[] = { { 0, "0" },       { 1023, "1023" },    { 1024, "1.0K" },
		      { 10240, "10K" }, { 38797312, "37M" }, { UINT64_MAX, "16777216T" } };
	static const struct {
		struct str in;
		const char *out;
	} texts[] = { { STR_LIT("plain \xc3\xa4"), "plain \xc3\xa4" },
		      { STR_LIT("\x1b]0;x\x07"), "\\x1b]0;x\\x07" },
		      { STR_LIT("a\r\nb\x7f"), "a\\x0d\\x0ab\\x7f" },
		      { STR_LIT("\xc2\x9b"
				"2J"),
			"\\xc2\\x9b2J" },
		      { STR_LIT("a\0b"), "a\\x00b" } };
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++, buf_reset(&b)) {
		print_age(&b, ages[i].ms);
		assert_string_equal(buf_cstr(&b), ages[i].age);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++, buf_reset(&b)) {
		print_bytes(&b, sizes[i].n);
		assert_string_equal(buf_cstr(&b), sizes[i].text);
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++, buf_reset(&b)) {
		print_clean(&b, texts[i].in);
		assert_string_equal(buf_cstr(&b), texts[i].out);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_not_the_protocol),
		cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
