/* routing/dns.c: THE libunbound file: mail exchangers, addresses and texts, asked from any loop.
 *
 *   asking loop: dns_lookup_x -> request --post--> home loop: begin -> ask -> on_answer* -> finish --post--> asking
 *   loop: deliver -> op done
 *
 * libunbound resolves on a thread of its own; its descriptor wakes the home loop, where all callbacks run.  A request
 * is owned by the loop that holds it: between the two posts only the home loop touches it, but for `held`, which only
 * the asking loop reads and writes.  After delivery it is the lookup's `state`, and its arrays are the answer.
 *
 * Validation: a resolver that strips signatures makes every answer look forged.  So the keys of the root are asked for
 * first; when they do not come through, names are resolved without validation, and that is logged. */
#include "routing/hosts.h"
#include "routing/routing.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/must.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_DNSKEY = 48, CLASS_IN = 1 };
enum { NAME_ROOM = 256, MX_READ_MAX = 100, QUESTIONS_MAX = 1 + 2 * DNS_HOSTS_MAX };
enum { PROBE_WAIT_MS = 3000, PROBE_AGAIN_MS = 60000 };
static const char root_key_file[] = "/usr/share/dns/root.key";

/* Names that have no chain of signatures to the root: private resolvers answer them, unsigned. */
static const char *const private_zones[] = {
	"test.", "example.", "local.", "internal.", "lan.", "home.", "corp.", "mail.", "intranet.", "private.",
};

struct request;

struct question {
	struct request *request;
	struct ub_ctx *ctx;
	int id;
	bool open;
	int type;
	size_t host; /* whose address */
};

struct request {
	struct loop_task task; /* its way to the home loop and back */
	struct dns *dns;
	struct loop *asker;
	struct op *held;               /* the asking op; NULL once cancelled */
	struct request *next, **place; /* in dns->requests, on the home loop */
	struct loop_timer deadline;
	int wants; /* TYPE_MX, TYPE_A (and AAAA), TYPE_TXT */
	bool raw;  /* records of `wants` as they are, as texts */
	bool waiting;
	uint16_t port;
	char name[NAME_ROOM];

	enum dns_status status;
	bool null_mx, has_mx, secure, failed; /* failed: some question had no answer */
	int ttl_s;                            /* of the MX; -1 = not known */
	char text[160];
	struct mx_host hosts[DNS_HOSTS_MAX];
	char names[DNS_HOSTS_MAX][NAME_ROOM];
	size_t host_n;
	struct net_addr found[DNS_ADDRS_MAX], addrs[DNS_ADDRS_MAX]; /* as they came / by host */
	size_t found_of[DNS_ADDRS_MAX], found_n;
	struct question questions[QUESTIONS_MAX];
	size_t question_n, open_n;
	struct str texts[DNS_TEXTS_MAX];
	size_t text_n, text_used;
	bool texts_cut;
	char text_room[]; /* DNS_TEXT_BYTES when texts are wanted */
};

struct resolver {
	struct dns *dns;
	struct ub_ctx *ctx;
	struct loop_io io;
};

struct dns {
	_Atomic unsigned refs; /* one of the owner, one of each request: some may still be on their way at the close */
	bool closed;           /* home loop only */
	struct loop *home;
	struct hosts hosts;
	struct resolver strict, plain; /* with and without validation */
	struct resolver *use;
	bool probing, decided;
	int64_t probed_ms;
	int probe_id;
	struct loop_timer probe_timer;
	struct request *requests;
	uint64_t seed;
};

static void begin(struct request *r);
static void finish(struct request *r);

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
			begin(r);
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

static void probe(struct dns *d)
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
		probe(d);
		d->probing = d->probe_id != 0;
		loop_timer_set(&d->probe_timer, PROBE_WAIT_MS);
	}
	return d;
}

static void unref(struct dns *d)
{
	if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
		free(d);
}

static void free_request(struct request *r)
{
	unref(r->dns);
	free(r);
}

static void unlink_request(struct request *r)
{
	if (r->next != NULL)
		r->next->place = r->place;
	*r->place = r->next;
	loop_timer_stop(&r->deadline);
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
		unlink_request(r);
		free_request(r);
	}
	loop_timer_stop(&d->probe_timer);
	resolver_close(&d->strict);
	resolver_close(&d->plain);
	hosts_fini(&d->hosts);
	d->closed = true;
	unref(d);
	*dp = NULL;
}

/* ---- answers ---- */

/* A name in wire form as text: letters, digits, hyphens, underscores; anything else is no host to talk to. */
static bool read_name(const unsigned char *p, size_t n, char out[NAME_ROOM])
{
	size_t len = 0;

	for (size_t at = 0; at < n && p[at] != 0; at += 1U + p[at]) {
		if (p[at] > 63 || at + 1 + p[at] >= n || len + p[at] + 2 > NAME_ROOM)
			return false;
		if (len > 0)
			out[len++] = '.';
		for (size_t i = 1; i <= p[at]; i++) {
			char c = chr_lower((char)p[at + i]);
			if (!chr_is_alnum(c) && c != '-' && c != '_')
				return false;
			out[len++] = c;
		}
	}
	out[len] = '\0';
	return true;
}

/* Each host has its share of the room: one with hundreds of addresses must not crowd out the better ones. */
static void add_address(struct request *r, size_t host, int type, const void *bytes)
{
	struct net_addr a = { 0 };
	size_t has = 0;

	for (size_t i = 0; i < r->found_n; i++)
		has += r->found_of[i] == host;
	if (has >= DNS_ADDRS_MAX / r->host_n)
		return;
	if (type == TYPE_A) {
		a.v4.sin_family = AF_INET;
		memcpy(&a.v4.sin_addr, bytes, 4);
	} else {
		a.v6.sin6_family = AF_INET6;
		memcpy(&a.v6.sin6_addr, bytes, 16);
	}
	net_set_port(&a, r->port);
	must(r->found_n < DNS_ADDRS_MAX);
	r->found_of[r->found_n] = host;
	r->found[r->found_n++] = a;
}

static void add_host(struct request *r, unsigned preference, const char *name)
{
	if (r->host_n == DNS_HOSTS_MAX)
		return;
	char *room = r->names[r->host_n];
	size_t n = strnlen(name, NAME_ROOM - 1);
	memcpy(room, name, n);
	room[n] = '\0';
	r->hosts[r->host_n++] = (struct mx_host){ .name = str_n(room, n), .preference = preference };
}

static void fail(struct request *r, const char *what, const char *why)
{
	r->failed = true;
	snprintf(r->text, sizeof r->text, "%.80s: %.76s", what, why);
}

static void on_answer(void *arg, int failed, struct ub_result *res);

static void ask(struct request *r, const char *name, int type, size_t host)
{
	struct question *q = &r->questions[r->question_n];
	struct ub_ctx *ctx = r->dns->use->ctx;

	must(r->question_n < QUESTIONS_MAX);
	*q = (struct question){ .request = r, .ctx = ctx, .type = type, .host = host };
	if (fault("dns.ask") || ub_resolve_async(ctx, name, type, CLASS_IN, q, on_answer, &q->id) != 0) {
		fail(r, name, "libunbound took no question");
		return;
	}
	q->open = true;
	r->question_n++;
	r->open_n++;
}

static void ask_addresses(struct request *r)
{
	size_t n;

	for (size_t i = 0; i < r->host_n; i++) {
		const struct host_row *row = hosts_find(&r->dns->hosts, r->hosts[i].name, HOST_ADDR, &n);
		for (; n > 0; n--, row++)
			if (row->addr.sa.sa_family == AF_INET)
				add_address(r, i, TYPE_A, &row->addr.v4.sin_addr);
			else
				add_address(r, i, TYPE_AAAA, &row->addr.v6.sin6_addr);
		if (row != NULL) {
			r->secure = false;
			continue;
		}
		ask(r, r->hosts[i].name.p, TYPE_A, i);
		ask(r, r->hosts[i].name.p, TYPE_AAAA, i);
	}
}

/* No MX at all: the domain itself is its host (RFC 5321 5.1). */
static void ask_implicit(struct request *r)
{
	add_host(r, 0, r->name);
	ask_addresses(r);
}

static void take_mx(struct request *r, const struct ub_result *res)
{
	struct mx_host all[MX_READ_MAX];
	char names[MX_READ_MAX][NAME_ROOM];
	size_t n = 0;

	for (size_t i = 0; res->data[i] != NULL && n < MX_READ_MAX; i++) {
		const unsigned char *p = (const unsigned char *)res->data[i];
		if (res->len[i] < 3 || !read_name(p + 2, (size_t)res->len[i] - 2, names[n]))
			continue;
		all[n] = (struct mx_host){ .name = str_c(names[n]), .preference = (unsigned)p[0] << 8 | p[1] };
		n++;
	}
	r->has_mx = true;
	r->ttl_s = res->ttl;
	r->null_mx = n == 1 && all[0].name.n == 0;
	mx_order(all, n, r->dns->seed++);
	for (size_t i = 0; i < n; i++)
		if (all[i].name.n > 0)
			add_host(r, all[i].preference, all[i].name.p);
	if (r->host_n == 0 && !r->null_mx)
		fail(r, r->name, "no usable name in its MX records");
	ask_addresses(r);
}

static void take_addresses(struct request *r, const struct question *q, const struct ub_result *res)
{
	int size = q->type == TYPE_A ? 4 : 16;

	for (size_t i = 0; res->data[i] != NULL; i++)
		if (res->len[i] == size)
			add_address(r, q->host, q->type, res->data[i]);
}

static bool begin_text(struct request *r)
{
	if (r->text_n == DNS_TEXTS_MAX) {
		r->texts_cut = true;
		return false;
	}
	r->texts[r->text_n++] = str_n(r->text_room + r->text_used, 0);
	return true;
}

static void add_to_text(struct request *r, struct str s)
{
	size_t room = DNS_TEXT_BYTES - r->text_used;

	r->texts_cut = r->texts_cut || s.n > room;
	s = str_head(s, room);
	if (s.n > 0)
		memcpy(r->text_room + r->text_used, s.p, s.n);
	r->text_used += s.n;
	r->texts[r->text_n - 1].n += s.n;
}

/* A record is strings of {length, bytes}; readers put them together (RFC 7208 3.3). */
static void take_texts(struct request *r, const struct ub_result *res)
{
	for (size_t i = 0; res->data[i] != NULL && begin_text(r); i++) {
		struct str rest = str_n(res->data[i], (size_t)res->len[i]);
		while (rest.n > 0) {
			size_t n = (unsigned char)rest.p[0];
			add_to_text(r, str_head(str_skip(rest, 1), n));
			rest = str_skip(rest, 1 + n);
		}
	}
}

static void add_text(struct request *r, struct str s)
{
	if (begin_text(r))
		add_to_text(r, s);
}

/* Names that are no host names are left out: nobody could be reached by them. */
static void take_raw(struct request *r, const struct ub_result *res)
{
	size_t skip = r->wants == TYPE_MX ? 2 : 0;
	char name[NAME_ROOM];

	for (size_t i = 0; res->data[i] != NULL; i++) {
		struct str s = str_n(res->data[i], (size_t)res->len[i]);
		bool address = r->wants == TYPE_A || r->wants == TYPE_AAAA;
		if (address && s.n == (r->wants == TYPE_A ? 4 : 16))
			add_text(r, s);
		else if (!address && s.n > skip && read_name((const unsigned char *)s.p + skip, s.n - skip, name))
			add_text(r, str_c(name));
	}
}

static void take_answer(struct request *r, const struct question *q, int failed, const struct ub_result *res)
{
	if (failed != 0 || res == NULL) {
		fail(r, r->name, ub_strerror(failed));
		return;
	}
	r->secure = r->secure && res->secure;
	if (res->bogus)
		fail(r, res->qname, res->why_bogus != NULL ? res->why_bogus : "signatures do not check");
	else if (res->havedata && r->raw && q->type != TYPE_TXT)
		take_raw(r, res);
	else if (r->raw && !res->havedata && (res->rcode == 0 || res->nxdomain))
		r->status = res->nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
	else if (res->havedata && q->type == TYPE_MX)
		take_mx(r, res);
	else if (res->havedata && q->type == TYPE_TXT)
		take_texts(r, res);
	else if (res->havedata)
		take_addresses(r, q, res);
	else if (res->rcode != 0 && !res->nxdomain)
		fail(r, res->qname, "the resolver failed");
	else if (q->type == TYPE_MX && res->nxdomain)
		r->status = DNS_NXDOMAIN;
	else if (q->type == TYPE_MX)
		ask_implicit(r);
	else if (res->nxdomain && !r->has_mx)
		r->status = DNS_NXDOMAIN;
}

static void on_answer(void *arg, int failed, struct ub_result *res)
{
	struct question *q = arg;
	struct request *r = q->request;

	must(q->open && r->open_n > 0);
	q->open = false;
	r->open_n--;
	take_answer(r, q, failed, res);
	ub_resolve_free(res);
	if (r->open_n == 0)
		finish(r);
}

/* ---- a request on the home loop ---- */

static bool take_static_mx(struct request *r)
{
	size_t n;
	const struct host_row *row = hosts_find(&r->dns->hosts, str_c(r->name), HOST_MX, &n);

	if (row == NULL)
		return false;
	r->has_mx = true;
	r->null_mx = n == 1 && str_eq(row->exchanger, S("."));
	for (; n > 0 && !r->null_mx; n--, row++)
		add_host(r, row->preference, row->exchanger.p);
	mx_order(r->hosts, r->host_n, r->dns->seed++);
	ask_addresses(r);
	return true;
}

static void take_static_texts(struct request *r)
{
	size_t n;
	const struct host_row *row = hosts_find(&r->dns->hosts, str_c(r->name), HOST_TXT, &n);

	for (; row != NULL && n > 0; n--, row++)
		if (begin_text(r))
			add_to_text(r, row->text);
}

/* Rows of the file as records. */
static void take_static_raw(struct request *r)
{
	static const struct {
		int type;
		enum host_kind kind;
	} kinds[] = { { TYPE_A, HOST_ADDR },
		      { TYPE_AAAA, HOST_ADDR },
		      { TYPE_MX, HOST_MX },
		      { TYPE_TXT, HOST_TXT },
		      { TYPE_PTR, HOST_PTR } };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = 0;
		const struct host_row *row = kinds[i].type == r->wants
						     ? hosts_find(&r->dns->hosts, str_c(r->name), kinds[i].kind, &n)
						     : NULL;
		for (; n > 0; n--, row++)
			if (row->kind == HOST_TXT)
				add_text(r, row->text);
			else if (row->kind != HOST_ADDR)
				add_text(r, str_eq(row->exchanger, S(".")) ? STR_NONE : row->exchanger);
			else if (r->wants == TYPE_A && row->addr.sa.sa_family == AF_INET)
				add_text(r, str_n(&row->addr.v4.sin_addr, 4));
			else if (r->wants == TYPE_AAAA && row->addr.sa.sa_family == AF_INET6)
				add_text(r, str_n(&row->addr.v6.sin6_addr, 16));
	}
	r->secure = false;
}

/* As the DNS keeps it: small letters, no dot at the end. */
static bool to_raw_name(struct request *r)
{
	size_t n = strlen(r->name), label = 0;

	if (n > 0 && r->name[n - 1] == '.')
		r->name[--n] = '\0';
	for (size_t i = 0; i < n; i++) {
		char c = r->name[i] = chr_lower(r->name[i]);
		label = c == '.' ? 0 : label + 1;
		if (c <= ' ' || c > '~' || c == '\\' || label > 63 || (c == '.' && (i == 0 || r->name[i - 1] == '.')))
			return false;
	}
	return n > 0 && n <= 253;
}

static bool take_literal(struct request *r)
{
	struct str name = str_c(r->name);
	struct net_addr a;

	if (str_starts(name, S("[")) && str_ends(name, S("]")))
		name = str_head(str_skip(name, 1), name.n - 2);
	if (str_istarts(name, S("IPv6:")))
		name = str_skip(name, 5);
	if (!net_parse_ip(name, r->port, &a))
		return false;
	add_host(r, 0, r->name);
	add_address(r, 0, a.sa.sa_family == AF_INET ? TYPE_A : TYPE_AAAA,
		    a.sa.sa_family == AF_INET ? (const void *)&a.v4.sin_addr : &a.v6.sin6_addr);
	return true;
}

static bool to_a_labels(struct request *r)
{
	struct buf name;
	struct str s = str_c(r->name);

	buf_init(&name, NAME_ROOM - 1);
	bool good = addr_normalize_domain(s, &name);
	if (good)
		memcpy(r->name, name.p, name.n), r->name[name.n] = '\0';
	buf_fini(&name);
	return good || (addr_is_helo(s) && r->name[0] != '['); /* underscores and such: ask as it is */
}

static void begin(struct request *r)
{
	struct dns *d = r->dns;
	size_t n;

	r->waiting = false;
	if (!r->raw && r->wants != TYPE_TXT && take_literal(r)) {
		finish(r);
		return;
	}
	if (r->raw ? !to_raw_name(r) : !to_a_labels(r)) {
		r->status = DNS_NXDOMAIN;
		snprintf(r->text, sizeof r->text, "not a domain name");
		finish(r);
		return;
	}
	bool fixed = false;
	for (int kind = 0; kind < HOST_KIND_N; kind++)
		fixed = fixed || hosts_find(&d->hosts, str_c(r->name), (enum host_kind)kind, &n) != NULL;
	if (!fixed && d->probing) {
		r->waiting = true;
		return;
	}
	if (!d->decided && loop_now_ms(d->home) - d->probed_ms > PROBE_AGAIN_MS)
		probe(d);
	if (hosts_find(&d->hosts, str_c(r->name), HOST_FAIL, &n) != NULL)
		fail(r, r->name, "it fails by the hosts file");
	else if (r->raw && fixed)
		take_static_raw(r);
	else if (r->raw)
		ask(r, r->name, r->wants, 0);
	else if (r->wants == TYPE_TXT && fixed)
		take_static_texts(r);
	else if (r->wants != TYPE_A && !fixed)
		ask(r, r->name, r->wants, 0);
	else if ((r->wants == TYPE_A || !take_static_mx(r)) &&
		 (!fixed || hosts_find(&d->hosts, str_c(r->name), HOST_ADDR, &n) != NULL))
		ask_implicit(r);
	if (r->open_n == 0)
		finish(r);
}

static void on_deadline(struct loop_timer *t)
{
	struct request *r = container_of(t, struct request, deadline);

	for (size_t i = 0; i < r->question_n; i++)
		if (r->questions[i].open)
			ub_cancel(r->questions[i].ctx, r->questions[i].id);
	r->open_n = 0;
	fail(r, r->name, "no answer from the resolver in time");
	finish(r);
}

static void arrive(struct loop_task *task)
{
	struct request *r = container_of(task, struct request, task);
	struct dns *d = r->dns;

	if (d->closed) {
		must(r->held == NULL);
		free_request(r);
		return;
	}
	r->place = &d->requests;
	r->next = d->requests;
	if (r->next != NULL)
		r->next->place = &r->next;
	d->requests = r;
	loop_timer_init(d->home, &r->deadline, on_deadline);
	loop_timer_set(&r->deadline, DNS_DEADLINE_MS);
	begin(r);
}

/* ---- back on the asking loop ---- */

static void deliver(struct loop_task *task)
{
	struct request *r = container_of(task, struct request, task);

	if (r->held == NULL) {
		free_request(r);
		return;
	}
	struct dns_lookup *q = container_of(r->held, struct dns_lookup, op);
	q->status = r->status;
	q->null_mx = r->null_mx;
	q->has_mx = r->has_mx;
	q->secure = r->secure;
	q->ttl_s = r->ttl_s;
	q->hosts = r->hosts;
	q->host_n = r->host_n;
	q->texts = r->texts;
	q->text_n = r->text_n;
	q->texts_cut = r->texts_cut;
	memcpy(q->text, r->text, sizeof q->text);
	q->state = r;
	unref(r->dns);
	op_finish(&r->held); /* may free the lookup and with it r */
}

static void hand_over(struct request *r, struct loop *from, struct loop *to, void (*fn)(struct loop_task *))
{
	r->task.fn = fn;
	if (from == to)
		loop_defer(to, &r->task);
	else
		loop_post(to, &r->task);
}

/* Gives each host its addresses; hosts without any go. */
static void share_addresses(struct request *r)
{
	size_t used = 0, hosts = 0;

	for (size_t i = 0; i < r->host_n; i++) {
		struct mx_host h = r->hosts[i];
		h.addrs = &r->addrs[used];
		for (size_t j = 0; j < r->found_n; j++)
			if (r->found_of[j] == i)
				r->addrs[used++] = r->found[j];
		h.addr_n = (size_t)(&r->addrs[used] - h.addrs);
		if (h.addr_n > 0)
			r->hosts[hosts++] = h;
	}
	r->host_n = hosts;
}

static void finish(struct request *r)
{
	unlink_request(r);
	share_addresses(r);
	if (r->host_n > 0 || r->null_mx || r->text_n > 0)
		r->status = DNS_OK;
	else if (r->failed)
		r->status = DNS_FAILED;
	else if (r->status != DNS_NXDOMAIN)
		r->status = DNS_NODATA;
	hand_over(r, r->dns->home, r->asker, deliver);
}

static void lookup(struct dns *d, struct loop *loop, struct str name, uint16_t port, int wants, bool raw,
		   struct dns_lookup *q, void (*done)(struct op *))
{
	struct request *r = calloc(1, sizeof *r + (raw || wants == TYPE_TXT ? DNS_TEXT_BYTES : 0));

	must(r != NULL && !op_is_open(&q->op));
	dns_lookup_fini(q);
	r->dns = d;
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	r->asker = loop;
	r->port = port;
	r->wants = wants;
	r->raw = raw;
	r->secure = true;
	r->ttl_s = -1;
	if (name.n < NAME_ROOM - 1) /* too long stays empty: no domain name */
		memcpy(r->name, name.p, name.n);
	op_start(&q->op, done, &r->held);
	hand_over(r, loop, d->home, arrive);
}

void dns_lookup_mx(struct dns *d, struct loop *loop, struct str domain, uint16_t port, struct dns_lookup *q,
		   void (*done)(struct op *))
{
	lookup(d, loop, domain, port, TYPE_MX, false, q, done);
}

void dns_lookup_host(struct dns *d, struct loop *loop, struct str name, uint16_t port, struct dns_lookup *q,
		     void (*done)(struct op *))
{
	lookup(d, loop, name, port, TYPE_A, false, q, done);
}

void dns_lookup_txt(struct dns *d, struct loop *loop, struct str name, struct dns_lookup *q, void (*done)(struct op *))
{
	lookup(d, loop, name, 0, TYPE_TXT, false, q, done);
}

void dns_lookup_rr(struct dns *d, struct loop *loop, struct str name, enum dns_rr type, struct dns_lookup *q,
		   void (*done)(struct op *))
{
	lookup(d, loop, name, 0, (int)type, true, q, done);
}

void dns_lookup_fini(struct dns_lookup *q)
{
	if (op_is_open(&q->op))
		op_cancel(&q->op); /* the request frees itself when it comes back */
	else
		free(q->state);
	*q = (struct dns_lookup){ 0 };
}
