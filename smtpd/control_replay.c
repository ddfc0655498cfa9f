/* smtpd/control_replay.c: `replay list` and `replay send`: delivered mail out of the store that keeps it.
 *
 *   send: worker: which records and recipients -> loop: say how many (--dry-run: end)
 *         then for each record   worker: read and open it -> loop: spool -> commit -> (replay.rate) -> the next
 *
 * What is sent again is a new message in the queue: routed as of now, marked in its header, without reports to its
 * sender (NOTIFY=NEVER), and remembered like what is taken over from another queue: it is sent once, unless --again. */
#include "base/log.h"
#include "base/must.h"
#include "base/time.h"
#include "connectors/kept.h"
#include "smtpd/control_verbs.h"

enum { LIST_DEFAULT_MAX = 1000 };

#define REPLAY_ID (UINT64_C(1) << 63) /* no queue gives such ids to messages */

/* ---- which ---- */

struct wanted {
	struct call *call;
	struct queue_where *where;
	int64_t now_ms, since_ms, until_ms; /* wall clock; since 0: all */
	struct str connector, from, to;
	/* recipients of messages that were met already: a copy of a copy is not sent beside it */
	uint64_t *seen;
	size_t seen_n, seen_cap;
};

/* False: the call has ended. */
static bool wanted_init(struct wanted *w, struct call *c)
{
	struct err e = { 0 };

	*w = (struct wanted){ .call = c, .now_ms = clock_wall_ms(), .until_ms = INT64_MAX };
	if (c->hooks->kept == NULL) {
		call_end(c, CALL_NOTHING, "no delivered mail is kept here; see replay.path and docs/REPLAY.md");
		return false;
	}
	if (args_has(c, "where") && (w->where = queue_where_parse(args_text(c, "where"), &e)) == NULL) {
		call_end_err(c, CALL_USAGE, &e);
		return false;
	}
	if (args_has(c, "since"))
		w->since_ms = w->now_ms - (int64_t)args_number(c, "since", 0);
	if (args_has(c, "until"))
		w->until_ms = w->now_ms - (int64_t)args_number(c, "until", 0);
	w->connector = args_text(c, "connector");
	w->from = args_text(c, "from");
	w->to = args_text(c, "to");
	return true;
}

static void wanted_fini(struct wanted *w)
{
	queue_where_free(&w->where);
	free(w->seen);
}

static bool address_matches(struct str pattern, struct str address)
{
	ssize_t at = str_chr(pattern, '@');

	if (pattern.n == 0 || at > 0)
		return pattern.n == 0 || str_ieq(pattern, address);
	return str_ieq(str_skip(pattern, at == 0), queue_domain_of(address));
}

static uint64_t name_of(struct str trace, struct str address)
{
	char lower[512];
	size_t n = address.n < sizeof lower ? address.n : sizeof lower;

	for (size_t i = 0; i < n; i++)
		lower[i] = chr_lower(address.p[i]);
	uint64_t h = str_hash(str_n(lower, n), str_hash(trace, 0));
	return h != 0 ? h : 1;
}

/* Open addressing, at most half full. */
static bool add_seen(uint64_t *table, size_t cap, uint64_t name)
{
	size_t i = name & (cap - 1);

	while (table[i] != 0 && table[i] != name)
		i = (i + 1) & (cap - 1);
	bool fresh = table[i] == 0;
	table[i] = name;
	return fresh;
}

static bool is_first(struct wanted *w, uint64_t name)
{
	if (w->seen_n * 2 >= w->seen_cap) {
		size_t cap = w->seen_cap == 0 ? 1024 : w->seen_cap * 2;
		uint64_t *table = calloc(cap, sizeof *table);
		must(table != NULL);
		for (size_t i = 0; i < w->seen_cap; i++)
			if (w->seen[i] != 0)
				add_seen(table, cap, w->seen[i]);
		free(w->seen);
		w->seen = table;
		w->seen_cap = cap;
	}
	bool fresh = add_seen(w->seen, w->seen_cap, name);
	w->seen_n += fresh;
	return fresh;
}

static bool matches(struct wanted *w, const struct kept_record *r, size_t i)
{
	const struct queue_row row = { .id = r->f.id,
				       .from = r->f.env.from,
				       .rcpt = r->f.env.rcpts[i].addr,
				       .last = r->f.past[i].last,
				       .trace_id = r->f.env.trace_id,
				       .size = r->f.size,
				       .arrived_ms = r->kept_ms,
				       .attempts = r->f.past[i].attempts };

	return r->kept_ms >= w->since_ms && r->kept_ms <= w->until_ms &&
	       w->now_ms - r->kept_ms <= w->call->config->replay.keep_ms &&
	       (w->connector.n == 0 || str_eq(w->connector, r->connectors[i])) && address_matches(w->from, row.from) &&
	       address_matches(w->to, row.rcpt) && (w->where == NULL || queue_where_match(w->where, &row, w->now_ms)) &&
	       is_first(w, name_of(row.trace_id, row.rcpt));
}

static void tell_skipped(struct call *c, const struct kept_reader *r)
{
	uint64_t damaged, foreign;

	kept_reader_skipped(r, &damaged, &foreign);
	if (damaged > 0)
		call_text(c, "%llu places in the store are damaged and were skipped.", (unsigned long long)damaged);
	if (foreign > 0)
		call_text(c, "%llu files were written with keys that are not in replay.key.",
			  (unsigned long long)foreign);
}

/* ---- list: all on the worker ---- */

static json_t *row_of(const struct kept_record *r, size_t i)
{
	json_t *row = json_object();

	row_int(row, "delivered_ms", r->kept_ms);
	row_uint(row, "size", r->f.size);
	row_str(row, "from", r->f.env.from);
	row_str(row, "rcpt", r->f.env.rcpts[i].addr);
	row_str(row, "connector", r->connectors[i]);
	row_str(row, "last", r->f.past[i].last);
	row_str(row, "trace_id", r->f.env.trace_id);
	return row;
}

static void list(struct wanted *w, struct kept_reader *reader)
{
	struct call *c = w->call;
	uint64_t max = args_number(c, "max", LIST_DEFAULT_MAX), n = 0;
	struct kept_record r;

	while ((max == 0 || n <= max) && kept_reader_next(reader, &r))
		for (size_t i = 0; i < r.f.env.rcpt_n; i++)
			if (matches(w, &r, i) && (++n <= max || max == 0))
				call_row(c, row_of(&r, i));
	tell_skipped(c, reader);
	if (n == 0)
		call_end(c, CALL_NOTHING, "nothing that is kept matches");
	else
		call_end(c, CALL_OK, max > 0 && n > max ? "more recipients match; --max 0 shows all" : NULL);
}

void run_replay_list(struct call *c)
{
	struct kept_reader *reader;
	struct wanted w;
	struct err e = { 0 };

	if (wanted_init(&w, c)) {
		if ((reader = kept_reader_open(c->hooks->kept, &e)) != NULL)
			list(&w, reader);
		else
			call_end_err(c, CALL_PARTLY, &e);
		kept_reader_close(&reader);
	}
	wanted_fini(&w);
}

/* ---- send ---- */

struct chosen { /* of one record */
	struct kept_place place;
	uint32_t *rcpts;
	size_t rcpt_n;
};

struct sending {
	struct call *call;
	struct wanted wanted;
	struct kept_reader *reader;
	struct chosen *v;
	size_t n, cap, at;
	uint64_t messages, recipients, known, lost;
	/* the record under way */
	struct kept_record record;
	struct buf content;
	struct err err;  /* of the worker's part */
	bool one_by_one; /* some of its recipients were sent before: which? */
	size_t part;
	struct spool *spool;
	struct commit commit;
	struct env_rcpt *rcpts;
	struct queue_past *pasts;
	struct loop_timer timer;
};

static void sending_drop(struct call *c)
{
	struct sending *s = c->state;

	op_cancel(&s->commit.op);
	spool_abort(&s->spool);
	loop_timer_stop(&s->timer);
	kept_reader_close(&s->reader);
	wanted_fini(&s->wanted);
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].rcpts);
	free(s->v);
	buf_fini(&s->content);
	free(s->rcpts);
	free(s->pasts);
	free(s);
}

static void choose(struct sending *s, const struct kept_record *r)
{
	struct chosen one = { .place = r->place };

	one.rcpts = calloc(r->f.env.rcpt_n, sizeof *one.rcpts);
	must(one.rcpts != NULL);
	for (size_t i = 0; i < r->f.env.rcpt_n; i++)
		if (matches(&s->wanted, r, i))
			one.rcpts[one.rcpt_n++] = (uint32_t)i;
	if (one.rcpt_n == 0) {
		free(one.rcpts);
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		s->v = reallocarray(s->v, s->cap, sizeof *s->v);
		must(s->v != NULL);
	}
	s->v[s->n++] = one;
	s->messages++;
	s->recipients += one.rcpt_n;
}

/* On the worker. */
static void survey(struct call *c)
{
	struct sending *s = c->state;
	struct kept_record r;
	struct err e = { 0 };

	if ((s->reader = kept_reader_open(c->hooks->kept, &e)) == NULL) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	while (kept_reader_next(s->reader, &r))
		choose(s, &r);
	tell_skipped(c, s->reader);
}

static void send_row(struct sending *s, const char *action)
{
	json_t *row = json_object();

	row_c(row, "action", action);
	row_uint(row, "messages", s->messages);
	row_uint(row, "recipients", s->recipients);
	row_uint(row, "known", s->known);
	row_uint(row, "lost", s->lost);
	row_bool(row, "dry_run", args_flag(s->call, "dry-run"));
	call_row(s->call, row);
}

static void send_end(struct sending *s)
{
	struct call *c = s->call;

	send_row(s, "are sent again");
	if (s->lost > 0)
		call_end(c, CALL_PARTLY, "%llu messages could not be read, see above", (unsigned long long)s->lost);
	else if (s->known > 0)
		call_end(c, s->messages > 0 ? CALL_OK : CALL_NOTHING,
			 "%llu recipients were sent again before; --again does it once more",
			 (unsigned long long)s->known);
	else
		call_end(c, CALL_OK, NULL);
}

static void next_record(struct sending *s);

static void record_done(struct sending *s)
{
	int64_t pause_ms = 60000 / s->call->config->replay.rate;

	s->at++;
	s->one_by_one = false;
	s->part = 0;
	if (pause_ms > 0 && s->at < s->n)
		loop_timer_set(&s->timer, pause_ms);
	else
		next_record(s);
}

static void on_timer(struct loop_timer *t)
{
	next_record(container_of(t, struct sending, timer));
}

static void on_stored(struct op *op);

/* Recipients of the next message out of this record: all that are chosen, or one of them. */
static size_t fill_rcpts(struct sending *s)
{
	const struct chosen *c = &s->v[s->at];
	size_t from = s->one_by_one ? s->part : 0, n = s->one_by_one ? 1 : c->rcpt_n;

	s->rcpts = reallocarray(s->rcpts, n, sizeof *s->rcpts);
	s->pasts = reallocarray(s->pasts, n, sizeof *s->pasts);
	must(s->rcpts != NULL && s->pasts != NULL);
	for (size_t i = 0; i < n; i++) {
		uint32_t number = c->rcpts[from + i];
		s->rcpts[i] = s->record.f.env.rcpts[number];
		s->rcpts[i].notify = ENV_NOTIFY_NEVER;
		s->pasts[i] = (struct queue_past){ .number = number, .due_ms = clock_wall_ms() };
	}
	return n;
}

static bool spool_all(struct sending *s, struct err *e)
{
	struct buf mark;

	if ((s->spool = spool_begin(s->call->hooks->port, e)) == NULL)
		return false;
	buf_init(&mark, 200);
	buf_add(&mark, S(KEPT_MARK));
	time_put_rfc5322(&mark, clock_wall_ms());
	buf_add(&mark, S("\r\n"));
	bool ok = spool_write(s->spool, buf_str(&mark), e) == 0 && spool_write(s->spool, buf_str(&s->content), e) == 0;
	buf_fini(&mark);
	return ok;
}

static void stop(struct sending *s, const struct err *e)
{
	send_row(s, "are sent again");
	call_end(s->call, CALL_PARTLY, "stopped: %s; say it again later, what was sent is known", e->text);
}

/* Arrived now, so that it has all its time; journaled and counted it was before. */
static void send_part(struct sending *s)
{
	struct envelope env = s->record.f.env;
	struct kept_place place = s->v[s->at].place;
	struct err e = { 0 };

	if (!spool_all(s, &e)) {
		stop(s, &e);
		return;
	}
	env.rcpt_n = fill_rcpts(s);
	env.rcpts = s->rcpts;
	env.arrived_ms = clock_wall_ms();
	env.journal = env.journal == ENV_JOURNAL_NONE ? ENV_JOURNAL_DONE : env.journal;
	env.plain_headers = false;
	if (args_flag(s->call, "again"))
		spool_commit(&s->spool, &env, &s->commit, on_stored);
	else
		spool_take_over(&s->spool, &env, REPLAY_ID | place.file << 32 | place.offset, s->pasts, &s->commit,
				on_stored);
}

static void log_sent(const struct sending *s, size_t n)
{
	char id[32];
	struct buf b = { .p = id, .cap = sizeof id, .max = sizeof id - 1 };

	queue_put_id(&b, s->commit.id);
	log_info(NULL, "replay.sent", kv_str("message", buf_str(&b)), kv_str("trace", s->record.f.env.trace_id),
		 kv_str("from", s->record.f.env.from), kv_int("recipients", (int64_t)n),
		 kv_int("uid", (int64_t)s->call->uid));
}

static void on_stored(struct op *op)
{
	struct sending *s = container_of(op, struct sending, commit.op);
	size_t n = s->one_by_one ? 1 : s->v[s->at].rcpt_n;
	bool is_known = !s->commit.ok && s->commit.err.code == ERR_TAKEN;

	if (!s->commit.ok && !is_known) {
		stop(s, &s->commit.err);
		return;
	}
	if (s->commit.ok) {
		log_sent(s, n);
		s->messages++;
		s->recipients += n;
	} else if (n == 1) {
		s->known++;
	} else { /* some or all of them: each for itself */
		s->one_by_one = true;
		send_part(s);
		return;
	}
	if (s->one_by_one && ++s->part < s->v[s->at].rcpt_n)
		send_part(s);
	else
		record_done(s);
}

/* On the worker. */
static void read_one(struct call *c)
{
	struct sending *s = c->state;

	buf_reset(&s->content);
	s->err.code = ERR_NONE;
	if (kept_reader_get(s->reader, s->v[s->at].place, &s->record, &s->content, &s->err) != 0)
		call_text(c, "%s", s->err.text);
}

static void have_one(struct call *c)
{
	struct sending *s = c->state;

	if (s->err.code == ERR_NONE) {
		send_part(s);
		return;
	}
	s->lost++;
	record_done(s);
}

static void next_record(struct sending *s)
{
	struct err e;

	if (s->at < s->n && is_short_of_resources(s->call, &e))
		stop(s, &e);
	else if (s->at < s->n)
		call_to_worker(s->call, read_one, have_one);
	else
		send_end(s);
}

static void surveyed(struct call *c)
{
	struct sending *s = c->state;

	if (s->n == 0) {
		call_end(c, CALL_NOTHING, "nothing that is kept matches");
		return;
	}
	send_row(s, args_flag(c, "dry-run") ? "would be sent again" : "are to be sent again");
	if (args_flag(c, "dry-run")) {
		call_end(c, CALL_OK, NULL);
		return;
	}
	s->messages = s->recipients = 0;
	next_record(s);
}

void run_replay_send(struct call *c)
{
	struct sending *s;

	if (!args_has(c, "since")) {
		call_end(c, CALL_USAGE, "--since is needed: what was delivered within this time, like 2h");
		return;
	}
	s = calloc(1, sizeof *s);
	must(s != NULL);
	s->call = c;
	buf_init(&s->content, UINT32_MAX);
	loop_timer_init(c->hooks->loop, &s->timer, on_timer);
	c->state = s;
	c->drop = sending_drop;
	if (wanted_init(&s->wanted, c))
		call_to_worker(c, survey, surveyed);
}
