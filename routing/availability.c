/* routing/availability.c: how the other side does, what may bypass it meanwhile, and the meter of what did.
 *
 * In memory only: after a restart the other side has to fail for cmt.bypass_after once more, and the meter begins at 0.
 */
#include "routing/recipient.h"

#include "base/must.h"

#include <stdatomic.h>

enum { HOUR_MS = 3600 * 1000 };

void routing_peer_heard(struct routing *r, bool ok, int64_t now_ms)
{
	int64_t healthy = 0;

	if (ok)
		atomic_store(&r->peer.failing_since_ms, 0);
	else
		atomic_compare_exchange_strong(&r->peer.failing_since_ms, &healthy, now_ms);
}

int64_t routing_peer_failing_since(struct routing *r)
{
	return atomic_load(&r->peer.failing_since_ms);
}

bool availability_may_bypass(struct routing_view *v, const struct route_query *q, const struct mode *m)
{
	const struct domain_set *s = v->domains;
	int64_t since_ms = routing_peer_failing_since(v->routing);
	unsigned class = q->origin == ENV_INTERNET ? BYPASS_INBOUND : BYPASS_OUTBOUND;

	if (s->cmt.on_peer_down == PEER_DOWN_QUEUE || s->site != SITE_CLOUD || !m->cmt || q->no_bypass)
		return false;
	if (since_ms == 0 || v->now_ms - since_ms < s->cmt.bypass_after_ms)
		return false;
	class |= q->null_sender ? BYPASS_DSN : 0;
	return s->cmt.on_peer_down == PEER_DOWN_BYPASS || (s->cmt.class_bits & class) != 0;
}

bool routing_bypass_take(struct routing *r, int64_t now_ms)
{
	struct domain_set *domains = routing_domains(r);
	struct availability *p = &r->peer;
	uint64_t most = (uint64_t)domains->cmt.quota;

	domain_set_unref(&domains);
	pthread_mutex_lock(&p->lock);
	if (p->quota_hour != now_ms / HOUR_MS)
		p->quota_used = 0;
	p->quota_hour = now_ms / HOUR_MS;
	bool left = most == 0 || p->quota_used < most;
	p->quota_used += left;
	pthread_mutex_unlock(&p->lock);
	return left;
}

/* ---- the meter ---- */

const char *coverage_name(enum coverage c)
{
	static const char *const names[] = { "-", "passed", "direct", "forwarded", "bypassed" };

	must((size_t)c < sizeof names / sizeof names[0]);
	return names[c];
}

/* On-prem sees only what came here; at the cloud what on-prem sent has been there, unless the cloud redirected it. */
enum coverage route_coverage(const struct route *rt)
{
	const struct route_facts *f = &rt->facts;
	struct str rule = str_c(rt->verdict.rule);

	if (f->kind != KIND_EXTERNAL)
		return COVERAGE_NONE;
	if (f->site == SITE_ONPREM)
		return str_eq(rule, S("R53")) || str_eq(rule, S("R54")) ? COVERAGE_PASSED : COVERAGE_NONE;
	if (str_eq(str_c(rt->verdict.reason), S("CMT-BYPASS")))
		return COVERAGE_BYPASSED;
	if (str_eq(rule, S("R56")) || str_eq(rule, S("R58")))
		return COVERAGE_PASSED;
	if (!str_eq(rule, S("R57")))
		return COVERAGE_NONE;
	if (f->origin != ENV_PEER)
		return COVERAGE_DIRECT;
	return f->redirected ? COVERAGE_FORWARDED : COVERAGE_PASSED;
}

void routing_coverage_count(struct routing *r, enum coverage c, int64_t now_ms)
{
	struct availability *p = &r->peer;
	int64_t hour = now_ms / HOUR_MS;
	size_t at = (size_t)(hour % COVERAGE_HOURS);

	if (c == COVERAGE_NONE)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->hours[at] != hour)
		memset(p->counts[at], 0, sizeof p->counts[at]);
	p->hours[at] = hour;
	p->counts[at][c]++;
	p->totals[c]++;
	pthread_mutex_unlock(&p->lock);
}

void routing_coverage(struct routing *r, int64_t now_ms, struct coverage_sum *out)
{
	struct availability *p = &r->peer;
	int64_t hour = now_ms / HOUR_MS;

	*out = (struct coverage_sum){ 0 };
	pthread_mutex_lock(&p->lock);
	memcpy(out->total, p->totals, sizeof out->total);
	for (int i = 0; i < COVERAGE_HOURS; i++) {
		int64_t one = hour - COVERAGE_HOURS + 1 + i;
		size_t at = (size_t)(one % COVERAGE_HOURS);
		if (p->hours[at] != one)
			continue;
		out->hours[i].hour_ms = one * HOUR_MS;
		memcpy(out->hours[i].n, p->counts[at], sizeof out->hours[i].n);
	}
	pthread_mutex_unlock(&p->lock);
}
