/* tests/fuzz/proxy_fuzz.c: PROXY prefaces: split-invariant, exact, both addresses or none (CVE-2019-16928: a header too
 * short or too long). */
#include "tests/fuzz/fuzz.h"
#include "wire/proxy.h"

static void check_addr(const struct net_addr *a)
{
	struct net_addr again;
	struct buf b;

	must(a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6);
	buf_init(&b, 100);
	net_put_ip(&b, a);
	must(net_parse_ip(buf_str(&b), net_port(a), &again) && net_same_ip(a, &again));
	must(again.sa.sa_family == a->sa.sa_family);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct proxy p, grown;
	int used = proxy_next(in, &p), grown_used = PROXY_MORE;

	for (size_t i = 0; i <= in.n && grown_used == PROXY_MORE; i++)
		grown_used = proxy_next(str_head(in, i), &grown);
	must(grown_used == used);
	must(used <= PROXY_V2_MAX && used <= (int)in.n);
	must(used != PROXY_MORE || in.n < PROXY_V2_MAX);
	if (used <= 0 || p.local)
		return 0;
	check_addr(&p.client);
	check_addr(&p.server);
	return 0;
}
