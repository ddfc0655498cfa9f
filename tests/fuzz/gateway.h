/* tests/fuzz/gateway.h: a gateway inside of a fuzz target: real listeners, sessions, tables and queue on the target's
 * own loop; nothing is delivered.
 *
 * It is made at the first input and made anew when its queue has filled up.  Its files are in memory where the machine
 * has a folder for that. */
#ifndef TESTS_FUZZ_GATEWAY_H
#define TESTS_FUZZ_GATEWAY_H

#include "smtpd/server.h"
#include "tests/fuzz/talk.h"

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GATEWAY_DOORS = 3, GATEWAY_MESSAGES = 2000 }; /* the Internet's, our servers', a balancer's */

struct gateway {
	char dir[64];
	struct loop *loop;
	struct setup *setup;
	struct shared shared;
	struct server server;
	struct net_addr doors[GATEWAY_DOORS];
};

static void gateway_spawn(const char *const argv[])
{
	extern char **environ;
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) == 0)
		waitpid(pid, &status, 0);
}

static char gateway_certs[64];

static void gateway_remove_certs(void)
{
	gateway_spawn((const char *[]){ "rm", "-rf", gateway_certs, NULL });
}

static const char *gateway_tmp(void)
{
	const char *wanted = getenv("TMPDIR");

	return wanted != NULL && strlen(wanted) < 32 ? wanted : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* Once a process: they take a second. */
static void gateway_make_certs(void)
{
	if (gateway_certs[0] != '\0')
		return;
	snprintf(gateway_certs, sizeof gateway_certs, "%s/tombolo-fuzz-XXXXXX", gateway_tmp());
	must(mkdtemp(gateway_certs) != NULL);
	gateway_spawn(
		(const char *[]){ "sh", "-c", "exec sh tests/certs.sh \"$0\" >\"$0/log\" 2>&1", gateway_certs, NULL });
	atexit(gateway_remove_certs);
}

static void gateway_write_config(const struct gateway *g, const char *path)
{
	FILE *f = fopen(path, "w");

	must(f != NULL);
	fprintf(f,
		"hostname = mail.contoso.com\nresolvers = {\"127.0.0.1\"}\nloops = 1\nvalidate = 0\n"
		"control = \"%s/control\"\n\n"
		"queue { path = \"%s/queue\"; keep_free = 0; segment_size = 4M; map_size = 64M }\n"
		"recipients { path = \"%s/recipients\"; map_size = 16M }\n"
		"limits { errors = 50; message_max = 64K }\n"
		"tls { certificate = \"%s/server.pem\"; key = \"%s/server.key\"; ca = \"%s/ca.pem\"; crl = off }\n"
		"domain \"contoso.com\" { type = internal-relay; routing_domain = contoso.mail.cloud.example; default = yes }\n"
		"receive \"inet\" { listen = {\"127.0.0.1:%u\"}; permissions = {anonymous}; tarpit = 0 }\n"
		"receive \"hub\" { listen = {\"127.0.0.1:%u\"}; permissions = {servers}; tarpit = 0 }\n"
		"receive \"balancer\" { listen = {\"127.0.0.1:%u\"}; permissions = {anonymous}; tarpit = 0\n"
		"	proxy_from = {\"127.0.0.0/8\"} }\n"
		"inbound \"cloud\" { type = peer; sender_certificate = {\"mail.contoso.mail.cloud.example\"}\n"
		"	cloud_mail = yes; trusted_orgs = {contoso.com} }\n"
		"send \"to-cloud\" { space = {\"contoso.mail.cloud.example\"}; smarthosts = {\"[127.0.0.1]:1\"}\n"
		"	tls = domain; tls_domain = mail.contoso.mail.cloud.example; peer = yes }\n"
		"send \"mailboxes\" { space = {\"@local\"}; smarthosts = {\"[127.0.0.1]:1\"}; tls = none }\n"
		"send \"internet\" { space = {\"*;10\"}; smarthosts = {\"[127.0.0.1]:1\"}; tls = none }\n",
		g->dir, g->dir, g->dir, gateway_certs, gateway_certs, gateway_certs, net_port(&g->doors[0]),
		net_port(&g->doors[1]), net_port(&g->doors[2]));
	must(fclose(f) == 0);
}

static void gateway_load(struct gateway *g)
{
	struct buf problems;
	char path[96];

	snprintf(path, sizeof path, "%s/tombolo.conf", g->dir);
	gateway_write_config(g, path);
	buf_init(&problems, 65536);
	g->setup = setup_load(path, SETUP_START, &problems);
	if (g->setup == NULL)
		fprintf(stderr, "%s", buf_cstr(&problems));
	must(g->setup != NULL);
	buf_fini(&problems);
}

static void gateway_listen(struct gateway *g, int fds[GATEWAY_DOORS])
{
	struct err e = { 0 };

	for (size_t i = 0; i < GATEWAY_DOORS; i++) {
		socklen_t n = sizeof g->doors[i];
		must(net_parse_ip(S("127.0.0.1"), 0, &g->doors[i]));
		fds[i] = net_listen(&g->doors[i], 64, &e);
		must(fds[i] >= 0 && getsockname(fds[i], &g->doors[i].sa, &n) == 0);
	}
}

static void gateway_open(struct gateway *g)
{
	struct queue_recovery found = { 0 };
	struct err e = { 0 };
	int fds[GATEWAY_DOORS];

	gateway_make_certs();
	*g = (struct gateway){ .loop = loop_new(&e) };
	snprintf(g->dir, sizeof g->dir, "%s/tombolo-fuzz-XXXXXX", gateway_tmp());
	must(g->loop != NULL && mkdtemp(g->dir) != NULL &&
	     log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == 0);
	gateway_listen(g, fds);
	gateway_load(g);
	const struct config *c = g->setup->config;
	g->shared.gate = gate_new();
	g->shared.breakers = breakers_new();
	g->shared.routing = routing_open(c, &e);
	g->shared.dns = dns_open(g->loop, &c->resolvers, c->hosts, &e);
	g->shared.queue = queue_open(&c->queue, &found, &e);
	must(g->shared.routing != NULL && g->shared.dns != NULL && g->shared.queue != NULL);
	must(server_init(&g->server, g->loop, &g->shared, g->setup, fds, GATEWAY_DOORS, g->doors, GATEWAY_DOORS, 1,
			 &e) == 0);
	queue_pause(g->server.port, true);
}

static void gateway_close(struct gateway *g)
{
	server_fini(&g->server);
	queue_close(&g->shared.queue);
	dns_close(&g->shared.dns);
	routing_close(&g->shared.routing);
	loop_free(&g->loop);
	gate_free(&g->shared.gate);
	breakers_free(&g->shared.breakers);
	setup_unref(&g->setup);
	gateway_spawn((const char *[]){ "rm", "-rf", g->dir, NULL });
	g->dir[0] = '\0';
}

static struct gateway gateway_now;

static void gateway_end(void)
{
	if (gateway_now.dir[0] != '\0')
		gateway_close(&gateway_now);
}

/* The gateway to attack. */
static struct gateway *gateway_ready(void)
{
	static bool registered;

	if (gateway_now.dir[0] != '\0' && gateway_now.server.counters.messages > GATEWAY_MESSAGES)
		gateway_close(&gateway_now);
	if (gateway_now.dir[0] == '\0')
		gateway_open(&gateway_now);
	if (!registered)
		atexit(gateway_end);
	registered = true;
	return &gateway_now;
}

#endif
