/* connectors/queue_file.c: three kinds of lines, one table of keys for each; writing and reading go by the same rows.
 */
#include "connectors/queue_file.h"

#include "base/must.h"
#include "wire/addr.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEX = 2 * MAC_SIZE, READ_STEP = 64 * 1024, LINE_MAX_BYTES = 16 * 1024 };

static const struct str queue_line = STR_LIT("X-Tombolo-Queue: 1"), sender_line = STR_LIT("X-Sender:"),
			receiver_line = STR_LIT("X-Receiver:"), end_line = STR_LIT("X-Tombolo-End:"),
			end_mark = STR_LIT("\r\nX-Tombolo-End:"), any_version = STR_LIT("X-Tombolo-Queue: ");

/* ---- the keys ---- */

enum kind {
	K_ID,    /* uint64_t as queue_put_id writes it */
	K_U64,   /* uint64_t or int64_t that is never negative */
	K_UINT,  /* unsigned, uint32_t */
	K_FLAG,  /* bool: the key alone */
	K_WORD,  /* enum: one of `words` */
	K_TEXT,  /* any bytes but controls */
	K_XTEXT, /* text that goes into a command as it is */
	K_ORCPT,
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t max;             /* K_UINT */
	const char *const *words; /* K_WORD; ends with NULL */
};

static const char *const ret_words[] = { "", "full", "hdrs", NULL };
static const char *const body_words[] = { "", "8bitmime", "binarymime", NULL };
static const char *const origin_words[] = { "", "peer", "local", "app", "partner", "self", NULL };
static const char *const class_words[] = { "", "int", "ext", NULL };
static const char *const org_words[] = { "", "ok", "other", NULL };
static const char *const journal_words[] = { "", "done", "report", "alternate", NULL };

struct row { /* of a recipient */
	struct env_rcpt rcpt;
	struct queue_past past;
};

#define M(m) .offset = offsetof(struct queue_file, m)
#define R(m) .offset = offsetof(struct row, m)
static const struct key queue_keys[] = {
	{ "id", K_ID, M(id) },
	{ "trace", K_TEXT, M(env.trace_id) },
	{ "arrived", K_U64, M(env.arrived_ms) },
	{ "origin", K_WORD, M(env.origin), .words = origin_words }, /* none: the Internet */
	{ "class", K_WORD, M(env.class), .words = class_words },
	{ "org", K_WORD, M(env.org), .words = org_words },
	{ "receive", K_TEXT, M(env.receive) },
	{ "inbound", K_TEXT, M(env.inbound) },
	{ "client", K_TEXT, M(env.client) },
	{ "helo", K_TEXT, M(env.helo) },
	{ "tls", K_TEXT, M(env.tls) },
	{ "epoch", K_U64, M(env.epoch) },
	{ "serial", K_U64, M(env.serial) },
	{ "hops", K_UINT, M(env.hops), .max = 100000 },
	{ "journal", K_WORD, M(env.journal), .words = journal_words },
	{ "journal-rule", K_TEXT, M(env.rule) },
	{ "plain-headers", K_FLAG, M(env.plain_headers) },
	{ 0 },
};
static const struct key sender_keys[] = {
	{ "ret", K_WORD, M(env.ret), .words = ret_words },
	{ "envid", K_XTEXT, M(env.envid) },
	{ "body", K_WORD, M(env.body), .words = body_words },
	{ "smtputf8", K_FLAG, M(env.smtputf8) },
	{ "xoorg", K_TEXT, M(env.xorg) },
	{ 0 },
};
static const struct key receiver_keys[] = {
	{ "orcpt", K_ORCPT, R(rcpt.orcpt) },
	{ "notify", K_UINT, R(rcpt.notify), .max = 15 },
	{ "token", K_FLAG, R(rcpt.token_seen) },
	{ "followed", K_FLAG, R(rcpt.followed) },
	{ "generation", K_UINT, R(rcpt.generation), .max = ENV_GENERATION_MAX },
	{ "number", K_UINT, R(past.number), .max = UINT32_MAX },
	{ "held", K_FLAG, R(past.held) },
	{ "attempts", K_UINT, R(past.attempts), .max = UINT16_MAX },
	{ "due", K_U64, R(past.due_ms) },
	{ "delay-told", K_FLAG, R(past.delay_told) },
	{ "note", K_UINT, R(past.note), .max = QUEUE_NOTE_MAX },
	{ "last", K_TEXT, R(past.last) },
	{ 0 },
};
#undef M
#undef R
static const struct key end_keys[] = {
	{ "size", K_U64, .offset = offsetof(struct queue_file, size) },
	{ 0 },
};

/* ---- writing ---- */

static void put_coded(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i])) /* in a text of a remote host, at most */
			buf_addc(b, '?');
		else if (chr_is_8bit(s.p[i]) || s.p[i] == ' ' || s.p[i] == '%')
			buf_addf(b, "%%%02X", (unsigned)(unsigned char)s.p[i]);
		else
			buf_addc(b, s.p[i]);
}

static void put_hex(struct buf *b, const unsigned char sum[MAC_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < MAC_SIZE; i++) {
		buf_addc(b, digits[sum[i] >> 4]);
		buf_addc(b, digits[sum[i] & 15]);
	}
}

static uint64_t u64_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static unsigned uint_at(const void *p)
{
	unsigned v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* Appends the value behind "key="; false: it is nothing to speak of. */
static bool put_value(struct buf *b, const struct key *k, const void *at)
{
	struct str text;

	switch (k->kind) {
	case K_ID:
		queue_put_id(b, u64_at(at));
		return true;
	case K_U64:
		buf_addu(b, u64_at(at));
		return u64_at(at) != 0;
	case K_UINT:
		buf_addu(b, uint_at(at));
		return uint_at(at) != 0;
	case K_FLAG:
		return *(const bool *)at;
	case K_WORD:
		buf_add(b, str_c(k->words[uint_at(at)]));
		return uint_at(at) != 0;
	case K_TEXT:
	case K_XTEXT:
	case K_ORCPT:
		memcpy(&text, at, sizeof text);
		put_coded(b, text);
		return text.n > 0;
	}
	return false;
}

static void put_keys(struct buf *b, const struct key *k, const void *base)
{
	for (; k->name != NULL; k++) {
		size_t before = b->n;
		buf_addc(b, ' ');
		buf_add(b, str_c(k->name));
		if (k->kind != K_FLAG)
			buf_addc(b, '=');
		if (!put_value(b, k, (const char *)base + k->offset))
			b->n = before;
	}
}

static void put_address(struct buf *b, struct str line, struct str address)
{
	buf_add(b, line);
	buf_add(b, S(" <"));
	put_coded(b, address);
	buf_addc(b, '>');
}

void queue_file_put(struct buf *b, const struct queue_file *f)
{
	size_t at = b->n;
	unsigned char sum[MAC_SIZE];

	buf_add(b, queue_line);
	put_keys(b, queue_keys, f);
	buf_add(b, S("\r\n"));
	put_address(b, sender_line, f->env.from);
	put_keys(b, sender_keys, f);
	buf_add(b, S("\r\n"));
	for (size_t i = 0; i < f->env.rcpt_n; i++) {
		const struct row row = { f->env.rcpts[i], f->past[i] };
		put_address(b, receiver_line, row.rcpt.addr);
		put_keys(b, receiver_keys, &row);
		buf_add(b, S("\r\n"));
	}
	buf_add(b, end_line);
	buf_addf(b, " size=%llu sha256=", (unsigned long long)f->size);
	put_hex(b, f->sum);
	buf_addc(b, ' ');
	mac_sha256(str_skip(buf_str(b), at), sum);
	buf_add(b, S("head="));
	put_hex(b, sum);
	buf_add(b, S("\r\n"));
}

/* ---- reading ---- */

static int hex_digit(char c)
{
	c = chr_lower(c);
	return chr_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX in place: views into our own buffer, which only get shorter.  False: not written by us, or a control byte. */
static bool decode(struct str *s)
{
	char *to = (char *)(uintptr_t)s->p;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		char c = s->p[i];
		if (chr_is_ctl(c) || chr_is_8bit(c) || c == ' ')
			return false;
		if (c == '%') {
			int high = i + 2 < s->n ? hex_digit(s->p[i + 1]) : -1;
			int low = high < 0 ? -1 : hex_digit(s->p[i + 2]);
			if (low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (chr_is_ctl(c))
			return false;
		to[n++] = c;
	}
	s->n = n;
	return true;
}

static bool is_orcpt(struct str s)
{
	struct str type, address;

	return str_cut(s, ';', &type, &address) && type.n > 0 && address.n > 0 && s.n <= 500 && addr_is_utf8(s) &&
	       str_chr(s, ' ') < 0;
}

static bool get_text(const struct key *k, struct str value, void *at)
{
	if (!decode(&value) || (k->kind == K_XTEXT && !addr_is_xtext(value)) ||
	    (k->kind == K_ORCPT && !is_orcpt(value)))
		return false;
	memcpy(at, &value, sizeof value);
	return true;
}

static bool get_word(const struct key *k, struct str value, void *at)
{
	for (unsigned i = 1; k->words[i] != NULL; i++)
		if (str_eq(value, str_c(k->words[i]))) {
			memcpy(at, &i, sizeof i);
			return true;
		}
	return false;
}

static bool get_value(const struct key *k, bool has_value, struct str value, void *at)
{
	uint64_t v;
	unsigned small;

	if (has_value != (k->kind != K_FLAG))
		return false;
	switch (k->kind) {
	case K_ID:
		if (!queue_parse_id(value, &v))
			return false;
		memcpy(at, &v, sizeof v);
		return true;
	case K_U64:
		if (!str_u64(value, INT64_MAX, &v))
			return false;
		memcpy(at, &v, sizeof v);
		return true;
	case K_UINT:
		if (!str_u64(value, k->max, &v))
			return false;
		small = (unsigned)v;
		memcpy(at, &small, sizeof small);
		return true;
	case K_FLAG:
		*(bool *)at = true;
		return true;
	case K_WORD:
		return get_word(k, value, at);
	case K_TEXT:
	case K_XTEXT:
	case K_ORCPT:
		return get_text(k, value, at);
	}
	return false;
}

struct reading {
	struct queue_file *f;
	struct str rest;
	unsigned line;
	size_t rcpt_n, rcpt_cap;
	struct err *e;
};

static bool bad(struct reading *r, const char *what, struct str word)
{
	err_set(r->e, ERR_SYNTAX, "queue.file", "line %u: %s%s" STR_FMT, r->line, what, word.n > 0 ? ": " : "",
		STR_ARG(str_head(word, 60)));
	return false;
}

static bool get_keys(struct reading *r, const struct key *keys, void *base, struct str words)
{
	struct str word, name, value;

	while ((word = str_word(&words)).n > 0) {
		bool has_value = str_cut(word, '=', &name, &value);
		const struct key *k = keys;
		while (k->name != NULL && !str_eq(name, str_c(k->name)))
			k++;
		if (k->name == NULL)
			return bad(r, "unknown key (written by a newer version?)", word);
		if (!get_value(k, has_value, value, (char *)base + k->offset))
			return bad(r, "this value cannot be", word);
	}
	return true;
}

/* " <address> key=value ..." */
static bool get_address(struct reading *r, struct str *words, struct str *address, bool may_be_empty)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true, .allow_bare_local = true };
	struct str word = str_word(words);
	struct addr a;

	if (word.n < 2 || word.p[0] != '<' || word.p[word.n - 1] != '>')
		return bad(r, "an address in <> is expected", word);
	*address = str_n(word.p + 1, word.n - 2);
	if (!decode(address))
		return bad(r, "this address cannot be", word);
	if (may_be_empty && address->n == 0)
		return true;
	enum addr_error what = addr_parse(*address, &rules, &a);
	if ((what != ADDR_OK && what != ADDR_LITERAL) || a.whole.n != address->n || !addr_is_clean(*address))
		return bad(r, "this address cannot be", word);
	return true;
}

static bool next_line(struct reading *r, struct str prefix, struct str *words)
{
	ssize_t end = str_find(r->rest, S("\r\n"));
	struct str line = str_head(r->rest, end < 0 ? 0 : (size_t)end);

	r->line++;
	if (end < 0 || line.n > LINE_MAX_BYTES || !str_starts(line, prefix) ||
	    (line.n > prefix.n && line.p[prefix.n] != ' '))
		return false;
	*words = str_skip(line, prefix.n);
	r->rest = str_skip(r->rest, (size_t)end + 2);
	return true;
}

static void make_room(struct reading *r)
{
	struct queue_file *f = r->f;

	if (r->rcpt_n < r->rcpt_cap)
		return;
	r->rcpt_cap = r->rcpt_cap == 0 ? 8 : r->rcpt_cap * 2;
	f->rcpts = reallocarray(f->rcpts, r->rcpt_cap, sizeof *f->rcpts);
	f->pasts = reallocarray(f->pasts, r->rcpt_cap, sizeof *f->pasts);
	must(f->rcpts != NULL && f->pasts != NULL);
}

static bool get_receivers(struct reading *r)
{
	struct str words;

	while (str_starts(r->rest, receiver_line)) {
		struct row row = { 0 };
		if (!next_line(r, receiver_line, &words))
			return bad(r, "not a line of this format", STR_NONE);
		if (r->rcpt_n == QUEUE_FILE_RCPTS_MAX)
			return bad(r, "too many recipients", STR_NONE);
		if (!get_address(r, &words, &row.rcpt.addr, false) || !get_keys(r, receiver_keys, &row, words))
			return false;
		make_room(r);
		r->f->rcpts[r->rcpt_n] = row.rcpt;
		r->f->pasts[r->rcpt_n++] = row.past;
	}
	r->f->env.rcpts = r->f->rcpts;
	r->f->env.rcpt_n = r->rcpt_n;
	r->f->past = r->f->pasts;
	return r->rcpt_n > 0 || bad(r, "no X-Receiver", STR_NONE);
}

static bool get_sum(struct str *words, struct str prefix, unsigned char sum[MAC_SIZE])
{
	struct str word = str_word(words);

	if (!str_starts(word, prefix) || word.n != prefix.n + HEX)
		return false;
	for (size_t i = 0; i < MAC_SIZE; i++) {
		int high = hex_digit(word.p[prefix.n + 2 * i]), low = hex_digit(word.p[prefix.n + 2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		sum[i] = (unsigned char)(high * 16 + low);
	}
	return true;
}

/* The last line.  Before anything is decoded in place: `head` is still as it was read. */
static bool check_end(struct reading *r, struct str head, struct str line)
{
	unsigned char said[MAC_SIZE], is[MAC_SIZE];
	struct str words = str_skip(line, end_line.n), size = str_word(&words);
	ssize_t at = str_find(line, S("head="));

	if (at < 0 || !get_keys(r, end_keys, r->f, size) || !get_sum(&words, S("sha256="), r->f->sum) ||
	    !get_sum(&words, S("head="), said) || words.n > 0)
		return bad(r, "the last line of the head is damaged", STR_NONE);
	mac_sha256(str_n(head.p, (size_t)(line.p + at - head.p)), is);
	if (mac_equal(said, is, MAC_SIZE))
		return true;
	err_set(r->e, ERR_CORRUPT, "queue.file", "the lines up to X-Tombolo-End do not match their checksum");
	return false;
}

static bool is_first_line(struct reading *r, struct str bytes)
{
	if (!str_starts(bytes, any_version))
		err_set(r->e, ERR_SYNTAX, "queue.file", "line 1: not a file of `queue export`");
	else if (!str_starts(bytes, queue_line) || bytes.n == queue_line.n || bytes.p[queue_line.n] != ' ')
		err_set(r->e, ERR_SYNTAX, "queue.file", "line 1: another version of the format; this program reads 1");
	else
		return true;
	return false;
}

/* `head` is our own buffer, which this changes. */
static int parse(struct str head, struct queue_file *f, struct err *e)
{
	struct reading r = { .f = f, .rest = head, .e = e };
	ssize_t end = str_find(head, end_mark);
	struct str words;

	must(end >= 0);
	for (size_t i = 0; i < (size_t)end; i++)
		r.line += head.p[i] == '\n';
	r.line += 2;
	if (!is_first_line(&r, head) ||
	    !check_end(&r, head, str_head(str_skip(head, (size_t)end + 2), head.n - (size_t)end - 4)))
		return -1;
	r.line = 0;
	if (!next_line(&r, queue_line, &words))
		return bad(&r, "not a line of this format", STR_NONE), -1;
	if (!get_keys(&r, queue_keys, f, words))
		return -1;
	if (!next_line(&r, sender_line, &words))
		return bad(&r, "X-Sender is expected", STR_NONE), -1;
	if (!get_address(&r, &words, &f->env.from, true) || !get_keys(&r, sender_keys, f, words) || !get_receivers(&r))
		return -1;
	if (!next_line(&r, end_line, &words))
		return bad(&r, "X-Receiver or X-Tombolo-End is expected", STR_NONE), -1;
	return f->id != 0 && f->env.arrived_ms > 0 ? 0 : (bad(&r, "id or arrived is missing", STR_NONE), -1);
}

/* Length of the head with the line end of its last line; 0: not all of it is there. */
static size_t head_length(struct str bytes)
{
	ssize_t at = str_find(bytes, end_mark),
		end = at < 0 ? -1 : str_find(str_skip(bytes, (size_t)at + 2), S("\r\n"));

	return end < 0 ? 0 : (size_t)at + 2 + (size_t)end + 2;
}

static int no_end(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "queue.file",
		       "it ends before X-Tombolo-End: cut off, or not a file of `queue export`");
}

int queue_file_parse(struct str bytes, struct queue_file *f, size_t *used, struct err *e)
{
	*f = (struct queue_file){ 0 };
	buf_init(&f->head, QUEUE_FILE_HEAD_MAX);
	*used = head_length(bytes);
	if (*used == 0 || !buf_add(&f->head, str_head(bytes, *used)))
		return no_end(e);
	return parse(buf_str(&f->head), f, e);
}

static bool has_begun_well(const struct buf *head)
{
	struct str s = str_head(buf_str(head), any_version.n);

	return str_eq(s, str_head(any_version, s.n));
}

int queue_file_read(int fd, struct queue_file *f, struct err *e)
{
	size_t n = 0, looked = 0;
	off_t end;

	*f = (struct queue_file){ 0 };
	buf_init(&f->head, QUEUE_FILE_HEAD_MAX);
	while (n == 0) {
		char *to = buf_reserve(&f->head, READ_STEP);
		ssize_t got = to == NULL ? 0 : read(fd, to, READ_STEP);
		if (got < 0)
			return err_sys(e, ERR_IO, "queue.file", "cannot read");
		if (got == 0)
			return no_end(e);
		buf_commit(&f->head, (size_t)got);
		if (!has_begun_well(&f->head))
			return err_set(e, ERR_SYNTAX, "queue.file", "line 1: not a file of `queue export`");
		n = head_length(str_skip(buf_str(&f->head), looked));
		n += n > 0 ? looked : 0;
		looked = f->head.n > LINE_MAX_BYTES ? f->head.n - LINE_MAX_BYTES : 0;
	}
	if (parse(str_head(buf_str(&f->head), n), f, e) != 0)
		return -1;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (uint64_t)end - n != f->size || lseek(fd, (off_t)n, SEEK_SET) < 0)
		return err_set(e, ERR_CORRUPT, "queue.file", "its content has %lld bytes instead of %llu",
			       (long long)end - (long long)n, (unsigned long long)f->size);
	return 0;
}

int queue_file_verify(int fd, const struct queue_file *f, struct err *e)
{
	struct mac_sum *sum = mac_sum_new();
	unsigned char is[MAC_SIZE];
	char *block = malloc(READ_STEP);
	ssize_t n;

	must(block != NULL);
	while ((n = read(fd, block, READ_STEP)) > 0)
		mac_sum_add(sum, str_n(block, (size_t)n));
	mac_sum_end(&sum, is);
	free(block);
	if (n < 0)
		return err_sys(e, ERR_IO, "queue.file", "cannot read");
	if (!mac_equal(is, f->sum, MAC_SIZE))
		return err_set(e, ERR_CORRUPT, "queue.file", "its content does not match its checksum");
	return 0;
}

void queue_file_fini(struct queue_file *f)
{
	buf_fini(&f->head);
	free(f->rcpts);
	free(f->pasts);
	f->rcpts = NULL;
	f->pasts = NULL;
}
