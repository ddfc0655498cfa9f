/* tests/tools/tokens.c: mutated route tokens: no false verdict of a loop, no crash (spec 8.4).
 *
 *   tokens [-n N] [-S SEED]
 *
 * Tokens of ours, for messages and recipients that follow from the seed, are changed as a careless or hostile hop
 * might: bytes flipped, cut out, put in, halves of two tokens joined, fields doubled or moved, cut short, folded anew,
 * keys of others.  A token that is still believed must be ours but for blanks, and name nobody it did not name before.
 */
#include "base/must.h"
#include "routing/token.h"
#include "tests/kit/letters.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POOL = 64, RCPTS_MAX = 12, NOW_S = 1795800000 };

struct sample {
	struct token_message message;
	char id[60];
	unsigned char bind[TOKEN_SHORT];
	struct token_rcpt rcpts[RCPTS_MAX];
	size_t rcpt_n;
	struct buf text; /* the value, folded */
};

static struct token_keys ours, theirs;
static struct sample pool[POOL];
static uint64_t r;

static struct token_rcpt draw_rcpt(void)
{
	char address[40];

	snprintf(address, sizeof address, "u%ju@contoso.com", letter_draw(&r, 1000000));
	return token_rcpt_of(NULL, str_c(address));
}

static void make_sample(struct sample *s)
{
	struct token t = { .premises = letter_draw(&r, 8) == 0 ? SITE_CLOUD : SITE_ONPREM,
			   .epoch = letter_draw(&r, 1000),
			   .unix_s = NOW_S - letter_draw(&r, 86400),
			   .generation = (unsigned)letter_draw(&r, 4) };
	struct buf field;

	snprintf(s->id, sizeof s->id, "<%jx@contoso.com>", letter_draw(&r, UINT64_MAX));
	s->message =
		(struct token_message){ .message_id = str_c(s->id), .date = S("today"), .from = S("ann@contoso.com") };
	token_bind(&s->message, s->bind);
	memcpy(t.message, s->bind, sizeof t.message);
	s->rcpt_n = 1 + letter_draw(&r, RCPTS_MAX);
	for (size_t i = 0; i < s->rcpt_n; i++) {
		s->rcpts[i] = draw_rcpt();
		must(token_add(&ours, &t, &s->rcpts[i]));
	}
	buf_init(&field, TOKEN_TEXT_MAX);
	buf_init(&s->text, TOKEN_TEXT_MAX);
	must(token_put(&ours, &t, &field));
	buf_add(&s->text, str_skip(buf_str(&field), sizeof "X-Tombolo-Route:" - 1));
	buf_fini(&field);
}

/* ---- mutations: each changes `b` ---- */

static void flip(struct buf *b)
{
	b->p[letter_draw(&r, b->n)] ^= (char)(1U << letter_draw(&r, 8));
}

static void replace(struct buf *b)
{
	static const char likely[] = "=;,_-.AZaz09 \t\r\nvkpetgmrs";

	b->p[letter_draw(&r, b->n)] = likely[letter_draw(&r, sizeof likely - 1)];
}

static void cut_out(struct buf *b)
{
	size_t at = letter_draw(&r, b->n), n = 1 + letter_draw(&r, letter_draw(&r, 2) == 0 ? 4 : b->n - at);

	n = n > b->n - at ? b->n - at : n;
	memmove(b->p + at, b->p + at + n, b->n - at - n);
	b->n -= n;
}

static void insert(struct buf *b, struct str what)
{
	size_t at = letter_draw(&r, b->n + 1);

	if (buf_reserve(b, what.n) == NULL)
		return;
	memmove(b->p + at + what.n, b->p + at, b->n - at);
	memcpy(b->p + at, what.p, what.n);
	b->n += what.n;
}

static void put_in(struct buf *b)
{
	static const struct str pieces[] = { STR_LIT(" "),    STR_LIT("\r\n\t"),
					     STR_LIT(";"),    STR_LIT("0"),
					     STR_LIT("="),    STR_LIT("r=;"),
					     STR_LIT("v=1;"), STR_LIT(",AAAAAAAAAAA"),
					     STR_LIT("\0"),   STR_LIT("s=AAAAAAAAAAAAAAAAAAAAAA;") };

	insert(b, pieces[letter_draw(&r, sizeof pieces / sizeof *pieces)]);
}

/* Of another token, from the same place or from any. */
static void join(struct buf *b)
{
	const struct buf *other = &pool[letter_draw(&r, POOL)].text;
	size_t at = letter_draw(&r, b->n), from = letter_draw(&r, 2) == 0 ? at : letter_draw(&r, other->n);

	b->n = at;
	buf_add(b, str_skip(buf_str(other), from));
}

static void move_field(struct buf *b)
{
	char copy[TOKEN_TEXT_MAX];
	size_t first = letter_draw(&r, b->n), second = letter_draw(&r, b->n);

	while (first < b->n && b->p[first] != ';')
		first++;
	while (second < b->n && b->p[second] != ';')
		second++;
	if (first >= second || second == b->n)
		return;
	memcpy(copy, b->p + first, second - first);
	struct str field = str_n(copy, second - first);
	if (letter_draw(&r, 2) == 0) { /* doubled, not moved */
		insert(b, field);
		return;
	}
	memmove(b->p + first, b->p + second, b->n - second);
	b->n -= field.n;
	insert(b, field);
}

static void cut_short(struct buf *b)
{
	b->n = letter_draw(&r, b->n);
}

static void fold_anew(struct buf *b)
{
	insert(b, letter_draw(&r, 2) == 0 ? S("\r\n ") : S(" \t "));
}

static void change_case(struct buf *b)
{
	char *c = &b->p[letter_draw(&r, b->n)];

	if (chr_is_alpha(*c))
		*c = (char)(*c ^ 32);
}

static void (*const mutations[])(struct buf *) = { flip,       replace,   cut_out,   put_in,     join,
						   move_field, cut_short, fold_anew, change_case };

/* ---- the verdict ---- */

static bool same_but_blanks(struct str a, struct str b)
{
	for (;;) {
		while (a.n > 0 && (chr_is_space(a.p[0]) || a.p[0] == '\r' || a.p[0] == '\n'))
			a = str_skip(a, 1);
		while (b.n > 0 && (chr_is_space(b.p[0]) || b.p[0] == '\r' || b.p[0] == '\n'))
			b = str_skip(b, 1);
		if (a.n == 0 || b.n == 0)
			return a.n == b.n;
		if (a.p[0] != b.p[0])
			return false;
		a = str_skip(a, 1);
		b = str_skip(b, 1);
	}
}

static bool is_named(const struct sample *s, const struct token_rcpt *who)
{
	for (size_t i = 0; i < s->rcpt_n; i++)
		if (memcmp(s->rcpts[i].id, who->id, sizeof who->id) == 0)
			return true;
	return false;
}

/* True when all is well.  *believed: it was taken for ours. */
static bool judge(const struct sample *s, struct str text, bool *believed)
{
	struct token t;
	struct token_rcpt stranger = draw_rcpt();

	*believed = token_verify(&ours, text, s->bind, (int64_t)NOW_S * 1000, &t) == TOKEN_VALID;
	if (token_verify(&theirs, text, s->bind, (int64_t)NOW_S * 1000, &(struct token){ 0 }) == TOKEN_VALID)
		return false;
	if (!*believed)
		return true;
	for (size_t i = 0; i < s->rcpt_n; i++)
		if (!token_names(&t, &s->rcpts[i]))
			return false;
	return same_but_blanks(text, buf_str(&s->text)) && (is_named(s, &stranger) || !token_names(&t, &stranger));
}

int main(int argc, char **argv)
{
	uint64_t n = 100000, seed = (uint64_t)time(NULL), failed = 0, still_ours = 0, untouched = 0;
	struct buf b;
	int option;

	while ((option = getopt(argc, argv, "n:S:")) != -1)
		if ((option == 'n' && !str_u64(str_c(optarg), UINT32_MAX, &n)) ||
		    (option == 'S' && !str_u64(str_c(optarg), UINT64_MAX, &seed)) || option == '?') {
			fputs("usage: tokens [-n N] [-S SEED]\n", stderr);
			return 2;
		}
	r = seed;
	must(token_keys_parse(S("k2 000102030405060708090a0b0c0d0e0f\nk1 101112131415161718191a1b1c1d1e1f\n"), &ours,
			      NULL) == 0);
	must(token_keys_parse(S("k2 f00102030405060708090a0b0c0d0e0f\nk1 f01112131415161718191a1b1c1d1e1f\n"), &theirs,
			      NULL) == 0);
	for (size_t i = 0; i < POOL; i++)
		make_sample(&pool[i]);
	buf_init(&b, TOKEN_TEXT_MAX);
	for (uint64_t i = 0; i < n; i++) {
		const struct sample *s = &pool[letter_draw(&r, POOL)];
		bool believed;
		buf_reset(&b);
		buf_add(&b, buf_str(&s->text));
		for (uint64_t k = 1 + letter_draw(&r, 3); k > 0 && b.n > 0; k--)
			mutations[letter_draw(&r, sizeof mutations / sizeof *mutations)](&b);
		if (!judge(s, buf_str(&b), &believed) && failed++ < 5)
			printf("believed: " STR_FMT "\n", STR_ARG(buf_str(&b)));
		still_ours += believed;
		untouched += believed && str_eq(buf_str(&b), buf_str(&s->text));
	}
	printf("%ju mutated tokens, seed %ju: %ju not believed; %ju were only folded anew, %ju not changed at all\n", n,
	       seed, n - still_ours, still_ours - untouched, untouched);
	failed += still_ours == untouched || still_ours == n; /* both must happen */
	printf("%d passed, %ju failed\n", failed == 0, failed);
	buf_fini(&b);
	for (size_t i = 0; i < POOL; i++)
		buf_fini(&pool[i].text);
	token_keys_fini(&ours);
	token_keys_fini(&theirs);
	return failed > 0;
}
