/* routing/token_test.c: tokens there and back, folded anew, turned over bit by bit, on other messages, with old keys.
 */
#include "routing/token.h"
#include "tests/unit.h"

#include <string.h>

static const char key_file[] = "# newest first\n"
			       "k2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
			       "\n"
			       "k1\tffeeddccbbaa99887766554433221100   # the one before\r\n";

static const struct token_message message = { STR_LIT(" <1@x.example>\r\n"), STR_LIT(" Sat, 21 Nov 2026\r\n"),
					      STR_LIT(" a@x.example\r\n") };
enum { NOW_S = 1795300000 };

static struct token_keys keys_of(const char *text)
{
	struct token_keys k;
	struct err e;

	assert_int_equal(token_keys_parse(str_c(text), &k, &e), 0);
	return k;
}

static struct token_rcpt rcpt(unsigned i)
{
	unsigned char rid[16] = { (unsigned char)i, (unsigned char)(i >> 8), 7 };

	return token_rcpt_of(rid, STR_NONE);
}

static void make(const struct token_keys *keys, unsigned rcpt_n, struct buf *out)
{
	struct token t = { .premises = SITE_ONPREM, .epoch = 7, .unix_s = NOW_S };

	token_bind(&message, t.message);
	for (unsigned i = 0; i < rcpt_n; i++) {
		struct token_rcpt r = rcpt(i);
		assert_true(token_add(keys, &t, &r));
	}
	assert_true(token_put(keys, &t, out));
}

static struct str value_of(const struct buf *field)
{
	return str_skip(buf_str(field), sizeof "X-Tombolo-Route:" - 1);
}

static enum token_verdict verify(const struct token_keys *keys, struct str value, struct token *t)
{
	unsigned char m[TOKEN_SHORT];

	token_bind(&message, m);
	return token_verify(keys, value, m, (int64_t)NOW_S * 1000, t);
}

static void test_round_trip(void **state)
{
	static const unsigned sizes[] = { 0, 1, 2, 3, 20, TOKEN_RCPTS_MAX };
	struct token_keys keys = keys_of(key_file);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf b;
		struct token t;
		struct str line, rest;
		buf_init(&b, TOKEN_TEXT_MAX);
		make(&keys, sizes[i], &b);
		assert_int_equal(verify(&keys, value_of(&b), &t), TOKEN_VALID);
		assert_true(t.rcpt_n == sizes[i] && t.epoch == 7 && t.premises == SITE_ONPREM && t.unix_s == NOW_S);
		for (unsigned j = 0; j < 300; j++) {
			struct token_rcpt r = rcpt(j);
			assert_true(token_names(&t, &r) == (j < sizes[i]));
		}
		for (rest = buf_str(&b); rest.n > 0;) { /* folded, and no line long */
			str_cut(rest, '\n', &line, &rest);
			assert_true(line.n <= 79 && line.n > 1 && line.p[line.n - 1] == '\r');
			assert_true(line.n == b.n || line.p == b.p || chr_is_space(line.p[0]));
		}
		assert_true(b.n < 2900);
		buf_fini(&b);
	}
}

/* What is said about the journal is signed as all else is. */
static void test_journaled(void **state)
{
	struct token_keys keys = keys_of(key_file);
	struct buf b, forged;
	struct token t;

	(void)state;
	buf_init(&b, TOKEN_TEXT_MAX);
	make(&keys, 1, &b);
	assert_int_equal(verify(&keys, value_of(&b), &t), TOKEN_VALID);
	assert_false(t.journaled);
	buf_init(&forged, TOKEN_TEXT_MAX);
	buf_addf(&forged, "v=1j" STR_FMT, STR_ARG(str_skip(str_trim(value_of(&b)), 3)));
	assert_int_equal(verify(&keys, buf_str(&forged), &t), TOKEN_FORGED);
	t.journaled = true;
	buf_reset(&b);
	assert_true(token_put(&keys, &t, &b));
	assert_int_equal(verify(&keys, value_of(&b), &t), TOKEN_VALID);
	assert_true(t.journaled && !t.bypass && t.rcpt_n == 1);
	buf_fini(&forged);
	buf_fini(&b);
}

static void test_full(void **state)
{
	struct token_keys keys = keys_of(key_file);
	struct token t = { .epoch = UINT64_MAX };
	struct token_rcpt r = rcpt(1);

	(void)state;
	for (int i = 0; i < TOKEN_RCPTS_MAX; i++)
		assert_true(token_add(&keys, &t, &r));
	assert_false(token_add(&keys, &t, &r));
}

/* A relay folds anew and adds blanks: the token is the same. */
static void test_refolded(void **state)
{
	struct token_keys keys = keys_of(key_file);
	struct buf b, other;
	struct token t;

	(void)state;
	buf_init(&b, TOKEN_TEXT_MAX);
	buf_init(&other, TOKEN_TEXT_MAX * 4);
	make(&keys, 9, &b);
	for (size_t i = 0; i < value_of(&b).n; i++) {
		buf_addc(&other, value_of(&b).p[i]);
		if (i % 3 == 0)
			buf_add(&other, S("\r\n \t"));
	}
	assert_int_equal(verify(&keys, buf_str(&other), &t), TOKEN_VALID);
	buf_fini(&b);
	buf_fini(&other);
}

static void test_keys(void **state)
{
	static const char *const bad[] = { "k1",
					   "k1 00",
					   "k1 0g0102030405060708090a0b0c0d0e0f",
					   "k1 000102030405060708090a0b0c0d0e0",
					   "k.1 000102030405060708090a0b0c0d0e0f",
					   "k1234567890123456 000102030405060708090a0b0c0d0e0f",
					   "a 000102030405060708090a0b0c0d0e0f x",
					   "a 000102030405060708090a0b0c0d0e0f\na 000102030405060708090a0b0c0d0e0f" };
	struct token_keys both = keys_of(key_file), old = keys_of(key_file), none, k;
	struct token t;
	struct buf b;
	struct err e;

	(void)state;
	assert_int_equal(both.n, 2);
	for (size_t i = 0; i < COUNT(bad); i++)
		check(token_keys_parse(str_c(bad[i]), &k, &e) == -1, bad[i]);
	assert_int_equal(token_keys_parse(S("# nothing\n"), &none, &e), 0);
	assert_int_equal(none.n, 0);
	assert_int_equal(token_keys_load("/nonexistent/keys", &k, &e), -1);
	/* written before the rotation, read after it; and with a key that is gone */
	memmove(&old.v[0], &old.v[1], sizeof old.v[0]);
	old.n = 1;
	buf_init(&b, TOKEN_TEXT_MAX);
	make(&old, 2, &b);
	assert_int_equal(verify(&both, value_of(&b), &t), TOKEN_VALID);
	assert_string_equal(t.key->id, "k1");
	both.n = 1;
	assert_int_equal(verify(&both, value_of(&b), &t), TOKEN_UNKNOWN_KEY);
	memset(old.v[0].key, 0, 4);
	assert_int_equal(verify(&old, value_of(&b), &t), TOKEN_FORGED);
	buf_fini(&b);
}

static void test_other_message(void **state)
{
	static const struct {
		const char *row;
		struct token_message m;
		enum token_verdict want;
	} rows[] = {
		{ "folded anew",
		  { STR_LIT("<1@x.example>"), STR_LIT("Sat,\r\n\t21   Nov 2026 \r\n"), STR_LIT("a@x.example") },
		  TOKEN_VALID },
		{ "another id",
		  { STR_LIT("<2@x.example>"), STR_LIT("Sat, 21 Nov 2026"), STR_LIT("a@x.example") },
		  TOKEN_OTHER_MESSAGE },
		{ "no date", { STR_LIT("<1@x.example>"), STR_LIT(""), STR_LIT("a@x.example") }, TOKEN_OTHER_MESSAGE },
		{ "moved over",
		  { STR_LIT("<1@x.example>"), STR_LIT("Sat, 21 Nov 2026a@x.example"), STR_LIT("") },
		  TOKEN_OTHER_MESSAGE },
	};
	struct token_keys keys = keys_of(key_file);
	unsigned char m[TOKEN_SHORT];
	struct token t;
	struct buf b;

	(void)state;
	buf_init(&b, TOKEN_TEXT_MAX);
	make(&keys, 2, &b);
	for (size_t i = 0; i < COUNT(rows); i++) {
		token_bind(&rows[i].m, m);
		check(token_verify(&keys, value_of(&b), m, (int64_t)NOW_S * 1000, &t) == rows[i].want, rows[i].row);
	}
	token_bind(&message, m);
	assert_int_equal(token_verify(&keys, value_of(&b), m, ((int64_t)NOW_S + 31 * 86400) * 1000, &t), TOKEN_STALE);
	assert_int_equal(token_verify(&keys, value_of(&b), m, ((int64_t)NOW_S - 2 * 86400) * 1000, &t), TOKEN_STALE);
	buf_fini(&b);
}

static void test_malformed(void **state)
{
	static const char *const rows[] = {
		"",
		"v=1",
		"v=1; s=bad",
		";;;;;;;;",
		"v=1;k=k2;p=moon;e=7;t=1;g=0;m=AAAAAAAAAAAAAAAAAAAAAA;r=;s=AAAAAAAAAAAAAAAAAAAAAA",
		"v=1;k=k2;p=onprem;e=07;t=1;g=0;m=AAAAAAAAAAAAAAAAAAAAAA;r=;s=AAAAAAAAAAAAAAAAAAAAAA",
		"v=1;k=k2;p=onprem;e=7;t=1;g=0;m=AAAAAAAAAAAAAAAAAAAAAB;r=;s=AAAAAAAAAAAAAAAAAAAAAA",
		"v=1;k=k2;p=onprem;e=7;t=1;g=0;m=AAAAAAAAAAAAAAAAAAAAAA;r=,;s=AAAAAAAAAAAAAAAAAAAAAA"
	};
	struct token_keys keys = keys_of(key_file);
	struct token t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(verify(&keys, str_c(rows[i]), &t) == TOKEN_MALFORMED, rows[i]);
	assert_int_equal(verify(&keys,
				S("v=1;k=k2;p=onprem;e=7;t=1;g=0;m=AAAAAAAAAAAAAAAAAAAAAA;r=;s=AAAAAAAAAAAAAAAAAAAAAA"),
				&t),
			 TOKEN_FORGED);
}

/* ---- a million mutations: none is believed ---- */

static uint64_t seed = 1;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static size_t without_blanks(struct str s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_space(s.p[i]) && s.p[i] != '\r' && s.p[i] != '\n')
			out[n++] = s.p[i];
	return n;
}

static size_t mutate(char *p, size_t n)
{
	static const char alphabet[] = ";=,vkpetgmrs0123456789ABab-_ \t\r\n";
	size_t at = draw((unsigned)n);

	switch (draw(5)) {
	case 0:
		p[at] = (char)draw(256);
		return n;
	case 1:
		p[at] = alphabet[draw(sizeof alphabet - 1)];
		return n;
	case 2: /* out */
		memmove(p + at, p + at + 1, n - at - 1);
		return n - 1;
	case 3: /* twice */
		memmove(p + at + 1, p + at, n - at);
		return n + 1;
	default: { /* exchanged */
		size_t other = draw((unsigned)n);
		char c = p[at];
		p[at] = p[other];
		p[other] = c;
		return n;
	}
	}
}

static void test_mutations(void **state)
{
	struct token_keys keys = keys_of(key_file);
	static char text[TOKEN_TEXT_MAX], plain[TOKEN_TEXT_MAX], changed[TOKEN_TEXT_MAX];
	size_t plain_n, believed = 0;
	unsigned char m[TOKEN_SHORT];
	struct token t;
	struct buf b;

	(void)state;
	buf_init(&b, TOKEN_TEXT_MAX);
	make(&keys, 3, &b);
	token_bind(&message, m);
	plain_n = without_blanks(value_of(&b), plain);
	for (int i = 0; i < 1000000; i++) {
		struct str value = value_of(&b);
		size_t n = value.n;
		memcpy(text, value.p, n);
		for (unsigned k = draw(3) + 1; k > 0; k--)
			n = mutate(text, n);
		bool same = without_blanks(str_n(text, n), changed) == plain_n && memcmp(changed, plain, plain_n) == 0;
		bool valid = token_verify(&keys, str_n(text, n), m, (int64_t)NOW_S * 1000, &t) == TOKEN_VALID;
		believed += valid && !same;
	}
	assert_int_equal(believed, 0);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_full),
		cmocka_unit_test(test_refolded),      cmocka_unit_test(test_keys),
		cmocka_unit_test(test_other_message), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_mutations),     cmocka_unit_test(test_journaled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
