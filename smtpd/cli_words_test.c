/* smtpd/cli_words_test.c: command lines in, arguments of the protocol out. */
#include "base/must.h"
#include "smtpd/cli_words.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WORDS_MAX = 12 };

static const struct {
	const char *words[WORDS_MAX];
	const char *noun, *name; /* NULL: no verb */
	const char *args;        /* JSON; NULL: refused */
	const char *error;
} cases[] = {
	{ { "status" }, "status", "", "{}", NULL },
	{ { "queue", "list" }, "queue", "list", "{}", NULL },
	{ { "--json", "queue", "--socket", "/x", "list", "--to", "a@b", "--deferred" },
	  "queue",
	  "list",
	  "{\"deferred\":true,\"to\":\"a@b\"}",
	  NULL },
	{ { "queue", "list", "--to=a@b=c", "--older=2h", "--json" },
	  "queue",
	  "list",
	  "{\"older\":\"2h\",\"to\":\"a@b=c\"}",
	  NULL },
	{ { "queue", "remove", "A", "--dry-run", "B" },
	  "queue",
	  "remove",
	  "{\"ID\":[\"A\",\"B\"],\"dry-run\":true}",
	  NULL },
	{ { "queue", "remove", "--", "--all" }, "queue", "remove", "{\"ID\":[\"--all\"]}", NULL },
	{ { "route", "explain", "u@x.example", "--cert-name", "a", "--cert-name=b" },
	  "route",
	  "explain",
	  "{\"RCPT\":\"u@x.example\",\"cert-name\":[\"a\",\"b\"]}",
	  NULL },
	{ { "mode", "set", "mx=cloud", "cmt=on" }, "mode", "set", "{\"MODE\":[\"mx=cloud\",\"cmt=on\"]}", NULL },
	{ { "recipients", "set", "u@x.example", "loc=remote" },
	  "recipients",
	  "set",
	  "{\"ADDRESS\":\"u@x.example\",\"SETTING\":[\"loc=remote\"]}",
	  NULL },
	{ { "config", "check", "/nonexistent/./file" }, "config", "check", "{\"FILE\":\"/nonexistent/./file\"}", NULL },
	{ { "queue", "list", "--help" }, "queue", "list", "{}", NULL },
	{ { "--help" }, NULL, NULL, "{}", NULL },
	{ { NULL }, NULL, NULL, "{}", NULL },

	{ { "queue" }, NULL, NULL, NULL, "queue needs a verb" },
	{ { "quue", "list" }, NULL, NULL, NULL, "quue: no such command" },
	{ { "queue", "lst" }, NULL, NULL, NULL, "lst: no such verb here" },
	{ { "queue", "list", "more" }, NULL, NULL, NULL, "more: one word too many" },
	{ { "queue", "list", "--evil" }, NULL, NULL, NULL, "--evil: no such option here" },
	{ { "queue", "list", "-x" }, NULL, NULL, NULL, "-x: no such option here" },
	{ { "--evil" }, NULL, NULL, NULL, "--evil: a command must come first" },
	{ { "queue", "list", "--to" }, NULL, NULL, NULL, "--to needs a value" },
	{ { "queue", "list", "--socket" }, NULL, NULL, NULL, "--socket needs a value" },
	{ { "queue", "list", "--older", "soon" }, NULL, NULL, NULL, "older: a duration" },
	{ { "queue", "list", "--to", "a\nb" }, NULL, NULL, NULL, "control bytes" },
	{ { "queue", "show" }, NULL, NULL, NULL, "ID is missing" },
	{ { "route", "explain", "nobody" }, NULL, NULL, NULL, "RCPT: not a mailbox" },
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *words[WORDS_MAX + 1] = { NULL };
		struct cli_words w;
		struct err e = { 0 };
		int n = 0;

		for (; cases[i].words[n] != NULL; n++)
			words[n] = strdup(cases[i].words[n]);
		char *mine[WORDS_MAX + 1];
		memcpy(mine, words, sizeof mine); /* parsing moves them */
		cli_words_init(&w);
		int failed = cli_words_parse(&w, n, mine, &e);
		if ((failed != 0) != (cases[i].args == NULL))
			fail_msg("case %zu: %d %s", i, failed, e.text);
		if (failed != 0) {
			if (cases[i].error == NULL || strstr(e.text, cases[i].error) == NULL)
				fail_msg("case %zu: \"%s\"", i, e.text);
		} else {
			char *got = json_dumps(w.args, JSON_COMPACT | JSON_SORT_KEYS);
			assert_string_equal(got, cases[i].args);
			free(got);
			assert_true((w.verb == NULL) == (cases[i].noun == NULL));
			if (w.verb != NULL)
				assert_ptr_equal(w.verb, verb_find(cases[i].noun, cases[i].name));
		}
		cli_words_fini(&w);
		while (n > 0)
			free(words[--n]);
	}
}

static void test_globals(void **state)
{
	char *words[] = { "--json", "-c", "/etc/x.conf", "mode", "--offline", "show", "--socket=/run/y", NULL };
	char *list[] = { "queue", "list", "--postfix", NULL };
	struct cli_words w;
	struct err e = { 0 };

	(void)state;
	setenv("TOMBOLO_CONTROL", "/run/z", 1);
	cli_words_init(&w);
	assert_string_equal(w.socket, "/run/z");
	assert_int_equal(cli_words_parse(&w, 7, words, &e), 0);
	assert_true(w.json && w.offline && !w.help && !w.postfix);
	assert_string_equal(w.config, "/etc/x.conf");
	assert_string_equal(w.socket, "/run/y");
	cli_words_fini(&w);
	unsetenv("TOMBOLO_CONTROL");
	cli_words_init(&w);
	assert_string_equal(w.socket, CLI_SOCKET);
	assert_int_equal(cli_words_parse(&w, 3, list, &e), 0);
	assert_true(w.postfix);
	cli_words_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_globals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
