/* wire/header.c: the incremental header scan.
 *
 * A field that lies in one run is reported out of it without a copy; only what a run cuts in two is collected in
 * `field`.  Both ways end in the same three functions (finish_field, end_header, too_big), so how the message was split
 * cannot change what is found.
 *
 * A line ends at LF, with or without CR: where a bare LF is let through at all, a field behind one must not hide from
 * the firewall.  A bare CR ends nothing. */
#include "wire/header.h"

#include "base/must.h"

#include <string.h>

void header_scan_init(struct header_scan *h, size_t max_bytes, unsigned max_fields, struct str own_name)
{
	*h = (struct header_scan){ .max_bytes = max_bytes, .max_fields = max_fields, .own_name = own_name };
	buf_init_sure(&h->field, max_bytes);
}

void header_scan_fini(struct header_scan *h)
{
	buf_fini(&h->field);
}

bool header_name_is(struct str name, struct str wanted)
{
	return str_ieq(name, wanted);
}

/* ---- Received ---- */

/* Takes a comment, nested or not, off the front of *s; an open one takes all. */
static void skip_comment(struct str *s)
{
	size_t depth = 0, i = 0;

	for (; i < s->n; i++)
		if (s->p[i] == '\\')
			i++;
		else if (s->p[i] == '(')
			depth++;
		else if (s->p[i] == ')' && --depth == 0)
			break;
	*s = str_skip(*s, i + 1);
}

static bool is_break(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n' || c == ';';
}

static struct str next_word(struct str *s)
{
	size_t n = 0;

	while (s->n > 0 && (is_break(s->p[0]) || s->p[0] == '('))
		if (s->p[0] == '(')
			skip_comment(s);
		else
			*s = str_skip(*s, 1);
	while (n < s->n && !is_break(s->p[n]) && s->p[n] != '(')
		n++;
	struct str word = str_head(*s, n);
	*s = str_skip(*s, n);
	return word;
}

static bool is_by(struct str value, struct str name)
{
	struct str word;

	while ((word = next_word(&value)).n > 0)
		if (str_ieq(word, S("by")) && str_ieq(next_word(&value), name))
			return true;
	return false;
}

/* ---- fields ---- */

static bool split_field(struct str raw, struct header_field *f)
{
	size_t n = 0, colon;

	while (n < raw.n && raw.p[n] > ' ' && raw.p[n] <= '~' && raw.p[n] != ':')
		n++;
	for (colon = n; colon < raw.n && chr_is_space(raw.p[colon]); colon++)
		;
	if (n == 0 || colon == raw.n || raw.p[colon] != ':')
		return false;
	*f = (struct header_field){ .name = str_head(raw, n), .value = str_skip(raw, colon + 1), .raw = raw };
	return true;
}

static void end_header(struct header_scan *h, uint64_t end)
{
	h->done = true;
	h->end = end;
	buf_fini(&h->field);
}

static void refuse_size(struct header_scan *h)
{
	h->too_big = true;
	end_header(h, h->offset);
}

/* What mailbox files put in front of a message. */
static bool is_mbox_line(struct str raw)
{
	return str_starts(raw, S("From ")) || str_starts(raw, S(">From "));
}

/* `raw` is all of what started at h->offset: a field, or the line that ends the header by being none. */
static void finish_field(struct header_scan *h, struct str raw)
{
	struct header_field f;

	if (!split_field(raw, &f)) {
		if (h->offset == 0 && is_mbox_line(raw)) {
			h->mbox = raw.n;
			h->offset += raw.n;
			return;
		}
		h->broken = true;
		end_header(h, h->offset);
		return;
	}
	if (h->fields == h->max_fields) {
		refuse_size(h);
		return;
	}
	h->fields++;
	f.offset = h->offset;
	if (header_name_is(f.name, S("Received"))) {
		h->received++;
		h->received_own += h->own_name.n > 0 && is_by(f.value, h->own_name);
	}
	if (h->on_field != NULL)
		h->on_field(h->arg, &f);
	h->offset += raw.n;
}

static bool is_empty_line(struct str line)
{
	return str_eq(line, S("\r\n")) || str_eq(line, S("\n"));
}

/* Bytes up to and including the first LF, or all. */
static size_t line_len(struct str s)
{
	ssize_t lf = str_chr(s, '\n');

	return lf < 0 ? s.n : (size_t)lf + 1;
}

static bool fits(struct header_scan *h, size_t field_n)
{
	if (h->offset + field_n <= h->max_bytes)
		return true;
	refuse_size(h);
	return false;
}

/* Goes on with a field that an earlier run left in h->field.  Returns bytes of `rest` taken. */
static size_t continue_field(struct header_scan *h, struct str rest)
{
	bool at_line = h->field.p[h->field.n - 1] == '\n';

	if (at_line && !chr_is_space(rest.p[0])) {
		finish_field(h, buf_str(&h->field));
		buf_reset(&h->field);
		return 0;
	}
	size_t n = line_len(rest);
	if (!fits(h, h->field.n + n))
		return 0;
	buf_add(&h->field, str_head(rest, n));
	must(!h->field.full);
	if (is_empty_line(buf_str(&h->field)))
		end_header(h, h->offset + h->field.n);
	return n;
}

/* Takes the field that starts at the front of `rest`, or keeps the beginning of it.  Returns bytes taken. */
static size_t take_field(struct header_scan *h, struct str rest)
{
	size_t n = line_len(rest);
	bool complete = rest.p[n - 1] == '\n';

	if (complete && is_empty_line(str_head(rest, n))) {
		if (fits(h, n))
			end_header(h, h->offset + n);
		return n;
	}
	while (complete && n < rest.n && chr_is_space(rest.p[n])) {
		n += line_len(str_skip(rest, n));
		complete = rest.p[n - 1] == '\n';
	}
	if (!fits(h, n))
		return 0;
	if (n < rest.n)
		finish_field(h, str_head(rest, n));
	else
		buf_add(&h->field, rest);
	return n;
}

size_t header_scan_add(struct header_scan *h, struct str run)
{
	if (h->done)
		return 0;

	uint64_t run_at = h->offset + h->field.n;
	size_t at = 0;
	while (!h->done && at < run.n) {
		struct str rest = str_skip(run, at);
		at += h->field.n > 0 ? continue_field(h, rest) : take_field(h, rest);
	}
	if (!h->done)
		return run.n;
	return h->end > run_at ? (size_t)(h->end - run_at) : 0;
}

void header_scan_finish(struct header_scan *h)
{
	if (h->done)
		return;
	if (h->field.n > 0)
		finish_field(h, buf_str(&h->field));
	if (!h->done)
		end_header(h, h->offset);
}

void header_unfold(struct str value, struct buf *out)
{
	value = str_trim(value);
	while (value.n > 0 &&
	       (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r' || chr_is_space(value.p[value.n - 1])))
		value.n--;
	while (value.n > 0 && (value.p[0] == '\r' || value.p[0] == '\n' || chr_is_space(value.p[0])))
		value = str_skip(value, 1);
	for (size_t i = 0; i < value.n;) {
		size_t n = 0;
		while (i + n < value.n && value.p[i + n] != '\r' && value.p[i + n] != '\n')
			n++;
		buf_add(out, (struct str){ value.p + i, n });
		i += n;
		bool cut = false;
		while (i < value.n && (value.p[i] == '\r' || value.p[i] == '\n')) {
			cut = true;
			i++;
		}
		if (cut && i < value.n && !chr_is_space(value.p[i]))
			buf_addc(out, ' '); /* a bare CR or LF: still one line, still two words */
	}
}
