/* connectors/way.c: answers -> breaker, alarms; see the header. */
#include "connectors/way.h"

#include "base/log.h"
#include "base/must.h"
#include "connectors/response.h"

#include <stdlib.h>

struct way *way_of(struct ways *all, struct breakers *breakers, struct tallies *tallies, const struct conf_send *s)
{
	struct tally *tally = tally_of(tallies, s->name);
	struct way *w;

	SLIST_FOREACH (w, all, link)
		if (w->tally == tally)
			return w;
	w = calloc(1, sizeof *w);
	must(w != NULL);
	w->tally = tally;
	w->breaker = breaker_of(breakers, str_c(tally->stats.name));
	SLIST_INSERT_HEAD(all, w, link);
	return w;
}

void ways_free(struct ways *all)
{
	struct way *w;

	while ((w = SLIST_FIRST(all)) != NULL) {
		SLIST_REMOVE_HEAD(all, link);
		free(w);
	}
}

static void note_fault(struct way *w, const struct conf_send *s, int64_t now_ms, struct str why, const char *todo)
{
	const struct breaker_rules rules = { .faults = s->breaker_faults,
					     .pause_ms = s->breaker_pause_ms,
					     .pause_max_ms = s->breaker_pause_max_ms };

	if (breaker_fault(w->breaker, &rules, now_ms, why))
		log_error(NULL, "connector.breaker", kv_c("alarm", "CONNECTOR-BREAKER"), kv_str("connector", s->name),
			  kv_c("state", "open"), kv_str("why", why), kv_c("todo", todo),
			  kv_int("next_try_s", rules.pause_ms / 1000));
}

static void note_delivery(struct way *w, const struct conf_send *s)
{
	if (breaker_good(w->breaker))
		log_info(NULL, "connector.breaker", kv_str("connector", s->name), kv_c("state", "closed"));
}

enum way_verdict way_judge(struct way *w, const struct conf_send *s, struct smtp_txn *t, bool ours, int64_t now_ms)
{
	const struct smtp_rcpt *faulty = NULL;
	bool sent = false, slow = false;
	struct smtp_rcpt *r;

	STAILQ_FOREACH (r, &t->rcpts, next) {
		sent |= r->result == RCPT_SENT;
		if (r->said.n == 0 || (r->result != RCPT_DEFERRED && r->result != RCPT_FAILED))
			continue;
		r->rule = response_find(&r->reply, RESPONSE_TO_REST, ours);
		if (r->rule == NULL || r->rule->act > RESPONSE_SLOW)
			continue;
		r->result = RCPT_DEFERRED; /* not a verdict about this message */
		slow |= r->rule->act == RESPONSE_SLOW;
		faulty = r;
	}
	if (sent)
		note_delivery(w, s);
	else if (faulty != NULL && ours)
		note_fault(w, s, now_ms, faulty->text, faulty->rule->todo);
	return slow ? WAY_SLOWER : WAY_FINE;
}

enum way_verdict way_judge_fault(struct way *w, const struct conf_send *s, const struct smtp_fault *f, bool ours,
				 int64_t now_ms)
{
	const struct response_rule *rule = response_find(&f->reply, RESPONSE_TO_REST, ours);

	if (rule != NULL && rule->act <= RESPONSE_SLOW) {
		if (ours)
			note_fault(w, s, now_ms, f->reply.text, rule->todo);
		return WAY_SLOWER;
	}
	/* a certificate that does not prove the other side: it will not do so for the next message either */
	if (ours && (f->at == AT_CHAIN || f->at == AT_NAME))
		note_fault(
			w, s, now_ms, f->reply.text,
			"compare the certificate of the server with tls_domain and the roots trusted for this connector");
	return WAY_FINE;
}
