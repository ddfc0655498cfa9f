/* connectors/select_test.c: which way out (spec 3.6), by next hop, and what is told about it. */
#include "connectors/connectors.h"

#include "tests/unit.h"

static const char conf_lines[] =
	"site = onprem\n"
	"hostname = \"gw.contoso.com\"\n"
	"domain \"contoso.com\" { type = authoritative routing_domain = \"contoso.mail.cloud.example\" }\n"
	"receive \"inet\" { listen = { \"0.0.0.0:25\" } from = { \"0/0\" } permissions = { \"anonymous\" } }\n"
	"send \"mailboxes\" { space = { \"@local\" } smarthosts = { \"ex1.example\" } }\n"
	"send \"to-cloud\" { space = { \"contoso.mail.cloud.example;1\", \"@peer\" } tls = encrypt max_size = 36M }\n"
	"send \"internet\" { space = { \"*;10\" } dns = yes max_size = 50M }\n"
	"send \"relay\" { space = { \"*;20\" } smarthosts = { \"relay.example\" } }\n"
	"send \"partner\" { space = { \"*.fabrikam.example\" } tls = validate max_size = 10M }\n"
	"send \"backup\" { space = { \"tailspin.example;2\" } tls = encrypt }\n"
	"send \"dead\" { space = { \"tailspin.example;1\", \"litware.example\" } tls = validate enabled = no }\n"
	"send \"hidden\" { space = { \"adatum.example\" } scoped = yes }\n";

static const struct row {
	const char *name, *domain;
	enum route_next next;
	unsigned size_mb;
	const char *named;
	bool exchange;
	const char *want;
} rows[] = {
	{ "own mailbox", "contoso.com", NEXT_INTERNAL, 1, "", false, "mailboxes" },
	{ "own mailbox never by *", "contoso.com", NEXT_INTERNAL, 99, "", false, "mailboxes" },
	{ "other side", "contoso.mail.cloud.example", NEXT_PEER, 1, "", false, "to-cloud" },
	{ "other side, domain without a space of its own", "fabrikam.org", NEXT_PEER, 1, "", false, "to-cloud" },
	{ "too big for the other side: refused, never by *", "contoso.mail.cloud.example", NEXT_PEER, 40, "", false,
	  "REJECT 5.3.4 to-cloud" },
	{ "the routing domain asked for as Internet mail", "contoso.mail.cloud.example", NEXT_DIRECT, 1, "", false,
	  "to-cloud" },
	{ "and too big", "contoso.mail.cloud.example", NEXT_DIRECT, 40, "", false, "REJECT 5.3.4 to-cloud" },
	{ "and too big, documented behaviour", "contoso.mail.cloud.example", NEXT_DIRECT, 40, "", true, "internet" },
	{ "Internet", "gmail.example", NEXT_DIRECT, 1, "", false, "internet" },
	{ "Internet, big", "gmail.example", NEXT_DIRECT, 60, "", false, "relay" },
	{ "smart host asked for", "gmail.example", NEXT_SMARTHOST, 1, "", false, "relay" },
	{ "sub-domain space covers the domain", "fabrikam.example", NEXT_DIRECT, 1, "", false, "partner" },
	{ "and what is below", "a.b.fabrikam.example", NEXT_DIRECT, 1, "", false, "partner" },
	{ "and not what only ends like it", "notfabrikam.example", NEXT_DIRECT, 1, "", false, "internet" },
	{ "forced TLS owns its space", "a.fabrikam.example", NEXT_DIRECT, 20, "", false, "REJECT 5.3.4 partner" },
	{ "disabled, another one has the space", "tailspin.example", NEXT_DIRECT, 1, "", false, "backup" },
	{ "disabled owner: wait", "litware.example", NEXT_DIRECT, 1, "", false, "HOLD dead" },
	{ "disabled owner, documented behaviour", "litware.example", NEXT_DIRECT, 1, "", true, "internet" },
	{ "scoped is not found", "adatum.example", NEXT_DIRECT, 1, "", false, "internet" },
	{ "scoped by name", "adatum.example", NEXT_DIRECT, 1, "hidden", false, "hidden" },
	{ "a name that is not there: wait", "adatum.example", NEXT_DIRECT, 1, "nobody", false, "HOLD" },
};

static bool told_all(const struct config *c, const struct selection *s)
{
	for (size_t i = 0; i < s->step_n; i++)
		for (size_t k = i + 1; k < s->step_n; k++)
			if (s->steps[i].send == s->steps[k].send)
				return false;
	return s->result != SELECT_OK || s->step_n == c->send_n;
}

static void run_row(const struct config *c, const struct row *r)
{
	struct select_query q = { .domain = str_c(r->domain),
				  .next = r->next,
				  .size = (uint64_t)r->size_mb << 20,
				  .named = str_c(r->named),
				  .exchange_policy = r->exchange };
	static struct selection s;
	struct buf got;

	select_send(c, &q, &s);
	buf_init(&got, 200);
	if (s.result == SELECT_REJECT)
		buf_addf(&got, "REJECT %d.%d.%d ", s.reply.class, s.reply.subject, s.reply.detail);
	if (s.result == SELECT_HOLD)
		buf_add(&got, s.send != NULL ? S("HOLD ") : S("HOLD"));
	if (s.send != NULL)
		buf_add(&got, s.send->name);
	check_str(buf_str(&got), str_c(r->want), r->name);
	check(told_all(c, &s), r->name);
	buf_fini(&got);
}

static void test_rows(void **state)
{
	struct config *c;
	struct buf errors;

	(void)state;
	buf_init(&errors, 16 * 1024);
	c = config_parse(str_c(conf_lines), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(c, &rows[i]);
	buf_fini(&errors);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
