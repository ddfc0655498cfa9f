/* routing/locate.c: address -> kind of recipient (spec 2.5), over one view of the table.
 *
 * The full address always wins; only when it is unknown the part after a plus separator is cut and the rest tried.
 * Addresses in the other side's routing domain and in externally relayed domains are never looked up: they say by
 * themselves where they belong.  Encapsulated addresses (IMCEAEX-) are not decoded. */
#include "routing/recipient.h"

#include "base/must.h"

#include <string.h>

static enum rcpt_kind kind_of_hit(const struct rcpt_record *rec, enum domain_role role)
{
	bool mailbox = rec->loc == LOC_LOCAL || rec->loc == LOC_REMOTE || rec->loc == LOC_BOTH;

	if (mailbox && rec->redirect.n > 0 && !rec->keep_copy)
		return KIND_CONTACT; /* forward only: nothing of it reaches the mailbox */
	switch (rec->loc) {
	case LOC_LOCAL:
	case LOC_BOTH:
		return role == DOMAIN_OWN_ROUTING ? KIND_ROUTING_SELF : KIND_LOCAL;
	case LOC_REMOTE:
		return KIND_REMOTE;
	case LOC_GROUP:
		return KIND_GROUP;
	case LOC_CONTACT:
	case LOC_REDIRECT:
		return KIND_CONTACT;
	case LOC_DISABLED:
		break;
	}
	return KIND_UNK_AUTH;
}

static enum rcpt_kind kind_of_miss(const struct conf_domain *d)
{
	bool to_host = str_istarts(d->relay_to, S("host:")) || str_ieq(d->relay_to, S("mx"));

	switch (d->type) {
	case DOMAIN_AUTHORITATIVE:
		return KIND_UNK_AUTH;
	case DOMAIN_INTERNAL_RELAY:
		return to_host ? KIND_UNK_RELAY_HOST : KIND_UNK_RELAY_PEER;
	case DOMAIN_EXTERNAL_RELAY:
		break;
	}
	return str_ieq(d->relay_to, S("peer")) ? KIND_UNK_RELAY_PEER : KIND_UNK_RELAY_HOST;
}

/* Cuts "ann+news@d" in `key` to "ann@d" at the first separator; false when there is none to cut. */
static bool cut_plus(struct buf *key, struct str separators)
{
	size_t at = (size_t)str_rchr(buf_str(key), '@');

	if (key->p[0] == '"')
		return false;
	for (size_t i = 1; i < at; i++)
		if (str_chr(separators, key->p[i]) >= 0) {
			memmove(key->p + i, key->p + at, key->n - at);
			key->n -= at - i;
			return true;
		}
	return false;
}

/* Our own routing domain mirrors the default domain: an address there that is in no record is tried as one of it. */
static bool map_to_default(const struct domain_set *s, struct buf *key)
{
	if (s->dflt == NULL || s->dflt->own_routing)
		return false;
	key->n = (size_t)str_rchr(buf_str(key), '@') + 1;
	return buf_add(key, s->dflt->name);
}

static bool find_one(struct routing_view *v, struct str key, unsigned char rid[RID_SIZE], struct str *bytes)
{
	if (v->past)
		return recipient_find_past(v, key, rid, bytes);
	return recipient_may_exist(v->filter, key) && recipient_find(v->routing, v->txn, key, rid, bytes);
}

static bool find(struct routing_view *v, const struct domain_entry *d, struct buf *key, unsigned char rid[RID_SIZE],
		 struct str *bytes, bool *plus)
{
	if (find_one(v, buf_str(key), rid, bytes))
		return true;
	*plus = cut_plus(key, d->conf->plus);
	if (*plus && find_one(v, buf_str(key), rid, bytes))
		return true;
	return d->role == DOMAIN_OWN_ROUTING && map_to_default(v->domains, key) &&
	       find_one(v, buf_str(key), rid, bytes);
}

static bool look_up(struct routing_view *v, const struct domain_entry *d, const struct addr *a, struct buf *key,
		    struct arena *arena, struct located *out, struct err *e)
{
	unsigned char rid[RID_SIZE];
	struct str bytes;
	bool plus = false;

	out->kind = kind_of_miss(d->conf);
	buf_reset(key);
	if (!addr_normalize(a, d->conf->exact_case, key)) /* longer than any address of the table */
		return true;
	if (find(v, d, key, rid, &bytes, &plus)) {
		if (record_decode(rid, bytes, arena, &out->record, e) != 0)
			return false;
		out->found = true;
		out->plus = plus;
		out->kind = kind_of_hit(&out->record, d->role);
	}
	if (store_failed(v->txn)) {
		err_set(e, ERR_IO, "recipient.find", "the recipient table cannot be read");
		return false;
	}
	return true;
}

/* <postmaster> without a domain is always taken (RFC 5321 4.5.1): the record of the default domain, or this side. */
static bool locate_postmaster(struct routing_view *v, struct arena *arena, struct located *out, struct err *e)
{
	struct addr a = { .local = S("postmaster") };
	struct buf key;

	out->kind = KIND_LOCAL;
	if (v->domains->dflt == NULL)
		return true;
	a.domain = v->domains->dflt->name;
	out->domain = v->domains->dflt;
	buf_init(&key, 1024);
	bool good = look_up(v, domain_find(v->domains, a.domain), &a, &key, arena, out, e);
	buf_fini(&key);
	if (!out->found)
		out->kind = KIND_LOCAL;
	return good;
}

bool routing_locate(struct routing_view *v, const struct addr *a, struct arena *arena, struct located *out,
		    struct err *e)
{
	const struct domain_entry *d = NULL;
	struct buf key;
	bool good = true;

	*out = (struct located){ .kind = KIND_EXTERNAL };
	if (a->domain.n == 0)
		return locate_postmaster(v, arena, out, e);
	if (a->literal)
		return true;
	buf_init(&key, 1024);
	if (addr_normalize_domain(a->domain, &key))
		d = domain_find(v->domains, buf_str(&key));
	if (d != NULL)
		out->domain = d->conf;
	if (d != NULL && d->role == DOMAIN_BOUNCE && str_ieq(a->local, S("postmaster"))) {
		buf_fini(&key);
		return locate_postmaster(v, arena, out, e);
	}
	if (d != NULL && d->role == DOMAIN_PEER_ROUTING)
		out->kind = KIND_ROUTING_PEER;
	else if (d != NULL && d->conf->type == DOMAIN_EXTERNAL_RELAY)
		out->kind = kind_of_miss(d->conf);
	else if (d != NULL)
		good = look_up(v, d, a, &key, arena, out, e);
	buf_fini(&key);
	return good;
}

bool routing_is_our_domain(struct routing_view *v, struct str domain)
{
	struct buf key;

	buf_init(&key, 512);
	bool ours = addr_normalize_domain(domain, &key) && domain_find(v->domains, buf_str(&key)) != NULL;
	buf_fini(&key);
	return ours;
}
