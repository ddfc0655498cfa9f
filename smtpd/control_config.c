/* smtpd/control_config.c: the configuration in force, and files that would replace it.
 *
 * On the worker (loading reads files), `config check` inside `tombolo`: it must work when no daemon does. */
#include "base/must.h"
#include "smtpd/control_verbs.h"

enum { TEXT_MAX = 4 * 1024 * 1024, LINES_MAX = 3000 };

static bool has_warning(struct str text)
{
	return str_find(text, S("warning:")) >= 0;
}

void run_config_check(struct call *c)
{
	struct str file = args_text(c, "FILE");
	struct buf problems;

	buf_init(&problems, TEXT_MAX);
	struct config *conf = config_load(file.p, &problems);
	call_lines(c, buf_str(&problems));
	if (conf == NULL)
		call_end(c, CALL_PARTLY, STR_FMT " would not load", STR_ARG(file));
	else {
		call_text(c, STR_FMT ": ok%s; %zu domains, %zu receive, %zu inbound, %zu send connectors",
			  STR_ARG(file), has_warning(buf_str(&problems)) ? " with warnings" : "", conf->domain_n,
			  conf->receive_n, conf->inbound_n, conf->send_n);
		call_end(c, CALL_OK, NULL);
	}
	config_unref(&conf);
	buf_fini(&problems);
}

void run_config_show(struct call *c)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	config_show(c->config, &text);
	call_lines(c, buf_str(&text));
	buf_fini(&text);
	call_end(c, CALL_OK, NULL);
}

void run_config_reload(struct call *c)
{
	struct buf problems;
	int failed;

	if (c->hooks->reload == NULL) {
		call_end(c, CALL_PARTLY, "this daemon cannot reload; restart it");
		return;
	}
	buf_init(&problems, TEXT_MAX);
	failed = c->hooks->reload(c->hooks->arg, &problems);
	call_lines(c, buf_str(&problems));
	buf_fini(&problems);
	if (failed != 0)
		call_end(c, CALL_PARTLY, "nothing was changed: the configuration before stays in force");
	else {
		call_text(c, "The new configuration is in force.");
		call_end(c, CALL_OK, NULL);
	}
}

/* ---- diff ---- */

struct lines {
	struct str *v;
	size_t n;
};

static struct lines split_lines(struct str text)
{
	struct lines l = { calloc(LINES_MAX, sizeof *l.v), 0 };

	must(l.v != NULL);
	while (text.n > 0 && l.n < LINES_MAX) {
		str_cut(text, '\n', &l.v[l.n], &text);
		l.n++;
	}
	return l;
}

/* Longest common subsequence; both texts come from config_show, so equal options are equal lines.
 * len[i * (b.n + 1) + j] = length of the common subsequence of a[i..] and b[j..]. */
static uint16_t *common_lengths(const struct lines *a, const struct lines *b)
{
	size_t row = b->n + 1;
	uint16_t *len = calloc((a->n + 1) * row, sizeof *len);

	must(len != NULL);
	for (size_t i = a->n; i-- > 0;)
		for (size_t j = b->n; j-- > 0;) {
			uint16_t down = len[(i + 1) * row + j], right = len[i * row + j + 1];
			if (str_eq(a->v[i], b->v[j]))
				len[i * row + j] = (uint16_t)(len[(i + 1) * row + j + 1] + 1);
			else
				len[i * row + j] = down >= right ? down : right;
		}
	return len;
}

static void diff_row(struct call *c, const char *sign, struct str section, struct str line)
{
	json_t *row = json_object();

	row_c(row, "sign", sign);
	row_str(row, "section", section);
	row_str(row, "line", str_trim(line));
	call_row(c, row);
}

static size_t diff_rows(struct call *c, const struct lines *a, const struct lines *b)
{
	uint16_t *len = common_lengths(a, b);
	size_t row = b->n + 1, i = 0, j = 0, n = 0;
	struct str section = STR_NONE;

	while (i < a->n || j < b->n) {
		struct str line = i < a->n ? a->v[i] : b->v[j];
		if (i < a->n && j < b->n && str_eq(a->v[i], b->v[j])) {
			if (str_ends(line, S("{")))
				section = str_trim(str_head(line, line.n - 1));
			else if (str_ends(line, S("}")))
				section = STR_NONE;
			i++;
			j++;
			continue;
		}
		n++;
		if (j >= b->n || (i < a->n && len[(i + 1) * row + j] >= len[i * row + j + 1]))
			diff_row(c, "-", section, a->v[i++]);
		else
			diff_row(c, "+", section, b->v[j++]);
	}
	free(len);
	return n;
}

static void diff_with(struct call *c, const struct config *other)
{
	struct buf mine, theirs, restart;
	struct lines a, b;
	size_t n;

	buf_init(&mine, TEXT_MAX);
	buf_init(&theirs, TEXT_MAX);
	buf_init(&restart, TEXT_MAX);
	config_show(c->config, &mine);
	config_show(other, &theirs);
	a = split_lines(buf_str(&mine));
	b = split_lines(buf_str(&theirs));
	n = diff_rows(c, &a, &b);
	if (config_restart_diff(c->config, other, &restart) > 0)
		call_lines(c, buf_str(&restart));
	free(a.v);
	free(b.v);
	buf_fini(&mine);
	buf_fini(&theirs);
	buf_fini(&restart);
	if (n == 0)
		call_end(c, CALL_NOTHING, "no difference");
	else
		call_end(c, CALL_OK, NULL);
}

void run_config_diff(struct call *c)
{
	struct str file = args_text(c, "FILE");
	struct buf problems;

	if (file.n == 0)
		file = str_c(c->hooks->config_path);
	if (file.n == 0) {
		call_end(c, CALL_USAGE, "which file? See: tombolo config diff --help");
		return;
	}
	buf_init(&problems, TEXT_MAX);
	struct config *other = config_load(file.p, &problems);
	call_lines(c, buf_str(&problems));
	buf_fini(&problems);
	if (other == NULL)
		call_end(c, CALL_PARTLY, STR_FMT " would not load", STR_ARG(file));
	else
		diff_with(c, other);
	config_unref(&other);
}
