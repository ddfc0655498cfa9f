/* routing/epoch.c: the mode (where the MX points, central transport on or off), and the switch that leads from one to
 * the next, as records that change together.
 *
 * They live beside the recipients, so one read transaction sees one pair {mode, table}, and one write transaction takes
 * a step of a switch with the mode it makes: after a crash it is wholly taken or not at all.  A change raises the
 * epoch; the grace for stragglers counts from its time.  The configuration's mode is only the first one (recipient.c).
 */
#include "routing/recipient.h"

#include "base/must.h"
#include "base/time.h"
#include "routing/pack.h"

enum { SWITCH_RECORD_MAX = 32 * 1024, MODE_FORMAT = 1, MODE_KEY = 12 };

static const struct str switch_key = STR_LIT("switch");

/* ---- the history: "mode" ‖ epoch -> {u8 format, u8 mx, u8 cmt, i64 since, i64 locked, text who} ---- */

static struct str mode_key(uint64_t epoch, unsigned char room[MODE_KEY])
{
	memcpy(room, "mode", 4);
	store_key64(room + 4, epoch);
	return str_n(room, MODE_KEY);
}

static bool is_mode_key(struct str k)
{
	return k.n == MODE_KEY && str_starts(k, S("mode"));
}

void mode_keep(struct routing *r, struct store_txn *t, const struct mode *m, struct str who)
{
	unsigned char key[MODE_KEY];
	char room[128];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	buf_addc(&b, MODE_FORMAT);
	buf_addc(&b, m->mx == SIDE_CLOUD);
	buf_addc(&b, m->cmt);
	pack_num(&b, (uint64_t)m->since_ms);
	pack_num(&b, (uint64_t)m->locked_ms);
	pack_text(&b, str_head(who, SWITCH_WHO - 1));
	must(!b.full);
	store_put(t, r->meta, mode_key(m->epoch, key), buf_str(&b));
	if (m->epoch > MODE_HISTORY)
		store_del(t, r->meta, mode_key(m->epoch - MODE_HISTORY, key));
}

static bool mode_unpack(struct str k, struct str v, struct mode_change *out)
{
	unsigned format, mx, cmt;

	if (!unpack_byte(&v, MODE_FORMAT + 1, &format) || format != MODE_FORMAT || !unpack_byte(&v, 2, &mx) ||
	    !unpack_byte(&v, 2, &cmt))
		return false;
	out->mode = (struct mode){ .mx = mx != 0 ? SIDE_CLOUD : SIDE_ONPREM,
				   .cmt = cmt != 0,
				   .epoch = store_num64(str_skip(k, 4)) };
	return unpack_ms(&v, &out->mode.since_ms) && unpack_ms(&v, &out->mode.locked_ms) &&
	       unpack_text(&v, out->who, sizeof out->who);
}

int routing_mode_history(struct routing *r, struct mode_change *out, size_t max, struct err *e)
{
	unsigned char from[MODE_KEY];
	struct store_txn *t = store_read(r->store, e);
	struct store_cursor *c;
	struct mode_change one;
	struct str k, v;
	size_t n = 0;

	if (t == NULL)
		return -1;
	for (c = store_seek(t, r->meta, mode_key(0, from)); store_at(c, &k, &v) && is_mode_key(k); store_next(c)) {
		if (!mode_unpack(k, v, &one))
			continue;
		if (n == max)
			memmove(out, out + 1, (max - 1) * sizeof *out);
		n -= n == max;
		out[n++] = one;
	}
	store_cursor_close(&c);
	store_abort(&t);
	return (int)n;
}

bool mode_at(struct routing *r, struct store_txn *t, int64_t at_ms, struct mode *out)
{
	unsigned char from[MODE_KEY];
	struct store_cursor *c;
	struct mode_change one;
	struct str k, v;
	bool any = false, known = false;

	for (c = store_seek(t, r->meta, mode_key(0, from)); store_at(c, &k, &v) && is_mode_key(k); store_next(c)) {
		if (!mode_unpack(k, v, &one) || (any && one.mode.since_ms > at_ms))
			continue;
		any = true; /* the oldest there is, or the newest that began before */
		known = one.mode.since_ms <= at_ms;
		*out = one.mode;
		out->locked_ms = one.mode.locked_ms <= at_ms ? one.mode.locked_ms : 0;
	}
	store_cursor_close(&c);
	return known;
}

/* Who made the mode in force; for a row that is written again. */
static struct str who_made(struct routing *r, struct store_txn *t, uint64_t epoch, struct mode_change *room)
{
	unsigned char key[MODE_KEY];
	struct str v;

	if (!store_get(t, r->meta, mode_key(epoch, key), &v) || !mode_unpack(str_n(key, MODE_KEY), v, room))
		return S("?");
	return str_c(room->who);
}

/* The change itself.  The lock of the old entrance stays while the MX does. */
static void change_mode(struct routing *r, struct store_txn *t, struct table_state *s, struct flow to, struct str who)
{
	struct mode_change room;
	int64_t locked_ms = s->mode.mx == to.mx ? s->mode.locked_ms : 0;

	if (str_eq(who_made(r, t, s->mode.epoch, &room), S("?")))
		mode_keep(r, t, &s->mode, S("?")); /* of a table older than its history */
	s->mode = (struct mode){ to.mx, to.cmt, s->mode.epoch + 1, clock_wall_ms(), locked_ms };
	mode_keep(r, t, &s->mode, who);
	state_write(r, t, s);
}

/* ---- the plain tool ---- */

int routing_mode_get(struct routing *r, struct mode *out, struct err *e)
{
	struct table_state s;
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL ? -1 : state_read(r, t, &s, e);

	store_abort(&t);
	if (rc == 0)
		*out = s.mode;
	return rc;
}

static int switch_read(struct routing *r, struct store_txn *t, struct mode_switch *out, struct err *e)
{
	struct str v;

	*out = (struct mode_switch){ 0 };
	if (!store_get(t, r->meta, switch_key, &v) || switch_decode(v, out))
		return 0;
	return err_set(e, ERR_CORRUPT, "epoch.switch", "the record of the switch does not check");
}

static void switch_write(struct routing *r, struct store_txn *t, const struct mode_switch *sw)
{
	struct buf b;

	buf_init_sure(&b, SWITCH_RECORD_MAX);
	switch_encode(sw, &b);
	must(!b.full);
	store_put(t, r->meta, switch_key, buf_str(&b));
	buf_fini(&b);
}

static void enter(struct mode_switch *sw, enum switch_state to, const char *why)
{
	sw->state = to;
	sw->entered_ms = clock_wall_ms();
	text_set(sw->why, sizeof sw->why, str_c(why));
}

int routing_mode_set(struct routing *r, enum conf_side mx, bool cmt, struct str who, struct mode *out, bool *changed,
		     struct err *e)
{
	struct table_state s;
	struct mode_switch sw;
	struct store_txn *t = store_write(r->store, e);

	if (t == NULL || state_read(r, t, &s, e) != 0 || switch_read(r, t, &sw, e) != 0) {
		store_abort(&t);
		return -1;
	}
	bool moved = s.mode.mx != mx, differs = moved || s.mode.cmt != cmt;
	if (differs) {
		change_mode(r, t, &s, (struct flow){ mx, cmt }, who);
		if (switch_is_under_way(sw.state)) {
			enter(&sw, SWITCH_FAILED, "overtaken: the mode was set by hand");
			switch_write(r, t, &sw);
		}
		if (store_commit(&t, e) != 0)
			return -1;
	}
	store_abort(&t);
	if (moved)
		stragglers_reset(&r->stragglers, mx);
	*out = s.mode;
	*changed = differs;
	return 0;
}

/* ---- the switch ---- */

static void facts_of(struct routing *r, const struct table_state *s, const struct mode_switch *sw,
		     const struct switch_ask *ask, struct switch_facts *f)
{
	struct domain_set *domains = routing_domains(r);
	const struct conf_mode *conf = &domains->mode;
	struct straggler_sum sum;
	int64_t now_ms = clock_wall_ms();

	stragglers_sum(&r->stragglers, s->mode.mx, now_ms, &sum);
	*f = (struct switch_facts){
		.order = ask->order,
		.mx_moves = sw->from.mx != sw->to.mx,
		.overtaken = switch_is_under_way(sw->state) && sw->epoch != s->mode.epoch,
		.failed = switch_failed(ask->checks, ask->check_n),
		.now_ms = now_ms,
		.entered_ms = sw->entered_ms,
		.switched_ms = sw->switched_ms,
		.loud_ms = sum.loud_ms,
		.ttl_max_ms = conf->ttl_max_ms,
		.quiet_ms = conf->quiet_ms,
		.grace_ms = conf->grace_ms,
		.lock_defer_ms = conf->lock_defer_ms,
	};
	domain_set_unref(&domains);
}

int routing_switch_get(struct routing *r, struct mode_switch *out, struct switch_move *move, struct err *e)
{
	const struct switch_ask nothing = { .order = SWITCH_WAIT };
	struct switch_facts f;
	struct table_state s;
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL || state_read(r, t, &s, e) != 0 ? -1 : switch_read(r, t, out, e);

	store_abort(&t);
	if (rc != 0)
		return -1;
	facts_of(r, &s, out, &nothing, &f);
	switch_next(out->state, &f, move);
	return 0;
}

int routing_switch_plan(struct routing *r, enum conf_side mx, bool cmt, struct str who, struct mode_switch *out,
			struct err *e)
{
	struct table_state s;
	struct mode_switch sw;
	struct store_txn *t = store_write(r->store, e);
	int rc = t == NULL || state_read(r, t, &s, e) != 0 ? -1 : switch_read(r, t, &sw, e);

	if (rc == 0 && (switch_is_under_way(sw.state) || sw.state == SWITCH_PRECHECK))
		rc = err_set(e, ERR_BUSY, "epoch.plan", "a switch to %s is in state %s; see: tombolo mode status",
			     mode_name(&(struct mode){ .mx = sw.to.mx, .cmt = sw.to.cmt }),
			     switch_state_name(sw.state));
	else if (rc == 0 && s.mode.mx == mx && s.mode.cmt == cmt)
		rc = err_set(e, ERR_SYNTAX, "epoch.plan", "%s is in force already", mode_name(&s.mode));
	if (rc == 0) {
		sw = (struct mode_switch){ .from = { s.mode.mx, s.mode.cmt }, .to = { mx, cmt } };
		sw.planned_ms = clock_wall_ms();
		text_set(sw.who, sizeof sw.who, who);
		enter(&sw, SWITCH_PLANNED, "planned");
		switch_write(r, t, &sw);
		rc = store_commit(&t, e);
	}
	store_abort(&t);
	if (rc == 0)
		*out = sw;
	return rc;
}

/* What a move does to the mode; part of its transaction. */
static void take_effect(struct routing *r, struct store_txn *t, struct table_state *s, struct mode_switch *sw,
			enum switch_effect effect, struct str who)
{
	struct mode_change room;

	switch (effect) {
	case SWITCH_KEEP_MODE:
		return;
	case SWITCH_TO_TARGET:
		sw->from = (struct flow){ s->mode.mx, s->mode.cmt }; /* as it is now: what a roll-back restores */
		change_mode(r, t, s, sw->to, who);
		sw->epoch = s->mode.epoch;
		sw->switched_ms = s->mode.since_ms;
		return;
	case SWITCH_TO_BEFORE:
		change_mode(r, t, s, sw->from, who);
		sw->epoch = 0;
		return;
	case SWITCH_LOCK:
		s->mode.locked_ms = sw->entered_ms;
		mode_keep(r, t, &s->mode, who_made(r, t, s->mode.epoch, &room));
		state_write(r, t, s);
		return;
	}
}

static int refuse_order(const struct mode_switch *sw, const struct switch_move *m, struct err *e)
{
	return err_set(e, ERR_BUSY, "epoch.switch", "%s: %s", switch_state_name(sw->state), m->why);
}

static void apply(struct routing *r, struct store_txn *t, struct table_state *s, struct mode_switch *sw,
		  const struct switch_ask *ask, const struct switch_move *m)
{
	enter(sw, m->to, m->why);
	if (ask->who.n > 0)
		text_set(sw->who, sizeof sw->who, ask->who);
	if (ask->order == SWITCH_GO)
		sw->check_n = ask->check_n;
	for (size_t i = 0; ask->order == SWITCH_GO && i < ask->check_n; i++)
		sw->checks[i] = ask->checks[i];
	take_effect(r, t, s, sw, m->effect, ask->who.n > 0 ? ask->who : S("?"));
	switch_write(r, t, sw);
}

int routing_switch_ask(struct routing *r, const struct switch_ask *ask, struct mode_switch *out, bool *moved,
		       struct err *e)
{
	struct table_state s;
	struct mode_switch sw;
	struct switch_facts f;
	struct switch_move m;
	struct store_txn *t = store_write(r->store, e);
	int rc = t == NULL || state_read(r, t, &s, e) != 0 ? -1 : switch_read(r, t, &sw, e);
	enum conf_side mx = rc == 0 ? s.mode.mx : SIDE_ONPREM;

	must(ask->check_n <= SWITCH_CHECKS_MAX);
	if (rc == 0) {
		facts_of(r, &s, &sw, ask, &f);
		switch_next(sw.state, &f, &m);
		*moved = m.to != sw.state || (ask->order == SWITCH_CHECK && !m.refused);
		if (*moved)
			apply(r, t, &s, &sw, ask, &m);
		if (*moved)
			rc = store_commit(&t, e);
		if (rc == 0 && m.refused)
			rc = refuse_order(&sw, &m, e);
	}
	store_abort(&t);
	if (rc == 0 && s.mode.mx != mx)
		stragglers_reset(&r->stragglers, s.mode.mx);
	if (rc == 0)
		*out = sw;
	return rc;
}

/* ---- stragglers ---- */

void routing_straggler_note(struct routing *r, const struct straggler_seen *seen)
{
	stragglers_note(&r->stragglers, seen);
}

struct stragglers *routing_stragglers(struct routing *r)
{
	return &r->stragglers;
}

int routing_stragglers_keep(struct routing *r, struct err *e)
{
	return stragglers_keep(&r->stragglers, e);
}
