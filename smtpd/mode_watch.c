/* smtpd/mode_watch.c: one step of the switch, notes to the store, and a look at the other side; see the header. */
#include "smtpd/mode_watch.h"

#include "base/must.h"
#include "base/time.h"
#include "smtpd/rounds.h"

#include <stdlib.h>

enum { LOOK_MS = 60 * 1000, ALARMS_A_LOOK = 20 };

struct mode_watch {
	struct mode_watch_options o;
	struct probe *probe; /* of the other side, while it fails */
	struct rounds *rounds;
};

/* Several steps may be due: the daemon was down, or periods are 0. */
static void step_on(struct routing *r)
{
	const struct switch_ask ask = { .order = SWITCH_WAIT };
	struct mode_switch sw;
	struct switch_move move;
	bool moved = true;
	struct err e = { 0 };

	if (routing_switch_get(r, &sw, &move, &e) == 0 && move.to == sw.state)
		return; /* the common case writes nothing */
	for (int i = 0; i < SWITCH_STATE_N && moved; i++) {
		if (routing_switch_ask(r, &ask, &sw, &moved, &e) != 0) {
			log_error(NULL, "mode.stuck", kv_c("why", e.text));
			return;
		}
		if (moved)
			log_warn(NULL, "mode.step", kv_c("state", switch_state_name(sw.state)), kv_c("why", sw.why),
				 kv_int("epoch", (int64_t)sw.epoch));
	}
}

/* ---- incidents ---- */

static const char *advice(enum disagree_kind k)
{
	return k == DISAGREE_LOOP
		       ? "the other side does not know us as its own: does its inbound connector name the certificate we "
			 "show, is that certificate still good, did the address change it expects us to come from?"
		       : "one of the tables is wrong; `tombolo recipients conflicts` shows ours, `tombolo recipients "
			 "resolve` puts it right";
}

struct alarms {
	unsigned told, held_back;
};

static void on_began(void *arg, const struct disagreement *i)
{
	struct alarms *a = arg;

	if (a->told >= ALARMS_A_LOOK) {
		a->held_back++;
		return;
	}
	a->told++;
	log_warn(NULL, i->kind == DISAGREE_LOOP ? "alarm.not_attributed" : "alarm.location_disagreement",
		 kv_c("to", i->address), kv_c("ours", i->ours),
		 kv_c("theirs", i->kind == DISAGREE_LOOP ? "returned what we handed over" : "sent it to us"),
		 kv_c("trace", i->messages[0]), kv_c("advice", advice(i->kind)));
}

static void on_mended(void *arg, const struct disagreement *i)
{
	(void)arg;
	log_info(NULL, "disagreement.mended", kv_c("to", i->address), kv_int("messages", (int64_t)i->count));
}

static void keep_incidents(struct routing *r)
{
	struct alarms a = { 0 };
	struct err e = { 0 };

	if (routing_incidents_keep(r, on_began, on_mended, &a, &e) != 0)
		log_error(NULL, "incidents.not_kept", kv_c("why", e.text));
	if (a.held_back > 0)
		log_warn(NULL, "alarm.more", kv_int("incidents", a.held_back));
}

static void keep_filter(struct routing *r)
{
	struct err e = { 0 };
	bool built;

	if (routing_filter_keep(r, &built, &e) != 0)
		log_error(NULL, "filter.not_built", kv_c("why", e.text));
	else if (built)
		log_info(NULL, "filter.built", kv_int("bytes", (int64_t)routing_filter_bytes(r)));
}

static void keep_notes(struct routing *r)
{
	struct err e = { 0 };

	keep_incidents(r);
	if (routing_stragglers_keep(r, &e) != 0)
		log_error(NULL, "stragglers.not_kept", kv_c("why", e.text));
}

static void look(void *arg)
{
	struct mode_watch *w = arg;

	step_on(w->o.routing);
	keep_filter(w->o.routing);
	keep_notes(w->o.routing);
}

/* ---- is the other side back? ---- */

static void on_probe_step(void *arg, const struct probe_step *s)
{
	(void)arg;
	(void)s;
}

static void on_probe_end(void *arg, const struct probe_end *end)
{
	struct mode_watch *w = arg;

	w->probe = NULL;
	if (end->good == 0)
		return;
	routing_peer_heard(w->o.routing, true, clock_wall_ms());
	log_info(NULL, "peer.back", kv_int("addresses", (int64_t)end->good));
}

/* On the loop, behind each look. */
static void try_peer(void *arg)
{
	struct mode_watch *w = arg;
	const struct probe_events events = { .arg = w, .step = on_probe_step, .end = on_probe_end };
	const struct config *c = w->o.config(w->o.arg);
	struct err e = { 0 };

	if (routing_peer_failing_since(w->o.routing) == 0 || c->cmt.on_peer_down == PEER_DOWN_QUEUE ||
	    c->site != SITE_CLOUD)
		return; /* what waits for it tries it often enough */
	for (size_t i = 0; i < c->send_n && w->probe == NULL; i++)
		if (c->sends[i].peer && c->sends[i].enabled)
			w->probe = probe_start(w->o.deliver, &(struct probe_order){ .connector = c->sends[i].name },
					       &events, &e);
}

struct mode_watch *mode_watch_start(const struct mode_watch_options *o, struct err *e)
{
	struct mode_watch *w = calloc(1, sizeof *w);
	struct rounds_options r = { .loop = o->loop, .every_ms = LOOK_MS, .look = look, .looked = try_peer, .arg = w };

	must(w != NULL);
	w->o = *o;
	w->rounds = rounds_start(&r, e);
	if (w->rounds == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void mode_watch_stop(struct mode_watch **wp)
{
	struct mode_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	rounds_stop(&w->rounds);
	probe_cancel(&w->probe);
	free(w);
}

void mode_watch_keep(struct routing *r)
{
	keep_notes(r);
}
