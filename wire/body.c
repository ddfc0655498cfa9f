/* wire/body.c: message content on the wire, both ways.
 *
 * Decoder (body_in_next); every byte but a withheld "." or ". CR" is content the moment it is seen:
 *
 *   LINE_START --"."--> DOT --CR--> DOT_CR --LF--> END
 *      |  ^              |            |
 *   else  CR LF        else         else   (the dot was stuffing; a withheld CR is content)
 *      v  |              v            v
 *     TEXT <---CR---> CR  ------------+
 *
 * Ordinary text costs two memchr a line and one pass for NUL and 8-bit over runs that are as long as the input. */
#include "wire/body.h"

#include "base/must.h"

#include <string.h>

/* ---- line ends ---- */

struct line_ends {
	bool last_cr; /* the byte before was a CR that has not met its LF */
	bool bare_cr, bare_lf;
};

/* Walks from `p` to behind the next CRLF and returns that place, or NULL when there is none before `end`. */
static const char *find_crlf(struct line_ends *e, const char *p, const char *end)
{
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf != NULL ? lf : end;
		if (stop > p) {
			const char *cr = e->bare_cr ? NULL : memchr(p, '\r', (size_t)(stop - p));
			e->bare_cr |= e->last_cr || (cr != NULL && cr != stop - 1);
			e->last_cr = stop[-1] == '\r';
		}
		if (lf == NULL)
			return NULL;
		p = lf + 1;
		if (e->last_cr) {
			e->last_cr = false;
			return p;
		}
		e->bare_lf = true;
	}
	return NULL;
}

/* True when some byte has its top bit set; eight bytes at a step. */
static bool any_8bit(struct str s)
{
	uint64_t all = 0, word;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&word, s.p + i, 8);
		all |= word;
	}
	for (; i < s.n; i++)
		all |= (unsigned char)s.p[i];
	return (all & 0x8080808080808080U) != 0;
}

static void judge_bytes(struct str s, bool *nul, bool *has_8bit)
{
	*nul = *nul || str_chr(s, '\0') >= 0;
	*has_8bit = *has_8bit || any_8bit(s);
}

/* ---- DATA, incoming ---- */

struct sink {
	struct body_in *body;
	void (*out)(void *arg, struct str run);
	void *arg;
};

static void give(const struct sink *to, const char *from, const char *until)
{
	struct str run = { from, (size_t)(until - from) };

	if (run.n == 0)
		return;
	judge_bytes(run, &to->body->nul, &to->body->has_8bit);
	to->out(to->arg, run);
}

void body_in_init(struct body_in *b)
{
	*b = (struct body_in){ .state = BODY_LINE_START, .at_line_start = true };
}

/* Text from `p` on, over as many lines as it goes: stops at `end`, or behind a dot that starts a line (state DOT). */
static const char *take_text(struct body_in *b, const struct sink *to, const char *p, const char *end)
{
	struct line_ends ends = { b->state == BODY_CR, b->bare_cr, b->bare_lf };
	bool at_start = b->state == BODY_LINE_START;
	const char *from = p;

	while (p != NULL && p < end && !(at_start && *p == '.')) {
		p = find_crlf(&ends, p, end);
		at_start = p != NULL;
	}
	b->bare_cr = ends.bare_cr;
	b->bare_lf = ends.bare_lf;
	if (p == NULL || p == end) {
		b->state = at_start ? BODY_LINE_START : ends.last_cr ? BODY_CR : BODY_TEXT;
		give(to, from, end);
		return end;
	}
	b->state = BODY_DOT;
	give(to, from, p);
	return p + 1;
}

bool body_in_next(struct body_in *b, struct str in, size_t *used, void (*out)(void *arg, struct str run), void *arg)
{
	const struct sink to = { b, out, arg };
	const char *p = in.p, *end = in.n == 0 ? in.p : in.p + in.n;

	must(b->state != BODY_END);
	while (p < end && b->state != BODY_END)
		switch (b->state) {
		case BODY_DOT:
			if (*p == '\r') {
				b->state = BODY_DOT_CR;
				p++;
			} else {
				b->state = BODY_TEXT; /* the dot was stuffing */
			}
			break;
		case BODY_DOT_CR:
			if (*p == '\n') {
				b->state = BODY_END;
				p++;
			} else {
				give(&to, "\r", &"\r"[1]);
				b->state = BODY_CR;
			}
			break;
		case BODY_LINE_START:
		case BODY_TEXT:
		case BODY_CR:
			p = take_text(b, &to, p, end);
			break;
		case BODY_END:
			break;
		}
	b->at_line_start = b->state != BODY_TEXT && b->state != BODY_CR;
	*used = (size_t)(p - in.p);
	return b->state == BODY_END;
}

/* ---- BDAT, incoming ---- */

void body_scan(struct body_scan *b, struct str run, bool last)
{
	struct line_ends ends = { b->last_cr, b->bare_cr, b->bare_lf };
	const char *p = run.p, *end = run.n == 0 ? run.p : run.p + run.n;

	while (p != NULL && p < end)
		p = find_crlf(&ends, p, end);
	b->last_cr = ends.last_cr;
	b->bare_cr = ends.bare_cr || (last && ends.last_cr);
	b->bare_lf = ends.bare_lf;
	judge_bytes(run, &b->nul, &b->has_8bit);
}

/* ---- DATA, outgoing ---- */

void body_out_init(struct body_out *b)
{
	*b = (struct body_out){ 0 };
}

bool body_out_add(struct body_out *b, struct str run, struct buf *to)
{
	struct line_ends ends = { .last_cr = b->last_cr };
	const char *p = run.p, *end = run.n == 0 ? run.p : run.p + run.n, *from = p;
	bool at_start = !b->mid_line;

	if (run.n == 0)
		return !to->full;
	while (p != NULL && p < end) {
		if (at_start && *p == '.') {
			buf_add(to, str_n(from, (size_t)(p - from)));
			buf_addc(to, '.');
			from = p;
		}
		p = find_crlf(&ends, p, end);
		at_start = true;
	}
	must(!ends.bare_cr && !ends.bare_lf);
	buf_add(to, str_n(from, (size_t)(end - from)));
	b->mid_line = p == NULL;
	b->last_cr = ends.last_cr;
	return !to->full;
}

bool body_out_finish(struct body_out *b, struct buf *to)
{
	must(!b->last_cr);
	if (b->mid_line)
		buf_add(to, S("\r\n"));
	buf_add(to, S(".\r\n"));
	*b = (struct body_out){ 0 };
	return !to->full;
}

/* ---- line ends mended ---- */

struct str body_normalise(struct body_normal *b, struct str *in)
{
	size_t n = 0;

	if (in->n == 0)
		return STR_NONE;
	if (b->last_cr) {
		b->last_cr = false;
		*in = str_skip(*in, in->p[0] == '\n');
		return S("\r\n");
	}
	while (n < in->n && in->p[n] != '\r' && in->p[n] != '\n')
		n++;
	struct str run = str_head(*in, n);
	if (n == 0 && in->p[0] == '\n')
		run = S("\r\n"), n = 1;
	*in = str_skip(*in, n);
	if (run.n > 0)
		return run;
	b->last_cr = true;
	*in = str_skip(*in, 1);
	return body_normalise(b, in);
}
