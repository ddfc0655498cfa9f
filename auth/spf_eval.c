/* auth/spf_eval.c: the walk through records, by the order and the limits of RFC 7208 4.6. */
#include "auth/spf_eval.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct spf_input input;
	struct needs *needs;
	struct spf_verdict *out;
	bool story;
	unsigned depth;
	bool lacks; /* something is needed: nothing that is found from here on counts */
	bool insecure;
};

static void tell(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->story)
		return;
	for (unsigned i = 1; i < w->depth; i++)
		buf_add(&w->out->story, S("  "));
	va_start(ap, fmt);
	buf_vaddf(&w->out->story, fmt, ap);
	va_end(ap);
	buf_addc(&w->out->story, '\n');
}

static enum auth_result err_of(struct walk *w, enum auth_result r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum auth_result err_of(struct walk *w, enum auth_result r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->out->why, sizeof w->out->why, fmt, ap);
	va_end(ap);
	for (char *p = w->out->why; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	tell(w, "%s: %s", auth_result_name(r), w->out->why);
	return r;
}

static enum auth_result need(struct walk *w)
{
	w->lacks = true;
	return AUTH_TEMPERROR;
}

/* ---- the record of a domain (4.4, 4.5) ---- */

static enum auth_result find_record(struct walk *w, const char *domain, struct str *record)
{
	const struct answer *a = answers_find(w->input.answers, RR_TXT, str_c(domain));
	size_t n = 0;

	if (a == NULL) {
		needs_add(w->needs, RR_TXT, str_c(domain));
		return need(w);
	}
	w->insecure = w->insecure || !a->secure;
	if (a->status == RR_FAILED)
		return err_of(w, AUTH_TEMPERROR, "%s: the DNS gave no answer", domain);
	for (size_t i = 0; i < a->value_n; i++)
		if (spf_is_record(a->values[i])) {
			*record = a->values[i];
			n++;
		}
	if (n > 1)
		return err_of(w, AUTH_PERMERROR, "%s has %zu SPF records", domain, n);
	return n == 1 ? AUTH_PASS : AUTH_NONE;
}

/* What the terms behind this one will ask for anyway, unless one before them matches: saves round trips. */
static void look_ahead(struct walk *w, const struct spf_record *r, size_t from, const char *domain)
{
	enum rr_type host = w->input.client.sa.sa_family == AF_INET ? RR_A : RR_AAAA;
	unsigned left = SPF_TERMS_ASKING > w->out->lookups ? SPF_TERMS_ASKING - w->out->lookups : 0;

	for (size_t i = from; i < r->n && left > 0; i++) {
		const struct spf_term *t = &r->terms[i];
		struct str name = t->domain.n > 0 ? t->domain : str_c(domain);
		enum rr_type type;
		if (t->kind == SPF_A)
			type = host;
		else if (t->kind == SPF_MX)
			type = RR_MX;
		else if (t->kind == SPF_INCLUDE || t->kind == SPF_REDIRECT)
			type = RR_TXT;
		else
			continue;
		left--;
		if (!spf_has_macro(name) && answers_find(w->input.answers, type, name) == NULL)
			needs_add(w->needs, type, name);
	}
}

/* ---- terms ---- */

static bool asks(const struct spf_term *t)
{
	return t->kind == SPF_INCLUDE || t->kind == SPF_A || t->kind == SPF_MX || t->kind == SPF_PTR ||
	       t->kind == SPF_EXISTS || t->kind == SPF_REDIRECT;
}

/* False: one more than there may be (4.6.4). */
static bool count_lookup(struct walk *w, const struct spf_term *t)
{
	return !asks(t) || ++w->out->lookups <= SPF_TERMS_ASKING;
}

static enum auth_result check_domain(struct walk *w, const char *domain);

/* The name a domain-spec stands for.  False: it stands for none, or something is needed first (w->lacks). */
static bool name_of(struct walk *w, struct str spec, const char *domain, char name[AUTH_NAME])
{
	struct spf_run run = { .input = &w->input, .domain = domain, .needs = w->needs };
	const struct spf_macros m = spf_macros_of(&run);
	bool lacking = false, good;
	struct buf b;

	if (spf_has_p(spec)) {
		good = spf_lib_target(&run, spec, &lacking);
		w->lacks = w->lacks || lacking;
		snprintf(name, AUTH_NAME, "%s", run.target);
	} else {
		buf_init(&b, AUTH_NAME - 1);
		good = spf_expand(spec, &m, EXPAND_NAME, &b);
		snprintf(name, AUTH_NAME, "%s", buf_cstr(&b));
		buf_fini(&b);
	}
	size_t n = strlen(name);
	if (n > 0 && name[n - 1] == '.')
		name[n - 1] = '\0';
	return good && spf_is_domain(str_c(name));
}

/* What is said where an include or a redirect leads. */
static enum auth_result follow(struct walk *w, const struct spf_term *t, const char *domain)
{
	char target[AUTH_NAME];

	if (name_of(w, t->domain, domain, target))
		return check_domain(w, target);
	return w->lacks ? AUTH_TEMPERROR : AUTH_NONE;
}

static enum spf_match match_include(struct walk *w, const struct spf_term *t, const char *domain)
{
	switch (follow(w, t, domain)) {
	case AUTH_PASS:
		return MATCH_YES;
	case AUTH_TEMPERROR:
		return w->lacks ? MATCH_NEEDS : MATCH_TEMPERROR;
	case AUTH_PERMERROR:
		return MATCH_PERMERROR;
	case AUTH_NONE:
		err_of(w, AUTH_PERMERROR, STR_FMT ": there is no SPF record", STR_ARG(t->written));
		return MATCH_PERMERROR;
	default:
		w->out->explanation[0] = '\0';
		return MATCH_NO;
	}
}

static enum spf_match match_lookup(struct walk *w, const struct spf_term *t, const char *domain)
{
	struct spf_run run = { .input = &w->input, .domain = domain, .needs = w->needs };
	enum spf_match m = spf_lib_match(&run, t);

	if (m == MATCH_NEEDS)
		return m;
	w->insecure = w->insecure || run.insecure;
	if (m == MATCH_TEMPERROR)
		err_of(w, AUTH_TEMPERROR, STR_FMT ": the DNS gave no answer", STR_ARG(t->written));
	else if (run.too_many)
		err_of(w, AUTH_PERMERROR, STR_FMT ": more than 10 hosts", STR_ARG(t->written));
	else if (m == MATCH_PERMERROR)
		err_of(w, AUTH_PERMERROR, STR_FMT ": cannot be evaluated", STR_ARG(t->written));
	else if (run.voids > 0 && asks(t) && ++w->out->voids > SPF_VOIDS) {
		err_of(w, AUTH_PERMERROR, "more than %d terms that find nothing", SPF_VOIDS);
		return MATCH_PERMERROR;
	}
	return m;
}

static enum spf_match match(struct walk *w, const struct spf_term *t, const char *domain)
{
	if (t->kind == SPF_ALL)
		return MATCH_YES;
	if (!count_lookup(w, t)) {
		err_of(w, AUTH_PERMERROR, "more than %d terms that ask the DNS", SPF_TERMS_ASKING);
		return MATCH_PERMERROR;
	}
	return t->kind == SPF_INCLUDE ? match_include(w, t, domain) : match_lookup(w, t, domain);
}

static enum auth_result result_of(char qualifier)
{
	return qualifier == '-'   ? AUTH_FAIL
	       : qualifier == '~' ? AUTH_SOFTFAIL
	       : qualifier == '?' ? AUTH_NEUTRAL
				  : AUTH_PASS;
}

static bool is_mechanism(const struct spf_term *t)
{
	return t->kind < SPF_REDIRECT;
}

/* The words for a fail (6.2); anything odd about them is as if there were none. */
static void explain(struct walk *w, const struct spf_record *r, const char *domain)
{
	struct spf_run run = { .input = &w->input, .domain = domain, .needs = w->needs };
	const struct spf_macros m = spf_macros_of(&run);
	char name[AUTH_NAME], *room = w->out->explanation;
	struct buf b;

	room[0] = '\0';
	if (r->exp == NULL || !name_of(w, r->exp->domain, domain, name))
		return;
	const struct answer *a = answers_find(w->input.answers, RR_TXT, str_c(name));
	if (a == NULL) {
		needs_add(w->needs, RR_TXT, str_c(name));
		w->lacks = true;
		return;
	}
	if (a->value_n != 1)
		return;
	buf_init(&b, AUTH_TEXT - 1);
	bool good = spf_expand(a->values[0], &m, EXPAND_TEXT, &b);
	for (size_t i = 0; i < b.n; i++)
		good = good && b.p[i] >= ' ' && b.p[i] <= '~';
	if (good)
		snprintf(room, AUTH_TEXT, "%s", buf_cstr(&b));
	buf_fini(&b);
}

static enum auth_result walk_record(struct walk *w, const struct spf_record *r, const char *domain)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct spf_term *t = &r->terms[i];
		if (!is_mechanism(t))
			continue;
		enum spf_match m = match(w, t, domain);
		if (m == MATCH_NEEDS) {
			look_ahead(w, r, i + 1, domain);
			return need(w);
		}
		if (m == MATCH_TEMPERROR || m == MATCH_PERMERROR)
			return m == MATCH_TEMPERROR ? AUTH_TEMPERROR : AUTH_PERMERROR;
		tell(w, STR_FMT ": %s", STR_ARG(t->written), m == MATCH_YES ? "matches" : "no");
		if (m == MATCH_NO)
			continue;
		snprintf(w->out->mechanism, sizeof w->out->mechanism, STR_FMT, STR_ARG(t->written));
		if (t->qualifier == '-' && w->depth == 1)
			explain(w, r, domain);
		return result_of(t->qualifier);
	}
	if (r->redirect == NULL) {
		snprintf(w->out->mechanism, sizeof w->out->mechanism, "default");
		return AUTH_NEUTRAL;
	}
	if (!count_lookup(w, r->redirect))
		return err_of(w, AUTH_PERMERROR, "more than %d terms that ask the DNS", SPF_TERMS_ASKING);
	tell(w, STR_FMT, STR_ARG(r->redirect->written));
	w->depth--; /* a redirect is no step down: explanations count there too (6.2) */
	enum auth_result result = follow(w, r->redirect, domain);
	w->depth++;
	if (result == AUTH_NONE)
		return err_of(w, AUTH_PERMERROR, STR_FMT ": there is no SPF record", STR_ARG(r->redirect->written));
	return result;
}

static enum auth_result check_domain(struct walk *w, const char *domain)
{
	struct str text = STR_NONE, at = STR_NONE;
	enum auth_result found = find_record(w, domain, &text), result;

	if (found != AUTH_PASS)
		return found;
	w->depth++;
	tell(w, "%s: " STR_FMT, domain, STR_ARG(text));
	struct spf_record *r = calloc(1, sizeof *r);
	must(r != NULL && w->depth <= SPF_DEPTH);
	const char *wrong = spf_record_parse(text, r, &at);
	if (wrong != NULL)
		result = err_of(w, AUTH_PERMERROR, "%s: " STR_FMT ": %s", domain, STR_ARG(at), wrong);
	else
		result = walk_record(w, r, domain);
	free(r);
	w->depth--;
	return result;
}

/* ---- who is asked about ---- */

static bool split_identity(const struct spf_question *q, char sender[AUTH_NAME * 2], struct spf_verdict *out)
{
	ssize_t at = str_rchr(q->sender, '@');
	struct str domain = at >= 0 ? str_skip(q->sender, (size_t)at + 1) : q->sender;
	struct str local = at > 0 ? str_head(q->sender, (size_t)at) : S("postmaster");

	out->helo = q->sender.n == 0;
	if (out->helo)
		domain = q->helo;
	if (str_ends(domain, S(".")))
		domain.n--;
	snprintf(out->domain, sizeof out->domain, STR_FMT, STR_ARG(domain));
	for (char *p = out->domain; *p != '\0'; p++)
		*p = chr_lower(*p);
	if (!spf_is_domain(domain) || str_starts(domain, S("[")) || memchr(local.p, '\0', local.n) != NULL)
		return false;
	snprintf(sender, AUTH_NAME * 2, "%.*s@%s", (int)(local.n > 255 ? 255 : local.n), local.p, out->domain);
	return true;
}

enum eval spf_eval(const struct spf_question *q, const struct answers *answers, struct needs *needs,
		   struct spf_verdict *out)
{
	struct walk w = { .needs = needs, .out = out, .story = q->wants_story };
	char sender[AUTH_NAME * 2], helo[AUTH_NAME], receiver[AUTH_NAME];
	struct buf story = out->story;

	*out = (struct spf_verdict){ .story = story };
	buf_reset(&out->story);
	needs->n = 0;
	needs->cut = false;
	if (!split_identity(q, sender, out)) {
		out->result = AUTH_NONE;
		snprintf(out->why, sizeof out->why, "there is no domain to ask");
		return EVAL_VERDICT;
	}
	snprintf(helo, sizeof helo, STR_FMT, STR_ARG(q->helo.n > 0 ? q->helo : S("unknown")));
	snprintf(receiver, sizeof receiver, STR_FMT, STR_ARG(q->receiver.n > 0 ? q->receiver : S("unknown")));
	w.input = (struct spf_input){ .client = q->client,
				      .helo = helo,
				      .sender = sender,
				      .domain = out->domain,
				      .receiver = receiver,
				      .now_s = q->now_s,
				      .answers = answers };
	out->result = check_domain(&w, out->domain);
	if (w.lacks && needs->n > 0 && answers->n + needs->n <= ANSWERS_MAX && !needs->cut)
		return EVAL_NEEDS;
	if (w.lacks || needs->cut)
		out->result = err_of(&w, AUTH_PERMERROR, "it takes more than %d questions", ANSWERS_MAX);
	if (out->result != AUTH_FAIL)
		out->explanation[0] = '\0';
	if (out->result == AUTH_TEMPERROR || out->result == AUTH_PERMERROR || out->result == AUTH_NONE)
		out->mechanism[0] = '\0';
	else
		out->why[0] = '\0';
	out->secure = !w.insecure;
	return EVAL_VERDICT;
}
