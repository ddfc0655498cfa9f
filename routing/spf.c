/* routing/spf.c: a record read from left to right, its first match decides; what is not known yet is asked for. */
#include "routing/spf.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX = 4 << 20, V4_BITS = 96 };

struct answer {
	struct spf_question q;
	enum dns_status status;
	bool has_mx;
	unsigned records; /* of SPF; more than one is an error */
	struct str record;
	struct net_addr *addrs;
	size_t addr_n;
};

struct spf {
	struct arena memory;
	struct answer answers[SPF_ANSWERS_MAX];
	size_t n;
};

/* What a mechanism says about the egress.  BROKEN: receivers take the whole record for an error (permerror). */
enum match { MATCH_NO, MATCH_YES, MATCH_MAYBE, MATCH_ASK, MATCH_BROKEN };

struct eval {
	struct spf *spf;
	bool by_name;
	struct net_cidr range;
	struct str name;
	unsigned lookups;
	bool broken;
	struct spf_question *ask;
	char *why;
};

static void say(struct eval *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct eval *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->why, SPF_WHY, fmt, ap);
	va_end(ap);
}

/* ---- answers ---- */

struct spf *spf_new(void)
{
	struct spf *s = calloc(1, sizeof *s);

	must(s != NULL);
	arena_init(&s->memory, MEMORY_MAX);
	return s;
}

void spf_free(struct spf **s)
{
	if (*s == NULL)
		return;
	arena_fini(&(*s)->memory);
	free(*s);
	*s = NULL;
}

static const struct answer *find(const struct spf *s, enum spf_what what, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->answers[i].q.what == what && str_ieq(str_c(s->answers[i].q.name), str_c(name)))
			return &s->answers[i];
	return NULL;
}

static bool is_record(struct str text)
{
	return str_istarts(text, S("v=spf1")) && (text.n == 6 || text.p[6] == ' ');
}

static void keep_addresses(struct spf *s, struct answer *a, const struct dns_lookup *in)
{
	size_t n = 0;

	for (size_t i = 0; i < in->host_n; i++)
		n += in->hosts[i].addr_n;
	a->addrs = arena_alloc(&s->memory, (n + 1) * sizeof *a->addrs);
	for (size_t i = 0; a->addrs != NULL && i < in->host_n; i++)
		for (size_t k = 0; k < in->hosts[i].addr_n; k++)
			a->addrs[a->addr_n++] = in->hosts[i].addrs[k];
}

void spf_tell(struct spf *s, const struct spf_question *q, const struct dns_lookup *in)
{
	if (s->n == SPF_ANSWERS_MAX)
		return; /* spf_covers asks nothing more by then */
	struct answer *a = &s->answers[s->n++];
	*a = (struct answer){ .q = *q, .status = in->texts_cut ? DNS_FAILED : in->status, .has_mx = in->has_mx };
	for (size_t i = 0; i < in->text_n; i++)
		if (is_record(in->texts[i]) && a->records++ == 0 && !arena_dup(&s->memory, in->texts[i], &a->record))
			a->status = DNS_FAILED;
	keep_addresses(s, a, in);
}

/* NULL: asked, or there is no room to ask (then it is a failed answer). */
static const struct answer *answer_to(struct eval *e, enum spf_what what, struct str name)
{
	static const struct answer failed = { .status = DNS_FAILED };
	struct spf_question q = { .what = what };

	snprintf(q.name, sizeof q.name, STR_FMT, STR_ARG(name));
	const struct answer *a = find(e->spf, what, q.name);
	if (a != NULL)
		return a;
	if (e->spf->n == SPF_ANSWERS_MAX)
		return &failed;
	*e->ask = q;
	return NULL;
}

/* ---- addresses ---- */

static bool is_v4(const struct net_cidr *c)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return c->bits >= V4_BITS && memcmp(c->ip, mapped, sizeof mapped) == 0;
}

/* Bits behind the prefix may be set in a record: they do not count. */
static struct net_cidr range_of(const struct net_addr *a, unsigned bits4, unsigned bits6)
{
	struct net_cidr c = { .bits = bits6 };

	if (a->sa.sa_family == AF_INET) {
		c.bits = V4_BITS + bits4;
		c.ip[10] = c.ip[11] = 0xff;
		memcpy(c.ip + 12, &a->v4.sin_addr, 4);
	} else {
		memcpy(c.ip, &a->v6.sin6_addr, 16);
	}
	for (unsigned i = 0; i < 16; i++)
		if (c.bits < 8 * (i + 1))
			c.ip[i] &= (unsigned char)(c.bits <= 8 * i ? 0 : 0xff << (8 * (i + 1) - c.bits));
	return c;
}

static enum match match_range(const struct eval *e, const struct net_cidr *c)
{
	if (e->by_name || is_v4(c) != is_v4(&e->range))
		return MATCH_NO;
	return net_cidr_covers(c, &e->range) ? MATCH_YES : net_cidr_covers(&e->range, c) ? MATCH_MAYBE : MATCH_NO;
}

/* "/24", "/24//64", "//64" or nothing. */
static bool read_bits(struct str s, unsigned *bits4, unsigned *bits6)
{
	struct str four, six;
	uint64_t v;

	*bits4 = 32;
	*bits6 = 128;
	if (s.n == 0)
		return true;
	ssize_t at = str_find(s, S("//"));
	four = at < 0 ? s : str_head(s, (size_t)at);
	six = at < 0 ? STR_NONE : str_skip(s, (size_t)at + 2);
	if (four.n > 0) {
		if (!str_u64(str_skip(four, 1), 32, &v))
			return false;
		*bits4 = (unsigned)v;
	}
	if (at >= 0) {
		if (!str_u64(six, 128, &v))
			return false;
		*bits6 = (unsigned)v;
	}
	return true;
}

/* ---- mechanisms ---- */

struct term { /* "-include:x.example/24" */
	char qualifier;
	struct str word, name, value, bits;
};

static struct term read_term(struct str word)
{
	struct term t = { .qualifier = '+', .word = word };
	size_t n = 0;

	if (word.n > 0 && strchr("+-~?", word.p[0]) != NULL) {
		t.qualifier = word.p[0];
		word = str_skip(word, 1);
	}
	while (n < word.n && word.p[n] != ':' && word.p[n] != '=' && word.p[n] != '/')
		n++;
	t.name = str_head(word, n);
	t.value = str_skip(word, n);
	if (t.value.n > 0 && t.value.p[0] != '/')
		t.value = str_skip(t.value, 1);
	ssize_t slash = str_chr(t.value, '/');
	t.bits = slash < 0 ? STR_NONE : str_skip(t.value, (size_t)slash);
	t.value = slash < 0 ? t.value : str_head(t.value, (size_t)slash);
	return t;
}

static enum match broken(struct eval *e, struct str domain, const char *what)
{
	e->broken = true;
	say(e, "the SPF record of " STR_FMT " is an error to receivers: %s", STR_ARG(domain), what);
	return MATCH_BROKEN;
}

/* Counts a mechanism that asks the DNS. */
static bool may_look(struct eval *e, struct str domain)
{
	if (++e->lookups <= SPF_LOOKUPS_MAX)
		return true;
	broken(e, domain, "it takes more than 10 lookups");
	return false;
}

static enum match match_ip(struct eval *e, const struct term *t, struct str domain, bool six)
{
	struct net_addr a;
	uint64_t bits = six ? 128 : 32;

	if (!net_parse_ip(t->value, 0, &a) || (a.sa.sa_family == AF_INET6) != six ||
	    (t->bits.n > 0 && !str_u64(str_skip(t->bits, 1), bits, &bits)))
		return broken(e, domain, "it has an address that is none");
	struct net_cidr c = range_of(&a, (unsigned)bits, (unsigned)bits);
	return match_range(e, &c);
}

static enum match match_hosts(struct eval *e, const struct term *t, struct str domain, enum spf_what what)
{
	unsigned bits4, bits6;
	enum match best = MATCH_NO;

	if (!may_look(e, domain))
		return MATCH_BROKEN;
	if (!read_bits(t->bits, &bits4, &bits6))
		return broken(e, domain, "it has a prefix length that is none");
	if (e->by_name)
		return MATCH_NO;
	const struct answer *a = answer_to(e, what, t->value.n > 0 ? t->value : domain);
	if (a == NULL)
		return MATCH_ASK;
	if (a->status == DNS_FAILED)
		return MATCH_MAYBE;
	if (what == SPF_MX && !a->has_mx)
		return MATCH_NO; /* the domain's own address is no exchanger to SPF */
	for (size_t i = 0; i < a->addr_n && best != MATCH_YES; i++) {
		struct net_cidr c = range_of(&a->addrs[i], bits4, bits6);
		enum match m = match_range(e, &c);
		best = m != MATCH_NO ? m : best;
	}
	return best;
}

static enum spf_result eval_domain(struct eval *e, struct str domain, bool included);

static enum match match_include(struct eval *e, const struct term *t, struct str domain)
{
	if (!may_look(e, domain))
		return MATCH_BROKEN;
	if (e->by_name && str_ieq(t->value, e->name))
		return MATCH_YES;
	switch (eval_domain(e, t->value, true)) {
	case SPF_COVERED:
		return MATCH_YES;
	case SPF_UNKNOWN:
		return MATCH_MAYBE;
	case SPF_ASK:
		return MATCH_ASK;
	case SPF_NOT_COVERED:
		break;
	}
	return e->broken ? MATCH_BROKEN : MATCH_NO;
}

static enum match match_term(struct eval *e, const struct term *t, struct str domain)
{
	static const struct str per_message[] = { STR_LIT("exists"), STR_LIT("ptr") };
	bool macro = str_chr(t->word, '%') >= 0;

	for (size_t i = 0; i < sizeof per_message / sizeof *per_message; i++)
		if (str_ieq(t->name, per_message[i]))
			return may_look(e, domain) ? MATCH_MAYBE : MATCH_BROKEN;
	if (str_ieq(t->name, S("all")))
		return MATCH_YES;
	if (str_ieq(t->name, S("ip4")) || str_ieq(t->name, S("ip6")))
		return match_ip(e, t, domain, str_ieq(t->name, S("ip6")));
	bool include = str_ieq(t->name, S("include")), mx = str_ieq(t->name, S("mx"));
	if (!include && !mx && !str_ieq(t->name, S("a")))
		return broken(e, domain, "it has an unknown mechanism");
	if (macro)
		return may_look(e, domain) ? MATCH_MAYBE : MATCH_BROKEN;
	return include ? match_include(e, t, domain) : match_hosts(e, t, domain, mx ? SPF_MX : SPF_HOST);
}

/* ---- records ---- */

struct reading {
	struct str domain, redirect;
	bool maybe_in, maybe_out; /* something that cannot be told might let it in, might keep it out */
};

/* What matched first; SPF_ASK while it is not known. */
static enum spf_result decide(struct eval *e, const struct reading *r, const struct term *t)
{
	bool in = t->qualifier == '+';

	if (in ? r->maybe_out : r->maybe_in) {
		say(e, STR_FMT " does not say it alone: it names a part, or depends on the message",
		    STR_ARG(r->domain));
		return SPF_UNKNOWN;
	}
	say(e, "'" STR_FMT "' of " STR_FMT "%s", STR_ARG(str_head(t->word, 60)), STR_ARG(r->domain),
	    in ? "" : ": nothing before it names the address");
	return in ? SPF_COVERED : SPF_NOT_COVERED;
}

static bool is_modifier(struct str word)
{
	ssize_t eq = str_chr(word, '='), colon = str_chr(word, ':'), slash = str_chr(word, '/');

	return eq > 0 && (colon < 0 || eq < colon) && (slash < 0 || eq < slash);
}

static enum spf_result follow_redirect(struct eval *e, const struct reading *r)
{
	if (!may_look(e, r->domain))
		return SPF_NOT_COVERED;
	if (e->by_name && str_ieq(r->redirect, e->name)) {
		say(e, "redirect of " STR_FMT, STR_ARG(r->domain));
		return r->maybe_out ? SPF_UNKNOWN : SPF_COVERED;
	}
	if (str_chr(r->redirect, '%') >= 0) {
		say(e, "the redirect of " STR_FMT " depends on the message", STR_ARG(r->domain));
		return SPF_UNKNOWN;
	}
	enum spf_result there = eval_domain(e, r->redirect, true);
	if ((there == SPF_COVERED && r->maybe_out) || (there == SPF_NOT_COVERED && r->maybe_in && !e->broken))
		return SPF_UNKNOWN;
	return there;
}

static enum spf_result eval_record(struct eval *e, struct str record, struct reading *r)
{
	struct str rest = str_skip(record, 6), word;

	while ((word = str_word(&rest)).n > 0) {
		struct term t = read_term(word);
		if (is_modifier(word)) {
			if (str_ieq(t.name, S("redirect")))
				r->redirect = t.value;
			continue;
		}
		switch (match_term(e, &t, r->domain)) {
		case MATCH_YES:
			return decide(e, r, &t);
		case MATCH_MAYBE:
			*(t.qualifier == '+' ? &r->maybe_in : &r->maybe_out) = true;
			break;
		case MATCH_ASK:
			return SPF_ASK;
		case MATCH_BROKEN:
			return SPF_NOT_COVERED;
		case MATCH_NO:
			break;
		}
	}
	if (r->redirect.n > 0)
		return follow_redirect(e, r);
	say(e,
	    r->maybe_in ? STR_FMT " does not say it alone: it names a part, or depends on the message"
			: STR_FMT " does not name it",
	    STR_ARG(r->domain));
	return r->maybe_in ? SPF_UNKNOWN : SPF_NOT_COVERED;
}

/* `included`: then a missing record is an error of the one that names it (RFC 7208 5.2). */
static enum spf_result eval_domain(struct eval *e, struct str domain, bool included)
{
	const struct answer *a = answer_to(e, SPF_TXT, domain);
	struct reading r = { .domain = domain };

	if (a == NULL)
		return SPF_ASK;
	if (a->status == DNS_FAILED) {
		say(e, "the texts of " STR_FMT " could not be looked up", STR_ARG(domain));
		return SPF_UNKNOWN;
	}
	if (a->records > 1) {
		broken(e, domain, "there are two of them");
		return SPF_NOT_COVERED;
	}
	if (a->records == 0) {
		e->broken = e->broken || included;
		say(e, STR_FMT " has no SPF record", STR_ARG(domain));
		return SPF_NOT_COVERED;
	}
	return eval_record(e, a->record, &r);
}

enum spf_result spf_covers(struct spf *s, struct str domain, struct str egress, struct spf_question *q,
			   char why[SPF_WHY])
{
	struct eval e = { .spf = s, .name = egress, .ask = q, .why = why };

	must(domain.n > 0 && egress.n > 0);
	why[0] = '\0';
	e.by_name = !net_parse_cidr(egress, &e.range);
	return eval_domain(&e, domain, false);
}
