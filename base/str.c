/* base/str.c: views of bytes; see the header for the contract. */
#include "base/str.h"

#include "base/must.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct str str_c(const char *cstr)
{
	return cstr == NULL ? STR_NONE : (struct str){ cstr, strlen(cstr) };
}

struct str str_n(const void *p, size_t n)
{
	must(p != NULL || n == 0);
	return (struct str){ p, n };
}

struct str str_skip(struct str s, size_t n)
{
	if (n > s.n)
		n = s.n;
	return (struct str){ s.p == NULL ? NULL : s.p + n, s.n - n };
}

struct str str_head(struct str s, size_t n)
{
	return (struct str){ s.p, n < s.n ? n : s.n };
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && chr_is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && chr_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_eq(struct str a, struct str b)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): NULL has no bytes */
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as above */
		if (chr_lower(a.p[i]) != chr_lower(b.p[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return d != 0 ? d : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq(str_head(s, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

bool str_iends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_ieq(str_skip(s, s.n - suffix.n), suffix);
}

ssize_t str_chr(struct str s, char c)
{
	const char *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return at == NULL ? -1 : at - s.p;
}

ssize_t str_rchr(struct str s, char c)
{
	const char *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);

	return at == NULL ? -1 : at - s.p;
}

ssize_t str_find(struct str s, struct str needle)
{
	const char *at = needle.n > s.n ? NULL : needle.n == 0 ? s.p : memmem(s.p, s.n, needle.p, needle.n);

	return at == NULL ? -1 : at - s.p;
}

bool str_cut(struct str s, char sep, struct str *head, struct str *tail)
{
	ssize_t at = str_chr(s, sep);

	*head = at < 0 ? s : str_head(s, (size_t)at);
	*tail = at < 0 ? str_skip(s, s.n) : str_skip(s, (size_t)at + 1);
	return at >= 0;
}

struct str str_word(struct str *s)
{
	size_t n = 0;

	while (s->n > 0 && chr_is_space(s->p[0]))
		*s = str_skip(*s, 1);
	while (n < s->n && !chr_is_space(s->p[n]))
		n++;
	struct str word = str_head(*s, n);
	*s = str_skip(*s, n);
	return word;
}

bool str_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!chr_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

uint64_t str_hash(struct str s, uint64_t seed)
{
	return XXH3_64bits_withSeed(s.n == 0 ? "" : s.p, s.n, seed);
}

size_t str_utf8(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s.p[i] & 0xC0) != 0x80)
			return 0;
	unsigned char d = n > 1 ? (unsigned char)s.p[1] : 0;
	if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d >= 0xA0) || (c == 0xF0 && d < 0x90) || (c == 0xF4 && d >= 0x90))
		return 0;
	/* C1 controls, bidi overrides and isolates may rearrange what an administrator sees */
	if (c == 0xC2 && d < 0xA0)
		return 0;
	if (c == 0xE2 && ((d == 0x80 && (unsigned char)s.p[2] >= 0xA8 && (unsigned char)s.p[2] <= 0xAE) ||
			  (d == 0x81 && (unsigned char)s.p[2] >= 0xA6 && (unsigned char)s.p[2] <= 0xA9)))
		return 0;
	return n;
}
