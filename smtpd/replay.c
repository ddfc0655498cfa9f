/* smtpd/replay.c: lines of a tracking log to envelopes; see the header. */
#include "smtpd/replay.h"

#include "base/must.h"
#include "base/time.h"
#include "connectors/track.h"
#include "smtpd/control_verbs.h"

struct replaying {
	struct replay *replay;
	char since[40];
	struct err *e;
};

static bool wants(void *arg, struct str line)
{
	const struct replaying *r = arg;

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

static bool replay_event(struct replaying *r, const struct event *ev)
{
	struct sim_envelope env = {
		.site = str_eq(ev->site, S("cloud")) ? SITE_CLOUD : SITE_ONPREM,
		.class = str_eq(ev->class, S("INT")) ? ENV_CLASS_INT : ENV_CLASS_EXT,
		.from = str_eq(ev->from, S("<>")) ? STR_NONE : ev->from,
		.client = ev->client,
		.size = ev->size,
	};
	struct str rest = ev->rcpts, rcpt;

	if (!track_origin_parse(ev->origin, &env.origin) || (r->replay->joint && env.origin == ENV_PEER))
		return true;
	env.site_was_mx = was_mx(ev->mode, env.site);
	sim_envelope(r->replay->sim, &env);
	while ((rcpt = next_raw(&rest)).n > 0)
		if (sim_rcpt(r->replay->sim, rcpt, r->e) != 0)
			return false;
	for (size_t i = 0; ev->json != NULL && i < track_rcpt_n(ev->json); i++)
		if (sim_rcpt(r->replay->sim, track_rcpt(ev->json, i), r->e) != 0)
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

int replay_logs(struct replay *r, const struct track_logs *logs, struct err *e)
{
	struct replaying g = { .replay = r, .e = e };
	struct track_reader reader = { .wants = wants, .line = replay_line, .arg = &g };
	struct buf b = { .p = g.since, .cap = sizeof g.since, .max = sizeof g.since - 1 };

	*e = (struct err){ .code = ERR_NONE };
	if (r->since_ms > 0) {
		time_put_iso(&b, r->since_ms);
		g.since[b.n] = '\0';
	}
	int rc = track_read(logs, &reader, e);
	r->broken = reader.broken;
	r->lost = reader.lost;
	return rc != 0 || e->code != ERR_NONE ? -1 : 0; /* the table's failure ends the reading */
}
