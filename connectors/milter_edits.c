/* connectors/milter_edits.c: a filter's wishes applied to header and envelope; see the header.
 *
 * All of it is done to copies of the two lists, which take the place of the old ones when the last wish was good. */
#include "connectors/milter_edits.h"

#include "base/must.h"
#include "wire/cmd.h"
#include "wire/header.h"

#include <string.h>

enum { NAME_MAX_BYTES = 200, REASON_MAX = 200, ADDRESS_MAX = 2000 };

static const char no_room[] = "it asks for more than a session may hold";

bool milter_wish_add(struct milter_wishes *w, struct arena *a, const struct milter_answer_parts *p)
{
	struct milter_wish *wish = w->n < MILTER_WISHES_MAX ? arena_alloc(a, sizeof *wish) : NULL;

	if (wish == NULL || !arena_dup(a, p->name, &wish->name) || !arena_dup(a, p->value, &wish->value))
		return false;
	wish->kind = p->kind;
	wish->index = p->index;
	if (w->last != NULL)
		w->last->next = wish;
	else
		w->first = wish;
	w->last = wish;
	w->n++;
	return true;
}

/* ---- header: from the message to the filter ---- */

void milter_field_value(const struct milter_field *f, bool leading_space, struct buf *room)
{
	ssize_t colon = str_chr(f->raw, ':');
	struct str value = str_skip(f->raw, colon < 0 ? f->raw.n : (size_t)colon + 1), line;

	if (!leading_space)
		while (value.n > 0 && chr_is_space(value.p[0]))
			value = str_skip(value, 1);
	buf_reset(room);
	for (bool first = true; str_cut(value, '\n', &line, &value) || line.n > 0; first = false) {
		if (!first)
			buf_addc(room, '\n');
		buf_add(room, str_ends(line, S("\r")) ? str_head(line, line.n - 1) : line);
	}
}

/* ---- header: from the filter to the message ---- */

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
			return false;
	return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

/* A line of a value, begun with a blank: nothing a filter says can end a field or the header. */
static void put_line(struct buf *b, struct str line, bool folded)
{
	bool blank = true;

	for (size_t i = 0; i < line.n; i++)
		blank = blank && chr_is_space(line.p[i]);
	if (folded && blank)
		return; /* a fold of blanks only ends the header for some readers */
	if (folded)
		buf_add(b, chr_is_space(line.p[0]) ? S("\r\n") : S("\r\n\t"));
	for (size_t i = 0; i < line.n; i++)
		buf_addc(b, chr_is_ctl(line.p[i]) && line.p[i] != '\t' ? '?' : line.p[i]);
}

static size_t line_end(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return n;
}

/* CR, LF and CR LF alike part the lines of a value. */
static bool make_field(struct milter_view *v, struct str name, struct str value, struct milter_field *out)
{
	struct buf b;
	bool ok, folded = false;

	buf_init(&b, MILTER_PACKET_MAX * 2);
	buf_add(&b, name);
	buf_addc(&b, ':');
	if (!v->leading_space)
		buf_addc(&b, ' ');
	while (value.n > 0) {
		size_t n = line_end(value);
		put_line(&b, str_head(value, n), folded);
		folded = true;
		value = str_skip(value, n + (str_starts(str_skip(value, n), S("\r\n")) ? 2 : 1));
	}
	buf_add(&b, S("\r\n"));
	*out = (struct milter_field){ 0 };
	ok = !b.full && arena_dup(v->arena, buf_str(&b), &out->raw);
	out->name = str_head(out->raw, name.n);
	buf_fini(&b);
	return ok;
}

/* ---- one wish ---- */

struct work { /* copies with room for every wish */
	struct milter_view *v;
	struct milter_field *fields;
	size_t field_n;
	struct env_rcpt *rcpts;
	size_t rcpt_n;
	struct str from, envid;
	enum env_ret ret;
	bool header, envelope;
};

static void put_at(struct work *w, size_t at, const struct milter_field *f)
{
	memmove(&w->fields[at + 1], &w->fields[at], (w->field_n - at) * sizeof *f);
	w->fields[at] = *f;
	w->field_n++;
	w->header = true;
}

static void take_out(struct work *w, size_t at)
{
	w->field_n--;
	memmove(&w->fields[at], &w->fields[at + 1], (w->field_n - at) * sizeof w->fields[0]);
	w->header = true;
}

static const char *insert(struct work *w, const struct milter_wish *wish, size_t at)
{
	struct milter_field f;

	if (!is_name(wish->name))
		return "a name that no header field may have";
	if (!make_field(w->v, wish->name, wish->value, &f))
		return no_room;
	put_at(w, at < w->field_n ? at : w->field_n, &f);
	return NULL;
}

/* The n-th field of that name which filters see; field_n: there is none. */
static size_t find_field(const struct work *w, struct str name, uint32_t n)
{
	for (size_t i = 0; i < w->field_n; i++)
		if (!w->fields[i].ours && header_name_is(w->fields[i].name, name) && --n == 0)
			return i;
	return w->field_n;
}

static const char *change_header(struct work *w, const struct milter_wish *wish)
{
	struct milter_field f;

	if (wish->index == 0)
		return "header fields are counted from 1";
	if (!is_name(wish->name))
		return "a name that no header field may have";
	size_t at = find_field(w, wish->name, wish->index);
	if (wish->value.n == 0) {
		if (at < w->field_n)
			take_out(w, at);
		return NULL;
	}
	if (at == w->field_n)
		return insert(w, wish, at);
	if (!make_field(w->v, wish->name, wish->value, &f))
		return no_room;
	w->fields[at] = f;
	w->header = true;
	return NULL;
}

/* "TO:<a@b> NOTIFY=NEVER", for the parser of commands.  Filters say addresses with and without brackets. */
static struct str as_command(struct buf *b, const char *begin, const struct milter_wish *wish)
{
	bool bracketed = str_starts(wish->name, S("<"));

	buf_reset(b);
	buf_addf(b, "%s%s", begin, bracketed ? "" : "<");
	buf_add(b, wish->name);
	buf_add(b, bracketed ? S("") : S(">"));
	if (wish->value.n > 0)
		buf_addc(b, ' ');
	buf_add(b, wish->value);
	return buf_str(b);
}

static size_t find_rcpt(const struct work *w, struct str addr)
{
	size_t i = 0;

	while (i < w->rcpt_n && !str_ieq(w->rcpts[i].addr, addr))
		i++;
	return i;
}

static const char *add_rcpt(struct work *w, const struct milter_wish *wish, struct buf *room)
{
	const struct cmd_offer offer = { .dsn = true, .relaxed_addresses = true };
	struct env_rcpt r = { 0 };
	struct cmd_rcpt c;
	struct reply why;
	struct str args = as_command(room, "TO:", wish);

	if (room->full || !cmd_parse_rcpt(args, &offer, w->v->env.smtputf8, &c, &why) || c.to.domain.n == 0 ||
	    c.to.literal)
		return "a recipient that is no address";
	if (find_rcpt(w, c.to.whole) < w->rcpt_n)
		return NULL; /* has it already */
	if (w->rcpt_n >= w->v->rcpt_max)
		return "more recipients than a message may have";
	if (w->v->may_send_to != NULL && !w->v->may_send_to(w->v->arg, &c.to))
		return "a recipient that this sender may not send to";
	r.notify = c.notify;
	if (!arena_dup(w->v->arena, c.to.whole, &r.addr) || !arena_dup(w->v->arena, c.orcpt, &r.orcpt))
		return no_room;
	w->rcpts[w->rcpt_n++] = r;
	w->envelope = true;
	return NULL;
}

static const char *del_rcpt(struct work *w, const struct milter_wish *wish)
{
	struct str addr = wish->name;

	if (str_starts(addr, S("<")) && str_ends(addr, S(">")))
		addr = str_head(str_skip(addr, 1), addr.n - 2);
	size_t at = find_rcpt(w, addr);
	if (at == w->rcpt_n)
		return NULL;
	w->rcpt_n--;
	memmove(&w->rcpts[at], &w->rcpts[at + 1], (w->rcpt_n - at) * sizeof w->rcpts[0]);
	w->envelope = true;
	return NULL;
}

/* SIZE and BODY of the message are what they are; RET and ENVID are taken over. */
static const char *change_from(struct work *w, const struct milter_wish *wish, struct buf *room)
{
	const struct cmd_offer offer = { .size = true,
					 .eightbitmime = true,
					 .smtputf8 = w->v->env.smtputf8,
					 .dsn = true,
					 .auth = true,
					 .relaxed_addresses = true };
	struct cmd_mail c;
	struct reply why;
	struct str args = as_command(room, "FROM:", wish);

	if (room->full || !cmd_parse_mail(args, &offer, &c, &why))
		return "a sender that is no address";
	if (!arena_dup(w->v->arena, c.from.whole, &w->from) ||
	    (c.envid.n > 0 && !arena_dup(w->v->arena, c.envid, &w->envid)))
		return no_room;
	if (c.ret != ENV_RET_NONE)
		w->ret = c.ret;
	w->envelope = true;
	return NULL;
}

static const char *grant(struct work *w, const struct milter_wish *wish, struct buf *room)
{
	switch (wish->kind) {
	case MILTER_ADD_HEADER:
		return insert(w, wish, w->field_n);
	case MILTER_INSERT_HEADER:
		return insert(w, wish, wish->index);
	case MILTER_CHANGE_HEADER:
		return change_header(w, wish);
	case MILTER_ADD_RCPT:
	case MILTER_ADD_RCPT_PAR:
		return add_rcpt(w, wish, room);
	case MILTER_DEL_RCPT:
		return del_rcpt(w, wish);
	case MILTER_CHANGE_FROM:
		return change_from(w, wish, room);
	default:
		return NULL; /* quarantine: the message's keeper sees to it */
	}
}

/* ---- all of them ---- */

static bool is_too_long(const struct work *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->field_n; i++)
		n += w->fields[i].raw.n;
	return n > w->v->header_max || w->field_n > w->v->field_max;
}

static bool begin(struct work *w, struct milter_view *v, size_t wish_n)
{
	*w = (struct work){ .v = v,
			    .field_n = v->field_n,
			    .rcpt_n = v->env.rcpt_n,
			    .from = v->env.from,
			    .envid = v->env.envid,
			    .ret = v->env.ret };
	w->fields = arena_alloc(v->arena, (v->field_n + wish_n) * sizeof w->fields[0]);
	w->rcpts = arena_alloc(v->arena, (v->env.rcpt_n + wish_n) * sizeof w->rcpts[0]);
	if (w->fields == NULL || w->rcpts == NULL)
		return false;
	if (v->field_n > 0)
		memcpy(w->fields, v->fields, v->field_n * sizeof w->fields[0]);
	if (v->env.rcpt_n > 0)
		memcpy(w->rcpts, v->env.rcpts, v->env.rcpt_n * sizeof w->rcpts[0]);
	return true;
}

static void accept_all(const struct work *w, struct milter_view *v)
{
	v->fields = w->fields;
	v->field_n = w->field_n;
	v->env.rcpts = w->rcpts;
	v->env.rcpt_n = w->rcpt_n;
	v->env.from = w->from;
	v->env.envid = w->envid;
	v->env.ret = w->ret;
	v->header_changed |= w->header;
	v->envelope_changed |= w->envelope;
}

const char *milter_edits_apply(struct milter_view *v, const struct milter_wishes *wishes)
{
	const char *why = NULL;
	struct work w;
	struct buf room;

	if (wishes->n == 0)
		return NULL;
	if (!begin(&w, v, wishes->n))
		return no_room;
	buf_init(&room, ADDRESS_MAX);
	for (const struct milter_wish *wish = wishes->first; wish != NULL && why == NULL; wish = wish->next)
		why = grant(&w, wish, &room);
	buf_fini(&room);
	if (why == NULL && w.header && is_too_long(&w))
		why = "a header larger than a message may have";
	if (why == NULL)
		accept_all(&w, v);
	return why;
}

struct str milter_view_header(const struct milter_view *v)
{
	size_t n = 2, at = 0;

	for (size_t i = 0; i < v->field_n; i++)
		n += v->fields[i].raw.n;
	char *to = arena_alloc(v->arena, n);
	if (to == NULL)
		return STR_NONE;
	for (size_t i = 0; i < v->field_n; i++) {
		memcpy(to + at, v->fields[i].raw.p, v->fields[i].raw.n);
		at += v->fields[i].raw.n;
	}
	memcpy(to + at, "\r\n", 2);
	return str_n(to, n);
}

void milter_put_reason(struct buf *b, struct str milter, struct str reason)
{
	buf_addf(b, "quarantine by " STR_FMT ": ", STR_ARG(milter));
	reason = str_head(reason, REASON_MAX);
	for (size_t i = 0; i < reason.n; i++)
		buf_addc(b, chr_is_ctl(reason.p[i]) || chr_is_8bit(reason.p[i]) ? '?' : reason.p[i]);
}
