/* queue/record.c: the one place that knows byte offsets.  Encoders append to a buf (the caller looks once whether it is
 * full); decoders go through a reader whose first short read sticks. */
#include "queue/record.h"

#include "base/must.h"

#include <endian.h>
#include <string.h>

enum { MAGIC = 0x524c4254 }; /* "TBLR" */

/* ---- numbers ---- */

static void poke16(char *to, uint16_t v)
{
	v = htole16(v);
	memcpy(to, &v, sizeof v);
}

static void poke32(char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof v);
}

static void poke64(char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof v);
}

static uint16_t peek16(const char *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof v);
	return le16toh(v);
}

static uint32_t peek32(const char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof v);
	return le32toh(v);
}

static uint64_t peek64(const char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof v);
	return le64toh(v);
}

static void put8(struct buf *b, uint8_t v)
{
	buf_addc(b, (char)v);
}

static void put16(struct buf *b, uint16_t v)
{
	char raw[2];

	poke16(raw, v);
	buf_add(b, str_n(raw, sizeof raw));
}

static void put32(struct buf *b, uint32_t v)
{
	char raw[4];

	poke32(raw, v);
	buf_add(b, str_n(raw, sizeof raw));
}

static void put64(struct buf *b, uint64_t v)
{
	char raw[8];

	poke64(raw, v);
	buf_add(b, str_n(raw, sizeof raw));
}

/* Text longer than 64 KiB has no business in an envelope: it makes the buffer full, which refuses the message. */
static void put_text(struct buf *b, struct str s)
{
	if (s.n > UINT16_MAX)
		b->full = true;
	put16(b, (uint16_t)s.n);
	buf_add(b, s);
}

struct reader {
	struct str left;
	bool bad;
};

static const char *take(struct reader *r, size_t n)
{
	static const char zeros[8];
	const char *at = r->left.p;

	if (r->bad || r->left.n < n) {
		r->bad = true;
		return zeros; /* only numbers look at it: take_text checks `bad` */
	}
	r->left = str_skip(r->left, n);
	return at;
}

static uint8_t get8(struct reader *r)
{
	return (uint8_t)*take(r, 1);
}

static uint16_t get16(struct reader *r)
{
	return peek16(take(r, 2));
}

static uint32_t get32(struct reader *r)
{
	return peek32(take(r, 4));
}

static uint64_t get64(struct reader *r)
{
	return peek64(take(r, 8));
}

static struct str get_text(struct reader *r)
{
	size_t n = get16(r);
	const char *at = take(r, n);

	return r->bad ? STR_NONE : (struct str){ at, n };
}

/* ---- records ---- */

void record_put_head(char to[RECORD_HEAD], const struct record *r)
{
	poke32(to, MAGIC);
	poke16(to + 4, RECORD_VERSION);
	poke16(to + 6, (uint16_t)r->kind);
	poke64(to + 8, r->segment);
	poke64(to + 16, r->id);
	poke64(to + 24, r->size);
	poke32(to + 32, r->body_n);
	poke32(to + 36, r->meta_n);
	poke64(to + 40, r->body_check);
	poke64(to + 48, r->meta_check);
	poke64(to + 56, record_sum(str_n(to, 56)));
}

bool record_get_head(const char from[RECORD_HEAD], uint64_t segment, struct record *r)
{
	uint16_t kind = peek16(from + 6);

	if (peek32(from) != MAGIC || peek16(from + 4) != RECORD_VERSION || peek64(from + 8) != segment ||
	    kind < RECORD_SEGMENT || kind > RECORD_ORDER || peek64(from + 56) != record_sum(str_n(from, 56)))
		return false;
	*r = (struct record){
		.kind = (enum record_kind)kind,
		.segment = segment,
		.id = peek64(from + 16),
		.size = peek64(from + 24),
		.body_n = peek32(from + 32),
		.meta_n = peek32(from + 36),
		.body_check = peek64(from + 40),
		.meta_check = peek64(from + 48),
	};
	return true;
}

uint64_t record_length(const struct record *r)
{
	uint64_t n = RECORD_HEAD + (uint64_t)r->body_n + r->meta_n;

	return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

uint64_t record_sum(struct str bytes)
{
	return str_hash(bytes, 0);
}

uint64_t record_sum_block(struct str block, uint64_t before)
{
	must(block.n <= RECORD_BLOCK);
	return str_hash(block, before);
}

bool record_is_sound(const struct record *r, struct str payload)
{
	uint64_t n = (uint64_t)r->body_n + r->meta_n;

	return payload.n >= n && record_sum(str_n(payload.p + r->body_n, r->meta_n)) == r->meta_check &&
	       (r->kind == RECORD_BIG || record_sum(str_head(payload, r->body_n)) == r->body_check);
}

/* ---- envelope ---- */

enum {
	FLAG_SMTPUTF8 = 1,
	FLAG_PLAIN_HEADERS = 2,
	FLAG_LINEAGE = 4,
	FLAG_JOURNAL = 8,
	FLAG_HOLD = 16,
	FLAG_PAST = 32,
	FLAG_TOKEN_SEEN = 128,
	FLAG_FOLLOWED = 128
};

/* How a recipient came to be one: a byte behind each of them in envelopes with FLAG_LINEAGE.  Most mail was never
 * redirected and stays as short as it was, so records of before need no other reader. */
static uint8_t lineage_of(const struct env_rcpt *r)
{
	must(r->generation <= ENV_GENERATION_MAX);
	return (uint8_t)(r->generation | (r->followed ? FLAG_FOLLOWED : 0));
}

static bool has_lineage(const struct envelope *env)
{
	for (size_t i = 0; i < env->rcpt_n; i++)
		if (lineage_of(&env->rcpts[i]) != 0)
			return true;
	return false;
}

/* Likewise: a byte and the name of a rule, where they say something. */
static bool has_journal(const struct envelope *env)
{
	return env->journal != ENV_JOURNAL_NONE || env->rule.n > 0;
}

bool record_put_envelope(struct buf *b, const struct envelope *env)
{
	const struct str texts[] = { env->from,   env->envid, env->xorg, env->receive, env->inbound,
				     env->client, env->helo,  env->tls,  env->trace_id };

	bool lineage = has_lineage(env), journal = has_journal(env), hold = env->hold.n > 0;

	put32(b, (uint32_t)env->rcpt_n);
	put8(b, (uint8_t)env->ret);
	put8(b, (uint8_t)env->body);
	put8(b, (uint8_t)((env->smtputf8 ? FLAG_SMTPUTF8 : 0) | (env->plain_headers ? FLAG_PLAIN_HEADERS : 0) |
			  (lineage ? FLAG_LINEAGE : 0) | (journal ? FLAG_JOURNAL : 0) | (hold ? FLAG_HOLD : 0)));
	put8(b, (uint8_t)env->origin);
	put8(b, (uint8_t)env->class);
	put8(b, (uint8_t)env->org);
	put64(b, env->epoch);
	put64(b, env->serial);
	put64(b, (uint64_t)env->arrived_ms);
	put32(b, env->hops);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		put_text(b, texts[i]);
	if (journal) {
		put8(b, (uint8_t)env->journal);
		put_text(b, env->rule);
	}
	if (hold)
		put_text(b, env->hold);
	for (size_t i = 0; i < env->rcpt_n; i++) {
		put_text(b, env->rcpts[i].addr);
		put_text(b, env->rcpts[i].orcpt);
		put8(b, (uint8_t)(env->rcpts[i].notify | (env->rcpts[i].token_seen ? FLAG_TOKEN_SEEN : 0)));
		if (lineage)
			put8(b, lineage_of(&env->rcpts[i]));
	}
	return !b->full;
}

/* One byte: was the sender told of the delay, and above that bit the delivery's note.  Before there were notes it was 0
 * or 1, which reads the same. */
static uint8_t told_of(bool delay_told, uint8_t note)
{
	must(note <= QUEUE_NOTE_MAX);
	return (uint8_t)((note << 1) | delay_told);
}

static void get_told(struct reader *r, bool *delay_told, uint8_t *note)
{
	uint8_t bits = get8(r);

	*delay_told = bits & 1;
	*note = bits >> 1;
}

/* ---- the past of a message that came from another queue: source, a row for each recipient, length of all that ---- */

enum { FLAGS_AT = 6, FLAG_HELD = 1 };

bool record_put_past(struct buf *b, size_t meta_at, uint64_t source_id, const struct queue_past *past, size_t n)
{
	size_t at = b->n;

	put64(b, source_id);
	for (size_t i = 0; i < n; i++) {
		put32(b, past[i].number);
		put8(b, past[i].held ? FLAG_HELD : 0);
		put8(b, told_of(past[i].delay_told, (uint8_t)past[i].note));
		put16(b, (uint16_t)(past[i].attempts < UINT16_MAX ? past[i].attempts : UINT16_MAX));
		put64(b, (uint64_t)past[i].due_ms);
		put_text(b, str_head(past[i].last, ROW_TEXT_MAX));
	}
	put32(b, (uint32_t)(b->n - at));
	if (!b->full)
		b->p[meta_at + FLAGS_AT] = (char)(b->p[meta_at + FLAGS_AT] | FLAG_PAST);
	return !b->full;
}

bool record_has_past(struct str meta)
{
	return meta.n > FLAGS_AT && (meta.p[FLAGS_AT] & FLAG_PAST) != 0;
}

/* Takes the past off the end of the envelope's bytes. */
static struct str cut_past(struct str *meta)
{
	size_t n = meta->n < 4 ? SIZE_MAX : peek32(meta->p + meta->n - 4);
	struct str past;

	if (n > meta->n - 4)
		return STR_NONE;
	past = str_n(meta->p + meta->n - 4 - n, n);
	meta->n -= 4 + n;
	return past;
}

static bool get_past(struct str bytes, size_t n, uint64_t *source_id, struct queue_past *past)
{
	struct reader r = { .left = bytes };

	*source_id = get64(&r);
	for (size_t i = 0; i < n && !r.bad; i++) {
		struct queue_past one = { .number = get32(&r) };
		uint8_t state = get8(&r), note;
		one.held = state & FLAG_HELD;
		get_told(&r, &one.delay_told, &note);
		one.note = note;
		one.attempts = get16(&r);
		one.due_ms = (int64_t)get64(&r);
		one.last = get_text(&r);
		r.bad |= state > FLAG_HELD || one.last.n > ROW_TEXT_MAX;
		if (past != NULL)
			past[i] = one;
	}
	return !r.bad && r.left.n == 0;
}

bool record_get_past(struct str meta, uint64_t *source_id, struct queue_past *past)
{
	return record_has_past(meta) && get_past(cut_past(&meta), record_rcpt_n(meta), source_id, past);
}

enum { RCPT_BYTES_MIN = 5 }; /* two empty texts and a byte */

size_t record_rcpt_n(struct str meta)
{
	struct reader r = { .left = meta };
	size_t n = get32(&r);

	return r.bad || n > meta.n / RCPT_BYTES_MIN ? 0 : n;
}

bool record_get_envelope(struct str meta, struct envelope *env, struct env_rcpt *rcpts)
{
	struct str past = record_has_past(meta) ? cut_past(&meta) : STR_NONE;
	struct reader r = { .left = meta };
	struct str *texts[] = { &env->from,   &env->envid, &env->xorg, &env->receive, &env->inbound,
				&env->client, &env->helo,  &env->tls,  &env->trace_id };

	uint64_t source_id;

	*env = (struct envelope){ .rcpt_n = record_rcpt_n(meta), .rcpts = rcpts };
	get32(&r);
	env->ret = get8(&r);
	env->body = get8(&r);
	uint8_t flags = get8(&r);
	env->smtputf8 = flags & FLAG_SMTPUTF8;
	env->plain_headers = flags & FLAG_PLAIN_HEADERS;
	env->origin = get8(&r);
	env->class = get8(&r);
	env->org = get8(&r);
	env->epoch = get64(&r);
	env->serial = get64(&r);
	env->arrived_ms = (int64_t)get64(&r);
	env->hops = get32(&r);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = get_text(&r);
	if (flags & FLAG_JOURNAL) {
		env->journal = get8(&r);
		env->rule = get_text(&r);
		r.bad |= env->journal > ENV_JOURNAL_ALTERNATE;
	}
	if (flags & FLAG_HOLD) {
		env->hold = get_text(&r);
		r.bad |= env->hold.n == 0;
	}
	for (size_t i = 0; i < env->rcpt_n && !r.bad; i++) {
		rcpts[i].addr = get_text(&r);
		rcpts[i].orcpt = get_text(&r);
		uint8_t bits = get8(&r);
		rcpts[i].notify = bits & (unsigned)~FLAG_TOKEN_SEEN;
		rcpts[i].token_seen = bits & FLAG_TOKEN_SEEN;
		bits = flags & FLAG_LINEAGE ? get8(&r) : 0;
		rcpts[i].followed = bits & FLAG_FOLLOWED;
		rcpts[i].generation = bits & (unsigned)~FLAG_FOLLOWED;
		if (rcpts[i].generation > ENV_GENERATION_MAX)
			r.bad = true;
	}
	/* one spelling only: what is optional is there because it says something */
	return !r.bad && r.left.n == 0 && env->rcpt_n > 0 && has_lineage(env) == ((flags & FLAG_LINEAGE) != 0) &&
	       has_journal(env) == ((flags & FLAG_JOURNAL) != 0) &&
	       ((flags & FLAG_PAST) == 0 || get_past(past, env->rcpt_n, &source_id, NULL));
}

/* ---- outcomes and orders ---- */

void record_put_outcome(struct buf *b, const struct record_outcome *o)
{
	put32(b, o->rcpt);
	put8(b, o->kind);
	put8(b, told_of(o->delay_told, o->note));
	put16(b, o->attempts);
	put64(b, (uint64_t)o->due_ms);
	put_text(b, str_head(o->text, ROW_TEXT_MAX));
}

bool record_get_outcome(struct str *meta, struct record_outcome *o)
{
	struct reader r = { .left = *meta };

	*o = (struct record_outcome){ .rcpt = get32(&r) };
	o->kind = get8(&r);
	get_told(&r, &o->delay_told, &o->note);
	o->attempts = get16(&r);
	o->due_ms = (int64_t)get64(&r);
	o->text = get_text(&r);
	if (r.bad)
		return false;
	*meta = r.left;
	return true;
}

void record_put_order(struct buf *b, uint8_t verb, int64_t at_ms, const uint32_t *rcpts, size_t n)
{
	put8(b, verb);
	put64(b, (uint64_t)at_ms);
	for (size_t i = 0; i < n; i++)
		put32(b, rcpts[i]);
}

bool record_get_order(struct str meta, struct record_order *o)
{
	struct reader r = { .left = meta };

	*o = (struct record_order){ .verb = get8(&r) };
	o->at_ms = (int64_t)get64(&r);
	o->rcpts = r.left;
	return !r.bad && r.left.n % 4 == 0;
}

bool record_order_next(struct record_order *o, uint32_t *rcpt)
{
	struct reader r = { .left = o->rcpts };

	*rcpt = get32(&r);
	if (r.bad)
		return false;
	o->rcpts = r.left;
	return true;
}

/* ---- index rows ---- */

void row_put_message(struct buf *b, const struct row_message *r)
{
	put8(b, r->big);
	put64(b, r->segment);
	put64(b, r->size);
	put32(b, r->offset);
	put32(b, r->length);
	put64(b, (uint64_t)r->arrived_ms);
	put64(b, (uint64_t)r->due_ms);
	put32(b, r->rcpt_n);
	put32(b, r->left);
	put32(b, r->deferred);
	put_text(b, str_head(r->from, ROW_ADDR_MAX));
	put_text(b, str_head(r->trace_id, ROW_TRACE_MAX));
}

bool row_get_message(struct str from, struct row_message *m)
{
	struct reader r = { .left = from };

	*m = (struct row_message){ .big = get8(&r) != 0 };
	m->segment = get64(&r);
	m->size = get64(&r);
	m->offset = get32(&r);
	m->length = get32(&r);
	m->arrived_ms = (int64_t)get64(&r);
	m->due_ms = (int64_t)get64(&r);
	m->rcpt_n = get32(&r);
	m->left = get32(&r);
	m->deferred = get32(&r);
	m->from = get_text(&r);
	m->trace_id = get_text(&r);
	return !r.bad && r.left.n == 0;
}

void row_put_rcpt(struct buf *b, const struct row_rcpt *r)
{
	put8(b, (uint8_t)r->state);
	put8(b, told_of(r->delay_told, r->note));
	put16(b, r->attempts);
	put64(b, (uint64_t)r->due_ms);
	put_text(b, str_head(r->addr, ROW_ADDR_MAX));
	put_text(b, str_head(r->text, ROW_TEXT_MAX));
}

bool row_get_rcpt(struct str from, struct row_rcpt *p)
{
	struct reader r = { .left = from };
	uint8_t state = get8(&r);

	*p = (struct row_rcpt){ .state = state <= RCPT_CONDEMNED ? (enum rcpt_state)state : RCPT_DONE };
	get_told(&r, &p->delay_told, &p->note);
	p->attempts = get16(&r);
	p->due_ms = (int64_t)get64(&r);
	p->addr = get_text(&r);
	p->text = get_text(&r);
	return !r.bad && r.left.n == 0 && p->state != RCPT_DONE;
}

void row_put_checkpoint(struct buf *b, const struct row_checkpoint *r)
{
	put32(b, ROW_VERSION);
	put64(b, r->segment);
	put64(b, r->offset);
	put64(b, r->next_id);
}

bool row_get_checkpoint(struct str from, struct row_checkpoint *c)
{
	struct reader r = { .left = from };
	uint32_t version = get32(&r);

	*c = (struct row_checkpoint){ .segment = get64(&r) };
	c->offset = get64(&r);
	c->next_id = get64(&r);
	return !r.bad && r.left.n == 0 && version == ROW_VERSION;
}
