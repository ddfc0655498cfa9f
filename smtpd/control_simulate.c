/* smtpd/control_simulate.c: `simulate`: the envelopes of the tracking log through both gateways, under another mode. */
#include "base/must.h"
#include "base/time.h"
#include "connectors/track.h"
#include "smtpd/control_track.h"
#include "smtpd/control_verbs.h"
#include "smtpd/simulate.h"

enum { PROBLEMS_MAX = 64 * 1024 };

struct replay {
	struct call *c;
	struct simulation *sim;
	char since[40];
	bool joint; /* the other side's log is here as well: what it handed over is counted there */
	struct err e;
};

static bool wants(void *arg, struct str line)
{
	const struct replay *r = arg;

	return str_eq(track_raw(str_head(line, 200), "event-id"), S("RECEIVE")) &&
	       (r->since[0] == '\0' || str_cmp(track_raw(str_head(line, 200), "date-time"), str_c(r->since)) >= 0);
}

struct event { /* what is wanted of one */
	struct str site, class, from, client, origin, mode;
	uint64_t size;
	struct str rcpts; /* the raw list, or ... */
	const json_t *json;
};

/* Nothing is escaped in most lines; then a text ends at the next quote, and a parser would be nine tenths of the time.
 */
static void read_raw(struct str line, struct event *ev)
{
	ssize_t rcpts = str_find(line, S("\"recipient-address\":[")), size = str_find(line, S("\"total-bytes\":"));
	struct str digits = str_skip(line, size < 0 ? line.n : (size_t)size + 14), rest;

	*ev = (struct event){ .site = track_raw(line, "site"),
			      .class = track_raw(line, "class"),
			      .from = track_raw(line, "sender-address"),
			      .client = track_raw(line, "client-ip"),
			      .origin = track_raw(line, "origin"),
			      .mode = track_raw(line, "mode"),
			      .rcpts = str_skip(line, rcpts < 0 ? line.n : (size_t)rcpts + 21) };
	str_cut(digits, ',', &digits, &rest);
	str_u64(digits, INT64_MAX, &ev->size);
}

static void read_json(const json_t *json, struct event *ev)
{
	*ev = (struct event){ .site = track_text(json, "site"),
			      .class = track_text(json, "class"),
			      .from = track_text(json, "sender-address"),
			      .client = track_text(json, "client-ip"),
			      .origin = track_text(json, "origin"),
			      .mode = track_text(json, "mode"),
			      .size = (uint64_t)json_integer_value(json_object_get(json, "total-bytes")),
			      .json = json };
}

/* The next of `["a@x","b@x"],...`; empty at the end. */
static struct str next_raw(struct str *rcpts)
{
	struct str one, rest;

	if (!str_starts(*rcpts, S("\"")) && !str_starts(*rcpts, S(",\"")))
		return STR_NONE;
	str_cut(*rcpts, '"', &one, &rest);
	str_cut(rest, '"', &one, rcpts);
	return one;
}

/* The MX as the mode of the event says, "M2" and "M3" lead to the cloud. */
static bool was_mx(struct str mode, enum conf_site site)
{
	enum conf_side mx;
	bool cmt;

	return !mode_parse(mode, &mx, &cmt) || (mx == SIDE_CLOUD) == (site == SITE_CLOUD);
}

static bool replay_event(struct replay *r, const struct event *ev)
{
	struct sim_envelope env = {
		.site = str_eq(ev->site, S("cloud")) ? SITE_CLOUD : SITE_ONPREM,
		.class = str_eq(ev->class, S("INT")) ? ENV_CLASS_INT : ENV_CLASS_EXT,
		.from = str_eq(ev->from, S("<>")) ? STR_NONE : ev->from,
		.client = ev->client,
		.size = ev->size,
	};
	struct str rest = ev->rcpts, rcpt;

	if (!track_origin_parse(ev->origin, &env.origin) || (r->joint && env.origin == ENV_PEER))
		return true;
	env.site_was_mx = was_mx(ev->mode, env.site);
	sim_envelope(r->sim, &env);
	while ((rcpt = next_raw(&rest)).n > 0)
		if (sim_rcpt(r->sim, rcpt, &r->e) != 0)
			return false;
	for (size_t i = 0; ev->json != NULL && i < track_rcpt_n(ev->json); i++)
		if (sim_rcpt(r->sim, track_rcpt(ev->json, i), &r->e) != 0)
			return false;
	return true;
}

static bool replay_line(void *arg, struct str line, bool *broken)
{
	struct event ev;

	if (str_chr(line, '\\') < 0 && str_ends(line, S("}"))) {
		read_raw(line, &ev);
		return replay_event(arg, &ev);
	}
	json_t *json = json_loadb(line.p, line.n, 0, NULL);
	bool go_on = true;
	if (json_is_object(json)) {
		read_json(json, &ev);
		go_on = replay_event(arg, &ev);
	} else {
		*broken = true;
	}
	json_decref(json);
	return go_on;
}

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

static void finding_row(void *arg, const struct sim_finding *f)
{
	struct replay *r = arg;
	json_t *row = json_object();
	struct buf b;

	buf_init(&b, 16384);
	put_says(&b, f);
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
	call_row(r->c, row);
}

static void summary_row(struct call *c, const struct sim_totals *t, const struct track_reader *reader, int64_t took_ms)
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
	row_uint(row, "broken_lines", reader->broken);
	row_uint(row, "lost_events", reader->lost);
	row_int(row, "took_ms", took_ms);
	row_uint(row, "per_second", t->envelopes * 1000 / (uint64_t)(took_ms > 0 ? took_ms : 1));
	buf_fini(&b);
	call_row(c, row);
}

/* 0 nothing to worry about, 1 nothing would change, 3 mail that flows now would be refused or go round. */
static void end(struct call *c, const struct sim_totals *t, const struct track_reader *r)
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

static void run(struct replay *r, const struct track_logs *logs)
{
	struct track_reader reader = { .wants = wants, .line = replay_line, .arg = r };
	struct sim_totals totals;
	int64_t began_ms = clock_mono_ms();

	if (track_read(logs, &reader, &r->e) != 0 || r->e.code != ERR_NONE) {
		call_end_err(r->c, CALL_PARTLY, &r->e);
		return;
	}
	sim_totals(r->sim, &totals);
	summary_row(r->c, &totals, &reader, clock_mono_ms() - began_ms);
	sim_each(r->sim, finding_row, r);
	end(r->c, &totals, &reader);
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

void run_simulate(struct call *c)
{
	struct replay r = { .c = c, .joint = args_list_n(c, "also") > 0 };
	struct buf b = { .p = r.since, .cap = sizeof r.since, .max = sizeof r.since - 1 };
	struct sim_options o = { .ours = c->config, .routing = c->hooks->routing };
	struct config *theirs;
	struct track_logs logs;

	if (!mode_parse(args_text(c, "mode"), &o.asked.mx, &o.asked.cmt)) {
		call_end(c, CALL_USAGE, "--mode: M1, M2, M3 or M4 is expected");
		return;
	}
	if (!track_logs_of(c, &logs) || !load_theirs(c, &theirs))
		return;
	if (args_number(c, "since", 0) > 0) {
		time_put_iso(&b, clock_wall_ms() - (int64_t)args_number(c, "since", 0));
		r.since[b.n] = '\0';
	}
	o.theirs = theirs;
	r.sim = sim_open(&o, &r.e);
	if (r.sim == NULL)
		call_end_err(c, CALL_PARTLY, &r.e);
	else
		run(&r, &logs);
	sim_close(&r.sim);
	config_unref(&theirs);
}
