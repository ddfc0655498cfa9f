/* smtpd/cli_print.c: rows into tables and pairs; see the header.
 *
 * A command has a layout (columns, or nothing = "key value" pairs).  Rows are held until HELD_ROWS are there or the
 * answer ends; then the widths are set for good and the rest streams. */
#include "smtpd/cli_print.h"

#include "base/must.h"
#include "base/time.h"

enum { HELD_ROWS = 200, LINE_WIDTH = 100, COLUMNS_MAX = 12 };

enum column_kind {
	COL_TEXT,
	COL_GROUP, /* text, left blank while it repeats */
	COL_MARK,  /* true: an asterisk */
	COL_YES,   /* true: yes, false: no */
	COL_NUM,
	COL_BYTES,
	COL_AGE,  /* wall clock: how long ago */
	COL_IN,   /* wall clock: in how long */
	COL_WRAP, /* the last one: broken at words */
	COL_NOTE, /* on a line of its own below, when there is one */
};

struct column {
	const char *key, *title;
	enum column_kind kind;
	unsigned max; /* widest it is padded to; 0 = no limit */
};

struct print_layout {
	const char *noun, *name;
	const struct column *columns;                        /* NULL: pairs */
	void (*first)(struct printer *p, const json_t *row); /* before the head of the table */
	void (*row)(struct printer *p, const json_t *row);   /* instead of a table */
};

/* ---- values ---- */

void print_clean(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		/* U+0080..U+009F are control characters too: C2 80 .. C2 9F */
		bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] >= 0x80 &&
			  (unsigned char)s.p[i + 1] < 0xa0;
		if (chr_is_ctl(s.p[i]) || c1)
			buf_addf(b, "\\x%02x", c);
		else
			buf_addc(b, s.p[i]);
		if (c1)
			buf_addf(b, "\\x%02x", (unsigned char)s.p[++i]);
	}
}

void print_age(struct buf *b, int64_t ms)
{
	int64_t s = ms < 0 ? 0 : ms / 1000;

	if (s < 60)
		buf_addf(b, "%llds", (long long)s);
	else if (s < 3600)
		buf_addf(b, "%lldm", (long long)(s / 60));
	else if (s < 86400)
		buf_addf(b, "%lldh%02lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
	else
		buf_addf(b, "%lldd%02lldh", (long long)(s / 86400), (long long)(s % 86400 / 3600));
}

void print_bytes(struct buf *b, uint64_t n)
{
	static const char units[] = "KMGT";
	double v = (double)n;
	size_t unit = 0;

	if (n < 1024) {
		buf_addu(b, n);
		return;
	}
	do {
		v /= 1024;
		unit++;
	} while (v >= 1024 && unit < sizeof units - 1);
	buf_addf(b, v < 10 ? "%.1f%c" : "%.0f%c", v, units[unit - 1]);
}

static void put_time(struct buf *b, int64_t wall_ms, const char *format)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[64];

	if (localtime_r(&t, &tm) != NULL && strftime(text, sizeof text, format, &tm) > 0)
		buf_add(b, str_c(text));
}

static struct str text_at(const json_t *row, const char *key)
{
	const json_t *j = json_object_get(row, key);

	return json_is_string(j) ? str_n(json_string_value(j), json_string_length(j)) : STR_NONE;
}

static int64_t int_at(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

/* Columns on a terminal: code points, near enough for addresses and names. */
static unsigned width_of(struct str s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void print_str(struct printer *p, struct str s)
{
	fwrite(s.p != NULL ? s.p : "", 1, s.n, p->out);
}

static void print_spaces(struct printer *p, unsigned n)
{
	fprintf(p->out, "%*s", (int)n, "");
}

/* ---- tables ---- */

static void put_cell(const struct printer *p, const struct column *c, const json_t *row, struct buf *b)
{
	int64_t v = int_at(row, c->key);

	switch (c->kind) {
	case COL_TEXT:
	case COL_GROUP:
	case COL_WRAP:
	case COL_NOTE:
		print_clean(b, text_at(row, c->key));
		if (b->n == 0 && c->kind != COL_NOTE && c->kind != COL_WRAP)
			buf_add(b, S("-"));
		return;
	case COL_MARK:
		buf_add(b, json_is_true(json_object_get(row, c->key)) ? S("*") : S(""));
		return;
	case COL_YES:
		buf_add(b, json_is_true(json_object_get(row, c->key)) ? S("yes") : S("no"));
		return;
	case COL_NUM:
		if (json_object_get(row, c->key) == NULL)
			buf_add(b, S("-"));
		else
			buf_addf(b, "%lld", (long long)v);
		return;
	case COL_BYTES:
		print_bytes(b, v < 0 ? 0 : (uint64_t)v);
		return;
	case COL_AGE:
		if (v == 0)
			buf_add(b, S("-"));
		else
			print_age(b, p->now_ms - v);
		return;
	case COL_IN:
		if (str_eq(text_at(row, "state"), S("held")))
			buf_add(b, S("-"));
		else if (v <= p->now_ms)
			buf_add(b, S("now"));
		else
			print_age(b, v - p->now_ms);
		return;
	}
	must(!"kind of column");
}

static bool is_right(enum column_kind k)
{
	return k == COL_NUM || k == COL_BYTES || k == COL_AGE || k == COL_IN;
}

static bool is_last(const struct column *c)
{
	return c[1].key == NULL || c[1].kind == COL_NOTE;
}

/* The sender of a failure report is empty. */
static void put_null_sender(const struct column *c, struct buf *cell)
{
	if (strcmp(c->key, "from") == 0 && str_eq(buf_str(cell), S("-"))) {
		buf_reset(cell);
		buf_add(cell, S("<>"));
	}
}

/* Breaks at spaces; words longer than the room stand alone and push. */
static void print_wrapped(struct printer *p, struct str s, unsigned at)
{
	unsigned room = at < LINE_WIDTH - 20 ? LINE_WIDTH - at : 20, used = 0;

	while (s.n > 0) {
		struct str word = str_word(&s);
		unsigned w = width_of(word);
		if (used > 0 && used + 1 + w > room) {
			fputc('\n', p->out);
			print_spaces(p, at);
			used = 0;
		}
		if (used > 0) {
			fputc(' ', p->out);
			used++;
		}
		print_str(p, word);
		used += w;
	}
}

static void print_head(struct printer *p, const struct column *columns)
{
	for (const struct column *c = columns; c->key != NULL && c->kind != COL_NOTE; c++) {
		unsigned width = p->widths[c - columns], pad = width - (unsigned)strlen(c->title);
		if (is_right(c->kind))
			print_spaces(p, pad);
		fputs(c->title, p->out);
		if (!is_last(c))
			print_spaces(p, is_right(c->kind) ? 2 : pad + 2);
	}
	fputc('\n', p->out);
}

static void print_cell(struct printer *p, const struct column *c, struct str cell, unsigned width, unsigned *at)
{
	unsigned w = width_of(cell), pad = w < width ? width - w : 0;

	if (is_right(c->kind))
		print_spaces(p, pad);
	if (c->kind == COL_WRAP)
		print_wrapped(p, cell, *at);
	else
		print_str(p, cell);
	if (!is_last(c))
		print_spaces(p, is_right(c->kind) ? 2 : pad + 2);
	*at += (w > width ? w : width) + 2;
}

static void print_row(struct printer *p, const json_t *row)
{
	const struct column *columns = p->layout->columns;
	struct buf cell;
	unsigned at = 0;

	buf_init(&cell, SIZE_MAX / 2);
	for (const struct column *c = columns; c->key != NULL; c++) {
		buf_reset(&cell);
		put_cell(p, c, row, &cell);
		put_null_sender(c, &cell);
		if (c->kind == COL_NOTE) {
			if (cell.n == 0)
				continue;
			fputs("\n    ", p->out);
			print_wrapped(p, buf_str(&cell), 4);
			continue;
		}
		if (c->kind == COL_GROUP) {
			bool same = str_eq(buf_str(&cell), str_c(p->group));
			snprintf(p->group, sizeof p->group, "%s", buf_cstr(&cell));
			if (same)
				buf_reset(&cell);
		}
		print_cell(p, c, buf_str(&cell), p->widths[c - columns], &at);
	}
	fputc('\n', p->out);
	buf_fini(&cell);
}

static void set_widths(struct printer *p)
{
	const struct column *columns = p->layout->columns;
	struct buf cell;
	json_t *row;
	size_t i;

	buf_init(&cell, SIZE_MAX / 2);
	for (const struct column *c = columns; c->key != NULL; c++) {
		unsigned width = (unsigned)strlen(c->title);
		must(c - columns < COLUMNS_MAX);
		json_array_foreach(p->held, i, row)
		{
			buf_reset(&cell);
			put_cell(p, c, row, &cell);
			unsigned w = width_of(buf_str(&cell));
			if (w > width && (c->max == 0 || w <= c->max))
				width = w;
		}
		p->widths[c - columns] = width;
	}
	buf_fini(&cell);
}

static void print_held(struct printer *p)
{
	json_t *row;
	size_t i;

	if (json_array_size(p->held) == 0)
		return;
	if (!p->head_done) {
		set_widths(p);
		if (p->layout->first != NULL)
			p->layout->first(p, json_array_get(p->held, 0));
		print_head(p, p->layout->columns);
		p->head_done = true;
	}
	json_array_foreach(p->held, i, row) print_row(p, row);
	json_array_clear(p->held);
}

/* ---- pairs ---- */

static bool key_ends(const char *key, const char *end)
{
	return str_ends(str_c(key), str_c(end));
}

static void put_value(const struct printer *p, const char *key, const json_t *v, struct buf *b)
{
	int64_t n = json_integer_value(v);
	const json_t *item;
	size_t i;

	if (json_is_boolean(v)) {
		bool on = strcmp(key, "cmt") == 0; /* as `mode set` wants it */
		buf_add(b, json_is_true(v) ? (on ? S("on") : S("yes")) : (on ? S("off") : S("no")));
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, item)
		{
			buf_add(b, i > 0 ? S(", ") : S(""));
			print_clean(b, str_n(json_string_value(item), json_string_length(item)));
		}
	} else if (json_is_integer(v) && key_ends(key, "_ms")) {
		if (strcmp(key, "uptime_ms") == 0 || strcmp(key, "grace_ms") == 0)
			print_age(b, n);
		else if (n > 0) {
			put_time(b, n, "%Y-%m-%d %H:%M:%S (");
			buf_add(b, n > p->now_ms ? S("in ") : S(""));
			print_age(b, n > p->now_ms ? n - p->now_ms : p->now_ms - n);
			buf_add(b, n > p->now_ms ? S(")") : S(" ago)"));
		}
	} else if (json_is_integer(v) && key_ends(key, "bytes")) {
		print_bytes(b, (uint64_t)n);
	} else if (json_is_integer(v)) {
		buf_addf(b, "%lld", (long long)n);
	} else {
		print_clean(b, str_n(json_string_value(v), json_string_length(v)));
	}
	if (b->n == 0)
		buf_add(b, S("-"));
}

static void print_pair(struct printer *p, const char *key, const json_t *v, unsigned indent)
{
	struct buf b;
	struct str label = str_c(key);

	if (key_ends(key, "_ms"))
		label.n -= 3;
	buf_init(&b, SIZE_MAX / 2);
	put_value(p, key, v, &b);
	print_spaces(p, indent);
	for (size_t i = 0; i < label.n; i++)
		fputc(label.p[i] == '_' ? ' ' : label.p[i], p->out);
	print_spaces(p, label.n + indent < 22 ? 22 - (unsigned)label.n - indent : 1);
	print_wrapped(p, buf_str(&b), 22);
	fputc('\n', p->out);
	buf_fini(&b);
}

static void print_pairs(struct printer *p, const json_t *row)
{
	const char *key, *inner;
	const json_t *v, *w;

	json_object_foreach((json_t *)row, key, v)
	{
		if (!json_is_object(v)) {
			print_pair(p, key, v, 0);
			continue;
		}
		fprintf(p->out, "%s\n", key);
		json_object_foreach((json_t *)v, inner, w) print_pair(p, inner, w, 2);
	}
}

/* ---- layouts ---- */

static void print_order(struct printer *p, const json_t *row)
{
	long long messages = int_at(row, "messages"), recipients = int_at(row, "recipients");

	if (recipients > 0)
		fprintf(p->out, "%lld recipient%s of %lld message%s %s.\n", recipients, recipients == 1 ? "" : "s",
			messages, messages == 1 ? "" : "s", json_string_value(json_object_get(row, "action")));
}

static void print_diff(struct printer *p, const json_t *row)
{
	struct buf b;
	struct str section = text_at(row, "section");

	buf_init(&b, SIZE_MAX / 2);
	print_clean(&b, text_at(row, "sign"));
	buf_addc(&b, ' ');
	if (section.n > 0) {
		print_clean(&b, section);
		buf_add(&b, S(": "));
	}
	print_clean(&b, text_at(row, "line"));
	print_str(p, buf_str(&b));
	fputc('\n', p->out);
	buf_fini(&b);
}

static void print_message(struct printer *p, const json_t *row)
{
	static const char *const keys[] = { "id", "trace_id", "from", "size", "arrived_ms" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		print_pair(p, keys[i], json_object_get(row, keys[i]), 0);
	fputc('\n', p->out);
}

/* One line a stage, as it comes; a head line for each host. */
static void print_stage(struct printer *p, const json_t *row)
{
	bool ok = json_is_true(json_object_get(row, "ok"));
	char group[sizeof p->group];
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	print_clean(&b, text_at(row, "host"));
	if (text_at(row, "ip").n > 0) {
		buf_add(&b, S(" ["));
		print_clean(&b, text_at(row, "ip"));
		buf_add(&b, S("]"));
	}
	snprintf(group, sizeof group, "%s", buf_cstr(&b));
	/* two visits of one address are told apart by their first stage */
	if (b.n > 0 && (strcmp(group, p->group) != 0 || str_eq(text_at(row, "stage"), S("connect"))))
		fprintf(p->out, "%s\n", buf_cstr(&b));
	snprintf(p->group, sizeof p->group, "%s", group);
	buf_reset(&b);
	print_clean(&b, text_at(row, "says"));
	fprintf(p->out, "  %s %-10s %6lld ms  %s\n", ok ? "\xe2\x9c\x93" : "\xe2\x9c\x97",
		json_string_value(json_object_get(row, "stage")), (long long)int_at(row, "took_ms"), buf_cstr(&b));
	fflush(p->out); /* it may take a while until the next one */
	buf_fini(&b);
}

/* One line a check; what comes before them are pairs. */
static void print_check(struct printer *p, const json_t *row)
{
	static const char *const marks[][2] = { { "pass", "\xe2\x9c\x93" }, { "fail", "\xe2\x9c\x97" } };
	struct str result = text_at(row, "result");
	const char *mark = "-";
	struct buf b;

	if (int_at(row, "hour_ms") > 0) { /* the meter of central transport, by hour */
		buf_init(&b, SIZE_MAX / 2);
		put_time(&b, int_at(row, "hour_ms"), "%H:%M");
		fprintf(p->out,
			"  %s cloud to Internet: %lld passed on-prem, %lld direct, %lld forwarded, %lld bypassed\n",
			buf_cstr(&b), (long long)int_at(row, "passed"), (long long)int_at(row, "direct"),
			(long long)int_at(row, "forwarded"), (long long)int_at(row, "bypassed"));
		buf_fini(&b);
		return;
	}
	if (text_at(row, "check").n == 0) {
		print_pairs(p, row);
		return;
	}
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (str_eq(result, str_c(marks[i][0])))
			mark = marks[i][1];
	buf_init(&b, SIZE_MAX / 2);
	print_clean(&b, text_at(row, "evidence"));
	if (text_at(row, "waived_by").n > 0) {
		buf_add(&b, S("\n      waived by "));
		print_clean(&b, text_at(row, "waived_by"));
		buf_add(&b, S(": "));
		print_clean(&b, text_at(row, "waived_why"));
	}
	fprintf(p->out, "  %s %-15s %-8s %s\n", mark, json_string_value(json_object_get(row, "check")),
		json_string_value(json_object_get(row, "result")), buf_cstr(&b));
	buf_fini(&b);
}

static const struct column straggler_columns[] = {
	{ "ip", "SOURCE", COL_TEXT, 0 },     { "helo", "HELO", COL_TEXT, 30 },  { "messages", "MESSAGES", COL_NUM, 0 },
	{ "first_ms", "FIRST", COL_AGE, 0 }, { "last_ms", "LAST", COL_AGE, 0 }, { "sample", "TO", COL_WRAP, 0 },
	{ NULL, NULL, COL_TEXT, 0 },
};
static const struct column conflict_columns[] = {
	{ "kind", "KIND", COL_TEXT, 0 },        { "address", "ADDRESS", COL_TEXT, 30 },
	{ "messages", "MESSAGES", COL_NUM, 0 }, { "first_ms", "FIRST", COL_AGE, 0 },
	{ "last_ms", "LAST", COL_AGE, 0 },      { "ours", "OUR TABLE", COL_TEXT, 20 },
	{ "theirs", "", COL_NOTE, 0 },          { NULL, NULL, COL_TEXT, 0 },
};
static const struct column history_columns[] = {
	{ "since_ms", "SINCE", COL_AGE, 0 },    { "until_ms", "UNTIL", COL_AGE, 0 },
	{ "loc", "LOC", COL_TEXT, 0 },          { "version", "VERSION", COL_NUM, 0 },
	{ "primary", "PRIMARY", COL_TEXT, 30 }, { "routing", "ROUTING", COL_TEXT, 30 },
	{ "source", "SOURCE", COL_TEXT, 0 },    { NULL, NULL, COL_TEXT, 0 },
};
static const struct column mode_columns[] = {
	{ "epoch", "EPOCH", COL_NUM, 0 },  { "mode", "MODE", COL_TEXT, 0 },       { "mx", "MX", COL_TEXT, 0 },
	{ "since_ms", "AGE", COL_AGE, 0 }, { "locked_ms", "LOCKED", COL_AGE, 0 }, { "who", "WHO", COL_TEXT, 30 },
	{ NULL, NULL, COL_TEXT, 0 },
};

/* ---- trace ---- */

static void put_part(struct buf *b, const char *before, struct str s, const char *after)
{
	if (s.n == 0)
		return;
	buf_add(b, str_c(before));
	print_clean(b, s);
	buf_add(b, str_c(after));
}

static void print_traced_message(struct printer *p, const json_t *row)
{
	const json_t *recipients = json_object_get(row, "recipients"), *one;
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX / 2);
	put_part(&b, "message ", text_at(row, "message"), "");
	put_part(&b, " from ", text_at(row, "from"), "");
	put_part(&b, " ", text_at(row, "message_id"), "");
	buf_addc(&b, '\n');
	json_array_foreach((json_t *)(uintptr_t)recipients, i, one)
	{
		put_part(&b, "  ", text_at(one, "status"), "");
		put_part(&b, ": ", text_at(one, "address"), "\n");
	}
	print_str(p, buf_str(&b));
	buf_fini(&b);
}

/* "RECEIVE from client.example [192.0.2.1] by inet (INTERNET, M1)". */
static void put_traced(struct buf *b, const json_t *row)
{
	const json_t *rcpts = json_object_get(row, "recipient-address");
	const json_t *tls = json_object_get(row, "tls"), *latency = json_object_get(row, "latency-ms");
	bool in = str_eq(text_at(row, "event"), S("RECEIVE"));

	print_clean(b, text_at(row, "event"));
	put_part(b, " ", text_at(row, "related-recipient-address"), " as");
	for (size_t i = 0; i < json_array_size(rcpts) && i < 5; i++)
		put_part(b, i == 0 ? " " : ", ",
			 str_n(json_string_value(json_array_get(rcpts, i)),
			       json_string_length(json_array_get(rcpts, i))),
			 "");
	if (json_array_size(rcpts) > 5)
		buf_addf(b, " and %zu more", json_array_size(rcpts) - 5);
	put_part(b, in ? " from " : " to ", text_at(row, in ? "client-hostname" : "server-hostname"), "");
	put_part(b, " [", text_at(row, in ? "client-ip" : "server-ip"), "]");
	put_part(b, " by ", text_at(row, "connector-id"), "");
	put_part(b, ", ", text_at(row, "origin"), "");
	put_part(b, ", ", text_at(row, "mode"), "");
	put_part(b, ", ", text_at(tls, "ver"), "");
	put_part(b, " ", text_at(tls, "matched-id"), "");
	put_part(b, ", report ", text_at(row, "reference"), "");
	for (const char *const *k = (const char *const[]){ "receive", "queue", "send", NULL }; *k != NULL; k++)
		if (int_at(latency, *k) > 0)
			buf_addf(b, ", %s %lld ms", *k, (long long)int_at(latency, *k));
}

/* One line an event, deeper behind each hop; below it why, in words, and what was answered. */
static void print_trace(struct printer *p, const json_t *row)
{
	unsigned depth = (unsigned)int_at(row, "depth"), indent = 2 + 4 * depth;
	struct buf b;

	if (json_object_get(row, "message") != NULL) {
		print_traced_message(p, row);
		return;
	}
	buf_init(&b, SIZE_MAX / 2);
	print_spaces(p, indent);
	put_part(&b, "", str_head(str_skip(text_at(row, "time"), 11), 12), " ");
	put_part(&b, "", text_at(row, "gateway"), "  ");
	put_traced(&b, row);
	buf_addc(&b, '\n');
	print_str(p, buf_str(&b));
	buf_reset(&b);
	put_part(&b, "", text_at(row, "rule"), " ");
	put_part(&b, "", text_at(row, "reason"), ": ");
	put_part(&b, "", text_at(row, "cause"), "\n");
	if (b.n > 0) {
		print_spaces(p, indent + 4);
		print_str(p, buf_str(&b));
	}
	buf_reset(&b);
	put_part(&b, "", text_at(row, "recipient-status"), " ");
	put_part(&b, "", text_at(row, "source-context"), "");
	if (b.n > 0) {
		print_spaces(p, indent + 4);
		print_str(p, buf_str(&b));
		fputc('\n', p->out);
	}
	buf_fini(&b);
}

static const struct column replay_columns[] = {
	{ "delivered_ms", "AGO", COL_AGE, 8 },
	{ "size", "SIZE", COL_BYTES, 6 },
	{ "connector", "CONNECTOR", COL_TEXT, 20 },
	{ "from", "FROM", COL_TEXT, 34 },
	{ "rcpt", "TO", COL_TEXT, 0 },
	{ "last", "", COL_NOTE, 0 },
	{ 0 },
};

static const struct column queue_columns[] = {
	{ "id", "ID", COL_TEXT, 0 },      { "state", "STATE", COL_TEXT, 0 },   { "arrived_ms", "AGE", COL_AGE, 0 },
	{ "size", "SIZE", COL_BYTES, 0 }, { "attempts", "TRIES", COL_NUM, 0 }, { "due_ms", "NEXT", COL_IN, 0 },
	{ "from", "FROM", COL_TEXT, 26 }, { "rcpt", "TO", COL_TEXT, 26 },      { "last", "", COL_NOTE, 0 },
	{ NULL, NULL, COL_TEXT, 0 },
};
static const struct column message_columns[] = {
	{ "state", "STATE", COL_TEXT, 0 }, { "attempts", "TRIES", COL_NUM, 0 }, { "due_ms", "NEXT", COL_IN, 0 },
	{ "rcpt", "TO", COL_TEXT, 60 },    { "last", "", COL_NOTE, 0 },         { NULL, NULL, COL_TEXT, 0 },
};
static const struct column summary_columns[] = {
	{ "name", "OF", COL_TEXT, 44 },
	{ "recipients", "RECIPIENTS", COL_NUM, 0 },
	{ "deferred", "DEFERRED", COL_NUM, 0 },
	{ "held", "HELD", COL_NUM, 0 },
	{ "oldest_ms", "OLDEST", COL_AGE, 0 },
	{ "last", "", COL_NOTE, 0 },
	{ NULL, NULL, COL_TEXT, 0 },
};
static const struct column explain_columns[] = {
	{ "step", "STEP", COL_GROUP, 0 }, { "hit", "", COL_MARK, 0 },  { "name", "WHAT", COL_TEXT, 18 },
	{ "says", "WHY", COL_WRAP, 0 },   { NULL, NULL, COL_TEXT, 0 },
};
static const struct column connector_columns[] = {
	{ "kind", "KIND", COL_GROUP, 0 }, { "name", "NAME", COL_TEXT, 30 }, { "state", "STATE", COL_TEXT, 0 },
	{ "tls", "TLS", COL_TEXT, 0 },    { "ok_ms", "OK", COL_AGE, 0 },    { "failed_ms", "FAILED", COL_AGE, 0 },
	{ "what", "WHAT", COL_WRAP, 0 },  { NULL, NULL, COL_TEXT, 0 },
};
static const struct column hop_columns[] = {
	{ "hop", "HOP", COL_TEXT, 44 },         { "waiting", "WAITING", COL_NUM, 0 },
	{ "open", "OPEN", COL_NUM, 0 },         { "idle", "IDLE", COL_NUM, 0 },
	{ "window", "MAY", COL_NUM, 0 },        { "sent", "SENT", COL_NUM, 0 },
	{ "deferred", "DEFERRED", COL_NUM, 0 }, { "failed", "FAILED", COL_NUM, 0 },
	{ "last_error", "", COL_NOTE, 0 },      { NULL, NULL, COL_TEXT, 0 },
};

static const struct column reasons_columns[] = {
	{ "reason", "REASON", COL_TEXT, 20 },
	{ "rule", "RULE", COL_TEXT, 0 },
	{ "standard", "STANDARD", COL_TEXT, 0 },
	{ "exchange", "EXCHANGE", COL_TEXT, 0 },
	{ "exchange_cloud", "AT CLOUD", COL_TEXT, 0 },
	{ "cause", "CAUSE", COL_WRAP, 0 },
	{ "mend", "", COL_NOTE, 0 },
	{ NULL, NULL, COL_TEXT, 0 },
};

static const struct column simulate_columns[] = {
	{ "finding", "FINDING", COL_GROUP, 0 }, { "count", "COUNT", COL_NUM, 0 }, { "says", "WHAT", COL_WRAP, 0 },
	{ "sample", "", COL_NOTE, 0 },          { NULL, NULL, COL_TEXT, 0 },
};

static const struct column tls_columns[] = {
	{ "used_by", "USED BY", COL_TEXT, 30 },
	{ "subject", "SUBJECT", COL_TEXT, 40 },
	{ "days_left", "DAYS", COL_NUM, 0 },
	{ "chain", "CHAIN", COL_TEXT, 0 },
	{ "alarms", "ALARMS", COL_WRAP, 0 },
	{ "detail", "", COL_NOTE, 0 },
	{ "why", "", COL_NOTE, 0 },
	{ NULL, NULL, COL_TEXT, 0 },
};

static const struct print_layout layouts[] = {
	{ "queue", "list", queue_columns, NULL, NULL },
	{ "queue", "show", message_columns, print_message, NULL },
	{ "queue", "summary", summary_columns, NULL, NULL },
	{ "queue", "retry", NULL, NULL, print_order },
	{ "queue", "remove", NULL, NULL, print_order },
	{ "queue", "hold", NULL, NULL, print_order },
	{ "queue", "release", NULL, NULL, print_order },
	{ "queue", "reroute", NULL, NULL, print_order },
	{ "queue", "import", NULL, NULL, print_order },
	{ "replay", "send", NULL, NULL, print_order },
	{ "replay", "list", replay_columns, NULL, NULL },
	{ "route", "explain", explain_columns, NULL, NULL },
	{ "config", "diff", NULL, NULL, print_diff },
	{ "connector", "list", connector_columns, NULL, NULL },
	{ "connector", "hops", hop_columns, NULL, NULL },
	{ "connector", "test", NULL, NULL, print_stage },
	{ "tls", "show", tls_columns, NULL, NULL },
	{ "mode", "plan", NULL, NULL, print_check },
	{ "mode", "switch", NULL, NULL, print_check },
	{ "mode", "status", NULL, NULL, print_check },
	{ "mode", "rollback", NULL, NULL, print_check },
	{ "mode", "stragglers", straggler_columns, NULL, NULL },
	{ "mode", "history", mode_columns, NULL, NULL },
	{ "recipients", "history", history_columns, NULL, NULL },
	{ "recipients", "conflicts", conflict_columns, NULL, NULL },
	{ "trace", "", NULL, NULL, print_trace },
	{ "simulate", "", simulate_columns, NULL, NULL },
	{ "reasons", "", reasons_columns, NULL, NULL },
};

static const struct print_layout *find_layout(const struct verb *v)
{
	for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
		if (strcmp(layouts[i].noun, v->noun) == 0 && strcmp(layouts[i].name, v->name) == 0)
			return &layouts[i];
	return NULL;
}

/* ---- as other tools list a mail queue ---- */

static void print_postfix_message(struct printer *p)
{
	const json_t *first = json_array_get(p->held, 0);
	struct buf b;
	char mark = ' ';
	json_t *row;
	size_t i;

	if (first == NULL)
		return;
	if (p->messages++ == 0)
		fprintf(p->out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--", "---Arrival Time----",
			"--Sender/Recipient------");
	json_array_foreach(p->held, i, row)
	{
		if (str_eq(text_at(row, "state"), S("active")))
			mark = '*';
		else if (mark == ' ' && str_eq(text_at(row, "state"), S("held")))
			mark = '!';
	}
	p->bytes += (uint64_t)int_at(first, "size");
	buf_init(&b, SIZE_MAX / 2);
	buf_addf(&b, STR_FMT "%c", STR_ARG(text_at(first, "id")), mark);
	fprintf(p->out, "%-17s %8lld ", buf_cstr(&b), (long long)int_at(first, "size"));
	buf_reset(&b);
	put_time(&b, int_at(first, "arrived_ms"), "%a %b %e %H:%M:%S ");
	print_clean(&b, text_at(first, "from").n > 0 ? text_at(first, "from") : S("MAILER-DAEMON"));
	fprintf(p->out, "%s\n", buf_cstr(&b));
	json_array_foreach(p->held, i, row)
	{
		buf_reset(&b);
		print_clean(&b, text_at(row, "last"));
		if (b.n > 0)
			fprintf(p->out, "%*s(%s)\n", b.n < 76 ? (int)(76 - b.n) : 0, "", buf_cstr(&b));
		buf_reset(&b);
		print_clean(&b, text_at(row, "rcpt"));
		fprintf(p->out, "%47s%s\n", "", buf_cstr(&b));
	}
	fputc('\n', p->out);
	buf_fini(&b);
	json_array_clear(p->held);
}

static void take_postfix_row(struct printer *p, json_t *row)
{
	const json_t *before = json_array_get(p->held, 0);

	if (before != NULL && !str_eq(text_at(before, "id"), text_at(row, "id")))
		print_postfix_message(p);
	must(json_array_append(p->held, row) == 0);
}

static void end_postfix(struct printer *p)
{
	print_postfix_message(p);
	if (p->messages > 0)
		fprintf(p->out, "-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)((p->bytes + 1023) / 1024),
			(unsigned long long)p->messages, p->messages == 1 ? "" : "s");
	else if (p->exit == CALL_NOTHING)
		fputs("Mail queue is empty\n", p->out);
	if (p->exit == CALL_NOTHING) { /* those readers know no other success */
		p->exit = CALL_OK;
		p->error[0] = '\0';
	}
}

/* ---- the lines of the protocol ---- */

void printer_init(struct printer *p, const struct verb *v, enum print_view view, FILE *out, int64_t now_ms)
{
	*p = (struct printer){ .out = out, .view = view, .layout = find_layout(v), .now_ms = now_ms };
	p->held = json_array();
	must(p->held != NULL);
}

void printer_fini(struct printer *p)
{
	if (p->view == PRINT_TABLE)
		print_held(p);
	json_decref(p->held);
	p->held = NULL;
	fflush(p->out);
}

static void print_json(struct printer *p, const json_t *value)
{
	json_dumpf(value, p->out, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', p->out);
}

static void take_row(struct printer *p, json_t *row)
{
	if (p->view == PRINT_JSON) {
		print_json(p, row);
	} else if (p->view == PRINT_POSTFIX) {
		take_postfix_row(p, row);
	} else if (p->layout != NULL && p->layout->row != NULL) {
		p->layout->row(p, row);
	} else if (p->layout == NULL) {
		print_pairs(p, row);
	} else if (!str_eq(text_at(row, "step"), S("result"))) { /* its lines have told it */
		must(json_array_append(p->held, row) == 0);
		if (json_array_size(p->held) >= HELD_ROWS)
			print_held(p);
	}
}

static void take_text(struct printer *p, const json_t *line, struct str text)
{
	struct buf b;

	if (p->view == PRINT_JSON) {
		print_json(p, line);
		return;
	}
	if (p->view == PRINT_POSTFIX)
		return;
	print_held(p);
	buf_init(&b, SIZE_MAX / 2);
	/* a tab in a text is ours (config show) */
	while (text.n > 0) {
		struct str part;
		bool tab = str_cut(text, '\t', &part, &text);
		print_clean(&b, part);
		if (tab)
			buf_addc(&b, '\t');
	}
	print_str(p, buf_str(&b));
	fputc('\n', p->out);
	buf_fini(&b);
}

static void take_exit(struct printer *p, const json_t *line)
{
	if (p->view == PRINT_TABLE)
		print_held(p);
	p->ended = true;
	p->exit = (int)int_at(line, "exit");
	snprintf(p->error, sizeof p->error, STR_FMT, STR_ARG(text_at(line, p->exit == CALL_OK ? "note" : "error")));
	if (p->view == PRINT_POSTFIX)
		end_postfix(p);
}

bool printer_line(struct printer *p, struct str text)
{
	json_t *line = json_loadb(text.p, text.n, 0, NULL), *v;
	bool ok = true;

	if ((v = json_object_get(line, "row")) != NULL && json_is_object(v))
		take_row(p, v);
	else if (json_object_get(line, "text") != NULL)
		take_text(p, line, text_at(line, "text"));
	else if (json_object_get(line, "data") != NULL)
		print_str(p, text_at(line, "data"));
	else if (json_is_integer(json_object_get(line, "exit")))
		take_exit(p, line);
	else
		ok = false;
	json_decref(line);
	return ok;
}
