/* connectors/queue_file_test.c: what is written is read again; whatever is cut, turned or foreign is refused with its
 * place.
 */
#include "connectors/queue_file.h"
#include "base/must.h"
#include "tests/unit.h"

#include <sys/mman.h>
#include <unistd.h>

static const struct env_rcpt rcpts[] = {
	{ .addr = STR_LIT("u@example.net"), .orcpt = STR_LIT("rfc822;g@example.net"), .notify = 6, .token_seen = true },
	{ .addr = STR_LIT("\"a b%\"@example.net"), .generation = 3, .followed = true },
	{ .addr = STR_LIT("j\xc3\xbcrgen@b\xc3\xbc.example") },
};
static const struct queue_past pasts[] = {
	{ .attempts = 7,
	  .due_ms = 1796000000123,
	  .note = 3,
	  .delay_told = true,
	  .last = STR_LIT("451 4.2.1 50% full") },
	{ .number = 4, .held = true, .last = STR_LIT("tab\there") },
	{ .number = 5 },
};
static const struct queue_file sample = {
	.id = 0x123456789abcdefULL,
	.env = { .from = STR_LIT("a@x.example"),
		 .envid = STR_LIT("QQ+2B314"),
		 .ret = ENV_RET_HDRS,
		 .body = ENV_BODY_BINARYMIME,
		 .smtputf8 = true,
		 .xorg = STR_LIT("contoso.example"),
		 .origin = ENV_PEER,
		 .class = ENV_CLASS_INT,
		 .org = ENV_ORG_OK,
		 .receive = STR_LIT("our hub"),
		 .inbound = STR_LIT("from-cloud"),
		 .client = STR_LIT("192.0.2.1"),
		 .helo = STR_LIT("mx.cloud.example"),
		 .tls = STR_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384 mail.contoso.com"),
		 .trace_id = STR_LIT("7c9e6679-7425-40de-944b-e07fc1f90ae7"),
		 .epoch = 3,
		 .serial = 12,
		 .arrived_ms = 1796000000001,
		 .hops = 2,
		 .journal = ENV_JOURNAL_DONE,
		 .rule = STR_LIT("legal"),
		 .plain_headers = true,
		 .rcpts = rcpts,
		 .rcpt_n = COUNT(rcpts) },
	.past = pasts,
	.size = 11,
};
static const struct str content = STR_LIT("Subject: t\n");

static struct buf written(const struct queue_file *from)
{
	struct queue_file f = *from;
	struct buf b;

	mac_sha256(content, f.sum);
	buf_init(&b, 1 << 20);
	queue_file_put(&b, &f);
	buf_add(&b, content);
	must(!b.full);
	return b;
}

static void check_same(const struct queue_file *f)
{
	const struct envelope *a = &f->env, *b = &sample.env;

	assert_true(f->id == sample.id && f->size == sample.size);
	check_str(a->from, b->from, "from");
	check_str(a->envid, b->envid, "envid");
	check_str(a->xorg, b->xorg, "xorg");
	check_str(a->receive, b->receive, "receive");
	check_str(a->inbound, b->inbound, "inbound");
	check_str(a->client, b->client, "client");
	check_str(a->helo, b->helo, "helo");
	check_str(a->tls, b->tls, "tls");
	check_str(a->trace_id, b->trace_id, "trace");
	check_str(a->rule, b->rule, "rule");
	assert_true(a->ret == b->ret && a->body == b->body && a->smtputf8 && a->origin == b->origin &&
		    a->class == b->class && a->org == b->org && a->epoch == b->epoch && a->serial == b->serial &&
		    a->arrived_ms == b->arrived_ms && a->hops == b->hops && a->journal == b->journal &&
		    a->plain_headers && a->rcpt_n == b->rcpt_n);
	for (size_t i = 0; i < COUNT(rcpts); i++) {
		check_str(a->rcpts[i].addr, rcpts[i].addr, "addr");
		check_str(a->rcpts[i].orcpt, rcpts[i].orcpt, "orcpt");
		assert_true(a->rcpts[i].notify == rcpts[i].notify && a->rcpts[i].token_seen == rcpts[i].token_seen &&
			    a->rcpts[i].followed == rcpts[i].followed && a->rcpts[i].generation == rcpts[i].generation);
		assert_true(f->past[i].number == pasts[i].number && f->past[i].attempts == pasts[i].attempts &&
			    f->past[i].due_ms == pasts[i].due_ms && f->past[i].note == pasts[i].note &&
			    f->past[i].held == pasts[i].held && f->past[i].delay_told == pasts[i].delay_told);
	}
	check_str(f->past[0].last, pasts[0].last, "last");
	check_str(f->past[1].last, S("tab?here"), "last");
}

static int file_of(struct str bytes)
{
	int fd = memfd_create("queue-file", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int read_all(struct str bytes, struct queue_file *f, struct err *e)
{
	int fd = file_of(bytes), rc;

	*e = (struct err){ 0 };
	rc = queue_file_read(fd, f, e) != 0 ? -1 : queue_file_verify(fd, f, e);
	close(fd);
	return rc;
}

static void test_round_trip(void **state)
{
	struct buf b = written(&sample);
	struct queue_file f;
	struct err e;

	(void)state;
	for (size_t i = 0; i < b.n - content.n; i++)
		assert_true(!chr_is_8bit(b.p[i]));
	assert_int_equal(read_all(buf_str(&b), &f, &e), 0);
	check_same(&f);
	queue_file_fini(&f);
	buf_fini(&b);
}

/* The least there can be: null sender, one recipient that nothing happened to. */
static void test_least(void **state)
{
	const struct env_rcpt one = { .addr = S("u@example.net") };
	const struct queue_past none = { 0 };
	struct queue_file least = { .id = 1, .env = { .arrived_ms = 1, .rcpts = &one, .rcpt_n = 1 }, .past = &none };
	struct queue_file f;
	struct err e;

	(void)state;
	least.size = content.n;
	struct buf b = written(&least);
	assert_true(str_starts(buf_str(&b), S("X-Tombolo-Queue: 1 id=0000000000001 arrived=1\r\nX-Sender: <>\r\n"
					      "X-Receiver: <u@example.net>\r\nX-Tombolo-End: size=11 sha256=")));
	assert_int_equal(read_all(buf_str(&b), &f, &e), 0);
	assert_true(f.env.from.n == 0 && f.env.rcpt_n == 1 && f.past[0].attempts == 0);
	queue_file_fini(&f);
	buf_fini(&b);
}

static void test_cut_anywhere(void **state)
{
	struct buf b = written(&sample);
	struct queue_file f;
	struct err e;

	(void)state;
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(read_all(str_n(b.p, n), &f, &e), -1);
		assert_true(e.text[0] != '\0');
		queue_file_fini(&f);
	}
	buf_addc(&b, 'x'); /* longer is as bad */
	assert_int_equal(read_all(buf_str(&b), &f, &e), -1);
	queue_file_fini(&f);
	buf_fini(&b);
}

static void test_any_byte_turned(void **state)
{
	struct buf b = written(&sample);
	struct queue_file f;
	struct err e;

	(void)state;
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] = (char)(b.p[i] ^ 1);
		if (read_all(buf_str(&b), &f, &e) == 0)
			fail_msg("byte %zu turned, and nobody saw it", i);
		queue_file_fini(&f);
		b.p[i] = (char)(b.p[i] ^ 1);
	}
	buf_fini(&b);
}

/* Whole and checked, yet not to be taken: what a person (or a newer version) wrote. */
static void test_refused(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} rows[] = {
		{ "X-Tombolo-Queue: 1 ", "X-Tombolo-Queue: 2 ", "line 1: another version" },
		{ "X-Tombolo-Queue: 1 ", "X-Other: 1 ", "line 1: not a file of" },
		{ "origin=peer", "origin=pear", "line 1: this value cannot be: origin=" },
		{ " class=int", " klass=int", "line 1: unknown key" },
		{ "X-Sender:", "X-Sinder:", "line 2: X-Sender is expected" },
		{ "<a@x.example>", "<a@x..example>", "line 2: this address" },
		{ "<a@x.example>", "a@x.example", "line 2: an address in <>" },
		{ "<a@x.example>", "<a%0Ab@x.example>", "line 2: this address" },
		{ "envid=QQ+2B314", "envid=a%20b", "line 2: this value" },
		{ "rfc822;g@", "rfc822;%20g@", "line 3: this value" },
		{ "notify=6", "notify=16", "line 3: this value" },
		{ "attempts=7", "attempts=-7", "line 3: this value" },
		{ "last=451%20", "last=451%2G", "line 3: this value" },
		{ "last=451%20", "last=451%0D%0A", "line 3: this value" },
		{ "generation=3", "generation=64", "line 4: this value" },
		{ " held", " held=1", "line 4: this value" },
		{ "<u@example.net>", "<>", "line 3: this address" },
		{ "id=", "idd=", "line 1: unknown key" },
		{ " arrived=1796000000001", "", "id or arrived is missing" },
		{ "size=11", "size=12", "content has 11 bytes instead of 12" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = written(&sample), changed;
		struct queue_file f;
		unsigned char sum[MAC_SIZE];
		struct err e;
		ssize_t at = str_find(buf_str(&b), str_c(rows[i].from));
		must(at >= 0);
		buf_init(&changed, 1 << 20);
		buf_add(&changed, str_head(buf_str(&b), (size_t)at));
		buf_add(&changed, str_c(rows[i].to));
		buf_add(&changed, str_skip(buf_str(&b), (size_t)at + strlen(rows[i].from)));
		size_t head = (size_t)str_find(buf_str(&changed), S("head="));
		mac_sha256(str_head(buf_str(&changed), head), sum);
		for (size_t k = 0; k < MAC_SIZE; k++) {
			static const char digits[] = "0123456789abcdef";
			changed.p[head + 5 + 2 * k] = digits[sum[k] >> 4];
			changed.p[head + 6 + 2 * k] = digits[sum[k] & 15];
		}
		check(read_all(buf_str(&changed), &f, &e) == -1, rows[i].to);
		if (str_find(str_c(e.text), str_c(rows[i].why)) < 0)
			fail_msg("%s: %s", rows[i].to, e.text);
		queue_file_fini(&f);
		buf_fini(&changed);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_least),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_any_byte_turned),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
