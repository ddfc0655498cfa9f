/* base/net.c: addresses, ranges and sockets. */
#include "base/net.h"

#include "base/fault.h"
#include "base/must.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const unsigned char v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool as_cstr(struct str s, char *to, size_t room)
{
	if (s.n == 0 || s.n >= room || str_chr(s, '\0') >= 0)
		return false;
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return true;
}

static void to_v16(const struct net_addr *a, unsigned char ip[16])
{
	if (a->sa.sa_family == AF_INET) {
		memcpy(ip, v4_prefix, 12);
		memcpy(ip + 12, &a->v4.sin_addr, 4);
	} else {
		memcpy(ip, &a->v6.sin6_addr, 16);
	}
}

static void from_v16(const unsigned char ip[16], uint16_t port, struct net_addr *a)
{
	memset(a, 0, sizeof *a);
	if (memcmp(ip, v4_prefix, 12) == 0) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		memcpy(&a->v4.sin_addr, ip + 12, 4);
	} else {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		memcpy(&a->v6.sin6_addr, ip, 16);
	}
}

static bool parse_v16(struct str s, unsigned char ip[16])
{
	char text[INET6_ADDRSTRLEN];

	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = (struct str){ s.p + 1, s.n - 2 };
		if (str_chr(s, ':') < 0)
			return false;
	}
	if (!as_cstr(s, text, sizeof text))
		return false;
	if (inet_pton(AF_INET, text, ip + 12) == 1) {
		memcpy(ip, v4_prefix, 12);
		return true;
	}
	return inet_pton(AF_INET6, text, ip) == 1;
}

bool net_parse_ip(struct str s, uint16_t port, struct net_addr *out)
{
	unsigned char ip[16];

	if (!parse_v16(s, ip))
		return false;
	from_v16(ip, port, out);
	return true;
}

/* "[192.0.2.1]", as mail writes addresses, is 192.0.2.1; "[2001:db8::1]" stays as it is. */
static struct str without_v4_brackets(struct str s)
{
	bool v4 = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']' && str_chr(s, ':') < 0;

	return v4 ? (struct str){ s.p + 1, s.n - 2 } : s;
}

bool net_parse_addr(struct str s, uint16_t default_port, struct net_addr *out)
{
	ssize_t colon = str_rchr(s, ':');
	uint64_t port;

	if (colon < 0 || s.p[s.n - 1] == ']' || str_chr(s, ':') != colon) {
		if (s.n > 0 && s.p[0] == '[' && s.p[s.n - 1] != ']' && colon > 0)
			goto with_port;
		return default_port != 0 && net_parse_ip(without_v4_brackets(s), default_port, out);
	}
with_port:
	if (!str_u64(str_skip(s, (size_t)colon + 1), 65535, &port) || port == 0)
		return false;
	return net_parse_ip(without_v4_brackets(str_head(s, (size_t)colon)), (uint16_t)port, out);
}

/* "10", "10.1": the short forms administrators write in ranges; missing octets are zero. */
static bool parse_short_v4(struct str s, unsigned char ip[16])
{
	memcpy(ip, v4_prefix, 12);
	memset(ip + 12, 0, 4);
	for (size_t i = 0; i < 4; i++) {
		struct str octet;
		uint64_t v;
		bool more = str_cut(s, '.', &octet, &s);
		if (!str_u64(octet, 255, &v))
			return false;
		ip[12 + i] = (unsigned char)v;
		if (!more)
			return true;
	}
	return false;
}

static bool host_bits_are_zero(const unsigned char ip[16], unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (ip[i / 8] & (0x80U >> (i % 8)))
			return false;
	return true;
}

bool net_parse_cidr(struct str s, struct net_cidr *out)
{
	struct str ip, len;
	struct net_cidr c;
	uint64_t bits;
	bool has_len = str_cut(s, '/', &ip, &len);

	if (!parse_v16(ip, c.ip) && !(has_len && parse_short_v4(ip, c.ip)))
		return false;
	bool v4 = memcmp(c.ip, v4_prefix, 12) == 0 && str_chr(ip, ':') < 0;
	if (!has_len)
		bits = v4 ? 32 : 128;
	else if (!str_u64(len, v4 ? 32 : 128, &bits))
		return false;
	c.bits = (unsigned)bits + (v4 ? 96 : 0);
	if (!host_bits_are_zero(c.ip, c.bits))
		return false;
	*out = c;
	return true;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & (unsigned char)(0xff00U >> rest)) == 0;
}

bool net_cidr_has(const struct net_cidr *range, const struct net_addr *a)
{
	unsigned char ip[16];

	to_v16(a, ip);
	/* "::/0" means all of IPv6, not also the IPv4 addresses that we write as ::ffff:0:0/96 */
	if (range->bits < 96 && memcmp(ip, v4_prefix, 12) == 0)
		return false;
	return same_prefix(range->ip, ip, range->bits);
}

bool net_cidr_covers(const struct net_cidr *wide, const struct net_cidr *narrow)
{
	bool narrow_v4 = narrow->bits >= 96 && memcmp(narrow->ip, v4_prefix, 12) == 0;

	if (wide->bits < 96 && narrow_v4)
		return false;
	return wide->bits <= narrow->bits && same_prefix(wide->ip, narrow->ip, wide->bits);
}

void net_put_ip(struct buf *b, const struct net_addr *a)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (a->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, text, sizeof text);
	else if (a->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof text);
	buf_add(b, str_c(text));
}

void net_put_addr(struct buf *b, const struct net_addr *a)
{
	bool v6 = a->sa.sa_family == AF_INET6;

	if (v6)
		buf_addc(b, '[');
	net_put_ip(b, a);
	if (v6)
		buf_addc(b, ']');
	buf_addf(b, ":%u", net_port(a));
}

void net_put_cidr(struct buf *b, const struct net_cidr *c)
{
	struct net_addr a;
	bool v4 = c->bits >= 96 && memcmp(c->ip, v4_prefix, 12) == 0;

	from_v16(c->ip, 0, &a);
	net_put_ip(b, &a);
	buf_addf(b, "/%u", v4 ? c->bits - 96 : c->bits);
}

bool net_same_ip(const struct net_addr *a, const struct net_addr *b)
{
	unsigned char x[16], y[16];

	to_v16(a, x);
	to_v16(b, y);
	return memcmp(x, y, 16) == 0;
}

bool net_is_loopback(const struct net_addr *a)
{
	static const struct net_cidr v4 = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127 }, 104 };
	static const struct net_cidr v6 = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128 };

	return net_cidr_has(&v4, a) || net_cidr_has(&v6, a);
}

uint16_t net_port(const struct net_addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void net_set_port(struct net_addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
	else
		a->v4.sin_port = htons(port);
}

socklen_t net_len(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

static void put_text(const struct net_addr *a, char *text, size_t room)
{
	struct buf b;

	buf_init(&b, 128);
	net_put_addr(&b, a);
	snprintf(text, room, "%s", buf_cstr(&b));
	buf_fini(&b);
}

int net_listen(const struct net_addr *a, int backlog, struct err *e)
{
	int on = 1, fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[128];

	put_text(a, text, sizeof text);
	if (fd < 0)
		return err_sys(e, ERR_NET, "net.listen", "socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &a->sa, net_len(a)) != 0 || listen(fd, backlog) != 0) {
		err_sys(e, ERR_NET, "net.listen", "cannot listen on %s", text);
		close(fd);
		return -1;
	}
	return fd;
}

static int unix_addr(const char *path, struct sockaddr_un *un, struct err *e)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof un->sun_path)
		return err_set(e, ERR_NET, "net.unix", "path too long: %s", path);
	memcpy(un->sun_path, path, strlen(path) + 1);
	return 0;
}

int net_listen_unix(const char *path, unsigned mode, struct err *e)
{
	struct sockaddr_un un;
	struct stat st;
	int fd;

	if (unix_addr(path, &un, e) != 0)
		return -1;
	bool there = lstat(path, &st) == 0;
	if (there && !S_ISSOCK(st.st_mode)) /* a link would lead elsewhere, a file would be lost */
		return err_set(e, ERR_NET, "net.unix", "%s is there and is no socket: remove it", path);
	if (there)
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, ERR_NET, "net.unix", "socket");
	if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0 ||
	    fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) != 0 || listen(fd, 64) != 0) {
		err_sys(e, ERR_NET, "net.unix", "cannot listen on %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

int net_connect(const struct net_addr *to, const struct net_addr *from, struct err *e)
{
	int on = 1,
	    fd = fault("net.socket") ? -1 : socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[128];

	put_text(to, text, sizeof text);
	if (fd < 0)
		return err_sys(e, ERR_NET, "net.connect", "socket for %s", text);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (fault("net.connect") || (from != NULL && bind(fd, &from->sa, net_len(from)) != 0) ||
	    (connect(fd, &to->sa, net_len(to)) != 0 && errno != EINPROGRESS)) {
		err_sys(e, ERR_NET, "net.connect", "cannot connect to %s", text);
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_unix(const char *path, int flags, struct err *e)
{
	struct sockaddr_un un;
	int fd;

	if (unix_addr(path, &un, e) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return err_sys(e, ERR_NET, "net.unix", "socket");
	if (connect(fd, (struct sockaddr *)&un, sizeof un) != 0) {
		err_sys(e, errno == EAGAIN ? ERR_BUSY : ERR_NET, "net.unix", "cannot connect to %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

int net_connect_unix(const char *path, struct err *e)
{
	return connect_unix(path, 0, e);
}

int net_connect_unix_now(const char *path, struct err *e)
{
	return connect_unix(path, SOCK_NONBLOCK, e);
}
