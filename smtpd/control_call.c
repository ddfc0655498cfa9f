/* smtpd/control_call.c: checks arguments against the verb table, and writes the lines of an answer.
 *
 * Nothing that a client sent reaches a handler unless args_check let it pass. */
#include "smtpd/control_call.h"

#include "base/must.h"
#include "base/time.h"
#include "wire/addr.h"

#include <unistd.h>

const struct verb *verb_find(const char *noun, const char *name)
{
	for (size_t i = 0; i < control_verb_n; i++)
		if (strcmp(control_verbs[i].noun, noun) == 0 && strcmp(control_verbs[i].name, name) == 0)
			return &control_verbs[i];
	return NULL;
}

static const struct verb_arg *find_arg(const struct verb *v, const char *name)
{
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

const char *verb_arg_meta(const struct verb_arg *a)
{
	return a->meta != NULL ? a->meta : "VALUE";
}

static struct str text_of(const json_t *j)
{
	return str_n(json_string_value(j), json_string_length(j));
}

/* "12", "64K", "12M", "1G", each also with a B behind it. */
static bool parse_bytes(struct str s, uint64_t *out)
{
	static const char units[] = "kmg";
	uint64_t v, factor = 1;

	if (s.n > 1 && chr_lower(s.p[s.n - 1]) == 'b')
		s.n--;
	for (size_t i = 0; s.n > 1 && i < sizeof units - 1; i++)
		if (chr_lower(s.p[s.n - 1]) == units[i]) {
			factor = UINT64_C(1) << (10 * (i + 1));
			s.n--;
			break;
		}
	if (!str_u64(s, INT64_MAX / factor, &v))
		return false;
	*out = v * factor;
	return true;
}

static bool parse_number(enum arg_kind kind, const json_t *j, uint64_t *out)
{
	int64_t ms;

	if (json_is_integer(j)) {
		*out = (uint64_t)json_integer_value(j);
		return json_integer_value(j) >= 0;
	}
	if (!json_is_string(j))
		return false;
	if (kind == ARG_BYTES)
		return parse_bytes(text_of(j), out);
	if (kind == ARG_COUNT)
		return str_u64(text_of(j), INT64_MAX, out);
	if (!time_parse_span(text_of(j), &ms))
		return false;
	*out = (uint64_t)ms;
	return true;
}

static int check_text(const char *name, const json_t *j, struct err *e)
{
	struct str s = text_of(j);

	if (!json_is_string(j))
		return err_set(e, ERR_SYNTAX, "control.args", "%s: a text is expected", name);
	if (s.n > ARG_TEXT_MAX)
		return err_set(e, ERR_SYNTAX, "control.args", "%s: longer than %d bytes", name, ARG_TEXT_MAX);
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]))
			return err_set(e, ERR_SYNTAX, "control.args", "%s: control bytes are not allowed", name);
	return 0;
}

static int check_address(const char *name, const json_t *j, struct err *e)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;

	if (check_text(name, j, e) != 0)
		return -1;
	if (addr_parse(text_of(j), &rules, &a) != ADDR_OK || a.whole.n != text_of(j).n)
		return err_set(e, ERR_SYNTAX, "control.args", "%s: not a mailbox address like user@example.com", name);
	return 0;
}

static int check_list(const char *name, const json_t *j, struct err *e)
{
	if (!json_is_array(j) || json_array_size(j) > ARG_LIST_MAX)
		return err_set(e, ERR_SYNTAX, "control.args", "%s: a list of at most %d texts is expected", name,
			       ARG_LIST_MAX);
	for (size_t i = 0; i < json_array_size(j); i++)
		if (check_text(name, json_array_get(j, i), e) != 0)
			return -1;
	return 0;
}

static int check_value(const struct verb_arg *a, const json_t *j, struct err *e)
{
	uint64_t number;

	switch (a->kind) {
	case ARG_FLAG:
	case ARG_VIEW:
		if (json_is_boolean(j))
			return 0;
		return err_set(e, ERR_SYNTAX, "control.args", "%s: true or false is expected", a->name);
	case ARG_TEXT:
	case ARG_FILE:
		return check_text(a->name, j, e);
	case ARG_ADDRESS:
		return check_address(a->name, j, e);
	case ARG_LIST:
		return check_list(a->name, j, e);
	case ARG_COUNT:
		if (parse_number(a->kind, j, &number))
			return 0;
		return err_set(e, ERR_SYNTAX, "control.args", "%s: a number is expected", a->name);
	case ARG_SPAN:
		if (parse_number(a->kind, j, &number))
			return 0;
		return err_set(e, ERR_SYNTAX, "control.args", "%s: a duration like 90s, 15m, 2h or 1d is expected",
			       a->name);
	case ARG_BYTES:
		if (parse_number(a->kind, j, &number))
			return 0;
		return err_set(e, ERR_SYNTAX, "control.args", "%s: a size like 4096, 64K or 12M is expected", a->name);
	}
	must(!"kind of argument");
	return -1;
}

int args_check(const struct verb *v, json_t *args, struct err *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(args))
		return err_set(e, ERR_SYNTAX, "control.args", "args: an object is expected");
	json_object_foreach(args, name, value)
	{
		const struct verb_arg *a = find_arg(v, name);
		if (a == NULL)
			return err_set(e, ERR_SYNTAX, "control.args", "%s %s has no argument of that name", v->noun,
				       v->name);
		if (check_value(a, value, e) != 0)
			return -1;
	}
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (a->place == ARG_MUST && json_object_get(args, a->name) == NULL)
			return err_set(e, ERR_SYNTAX, "control.args", "%s is missing; see: tombolo %s %s --help",
				       verb_arg_meta(a), v->noun, v->name);
	return 0;
}

/* Asking for an argument that the table does not have is a bug in the handler. */
static json_t *arg_value(const struct call *c, const char *name)
{
	must(find_arg(c->verb, name) != NULL);
	return json_object_get(c->args, name);
}

bool args_flag(const struct call *c, const char *name)
{
	return json_is_true(arg_value(c, name));
}

struct str args_reason(const struct call *c)
{
	json_t *j = json_object_get(c->args, "reason");

	return j != NULL ? text_of(j) : STR_NONE;
}

bool args_has(const struct call *c, const char *name)
{
	return arg_value(c, name) != NULL;
}

struct str args_text(const struct call *c, const char *name)
{
	const json_t *j = arg_value(c, name);

	return j == NULL ? STR_NONE : text_of(j);
}

uint64_t args_number(const struct call *c, const char *name, uint64_t otherwise)
{
	const json_t *j = arg_value(c, name);
	const struct verb_arg *a = find_arg(c->verb, name);

	must(a != NULL);
	if (j != NULL)
		must(parse_number(a->kind, j, &otherwise));
	return otherwise;
}

size_t args_list_n(const struct call *c, const char *name)
{
	return json_array_size(arg_value(c, name));
}

struct str args_list_at(const struct call *c, const char *name, size_t i)
{
	must(i < args_list_n(c, name));
	return text_of(json_array_get(arg_value(c, name), i));
}

void call_init(struct call *c, const struct verb *v, json_t *args, const struct control_hooks *h, struct config *config)
{
	*c = (struct call){ .verb = v, .args = args, .hooks = h, .config = config, .file = -1 };
}

void call_fini(struct call *c)
{
	if (c->state != NULL) {
		must(c->drop != NULL);
		c->drop(c);
		c->state = NULL;
	}
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	json_decref(c->args);
	c->args = NULL;
	config_unref(&c->config);
}

static void emit_json(struct call *c, const char *kind, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	struct buf line;

	must(text != NULL && !c->ended);
	buf_init(&line, SIZE_MAX / 2);
	buf_addf(&line, "{\"%s\":", kind);
	buf_add(&line, str_c(text));
	buf_add(&line, S("}\n"));
	c->emit(c, buf_str(&line));
	buf_fini(&line);
	free(text);
	json_decref(value);
}

void call_row(struct call *c, json_t *row)
{
	emit_json(c, "row", row);
}

void call_text(struct call *c, const char *fmt, ...)
{
	struct buf text;
	va_list ap;

	buf_init(&text, 64 * 1024);
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	emit_json(c, "text", json_of_str(buf_str(&text)));
	buf_fini(&text);
}

void call_lines(struct call *c, struct str text)
{
	struct str line;

	while (text.n > 0) {
		str_cut(text, '\n', &line, &text);
		emit_json(c, "text", json_of_str(line));
	}
}

void call_end(struct call *c, int code, const char *fmt, ...)
{
	va_list ap;

	must(!c->ended);
	c->ended = true;
	c->exit = code;
	if (fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(c->error, sizeof c->error, fmt, ap);
		va_end(ap);
	}
	if (c->finished != NULL)
		c->finished(c);
}

void call_end_err(struct call *c, int code, const struct err *e)
{
	call_end(c, code, "%s", e->text);
}

void call_to_worker(struct call *c, void (*run)(struct call *), void (*then)(struct call *))
{
	must(!c->ended && c->to_worker != NULL);
	c->to_worker(c, run, then);
}

json_t *json_of_str(struct str s)
{
	json_t *j = str_chr(s, '\0') < 0 ? json_stringn(s.p != NULL ? s.p : "", s.n) : NULL;

	if (j != NULL)
		return j;
	char *clean = malloc(s.n + 1);
	must(clean != NULL);
	for (size_t i = 0; i < s.n; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): NULL has no bytes */
		clean[i] = chr_is_8bit(s.p[i]) || s.p[i] == '\0' ? '?' : s.p[i];
	j = json_stringn(clean, s.n);
	must(j != NULL);
	free(clean);
	return j;
}

void row_str(json_t *row, const char *key, struct str s)
{
	must(json_object_set_new(row, key, json_of_str(s)) == 0);
}

void row_c(json_t *row, const char *key, const char *s)
{
	row_str(row, key, str_c(s));
}

void row_int(json_t *row, const char *key, int64_t v)
{
	must(json_object_set_new(row, key, json_integer(v)) == 0);
}

void row_uint(json_t *row, const char *key, uint64_t v)
{
	row_int(row, key, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void row_bool(json_t *row, const char *key, bool v)
{
	must(json_object_set_new(row, key, json_boolean(v)) == 0);
}
