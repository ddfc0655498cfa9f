/* wire/milter.c: milter packets as bytes; see the header. */
#include "wire/milter.h"

#include "base/must.h"

#include <string.h>

enum { HEAD = 4 };

static const struct stage {
	const char *name;
	enum milter_command command;
	uint32_t leave_out, no_answer;
	int list; /* the protocol's number of its macro list, -1 = it has none */
} stages[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = { "connect", MILTER_CONNECT, 0x1, 0x1000, 0 },
	[MILTER_AT_HELO] = { "helo", MILTER_HELO, 0x2, 0x2000, 1 },
	[MILTER_AT_MAIL] = { "mail", MILTER_MAIL, 0x4, 0x4000, 2 },
	[MILTER_AT_RCPT] = { "rcpt", MILTER_RCPT, 0x8, 0x8000, 3 },
	[MILTER_AT_DATA] = { "data", MILTER_DATA, 0x200, 0x10000, 4 },
	[MILTER_AT_HEADER] = { "header", MILTER_HEADER, 0x20, 0x80, -1 },
	[MILTER_AT_EOH] = { "end of header", MILTER_EOH, 0x40, 0x40000, 6 },
	[MILTER_AT_BODY] = { "body", MILTER_BODY, 0x10, 0x80000, -1 },
	[MILTER_AT_END] = { "end of message", MILTER_END, 0, 0, 5 },
	[MILTER_AT_UNKNOWN] = { "unknown command", MILTER_UNKNOWN, 0x100, 0x20000, -1 },
};

enum shape { SHAPE_BARE, SHAPE_TEXT, SHAPE_TEXT_MAYBE_TEXT, SHAPE_TWO_TEXTS, SHAPE_INDEXED, SHAPE_BYTES };

static const struct answer {
	enum milter_answer kind;
	const char *name;
	enum shape shape;
	uint32_t action;
} answers[] = {
	{ MILTER_ACCEPT, "accept", SHAPE_BARE, 0 },
	{ MILTER_CONTINUE, "continue", SHAPE_BARE, 0 },
	{ MILTER_DISCARD, "discard", SHAPE_BARE, 0 },
	{ MILTER_CONN_FAIL, "connection failure", SHAPE_BARE, 0 },
	{ MILTER_REJECT, "reject", SHAPE_BARE, 0 },
	{ MILTER_SKIP, "skip", SHAPE_BARE, 0 },
	{ MILTER_TEMPFAIL, "tempfail", SHAPE_BARE, 0 },
	{ MILTER_REPLY, "reply", SHAPE_TEXT, 0 },
	{ MILTER_SHUTDOWN, "shutdown", SHAPE_BARE, 0 },
	{ MILTER_PROGRESS, "progress", SHAPE_BARE, 0 },
	{ MILTER_ADD_RCPT, "add recipient", SHAPE_TEXT, MILTER_MAY_ADD_RCPTS },
	{ MILTER_ADD_RCPT_PAR, "add recipient with parameters", SHAPE_TEXT_MAYBE_TEXT, MILTER_MAY_ADD_RCPTS_PAR },
	{ MILTER_DEL_RCPT, "remove recipient", SHAPE_TEXT, MILTER_MAY_DEL_RCPTS },
	{ MILTER_CHANGE_FROM, "change sender", SHAPE_TEXT_MAYBE_TEXT, MILTER_MAY_CHANGE_FROM },
	{ MILTER_ADD_HEADER, "add header", SHAPE_TWO_TEXTS, MILTER_MAY_ADD_HEADERS },
	{ MILTER_INSERT_HEADER, "insert header", SHAPE_INDEXED, MILTER_MAY_CHANGE_HEADERS | MILTER_MAY_ADD_HEADERS },
	{ MILTER_CHANGE_HEADER, "change header", SHAPE_INDEXED, MILTER_MAY_CHANGE_HEADERS },
	{ MILTER_REPLACE_BODY, "replace body", SHAPE_BYTES, MILTER_MAY_REPLACE_BODY },
	{ MILTER_QUARANTINE, "quarantine", SHAPE_TEXT, MILTER_MAY_QUARANTINE },
};

enum milter_command milter_stage_command(enum milter_stage s)
{
	return stages[s].command;
}

const char *milter_stage_name(enum milter_stage s)
{
	return stages[s].name;
}

uint32_t milter_no_stage(enum milter_stage s)
{
	return stages[s].leave_out;
}

uint32_t milter_no_answer(enum milter_stage s)
{
	return stages[s].no_answer;
}

/* ---- packets ---- */

static uint32_t peek32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void poke32(char *p, uint32_t v)
{
	p[0] = (char)(v >> 24), p[1] = (char)(v >> 16), p[2] = (char)(v >> 8), p[3] = (char)v;
}

ssize_t milter_next(struct str in, struct milter_packet *out)
{
	if (in.n < HEAD)
		return 0;
	uint32_t n = peek32(in.p);
	if (n == 0 || n > MILTER_PACKET_MAX)
		return -1;
	if (in.n < HEAD + (size_t)n)
		return 0;
	*out = (struct milter_packet){ .kind = in.p[HEAD], .data = str_n(in.p + HEAD + 1, n - 1) };
	return (ssize_t)HEAD + (ssize_t)n;
}

size_t milter_begin(struct buf *b, char kind)
{
	size_t at = b->n;

	milter_put_u32(b, 0);
	buf_addc(b, kind);
	return at;
}

void milter_end(struct buf *b, size_t at)
{
	if (b->full)
		return;
	must(b->n >= at + HEAD + 1 && b->n - at - HEAD <= MILTER_PACKET_MAX);
	poke32(b->p + at, (uint32_t)(b->n - at - HEAD));
}

void milter_put_text(struct buf *b, struct str text)
{
	ssize_t nul = str_chr(text, '\0');

	buf_add(b, nul < 0 ? text : str_head(text, (size_t)nul));
	buf_addc(b, '\0');
}

void milter_put_u32(struct buf *b, uint32_t v)
{
	char raw[4];

	poke32(raw, v);
	buf_add(b, str_n(raw, sizeof raw));
}

void milter_put_texts(struct buf *b, char kind, const struct str *texts, size_t n)
{
	size_t at = milter_begin(b, kind);

	for (size_t i = 0; i < n; i++)
		milter_put_text(b, texts[i]);
	milter_end(b, at);
}

void milter_put_bare(struct buf *b, char kind)
{
	milter_put_texts(b, kind, NULL, 0);
}

bool milter_get_text(struct str *data, struct str *text)
{
	ssize_t nul = str_chr(*data, '\0');

	if (nul < 0)
		return false;
	*text = str_head(*data, (size_t)nul);
	*data = str_skip(*data, (size_t)nul + 1);
	return true;
}

bool milter_get_u32(struct str *data, uint32_t *v)
{
	if (data->n < 4)
		return false;
	*v = peek32(data->p);
	*data = str_skip(*data, 4);
	return true;
}

/* ---- options ---- */

void milter_put_options(struct buf *b, const struct milter_options *o)
{
	size_t at = milter_begin(b, MILTER_OPTIONS);

	milter_put_u32(b, o->version);
	milter_put_u32(b, o->actions);
	milter_put_u32(b, o->protocol);
	for (uint32_t i = 0; i < MILTER_MACRO_LISTS; i++)
		if (o->macros[i].p != NULL) {
			milter_put_u32(b, i);
			milter_put_text(b, o->macros[i]);
		}
	milter_end(b, at);
}

bool milter_get_options(struct str data, struct milter_options *o)
{
	uint32_t list;

	*o = (struct milter_options){ 0 };
	if (!milter_get_u32(&data, &o->version) || !milter_get_u32(&data, &o->actions) ||
	    !milter_get_u32(&data, &o->protocol))
		return false;
	while (data.n > 0) {
		struct str names;
		if (!milter_get_u32(&data, &list) || list >= MILTER_MACRO_LISTS || !milter_get_text(&data, &names))
			return false;
		o->macros[list] = names;
	}
	return true;
}

const char *milter_options_refused(const struct milter_options *offered, const struct milter_options *answer)
{
	if (answer->version < MILTER_VERSION_MIN || answer->version > offered->version)
		return "it speaks another version of the protocol";
	if (answer->actions & ~offered->actions)
		return "it wants actions that were not offered";
	if (answer->protocol & ~offered->protocol)
		return "it wants protocol steps that were not offered";
	return NULL;
}

struct str milter_macro_list(const struct milter_options *o, enum milter_stage s)
{
	return stages[s].list < 0 ? STR_NONE : o->macros[stages[s].list];
}

/* ---- answers ---- */

static const struct answer *answer_row(int kind)
{
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		if ((int)answers[i].kind == kind)
			return &answers[i];
	return NULL;
}

bool milter_get_answer(const struct milter_packet *p, struct milter_answer_parts *out)
{
	const struct answer *row = answer_row(p->kind);
	struct str data = p->data;

	if (row == NULL)
		return false;
	*out = (struct milter_answer_parts){ .kind = row->kind };
	switch (row->shape) {
	case SHAPE_BARE:
		break;
	case SHAPE_TEXT:
		if (!milter_get_text(&data, &out->name))
			return false;
		break;
	case SHAPE_TEXT_MAYBE_TEXT:
		if (!milter_get_text(&data, &out->name) || (data.n > 0 && !milter_get_text(&data, &out->value)))
			return false;
		break;
	case SHAPE_INDEXED:
		if (!milter_get_u32(&data, &out->index))
			return false;
		/* fall through */
	case SHAPE_TWO_TEXTS:
		if (!milter_get_text(&data, &out->name) || !milter_get_text(&data, &out->value))
			return false;
		break;
	case SHAPE_BYTES:
		out->name = data;
		return true;
	}
	return data.n == 0;
}

uint32_t milter_action_of(enum milter_answer a)
{
	const struct answer *row = answer_row((int)a);

	return row == NULL ? 0 : row->action;
}

bool milter_is_request(enum milter_answer a)
{
	return milter_action_of(a) != 0;
}

const char *milter_answer_name(enum milter_answer a)
{
	const struct answer *row = answer_row((int)a);

	return row == NULL ? "?" : row->name;
}

/* ---- replies ---- */

static bool line_code(struct str line, uint64_t *code)
{
	return str_u64(str_head(line, 3), 599, code) && *code >= 400 &&
	       (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

static void put_words(struct buf *to, struct str words)
{
	for (size_t i = 0; i < words.n; i++) {
		char c = words.p[i];
		if (c == '%' && i + 1 < words.n && words.p[i + 1] == '%')
			i++;
		buf_addc(to, c == '\t' ? ' ' : chr_is_ctl(c) || chr_is_8bit(c) ? '?' : c);
	}
}

bool milter_get_reply(struct str in, struct reply *out, struct buf *text)
{
	struct reply r = { 0 };
	uint64_t code;

	buf_reset(text);
	while (in.n > 0 || r.code == 0) {
		struct str line, rest, words, enhanced;
		unsigned char class;
		unsigned short subject, detail;
		str_cut(in, '\n', &line, &in);
		if (str_ends(line, S("\r")))
			line = str_head(line, line.n - 1);
		if (!line_code(line, &code) || (r.code != 0 && (int)code != r.code))
			return false;
		rest = words = str_trim(str_skip(line, 4));
		enhanced = str_word(&words);
		if (reply_parse_enhanced(enhanced, &class, &subject, &detail)) {
			rest = str_trim(words);
			if (r.class == 0 && class == code / 100)
				r.class = class, r.subject = subject, r.detail = detail;
		}
		r.code = (int)code;
		if (text->n > 0 && rest.n > 0)
			buf_addc(text, '\n');
		put_words(text, rest);
	}
	r.text = buf_str(text);
	*out = r;
	return !text->full;
}
