/* routing/dns.c: mail exchangers, addresses and texts, asked from any loop.
 *
 *   asking loop   dns_lookup_x -> request --post-->
 *   home loop     request_begin -> request_ask -> on_answer* -> request_finish --post-->
 *   asking loop   deliver -> op done
 *
 * libunbound resolves on a thread of its own; its descriptor wakes the home loop, where all callbacks run.  A request
 * is owned by the loop that holds it: between the two posts only the home loop touches it, but for `held`, which only
 * the asking loop reads and writes.  After delivery it is the lookup's `state`, and its arrays are the answer. */
#include "routing/dns_inner.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lives ---- */

void dns_unref(struct dns *d)
{
	if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
		free(d);
}

void request_free(struct request *r)
{
	dns_unref(r->dns);
	free(r);
}

void request_unlink(struct request *r)
{
	if (r->next != NULL)
		r->next->place = r->place;
	*r->place = r->next;
	loop_timer_stop(&r->deadline);
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
		request_add_host(r, row->preference, row->exchanger.p);
	mx_order(r->hosts, r->host_n, r->dns->seed++);
	request_ask_addresses(r);
	return true;
}

static void take_static_texts(struct request *r)
{
	size_t n;
	const struct host_row *row = hosts_find(&r->dns->hosts, str_c(r->name), HOST_TXT, &n);

	for (; row != NULL && n > 0; n--, row++)
		if (request_begin_text(r))
			request_add_to_text(r, row->text);
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
				request_add_text(r, row->text);
			else if (row->kind != HOST_ADDR)
				request_add_text(r, str_eq(row->exchanger, S(".")) ? STR_NONE : row->exchanger);
			else if (r->wants == TYPE_A && row->addr.sa.sa_family == AF_INET)
				request_add_text(r, str_n(&row->addr.v4.sin_addr, 4));
			else if (r->wants == TYPE_AAAA && row->addr.sa.sa_family == AF_INET6)
				request_add_text(r, str_n(&row->addr.v6.sin6_addr, 16));
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
	request_add_host(r, 0, r->name);
	request_add_address(r, 0, a.sa.sa_family == AF_INET ? TYPE_A : TYPE_AAAA,
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

void request_begin(struct request *r)
{
	struct dns *d = r->dns;
	size_t n;

	r->waiting = false;
	if (!r->raw && r->wants != TYPE_TXT && take_literal(r)) {
		request_finish(r);
		return;
	}
	if (r->raw ? !to_raw_name(r) : !to_a_labels(r)) {
		r->status = DNS_NXDOMAIN;
		snprintf(r->text, sizeof r->text, "not a domain name");
		request_finish(r);
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
		dns_probe(d);
	if (hosts_find(&d->hosts, str_c(r->name), HOST_FAIL, &n) != NULL)
		request_fail(r, r->name, "it fails by the hosts file");
	else if (r->raw && fixed)
		take_static_raw(r);
	else if (r->raw)
		request_ask(r, r->name, r->wants, 0);
	else if (r->wants == TYPE_TXT && fixed)
		take_static_texts(r);
	else if (r->wants != TYPE_A && !fixed)
		request_ask(r, r->name, r->wants, 0);
	else if ((r->wants == TYPE_A || !take_static_mx(r)) &&
		 (!fixed || hosts_find(&d->hosts, str_c(r->name), HOST_ADDR, &n) != NULL))
		request_ask_implicit(r);
	if (r->open_n == 0)
		request_finish(r);
}

static void on_deadline(struct loop_timer *t)
{
	struct request *r = container_of(t, struct request, deadline);

	for (size_t i = 0; i < r->question_n; i++)
		if (r->questions[i].open)
			ub_cancel(r->questions[i].ctx, r->questions[i].id);
	r->open_n = 0;
	request_fail(r, r->name, "no answer from the resolver in time");
	request_finish(r);
}

static void arrive(struct loop_task *task)
{
	struct request *r = container_of(task, struct request, task);
	struct dns *d = r->dns;

	if (d->closed) {
		must(r->held == NULL);
		request_free(r);
		return;
	}
	r->place = &d->requests;
	r->next = d->requests;
	if (r->next != NULL)
		r->next->place = &r->next;
	d->requests = r;
	loop_timer_init(d->home, &r->deadline, on_deadline);
	loop_timer_set(&r->deadline, DNS_DEADLINE_MS);
	request_begin(r);
}

/* ---- back on the asking loop ---- */

static void deliver(struct loop_task *task)
{
	struct request *r = container_of(task, struct request, task);

	if (r->held == NULL) {
		request_free(r);
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
	dns_unref(r->dns);
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

void request_finish(struct request *r)
{
	request_unlink(r);
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
