/* milter/mail.c: see the header. */
#include "milter/mail.h"

#include "base/must.h"
#include "wire/addr.h"

#include <string.h>

enum { SESSION_MAX = 64 * 1024 };

/* ---- memory ---- */

static void run_out(struct mail *m)
{
	if (m->refused.code == 0)
		m->refused = REPLY(452, 4, 3, 1, "out of memory for this message");
}

static struct str keep(struct mail *m, struct arena *a, struct str s)
{
	struct str copy = STR_NONE;

	if (!arena_dup(a, s, &copy))
		run_out(m);
	return copy;
}

/* With a NUL behind it. */
static const char *keep_c(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static void *grow(struct mail *m, void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	size_t more = *cap == 0 ? 16 : *cap * 2;
	char *wider = arena_alloc(&m->arena, more * size);
	if (wider == NULL) {
		run_out(m);
		return NULL;
	}
	if (n > 0)
		memcpy(wider, v, n * size);
	*cap = more;
	return wider;
}

void mail_init(struct mail *m)
{
	*m = (struct mail){ 0 };
	arena_init(&m->session, SESSION_MAX);
	arena_init(&m->arena, MAIL_ARENA_MAX);
	buf_init(&m->header, DECIDE_HEADER_MAX);
}

void mail_fini(struct mail *m)
{
	arena_fini(&m->session);
	arena_fini(&m->arena);
	buf_fini(&m->header);
}

/* ---- the connection ---- */

/* What cannot be part of a question says nothing: a name the client gave itself, or the MTA's own words. */
static struct str clean(struct mail *m, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]))
			return STR_NONE;
	return s.n > 255 ? STR_NONE : keep(m, &m->session, s);
}

void mail_connect(struct mail *m, struct str ip)
{
	arena_fini(&m->session);
	m->helo = m->certificate = m->login = STR_NONE;
	m->secured = false;
	m->client = clean(m, ip);
}

void mail_helo(struct mail *m, struct str helo)
{
	m->helo = clean(m, helo);
}

/* "/C=XX/O=Contoso/CN=mail.contoso.com" (Sendmail) or "mail.contoso.com" (Postfix) */
static struct str common_name(struct str subject)
{
	struct str name = subject;
	ssize_t at;

	if (!str_starts(subject, S("/")))
		return subject;
	while ((at = str_find(name, S("/CN="))) >= 0)
		name = str_skip(name, (size_t)at + 4);
	return str_eq(name, subject) || str_chr(name, '/') >= 0 ? STR_NONE : name;
}

static bool is_good(const struct mail_tls *t)
{
	if (t->verify != NULL)
		return str_eq(str_c(t->verify), S("OK"));
	return t->mta != NULL && str_starts(str_c(t->mta), S("Postfix"));
}

void mail_tls(struct mail *m, const struct mail_tls *t)
{
	struct str name = str_c(t->cn_subject);

	m->secured = t->version != NULL && t->version[0] != '\0';
	m->certificate = STR_NONE;
	if (!m->secured || !is_good(t))
		return;
	if (name.n == 0)
		name = common_name(str_c(t->cert_subject));
	m->certificate = str_chr(name, '+') >= 0 ? STR_NONE : clean(m, name); /* "+": Sendmail's way to quote */
}

/* ---- the envelope ---- */

static struct str unbracket(struct str s)
{
	s = str_trim(s);
	if (str_starts(s, S("<")) && str_ends(s, S(">")) && s.n >= 2)
		s = str_head(str_skip(s, 1), s.n - 2);
	return s;
}

static bool is_askable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]))
			return false;
	return s.n <= DECIDE_TEXT_MAX;
}

void mail_begin(struct mail *m, struct str id, struct str given, struct str login)
{
	arena_fini(&m->arena);
	buf_reset(&m->header);
	m->rcpts = NULL;
	m->names = NULL;
	m->rcpt_n = m->rcpt_cap = m->field_n = m->field_cap = 0;
	m->refused = (struct reply){ 0 };
	m->id = keep(m, &m->arena, id);
	m->from = keep(m, &m->arena, unbracket(given));
	m->login = is_askable(login) ? keep(m, &m->arena, login) : S("?");
	if (!is_askable(m->from))
		m->refused = REPLY(553, 5, 1, 7, "this sender cannot be judged");
}

static void take_arg(struct mail *m, struct str arg, struct mail_rcpt *r)
{
	if (!is_askable(arg) || arg.n > MAIL_ARGS_MAX || str_chr(arg, ' ') >= 0)
		return;
	if (str_istarts(arg, S("NOTIFY=")))
		r->notify = keep(m, &m->arena, arg);
	else if (str_istarts(arg, S("ORCPT=")))
		r->orcpt = keep(m, &m->arena, arg);
}

void mail_rcpt(struct mail *m, struct str given, char *const *args)
{
	struct mail_rcpt *v =
		m->rcpt_n < DECIDE_RCPTS_MAX ? grow(m, m->rcpts, m->rcpt_n, &m->rcpt_cap, sizeof *v) : NULL;

	if (v == NULL || !is_askable(given)) {
		m->refused = v == NULL
				     ? REPLY(452, 4, 5, 3, "too many recipients, send the rest in another transaction")
				     : REPLY(553, 5, 1, 3, "this recipient cannot be judged");
		return;
	}
	m->rcpts = v;
	v = &v[m->rcpt_n++];
	*v = (struct mail_rcpt){ .given = keep(m, &m->arena, given) };
	v->address = unbracket(v->given);
	for (; args != NULL && *args != NULL; args++)
		take_arg(m, str_c(*args), v);
}

void mail_forget_rcpt(struct mail *m)
{
	if (m->rcpt_n > 0)
		m->rcpt_n--;
}

/* ---- the header ---- */

/* RFC 5322 2.2.  The MTA took it for a field, so it is one for us, whatever its name looks like. */
static void put_name(struct buf *b, struct str name)
{
	while (name.n > 0 && chr_is_space(name.p[name.n - 1]))
		name.n--;
	for (size_t i = 0; i < name.n; i++)
		buf_addc(b, name.p[i] <= ' ' || name.p[i] == ':' || name.p[i] == 127 || chr_is_8bit(name.p[i])
				    ? '?'
				    : name.p[i]);
	if (name.n == 0)
		buf_addc(b, '?');
}

/* Every line but the first begins with a blank and has more than that, or it would not belong to the field. */
static void put_value(struct buf *b, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\n') {
			bool folded = i + 1 < value.n && chr_is_space(value.p[i + 1]);
			buf_add(b, folded ? S("\r\n") : S("\r\n\t"));
		} else if (c != '\r' && c != '\0') {
			buf_addc(b, c);
		}
	}
	buf_add(b, S("\r\n"));
}

void mail_field(struct mail *m, struct str name, struct str value)
{
	struct str *v = m->field_n < MAIL_FIELDS_MAX ? grow(m, m->names, m->field_n, &m->field_cap, sizeof *v) : NULL;

	if (v == NULL) {
		run_out(m);
		return;
	}
	m->names = v;
	v[m->field_n++] = keep(m, &m->arena, name);
	put_name(&m->header, name);
	buf_addc(&m->header, ':');
	put_value(&m->header, value);
	if (m->header.full)
		m->refused = REPLY(552, 5, 3, 4, "the header is larger than this server takes");
}

/* ---- questions ---- */

void mail_ask_sender(const struct mail *m, struct decide_question *q)
{
	*q = (struct decide_question){ .id = m->id,
				       .client = m->client,
				       .helo = m->helo,
				       .from = m->from,
				       .secured = m->secured,
				       .certificate = m->certificate,
				       .login = m->login };
}

void mail_ask_rcpt(const struct mail *m, struct decide_question *q)
{
	must(m->rcpt_n > 0);
	mail_ask_sender(m, q);
	q->rcpts = &m->rcpts[m->rcpt_n - 1].address;
	q->rcpt_n = 1;
}

bool mail_ask_whole(struct mail *m, struct decide_question *q)
{
	struct str *rcpts = arena_alloc(&m->arena, (m->rcpt_n + 1) * sizeof *rcpts);

	mail_ask_sender(m, q);
	if (rcpts == NULL)
		return false;
	for (size_t i = 0; i < m->rcpt_n; i++)
		rcpts[i] = m->rcpts[i].address;
	q->rcpts = rcpts;
	q->rcpt_n = m->rcpt_n;
	q->whole = true;
	q->header = buf_str(&m->header);
	return true;
}

/* ---- orders ---- */

struct ordering {
	struct mail *m;
	struct mail_order *v;
	size_t n, max;
	bool full;
};

static void order(struct ordering *o, enum mail_order_kind kind, const char *name, int index, const char *value)
{
	o->full = o->full || name == NULL || o->n == o->max;
	if (!o->full)
		o->v[o->n++] = (struct mail_order){ kind, name, index, value };
}

/* Which of the fields of its name it is, from 1; names are equal without case. */
static int index_of(const struct mail *m, size_t field)
{
	int n = 1;

	for (size_t i = 0; i < field; i++)
		n += str_ieq(m->names[i], m->names[field]);
	return n;
}

static void order_fields(struct ordering *o, const struct decide_answer *a)
{
	struct mail *m = o->m;

	for (size_t i = a->strip_n; i-- > 0;) {
		size_t field = (size_t)a->strip[i];
		order(o, ORDER_STRIP, keep_c(&m->arena, m->names[field]), index_of(m, field), NULL);
	}
	for (size_t i = 0; i < a->add_n; i++) {
		char *value = arena_alloc(&m->arena, a->add[i].value.n + 1);
		size_t n = 0;
		for (size_t k = 0; value != NULL && k < a->add[i].value.n; k++)
			if (a->add[i].value.p[k] != '\r' && a->add[i].value.p[k] != '\0') /* lines end with LF here */
				value[n++] = a->add[i].value.p[k];
		o->full = o->full || value == NULL;
		order(o, ORDER_ADD, keep_c(&m->arena, a->add[i].name), 0, value);
	}
}

/* What the next server is to know of the wishes of the sender: they are about the address he wrote to. */
static const char *parameters(struct mail *m, const struct mail_rcpt *r)
{
	struct buf b;
	const char *kept;
	bool ascii = true;

	for (size_t i = 0; i < r->address.n; i++)
		ascii = ascii && !chr_is_8bit(r->address.p[i]);
	buf_init(&b, 4 * DECIDE_TEXT_MAX + 2 * MAIL_ARGS_MAX);
	buf_add(&b, r->notify);
	if (b.n > 0 && (r->orcpt.n > 0 || ascii))
		buf_addc(&b, ' ');
	if (r->orcpt.n > 0) {
		buf_add(&b, r->orcpt);
	} else if (ascii) {
		buf_add(&b, S("ORCPT=rfc822;"));
		addr_xtext_encode(r->address, &b);
	}
	kept = b.n > 0 ? keep_c(&m->arena, buf_str(&b)) : NULL;
	buf_fini(&b);
	return kept;
}

static const char *bracketed(struct mail *m, struct str address)
{
	struct buf b;
	const char *kept;

	buf_init(&b, DECIDE_TEXT_MAX + 3);
	buf_addc(&b, '<');
	buf_add(&b, address);
	buf_addc(&b, '>');
	kept = b.full || !addr_is_clean(address) ? NULL : keep_c(&m->arena, buf_str(&b));
	buf_fini(&b);
	return kept;
}

static void order_new(struct ordering *o, const struct mail_rcpt *r, const struct decide_rcpt *d, bool *stays)
{
	const char *args = parameters(o->m, r);

	*stays = false;
	for (size_t i = 0; i < d->to_n; i++) {
		if (str_eq(d->to[i], r->address))
			*stays = true;
		else
			order(o, ORDER_RCPT_NEW, bracketed(o->m, d->to[i]), 0, args);
	}
}

static size_t order_rcpts(struct ordering *o, const struct decide_answer *a)
{
	struct mail *m = o->m;
	bool *gone = arena_alloc(&m->arena, a->rcpt_n + 1);
	size_t left = 0;

	if (gone == NULL) {
		o->full = true;
		return 0;
	}
	for (size_t i = 0; i < a->rcpt_n; i++) {
		bool stays = a->rcpts[i].action != DECIDE_DROP;
		if (a->rcpts[i].action == DECIDE_REPLACE)
			order_new(o, &m->rcpts[i], &a->rcpts[i], &stays);
		gone[i] = !stays;
		left += a->rcpts[i].action != DECIDE_DROP;
	}
	for (size_t i = 0; i < a->rcpt_n; i++)
		if (gone[i])
			order(o, ORDER_RCPT_GONE, keep_c(&m->arena, m->rcpts[i].given), 0, NULL);
	return left;
}

bool mail_orders(struct mail *m, const struct decide_answer *a, struct mail_orders *out)
{
	struct ordering o = { .m = m, .max = a->strip_n + a->add_n + a->rcpt_n };

	if (a->rcpt_n != m->rcpt_n || (a->strip_n > 0 && a->strip[a->strip_n - 1] >= m->field_n))
		return false;
	for (size_t i = 0; i < a->rcpt_n; i++)
		o.max += a->rcpts[i].to_n;
	o.v = arena_alloc(&m->arena, (o.max + 1) * sizeof *o.v);
	if (o.v == NULL)
		return false;
	order_fields(&o, a);
	out->nobody = order_rcpts(&o, a) == 0 && a->rcpt_n > 0;
	out->v = o.v;
	out->n = o.n;
	return !o.full;
}
