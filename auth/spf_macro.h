/* auth/spf_macro.h: macro strings of SPF (RFC 7208 7), all but %{p}.  Pure.
 *
 * libspf2 cuts the first character off `%{d2}` of a name with two labels, knows no capital R, and this part of it is
 * where its unclear memory fault was (CVE-2023-42118); so it only ever sees text without macros, and %{p}. */
#ifndef AUTH_SPF_MACRO_H
#define AUTH_SPF_MACRO_H

#include "base/buf.h"
#include "base/net.h"

struct spf_macros {
	struct net_addr client;
	struct str sender; /* local@domain */
	struct str domain; /* the current one */
	struct str helo, receiver;
	int64_t now_s; /* for %{t} */
};

enum spf_expand {
	EXPAND_NAME,    /* of a domain-spec; 253 bytes at most, labels are left out in front; %{p} is "unknown" */
	EXPAND_LIBRARY, /* the same for libspf2: what it would take for a macro is escaped, %{p} stays */
	EXPAND_TEXT,    /* an explanation: %{c}, %{r}, %{t} too, and blanks may stand in it */
};

/* False: `text` is no macro string, or what comes out is too long for `out`. */
bool spf_expand(struct str text, const struct spf_macros *m, enum spf_expand how, struct buf *out);
bool spf_has_p(struct str text); /* it needs the client's name */

#endif
