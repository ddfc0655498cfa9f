/* smtpd/control_bypass.c: `cmt verify FILE`: did this message pass by the on-prem side, and is that signed by us?
 *
 * For whoever inspects later what could not be inspected in time (spec 1.7): a message out of a journal or mailbox. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "wire/header.h"

#include <errno.h>
#include <stdio.h>

enum { HEADER_BYTES_MAX = 1 << 20, HEADER_FIELDS_MAX = 10000, NOTE_MEMORY = 64 * 1024 };

struct reading {
	struct arena arena;
	struct token_message message;
	struct str bypass; /* the field's value; the first one */
	bool full;
};

static void on_field(void *arg, const struct header_field *f)
{
	struct reading *r = arg;
	const struct {
		struct str name;
		struct str *to;
	} wanted[] = { { S("Message-ID"), &r->message.message_id },
		       { S("Date"), &r->message.date },
		       { S("From"), &r->message.from },
		       { S("X-Tombolo-Bypass"), &r->bypass } };

	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if (str_ieq(f->name, wanted[i].name) && wanted[i].to->p == NULL)
			r->full |= !arena_dup(&r->arena, f->value, wanted[i].to);
}

/* The header of a file; its lines may end in LF alone, as files do. */
static int read_header(struct str path, struct reading *r, struct err *e)
{
	struct header_scan scan;
	char line[4096];
	FILE *f = fopen(path.p, "re");

	if (f == NULL)
		return err_set(e, ERR_IO, "control.bypass", "%s: %s", path.p, strerror(errno));
	header_scan_init(&scan, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, STR_NONE);
	scan.on_field = on_field;
	scan.arg = r;
	while (!scan.done && !scan.too_big && fgets(line, sizeof line, f) != NULL) {
		struct str s = str_c(line);
		bool ends = s.n > 0 && s.p[s.n - 1] == '\n';
		s.n -= ends;
		s.n -= ends && s.n > 0 && s.p[s.n - 1] == '\r';
		header_scan_add(&scan, s);
		if (ends && !scan.done)
			header_scan_add(&scan, S("\r\n"));
	}
	header_scan_finish(&scan);
	bool bad = scan.too_big || r->full;
	header_scan_fini(&scan);
	fclose(f);
	return bad ? err_set(e, ERR_TOO_BIG, "control.bypass", "%s: its header is too big", path.p) : 0;
}

static void verdict_row(struct call *c, enum token_verdict v, const struct token *t)
{
	json_t *row = json_object();

	row_c(row, "verdict", token_verdict_name(v));
	if (v == TOKEN_VALID || v == TOKEN_STALE) {
		row_c(row, "key", t->key->id);
		row_c(row, "site", conf_site_name(t->premises));
		row_uint(row, "epoch", t->epoch);
		row_int(row, "signed_ms", (int64_t)t->unix_s * 1000);
	}
	call_row(c, row);
}

static void verify(struct call *c, const struct reading *r, const struct token_keys *keys)
{
	unsigned char message[TOKEN_SHORT];
	struct token t;

	token_bind(&r->message, message);
	enum token_verdict v = token_verify_bypass(keys, r->bypass, message, clock_wall_ms(), &t);
	verdict_row(c, v, &t);
	if (v == TOKEN_VALID || v == TOKEN_STALE) /* old, and still what happened */
		call_end(c, CALL_OK, NULL);
	else
		call_end(c, CALL_PARTLY, "the X-Tombolo-Bypass field is not ours: %s", token_verdict_name(v));
}

void run_cmt_verify(struct call *c)
{
	struct reading r = { 0 };
	struct token_keys keys;
	struct err e = { 0 };

	if (c->config->loop.token_key.n == 0) {
		call_end(c, CALL_PARTLY, "there are no keys: loop.token_key is not set");
		return;
	}
	arena_init(&r.arena, NOTE_MEMORY);
	if (read_header(args_text(c, "FILE"), &r, &e) != 0 ||
	    token_keys_load(c->config->loop.token_key.p, &keys, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
	} else {
		if (r.bypass.n == 0)
			call_end(c, CALL_NOTHING, "it has no X-Tombolo-Bypass field: it did not pass by");
		else
			verify(c, &r, &keys);
		token_keys_fini(&keys);
	}
	arena_fini(&r.arena);
}
