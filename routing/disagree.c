/* routing/disagree.c: the incidents in memory, and their rows in the recipient store.
 *
 *   key slot (u64) -> {u8 format, u8 kind, u64 who, i64 first, i64 last, u64 count, texts: address, ours, messages}
 *
 * Slots follow from `who`, so a row is always where it was; one that takes over a slot takes over its row. */
#include "routing/disagree.h"

#include "base/must.h"
#include "routing/pack.h"

#include <stdlib.h>

enum { FORMAT = 1, ROW_MAX = 1024, MARK_DIRTY = 1, MARK_BEGAN = 2 };

const char *disagree_kind_name(enum disagree_kind k)
{
	return k == DISAGREE_LOOP ? "loop" : "location";
}

/* The entry of `who`, or the one to give up for it. */
static struct disagreement *slot_of(const struct disagree *d, uint64_t who)
{
	struct disagreement *set = &d->slots[who % DISAGREE_SETS * DISAGREE_WAYS], *oldest = set;

	for (int i = 0; i < DISAGREE_WAYS; i++) {
		if (set[i].who == who)
			return &set[i];
		if (set[i].last_ms < oldest->last_ms)
			oldest = &set[i];
	}
	return oldest;
}

static void add_message(struct disagreement *i, struct str message)
{
	for (int m = 0; m < DISAGREE_MESSAGES && message.n > 0; m++) {
		if (str_eq(str_c(i->messages[m]), str_head(message, sizeof i->messages[m] - 1)))
			return;
		if (i->messages[m][0] == '\0') {
			text_set(i->messages[m], sizeof i->messages[m], message);
			return;
		}
	}
}

static void remember(struct disagree *d, struct disagreement *slot, const struct disagree_seen *s, bool again)
{
	unsigned char *mark = &d->marks[slot - d->slots];

	if (!again) {
		*slot = (struct disagreement){ .who = s->who, .kind = s->kind, .first_ms = s->now_ms };
		*mark |= MARK_BEGAN;
	}
	uint64_t message = s->message.n > 0 ? str_hash(s->message, 0) : 0;
	slot->last_ms = s->now_ms;
	slot->count += message == 0 || message != slot->last_message;
	slot->last_message = message;
	text_set(slot->address, sizeof slot->address, s->address);
	text_set(slot->ours, sizeof slot->ours, s->ours);
	add_message(slot, s->message);
	*mark |= MARK_DIRTY;
	d->news = true;
}

bool disagree_note(struct disagree *d, const struct disagree_seen *asked)
{
	struct disagree_seen s = *asked;

	s.who += s.who == 0;
	pthread_mutex_lock(&d->lock);
	struct disagreement *slot = slot_of(d, s.who);
	bool again = slot->who == s.who && s.now_ms - slot->last_ms <= s.wait_ms;
	int64_t first_ms = again ? slot->first_ms : s.now_ms;
	if (!s.dry)
		remember(d, slot, &s, again);
	pthread_mutex_unlock(&d->lock);
	return s.now_ms - first_ms < s.wait_ms;
}

bool disagree_drop(struct disagree *d, uint64_t who)
{
	who += who == 0;
	pthread_mutex_lock(&d->lock);
	struct disagreement *slot = slot_of(d, who);
	bool found = slot->who == who;
	if (found) {
		*slot = (struct disagreement){ 0 };
		d->marks[slot - d->slots] = MARK_DIRTY;
		d->news = true;
	}
	pthread_mutex_unlock(&d->lock);
	return found;
}

static int newest_first(const void *a, const void *b)
{
	const struct disagreement *x = a, *y = b;

	return x->last_ms < y->last_ms ? 1 : x->last_ms > y->last_ms ? -1 : strcmp(x->address, y->address);
}

size_t disagree_list(struct disagree *d, struct disagreement *out, size_t max)
{
	struct disagreement *all = calloc(DISAGREE_N, sizeof *all);
	size_t n = 0;

	must(all != NULL);
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DISAGREE_N; i++)
		if (d->slots[i].who != 0)
			all[n++] = d->slots[i];
	pthread_mutex_unlock(&d->lock);
	qsort(all, n, sizeof *all, newest_first);
	n = n < max ? n : max;
	memcpy(out, all, n * sizeof *all);
	free(all);
	return n;
}

/* ---- on disk ---- */

static void put_row(struct store_txn *t, store_db db, size_t slot, const struct disagreement *i)
{
	char room[ROW_MAX];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	unsigned char key[8];

	store_key64(key, slot);
	if (i->who == 0) {
		store_del(t, db, str_n(key, sizeof key));
		return;
	}
	buf_addc(&b, FORMAT);
	buf_addc(&b, (char)i->kind);
	pack_num(&b, i->who);
	pack_num(&b, (uint64_t)i->first_ms);
	pack_num(&b, (uint64_t)i->last_ms);
	pack_num(&b, i->count);
	pack_text(&b, str_c(i->address));
	pack_text(&b, str_c(i->ours));
	for (int m = 0; m < DISAGREE_MESSAGES; m++)
		pack_text(&b, str_c(i->messages[m]));
	must(!b.full);
	store_put(t, db, str_n(key, sizeof key), buf_str(&b));
}

static bool get_row(struct str in, struct disagreement *i)
{
	unsigned format, kind;
	bool good = unpack_byte(&in, FORMAT + 1, &format) && format == FORMAT &&
		    unpack_byte(&in, DISAGREE_LOOP + 1, &kind) && unpack_num(&in, &i->who) &&
		    unpack_ms(&in, &i->first_ms) && unpack_ms(&in, &i->last_ms) && unpack_num(&in, &i->count) &&
		    unpack_text(&in, i->address, sizeof i->address) && unpack_text(&in, i->ours, sizeof i->ours);

	for (int m = 0; good && m < DISAGREE_MESSAGES; m++)
		good = unpack_text(&in, i->messages[m], sizeof i->messages[m]);
	if (good)
		i->kind = (enum disagree_kind)kind;
	return good && i->who != 0;
}

static void load(struct disagree *d, struct store_txn *t)
{
	struct disagreement i;
	struct store_cursor *c;
	struct str k, v;

	for (c = store_seek(t, d->db, STR_NONE); store_at(c, &k, &v); store_next(c)) {
		i = (struct disagreement){ 0 };
		if (k.n == 8 && store_num64(k) < DISAGREE_N && get_row(v, &i) &&
		    store_num64(k) / DISAGREE_WAYS == i.who % DISAGREE_SETS)
			d->slots[store_num64(k)] = i;
	}
	store_cursor_close(&c);
}

int disagree_open(struct disagree *d, struct store *store, store_db db, struct err *e)
{
	struct store_txn *t = store != NULL ? store_read(store, e) : NULL;

	if (store != NULL && t == NULL)
		return -1;
	d->slots = calloc(DISAGREE_N, sizeof *d->slots);
	d->marks = calloc(DISAGREE_N, 1);
	must(d->slots != NULL && d->marks != NULL);
	pthread_mutex_init(&d->lock, NULL);
	d->store = store;
	d->db = db;
	if (t != NULL)
		load(d, t);
	store_abort(&t);
	return 0;
}

void disagree_close(struct disagree *d)
{
	if (d->slots == NULL)
		return;
	pthread_mutex_destroy(&d->lock);
	free(d->slots);
	free(d->marks);
	d->slots = NULL;
}

struct batch {
	struct disagreement rows[DISAGREE_N];
	size_t slots[DISAGREE_N], n;
	unsigned char marks[DISAGREE_N];
};

static void take_news(struct disagree *d, struct batch *b)
{
	b->n = 0;
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; d->news && i < DISAGREE_N; i++)
		if (d->marks[i] != 0) {
			b->rows[b->n] = d->slots[i];
			b->marks[b->n] = d->marks[i];
			b->slots[b->n++] = i;
			d->marks[i] = 0;
		}
	d->news = false;
	pthread_mutex_unlock(&d->lock);
}

static void give_back(struct disagree *d, const struct batch *b)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < b->n; i++)
		d->marks[b->slots[i]] |= b->marks[i];
	d->news = true;
	pthread_mutex_unlock(&d->lock);
}

int disagree_keep(struct disagree *d, void (*began)(void *arg, const struct disagreement *i), void *arg, struct err *e)
{
	struct batch *b;
	int rc = 0;

	if (d->store == NULL || !__atomic_load_n(&d->news, __ATOMIC_RELAXED))
		return 0;
	b = malloc(sizeof *b);
	must(b != NULL);
	take_news(d, b);
	struct store_txn *t = b->n > 0 ? store_write(d->store, e) : NULL;
	for (size_t i = 0; t != NULL && i < b->n; i++)
		put_row(t, d->db, b->slots[i], &b->rows[i]);
	if (b->n > 0)
		rc = t != NULL ? store_commit(&t, e) : -1;
	if (rc != 0)
		give_back(d, b);
	for (size_t i = 0; rc == 0 && i < b->n; i++)
		if ((b->marks[i] & MARK_BEGAN) && b->rows[i].who != 0)
			began(arg, &b->rows[i]);
	free(b);
	return rc;
}
