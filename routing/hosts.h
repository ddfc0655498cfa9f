/* routing/hosts.h: names with fixed answers, for tests and closed networks.
 *
 *   192.0.2.1 mx1.example www.example      addresses of names, as in hosts(5)
 *   MX 10 example mx1.example              mail exchangers; host "." = the domain takes no mail
 *   PTR 192.0.2.1 mx1.example         the name of an address
 *   FAIL example                      questions about this name get no answer, as when its servers are down
 *   TXT example "v=spf1 ip4:192.0.2.1 -all"   a text; several quoted ones are one text, as in the DNS
 *
 * "#" begins a comment.  A name that is here is not asked for in the DNS.  Immutable after reading; any thread. */
#ifndef ROUTING_HOSTS_H
#define ROUTING_HOSTS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/net.h"

enum host_kind { HOST_ADDR, HOST_MX, HOST_TXT, HOST_PTR, HOST_FAIL, HOST_KIND_N };

struct host_row {
	struct str name; /* lower case, no trailing dot */
	enum host_kind kind;
	struct net_addr addr;
	unsigned preference;
	struct str exchanger; /* "." = null MX; of a PTR: the name */
	struct str text;
	size_t line; /* keeps rows of one name in file order */
};

struct hosts {
	struct arena memory;
	struct host_row *rows; /* sorted by {name, kind, line} */
	size_t row_n;
};

int hosts_read(struct hosts *h, const char *path, struct err *e); /* all lines right, or -1: "FILE:LINE: ..." */
int hosts_parse(struct hosts *h, struct str text, const char *name, struct err *e);
void hosts_fini(struct hosts *h);

/* The rows of one name and kind; NULL and *n = 0 when there are none. */
const struct host_row *hosts_find(const struct hosts *h, struct str name, enum host_kind kind, size_t *n);

#endif
