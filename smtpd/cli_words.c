/* smtpd/cli_words.c: the words of a command line into a verb and its arguments, by the verb table. */
#include "smtpd/cli_words.h"

#include "base/must.h"

#include <limits.h>
#include <unistd.h>

static int usage(struct err *e, const char *fmt, const char *word)
{
	char text[200];

	snprintf(text, sizeof text, fmt, word);
	return err_set(e, ERR_SYNTAX, "cli", "%s\nTry: tombolo --help", text);
}

static const struct verb_arg *find_option(const struct verb *v, struct str name)
{
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (a->place == ARG_OPTION && str_eq(str_c(a->name), name))
			return a;
	return NULL;
}

/* The place that the next plain word goes to. */
static const struct verb_arg *next_place(const struct verb *v, const json_t *args)
{
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (a->place == ARG_REST || (a->place != ARG_OPTION && json_object_get(args, a->name) == NULL))
			return a;
	return NULL;
}

/* The daemon has another working directory; a file that is not there is for the handler to complain about. */
static json_t *absolute_path(const char *word)
{
	char path[PATH_MAX], cwd[PATH_MAX];
	struct buf b;

	if (realpath(word, path) != NULL)
		return json_of_str(str_c(path));
	buf_init(&b, SIZE_MAX / 2);
	if (word[0] != '/' && getcwd(cwd, sizeof cwd) != NULL)
		buf_addf(&b, "%s/", cwd);
	buf_add(&b, str_c(word));
	json_t *j = json_of_str(buf_str(&b));
	buf_fini(&b);
	return j;
}

static void add_value(struct cli_words *w, const struct verb_arg *a, const char *word)
{
	json_t *list;

	if (a->kind == ARG_LIST) {
		if ((list = json_object_get(w->args, a->name)) == NULL)
			json_object_set_new(w->args, a->name, list = json_array());
		must(json_array_append_new(list, json_of_str(str_c(word))) == 0);
		return;
	}
	json_object_set_new(w->args, a->name, a->kind == ARG_FILE ? absolute_path(word) : json_of_str(str_c(word)));
}

/* Takes one option, with its value from the word itself or the one behind it.  Returns words
 * used, 0: not one of these, or -1. */
static int take_global(struct cli_words *w, char **words, struct err *e)
{
	static const char *const flags[] = { "--json", "--offline", "--help", "-h" };
	bool *const to[] = { &w->json, &w->offline, &w->help, &w->help };
	struct str word = str_c(words[0]), name, value;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(words[0], flags[i]) == 0) {
			*to[i] = true;
			return 1;
		}
	bool has_value = str_cut(word, '=', &name, &value);
	const char **text = str_eq(name, S("--socket"))                            ? &w->socket
			    : str_eq(name, S("-c")) || str_eq(name, S("--config")) ? &w->config
										   : NULL;
	if (text == NULL)
		return 0;
	*text = has_value ? value.p : words[1];
	if (*text == NULL)
		return usage(e, "%s needs a value", words[0]);
	return has_value ? 1 : 2;
}

static int take_option(struct cli_words *w, char **words, struct err *e)
{
	struct str name, value;
	bool has_value = str_cut(str_skip(str_c(words[0]), 2), '=', &name, &value);
	const struct verb_arg *a = find_option(w->verb, name);

	if (a == NULL)
		return usage(e, "%s: no such option here", words[0]);
	if (a->kind == ARG_VIEW) {
		w->postfix = true; /* the only one there is */
		return 1;
	}
	if (a->kind == ARG_FLAG) {
		json_object_set_new(w->args, a->name, json_true());
		return 1;
	}
	const char *text = has_value ? value.p : words[1];
	if (text == NULL)
		return usage(e, "%s needs a value", words[0]);
	add_value(w, a, text);
	return has_value ? 1 : 2;
}

static int take_word(struct cli_words *w, const char *word, struct err *e)
{
	const struct verb_arg *a = next_place(w->verb, w->args);

	if (a == NULL)
		return usage(e, "%s: one word too many", word);
	add_value(w, a, word);
	return 1;
}

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < control_verb_n; i++)
		if (strcmp(control_verbs[i].noun, word) == 0)
			return true;
	return false;
}

/* A plain word before the verb is known. */
static int take_name(struct cli_words *w, const char **noun, const char *word, struct err *e)
{
	if (*noun == NULL) {
		*noun = word;
		w->verb = verb_find(word, "");
		return is_noun(word) ? 1 : usage(e, "%s: no such command", word);
	}
	w->verb = verb_find(*noun, word);
	return w->verb != NULL ? 1 : usage(e, "%s: no such verb here", word);
}

/* Takes the first one or two plain words and what holds for all verbs; the other words move down.  Returns how many are
 * left, or -1. */
static int take_verb(struct cli_words *w, int n, char **words, struct err *e)
{
	const char *noun = NULL;
	int kept = 0, used;

	for (int i = 0; i < n; i += used) {
		bool plain_name = w->verb == NULL && words[i][0] != '-';
		if ((used = take_global(w, &words[i], e)) == 0 && plain_name)
			used = take_name(w, &noun, words[i], e);
		if (used < 0)
			return -1;
		if (used == 0) {
			words[kept++] = words[i];
			used = 1;
		}
	}
	words[kept] = NULL;
	if (w->verb == NULL && noun != NULL && !w->help)
		return usage(e, "%s needs a verb", noun);
	return kept;
}

int cli_words_parse(struct cli_words *w, int n, char **words, struct err *e)
{
	bool plain = false; /* after "--" */
	int used;

	n = take_verb(w, n, words, e);
	if (n < 0 || w->help)
		return n < 0 ? -1 : 0;
	if (w->verb == NULL)
		return n > 0 ? usage(e, "%s: a command must come first", words[0]) : 0;
	for (int i = 0; i < n; i += used) {
		if (!plain && strcmp(words[i], "--") == 0) {
			plain = true;
			used = 1;
		} else if (!plain && words[i][0] == '-' && words[i][1] == '-') {
			used = take_option(w, &words[i], e);
		} else if (!plain && words[i][0] == '-' && words[i][1] != '\0') {
			used = usage(e, "%s: no such option here", words[i]);
		} else {
			used = take_word(w, words[i], e);
		}
		if (used < 0)
			return -1;
	}
	return args_check(w->verb, w->args, e);
}

void cli_words_init(struct cli_words *w)
{
	const char *env = getenv("TOMBOLO_CONTROL");

	*w = (struct cli_words){ .socket = env != NULL && env[0] != '\0' ? env : CLI_SOCKET, .config = CLI_CONFIG };
	w->args = json_object();
	must(w->args != NULL);
}

void cli_words_fini(struct cli_words *w)
{
	json_decref(w->args);
	w->args = NULL;
}
