/* base/store.c: THE LMDB file; see the header for the rules the 0.9.24 of Debian 12 asks for. */
#include "base/store.h"

#include "base/fault.h"
#include "base/own.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TABLES_MAX = 16 };

struct store {
	MDB_env *env; /* NULL: could not be opened anew */
	char path[200];
	struct store_options options;
	uintptr_t map;      /* where data.mdb is mapped; 0 = unknown */
	MDB_dbi last_table; /* the highest opened; 0 and 1 are LMDB's own */
	const char *tables[TABLES_MAX];
	_Atomic size_t last_txn; /* number of the last transaction that was committed */
	_Atomic bool dead;
};

struct store_txn {
	struct store *store;
	MDB_txn *txn;
	bool writes;
	int failed; /* first LMDB error, 0 = none */
	const char *failed_in;
};

struct store_cursor {
	struct store_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	bool valid;
};

static int lmdb_err(struct err *e, int rc, const char *where, const char *path)
{
	enum err_code code = rc == MDB_MAP_FULL || rc == ENOSPC || rc == MDB_TXN_FULL ? ERR_NO_SPACE
			     : rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND         ? ERR_CORRUPT
										      : ERR_IO;

	return err_set(e, code, where, "%s: %s", path, mdb_strerror(rc));
}

/* LMDB 0.9.24 does not tell where its map is; the kernel does: "7f0123456000-7f0223456000 r--s 0 fe:00 42 FILE". */
static void find_map(struct store *s)
{
	char line[PATH_MAX + 200], file[PATH_MAX], *real = realpath(s->path, NULL);
	FILE *maps = fopen("/proc/self/maps", "re");

	snprintf(file, sizeof file, "%s/data.mdb\n", real == NULL ? "?" : real);
	while (maps != NULL && s->map == 0 && fgets(line, sizeof line, maps) != NULL) {
		if (!str_ends(str_c(line), str_c(file)))
			continue;
		for (const char *c = line; *c != '-'; c++)
			s->map = s->map << 4 | (uintptr_t)(chr_is_digit(*c) ? *c - '0' : *c - 'a' + 10);
	}
	if (maps != NULL)
		fclose(maps);
	free(real);
}

/* ---- a new store ---- */

static int sync_folder(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		err_sys(e, ERR_IO, "store.open", "cannot sync %s", path);
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

/* LMDB writes the first pages of a new file without a sync, and half of them are not a store: opening it fails until a
 * person removes it.  So the file is made under another name and gets its own when it is whole and on the disk. */
static int make_file(const char *path, const struct store_options *o, struct err *e)
{
	char fresh[240], file[260];
	MDB_env *env = NULL;
	int rc;

	snprintf(file, sizeof file, "%s/data.mdb", path);
	if (access(file, F_OK) == 0)
		return 0;
	snprintf(fresh, sizeof fresh, "%s/new.mdb", path);
	if (unlink(fresh) != 0 && errno != ENOENT)
		return err_sys(e, ERR_IO, "store.open", "cannot remove %s", fresh);
	if ((rc = mdb_env_create(&env)) == 0 && (rc = mdb_env_set_mapsize(env, o->map_bytes)) == 0 &&
	    (rc = mdb_env_open(env, fresh, MDB_NOSUBDIR, 0600)) == 0)
		rc = mdb_env_sync(env, 1);
	mdb_env_close(env);
	if (rc != 0)
		return lmdb_err(e, rc, "store.open", fresh);
	if (fault("store.new") || rename(fresh, file) != 0)
		return err_sys(e, ERR_IO, "store.open", "cannot make %s", file);
	strncat(fresh, "-lock", sizeof fresh - strlen(fresh) - 1);
	unlink(fresh); /* stays when it cannot go: nobody looks at it */
	return sync_folder(path, e);
}

/* LMDB opens by path and follows what it finds. */
static int look_at_files(const char *path, struct err *e)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "new.mdb", "new.mdb-lock" };
	int fd = own_dir(path, "store.open", e), rc = fd < 0 ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
		char file[300];
		snprintf(file, sizeof file, "%s/%s", path, names[i]);
		rc = own_look(fd, names[i], "store.open", file, e);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int open_env(struct store *s, struct err *e)
{
	const struct store_options *o = &s->options;
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (o->no_sync ? MDB_NOSYNC : 0) | (o->read_only ? MDB_RDONLY : 0);
	int rc;

	if ((rc = mdb_env_create(&s->env)) == 0 && (rc = mdb_env_set_mapsize(s->env, o->map_bytes)) == 0 &&
	    (rc = mdb_env_set_maxdbs(s->env, o->dbs)) == 0 && (rc = mdb_env_set_maxreaders(s->env, 512)) == 0)
		rc = mdb_env_open(s->env, s->path, flags, 0600);
	if (rc == 0)
		return 0;
	lmdb_err(e, rc, "store.open", s->path);
	mdb_env_close(s->env);
	s->env = NULL;
	return -1;
}

static size_t last_txn(struct store *s)
{
	MDB_envinfo info;

	return mdb_env_info(s->env, &info) == 0 ? info.me_last_txnid : 0;
}

struct store *store_open(const char *path, const struct store_options *o, struct err *e)
{
	struct store *s = calloc(1, sizeof *s);

	must(s != NULL);
	strncat(s->path, path, sizeof s->path - 1);
	s->options = *o;
	if (!o->read_only && mkdir(path, 0700) != 0 && errno != EEXIST) {
		err_sys(e, ERR_IO, "store.open", "cannot make %s", path);
		free(s);
		return NULL;
	}
	if (look_at_files(path, e) != 0 || (!o->read_only && make_file(path, o, e) != 0) || open_env(s, e) != 0) {
		free(s);
		return NULL;
	}
	s->last_txn = last_txn(s);
	store_check_readers(s);
	find_map(s);
	return s;
}

void store_close(struct store **s)
{
	if (*s == NULL)
		return;
	mdb_env_close((*s)->env);
	free(*s);
	*s = NULL;
}

static int open_table(struct store *s, const char *name, bool read_only, MDB_dbi *to, struct err *e)
{
	MDB_txn *t;
	MDB_dbi dbi;
	int rc;

	rc = mdb_txn_begin(s->env, NULL, read_only ? MDB_RDONLY : 0, &t);
	if (rc == 0 && (rc = mdb_dbi_open(t, name, read_only ? 0 : MDB_CREATE, &dbi)) != 0)
		mdb_txn_abort(t);
	else if (rc == 0)
		rc = mdb_txn_commit(t);
	if (rc != 0)
		return lmdb_err(e, rc, "store.table", s->path);
	*to = dbi;
	return 0;
}

int store_table(struct store *s, const char *name, store_db *db, struct err *e)
{
	MDB_dbi dbi = 0;

	if (open_table(s, name, s->options.read_only, &dbi, e) != 0)
		return -1;
	must(dbi < TABLES_MAX);
	*db = dbi;
	s->tables[dbi] = name;
	s->last_txn = last_txn(s);
	if (dbi > s->last_table)
		s->last_table = dbi;
	return 0;
}

bool store_is_dead(const struct store *s)
{
	return s->dead;
}

static int tables_again(struct store *s, struct err *e)
{
	MDB_dbi dbi = 0;

	for (MDB_dbi i = 0; i <= s->last_table; i++)
		if (s->tables[i] != NULL &&
		    (open_table(s, s->tables[i], true, &dbi, e) != 0 ||
		     (dbi != i && err_set(e, ERR_CORRUPT, "store.reopen", "%s: its tables moved", s->path) != 0)))
			return -1;
	return 0;
}

/* The slot of the transaction that failed may be on the disk, although LMDB put the old bytes back into the page
 * cache.  The sync takes them there: else the next transaction would write over pages that a power cut makes count. */
int store_reopen(struct store *s, struct err *e)
{
	int rc;

	s->dead = true;
	s->map = 0;
	mdb_env_close(s->env);
	s->env = NULL;
	if (open_env(s, e) != 0)
		return -1;
	if (last_txn(s) != s->last_txn)
		rc = err_set(e, ERR_CORRUPT, "store.reopen", "%s does not end with the last commit: restart", s->path);
	else if ((rc = tables_again(s, e)) == 0)
		rc = store_sync(s, e);
	if (rc != 0) {
		mdb_env_close(s->env);
		s->env = NULL;
		return -1;
	}
	store_check_readers(s);
	find_map(s);
	s->dead = false;
	return 0;
}

int store_sync(struct store *s, struct err *e)
{
	int rc = fault("store.sync") ? EIO : mdb_env_sync(s->env, 1);

	return rc == 0 ? 0 : lmdb_err(e, rc, "store.sync", s->path);
}

void store_check_readers(struct store *s)
{
	int dead;

	if (s->env != NULL)
		mdb_reader_check(s->env, &dead);
}

/* Pages that hold something.  The highest page ever used would only rise: free pages below it are used again. */
double store_map_used(struct store *s)
{
	size_t pages = 0;
	MDB_envinfo info;
	MDB_stat st = { 0 };
	MDB_txn *t;

	if (s->env == NULL || mdb_env_info(s->env, &info) != 0 || mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t) != 0)
		return 0;
	for (MDB_dbi db = 0; db <= (s->last_table > 1 ? s->last_table : 1); db++)
		if (mdb_stat(t, db, &st) == 0)
			pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
	mdb_txn_abort(t);
	return (double)(pages + 2) * st.ms_psize / (double)info.me_mapsize; /* and the two meta pages */
}

void store_trim(struct store *s)
{
	MDB_envinfo info;

	if (s->map != 0 && mdb_env_info(s->env, &info) == 0)
		madvise((void *)s->map, info.me_mapsize, MADV_DONTNEED);
}

static struct store_txn *begin(struct store *s, bool writes, struct err *e)
{
	struct store_txn *t = calloc(1, sizeof *t);
	int rc;

	must(t != NULL);
	t->store = s;
	t->writes = writes;
	if (fault(writes ? "store.write" : "store.read"))
		rc = MDB_READERS_FULL;
	else
		rc = s->env == NULL ? MDB_PANIC : mdb_txn_begin(s->env, NULL, writes ? 0 : MDB_RDONLY, &t->txn);
	if (rc == 0)
		return t;
	lmdb_err(e, rc, "store.begin", s->path);
	free(t);
	return NULL;
}

struct store_txn *store_read(struct store *s, struct err *e)
{
	return begin(s, false, e);
}

struct store_txn *store_write(struct store *s, struct err *e)
{
	return begin(s, true, e);
}

static bool keep(struct store_txn *t, int rc, const char *in)
{
	if (rc != 0 && rc != MDB_NOTFOUND && t->failed == 0) {
		t->failed = rc;
		t->failed_in = in;
	}
	return rc == 0;
}

/* LMDB keeps that to itself until the next transaction. */
static bool gave_up(struct store *s)
{
	MDB_txn *t;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t);

	if (rc == 0)
		mdb_txn_abort(t);
	return rc == MDB_PANIC;
}

int store_commit(struct store_txn **tp, struct err *e)
{
	struct store_txn *t = *tp;
	struct store *s = t->store;
	int rc = t->failed;
	const char *in = t->failed_in;

	if (rc == 0 && t->writes && fault("store.commit"))
		rc = errno, in = "store.commit";
	if (rc != 0) {
		mdb_txn_abort(t->txn);
	} else {
		rc = mdb_txn_commit(t->txn);
		in = "store.commit";
	}
	if (rc != 0)
		lmdb_err(e, rc, in, s->path);
	if (rc == 0 && t->writes)
		s->last_txn = last_txn(s);
	else if (rc != 0)
		s->dead = gave_up(s);
	free(t);
	*tp = NULL;
	return rc == 0 ? 0 : -1;
}

void store_abort(struct store_txn **t)
{
	if (*t == NULL)
		return;
	mdb_txn_abort((*t)->txn);
	free(*t);
	*t = NULL;
}

bool store_failed(const struct store_txn *t)
{
	return t->failed != 0;
}

static MDB_val val(struct str s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

bool store_get(struct store_txn *t, store_db db, struct str key, struct str *value)
{
	MDB_val k = val(key), v;

	if (key.n == 0 || key.n > 511 ||
	    !keep(t, fault("store.get") ? MDB_CORRUPTED : mdb_get(t->txn, db, &k, &v), "store.get"))
		return false;
	*value = (struct str){ v.mv_data, v.mv_size };
	return true;
}

void store_put(struct store_txn *t, store_db db, struct str key, struct str value)
{
	MDB_val k = val(key), v = val(value);

	must(key.n > 0 && key.n <= 511);
	if (t->failed == 0)
		keep(t, fault("store.put") ? MDB_MAP_FULL : mdb_put(t->txn, db, &k, &v, 0), "store.put");
}

void store_del(struct store_txn *t, store_db db, struct str key)
{
	MDB_val k = val(key);

	must(key.n > 0 && key.n <= 511);
	if (t->failed == 0)
		keep(t, mdb_del(t->txn, db, &k, NULL), "store.del");
}

void store_drop(struct store_txn *t, store_db db)
{
	if (t->failed == 0)
		keep(t, mdb_drop(t->txn, db, 0), "store.drop");
}

uint64_t store_count(struct store_txn *t, store_db db)
{
	MDB_stat st = { 0 };

	keep(t, mdb_stat(t->txn, db, &st), "store.count");
	return st.ms_entries;
}

static void step(struct store_cursor *c, MDB_cursor_op how)
{
	c->valid =
		c->cursor != NULL && keep(c->txn, mdb_cursor_get(c->cursor, &c->key, &c->value, how), "store.cursor");
}

struct store_cursor *store_seek(struct store_txn *t, store_db db, struct str from)
{
	struct store_cursor *c = calloc(1, sizeof *c);

	must(c != NULL);
	c->txn = t;
	if (!keep(t, mdb_cursor_open(t->txn, db, &c->cursor), "store.cursor"))
		c->cursor = NULL;
	c->key = val(from);
	step(c, from.n == 0 ? MDB_FIRST : MDB_SET_RANGE);
	return c;
}

bool store_at(struct store_cursor *c, struct str *key, struct str *value)
{
	if (!c->valid)
		return false;
	*key = (struct str){ c->key.mv_data, c->key.mv_size };
	*value = (struct str){ c->value.mv_data, c->value.mv_size };
	return true;
}

void store_next(struct store_cursor *c)
{
	if (c->valid)
		step(c, MDB_NEXT);
}

void store_seek_last(struct store_cursor *c)
{
	step(c, MDB_LAST);
}

void store_cursor_close(struct store_cursor **c)
{
	if (*c == NULL)
		return;
	if ((*c)->cursor != NULL)
		mdb_cursor_close((*c)->cursor);
	free(*c);
	*c = NULL;
}

void store_key64(unsigned char to[8], uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		to[i] = (unsigned char)v;
}

uint64_t store_num64(struct str key)
{
	uint64_t v = 0;

	must(key.n >= 8);
	for (size_t i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)key.p[i];
	return v;
}
