/* base/str.h: views of bytes.  A view is passed by value, never freed, may hold NUL and needs no terminator.
 *
 * All comparison and classification is ASCII and independent of the locale: mail protocols are.
 * A view lives as long as what it looks into; nothing here allocates. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct str {
	const char *p;
	size_t n;
};

#define S(lit) ((struct str){ "" lit, sizeof(lit) - 1 }) /* in code */
#define STR_LIT(lit) \
	{ \
		"" lit, sizeof(lit) - 1 \
	} /* in tables */
#define STR_NONE   ((struct str){ NULL, 0 })
#define STR_FMT    "%.*s" /* printf(STR_FMT, STR_ARG(s)) */
#define STR_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), ((s).p != NULL ? (s).p : "")

struct str str_c(const char *cstr); /* NULL gives the empty view */
struct str str_n(const void *p, size_t n);

/* Sub-views clamp: an offset past the end gives the empty view at the end, never a read outside. */
struct str str_skip(struct str s, size_t n); /* without the first n bytes */
struct str str_head(struct str s, size_t n); /* the first n bytes */
struct str str_trim(struct str s);           /* without space and tab at both ends */

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b); /* ASCII letters compare without case */
int str_cmp(struct str a, struct str b);  /* byte order, shorter first; <0, 0, >0 */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* Index of the first `c` (last for rchr, first occurrence of `needle` for find), or -1. */
ssize_t str_chr(struct str s, char c);
ssize_t str_rchr(struct str s, char c);
ssize_t str_find(struct str s, struct str needle);

/* Splits at the first `sep`.  Returns false when there is none: then *head = s and *tail is empty. */
bool str_cut(struct str s, char sep, struct str *head, struct str *tail);

/* Takes the next word (run of bytes that are neither space nor tab) off the front of *s; empty at the end. */
struct str str_word(struct str *s);

/* Decimal digits only: no sign, no space, no overflow; the whole view must be the number and <= max. */
bool str_u64(struct str s, uint64_t max, uint64_t *out);

/* Seeded hash for tables whose keys come from outside (XXH3, 64 bit). */
uint64_t str_hash(struct str s, uint64_t seed);

/* Length of the UTF-8 character at the front of s (not empty): 0 when it is malformed (RFC 3629) or may rearrange what
 * an administrator sees: C1 controls, bidi overrides and isolates. */
size_t str_utf8(struct str s);

/* ASCII classes; a table, so that no locale and no signed char can bite. */
static inline bool chr_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool chr_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool chr_is_alnum(char c)
{
	return chr_is_digit(c) || chr_is_alpha(c);
}
static inline bool chr_is_space(char c)
{
	return c == ' ' || c == '\t';
}
static inline bool chr_is_ctl(char c)
{
	return (unsigned char)c < 32 || c == 127;
}
static inline bool chr_is_8bit(char c)
{
	return (unsigned char)c > 127;
}
static inline char chr_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}

#endif
