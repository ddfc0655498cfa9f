/* connectors/sign.c: who signs, and the message told to the signer; see the header. */
#include "connectors/sign.h"

#include "base/must.h"
#include "connectors/job.h"
#include "wire/author.h"
#include "wire/header.h"

#include <string.h>

enum { RUN = 60 * 1024, FIELD_MAX = 64 * 1024 };

/* ---- whose mail it is ---- */

/* Written by one of ours, as far as who brought it can say; a stranger's mail under our name gets no signature. */
static bool is_ours(const struct job *j)
{
	const struct envelope *env = &j->lease->env;

	switch (header_trust_stored(outbound_config(j->d->outbound), env)) {
	case TRUST_SERVER:
	case TRUST_CLIENT:
		return true;
	case TRUST_PEER:
		return env->class == ENV_CLASS_INT;
	default:
		return false;
	}
}

static bool leaves_signed(const struct delivery *dl)
{
	const struct conf_send *send = hop_send(dl->txn.hop);

	return send->sign && header_target_of(send) == TARGET_INTERNET;
}

bool sign_wants_header(struct job *j)
{
	if (outbound_config(j->d->outbound)->sign_n == 0 || j->d->o.signer == NULL || !is_ours(j))
		return false;
	for (const struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
		j->signs = j->signs || leaves_signed(dl);
	return j->signs;
}

/* The domain of a field with one plain mailbox; empty: there is no such thing. */
static struct str domain_of_author(struct str value)
{
	ssize_t open = str_rchr(value, '<'), at;

	if (author_judge(value) != AUTHOR_ONE)
		return STR_NONE;
	if (open >= 0)
		value = str_skip(value, (size_t)open);
	at = str_rchr(value, '@');
	if (at < 0)
		return STR_NONE;
	value = str_skip(value, (size_t)at + 1);
	size_t n = 0;
	while (n < value.n && (chr_is_alnum(value.p[n]) || value.p[n] == '-' || value.p[n] == '.'))
		n++;
	return str_head(value, n);
}

/* d= of a DKIM-Signature, without blanks. */
static void signing_domain(struct str value, struct buf *out)
{
	struct str tag, name, text;

	for (bool more = true; more;) {
		more = str_cut(value, ';', &tag, &value);
		if (!str_cut(tag, '=', &name, &text))
			continue;
		struct buf word;
		buf_init(&word, 16);
		for (size_t i = 0; i < name.n; i++)
			if (!chr_is_space(name.p[i]) && name.p[i] != '\r' && name.p[i] != '\n')
				buf_addc(&word, name.p[i]);
		bool is_d = str_eq(buf_str(&word), S("d"));
		buf_fini(&word);
		for (size_t i = 0; is_d && i < text.n; i++)
			if (!chr_is_space(text.p[i]) && text.p[i] != '\r' && text.p[i] != '\n')
				buf_addc(out, text.p[i]);
		if (is_d)
			return;
	}
}

void sign_look(struct job *j, const struct header_field *f)
{
	struct buf domain;

	if (!j->signs)
		return;
	if (header_name_is(f->name, S("From"))) {
		if (j->from_n++ > 0 || !arena_dup(&j->arena, domain_of_author(f->value), &j->author))
			j->author = STR_NONE; /* two authors: nobody's */
		return;
	}
	if (!header_name_is(f->name, S("DKIM-Signature")) || j->signed_n == SIGNED_BY_MAX)
		return;
	buf_init(&domain, 256);
	signing_domain(str_head(f->value, FIELD_MAX), &domain);
	if (domain.n > 0 && arena_dup(&j->arena, buf_str(&domain), &j->signed_by[j->signed_n]))
		j->signed_n++;
	buf_fini(&domain);
}

static bool has_key(const struct job *j)
{
	const struct config *c = outbound_config(j->d->outbound);

	for (size_t i = 0; i < j->signed_n; i++)
		if (str_ieq(j->signed_by[i], j->author))
			return false;
	for (size_t i = 0; j->author.n > 0 && i < c->sign_n; i++)
		if (str_ieq(c->signs[i].domain, j->author))
			return true;
	return false;
}

/* ---- telling the signer ---- */

static void pump(struct delivery *dl);

static void on_more(struct signature *s)
{
	pump(container_of(container_of(s, struct signing, signature), struct delivery, signing));
}

static void on_done(struct signature *s)
{
	struct delivery *dl = container_of(container_of(s, struct signing, signature), struct delivery, signing);

	dl->signing.then(dl);
}

static void on_window(struct op *op)
{
	struct delivery *dl = container_of(container_of(op, struct lease_read, op), struct delivery, signing.read);
	struct signing *g = &dl->signing;

	if (!g->read.ok || g->read.bytes.n == 0) {
		g->signature.why = "the message cannot be read now";
		g->then(dl);
		return;
	}
	g->window = g->read.bytes;
	pump(dl);
}

/* Tells what is at hand; what is not is fetched. */
static void pump(struct delivery *dl)
{
	const struct signer *signer = dl->job->d->o.signer;
	struct signing *g = &dl->signing;
	struct lease *l = dl->job->lease;
	struct str run;

	while ((run = edits_take(dl->txn.edits, &g->pos, &g->window, RUN)).n > 0)
		if (!signer->write(&g->signature, run))
			return;
	if (g->pos.at >= l->size)
		signer->end(&g->signature);
	else
		lease_read(l, g->pos.at, &g->read, on_window);
}

bool sign_start(struct delivery *dl, void (*then)(struct delivery *dl))
{
	struct job *j = dl->job;
	struct signing *g = &dl->signing;

	if (!j->signs || !leaves_signed(dl) || !has_key(j))
		return false;
	g->then = then;
	g->signature = (struct signature){ .more = on_more, .done = on_done };
	g->window = j->lease->content;
	j->d->o.signer->begin(j->d->o.signer->arg, &g->signature, j->author);
	pump(dl);
	return true;
}

bool sign_put(struct delivery *dl)
{
	struct edits old = dl->txn.edits;
	struct edit *v = arena_alloc(&dl->job->arena, (old.n + 1) * sizeof *v);
	struct str fields;

	if (v == NULL || !arena_dup(&dl->job->arena, dl->signing.signature.fields, &fields))
		return false;
	v[0] = (struct edit){ .insert = fields };
	if (old.n > 0)
		memcpy(v + 1, old.v, old.n * sizeof *v);
	dl->txn.edits = (struct edits){ v, old.n + 1 };
	must(edits_check(dl->txn.edits));
	dl->txn.size += fields.n;
	return true;
}

void sign_cancel(struct delivery *dl)
{
	const struct signer *signer = dl->job->d->o.signer;

	if (signer == NULL)
		return;
	lease_read_fini(&dl->signing.read);
	signer->fini(&dl->signing.signature);
}
