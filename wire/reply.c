/* wire/reply.c: the only writer of replies and the only reader of them.
 *
 * Going out, whatever a table, a filter or a remote host put into the text becomes printable ASCII on lines of at most
 * 510 bytes.  Coming in, a reply is judged line by line in order, so a split input gives the same verdict. */
#include "wire/reply.h"

#include "base/must.h"

#include <string.h>

enum {
	LINE_BYTES = 510,        /* without CRLF, RFC 5321 4.5.3.1.5 */
	CHALLENGE_BYTES = 12286, /* of a 334, RFC 4954 4: cutting base64 would change it */
	ENHANCED_BYTES = 12,     /* "5.999.999 " */
};

static struct str default_text(int code)
{
	return code < 300 ? S("OK") : code < 400 ? STR_NONE : code < 500 ? S("Try again later") : S("Refused");
}

static void put_clean(struct buf *out, struct str s)
{
	char *to = buf_reserve(out, s.n);

	if (to == NULL)
		return;
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] == '\t' ? ' ' : chr_is_ctl(s.p[i]) || chr_is_8bit(s.p[i]) ? '?' : s.p[i];
	buf_commit(out, s.n);
}

/* The enhanced code as text in `room`, "" when none is to be sent.  Its class follows the basic code (RFC 2034 4). */
static struct str enhanced_text(const struct reply *r, char room[ENHANCED_BYTES])
{
	struct buf b = { .p = room, .cap = ENHANCED_BYTES, .max = ENHANCED_BYTES - 1 }; /* never grows: max < cap */

	if (r->class == 0 || r->code < 200 || (r->code >= 300 && r->code < 400))
		return STR_NONE;
	must(r->subject < 1000 && r->detail < 1000);
	buf_addu(&b, (uint64_t)r->code / 100);
	buf_addc(&b, '.');
	buf_addu(&b, r->subject);
	buf_addc(&b, '.');
	buf_addu(&b, r->detail);
	buf_addc(&b, ' ');
	return buf_str(&b);
}

void reply_put(struct buf *out, const struct reply *r)
{
	char room[ENHANCED_BYTES];
	struct str enhanced = enhanced_text(r, room), rest = r->text, line;
	size_t limit = r->code == 334 ? CHALLENGE_BYTES : LINE_BYTES;
	bool more;

	must(r->code >= 200 && r->code <= 599);
	while (rest.n > 0 && (rest.p[rest.n - 1] == '\n' || rest.p[rest.n - 1] == '\r'))
		rest.n--;
	if (rest.n == 0)
		rest = default_text(r->code);
	do {
		more = str_cut(rest, '\n', &line, &rest);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_addu(out, (uint64_t)r->code);
		buf_addc(out, more ? '-' : ' ');
		buf_add(out, enhanced);
		put_clean(out, str_head(line, limit - 4 - enhanced.n));
		buf_add(out, S("\r\n"));
	} while (more);
}

static bool take_number(struct str s, unsigned short *out)
{
	uint64_t v;

	if (s.n > 3 || !str_u64(s, 999, &v))
		return false;
	*out = (unsigned short)v;
	return true;
}

bool reply_parse_enhanced(struct str s, unsigned char *class, unsigned short *subject, unsigned short *detail)
{
	struct str x, y, z;
	unsigned short sub, det;

	if (!str_cut(s, '.', &x, &s) || !str_cut(s, '.', &y, &z))
		return false;
	if (x.n != 1 || (x.p[0] != '2' && x.p[0] != '4' && x.p[0] != '5'))
		return false;
	if (!take_number(y, &sub) || !take_number(z, &det))
		return false;
	*class = (unsigned char)(x.p[0] - '0');
	*subject = sub;
	*detail = det;
	return true;
}

static void find_enhanced(struct reply *r)
{
	struct str rest = r->text, line = STR_NONE, word;

	r->class = 0;
	r->subject = r->detail = 0;
	if (r->code >= 300 && r->code < 400)
		return;
	reply_lines(&rest, &line);
	str_cut(line, ' ', &word, &line);
	if (reply_parse_enhanced(word, &r->class, &r->subject, &r->detail))
		r->class = (unsigned char)(r->code / 100); /* the basic code decides (hardening 9) */
}

/* Reads "250-", "250 " or "250" at the front of a line.  Returns the code, or -1. */
static int line_code(struct str line, bool *last)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !chr_is_digit(line.p[1]) || !chr_is_digit(line.p[2]))
		return -1;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -1;
	*last = line.n == 3 || line.p[3] == ' ';
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

int reply_next(struct str in, bool lax, struct reply *out)
{
	struct str rest = str_head(in, REPLY_BYTES_MAX);
	int first_code = 0;

	for (unsigned lines = 1;; lines++) {
		struct str line;
		bool last;
		ssize_t lf = str_chr(str_head(rest, REPLY_LINE_MAX), '\n');
		if (lf < 0)
			return rest.n >= REPLY_LINE_MAX || in.n >= REPLY_BYTES_MAX ? REPLY_TOO_LONG : REPLY_MORE;
		line = str_head(rest, (size_t)lf);
		rest = str_skip(rest, (size_t)lf + 1);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		else if (!lax)
			return REPLY_SYNTAX;
		int code = line_code(line, &last);
		if (code < 0)
			return REPLY_SYNTAX;
		if (first_code != 0 && code != first_code)
			return REPLY_MIXED_CODES;
		first_code = code;
		if (last)
			break;
		if (lines == REPLY_LINES_MAX)
			return REPLY_TOO_LONG;
	}
	size_t used = (size_t)(rest.p - in.p);
	*out = (struct reply){ .code = first_code, .text = { in.p + 3, used - 3 } };
	find_enhanced(out);
	return (int)used;
}

bool reply_lines(struct str *rest, struct str *line)
{
	if (rest->n == 0)
		return false;
	str_cut(*rest, '\n', line, rest);
	*rest = str_skip(*rest, 3); /* the code of the next line */
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	*line = str_skip(*line, 1); /* the separator */
	return true;
}

void reply_put_flat(struct buf *out, const struct reply *r)
{
	struct str rest = r->text, line;

	buf_addu(out, (uint64_t)r->code);
	while (reply_lines(&rest, &line)) {
		line = str_trim(line);
		if (line.n == 0)
			continue;
		buf_addc(out, ' ');
		put_clean(out, line);
	}
}
