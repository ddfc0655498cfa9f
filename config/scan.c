/* config/scan.c: tokens, then statements by recursive descent.  Sections do not nest; that it goes deeper than one is
 * only to find the end of what is wrong. */
#include "config/scan.h"

#include "base/must.h"

#include <string.h>

enum { NESTING_MAX = 16 }; /* braces within braces of sections that do not exist */

enum token_type { T_END, T_WORD, T_STRING, T_OPEN, T_CLOSE, T_EQUALS, T_COMMA };

struct token {
	enum token_type type;
	struct str text; /* of a string: without the quotes, escapes as written */
	size_t at, end;  /* in the file */
	int line;
	bool bad; /* reported already: what it belongs to is not kept */
};

struct scanner {
	struct str in;
	size_t at;
	int line;
	struct token t; /* the one to look at */
	struct arena *arena;
	struct report *r;
	struct scan *out;
};

/* ---- tokens ---- */

static void blank(struct scanner *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (s->out->text[i] != '\n')
			s->out->text[i] = ' ';
}

static bool looking_at(const struct scanner *s, struct str what)
{
	return str_starts(str_skip(s->in, s->at), what);
}

static void skip_line(struct scanner *s)
{
	while (s->at < s->in.n && s->in.p[s->at] != '\n')
		s->at++;
}

static void skip_long_comment(struct scanner *s)
{
	int opened = s->line;

	for (s->at += 2; s->at < s->in.n; s->at++) {
		if (looking_at(s, S("*/"))) {
			s->at += 2;
			return;
		}
		if (s->in.p[s->at] == '\n')
			s->line++;
	}
	report_error(s->r, opened, "the comment is never closed");
}

/* Comments are blanked too: then nothing in one can be more to libconfuse than it is here. */
static void skip_space(struct scanner *s)
{
	while (s->at < s->in.n) {
		size_t from = s->at;
		char c = s->in.p[s->at];

		if (c == '\n')
			s->line++, s->at++;
		else if (c == ' ' || c == '\t' || c == '\r' || c == ';')
			s->at++;
		else if (c == '#' || looking_at(s, S("//")))
			skip_line(s);
		else if (looking_at(s, S("/*")))
			skip_long_comment(s);
		else
			return;
		blank(s, from, s->at);
	}
}

static bool is_word_end(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || strchr("\"'#{}=,", c) != NULL;
}

/* What libconfuse gives another meaning, or drops, outside of quotes. */
static void check_word(struct scanner *s, struct str word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];
		if (chr_is_alnum(c) || chr_is_8bit(c) || strchr("._-/:;@[]<>%!?&|~^", c) != NULL)
			continue;
		report_error(s->r, s->line, "'" STR_FMT "' needs quotes around it", STR_ARG(word));
		s->t.bad = true;
		return;
	}
}

static void take_word(struct scanner *s)
{
	size_t from = s->at;

	while (s->at < s->in.n && !is_word_end(s->in.p[s->at]))
		s->at++;
	size_t end = s->at;
	while (end > from && s->in.p[end - 1] == ';')
		end--;
	blank(s, end, s->at);
	s->t.type = T_WORD;
	s->t.end = end;
	s->t.text = str_n(s->in.p + from, end - from);
	check_word(s, s->t.text);
}

/* Strings end on their line, so that a forgotten quote is found where it is. */
static void take_string(struct scanner *s, char quote)
{
	size_t from = ++s->at;
	const char *why = NULL;

	while (s->at < s->in.n && s->in.p[s->at] != '\n' && s->in.p[s->at] != quote) {
		struct str rest = str_skip(s->in, s->at);
		bool escape = quote == '"' && (str_starts(rest, S("\\\"")) || str_starts(rest, S("\\\\")));
		if (rest.p[0] == '\\' && !escape)
			why = "in \"strings\" write \\\" and \\\\, in 'strings' no backslash at all";
		if (str_starts(rest, S("${")))
			why = "\"${\" is not allowed: there are no variables here";
		if (chr_is_ctl(rest.p[0]))
			why = "a control character in a string";
		s->at += escape ? 2 : 1;
	}
	s->t.type = T_STRING;
	s->t.text = str_n(s->in.p + from, s->at - from);
	if (s->at >= s->in.n || s->in.p[s->at] != quote)
		why = "the string is not closed on its line";
	else
		s->at++;
	s->t.end = s->at;
	s->t.bad = why != NULL;
	if (why != NULL)
		report_error(s->r, s->line, "%s", why);
}

static void advance(struct scanner *s)
{
	static const char marks[] = "{}=,";
	static const enum token_type types[] = { T_OPEN, T_CLOSE, T_EQUALS, T_COMMA };

	skip_space(s);
	s->t = (struct token){ .type = T_END, .at = s->at, .end = s->at, .line = s->line };
	if (s->at >= s->in.n)
		return;
	char c = s->in.p[s->at];
	const char *mark = strchr(marks, c);
	if (c == '"' || c == '\'') {
		take_string(s, c);
	} else if (mark != NULL) {
		s->t.type = types[mark - marks];
		s->t.text = str_n(s->in.p + s->at, 1);
		s->t.end = ++s->at;
	} else {
		take_word(s);
	}
}

static bool at_value(const struct scanner *s)
{
	return s->t.type == T_WORD || s->t.type == T_STRING;
}

/* ---- names ---- */

/* A slip of the finger: the same but for two letters in one place. */
static bool is_near(struct str a, struct str b)
{
	size_t head = 0, tail = 0;

	while (head < a.n && head < b.n && a.p[head] == b.p[head])
		head++;
	while (tail < a.n - head && tail < b.n - head && a.p[a.n - 1 - tail] == b.p[b.n - 1 - tail])
		tail++;
	size_t da = a.n - head - tail, db = b.n - head - tail; /* what differs in the middle */
	return da <= 2 && db <= 2 && head + tail >= 2;
}

static bool is_related(struct str unknown, struct str known)
{
	return is_near(unknown, known) ||
	       (unknown.n >= 3 && known.n >= 3 && (str_find(known, unknown) >= 0 || str_find(unknown, known) >= 0));
}

static void unknown_option(struct scanner *s, const struct section *in, const struct token *name)
{
	const char *guess = NULL, *where = in->name[0] != '\0' ? " in " : "";

	for (size_t i = 0; i < in->option_n && guess == NULL; i++)
		if (is_near(name->text, str_c(in->options[i].name)))
			guess = in->options[i].name;
	for (size_t i = 0; i < in->option_n && guess == NULL; i++)
		if (is_related(name->text, str_c(in->options[i].name)))
			guess = in->options[i].name;
	report_error(s->r, name->line, "unknown option '" STR_FMT "'%s%s%s%s%s", STR_ARG(name->text), where, in->name,
		     guess != NULL ? ", did you mean '" : "", guess != NULL ? guess : "", guess != NULL ? "'?" : "");
}

static void unknown_section(struct scanner *s, const struct token *name)
{
	const char *guess = NULL;

	for (size_t i = 1; i < section_n && guess == NULL; i++)
		if (is_related(name->text, str_c(sections[i].name)))
			guess = sections[i].name;
	report_error(s->r, name->line, "unknown section '" STR_FMT "'%s%s%s", STR_ARG(name->text),
		     guess != NULL ? ", did you mean '" : "", guess != NULL ? guess : "", guess != NULL ? "'?" : "");
}

/* ---- items ---- */

static struct scan_items *items_of(struct scan *out, const struct section *sec)
{
	return &out->by[sec - sections];
}

static struct scan_item *item_add(struct scanner *s, const struct section *sec, struct str title, int line)
{
	struct scan_items *items = items_of(s->out, sec);
	struct scan_item *item = arena_alloc(s->arena, sizeof *item);

	if (items->n == items->cap) {
		size_t cap = items->cap == 0 ? 8 : items->cap * 2;
		struct scan_item **v = arena_alloc(s->arena, cap * sizeof(struct scan_item *));
		must(v != NULL);
		if (items->n > 0)
			memcpy(v, items->v, items->n * sizeof(struct scan_item *));
		items->v = v;
		items->cap = cap;
	}
	must(item != NULL);
	*item = (struct scan_item){ .section = sec, .title = title, .line = line };
	items->v[items->n++] = item;
	return item;
}

/* The item a section header opens: NULL when its contents are to be checked but not kept. */
static struct scan_item *item_open(struct scanner *s, const struct section *sec, const struct token *title, int line)
{
	struct scan_items *items = items_of(s->out, sec);

	if (sec->size == 0 && items->n > 0) {
		report_error(s->r, line, "section '%s' is here again, it began at line %d", sec->name,
			     items->v[0]->line);
		return NULL;
	}
	for (size_t i = 0; sec->size > 0 && i < items->n; i++) {
		if (str_eq(items->v[i]->title, title->text)) {
			report_error(s->r, line, "%s \"" STR_FMT "\" is here again, it began at line %d", sec->name,
				     STR_ARG(title->text), items->v[i]->line);
			return NULL;
		}
	}
	return item_add(s, sec, title->text, line);
}

/* ---- statements ---- */

/* After a mistake: on to the next line, but past every brace opened on the way and not past the end of the section. */
static void resync(struct scanner *s, int line)
{
	unsigned depth = 0;

	while (s->t.type != T_END && (depth > 0 || (s->t.type != T_CLOSE && s->t.line <= line))) {
		depth += s->t.type == T_OPEN;
		depth -= s->t.type == T_CLOSE;
		advance(s);
	}
}

/* Inside of a list nothing was found that continues it. */
static bool list_broken(struct scanner *s, int opened, int line)
{
	if (s->t.type == T_END || s->t.type == T_EQUALS || s->t.line > line) {
		report_error(s->r, opened, "the list is never closed");
		if (s->t.type == T_EQUALS)
			resync(s, s->t.line);
		return false;
	}
	report_error(s->r, s->t.line,
		     at_value(s) ? "a ',' is missing before '" STR_FMT "'" : "unexpected '" STR_FMT "'",
		     STR_ARG(s->t.text));
	while (s->t.type != T_END && s->t.type != T_CLOSE)
		advance(s);
	if (s->t.type == T_CLOSE)
		advance(s);
	return false;
}

/* At '{'.  Ends behind '}'. */
static bool take_list(struct scanner *s)
{
	int opened = s->t.line, line = opened;
	bool ok = true;

	advance(s);
	while (s->t.type != T_CLOSE) {
		if (!at_value(s))
			return list_broken(s, opened, line);
		ok = ok && !s->t.bad;
		line = s->t.line;
		advance(s);
		if (s->t.type == T_COMMA)
			advance(s);
		else if (s->t.type != T_CLOSE)
			return list_broken(s, opened, line);
	}
	advance(s);
	return ok;
}

/* At '='.  Ends behind the value. */
static bool take_value(struct scanner *s, const struct option *o, const struct token *name)
{
	advance(s);
	if (s->t.type == T_OPEN && s->t.line == name->line) {
		if (!take_list(s))
			return false;
		if (o != NULL && o->type != OPT_LIST)
			report_error(s->r, name->line, "%s takes one value, not a list", o->name);
		return o == NULL || o->type == OPT_LIST;
	}
	if (!at_value(s) || s->t.line != name->line) {
		report_error(s->r, name->line, "a value is missing after '" STR_FMT " ='", STR_ARG(name->text));
		resync(s, name->line);
		return false;
	}
	int line = s->t.line;
	bool ok = !s->t.bad;
	advance(s);
	if (s->t.type == T_COMMA) {
		report_error(s->r, line, "a list of several values is written { a, b }");
		resync(s, line);
		return false;
	}
	return ok;
}

/* `item` is NULL where nothing is kept, `in` where nothing is known. */
static void take_option(struct scanner *s, const struct token *name, const struct section *in, struct scan_item *item)
{
	const struct option *o = in == NULL ? NULL : option_find(in, name->text);
	bool ok = o != NULL;

	if (in != NULL && o == NULL) {
		if (section_find(name->text) != NULL && name->text.n > 0)
			report_error(s->r, name->line, "'" STR_FMT "' is a section: write " STR_FMT " { ... }",
				     STR_ARG(name->text), STR_ARG(name->text));
		else
			unknown_option(s, in, name);
	}
	ok = take_value(s, o, name) && ok;
	if (ok && item != NULL) {
		int *line = &item->lines[o - in->options];
		if (*line != 0) {
			report_error(s->r, name->line, "'%s' is here again, it was given at line %d", o->name, *line);
			ok = false;
		} else {
			*line = name->line;
		}
	}
	if (!ok)
		blank(s, name->at, s->t.at);
}

static bool take_statements(struct scanner *s, const struct section *in, struct scan_item *item, unsigned depth);

/* At the '{'.  The title's type is T_END when none was written. */
static void take_section(struct scanner *s, const struct token *name, const struct token *title, unsigned depth)
{
	const struct section *sec = name->text.n > 0 ? section_find(name->text) : NULL;
	struct scan_item *item = NULL;

	if (sec == NULL)
		unknown_section(s, name);
	else if (sec->size > 0 && (title->type == T_END || title->text.n == 0))
		report_error(s->r, name->line, "%s needs a name: write %s \"NAME\" { ... }", sec->name, sec->name);
	else if (sec->size == 0 && title->type != T_END)
		report_error(s->r, name->line, "section '%s' takes no name", sec->name);
	else if (!title->bad)
		item = item_open(s, sec, title, name->line);
	advance(s);
	bool closed = take_statements(s, sec, item, depth + 1);
	if (s->t.type == T_CLOSE) {
		advance(s);
	} else if (closed) {
		report_error(s->r, name->line, "the section '" STR_FMT "' is never closed", STR_ARG(name->text));
		s->out->broken = true;
	}
	if (item == NULL)
		blank(s, name->at, s->t.at);
}

static void bad_statement(struct scanner *s, const struct token *at)
{
	if (at->type == T_CLOSE) {
		report_error(s->r, at->line, "this '}' closes nothing");
	} else {
		if (at->type == T_WORD)
			report_error(s->r, at->line, "a '=' or a '{' is missing after '" STR_FMT "'",
				     STR_ARG(at->text));
		else
			report_error(s->r, at->line, "unexpected '" STR_FMT "'", STR_ARG(at->text));
		resync(s, at->line);
	}
	blank(s, at->at, s->t.at);
}

/* A section within a section: either its '}' was forgotten, which is said once, or it is one we do not know. */
static bool check_nesting(struct scanner *s, const struct token *name, unsigned depth, bool closed)
{
	if (depth == 0 || (section_find(name->text) == NULL && depth < NESTING_MAX))
		return closed;
	s->out->broken = true;
	if (depth == NESTING_MAX) {
		report_error(s->r, name->line, "too many '{' without '}'");
		s->at = s->in.n;
		s->t = (struct token){ .type = T_END, .at = s->at, .line = name->line };
		return false;
	}
	if (closed)
		report_error(s->r, name->line, "a '}' is missing before section '" STR_FMT "'", STR_ARG(name->text));
	return false;
}

/* Up to the '}' of the section, or the end.  Returns false when a missing '}' was reported already. */
static bool take_statements(struct scanner *s, const struct section *in, struct scan_item *item, unsigned depth)
{
	bool closed = true;

	while (s->t.type != T_END && (depth == 0 || s->t.type != T_CLOSE)) {
		struct token name = s->t, title = { .type = T_END };

		advance(s);
		if (name.type == T_WORD && at_value(s) && s->t.line == name.line) {
			title = s->t;
			advance(s);
		}
		if (name.type == T_WORD && s->t.type == T_EQUALS && title.type == T_END) {
			take_option(s, &name, in, item);
		} else if (name.type == T_WORD && s->t.type == T_OPEN) {
			closed = check_nesting(s, &name, depth, closed);
			if (s->t.type == T_OPEN)
				take_section(s, &name, &title, depth);
		} else {
			bad_statement(s, &name);
		}
	}
	return closed;
}

void scan_text(struct str text, struct arena *a, struct report *r, struct scan *out)
{
	struct scanner s = { .in = text, .line = 1, .arena = a, .r = r, .out = out };

	must(str_chr(text, '\0') < 0);
	*out = (struct scan){ .text = arena_alloc(a, text.n + 1),
			      .by = arena_alloc(a, section_n * sizeof(struct scan_items)) };
	must(out->text != NULL && out->by != NULL);
	if (text.n > 0)
		memcpy(out->text, text.p, text.n);
	advance(&s);
	take_statements(&s, &sections[0], item_add(&s, &sections[0], STR_NONE, 1), 0);
}

int scan_line(const struct scan_item *item, const char *option)
{
	const struct option *o = option_find(item->section, str_c(option));

	must(o != NULL);
	return item->lines[o - item->section->options];
}

const struct scan_item *scan_item(const struct scan *scan, const struct section *s, size_t i)
{
	const struct scan_items *items = &scan->by[s - sections];

	return i < items->n ? items->v[i] : NULL;
}
