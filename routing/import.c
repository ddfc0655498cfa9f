/* routing/import.c: a whole file into the table, in one transaction or not at all.
 *
 *   read all rows -> sort addresses -> [write transaction] match rows with records -> check -> apply
 *
 * Rows are kept encoded (about 200 bytes each), addresses as pointers into them: 600,000 recipients with four addresses
 * take about 250 MB while the import runs.  Addresses are written in key order, which leaves LMDB's pages full instead
 * of half empty.  Nothing is written before every row is known to be right. */
#include "routing/import.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "routing/member.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rid_row { /* a record of the table that a row of the file stands for, or (row = GONE) that goes */
	unsigned char rid[RID_SIZE];
	uint32_t row;
};
enum { ROW_GONE = UINT32_MAX, MEMORY_GIB = 16 };

struct claims {
	struct rid_row *v;
	size_t n, cap;
};

/* ---- lines ---- */

int import_open(struct import_lines *in, const char *path, struct err *e)
{
	*in = (struct import_lines){ .fd = fault("import.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC) };
	if (in->fd < 0)
		return err_sys(e, ERR_IO, "recipients.import", "cannot open %s", path);
	buf_init(&in->buf, 2 * IMPORT_LINE_MAX);
	return 0;
}

void import_close(struct import_lines *in)
{
	close(in->fd);
	buf_fini(&in->buf);
}

static bool fill(struct import_lines *in)
{
	buf_drop(&in->buf, in->used);
	in->used = 0;
	char *room = buf_reserve(&in->buf, 1 << 18);
	ssize_t got = -1;
	if (room == NULL)
		errno = EFBIG; /* a line longer than the buffer */
	else
		got = read(in->fd, room, 1 << 18);
	if (got < 0)
		in->failed = true;
	if (got <= 0)
		return false;
	buf_commit(&in->buf, (size_t)got);
	return true;
}

bool import_line(struct import_lines *in, struct str *line)
{
	struct str rest = str_skip(buf_str(&in->buf), in->used), tail;

	while (!in->eof && str_chr(rest, '\n') < 0) {
		in->eof = !fill(in);
		rest = str_skip(buf_str(&in->buf), in->used);
	}
	if (in->failed || rest.n == 0)
		return false;
	in->used += str_cut(rest, '\n', line, &tail) ? line->n + 1 : line->n;
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	in->line++;
	return true;
}

/* ---- rows ---- */

void import_problem(struct import *im, size_t line, const char *fmt, ...)
{
	va_list ap;

	if (im->report.errors++ >= PROBLEMS_SHOWN)
		return;
	buf_addf(im->problems, "%s:%zu: ", im->file, line);
	va_start(ap, fmt);
	buf_vaddf(im->problems, fmt, ap);
	va_end(ap);
	buf_addc(im->problems, '\n');
}

void import_warn(struct import *im, size_t line, const char *fmt, ...)
{
	va_list ap;

	if (im->warnings++ >= PROBLEMS_SHOWN)
		return;
	buf_addf(im->problems, "%s:%zu: warning: ", im->file, line);
	va_start(ap, fmt);
	buf_vaddf(im->problems, fmt, ap);
	va_end(ap);
	buf_addc(im->problems, '\n');
}

static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 1024 : *cap * 2;
	v = realloc(v, *cap * size);
	must(v != NULL);
	return v;
}

static bool is_address(struct str s)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;

	return addr_parse(s, &rules, &a) == ADDR_OK && !a.literal && a.domain.n > 0;
}

static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && strchr(".-_:[]", s.p[i]) == NULL)
			return false;
	return s.n <= 300;
}

static const char *problem_of(const struct import *im, const struct rcpt_record *rec)
{
	const struct str texts[] = { rec->mailbox_id, rec->source, rec->batch };

	if (rec->routing.n > 0 && !is_address(rec->routing))
		return "the routing address is not an address";
	if (rec->redirect.n > 0 && !is_address(rec->redirect))
		return "the redirect is not an address";
	if (!is_host(rec->local_host))
		return "local_host is not host or host:port";
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t j = 0; j < texts[i].n; j++)
			if (chr_is_ctl(texts[i].p[j]))
				return "a control character";
	return recipient_problem(im->domains, rec);
}

/* Normalizes into im->key and collects views of it; false with the problem reported. */
static bool normalize_all(struct import *im, size_t line, const struct rcpt_record *rec, struct str *out, size_t *n)
{
	size_t at[RECORD_ADDRS_MAX + 1] = { 0 };

	buf_reset(&im->key);
	for (size_t i = 0; i < rec->addr_n; i++) {
		if (!domain_normalize(im->domains, rec->addrs[i], &im->key)) {
			import_problem(im, line, "not an address: " STR_FMT, STR_ARG(rec->addrs[i]));
			return false;
		}
		at[i + 1] = im->key.n;
	}
	*n = 0;
	for (size_t i = 0; i < rec->addr_n; i++) {
		struct str a = str_n(im->key.p + at[i], at[i + 1] - at[i]);
		bool seen = false;
		for (size_t j = 0; j < *n && !seen; j++)
			seen = str_eq(out[j], a);
		if (!seen)
			out[(*n)++] = a;
	}
	return true;
}

/* Owner, senders and members in normal form; false with the problem reported. */
static bool normalize_lists(struct import *im, size_t line, struct rcpt_record *rec)
{
	uint64_t most = (uint64_t)im->domains->recipients.group_members;
	const char *problem = recipient_normal(im->domains, rec, &im->lists);
	struct str bad;

	buf_reset(&im->list);
	if (problem != NULL)
		import_problem(im, line, STR_FMT ": %s", STR_ARG(rec->primary), problem);
	else if (member_normalize(im->domains, rec->members, most, &im->list, &bad) == 0)
		return true;
	else if (bad.n > 0)
		import_problem(im, line, "not an address of a member: " STR_FMT, STR_ARG(bad));
	else
		import_problem(im, line, STR_FMT ": more than %llu members (recipients.group_members)",
			       STR_ARG(rec->primary), (unsigned long long)most);
	return false;
}

static void keep(struct import *im, size_t line, const struct rcpt_record *rec)
{
	struct str bytes, members = buf_str(&im->list), a;
	size_t at = 0;

	buf_reset(&im->bytes);
	record_encode(rec, &im->bytes);
	if (im->bytes.full || !arena_dup(&im->memory, buf_str(&im->bytes), &bytes) ||
	    (members.n > 0 && !arena_dup(&im->memory, members, &members)) || im->row_n >= ROW_GONE) {
		import_problem(im, line, "the record is too big");
		return;
	}
	im->rows = grow(im->rows, im->row_n, &im->row_cap, sizeof *im->rows);
	im->rows[im->row_n] = (struct import_row){
		.bytes = (char *)(uintptr_t)bytes.p, .n = (uint32_t)bytes.n, .members = members, .line = (uint32_t)line
	};
	while (record_next_addr(bytes, &at, &a)) {
		im->addrs = grow(im->addrs, im->addr_n, &im->addr_cap, sizeof *im->addrs);
		im->addrs[im->addr_n++] = (struct import_addr){ a.p, (uint32_t)im->row_n, (uint16_t)a.n, false };
	}
	im->row_n++;
}

void import_add(struct import *im, size_t line, const struct rcpt_record *rec)
{
	struct str addrs[RECORD_ADDRS_MAX];
	struct rcpt_record normal = *rec;
	const char *problem = problem_of(im, rec);

	must(rec->addr_n > 0);
	if (problem != NULL) {
		import_problem(im, line, STR_FMT ": %s", STR_ARG(rec->addrs[0]), problem);
		return;
	}
	normal.addrs = addrs;
	if (!normalize_all(im, line, rec, addrs, &normal.addr_n))
		return;
	normal.primary = addrs[0];
	if (normal.source.n == 0)
		normal.source = im->source;
	if (normalize_lists(im, line, &normal))
		keep(im, line, &normal);
	arena_fini(&im->lists);
}

static struct str row_bytes(const struct import_row *row)
{
	return str_n(row->bytes, row->n);
}

static struct str addr_str(const struct import_addr *a)
{
	return str_n(a->p, a->n);
}

/* ---- within the file ---- */

static int by_addr(const void *x, const void *y)
{
	const struct import_addr *a = x, *b = y;
	int rc = str_cmp(addr_str(a), addr_str(b));

	return rc != 0 ? rc : a->row < b->row ? -1 : a->row > b->row;
}

static void check_addresses_in_file(struct import *im)
{
	if (im->addr_n > 0)
		qsort(im->addrs, im->addr_n, sizeof *im->addrs, by_addr);
	for (size_t i = 1; i < im->addr_n; i++) {
		const struct import_addr *a = &im->addrs[i - 1], *b = &im->addrs[i];
		if (str_eq(addr_str(a), addr_str(b)))
			import_problem(im, im->rows[b->row].line, STR_FMT " is also an address of line %u",
				       STR_ARG(addr_str(b)), im->rows[a->row].line);
	}
}

static int by_mailbox(const void *x, const void *y)
{
	const struct import_row *a = *(struct import_row *const *)x, *b = *(struct import_row *const *)y;
	int rc = str_cmp(record_field(row_bytes(a), TAG_MAILBOX), record_field(row_bytes(b), TAG_MAILBOX));

	return rc != 0 ? rc : a->line < b->line ? -1 : a->line > b->line;
}

/* Two records for one mailbox: it would get mail twice, or the wrong one would be moved. */
static void check_mailboxes_in_file(struct import *im)
{
	struct import_row **v = malloc((im->row_n + 1) * sizeof(struct import_row *));
	size_t n = 0;

	must(v != NULL);
	for (size_t i = 0; i < im->row_n; i++)
		if (record_field(row_bytes(&im->rows[i]), TAG_MAILBOX).n > 0)
			v[n++] = &im->rows[i];
	if (n > 0)
		qsort(v, n, sizeof *v, by_mailbox);
	for (size_t i = 1; i < n; i++) {
		struct str a = record_field(row_bytes(v[i - 1]), TAG_MAILBOX);
		struct str b = record_field(row_bytes(v[i]), TAG_MAILBOX);
		if (str_eq(a, b))
			import_problem(im, v[i]->line, "mailbox_id " STR_FMT " is also that of line %u", STR_ARG(b),
				       v[i - 1]->line);
	}
	free(v);
}

/* ---- against the table ---- */

static void claim(struct claims *c, const unsigned char rid[RID_SIZE], uint32_t row)
{
	c->v = grow(c->v, c->n, &c->cap, sizeof *c->v);
	memcpy(c->v[c->n].rid, rid, RID_SIZE);
	c->v[c->n++].row = row;
}

static int by_rid(const void *a, const void *b)
{
	return memcmp(((const struct rid_row *)a)->rid, ((const struct rid_row *)b)->rid, RID_SIZE);
}

static void sort_claims(struct claims *c)
{
	if (c->n > 0)
		qsort(c->v, c->n, sizeof *c->v, by_rid);
}

static const struct rid_row *find_claim(const struct claims *c, const unsigned char rid[RID_SIZE])
{
	struct rid_row want;

	memcpy(want.rid, rid, RID_SIZE);
	return c->n == 0 ? NULL : bsearch(&want, c->v, c->n, sizeof *c->v, by_rid);
}

/* The record a row stands for: that of its mailbox, else the one whose primary address it has. */
static bool find_old(struct import *im, struct store_txn *t, struct import_row *row, struct str *old)
{
	struct str bytes = row_bytes(row), primary = record_primary(bytes);

	if (recipient_by_mailbox(im->r, t, record_field(bytes, TAG_MAILBOX), row->rid))
		return recipient_bytes(im->r, t, row->rid, old);
	return recipient_find(im->r, t, primary, row->rid, old) && str_eq(record_primary(*old), primary);
}

static void match_row(struct import *im, struct store_txn *t, uint32_t i, uint64_t serial, struct claims *c)
{
	struct import_row *row = &im->rows[i];
	struct str old, theirs, ours = record_field(row_bytes(row), TAG_SOURCE);

	if (!find_old(im, t, row, &old)) {
		rid_make(row->rid, serial, i);
		row->state = ROW_NEW;
		return;
	}
	theirs = record_field(old, TAG_SOURCE);
	if (theirs.n > 0 && ours.n > 0 && !str_eq(theirs, ours))
		import_problem(im, row->line, STR_FMT " comes from source " STR_FMT " already",
			       STR_ARG(record_primary(old)), STR_ARG(theirs));
	row->state = record_same(row_bytes(row), old) && member_same(im->r, t, row->rid, row->members) ? ROW_SAME
												       : ROW_CHANGED;
	claim(c, row->rid, i);
}

static void match_rows(struct import *im, struct store_txn *t, uint64_t serial, struct claims *c)
{
	for (size_t i = 0; i < im->row_n; i++)
		match_row(im, t, (uint32_t)i, serial, c);
	sort_claims(c);
	for (size_t i = 1; i < c->n; i++)
		if (by_rid(&c->v[i - 1], &c->v[i]) == 0) {
			uint32_t a = im->rows[c->v[i - 1].row].line, b = im->rows[c->v[i].row].line;
			import_problem(im, a > b ? a : b, "the same recipient as line %u", a > b ? b : a);
		}
}

/* Records of the source that the file does not name any more join the claims, as GONE. */
static void find_gone(struct import *im, struct store_txn *t, struct claims *c, uint64_t *of_source)
{
	struct store_cursor *at = store_seek(t, im->r->rcpt, STR_NONE);
	struct claims gone = { 0 };
	struct str rid, bytes;

	for (; store_at(at, &rid, &bytes); store_next(at)) {
		if (!str_eq(record_field(bytes, TAG_SOURCE), im->source))
			continue;
		++*of_source;
		if (find_claim(c, (const unsigned char *)rid.p) == NULL)
			claim(&gone, (const unsigned char *)rid.p, ROW_GONE);
	}
	store_cursor_close(&at);
	for (size_t i = 0; i < gone.n; i++)
		claim(c, gone.v[i].rid, ROW_GONE);
	sort_claims(c);
	im->report.removed = gone.n;
	free(gone.v);
}

/* A directory that lost half its users is more often broken than right. */
static void guard_deletions(struct import *im, uint64_t of_source, uint64_t accepted)
{
	const struct conf_recipients *c = &im->domains->recipients;
	uint64_t gone = im->report.removed;

	if (im->report.errors > 0 || gone == accepted || gone <= (uint64_t)c->delete_threshold ||
	    gone * 100 <= (uint64_t)c->delete_percent * of_source)
		return;
	im->report.errors++;
	buf_addf(im->problems, "%s: %llu of %llu recipients would be removed; accept exactly %llu deletions to do it\n",
		 im->file, (unsigned long long)gone, (unsigned long long)of_source, (unsigned long long)gone);
}

/* An address may be taken from a record that this import rewrites or removes, from no other. */
static void check_addresses_in_table(struct import *im, struct store_txn *t, const struct claims *c)
{
	unsigned char rid[RID_SIZE];
	struct str owner;

	for (size_t i = 0; i < im->addr_n; i++) {
		struct import_addr *a = &im->addrs[i];
		const struct import_row *row = &im->rows[a->row];
		if (!recipient_rid(im->r, t, addr_str(a), rid))
			continue;
		a->stored = memcmp(rid, row->rid, RID_SIZE) == 0;
		if (!a->stored && find_claim(c, rid) == NULL && recipient_bytes(im->r, t, rid, &owner))
			import_problem(im, row->line, STR_FMT " belongs to " STR_FMT, STR_ARG(addr_str(a)),
				       STR_ARG(record_primary(owner)));
	}
}

/* ---- apply ---- */

static void apply_gone(struct import *im, struct store_txn *t, const struct claims *c)
{
	struct str old;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].row == ROW_GONE && recipient_bytes(im->r, t, c->v[i].rid, &old))
			recipient_drop(im->r, t, c->v[i].rid, old);
}

static void apply_rows(struct import *im, struct store_txn *t, uint64_t serial, int64_t now_ms)
{
	for (size_t i = 0; i < im->row_n; i++) {
		struct import_row *row = &im->rows[i];
		struct str old = STR_NONE;
		if (row->state == ROW_SAME)
			continue;
		if (row->state == ROW_CHANGED)
			recipient_bytes(im->r, t, row->rid, &old);
		record_stamp(row->bytes, serial, now_ms);
		recipient_put(im->r, t, row->rid, row_bytes(row), old);
		if (!member_same(im->r, t, row->rid, row->members))
			member_put(im->r, t, row->rid, row->members, serial);
	}
}

/* After apply_rows and apply_gone, whose deletions may name the same addresses. */
static void apply_addrs(struct import *im, struct store_txn *t)
{
	for (size_t i = 0; i < im->addr_n; i++)
		if (!im->addrs[i].stored)
			recipient_put_addr(im->r, t, addr_str(&im->addrs[i]), im->rows[im->addrs[i].row].rid);
}

static void count_rows(struct import *im)
{
	for (size_t i = 0; i < im->row_n; i++) {
		im->report.added += im->rows[i].state == ROW_NEW;
		im->report.changed += im->rows[i].state == ROW_CHANGED;
		im->report.unchanged += im->rows[i].state == ROW_SAME;
	}
}

static int apply(struct import *im, bool replace, uint64_t accept_deletes, bool dry_run)
{
	struct table_state s;
	struct claims c = { 0 };
	uint64_t of_source = 0;
	struct store_txn *t = store_write(im->r->store, im->e);
	int rc = t == NULL ? -1 : state_read(im->r, t, &s, im->e);

	if (rc == 0) {
		s.serial++;
		match_rows(im, t, s.serial, &c);
		if (replace)
			find_gone(im, t, &c, &of_source);
		guard_deletions(im, of_source, accept_deletes);
		check_addresses_in_table(im, t, &c);
		count_rows(im);
	}
	if (rc == 0 && im->report.errors == 0 && !dry_run) {
		s.imported_ms = clock_wall_ms();
		apply_gone(im, t, &c);
		apply_rows(im, t, s.serial, s.imported_ms);
		apply_addrs(im, t);
		state_write(im->r, t, &s);
		rc = store_commit(&t, im->e);
		im->report.applied = rc == 0;
		if (rc == 0)
			known_moved(im->r, s.serial - 1, s.serial);
		im->report.serial = s.serial;
	}
	store_abort(&t);
	free(c.v);
	return rc;
}

static void import_init(struct import *im, struct routing *r, const char *path, struct str source, struct buf *problems,
			struct err *e)
{
	*im = (struct import){ .r = r, .file = path, .source = source, .problems = problems, .e = e };
	im->domains = routing_domains(r);
	arena_init(&im->memory, (size_t)MEMORY_GIB << 30);
	buf_init(&im->key, 1 << 20);
	buf_init(&im->bytes, RECORD_MAX);
	buf_init(&im->list, (size_t)im->domains->recipients.group_members * MEMBER_BYTES);
	arena_init(&im->lists, 4 * RECORD_MAX);
}

static void import_fini(struct import *im)
{
	domain_set_unref(&im->domains);
	arena_fini(&im->memory);
	buf_fini(&im->key);
	buf_fini(&im->bytes);
	buf_fini(&im->list);
	arena_fini(&im->lists);
	free(im->rows);
	free(im->addrs);
	malloc_trim(0); /* hundreds of MB that the daemon will not need again */
}

int routing_import(struct routing *r, const char *path, enum import_format f, struct str source, bool replace,
		   uint64_t accept_deletes, bool dry_run, struct import_report *out, struct buf *problems,
		   struct err *e)
{
	struct import im;
	struct import_lines in;
	int rc = 0;

	if (import_open(&in, path, e) != 0)
		return -1;
	import_init(&im, r, path, source, problems, e);
	if (f == IMPORT_CSV)
		import_csv(&im, &in);
	else
		import_ldif(&im, &in);
	if (in.failed)
		rc = err_sys(e, ERR_IO, "recipients.import", "cannot read %s after line %zu", path, in.line);
	import_close(&in);
	if (rc == 0) {
		check_addresses_in_file(&im);
		check_mailboxes_in_file(&im);
		rc = apply(&im, replace, accept_deletes, dry_run);
	}
	if (rc == 0 && im.report.errors > PROBLEMS_SHOWN)
		buf_addf(problems, "%s: %llu more\n", path, (unsigned long long)(im.report.errors - PROBLEMS_SHOWN));
	if (rc == 0)
		*out = im.report;
	import_fini(&im);
	return rc;
}
