/* tests/fuzz/control_fuzz.c: the control socket with the real verbs: whatever the request, the answer is nothing or
 * JSON lines of which only the last is the exit, and the connection ends (CVE-2025-62875).
 *
 * The first byte says whether the client hangs up (bit 7); the rest is the request, cut at each 0xFE. */
#include "connectors/breaker.h"
#include "smtpd/control.h"
#include "smtpd/hops.h"
#include "tests/fuzz/gateway.h"

#include <jansson.h>
#include <sys/un.h>

static struct control *control;

static const struct config *hook_config(void *arg)
{
	return ((struct gateway *)arg)->setup->config;
}

static int hook_reload(void *arg, struct buf *problems)
{
	(void)arg;
	buf_add(problems, S("no reload here\n"));
	return -1;
}

static struct setup *hook_setup(void *arg)
{
	return setup_ref(((struct gateway *)arg)->setup);
}

static void hook_counters(void *arg, void (*each)(void *to, const char *name, uint64_t value), void *to)
{
	server_counter_each(&((struct gateway *)arg)->server, each, to);
}

static void hook_hurry(void *arg)
{
	deliver_hurry(((struct gateway *)arg)->server.deliver);
}

static size_t hook_hops(void *arg, struct hop_stats *rows, size_t max)
{
	return hops_gather(&(struct server *){ &((struct gateway *)arg)->server }, 1, rows, max);
}

static size_t hook_connectors(void *arg, struct connector_stats *rows, size_t max)
{
	return connectors_gather(&(struct server *){ &((struct gateway *)arg)->server }, 1, rows, max);
}

static size_t hook_times(void *arg, struct hop_times *rows, size_t max)
{
	return times_gather(&(struct server *){ &((struct gateway *)arg)->server }, 1, rows, max);
}

static void end_control(void)
{
	control_close(&control);
}

static void begin_control(struct gateway *g)
{
	struct err e = { 0 };
	struct control_hooks h = { .arg = g,
				   .config = hook_config,
				   .routing = g->shared.routing,
				   .dns = g->shared.dns,
				   .queue = g->shared.queue,
				   .port = g->server.port,
				   .reload = hook_reload,
				   .tls_reload = hook_reload,
				   .setup = hook_setup,
				   .counters = hook_counters,
				   .hurry = hook_hurry,
				   .hops = hook_hops,
				   .connectors = hook_connectors,
				   .times = hook_times,
				   .deliver = g->server.deliver,
				   .pressure = &g->shared.pressure };

	if (control != NULL)
		return;
	control = control_open(g->loop, g->setup->config->control.p, &h, &e);
	must(control != NULL);
	atexit(end_control); /* behind the gateway's: it is the first to go */
}

static bool control_is_over(struct talk *t)
{
	return t->ended;
}

static int connect_control(const struct gateway *g)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%.100s", g->setup->config->control.p);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	return fd;
}

static void check_answer(struct str heard)
{
	struct str line;
	bool over = false;

	while (str_cut(heard, '\n', &line, &heard)) {
		json_t *value = json_loadb(line.p, line.n, 0, NULL);
		must(value != NULL && json_is_object(value) && !over);
		over = json_object_get(value, "exit") != NULL;
		json_decref(value);
	}
	must(heard.n == 0 && line.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t choice = fuzz_byte(&in);
	struct gateway *g = gateway_ready();
	struct talk t;

	if (str_find(in, S("test")) >= 0 || str_find(in, S("switch")) >= 0)
		return 0; /* these two wait for other hosts and their names */
	begin_control(g);
	talk_init(&t, g->loop, in, control_is_over);
	t.hasty = (choice & 0x80) != 0;
	stream_attach(&t.stream, connect_control(g), &g->doors[0]);
	loop_run(g->loop);
	if (!t.hasty)
		check_answer(buf_str(&t.heard));
	talk_fini(&t);
	return 0;
}
