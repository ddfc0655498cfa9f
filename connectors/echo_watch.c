/* connectors/echo_watch.c: probes out, echoes in; how one is judged stands in echo.c.
 *
 * Sessions of any loop see an echo arrive; the board carries the news to the loop that sent it.  The board outlives
 * the watch, so news that is still under way when that goes finds nobody. */
#include "connectors/echo_watch.h"

#include "base/guid.h"
#include "base/must.h"
#include "base/op.h"
#include "base/time.h"
#include "connectors/job.h"
#include "connectors/tally.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_MS = 5000, TEXT_MAX = 8192 };

struct echo_check { /* of one connector */
	SLIST_ENTRY(echo_check) link;
	struct echo_watch *of;
	const struct conf_send *send; /* of of->outbound */
	char connector[128];
	struct loop_timer timer;
	struct commit commit;
	char from[400]; /* of the newest probe */
	int64_t sent_s; /* its stamp; 0: none is waited for */
	bool went_out;  /* a server took it */
};

struct echo_watch {
	struct deliver *d;
	struct outbound *outbound;
	SLIST_HEAD(, echo_check) checks;
};

struct echo_board {
	pthread_mutex_t lock;
	struct echo_watch *watch; /* NULL: nobody wants to know */
};

struct news {
	struct loop_task task;
	struct echo_board *board;
	struct echo_return how;
};

/* ---- what came of one ---- */

static void conclude(struct echo_check *c, struct validation *next)
{
	struct connector_stats *stats = &pool_tally(c->of->d->pool, str_c(c->connector))->stats;
	const struct validation before = stats->echo;
	bool same = before.checked_ms > 0 && before.state == next->state && strcmp(before.differs, next->differs) == 0;
	bool out_works = c->went_out && stats->valid.state <= VALID_OK;

	next->checked_ms = clock_wall_ms();
	next->since_ms = same ? before.since_ms : next->checked_ms;
	stats->echo = *next;
	c->sent_s = 0;
	if (!same)
		validate_tell(c->connector, "in", before.state, next, next->state > VALID_OK && out_works);
}

/* Nothing is known about the way back. */
static void conclude_unsent(struct echo_check *c, struct str why)
{
	struct validation v = { .state = VALID_UNVERIFIED, .differs = "not sent" };

	snprintf(v.why, sizeof v.why, "the message that should come back could not be sent: " STR_FMT, STR_ARG(why));
	conclude(c, &v);
}

static void conclude_silent(struct echo_check *c)
{
	struct validation v = { .state = VALID_FAILED, .differs = "silent" };

	snprintf(v.why, sizeof v.why, "did not come back within %lld s", (long long)c->send->echo_ms / 1000);
	conclude(c, &v);
}

static void take_news(struct echo_watch *w, const struct echo_return *how)
{
	struct validation v = { 0 };
	struct echo_check *c;

	SLIST_FOREACH (c, &w->checks, link)
		if (str_eq(str_c(c->connector), str_c(how->connector)) && c->sent_s == how->unix_s) {
			/* its answer to the transaction may still be on its way */
			c->went_out = true;
			echo_judge(how, &v);
			conclude(c, &v);
			return;
		}
}

/* ---- sending ---- */

/* As a mail server of ours would hand it to the other side: internal mail, and evidence that nobody took that out. */
static void compose(struct buf *b, const struct echo_check *c, int64_t now_ms)
{
	const struct conf_send *s = c->send;
	struct str from = str_c(c->from), tag;

	str_cut(str_skip(from, (size_t)str_chr(from, '+') + 1), '@', &tag, &from);
	buf_addf(b, "From: <%s>\r\nTo: <" STR_FMT ">\r\nDate: ", c->from, STR_ARG(s->echo_to));
	time_put_rfc5322(b, now_ms);
	buf_addf(b,
		 "\r\nMessage-ID: <%s>\r\nSubject: Tombolo echo +" STR_FMT "\r\n"
		 "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
		 "X-OrganizationHeadersPreserved: " STR_FMT "\r\n"
		 "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\nX-MS-Exchange-CrossPremises-AuthMechanism: 04\r\n"
		 "X-MS-Exchange-CrossPremises-AuthSource: " STR_FMT "\r\n"
		 "\r\n",
		 c->from, STR_ARG(tag), STR_ARG(s->fqdn), STR_ARG(s->fqdn));
	buf_addf(b,
		 "This message tests whether the other side finds its way back (connector " STR_FMT ").\r\n"
		 "It is to be sent on to <" STR_FMT ">, or reported as undeliverable.\r\n",
		 STR_ARG(s->name), STR_ARG(s->echo_from));
}

static void on_commit(struct op *op)
{
	struct echo_check *c = container_of(op, struct echo_check, commit.op);

	if (!c->commit.ok)
		conclude_unsent(c, str_c(c->commit.err.text));
}

static int spool(struct echo_check *c, int64_t now_ms, struct err *e)
{
	const struct env_rcpt rcpt = { .addr = c->send->echo_to };
	char trace_id[GUID_SIZE];
	struct envelope env = {
		.from = str_c(c->from), .origin = ENV_SELF, .arrived_ms = now_ms, .rcpts = &rcpt, .rcpt_n = 1
	};
	struct spool *s = spool_begin(*c->of->d->o.port, e);
	struct buf text;
	int result;

	if (s == NULL)
		return -1;
	guid_make(trace_id);
	env.trace_id = str_c(trace_id);
	must(echo_is_probe(&env));
	buf_init_sure(&text, TEXT_MAX);
	compose(&text, c, now_ms);
	must(!text.full);
	result = spool_write(s, buf_str(&text), e);
	if (result == 0)
		spool_commit(&s, &env, &c->commit, on_commit);
	buf_fini(&text);
	spool_abort(&s);
	return result;
}

static void send_one(struct echo_check *c)
{
	struct buf from = { .p = c->from, .cap = sizeof c->from, .max = sizeof c->from - 1 };
	int64_t now_ms = clock_wall_ms();
	struct err e = { 0 };

	c->went_out = false;
	if (!echo_put_address(outbound_token_keys(c->of->outbound), c->send, now_ms, &from)) {
		conclude_unsent(c, S("its address is too long"));
		return;
	}
	buf_cstr(&from);
	c->sent_s = now_ms / 1000;
	if (spool(c, now_ms, &e) != 0)
		conclude_unsent(c, str_c(e.text));
}

static void on_timer(struct loop_timer *t)
{
	struct echo_check *c = container_of(t, struct echo_check, timer);

	if (op_is_open(&c->commit.op))
		op_cancel(&c->commit.op); /* a disk that takes longer than a period */
	if (c->sent_s != 0)
		conclude_silent(c);
	send_one(c);
	loop_timer_set(&c->timer, c->send->echo_ms);
}

void echo_watch_sent(struct echo_watch *w, struct str from, bool sent, struct str says)
{
	struct echo_check *c;

	SLIST_FOREACH (c, &w->checks, link)
		if (c->sent_s != 0 && str_eq(str_c(c->from), from)) {
			c->went_out = sent;
			if (!sent)
				conclude_unsent(c, says);
		}
}

/* ---- the board ---- */

struct echo_board *echo_board_new(void)
{
	struct echo_board *b = calloc(1, sizeof *b);

	must(b != NULL);
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

void echo_board_free(struct echo_board **bp)
{
	struct echo_board *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	must(b->watch == NULL);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void on_news(struct loop_task *t)
{
	struct news *n = container_of(t, struct news, task);

	if (n->board->watch != NULL) /* set and cleared by this thread */
		take_news(n->board->watch, &n->how);
	free(n);
}

void echo_board_tell(struct echo_board *b, const struct echo_return *how)
{
	struct news *n = calloc(1, sizeof *n);

	must(n != NULL);
	*n = (struct news){ .task.fn = on_news, .board = b, .how = *how };
	pthread_mutex_lock(&b->lock);
	if (b->watch != NULL) {
		loop_post(b->watch->d->o.loop, &n->task);
		n = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	free(n);
}

static void board_set(struct echo_board *b, struct echo_watch *w)
{
	pthread_mutex_lock(&b->lock);
	b->watch = w;
	pthread_mutex_unlock(&b->lock);
}

/* ---- all of them ---- */

static void drop_all(struct echo_watch *w)
{
	struct echo_check *c;

	while ((c = SLIST_FIRST(&w->checks)) != NULL) {
		SLIST_REMOVE_HEAD(&w->checks, link);
		op_cancel(&c->commit.op);
		loop_timer_stop(&c->timer);
		free(c);
	}
	outbound_unref(&w->outbound);
}

static void add_check(struct echo_watch *w, const struct conf_send *s)
{
	struct echo_check *c = calloc(1, sizeof *c);

	must(c != NULL);
	c->of = w;
	c->send = s;
	snprintf(c->connector, sizeof c->connector, STR_FMT, STR_ARG(s->name));
	loop_timer_init(w->d->o.loop, &c->timer, on_timer);
	loop_timer_set(&c->timer, FIRST_MS);
	SLIST_INSERT_HEAD(&w->checks, c, link);
}

void echo_watch_reconfigure(struct echo_watch *w)
{
	const struct config *c;

	drop_all(w);
	w->outbound = outbound_ref(w->d->outbound);
	c = outbound_config(w->outbound);
	for (size_t i = 0; i < c->send_n; i++)
		if (c->sends[i].enabled && c->sends[i].echo_to.n > 0 && outbound_token_keys(w->outbound)->n > 0)
			add_check(w, &c->sends[i]);
}

struct echo_watch *echo_watch_new(struct deliver *d)
{
	struct echo_watch *w = calloc(1, sizeof *w);

	must(w != NULL);
	w->d = d;
	SLIST_INIT(&w->checks);
	echo_watch_reconfigure(w);
	board_set(d->o.echoes, w);
	return w;
}

void echo_watch_free(struct echo_watch **wp)
{
	struct echo_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	board_set(w->d->o.echoes, NULL);
	drop_all(w);
	free(w);
}
