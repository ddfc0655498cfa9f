/* routing/dns_resolver.c: libunbound: opened, woken, closed; and whether validation works where we are.
 *
 * Validation: a resolver that strips signatures makes every answer look forged.  So the keys of the root are asked for
 * first; when they do not come through, names are resolved without validation, and that is logged. */
#include "routing/dns_inner.h"

#include "base/log.h"
#include "base/must.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_WAIT_MS = 3000 };
static const char root_key_file[] = "/usr/share/dns/root.key";

/* Names that have no chain of signatures to the root: private resolvers answer them, unsigned. */
static const char *const private_zones[] = {
	"test.", "example.", "local.", "internal.", "lan.", "home.", "corp.", "mail.", "intranet.", "private.",
};

/* ---- libunbound ---- */

static void on_readable(struct loop_io *io, unsigned events)
{
	struct resolver *rs = container_of(io, struct resolver, io);

	(void)events;
	ub_process(rs->ctx);
}

static int forward(struct ub_ctx *ctx, const struct conf_list *resolvers, struct err *e)
{
	struct net_addr a;
	struct buf text;
	int rc = 0;

	if (resolvers == NULL || resolvers->n == 0) {
		ub_ctx_resolvconf(ctx, NULL); /* none there: full recursion from the root */
		return 0;
	}
	buf_init(&text, 128);
	for (size_t i = 0; i < resolvers->n && rc == 0; i++) {
		buf_reset(&text);
		if (!net_parse_addr(resolvers->v[i], 53, &a)) {
			rc = err_set(e, ERR_SYNTAX, "dns.open", "not a resolver's address: " STR_FMT,
				     STR_ARG(resolvers->v[i]));
			break;
		}
		net_put_ip(&text, &a);
		buf_addf(&text, "@%u", net_port(&a));
		if (ub_ctx_set_fwd(ctx, buf_cstr(&text)) != 0)
			rc = err_set(e, ERR_NET, "dns.open", "resolver %s refused by libunbound", buf_cstr(&text));
	}
	buf_fini(&text);
	return rc;
}

/* What names cost in memory, whoever asks for how many of them: one cache for all loops. */
static const char *const bounds[][2] = {
	{ "msg-cache-size:", "8m" }, { "rrset-cache-size:", "16m" },       { "key-cache-size:", "4m" },
	{ "neg-cache-size:", "1m" }, { "infra-cache-numhosts:", "10000" }, { "cache-max-ttl:", "86400" },
};

static void set_options(struct ub_ctx *ctx, bool validate)
{
	ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
	ub_ctx_set_option(ctx, "infra-keep-probing:", "yes"); /* a resolver that was down is noticed when it is back */
	ub_ctx_set_option(ctx, "cache-max-negative-ttl:", "300");
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
		ub_ctx_set_option(ctx, bounds[i][0], bounds[i][1]);
	if (validate) {
		for (size_t i = 0; i < sizeof private_zones / sizeof *private_zones; i++)
			ub_ctx_set_option(ctx, "domain-insecure:", private_zones[i]);
		ub_ctx_add_ta_file(ctx, root_key_file);
	}
}

static int resolver_open(struct dns *d, struct resolver *rs, bool validate, const struct conf_list *resolvers,
			 struct err *e)
{
	rs->dns = d;
	rs->ctx = ub_ctx_create();
	if (rs->ctx == NULL)
		return err_set(e, ERR_SYSTEM, "dns.open", "cannot make a libunbound context");
	set_options(rs->ctx, validate);
	if (ub_ctx_async(rs->ctx, 1) != 0)
		return err_set(e, ERR_SYSTEM, "dns.open", "cannot start libunbound's thread");
	if (forward(rs->ctx, resolvers, e) != 0)
		return -1;
	ub_ctx_zone_remove(rs->ctx, "test."); /* built-in NXDOMAIN; this call ends configuration: last */
	int fd = ub_fd(rs->ctx);
	if (fd < 0)
		return err_set(e, ERR_SYSTEM, "dns.open", "libunbound has no descriptor");
	loop_io_start(d->home, &rs->io, fd, LOOP_READ, on_readable);
	return 0;
}

static void resolver_close(struct resolver *rs)
{
	if (rs->io.loop != NULL)
		loop_io_stop(&rs->io);
	if (rs->ctx != NULL)
		ub_ctx_delete(rs->ctx);
	rs->ctx = NULL;
}

/* ---- does validation work here? ---- */

static void probe_over(struct dns *d)
{
	struct request *next;

	d->probing = false;
	loop_timer_stop(&d->probe_timer);
	for (struct request *r = d->requests; r != NULL; r = next) {
		next = r->next;
		if (r->waiting)
			request_begin(r);
	}
}

static void on_probed(void *arg, int failed, struct ub_result *res)
{
	static const struct log nobody;
	struct dns *d = arg;
	bool answered = failed == 0 && res != NULL && (res->bogus || res->rcode == 0);

	d->probe_id = 0;
	if (answered) {
		d->decided = true;
		if (!res->secure) {
			d->use = &d->plain;
			log_warn(&nobody, "dns.unvalidated", kv_c("why", "the resolver does not pass on signatures"));
		}
	}
	ub_resolve_free(res);
	if (d->probing)
		probe_over(d);
}

static void on_probe_wait(struct loop_timer *t)
{
	probe_over(container_of(t, struct dns, probe_timer));
}

void dns_probe(struct dns *d)
{
	static char root[] = ".";

	if (d->decided || d->probe_id != 0)
		return;
	d->probed_ms = loop_now_ms(d->home);
	if (ub_resolve_async(d->strict.ctx, root, TYPE_DNSKEY, CLASS_IN, d, on_probed, &d->probe_id) != 0)
		d->probe_id = 0;
}

/* ---- open, close ---- */

struct dns *dns_open(struct loop *home, const struct conf_list *resolvers, struct str hosts, struct err *e)
{
	struct dns *d = calloc(1, sizeof *d);
	bool validate = access(root_key_file, R_OK) == 0;

	must(d != NULL);
	atomic_init(&d->refs, 1);
	d->home = home;
	loop_timer_init(home, &d->probe_timer, on_probe_wait);
	d->seed = (uint64_t)clock_wall_ms() ^ (uint64_t)(uintptr_t)d;
	d->use = validate ? &d->strict : &d->plain;
	d->decided = !validate;
	if ((hosts.n > 0 && hosts_read(&d->hosts, hosts.p, e) != 0) ||
	    resolver_open(d, &d->plain, false, resolvers, e) != 0 ||
	    (validate && resolver_open(d, &d->strict, true, resolvers, e) != 0)) {
		dns_close(&d);
		return NULL;
	}
	if (validate) {
		dns_probe(d);
		d->probing = d->probe_id != 0;
		loop_timer_set(&d->probe_timer, PROBE_WAIT_MS);
	}
	return d;
}

void dns_close(struct dns **dp)
{
	struct dns *d = *dp;

	if (d == NULL)
		return;
	while (d->requests != NULL) {
		struct request *r = d->requests;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): free_request takes it out of the list, unseen */
		must(r->held == NULL);
		request_unlink(r);
		request_free(r);
	}
	loop_timer_stop(&d->probe_timer);
	resolver_close(&d->strict);
	resolver_close(&d->plain);
	hosts_fini(&d->hosts);
	d->closed = true;
	dns_unref(d);
	*dp = NULL;
}
