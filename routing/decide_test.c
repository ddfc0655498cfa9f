/* routing/decide_test.c: the table against the pseudo-code of spec 1.5 written down a second time, over every
 * combination of facts; then what must hold whatever the rules say, and the codes of spec 5.4. */
#include "routing/routing.h"
#include "tests/unit.h"

#include <string.h>

enum { KINDS = KIND_EXTERNAL + 1, ORIGINS = ENV_SELF + 1, FLAGS = 1 << 8 };

/* ---- the pseudo-code, literally ---- */

static bool there(const struct route_facts *f)
{
	return f->kind == KIND_REMOTE || f->kind == KIND_ROUTING_PEER || f->kind == KIND_UNK_RELAY_PEER;
}

static bool here(const struct route_facts *f)
{
	return f->kind == KIND_LOCAL || f->kind == KIND_ROUTING_SELF || f->kind == KIND_GROUP ||
	       f->kind == KIND_CONTACT;
}

static const char *external_rule(const struct route_facts *f)
{
	bool onprem = f->site == SITE_ONPREM, hairpin = f->egress.cmt == EGRESS_CLOUD;

	if (f->origin == ENV_INTERNET || f->origin == ENV_PARTNER)
		return "R50";
	if (f->origin == ENV_PEER) {
		if (onprem && !f->cmt && !f->peer_relay)
			return "R51";
		if (f->org != ENV_ORG_OK)
			return "R52";
		if (onprem)
			return !hairpin ? "R53" : f->token_seen ? "R41" : "R54";
		return f->redirected && f->cmt && f->forwarded == FORWARDED_RETURN ? "R56" : "R57";
	}
	return onprem ? "R55" : f->cmt ? "R58" : "R57";
}

static const char *peer_rule(const struct route_facts *f)
{
	if (f->origin != ENV_PEER)
		return "R40";
	if (f->token_seen)
		return "R41";
	if (f->site == SITE_ONPREM && f->cmt && f->class == ENV_CLASS_EXT)
		return "R42";
	if (f->return_internal && f->class == ENV_CLASS_INT)
		return "R43";
	return f->moved_recently ? "R44" : "R45";
}

static const char *expected_rule(const struct route_facts *f)
{
	bool internet = f->origin == ENV_INTERNET;
	bool mx_here = (f->site == SITE_ONPREM) == (f->mx == SIDE_ONPREM);

	if (internet && !mx_here && f->grace_over && f->stragglers != STRAGGLERS_TAG)
		return "R05";
	if (f->kind == KIND_UNK_AUTH)
		return "R10";
	if (f->kind == KIND_UNK_RELAY_PEER && f->origin == ENV_PEER)
		return "R11";
	if (f->kind == KIND_ROUTING_PEER && f->origin == ENV_PEER)
		return "R15";
	if (f->kind == KIND_ROUTING_PEER && internet && !f->routing_public)
		return "R16";
	if (f->site == SITE_CLOUD && f->cmt && internet &&
	    (here(f) || f->kind == KIND_REMOTE || f->kind == KIND_UNK_RELAY_PEER))
		return "R20";
	if (here(f))
		return "R30";
	if (there(f))
		return peer_rule(f);
	return f->kind == KIND_UNK_RELAY_HOST ? "R48" : external_rule(f);
}

/* ---- every combination ---- */

static void set_flags(struct route_facts *f, unsigned bits)
{
	f->token_seen = bits & 1;
	f->redirected = bits & 2;
	f->moved_recently = bits & 4;
	f->grace_over = bits & 8;
	f->return_internal = bits & 16;
	f->peer_relay = bits & 32;
	f->routing_public = bits & 64;
	f->host_is_source = bits & 128;
}

/* The four policies turn with the count: each meets every kind, origin and mode many times over. */
static void set_policies(struct route_facts *f, uint64_t count)
{
	uint64_t h = str_hash(str_n(&count, sizeof count), 1);

	f->stragglers = (enum conf_stragglers)(h % 3);
	f->forwarded = (enum conf_forwarded)(h / 3 % 2);
	f->egress.onprem = (enum conf_egress)(h / 6 % 3);
	f->egress.cmt = (enum conf_egress)(h / 18 % 3);
	f->codes = (enum conf_codes)(h / 54 % 2);
}

static bool is_code(const struct reply *r)
{
	return r->code >= 400 && r->code < 600 && r->class == (unsigned)r->code / 100 && r->text.n > 0;
}

/* What the table must never do, whatever else it says. */
static bool is_sound(const struct route_facts *f, const struct verdict *v)
{
	bool relays = v->action == ROUTE_RELAY, out = relays && v->next != NEXT_PEER;
	bool stranger = f->origin == ENV_INTERNET || f->origin == ENV_PARTNER;

	if (v->rule == NULL || v->reason == NULL || v->cause == NULL)
		return false;
	if ((v->action == ROUTE_REJECT || v->action == ROUTE_DEFER) !=
	    (v->reply.code != 0 && v->fixer != NULL && v->next == NEXT_NONE && v->form == FORM_NONE))
		return false;
	if (v->reply.code != 0 && !is_code(&v->reply))
		return false;
	if (v->action == ROUTE_DEFER && v->reply.code >= 500)
		return false;
	if (f->kind == KIND_EXTERNAL && stranger && v->action != ROUTE_REJECT && v->action != ROUTE_DEFER)
		return false; /* open relay */
	if (f->origin == ENV_PEER && there(f) && relays && strcmp(v->rule, "R42") != 0 && strcmp(v->rule, "R43") != 0)
		return false; /* loop */
	if (f->origin == ENV_PEER && f->token_seen && !f->redirected && relays && v->next == NEXT_PEER)
		return false; /* loop, seen by the token */
	if (f->kind == KIND_EXTERNAL && f->origin == ENV_PEER && out && f->org != ENV_ORG_OK)
		return false; /* another tenant's relay */
	if (!stranger && v->straggler)
		return false;
	return v->form != FORM_ROUTING || (f->site == SITE_ONPREM && f->kind == KIND_REMOTE);
}

static void check_one(const struct route_facts *f)
{
	struct route_trace t;
	struct verdict v;

	route_decide(f, &v, &t);
	if (strcmp(v.rule, expected_rule(f)) == 0 && is_sound(f, &v) && t.n > 0 && t.steps[t.n - 1].hit &&
	    t.steps[t.n - 1].rule == v.rule)
		return;
	fail_msg("site %d mx %d cmt %d origin %d kind %s class %d org %d token %d: got %s, expected %s", f->site, f->mx,
		 f->cmt, f->origin, kind_name(f->kind), f->class, f->org, f->token_seen, v.rule, expected_rule(f));
}

static void test_every_combination(void **state)
{
	struct route_facts f = { 0 };
	uint64_t count = 0;

	(void)state;
	for (unsigned base = 0; base < 2 * 2 * 2 * ORIGINS * KINDS * 3 * 3; base++) {
		unsigned b = base;
		f.site = (enum conf_site)(b % 2), b /= 2;
		f.mx = (enum conf_side)(b % 2), b /= 2;
		f.cmt = b % 2, b /= 2;
		f.origin = (enum env_origin)(b % ORIGINS), b /= ORIGINS;
		f.kind = (enum rcpt_kind)(b % KINDS), b /= KINDS;
		f.class = (enum env_class)(b % 3), b /= 3;
		f.org = (enum env_org)(b % 3);
		for (unsigned flags = 0; flags < FLAGS; flags++) {
			set_flags(&f, flags);
			set_policies(&f, count++);
			check_one(&f);
		}
	}
}

/* ---- facts that come before the pseudo-code ---- */

static struct verdict decide(struct route_facts f)
{
	struct verdict v;

	route_decide(&f, &v, NULL);
	return v;
}

static void test_table_facts(void **state)
{
	struct verdict v;

	(void)state;
	v = decide((struct route_facts){ .kind = KIND_LOCAL, .table_stale = true });
	check(strcmp(v.rule, "R03") == 0 && v.reply.code == 451 && v.action == ROUTE_DEFER, "a stale table defers");
	v = decide((struct route_facts){ .kind = KIND_EXTERNAL, .origin = ENV_LOCAL, .table_stale = true });
	check(strcmp(v.rule, "R55") == 0, "a stale table does not hold external mail");
	v = decide((struct route_facts){ .kind = KIND_LOCAL, .disabled = true });
	check(strcmp(v.rule, "R10") == 0, "a disabled record is as unknown");
	v = decide((struct route_facts){ .kind = KIND_CONTACT, .redirect_loop = true });
	check(strcmp(v.rule, "R02") == 0 && v.action == ROUTE_REJECT, "a redirection that does not end");
}

static void test_authentication(void **state)
{
	static const struct {
		const char *row;
		enum env_origin origin;
		enum env_class class;
		bool refused;
	} rows[] = {
		{ "Internet", ENV_INTERNET, ENV_CLASS_NONE, true },
		{ "partner", ENV_PARTNER, ENV_CLASS_NONE, true },
		{ "peer, in transit", ENV_PEER, ENV_CLASS_EXT, true },
		{ "peer, internal", ENV_PEER, ENV_CLASS_INT, false },
		{ "own server", ENV_LOCAL, ENV_CLASS_NONE, false },
		{ "client", ENV_APP, ENV_CLASS_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct route_facts f = { .kind = KIND_LOCAL,
					 .origin = rows[i].origin,
					 .class = rows[i].class,
					 .auth_required = true,
					 .codes = CODES_EXCHANGE };
		struct verdict mailbox = decide(f);
		f.is_group = true;
		struct verdict group = decide(f);
		check((strcmp(mailbox.rule, "R12") == 0) == rows[i].refused, rows[i].row);
		check(!rows[i].refused || (mailbox.reply.detail == 134 && group.reply.detail == 133), rows[i].row);
	}
}

/* ---- spec 5.4 ---- */

static void test_codes(void **state)
{
	static const struct {
		const char *rule;
		struct route_facts f;
		unsigned standard[4], exchange[4];
	} rows[] = {
		{ "R10",
		  { .kind = KIND_UNK_AUTH, .site = SITE_CLOUD, .mx = SIDE_CLOUD },
		  { 550, 5, 1, 1 },
		  { 550, 5, 4, 1 } },
		{ "R10", { .kind = KIND_UNK_AUTH, .origin = ENV_LOCAL }, { 550, 5, 1, 1 }, { 550, 5, 1, 10 } },
		{ "R50", { .kind = KIND_EXTERNAL }, { 550, 5, 7, 1 }, { 550, 5, 7, 54 } },
		{ "R50",
		  { .kind = KIND_EXTERNAL, .site = SITE_CLOUD, .mx = SIDE_CLOUD },
		  { 550, 5, 7, 1 },
		  { 550, 5, 7, 64 } },
		{ "R52",
		  { .kind = KIND_EXTERNAL, .origin = ENV_PEER, .cmt = true },
		  { 550, 5, 7, 1 },
		  { 550, 5, 7, 64 } },
		{ "R05",
		  { .kind = KIND_LOCAL, .mx = SIDE_CLOUD, .grace_over = true, .stragglers = STRAGGLERS_DEFER },
		  { 451, 4, 7, 1 },
		  { 451, 4, 7, 1 } },
		{ "R05",
		  { .kind = KIND_LOCAL, .mx = SIDE_CLOUD, .grace_over = true, .stragglers = STRAGGLERS_REJECT },
		  { 550, 5, 7, 1 },
		  { 550, 5, 7, 51 } },
		{ "R45", { .kind = KIND_REMOTE, .origin = ENV_PEER }, { 554, 5, 4, 6 }, { 554, 5, 4, 6 } },
		{ "R45",
		  { .kind = KIND_REMOTE, .origin = ENV_PEER, .site = SITE_CLOUD },
		  { 554, 5, 4, 6 },
		  { 554, 5, 4, 14 } },
		{ "R44",
		  { .kind = KIND_REMOTE, .origin = ENV_PEER, .moved_recently = true },
		  { 451, 4, 4, 6 },
		  { 451, 4, 4, 6 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int set = CODES_STANDARD; set <= CODES_EXCHANGE; set++) {
			const unsigned *n = set == CODES_STANDARD ? rows[i].standard : rows[i].exchange;
			struct route_facts f = rows[i].f;
			f.codes = (enum conf_codes)set;
			struct verdict v = decide(f);
			check(strcmp(v.rule, rows[i].rule) == 0, rows[i].rule);
			check((unsigned)v.reply.code == n[0] && v.reply.class == n[1] && v.reply.subject == n[2] &&
				      v.reply.detail == n[3],
			      rows[i].rule);
			check(str_find(v.reply.text, str_c(v.rule)) > 0 && str_find(v.reply.text, str_c(v.reason)) > 0,
			      "the text names reason and rule");
		}
}

static void test_words(void **state)
{
	enum rcpt_kind k;
	enum rcpt_loc l;

	(void)state;
	for (int i = 0; i < KINDS; i++)
		check(kind_parse(str_c(kind_name((enum rcpt_kind)i)), &k) && k == (enum rcpt_kind)i, "kind");
	for (int i = 0; i <= LOC_DISABLED; i++)
		check(loc_parse(str_c(loc_name((enum rcpt_loc)i)), &l) && l == (enum rcpt_loc)i, "loc");
	check(!kind_parse(S("NEITHER"), &k) && !loc_parse(S(""), &l), "no such word");
	check(strcmp(mode_name(&(struct mode){ .mx = SIDE_CLOUD, .cmt = true }), "M3") == 0, "M3");
	check(strcmp(mode_name(&(struct mode){ .mx = SIDE_ONPREM, .cmt = true }), "M4") == 0, "M4");
}

/* R41 while it is fresh: the mail stays with the sender, who may mend it (loop.action = defer-then-reject). */
static void test_fresh_loop(void **state)
{
	struct route_facts f = { .site = SITE_ONPREM,
				 .cmt = true,
				 .origin = ENV_PEER,
				 .class = ENV_CLASS_EXT,
				 .org = ENV_ORG_OK,
				 .kind = KIND_REMOTE,
				 .token_seen = true,
				 .loop_is_fresh = true };
	struct verdict v;

	(void)state;
	route_decide(&f, &v, NULL);
	assert_string_equal(v.rule, "R41");
	assert_true(v.action == ROUTE_DEFER && v.reply.code == 451);
	f.loop_is_fresh = false;
	route_decide(&f, &v, NULL);
	assert_string_equal(v.rule, "R41");
	assert_true(v.action == ROUTE_REJECT && v.reply.code == 554);
	f.loop_is_fresh = true;
	f.token_seen = false;
	route_decide(&f, &v, NULL);
	assert_string_equal(v.rule, "R42");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_loop),  cmocka_unit_test(test_every_combination),
		cmocka_unit_test(test_table_facts), cmocka_unit_test(test_authentication),
		cmocka_unit_test(test_codes),       cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
