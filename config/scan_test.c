/* config/scan_test.c: the structure of a file: what is reported, what is left for libconfuse. */
#include "config/scan.h"

#include "tests/unit.h"

#include <string.h>

struct scanned {
	struct arena arena;
	struct report r;
	struct scan scan;
	struct buf told;
};

static void scan(struct scanned *s, const char *text)
{
	arena_init(&s->arena, SIZE_MAX);
	buf_init(&s->told, 64 * 1024);
	report_init(&s->r, &s->arena);
	scan_text(str_c(text), &s->arena, &s->r, &s->scan);
	report_tell(&s->r, S("f"), &s->told);
}

static void done(struct scanned *s)
{
	buf_fini(&s->told);
	arena_fini(&s->arena);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
		{ "", "" },
		{ "site = onprem", "" },
		{ "site = onprem; hostname = a.b;\nmode { mx = onprem; cmt = no };", "" },
		{ "# c\n// c\n/* c\n c */ site = a # c\n", "" },
		{ "receive x { listen = { a, \"b\", 'c', } }", "" },
		{ "resolvers = {}", "" },
		{ "ste = x", "f:1: unknown option 'ste', did you mean 'site'?\n" },
		{ "zzz = x", "f:1: unknown option 'zzz'\n" },
		{ "\nzzz = { a,\nb }\nsite = a\nyyy = 1", "f:2: unknown option 'zzz'\nf:5: unknown option 'yyy'\n" },
		{ "receive x { lisen = y }", "f:1: unknown option 'lisen' in receive, did you mean 'listen'?\n" },
		{ "queue { max_interval = 1 }",
		  "f:1: unknown option 'max_interval' in queue, did you mean 'retry_max_interval'?\n" },
		{ "quue { path = x }", "f:1: unknown section 'quue', did you mean 'queue'?\n" },
		{ "zzz { a = b c { d = e } }", "f:1: unknown section 'zzz'\nf:1: unknown section 'c'\n" },
		{ "mode = x", "f:1: 'mode' is a section: write mode { ... }\n" },
		{ "mode { zz { a = 1 } mx = cloud }", "f:1: unknown section 'zz'\n" },
		{ "mode x { }", "f:1: section 'mode' takes no name\n" },
		{ "send { }", "f:1: send needs a name: write send \"NAME\" { ... }\n" },
		{ "send \"\" { }", "f:1: send needs a name: write send \"NAME\" { ... }\n" },
		{ "site = a\n\nsite = b", "f:3: 'site' is here again, it was given at line 1\n" },
		{ "log { }\nlog { }", "f:2: section 'log' is here again, it began at line 1\n" },
		{ "send a { }\nsend b { }\nsend \"a\" { }", "f:3: send \"a\" is here again, it began at line 1\n" },
		{ "site =\nhostname = x", "f:1: a value is missing after 'site ='\n" },
		{ "mode { mx = }", "f:1: a value is missing after 'mx ='\n" },
		{ "site = { a }", "f:1: site takes one value, not a list\n" },
		{ "resolvers = a, b\nzzz = 1",
		  "f:1: a list of several values is written { a, b }\nf:2: unknown option 'zzz'\n" },
		{ "resolvers = { a b }\nzzz = 1", "f:1: a ',' is missing before 'b'\nf:2: unknown option 'zzz'\n" },
		{ "resolvers = { a,\nuser = b\nzzz = 1", "f:1: the list is never closed\nf:3: unknown option 'zzz'\n" },
		{ "resolvers = { , }", "f:1: unexpected ','\n" },
		{ "resolvers = { a,\n b\nzzz = 1", "f:1: the list is never closed\nf:3: unknown option 'zzz'\n" },
		{ "resolvers = { a", "f:1: the list is never closed\n" },
		{ "resolvers = {", "f:1: the list is never closed\n" },
		{ "site a b", "f:1: a '=' or a '{' is missing after 'site'\n" },
		{ "site = a b = c\nzzz = 1", "f:1: unknown option 'b'\nf:2: unknown option 'zzz'\n" },
		{ "= a\nzzz = 1", "f:1: unexpected '='\nf:2: unknown option 'zzz'\n" },
		{ "\"site\" = a", "f:1: unexpected 'site'\n" },
		{ "a b c { d = e\n}\nzzz = 1",
		  "f:1: a '=' or a '{' is missing after 'a'\nf:3: unknown option 'zzz'\n" },
		{ "}\nsite = a", "f:1: this '}' closes nothing\n" },
		{ "site = \"a\nhostname = b", "f:1: the string is not closed on its line\n" },
		{ "site = 'a", "f:1: the string is not closed on its line\n" },
		{ "site = \"a\\n\"", "f:1: in \"strings\" write \\\" and \\\\, in 'strings' no backslash at all\n" },
		{ "site = 'a\\'", "f:1: in \"strings\" write \\\" and \\\\, in 'strings' no backslash at all\n" },
		{ "site = \"${HOME}\"", "f:1: \"${\" is not allowed: there are no variables here\n" },
		{ "site = \"a\tb\"", "f:1: a control character in a string\n" },
		{ "site = *.x\nhostname = a+b\nuser = $HOME",
		  "f:1: '*.x' needs quotes around it\nf:2: 'a+b' needs quotes around it\n"
		  "f:3: '$HOME' needs quotes around it\n" },
		{ "site = a\n/* never", "f:2: the comment is never closed\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scanned s;
		scan(&s, cases[i].text);
		check_str(buf_str(&s.told), str_c(cases[i].told), cases[i].text);
		assert_false(s.scan.broken);
		assert_int_equal(strlen(s.scan.text), strlen(cases[i].text));
		done(&s);
	}
}

/* libconfuse must not see these: it would take what is open for closed. */
static void test_broken(void **state)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
		{ "mode {", "f:1: the section 'mode' is never closed\n" },
		{ "send a {\n space = b\n", "f:1: the section 'send' is never closed\n" },
		{ "mode {\n mx = onprem\nqueue { path = x }\nlog { }\n",
		  "f:3: a '}' is missing before section 'queue'\n" },
		{ "a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scanned s;
		scan(&s, cases[i].text);
		assert_true(s.scan.broken);
		assert_true(s.r.errors > 0);
		if (cases[i].told != NULL)
			assert_string_equal(buf_cstr(&s.told), cases[i].told);
		done(&s);
	}
}

static void test_blanking(void **state)
{
	static const struct {
		const char *text, *left;
	} cases[] = {
		{ "site = a; # b\nste = 1\nuser = c", "site = a     \n       \nuser = c" },
		{ "send a { zz = {b,\nc} port = 1; }", "send a {         \n   port = 1  }" },
		{ "site = *", "        " },
		{ "xx { a = \"}\" } site = b", "               site = b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scanned s;
		scan(&s, cases[i].text);
		assert_string_equal(s.scan.text, cases[i].left);
		done(&s);
	}
}

static void test_lines(void **state)
{
	const struct section *send = section_find(S("send"));
	struct scanned s;

	(void)state;
	scan(&s, "site = cloud\nsend a {\n port = 1\n}\n/*\n*/\nsend b { tls =\n\nmay\n\ttls = may }");
	assert_int_equal(scan_line(scan_item(&s.scan, &sections[0], 0), "site"), 1);
	assert_int_equal(scan_line(scan_item(&s.scan, &sections[0], 0), "user"), 0);
	assert_int_equal(scan_item(&s.scan, send, 0)->line, 2);
	assert_int_equal(scan_line(scan_item(&s.scan, send, 0), "port"), 3);
	assert_int_equal(scan_item(&s.scan, send, 1)->line, 7);
	assert_int_equal(scan_line(scan_item(&s.scan, send, 1), "tls"), 10);
	assert_null(scan_item(&s.scan, send, 2));
	assert_null(scan_item(&s.scan, section_find(S("log")), 0));
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_blanking),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
