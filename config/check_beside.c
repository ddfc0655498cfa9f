/* config/check_beside.c: rules for working beside an MTA that stays. */
#include "config/check.h"

#include "base/must.h"

static void check_listen(struct check *k)
{
	struct conf_beside *b = &k->c->beside;
	int line = check_line(k, "beside", 0, "listen");
	struct net_addr a;

	for (size_t i = 0; i < b->listen.n; i++) {
		struct str at = b->listen.v[i];
		if (str_starts(at, S("/")) ? at.n > CONF_SOCKET_PATH_MAX : !net_parse_addr(at, 9626, &a))
			report_error(k->r, line,
				     "beside.listen: '" STR_FMT
				     "' is not an address like 127.0.0.1:9626, nor a path of "
				     "at most %d bytes",
				     STR_ARG(at), CONF_SOCKET_PATH_MAX);
		if (b->ask.n == 0 && str_starts(at, S("/")))
			b->ask = at;
	}
	if (b->listen.n > BESIDE_LISTEN_MAX)
		report_error(k->r, line, "beside.listen: at most %d addresses", BESIDE_LISTEN_MAX);
}

/* RFC 5322 2.2: printable, no colon. */
static bool is_field_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || s.p[i] == ':')
			return false;
	return s.n <= 60;
}

static bool is_transport(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return s.n > 0;
}

void check_beside(struct check *k)
{
	struct conf_beside *b = &k->c->beside;

	check_listen(k);
	if (b->milter_user.n == 0)
		b->milter_user = k->c->user;
	if (b->ask.n > 0 && (!str_starts(b->ask, S("/")) || b->ask.n > CONF_SOCKET_PATH_MAX))
		report_error(k->r, check_line(k, "beside", 0, "ask"),
			     "beside.ask: '" STR_FMT "' is not a path of at most %d bytes", STR_ARG(b->ask),
			     CONF_SOCKET_PATH_MAX);
	if (!str_starts(b->milter, S("inet:")) && !str_starts(b->milter, S("inet6:")) &&
	    !str_starts(b->milter, S("unix:")))
		report_error(k->r, check_line(k, "beside", 0, "milter"),
			     "beside.milter: '" STR_FMT "' is neither inet:PORT@ADDRESS nor unix:PATH",
			     STR_ARG(b->milter));
	if (!is_transport(b->transport))
		report_error(k->r, check_line(k, "beside", 0, "transport"),
			     "beside.transport: '" STR_FMT "' is not a name of a service", STR_ARG(b->transport));
	if (!is_field_name(b->decision_header) || str_ieq(b->decision_header, S("X-Tombolo-Route")))
		report_error(k->r, check_line(k, "beside", 0, "decision_header"),
			     "beside.decision_header: '" STR_FMT "' cannot be the name of a field for that",
			     STR_ARG(b->decision_header));
}
