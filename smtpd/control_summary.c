/* smtpd/control_summary.c: `queue summary`: what waits, by recipient domain, or by what else --by names.
 *
 * Walks the whole queue page by page; memory is bounded by DOMAINS_MAX rows, what comes after that is summed under
 * "(other)".  The table is open-addressed on a seeded hash, because the names come from outside. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"

enum { PAGE_ROWS = 1000, DOMAINS_MAX = 1000, SLOTS = 2048, ROWS_MAX = 200 };

struct group_by {               /* the first one is the default */
	const char *word, *key; /* key: of its column */
	struct str (*name)(const struct queue_row *r);
};

struct domain_sum {
	char *name; /* NULL = free slot */
	uint64_t recipients, deferred, held;
	int64_t oldest_ms;
	char *last; /* text of a deferral, the first one met */
};

struct summary {
	struct call *call;
	struct queue_query query;
	struct filter_room room;
	const struct group_by *by;
	uint64_t seed, recipients;
	size_t domain_n;
	struct domain_sum domains[SLOTS];
};

static void summary_drop(struct call *c)
{
	struct summary *s = c->state;

	queue_query_fini(&s->query);
	filter_fini(&s->room);
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

/* ---- what is summed up together ---- */

static struct str by_domain(const struct queue_row *r)
{
	return queue_domain_of(r->rcpt);
}

static struct str by_sender(const struct queue_row *r)
{
	return r->from.n == 0 ? S("<>") : queue_domain_of(r->from);
}

static struct str by_hop(const struct queue_row *r)
{
	struct str hop = queue_hop_of(r->last);

	return hop.n > 0 ? hop : r->last.n > 0 ? S("(no host)") : S("(not tried yet)");
}

static struct str by_error(const struct queue_row *r)
{
	return r->last.n > 0 ? r->last : S("(none)");
}

static struct str by_state(const struct queue_row *r)
{
	return str_c(queue_state_name(r->state));
}

static const struct group_by groups[] = {
	{ "domain", "domain", by_domain },  { "sender-domain", "sender_domain", by_sender },
	{ "next-hop", "next_hop", by_hop }, { "last-error", "last_error", by_error },
	{ "state", "state", by_state },
};

static const struct group_by *find_group(struct str word)
{
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
		if (str_eq(str_c(groups[i].word), word))
			return &groups[i];
	return word.n == 0 ? &groups[0] : NULL;
}

/* ---- counting ---- */

static void count_row(struct summary *s, const struct queue_row *q)
{
	char lower[400];
	struct str name = str_head(s->by->name(q), sizeof lower);

	for (size_t i = 0; i < name.n; i++)
		lower[i] = name.p[i] == '\0' ? '?' : s->by->name == by_error ? name.p[i] : chr_lower(name.p[i]);
	struct domain_sum *d = find_domain(s, str_n(lower, name.n));
	d->recipients++;
	d->deferred += q->state == QUEUE_DEFERRED;
	d->held += q->state == QUEUE_HELD || q->state == QUEUE_POISON;
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
		row_c(row, s->by->key, d->name);
		row_c(row, "name", d->name);
		row_uint(row, "recipients", d->recipients);
		row_uint(row, "deferred", d->deferred);
		row_uint(row, "held", d->held);
		row_int(row, "oldest_ms", d->oldest_ms);
		row_c(row, "last", d->last != NULL ? d->last : "");
		call_row(c, row);
	}
	if (s->domain_n > ROWS_MAX)
		call_text(c, "%zu more are not shown.", s->domain_n - ROWS_MAX);
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
	s->room.f.max = PAGE_ROWS;
	queue_query(s->call->hooks->port, &s->room.f, &s->query, on_page);
}

static void on_page(struct op *op)
{
	struct summary *s = container_of(op, struct summary, query.op);
	bool more = s->query.more && s->query.row_n > 0;

	for (size_t i = 0; i < s->query.row_n; i++) {
		count_row(s, &s->query.rows[i]);
		s->room.f.after_id = s->query.rows[i].id;
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
	const struct group_by *by = find_group(args_text(c, "by"));
	struct summary *s;

	if (by == NULL) {
		call_end(c, CALL_USAGE, "--by: one of domain, sender-domain, next-hop, last-error, state");
		return;
	}
	s = calloc(1, sizeof *s);
	must(s != NULL);
	s->by = by;
	s->call = c;
	s->seed = (uint64_t)(uintptr_t)s ^ (uint64_t)clock_mono_ms();
	c->state = s;
	c->drop = summary_drop;
	if (filter_init(&s->room, c))
		ask_page(s);
}
