/* tests/fuzz/addr_fuzz.c: addresses: what is accepted is clean, means the same when sent on, and has one key. */
#include "tests/fuzz/fuzz.h"
#include "wire/addr.h"

static void check_key(const struct addr *a, bool exact)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true, .allow_bare_local = true };
	struct buf key, again;
	struct addr b;

	buf_init(&key, 8192);
	buf_init(&again, 8192);
	if (addr_normalize(a, exact, &key)) {
		must(addr_is_clean(buf_str(&key)));
		enum addr_error e = addr_parse(buf_str(&key), &rules, &b);
		if (e == ADDR_OK || e == ADDR_LITERAL) { /* composing or A-labels may have made it too long */
			must(addr_normalize(&b, exact, &again));
			must(str_eq(buf_str(&key), buf_str(&again)));
		} else {
			must(e == ADDR_TOO_LONG);
		}
	} else {
		must(key.n == 0);
	}
	buf_fini(&key);
	buf_fini(&again);
}

static void check_addr(struct str s, const struct addr_rules *rules)
{
	struct addr a, b;
	enum addr_error e = addr_parse(s, rules, &a);

	if (e != ADDR_OK && e != ADDR_LITERAL)
		return;
	must(str_ends(s, a.whole) && addr_is_clean(a.whole));
	must(a.whole.n == a.local.n + (a.domain.n > 0 ? 1 + a.domain.n : 0));
	must(str_starts(a.whole, a.local) && str_ends(a.whole, a.domain) && a.local.n > 0);
	must(rules->smtputf8 || !a.has_8bit);
	must(a.domain.n > 0 || rules->allow_bare_local);
	must(str_chr(a.domain, '@') < 0 && (a.quoted || str_chr(a.local, '@') < 0));
	must(addr_parse(a.whole, rules, &b) == e && str_eq(a.local, b.local) && str_eq(a.domain, b.domain));
	check_key(&a, false);
	check_key(&a, true);
}

static void check_xtext(struct str s)
{
	struct buf plain, coded, again;
	bool has_ctl = false;

	for (size_t i = 0; i < s.n; i++)
		has_ctl |= chr_is_ctl(s.p[i]);
	buf_init(&plain, 1 << 20);
	buf_init(&coded, 1 << 20);
	buf_init(&again, 1 << 20);
	addr_xtext_encode(s, &coded);
	must(addr_is_xtext(buf_str(&coded)) == !has_ctl);
	must(has_ctl || (addr_xtext_decode(buf_str(&coded), &plain) && str_eq(buf_str(&plain), s)));
	buf_reset(&plain);
	if (addr_xtext_decode(s, &plain)) {
		buf_reset(&coded);
		addr_xtext_encode(buf_str(&plain), &coded);
		must(addr_xtext_decode(buf_str(&coded), &again) && str_eq(buf_str(&plain), buf_str(&again)));
	}
	buf_fini(&plain);
	buf_fini(&coded);
	buf_fini(&again);
}

static void check_domain(struct str s)
{
	struct buf norm, again;

	buf_init(&norm, 1024);
	buf_init(&again, 1024);
	if (addr_normalize_domain(s, &norm)) {
		must(addr_is_domain(buf_str(&norm), false));
		must(addr_normalize_domain(buf_str(&norm), &again) && str_eq(buf_str(&norm), buf_str(&again)));
	}
	must(!addr_is_domain(s, false) || addr_is_domain(s, true));
	must(!addr_is_domain(s, true) || norm.n > 0);
	must(!addr_is_domain(s, false) || addr_is_helo(s));
	buf_fini(&norm);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t bits = fuzz_byte(&in);
	struct addr_rules rules = { .smtputf8 = bits & 1, .relaxed = bits & 2, .allow_bare_local = bits & 4 };

	check_addr(in, &rules);
	check_xtext(in);
	check_domain(in);
	return 0;
}
