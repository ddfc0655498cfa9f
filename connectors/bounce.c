/* connectors/bounce.c: delivery reports into the spool, as mail of our own with a null sender. */
#include "connectors/bounce.h"

#include "base/guid.h"
#include "base/must.h"
#include "base/time.h"

enum { REPORT_MAX = 1024 * 1024, HEAD_MAX = 64 * 1024 };

bool bounce_is_wanted(const struct envelope *env, unsigned notify, enum dsn_action action)
{
	if (env->from.n == 0 || (notify & ENV_NOTIFY_NEVER))
		return false;
	switch (action) {
	case DSN_FAILED:
		return notify == 0 || (notify & ENV_NOTIFY_FAILURE);
	case DSN_DELAYED:
		return notify == 0 || (notify & ENV_NOTIFY_DELAY);
	default:
		return notify & ENV_NOTIFY_SUCCESS;
	}
}

/* Up to and including the empty line; a header longer than the limit is cut at a line end. */
static struct str header_of(struct str head)
{
	ssize_t end = str_find(head, S("\r\n\r\n")), cut;

	if (str_starts(head, S("\r\n")))
		return str_head(head, 2);
	if (end >= 0 && end + 4 <= HEAD_MAX)
		return str_head(head, (size_t)end + 4);
	head = str_head(head, HEAD_MAX);
	cut = str_rchr(head, '\n');
	return str_head(head, cut < 0 ? 0 : (size_t)cut + 1);
}

static bool is_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

/* Only addresses make SMTPUTF8 necessary; without it the report is ASCII and arrives everywhere (a report that cannot
 * be delivered is lost). */
static bool needs_utf8(const struct bounce_order *o)
{
	bool needed = is_8bit(o->to);

	for (size_t i = 0; i < o->rcpt_n && !needed; i++)
		needed = is_8bit(o->rcpts[i].addr);
	return needed;
}

/* RFC 3461 4.3: only when asked for, and never more than was allowed. */
static bool may_return_all(const struct bounce_order *o)
{
	return o->env->ret == ENV_RET_FULL && o->is_whole && o->head.n <= o->config->queue.report_full_max &&
	       dsn_can_return(o->head);
}

static bool compose(struct buf *out, const struct bounce_order *o, uint64_t id, struct str trace_id, int64_t now_ms)
{
	char room[320];
	struct buf mid = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	bool whole = may_return_all(o);

	queue_put_id(&mid, id);
	buf_addc(&mid, '@');
	buf_add(&mid, o->config->hostname);
	const struct dsn d = { .reporting_mta = o->config->hostname,
			       .postmaster = o->config->postmaster,
			       .to = o->to,
			       .envid = o->env->envid,
			       .trace_id = trace_id,
			       .message_id = buf_str(&mid),
			       .arrived_ms = o->env->arrived_ms,
			       .now_ms = now_ms,
			       .smtputf8 = needs_utf8(o),
			       .rcpts = o->rcpts,
			       .rcpt_n = o->rcpt_n,
			       .original_headers = whole ? o->head : header_of(o->head),
			       .whole = whole };
	return dsn_put(out, &d);
}

static void on_commit(struct op *op)
{
	struct bounce *b = container_of(op, struct bounce, commit.op);

	b->done(b, b->commit.ok ? NULL : &b->commit.err);
}

static void commit_report(struct bounce *b, const struct bounce_order *o, struct spool **s, struct str trace_id,
			  bool eight_bit, int64_t now_ms)
{
	const struct env_rcpt rcpt = { .addr = o->to };
	const struct envelope env = { .body = eight_bit ? ENV_BODY_8BITMIME : ENV_BODY_7BIT,
				      .smtputf8 = needs_utf8(o),
				      .origin = ENV_SELF,
				      .plain_headers = true,
				      .trace_id = trace_id,
				      .epoch = o->env->epoch,
				      .serial = o->env->serial,
				      .arrived_ms = now_ms,
				      .rcpts = &rcpt,
				      .rcpt_n = 1 };

	spool_commit(s, &env, &b->commit, on_commit);
}

int bounce_start(struct bounce *b, const struct bounce_order *o, void (*done)(struct bounce *, const struct err *),
		 struct err *e)
{
	int64_t now_ms = clock_wall_ms();
	struct spool *s;
	struct buf text;
	int result = -1;

	must(o->rcpt_n > 0 && o->to.n > 0);
	s = spool_begin(o->port, e);
	if (s == NULL)
		return -1;
	guid_make(b->trace_id);
	buf_init(&text, REPORT_MAX);
	b->done = done;
	if (!compose(&text, o, spool_id(s), str_c(b->trace_id), now_ms)) {
		err_set(e, ERR_TOO_BIG, "bounce.start", "the report is too big");
	} else if (spool_write(s, buf_str(&text), e) == 0) {
		commit_report(b, o, &s, str_c(b->trace_id), is_8bit(buf_str(&text)), now_ms);
		result = 0;
	}
	buf_fini(&text);
	spool_abort(&s);
	return result;
}

void bounce_cancel(struct bounce *b)
{
	op_cancel(&b->commit.op);
}
