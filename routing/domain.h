/* routing/domain.h: what one configuration says about domains and policy, as one immutable value.
 *
 * Everything is copied out of the configuration, so decisions in progress keep their set while a reload swaps in the
 * next one.  Shared by reference count; any thread. */
#ifndef ROUTING_DOMAIN_H
#define ROUTING_DOMAIN_H

#include "routing/routing.h"

enum domain_role {
	DOMAIN_ACCEPTED,     /* a `domain` block */
	DOMAIN_OWN_ROUTING,  /* the routing domain of our side */
	DOMAIN_PEER_ROUTING, /* the routing domain of the other side */
};

struct domain_entry {
	struct str name; /* A-labels, lower case */
	enum domain_role role;
	const struct conf_domain *conf; /* of the domain, or of the one that names it as routing_domain */
};

struct domain_set {
	_Atomic unsigned refs;
	enum conf_site site;
	enum conf_codes codes;
	struct conf_mode mode;
	struct conf_cmt cmt;
	struct conf_egress_policy egress;
	struct conf_loop loop;
	struct conf_recipients recipients;
	struct conf_domain *domains;
	size_t domain_n;
	const struct conf_domain *dflt; /* the default domain; NULL without domains */
	struct domain_entry *slots;     /* open addressing; name.p NULL = free */
	size_t slot_n;                  /* power of two */
	struct arena memory;
};

/* NULL with err when a domain is named twice or in two roles. */
struct domain_set *domain_set_new(const struct config *c, struct err *e);
struct domain_set *domain_set_ref(struct domain_set *s);
void domain_set_unref(struct domain_set **s);

/* The entry of `name` (as addr_normalize_domain leaves it): exact, or the longest parent with match_subdomains. */
const struct domain_entry *domain_find(const struct domain_set *s, struct str name);

/* Appends `text` ("Ann@Contoso.com") as the table's key: addr_normalize with the case rule of its domain.  False when
 * it is not an address, is a literal, or `out` is full. */
bool domain_normalize(const struct domain_set *s, struct str text, struct buf *out);

#endif
