/* smtpd/cli_export.c: see the header.  The daemon lists, holds, releases and removes; the files of its queue are read
 * from here, so nothing of this waits on one of its threads. */
#include "smtpd/cli_export.h"

#include "base/fault.h"
#include "base/must.h"
#include "smtpd/cli_ask.h"
#include "smtpd/cli_export_file.h"
#include "smtpd/cli_print.h"

#include <poll.h>
#include <unistd.h>

enum { POLL_MS = 300, WAIT_MS = 30 * 1000, REQUEST_ITEMS = 400, REQUEST_BYTES = 40 * 1024, ITEM_NUMBERS = 80 };

struct export
{
	const struct cli_words *w;
	struct cli_asker asker;
	struct export_set set; /* recipients, in the order of id and number */
	struct config *config; /* --offline */
	char path[240];        /* of the queue */
	const char *dir;
	uint64_t messages, recipients, bytes; /* counted, then written */
	size_t left_out;
	int exit;
	bool failed;
};

static void complain(struct export *x, int code, const char *text)
{
	struct buf clean;

	buf_init(&clean, 4096);
	print_clean(&clean, str_c(text));
	fprintf(stderr, "tombolo: %s\n", buf_cstr(&clean));
	buf_fini(&clean);
	if (x->exit == CALL_OK || code == CALL_UNREACHABLE)
		x->exit = code;
}

static void say(struct export *x, const char *action)
{
	json_t *row = json_object();
	char *text;

	if (!x->w->json) {
		printf("%llu recipients of %llu messages %s.\n", (unsigned long long)x->recipients,
		       (unsigned long long)x->messages, action);
	} else {
		row_c(row, "action", action);
		row_uint(row, "messages", x->messages);
		row_uint(row, "recipients", x->recipients);
		text = json_dumps(row, JSON_COMPACT);
		printf("%s\n", text);
		free(text);
	}
	json_decref(row);
	fflush(stdout);
}

/* ---- arguments ---- */

static const char *text_arg(const struct export *x, const char *name)
{
	return json_string_value(json_object_get(x->w->args, name));
}

static bool flag_arg(const struct export *x, const char *name)
{
	return json_is_true(json_object_get(x->w->args, name));
}

static const char *const filters[] = { "from", "to", "deferred", "held", "older", "where" };

static json_t *filter_args(const struct export *x)
{
	json_t *args = json_object(), *value;

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		if ((value = json_object_get(x->w->args, filters[i])) != NULL)
			json_object_set(args, filters[i], value);
	row_int(args, "max", 0);
	return args;
}

static bool names_something(const struct export *x)
{
	json_t *args = filter_args(x);
	bool any = json_object_size(args) > 1 || json_object_get(x->w->args, "ID") != NULL || flag_arg(x, "all");

	json_decref(args);
	return any;
}

static bool is_wanted(const struct export *x, uint64_t id)
{
	json_t *ids = json_object_get(x->w->args, "ID");
	uint64_t one;

	for (size_t i = 0; i < json_array_size(ids); i++)
		if (queue_parse_id(str_c(json_string_value(json_array_get(ids, i))), &one) && one == id)
			return true;
	return ids == NULL;
}

static bool check_ids(struct export *x)
{
	json_t *ids = json_object_get(x->w->args, "ID");
	uint64_t id;

	for (size_t i = 0; i < json_array_size(ids); i++)
		if (!queue_parse_id(str_c(json_string_value(json_array_get(ids, i))), &id)) {
			complain(x, CALL_USAGE, "an ID has 13 letters and digits, as `tombolo queue list` prints it");
			return false;
		}
	return true;
}

/* ---- questions ---- */

static bool ask(struct export *x, const char *verb, json_t *args, void (*row)(void *, const json_t *))
{
	struct cli_answer a;

	cli_ask(&x->asker, strcmp(verb, "status") == 0 ? "status" : "queue", strcmp(verb, "status") == 0 ? "" : verb,
		args, row, x, &a);
	/* some of several are gone: who is held is looked at again, one by one */
	bool may_miss = strcmp(verb, "hold") == 0 || strcmp(verb, "release") == 0;
	if (a.exit == CALL_OK || a.exit == CALL_NOTHING || (a.exit == CALL_PARTLY && may_miss))
		return true;
	complain(x, a.exit, a.error);
	return false;
}

static const char *text_at(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s != NULL ? s : "";
}

static void take_path(void *arg, const json_t *row)
{
	struct export *x = arg;

	snprintf(x->path, sizeof x->path, "%s", text_at(json_object_get(row, "queue"), "path"));
}

static uint32_t number_of(const json_t *row)
{
	return (uint32_t)json_integer_value(json_object_get(row, "number"));
}

static bool is_held(const json_t *row)
{
	const char *state = text_at(row, "state");

	return strcmp(state, "held") == 0 || strcmp(state, "poison") == 0;
}

static void take_target(void *arg, const json_t *row)
{
	struct export *x = arg;
	struct export_item item = { .number = number_of(row), .was_held = is_held(row) };

	if (!queue_parse_id(str_c(text_at(row, "id")), &item.id) || !is_wanted(x, item.id))
		return;
	if (x->set.n == 0 || x->set.v[x->set.n - 1].id != item.id) {
		x->messages++;
		x->bytes += (uint64_t)json_integer_value(json_object_get(row, "size"));
	}
	x->recipients++;
	export_add(&x->set, &item);
}

static void look_at_held(void *arg, const json_t *row)
{
	struct export *x = arg;
	uint64_t id;
	struct export_item *item;

	if (!queue_parse_id(str_c(text_at(row, "id")), &id) ||
	    (item = export_find(&x->set, id, number_of(row))) == NULL || !is_held(row))
		return;
	item->state = json_is_true(json_object_get(row, "leased")) ? EXPORT_BUSY : EXPORT_READY;
}

/* Which of ours are on hold now, and which of those are still being worked on. */
static bool look_again(struct export *x, size_t *busy)
{
	json_t *args = json_object();

	for (size_t i = 0; i < x->set.n; i++)
		x->set.v[i].state = EXPORT_GONE;
	row_bool(args, "held", true);
	row_int(args, "max", 0);
	if (!ask(x, "list", args, look_at_held))
		return false;
	*busy = 0;
	for (size_t i = 0; i < x->set.n; i++)
		*busy += x->set.v[i].state == EXPORT_BUSY;
	return true;
}

/* ---- orders about exactly these recipients ---- */

struct batch {
	json_t *list;
	size_t bytes;
};

static bool flush(struct export *x, struct batch *b, const char *verb)
{
	json_t *args = json_object();
	const char *reason = text_arg(x, "reason");
	char text[ARG_TEXT_MAX / 2];

	if (json_array_size(b->list) == 0) {
		json_decref(args);
		return true;
	}
	json_object_set_new(args, "ID", b->list);
	snprintf(text, sizeof text, "export to %.200s%s%.200s", x->dir, reason != NULL ? ": " : "",
		 reason != NULL ? reason : "");
	row_c(args, "reason", text);
	*b = (struct batch){ .list = json_array() };
	return ask(x, verb, args, NULL);
}

/* "ID/0,2,5" of the items from `at` on that `want` wants, of one message; returns where it stopped. */
static size_t put_item(const struct export *x, size_t at, bool (*want)(const struct export_item *), struct buf *text)
{
	uint64_t id = x->set.v[at].id;
	size_t n = 0;

	buf_reset(text);
	queue_put_id(text, id);
	for (; at < x->set.n && x->set.v[at].id == id && n < ITEM_NUMBERS; at++)
		if (want(&x->set.v[at]))
			buf_addf(text, "%c%u", n++ == 0 ? '/' : ',', x->set.v[at].number);
	if (n == 0)
		buf_reset(text);
	return at;
}

static bool order(struct export *x, const char *verb, bool (*want)(const struct export_item *))
{
	struct batch b = { .list = json_array() };
	struct buf text;
	bool good = true;

	buf_init(&text, ARG_TEXT_MAX);
	for (size_t at = 0; good && at < x->set.n;) {
		at = put_item(x, at, want, &text);
		if (text.n == 0)
			continue;
		json_array_append_new(b.list, json_of_str(buf_str(&text)));
		b.bytes += text.n + 3;
		if (json_array_size(b.list) == REQUEST_ITEMS || b.bytes > REQUEST_BYTES)
			good = flush(x, &b, verb);
	}
	good = good && flush(x, &b, verb);
	json_decref(b.list);
	buf_fini(&text);
	return good;
}

static bool is_to_hold(const struct export_item *i)
{
	return !i->was_held;
}

static bool is_written(const struct export_item *i)
{
	return i->state == EXPORT_WRITTEN;
}

/* Held by us, and in no file: on with it. */
static bool is_left(const struct export_item *i)
{
	return !i->was_held && i->state != EXPORT_WRITTEN && i->state != EXPORT_GONE;
}

static bool is_ours_again(const struct export_item *i)
{
	return i->state == EXPORT_READY && !i->was_held;
}

static bool is_ready(const struct export_item *i)
{
	return i->state == EXPORT_READY;
}

static size_t count(const struct export *x, bool (*want)(const struct export_item *))
{
	size_t n = 0;

	for (size_t i = 0; i < x->set.n; i++)
		n += want(&x->set.v[i]);
	return n;
}

/* ---- the way out ---- */

/* What is being delivered now may end well: then it is not ours any more. */
static bool wait_for_busy(struct export *x)
{
	size_t busy;

	for (int waited_ms = 0; look_again(x, &busy); waited_ms += POLL_MS) {
		if (busy == 0 || waited_ms >= WAIT_MS)
			return true;
		poll(NULL, 0, POLL_MS);
	}
	return false;
}

static void on_file(void *arg, uint64_t bytes, size_t recipients)
{
	struct export *x = arg;

	x->messages++;
	x->recipients += recipients;
	x->bytes += bytes;
}

static void on_trouble(void *arg, uint64_t id, const char *text)
{
	struct export *x = arg;
	char line[400];
	struct buf name;

	buf_init(&name, 32);
	queue_put_id(&name, id);
	snprintf(line, sizeof line, "%s: %s", buf_cstr(&name), text);
	buf_fini(&name);
	complain(x, CALL_PARTLY, line);
}

static bool write_files(struct export *x)
{
	const struct export_report report = { on_file, on_trouble, x };
	struct err e = { 0 };

	x->messages = x->recipients = x->bytes = 0;
	if (export_write(x->path, x->dir, &x->set, &report, &e) == 0)
		return true;
	complain(x, CALL_PARTLY, e.text);
	return false;
}

static void tell_left_out(struct export *x)
{
	size_t left = x->set.n - count(x, is_written);
	char text[160];

	if (left == 0)
		return;
	snprintf(text, sizeof text, "%zu recipients were left out: delivered meanwhile, being delivered, or unreadable",
		 left);
	complain(x, CALL_PARTLY, text);
}

static void carry_out(struct export *x)
{
	bool good = order(x, "hold", is_to_hold) && (fault("export.held"), wait_for_busy(x)) && write_files(x);

	fault("export.written");
	if (count(x, is_left) > 0)
		order(x, "release", is_left);
	if (!good)
		return;
	say(x, "are written, and on hold here");
	if (flag_arg(x, "remove") && count(x, is_written) > 0 && order(x, "remove", is_written))
		say(x, "are removed from this queue");
	tell_left_out(x);
}

static void export_out(struct export *x)
{
	struct err e = { 0 };

	if (!names_something(x)) {
		complain(x, CALL_USAGE,
			 "which messages? Give ids, a filter (--from --to --deferred --held --older --where) or --all");
		return;
	}
	if (!ask(x, "list", filter_args(x), take_target))
		return;
	if (x->set.n == 0) {
		complain(x, CALL_NOTHING, "nothing in the queue matches");
		return;
	}
	say(x, flag_arg(x, "dry-run") ? "would be exported" : "are to be exported");
	if (flag_arg(x, "dry-run"))
		return;
	if (export_begin(x->path, x->dir, &e) != 0)
		complain(x, e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, e.text);
	else
		carry_out(x);
}

/* ---- afterwards: the files are where they are to be, or are not wanted ---- */

static bool take_file_items(struct export *x)
{
	struct err e = { 0 };

	if (export_read(x->dir, &x->set, &e) == 0)
		return true;
	complain(x, CALL_PARTLY, e.text);
	return false;
}

static void count_ready(struct export *x, bool (*want)(const struct export_item *))
{
	uint64_t last = 0;

	x->messages = x->recipients = 0;
	for (size_t i = 0; i < x->set.n; i++) {
		if (!want(&x->set.v[i]))
			continue;
		x->messages += x->set.v[i].id != last;
		x->recipients++;
		last = x->set.v[i].id;
	}
}

static void end_export(struct export *x, const char *verb, bool (*want)(const struct export_item *),
		       const char *planned, const char *done)
{
	size_t busy;

	if (!take_file_items(x) || !look_again(x, &busy))
		return;
	count_ready(x, want);
	if (x->recipients == 0) {
		complain(x, CALL_NOTHING, "nothing of these files is on hold in this queue");
		return;
	}
	say(x, planned);
	if (!flag_arg(x, "dry-run") && order(x, verb, want))
		say(x, done);
}

/* ---- ---- */

static bool load_offline(struct export *x)
{
	struct buf problems;

	buf_init(&problems, 1024 * 1024);
	x->config = config_load(x->w->config, &problems);
	if (x->config == NULL)
		complain(x, CALL_PARTLY, buf_cstr(&problems));
	else
		snprintf(x->path, sizeof x->path, STR_FMT, STR_ARG(x->config->queue.path));
	buf_fini(&problems);
	x->asker.offline = x->config;
	return x->config != NULL;
}

static void run(struct export *x)
{
	int ways = (text_arg(x, "into") != NULL) + (text_arg(x, "finish") != NULL) + (text_arg(x, "undo") != NULL);

	if (ways != 1 || !check_ids(x)) {
		if (ways != 1)
			complain(x, CALL_USAGE, "one of --into, --finish and --undo is needed, with a folder");
		return;
	}
	if (x->w->offline ? !load_offline(x) : !ask(x, "status", json_object(), take_path))
		return;
	if ((x->dir = text_arg(x, "into")) != NULL)
		export_out(x);
	else if ((x->dir = text_arg(x, "finish")) != NULL)
		end_export(x, "remove", is_ready, "of these files are on hold here and go",
			   "are removed from this queue");
	else if ((x->dir = text_arg(x, "undo")) != NULL)
		end_export(x, "release", is_ours_again, "of these files are on hold here and go on", "are released");
}

int cli_export(const struct cli_words *w)
{
	struct export x = { .w = w, .asker.socket = w->socket };

	run(&x);
	export_set_fini(&x.set);
	config_unref(&x.config);
	return x.exit;
}
