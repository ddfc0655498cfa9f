/* smtpd/cli.c: main() of `tombolo`, the command line.
 *
 *   words -> (verb table) -> JSON arguments -> the daemon over its socket, or a handler right here -> printer -> exit
 *
 * The verb table says what there is: parsing, checks and help all come from it, as the daemon's dispatch does.
 * Exit codes: 0 ok, 1 nothing matched, 2 usage, 3 failed or partly failed, 75 daemon unreachable. */
#include "base/must.h"
#include "base/net.h"
#include "base/time.h"
#include "smtpd/cli_print.h"
#include "smtpd/control_call.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/tombolo/control"
#define DEFAULT_CONFIG "/etc/tombolo/tombolo.conf"

enum { ANSWER_LINE_MAX = 8 * 1024 * 1024 };

struct cli {
	const struct verb *verb;
	json_t *args;
	const char *socket, *config;
	bool json, offline, help, postfix;
	struct printer printer;
};

/* ---- help ---- */

static void print_usage(FILE *out)
{
	const char *noun = "";

	fputs("Usage: tombolo NOUN VERB [arguments] [--json] [--socket PATH]\n\n", out);
	for (size_t i = 0; i < control_verb_n; i++) {
		const struct verb *v = &control_verbs[i];
		fprintf(out, "  %-10s %-10s %s\n", strcmp(noun, v->noun) != 0 ? v->noun : "", v->name, v->help);
		noun = v->noun;
	}
	fputs("\n  --json         one JSON object a line\n"
	      "  --socket PATH  control socket (default: $TOMBOLO_CONTROL, then " DEFAULT_SOCKET ")\n"
	      "  --offline      work on the files without a daemon (route, mode, recipients, config, connector)\n"
	      "  -c FILE        the configuration for --offline (default: " DEFAULT_CONFIG ")\n"
	      "  --help         also behind a verb\n\n"
	      "Exit: 0 ok, 1 nothing matched, 2 usage, 3 failed or partly failed, 75 daemon unreachable\n",
	      out);
}

static void print_synopsis(FILE *out, const struct verb *v)
{
	fprintf(out, "Usage: tombolo %s%s%s", v->noun, v->name[0] != '\0' ? " " : "", v->name);
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++) {
		if (a->place == ARG_MUST)
			fprintf(out, " %s", verb_arg_meta(a));
		else if (a->place == ARG_MAY)
			fprintf(out, " [%s]", verb_arg_meta(a));
		else if (a->place == ARG_REST)
			fprintf(out, " [%s ...]", verb_arg_meta(a));
	}
	fputs(v->args != NULL ? " [options]\n" : "\n", out);
}

static void print_verb_help(FILE *out, const struct verb *v)
{
	char label[80];

	print_synopsis(out, v);
	fprintf(out, "\n%s.%s\n\n", v->help, v->flags & VERB_OPERATOR ? "  For root and the daemon's user." : "");
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++) {
		bool flag = a->kind == ARG_FLAG || a->kind == ARG_VIEW;
		if (a->place == ARG_OPTION)
			snprintf(label, sizeof label, "--%s%s%s", a->name, flag ? "" : " ",
				 flag ? "" : verb_arg_meta(a));
		else
			snprintf(label, sizeof label, "%s", verb_arg_meta(a));
		fprintf(out, "  %-24s %s\n", label, a->help);
	}
	if (v->flags & VERB_OFFLINE)
		fprintf(out, "  %-24s %s\n", "--offline -c FILE",
			"without a daemon, on the files of this configuration");
}

static int usage_error(const char *fmt, const char *word)
{
	fputs("tombolo: ", stderr);
	fprintf(stderr, fmt, word);
	fputs("\nTry: tombolo --help\n", stderr);
	return CALL_USAGE;
}

/* ---- words into arguments ---- */

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

static void add_value(struct cli *cli, const struct verb_arg *a, const char *word)
{
	json_t *list;

	if (a->kind == ARG_LIST) {
		if ((list = json_object_get(cli->args, a->name)) == NULL)
			json_object_set_new(cli->args, a->name, list = json_array());
		must(json_array_append_new(list, json_of_str(str_c(word))) == 0);
		return;
	}
	json_object_set_new(cli->args, a->name, a->kind == ARG_FILE ? absolute_path(word) : json_of_str(str_c(word)));
}

/* Takes one option, with its value from the word itself or the one behind it.  Returns words used, or 0: unknown. */
static int take_global(struct cli *cli, char **words, int *status)
{
	static const char *const flags[] = { "--json", "--offline", "--help", "-h" };
	bool *const to[] = { &cli->json, &cli->offline, &cli->help, &cli->help };
	struct str word = str_c(words[0]), name, value;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(words[0], flags[i]) == 0) {
			*to[i] = true;
			return 1;
		}
	bool has_value = str_cut(word, '=', &name, &value);
	const char **text = str_eq(name, S("--socket"))                            ? &cli->socket
			    : str_eq(name, S("-c")) || str_eq(name, S("--config")) ? &cli->config
										   : NULL;
	if (text == NULL)
		return 0;
	*text = has_value ? value.p : words[1];
	if (*text == NULL)
		*status = usage_error("%s needs a value", words[0]);
	return has_value ? 1 : 2;
}

static int take_option(struct cli *cli, char **words, int *status)
{
	struct str name, value;
	bool has_value = str_cut(str_skip(str_c(words[0]), 2), '=', &name, &value);
	const struct verb_arg *a = find_option(cli->verb, name);

	if (a == NULL) {
		*status = usage_error("%s: no such option here", words[0]);
		return 1;
	}
	if (a->kind == ARG_VIEW) {
		cli->postfix = true; /* the only one there is */
		return 1;
	}
	if (a->kind == ARG_FLAG) {
		json_object_set_new(cli->args, a->name, json_true());
		return 1;
	}
	const char *text = has_value ? value.p : words[1];
	if (text == NULL)
		*status = usage_error("%s needs a value", words[0]);
	else
		add_value(cli, a, text);
	return has_value ? 1 : 2;
}

static void take_word(struct cli *cli, const char *word, int *status)
{
	const struct verb_arg *a = next_place(cli->verb, cli->args);

	if (a == NULL)
		*status = usage_error("%s: one word too many", word);
	else
		add_value(cli, a, word);
}

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < control_verb_n; i++)
		if (strcmp(control_verbs[i].noun, word) == 0)
			return true;
	return false;
}

/* Finds the verb: the first one or two plain words.  The other words move down; returns how many are left, or < 0. */
static int take_verb(struct cli *cli, int n, char **words, int *status)
{
	const char *noun = NULL;
	int kept = 0;

	for (int i = 0; i < n; i++) {
		int used = take_global(cli, &words[i], status);
		if (used > 0) {
			i += used - 1;
		} else if (cli->verb == NULL && noun == NULL && words[i][0] != '-') {
			noun = words[i];
			cli->verb = verb_find(noun, "");
		} else if (cli->verb == NULL && words[i][0] != '-') {
			cli->verb = verb_find(noun, words[i]);
			if (cli->verb == NULL)
				*status = usage_error(is_noun(noun) ? "%s: no such verb here" : "%s: no such command",
						      is_noun(noun) ? words[i] : noun);
		} else {
			words[kept++] = words[i];
		}
		if (*status != CALL_OK)
			return -1;
	}
	words[kept] = NULL;
	if (cli->verb == NULL && noun != NULL && !cli->help)
		*status = usage_error(is_noun(noun) ? "%s needs a verb" : "%s: no such command", noun);
	return kept;
}

static int parse_words(struct cli *cli, int n, char **words)
{
	int status = CALL_OK;
	bool plain = false; /* after "--" */

	n = take_verb(cli, n, words, &status);
	if (n < 0 || status != CALL_OK || cli->verb == NULL || cli->help)
		return status;
	for (int i = 0; i < n && status == CALL_OK;) {
		if (!plain && strcmp(words[i], "--") == 0) {
			plain = true;
			i++;
		} else if (!plain && words[i][0] == '-' && words[i][1] == '-') {
			i += take_option(cli, &words[i], &status);
		} else if (!plain && words[i][0] == '-' && words[i][1] != '\0') {
			status = usage_error("%s: no such option here", words[i]);
		} else {
			take_word(cli, words[i++], &status);
		}
	}
	return status;
}

/* ---- with a daemon ---- */

static bool send_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = str_skip(s, (size_t)n);
	}
	return true;
}

static bool send_request(struct cli *cli, int fd)
{
	json_t *request = json_object(), *cmd = json_array();
	struct buf line;
	char *text;
	bool ok;

	json_array_append_new(cmd, json_string(cli->verb->noun));
	json_array_append_new(cmd, json_string(cli->verb->name));
	json_object_set_new(request, "cmd", cmd);
	json_object_set(request, "args", cli->args);
	text = json_dumps(request, JSON_COMPACT);
	must(text != NULL);
	buf_init(&line, SIZE_MAX / 2);
	buf_add(&line, str_c(text));
	buf_addc(&line, '\n');
	ok = line.n <= CONTROL_REQUEST_MAX && send_all(fd, buf_str(&line));
	buf_fini(&line);
	free(text);
	json_decref(request);
	return ok;
}

/* Reads lines until the last one.  False: the connection ended before it. */
static bool read_answer(struct cli *cli, int fd)
{
	struct buf in;
	bool sound = true;

	buf_init(&in, ANSWER_LINE_MAX);
	while (sound && !cli->printer.ended) {
		char *to = buf_reserve(&in, 64 * 1024);
		ssize_t n = to != NULL ? read(fd, to, 64 * 1024) : 0, end;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		struct str rest = { to - in.n, in.n + (size_t)n };
		buf_commit(&in, (size_t)n);
		while (sound && (end = str_chr(rest, '\n')) >= 0) {
			sound = printer_line(&cli->printer, str_head(rest, (size_t)end));
			rest = str_skip(rest, (size_t)end + 1);
		}
		buf_drop(&in, in.n - rest.n);
	}
	buf_fini(&in);
	return cli->printer.ended;
}

static int ask_daemon(struct cli *cli)
{
	struct err e = { 0 };
	int fd = net_connect_unix(cli->socket, &e);

	if (fd < 0) {
		fprintf(stderr,
			"tombolo: %s\nIs tombolod running, and may you use its socket? "
			"Another socket: --socket PATH%s\n",
			e.text, cli->verb->flags & VERB_OFFLINE ? "; without a daemon: --offline -c FILE" : "");
		return CALL_UNREACHABLE;
	}
	if (!send_request(cli, fd) || !read_answer(cli, fd)) {
		printer_fini(&cli->printer);
		close(fd);
		fprintf(stderr,
			"tombolo: the daemon closed the connection before its answer was complete; see its log\n");
		return CALL_UNREACHABLE;
	}
	close(fd);
	return cli->printer.exit;
}

/* ---- without ---- */

static void emit_here(struct call *c, struct str line)
{
	struct cli *cli = c->carrier;

	must(printer_line(&cli->printer, str_head(line, line.n - 1)));
}

static void copy_file(struct cli *cli, int fd)
{
	char piece[32 * 1024];
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) > 0)
		fwrite(piece, 1, (size_t)n, cli->printer.out);
}

static int run_here(struct cli *cli, struct config *conf, struct routing *routing)
{
	const struct control_hooks hooks = { .routing = routing };
	struct call c;

	call_init(&c, cli->verb, json_incref(cli->args), &hooks, conf);
	c.emit = emit_here;
	c.carrier = cli;
	cli->verb->run(&c);
	must(c.ended);
	if (c.file >= 0)
		copy_file(cli, c.file);
	cli->printer.ended = true;
	cli->printer.exit = c.exit;
	snprintf(cli->printer.error, sizeof cli->printer.error, "%s", c.error);
	call_fini(&c);
	return cli->printer.exit;
}

static int run_offline(struct cli *cli)
{
	struct buf problems;
	struct routing *routing = NULL;
	struct err e = { 0 };
	int status;

	buf_init(&problems, 1024 * 1024);
	struct config *conf = config_load(cli->config, &problems);
	if (conf == NULL) {
		fprintf(stderr, "%stombolo: %s would not load\n", buf_cstr(&problems), cli->config);
		status = CALL_PARTLY;
	} else if ((cli->verb->flags & VERB_STORE) && (routing = routing_open(conf, &e)) == NULL) {
		fprintf(stderr, "tombolo: %s\n", e.text);
		config_unref(&conf);
		status = CALL_PARTLY;
	} else {
		status = run_here(cli, conf, routing);
	}
	routing_close(&routing);
	buf_fini(&problems);
	return status;
}

/* ---- main ---- */

static int run_verb(struct cli *cli)
{
	struct err e = { 0 };

	if (args_check(cli->verb, cli->args, &e) != 0) {
		fprintf(stderr, "tombolo: %s\n", e.text);
		return CALL_USAGE;
	}
	if (cli->postfix && json_object_get(cli->args, "max") == NULL)
		json_object_set_new(cli->args, "max", json_integer(0));
	printer_init(&cli->printer, cli->verb,
		     cli->json      ? PRINT_JSON
		     : cli->postfix ? PRINT_POSTFIX
				    : PRINT_TABLE,
		     stdout, clock_wall_ms());
	if (cli->offline && !(cli->verb->flags & VERB_OFFLINE) && cli->verb->where != VERB_LOCAL)
		return usage_error("%s: only the daemon can do this", "--offline");
	int status = cli->verb->where == VERB_LOCAL ? run_here(cli, NULL, NULL)
		     : cli->offline                 ? run_offline(cli)
						    : ask_daemon(cli);
	printer_fini(&cli->printer);
	if (cli->printer.ended && cli->printer.error[0] != '\0') {
		struct buf clean;
		buf_init(&clean, 4096);
		print_clean(&clean, str_c(cli->printer.error));
		fprintf(stderr, "tombolo: %s\n", buf_cstr(&clean));
		buf_fini(&clean);
	}
	return cli->printer.ended ? cli->printer.exit : status;
}

int main(int argc, char **argv)
{
	const char *env = getenv("TOMBOLO_CONTROL");
	struct cli cli = { .socket = env != NULL && env[0] != '\0' ? env : DEFAULT_SOCKET, .config = DEFAULT_CONFIG };
	int status;

	signal(SIGPIPE, SIG_IGN); /* a daemon that goes away is exit code 75 */
	cli.args = json_object();
	must(cli.args != NULL);
	status = parse_words(&cli, argc - 1, argv + 1);
	if (status == CALL_OK && cli.help && cli.verb != NULL)
		print_verb_help(stdout, cli.verb);
	else if (status == CALL_OK && (cli.help || (cli.verb == NULL && argc == 1)))
		print_usage(stdout);
	else if (status == CALL_OK && cli.verb == NULL)
		status = usage_error("%s", "a command is missing");
	else if (status == CALL_OK)
		status = run_verb(&cli);
	if (fflush(stdout) != 0 && status == CALL_OK)
		status = CALL_PARTLY;
	json_decref(cli.args);
	return status;
}
