/* smtpd/switch_check.c: the checks before a switch as a table; a row is one promise to the administrator. */
#include "smtpd/switch_check.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct judging {
	const struct config *c;
	const struct check_findings *f;
	struct switch_check *out;
};

static void say(struct judging *j, enum check_result r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct judging *j, enum check_result r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->out->evidence, sizeof j->out->evidence, fmt, ap);
	va_end(ap);
	j->out->result = r;
}

/* Further findings behind what is there; the worst result stays. */
static void also(struct judging *j, enum check_result r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void also(struct judging *j, enum check_result r, const char *fmt, ...)
{
	char *text = j->out->evidence;
	size_t n = strlen(text), room = sizeof j->out->evidence;
	va_list ap;

	if (n > 0 && n + 2 < room) {
		memcpy(text + n, "; ", 3);
		n += 2;
	}
	va_start(ap, fmt);
	vsnprintf(text + n, room - n, fmt, ap);
	va_end(ap);
	if (j->out->result == CHECK_PASS || r == CHECK_FAIL)
		j->out->result = r;
}

static bool leads_inside(const struct conf_send *s)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (s->spaces[i].local)
			return true;
	return false;
}

void switch_check_plan(const struct config *c, struct str local, struct str remote, struct check_findings *f)
{
	f->probe_n = 0;
	for (size_t i = 0; i < c->send_n && f->probe_n < CHECK_PROBES_MAX; i++) {
		const struct conf_send *s = &c->sends[i];
		struct str rcpt = s->peer ? remote : local;
		if (!s->enabled || s->scoped || !(s->peer || leads_inside(s)))
			continue;
		struct check_probe *p = &f->probes[f->probe_n++];
		*p = (struct check_probe){ .send = s };
		if (rcpt.n < sizeof p->rcpt)
			memcpy(p->rcpt, rcpt.p != NULL ? rcpt.p : "", rcpt.n);
	}
	f->mx_n = 0;
	for (size_t i = 0; i < c->domain_n && f->mx_n < CHECK_DOMAINS_MAX; i++)
		if (!c->domains[i].own_routing)
			f->mx[f->mx_n++] = (struct check_mx){ .domain = &c->domains[i], .ttl_s = -1 };
}

/* ---- the checks ---- */

static const struct connector_stats *stats_of(const struct check_findings *f, struct str name)
{
	struct str cut = str_head(name, sizeof f->stats->name - 1);

	for (size_t i = 0; i < f->stat_n; i++)
		if (str_eq(str_c(f->stats[i].name), cut))
			return &f->stats[i];
	return NULL;
}

/* A connection succeeds only at the level its connector asks for, so a success is proof of the level. */
static void judge_peer(struct judging *j, const struct check_probe *p)
{
	const struct connector_stats *st = stats_of(j->f, p->send->name);
	int64_t ago_ms = st != NULL && st->ok_ms > 0 ? j->f->now_ms - st->ok_ms : INT64_MAX;
	const char *name = p->send->name.p;

	if (p->send->tls < TLS_DOMAIN)
		also(j, CHECK_FAIL, "%s asks for tls = %s only, not domain", name, conf_tls_level_name(p->send->tls));
	else if (p->done && p->hosts > 0 && p->good == p->hosts)
		also(j, CHECK_PASS, "%s: %zu of %zu addresses passed just now, tls = domain", name, p->good, p->hosts);
	else if (st != NULL && st->failed_ms <= st->ok_ms && ago_ms <= j->c->mode.probe_age_ms && p->good > 0)
		also(j, CHECK_PASS, "%s: worked %lld s ago, tls = domain; %zu of %zu addresses pass", name,
		     (long long)(ago_ms / 1000), p->good, p->hosts);
	else
		also(j, CHECK_FAIL, "%s: %zu of %zu addresses passed: %s", name, p->good, p->hosts,
		     p->why[0] != '\0' ? p->why : "not tried");
}

static void check_peer_connector(struct judging *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->f->probe_n; i++)
		if (j->f->probes[i].send->peer) {
			judge_peer(j, &j->f->probes[i]);
			n++;
		}
	if (n == 0)
		say(j, CHECK_FAIL, "no enabled send connector has peer = yes");
}

static void judge_rcpt(struct judging *j, bool peer, const char *nobody)
{
	size_t n = 0;

	for (size_t i = 0; i < j->f->probe_n; i++) {
		const struct check_probe *p = &j->f->probes[i];
		if (p->send->peer != peer || p->rcpt[0] == '\0')
			continue;
		n++;
		if (p->good > 0 && p->good == p->hosts)
			also(j, CHECK_PASS, "%s takes <%s>", p->send->name.p, p->rcpt);
		else
			also(j, CHECK_FAIL, "%s, <%s>: %s", p->send->name.p, p->rcpt,
			     p->why[0] != '\0' ? p->why : "not tried");
	}
	if (n == 0)
		say(j, CHECK_SKIPPED, "%s", nobody);
}

static void check_peer_rcpt(struct judging *j)
{
	judge_rcpt(j, true, "the recipient table names no mailbox on the other side to ask for");
}

static void check_local_rcpt(struct judging *j)
{
	judge_rcpt(j, false, "the recipient table names no mailbox here to ask for");
}

static void check_table_age(struct judging *j)
{
	int64_t age_ms = j->f->now_ms - j->f->table.imported_ms;

	if (j->f->table.imported_ms == 0)
		say(j, CHECK_PASS, "kept by hand: nothing was ever imported");
	else if (age_ms <= j->c->mode.table_age_ms)
		say(j, CHECK_PASS, "imported %lld min ago, serial %llu", (long long)(age_ms / 60000),
		    (unsigned long long)j->f->table.serial);
	else
		say(j, CHECK_FAIL, "imported %lld h ago, mode.table_age allows %lld h", (long long)(age_ms / 3600000),
		    (long long)(j->c->mode.table_age_ms / 3600000));
}

static void check_disagreements(struct judging *j)
{
	say(j, j->f->incidents == 0 ? CHECK_PASS : CHECK_FAIL, "%zu open%s", j->f->incidents,
	    j->f->incidents > 0 ? "; see: tombolo recipients conflicts" : "");
}

/* config/check refuses such a file at the start; a switch does not rely on it. */
static void check_domain_types(struct judging *j)
{
	for (size_t i = 0; i < j->c->domain_n; i++) {
		const struct conf_domain *d = &j->c->domains[i];
		if (d->type == DOMAIN_INTERNAL_RELAY && d->peer_type == DOMAIN_INTERNAL_RELAY)
			also(j, CHECK_FAIL, "%s is internal-relay on both sides: unknown addresses would loop",
			     d->name.p);
	}
	if (j->out->evidence[0] == '\0')
		say(j, CHECK_PASS, "%zu domains, none internal-relay on both sides", j->c->domain_n);
}

static void check_mx_ttl(struct judging *j)
{
	long long most = (long long)(j->c->mode.ttl_max_ms / 1000);
	size_t seen = 0;

	for (size_t i = 0; i < j->f->mx_n; i++) {
		const struct check_mx *m = &j->f->mx[i];
		if (m->status != DNS_OK || !m->has_mx || m->ttl_s < 0)
			continue;
		seen++;
		also(j, m->ttl_s <= most ? CHECK_PASS : CHECK_FAIL, "%s: TTL %d s, ttl_max is %lld s",
		     m->domain->name.p, m->ttl_s, most);
	}
	if (seen == 0)
		say(j, CHECK_SKIPPED, "the resolver gave no TTL for the MX of our domains");
	else if (seen < j->c->domain_n)
		also(j, CHECK_PASS, "%zu of %zu domains looked up", seen, j->c->domain_n);
}

static void check_spf(struct judging *j)
{
	size_t done = 0;

	if (j->f->spf_lacks != NULL) {
		say(j, CHECK_SKIPPED, "%s is empty: where would mail come from?  Look yourself whether SPF covers it",
		    j->f->spf_lacks);
		return;
	}
	for (size_t i = 0; i < j->f->mx_n; i++) {
		const struct check_spf *k = &j->f->spf[i];
		const char *name = j->f->mx[i].domain->name.p;
		done += k->done;
		if (k->done && k->result == SPF_NOT_COVERED)
			also(j, CHECK_FAIL, "%s does not cover %s", name, k->why);
		else if (k->done && k->result == SPF_UNKNOWN)
			also(j, CHECK_SKIPPED, "%s: cannot tell: %s", name, k->why);
	}
	if (done < j->f->mx_n)
		also(j, CHECK_SKIPPED, "%zu of %zu domains looked up", done, j->f->mx_n);
	if (j->out->evidence[0] == '\0')
		say(j, CHECK_PASS, "the records of %zu domains cover all addresses of the new egress", done);
}

static void check_queue(struct judging *j)
{
	say(j, j->f->waiting <= (uint64_t)j->c->mode.queue_max ? CHECK_PASS : CHECK_FAIL,
	    "%llu recipients wait, mode.queue_max is %lld", (unsigned long long)j->f->waiting,
	    (long long)j->c->mode.queue_max);
}

static void check_peer_size(struct judging *j)
{
	uint64_t ours = j->c->limits.message_max;

	for (size_t i = 0; i < j->f->probe_n; i++) {
		const struct check_probe *p = &j->f->probes[i];
		if (!p->send->peer || p->good == 0)
			continue;
		if (p->size_min == 0)
			also(j, CHECK_PASS, "%s names no limit", p->send->name.p);
		else
			also(j, p->size_min >= ours ? CHECK_PASS : CHECK_FAIL, "%s takes %llu bytes, we take %llu",
			     p->send->name.p, (unsigned long long)p->size_min, (unsigned long long)ours);
	}
	if (j->out->evidence[0] == '\0')
		say(j, CHECK_SKIPPED, "the other side could not be asked");
}

static void check_simulation(struct judging *j)
{
	const struct check_replay *r = &j->f->replay;
	const unsigned long long n[] = { r->messages, r->changed, r->loops, r->refused };

	if (r->no_log != NULL)
		say(j, CHECK_SKIPPED, "%s", r->no_log);
	else if (r->failed)
		say(j, CHECK_SKIPPED, "recorded mail cannot be replayed: %s", r->sample);
	else if (r->loops + r->refused > 0)
		say(j, CHECK_FAIL, "of %llu messages %llu recipients would loop, %llu would be refused: %s", n[0], n[2],
		    n[3], r->sample);
	else
		say(j, CHECK_PASS, "%llu messages of the last 24 h: %llu recipients take another path, none is refused",
		    n[0], n[1]);
}

static const struct check_row {
	const char *name;
	void (*judge)(struct judging *j);
} rows[] = {
	{ "peer-connector", check_peer_connector },
	{ "peer-rcpt", check_peer_rcpt },
	{ "local-rcpt", check_local_rcpt },
	{ "table-age", check_table_age },
	{ "disagreements", check_disagreements },
	{ "domain-types", check_domain_types },
	{ "mx-ttl", check_mx_ttl },
	{ "spf", check_spf },
	{ "queue-depth", check_queue },
	{ "peer-size", check_peer_size },
	{ "simulation", check_simulation },
};
enum { ROW_N = sizeof rows / sizeof rows[0] };

_Static_assert((int)ROW_N <= (int)SWITCH_CHECKS_MAX, "room for every check");

size_t switch_check_judge(const struct config *c, const struct check_findings *f, struct switch_check *out)
{
	for (size_t i = 0; i < ROW_N; i++) {
		struct judging j = { .c = c, .f = f, .out = &out[i] };
		out[i] = (struct switch_check){ .result = CHECK_PASS };
		snprintf(out[i].name, sizeof out[i].name, "%s", rows[i].name);
		rows[i].judge(&j);
		must(out[i].evidence[0] != '\0');
	}
	return ROW_N;
}

bool switch_check_known(struct str name)
{
	for (size_t i = 0; i < ROW_N; i++)
		if (str_eq(str_c(rows[i].name), name))
			return true;
	return false;
}

static void set_text(char *to, size_t room, struct str s)
{
	snprintf(to, room, STR_FMT, STR_ARG(s));
}

bool switch_check_waive(struct switch_check *checks, size_t n, struct str name, struct str who, struct str why)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(str_c(checks[i].name), name) && checks[i].result == CHECK_FAIL) {
			checks[i].result = CHECK_WAIVED;
			set_text(checks[i].waived_by, sizeof checks[i].waived_by, who);
			set_text(checks[i].waived_why, sizeof checks[i].waived_why, why);
			return true;
		}
	return false;
}
