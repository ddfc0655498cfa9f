/* config/check_milter.c: rules for content filters: where they listen, and which receive sections ask them. */
#include "config/check.h"

#include "base/must.h"

/* "127.0.0.1:8891" as Postfix writes it, "8891@127.0.0.1" as Sendmail does; "localhost" is 127.0.0.1. */
static bool parse_inet(struct str s, struct net_addr *out)
{
	struct str host, port;
	uint64_t n;

	if (str_cut(s, '@', &port, &host)) {
		if (str_ieq(host, S("localhost")))
			host = S("127.0.0.1");
		return str_u64(port, 65535, &n) && n > 0 && net_parse_ip(host, (uint16_t)n, out);
	}
	if (str_istarts(s, S("localhost:")))
		return str_u64(str_skip(s, 10), 65535, &n) && n > 0 && net_parse_ip(S("127.0.0.1"), (uint16_t)n, out);
	return net_parse_addr(s, 0, out) && net_port(out) > 0;
}

enum { PATH_MAX_UNIX = 107 }; /* sockaddr_un */

static bool parse_address(struct conf_milter *m)
{
	if (str_starts(m->address, S("unix:"))) {
		m->path = str_skip(m->address, 5);
		return m->path.n > 1 && m->path.n <= PATH_MAX_UNIX && m->path.p[0] == '/';
	}
	return str_starts(m->address, S("inet:")) && parse_inet(str_skip(m->address, 5), &m->addr);
}

static void check_milter(struct check *k, size_t i)
{
	struct conf_milter *m = &k->c->milters[i];
	const char *where = check_where(k, "milter", m->name);

	if (m->address.n > 0 && !parse_address(m))
		report_error(k->r, check_line(k, "milter", i, "address"),
			     "%s: address: '" STR_FMT "' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS",
			     where, STR_ARG(m->address));
	if (m->progress_max_ms < m->end_ms)
		report_error(k->r, check_line(k, "milter", i, "progress_max"), "%s: progress_max is shorter than end",
			     where);
}

static const struct conf_milter *milter_named(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->milter_n; i++)
		if (str_eq(c->milters[i].name, name))
			return &c->milters[i];
	return NULL;
}

static void resolve(struct check *k, size_t i)
{
	struct conf_receive *r = &k->c->receives[i];
	int line = check_line(k, "receive", i, "milters");
	const char *where = check_where(k, "receive", r->name);

	r->filters = arena_alloc(k->arena, r->milters.n * sizeof(r->filters[0]));
	must(r->filters != NULL);
	for (size_t n = 0; n < r->milters.n; n++) {
		const struct conf_milter *m = milter_named(k->c, r->milters.v[n]);
		if (m == NULL) {
			report_error(k->r, line, "%s: milters: there is no milter section \"" STR_FMT "\"", where,
				     STR_ARG(r->milters.v[n]));
			continue;
		}
		for (size_t before = 0; before < r->filter_n; before++)
			if (r->filters[before] == m)
				report_error(k->r, line, "%s: milters: \"" STR_FMT "\" stands there twice", where,
					     STR_ARG(m->name));
		r->filters[r->filter_n++] = m;
	}
}

void check_milters(struct check *k)
{
	for (size_t i = 0; i < k->c->milter_n; i++)
		check_milter(k, i);
	for (size_t i = 0; i < k->c->receive_n; i++)
		if (k->c->receives[i].milters.n > 0)
			resolve(k, i);
}
