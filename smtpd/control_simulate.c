/* smtpd/control_simulate.c: `simulate`: the envelopes of the tracking log through both gateways, under another mode. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/replay.h"
#include "smtpd/spf_check.h"

enum { PROBLEMS_MAX = 64 * 1024 };

struct forecast {
	struct call *c;
	struct replay replay;
	struct spf *spf; /* NULL: the DNS is not asked */
	struct dns *dns;
	struct loop *loop;
};

/* ---- telling ---- */

static void put_says(struct buf *b, const struct sim_finding *f)
{
	switch (f->kind) {
	case SIM_SPF:
		buf_addf(b, STR_FMT " would be sent from the %s side: are its hosts in the SPF record?",
			 STR_ARG(f->name), conf_site_name(f->egress));
		break;
	case SIM_OLD_MX:
		buf_addf(b, STR_FMT " does not follow the MX", STR_ARG(f->name));
		break;
	default:
		sim_put_walk(b, f->origin, f->before);
		buf_add(b, S("  =>  "));
		sim_put_walk(b, f->origin, f->after);
	}
}

static void put_path(json_t *row, const char *key, const struct sim_finding *f, const struct passage *w)
{
	struct buf b;

	buf_init(&b, 4096);
	sim_put_walk(&b, f->origin, w);
	row_str(row, key, buf_str(&b));
	buf_fini(&b);
}

static void on_spf(struct spf_check *k)
{
	loop_stop(k->loop);
}

/* What the domain's SPF record says about the side its mail would leave from; the loop is ours alone. */
static void put_spf(struct forecast *fc, json_t *row, const struct sim_finding *f, struct buf *says)
{
	static const char *const results[] = { "covered", "not covered", "not known" };
	const struct conf_egress_policy *e = &fc->c->config->egress;
	struct spf_check k = { .dns = fc->dns, .loop = fc->loop, .spf = fc->spf, .domain = f->name, .done = on_spf };

	spf_check_add(&k, f->egress == SITE_CLOUD ? &e->cloud_addresses : &e->onprem_addresses);
	if (spf_check_go_on(&k))
		loop_run(fc->loop);
	spf_check_fini(&k);
	buf_reset(says);
	buf_addf(says, STR_FMT " would be sent from the %s side, SPF: %s: %s", STR_ARG(f->name),
		 conf_site_name(f->egress), results[k.result], k.why);
	row_c(row, "spf", results[k.result]);
}

static void finding_row(void *arg, const struct sim_finding *f)
{
	struct forecast *fc = arg;
	json_t *row = json_object();
	struct buf b;

	buf_init(&b, 16384);
	put_says(&b, f);
	if (f->kind == SIM_SPF && fc->spf != NULL)
		put_spf(fc, row, f, &b);
	row_c(row, "finding", sim_kind_name(f->kind));
	row_uint(row, "count", f->recipients);
	row_uint(row, "bytes", f->bytes);
	row_str(row, "says", buf_str(&b));
	if (f->kind == SIM_SPF || f->kind == SIM_OLD_MX)
		row_str(row, "name", f->name);
	if (f->before != NULL) {
		put_path(row, "before", f, f->before);
		put_path(row, "after", f, f->after);
		buf_reset(&b);
		buf_addf(&b, "such as " STR_FMT " to " STR_FMT, STR_ARG(f->from.n > 0 ? f->from : S("<>")),
			 STR_ARG(f->rcpt));
		row_str(row, "sample", buf_str(&b));
	}
	buf_fini(&b);
	call_row(fc->c, row);
}

static void summary_row(struct call *c, const struct sim_totals *t, const struct replay *replay, int64_t took_ms)
{
	json_t *row = json_object();
	struct buf b;

	buf_init(&b, 1024);
	buf_addf(&b, "%s => %s: %llu messages, %llu recipients in %lld ms", mode_name(&t->now), mode_name(&t->asked),
		 (unsigned long long)t->envelopes, (unsigned long long)t->recipients, (long long)took_ms);
	buf_addf(&b, "; between the sides %llu bytes, now %llu", (unsigned long long)t->link_after,
		 (unsigned long long)t->link_before);
	row_c(row, "finding", "all");
	row_uint(row, "count", t->recipients);
	row_str(row, "says", buf_str(&b));
	row_c(row, "mode", mode_name(&t->asked));
	row_c(row, "mode_now", mode_name(&t->now));
	row_uint(row, "messages", t->envelopes);
	row_uint(row, "recipients", t->recipients);
	row_uint(row, "bad_addresses", t->bad_addresses);
	row_uint(row, "changed", t->found[SIM_CHANGED]);
	row_uint(row, "new_refusals", t->found[SIM_REJECTED]);
	row_uint(row, "loops", t->found[SIM_LOOP]);
	row_uint(row, "spf", t->found[SIM_SPF]);
	row_uint(row, "old_mx", t->found[SIM_OLD_MX]);
	row_uint(row, "untold", t->untold);
	row_uint(row, "link_bytes", t->link_after);
	row_uint(row, "link_bytes_now", t->link_before);
	row_uint(row, "broken_lines", replay->broken);
	row_uint(row, "lost_events", replay->lost);
	row_int(row, "took_ms", took_ms);
	row_uint(row, "per_second", t->envelopes * 1000 / (uint64_t)(took_ms > 0 ? took_ms : 1));
	buf_fini(&b);
	call_row(c, row);
}

/* 0 nothing to worry about, 1 nothing would change, 3 mail that flows now would be refused or go round. */
static void end(struct call *c, const struct sim_totals *t, const struct replay *r)
{
	if (r->lost > 0)
		call_text(c, "%llu events are missing from these logs (TRACK-LOST).", (unsigned long long)r->lost);
	if (t->found[SIM_REJECTED] + t->found[SIM_LOOP] > 0)
		call_end(c, CALL_PARTLY, "%llu recipients that are served now would be refused, %llu would loop",
			 (unsigned long long)t->found[SIM_REJECTED], (unsigned long long)t->found[SIM_LOOP]);
	else if (t->envelopes == 0)
		call_end(c, CALL_NOTHING, "no envelopes in these logs");
	else if (t->found[SIM_CHANGED] == 0)
		call_end(c, CALL_NOTHING, "no path would change");
	else
		call_end(c, CALL_OK, NULL);
}

static void run(struct forecast *f, const struct track_logs *logs)
{
	struct sim_totals totals;
	int64_t began_ms = clock_mono_ms();
	struct err e = { 0 };

	if (replay_logs(&f->replay, logs, &e) != 0) {
		call_end_err(f->c, CALL_PARTLY, &e);
		return;
	}
	sim_totals(f->replay.sim, &totals);
	summary_row(f->c, &totals, &f->replay, clock_mono_ms() - began_ms);
	sim_each(f->replay.sim, finding_row, f);
	end(f->c, &totals, &f->replay);
}

/* NULL and the call has ended, or there is none (*out = NULL, true). */
static bool load_theirs(struct call *c, struct config **out)
{
	struct str path = args_text(c, "peer-config");
	struct buf problems;

	*out = NULL;
	if (path.n == 0)
		return true;
	buf_init(&problems, PROBLEMS_MAX);
	*out = config_load(path.p, &problems);
	if (*out == NULL) {
		call_lines(c, buf_str(&problems));
		call_end(c, CALL_PARTLY, "--peer-config: " STR_FMT " would not load", STR_ARG(path));
	} else if ((*out)->site == c->config->site) {
		call_end(c, CALL_USAGE, "--peer-config: " STR_FMT " stands for the same side as ours (site = %s)",
			 STR_ARG(path), conf_site_name(c->config->site));
		config_unref(out);
	}
	buf_fini(&problems);
	return *out != NULL;
}

/* With --spf: a resolver of our own.  False: the call has ended. */
static bool open_dns(struct forecast *f)
{
	const struct config *c = f->c->config;
	struct err e = { 0 };

	if (!args_flag(f->c, "spf"))
		return true;
	f->loop = loop_new(&e);
	if (f->loop != NULL)
		f->dns = dns_open(f->loop, &c->resolvers, c->hosts, &e);
	if (f->dns == NULL) {
		call_end_err(f->c, CALL_PARTLY, &e);
		return false;
	}
	f->spf = spf_new();
	return true;
}

static void close_dns(struct forecast *f)
{
	spf_free(&f->spf);
	dns_close(&f->dns);
	loop_free(&f->loop);
}

void run_simulate(struct call *c)
{
	struct forecast f = { .c = c, .replay.joint = args_list_n(c, "also") > 0 };
	struct sim_options o = { .ours = c->config, .routing = c->hooks->routing };
	struct config *theirs = NULL;
	struct track_logs logs;
	struct err e = { 0 };

	if (!mode_parse(args_text(c, "mode"), &o.asked.mx, &o.asked.cmt)) {
		call_end(c, CALL_USAGE, "--mode: M1, M2, M3 or M4 is expected");
		return;
	}
	if (!track_logs_of(c, &logs) || !load_theirs(c, &theirs))
		return;
	if (args_number(c, "since", 0) > 0)
		f.replay.since_ms = clock_wall_ms() - (int64_t)args_number(c, "since", 0);
	o.theirs = theirs;
	f.replay.sim = sim_open(&o, &e);
	if (f.replay.sim == NULL)
		call_end_err(c, CALL_PARTLY, &e);
	else if (open_dns(&f))
		run(&f, &logs);
	close_dns(&f);
	sim_close(&f.replay.sim);
	config_unref(&theirs);
}
