/* queue/where.c: parser and evaluator of the expressions of --where; see the header for the language.
 *
 *   text -> parse_or -> parse_and -> parse_not -> parse_comparison -> nodes in postfix order -> a stack of truth values
 *
 * The program is one block of memory without pointers, so that it is copied by memcpy into an order. */
#include "queue/where.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 64, DEPTH_MAX = 32 };

enum field { F_FROM, F_TO, F_DOMAIN, F_SENDER_DOMAIN, F_HOP, F_LAST, F_AGE, F_SIZE, F_ATTEMPTS, F_STATE };
enum operator{ OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_HAS, OP_LACKS };
enum value_kind { V_ADDRESS, V_DOMAIN, V_TEXT, V_SPAN, V_BYTES, V_COUNT, V_STATE };

static const struct field_word {
	struct str name;
	enum field field;
	enum value_kind kind;
} field_words[] = {
	{ STR_LIT("from"), F_FROM, V_ADDRESS },    { STR_LIT("to"), F_TO, V_ADDRESS },
	{ STR_LIT("domain"), F_DOMAIN, V_DOMAIN }, { STR_LIT("sender-domain"), F_SENDER_DOMAIN, V_DOMAIN },
	{ STR_LIT("hop"), F_HOP, V_DOMAIN },       { STR_LIT("last"), F_LAST, V_TEXT },
	{ STR_LIT("reason"), F_LAST, V_TEXT },     { STR_LIT("age"), F_AGE, V_SPAN },
	{ STR_LIT("size"), F_SIZE, V_BYTES },      { STR_LIT("attempts"), F_ATTEMPTS, V_COUNT },
	{ STR_LIT("state"), F_STATE, V_STATE },
};

/* Longer ones first: "<=" is not "<". */
static const struct operator_word {
	struct str text;
	enum operator op;
} operator_words[] = {
	{ STR_LIT("!="), OP_NE }, { STR_LIT("!~"), OP_LACKS }, { STR_LIT("<="), OP_LE }, { STR_LIT(">="), OP_GE },
	{ STR_LIT("="), OP_EQ },  { STR_LIT("~"), OP_HAS },    { STR_LIT("<"), OP_LT },  { STR_LIT(">"), OP_GT },
};

static const struct str state_words[] = { [QUEUE_ACTIVE] = STR_LIT("active"),
					  [QUEUE_DEFERRED] = STR_LIT("deferred"),
					  [QUEUE_HELD] = STR_LIT("held"),
					  [QUEUE_POISON] = STR_LIT("poison") };

struct node {
	enum node_kind { N_COMPARE, N_NOT, N_AND, N_OR } kind;
	enum field field;
	enum value_kind value;
	enum operator op;
	uint64_t number;       /* numbers and states */
	uint16_t text, text_n; /* texts: where in `texts` */
};

struct queue_where {
	struct node nodes[NODES_MAX]; /* postfix */
	size_t node_n, text_n;
	char texts[QUEUE_WHERE_MAX];
};

/* ---- parsing ---- */

struct parser {
	struct queue_where *w;
	struct str whole, rest;
	unsigned depth;
	struct err *e;
};

static int wrong(struct parser *p, const char *expected)
{
	size_t at = p->whole.n - p->rest.n + 1;

	if (p->rest.n == 0)
		return err_set(p->e, ERR_SYNTAX, "queue.where", "--where: at the end: %s", expected);
	return err_set(p->e, ERR_SYNTAX, "queue.where", "--where: character %zu, \"" STR_FMT "\": %s", at,
		       STR_ARG(str_head(p->rest, 20)), expected);
}

static void skip_blanks(struct parser *p)
{
	while (p->rest.n > 0 && chr_is_space(p->rest.p[0]))
		p->rest = str_skip(p->rest, 1);
}

static bool is_in_name(char c)
{
	return chr_is_alnum(c) || c == '-' || c == '_';
}

static struct str peek_name(const struct parser *p)
{
	size_t n = 0;

	while (n < p->rest.n && is_in_name(p->rest.p[n]))
		n++;
	return str_head(p->rest, n);
}

static bool take_name(struct parser *p, struct str name)
{
	if (!str_ieq(peek_name(p), name))
		return false;
	p->rest = str_skip(p->rest, name.n);
	skip_blanks(p);
	return true;
}

static bool take_char(struct parser *p, char c)
{
	if (p->rest.n == 0 || p->rest.p[0] != c)
		return false;
	p->rest = str_skip(p->rest, 1);
	skip_blanks(p);
	return true;
}

static struct node *add_node(struct parser *p, enum node_kind kind)
{
	struct queue_where *w = p->w;

	if (w->node_n == NODES_MAX)
		return NULL;
	w->nodes[w->node_n] = (struct node){ .kind = kind };
	return &w->nodes[w->node_n++];
}

static int add_connective(struct parser *p, enum node_kind kind)
{
	return add_node(p, kind) != NULL ? 0 : wrong(p, "more than 64 comparisons and connectives before this");
}

/* A bare word, or what stands between two quotes of one kind. */
static int take_value(struct parser *p, struct str *value)
{
	struct str rest = p->rest;
	size_t n = 0;

	if (rest.n > 0 && (rest.p[0] == '"' || rest.p[0] == '\'')) {
		ssize_t end = str_chr(str_skip(rest, 1), rest.p[0]);
		if (end < 0)
			return wrong(p, "this quote is not closed");
		*value = str_head(str_skip(rest, 1), (size_t)end);
		p->rest = str_skip(rest, (size_t)end + 2);
		skip_blanks(p);
		return 0;
	}
	while (n < rest.n && !chr_is_space(rest.p[n]) && rest.p[n] != '(' && rest.p[n] != ')')
		n++;
	if (n == 0)
		return wrong(p, "a value is expected");
	*value = str_head(rest, n);
	p->rest = str_skip(rest, n);
	skip_blanks(p);
	return 0;
}

static bool is_number(enum value_kind k)
{
	return k == V_SPAN || k == V_BYTES || k == V_COUNT;
}

static bool parse_bytes(struct str s, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit = s.n == 0 ? NULL : strchr(units, s.p[s.n - 1] & ~0x20);
	unsigned shift = unit == NULL || *unit == '\0' ? 0 : 10 * (unsigned)(unit - units + 1);
	uint64_t n;

	if (!str_u64(str_head(s, s.n - (shift > 0)), UINT64_MAX >> shift, &n))
		return false;
	*out = n << shift;
	return true;
}

static int read_number(struct parser *p, struct node *n, struct str value)
{
	int64_t ms;
	bool ok = n->value == V_BYTES ? parse_bytes(value, &n->number) : str_u64(value, INT64_MAX, &n->number);

	if (n->value == V_SPAN && (ok = time_parse_span(value, &ms)))
		n->number = (uint64_t)ms;
	return ok ? 0
		  : wrong(p, n->value == V_SPAN    ? "before this, a time like 90m, 2h or 3d is expected"
			     : n->value == V_BYTES ? "before this, a size like 4096, 64K or 10M is expected"
						   : "before this, a number is expected");
}

static int read_state(struct parser *p, struct node *n, struct str value)
{
	for (size_t i = 0; i < sizeof state_words / sizeof state_words[0]; i++)
		if (str_ieq(state_words[i], value)) {
			n->number = i;
			return 0;
		}
	return wrong(p, "before this, one of active, deferred, held, poison is expected");
}

static void keep_text(struct parser *p, struct node *n, struct str value)
{
	struct queue_where *w = p->w;

	must(value.n <= sizeof w->texts - w->text_n); /* all values together are part of the expression */
	n->text = (uint16_t)w->text_n;
	n->text_n = (uint16_t)value.n;
	for (size_t i = 0; i < value.n; i++)
		w->texts[w->text_n++] = chr_lower(value.p[i]);
}

static const struct field_word *take_field(struct parser *p)
{
	for (size_t i = 0; i < sizeof field_words / sizeof field_words[0]; i++)
		if (take_name(p, field_words[i].name))
			return &field_words[i];
	return NULL;
}

static const struct operator_word *take_operator(struct parser *p)
{
	for (size_t i = 0; i < sizeof operator_words / sizeof operator_words[0]; i++)
		if (str_starts(p->rest, operator_words[i].text)) {
			p->rest = str_skip(p->rest, operator_words[i].text.n);
			skip_blanks(p);
			return &operator_words[i];
		}
	return NULL;
}

static bool fits(enum value_kind k, enum operator op)
{
	if (op == OP_EQ || op == OP_NE)
		return true;
	return op == OP_HAS || op == OP_LACKS ? !is_number(k) && k != V_STATE : is_number(k);
}

static int parse_comparison(struct parser *p)
{
	const struct field_word *f = take_field(p);
	const struct operator_word *o;
	struct node *n;
	struct str value;

	if (f == NULL)
		return wrong(p, "one of from, to, domain, sender-domain, hop, last, age, size, attempts, state is "
				"expected, or `not`, or (");
	struct str before = p->rest;
	if ((o = take_operator(p)) == NULL)
		return wrong(p, "one of = != ~ !~ < <= > >= is expected");
	if (!fits(f->kind, o->op)) {
		p->rest = before;
		return wrong(p, is_number(f->kind)   ? "a number is compared by = != < <= > >="
				: f->kind == V_STATE ? "a state is compared by = !="
						     : "a text is compared by = != ~ !~");
	}
	if (take_value(p, &value) != 0)
		return -1;
	if ((n = add_node(p, N_COMPARE)) == NULL)
		return wrong(p, "more than 64 comparisons and connectives before this");
	n->field = f->field;
	n->value = f->kind;
	n->op = o->op;
	if (is_number(f->kind))
		return read_number(p, n, value);
	if (f->kind == V_STATE)
		return read_state(p, n, value);
	keep_text(p, n, value);
	return 0;
}

static int parse_or(struct parser *p);

static int parse_nested(struct parser *p, bool negated)
{
	int rc;

	if (++p->depth > DEPTH_MAX)
		return wrong(p, "parentheses and `not` more than 32 deep");
	if (negated) {
		rc = take_char(p, '(')        ? parse_nested(p, false)
		     : take_name(p, S("not")) ? parse_nested(p, true)
					      : parse_comparison(p);
		if (rc == 0)
			rc = add_connective(p, N_NOT);
	} else {
		rc = parse_or(p);
		if (rc == 0 && !take_char(p, ')'))
			rc = wrong(p, "`and`, `or` or ) is expected");
	}
	p->depth--;
	return rc;
}

static int parse_not(struct parser *p)
{
	if (take_name(p, S("not")))
		return parse_nested(p, true);
	if (take_char(p, '('))
		return parse_nested(p, false);
	return parse_comparison(p);
}

static int parse_and(struct parser *p)
{
	if (parse_not(p) != 0)
		return -1;
	while (take_name(p, S("and")))
		if (parse_not(p) != 0 || add_connective(p, N_AND) != 0)
			return -1;
	return 0;
}

static int parse_or(struct parser *p)
{
	if (parse_and(p) != 0)
		return -1;
	while (take_name(p, S("or")))
		if (parse_and(p) != 0 || add_connective(p, N_OR) != 0)
			return -1;
	return 0;
}

struct queue_where *queue_where_parse(struct str text, struct err *e)
{
	struct queue_where *w = calloc(1, sizeof *w);
	struct parser p = { .w = w, .whole = text, .rest = text, .e = e };

	must(w != NULL);
	if (text.n > QUEUE_WHERE_MAX) {
		err_set(e, ERR_TOO_BIG, "queue.where", "--where: longer than %d bytes", QUEUE_WHERE_MAX);
		queue_where_free(&w);
		return NULL;
	}
	skip_blanks(&p);
	if (parse_or(&p) == 0 && p.rest.n == 0)
		return w;
	if (p.rest.n > 0 && w->node_n > 0 && e != NULL && e->code != ERR_SYNTAX)
		wrong(&p, "`and`, `or` or the end is expected");
	queue_where_free(&w);
	return NULL;
}

void queue_where_free(struct queue_where **w)
{
	free(*w);
	*w = NULL;
}

struct queue_where *queue_where_copy(const struct queue_where *w)
{
	struct queue_where *copy = w == NULL ? NULL : malloc(sizeof *copy);

	must(w == NULL || copy != NULL);
	if (copy != NULL)
		*copy = *w;
	return copy;
}

/* ---- what a row says ---- */

struct str queue_hop_of(struct str last)
{
	struct str word;

	while ((word = str_word(&last)).n > 0) {
		ssize_t at = str_chr(word, '[');
		if (at > 0 && str_chr(word, ']') > at)
			return str_head(word, (size_t)at);
	}
	return STR_NONE;
}

struct str queue_domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
}

static bool has(struct str in, struct str what)
{
	for (size_t i = 0; i + what.n <= in.n; i++)
		if (str_istarts(str_skip(in, i), what))
			return true;
	return false;
}

static bool is_domain(struct str name, struct str pattern)
{
	if (!str_starts(pattern, S("*.")))
		return str_ieq(name, pattern);
	return str_ieq(name, str_skip(pattern, 2)) || str_iends(name, str_skip(pattern, 1));
}

static bool is_address(struct str addr, struct str pattern)
{
	ssize_t at = str_chr(pattern, '@');

	if (at > 0 || pattern.n == 0)
		return str_ieq(addr, pattern);
	return is_domain(queue_domain_of(addr), str_skip(pattern, at == 0));
}

static struct str text_of(const struct queue_row *r, enum field f)
{
	switch (f) {
	case F_FROM:
		return r->from;
	case F_TO:
		return r->rcpt;
	case F_DOMAIN:
		return queue_domain_of(r->rcpt);
	case F_SENDER_DOMAIN:
		return queue_domain_of(r->from);
	case F_HOP:
		return queue_hop_of(r->last);
	default:
		return r->last;
	}
}

static bool text_matches(const struct node *n, struct str value, struct str text)
{
	bool hit = n->op == OP_HAS || n->op == OP_LACKS ? has(text, value)
		   : n->value == V_ADDRESS              ? is_address(text, value)
		   : n->value == V_DOMAIN               ? is_domain(text, value)
							: str_ieq(text, value);

	return hit == (n->op == OP_EQ || n->op == OP_HAS);
}

static uint64_t number_of(const struct queue_row *r, enum field f, int64_t now_ms)
{
	switch (f) {
	case F_AGE:
		return now_ms > r->arrived_ms ? (uint64_t)(now_ms - r->arrived_ms) : 0;
	case F_SIZE:
		return r->size;
	case F_ATTEMPTS:
		return r->attempts;
	default:
		return (uint64_t)r->state;
	}
}

static bool number_matches(enum operator op, uint64_t a, uint64_t b)
{
	switch (op) {
	case OP_EQ:
		return a == b;
	case OP_NE:
		return a != b;
	case OP_LT:
		return a < b;
	case OP_LE:
		return a <= b;
	case OP_GT:
		return a > b;
	default:
		return a >= b;
	}
}

static bool compare(const struct queue_where *w, const struct node *n, const struct queue_row *r, int64_t now_ms)
{
	if (is_number(n->value) || n->value == V_STATE)
		return number_matches(n->op, number_of(r, n->field, now_ms), n->number);
	return text_matches(n, str_n(w->texts + n->text, n->text_n), text_of(r, n->field));
}

bool queue_where_match(const struct queue_where *w, const struct queue_row *r, int64_t now_ms)
{
	bool stack[NODES_MAX] = { false };
	size_t n = 0;

	for (const struct node *node = w->nodes; node < w->nodes + w->node_n; node++) {
		if (node->kind == N_COMPARE) {
			stack[n++] = compare(w, node, r, now_ms);
		} else if (node->kind == N_NOT) {
			stack[n - 1] = !stack[n - 1];
		} else {
			n--;
			stack[n - 1] = node->kind == N_AND ? stack[n - 1] && stack[n] : stack[n - 1] || stack[n];
		}
	}
	must(n == 1);
	return stack[0];
}
