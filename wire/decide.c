/* wire/decide.c: see the header.
 *
 *   question  i id  c client  h helo  f from  s secured  n certificate  l login  r recipient ...  H header
 *   answer    V reply  (k keep | e replace t to ... | v refuse | x drop) ...  d field number ...  a NAME:VALUE ...
 *             q hold */
#include "wire/decide.h"

#include "base/must.h"
#include "wire/netstring.h"

/* ---- one letter and its value ---- */

static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]))
			return false;
	return s.n <= DECIDE_TEXT_MAX;
}

static void put(struct buf *out, char letter, struct str value)
{
	buf_addu(out, value.n + 1);
	buf_addc(out, ':');
	buf_addc(out, letter);
	buf_add(out, value);
	buf_addc(out, ',');
}

static bool put_text(struct buf *out, char letter, struct str value)
{
	if (value.n > 0)
		put(out, letter, value);
	return is_text(value);
}

/* 1: taken; 0: the end; -1: broken. */
static int take(struct str *in, char *letter, struct str *value)
{
	struct str whole;
	ssize_t used = in->n == 0 ? 0 : netstring_next(*in, DECIDE_MAX, &whole);

	if (in->n == 0)
		return 0;
	if (used <= 0 || whole.n == 0)
		return -1;
	*in = str_skip(*in, (size_t)used);
	*letter = whole.p[0];
	*value = str_skip(whole, 1);
	return 1;
}

/* How often letters of `which` come; SIZE_MAX when `in` is broken. */
static size_t count(struct str in, struct str which)
{
	struct str value;
	size_t n = 0;
	char letter;
	int more;

	while ((more = take(&in, &letter, &value)) > 0)
		n += str_chr(which, letter) >= 0;
	return more < 0 ? SIZE_MAX : n;
}

/* ---- questions ---- */

bool decide_question_put(struct buf *out, const struct decide_question *q)
{
	bool ok = put_text(out, 'i', q->id) & put_text(out, 'c', q->client) & put_text(out, 'h', q->helo) &
		  put_text(out, 'f', q->from) & put_text(out, 'n', q->certificate) & put_text(out, 'l', q->login);

	if (q->secured)
		put(out, 's', STR_NONE);
	for (size_t i = 0; i < q->rcpt_n; i++) {
		put(out, 'r', q->rcpts[i]);
		ok = ok && is_text(q->rcpts[i]);
	}
	if (q->whole)
		put(out, 'H', q->header);
	return ok && !out->full && q->header.n <= DECIDE_HEADER_MAX && q->rcpt_n <= DECIDE_RCPTS_MAX;
}

static void set(struct decide_question *q, char letter, struct str value)
{
	switch (letter) {
	case 'i':
		q->id = value;
		break;
	case 'c':
		q->client = value;
		break;
	case 'h':
		q->helo = value;
		break;
	case 'f':
		q->from = value;
		break;
	case 's':
		q->secured = true;
		break;
	case 'n':
		q->certificate = value;
		break;
	case 'l':
		q->login = value;
		break;
	case 'H':
		q->whole = true;
		q->header = value;
		break;
	default:
		break;
	}
}

bool decide_question_parse(struct str in, struct arena *a, struct decide_question *out)
{
	size_t n = count(in, S("r"));
	struct str value, *rcpts;
	char letter;

	if (n > DECIDE_RCPTS_MAX || (rcpts = arena_alloc(a, (n + 1) * sizeof *rcpts)) == NULL)
		return false;
	*out = (struct decide_question){ .rcpts = rcpts };
	while (take(&in, &letter, &value) > 0) {
		if (letter != 'H' && !is_text(value))
			return false;
		if (letter == 'r')
			rcpts[out->rcpt_n++] = value;
		else
			set(out, letter, value);
	}
	return out->header.n <= DECIDE_HEADER_MAX;
}

/* ---- answers ---- */

static void put_rcpt(struct buf *out, const struct decide_rcpt *r)
{
	static const char letters[] = {
		[DECIDE_KEEP] = 'k', [DECIDE_REPLACE] = 'e', [DECIDE_REFUSE] = 'v', [DECIDE_DROP] = 'x'
	};

	must((r->action == DECIDE_REPLACE) == (r->to_n > 0));
	put(out, letters[r->action], r->reply);
	for (size_t i = 0; i < r->to_n; i++)
		put(out, 't', r->to[i]);
}

bool decide_answer_put(struct buf *out, const struct decide_answer *a)
{
	if (a->reply.n > 0)
		put(out, 'V', a->reply);
	for (size_t i = 0; i < a->rcpt_n; i++)
		put_rcpt(out, &a->rcpts[i]);
	for (size_t i = 0; i < a->strip_n; i++) {
		char digits[24];
		put(out, 'd',
		    str_n(digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)a->strip[i])));
	}
	for (size_t i = 0; i < a->add_n; i++) {
		buf_addu(out, a->add[i].name.n + a->add[i].value.n + 2);
		buf_add(out, S(":a"));
		buf_add(out, a->add[i].name);
		buf_addc(out, ':');
		buf_add(out, a->add[i].value);
		buf_addc(out, ',');
	}
	if (a->hold.n > 0)
		put(out, 'q', a->hold);
	return !out->full;
}

struct reading { /* the lists being filled; each has room for all that comes */
	struct decide_answer *out;
	struct decide_rcpt *rcpts;
	struct str *to;
	size_t to_n;
	uint64_t *strip;
	struct decide_field *add;
};

static bool read_rcpt(struct reading *r, enum decide_action action, struct str value)
{
	r->rcpts[r->out->rcpt_n++] = (struct decide_rcpt){ .action = action, .reply = value, .to = &r->to[r->to_n] };
	return true;
}

static bool read_to(struct reading *r, struct str value)
{
	struct decide_rcpt *last = r->out->rcpt_n > 0 ? &r->rcpts[r->out->rcpt_n - 1] : NULL;

	if (last == NULL || last->action != DECIDE_REPLACE || value.n == 0)
		return false;
	r->to[r->to_n++] = value;
	last->to_n++;
	return true;
}

static bool read_strip(struct reading *r, struct str value)
{
	struct decide_answer *out = r->out;
	uint64_t n;

	if (!str_u64(value, UINT32_MAX, &n) || (out->strip_n > 0 && r->strip[out->strip_n - 1] >= n))
		return false;
	r->strip[out->strip_n++] = n;
	return true;
}

static bool read_add(struct reading *r, struct str value)
{
	struct decide_field *f = &r->add[r->out->add_n++];

	return str_cut(value, ':', &f->name, &f->value) && f->name.n > 0;
}

static bool read_item(struct reading *r, char letter, struct str value)
{
	switch (letter) {
	case 'V':
		r->out->reply = value;
		return value.n > 0;
	case 'k':
		return read_rcpt(r, DECIDE_KEEP, STR_NONE);
	case 'e':
		return read_rcpt(r, DECIDE_REPLACE, STR_NONE);
	case 'v':
		return read_rcpt(r, DECIDE_REFUSE, value);
	case 'x':
		return read_rcpt(r, DECIDE_DROP, STR_NONE);
	case 't':
		return read_to(r, value);
	case 'd':
		return read_strip(r, value);
	case 'a':
		return read_add(r, value);
	case 'q':
		r->out->hold = value;
		return true;
	default:
		return true;
	}
}

bool decide_answer_parse(struct str in, struct arena *a, struct decide_answer *out)
{
	size_t n = count(in, S("kevxtda"));
	struct reading r = { .out = out };
	struct str value;
	char letter;

	if (n > DECIDE_MAX / 4 || (r.rcpts = arena_alloc(a, (n + 1) * sizeof *r.rcpts)) == NULL ||
	    (r.to = arena_alloc(a, (n + 1) * sizeof *r.to)) == NULL ||
	    (r.strip = arena_alloc(a, (n + 1) * sizeof *r.strip)) == NULL ||
	    (r.add = arena_alloc(a, (n + 1) * sizeof *r.add)) == NULL)
		return false;
	*out = (struct decide_answer){ .rcpts = r.rcpts, .strip = r.strip, .add = r.add };
	while (take(&in, &letter, &value) > 0)
		if (!read_item(&r, letter, value))
			return false;
	for (size_t i = 0; i < out->rcpt_n; i++)
		if (out->rcpts[i].action == DECIDE_REPLACE && out->rcpts[i].to_n == 0)
			return false;
	return true;
}

/* ---- replies ---- */

void decide_reply_put(struct buf *out, const struct reply *r)
{
	size_t from = out->n;

	must(r->code >= 400 && r->code < 600);
	if (r->class != 0)
		buf_addf(out, "%d %d.%d.%d " STR_FMT, r->code, r->code / 100, r->subject, r->detail,
			 STR_ARG(str_head(r->text, DECIDE_TEXT_MAX / 2)));
	else
		buf_addf(out, "%d " STR_FMT, r->code, STR_ARG(str_head(r->text, DECIDE_TEXT_MAX / 2)));
	for (size_t i = from; i < out->n; i++)
		if (chr_is_ctl(out->p[i]) || chr_is_8bit(out->p[i]) || out->p[i] == '%')
			out->p[i] = '?';
}

bool decide_reply_parse(struct str s, struct reply *out)
{
	struct str rest = s, word = str_word(&rest);
	uint64_t code;

	*out = (struct reply){ 0 };
	if (word.n != 3 || !str_u64(word, 599, &code) || code < 400)
		return false;
	out->code = (int)code;
	out->text = str_trim(rest);
	word = str_word(&rest);
	if (reply_parse_enhanced(word, &out->class, &out->subject, &out->detail))
		out->text = str_trim(rest);
	if (out->class != out->code / 100)
		out->class = 0;
	return true;
}
