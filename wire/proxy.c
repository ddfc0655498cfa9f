/* wire/proxy.c: the PROXY preface, version 1 (text) and 2 (binary).
 *
 * Exact or refused: who may send a preface is trusted to name the client, so nothing is guessed. */
#include "wire/proxy.h"

#include <string.h>

/* ---- version 1 ---- */

static bool parse_port(struct str s, uint16_t *out)
{
	uint64_t v;

	if ((s.n > 1 && s.p[0] == '0') || !str_u64(s, 65535, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

static bool parse_end(struct str ip, struct str port, bool v6, struct net_addr *out)
{
	uint16_t p;

	if ((str_chr(ip, ':') >= 0) != v6 || str_chr(ip, '[') >= 0)
		return false;
	return parse_port(port, &p) && net_parse_ip(ip, p, out);
}

static bool parse_v1(struct str line, struct proxy *out)
{
	struct str word[5];

	for (size_t i = 0; i < 5; i++) {
		bool more = str_cut(line, ' ', &word[i], &line);
		if (i == 0 && str_eq(word[0], S("UNKNOWN"))) { /* the rest of such a line is to be ignored */
			out->local = true;
			return true;
		}
		if (more != (i < 4))
			return false;
	}
	bool v6 = str_eq(word[0], S("TCP6"));
	if (!v6 && !str_eq(word[0], S("TCP4")))
		return false;
	return parse_end(word[1], word[3], v6, &out->client) && parse_end(word[2], word[4], v6, &out->server);
}

static int next_v1(struct str in, struct proxy *out)
{
	struct proxy p = { 0 };
	ssize_t lf = str_chr(str_head(in, PROXY_V1_MAX), '\n');

	if (lf < 0)
		return in.n >= PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
	if (lf < 6 || in.p[lf - 1] != '\r')
		return PROXY_BAD;
	if (!parse_v1((struct str){ in.p + 6, (size_t)lf - 7 }, &p))
		return PROXY_BAD;
	*out = p;
	return (int)lf + 1;
}

/* ---- version 2 ---- */

static const struct str signature = STR_LIT("\r\n\r\n\0\r\nQUIT\n");

enum { FIXED_BYTES = 16, LOCAL = 0x20, PROXY = 0x21, UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };

static unsigned get16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static void set_v4(struct net_addr *a, const char *ip, const char *port)
{
	memset(a, 0, sizeof *a);
	a->v4.sin_family = AF_INET;
	memcpy(&a->v4.sin_addr, ip, 4);
	net_set_port(a, (uint16_t)get16(port));
}

/* Mapped addresses become IPv4, as everywhere else (base/net). */
static void set_v6(struct net_addr *a, const char *ip, const char *port)
{
	memset(a, 0, sizeof *a);
	a->v6.sin6_family = AF_INET6;
	memcpy(&a->v6.sin6_addr, ip, 16);
	if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
		set_v4(a, ip + 12, port);
		return;
	}
	net_set_port(a, (uint16_t)get16(port));
}

static int next_v2(struct str in, struct proxy *out)
{
	struct proxy p = { 0 };

	if (in.n < FIXED_BYTES)
		return PROXY_MORE;
	unsigned char command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
	size_t n = get16(in.p + 14), used = FIXED_BYTES + n;
	const char *at = in.p + FIXED_BYTES;
	if ((command != LOCAL && command != PROXY) || used > PROXY_V2_MAX)
		return PROXY_BAD;
	if (in.n < used)
		return PROXY_MORE;
	if (command == LOCAL || family == UNSPEC || family == UNIX_STREAM) {
		p.local = true;
	} else if (family == TCP4 && n >= 12) {
		set_v4(&p.client, at, at + 8);
		set_v4(&p.server, at + 4, at + 10);
	} else if (family == TCP6 && n >= 36) {
		set_v6(&p.client, at, at + 32);
		set_v6(&p.server, at + 16, at + 34);
	} else {
		return PROXY_BAD;
	}
	*out = p;
	return (int)used;
}

/* True when `in` starts with `prefix`, or may still come to. */
static bool may_start(struct str in, struct str prefix)
{
	return str_eq(str_head(in, prefix.n), str_head(prefix, in.n));
}

int proxy_next(struct str in, struct proxy *out)
{
	if (in.n == 0)
		return PROXY_MORE;
	if (may_start(in, S("PROXY ")))
		return next_v1(in, out);
	if (may_start(in, signature))
		return next_v2(in, out);
	return PROXY_BAD;
}
