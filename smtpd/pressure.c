/* smtpd/pressure.c: levels with hysteresis, and the order in which senders are shed; see the header. */
#include "smtpd/pressure.h"

#include "base/must.h"

enum { SLOW_STEP_MS = 1000, SLOW_MAX_MS = 10 * 1000 };

const char *pressure_level_name(enum pressure_level l)
{
	static const char *const names[] = { "low", "medium", "high" };

	must((size_t)l < sizeof names / sizeof names[0]);
	return names[l];
}

const char *pressure_shed_name(enum pressure_shed s)
{
	static const char *const names[] = { "nobody", "slowly", "strangers", "clients", "servers", "peer" };

	must((size_t)s < sizeof names / sizeof names[0]);
	return names[s];
}

/* ---- levels ---- */

static enum pressure_level level_after(enum pressure_level now, const struct conf_marks *m, int64_t value)
{
	if (value == PRESSURE_UNKNOWN)
		return PRESSURE_LOW;
	if (value >= m->high)
		return PRESSURE_HIGH;
	if (now == PRESSURE_HIGH && value >= m->back_to_medium)
		return PRESSURE_HIGH;
	if (value >= m->medium)
		return PRESSURE_MEDIUM;
	return now != PRESSURE_LOW && value >= m->back_to_low ? PRESSURE_MEDIUM : PRESSURE_LOW;
}

static void gauge_step(struct pressure_gauge *g, const struct conf_marks *m, int64_t value)
{
	enum pressure_level next = level_after(g->level, m, value);

	g->changed = next != g->level;
	g->samples = g->changed ? 1 : g->samples + 1;
	__atomic_store_n(&g->value, value, __ATOMIC_RELAXED);
	__atomic_store_n(&g->level, next, __ATOMIC_RELAXED);
}

/* ---- shedding ---- */

/* A queue that is long for a moment is what queues are for. */
static bool is_patient(enum conf_resource r)
{
	return r == RES_WAITING || r == RES_SYNC || r == RES_MESSAGES;
}

static enum pressure_shed shed_for(enum conf_resource r, const struct pressure_gauge *g)
{
	switch (g->level) {
	case PRESSURE_LOW:
		return SHED_NOBODY;
	case PRESSURE_MEDIUM:
		return is_patient(r) && g->samples <= HISTORY ? SHED_SLOWLY : SHED_STRANGERS;
	case PRESSURE_HIGH:
		return g->samples > HIGH_PEER ? SHED_PEER : g->samples > HIGH_SERVERS ? SHED_SERVERS : SHED_CLIENTS;
	}
	return SHED_NOBODY;
}

void pressure_step(struct pressure *p, const struct conf_pressure *c, const int64_t values[RES_N])
{
	enum pressure_shed shed = SHED_NOBODY;
	int64_t slow_ms = 0;

	for (enum conf_resource r = 0; r < RES_N; r++) {
		struct pressure_gauge *g = &p->gauges[r];
		gauge_step(g, &c->marks[r], values[r]);
		enum pressure_shed here = shed_for(r, g);
		if (here > shed) {
			shed = here;
			p->worst = r;
		}
		if (here >= SHED_SLOWLY && (int64_t)g->samples * SLOW_STEP_MS > slow_ms)
			slow_ms = (int64_t)g->samples * SLOW_STEP_MS;
	}
	__atomic_store_n(&p->slow_ms, slow_ms < SLOW_MAX_MS ? slow_ms : SLOW_MAX_MS, __ATOMIC_RELAXED);
	__atomic_store_n(&p->shed, c->shed ? shed : SHED_NOBODY, __ATOMIC_RELAXED);
}

void pressure_read(const struct pressure *p, enum conf_resource r, int64_t *value, enum pressure_level *level)
{
	*value = __atomic_load_n(&p->gauges[r].value, __ATOMIC_RELAXED);
	*level = __atomic_load_n(&p->gauges[r].level, __ATOMIC_RELAXED);
}

enum pressure_shed pressure_sheds(const struct pressure *p)
{
	return __atomic_load_n(&p->shed, __ATOMIC_RELAXED);
}

/* From which step on this origin is turned away. */
static enum pressure_shed patience_with(enum env_origin origin)
{
	switch (origin) {
	case ENV_INTERNET:
	case ENV_PARTNER:
		return SHED_STRANGERS;
	case ENV_APP:
		return SHED_CLIENTS;
	case ENV_LOCAL:
	case ENV_SELF:
		return SHED_SERVERS;
	case ENV_PEER:
		return SHED_PEER;
	}
	return SHED_STRANGERS;
}

enum pressure_answer pressure_at_mail(const struct pressure *p, enum env_origin origin, int64_t *ms)
{
	enum pressure_shed shed = pressure_sheds(p);
	enum pressure_shed limit = patience_with(origin);

	if (shed >= limit)
		return PRESSURE_REFUSE;
	if (shed != SHED_SLOWLY || limit != SHED_STRANGERS)
		return PRESSURE_TAKE;
	*ms = __atomic_load_n(&p->slow_ms, __ATOMIC_RELAXED);
	return PRESSURE_WAIT;
}

int64_t pressure_at_rcpt(const struct pressure *p, enum env_origin origin)
{
	bool slow = pressure_sheds(p) >= SHED_STRANGERS && patience_with(origin) == SHED_STRANGERS;

	return slow ? __atomic_load_n(&p->slow_ms, __ATOMIC_RELAXED) : 0;
}
