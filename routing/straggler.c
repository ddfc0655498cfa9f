/* routing/straggler.c: the table of stragglers in memory, and its rows in the recipient store.
 *
 *   key "sum" -> {u8 format, u8 mx, u64 total, i64 hour, u64 this hour, u64 hour before, i64 loud}
 *   key slot (u64) -> {u8 format, u64 count, i64 first, i64 last, texts: ip, helo, recipients}
 *
 * A source that takes over a slot takes over its row.  With another table size rows move: all are written anew. */
#include "routing/straggler.h"

#include "base/must.h"
#include "routing/pack.h"

#include <stdlib.h>

enum { FORMAT = 1, HOUR_MS = 3600 * 1000, KEEP_BATCH = 256, ROW_MAX = 1024 };

static const struct str sum_key = STR_LIT("sum");

static struct straggler_source *set_of(const struct stragglers *s, struct str ip)
{
	return &s->slots[str_hash(ip, 0) % (s->n / STRAGGLER_WAYS) * STRAGGLER_WAYS];
}

/* Its slot, or the one to give up for it. */
static struct straggler_source *slot_of(const struct stragglers *s, struct str ip)
{
	struct straggler_source *set = set_of(s, ip), *oldest = set;

	for (int i = 0; i < STRAGGLER_WAYS; i++) {
		if (str_eq(str_c(set[i].ip), ip))
			return &set[i];
		if (set[i].last_ms < oldest->last_ms)
			oldest = &set[i];
	}
	return oldest;
}

/* ---- noting ---- */

static void wipe(struct stragglers *s, enum conf_side mx)
{
	memset(s->slots, 0, s->n * sizeof *s->slots);
	memset(s->dirty, 0, s->n);
	s->sum = (struct straggler_sum){ 0 };
	s->mx = mx;
	s->news = s->wiped = true;
}

static void roll(struct stragglers *s, int64_t now_ms)
{
	int64_t hour = now_ms / HOUR_MS;

	if (hour == s->hour)
		return;
	s->sum.hour_before = hour == s->hour + 1 ? s->sum.this_hour : 0;
	s->sum.this_hour = 0;
	s->hour = hour;
}

static void add_sample(struct straggler_source *src, struct str rcpt)
{
	for (int i = 0; i < STRAGGLER_RCPTS; i++) {
		if (str_eq(str_c(src->rcpts[i]), str_head(rcpt, sizeof src->rcpts[i] - 1)))
			return;
		if (src->rcpts[i][0] == '\0') {
			text_set(src->rcpts[i], sizeof src->rcpts[i], rcpt);
			return;
		}
	}
}

void stragglers_note(struct stragglers *s, const struct straggler_seen *seen)
{
	struct str ip = str_head(seen->client, sizeof s->slots->ip - 1);

	if (ip.n == 0)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->mx != seen->mx)
		wipe(s, seen->mx);
	struct straggler_source *src = slot_of(s, ip);
	if (!str_eq(str_c(src->ip), ip)) {
		s->sum.sources += src->ip[0] == '\0';
		*src = (struct straggler_source){ .first_ms = seen->now_ms };
		text_set(src->ip, sizeof src->ip, ip);
	}
	text_set(src->helo, sizeof src->helo, seen->helo);
	src->count++;
	src->last_ms = seen->now_ms;
	add_sample(src, seen->rcpt);
	s->dirty[src - s->slots] = 1;
	roll(s, seen->now_ms);
	s->sum.total++;
	if (++s->sum.this_hour >= seen->threshold)
		s->sum.loud_ms = seen->now_ms;
	s->news = true;
	pthread_mutex_unlock(&s->lock);
}

void stragglers_reset(struct stragglers *s, enum conf_side mx)
{
	pthread_mutex_lock(&s->lock);
	wipe(s, mx);
	pthread_mutex_unlock(&s->lock);
}

/* ---- telling ---- */

void stragglers_sum(struct stragglers *s, enum conf_side mx, int64_t now_ms, struct straggler_sum *out)
{
	*out = (struct straggler_sum){ 0 };
	pthread_mutex_lock(&s->lock);
	roll(s, now_ms);
	if (s->mx == mx)
		*out = s->sum;
	pthread_mutex_unlock(&s->lock);
}

static int by_count(const void *a, const void *b)
{
	const struct straggler_source *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->last_ms < y->last_ms ? 1 : x->last_ms > y->last_ms ? -1 : strcmp(x->ip, y->ip);
}

size_t stragglers_list(struct stragglers *s, enum conf_side mx, struct straggler_source *out, size_t max)
{
	struct straggler_source *all = calloc(s->n, sizeof *all);
	size_t n = 0;

	must(all != NULL);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n && s->mx == mx; i++)
		if (s->slots[i].ip[0] != '\0')
			all[n++] = s->slots[i];
	pthread_mutex_unlock(&s->lock);
	qsort(all, n, sizeof *all, by_count);
	n = n < max ? n : max;
	memcpy(out, all, n * sizeof *all);
	free(all);
	return n;
}

/* ---- on disk ---- */

static void put_source(struct store_txn *t, store_db db, size_t slot, const struct straggler_source *src)
{
	char room[ROW_MAX];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	unsigned char key[8];

	buf_addc(&b, FORMAT);
	pack_num(&b, src->count);
	pack_num(&b, (uint64_t)src->first_ms);
	pack_num(&b, (uint64_t)src->last_ms);
	pack_text(&b, str_c(src->ip));
	pack_text(&b, str_c(src->helo));
	for (int i = 0; i < STRAGGLER_RCPTS; i++)
		pack_text(&b, str_c(src->rcpts[i]));
	must(!b.full);
	store_key64(key, slot);
	store_put(t, db, str_n(key, sizeof key), buf_str(&b));
}

static bool get_source(struct str in, struct straggler_source *src)
{
	unsigned format;
	bool good = unpack_byte(&in, FORMAT + 1, &format) && format == FORMAT && unpack_num(&in, &src->count) &&
		    unpack_ms(&in, &src->first_ms) && unpack_ms(&in, &src->last_ms) &&
		    unpack_text(&in, src->ip, sizeof src->ip) && unpack_text(&in, src->helo, sizeof src->helo);

	for (int i = 0; good && i < STRAGGLER_RCPTS; i++)
		good = unpack_text(&in, src->rcpts[i], sizeof src->rcpts[i]);
	return good && src->ip[0] != '\0';
}

static void put_sum(struct store_txn *t, const struct stragglers *s)
{
	char room[64];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	buf_addc(&b, FORMAT);
	buf_addc(&b, s->mx == SIDE_CLOUD);
	pack_num(&b, s->sum.total);
	pack_num(&b, (uint64_t)s->hour);
	pack_num(&b, s->sum.this_hour);
	pack_num(&b, s->sum.hour_before);
	pack_num(&b, (uint64_t)s->sum.loud_ms);
	must(!b.full);
	store_put(t, s->db, sum_key, buf_str(&b));
}

static bool get_sum(struct str in, struct stragglers *s)
{
	unsigned format, mx;

	if (!unpack_byte(&in, FORMAT + 1, &format) || format != FORMAT || !unpack_byte(&in, 2, &mx) ||
	    !unpack_num(&in, &s->sum.total) || !unpack_ms(&in, &s->hour) || !unpack_num(&in, &s->sum.this_hour) ||
	    !unpack_num(&in, &s->sum.hour_before) || !unpack_ms(&in, &s->sum.loud_ms))
		return false;
	s->mx = mx != 0 ? SIDE_CLOUD : SIDE_ONPREM;
	return true;
}

/* A row into the slot that is its now; from another one everything is to be written anew. */
static void take_row(struct stragglers *s, size_t from, const struct straggler_source *src)
{
	struct straggler_source *slot = slot_of(s, str_c(src->ip));

	s->sum.sources += slot->ip[0] == '\0';
	*slot = *src;
	if ((size_t)(slot - s->slots) != from)
		s->news = s->wiped = true;
}

static void load(struct stragglers *s, struct store_txn *t)
{
	struct straggler_source src;
	struct store_cursor *c;
	struct str k, v;

	if (!store_get(t, s->db, sum_key, &v) || !get_sum(v, s))
		return; /* nothing yet, or nothing of ours: begin anew */
	for (c = store_seek(t, s->db, STR_NONE); store_at(c, &k, &v); store_next(c)) {
		src = (struct straggler_source){ 0 };
		if (k.n == 8 && get_source(v, &src))
			take_row(s, (size_t)store_num64(k), &src);
	}
	store_cursor_close(&c);
	for (size_t i = 0; s->wiped && i < s->n; i++)
		s->dirty[i] = s->slots[i].ip[0] != '\0';
}

int stragglers_open(struct stragglers *s, struct store *store, store_db db, size_t sources, struct err *e)
{
	struct store_txn *t = store_read(store, e);

	if (t == NULL)
		return -1;
	s->n = (sources + STRAGGLER_WAYS) / STRAGGLER_WAYS * STRAGGLER_WAYS;
	s->slots = calloc(s->n, sizeof *s->slots);
	s->dirty = calloc(s->n, 1);
	must(s->slots != NULL && s->dirty != NULL);
	s->store = store;
	s->db = db;
	pthread_mutex_init(&s->lock, NULL);
	load(s, t);
	store_abort(&t);
	return 0;
}

void stragglers_close(struct stragglers *s)
{
	if (s->slots == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->slots);
	free(s->dirty);
	s->slots = NULL;
}

struct batch {
	struct straggler_source rows[KEEP_BATCH];
	size_t slots[KEEP_BATCH];
	size_t n;
	bool wipe, more;
	struct stragglers head; /* mx, hour, sum */
};

static bool take_batch(struct stragglers *s, struct batch *b)
{
	bool news;

	pthread_mutex_lock(&s->lock);
	news = s->news;
	b->n = 0;
	b->wipe = s->wiped;
	b->more = false;
	b->head.db = s->db;
	b->head.mx = s->mx;
	b->head.hour = s->hour;
	b->head.sum = s->sum;
	for (size_t i = 0; news && i < s->n && !b->more; i++) {
		if (s->dirty[i] == 0)
			continue;
		b->more = b->n == KEEP_BATCH;
		if (b->more)
			break;
		b->rows[b->n] = s->slots[i];
		b->slots[b->n++] = i;
		s->dirty[i] = 0;
	}
	s->news = b->more;
	s->wiped = false;
	pthread_mutex_unlock(&s->lock);
	return news;
}

static void give_back(struct stragglers *s, const struct batch *b)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < b->n; i++)
		s->dirty[b->slots[i]] = 1;
	s->news = true;
	s->wiped |= b->wipe;
	pthread_mutex_unlock(&s->lock);
}

int stragglers_keep(struct stragglers *s, struct err *e)
{
	struct batch *b = malloc(sizeof *b);
	int rc = 0;

	must(b != NULL);
	b->more = true;
	while (rc == 0 && b->more && take_batch(s, b)) {
		struct store_txn *t = store_write(s->store, e);
		if (t != NULL && b->wipe)
			store_drop(t, s->db);
		for (size_t i = 0; t != NULL && i < b->n; i++)
			put_source(t, s->db, b->slots[i], &b->rows[i]);
		if (t != NULL)
			put_sum(t, &b->head);
		rc = t != NULL ? store_commit(&t, e) : -1;
		if (rc != 0)
			give_back(s, b);
	}
	free(b);
	return rc;
}
