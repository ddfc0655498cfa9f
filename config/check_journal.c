/* config/check_journal.c: rules for journals (spec 6.6): a copy of everything must not leave by a way that anybody can
 * read, and an archive is nobody whose mail is archived. */
#include "config/check.h"

#include "base/must.h"
#include "wire/addr.h"

static const struct conf_send *send_named(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, name))
			return &c->sends[i];
	return NULL;
}

/* Every host it leads to is this machine. */
static bool stays_here(const struct conf_send *s)
{
	for (size_t i = 0; i < s->smarthosts.n; i++) {
		struct str host, preference;
		struct net_addr a;
		str_cut(s->smarthosts.v[i], ';', &host, &preference);
		if (!net_parse_addr(host, 25, &a) || !net_is_loopback(&a))
			return false;
	}
	return s->smarthosts.n > 0;
}

static bool leads_to_mailboxes(const struct conf_send *s)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (!s->spaces[i].local)
			return false;
	return s->space_n > 0;
}

static void check_connector(struct check *k, size_t i, const char *where)
{
	struct str name = k->c->journals[i].connector;
	const struct conf_send *s = send_named(k->c, name);
	int line = check_line(k, "journal", i, "connector");

	if (s == NULL)
		report_error(k->r, line, "%s: connector: there is no send section \"" STR_FMT "\"", where,
			     STR_ARG(name));
	else if (s->tls < TLS_ENCRYPT && !stays_here(s) && !leads_to_mailboxes(s))
		report_error(k->r, line,
			     "%s: connector \"" STR_FMT "\" has tls = %s: copies of all mail would leave in clear; use "
			     "encrypt or more",
			     where, STR_ARG(name), conf_tls_level_name(s->tls));
	else if (!s->enabled)
		report_warning(k->r, line, "%s: connector \"" STR_FMT "\" is disabled: reports will wait", where,
			       STR_ARG(name));
}

static bool is_address(struct str s)
{
	struct addr a;

	return addr_parse(s, &(struct addr_rules){ .smtputf8 = false }, &a) == ADDR_OK && a.domain.n > 0;
}

static void check_of(struct check *k, size_t i, const char *where)
{
	const struct conf_list *of = &k->c->journals[i].of;
	struct str name;

	for (size_t n = 0; n < of->n; n++)
		if (str_starts(of->v[n], S("@")) ? !check_domain_name(k, str_skip(of->v[n], 1), &name)
						 : !is_address(of->v[n]))
			report_error(k->r, check_line(k, "journal", i, "of"),
				     "%s: of: '" STR_FMT "' is not a mail address or @domain", where,
				     STR_ARG(of->v[n]));
}

static bool is_named(const struct conf_list *of, struct str address)
{
	for (size_t i = 0; i < of->n; i++)
		if (of->v[i].p[0] == '@' ? str_iends(address, of->v[i]) : str_ieq(address, of->v[i]))
			return true;
	return false;
}

static void check_target(struct check *k, size_t i, const char *where, const char *option, struct str address)
{
	const struct config *c = k->c;
	int line = check_line(k, "journal", i, option);

	if (!is_address(address)) {
		report_error(k->r, line, "%s: %s: '" STR_FMT "' is not a mail address", where, option,
			     STR_ARG(address));
		return;
	}
	for (size_t n = 0; n < c->journal_n; n++)
		if (is_named(&c->journals[n].of, address))
			report_error(k->r, line, "%s: %s: " STR_FMT " is journaled itself, by journal \"" STR_FMT "\"",
				     where, option, STR_ARG(address), STR_ARG(c->journals[n].name));
}

static void check_journal(struct check *k, size_t i)
{
	const struct conf_journal *j = &k->c->journals[i];
	const char *where = check_where(k, "journal", j->name);

	check_of(k, i, where);
	if (j->to.n > 0) /* else the table has said so */
		check_target(k, i, where, "to", j->to);
	if (j->alternate.n > 0)
		check_target(k, i, where, "alternate", j->alternate);
	if (j->to.n > 0 && str_ieq(j->to, j->alternate))
		report_error(k->r, check_line(k, "journal", i, "alternate"),
			     "%s: alternate is the address whose refusals it is for", where);
	if (j->connector.n > 0)
		check_connector(k, i, where);
}

void check_journals(struct check *k)
{
	for (size_t i = 0; i < k->c->journal_n; i++)
		check_journal(k, i);
}
