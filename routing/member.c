/* routing/member.c: lists of members as rows of the table; see the header. */
#include "routing/member.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE = 32, HASH_SEED = 0x6d656d62 };

static struct str head_key(const unsigned char rid[RID_SIZE])
{
	return str_n(rid, RID_SIZE);
}

static struct str chunk_key(unsigned char room[RID_SIZE + 4], const unsigned char rid[RID_SIZE], uint32_t at)
{
	memcpy(room, rid, RID_SIZE);
	for (int i = 0; i < 4; i++)
		room[RID_SIZE + i] = (unsigned char)(at >> (24 - 8 * i));
	return str_n(room, RID_SIZE + 4);
}

bool member_head(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct member_head *out)
{
	struct str s;

	if (!store_get(t, r->member, head_key(rid), &s) || s.n != HEAD_SIZE)
		return false;
	*out = (struct member_head){ store_num64(s),
				     store_num64(str_skip(s, 8)),
				     { store_num64(str_skip(s, 16)), store_num64(str_skip(s, 24)) } };
	return true;
}

bool member_chunk(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], uint32_t at,
		  struct str *lines)
{
	unsigned char room[RID_SIZE + 4];

	return store_get(t, r->member, chunk_key(room, rid, at), lines);
}

static struct member_head head_of(struct str list, uint64_t version)
{
	struct member_head h = { .version = version,
				 .hash = { str_hash(list, HASH_SEED), str_hash(list, HASH_SEED + 1) } };

	for (size_t i = 0; i < list.n; i++)
		h.n += list.p[i] == '\n';
	return h;
}

bool member_same(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str list)
{
	struct member_head is = { 0 }, wanted = head_of(list, 0);

	if (!member_head(r, t, rid, &is))
		return wanted.n == 0;
	return is.n == wanted.n && is.hash[0] == wanted.hash[0] && is.hash[1] == wanted.hash[1];
}

static void put_head(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE],
		     const struct member_head *h)
{
	unsigned char b[HEAD_SIZE];

	store_key64(b, h->n);
	store_key64(b + 8, h->version);
	store_key64(b + 16, h->hash[0]);
	store_key64(b + 24, h->hash[1]);
	store_put(t, r->member, head_key(rid), str_n(b, sizeof b));
}

void member_put(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str list,
		uint64_t version)
{
	unsigned char room[RID_SIZE + 4];
	struct member_head h = head_of(list, version);
	struct str gone;
	uint32_t at = 0;

	if (h.n > 0)
		put_head(r, t, rid, &h);
	else
		store_del(t, r->member, head_key(rid));
	for (; list.n > 0; at++) {
		struct str chunk = str_head(list, MEMBER_CHUNK);
		chunk.n = (size_t)(str_rchr(chunk, '\n') + 1);
		must(chunk.n > 0); /* no address is that long */
		store_put(t, r->member, chunk_key(room, rid, at), chunk);
		list = str_skip(list, chunk.n);
	}
	for (; member_chunk(r, t, rid, at, &gone); at++)
		store_del(t, r->member, chunk_key(room, rid, at));
}

/* ---- lists ---- */

static int by_bytes(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool take_entry(struct str *raw, struct str *entry)
{
	while (raw->n > 0) {
		size_t n = 0;
		while (n < raw->n && raw->p[n] != ';' && raw->p[n] != '\n')
			n++;
		*entry = str_trim(str_head(*raw, n));
		*raw = str_skip(*raw, n + 1);
		if (entry->n > 0)
			return true;
	}
	return false;
}

/* Every line of `lines`, sorted and each once. */
static void put_sorted(struct str lines, size_t n, struct buf *list)
{
	struct str *v = malloc((n + 1) * sizeof *v);

	must(v != NULL);
	for (size_t i = 0; i < n; i++)
		str_cut(lines, '\n', &v[i], &lines);
	qsort(v, n, sizeof *v, by_bytes);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !str_eq(v[i], v[i - 1])) {
			buf_add(list, v[i]);
			buf_addc(list, '\n');
		}
	free(v);
}

int member_normalize(const struct domain_set *s, struct str raw, uint64_t most, struct buf *list, struct str *bad)
{
	struct buf lines;
	struct str entry;
	size_t n = 0;
	int rc = 0;

	*bad = STR_NONE;
	buf_init(&lines, raw.n * 8 + 4096); /* an A-label is longer than what it stands for */
	while (rc == 0 && take_entry(&raw, &entry)) {
		size_t before = lines.n;
		if (!domain_normalize(s, entry, &lines) || lines.n - before >= MEMBER_BYTES) {
			*bad = entry;
			rc = -1;
		}
		buf_addc(&lines, '\n');
		if (++n > most)
			rc = -1;
	}
	if (rc == 0 && n > 0)
		put_sorted(buf_str(&lines), n, list);
	buf_fini(&lines);
	return rc == 0 && !list->full ? 0 : -1;
}
