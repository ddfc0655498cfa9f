/* config/check_auth.c: rules for the keys that sign (DKIM). */
#include "config/check.h"

#include <string.h>

enum { SELECTOR_MAX = 100 };

static bool is_selector(struct str s)
{
	struct str label, rest = s;

	if (s.n == 0 || s.n > SELECTOR_MAX)
		return false;
	for (bool more = true; more;) {
		more = str_cut(rest, '.', &label, &rest);
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!chr_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	return true;
}

static void check_fields(struct check *k, size_t i, const char *where, const char *option,
			 const struct conf_list *names)
{
	for (size_t n = 0; n < names->n; n++)
		for (size_t at = 0; at <= names->v[n].n; at++) {
			char c = at < names->v[n].n ? names->v[n].p[at] : names->v[n].n == 0 ? ':' : 'a';
			if (c > ' ' && c <= '~' && c != ':' && c != ';')
				continue;
			report_error(k->r, check_line(k, "sign", i, option),
				     "%s: %s: '" STR_FMT "' is no name of a field", where, option,
				     STR_ARG(names->v[n]));
			break;
		}
}

static void check_sign(struct check *k, size_t i)
{
	struct conf_sign *s = &k->c->signs[i];
	const char *where = check_where(k, "sign", s->name);
	bool from = false;

	if (s->domain.n == 0)
		s->domain = s->name;
	if (!check_domain_name(k, s->domain, &s->domain))
		report_error(k->r, check_line(k, "sign", i, "domain"), "%s: '" STR_FMT "' is not a domain name", where,
			     STR_ARG(s->domain));
	if (s->selector.n > 0 && !is_selector(s->selector))
		report_error(k->r, check_line(k, "sign", i, "selector"), "%s: selector: '" STR_FMT "' is none", where,
			     STR_ARG(s->selector));
	for (size_t n = 0; n < i; n++)
		if (str_ieq(k->c->signs[n].domain, s->domain) && str_ieq(k->c->signs[n].selector, s->selector))
			report_error(k->r, s->line, "%s: domain and selector are those of sign \"" STR_FMT "\"", where,
				     STR_ARG(k->c->signs[n].name));
	check_fields(k, i, where, "headers", &s->headers);
	check_fields(k, i, where, "oversign", &s->oversign);
	for (size_t n = 0; n < s->headers.n; n++)
		from = from || str_ieq(s->headers.v[n], S("From"));
	if (!from)
		report_error(k->r, check_line(k, "sign", i, "headers"),
			     "%s: headers: From has to be signed (RFC 6376 5.4)", where);
}

void check_auth(struct check *k)
{
	for (size_t i = 0; i < k->c->sign_n; i++)
		check_sign(k, i);
	if (k->c->sign_n > 0 && k->c->auth.workers == 0)
		report_error(k->r, k->c->signs[0].line, "sign \"" STR_FMT "\" needs auth.workers: nobody would sign",
			     STR_ARG(k->c->signs[0].name));
}
