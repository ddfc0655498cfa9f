/* config/value_test.c: single values: parsing, ranges, messages, and printing what parses again. */
#include "config/value.h"

#include "base/must.h"
#include "tests/unit.h"

#include <stdlib.h>

static const struct option *option_at(const char *section, const char *name)
{
	const struct option *o = option_find(section_find(str_c(section)), str_c(name));

	must(o != NULL);
	return o;
}

/* Value for `option`, as value_put prints it, or the message in `why`. */
static void test_values(void **state)
{
	static const struct {
		const char *section, *option, *in, *out, *why;
	} cases[] = {
		{ "mode", "cmt", "yes", "yes", NULL },
		{ "mode", "cmt", "ON", "yes", NULL },
		{ "mode", "cmt", "true", "yes", NULL },
		{ "mode", "cmt", "off", "no", NULL },
		{ "mode", "cmt", "False", "no", NULL },
		{ "mode", "cmt", "1", NULL, "'1' is not yes or no" },
		{ "mode", "grace", "1h30m", "1h30m", NULL },
		{ "mode", "grace", "90", "1m30s", NULL },
		{ "mode", "grace", "200ms", "200ms", NULL },
		{ "mode", "grace", "4 h", NULL, "'4 h' is not a duration like 90s, 5m, 4h, 2d" },
		{ "mode", "grace", "", NULL, "'' is not a duration like 90s, 5m, 4h, 2d" },
		{ "mode", "grace", "31d", NULL, "'31d' is out of range, allowed are 0 to 30d" },
		{ "mode", "grace", "-1", NULL, "'-1' is not a duration like 90s, 5m, 4h, 2d" },
		{ "limits", "message_max", "36MB", "36M", NULL },
		{ "limits", "message_max", "36M", "36M", NULL },
		{ "limits", "message_max", "36mib", "36M", NULL },
		{ "limits", "message_max", "1g", "1G", NULL },
		{ "limits", "message_max", "100000", "100000", NULL },
		{ "limits", "message_max", "65536B", "64K", NULL },
		{ "limits", "message_max", "1Q", NULL, "'1Q' is not a size like 500, 64K, 36M, 1G" },
		{ "limits", "message_max", "M", NULL, "'M' is not a size like 500, 64K, 36M, 1G" },
		{ "limits", "message_max", "99999999999G", NULL,
		  "'99999999999G' is not a size like 500, 64K, 36M, 1G" },
		{ "limits", "message_max", "1K", NULL, "'1K' is out of range, allowed are 64K to 4G" },
		{ "send", "max_size", "0", "0", NULL },
		{ "limits", "recipients", "100", "100", NULL },
		{ "limits", "recipients", "99", NULL, "'99' is out of range, allowed are 100 to 100000" },
		{ "limits", "recipients", "ten", NULL, "'ten' is not a number" },
		{ "send", "tls", "validate", "validate", NULL },
		{ "send", "tls", "vlidate", NULL, "'vlidate' is not one of none, may, encrypt, validate, domain" },
		{ "domain", "type", "internal_relay", "internal-relay", NULL },
		{ "domain", "type", "Internal-Relay", "internal-relay", NULL },
		{ "tls", "client_cert_eku", "server_or_client", "server-or-client", NULL },
		{ "tls", "ca", "/a \"b\\", "\"/a \\\"b\\\\\"", NULL },
		{ "receive", "listen", "x", "{ \"x\" }", NULL },
		{ "receive", "listen", "", NULL, "the list has an empty entry" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct option *o = option_at(cases[i].section, cases[i].option);
		struct config *item = calloc(1, sizeof *item);
		struct str word = str_c(cases[i].in);
		struct arena a;
		struct buf out;

		assert_non_null(item);
		arena_init(&a, SIZE_MAX);
		buf_init(&out, 1024);
		bool ok = value_set(o, &word, 1, &a, item, &out);
		check(ok == (cases[i].out != NULL), cases[i].in);
		if (ok)
			value_put(o, item, &out);
		check_str(buf_str(&out), str_c(ok ? cases[i].out : cases[i].why), cases[i].in);
		buf_fini(&out);
		arena_fini(&a);
		free(item);
	}
}

/* Each default is a value its own option takes, and prints as something that is taken again. */
static void test_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < section_n; i++) {
		for (size_t j = 0; j < sections[i].option_n; j++) {
			const struct option *o = &sections[i].options[j];
			struct config *item = calloc(1, sizeof *item);
			struct arena a;
			struct buf out;

			assert_non_null(item);
			assert_true(o->required == (o->dflt == NULL));
			assert_true(o->doc != NULL && o->doc[0] != '\0');
			arena_init(&a, SIZE_MAX);
			buf_init(&out, 1024);
			if (!o->required) {
				value_set_default(o, &a, item);
				assert_true(value_same(o, item, item));
				value_put(o, item, &out);
				assert_true(out.n > 0 && !out.full);
			}
			buf_fini(&out);
			arena_fini(&a);
			free(item);
		}
	}
}

static void test_same(void **state)
{
	static const struct {
		const char *section, *option, *a, *b;
	} cases[] = {
		{ "mode", "cmt", "yes", "no" },          { "mode", "grace", "1h", "2h" },
		{ "limits", "message_max", "1M", "2M" }, { "limits", "recipients", "100", "101" },
		{ "send", "tls", "may", "none" },        { "tls", "ca", "a", "b" },
		{ "receive", "listen", "a", "b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct option *o = option_at(cases[i].section, cases[i].option);
		struct str a = str_c(cases[i].a), b = str_c(cases[i].b), two[2] = { a, b };
		struct config *x = calloc(1, sizeof *x), *y = calloc(1, sizeof *y);
		struct arena arena;
		struct buf why;

		assert_true(x != NULL && y != NULL);
		arena_init(&arena, SIZE_MAX);
		buf_init(&why, 256);
		assert_true(value_set(o, &a, 1, &arena, x, &why) && value_set(o, &a, 1, &arena, y, &why));
		assert_true(value_same(o, x, y));
		assert_true(value_set(o, &b, 1, &arena, y, &why));
		assert_false(value_same(o, x, y));
		if (o->type == OPT_LIST) {
			assert_true(value_set(o, two, 2, &arena, y, &why));
			assert_false(value_same(o, x, y));
		}
		buf_fini(&why);
		arena_fini(&arena);
		free(x);
		free(y);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
