/* connectors/pool_stats.c: what the pool counts: per hop, per connector, and how long messages took. */
#include "connectors/hop.h"

#include <stdio.h>

static void put_name(const struct hop *h, char *name, size_t room)
{
	struct str target = h->target, preference;

	if (h->kind == HOP_SMARTHOSTS)
		str_cut(h->send->smarthosts.v[0], ';', &target, &preference);
	snprintf(name, room, STR_FMT "/" STR_FMT, STR_ARG(h->send->name), STR_ARG(target));
}

static void count_age(struct hop *h, enum rcpt_result result, int64_t age_ms)
{
	char name[sizeof h->times->hop];

	if (h->times == NULL) {
		put_name(h, name, sizeof name);
		h->times = times_of(&h->pool->times, name);
	}
	if (result == RCPT_SENT)
		histo_add(&h->times->sent, age_ms);
	else if (result == RCPT_DEFERRED)
		histo_add(&h->times->deferred, age_ms);
}

void hop_count(struct hop *h, enum rcpt_result result, int64_t age_ms)
{
	count_age(h, result, age_ms);
	h->sent += result == RCPT_SENT;
	h->deferred += result == RCPT_DEFERRED;
	h->failed += result == RCPT_FAILED;
	tally_result(h->way->tally, result);
}

static void put_row(const struct hop *h, struct hop_stats *row)
{
	*row = (struct hop_stats){ .waiting = h->waiting_n,
				   .open = h->open_n,
				   .idle = h->idle_n,
				   .window = h->feedback.window,
				   .sent = h->sent,
				   .deferred = h->deferred,
				   .failed = h->failed };
	put_name(h, row->hop, sizeof row->hop);
	snprintf(row->last_error, sizeof row->last_error, "%.199s", h->last.text);
}

size_t pool_stats(const struct pool *p, struct hop_stats *rows, size_t max)
{
	const struct hop *h;
	size_t n = 0, all = 0;

	TAILQ_FOREACH (h, &p->hops, all) {
		size_t at = n < max ? n++ : max;
		all++;
		/* by insertion: the rows are few and kept busiest first */
		while (at > 0 && rows[at - 1].waiting < h->waiting_n) {
			if (at < max)
				rows[at] = rows[at - 1];
			at--;
		}
		if (at < max)
			put_row(h, &rows[at]);
	}
	return all;
}

struct tally *pool_tally(struct pool *p, struct str connector)
{
	return tally_of(&p->tallies, connector);
}

size_t pool_connectors(const struct pool *p, struct connector_stats *rows, size_t max)
{
	size_t n = tallies_copy(&p->tallies, rows, max);
	struct breaker_view v;

	for (size_t i = 0; i < n && i < max; i++) {
		breaker_look(breaker_of(p->o.breakers, str_c(rows[i].name)), &v);
		rows[i].breaker = breaker_state_name(v.state);
		rows[i].breaker_opened = v.opened_n;
		snprintf(rows[i].breaker_why, sizeof rows[i].breaker_why, "%.*s", (int)sizeof rows[i].breaker_why - 1,
			 v.state == BREAKER_CLOSED ? "" : v.why);
	}
	return n;
}

size_t pool_times(const struct pool *p, struct hop_times *rows, size_t max)
{
	return times_copy(&p->times, rows, max);
}
