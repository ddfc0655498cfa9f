/* connectors/report.c: words and rates of reports; see the header. */
#include "connectors/report.h"

#include "base/must.h"

#include <stdio.h>

static struct str domain_of(struct str address)
{
	ssize_t at = str_rchr(address, '@');

	return at < 0 ? STR_NONE : str_skip(address, (size_t)at + 1);
}

static bool is_same_or_below(struct str name, struct str domain, bool below)
{
	if (str_ieq(name, domain))
		return true;
	return below && name.n > domain.n && name.p[name.n - domain.n - 1] == '.' &&
	       str_ieq(str_skip(name, name.n - domain.n), domain);
}

bool report_is_for_us(const struct config *c, struct str sender)
{
	struct str name = domain_of(sender);

	for (size_t i = 0; i < c->domain_n && name.n > 0; i++) {
		const struct conf_domain *d = &c->domains[i];
		if (is_same_or_below(name, d->name, d->match_subdomains) ||
		    (d->routing_domain.n > 0 && str_ieq(name, d->routing_domain)))
			return true;
	}
	return false;
}

bool report_may_go(struct report_limits *l, const struct conf_queue *c, struct str sender, unsigned shares,
		   int64_t now_ms)
{
	struct str name = domain_of(sender);
	char lower[256];
	size_t n = name.n < sizeof lower ? name.n : sizeof lower;

	must(shares > 0);
	for (size_t i = 0; i < n; i++)
		lower[i] = chr_lower(name.p[i]);
	int64_t all = (c->report_rate + shares - 1) / shares, each = (c->report_rate_domain + shares - 1) / shares;
	struct bucket *mine = &l->domains[str_hash(str_n(lower, n), 0) % REPORT_DOMAINS];
	/* the domain first: one flooded sender takes nothing from the others */
	return bucket_take(mine, each, now_ms) && bucket_take(&l->all, all, now_ms);
}

static bool is_enhanced(struct str word)
{
	unsigned char class;
	unsigned short subject, detail;

	return reply_parse_enhanced(word, &class, &subject, &detail);
}

/* Could it be a host name or an address of a host?  A dot inside that is no mail address's or status code's. */
static bool may_name_host(struct str word)
{
	for (size_t i = 1; i + 1 < word.n; i++)
		if (word.p[i] == '.' && chr_is_alnum(word.p[i - 1]) && chr_is_alnum(word.p[i + 1]))
			return !is_enhanced(word) && str_chr(word, '@') < 0;
	return str_chr(word, '[') >= 0 || str_chr(word, ':') != str_rchr(word, ':'); /* a literal; IPv6 */
}

/* What a stranger may know of an inner server's words: all but where it stands. */
static struct str without_hosts(struct str said, struct arena *arena)
{
	enum { WORDS_MAX = 900 };
	struct str rest = said, word, out = STR_NONE;
	struct buf b;

	buf_init(&b, WORDS_MAX);
	while ((word = str_word(&rest)).n > 0)
		buf_addf(&b, "%s" STR_FMT, b.n > 0 ? " " : "", STR_ARG(may_name_host(word) ? S("...") : word));
	arena_dup(arena, buf_str(&b), &out);
	buf_fini(&b);
	return out;
}

static const struct str over = STR_LIT("Delivery was tried until the time for it was over.");

static struct str why(const struct plan *p, struct arena *arena)
{
	struct str out = STR_NONE;
	char text[600];

	if (p->cause == NULL || p->rcpt.result == RCPT_SENT)
		return p->expired ? over : STR_NONE;
	const char *todo = p->rcpt.rule != NULL ? p->rcpt.rule->todo : NULL;
	snprintf(text, sizeof text, "%s%s%s%s%s (%s %s)", p->cause,
		 p->fixer != NULL ? "; it can be mended by the " : "", p->fixer != NULL ? p->fixer : "",
		 todo != NULL ? ": " : "", todo != NULL ? todo : "", p->reason, p->rule);
	arena_dup(arena, str_c(text), &out);
	return out;
}

void report_words(const struct plan *p, bool for_us, struct arena *arena, struct dsn_rcpt *out)
{
	bool inside = p->hop == NULL || p->inside;

	out->own_words = p->rcpt.said.n == 0;
	out->diagnostic = out->own_words ? p->rcpt.text : p->rcpt.said;
	out->remote_mta = p->where != NULL ? str_c(p->where->host) : STR_NONE;
	if (for_us) {
		out->reason = why(p, arena);
		return;
	}
	out->reason = p->expired ? over : STR_NONE;
	if (inside)
		out->remote_mta = STR_NONE;
	if (out->own_words) /* names connectors and addresses; the status and the reason's own words say enough */
		out->diagnostic = p->told;
	else if (inside)
		out->diagnostic = without_hosts(p->rcpt.said, arena);
}
