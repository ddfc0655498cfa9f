/* tests/bed/bed.c: the life of the bed: folders, configurations, processes, and the loop that waits.
 *
 * Ports of the gateways are reserved (kit/port.h); the hosts' ports are their own choice. */
#include "tests/bed/bed.h"

#include "base/must.h"
#include "base/op.h"
#include "tests/kit/port.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CONFIG_MAX = 64 * 1024, OUTPUT_MAX = 4 << 20, WORDS_MAX = 24, MEMORY_MAX = 1 << 30, START_MS = 15000 };

static const char *const gate_names[GATES] = { "onprem", "cloud" };

static struct bed *opened; /* whose processes end with the program */

static void kill_gates(void)
{
	for (int g = 0; opened != NULL && g < GATES; g++)
		if (opened->pids[g] > 0)
			kill(opened->pids[g], SIGKILL);
}

static void on_signal(int sig)
{
	kill_gates();
	_exit(128 + sig);
}

void bed_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the loop ---- */

struct waiting {
	struct bed *bed;
	struct loop_timer timer;
	bool (*done)(void *arg);
	void *arg;
	int64_t until_ms;
	bool came;
};

static void look_again(struct loop_timer *t)
{
	struct waiting *w = container_of(t, struct waiting, timer);

	w->came = w->done != NULL && w->done(w->arg);
	if (w->came || loop_now_ms(w->bed->loop) >= w->until_ms)
		loop_stop(w->bed->loop);
	else
		loop_timer_set(t, 2);
}

bool bed_until(struct bed *b, int64_t ms, bool (*done)(void *arg), void *arg)
{
	struct waiting w = { .bed = b, .done = done, .arg = arg, .until_ms = INT64_MAX };

	loop_timer_init(b->loop, &w.timer, look_again);
	loop_timer_set(&w.timer, 0);
	w.until_ms = loop_now_ms(b->loop) + ms;
	loop_run(b->loop);
	loop_timer_stop(&w.timer);
	return w.came;
}

static bool is_settled(void *arg)
{
	const struct bed *b = arg;

	return bed_queue_is_empty(b, GATE_ONPREM) && bed_queue_is_empty(b, GATE_CLOUD);
}

bool bed_settle(struct bed *b, int64_t ms)
{
	return bed_until(b, ms, is_settled, b);
}

void bed_pause(struct bed *b, int64_t ms)
{
	bed_until(b, ms, NULL, NULL);
}

/* ---- processes ---- */

static pid_t spawn(char *const argv[], int out, const char *out_path)
{
	posix_spawn_file_actions_t files;
	pid_t pid = 0;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (out_path != NULL)
		posix_spawn_file_actions_addopen(&files, 1, out_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	else
		posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	int error = posix_spawn(&pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (error != 0)
		bed_fail("bed: cannot start %s: %s", argv[0], strerror(error));
	return pid;
}

static void read_all(int fd, struct buf *out)
{
	char room[4096];
	ssize_t n;

	while ((n = read(fd, room, sizeof room)) > 0)
		if (out != NULL)
			buf_add(out, str_n(room, (size_t)n));
}

int bed_tombolo(const struct bed *b, enum bed_gate g, struct buf *out, const char *words)
{
	char program[300], socket[300], copy[2000], *argv[WORDS_MAX + 4] = { program, NULL };
	char option[] = "--socket";
	size_t n = 1;
	int ends[2], status = -1;

	snprintf(program, sizeof program, "%s/tombolo", b->build);
	snprintf(socket, sizeof socket, "%s/%s/control", b->dir, gate_names[g]);
	snprintf(copy, sizeof copy, "%s", words);
	argv[n++] = option;
	argv[n++] = socket;
	for (struct str rest = str_c(copy), word; (word = str_word(&rest)).n > 0;) {
		must(n < WORDS_MAX + 3);
		argv[n] = copy + (word.p - copy);
		argv[n++][word.n] = '\0';
		rest = str_skip(rest, rest.n > 0);
	}
	argv[n] = NULL;
	if (out != NULL)
		buf_reset(out);
	must(pipe2(ends, O_CLOEXEC) == 0);
	pid_t pid = spawn(argv, ends[1], NULL);
	close(ends[1]);
	read_all(ends[0], out);
	close(ends[0]);
	must(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void must_run(const struct bed *b, enum bed_gate g, const char *words)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	int status = bed_tombolo(b, g, &out, words);
	if (status > 1) /* 1: nothing to do */
		bed_fail("bed: tombolo %s (%s): exit %d: %s", words, gate_names[g], status, buf_cstr(&out));
	buf_fini(&out);
}

bool bed_queue_is_empty(const struct bed *b, enum bed_gate g)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	bed_tombolo(b, g, &out, "--json queue list --max 1");
	bool empty = str_find(buf_str(&out), S("\"id\"")) < 0;
	buf_fini(&out);
	return empty;
}

const char *bed_log_path(const struct bed *b, enum bed_gate g, char room[256])
{
	snprintf(room, 256, "%s/%s/log", b->dir, gate_names[g]);
	return room;
}

/* ---- configurations ---- */

static void read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bed_fail("bed: %s: %s", path, strerror(errno));
	read_all(fd, out);
	close(fd);
}

static void write_file(const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n)
		bed_fail("bed: %s: %s", path, strerror(errno));
	close(fd);
}

static uint16_t place_port(const struct bed *b, enum bed_place wire, enum bed_gate direct)
{
	return b->variant.wire ? host_port(b->hosts[wire]) : b->inet[direct];
}

/* What stands for a word with $ in a template. */
static void put_word(const struct bed *b, enum bed_gate g, struct str word, struct buf *out)
{
	const struct {
		struct str word;
		uint64_t number;
	} ports[] = {
		{ S("ONPREM_INET"), b->inet[GATE_ONPREM] },
		{ S("ONPREM_HUB"), b->hub[GATE_ONPREM] },
		{ S("ONPREM_APP"), b->app },
		{ S("CLOUD_INET"), b->inet[GATE_CLOUD] },
		{ S("CLOUD_HUB"), b->hub[GATE_CLOUD] },
		{ S("HOST_ONPREM"), host_port(b->hosts[HOST_ONPREM]) },
		{ S("HOST_CLOUD"), host_port(b->hosts[HOST_CLOUD]) },
		{ S("HOST_NET"), host_port(b->hosts[HOST_NET]) },
		{ S("TO_CLOUD"), place_port(b, WIRE_TO_CLOUD, GATE_CLOUD) },
		{ S("TO_ONPREM"), place_port(b, WIRE_TO_ONPREM, GATE_ONPREM) },
	};

	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		if (str_eq(word, ports[i].word)) {
			buf_addu(out, ports[i].number);
			return;
		}
	if (str_eq(word, S("DIR")))
		buf_add(out, str_c(b->dir));
	else if (str_eq(word, S("CERTS")))
		buf_add(out, str_c(b->certs));
	else if (str_eq(word, S("TOKENS")) && !b->variant.no_token)
		buf_addf(out, "%s/token.keys", b->dir);
	else if (str_eq(word, S("CLOUD_TOKENS")) && b->cloud_signs && !b->variant.no_token)
		buf_addf(out, "%s/token.keys", b->dir);
	else if (str_eq(word, S("HEADERS")))
		buf_add(out, b->variant.endpoint ? S("endpoint") : S("transparent"));
	else if (str_eq(word, S("FORWARDED")))
		buf_add(out, b->variant.forward_direct ? S("direct") : S("return"));
	else if (str_eq(word, S("EXTRA")) && b->extra[g] != NULL)
		buf_add(out, str_c(b->extra[g]));
}

static void expand(const struct bed *b, enum bed_gate g, struct str text, struct buf *out)
{
	while (text.n > 0) {
		ssize_t at = str_chr(text, '$');
		size_t n = 1;
		if (at < 0) {
			buf_add(out, text);
			return;
		}
		buf_add(out, str_head(text, (size_t)at));
		text = str_skip(text, (size_t)at);
		while (n < text.n && (text.p[n] == '_' || (text.p[n] >= 'A' && text.p[n] <= 'Z')))
			n++;
		if (n == 1)
			buf_addc(out, '$'); /* of the comment */
		put_word(b, g, str_head(str_skip(text, 1), n - 1), out);
		text = str_skip(text, n);
	}
}

/* True when the file changed. */
static bool write_config(const struct bed *b, enum bed_gate g)
{
	char from[300], to[300];
	struct buf template, text, old;

	snprintf(from, sizeof from, "%s/%s.conf", b->confs, gate_names[g]);
	snprintf(to, sizeof to, "%s/%s.conf", b->dir, gate_names[g]);
	buf_init(&template, CONFIG_MAX);
	buf_init(&text, CONFIG_MAX);
	buf_init(&old, CONFIG_MAX);
	read_file(from, &template);
	expand(b, g, buf_str(&template), &text);
	must(!text.full);
	if (access(to, R_OK) == 0)
		read_file(to, &old);
	bool changed = !str_eq(buf_str(&old), buf_str(&text));
	if (changed)
		write_file(to, buf_str(&text));
	buf_fini(&template);
	buf_fini(&text);
	buf_fini(&old);
	return changed;
}

void bed_configure(struct bed *b, const struct bed_variant *v)
{
	b->variant = *v;
	for (int g = 0; g < GATES; g++)
		if (write_config(b, g))
			must_run(b, g, "config reload");
}

void bed_mode_at(struct bed *b, enum bed_gate g, const char *mode)
{
	char words[40];

	snprintf(words, sizeof words, "mode set %s", mode);
	must_run(b, g, words);
}

void bed_mode(struct bed *b, const char *mode)
{
	for (unsigned g = 0; g < GATES; g++)
		bed_mode_at(b, g, mode);
}

void bed_recipients(struct bed *b, enum bed_gate g, struct str csv)
{
	char path[300], words[400];

	snprintf(path, sizeof path, "%s/%s.csv", b->dir, gate_names[g]);
	write_file(path, csv);
	snprintf(words, sizeof words, "recipients import %s", path);
	must_run(b, g, words);
}

/* ---- start and end ---- */

static struct tls_ctx *client_of(const struct bed *b, const char *name)
{
	static const struct conf_tls conf = { .min = STR_LIT("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	char cert[300] = "", key[300] = "", ca[300];
	struct err e = { 0 };

	if (name != NULL) {
		snprintf(cert, sizeof cert, "%s/%s.pem", b->certs, name);
		snprintf(key, sizeof key, "%s/%s.key", b->certs, name);
	}
	snprintf(ca, sizeof ca, "%s/ca.pem", b->certs);
	const struct tls_client_options o = {
		.certificate = str_c(cert), .key = str_c(key), .ca = str_c(ca), .tls = &conf
	};
	struct tls_ctx *c = tls_client_new(&o, &e);
	if (c == NULL)
		bed_fail("bed: %s", e.text);
	return c;
}

static struct tls_ctx *server_of(const struct bed *b, const char *name)
{
	static const struct conf_tls conf = { .min = STR_LIT("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	char cert[300], key[300], ca[300];
	struct err e = { 0 };

	snprintf(cert, sizeof cert, "%s/%s.pem", b->certs, name);
	snprintf(key, sizeof key, "%s/%s.key", b->certs, name);
	snprintf(ca, sizeof ca, "%s/ca.pem", b->certs);
	const struct tls_server_options o = {
		.certificate = str_c(cert), .key = str_c(key), .ca = str_c(ca), .tls = &conf, .id_context = str_c(name)
	};
	struct tls_ctx *c = tls_server_new(&o, &e);
	if (c == NULL)
		bed_fail("bed: %s", e.text);
	return c;
}

static void make_folders(struct bed *b)
{
	static const char keys[] = "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
	char path[300];

	for (int g = 0; g < GATES; g++) {
		snprintf(path, sizeof path, "%s/%s", b->dir, gate_names[g]);
		must(mkdir(path, 0700) == 0 || errno == EEXIST);
	}
	snprintf(path, sizeof path, "%s/token.keys", b->dir);
	write_file(path, str_c(keys));
}

static void start_gate(struct bed *b, enum bed_gate g)
{
	char program[300], option[] = "-c", config[300], output[300];
	char *argv[] = { program, option, config, NULL };

	snprintf(program, sizeof program, "%s/tombolod", b->build);
	snprintf(config, sizeof config, "%s/%s.conf", b->dir, gate_names[g]);
	snprintf(output, sizeof output, "%s/%s.out", b->dir, gate_names[g]);
	write_config(b, g);
	b->pids[g] = spawn(argv, -1, output);
}

static void wait_for_gate(struct bed *b, enum bed_gate g)
{
	for (int waited = 0; bed_tombolo(b, g, NULL, "status") != 0; waited += 50) {
		if (waited > START_MS || waitpid(b->pids[g], NULL, WNOHANG) != 0)
			bed_fail("bed: the %s gateway does not start, see %s/%s.out", gate_names[g], b->dir,
				 gate_names[g]);
		bed_pause(b, 50);
	}
}

void bed_open(struct bed *b)
{
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN);
	if ((b->loop = loop_new(&e)) == NULL)
		bed_fail("bed: %s", e.text);
	arena_init(&b->memory, MEMORY_MAX);
	b->plain = client_of(b, NULL);
	b->as_onprem = client_of(b, "server");
	b->as_cloud = client_of(b, "cloud");
	b->as_partner = client_of(b, "wrongname");
	b->onprem_tls = server_of(b, "server");
	b->cloud_tls = server_of(b, "cloud");
	make_folders(b);
	bed_hosts_open(b);
	bed_wires_open(b);
	opened = b;
	atexit(kill_gates);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (int g = 0; g < GATES; g++) {
		b->inet[g] = port_reserve();
		b->hub[g] = port_reserve();
	}
	b->app = port_reserve();
	for (int g = 0; g < GATES; g++)
		start_gate(b, g);
	for (int g = 0; g < GATES; g++)
		wait_for_gate(b, g);
}

void bed_forget_arrivals(struct bed *b)
{
	arena_fini(&b->memory);
	b->arrival_n = 0;
}

static bool is_clean(const struct bed *b, enum bed_gate g)
{
	char path[300];
	struct buf text;

	snprintf(path, sizeof path, "%s/%s.out", b->dir, gate_names[g]);
	buf_init(&text, OUTPUT_MAX);
	read_file(path, &text);
	bool clean = str_find(buf_str(&text), S("Sanitizer")) < 0 && str_find(buf_str(&text), S("runtime error")) < 0;
	buf_fini(&text);
	return clean;
}

unsigned bed_close(struct bed *b)
{
	unsigned bad = 0;

	for (int g = 0; g < GATES; g++)
		kill(b->pids[g], SIGTERM);
	for (int g = 0; g < GATES; g++) {
		int status = -1;
		must(waitpid(b->pids[g], &status, 0) == b->pids[g]);
		b->pids[g] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !is_clean(b, g)) {
			printf("the %s gateway did not end well (status %d), see %s/%s.out\n", gate_names[g], status,
			       b->dir, gate_names[g]);
			bad++;
		}
	}
	opened = NULL;
	bed_wires_close(b);
	bed_hosts_close(b);
	tls_ctx_unref(&b->plain);
	tls_ctx_unref(&b->as_onprem);
	tls_ctx_unref(&b->as_cloud);
	tls_ctx_unref(&b->as_partner);
	tls_ctx_unref(&b->onprem_tls);
	tls_ctx_unref(&b->cloud_tls);
	free(b->arrivals);
	arena_fini(&b->memory);
	loop_free(&b->loop);
	return bad;
}
