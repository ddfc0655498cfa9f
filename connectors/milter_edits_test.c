/* connectors/milter_edits_test.c: wishes of filters applied to a small message: each kind, and those that must not do
 * harm (hardening ML-4, ML-8). */
#include "connectors/milter_edits.h"

#include "tests/unit.h"

#define OWN     "Received: from x by us\r\n"
#define SUBJECT "Subject: hello\r\n\tworld\r\n"
#define TRACE   "Received: from y by x\r\n"
#define TO      "To:  a@b.example\r\n"

struct ask {
	char kind;
	uint32_t index;
	struct str name, value;
};

static const struct {
	const char *row;
	struct ask asks[3];
	const char *header; /* NULL: all of it is refused */
	const char *envelope;
} rows[] = {
	{ "nothing", { { 0 } }, OWN TRACE SUBJECT TO "\r\n", "f@x.example>a@b.example c@d.example" },
	{ "add", { { 'h', 0, STR_LIT("X-A"), STR_LIT("1") } }, OWN TRACE SUBJECT TO "X-A: 1\r\n\r\n", NULL },
	{ "insert on top",
	  { { 'i', 0, STR_LIT("X-A"), STR_LIT("1") } },
	  "X-A: 1\r\n" OWN TRACE SUBJECT TO "\r\n",
	  NULL },
	{ "insert behind ours",
	  { { 'i', 1, STR_LIT("X-A"), STR_LIT("1") } },
	  OWN "X-A: 1\r\n" TRACE SUBJECT TO "\r\n",
	  NULL },
	{ "insert far behind",
	  { { 'i', UINT32_MAX, STR_LIT("X-A"), STR_LIT("1") } },
	  OWN TRACE SUBJECT TO "X-A: 1\r\n\r\n",
	  NULL },
	{ "change", { { 'm', 1, STR_LIT("subject"), STR_LIT("new") } }, OWN TRACE "subject: new\r\n" TO "\r\n", NULL },
	{ "ours is not counted", { { 'm', 1, STR_LIT("Received"), STR_LIT("") } }, OWN SUBJECT TO "\r\n", NULL },
	{ "remove what is not there",
	  { { 'm', 2, STR_LIT("Received"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  NULL },
	{ "change what is not there",
	  { { 'm', UINT32_MAX, STR_LIT("Subject"), STR_LIT("2") } },
	  OWN TRACE SUBJECT TO "Subject: 2\r\n\r\n",
	  NULL },
	{ "index 0", { { 'm', 0, STR_LIT("Subject"), STR_LIT("2") } }, NULL, NULL },
	{ "what was added is there",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1") }, { 'm', 1, STR_LIT("X-A"), STR_LIT("2") } },
	  OWN TRACE SUBJECT TO "X-A: 2\r\n\r\n",
	  NULL },
	{ "folded",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1\n\t2\r\n 3") } },
	  OWN TRACE SUBJECT TO "X-A: 1\r\n\t2\r\n 3\r\n\r\n",
	  NULL },
	{ "a header ended by force",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1\r\n\r\nbody\rBcc: x") } },
	  OWN TRACE SUBJECT TO "X-A: 1\r\n\tbody\r\n\tBcc: x\r\n\r\n",
	  NULL },
	{ "a fold of blanks",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1\n \n 2\n") } },
	  OWN TRACE SUBJECT TO "X-A: 1\r\n 2\r\n\r\n",
	  NULL },
	{ "control bytes",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("\x1b[2J\t\xc3\xa4") } },
	  OWN TRACE SUBJECT TO "X-A: ?[2J\t\xc3\xa4\r\n\r\n",
	  NULL },
	{ "a header too long",
	  { { 'h', 0, STR_LIT("X-A"),
	      STR_LIT("1234567890123456789012345678901234567890123456789012345678901234567890") },
	    { 'h', 0, STR_LIT("X-A"),
	      STR_LIT("1234567890123456789012345678901234567890123456789012345678901234567890") },
	    { 'h', 0, STR_LIT("X-A"),
	      STR_LIT("123456789012345678901234567890123456789012345678901234567890123456789") } },
	  NULL,
	  NULL },
	{ "too many fields",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1") },
	    { 'h', 0, STR_LIT("X-A"), STR_LIT("2") },
	    { 'i', 0, STR_LIT("X-A"), STR_LIT("3") } },
	  NULL,
	  NULL },
	{ "name with colon", { { 'h', 0, STR_LIT("X: A"), STR_LIT("1") } }, NULL, NULL },
	{ "name with blank", { { 'h', 0, STR_LIT("X A"), STR_LIT("1") } }, NULL, NULL },
	{ "name with CR", { { 'i', 0, STR_LIT("X\rA"), STR_LIT("1") } }, NULL, NULL },
	{ "no name", { { 'm', 1, STR_LIT(""), STR_LIT("1") } }, NULL, NULL },
	{ "all or nothing",
	  { { 'h', 0, STR_LIT("X-A"), STR_LIT("1") },
	    { '+', 0, STR_LIT("<e@f.example>"), STR_LIT("") },
	    { 'h', 0, STR_LIT("X A"), STR_LIT("1") } },
	  NULL,
	  NULL },
	{ "add a recipient",
	  { { '+', 0, STR_LIT("<e@f.example>"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>a@b.example c@d.example e@f.example" },
	{ "without brackets",
	  { { '+', 0, STR_LIT("e@f.example"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>a@b.example c@d.example e@f.example" },
	{ "with parameters",
	  { { '2', 0, STR_LIT("<e@f.example>"), STR_LIT("NOTIFY=NEVER") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>a@b.example c@d.example e@f.example/1" },
	{ "with wrong ones", { { '2', 0, STR_LIT("<e@f.example>"), STR_LIT("NOTIFY=OFTEN") } }, NULL, NULL },
	{ "one that is there",
	  { { '+', 0, STR_LIT("<A@b.example>"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>a@b.example c@d.example" },
	{ "a forbidden one", { { '+', 0, STR_LIT("<no@f.example>"), STR_LIT("") } }, NULL, NULL },
	{ "no address", { { '+', 0, STR_LIT("<e>"), STR_LIT("") } }, NULL, NULL },
	{ "a command smuggled in", { { '+', 0, STR_LIT("<e@f.example>\r\nDATA"), STR_LIT("") } }, NULL, NULL },
	{ "too many",
	  { { '+', 0, STR_LIT("<e@f.example>"), STR_LIT("") }, { '+', 0, STR_LIT("<g@f.example>"), STR_LIT("") } },
	  NULL,
	  NULL },
	{ "remove one",
	  { { '-', 0, STR_LIT("<a@b.example>"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>c@d.example" },
	{ "remove who is not there",
	  { { '-', 0, STR_LIT("<z@b.example>"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>a@b.example c@d.example" },
	{ "remove all",
	  { { '-', 0, STR_LIT("<a@b.example>"), STR_LIT("") }, { '-', 0, STR_LIT("c@d.example"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "f@x.example>" },
	{ "another sender",
	  { { 'e', 0, STR_LIT("<n@x.example>"), STR_LIT("RET=HDRS ENVID=q") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  "n@x.example/2q>a@b.example c@d.example" },
	{ "no sender",
	  { { 'e', 0, STR_LIT("<>"), STR_LIT("") } },
	  OWN TRACE SUBJECT TO "\r\n",
	  ">a@b.example c@d.example" },
	{ "a sender with CRLF", { { 'e', 0, STR_LIT("<n@x.example>\r\nRSET"), STR_LIT("") } }, NULL, NULL },
};

static struct milter_field field(struct str raw, bool ours)
{
	ssize_t colon = str_chr(raw, ':');

	return (struct milter_field){ .raw = raw, .name = str_head(raw, (size_t)colon), .ours = ours };
}

static bool may_send_to(void *arg, const struct addr *rcpt)
{
	(void)arg;
	return !str_eq(rcpt->local, S("no"));
}

static void put_envelope(struct buf *b, const struct envelope *env)
{
	buf_addf(b, STR_FMT, STR_ARG(env->from));
	if (env->ret != ENV_RET_NONE)
		buf_addf(b, "/%d" STR_FMT, (int)env->ret, STR_ARG(env->envid));
	for (size_t i = 0; i < env->rcpt_n; i++) {
		buf_addf(b, "%c" STR_FMT, i == 0 ? '>' : ' ', STR_ARG(env->rcpts[i].addr));
		if (env->rcpts[i].notify > 0)
			buf_addf(b, "/%u", env->rcpts[i].notify);
	}
	if (env->rcpt_n == 0)
		buf_addc(b, '>');
}

static struct milter_view sample(struct arena *a, struct milter_field fields[4])
{
	static const struct env_rcpt rcpts[] = { { .addr = STR_LIT("a@b.example") },
						 { .addr = STR_LIT("c@d.example") } };

	fields[0] = field(S(OWN), true);
	fields[1] = field(S(TRACE), false);
	fields[2] = field(S(SUBJECT), false);
	fields[3] = field(S(TO), false);
	return (struct milter_view){ .arena = a,
				     .fields = fields,
				     .field_n = 4,
				     .env = { .from = S("f@x.example"), .rcpts = rcpts, .rcpt_n = COUNT(rcpts) },
				     .rcpt_max = 3,
				     .header_max = 300,
				     .field_max = 6,
				     .may_send_to = may_send_to };
}

static void each_wish(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a;
		struct milter_field fields[4];
		struct milter_wishes w = { 0 };
		struct buf env;
		arena_init(&a, 1 << 20);
		buf_init(&env, 1000);
		struct milter_view v = sample(&a, fields);
		for (size_t n = 0; n < COUNT(rows[i].asks) && rows[i].asks[n].kind != 0; n++) {
			const struct ask *ask = &rows[i].asks[n];
			assert_true(
				milter_wish_add(&w, &a,
						&(struct milter_answer_parts){ (enum milter_answer)ask->kind,
									       ask->index, ask->name, ask->value }));
		}
		const char *why = milter_edits_apply(&v, &w);
		check((why == NULL) == (rows[i].header != NULL), rows[i].row);
		bool same = rows[i].header == NULL || str_eq(str_c(rows[i].header), str_c(rows[0].header));
		check_str(milter_view_header(&v), str_c(rows[i].header != NULL ? rows[i].header : rows[0].header),
			  rows[i].row);
		check(v.header_changed == !same, rows[i].row);
		put_envelope(&env, &v.env);
		check_str(buf_str(&env), str_c(rows[i].envelope != NULL ? rows[i].envelope : rows[0].envelope),
			  rows[i].row);
		buf_fini(&env);
		arena_fini(&a);
	}
}

/* What is there and what a filter adds keep their blanks when it knows of them, so that signatures hold (ML-8). */
static void leading_space(void **state)
{
	static const struct {
		struct str raw;
		struct str with, without;
	} fields[] = {
		{ STR_LIT("To:  a@b\r\n"), STR_LIT("  a@b"), STR_LIT("a@b") },
		{ STR_LIT("To:a\r\n"), STR_LIT("a"), STR_LIT("a") },
		{ STR_LIT("To :\ta\r\n\tb\r\n"), STR_LIT("\ta\n\tb"), STR_LIT("a\n\tb") },
		{ STR_LIT("To:\r\n x\r\n"), STR_LIT("\n x"), STR_LIT("\n x") },
		{ STR_LIT("To:\r\n"), STR_LIT(""), STR_LIT("") },
	};
	struct arena a;
	struct milter_field few[4];
	struct milter_wishes w = { 0 };
	struct buf room;

	(void)state;
	buf_init(&room, 1000);
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct milter_field f = field(fields[i].raw, false);
		milter_field_value(&f, true, &room);
		check_str(buf_str(&room), fields[i].with, "with");
		milter_field_value(&f, false, &room);
		check_str(buf_str(&room), fields[i].without, "without");
	}
	buf_fini(&room);
	arena_init(&a, 1 << 20);
	struct milter_view v = sample(&a, few);
	v.leading_space = true;
	milter_wish_add(&w, &a, &(struct milter_answer_parts){ MILTER_CHANGE_HEADER, 1, S("To"), S("\tx") });
	assert_null(milter_edits_apply(&v, &w));
	check_str(milter_view_header(&v), S(OWN TRACE SUBJECT "To:\tx\r\n\r\n"), "blank of its own");
	arena_fini(&a);
}

static void bounded(void **state)
{
	struct milter_answer_parts p = { MILTER_ADD_RCPT, 0, S("<a@b.example>"), STR_NONE };
	struct milter_wishes w = { 0 };
	struct arena a;
	size_t n = 0;

	(void)state;
	arena_init(&a, 8 << 20);
	while (milter_wish_add(&w, &a, &p))
		n++;
	assert_int_equal(n, MILTER_WISHES_MAX);
	arena_fini(&a);
	arena_init(&a, 1000);
	w = (struct milter_wishes){ 0 };
	while (milter_wish_add(&w, &a, &p))
		;
	assert_true(w.n < 20);
	arena_fini(&a);
}

static void reason(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	milter_put_reason(&b, S("virus"), S("Eicar\r\n\x1b[2J\xff"));
	check_str(buf_str(&b), S("quarantine by virus: Eicar???[2J?"), "reason");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wish),
		cmocka_unit_test(leading_space),
		cmocka_unit_test(bounded),
		cmocka_unit_test(reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
