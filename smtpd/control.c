/* smtpd/control.c: the socket, its clients, and how a request becomes a call and an answer.
 *
 *   accept -> (request line) -> start_call -> [worker] -> answer_done -> (all sent) -> client_close
 *
 * A handler on the loop may hand its call to the worker, and the worker's part may hand it back (call_to_worker).
 * A client has at most one call.  A call that the worker holds outlives its client: the job is finished, its answer
 * thrown away.  Invariant: client->call and call->carrier point at each other or one of them is NULL. */
#include "smtpd/control.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/stream.h"
#include "smtpd/control_call.h"
#include "smtpd/control_role.h"
#include "smtpd/control_worker.h"

#include <errno.h>
#include <sys/queue.h>
#include <unistd.h>

enum { REQUEST_MS = 10 * 1000, STALLED_MS = 60 * 1000, FILE_CHUNK = 32 * 1024 };

struct client {
	struct control *control;
	struct stream stream;
	struct call *call; /* NULL until the request is complete */
	uid_t uid;
	enum control_role role;
	bool on_worker; /* the call is the worker's now; only `carrier` may be touched here */
	bool overrun;   /* output went past its maximum: nothing more is sent */
	LIST_ENTRY(client) entry;
};

struct control {
	struct loop *loop;
	struct control_hooks hooks;
	struct worker *worker;
	struct loop_io io;
	int fd;
	char *path;
	struct control_roles roles;
	LIST_HEAD(, client) clients;
	unsigned client_n;
};

struct work { /* a call, and what it needs on its way through the worker */
	struct worker_job job;
	struct call call;
	struct buf lines;             /* written on the worker */
	void (*run)(struct call *c);  /* there */
	void (*then)(struct call *c); /* on the loop behind it; NULL = run ended the call */
	struct loop_task bury;
};

enum { WORK_LINES_MAX = 2 * 1024 * 1024 };

static const struct log control_log = { STR_LIT("control") };

static struct work *work_of(struct call *c)
{
	return container_of(c, struct work, call);
}

static void work_free(struct work *w)
{
	call_fini(&w->call);
	buf_fini(&w->lines);
	free(w);
}

static void on_bury(struct loop_task *task)
{
	work_free(container_of(task, struct work, bury));
}

/* Parts client and call.  The call's handler may still be on the stack, so it goes at the end of the turn. */
static void leave_call(struct client *k)
{
	struct work *w = work_of(k->call);

	k->call = NULL;
	w->call.carrier = NULL;
	w->bury.fn = on_bury;
	loop_defer(k->control->loop, &w->bury);
}

static void client_close(struct client *k)
{
	struct control *ctl = k->control;

	if (k->call != NULL && k->on_worker)
		k->call->carrier = NULL; /* on_work_done frees it */
	else if (k->call != NULL)
		leave_call(k);
	stream_close(&k->stream);
	LIST_REMOVE(k, entry);
	ctl->client_n--;
	loop_free_later(ctl->loop, k);
}

/* ---- the answer ---- */

static void send_line(struct client *k, struct str line)
{
	if (k->overrun)
		return;
	k->overrun = !stream_write(&k->stream, line);
	if (k->overrun)
		log_warn(&control_log, "control.overrun", kv_int("uid", k->uid));
	stream_deadline(&k->stream, k->overrun ? 0 : STALLED_MS);
}

static void emit_to_stream(struct call *c, struct str line)
{
	if (c->carrier != NULL)
		send_line(c->carrier, line);
}

static void emit_to_lines(struct call *c, struct str line)
{
	buf_add(&work_of(c)->lines, line);
}

static bool stream_is_slow(const struct call *c)
{
	const struct client *k = c->carrier;

	return k != NULL && stream_unsent(&k->stream) >= STREAM_LOW;
}

/* Takes `value`. */
static void send_json(struct client *k, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	must(text != NULL);
	send_line(k, str_c(text));
	send_line(k, S("\n"));
	free(text);
	json_decref(value);
}

static void send_exit(struct client *k, int code, const char *error)
{
	json_t *last = json_object();

	row_int(last, "exit", code);
	if (error[0] != '\0')
		row_c(last, code == CALL_OK ? "note" : "error", error);
	send_json(k, last);
}

/* Reads a piece that ends with a line, so that no character is cut in two. */
static ssize_t read_piece(int fd, char *piece, size_t room)
{
	ssize_t n = read(fd, piece, room), end;

	if (n <= 0 || (size_t)n < room)
		return n;
	end = str_rchr(str_n(piece, (size_t)n), '\n');
	if (end < 0)
		return n;
	return lseek(fd, end + 1 - n, SEEK_CUR) < 0 ? -1 : end + 1;
}

/* Sends the next pieces of the call's file; false when there is nothing left. */
static bool send_file(struct client *k)
{
	struct call *c = k->call;
	char piece[FILE_CHUNK];

	while (c->file >= 0 && stream_unsent(&k->stream) < STREAM_HIGH) {
		ssize_t n = read_piece(c->file, piece, sizeof piece);
		if (n > 0) {
			json_t *data = json_object();
			row_str(data, "data", str_n(piece, (size_t)n));
			send_json(k, data);
			continue;
		}
		if (n < 0) {
			c->exit = CALL_PARTLY;
			snprintf(c->error, sizeof c->error, "the daemon could not read its file: %s", strerror(errno));
		}
		close(c->file);
		c->file = -1;
	}
	return c->file >= 0;
}

/* The handler said call_end: what is left is the file, the last line and the goodbye. */
static void answer_done(struct client *k)
{
	struct call *c = k->call;

	if (send_file(k))
		return; /* on at STREAM_DRAINED */
	send_exit(k, c->exit, c->error);
	if (c->verb->flags & VERB_OPERATOR)
		log_info(&control_log, "control.done", kv_c("noun", c->verb->noun), kv_c("verb", c->verb->name),
			 kv_int("uid", k->uid), kv_int("exit", c->exit), kv_str("reason", args_reason(c)),
			 kv_c("error", c->error));
	leave_call(k);
}

static void on_loop_finished(struct call *c)
{
	if (c->carrier != NULL)
		answer_done(c->carrier);
}

static void be_on_loop(struct call *c)
{
	c->emit = emit_to_stream;
	c->finished = on_loop_finished;
	c->choked = stream_is_slow;
}

static void on_work(struct worker_job *job)
{
	struct work *w = container_of(job, struct work, job);

	w->run(&w->call);
	must(w->call.ended || w->then != NULL);
}

static void on_work_done(struct worker_job *job)
{
	struct work *w = container_of(job, struct work, job);
	struct client *k = w->call.carrier;

	if (k == NULL) { /* nobody listens any more */
		work_free(w);
		return;
	}
	must(job->ran);
	k->on_worker = false;
	if (w->lines.n > 0)
		send_line(k, buf_str(&w->lines));
	if (!w->call.ended) {
		buf_reset(&w->lines);
		be_on_loop(&w->call);
		w->then(&w->call);
		return;
	}
	if (w->lines.full && w->call.exit == CALL_OK) {
		w->call.exit = CALL_PARTLY;
		snprintf(w->call.error, sizeof w->call.error, "the answer was too long and has been cut");
	}
	answer_done(k);
}

/* ---- the request ---- */

static void go_to_worker(struct call *c, void (*run)(struct call *), void (*then)(struct call *))
{
	struct client *k = c->carrier;
	struct work *w = work_of(c);

	if (k == NULL)
		return; /* the reader left in this turn; the call is being buried */
	must(!k->on_worker);
	w->run = run;
	w->then = then;
	w->job.run = on_work;
	w->job.done = on_work_done;
	c->emit = emit_to_lines;
	c->finished = NULL;
	c->choked = NULL;
	k->on_worker = true;
	stream_deadline(&k->stream, -1);
	worker_add(k->control->worker, &w->job);
}

/* Takes `args`. */
static void start_call(struct client *k, const struct verb *v, json_t *args)
{
	struct control *ctl = k->control;
	struct work *w = calloc(1, sizeof *w);

	must(w != NULL && k->call == NULL);
	buf_init(&w->lines, WORK_LINES_MAX);
	call_init(&w->call, v, args, &ctl->hooks, config_ref(ctl->hooks.config(ctl->hooks.arg)));
	w->call.carrier = k;
	k->call = &w->call;
	w->call.to_worker = go_to_worker;
	w->call.uid = k->uid;
	if (v->where == VERB_WORKER) {
		go_to_worker(&w->call, v->run, NULL);
		return;
	}
	be_on_loop(&w->call);
	v->run(&w->call);
}

static void refuse_viewer(struct client *k, const struct verb *v)
{
	log_warn(&control_log, "control.refused", kv_c("noun", v->noun), kv_c("verb", v->name), kv_int("uid", k->uid));
	send_exit(k, CALL_USAGE,
		  k->control->roles.operators == (gid_t)-1
			  ? "only root and the user the daemon runs as may do this"
			  : "only root, the user the daemon runs as and members of control_operators may do this");
}

/* False: this is not our protocol, drop the connection without a word. */
static bool take_request(struct client *k, struct str line)
{
	json_t *request = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *cmd = json_object_get(request, "cmd");
	const char *noun = json_string_value(json_array_get(cmd, 0));
	const char *name = json_array_size(cmd) == 1 ? "" : json_string_value(json_array_get(cmd, 1));
	json_t *args = json_object_get(request, "args");
	struct err e = { 0 };

	if (noun == NULL || name == NULL || json_array_size(cmd) > 2) {
		json_decref(request);
		return false;
	}
	const struct verb *v = verb_find(noun, name);
	args = args != NULL ? json_incref(args) : json_object();
	if (v == NULL || v->where == VERB_LOCAL)
		send_exit(k, CALL_USAGE, "the daemon has no such command; is it older than this tombolo?");
	else if ((v->flags & VERB_OPERATOR) && k->role != ROLE_OPERATOR)
		refuse_viewer(k, v);
	else if (args_check(v, args, &e) != 0)
		send_exit(k, CALL_USAGE, e.text);
	else
		start_call(k, v, json_incref(args));
	json_decref(args);
	json_decref(request);
	return true;
}

static void on_readable(struct client *k)
{
	struct str in = stream_in(&k->stream);
	ssize_t end = str_chr(in, '\n');

	if (end < 0 && in.n <= CONTROL_REQUEST_MAX)
		return;
	if (end < 0 || !take_request(k, str_head(in, (size_t)end))) {
		log_warn(&control_log, "control.garbage", kv_int("uid", k->uid), kv_int("bytes", (int64_t)in.n));
		client_close(k);
		return;
	}
	stream_discard(&k->stream);
	stream_pause(&k->stream, true); /* one request a connection */
}

static void on_drained(struct client *k)
{
	stream_deadline(&k->stream, -1);
	if (k->call == NULL) {
		if (k->stream.paused) { /* the answer is out */
			stream_finish(&k->stream);
			client_close(k);
		}
		return;
	}
	if (k->on_worker)
		return;
	if (k->call->ended)
		answer_done(k);
	else if (k->call->resume != NULL)
		k->call->resume(k->call);
}

static void on_event(struct stream *s, enum stream_event event)
{
	struct client *k = container_of(s, struct client, stream);

	switch (event) {
	case STREAM_READABLE:
		on_readable(k);
		break;
	case STREAM_DRAINED:
		on_drained(k);
		break;
	case STREAM_EOF:
		/* a client may close its sending side behind the request */
		if (!s->paused)
			client_close(k);
		break;
	default:
		client_close(k);
	}
}

/* ---- the door ---- */

static void admit(struct control *ctl, int fd)
{
	uid_t uid;
	enum control_role role = control_role_of(&ctl->roles, fd, &uid);
	unsigned most = role == ROLE_OPERATOR ? CONTROL_CLIENTS_MAX : CONTROL_CLIENTS_MAX - CONTROL_CLIENTS_KEPT;

	if (role == ROLE_NONE) /* whoever is nobody here takes no place from those who are somebody */
		log_warn(&control_log, "control.stranger", kv_int("uid", uid));
	if (role == ROLE_NONE || ctl->client_n >= most) {
		close(fd);
		return;
	}
	struct client *k = calloc(1, sizeof *k);
	must(k != NULL);
	k->control = ctl;
	k->uid = uid;
	k->role = role;
	stream_init(&k->stream, ctl->loop, on_event);
	LIST_INSERT_HEAD(&ctl->clients, k, entry);
	ctl->client_n++;
	stream_attach(&k->stream, fd, &(struct net_addr){ .sa.sa_family = AF_UNIX });
	stream_deadline(&k->stream, REQUEST_MS);
}

static void on_accept(struct loop_io *io, unsigned events)
{
	struct control *ctl = container_of(io, struct control, io);

	(void)events;
	for (int i = 0; i < 16; i++) {
		int fd = fault("control.accept") ? -1 : accept4(ctl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		admit(ctl, fd);
	}
}

/* Two daemons on one socket file would each steal it from the other. */
static bool somebody_answers(const char *path)
{
	int fd = net_connect_unix(path, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

struct control *control_open(struct loop *l, const char *path, const struct control_hooks *h, struct err *e)
{
	must(h->config != NULL);
	if (somebody_answers(path)) {
		err_set(e, ERR_BUSY, "control.open", "another process answers on %s; stop it first", path);
		return NULL;
	}
	struct control *ctl = calloc(1, sizeof *ctl);
	must(ctl != NULL);
	ctl->loop = l;
	ctl->hooks = *h;
	ctl->hooks.loop = l;
	LIST_INIT(&ctl->clients);
	const struct config *c = h->config(h->arg);
	if (control_roles_find(&ctl->roles, c->control_viewers, c->control_operators, e) != 0) {
		free(ctl);
		return NULL;
	}
	json_object_seed(0); /* before a second thread makes objects */
	if ((ctl->fd = net_listen_unix(path, control_roles_mode(&ctl->roles), e)) < 0 ||
	    (ctl->worker = worker_start(l, e)) == NULL) {
		if (ctl->fd >= 0)
			close(ctl->fd);
		free(ctl);
		return NULL;
	}
	ctl->path = strdup(path);
	must(ctl->path != NULL);
	loop_io_start(l, &ctl->io, ctl->fd, LOOP_READ, on_accept);
	return ctl;
}

void control_close(struct control **cp)
{
	struct control *ctl = *cp;
	struct client *k;

	if (ctl == NULL)
		return;
	*cp = NULL;
	loop_io_stop(&ctl->io);
	close(ctl->fd);
	unlink(ctl->path);
	while ((k = LIST_FIRST(&ctl->clients)) != NULL) {
		/* nothing of a call is on the stack here, and its operations must end before the queue does */
		if (k->call != NULL && !k->on_worker)
			call_fini(k->call);
		client_close(k);
	}
	worker_stop(&ctl->worker);
	free(ctl->path);
	free(ctl);
}
