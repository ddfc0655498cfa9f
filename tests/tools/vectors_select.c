/* tests/tools/vectors_select.c: receive-select.csv and outbound-select.csv, over the connector sets that spec Appendix
 * A names; a set is written as configuration, so the rows also hold the parser and its defaults to their word. */
#include "connectors/connectors.h"
#include "tests/tools/vectors.h"

#include "base/must.h"

static const char receive_set[] =
	"site = onprem\n"
	"hostname = \"gw.contoso.example\"\n"
	"domain \"contoso.example\" { type = authoritative }\n"
	"receive \"default\" { listen = { \"0.0.0.0:25\" } from = { \"0/0\", \"::/0\" } permissions = { \"anonymous\" } }\n"
	"receive \"dmz\"     { listen = { \"0.0.0.0:25\" } from = { \"10/8\" } permissions = { \"anonymous\" } }\n"
	"receive \"app\"     { listen = { \"0.0.0.0:25\" } from = { \"10.1/16\" } permissions = { \"users\" } }\n"
	"receive \"printer\" { listen = { \"0.0.0.0:25\" } from = { \"10.1.2.3/32\" } permissions = { \"users\" } }\n"
	"receive \"v6int\"   { listen = { \"0.0.0.0:25\" } from = { \"fd00::/8\" } permissions = { \"servers\" } }\n";

static const char send_set[] =
	"site = onprem\n"
	"hostname = \"gw.contoso.example\"\n"
	"domain \"contoso.example\" { type = authoritative }\n"
	"receive \"inet\" { listen = { \"0.0.0.0:25\" } from = { \"0/0\" } permissions = { \"anonymous\" } }\n"
	"send \"to-cloud\"   { space = { \"contoso.mail.cloud.example;1\" } dns = yes max_size = 36M exclusive = yes }\n"
	"send \"internet-a\" { space = { \"*;10\" } dns = yes max_size = 25M }\n"
	"send \"internet-b\" { space = { \"*;10\" } dns = yes max_size = 50M }\n"
	"send \"internet-c\" { space = { \"*;20\" } dns = yes }\n"
	"send \"partner-x\"  { space = { \"*.fabrikam.example\" } dns = yes }\n"
	"send \"partner-y\"  { space = { \"fabrikam.example;5\" } dns = yes }\n"
	"send \"eu-branch\"  { space = { \"*.eu.fabrikam.example;50\" } dns = yes }\n"
	"send \"scoped-z\"   { space = { \"northwind.example\" } dns = yes scoped = yes }\n"
	"send \"dead-w\"     { space = { \"tailspin.example\" } dns = yes enabled = no exclusive = yes }\n"
	"send \"small-q\"    { space = { \"litware.example\" } dns = yes max_size = 5M }\n";

static struct config *load(const char *text, const char *name)
{
	struct buf errors;

	buf_init(&errors, 64 * 1024);
	struct config *c = config_parse(str_c(text), name, &errors);
	if (c == NULL)
		fwrite(errors.p, 1, errors.n, stderr);
	must(c != NULL);
	buf_fini(&errors);
	return c;
}

void vectors_receive(struct vec_file *f)
{
	struct config *c = load(receive_set, "receive-select");
	struct vec_row row;

	while (vec_next(f, &row)) {
		struct net_addr client;
		const struct conf_receive *r = NULL;
		if (net_parse_ip(vec_get(&row, "remote_ip"), 0, &client))
			r = receive_select(c, NULL, &client);
		vec_check(&row, vec_get(&row, "expect"), r != NULL ? r->name : S("NONE"));
	}
	config_unref(&c);
}

/* "internet-a", "REJECT 5.3.4", "HOLD" */
static void choose(const struct config *c, const struct vec_row *row, bool exchange, struct buf *out)
{
	struct select_query q = { .domain = vec_get(row, "domain"), .next = NEXT_DIRECT, .exchange_policy = exchange };
	struct selection sel;

	must(str_u64(vec_get(row, "size_mb"), 1 << 20, &q.size));
	q.size *= 1024 * 1024;
	select_send(c, &q, &sel);
	if (sel.result == SELECT_OK)
		buf_add(out, sel.send->name);
	else if (sel.result == SELECT_HOLD)
		buf_add(out, S("HOLD"));
	else
		buf_addf(out, "REJECT %d.%d.%d", sel.reply.class, sel.reply.subject, sel.reply.detail);
}

void vectors_send(struct vec_file *f)
{
	struct config *c = load(send_set, "outbound-select");
	struct buf got, want;
	struct vec_row row;

	buf_init(&got, 256);
	buf_init(&want, 256);
	while (vec_next(f, &row)) {
		buf_reset(&got);
		buf_reset(&want);
		choose(c, &row, true, &got);
		buf_addc(&got, ' ');
		choose(c, &row, false, &got);
		buf_add(&want, vec_get(&row, "expect_exchange"));
		buf_addc(&want, ' ');
		buf_add(&want, vec_get(&row, "expect_safe"));
		vec_check(&row, buf_str(&want), buf_str(&got));
	}
	buf_fini(&got);
	buf_fini(&want);
	config_unref(&c);
}
