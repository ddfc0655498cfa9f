/* wire/author.c: one pass over the value; comments and quoted strings are skipped, what is left is counted. */
#include "wire/author.h"

#include "wire/addr.h"

struct look {
	bool broken;                 /* ends inside of something, or holds what no reader should see */
	unsigned angles, ats, words; /* <...>; @ and words outside of them */
	unsigned inner_ats, inner_words;
	bool separators, behind_angle; /* , : ; outside; a word after the > */
};

/* From the opening character to behind its end; 0 when it does not end. */
static size_t skip_quoted(struct str s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	return 0;
}

static size_t skip_comment(struct str s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	return 0;
}

static bool is_gap(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n';
}

/* Bytes of a word: up to a gap or a character that means something. */
static size_t skip_word(struct str s, unsigned *ats)
{
	size_t n = 0;

	for (; n < s.n && !is_gap(s.p[n]) && (n == 0 || str_chr(S("\"(<>,:;"), s.p[n]) < 0); n++)
		*ats += s.p[n] == '@';
	return n;
}

static void look_at(struct str s, struct look *l)
{
	bool inside = false, in_word = false;

	for (size_t i = 0; i < s.n; i++)
		l->broken |= chr_is_ctl(s.p[i]) && !is_gap(s.p[i]);
	while (s.n > 0) {
		size_t n = 1;
		char c = s.p[0];
		bool word = false;
		if (c == '"') {
			n = skip_quoted(s);
			word = true;
		} else if (c == '(') {
			n = skip_comment(s);
		} else if (c == '<') {
			l->broken |= inside;
			inside = true;
			l->angles++;
		} else if (c == '>') {
			l->broken |= !inside;
			inside = false;
		} else if (c == ',' || c == ':' || c == ';') {
			l->separators = true;
		} else if (!is_gap(c)) {
			n = skip_word(s, inside ? &l->inner_ats : &l->ats);
			word = true;
		}
		if (n == 0) {
			l->broken = true;
			return;
		}
		l->behind_angle |= word && !inside && l->angles > 0;
		if (word && !in_word) /* a quoted part and what touches it are one word */
			(inside ? &l->inner_words : &l->words)[0]++;
		in_word = word;
		s = str_skip(s, n);
	}
	l->broken |= inside;
}

enum author author_judge(struct str value)
{
	struct look l = { 0 };

	look_at(value, &l);
	if (l.broken || l.separators || l.angles > 1 || l.behind_angle || l.inner_ats > 1 || l.inner_words > 1)
		return AUTHOR_SEVERAL;
	if (l.angles == 1)
		return l.inner_ats == 1 ? AUTHOR_ONE : AUTHOR_NONE;
	if (l.ats == 0)
		return AUTHOR_NONE;
	return l.ats == 1 && l.words == 1 ? AUTHOR_ONE : AUTHOR_SEVERAL;
}

/* Where the word with the address begins: behind the <, or the only word there is. */
static struct str find_address(struct str s)
{
	bool angle = false;

	for (struct str look = s; look.n > 0 && !angle;) {
		size_t n = look.p[0] == '"' ? skip_quoted(look) : look.p[0] == '(' ? skip_comment(look) : 1;
		angle = look.p[0] == '<';
		look = str_skip(look, n);
		if (angle)
			return look;
	}
	return s;
}

bool author_domain(struct str value, struct buf *out)
{
	if (author_judge(value) != AUTHOR_ONE)
		return false;
	struct str s = find_address(value), domain = STR_NONE;
	while (s.n > 0 && domain.n == 0) {
		unsigned ats = 0;
		size_t n = s.p[0] == '"' ? skip_quoted(s) : s.p[0] == '(' ? skip_comment(s) : 1;
		if (s.p[0] != '"' && s.p[0] != '(' && !is_gap(s.p[0]))
			n = skip_word(s, &ats);
		ssize_t at = ats > 0 ? str_chr(str_head(s, n), '@') : -1;
		if (at >= 0)
			domain = str_skip(str_head(s, n), (size_t)at + 1);
		s = str_skip(s, n);
	}
	size_t before = out->n;
	if (domain.n > 0 && addr_normalize_domain(domain, out))
		return true;
	out->n = before;
	return false;
}
