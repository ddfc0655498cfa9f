/* routing/export.c: the table as CSV that imports again, in order of rid, from one read transaction. */
#include "routing/recipient.h"

#include "base/must.h"
#include "routing/member.h"

#include <unistd.h>

enum { CHUNK = 256 * 1024, ROW_MEMORY = 4 * RECORD_MAX };

struct out {
	struct buf *to; /* all of it, or a chunk on its way to fd */
	int fd;         /* -1: none */
};

static void put_cell(struct buf *b, struct str s)
{
	bool quote =
		str_chr(s, ',') >= 0 || str_chr(s, '"') >= 0 || (s.n > 0 && (s.p[0] == ' ' || s.p[s.n - 1] == ' '));

	if (quote)
		buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			buf_addc(b, '"');
		buf_addc(b, s.p[i]);
	}
	if (quote)
		buf_addc(b, '"');
	buf_addc(b, ',');
}

static void put_aliases(struct buf *b, const struct rcpt_record *rec)
{
	struct buf list;

	buf_init(&list, RECORD_MAX);
	for (size_t i = 1; i < rec->addr_n; i++) {
		if (i > 1)
			buf_addc(&list, ';');
		buf_add(&list, rec->addrs[i]);
	}
	put_cell(b, buf_str(&list));
	buf_fini(&list);
}

static int flush(struct out *o, size_t least, struct err *e)
{
	struct str rest = buf_str(o->to);

	if (o->fd < 0 || rest.n < least)
		return 0;
	while (rest.n > 0) {
		ssize_t n = write(o->fd, rest.p, rest.n);
		if (n < 0)
			return err_sys(e, ERR_IO, "recipients.export", "cannot write");
		rest = str_skip(rest, (size_t)n);
	}
	buf_reset(o->to);
	return 0;
}

/* Always quoted, chunk by chunk: a large group is larger than any buffer here should be. */
static int put_members(struct routing *r, struct store_txn *t, struct out *o, const unsigned char rid[RID_SIZE],
		       struct err *e)
{
	struct str lines;
	int rc = 0;

	for (uint32_t at = 0; rc == 0 && member_chunk(r, t, rid, at, &lines); at++) {
		if (at == 0)
			buf_addc(o->to, '"');
		for (size_t i = 0; i < lines.n; i++) {
			bool last_of_chunk = i + 1 == lines.n;
			if (lines.p[i] == '"')
				buf_addc(o->to, '"');
			if (lines.p[i] != '\n' || !last_of_chunk)
				buf_addc(o->to, lines.p[i] == '\n' ? ';' : lines.p[i]);
		}
		struct str more;
		buf_addc(o->to, member_chunk(r, t, rid, at + 1, &more) ? ';' : '"');
		rc = flush(o, CHUNK, e);
	}
	buf_addc(o->to, '\n');
	return rc;
}

static void put_row(struct buf *b, const struct rcpt_record *rec)
{
	put_cell(b, rec->primary);
	put_cell(b, str_c(loc_name(rec->loc)));
	put_cell(b, rec->routing);
	put_aliases(b, rec);
	put_cell(b, rec->local_host);
	put_cell(b, rec->mailbox_id);
	put_cell(b, rec->source);
	put_cell(b, rec->redirect);
	put_cell(b, rec->keep_copy ? S("yes") : S("no"));
	put_cell(b, rec->require_auth ? S("yes") : S("no"));
	put_cell(b, rec->expand_at != EXPAND_HOME ? str_c(expand_name(rec->expand_at)) : STR_NONE);
	put_cell(b, rec->report_to != REPORT_SENDER ? str_c(report_name(rec->report_to)) : STR_NONE);
	put_cell(b, rec->owner);
	put_cell(b, rec->allow);
	put_cell(b, rec->deny);
	put_cell(b, rec->external_ok ? S("yes") : S("no"));
}

static int put_all(struct routing *r, struct store_txn *t, struct out *o, struct err *e)
{
	struct store_cursor *c = store_seek(t, r->rcpt, STR_NONE);
	struct rcpt_record rec;
	struct arena arena;
	struct str rid, bytes;
	int rc = 0;

	arena_init(&arena, ROW_MEMORY);
	for (; rc == 0 && store_at(c, &rid, &bytes); store_next(c)) {
		struct arena_mark m = arena_mark(&arena);
		rc = record_decode((const unsigned char *)rid.p, bytes, &arena, &rec, e);
		if (rc == 0) {
			put_row(o->to, &rec);
			rc = put_members(r, t, o, rec.rid, e);
			if (rc == 0)
				rc = flush(o, CHUNK, e);
		}
		arena_rewind(&arena, m);
	}
	arena_fini(&arena);
	store_cursor_close(&c);
	return rc;
}

int routing_export(struct routing *r, struct buf *csv_or_null, int fd, struct err *e)
{
	struct buf chunk;
	struct out o = { .to = csv_or_null != NULL ? csv_or_null : &chunk, .fd = csv_or_null != NULL ? -1 : fd };
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL ? -1 : 0;

	buf_init(&chunk, 2 * CHUNK);
	buf_add(o.to, S("address,loc,routing,aliases,local_host,mailbox_id,source,redirect,keep_copy,require_auth,"
			"expand_at,report_to,owner,allow,deny,external_ok,members\n"));
	if (rc == 0)
		rc = put_all(r, t, &o, e);
	if (rc == 0)
		rc = flush(&o, 1, e);
	if (rc == 0 && o.to->full)
		rc = err_set(e, ERR_TOO_BIG, "recipients.export", "the table does not fit the buffer");
	store_abort(&t);
	buf_fini(&chunk);
	return rc;
}
