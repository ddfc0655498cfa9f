/* routing/record_test.c: records as bytes: there and back, cut at each length, with each byte changed. */
#include "routing/record.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char rid[16] = "0123456789abcdef";

static struct rcpt_record sample(struct str addrs[3])
{
	addrs[0] = S("ann@contoso.com");
	addrs[1] = S("ann.smith@contoso.com");
	addrs[2] = S("a@fabrikam.example");
	return (struct rcpt_record){ .primary = addrs[0],
				     .addrs = addrs,
				     .addr_n = 3,
				     .loc = LOC_REMOTE,
				     .routing = S("ann@contoso.mail.cloud.example"),
				     .local_host = S("mbx1:2525"),
				     .mailbox_id = S("b5c7"),
				     .source = S("directory"),
				     .batch = S("wave-1"),
				     .redirect = S("x@y.example"),
				     .keep_copy = true,
				     .require_auth = true,
				     .external_ok = true,
				     .expand_at = EXPAND_HERE,
				     .report_to = REPORT_NONE,
				     .owner = S("o@contoso.com"),
				     .allow = S("@a.example"),
				     .deny = S("d@b.example"),
				     .version = 0x0102030405060708,
				     .changed_ms = 1795000000000 };
}

static void test_round_trip(void **state)
{
	struct str addrs[3];
	struct rcpt_record in = sample(addrs), out;
	struct arena arena;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, RECORD_MAX);
	arena_init(&arena, 4096);
	record_encode(&in, &b);
	check(record_decode(rid, buf_str(&b), &arena, &out, &e) == 0, "decodes");
	check(memcmp(out.rid, rid, 16) == 0 && out.addr_n == 3 && out.loc == LOC_REMOTE, "fixed parts");
	check(out.keep_copy && out.require_auth && out.version == in.version && out.changed_ms == in.changed_ms,
	      "numbers");
	for (size_t i = 0; i < 3; i++)
		check_str(out.addrs[i], in.addrs[i], "address");
	check_str(out.primary, in.primary, "primary");
	check_str(out.routing, in.routing, "routing");
	check_str(out.local_host, in.local_host, "local_host");
	check_str(out.mailbox_id, in.mailbox_id, "mailbox_id");
	check_str(out.source, in.source, "source");
	check_str(out.batch, in.batch, "batch");
	check_str(out.redirect, in.redirect, "redirect");
	check(out.external_ok && out.expand_at == EXPAND_HERE && out.report_to == REPORT_NONE, "words");
	check_str(out.owner, in.owner, "owner");
	check_str(out.allow, in.allow, "allow");
	check_str(out.deny, in.deny, "deny");
	check_str(record_primary(buf_str(&b)), in.primary, "primary of bytes");
	check_str(record_field(buf_str(&b), TAG_BATCH), in.batch, "field of bytes");
	check(record_field(buf_str(&b), (enum record_tag)99).n == 0, "no such field");
	check(b.n < 350, "small");
	arena_fini(&arena);
	buf_fini(&b);
}

/* Cut or changed bytes must decode to something whole or to an error; valgrind and asan watch the reads. */
static void test_damage(void **state)
{
	struct str addrs[3];
	struct rcpt_record in = sample(addrs), out;
	struct arena arena;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, RECORD_MAX);
	record_encode(&in, &b);
	for (size_t n = 0; n < b.n; n++) {
		char *cut = malloc(n + 1); /* of its own, so that a read past the end is seen */
		assert_non_null(cut);
		arena_init(&arena, 65536);
		memcpy(cut, b.p, n);
		struct str bytes = { cut, n };
		int rc = record_decode(rid, bytes, &arena, &out, &e);
		check(rc != 0 || record_same(bytes, bytes), "cut");
		record_primary(bytes);
		record_field(bytes, TAG_REDIRECT);
		free(cut);
		arena_fini(&arena);
	}
	for (size_t i = 0; i < b.n; i++)
		for (int v = 0; v < 256; v += 51) {
			char kept = b.p[i];
			arena_init(&arena, 1 << 20);
			b.p[i] = (char)v;
			if (record_decode(rid, buf_str(&b), &arena, &out, &e) == 0)
				check(out.addr_n > 0 && out.primary.n <= b.n, "changed");
			b.p[i] = kept;
			arena_fini(&arena);
		}
	buf_fini(&b);
}

static void test_same(void **state)
{
	struct str addrs[3];
	struct rcpt_record in = sample(addrs);
	struct buf a, b;

	(void)state;
	buf_init(&a, RECORD_MAX);
	buf_init(&b, RECORD_MAX);
	record_encode(&in, &a);
	in.version++;
	in.changed_ms = 1;
	record_encode(&in, &b);
	check(record_same(buf_str(&a), buf_str(&b)), "version and time do not count");
	record_stamp(a.p, in.version, 1);
	check_str(buf_str(&a), buf_str(&b), "stamped");
	buf_reset(&b);
	in.loc = LOC_LOCAL;
	record_encode(&in, &b);
	check(!record_same(buf_str(&a), buf_str(&b)), "location counts");
	check(!record_same(STR_NONE, STR_NONE), "nothing is no record");
	buf_fini(&a);
	buf_fini(&b);
}

static void test_limits(void **state)
{
	struct str addrs[3], big = { malloc(70000), 70000 };
	struct rcpt_record in = sample(addrs), out;
	struct arena arena;
	struct buf b;
	struct err e;

	(void)state;
	assert_non_null(big.p);
	memset((char *)(uintptr_t)big.p, 'x', big.n);
	buf_init(&b, RECORD_MAX);
	in.routing = big;
	record_encode(&in, &b);
	check(b.full, "a field past 64 KiB");
	buf_reset(&b);
	in.routing = S("r@x.example");
	record_encode(&in, &b);
	arena_init(&arena, 64);
	check(record_decode(rid, buf_str(&b), &arena, &out, &e) == -1 && e.code == ERR_TOO_BIG, "arena full");
	arena_fini(&arena);
	buf_fini(&b);
	free((char *)(uintptr_t)big.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
