/* routing/switch.c: the state machine of a switch as one pure function, and the switch as bytes.
 *
 * One function a state; each looks at orders first, then at the time.  Nothing here knows who keeps the record. */
#include "routing/switch.h"

#include "base/must.h"
#include "routing/pack.h"

const char *switch_state_name(enum switch_state s)
{
	static const char *const names[] = { "NONE",    "PLANNED", "PRECHECK", "DUAL",
					     "OBSERVE", "LOCKED",  "DONE",     "FAILED" };

	must((size_t)s < sizeof names / sizeof names[0]);
	return names[s];
}

const char *check_result_name(enum check_result r)
{
	static const char *const names[] = { "pass", "fail", "waived", "skipped" };

	must((size_t)r < sizeof names / sizeof names[0]);
	return names[r];
}

bool switch_is_under_way(enum switch_state s)
{
	return s == SWITCH_DUAL || s == SWITCH_OBSERVE || s == SWITCH_LOCKED;
}

size_t switch_failed(const struct switch_check *checks, size_t n)
{
	size_t failed = 0;

	for (size_t i = 0; i < n; i++)
		failed += checks[i].result == CHECK_FAIL;
	return failed;
}

enum conf_stragglers switch_policy(enum conf_stragglers configured, int64_t locked_ms, int64_t now_ms,
				   int64_t lock_defer_ms)
{
	if (locked_ms == 0 || now_ms < locked_ms)
		return configured;
	return now_ms - locked_ms < lock_defer_ms ? STRAGGLERS_DEFER : STRAGGLERS_REJECT;
}

/* ---- the moves ---- */

static void go(struct switch_move *m, enum switch_state to, enum switch_effect effect, const char *why)
{
	m->to = to;
	m->effect = effect;
	m->why = why;
}

static void refuse(struct switch_move *m, const char *why)
{
	m->refused = true;
	m->why = why;
}

static void at_rest(const struct switch_facts *f, struct switch_move *m)
{
	if (f->order == SWITCH_CHECK)
		go(m, SWITCH_PRECHECK, SWITCH_KEEP_MODE, "the checks are running");
	else if (f->order == SWITCH_GO)
		refuse(m, "the checks have not begun");
	else if (f->order == SWITCH_ROLLBACK)
		refuse(m, "no switch is under way: nothing to roll back");
	else
		m->why = m->to == SWITCH_PLANNED ? "waits for `mode switch`" : "ended";
}

static void at_precheck(const struct switch_facts *f, struct switch_move *m)
{
	m->next_ms = f->entered_ms + SWITCH_CHECK_MAX_MS;
	if (f->order == SWITCH_GO && f->failed == 0)
		go(m, SWITCH_DUAL, SWITCH_TO_TARGET, "all checks passed or were waived");
	else if (f->order == SWITCH_GO)
		go(m, SWITCH_FAILED, SWITCH_KEEP_MODE, "a check failed; mend it, or waive it by name");
	else if (f->order == SWITCH_CHECK)
		go(m, SWITCH_PRECHECK, SWITCH_KEEP_MODE, "the checks are running");
	else if (f->order == SWITCH_ROLLBACK)
		refuse(m, "no switch is under way: nothing to roll back");
	else if (f->now_ms >= m->next_ms)
		go(m, SWITCH_FAILED, SWITCH_KEEP_MODE, "the checks were interrupted");
	else
		m->why = "the checks are running";
}

/* While the switch is under way orders mean the same in all its states.  True: decided. */
static bool ordered(const struct switch_facts *f, struct switch_move *m)
{
	if (f->overtaken) {
		go(m, SWITCH_FAILED, SWITCH_KEEP_MODE, "overtaken: the mode was set by hand");
		m->refused = f->order != SWITCH_WAIT;
		return true;
	}
	if (f->order == SWITCH_ROLLBACK) {
		go(m, SWITCH_PLANNED, SWITCH_TO_BEFORE, "rolled back: the mode before is in force again");
		return true;
	}
	if (f->order != SWITCH_WAIT)
		refuse(m, "a switch is under way; end it with `mode rollback`, or wait");
	return m->refused;
}

static void at_dual(const struct switch_facts *f, struct switch_move *m)
{
	m->next_ms = f->switched_ms + f->ttl_max_ms;
	if (ordered(f, m))
		return;
	if (f->now_ms >= m->next_ms)
		go(m, SWITCH_OBSERVE, SWITCH_KEEP_MODE, "ttl_max is over: nobody should know the old MX any more");
	else
		m->why = "both entrances are open until ttl_max is over";
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void at_observe(const struct switch_facts *f, struct switch_move *m)
{
	int64_t quiet_ms = later(f->loud_ms, f->entered_ms) + f->quiet_ms, grace_ms = f->switched_ms + f->grace_ms;
	enum switch_state to = f->mx_moves ? SWITCH_LOCKED : SWITCH_DONE;
	enum switch_effect effect = f->mx_moves ? SWITCH_LOCK : SWITCH_KEEP_MODE;

	m->next_ms = quiet_ms < grace_ms ? quiet_ms : grace_ms;
	if (ordered(f, m))
		return;
	if (f->now_ms >= quiet_ms)
		go(m, to, effect, "stragglers were below the threshold for `quiet`");
	else if (f->now_ms >= grace_ms)
		go(m, to, effect, "the grace is over");
	else
		m->why = "waits until stragglers were below the threshold for `quiet`, or the grace is over";
}

static void at_locked(const struct switch_facts *f, struct switch_move *m)
{
	m->next_ms = f->entered_ms + f->lock_defer_ms;
	if (ordered(f, m))
		return;
	if (f->now_ms >= m->next_ms)
		go(m, SWITCH_DONE, SWITCH_KEEP_MODE, "lock_defer is over: stragglers are rejected from now on");
	else
		m->why = "stragglers are deferred until lock_defer is over, then rejected";
}

void switch_next(enum switch_state at, const struct switch_facts *f, struct switch_move *out)
{
	*out = (struct switch_move){ .to = at };
	switch (at) {
	case SWITCH_NONE:
		out->why = "there is no switch";
		out->refused = f->order != SWITCH_WAIT;
		break;
	case SWITCH_PLANNED:
	case SWITCH_FAILED:
		at_rest(f, out);
		break;
	case SWITCH_DONE: /* over; the next one begins with a plan */
		out->why = "done";
		if (f->order != SWITCH_WAIT)
			refuse(out, "this switch is done; plan another");
		break;
	case SWITCH_PRECHECK:
		at_precheck(f, out);
		break;
	case SWITCH_DUAL:
		at_dual(f, out);
		break;
	case SWITCH_OBSERVE:
		at_observe(f, out);
		break;
	case SWITCH_LOCKED:
		at_locked(f, out);
		break;
	case SWITCH_STATE_N:
		must(!"a state");
	}
	if (out->to != at)
		out->next_ms = 0;
	must(out->why != NULL);
}

/* ---- as bytes ---- */

enum { FORMAT = 1 };

static unsigned flow_bits(struct flow f)
{
	return (f.mx == SIDE_CLOUD ? 1u : 0u) | (f.cmt ? 2u : 0u);
}

static struct flow flow_of(unsigned bits)
{
	return (struct flow){ bits & 1 ? SIDE_CLOUD : SIDE_ONPREM, (bits & 2) != 0 };
}

void switch_encode(const struct mode_switch *s, struct buf *out)
{
	buf_addc(out, FORMAT);
	buf_addc(out, (char)s->state);
	buf_addc(out, (char)(flow_bits(s->from) | flow_bits(s->to) << 2));
	pack_num(out, s->epoch);
	pack_num(out, (uint64_t)s->planned_ms);
	pack_num(out, (uint64_t)s->entered_ms);
	pack_num(out, (uint64_t)s->switched_ms);
	pack_text(out, str_c(s->who));
	pack_text(out, str_c(s->why));
	for (size_t i = 0; i < s->check_n; i++) {
		const struct switch_check *c = &s->checks[i];
		pack_text(out, str_c(c->name));
		buf_addc(out, (char)c->result);
		pack_text(out, str_c(c->evidence));
		pack_text(out, str_c(c->waived_by));
		pack_text(out, str_c(c->waived_why));
	}
}

static bool get_check(struct str *in, struct switch_check *c)
{
	unsigned result;

	if (!unpack_text(in, c->name, sizeof c->name) || !unpack_byte(in, CHECK_SKIPPED + 1, &result))
		return false;
	c->result = (enum check_result)result;
	return unpack_text(in, c->evidence, sizeof c->evidence) && unpack_text(in, c->waived_by, sizeof c->waived_by) &&
	       unpack_text(in, c->waived_why, sizeof c->waived_why);
}

bool switch_decode(struct str in, struct mode_switch *out)
{
	unsigned format, state, flows;

	*out = (struct mode_switch){ 0 };
	if (!unpack_byte(&in, FORMAT + 1, &format) || format != FORMAT || !unpack_byte(&in, SWITCH_STATE_N, &state) ||
	    !unpack_byte(&in, 16, &flows) || !unpack_num(&in, &out->epoch) || !unpack_ms(&in, &out->planned_ms) ||
	    !unpack_ms(&in, &out->entered_ms) || !unpack_ms(&in, &out->switched_ms) ||
	    !unpack_text(&in, out->who, sizeof out->who) || !unpack_text(&in, out->why, sizeof out->why))
		return false;
	out->state = (enum switch_state)state;
	out->from = flow_of(flows);
	out->to = flow_of(flows >> 2);
	while (in.n > 0)
		if (out->check_n == SWITCH_CHECKS_MAX || !get_check(&in, &out->checks[out->check_n++]))
			return false;
	return true;
}
