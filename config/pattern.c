/* config/pattern.c: names of certificates as an administrator writes them (spec 3.5.3), and their one normal form;
 * URLs. */
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

const char *conf_url_check(struct str url)
{
	struct str rest = str_istarts(url, S("http://"))    ? str_skip(url, 7)
			  : str_istarts(url, S("https://")) ? str_skip(url, 8)
							    : STR_NONE;
	struct str host, path;

	if (rest.n == 0)
		return "this is not a URL with http:// or https://";
	if (url.n > 500)
		return "the URL is longer than 500 bytes";
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || chr_is_ctl(url.p[i]) || chr_is_8bit(url.p[i]))
			return "a URL has no blanks, control characters or other than ASCII";
	str_cut(rest, '/', &host, &path);
	if (host.n == 0 || str_chr(host, '@') >= 0 || str_chr(host, '?') >= 0 || str_chr(host, '#') >= 0 ||
	    str_chr(host, '\\') >= 0)
		return "a host has to follow, without a user's name";
	return NULL;
}
