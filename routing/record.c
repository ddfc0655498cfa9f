/* routing/record.c: a recipient as bytes and back; see the header for the layout. */
#include "routing/record.h"

#include "base/must.h"
#include "base/store.h"

#include <string.h>

enum { FORMAT = 1, FLAG_KEEP_COPY = 1, FLAG_REQUIRE_AUTH = 2, FLAG_EXTERNAL_OK = 4, LOC_N = LOC_DISABLED + 1 };
enum { AT_LOC = 1, AT_FLAGS = 2, AT_VERSION = 3, AT_CHANGED = 11 };

static void put_field(struct buf *out, enum record_tag tag, struct str value)
{
	if (value.n == 0)
		return;
	if (value.n > UINT16_MAX) {
		out->full = true;
		return;
	}
	buf_addc(out, (char)tag);
	buf_addc(out, (char)(value.n >> 8));
	buf_addc(out, (char)(value.n & 255));
	buf_add(out, value);
}

static void put_word(struct buf *out, enum record_tag tag, unsigned word)
{
	char c = (char)word;

	put_field(out, tag, str_n(&c, word != 0));
}

void record_stamp(char *bytes, uint64_t version, int64_t changed_ms)
{
	store_key64((unsigned char *)bytes + AT_VERSION, version);
	store_key64((unsigned char *)bytes + AT_CHANGED, (uint64_t)changed_ms);
}

void record_encode(const struct rcpt_record *r, struct buf *out)
{
	char head[RECORD_HEAD] = { FORMAT, (char)r->loc };

	must(r->addr_n > 0);
	head[AT_FLAGS] = (char)((r->keep_copy ? FLAG_KEEP_COPY : 0) | (r->require_auth ? FLAG_REQUIRE_AUTH : 0) |
				(r->external_ok ? FLAG_EXTERNAL_OK : 0));
	record_stamp(head, r->version, r->changed_ms);
	buf_add(out, str_n(head, sizeof head));
	for (size_t i = 0; i < r->addr_n; i++)
		put_field(out, TAG_ADDR, r->addrs[i]);
	put_field(out, TAG_ROUTING, r->routing);
	put_field(out, TAG_HOST, r->local_host);
	put_field(out, TAG_MAILBOX, r->mailbox_id);
	put_field(out, TAG_SOURCE, r->source);
	put_field(out, TAG_BATCH, r->batch);
	put_field(out, TAG_REDIRECT, r->redirect);
	put_word(out, TAG_EXPAND, r->expand_at);
	put_word(out, TAG_REPORT, r->report_to);
	put_field(out, TAG_OWNER, r->owner);
	put_field(out, TAG_ALLOW, r->allow);
	put_field(out, TAG_DENY, r->deny);
}

bool record_same(struct str a, struct str b)
{
	return a.n >= RECORD_HEAD && a.n == b.n && a.p[AT_LOC] == b.p[AT_LOC] && a.p[AT_FLAGS] == b.p[AT_FLAGS] &&
	       str_eq(str_skip(a, RECORD_HEAD), str_skip(b, RECORD_HEAD));
}

/* The next field from *at; false at the end and for bytes that are no field. */
static bool next_field(struct str bytes, size_t *at, unsigned *tag, struct str *value)
{
	if (*at == 0)
		*at = RECORD_HEAD;
	if (bytes.n < 3 || *at > bytes.n - 3)
		return false;
	const unsigned char *p = (const unsigned char *)bytes.p + *at;
	size_t n = (size_t)p[1] << 8 | p[2];
	if (bytes.n - *at - 3 < n)
		return false;
	*tag = p[0];
	*value = str_n(p + 3, n);
	*at += 3 + n;
	return true;
}

bool record_next_addr(struct str bytes, size_t *at, struct str *addr)
{
	size_t next = *at;
	unsigned tag;

	if (!next_field(bytes, &next, &tag, addr) || tag != TAG_ADDR)
		return false;
	*at = next;
	return true;
}

struct str record_primary(struct str bytes)
{
	struct str addr;
	size_t at = 0;

	return record_next_addr(bytes, &at, &addr) ? addr : STR_NONE;
}

struct str record_field(struct str bytes, enum record_tag tag)
{
	struct str value;
	size_t at = 0;
	unsigned t;

	while (next_field(bytes, &at, &t, &value))
		if (t == (unsigned)tag)
			return value;
	return STR_NONE;
}

/* A stored enum: one byte, below `n`. */
static bool get_word(struct str value, unsigned n, unsigned *out)
{
	*out = value.n == 1 ? (unsigned char)value.p[0] : n;
	return *out < n;
}

static bool set_field(struct rcpt_record *r, unsigned tag, struct str value)
{
	unsigned word;

	switch (tag) {
	case TAG_ADDR:
		r->addrs[r->addr_n++] = value;
		return true;
	case TAG_ROUTING:
		r->routing = value;
		return true;
	case TAG_HOST:
		r->local_host = value;
		return true;
	case TAG_MAILBOX:
		r->mailbox_id = value;
		return true;
	case TAG_SOURCE:
		r->source = value;
		return true;
	case TAG_BATCH:
		r->batch = value;
		return true;
	case TAG_REDIRECT:
		r->redirect = value;
		return true;
	case TAG_EXPAND:
		if (!get_word(value, EXPAND_HERE + 1, &word))
			return false;
		r->expand_at = (enum rcpt_expand)word;
		return true;
	case TAG_REPORT:
		if (!get_word(value, REPORT_NONE + 1, &word))
			return false;
		r->report_to = (enum rcpt_report)word;
		return true;
	case TAG_OWNER:
		r->owner = value;
		return true;
	case TAG_ALLOW:
		r->allow = value;
		return true;
	case TAG_DENY:
		r->deny = value;
		return true;
	default:
		return false;
	}
}

static size_t count_addrs(struct str bytes)
{
	struct str addr;
	size_t at = 0, n = 0;

	while (record_next_addr(bytes, &at, &addr))
		n++;
	return n;
}

int record_decode(const unsigned char rid[16], struct str bytes, struct arena *arena, struct rcpt_record *out,
		  struct err *e)
{
	struct rcpt_record r = { 0 };
	struct str value;
	size_t at = 0, addr_n = count_addrs(bytes);
	unsigned tag;

	if (bytes.n < RECORD_HEAD || bytes.p[0] != FORMAT || (unsigned char)bytes.p[AT_LOC] >= LOC_N || addr_n == 0)
		return err_set(e, ERR_CORRUPT, "recipient.decode", "a recipient record does not check");
	r.addrs = arena_alloc(arena, addr_n * sizeof *r.addrs);
	if (r.addrs == NULL || !arena_dup(arena, bytes, &bytes))
		return err_set(e, ERR_TOO_BIG, "recipient.decode", "no memory left for a recipient record");
	memcpy(r.rid, rid, sizeof r.rid);
	r.loc = (enum rcpt_loc)bytes.p[AT_LOC];
	r.keep_copy = (bytes.p[AT_FLAGS] & FLAG_KEEP_COPY) != 0;
	r.require_auth = (bytes.p[AT_FLAGS] & FLAG_REQUIRE_AUTH) != 0;
	r.external_ok = (bytes.p[AT_FLAGS] & FLAG_EXTERNAL_OK) != 0;
	r.version = store_num64(str_skip(bytes, AT_VERSION));
	r.changed_ms = (int64_t)store_num64(str_skip(bytes, AT_CHANGED));
	while (next_field(bytes, &at, &tag, &value))
		if (r.addr_n == addr_n && tag == TAG_ADDR)
			break;
		else if (!set_field(&r, tag, value))
			break;
	if (at != bytes.n)
		return err_set(e, ERR_CORRUPT, "recipient.decode", "a recipient record does not check");
	r.primary = r.addrs[0];
	*out = r;
	return 0;
}
