/* routing/srs_test.c: addresses there and back, by known values (computed with another program), folded, changed, old,
 * under other keys. */
#include "routing/srs.h"
#include "base/must.h"
#include "tests/unit.h"

#include <string.h>

#define OURS S("srs.contoso.com")
static const int64_t now = 1795305600000; /* day 20779, "JL" */
enum { DAY = 86400000 };

static struct token_keys keys_of(const char *text)
{
	struct token_keys k;

	must(token_keys_parse(str_c(text), &k, NULL) == 0);
	return k;
}

#define K1 "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define K2 "k2 ffffffffffffffffffffffffffffffff\n"

static struct addr addr(struct str s)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;

	if (addr_parse(s, &rules, &a) != ADDR_OK)
		fail_msg("no address: " STR_FMT, STR_ARG(s));
	return a;
}

static enum srs_result forward(const struct token_keys *k, struct str from, struct buf *out)
{
	struct addr a = addr(from);

	buf_reset(out);
	return srs_forward(k, &a, OURS, now, out);
}

static enum srs_result reverse(const struct token_keys *k, struct str address, int64_t when, struct buf *out)
{
	struct addr a = addr(address);

	buf_reset(out);
	return srs_reverse(k, &a, OURS, when, out);
}

static const struct {
	struct str from, to, back; /* back empty: as `from` */
} rows[] = {
	{ STR_LIT("ann@far.example"), STR_LIT("SRS0=VV5TETLF=JL=far.example=ann@srs.contoso.com"), STR_LIT("") },
	{ STR_LIT("Ann.B=x@Far.Example"), STR_LIT("SRS0=XGD3RGWA=JL=Far.Example=Ann.B=x@srs.contoso.com"),
	  STR_LIT("") },
	{ STR_LIT("\"a b\"@far.example"), STR_LIT("\"SRS0=3TGMV4VO=JL=far.example=a b\"@srs.contoso.com"),
	  STR_LIT("") },
	{ STR_LIT("SRS0=ABCD=TT=origin.example=ann@forwarder.example"),
	  STR_LIT("SRS1=GUFENGUE=forwarder.example==ABCD=TT=origin.example=ann@srs.contoso.com"), STR_LIT("") },
	/* the one in between is passed over on the way back */
	{ STR_LIT("SRS1=WXYZ=forwarder.example==ABCD=TT=origin.example=ann@between.example"),
	  STR_LIT("SRS1=GUFENGUE=forwarder.example==ABCD=TT=origin.example=ann@srs.contoso.com"),
	  STR_LIT("SRS0=ABCD=TT=origin.example=ann@forwarder.example") },
};

static void test_known(void **state)
{
	struct token_keys k = keys_of(K1);
	struct buf b, back;

	(void)state;
	buf_init(&b, 1024);
	buf_init(&back, 1024);
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(forward(&k, rows[i].from, &b) == SRS_OK, rows[i].from.p);
		check_str(buf_str(&b), rows[i].to, rows[i].from.p);
		check(reverse(&k, buf_str(&b), now, &back) == SRS_OK, rows[i].to.p);
		check_str(buf_str(&back), rows[i].back.n > 0 ? rows[i].back : rows[i].from, rows[i].to.p);
	}
	buf_fini(&b);
	buf_fini(&back);
}

/* Hosts on the way write addresses as they like. */
static void test_folded(void **state)
{
	struct token_keys k = keys_of(K1);
	struct buf back;

	(void)state;
	buf_init(&back, 1024);
	check(reverse(&k, S("srs0=vv5tetlf=jl=far.example=ann@SRS.Contoso.com"), now, &back) == SRS_OK, "lower");
	check_str(buf_str(&back), S("ann@far.example"), "lower");
	check(reverse(&k, S("SRS0=VV5TETLF=JL=FAR.EXAMPLE=ANN@SRS.CONTOSO.COM"), now, &back) == SRS_OK, "upper");
	check_str(buf_str(&back), S("ANN@FAR.EXAMPLE"), "upper");
	buf_fini(&back);
}

/* Any other letter anywhere, and it is not ours. */
static void test_forged(void **state)
{
	struct token_keys k = keys_of(K1), other = keys_of(K2);
	char changed[128];
	struct buf back;

	(void)state;
	buf_init(&back, 1024);
	for (size_t row = 0; row < COUNT(rows); row++) {
		struct str good = rows[row].to;
		size_t end = good.n - OURS.n - 1;
		for (size_t i = rows[row].to.p[0] == '"' ? 6 : 5; i < end; i++) {
			memcpy(changed, good.p, good.n);
			changed[i] = good.p[i] == 'q' || good.p[i] == 'Q' ? 'z' : 'q';
			struct addr a;
			if (addr_parse(str_n(changed, good.n), &(struct addr_rules){ .relaxed = true }, &a) != ADDR_OK)
				continue;
			buf_reset(&back);
			enum srs_result r = srs_reverse(&k, &a, OURS, now, &back);
			if (r == SRS_OK || back.n > 0)
				fail_msg("believed: %.*s", (int)good.n, changed);
		}
		check(reverse(&other, good, now, &back) == SRS_FORGED, "another key");
	}
	struct addr a = addr(S("SRS0=VV5TETLF=JL=far.example=ann@srs.contoso.com"));
	check(srs_reverse(&k, &a, S("srs.fabrikam.example"), now, &back) == SRS_FORGED, "made for another domain");
	check(reverse(&k, S("ann@srs.contoso.com"), now, &back) == SRS_NONE, "no SRS");
	check(reverse(&k, S("SRS0@srs.contoso.com"), now, &back) == SRS_NONE, "nothing behind it");
	check(reverse(&k, S("SRS2=VV5TETLF=JL=far.example=ann@srs.contoso.com"), now, &back) == SRS_NONE, "SRS2");
	check(reverse(&k, S("SRS0=VV5TETLF@srs.contoso.com"), now, &back) == SRS_BROKEN, "a hash alone");
	check(reverse(&k, S("SRS0==JL=far.example=ann@srs.contoso.com"), now, &back) == SRS_FORGED, "no hash");
	buf_fini(&back);
}

static void test_age(void **state)
{
	static const struct {
		int days;
		enum srs_result want;
	} ages
		[] = {
			{ 0, SRS_OK },    { 21, SRS_OK },      { 22, SRS_EXPIRED },   { 500, SRS_EXPIRED },
			{ -1, SRS_OK },   { -2, SRS_EXPIRED }, { 1022, SRS_EXPIRED }, { 1023, SRS_OK },
			{ 1024, SRS_OK }, /* days go round after 1024 of them: keys are to be changed before */
		};
	struct token_keys k = keys_of(K1);
	struct buf back;

	(void)state;
	buf_init(&back, 1024);
	for (size_t i = 0; i < COUNT(ages); i++)
		check(reverse(&k, rows[0].to, now + (int64_t)ages[i].days * DAY, &back) == ages[i].want, "age");
	check(reverse(&k, rows[3].to, now + 100 * (int64_t)DAY, &back) == SRS_OK, "SRS1 has no day");
	buf_fini(&back);
}

/* The new key signs, the old one is still believed; then it is gone. */
static void test_rotation(void **state)
{
	struct token_keys before = keys_of(K1), both = keys_of(K2 K1), after = keys_of(K2);
	struct buf b, back;

	(void)state;
	buf_init(&b, 1024);
	buf_init(&back, 1024);
	check(reverse(&both, rows[0].to, now, &back) == SRS_OK, "old one, while both are there");
	check(forward(&both, rows[0].from, &b) == SRS_OK && !str_eq(buf_str(&b), rows[0].to), "the new one signs");
	check(reverse(&before, buf_str(&b), now, &back) == SRS_FORGED, "not known before");
	check(reverse(&after, buf_str(&b), now, &back) == SRS_OK, "new one");
	check(reverse(&after, rows[0].to, now, &back) == SRS_FORGED, "old one, gone");
	buf_fini(&b);
	buf_fini(&back);
}

static void test_shapes(void **state)
{
	static const struct str shapes[] = {
		STR_LIT("j\xc3\xb6rg@b\xc3\xbc"
			"cher.example"),
		STR_LIT("\"a@b\\\"c\"@far.example"),
		STR_LIT("a=b=c+d@far.example"),
		STR_LIT("x@a.b.c.d.e.f.example"),
		STR_LIT("SRS0@far.example"),
		STR_LIT("SRS1=odd@far.example"), /* begins as one, has no parts: an address like any other */
	};
	struct token_keys k = keys_of(K1);
	struct buf b, back;
	char room[400];

	(void)state;
	buf_init(&b, 1024);
	buf_init(&back, 1024);
	for (size_t i = 0; i < COUNT(shapes); i++) {
		check(forward(&k, shapes[i], &b) == SRS_OK, shapes[i].p);
		check(addr_is_clean(buf_str(&b)), shapes[i].p);
		check(reverse(&k, buf_str(&b), now, &back) == SRS_OK, shapes[i].p);
		check_str(buf_str(&back), shapes[i], shapes[i].p);
	}
	/* as long as fits, and one more */
	for (int n = 190; n < 230; n++) {
		int len = snprintf(
			room, sizeof room, "%.*s@far.example", n,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		enum srs_result r = forward(&k, str_n(room, (size_t)len), &b);
		check(r == (b.n > 0 ? SRS_OK : SRS_TOO_LONG) && b.n <= SRS_PATH_MAX, "long");
		check((r == SRS_OK) == (n <= 209), "as long as it can be");
	}
	buf_fini(&b);
	buf_fini(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known), cmocka_unit_test(test_folded),   cmocka_unit_test(test_forged),
		cmocka_unit_test(test_age),   cmocka_unit_test(test_rotation), cmocka_unit_test(test_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
