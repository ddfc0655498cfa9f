/* routing/domain.c: the accepted domains and routing domains of a configuration in a small hash table. */
#include "routing/domain.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX = 64 << 20 }; /* of one set: thousands of domains are a few hundred KiB */

static struct str copy(struct domain_set *s, struct str text)
{
	struct str out = STR_NONE;

	must(arena_dup(&s->memory, text, &out));
	return out;
}

static size_t slot_of(const struct domain_set *s, struct str name)
{
	size_t i = (size_t)str_hash(name, 0) & (s->slot_n - 1);

	while (s->slots[i].name.p != NULL && !str_eq(s->slots[i].name, name))
		i = (i + 1) & (s->slot_n - 1);
	return i;
}

static void copy_domains(struct domain_set *s, const struct config *c)
{
	s->domain_n = c->domain_n;
	s->domains = arena_alloc(&s->memory, (c->domain_n + 1) * sizeof *s->domains);
	must(s->domains != NULL);
	for (size_t i = 0; i < c->domain_n; i++) {
		struct conf_domain *d = &s->domains[i];
		*d = c->domains[i];
		d->name = copy(s, d->name);
		d->routing_domain = copy(s, d->routing_domain);
		d->relay_to = copy(s, d->relay_to);
		d->plus = copy(s, d->plus);
		if (s->dflt == NULL || (d->is_default && !s->dflt->is_default))
			s->dflt = d;
	}
}

static int add_domains(struct domain_set *s, struct err *e)
{
	for (size_t i = 0; i < s->domain_n; i++) {
		struct conf_domain *d = &s->domains[i];
		struct domain_entry *slot = &s->slots[slot_of(s, d->name)];
		if (slot->name.p != NULL)
			return err_set(e, ERR_SYNTAX, "domain.set", "domain %s is given twice", d->name.p);
		*slot = (struct domain_entry){ d->name, d->own_routing ? DOMAIN_OWN_ROUTING : DOMAIN_ACCEPTED, d,
					       false };
	}
	return 0;
}

/* A routing domain may also be a `domain` block of its own (the other side's coexistence domain is accepted here too);
 * its role is then PEER_ROUTING, and that block decides about routing_public. */
static int add_routing_domains(struct domain_set *s, struct err *e)
{
	for (size_t i = 0; i < s->domain_n; i++) {
		struct conf_domain *d = &s->domains[i];
		if (d->routing_domain.n == 0)
			continue;
		struct domain_entry *slot = &s->slots[slot_of(s, d->routing_domain)];
		if (slot->name.p != NULL && slot->role == DOMAIN_OWN_ROUTING)
			return err_set(e, ERR_SYNTAX, "domain.set",
				       "%s is the routing domain of this side, %s names it as the other side's",
				       slot->name.p, d->name.p);
		if (slot->name.p == NULL)
			*slot = (struct domain_entry){ d->routing_domain, DOMAIN_PEER_ROUTING, d, false };
		slot->role = DOMAIN_PEER_ROUTING;
	}
	return 0;
}

static void add_bounce_domains(struct domain_set *s, const struct config *c)
{
	s->bounce_conf = (struct conf_domain){ .type = DOMAIN_AUTHORITATIVE };
	for (size_t i = 0; i < c->send_n; i++) {
		if (c->sends[i].srs_domain.n == 0)
			continue;
		struct domain_entry *slot = &s->slots[slot_of(s, c->sends[i].srs_domain)];
		if (slot->name.p == NULL)
			*slot = (struct domain_entry){ copy(s, c->sends[i].srs_domain), DOMAIN_BOUNCE, &s->bounce_conf,
						       true };
		slot->bounce = true;
	}
}

struct domain_set *domain_set_new(const struct config *c, struct err *e)
{
	struct domain_set *s = calloc(1, sizeof *s);

	must(s != NULL);
	atomic_init(&s->refs, 1);
	s->site = c->site;
	s->codes = c->status_codes;
	s->mode = c->mode; /* the text of mode.allow stays behind */
	s->mode.allow = (struct conf_list){ 0 };
	s->cmt = c->cmt;
	s->cmt.classes = (struct conf_list){ 0 };
	s->egress = c->egress;
	s->loop = c->loop;
	s->recipients = c->recipients;
	s->recipients.path = STR_NONE; /* the store stays where it was opened */
	arena_init_sure(&s->memory, MEMORY_MAX);
	s->mode.allow_ranges = arena_alloc(&s->memory, (c->mode.allow_n + 1) * sizeof *s->mode.allow_ranges);
	must(s->mode.allow_ranges != NULL);
	if (c->mode.allow_n > 0)
		memcpy(s->mode.allow_ranges, c->mode.allow_ranges, c->mode.allow_n * sizeof *s->mode.allow_ranges);
	copy_domains(s, c);
	for (s->slot_n = 16; s->slot_n < (c->domain_n + c->send_n) * 4; s->slot_n *= 2)
		;
	s->slots = arena_alloc(&s->memory, s->slot_n * sizeof *s->slots);
	must(s->slots != NULL);
	if (add_domains(s, e) != 0 || add_routing_domains(s, e) != 0)
		domain_set_unref(&s);
	else
		add_bounce_domains(s, c);
	return s;
}

struct domain_set *domain_set_ref(struct domain_set *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void domain_set_unref(struct domain_set **sp)
{
	struct domain_set *s = *sp;

	*sp = NULL;
	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_fini(&s->memory);
	free(s);
}

const struct domain_entry *domain_find(const struct domain_set *s, struct str name)
{
	struct str parent = name, label;

	while (parent.n > 0) {
		const struct domain_entry *d = &s->slots[slot_of(s, parent)];
		bool exact = parent.n == name.n;
		if (d->name.p != NULL && (exact || (d->role == DOMAIN_ACCEPTED && d->conf->match_subdomains)))
			return d;
		str_cut(parent, '.', &label, &parent);
	}
	return NULL;
}

bool domain_normalize(const struct domain_set *s, struct str text, struct buf *out)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	const struct domain_entry *d;
	struct addr a;
	size_t before = out->n;

	if (addr_parse(text, &rules, &a) != ADDR_OK || a.literal || !addr_normalize(&a, false, out))
		return false;
	struct str key = str_skip(buf_str(out), before);
	d = domain_find(s, str_skip(key, (size_t)str_rchr(key, '@') + 1));
	if (d == NULL || !d->conf->exact_case)
		return true;
	out->n = before;
	return addr_normalize(&a, true, out);
}
