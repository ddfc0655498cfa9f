/* queue/record_test.c: every layout there and back, cut at each byte, and with each bit of a head turned over. */
#include "queue/record.h"
#include "queue/queue.h"
#include "tests/unit.h"

#include <string.h>

static const struct env_rcpt rcpts[] = {
	{ .addr = STR_LIT("u@contoso.com"), .orcpt = STR_LIT("rfc822;u+40contoso.com"), .notify = ENV_NOTIFY_FAILURE },
	{ .addr = STR_LIT("v@contoso.com"), .notify = ENV_NOTIFY_DELAY, .token_seen = true },
	{ .addr = STR_LIT("w\0x@contoso.com") },
};
static const struct envelope sample = {
	.from = STR_LIT("s@src.example"),
	.envid = STR_LIT("QQ314159"),
	.ret = ENV_RET_HDRS,
	.body = ENV_BODY_8BITMIME,
	.smtputf8 = true,
	.plain_headers = true,
	.xorg = STR_LIT("contoso.com"),
	.origin = ENV_PEER,
	.class = ENV_CLASS_EXT,
	.org = ENV_ORG_OK,
	.receive = STR_LIT("from-cloud"),
	.inbound = STR_LIT("cloud"),
	.client = STR_LIT("192.0.2.1"),
	.helo = STR_LIT("mail.contoso.com"),
	.tls = STR_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384 mail.contoso.com"),
	.trace_id = STR_LIT("0f8fad5b-d9cb-469f-a165-70867728950e"),
	.epoch = 7,
	.serial = UINT64_MAX,
	.arrived_ms = 1795300000000,
	.hops = 3,
	.rcpts = rcpts,
	.rcpt_n = COUNT(rcpts),
};

static struct buf encoded(const struct envelope *env)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(record_put_envelope(&b, env));
	return b;
}

static void test_envelope(void **state)
{
	struct buf b = encoded(&sample);
	struct env_rcpt got_rcpts[COUNT(rcpts)];
	struct envelope got;

	(void)state;
	assert_int_equal(record_rcpt_n(buf_str(&b)), COUNT(rcpts));
	assert_true(record_get_envelope(buf_str(&b), &got, got_rcpts));
	assert_true(!got_rcpts[0].token_seen && got_rcpts[0].notify == ENV_NOTIFY_FAILURE);
	assert_true(got_rcpts[1].token_seen && got_rcpts[1].notify == ENV_NOTIFY_DELAY);
	check_str(got.from, sample.from, "from");
	check_str(got.xorg, sample.xorg, "xorg");
	check_str(got.tls, sample.tls, "tls");
	check_str(got.trace_id, sample.trace_id, "trace");
	check_str(got.inbound, sample.inbound, "inbound");
	assert_int_equal(got.ret, sample.ret);
	assert_int_equal(got.origin, sample.origin);
	assert_int_equal(got.class, sample.class);
	assert_true(got.smtputf8 && got.plain_headers && got.serial == UINT64_MAX && got.epoch == 7 && got.hops == 3);
	assert_true(got.arrived_ms == sample.arrived_ms);
	for (size_t i = 0; i < COUNT(rcpts); i++) {
		check_str(got.rcpts[i].addr, rcpts[i].addr, "addr");
		check_str(got.rcpts[i].orcpt, rcpts[i].orcpt, "orcpt");
		assert_int_equal(got.rcpts[i].notify, rcpts[i].notify);
	}
	buf_fini(&b);
}

/* What led to a recipient is stored when there is something to store, and costs nothing when there is not. */
static void test_lineage(void **state)
{
	struct env_rcpt led[COUNT(rcpts)], got_rcpts[COUNT(rcpts)];
	struct envelope env = sample, got;
	struct buf plain = encoded(&sample), b;

	(void)state;
	memcpy(led, rcpts, sizeof led);
	led[1].generation = 3;
	led[1].followed = true;
	led[2].generation = ENV_GENERATION_MAX;
	env.rcpts = led;
	b = encoded(&env);
	assert_int_equal(b.n, plain.n + COUNT(rcpts));
	assert_true(record_get_envelope(buf_str(&b), &got, got_rcpts));
	assert_true(got_rcpts[0].generation == 0 && !got_rcpts[0].followed);
	assert_true(got_rcpts[1].generation == 3 && got_rcpts[1].followed && got_rcpts[1].token_seen);
	assert_true(got_rcpts[2].generation == ENV_GENERATION_MAX && !got_rcpts[2].followed);
	b.p[b.n - 1] = 64; /* no generation of ours */
	assert_false(record_get_envelope(buf_str(&b), &got, got_rcpts));
	/* an envelope as it was written before there were generations */
	assert_true(record_get_envelope(buf_str(&plain), &got, got_rcpts));
	assert_true(got_rcpts[1].generation == 0 && !got_rcpts[1].followed);
	buf_fini(&plain);
	buf_fini(&b);
}

/* What a message went through in another queue stands behind its envelope. */
static void test_past(void **state)
{
	const struct queue_past past[COUNT(rcpts)] = {
		{ .number = 4, .attempts = 7, .note = QUEUE_NOTE_MAX, .due_ms = 99, .last = S("451 later") },
		{ .number = 9, .held = true, .delay_told = true },
		{ .number = UINT32_MAX },
	};
	struct queue_past got[COUNT(rcpts)];
	struct env_rcpt got_rcpts[COUNT(rcpts)];
	struct envelope env;
	struct buf plain = encoded(&sample), b = encoded(&sample);
	uint64_t source = 0;

	(void)state;
	assert_true(!record_has_past(buf_str(&plain)) && !record_get_past(buf_str(&plain), &source, got));
	assert_true(record_put_past(&b, 0, 77, past, COUNT(past)));
	assert_true(record_get_envelope(buf_str(&b), &env, got_rcpts) && env.rcpt_n == COUNT(past));
	check_str(got_rcpts[2].addr, rcpts[2].addr, "addr");
	assert_true(record_get_past(buf_str(&b), &source, got) && source == 77);
	assert_true(got[0].number == 4 && got[0].attempts == 7 && got[0].note == QUEUE_NOTE_MAX && got[0].due_ms == 99);
	check_str(got[0].last, S("451 later"), "last");
	assert_true(got[1].held && got[1].delay_told && !got[0].held && got[2].number == UINT32_MAX);
	for (size_t n = 0; n < b.n; n++)
		assert_false(record_get_envelope(str_n(b.p, n), &env, got_rcpts));
	b.p[plain.n + 8 + 4] = 2; /* no state of ours */
	assert_false(record_get_envelope(buf_str(&b), &env, got_rcpts));
	buf_fini(&plain);
	buf_fini(&b);
}

/* The same holds for what journaling knows. */
static void test_journal(void **state)
{
	struct env_rcpt got_rcpts[COUNT(rcpts)];
	struct envelope env = sample, got;
	struct buf plain = encoded(&sample), b;

	(void)state;
	env.journal = ENV_JOURNAL_DONE;
	b = encoded(&env);
	assert_int_equal(b.n, plain.n + 3);
	assert_true(record_get_envelope(buf_str(&b), &got, got_rcpts));
	assert_true(got.journal == ENV_JOURNAL_DONE && got.rule.n == 0);
	check_str(got.rcpts[2].addr, rcpts[2].addr, "addr");
	buf_fini(&b);
	env.journal = ENV_JOURNAL_ALTERNATE;
	env.rule = S("legal");
	b = encoded(&env);
	for (size_t n = 0; n < b.n; n++)
		assert_false(record_get_envelope(str_head(buf_str(&b), n), &got, got_rcpts));
	assert_true(record_get_envelope(buf_str(&b), &got, got_rcpts));
	assert_int_equal(got.journal, ENV_JOURNAL_ALTERNATE);
	check_str(got.rule, S("legal"), "rule");
	/* an envelope as it was written before there were journals */
	assert_true(record_get_envelope(buf_str(&plain), &got, got_rcpts));
	assert_true(got.journal == ENV_JOURNAL_NONE && got.rule.n == 0);
	buf_fini(&plain);
	buf_fini(&b);
}

/* And for why a message is held. */
static void test_hold(void **state)
{
	struct env_rcpt got_rcpts[COUNT(rcpts)];
	struct envelope env = sample, got;
	struct buf plain = encoded(&sample), b;

	(void)state;
	env.hold = S("quarantine: odd");
	b = encoded(&env);
	assert_int_equal(b.n, plain.n + 2 + env.hold.n);
	for (size_t n = 0; n < b.n; n++)
		assert_false(record_get_envelope(str_head(buf_str(&b), n), &got, got_rcpts));
	assert_true(record_get_envelope(buf_str(&b), &got, got_rcpts));
	check_str(got.hold, env.hold, "hold");
	check_str(got.rcpts[2].addr, rcpts[2].addr, "addr");
	assert_true(record_get_envelope(buf_str(&plain), &got, got_rcpts) && got.hold.n == 0);
	buf_fini(&plain);
	buf_fini(&b);
}

/* Copies to memory of just that size, so that a read past the end is seen by the sanitizer. */
static void test_envelope_cut_anywhere(void **state)
{
	struct buf b = encoded(&sample);
	struct envelope got;

	(void)state;
	for (size_t n = 0; n < b.n; n++) {
		char *copy = malloc(n + 1);
		assert_non_null(copy);
		memcpy(copy, b.p, n);
		size_t want = record_rcpt_n(str_n(copy, n));
		struct env_rcpt *room = calloc(want + 1, sizeof *room);
		assert_false(record_get_envelope(str_n(copy, n), &got, room));
		free(room);
		free(copy);
	}
	buf_fini(&b);
}

static void test_envelope_claims(void **state)
{
	static const char huge[] = "\xff\xff\xff\xff aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	(void)state;
	assert_int_equal(record_rcpt_n(str_n(huge, sizeof huge)), 0);
	assert_int_equal(record_rcpt_n(STR_NONE), 0);
}

static void test_envelope_too_long(void **state)
{
	static char long_text[70000];
	struct envelope env = sample;
	struct buf b;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	env.helo = str_n(long_text, sizeof long_text);
	buf_init(&b, 1 << 20);
	assert_false(record_put_envelope(&b, &env));
	buf_fini(&b);
}

static const struct record head = { .kind = RECORD_MESSAGE,
				    .segment = 0x123456789,
				    .id = UINT64_MAX - 1,
				    .size = 1000,
				    .body_n = 1000,
				    .meta_n = 93,
				    .body_check = 1,
				    .meta_check = 2 };

static void test_head(void **state)
{
	char raw[RECORD_HEAD];
	struct record got;

	(void)state;
	record_put_head(raw, &head);
	assert_true(record_get_head(raw, head.segment, &got));
	assert_true(got.kind == head.kind && got.segment == head.segment && got.id == head.id && got.size == head.size);
	assert_true(got.body_n == head.body_n && got.meta_n == head.meta_n);
	assert_true(got.body_check == head.body_check && got.meta_check == head.meta_check);
	assert_int_equal(record_length(&head), (RECORD_HEAD + 1093 + 7) / 8 * 8);
	assert_false(record_get_head(raw, head.segment + 1, &got)); /* an earlier life of the file */
}

static void test_head_any_bit(void **state)
{
	char raw[RECORD_HEAD];
	struct record got;

	(void)state;
	record_put_head(raw, &head);
	for (size_t i = 0; i < sizeof raw * 8; i++) {
		raw[i / 8] = (char)(raw[i / 8] ^ 1 << i % 8);
		assert_false(record_get_head(raw, head.segment, &got));
		raw[i / 8] = (char)(raw[i / 8] ^ 1 << i % 8);
	}
}

static void test_sound(void **state)
{
	char payload[] = "bodymeta";
	struct record r = { .kind = RECORD_MESSAGE, .body_n = 4, .meta_n = 4 };

	(void)state;
	r.body_check = record_sum(S("body"));
	r.meta_check = record_sum(S("meta"));
	assert_true(record_is_sound(&r, str_n(payload, 8)));
	assert_false(record_is_sound(&r, str_n(payload, 7)));
	for (size_t i = 0; i < 8; i++) {
		payload[i] ^= 1;
		assert_false(record_is_sound(&r, str_n(payload, 8)));
		payload[i] ^= 1;
	}
}

static void test_outcomes(void **state)
{
	struct record_outcome one = { .rcpt = 3, .kind = 1, .attempts = 9, .due_ms = 12345, .text = STR_LIT("451 no") };
	struct record_outcome two = { .rcpt = 4, .delay_told = true, .note = QUEUE_NOTE_MAX }, got;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	record_put_outcome(&b, &one);
	record_put_outcome(&b, &two);
	struct str rest = buf_str(&b);
	assert_true(record_get_outcome(&rest, &got));
	assert_true(got.rcpt == 3 && got.kind == 1 && got.attempts == 9 && got.due_ms == 12345 && !got.delay_told &&
		    got.note == 0);
	check_str(got.text, one.text, "text");
	assert_true(record_get_outcome(&rest, &got));
	assert_true(got.rcpt == 4 && got.delay_told && got.note == QUEUE_NOTE_MAX && got.text.n == 0);
	assert_false(record_get_outcome(&rest, &got));
	assert_int_equal(rest.n, 0);
	rest = str_head(buf_str(&b), b.n - 1);
	assert_true(record_get_outcome(&rest, &got));
	assert_false(record_get_outcome(&rest, &got));
	assert_true(rest.n > 0);
	buf_fini(&b);
}

static void test_order(void **state)
{
	static const uint32_t numbers[] = { 0, 7, UINT32_MAX };
	struct record_order o;
	struct buf b;
	uint32_t got;

	(void)state;
	buf_init(&b, 4096);
	record_put_order(&b, 2, 99, numbers, COUNT(numbers));
	assert_true(record_get_order(buf_str(&b), &o));
	assert_true(o.verb == 2 && o.at_ms == 99);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		assert_true(record_order_next(&o, &got));
		assert_true(got == numbers[i]);
	}
	assert_false(record_order_next(&o, &got));
	assert_false(record_get_order(str_head(buf_str(&b), b.n - 1), &o));
	assert_false(record_get_order(S("abc"), &o));
	buf_fini(&b);
}

static void test_rows(void **state)
{
	struct row_message m = { .segment = 5,
				 .size = 6,
				 .offset = 7,
				 .length = 8,
				 .arrived_ms = -9,
				 .due_ms = DUE_NEVER,
				 .rcpt_n = 3,
				 .left = 2,
				 .deferred = 1,
				 .big = true,
				 .from = STR_LIT("a@b"),
				 .trace_id = STR_LIT("t") };
	struct row_rcpt r = { .state = RCPT_HELD,
			      .delay_told = true,
			      .note = 2,
			      .attempts = 77,
			      .due_ms = 5,
			      .addr = STR_LIT("x@y"),
			      .text = STR_LIT("why") };
	struct row_checkpoint c = { 1, 2, 3 }, c2;
	struct row_message m2;
	struct row_rcpt r2;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	row_put_message(&b, &m);
	assert_true(row_get_message(buf_str(&b), &m2));
	assert_true(m2.segment == 5 && m2.length == 8 && m2.arrived_ms == -9 && m2.due_ms == DUE_NEVER && m2.big);
	check_str(m2.from, m.from, "from");
	for (size_t n = 0; n < b.n; n++)
		assert_false(row_get_message(str_head(buf_str(&b), n), &m2));
	buf_reset(&b);
	row_put_rcpt(&b, &r);
	assert_true(row_get_rcpt(buf_str(&b), &r2));
	assert_true(r2.state == RCPT_HELD && r2.delay_told && r2.note == 2 && r2.attempts == 77 && r2.due_ms == 5);
	check_str(r2.text, r.text, "text");
	for (size_t n = 0; n < b.n; n++)
		assert_false(row_get_rcpt(str_head(buf_str(&b), n), &r2));
	buf_reset(&b);
	row_put_checkpoint(&b, &c);
	assert_true(row_get_checkpoint(buf_str(&b), &c2));
	assert_true(c2.segment == 1 && c2.offset == 2 && c2.next_id == 3);
	b.p[0]++; /* another version */
	assert_false(row_get_checkpoint(buf_str(&b), &c2));
	buf_fini(&b);
}

static void test_row_is_small(void **state)
{
	static char text[5000];
	struct row_rcpt r = { .addr = { text, sizeof text }, .text = { text, sizeof text } };
	struct row_message m = { .from = { text, sizeof text }, .trace_id = { text, sizeof text } };
	struct buf b;

	(void)state;
	memset(text, 'x', sizeof text);
	buf_init(&b, 4096);
	row_put_rcpt(&b, &r);
	assert_true(!b.full && b.n < 2048);
	buf_reset(&b);
	row_put_message(&b, &m);
	assert_true(!b.full && b.n < 2048);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_lineage),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_past),
		cmocka_unit_test(test_envelope_cut_anywhere),
		cmocka_unit_test(test_envelope_claims),
		cmocka_unit_test(test_envelope_too_long),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_any_bit),
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_row_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
