/* smtpd/judge.c: one message before its judges; see the header.
 *
 *   SPF ------------------------.
 *   DKIM: header, body, end ----+-> DMARC, name by name -> policy -> the field into the content -> done
 *   ARC: header, body, end, keys'
 *
 * One question to the DNS is open at a time here (SPF and DKIM have their own): ARC's keys come while the body
 * streams, DMARC's records when the identifiers are known.  Behind the content each of the two has auth.dns_timeout;
 * names without an answer by then have failed.  `go_on` is the one place that decides what is next. */
#include "smtpd/judge.h"

#include "auth/policy.h"
#include "base/must.h"
#include "base/time.h"
#include "connectors/outbound.h"

#include <stdlib.h>
#include <string.h>

struct judge {
	struct session *session;
	struct op op; /* of the session: what it waits for at the end */
	struct op *asker;
	void (*done)(struct session *s);
	struct policy_scope scope;
	struct net_addr client;
	struct auth_spf spf;
	struct auth_dkim dkim;
	struct arc arc;
	struct dmarc dmarc;
	bool ended, dmarc_begun;
	struct dns_lookup lookup; /* for ARC or DMARC */
	bool asking, asking_arc;
	struct loop_timer patience; /* with ARC's names once the content is in; then with DMARC's */
	bool late;                  /* it is over: no name is asked for any more */
	char author[AUTH_NAME];
	struct dmarc_id ids[DMARC_SIGNATURES_MAX];
	size_t id_n;
	struct policy_out out;
	struct edit edit;
	struct buf field;
	struct rewrite rewrite;
};

static void go_on(struct judge *j);

static enum step step_judge(struct session *s)
{
	(void)s;
	return STEP_WAIT;
}

const struct state state_judge = { "judge", step_judge };

/* ---- what is said of the header ---- */

struct seen { /* of the header, beside what the transaction keeps */
	struct policy_original original;
	char author[AUTH_NAME];
	unsigned from_n;
};

static void on_field(void *arg, const struct header_field *f)
{
	struct seen *seen = arg;
	struct buf b = { .p = seen->author, .cap = sizeof seen->author, .max = sizeof seen->author - 1 };

	policy_original_add(&seen->original, f->name, f->value);
	if (!header_name_is(f->name, S("From")))
		return;
	if (++seen->from_n > 1 || !author_domain(f->value, &b)) /* two of them name nobody */
		buf_reset(&b);
	seen->author[b.n] = '\0';
}

static void look_at_header(struct session *s, struct str header, struct seen *seen)
{
	const struct conf_limits *l = &session_config(s)->limits;
	struct header_scan scan;

	header_scan_init(&scan, l->header_max, (unsigned)l->header_fields, STR_NONE);
	scan.on_field = on_field;
	scan.arg = seen;
	header_scan_add(&scan, header);
	header_scan_finish(&scan);
	header_scan_fini(&scan);
}

/* ---- the verdicts ---- */

/* The client waits: names that answer slowly must not add up (a chain has 50 keys, a record 56 names). */
static void be_patient(struct judge *j)
{
	j->late = false;
	loop_timer_set(&j->patience, session_config(j->session)->auth.dns_ms);
}

static enum dmarc_id_state state_of(enum auth_result r)
{
	return r == AUTH_PASS ? DMARC_ID_PASS : r == AUTH_TEMPERROR ? DMARC_ID_TEMPERROR : DMARC_ID_NO;
}

static struct dmarc_id spf_id(const struct judge *j)
{
	return (struct dmarc_id){ str_c(j->spf.domain), state_of(j->spf.result) };
}

static void begin_dmarc(struct judge *j)
{
	const struct auth_dkim *k = &j->dkim;

	for (size_t i = 0; i < k->sig_n && j->id_n < DMARC_SIGNATURES_MAX; i++)
		j->ids[j->id_n++] = (struct dmarc_id){ str_c(k->sigs[i].domain), state_of(k->sigs[i].result) };
	if (k->sig_n == 0 && k->result == AUTH_TEMPERROR) /* whose they are is not known: perhaps the author's */
		j->ids[j->id_n++] = (struct dmarc_id){ str_c(j->author), DMARC_ID_TEMPERROR };
	dmarc_begin(&j->dmarc,
		    &(struct dmarc_input){
			    .author = str_c(j->author), .spf = spf_id(j), .dkim = j->ids, .dkim_n = j->id_n });
	j->dmarc_begun = true;
	be_patient(j);
}

/* Mail to an address that we made for a report to come back to cannot be guessed: it answers mail of ours. */
static bool is_to_srs(const struct session *s)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	const struct token_keys *keys = outbound_srs_keys(s->setup->outbound);
	const struct envelope *env = &s->tx.env;
	struct addr a;

	for (size_t i = 0; i < env->rcpt_n; i++) {
		struct buf back;
		buf_init(&back, 1024);
		bool ours = addr_parse(env->rcpts[i].addr, &rules, &a) == ADDR_OK && srs_is(&a) &&
			    srs_reverse(keys, &a, a.domain, env->arrived_ms, &back) == SRS_OK;
		buf_fini(&back);
		if (!ours)
			return false;
	}
	return env->rcpt_n > 0;
}

static size_t list_signatures(const struct auth_dkim *k, struct policy_sig *out)
{
	if (k->sig_n == 0) /* there are none, or they could not be looked at */
		out[0] = (struct policy_sig){ .result = auth_result_name(k->result), .reason = str_c(k->why) };
	for (size_t i = 0; i < k->sig_n; i++) {
		const struct auth_sig *a = &k->sigs[i];
		out[i] = (struct policy_sig){ auth_result_name(a->result), str_c(a->domain), str_c(a->selector),
					      str_c(a->b), str_c(a->why) };
	}
	return k->sig_n > 0 ? k->sig_n : 1;
}

static void put_results(struct judge *j)
{
	const struct session *s = j->session;
	struct policy_sig sigs[AUTH_SIGS_MAX];
	struct policy_said said = {
		.id = session_our_name(s),
		.utf8 = s->tx.env.smtputf8,
		.spf = auth_result_name(j->spf.result),
		.helo = j->spf.helo,
		.identity = j->spf.helo ? s->helo : s->tx.env.from,
		.client = &j->scope.client,
		.sigs = sigs,
		.sig_n = list_signatures(&j->dkim, sigs),
		.arc = arc_result(&j->arc),
		.dmarc = dmarc_result(&j->dmarc),
		.out = &j->out,
	};

	policy_results(&said, &j->field);
}

/* ---- the end ---- */

static void finish(struct judge *j)
{
	op_finish(&j->asker);
}

static void tell(const struct judge *j)
{
	struct session *s = j->session;
	const struct dmarc_result *d = dmarc_result(&j->dmarc);

	COUNT(s->server, judged);
	if (d->verdict == DMARC_FAIL)
		COUNT(s->server, judged_failed);
	if (j->out.action >= POLICY_HOLD)
		COUNT(s->server, judged_stopped);
	log_info(&s->log, "author.judged", kv_str("trace", s->tx.env.trace_id), kv_c("author", d->author),
		 kv_c("client", s->client_text), kv_c("spf", auth_result_name(j->spf.result)),
		 kv_c("dkim", auth_result_name(j->dkim.result)),
		 kv_c("arc", arc_verdict_name(arc_result(&j->arc)->verdict)),
		 kv_c("dmarc", dmarc_verdict_name(d->verdict)), kv_c("asked", policy_action_name(j->out.asked)),
		 kv_c("action", policy_action_name(j->out.action)), kv_c("why", j->out.why));
}

/* Without room in the arena the tracking log says less. */
static void note(struct judge *j)
{
	struct transaction *t = &j->session->tx;
	char room[1024];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	buf_addf(&b, "spf=%s dkim=%s arc=%s %s", auth_result_name(j->spf.result), auth_result_name(j->dkim.result),
		 arc_verdict_name(arc_result(&j->arc)->verdict), j->out.why);
	arena_dup(t->arena, buf_str(&b), &t->judged);
}

static void refuse(struct judge *j)
{
	struct transaction *t = &j->session->tx;
	struct reply r = j->out.reply;

	snprintf(t->text, sizeof t->text, "%s", j->out.text);
	r.text = str_c(t->text);
	t->verdict_rule.rule = "DMARC";
	t->verdict_rule.reason = j->out.action == POLICY_DEFER ? "DMARC-UNSURE"
				 : j->author[0] == '\0'        ? "DMARC-AUTHOR"
							       : "DMARC-FAIL";
	transaction_judge(t, r);
}

static void on_written(struct op *op)
{
	struct judge *j = container_of(op, struct judge, rewrite.op);
	struct transaction *t = &j->session->tx;

	if (j->rewrite.ok) {
		t->size = spool_size(t->spool);
	} else {
		log_error(&j->session->log, "author.not_written", kv_c("why", j->rewrite.err.text),
			  kv_str("trace", t->env.trace_id));
		transaction_judge(t, REPLY(452, 4, 3, 1, "no room for what was found out about this message"));
	}
	finish(j);
}

/* Below our Received, which says where we had it from. */
static void write_results(struct judge *j)
{
	struct transaction *t = &j->session->tx;

	put_results(j);
	j->edit = (struct edit){ .at = t->trace_n, .insert = buf_str(&j->field) };
	spool_rewrite(t->spool, (struct edits){ &j->edit, 1 }, NULL, 0, &j->rewrite, on_written);
}

static void decide(struct judge *j)
{
	struct transaction *t = &j->session->tx;
	const struct policy_in in = { .conf = &j->session->receive->dmarc,
				      .scope = &j->scope,
				      .dmarc = dmarc_result(&j->dmarc),
				      .arc = arc_result(&j->arc),
				      .spf = spf_id(j),
				      .dkim = j->ids,
				      .dkim_n = j->id_n,
				      .to_srs = is_to_srs(j->session) };

	loop_timer_stop(&j->patience);
	policy_decide(&in, &j->out);
	tell(j);
	if (j->session->server->track != NULL)
		note(j);
	if (j->out.action >= POLICY_DEFER) {
		refuse(j);
		finish(j);
		return;
	}
	if (j->out.action == POLICY_HOLD && !arena_dup(t->arena, str_c(j->out.why), &t->env.hold))
		t->env.hold = S("DMARC");
	write_results(j);
}

/* ---- the DNS ---- */

static void answer(struct judge *j, enum txt_status said, const struct str *texts, size_t n)
{
	j->asking = false;
	if (j->asking_arc)
		arc_answer(&j->arc, said, texts, n);
	else
		dmarc_answer(&j->dmarc, said, texts, n);
}

static void on_dns(struct op *op)
{
	static const enum txt_status status[] = {
		[DNS_OK] = TXT_DATA, [DNS_NXDOMAIN] = TXT_NXDOMAIN, [DNS_NODATA] = TXT_NODATA, [DNS_FAILED] = TXT_FAILED
	};
	struct judge *j = container_of(op, struct judge, lookup.op);
	const struct dns_lookup *q = &j->lookup;
	enum txt_status said = q->status == DNS_OK && q->text_n == 0 ? TXT_NODATA : status[q->status];

	answer(j, said, q->texts, said == TXT_DATA ? q->text_n : 0);
	go_on(j);
}

static void on_late(struct loop_timer *t)
{
	struct judge *j = container_of(t, struct judge, patience);

	j->late = true;
	if (!j->asking)
		return;
	dns_lookup_fini(&j->lookup);
	answer(j, TXT_FAILED, NULL, 0);
	go_on(j);
}

static void ask(struct judge *j, struct str name, bool for_arc)
{
	struct server *server = j->session->server;

	j->asking = true;
	j->asking_arc = for_arc;
	dns_lookup_fini(&j->lookup);
	dns_lookup_txt(server->shared->dns, server->loop, name, &j->lookup, on_dns);
}

/* The next name of ARC or DMARC; when it is too late to ask, it has failed.  False: none is wanted now. */
static bool wants_name(struct judge *j, bool for_arc)
{
	struct str name;

	while ((name = for_arc ? arc_next(&j->arc) : dmarc_next(&j->dmarc)).n > 0) {
		if (!j->late) {
			ask(j, name, for_arc);
			return true;
		}
		j->asking_arc = for_arc;
		answer(j, TXT_FAILED, NULL, 0);
	}
	return false;
}

/* From every answer. */
static void go_on(struct judge *j)
{
	if (j->asking || wants_name(j, true))
		return;
	if (!j->ended || op_is_open(&j->spf.op) || op_is_open(&j->dkim.op))
		return;
	if (!j->dmarc_begun)
		begin_dmarc(j);
	if (!wants_name(j, false))
		decide(j);
}

static void on_spf(struct op *op)
{
	go_on(container_of(container_of(op, struct auth_spf, op), struct judge, spf));
}

static void on_dkim(struct op *op)
{
	go_on(container_of(container_of(op, struct auth_dkim, op), struct judge, dkim));
}

/* ---- from the session ---- */

static void let_go(void *arg, struct transaction *t)
{
	struct judge *j = t->judge;

	(void)arg;
	t->judge = NULL;
	op_cancel(&j->op);
	loop_timer_stop(&j->patience);
	rewrite_cancel(&j->rewrite);
	dns_lookup_fini(&j->lookup);
	auth_spf_fini(&j->spf);
	auth_dkim_fini(&j->dkim);
	arc_fini(&j->arc);
	buf_fini(&j->field);
	free(j);
}

static void on_body(void *arg, struct transaction *t, struct str run)
{
	(void)arg;
	auth_dkim_body(&t->judge->dkim, run);
	arc_body(&t->judge->arc, run);
}

static bool is_judged(struct session *s, const struct seen *seen, struct policy_scope *scope)
{
	const struct policy_caller caller = {
		.receive = s->receive,
		.origin = s->tx.env.origin,
		.class = s->tx.env.class,
		.org = s->tx.env.org,
		.trusted = header_trust_of(&s->who, s->receive->perms) == TRUST_PEER,
		.client = &s->client,
		.peer_address = policy_is_peer_address(session_config(s), &s->client),
		.original = &seen->original,
	};

	policy_scope(&caller, scope);
	if (!scope->judged)
		log_debug(&s->log, "author.not_judged", kv_str("trace", s->tx.env.trace_id), kv_c("why", scope->why));
	return scope->judged;
}

void session_judge_begin(struct session *s)
{
	struct transaction *t = &s->tx;
	struct policy_scope scope;
	struct seen seen = { 0 };

	if (s->server->auth == NULL || s->receive->dmarc.mode == JUDGE_OFF || t->verdict.code != 0)
		return;
	bool peer = t->env.origin == ENV_PEER; /* whether mail of a peer is judged hangs on its header */
	if (peer)
		look_at_header(s, t->raw_header, &seen);
	if (!is_judged(s, &seen, &scope))
		return;
	if (!peer)
		look_at_header(s, t->raw_header, &seen);
	struct judge *j = calloc(1, sizeof *j);
	must(j != NULL);
	t->judge = j;
	t->on_body = on_body;
	t->on_over = let_go;
	j->session = s;
	j->scope = scope;
	memcpy(j->author, seen.author, sizeof j->author);
	buf_init(&j->field, 64 * 1024);
	loop_timer_init(s->server->loop, &j->patience, on_late);
	auth_spf(s->server->auth,
		 &(struct auth_spf_ask){ .client = scope.client,
					 .helo = s->helo,
					 .sender = t->env.from,
					 .receiver = session_config(s)->hostname },
		 &j->spf, on_spf);
	auth_dkim_begin(s->server->auth, &j->dkim);
	auth_dkim_header(&j->dkim, t->raw_header);
	arc_begin(&j->arc, t->raw_header, (uint64_t)clock_wall_ms() / 1000);
	go_on(j);
}

static void on_judged(struct op *op)
{
	struct judge *j = container_of(op, struct judge, op);

	j->session->wait = NULL;
	j->done(j->session);
}

bool session_judge_end(struct session *s, void (*done)(struct session *s))
{
	struct judge *j = s->tx.judge;

	if (j == NULL)
		return false;
	j->ended = true;
	j->done = done;
	op_start(&j->op, on_judged, &j->asker);
	s->wait = &j->op;
	be_patient(j);
	arc_end(&j->arc);
	auth_dkim_end(&j->dkim, on_dkim); /* answers later: so do we */
	go_on(j);
	return true;
}
