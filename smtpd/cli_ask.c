/* smtpd/cli_ask.c: see the header. */
#include "smtpd/cli_ask.h"

#include "base/must.h"
#include "base/net.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8 * 1024 * 1024, READ_STEP = 64 * 1024 };

struct asking {
	void (*row)(void *arg, const json_t *row);
	void *arg;
	struct cli_answer *answer;
	bool ended;
};

static void take_line(struct asking *k, struct str text)
{
	json_t *line = json_loadb(text.p, text.n, 0, NULL), *v;
	const char *error;

	if ((v = json_object_get(line, "row")) != NULL && k->row != NULL)
		k->row(k->arg, v);
	if (json_is_integer(v = json_object_get(line, "exit"))) {
		k->ended = true;
		k->answer->exit = (int)json_integer_value(v);
		error = json_string_value(json_object_get(line, "error"));
		snprintf(k->answer->error, sizeof k->answer->error, "%s", error != NULL ? error : "");
	}
	json_decref(line);
}

/* ---- with a daemon ---- */

static bool send_request(int fd, const char *noun, const char *name, json_t *args)
{
	json_t *request = json_pack("{s:[ss],s:O}", "cmd", noun, name, "args", args);
	char *text = json_dumps(request, JSON_COMPACT);
	size_t n, sent = 0;

	must(text != NULL);
	n = strlen(text);
	must(n < CONTROL_REQUEST_MAX);
	text[n++] = '\n'; /* in the place of the NUL */
	while (sent < n) {
		ssize_t wrote = write(fd, text + sent, n - sent);
		if (wrote <= 0 && errno != EINTR)
			break;
		sent += wrote > 0 ? (size_t)wrote : 0;
	}
	free(text);
	json_decref(request);
	return sent == n;
}

static void read_answer(struct asking *k, int fd)
{
	struct buf in;
	ssize_t n, end;
	char *to;

	buf_init(&in, LINE_MAX_BYTES);
	while (!k->ended && (to = buf_reserve(&in, READ_STEP)) != NULL) {
		n = read(fd, to, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_commit(&in, (size_t)n);
		struct str rest = buf_str(&in);
		for (; (end = str_chr(rest, '\n')) >= 0; rest = str_skip(rest, (size_t)end + 1))
			take_line(k, str_head(rest, (size_t)end));
		buf_drop(&in, in.n - rest.n);
	}
	buf_fini(&in);
}

static void ask_daemon(struct asking *k, const char *path, const char *noun, const char *name, json_t *args)
{
	struct err e = { 0 };
	int fd = net_connect_unix(path, &e);

	if (fd < 0) {
		snprintf(k->answer->error, sizeof k->answer->error,
			 "%s; is tombolod running, and may you use its socket?", e.text);
		return;
	}
	if (send_request(fd, noun, name, args))
		read_answer(k, fd);
	if (!k->ended)
		snprintf(k->answer->error, sizeof k->answer->error,
			 "the daemon closed the connection before its answer was complete; see its log");
	close(fd);
}

/* ---- without ---- */

struct here {
	void (*line)(void *arg, struct str line);
	void *arg;
	struct loop *loop;
};

static void emit_here(struct call *c, struct str line)
{
	struct here *h = c->carrier;

	h->line(h->arg, str_head(line, line.n - 1));
}

static void stop_here(struct call *c)
{
	loop_stop(((struct here *)c->carrier)->loop);
}

/* Nobody else waits for this loop. */
static void work_here(struct call *c, void (*run)(struct call *), void (*then)(struct call *))
{
	run(c);
	if (!c->ended)
		then(c);
}

static void run_here(struct here *h, struct config *conf, const struct verb *v, json_t *args, struct queue *queue,
		     struct cli_answer *a)
{
	struct queue_port *port = queue_attach(queue, h->loop, NULL, NULL);
	const struct control_hooks hooks = { .loop = h->loop, .queue = queue, .port = port };
	struct call c;

	call_init(&c, v, json_incref(args), &hooks, config_ref(conf));
	c.emit = emit_here;
	c.finished = stop_here;
	c.to_worker = work_here;
	c.carrier = h;
	c.uid = geteuid();
	v->run(&c);
	if (!c.ended)
		loop_run(h->loop);
	a->exit = c.exit;
	snprintf(a->error, sizeof a->error, "%s", c.error);
	call_fini(&c);
	queue_detach(&port);
}

static int is_ours(const char *queue, struct err *e)
{
	struct stat st;

	if (stat(queue, &st) != 0)
		return err_sys(e, ERR_NOT_FOUND, "offline", "cannot open the queue %s", queue);
	if (st.st_uid != geteuid())
		return err_set(
			e, ERR_SYSTEM, "offline",
			"%s belongs to user id %u: run this as that user, or the gateway could not open it again",
			queue, (unsigned)st.st_uid);
	return 0;
}

int cli_run_offline(struct config *conf, const struct verb *v, json_t *args, void (*line)(void *arg, struct str line),
		    void *arg, struct cli_answer *a)
{
	struct here h = { .line = line, .arg = arg };
	struct queue_recovery found;
	struct queue *queue = NULL;
	struct err e = { 0 };

	must(v->flags & VERB_QUEUE);
	*a = (struct cli_answer){ .exit = CALL_PARTLY };
	if (is_ours(conf->queue.path.p, &e) == 0 && (h.loop = loop_new(&e)) != NULL &&
	    (queue = queue_open(&conf->queue, &found, &e)) != NULL)
		run_here(&h, conf, v, args, queue, a);
	else
		snprintf(a->error, sizeof a->error, "%s", e.text);
	queue_close(&queue);
	if (h.loop != NULL)
		loop_free(&h.loop);
	return a->exit;
}

static void line_here(void *arg, struct str line)
{
	take_line(arg, line);
}

int cli_ask(const struct cli_asker *k, const char *noun, const char *name, json_t *args,
	    void (*row)(void *arg, const json_t *row), void *arg, struct cli_answer *a)
{
	struct asking asking = { .row = row, .arg = arg, .answer = a };
	const struct verb *v = verb_find(noun, name);

	must(v != NULL);
	*a = (struct cli_answer){ .exit = CALL_UNREACHABLE };
	if (k->offline != NULL)
		cli_run_offline(k->offline, v, args, line_here, &asking, a);
	else
		ask_daemon(&asking, k->socket, noun, name, args);
	json_decref(args);
	return a->exit;
}
