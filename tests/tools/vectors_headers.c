/* tests/tools/vectors_headers.c: headers.csv: header fields through the firewall, in by one trust and out to one
 * target.
 *
 * The result column is prose with rules: "(removed)", "unchanged", a list of fields "A: 1 + B: 2", or "reject CODE",
 * each with remarks behind a semicolon.  Fields that we write ourselves (on top) may be there without being named;
 * every other field must be.  "any" means all: each combination has to give the same. */
#include "tests/kit/firewall.h"
#include "tests/tools/vectors.h"
#include "wire/cmd.h"

#include "base/must.h"

enum { FIELDS_MAX = 64 };

struct fields {
	struct str v[FIELDS_MAX];
	size_t n;
};

struct pass { /* one combination of a row */
	struct header_in in;
	struct header_out out;
	bool peer; /* came from the peer, believed or not */
	struct firewall wall;
	struct header_changes in_changes;
	struct claim said;
	struct str auth_as, claim;
};

/* ---- text ---- */

static bool is_name_char(char c)
{
	return chr_is_alnum(c) || c == '-';
}

/* "Name:" or "Name :" in front */
static bool is_field(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_name_char(s.p[n]))
		n++;
	size_t name_n = n;
	while (n < s.n && chr_is_space(s.p[n]))
		n++;
	return name_n > 1 && n < s.n && s.p[n] == ':';
}

/* Takes the next field off a list; a separator counts only when another field (or `stop`) follows. */
static struct str take_field(struct str *list, struct str separator, bool (*stop)(struct str))
{
	for (size_t i = 0; i + separator.n <= list->n; i++) {
		struct str rest = str_skip(*list, i);
		if (!str_starts(rest, separator))
			continue;
		struct str next = str_trim(str_skip(rest, separator.n));
		if (is_field(next) || (stop != NULL && stop(next))) {
			struct str head = str_head(*list, i);
			*list = next;
			return str_trim(head);
		}
	}
	struct str all = str_trim(*list);
	*list = STR_NONE;
	return all;
}

/* `\t`, `\r`, `\n` stand for themselves; "(x31)" at the end repeats the field. */
static void put_input(struct str field, struct buf *out)
{
	uint64_t times = 1;
	ssize_t at = str_find(field, S("(x"));

	if (at >= 0 && field.p[field.n - 1] == ')') {
		struct str number = str_skip(str_head(field, field.n - 1), (size_t)at + 2);
		if (str_u64(number, 1000, &times))
			field = str_head(field, (size_t)at);
	}
	for (; times > 0; times--) {
		for (size_t i = 0; i < field.n; i++) {
			char next = i + 1 < field.n ? field.p[i + 1] : 0;
			bool escape = field.p[i] == '\\' && (next == 't' || next == 'r' || next == 'n');
			buf_addc(out, !escape ? field.p[i] : next == 't' ? '\t' : next == 'r' ? '\r' : '\n');
			i += escape;
		}
		buf_add(out, S("\r\n"));
	}
}

/* "name: value" in one line, the name in lower case: what may differ without meaning anything. */
static void put_normal(struct str field, struct buf *out)
{
	struct str name, value;

	str_cut(field, ':', &name, &value);
	name = str_trim(name);
	for (size_t i = 0; i < name.n; i++)
		buf_addc(out, chr_lower(name.p[i]));
	buf_add(out, S(": "));
	header_unfold(value, out);
}

struct lister {
	struct arena *arena;
	struct fields *fields;
};

static void list_field(void *arg, const struct header_field *f)
{
	struct lister *l = arg;
	struct buf b;

	buf_init(&b, 1 << 20);
	put_normal(f->raw, &b);
	must(l->fields->n < FIELDS_MAX);
	bool ok = arena_dup(l->arena, buf_str(&b), &l->fields->v[l->fields->n++]);
	must(ok);
	buf_fini(&b);
}

static void list_fields(struct arena *a, struct str header, struct fields *out)
{
	struct lister l = { a, out };
	struct header_scan h;

	out->n = 0;
	header_scan_init(&h, 1 << 20, FIELDS_MAX, STR_NONE);
	h.on_field = list_field;
	h.arg = &l;
	header_scan_add(&h, header);
	header_scan_finish(&h);
	header_scan_fini(&h);
}

/* Takes one that is equal out of the list. */
static bool take_equal(struct fields *from, struct str field)
{
	for (size_t i = 0; i < from->n; i++)
		if (str_eq(from->v[i], field)) {
			from->v[i] = from->v[--from->n];
			return true;
		}
	return false;
}

/* ---- remarks ---- */

static bool is_remark(struct str s)
{
	static const struct str words[] = { STR_LIT("MAIL "),     STR_LIT("class "),      STR_LIT("AuthAs "),
					    STR_LIT("alarm"),     STR_LIT("no "),         STR_LIT("foreign"),
					    STR_LIT("endpoint "), STR_LIT("transparent ") };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_istarts(s, words[i]))
			return true;
	return s.n > 1 && s.p[0] == 'H' && chr_is_digit(s.p[1]) && str_find(s, S("=")) > 0;
}

/* "H3.strip=1" */
static bool count_holds(const struct pass *p, struct str remark)
{
	static const char *const actions[] = { "keep", "strip", "rename", "promote", "demote" };
	struct str group, action, number;
	uint64_t want;

	str_cut(str_word(&remark), '.', &group, &action);
	str_cut(action, '=', &action, &number);
	for (int g = 0; g < GROUP_N; g++)
		for (int a = 0; a < HEADER_ACTION_N; a++)
			if (str_ieq(group, str_c(header_group_name((enum header_group)g))) &&
			    str_eq(action, str_c(actions[a])))
				return str_u64(number, 1000, &want) &&
				       p->in_changes.counts[g][a] + p->wall.out.counts[g][a] == want;
	return false;
}

static bool keeps_foreign_results(const struct pass *p)
{
	static const char foreign[] = "Authentication-Results: mx.other.example; dmarc=pass\r\n";
	struct firewall wall;

	firewall_init(&wall, S("gw.contoso.com"));
	firewall_accept(&wall, &p->in, str_c(foreign));
	bool kept = str_eq(buf_str(&wall.text), str_c(foreign));
	firewall_fini(&wall);
	return kept;
}

static bool remark_holds(const struct pass *p, struct str r)
{
	struct str rest = r;

	if (str_istarts(r, S("alarm")))
		return str_find(r, S("FORGED")) > 0 ? p->in_changes.forged
						    : p->in_changes.counts[GROUP_H12][HEADER_STRIP] > 0;
	if (str_starts(r, S("class ")))
		return (p->in.trust == TRUST_PEER && str_ieq(p->auth_as, S("Internal"))) == (str_find(r, S("INT")) > 0);
	if (str_starts(r, S("AuthAs "))) {
		struct str ours = header_auth_as(p->in.trust, p->in.sender_ours);
		str_word(&rest);
		return str_ieq(str_trim(rest), ours.n > 0 ? ours : p->auth_as);
	}
	if (str_starts(r, S("MAIL has no")))
		return p->claim.n == 0;
	if (str_starts(r, S("MAIL has XOORG=")))
		return str_ieq(str_skip(r, sizeof "MAIL has XOORG=" - 1), p->claim);
	if (str_starts(r, S("foreign")))
		return keeps_foreign_results(p);
	if (str_starts(r, S("endpoint mode adds AuthAs:"))) {
		struct str value = str_trim(str_skip(r, sizeof "endpoint mode adds AuthAs:" - 1));
		return !p->out.endpoint ||
		       (str_find(p->wall.added, S("-AuthAs: ")) >= 0 && str_find(p->wall.added, value) > 0);
	}
	if (r.p[0] == 'H' && str_find(r, S(".")) > 0)
		return count_holds(p, r);
	return true;
}

/* ---- one combination ---- */

static void read_trust(struct str cell, struct pass *p)
{
	struct str text = cell, class = str_word(&text);
	uint64_t n = 0;

	str_u64(str_skip(class, 1), TRUST_N - 1, &n);
	p->in.trust = (enum header_trust)n;
	p->in.sender_ours = str_find(cell, S("foreign")) < 0 && str_find(cell, S("not ours")) < 0;
	p->in.cloud_mail = str_find(cell, S("cloud_mail")) > 0 && str_find(cell, S("cloud_mail=no")) < 0;
	p->peer = p->in.trust == TRUST_PEER;
	if (p->peer && str_find(cell, S("org=")) > 0 && str_find(cell, S("org=ok")) < 0)
		p->in.trust = TRUST_INTERNET;
}

static void run(struct pass *p, struct str message)
{
	static const enum env_origin origins[] = { ENV_INTERNET, ENV_PARTNER, ENV_PEER, ENV_LOCAL, ENV_APP };
	const struct conf_send to_peer = { .peer = true, .xoorg = S("contoso.com") };
	struct envelope env = { .origin = p->peer ? ENV_PEER : origins[p->in.trust],
				.org = p->in.trust == TRUST_PEER ? ENV_ORG_OK : ENV_ORG_OTHER };

	firewall_init(&p->wall, S("gw.contoso.com"));
	firewall_accept(&p->wall, &p->in, message);
	p->in_changes = p->wall.in;
	p->said = p->wall.claim;
	p->auth_as = str_c(p->said.auth_as);
	env.xorg = str_c(p->said.org);
	p->claim = p->out.target == TARGET_PEER ? header_claim_for(&env, &to_peer) : STR_NONE;
	firewall_send(&p->wall, &p->out,
		      &(struct header_added){ .trust = p->in.trust,
					      .sender_ours = p->in.sender_ours,
					      .gateway = S("gw"),
					      .org = p->claim,
					      .trace = S("trace") });
}

/* "unchanged", "(kept)", ... */
static bool is_kept(struct str text)
{
	if (text.n > 0 && text.p[0] == '(')
		text = str_skip(text, 1);
	return str_istarts(text, S("unchanged")) || str_istarts(text, S("kept")) || str_istarts(text, S("keep"));
}

static bool is_all_or_nothing(struct str text)
{
	return is_kept(text) || str_starts(text, S("(")) || str_istarts(text, S("removed"));
}

/* What is expected: the fields, and the remarks behind them. */
static bool read_expected(struct str text, struct arena *a, const struct fields *input, struct fields *want,
			  struct str *remarks)
{
	want->n = 0;
	*remarks = STR_NONE;
	if (is_all_or_nothing(text)) {
		ssize_t end = text.p[0] == '(' ? str_chr(text, ')') : str_chr(text, ';');
		if (is_kept(text))
			*want = *input;
		*remarks = end < 0 ? STR_NONE : str_trim(str_skip(text, (size_t)(end + 1)));
		return true;
	}
	if (str_starts(text, S("one ")))
		text = str_skip(text, 4);
	while (text.n > 0 && is_field(text)) {
		struct str field = take_field(&text, S(" + "), NULL), tail = field;
		struct buf b;
		field = take_field(&tail, S("; "), is_remark);
		ssize_t comment = str_find(field, S(" ("));
		if (comment > 0 && field.p[field.n - 1] == ')')
			field = str_head(field, (size_t)comment);
		if (tail.n > 0)
			*remarks = tail;
		buf_init(&b, 1 << 16);
		put_normal(field, &b);
		bool ok = want->n < FIELDS_MAX && arena_dup(a, buf_str(&b), &want->v[want->n++]);
		must(ok);
		buf_fini(&b);
	}
	return text.n == 0 && want->n > 0;
}

static bool remarks_hold(const struct pass *p, struct str remarks)
{
	while (remarks.n > 0) {
		struct str one;
		str_cut(remarks, ';', &one, &remarks);
		one = str_trim(one);
		if (one.n > 0 && !remark_holds(p, one))
			return false;
	}
	return true;
}

/* What is wanted may be written by us; what is left of the message must be wanted. */
static bool fields_hold(struct pass *p, struct fields want)
{
	struct fields got, added;

	list_fields(&p->wall.arena, str_skip(buf_str(&p->wall.text), p->wall.added.n), &got);
	list_fields(&p->wall.arena, p->wall.added, &added);
	for (size_t i = 0; i < want.n; i++)
		if (!take_equal(&got, want.v[i]) && !take_equal(&added, want.v[i]))
			return false;
	return got.n == 0;
}

static bool check_pass(struct pass *p, struct str message, struct str expected, struct buf *got)
{
	struct fields input, want;
	struct str remarks;
	bool reject = str_starts(expected, S("reject "));

	run(p, message);
	bool too_many = p->wall.received > 30; /* the default of loop.max_hops: R01 */
	if (reject || too_many) {
		buf_add(got, too_many ? S("reject 554 5.4.6") : S("no reject"));
		return reject && too_many && str_starts(expected, S("reject 554 5.4.6"));
	}
	list_fields(&p->wall.arena, message, &input);
	if (read_expected(expected, &p->wall.arena, &input, &want, &remarks) && fields_hold(p, want) &&
	    remarks_hold(p, remarks))
		return true;
	buf_addf(got, "[%d] " STR_FMT " (" STR_FMT " | " STR_FMT ")", p->out.target, STR_ARG(buf_str(&p->wall.text)),
		 STR_ARG(p->in_changes.summary), STR_ARG(p->wall.out.summary));
	return false;
}

static bool covers(struct str cell, const char *value)
{
	return str_eq(cell, S("any")) || str_eq(cell, str_c(value));
}

/* "MAIL FROM:<a@x.example> XOORG=contoso.com": the parameter is offered to the peer only. */
static bool check_mail(const struct vec_row *row, struct str line, struct buf *got)
{
	struct pass p = { 0 };
	struct cmd_mail m;
	struct reply r = { .code = 250 };

	read_trust(vec_get(row, "in_trust"), &p);
	const struct cmd_offer offer = { .xoorg = p.peer };
	struct str args = str_trim(str_skip(line, 4)), bare;
	struct buf full;
	buf_init(&full, 1000);
	if (!str_istarts(args, S("FROM:")))
		buf_add(&full, S("FROM:<a@x.example> "));
	buf_add(&full, args);
	bare = buf_str(&full);
	cmd_parse_mail(bare, &offer, &m, &r);
	buf_addf(got, "%d", r.code);
	buf_fini(&full);
	return str_find(vec_get(row, "expected_output"), S("555")) >= 0 ? r.code == 555 : r.code == 250;
}

static bool check_row(const struct vec_row *row, struct str message, struct buf *got)
{
	static const char *const targets[] = { "X0", "X2", "X3" };
	unsigned tried = 0;
	bool ok = true;

	for (int t = 0; t < TARGET_N; t++)
		for (int endpoint = 0; endpoint < 2; endpoint++) {
			struct pass p = { .out = { .target = (enum header_target)t, .endpoint = endpoint } };
			if (!covers(vec_get(row, "out_target"), targets[t]) ||
			    !covers(vec_get(row, "mode"), endpoint ? "endpoint" : "transparent"))
				continue;
			read_trust(vec_get(row, "in_trust"), &p);
			ok = check_pass(&p, message, vec_get(row, "expected_output"), got) && ok;
			firewall_fini(&p.wall);
			tried++;
		}
	return ok && tried > 0;
}

void vectors_headers(struct vec_file *file)
{
	struct vec_row row;
	struct buf message, got;

	buf_init(&message, 1 << 20);
	buf_init(&got, 1 << 20);
	while (vec_next(file, &row)) {
		struct str list = vec_get(&row, "input_headers"), expected = vec_get(&row, "expected_output");
		buf_reset(&message);
		buf_reset(&got);
		while (list.n > 0) {
			struct str field = take_field(&list, S(";"), NULL);
			/* the token's name in the first draft of the vectors */
			if (str_istarts(field, S("X-Hygate-"))) {
				buf_add(&message, S("X-Tombolo-"));
				field = str_skip(field, sizeof "X-Hygate-" - 1);
			}
			put_input(field, &message);
		}
		struct str input = vec_get(&row, "input_headers");
		bool ok = str_starts(input, S("MAIL ")) ? check_mail(&row, input, &got)
							: check_row(&row, buf_str(&message), &got);
		vec_check(&row, expected, ok ? expected : buf_str(&got));
	}
	buf_fini(&message);
	buf_fini(&got);
}
