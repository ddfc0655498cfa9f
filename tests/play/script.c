/* tests/play/script.c: reads scenarios.  Blocks are cut out by counting braces outside quotes, so that configuration
 * text passes through as written; their lines are then read by the rules of their kind. */
#include "tests/play/script.h"

#include "base/must.h"

#include <string.h>

enum { SCRIPT_BYTES_MAX = 64 << 20, DEPTH_MAX = 4, RANGE_MAX = 100000, ROW_MAX = 8 };

struct reader {
	struct script *s;
	struct str rest;
	int line; /* of rest's first byte */
	int depth;
	struct err *err;
};

static int bad(struct reader *r, int line, const char *what)
{
	return err_set(r->err, ERR_SYNTAX, "script", "%d: %s", line, what);
}

/* ---- bytes ---- */

static bool is_blank(char c)
{
	return chr_is_space(c) || c == '\r';
}

/* Index of the first `what` outside quotes and before a comment, or -1. */
static ssize_t find_outside(struct str s, struct str what)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\') {
			i++;
			continue;
		}
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && str_starts(str_skip(s, i), what))
			return (ssize_t)i;
	}
	return -1;
}

/* Index of the `=>` that parts a line, which has a blank before it (addresses may hold "=>"), or -1. */
static ssize_t find_arrow(struct str s)
{
	for (size_t at = 0;; at++) {
		ssize_t n = find_outside(str_skip(s, at), S("=>"));
		if (n < 0)
			return -1;
		at += (size_t)n;
		if (at > 0 && is_blank(s.p[at - 1]))
			return (ssize_t)at;
	}
}

/* A line without its comment and blanks. */
static struct str strip(struct str line)
{
	bool quoted = false;

	for (size_t i = 0; i < line.n; i++) {
		if (quoted && line.p[i] == '\\')
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && line.p[i] == '#' && (i == 0 || is_blank(line.p[i - 1])))
			line = str_head(line, i);
	}
	while (line.n > 0 && is_blank(line.p[line.n - 1]))
		line.n--;
	while (line.n > 0 && is_blank(line.p[0]))
		line = str_skip(line, 1);
	return line;
}

bool script_quoted(struct str *text, struct str *inside)
{
	struct str s = str_trim(*text);
	size_t i = 1;

	if (s.n == 0 || s.p[0] != '"')
		return false;
	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' ? 2 : 1;
	if (i >= s.n)
		return false;
	*inside = str_skip(str_head(s, i), 1);
	*text = str_skip(s, i + 1);
	return true;
}

static int hex_digit(char c)
{
	c = chr_lower(c);
	return chr_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape at s.p[*i] (the backslash).  Leaves *i on its last byte; -1 when it is none. */
static int unescape_one(struct str s, size_t *i)
{
	static const char names[] = "rnt0\\\"", values[] = "\r\n\t\0\\\"";
	const char *at;

	if (++*i >= s.n)
		return -1;
	if (s.p[*i] == 'x' && *i + 2 < s.n) {
		int high = hex_digit(s.p[*i + 1]), low = hex_digit(s.p[*i + 2]);
		*i += 2;
		return high < 0 || low < 0 ? -1 : high * 16 + low;
	}
	at = strchr(names, s.p[*i]);
	return at == NULL || *at == '\0' ? -1 : (unsigned char)values[at - names];
}

bool script_unescape(struct script *s, struct str quoted, bool lines, struct str *out)
{
	char *to = arena_alloc(&s->memory, quoted.n * 2 + 1);
	size_t n = 0;

	must(to != NULL);
	for (size_t i = 0; i < quoted.n; i++) {
		int c = (unsigned char)quoted.p[i];
		if (c == '\\')
			c = unescape_one(quoted, &i);
		if (c < 0)
			return false;
		if (c == '\n' && lines && (n == 0 || to[n - 1] != '\r'))
			to[n++] = '\r';
		to[n++] = (char)c;
	}
	*out = str_n(to, n);
	return true;
}

/* ---- what is wanted ---- */

bool pattern_match(struct str pattern, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, retry = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			retry = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++retry;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool want_met(const struct want *w, struct str got, struct str *why)
{
	if (w->pattern.p != NULL && !pattern_match(w->pattern, got)) {
		*why = w->pattern;
		return false;
	}
	for (unsigned i = 0; i < w->has_n; i++)
		if (str_find(got, w->has[i]) < 0) {
			*why = w->has[i];
			return false;
		}
	for (unsigned i = 0; i < w->lacks_n; i++)
		if (str_find(got, w->lacks[i]) >= 0) {
			*why = w->lacks[i];
			return false;
		}
	return true;
}

static bool add_part(struct reader *r, struct str *text, struct str *parts, unsigned *n)
{
	struct str inside;

	if (!script_quoted(text, &inside) || *n == WANT_PARTS_MAX)
		return false;
	return script_unescape(r->s, inside, false, &parts[(*n)++]);
}

/* `PATTERN has "a" has "b" lacks "c"`: every part may be missing. */
static int parse_want(struct reader *r, int line, struct str text, struct want *w)
{
	ssize_t has = find_outside(text, S("has \"")), lacks = find_outside(text, S("lacks \""));
	ssize_t first = has < 0 || (lacks >= 0 && lacks < has) ? lacks : has;
	struct str pattern = str_trim(first < 0 ? text : str_head(text, (size_t)first));

	*w = (struct want){ 0 };
	if (pattern.n > 0)
		w->pattern = pattern;
	for (text = first < 0 ? STR_NONE : str_skip(text, (size_t)first); text.n > 0; text = str_trim(text)) {
		struct str word = str_word(&text);
		bool ok = str_eq(word, S("has"))     ? add_part(r, &text, w->has, &w->has_n)
			  : str_eq(word, S("lacks")) ? add_part(r, &text, w->lacks, &w->lacks_n)
						     : false;
		if (!ok)
			return bad(r, line, "expected: [PATTERN] [has \"...\"] [lacks \"...\"]");
	}
	return 0;
}

/* ---- lines and blocks ---- */

static bool next_line(struct reader *r, struct str *line, int *number)
{
	while (r->rest.n > 0) {
		struct str head, tail;
		str_cut(r->rest, '\n', &head, &tail);
		r->rest = tail;
		*number = r->line++;
		*line = strip(head);
		if (line->n > 0)
			return true;
	}
	return false;
}

/* Takes a block off r->rest, which begins behind its "{".  The inside is given as written. */
static int take_block(struct reader *r, struct str *inside)
{
	bool quoted = false;
	int depth = 1, from = r->line;

	for (size_t i = 0; i < r->rest.n; i++) {
		char c = r->rest.p[i];
		if (c == '\n') {
			r->line++;
			quoted = false;
		} else if (quoted && c == '\\') {
			i++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (!quoted && c == '#' && (i == 0 || is_blank(r->rest.p[i - 1]) || r->rest.p[i - 1] == '\n')) {
			while (i + 1 < r->rest.n && r->rest.p[i + 1] != '\n')
				i++;
		} else if (!quoted && (c == '{' || c == '}')) {
			depth += c == '{' ? 1 : -1;
		}
		if (depth == 0) {
			*inside = str_head(r->rest, i);
			r->rest = str_skip(r->rest, i + 1);
			return 0;
		}
	}
	return bad(r, from, "this block is not closed");
}

static bool is_order(struct str word)
{
	return word.n > 0 && word.p[0] >= 'a' && word.p[0] <= 'z';
}

/* A client expects on the right; a sink expects on the left (a pattern over the line, or parts of a body). */
static int parse_step(struct reader *r, struct str line, int number, bool hears_left, struct step *step)
{
	ssize_t arrow = find_arrow(line);
	struct str left = arrow < 0 ? line : str_trim(str_head(line, (size_t)arrow)), rest = left;
	struct str word = str_word(&rest);

	*step = (struct step){ .line = number, .text = left, .answered = arrow >= 0 };
	if (is_order(word)) {
		step->order = word;
		step->text = str_trim(rest);
	}
	if (arrow >= 0)
		step->right = str_trim(str_skip(line, (size_t)arrow + 2));
	if (!hears_left)
		return parse_want(r, number, str_eq(step->order, S("expect")) ? step->text : step->right, &step->want);
	if (step->order.n > 0)
		return parse_want(r, number, step->text, &step->want);
	step->want = (struct want){ .pattern = step->text };
	return 0;
}

static size_t count_lines(struct str s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static int parse_steps(struct reader *outer, struct str text, int line, bool hears_left, struct steps *out)
{
	struct reader r = { .s = outer->s, .rest = text, .line = line, .err = outer->err };
	struct str one;
	bool piped = false;
	int number;

	out->v = arena_alloc(&r.s->memory, count_lines(text) * sizeof *out->v);
	must(out->v != NULL);
	out->n = 0;
	while (next_line(&r, &one, &number)) {
		if (pattern_match(S("pipeline*{"), one)) {
			piped = true;
		} else if (str_eq(one, S("}")) && piped) {
			piped = false;
		} else {
			if (parse_step(&r, one, number, hears_left, &out->v[out->n]) != 0)
				return -1;
			out->v[out->n++].piped = piped;
		}
	}
	return 0;
}

static struct item *add_item(struct script *s, enum item_kind kind, int line)
{
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 32 : s->cap * 2;
		struct item *items = arena_alloc(&s->memory, cap * sizeof *items);
		must(items != NULL);
		if (s->n > 0)
			memcpy(items, s->items, s->n * sizeof *items);
		s->items = items;
		s->cap = cap;
	}
	s->items[s->n] = (struct item){ .kind = kind, .line = line };
	return &s->items[s->n++];
}

static int parse_items(struct reader *r);

/* The next value of `"a b" c` or `1..100`; *text keeps what follows. */
static bool next_value(struct reader *r, struct str *text, struct str *value)
{
	struct str rest = *text, word, from, to;
	uint64_t first, last;

	if (script_quoted(text, value))
		return true;
	word = str_word(&rest);
	ssize_t dots = str_find(word, S(".."));
	if (dots < 0 && word.n > 0) {
		*value = word;
		*text = rest;
		return true;
	}
	from = str_head(word, dots < 0 ? 0 : (size_t)dots);
	to = str_skip(word, (size_t)(dots < 0 ? 0 : dots + 2));
	if (dots < 0 || !str_u64(from, RANGE_MAX, &first) || !str_u64(to, RANGE_MAX, &last) || first > last)
		return false;
	struct buf b;
	buf_init(&b, 64);
	if (first < last)
		buf_addf(&b, "%ju..%ju", first + 1, last);
	bool kept = arena_dup(&r->s->memory, from, value) && arena_dup(&r->s->memory, buf_str(&b), text);
	must(kept);
	buf_fini(&b);
	return true;
}

struct row { /* what the names of a loop stand for in one turn */
	struct str name[ROW_MAX], value[ROW_MAX];
	size_t n;
};

static bool next_row(struct reader *r, struct str *text, struct row *row)
{
	for (size_t i = 0; i < row->n; i++)
		if (!next_value(r, text, &row->value[i]))
			return false;
	return true;
}

/* Is it $name that stands here, whatever follows?  But not a name of the player's own that begins alike. */
static bool names_it(struct str text, struct str name)
{
	return str_starts(text, name) && (name.n >= S("CERTS").n || !str_starts(text, S("CERTS")));
}

/* `text` with each $name replaced by its value as it is written. */
static void substitute(struct str text, const struct row *row, struct buf *out)
{
	for (size_t i = 0; i < text.n;) {
		size_t k = 0;
		while (k < row->n && !(text.p[i] == '$' && names_it(str_skip(text, i + 1), row->name[k])))
			k++;
		if (k < row->n) {
			buf_add(out, row->value[k]);
			i += 1 + row->name[k].n;
		} else {
			buf_addc(out, text.p[i++]);
		}
	}
}

/* The names before `in`, and what `in` offers: the rest of the line, or a block of its own before the loop's. */
static int parse_for_head(struct reader *r, int line, struct str head, struct row *row, struct str *values)
{
	struct str word, rows;
	struct buf flat;

	row->n = 0;
	while (!str_eq(word = str_word(&head), S("in"))) {
		if (word.n == 0 || row->n == ROW_MAX || r->depth == DEPTH_MAX)
			return bad(r, line, "expected: for NAME... in A B ... {  or  in 1..9 {  or  in { rows } {");
		row->name[row->n++] = word;
	}
	*values = str_trim(head);
	if (values->n > 0)
		return 0;
	if (take_block(r, &rows) != 0)
		return -1;
	buf_init(&flat, SCRIPT_BYTES_MAX);
	while (rows.n > 0) {
		str_cut(rows, '\n', &word, &rows);
		buf_add(&flat, strip(word));
		buf_addc(&flat, ' ');
	}
	bool kept = arena_dup(&r->s->memory, str_trim(buf_str(&flat)), values);
	must(kept);
	buf_fini(&flat);
	r->rest = str_trim(r->rest);
	if (!str_starts(r->rest, S("{")))
		return bad(r, line, "expected: { behind the rows of the loop");
	r->rest = str_skip(r->rest, 1);
	return 0;
}

/* `for NAME in a "b c" {`, `in 1..100 {`, or `for NAME OTHER in { rows } {`: the block once for each row of values. */
static int expand_for(struct reader *r, int line, struct str head, struct str *out)
{
	struct str inside, values;
	struct row row;
	struct buf text;

	if (parse_for_head(r, line, head, &row, &values) != 0 || take_block(r, &inside) != 0)
		return -1;
	buf_init(&text, SCRIPT_BYTES_MAX);
	while (next_row(r, &values, &row))
		substitute(inside, &row, &text);
	bool kept = arena_dup(&r->s->memory, buf_str(&text), out);
	must(kept && !text.full);
	buf_fini(&text);
	if (str_trim(values).n > 0)
		return bad(r, line, "a row of the loop is not complete");
	return 0;
}

static int parse_for(struct reader *r, int line, struct str head)
{
	struct reader sub = { .s = r->s, .line = r->line, .depth = r->depth + 1, .err = r->err };

	return expand_for(r, line, head, &sub.rest) != 0 ? -1 : parse_items(&sub);
}

/* Loops inside a block; lines behind one are then counted as if it had been written out. */
static int expand_block(struct reader *outer, struct str text, int line, struct str *out)
{
	struct reader r = { .s = outer->s, .rest = text, .line = line, .depth = outer->depth + 1, .err = outer->err };
	struct buf all;
	struct str head, tail, more;
	int result = 0;

	*out = text;
	if (str_find(text, S("for ")) < 0)
		return 0;
	buf_init(&all, SCRIPT_BYTES_MAX);
	while (r.rest.n > 0 && result == 0) {
		str_cut(r.rest, '\n', &head, &tail);
		struct str clean = strip(head);
		if (!str_starts(clean, S("for ")) || !str_ends(clean, S("{"))) {
			buf_add(&all, head);
			buf_addc(&all, '\n');
			r.rest = tail;
			r.line++;
			continue;
		}
		r.rest = str_skip(r.rest, (size_t)(clean.p + clean.n - r.rest.p));
		result = expand_for(&r, r.line, str_skip(str_head(clean, clean.n - 1), 4), &more);
		if (result == 0)
			buf_add(&all, more);
	}
	bool kept = arena_dup(&r.s->memory, buf_str(&all), out);
	must(kept && !all.full);
	buf_fini(&all);
	return result;
}

static const struct block_kind {
	struct str word;
	enum item_kind kind;
	bool named, has_steps;
} block_kinds[] = {
	{ STR_LIT("config"), ITEM_CONFIG, false, false }, { STR_LIT("recipients"), ITEM_RECIPIENTS, false, false },
	{ STR_LIT("file"), ITEM_FILE, true, false },      { STR_LIT("sink"), ITEM_SINK, true, true },
	{ STR_LIT("client"), ITEM_CLIENT, true, true },   { STR_LIT("wire"), ITEM_WIRE, true, true },
	{ STR_LIT("filter"), ITEM_FILTER, true, true },
};

static int parse_block(struct reader *r, int line, struct str word, struct str head)
{
	for (size_t i = 0; i < sizeof block_kinds / sizeof block_kinds[0]; i++) {
		const struct block_kind *k = &block_kinds[i];
		if (!str_eq(word, k->word))
			continue;
		struct item *item = add_item(r->s, k->kind, line);
		int first = r->line;
		if (k->named)
			item->name = str_word(&head);
		item->options = str_trim(head);
		if (take_block(r, &item->text) != 0 || expand_block(r, item->text, first, &item->text) != 0)
			return -1;
		if (k->named && item->name.n == 0)
			return bad(r, line, "this block needs a name");
		return k->has_steps ? parse_steps(r, item->text, first, k->kind == ITEM_SINK || k->kind == ITEM_FILTER,
						  &item->steps)
				    : 0;
	}
	return word.n > 0 && str_eq(word, S("for")) ? parse_for(r, line, head) : bad(r, line, "no such block");
}

static int parse_line(struct reader *r, int line, struct str text)
{
	struct str rest = text, word = str_word(&rest);
	ssize_t arrow;

	rest = str_trim(rest);
	if (str_eq(word, S("title")))
		return script_quoted(&rest, &r->s->title) ? 0 : bad(r, line, "expected: title \"...\"");
	if (str_eq(word, S("case")))
		return script_quoted(&rest, &add_item(r->s, ITEM_CASE, line)->name)
			       ? 0
			       : bad(r, line, "expected: case \"...\"");
	if (str_eq(word, S("wire"))) {
		add_item(r->s, ITEM_WIRE, line)->name = rest;
		return 0;
	}
	if (str_eq(word, S("clock"))) {
		add_item(r->s, ITEM_CLOCK, line)->text = rest;
		return 0;
	}
	if (str_eq(word, S("expect"))) {
		struct item *item = add_item(r->s, ITEM_EXPECT, line);
		item->name = str_word(&rest);
		item->text = str_trim(rest);
		return parse_want(r, line, item->text, &item->want);
	}
	if (str_eq(word, S("tombolo"))) {
		struct item *item = add_item(r->s, ITEM_TOMBOLO, line);
		arrow = find_arrow(rest);
		item->text = arrow < 0 ? rest : str_trim(str_head(rest, (size_t)arrow));
		item->right = arrow < 0 ? STR_NONE : str_trim(str_skip(rest, (size_t)arrow + 2));
		return parse_want(r, line, item->right, &item->want);
	}
	if (str_eq(word, S("change")) || str_eq(word, S("filter"))) {
		struct item *item = add_item(r->s, word.p[0] == 'c' ? ITEM_CHANGE : ITEM_FILTER, line);
		item->name = str_word(&rest);
		item->options = str_trim(rest);
		return 0;
	}
	for (size_t i = 0; i < 6; i++) {
		static const struct str orders[6] = { STR_LIT("restart"), STR_LIT("kill"),  STR_LIT("reload"),
						      STR_LIT("stop"),    STR_LIT("start"), STR_LIT("dies") };
		if (str_eq(word, orders[i])) {
			struct item *item = add_item(r->s, ITEM_DAEMON, line);
			item->name = word;
			item->text = str_trim(rest);
			return 0;
		}
	}
	return bad(r, line, "unknown word at the beginning of the line");
}

/* Where the next block opens, if that is on this line: everything behind "{" then belongs to the block. */
static bool opens_block(struct reader *r, struct str *head, int *line)
{
	struct str one, tail;

	str_cut(r->rest, '\n', &one, &tail);
	struct str clean = strip(one);
	ssize_t brace = find_outside(clean, S("{"));
	if (brace < 0 || str_starts(clean, S("tombolo ")) || str_starts(clean, S("expect ")))
		return false;
	*head = str_trim(str_head(clean, (size_t)brace));
	*line = r->line;
	r->rest = str_skip(r->rest, (size_t)(clean.p + brace + 1 - r->rest.p));
	return true;
}

static int parse_items(struct reader *r)
{
	struct str text;
	int line;

	while (r->rest.n > 0) {
		if (opens_block(r, &text, &line)) {
			struct str head = text, word = str_word(&head);
			if (parse_block(r, line, word, head) != 0)
				return -1;
			continue;
		}
		struct str one, tail;
		str_cut(r->rest, '\n', &one, &tail);
		r->rest = tail;
		line = r->line++;
		text = strip(one);
		if (text.n > 0 && parse_line(r, line, text) != 0)
			return -1;
	}
	return 0;
}

int script_parse(struct script *s, struct str text, struct err *e)
{
	struct reader r = { .s = s, .rest = text, .line = 1, .err = e };

	*s = (struct script){ 0 };
	arena_init(&s->memory, SCRIPT_BYTES_MAX);
	if (parse_items(&r) != 0) {
		script_fini(s);
		return -1;
	}
	return 0;
}

void script_fini(struct script *s)
{
	arena_fini(&s->memory);
}
