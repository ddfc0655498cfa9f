/* routing/dns_answer.c: the questions of a request, and what the answers say. */
#include "routing/dns_inner.h"

#include "base/fault.h"
#include "base/must.h"

#include <stdio.h>
#include <string.h>

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

void request_add_address(struct request *r, size_t host, int type, const void *bytes)
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

void request_add_host(struct request *r, unsigned preference, const char *name)
{
	if (r->host_n == DNS_HOSTS_MAX)
		return;
	char *room = r->names[r->host_n];
	size_t n = strnlen(name, NAME_ROOM - 1);
	memcpy(room, name, n);
	room[n] = '\0';
	r->hosts[r->host_n++] = (struct mx_host){ .name = str_n(room, n), .preference = preference };
}

void request_fail(struct request *r, const char *what, const char *why)
{
	r->failed = true;
	snprintf(r->text, sizeof r->text, "%.80s: %.76s", what, why);
}

static void on_answer(void *arg, int failed, struct ub_result *res);

void request_ask(struct request *r, const char *name, int type, size_t host)
{
	struct question *q = &r->questions[r->question_n];
	struct ub_ctx *ctx = r->dns->use->ctx;

	must(r->question_n < QUESTIONS_MAX);
	*q = (struct question){ .request = r, .ctx = ctx, .type = type, .host = host };
	if (fault("dns.ask") || ub_resolve_async(ctx, name, type, CLASS_IN, q, on_answer, &q->id) != 0) {
		request_fail(r, name, "libunbound took no question");
		return;
	}
	q->open = true;
	r->question_n++;
	r->open_n++;
}

void request_ask_addresses(struct request *r)
{
	size_t n;

	for (size_t i = 0; i < r->host_n; i++) {
		const struct host_row *row = hosts_find(&r->dns->hosts, r->hosts[i].name, HOST_ADDR, &n);
		for (; n > 0; n--, row++)
			if (row->addr.sa.sa_family == AF_INET)
				request_add_address(r, i, TYPE_A, &row->addr.v4.sin_addr);
			else
				request_add_address(r, i, TYPE_AAAA, &row->addr.v6.sin6_addr);
		if (row != NULL) {
			r->secure = false;
			continue;
		}
		request_ask(r, r->hosts[i].name.p, TYPE_A, i);
		request_ask(r, r->hosts[i].name.p, TYPE_AAAA, i);
	}
}

void request_ask_implicit(struct request *r)
{
	request_add_host(r, 0, r->name);
	request_ask_addresses(r);
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
			request_add_host(r, all[i].preference, all[i].name.p);
	if (r->host_n == 0 && !r->null_mx)
		request_fail(r, r->name, "no usable name in its MX records");
	request_ask_addresses(r);
}

static void take_addresses(struct request *r, const struct question *q, const struct ub_result *res)
{
	int size = q->type == TYPE_A ? 4 : 16;

	for (size_t i = 0; res->data[i] != NULL; i++)
		if (res->len[i] == size)
			request_add_address(r, q->host, q->type, res->data[i]);
}

bool request_begin_text(struct request *r)
{
	if (r->text_n == DNS_TEXTS_MAX) {
		r->texts_cut = true;
		return false;
	}
	r->texts[r->text_n++] = str_n(r->text_room + r->text_used, 0);
	return true;
}

void request_add_to_text(struct request *r, struct str s)
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
	for (size_t i = 0; res->data[i] != NULL && request_begin_text(r); i++) {
		struct str rest = str_n(res->data[i], (size_t)res->len[i]);
		while (rest.n > 0) {
			size_t n = (unsigned char)rest.p[0];
			request_add_to_text(r, str_head(str_skip(rest, 1), n));
			rest = str_skip(rest, 1 + n);
		}
	}
}

void request_add_text(struct request *r, struct str s)
{
	if (request_begin_text(r))
		request_add_to_text(r, s);
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
			request_add_text(r, s);
		else if (!address && s.n > skip && read_name((const unsigned char *)s.p + skip, s.n - skip, name))
			request_add_text(r, str_c(name));
	}
}

static void take_answer(struct request *r, const struct question *q, int failed, const struct ub_result *res)
{
	if (failed != 0 || res == NULL) {
		request_fail(r, r->name, ub_strerror(failed));
		return;
	}
	r->secure = r->secure && res->secure;
	if (res->bogus)
		request_fail(r, res->qname, res->why_bogus != NULL ? res->why_bogus : "signatures do not check");
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
		request_fail(r, res->qname, "the resolver failed");
	else if (q->type == TYPE_MX && res->nxdomain)
		r->status = DNS_NXDOMAIN;
	else if (q->type == TYPE_MX)
		request_ask_implicit(r);
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
		request_finish(r);
}
