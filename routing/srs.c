/* routing/srs.c: SRS addresses, made and undone; see the header. */
#include "routing/srs.h"

#include "base/must.h"
#include "tls/mac.h"

#include <string.h>

enum { HASH_CHARS = 8, HASH_BYTES = 5, TAG = 5 /* "SRS0=" */, DAYS = 1024, DAY_MS = 86400000, FUTURE_DAYS = 1 };

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const char *srs_result_name(enum srs_result r)
{
	static const char *const names[] = { "ok", "none", "broken", "forged", "expired", "too-long" };

	must((size_t)r < sizeof names / sizeof *names);
	return names[r];
}

/* ---- days ---- */

static unsigned day_of(int64_t now_ms)
{
	return (unsigned)(now_ms / DAY_MS % DAYS);
}

static int digit_of(char c)
{
	c = chr_lower(c);
	return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static bool read_day(struct str s, unsigned *day)
{
	if (s.n != 2 || digit_of(s.p[0]) < 0 || digit_of(s.p[1]) < 0)
		return false;
	*day = (unsigned)(digit_of(s.p[0]) * 32 + digit_of(s.p[1]));
	return true;
}

/* Days go round; a clock of ours that was ahead for a day is forgiven. */
static bool is_fresh(unsigned day, int64_t now_ms)
{
	unsigned age = (day_of(now_ms) + DAYS - day) % DAYS;

	return age <= SRS_AGE_DAYS || age >= DAYS - FUTURE_DAYS;
}

/* ---- the hash ---- */

static void put_folded(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(b, chr_lower(s.p[i]));
	buf_addc(b, '\n'); /* in no part of an address */
}

static void make_hash(const struct token_key *k, char kind, struct str covered, struct str ours, char out[HASH_CHARS])
{
	unsigned char sum[MAC_SIZE];
	uint64_t bits = 0;
	struct buf b;

	buf_init_sure(&b, covered.n + ours.n + 16);
	buf_add(&b, S("srs"));
	buf_addc(&b, kind);
	buf_addc(&b, '\n');
	put_folded(&b, covered);
	put_folded(&b, ours);
	must(!b.full);
	mac_hmac(str_n(k->key, k->key_n), buf_str(&b), sum);
	buf_fini(&b);
	for (size_t i = 0; i < HASH_BYTES; i++)
		bits = bits << 8 | sum[i];
	for (size_t i = 0; i < HASH_CHARS; i++)
		out[i] = base32[bits >> (5 * (HASH_CHARS - 1 - i)) & 31];
}

/* Every key is tried, whatever the first ones say: how long it takes tells nothing. */
static bool is_ours(const struct token_keys *keys, char kind, struct str hash, struct str covered, struct str ours)
{
	char want[HASH_CHARS], given[HASH_CHARS];
	bool found = false;

	if (hash.n != HASH_CHARS)
		return false;
	for (size_t i = 0; i < HASH_CHARS; i++)
		given[i] = chr_is_alpha(hash.p[i]) ? (char)(chr_lower(hash.p[i]) - 'a' + 'A') : hash.p[i];
	for (size_t i = 0; i < keys->n; i++) {
		make_hash(&keys->v[i], kind, covered, ours, want);
		found = mac_equal(want, given, HASH_CHARS) || found;
	}
	return found;
}

/* ---- parts ---- */

/* The local part without its quotes; what is quoted inside stays so. */
static struct str inside(const struct addr *a)
{
	return a->quoted && a->local.n >= 2 ? str_n(a->local.p + 1, a->local.n - 2) : a->local;
}

static bool is_separator(char c)
{
	return c == '=' || c == '+' || c == '-';
}

/* '0' or '1'; 0: neither. */
static char kind_of(struct str local)
{
	if (local.n <= TAG || !str_istarts(local, S("SRS")) || (local.p[3] != '0' && local.p[3] != '1') ||
	    !is_separator(local.p[4]))
		return 0;
	return local.p[3];
}

bool srs_is(const struct addr *a)
{
	return kind_of(inside(a)) != 0;
}

/* "=xx=.." behind SRS0 of somebody else, and who that is; for an SRS1 of the one before. */
static bool split_foreign(const struct addr *a, struct str local, struct str *forwarder, struct str *rest)
{
	struct str hash, behind;

	if (kind_of(local) == '0') {
		*forwarder = a->domain;
		*rest = str_skip(local, TAG - 1);
		return true;
	}
	return str_cut(str_skip(local, TAG), '=', &hash, &behind) && str_cut(behind, '=', forwarder, rest) &&
	       addr_is_domain(*forwarder, true) && rest->n > 1 && is_separator(rest->p[0]);
}

static enum srs_result put_address(struct buf *local, bool quoted, struct str domain, struct buf *out)
{
	size_t n = local->n + (quoted ? 2 : 0) + 1 + domain.n;

	if (local->full || n > SRS_PATH_MAX)
		return SRS_TOO_LONG;
	if (quoted)
		buf_addc(out, '"');
	buf_add(out, buf_str(local));
	if (quoted)
		buf_addc(out, '"');
	buf_addc(out, '@');
	buf_add(out, domain);
	return out->full ? SRS_TOO_LONG : SRS_OK;
}

/* ---- there ---- */

enum srs_result srs_forward(const struct token_keys *keys, const struct addr *from, struct str ours, int64_t now_ms,
			    struct buf *out)
{
	char hash[HASH_CHARS], room[1024], local_room[1024];
	struct buf covered = { .p = room, .cap = sizeof room, .max = sizeof room };
	struct buf local = { .p = local_room, .cap = sizeof local_room, .max = sizeof local_room };
	struct str name = inside(from), forwarder, rest;
	char kind = kind_of(name) != 0 && split_foreign(from, name, &forwarder, &rest) ? '1' : '0';
	unsigned day = day_of(now_ms);

	must(keys->n > 0);
	if (kind == '0') {
		buf_addc(&covered, base32[day >> 5]);
		buf_addc(&covered, base32[day & 31]);
		forwarder = from->domain;
		rest = name;
		buf_addc(&covered, '=');
	}
	buf_add(&covered, forwarder);
	buf_addc(&covered, '=');
	buf_add(&covered, rest);
	if (covered.full)
		return SRS_TOO_LONG;
	make_hash(&keys->v[0], kind, buf_str(&covered), ours, hash);
	buf_addf(&local, "SRS%c=%.*s=", kind, HASH_CHARS, hash);
	buf_add(&local, buf_str(&covered));
	return put_address(&local, from->quoted, ours, out);
}

/* ---- and back ---- */

static bool parses(struct str address)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;

	return addr_parse(address, &rules, &a) == ADDR_OK && !a.literal && a.domain.n > 0;
}

static enum srs_result undo(char kind, struct str covered, int64_t now_ms, struct buf *local, struct str *domain)
{
	struct str text = STR_NONE, rest;
	unsigned day;

	if (kind == '0') {
		if (!str_cut(covered, '=', &text, &covered) || !read_day(text, &day))
			return SRS_BROKEN;
		if (!is_fresh(day, now_ms))
			return SRS_EXPIRED;
	}
	if (!str_cut(covered, '=', domain, &rest))
		return SRS_BROKEN;
	if (kind == '1')
		buf_add(local, S("SRS0"));
	buf_add(local, rest);
	return SRS_OK;
}

enum srs_result srs_reverse(const struct token_keys *keys, const struct addr *a, struct str ours, int64_t now_ms,
			    struct buf *out)
{
	struct str name = inside(a), hash, covered, domain;
	char kind = kind_of(name), room[1024];
	struct buf local = { .p = room, .cap = sizeof room, .max = sizeof room };
	size_t before = out->n;

	if (kind == 0)
		return SRS_NONE;
	if (!str_cut(str_skip(name, TAG), '=', &hash, &covered))
		return SRS_BROKEN;
	/* first whether it is ours: to all others the same answer, however wrong the rest is */
	if (!is_ours(keys, kind, hash, covered, ours))
		return SRS_FORGED;
	enum srs_result r = undo(kind, covered, now_ms, &local, &domain);
	if (r == SRS_OK)
		r = put_address(&local, a->quoted, domain, out);
	if (r == SRS_OK && !parses(str_skip(buf_str(out), before)))
		r = SRS_BROKEN;
	if (r != SRS_OK)
		out->n = before;
	return r;
}
