/* smtpd/control_import.c: `queue import`: files of `queue export` into the queue, each once.
 *
 *   worker: list and check all files -> loop: say how many (--dry-run: end)
 *   then for each file   worker: open, first block -> loop: spool -> (worker: next block -> loop: spool)* -> commit
 *
 * A message counts as imported when its commit has come back, so when it is on the disk with its past; a file that came
 * before is told by the queue itself (ERR_TAKEN).  So an import that was cut off is simply done again. */
#include "base/log.h"
#include "base/must.h"
#include "smtpd/control_verbs.h"
#include "connectors/queue_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024 };

struct import {
	struct call *call;
	char **paths; /* those that check, after the survey */
	size_t n, at;
	uint64_t messages, recipients, bytes; /* counted, then imported */
	uint64_t bad, known;
	/* the file under way */
	int fd;
	struct queue_file file;
	struct mac_sum *sum;
	char *block;
	size_t block_n;
	uint64_t left; /* content bytes behind the block */
	struct spool *spool;
	struct commit commit;
	struct err err; /* of the worker's part; code ERR_NONE: none */
};

static void close_file(struct import *m)
{
	spool_abort(&m->spool);
	mac_sum_end(&m->sum, NULL);
	queue_file_fini(&m->file);
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static void import_drop(struct call *c)
{
	struct import *m = c->state;

	op_cancel(&m->commit.op);
	close_file(m);
	for (size_t i = 0; i < m->n; i++)
		free(m->paths[i]);
	free(m->paths);
	free(m->block);
	free(m);
}

/* ---- worker: which files there are, and whether they are sound ---- */

static void add_path(struct import *m, const char *dir, const char *name)
{
	char *path = NULL;

	m->paths = reallocarray(m->paths, m->n + 1, sizeof *m->paths);
	must(m->paths != NULL && asprintf(&path, "%s%s%s", dir, dir[0] == '\0' ? "" : "/", name) > 0);
	m->paths[m->n++] = path;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_files(struct import *m, const char *path, struct err *e)
{
	struct dirent *entry;
	struct stat st;
	DIR *d;

	if (stat(path, &st) != 0)
		return err_sys(e, ERR_NOT_FOUND, "import", "the daemon cannot open %s", path);
	if (!S_ISDIR(st.st_mode)) {
		add_path(m, "", path);
		return 0;
	}
	if ((d = opendir(path)) == NULL)
		return err_sys(e, ERR_NOT_FOUND, "import", "the daemon cannot open %s", path);
	while ((entry = readdir(d)) != NULL)
		if (str_ends(str_c(entry->d_name), S(".eml")))
			add_path(m, path, entry->d_name);
	closedir(d);
	if (m->n > 0)
		qsort(m->paths, m->n, sizeof *m->paths, by_name);
	return 0;
}

static int open_path(struct import *m, const char *path, struct err *e)
{
	struct stat st;

	m->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would hold up the worker */
	if (m->fd < 0 || fstat(m->fd, &st) != 0)
		return err_sys(e, ERR_IO, "import", "the daemon cannot open it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_SYNTAX, "import", "not a file");
	return queue_file_read(m->fd, &m->file, e);
}

static bool check_file(struct import *m, const char *path)
{
	struct err e = { 0 };
	bool sound = open_path(m, path, &e) == 0 && queue_file_verify(m->fd, &m->file, &e) == 0;

	if (!sound) {
		call_text(m->call, "%s: %s", path, e.text);
		m->bad++;
	} else {
		m->messages++;
		m->recipients += m->file.env.rcpt_n;
		m->bytes += m->file.size;
	}
	close_file(m);
	return sound;
}

static void survey(struct call *c)
{
	struct import *m = c->state;
	struct err e = { 0 };
	size_t sound = 0;

	if (list_files(m, args_text(c, "PATH").p, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		if (check_file(m, m->paths[i]))
			m->paths[sound++] = m->paths[i];
		else
			free(m->paths[i]);
	m->n = sound;
}

/* ---- the answer ---- */

static void import_row(struct import *m, const char *action)
{
	json_t *row = json_object();

	row_c(row, "action", action);
	row_uint(row, "messages", m->messages);
	row_uint(row, "recipients", m->recipients);
	row_uint(row, "bytes", m->bytes);
	row_uint(row, "known", m->known);
	row_uint(row, "refused", m->bad);
	row_bool(row, "dry_run", args_flag(m->call, "dry-run"));
	call_row(m->call, row);
}

static void import_end(struct import *m)
{
	struct call *c = m->call;
	bool nothing = m->messages == 0 && m->bad == 0;

	if (m->bad > 0)
		call_end(c, CALL_PARTLY, "%llu files were refused, see above; %llu messages were here before",
			 (unsigned long long)m->bad, (unsigned long long)m->known);
	else if (m->known > 0)
		call_end(c, nothing ? CALL_NOTHING : CALL_OK,
			 "%llu messages were here before, and are not imported again", (unsigned long long)m->known);
	else if (nothing)
		call_end(c, CALL_NOTHING, "there is no .eml file");
	else
		call_end(c, CALL_OK, NULL);
}

static void refuse(struct import *m, const char *why)
{
	call_text(m->call, "%s: %s", m->paths[m->at], why);
	m->bad++;
}

/* ---- one file ---- */

static void next_file(struct import *m);

static void file_done(struct import *m)
{
	close_file(m);
	m->at++;
	next_file(m);
}

/* The next one would meet the same. */
static void stop(struct import *m, const struct err *e)
{
	import_row(m, "are imported");
	call_end(m->call, CALL_PARTLY, "stopped at %s: %s; import again later, what is in is known", m->paths[m->at],
		 e->text);
}

static void log_imported(const struct import *m)
{
	char ids[64];
	struct buf b = { .p = ids, .cap = sizeof ids, .max = sizeof ids - 1 };

	queue_put_id(&b, m->commit.id);
	size_t own = b.n;
	queue_put_id(&b, m->file.id);
	log_info(NULL, "queue.imported", kv_str("message", str_n(ids, own)), kv_str("was", str_n(ids + own, b.n - own)),
		 kv_str("trace", m->file.env.trace_id), kv_str("from", m->file.env.from),
		 kv_int("recipients", (int64_t)m->file.env.rcpt_n), kv_int("uid", (int64_t)m->call->uid));
}

static void on_stored(struct op *op)
{
	struct import *m = container_of(op, struct import, commit.op);

	if (m->commit.ok) {
		log_imported(m);
		m->messages++;
		m->recipients += m->file.env.rcpt_n;
		m->bytes += m->file.size;
	} else if (m->commit.err.code == ERR_TAKEN) {
		m->known++;
	} else {
		stop(m, &m->commit.err);
		return;
	}
	file_done(m);
}

/* ---- worker: blocks ---- */

static int next_block(struct import *m, struct err *e)
{
	unsigned char sum[MAC_SIZE];
	size_t want = m->left < BLOCK ? (size_t)m->left : BLOCK;

	for (m->block_n = 0; m->block_n < want;) {
		ssize_t n = read(m->fd, m->block + m->block_n, want - m->block_n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "import", "cannot read");
		if (n == 0)
			return err_set(e, ERR_CORRUPT, "import", "it has become shorter");
		m->block_n += (size_t)n;
	}
	m->left -= want;
	mac_sum_add(m->sum, str_n(m->block, want));
	if (m->left > 0)
		return 0;
	mac_sum_end(&m->sum, sum);
	return mac_equal(sum, m->file.sum, MAC_SIZE)
		       ? 0
		       : err_set(e, ERR_CORRUPT, "import", "its content does not match its checksum");
}

static void read_first(struct call *c)
{
	struct import *m = c->state;

	m->err.code = ERR_NONE;
	if (open_path(m, m->paths[m->at], &m->err) != 0)
		return;
	m->left = m->file.size;
	m->sum = mac_sum_new();
	next_block(m, &m->err);
}

static void read_next(struct call *c)
{
	struct import *m = c->state;

	m->err.code = ERR_NONE;
	next_block(m, &m->err);
}

/* ---- loop: blocks into the queue ---- */

static void take_over(struct import *m)
{
	struct queue_file *f = &m->file;

	if (args_flag(m->call, "hold"))
		for (size_t i = 0; i < f->env.rcpt_n; i++)
			f->pasts[i].held = true;
	spool_take_over(&m->spool, &f->env, f->id, f->past, &m->commit, on_stored);
}

static void take_block(struct call *c)
{
	struct import *m = c->state;
	struct err e = { 0 };

	if (m->err.code != ERR_NONE) { /* it was sound a moment ago */
		refuse(m, m->err.text);
		file_done(m);
		return;
	}
	if ((m->spool == NULL && (m->spool = spool_begin(c->hooks->port, &e)) == NULL) ||
	    spool_write(m->spool, str_n(m->block, m->block_n), &e) != 0) {
		stop(m, &e);
		return;
	}
	if (m->left > 0)
		call_to_worker(c, read_next, take_block);
	else
		take_over(m);
}

static void next_file(struct import *m)
{
	struct err e;

	if (m->at < m->n && is_short_of_resources(m->call, &e)) {
		stop(m, &e);
		return;
	}
	if (m->at < m->n) {
		call_to_worker(m->call, read_first, take_block);
		return;
	}
	import_row(m, "are imported");
	import_end(m);
}

static void surveyed(struct call *c)
{
	struct import *m = c->state;

	import_row(m, args_flag(c, "dry-run") ? "would be imported" : "are to be imported");
	if (args_flag(c, "dry-run") || m->messages == 0) {
		import_end(m);
		return;
	}
	m->messages = m->recipients = m->bytes = 0;
	next_file(m);
}

void run_queue_import(struct call *c)
{
	struct import *m = calloc(1, sizeof *m);

	must(m != NULL);
	m->call = c;
	m->fd = -1;
	m->block = malloc(BLOCK);
	must(m->block != NULL);
	c->state = m;
	c->drop = import_drop;
	call_to_worker(c, survey, surveyed);
}
