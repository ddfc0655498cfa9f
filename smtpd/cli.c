/* smtpd/cli.c: main() of `tombolo`, the command line.
 *
 *   words -> (verb table) -> JSON arguments -> the daemon over its socket, or a handler right here -> printer -> exit
 *
 * The verb table says what there is: parsing, checks and help all come from it, as the daemon's dispatch does.
 * Exit codes: 0 ok, 1 nothing matched, 2 usage, 3 failed or partly failed, 75 daemon unreachable. */
#include "base/fault.h"
#include "base/must.h"
#include "base/net.h"
#include "base/time.h"
#include "smtpd/cli_ask.h"
#include "smtpd/cli_export.h"
#include "smtpd/cli_print.h"
#include "smtpd/cli_top.h"
#include "smtpd/cli_words.h"
#include "smtpd/control_verbs.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_LINE_MAX = 8 * 1024 * 1024 };

struct cli {
	struct cli_words words;
	struct printer printer;
};

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

	json_array_append_new(cmd, json_string(cli->words.verb->noun));
	json_array_append_new(cmd, json_string(cli->words.verb->name));
	json_object_set_new(request, "cmd", cmd);
	json_object_set(request, "args", cli->words.args);
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
	int fd = net_connect_unix(cli->words.socket, &e);

	if (fd < 0) {
		fprintf(stderr,
			"tombolo: %s\nIs tombolod running, and may you use its socket? "
			"Another socket: --socket PATH%s\n",
			e.text, cli->words.verb->flags & VERB_OFFLINE ? "; without a daemon: --offline -c FILE" : "");
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

	call_init(&c, cli->words.verb, json_incref(cli->words.args), &hooks, conf);
	c.emit = emit_here;
	c.carrier = cli;
	c.uid = geteuid();
	cli->words.verb->run(&c);
	must(c.ended);
	if (c.file >= 0)
		copy_file(cli, c.file);
	cli->printer.ended = true;
	cli->printer.exit = c.exit;
	snprintf(cli->printer.error, sizeof cli->printer.error, "%s", c.error);
	call_fini(&c);
	return cli->printer.exit;
}

static void print_line(void *arg, struct str line)
{
	must(printer_line(&((struct cli *)arg)->printer, line));
}

static int run_on_queue(struct cli *cli, struct config *conf)
{
	struct cli_answer a;

	cli_run_offline(conf, cli->words.verb, cli->words.args, print_line, cli, &a);
	cli->printer.ended = true;
	cli->printer.exit = a.exit;
	snprintf(cli->printer.error, sizeof cli->printer.error, "%s", a.error);
	return a.exit;
}

/* As root: with the rights of whom the folder belongs to.  What is made there is his then, and a link that he planted
 * leads to nothing that he could not write himself. */
static struct routing *open_table(struct config *conf, struct err *e)
{
	struct stat st;
	bool other = geteuid() == 0 && lstat(conf->recipients.path.p, &st) == 0 && st.st_uid != 0;

	if (other && (setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0)) {
		err_sys(e, ERR_SYSTEM, "cli.offline", "cannot act as the owner of %s", conf->recipients.path.p);
		return NULL;
	}
	struct routing *r = routing_open(conf, e);
	if (other)
		must(seteuid(0) == 0 && setegid(0) == 0);
	return r;
}

static int run_offline(struct cli *cli)
{
	struct buf problems;
	struct routing *routing = NULL;
	struct err e = { 0 };
	int status;

	buf_init(&problems, 1024 * 1024);
	struct config *conf = config_load(cli->words.config, &problems);
	if (conf == NULL) {
		fprintf(stderr, "%stombolo: %s would not load\n", buf_cstr(&problems), cli->words.config);
		status = CALL_PARTLY;
	} else if ((cli->words.verb->flags & VERB_STORE) && (routing = open_table(conf, &e)) == NULL) {
		fprintf(stderr, "tombolo: %s\n", e.text);
		config_unref(&conf);
		status = CALL_PARTLY;
	} else if (cli->words.verb->flags & VERB_QUEUE) {
		status = run_on_queue(cli, conf);
		config_unref(&conf);
	} else {
		status = run_here(cli, conf, routing);
	}
	routing_close(&routing);
	buf_fini(&problems);
	return status;
}

/* ---- main ---- */

static void print_error(const char *text)
{
	struct buf clean;

	buf_init(&clean, 4096);
	print_clean(&clean, str_c(text));
	fprintf(stderr, "tombolo: %s\n", buf_cstr(&clean));
	buf_fini(&clean);
}

static int run_verb(struct cli *cli)
{
	const struct verb *v = cli->words.verb;
	int status;

	if (cli->words.offline && !(v->flags & VERB_OFFLINE) && v->where != VERB_LOCAL) {
		print_error("--offline: only the daemon can do this");
		return CALL_USAGE;
	}
	if (cli->words.postfix && json_object_get(cli->words.args, "max") == NULL)
		json_object_set_new(cli->words.args, "max", json_integer(0));
	if (v->run == run_top)
		return cli_top(&cli->words);
	if (v->run == run_queue_export)
		return cli_export(&cli->words);
	enum print_view view = cli->words.json ? PRINT_JSON : cli->words.postfix ? PRINT_POSTFIX : PRINT_TABLE;
	printer_init(&cli->printer, v, view, stdout, clock_wall_ms());
	bool own_files = (v->flags & VERB_FILES) &&
			 ((v->flags & VERB_STORE) || json_object_get(cli->words.args, "track") == NULL);
	if (own_files)
		status = run_offline(cli);
	else if (v->where == VERB_LOCAL)
		status = run_here(cli, NULL, NULL);
	else
		status = cli->words.offline ? run_offline(cli) : ask_daemon(cli);
	printer_fini(&cli->printer);
	if (cli->printer.ended && cli->printer.error[0] != '\0')
		print_error(cli->printer.error);
	return status;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	struct err e = { 0 };
	int status = CALL_OK;

	fault_init();
	signal(SIGPIPE, SIG_IGN); /* a daemon that goes away is exit code 75 */
	cli_words_init(&cli.words);
	if (cli_words_parse(&cli.words, argc - 1, argv + 1, &e) != 0) {
		fprintf(stderr, "tombolo: %s\n", e.text);
		status = CALL_USAGE;
	} else if (cli.words.verb == NULL) {
		cli_print_usage(stdout);
	} else if (cli.words.help) {
		cli_print_verb_help(stdout, cli.words.verb);
	} else {
		status = run_verb(&cli);
	}
	if (fflush(stdout) != 0 && status == CALL_OK)
		status = CALL_PARTLY;
	cli_words_fini(&cli.words);
	return status;
}
