/* base/net.h: socket addresses, CIDR ranges, listening and connecting sockets.  Nothing here resolves names. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include "base/buf.h"
#include "base/err.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct net_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

struct net_cidr {
	unsigned char ip[16]; /* IPv4 as ::ffff:a.b.c.d, so that one comparison serves both */
	unsigned bits;        /* 0..128, counted in the 16-byte form */
};

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; IPv4-mapped IPv6 becomes IPv4.  False for names and anything else. */
bool net_parse_ip(struct str s, uint16_t port, struct net_addr *out);
/* "192.0.2.1:25", "[192.0.2.1]:25", "[::]:25"; the port may be missing when default_port is not 0. */
bool net_parse_addr(struct str s, uint16_t default_port, struct net_addr *out);
/* "10.0.0.0/8", "::1", "fd00::/8", "10/8", "0/0".  Bits after the prefix must be zero. */
bool net_parse_cidr(struct str s, struct net_cidr *out);
bool net_cidr_has(const struct net_cidr *range, const struct net_addr *a);
bool net_cidr_covers(const struct net_cidr *wide, const struct net_cidr *narrow);

void net_put_ip(struct buf *b, const struct net_addr *a);   /* "192.0.2.1", "2001:db8::1" */
void net_put_addr(struct buf *b, const struct net_addr *a); /* "192.0.2.1:25", "[2001:db8::1]:25" */
void net_put_cidr(struct buf *b, const struct net_cidr *c);
bool net_same_ip(const struct net_addr *a, const struct net_addr *b); /* ports do not count */
bool net_is_loopback(const struct net_addr *a);
uint16_t net_port(const struct net_addr *a);
void net_set_port(struct net_addr *a, uint16_t port);
socklen_t net_len(const struct net_addr *a);

/* Non-blocking, close-on-exec sockets.  Return the descriptor or -1 with err. */
int net_listen(const struct net_addr *a, int backlog, struct err *e); /* SO_REUSEADDR, SO_REUSEPORT, V6ONLY */
int net_listen_unix(const char *path, unsigned mode, struct err *e);  /* replaces a stale socket file */
int net_connect(const struct net_addr *to, const struct net_addr *from, struct err *e); /* may still be in progress */
int net_connect_unix(const char *path, struct err *e); /* blocking; for the command line */
/* Never waits and is connected at once, or fails: ERR_BUSY when the listener's queue is full just now. */
int net_connect_unix_now(const char *path, struct err *e);

#endif
