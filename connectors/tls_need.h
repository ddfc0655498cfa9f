/* connectors/tls_need.h: how much TLS a message needs on its way out (spec 3.7).  Pure.
 *
 *   effective level = max(connector, every tls_policy for the domain of the next hop or of the recipient)
 *
 * A higher level that cannot be had is never traded for a lower one.  Of the names a certificate must carry none is
 * dropped either: the connector's and those of the most specific policies must all match. */
#ifndef CONNECTORS_TLS_NEED_H
#define CONNECTORS_TLS_NEED_H

#include "config/config.h"

enum { TLS_NEED_PATTERNS = 3 }; /* connector, policy of the hop's domain, policy of the recipient's domain */

struct tls_need {
	enum conf_tls_level level;
	struct str patterns[TLS_NEED_PATTERNS]; /* level domain: views of the configuration; all must match */
	size_t pattern_n; /* 0: the default of the hop (recipient's domain by MX, else the host) */
};

struct tls_share {                            /* what one of them contributed, for `route explain` */
	const struct conf_tls_policy *policy; /* NULL: the connector */
	enum conf_tls_level level;
	struct str tls_domain;
	bool of_rcpt; /* matched the recipient's own domain, not the hop's */
};

struct tls_shares {
	struct tls_share v[32]; /* what does not fit still counts, it is only not told */
	size_t n;
};

/* `rcpt_domain` may be empty or equal to `hop_domain`; either may hold U-labels.  `shares` may be NULL. */
void tls_need_find(const struct config *c, const struct conf_send *s, struct str hop_domain, struct str rcpt_domain,
		   struct tls_need *out, struct tls_shares *shares);
bool tls_need_is_same(const struct tls_need *a, const struct tls_need *b);

#endif
