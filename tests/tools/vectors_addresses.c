/* tests/tools/vectors_addresses.c: addresses.csv, mailboxes by the grammar of RFC 5321 and RFC 6531 and what
 * wire/addr.h says.
 *
 * Columns, separated by '|':
 *   id        category and number
 *   address   the inside of <...>; \xNN for bytes that cannot stand here, *N behind a character repeats it N times
 *   rules     utf8, relaxed, postmaster, split by spaces: see struct addr_rules
 *   rfc       valid or invalid by the grammar and the limits of RFC 5321 (with utf8: and RFC 6531)
 *   expected  ok, literal, syntax, long or utf8
 *   key       the normal form, \xNN as above; - when there is none
 *   why       what the row is about; it begins with "decision:" where we differ from the RFC, and only there */
#include "base/must.h"
#include "tests/tools/vectors.h"
#include "wire/addr.h"

static const char *const verdicts[] = {
	[ADDR_OK] = "ok",     [ADDR_SYNTAX] = "syntax",   [ADDR_TOO_LONG] = "long",
	[ADDR_UTF8] = "utf8", [ADDR_LITERAL] = "literal",
};

static int hex(char c)
{
	c = chr_lower(c);
	return chr_is_digit(c) ? c - '0' : c - 'a' + 10;
}

static void unescape(struct str s, struct buf *out)
{
	uint64_t n;
	size_t digits;

	buf_reset(out);
	while (s.n > 0) {
		if (str_starts(s, S("\\x")) && s.n >= 4) {
			buf_addc(out, (char)(hex(s.p[2]) * 16 + hex(s.p[3])));
			s = str_skip(s, 4);
			continue;
		}
		buf_addc(out, s.p[0]);
		for (digits = 0; s.n > 2 + digits && s.p[1] == '*' && chr_is_digit(s.p[2 + digits]);)
			digits++;
		if (digits > 0 && str_u64((struct str){ s.p + 2, digits }, 4096, &n))
			for (uint64_t i = 1; i < n; i++)
				buf_addc(out, s.p[0]);
		s = str_skip(s, digits > 0 ? 2 + digits : 1);
	}
}

static void put_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]) || chr_is_8bit(s.p[i]))
			buf_addf(out, "\\x%02x", (unsigned char)s.p[i]);
		else
			buf_addc(out, s.p[i]);
}

static bool has_word(struct str words, struct str word)
{
	return str_find(words, word) >= 0;
}

/* "ok key=a@b.example", and whether the RFC agrees. */
static void judge(const struct vec_row *row, struct str address, struct buf *got)
{
	struct str words = vec_get(row, "rules");
	struct addr_rules rules = { .smtputf8 = has_word(words, S("utf8")),
				    .relaxed = has_word(words, S("relaxed")),
				    .allow_bare_local = has_word(words, S("postmaster")) };
	struct addr a;
	struct buf key;
	enum addr_error e = addr_parse(address, &rules, &a);
	bool taken = e == ADDR_OK || e == ADDR_LITERAL;

	buf_init(&key, 4096);
	buf_addf(got, "%s key=", verdicts[e]);
	if (taken && addr_normalize(&a, false, &key))
		put_escaped(got, buf_str(&key));
	else
		buf_addc(got, '-');
	buf_add(got, taken == vec_is(row, "rfc", "valid") ? S(", as the RFC") : S(", unlike the RFC"));
	must(!taken || addr_is_clean(a.whole)); /* what is taken can be said to the next host */
	buf_fini(&key);
}

void vectors_addresses(struct vec_file *file)
{
	struct vec_row row;
	struct buf address, expected, got;

	buf_init(&address, 8192);
	buf_init(&expected, 8192);
	buf_init(&got, 8192);
	while (vec_next(file, &row)) {
		buf_reset(&expected);
		buf_reset(&got);
		unescape(vec_get(&row, "key"), &address);
		buf_addf(&expected, STR_FMT " key=", STR_ARG(vec_get(&row, "expected")));
		put_escaped(&expected, buf_str(&address));
		buf_add(&expected,
			str_starts(vec_get(&row, "why"), S("decision:")) ? S(", unlike the RFC") : S(", as the RFC"));
		unescape(vec_get(&row, "address"), &address);
		judge(&row, buf_str(&address), &got);
		vec_check(&row, buf_str(&expected), buf_str(&got));
	}
	buf_fini(&address);
	buf_fini(&expected);
	buf_fini(&got);
}
