/* tests/powerloss/image.c: the disk a power cut could have left.
 *
 *   powerloss_image BEFORE JOURNAL SEED AFTER    makes the folder AFTER of the folder BEFORE and a journal (preload.c)
 *   powerloss_image count JOURNAL                prints how many calls would have been counted
 *
 * On the disk: all that was synced, names by a sync of their folder.  Of the rest whatever the seed says: nothing; all;
 * all up to some moment, the last write torn; or any subset, each write torn into sectors of 512 bytes or pages of 4096
 * that made it or did not, sizes without their data, names without their files.  Prints one line about it. */
#include "base/buf.h"
#include "base/must.h"
#include "tests/powerloss/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 30 };

enum mode { MODE_NOTHING, MODE_ALL, MODE_PREFIX, MODE_SECTORS, MODE_PAGES, MODES };
static const char *const mode_names[] = { "nothing", "all", "prefix", "sectors", "pages" };

struct op {
	struct journal_head h;
	struct str name, data;
	bool durable;
};

struct file {
	struct buf bytes;
	bool is_dir;
	bool named; /* on the way out: somebody refers to it */
};

struct entry {
	char *name; /* NULL = free */
	struct file *file;
};

static struct {
	struct op *ops;
	size_t op_n;
	struct file **files; /* by number */
	size_t file_n;
	struct entry *entries;
	size_t entry_n;
	uint64_t random;
	enum mode mode;
	size_t prefix;   /* MODE_PREFIX: ops before this one are on the disk */
	unsigned chance; /* of 100, that something unsynced is */
} image;

static uint64_t roll(uint64_t n)
{
	image.random ^= image.random << 13;
	image.random ^= image.random >> 7;
	image.random ^= image.random << 17;
	return image.random % n;
}

static bool luck(void)
{
	return roll(100) < image.chance;
}

/* ---- the folder as it was ---- */

static struct file *file_new(bool is_dir)
{
	struct file *f = calloc(1, sizeof *f);

	must(f != NULL);
	f->is_dir = is_dir;
	buf_init(&f->bytes, FILE_MAX);
	return f;
}

static struct entry *find(struct str name)
{
	for (size_t i = 0; i < image.entry_n; i++)
		if (image.entries[i].name != NULL && str_eq(str_c(image.entries[i].name), name))
			return &image.entries[i];
	return NULL;
}

static void set_entry(struct str name, struct file *f)
{
	struct entry *e = find(name);

	if (e == NULL) {
		image.entries = realloc(image.entries, (image.entry_n + 1) * sizeof *image.entries);
		must(image.entries != NULL);
		e = &image.entries[image.entry_n++];
		e->name = strndup(name.p, name.n);
	}
	e->file = f;
}

static void clear_entry(struct str name)
{
	struct entry *e = find(name);

	if (e != NULL) {
		free(e->name);
		e->name = NULL;
	}
}

static size_t root_n;

static int load_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	struct str name = str_skip(str_c(path), root_n);

	(void)at;
	if (name.n == 0)
		return 0;
	struct file *f = file_new(type == FTW_D);
	if (type == FTW_F) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		must(fd >= 0);
		for (ssize_t n = 1; n > 0 && f->bytes.n < (size_t)st->st_size;) {
			char *to = buf_reserve(&f->bytes, (size_t)st->st_size - f->bytes.n);
			n = read(fd, to, (size_t)st->st_size - f->bytes.n);
			buf_commit(&f->bytes, n > 0 ? (size_t)n : 0);
		}
		close(fd);
	}
	set_entry(str_skip(name, 1), f);
	return 0;
}

/* ---- the journal ---- */

static void load_journal(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
		return;
	char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(bytes != MAP_FAILED);
	close(fd);
	for (size_t at = 0, n = (size_t)st.st_size; at + sizeof(struct journal_head) <= n;) {
		struct op op = { 0 };
		memcpy(&op.h, bytes + at, sizeof op.h);
		must(op.h.magic == JOURNAL_MAGIC);
		at += sizeof op.h;
		if (op.h.name_n + (size_t)op.h.data_n > n - at)
			break; /* killed while noting it: it had not returned */
		op.name = str_n(bytes + at, op.h.name_n);
		op.data = str_n(bytes + at + op.h.name_n, op.h.data_n);
		at += op.h.name_n + (size_t)op.h.data_n;
		if ((image.op_n & (image.op_n - 1)) == 0) {
			image.ops = realloc(image.ops, (image.op_n == 0 ? 1 : 2 * image.op_n) * sizeof *image.ops);
			must(image.ops != NULL);
		}
		image.ops[image.op_n++] = op;
		if (op.h.file >= image.file_n)
			image.file_n = op.h.file + 1;
	}
	image.files = calloc(image.file_n + 1, sizeof(struct file *));
	must(image.files != NULL);
}

static bool is_name_op(const struct op *o)
{
	return o->h.op == JOURNAL_CREATE || o->h.op == JOURNAL_MKDIR || o->h.op == JOURNAL_RENAME ||
	       o->h.op == JOURNAL_UNLINK;
}

static struct str folder_of(struct str name)
{
	ssize_t at = str_rchr(name, '/');

	return at < 0 ? S("") : str_head(name, (size_t)at);
}

/* From the back: what a later sync of the same file, or of the folder of the name, has put onto the disk. */
static void mark_durable(void)
{
	bool *synced = calloc(image.file_n + 1, sizeof *synced);
	struct str folders[16];
	size_t folder_n = 0;

	must(synced != NULL);
	for (size_t i = image.op_n; i-- > 0;) {
		struct op *o = &image.ops[i];
		if (o->h.op == JOURNAL_SYNC)
			synced[o->h.file] = true;
		if (o->h.op == JOURNAL_SYNC_DIR && folder_n < 16)
			folders[folder_n++] = o->name;
		o->durable = o->h.durable || o->h.op == JOURNAL_OPEN || o->h.op == JOURNAL_SYNC ||
			     o->h.op == JOURNAL_SYNC_DIR ||
			     ((o->h.op == JOURNAL_WRITE || o->h.op == JOURNAL_SIZE) && synced[o->h.file]);
		for (size_t k = 0; is_name_op(o) && k < folder_n; k++)
			o->durable = o->durable || str_eq(folders[k], folder_of(o->name));
		/* syncs of one folder are all the same */
		for (size_t k = 0; k + 1 < folder_n; k++)
			if (str_eq(folders[k], folders[folder_n - 1]))
				folder_n--;
	}
	free(synced);
}

/* ---- doing it again ---- */

static void grow(struct buf *b, size_t n)
{
	if (n <= b->n)
		return;
	char *to = buf_reserve(b, n - b->n);
	must(to != NULL);
	memset(to, 0, n - b->n);
	buf_commit(b, n - b->n);
}

static void put(struct buf *b, uint64_t at, struct str data)
{
	grow(b, at + data.n);
	if (data.n > 0)
		memcpy(b->p + at, data.p, data.n);
}

/* Sectors of it, by chance; sometimes the size of all of it. */
static void put_torn(struct buf *b, uint64_t at, struct str data, size_t sector)
{
	uint64_t end = at + data.n;

	if (luck())
		grow(b, end);
	while (data.n > 0) {
		size_t n = sector - at % sector;
		struct str part = str_head(data, n);
		if (luck())
			put(b, at, part);
		at += part.n;
		data = str_skip(data, part.n);
	}
}

static void set_size(struct buf *b, uint64_t n)
{
	if (n < b->n)
		b->n = n;
	grow(b, n);
}

static void redo_data(struct op *o, bool torn)
{
	struct file *f = image.files[o->h.file];

	if (f == NULL)
		return;
	if (o->h.op == JOURNAL_SIZE)
		set_size(&f->bytes, o->h.offset);
	else if (torn)
		put_torn(&f->bytes, o->h.offset, o->data, image.mode == MODE_PAGES ? 4096 : 512);
	else
		put(&f->bytes, o->h.offset, o->data);
}

static void redo_name(const struct op *o)
{
	struct entry *e = find(o->name);
	struct file *f;

	switch ((enum journal_op)o->h.op) {
	case JOURNAL_CREATE:
		set_entry(o->name, image.files[o->h.file]);
		return;
	case JOURNAL_MKDIR:
		set_entry(o->name, file_new(true));
		return;
	case JOURNAL_RENAME:
		if (e == NULL || e->file != image.files[o->h.file])
			return; /* the name it had is not there */
		f = e->file;
		clear_entry(o->name);
		set_entry(o->data, f);
		return;
	case JOURNAL_UNLINK:
		clear_entry(o->name);
		return;
	default:
		must(false);
	}
}

static bool on_disk(const struct op *o, size_t i)
{
	if (o->durable || image.mode == MODE_ALL)
		return true;
	if (image.mode == MODE_PREFIX)
		return i < image.prefix;
	return image.mode != MODE_NOTHING && luck();
}

static void redo(size_t i, unsigned *lost)
{
	struct op *o = &image.ops[i];
	bool torn = !o->durable && o->h.op == JOURNAL_WRITE &&
		    (image.mode >= MODE_SECTORS || (image.mode == MODE_PREFIX && i == image.prefix));

	if (o->h.op == JOURNAL_OPEN) {
		struct entry *e = find(o->name);
		image.files[o->h.file] = e == NULL ? file_new(false) : e->file;
	}
	if (o->h.op == JOURNAL_CREATE)
		image.files[o->h.file] = file_new(false);
	if (o->h.op == JOURNAL_SYNC || o->h.op == JOURNAL_SYNC_DIR || o->h.op == JOURNAL_OPEN)
		return;
	if (!torn && !on_disk(o, i)) {
		++*lost;
		return;
	}
	if (is_name_op(o))
		redo_name(o);
	else
		redo_data(o, torn);
}

/* ---- the folder as it is ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static bool has_folder(struct str name)
{
	struct str folder = folder_of(name);
	struct entry *e = find(folder);

	return folder.n == 0 || (e != NULL && e->file->is_dir && has_folder(folder));
}

static void store(const char *root)
{
	char path[4096];

	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	must(mkdir(root, 0700) == 0);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < image.entry_n; i++) {
			struct entry *e = &image.entries[i];
			if (e->name == NULL || e->file->is_dir != (pass == 0) || !has_folder(str_c(e->name)))
				continue;
			snprintf(path, sizeof path, "%s/%s", root, e->name);
			if (pass == 0) {
				must(mkdir(path, 0700) == 0 || errno == EEXIST);
				continue;
			}
			int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			must(fd >= 0);
			struct str left = buf_str(&e->file->bytes);
			for (ssize_t n = 1; n > 0 && left.n > 0; left = str_skip(left, (size_t)n)) {
				n = write(fd, left.p, left.n);
				must(n > 0);
			}
			close(fd);
		}
}

/* What preload.c counts. */
static size_t counted(void)
{
	size_t n = 0;

	for (size_t i = 0; i < image.op_n; i++)
		n += image.ops[i].h.op != JOURNAL_OPEN;
	return n;
}

int main(int argc, char **argv)
{
	unsigned lost = 0;
	uint64_t seed;

	if (argc == 3 && strcmp(argv[1], "count") == 0) {
		load_journal(argv[2]);
		printf("%zu\n", counted());
		return 0;
	}
	if (argc != 5 || !str_u64(str_c(argv[3]), UINT64_MAX, &seed))
		return 2;
	image.random = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
	for (int i = 0; i < 8; i++)
		roll(2);
	root_n = strlen(argv[1]);
	nftw(argv[1], load_one, 16, FTW_PHYS);
	load_journal(argv[2]);
	mark_durable();
	size_t loose = 0, last = 0; /* the cut of MODE_PREFIX is among what was not synced */
	for (size_t i = 0; i < image.op_n; i++)
		loose += !image.ops[i].durable;
	image.mode = (enum mode)roll(MODES);
	image.chance = (unsigned)(10 + 40 * roll(3));
	last = loose == 0 ? 0 : roll(loose);
	for (image.prefix = 0; image.prefix < image.op_n; image.prefix++)
		if (!image.ops[image.prefix].durable && last-- == 0)
			break;
	for (size_t i = 0; i < image.op_n; i++)
		redo(i, &lost);
	store(argv[4]);
	printf("seed=%ju mode=%s calls=%zu unsynced=%zu lost=%u\n", seed, mode_names[image.mode], image.op_n, loose,
	       lost);
	return 0;
}
