/* smtpd/control_summary.c: `queue summary`: what waits, by recipient domain.
 *
 * Walks the whole queue page by page; memory is bounded by DOMAINS_MAX rows, what comes after that is summed under
 * "(other)".  The table is open-addressed on a seeded hash, because the names come from outside. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"

enum { PAGE_ROWS = 1000, DOMAINS_MAX = 1000, SLOTS = 2048, ROWS_MAX = 200 };

struct domain_sum {
	char *name; /* NULL = free slot */
	uint64_t recipients, deferred, held;
	int64_t oldest_ms;
	char *last; /* text of a deferral, the first one met */
};

struct summary {
	struct call *call;
	struct queue_query query;
	struct queue_filter filter;
	uint64_t seed, recipients;
	size_t domain_n;
	struct domain_sum domains[SLOTS];
};

static void summary_drop(struct call *c)
{
	struct summary *s = c->state;

	queue_query_fini(&s->query);
	for (size_t i = 0; i < SLOTS; i++) {
		free(s->domains[i].name);
		free(s->domains[i].last);
	}
	free(s);
}

/* NULL when the name is new and there is no room for it. */
static struct domain_sum *find_or_add(struct summary *s, struct str name, size_t max)
{
	for (size_t i = (size_t)str_hash(name, s->seed), n = 0; n < SLOTS; i++, n++) {
		struct domain_sum *d = &s->domains[i % SLOTS];
		if (d->name != NULL && str_eq(str_c(d->name), name))
			return d;
		if (d->name != NULL)
			continue;
		if (s->domain_n >= max)
			return NULL;
		s->domain_n++;
		d->name = strndup(name.p != NULL ? name.p : "", name.n);
		must(d->name != NULL);
		return d;
	}
	return NULL;
}

static struct domain_sum *find_domain(struct summary *s, struct str name)
{
	struct domain_sum *d = find_or_add(s, name, DOMAINS_MAX);

	if (d == NULL)
		d = find_or_add(s, S("(other)"), DOMAINS_MAX + 1);
	must(d != NULL);
	return d;
}

static void count_row(struct summary *s, const struct queue_row *q)
{
	char lower[256];
	struct str domain = str_skip(q->rcpt, (size_t)(str_rchr(q->rcpt, '@') + 1));

	domain = str_head(domain, sizeof lower);
	for (size_t i = 0; i < domain.n; i++)
		lower[i] = domain.p[i] == '\0' ? '?' : chr_lower(domain.p[i]);
	struct domain_sum *d = find_domain(s, str_n(lower, domain.n));
	d->recipients++;
	d->deferred += q->state == QUEUE_DEFERRED;
	d->held += q->state == QUEUE_HELD;
	if (d->oldest_ms == 0 || q->arrived_ms < d->oldest_ms)
		d->oldest_ms = q->arrived_ms;
	if (d->last == NULL && q->last.n > 0) {
		d->last = strndup(q->last.p, q->last.n);
		must(d->last != NULL);
	}
	s->recipients++;
}

static int by_count(const void *a, const void *b)
{
	const struct domain_sum *x = a, *y = b;

	if (x->recipients != y->recipients)
		return x->recipients < y->recipients ? 1 : -1;
	return strcmp(x->name != NULL ? x->name : "", y->name != NULL ? y->name : "");
}

static void report(struct summary *s)
{
	struct call *c = s->call;

	qsort(s->domains, SLOTS, sizeof s->domains[0], by_count);
	for (size_t i = 0; i < ROWS_MAX && s->domains[i].recipients > 0; i++) {
		const struct domain_sum *d = &s->domains[i];
		json_t *row = json_object();
		row_c(row, "domain", d->name);
		row_uint(row, "recipients", d->recipients);
		row_uint(row, "deferred", d->deferred);
		row_uint(row, "held", d->held);
		row_int(row, "oldest_ms", d->oldest_ms);
		row_c(row, "last", d->last != NULL ? d->last : "");
		call_row(c, row);
	}
	if (s->domain_n > ROWS_MAX)
		call_text(c, "%zu more domains are not shown.", s->domain_n - ROWS_MAX);
}

static void report_totals(struct call *c)
{
	struct queue_stats st;

	queue_stats(c->hooks->queue, &st);
	call_text(c, "%llu messages, %llu recipients (%llu deferred, %llu being delivered), %llu KiB",
		  (unsigned long long)st.messages, (unsigned long long)st.recipients, (unsigned long long)st.deferred,
		  (unsigned long long)st.leased, (unsigned long long)(st.bytes / 1024));
	if (st.read_only)
		call_text(
			c,
			"WARNING: the queue is read-only, nothing is accepted: the disk is full or a sync failed; see the log");
}

static void on_page(struct op *op);

static void ask_page(struct summary *s)
{
	s->filter.max = PAGE_ROWS;
	queue_query(s->call->hooks->port, &s->filter, &s->query, on_page);
}

static void on_page(struct op *op)
{
	struct summary *s = container_of(op, struct summary, query.op);
	bool more = s->query.more && s->query.row_n > 0;

	for (size_t i = 0; i < s->query.row_n; i++) {
		count_row(s, &s->query.rows[i]);
		s->filter.after_id = s->query.rows[i].id;
	}
	queue_query_fini(&s->query);
	if (more) {
		ask_page(s);
		return;
	}
	report_totals(s->call);
	report(s);
	if (s->recipients == 0)
		call_end(s->call, CALL_NOTHING, NULL);
	else
		call_end(s->call, CALL_OK, NULL);
}

void run_queue_summary(struct call *c)
{
	struct summary *s = calloc(1, sizeof *s);

	must(s != NULL);
	s->call = c;
	s->seed = (uint64_t)(uintptr_t)s ^ (uint64_t)clock_mono_ms();
	c->state = s;
	c->drop = summary_drop;
	ask_page(s);
}
