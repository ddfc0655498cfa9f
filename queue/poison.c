/* queue/poison.c: finding the message that ends the process whenever somebody works on it (two crashes, then it waits
 * for a person; everything else flows).
 *
 *   loop: queue_working(id) -> a slot in the mapped file "working" -> crash: the page cache keeps it
 *   start: poison_count: slots -> crash counts in the index, once for each life of the file
 *          -> poison_put_aside: who has two is held as RCPT_POISON -> checkpoint -> poison_counted -> poison_watch
 *
 * No sync for a message: a process that dies leaves its mapped pages to the kernel.  Power that goes takes them along,
 * but a power cut is nobody's fault.  A crash during any of this is counted once, because the file's life is stored
 * with the counts, in one transaction. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char working_magic[8] = "tbwork1";
static const char poison_text[] = "the gateway ended abnormally twice while it worked on this message";
static const struct str life_key = STR_LIT("worked"), count_key = STR_LIT("crash:");

enum { COUNT_KEY = 6 + 8 };

void queue_working(struct queue_port *p, const struct lease *l)
{
	if (p->working == NULL)
		return;
	atomic_store_explicit(p->working, l == NULL ? 0 : l->id, memory_order_relaxed);
	if (l != NULL)
		fault("queue.working");
}

/* ---- counts in the index: "crash:" and the id ---- */

static struct str key_of(unsigned char to[COUNT_KEY], uint64_t id)
{
	memcpy(to, count_key.p, count_key.n);
	store_key64(to + count_key.n, id);
	return str_n(to, COUNT_KEY);
}

static void count_one(struct queue *q, struct store_txn *t, uint64_t id)
{
	unsigned char key[COUNT_KEY];
	struct str value;
	unsigned char n = 1;
	struct buf name;

	if (store_get(t, q->index.meta, key_of(key, id), &value) && value.n == 1)
		n = (unsigned char)(value.p[0] + 1);
	store_put(t, q->index.meta, key_of(key, id), str_n(&n, 1));
	buf_init(&name, 32);
	queue_put_id(&name, id);
	log_warn(NULL, "queue.crashed_at", kv_str("message", buf_str(&name)), kv_int("crashes", n));
	buf_fini(&name);
}

static bool read_working(const struct queue *q, struct working *w)
{
	struct err e;
	int fd = own_open(q->lock_fd, "working", O_RDONLY, 0, "queue.poison", "working", &e);
	bool ok = fd >= 0 && read(fd, w, sizeof *w) == (ssize_t)sizeof *w;

	if (fd >= 0)
		close(fd);
	return ok && memcmp(w->magic, working_magic, sizeof w->magic) == 0;
}

static bool is_counted(struct queue *q, struct store_txn *t, const struct working *w)
{
	struct str value;

	return store_get(t, q->index.meta, life_key, &value) && value.n == 8 && store_num64(value) == w->life;
}

/* Each message once, and only those there are. */
static size_t suspects(struct queue *q, const struct working *w, uint64_t ids[PORTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < PORTS_MAX; i++) {
		uint64_t id = w->ids[i];
		bool again = id == 0;
		for (size_t k = 0; k < n; k++)
			again = again || ids[k] == id;
		if (!again && recover_knows(q, id))
			ids[n++] = id;
	}
	return n;
}

int poison_count(struct queue *q, struct err *e)
{
	struct working w;
	uint64_t ids[PORTS_MAX];
	unsigned char life[8];
	size_t n = 0;

	if (!read_working(q, &w) || (n = suspects(q, &w, ids)) == 0)
		return 0;
	struct store_txn *t = store_write(q->index.store, e);
	if (t == NULL)
		return -1;
	if (is_counted(q, t, &w)) {
		store_abort(&t);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		count_one(q, t, ids[i]);
	store_key64(life, w.life);
	store_put(t, q->index.meta, life_key, str_n(life, sizeof life));
	return store_commit(&t, e);
}

/* ---- putting aside ---- */

static void put_aside(struct queue *q, struct live *l)
{
	struct buf id;

	live_load_rcpts(l);
	for (uint32_t i = 0; i < l->rcpt_n; i++) {
		struct live_rcpt *r = &l->rcpts[i];
		if (r->state != RCPT_PENDING)
			continue;
		r->state = RCPT_POISON;
		r->changed = true;
		free(r->text);
		r->text = strdup(poison_text);
		must(r->text != NULL);
		r->text_n = sizeof poison_text - 1;
	}
	live_mark(&q->live, l);
	buf_init(&id, 32);
	queue_put_id(&id, l->id);
	log_error(NULL, "queue.poison", kv_str("message", buf_str(&id)), kv_c("why", poison_text));
	buf_fini(&id);
}

/* Calls for each count; the ids are copied first, since views die at the next change. */
static size_t counts(struct queue *q, struct store_txn *t, uint64_t ids[PORTS_MAX], bool (*want)(uint64_t, unsigned))
{
	struct store_cursor *c = store_seek(t, q->index.meta, count_key);
	struct str key, value;
	size_t n = 0;

	for (; n < PORTS_MAX && store_at(c, &key, &value) && str_starts(key, count_key); store_next(c)) {
		uint64_t id = key.n == COUNT_KEY ? store_num64(str_skip(key, count_key.n)) : 0;
		if (value.n == 1 && want(id, (unsigned char)value.p[0]))
			ids[n++] = id;
	}
	store_cursor_close(&c);
	return n;
}

static bool is_poison(uint64_t id, unsigned crashes)
{
	(void)id;
	return crashes >= QUEUE_POISON_CRASHES;
}

static bool is_any(uint64_t id, unsigned crashes)
{
	(void)id, (void)crashes;
	return true;
}

unsigned poison_put_aside(struct queue *q)
{
	uint64_t ids[PORTS_MAX];
	unsigned n = 0;
	struct err e;
	struct store_txn *t = store_read(q->index.store, &e);

	if (t == NULL)
		return 0;
	size_t found = counts(q, t, ids, is_poison);
	store_abort(&t);
	for (size_t i = 0; i < found; i++) {
		struct live *l = recover_known(q, ids[i]);
		if (l != NULL)
			put_aside(q, l), n++;
	}
	return n;
}

/* A message that is put aside begins anew when it is released; of those that are gone nothing is to be kept. */
void poison_counted(struct queue *q)
{
	uint64_t ids[PORTS_MAX];
	unsigned char key[COUNT_KEY], message[8];
	struct str value;
	struct err e;
	struct store_txn *t = store_read(q->index.store, &e);
	size_t n = 0, all;

	if (t == NULL)
		return;
	all = counts(q, t, ids, is_any);
	for (size_t i = 0; i < all; i++) {
		store_key64(message, ids[i]);
		store_get(t, q->index.meta, key_of(key, ids[i]), &value);
		if (is_poison(ids[i], (unsigned char)value.p[0]) ||
		    !store_get(t, q->index.message, str_n(message, sizeof message), &value))
			ids[n++] = ids[i];
	}
	store_abort(&t);
	if (n == 0 || (t = store_write(q->index.store, &e)) == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		store_del(t, q->index.meta, key_of(key, ids[i]));
	if (store_commit(&t, &e) != 0)
		log_warn(NULL, "queue.poison", kv_c("error", e.text)); /* the next start does it again */
}

/* ---- the file ---- */

/* Written before it is mapped: a page without a block on a full disk would end us with SIGBUS. */
void poison_watch(struct queue *q)
{
	struct working fresh = { .life = (uint64_t)clock_wall_ms() << 16 | ((uint64_t)getpid() & 0xffff) };
	struct err e = { 0 };
	int fd = own_open(q->lock_fd, "working", O_RDWR | O_CREAT, 0600, "queue.poison", "working", &e);
	void *map = MAP_FAILED;

	memcpy(fresh.magic, working_magic, sizeof fresh.magic);
	if (fd >= 0 && pwrite(fd, &fresh, sizeof fresh, 0) == (ssize_t)sizeof fresh)
		map = mmap(NULL, sizeof fresh, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		log_warn(NULL, "queue.poison",
			 kv_c("problem", "cannot make the file `working`: crashes are not counted"),
			 kv_c("why", e.text));
	else
		q->working = map;
}

void poison_close(struct queue *q)
{
	if (q->working != NULL)
		munmap(q->working, sizeof *q->working);
	q->working = NULL;
}
