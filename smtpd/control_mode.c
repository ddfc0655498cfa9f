/* smtpd/control_mode.c: `mode show`, `set`, `history` and `stragglers`: the flow told, and the plain tool to change it.
 *
 * On the worker: all read the store, `mode set` writes it.  A switch with checks and a way back is control_switch.c. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"

#include <stdlib.h>

static const struct mode_word {
	const char *name;
	enum conf_side mx;
	bool cmt;
} mode_words[] = {
	{ "M1", SIDE_ONPREM, false },
	{ "M2", SIDE_CLOUD, false },
	{ "M3", SIDE_CLOUD, true },
	{ "M4", SIDE_ONPREM, true },
};

bool mode_parse(struct str s, enum conf_side *mx, bool *cmt)
{
	for (size_t i = 0; i < sizeof mode_words / sizeof mode_words[0]; i++)
		if (str_ieq(s, str_c(mode_words[i].name))) {
			*mx = mode_words[i].mx;
			*cmt = mode_words[i].cmt;
			return true;
		}
	return false;
}

struct str call_who(const struct call *c, char room[SWITCH_WHO])
{
	snprintf(room, SWITCH_WHO, "uid %u", c->uid);
	return str_c(room);
}

void run_mode_show(struct call *c)
{
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &m, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	json_t *row = json_object();
	row_mode(row, &m);
	row_int(row, "grace_ms", c->config->mode.grace_ms);
	row_bool(row, "in_grace", clock_wall_ms() < m.since_ms + c->config->mode.grace_ms);
	call_row(c, row);
	call_end(c, CALL_OK, NULL);
}

/* One word of `mode set`: M3, mx=cloud, cmt=on. */
static bool apply_mode_word(struct str word, enum conf_side *mx, bool *cmt)
{
	struct str key, value;

	if (mode_parse(word, mx, cmt))
		return true;
	str_cut(word, '=', &key, &value);
	if (str_ieq(key, S("mx")) && (str_ieq(value, S("onprem")) || str_ieq(value, S("cloud"))))
		*mx = str_ieq(value, S("cloud")) ? SIDE_CLOUD : SIDE_ONPREM;
	else if (str_ieq(key, S("cmt")) && (str_ieq(value, S("on")) || str_ieq(value, S("off"))))
		*cmt = str_ieq(value, S("on"));
	else
		return false;
	return true;
}

bool mode_read_words(struct call *c, enum conf_side *mx, bool *cmt)
{
	size_t n = args_list_n(c, "MODE");

	for (size_t i = 0; i < n; i++)
		if (!apply_mode_word(args_list_at(c, "MODE", i), mx, cmt)) {
			call_end(c, CALL_USAGE, "\"" STR_FMT "\": M1..M4, mx=onprem|cloud or cmt=on|off is expected",
				 STR_ARG(args_list_at(c, "MODE", i)));
			return false;
		}
	if (n == 0)
		call_end(c, CALL_USAGE, "which mode? M1..M4, or mx=onprem|cloud and cmt=on|off");
	return n > 0;
}

void run_mode_set(struct call *c)
{
	struct mode before, after;
	bool changed = false, dry_run = args_flag(c, "dry-run");
	char who[SWITCH_WHO];
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &before, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	after = before;
	if (!mode_read_words(c, &after.mx, &after.cmt))
		return;
	if (dry_run)
		changed = after.mx != before.mx || after.cmt != before.cmt;
	else if (routing_mode_set(c->hooks->routing, after.mx, after.cmt, call_who(c, who), &after, &changed, &e) !=
		 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	json_t *row = json_object();
	row_mode(row, &after);
	row_c(row, "before", mode_name(&before));
	row_bool(row, "changed", changed);
	row_bool(row, "dry_run", dry_run);
	call_row(c, row);
	call_end(c, changed ? CALL_OK : CALL_NOTHING, changed ? NULL : "this mode is in force already");
}

/* ---- history ---- */

void run_mode_history(struct call *c)
{
	struct mode_change *all = calloc(MODE_HISTORY, sizeof *all);
	struct err e = { 0 };

	must(all != NULL);
	int n = routing_mode_history(c->hooks->routing, all, MODE_HISTORY, &e);
	for (int i = 0; i < n; i++) {
		json_t *row = json_object();
		row_mode(row, &all[i].mode);
		row_int(row, "locked_ms", all[i].mode.locked_ms);
		row_c(row, "who", all[i].who);
		call_row(c, row);
	}
	free(all);
	if (n < 0)
		call_end_err(c, CALL_PARTLY, &e);
	else
		call_end(c, n > 0 ? CALL_OK : CALL_NOTHING, n > 0 ? NULL : "no change of the mode is known");
}

/* ---- stragglers ---- */

enum { STRAGGLERS_SHOWN = 1000 };

static void straggler_row(struct call *c, const struct straggler_source *s)
{
	json_t *row = json_object(), *rcpts = json_array();
	struct buf sample;

	buf_init(&sample, 1024);
	row_c(row, "ip", s->ip);
	row_c(row, "helo", s->helo);
	row_uint(row, "messages", s->count);
	row_int(row, "first_ms", s->first_ms);
	row_int(row, "last_ms", s->last_ms);
	for (int i = 0; i < STRAGGLER_RCPTS && s->rcpts[i][0] != '\0'; i++) {
		must(json_array_append_new(rcpts, json_of_str(str_c(s->rcpts[i]))) == 0);
		buf_addf(&sample, "%s%s", i > 0 ? ", " : "", s->rcpts[i]);
	}
	must(json_object_set_new(row, "recipients", rcpts) == 0);
	row_str(row, "sample", buf_str(&sample));
	call_row(c, row);
	buf_fini(&sample);
}

/* No VERB_LOOP: a lock that sessions take is held while the table is copied, for a moment. */
void run_mode_stragglers(struct call *c)
{
	struct stragglers *st = routing_stragglers(c->hooks->routing);
	size_t max = (size_t)args_number(c, "max", STRAGGLERS_SHOWN), n;
	struct straggler_source *all;
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &m, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	max = max == 0 || max > st->n ? st->n : max;
	all = calloc(max, sizeof *all);
	must(all != NULL);
	n = stragglers_list(st, m.mx, all, max);
	for (size_t i = 0; i < n; i++)
		straggler_row(c, &all[i]);
	free(all);
	call_end(c, n > 0 ? CALL_OK : CALL_NOTHING,
		 n > 0 ? NULL : "nobody has come to the wrong side since the MX moved");
}
