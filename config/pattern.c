/* config/pattern.c: names of certificates as an administrator writes them (spec 3.5.3), and their one normal form. */
#include "config/config.h"

#include "wire/addr.h"

const char *conf_pattern_check(struct str pattern, struct buf *normal)
{
	struct str name = str_starts(pattern, S("*.")) ? str_skip(pattern, 2) : pattern;
	const char *why = NULL;
	struct buf domain;

	if (str_chr(name, '*') >= 0)
		return "a '*' may only stand in front, as in *.contoso.com";
	buf_init(&domain, 1024);
	if (name.n == 0 || !addr_normalize_domain(name, &domain) || !addr_is_domain(buf_str(&domain), false))
		why = "this is not a domain name";
	else if (str_chr(buf_str(&domain), '.') < 0)
		why = "the name needs two labels at least, as in contoso.com";
	else if (normal != NULL)
		buf_addf(normal, "%s" STR_FMT, name.p == pattern.p ? "" : "*.", STR_ARG(buf_str(&domain)));
	buf_fini(&domain);
	return why;
}
