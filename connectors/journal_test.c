/* connectors/journal_test.c: scopes, names, and that both have to hold for the same recipient. */
#include "connectors/journal.h"

#include "tests/unit.h"

#define IN(a) \
	{ \
		STR_LIT(a), true \
	}
#define OUT(a) \
	{ \
		STR_LIT(a), false \
	}
#define OF(...) \
	{ \
		.v = (struct str[]){ __VA_ARGS__ }, .n = sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str) \
	}
#define EVERYONE \
	{ \
		.n = 0 \
	}

static const struct {
	const char *what;
	enum conf_journal_scope scope;
	struct conf_list of;
	struct journal_party from, to[3];
	bool wanted;
} cases[] = {
	{ "all of it", JOURNAL_GLOBAL, EVERYONE, OUT("s@x.example"), { IN("a@c.example") }, true },
	{ "strangers to strangers", JOURNAL_GLOBAL, EVERYONE, OUT("s@x.example"), { OUT("t@y.example") }, true },
	{ "inside", JOURNAL_INTERNAL, EVERYONE, IN("b@c.example"), { IN("a@c.example") }, true },
	{ "coming in is not inside", JOURNAL_INTERNAL, EVERYONE, OUT("s@x.example"), { IN("a@c.example") }, false },
	{ "going out is not inside", JOURNAL_INTERNAL, EVERYONE, IN("b@c.example"), { OUT("t@y.example") }, false },
	{ "one of them inside",
	  JOURNAL_INTERNAL,
	  EVERYONE,
	  IN("b@c.example"),
	  { OUT("t@y.example"), IN("a@c.example") },
	  true },
	{ "inside is not outside", JOURNAL_EXTERNAL, EVERYONE, IN("b@c.example"), { IN("a@c.example") }, false },
	{ "one of them outside",
	  JOURNAL_EXTERNAL,
	  EVERYONE,
	  IN("b@c.example"),
	  { IN("a@c.example"), OUT("t@y.example") },
	  true },
	{ "coming in is outside", JOURNAL_EXTERNAL, EVERYONE, OUT("s@x.example"), { IN("a@c.example") }, true },
	{ "our report", JOURNAL_INTERNAL, EVERYONE, IN(""), { IN("a@c.example") }, true },
	{ "a sender named",
	  JOURNAL_GLOBAL,
	  OF(STR_LIT("B@c.example")),
	  IN("b@C.example"),
	  { OUT("t@y.example") },
	  true },
	{ "a recipient named",
	  JOURNAL_GLOBAL,
	  OF(STR_LIT("q@q.example"), STR_LIT("t@y.example")),
	  IN("b@c.example"),
	  { IN("a@c.example"), OUT("t@y.example") },
	  true },
	{ "a domain named",
	  JOURNAL_GLOBAL,
	  OF(STR_LIT("@y.example")),
	  IN("b@c.example"),
	  { OUT("t@Y.example") },
	  true },
	{ "not the domain below",
	  JOURNAL_GLOBAL,
	  OF(STR_LIT("@y.example")),
	  IN("b@c.example"),
	  { OUT("t@x.y.example") },
	  false },
	{ "nobody named", JOURNAL_GLOBAL, OF(STR_LIT("q@c.example")), IN("b@c.example"), { IN("a@c.example") }, false },
	{ "the null sender is nobody named",
	  JOURNAL_GLOBAL,
	  OF(STR_LIT("@c.example")),
	  IN(""),
	  { OUT("t@y.example") },
	  false },
	/* ann is named, but what leaves goes to another */
	{ "both for the same one",
	  JOURNAL_EXTERNAL,
	  OF(STR_LIT("a@c.example")),
	  IN("b@c.example"),
	  { IN("a@c.example"), OUT("t@y.example") },
	  false },
};

static void test_wants(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct conf_journal j = { .scope = cases[i].scope, .of = cases[i].of };
		struct journal_facts f = { .sender = cases[i].from, .rcpts = cases[i].to };
		while (f.rcpt_n < 3 && cases[i].to[f.rcpt_n].addr.n > 0)
			f.rcpt_n++;
		if (journal_wants(&j, &f) != cases[i].wanted)
			fail_msg("%s: %s", cases[i].what, cases[i].wanted ? "not wanted" : "wanted");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
