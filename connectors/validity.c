/* connectors/validity.c: judging; see the header. */
#include "connectors/validity.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

enum { EXPIRY_DAYS = 7 };
static const int64_t day_ms = 86400000;

/* What the mail of an organisation suffers from when it goes; in the order told. */
static const struct keyword {
	unsigned cap;
	const char *name;
} keywords[] = {
	{ EHLO_XOORG, "XOORG" }, { EHLO_8BITMIME, "8BITMIME" }, { EHLO_CHUNKING, "CHUNKING" },
	{ EHLO_SIZE, "SIZE" },   { EHLO_SMTPUTF8, "SMTPUTF8" }, { EHLO_DSN, "DSN" },
};

const char *valid_state_name(enum valid_state s)
{
	static const char *const names[] = { [VALID_UNVERIFIED] = "unverified",
					     [VALID_OK] = "ok",
					     [VALID_DEGRADED] = "degraded",
					     [VALID_FAILED] = "failed" };

	return names[s];
}

static struct valid_known *known_of(struct valid_memory *m, const char *ip)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].ip, ip) == 0)
			return &m->v[i];
	return NULL;
}

/* As good as before, or better: this is what it is compared with from now on. */
static void learn(struct valid_memory *m, const struct valid_host *h)
{
	struct valid_known *k = known_of(m, h->ip);

	if (k == NULL && m->n < VALID_HOSTS_MAX) {
		k = &m->v[m->n++];
		*k = (struct valid_known){ 0 };
		snprintf(k->ip, sizeof k->ip, "%s", h->ip);
	}
	if (k == NULL)
		return;
	k->caps = h->caps;
	k->size = h->size;
}

/* SIZE without a number has no limit. */
static bool is_smaller(uint64_t now, uint64_t before)
{
	return now != 0 && (before == 0 || now < before);
}

static bool lost_keyword(const struct valid_host *h, const struct valid_known *k, struct validation *v)
{
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		if ((k->caps & keywords[i].cap) && !(h->caps & keywords[i].cap)) {
			snprintf(v->differs, sizeof v->differs, "%s", keywords[i].name);
			snprintf(v->why, sizeof v->why, "%s[%s] does not offer %s any more", h->host, h->ip,
				 keywords[i].name);
			return true;
		}
	if ((k->caps & EHLO_SIZE) && is_smaller(h->size, k->size)) {
		snprintf(v->differs, sizeof v->differs, "SIZE");
		snprintf(v->why, sizeof v->why, "%s[%s] takes %llu bytes, and took %llu", h->host, h->ip,
			 (unsigned long long)h->size, (unsigned long long)k->size);
		return true;
	}
	return false;
}

/* True when there is something to say about a host. */
static bool judge_host(const struct valid_host *h, struct valid_memory *m, int64_t now_ms, struct validation *v)
{
	const struct valid_known *k = known_of(m, h->ip);

	if (h->failed) {
		snprintf(v->differs, sizeof v->differs, "%s", smtp_why_name(h->why));
		snprintf(v->why, sizeof v->why, "%s: %s", h->stage, h->says);
		return true;
	}
	if (h->greeted && k != NULL && lost_keyword(h, k, v))
		return true;
	if (h->greeted)
		learn(m, h);
	if (h->not_after_ms > 0 && h->not_after_ms - now_ms < EXPIRY_DAYS * day_ms) {
		snprintf(v->differs, sizeof v->differs, "expiring");
		snprintf(v->why, sizeof v->why, "the certificate of %s[%s] ends in %lld days", h->host, h->ip,
			 (long long)((h->not_after_ms - now_ms) / day_ms));
		return true;
	}
	return false;
}

void validity_judge(const struct valid_host *hosts, size_t n, struct valid_memory *memory, int64_t now_ms,
		    struct validation *v)
{
	struct validation next = { .state = VALID_OK, .checked_ms = now_ms }, one;
	size_t failed = 0;

	for (size_t i = 0; i < n; i++) {
		one = (struct validation){ 0 };
		failed += hosts[i].failed;
		if (!judge_host(&hosts[i], memory, now_ms, &one) || next.state != VALID_OK)
			continue;
		next.state = VALID_DEGRADED;
		memcpy(next.differs, one.differs, sizeof next.differs);
		memcpy(next.why, one.why, sizeof next.why);
	}
	if (failed == n)
		next.state = VALID_FAILED;
	bool same = next.state == v->state && strcmp(next.differs, v->differs) == 0;
	next.since_ms = same ? v->since_ms : now_ms;
	*v = next;
}
