/* auth/spf_lib.c: libspf2 with a DNS that is a table.
 *
 * The library asks for the record of the sender's domain first and knows no other way in.  So it is told that this is
 * "include:CURRENT -all" (when the current domain is another), and the record of CURRENT is the term in question:
 * pass means it matched.  The third question for a record is then where an include or a redirect leads. */
#include "auth/spf_lib.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <spf2/spf.h>
#include <spf2/spf_dns.h>
#include <spf2/spf_dns_rr.h>

enum { MX_MAX = 10, TERM_ROOM = 4096 };

struct session { /* one evaluation inside the library */
	SPF_dns_server_t dns;
	SPF_request_t *request;
	struct spf_run *run;
	struct in_addr shown4; /* what the library takes for the client's address */
	bool flip;             /* turn its first bit around when addresses are compared */
	bool lenient;          /* ptr: errors are no answers (RFC 7208 5.5) */
	size_t texts;          /* records asked for */
	size_t own_texts;      /* how many of them are ours to give: 1 or 2 */
	char own[2][TERM_ROOM];
};

static bool is_v4(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET;
}

/* The library lets 127.0.0.0/8 pass unseen, so it gets to know the address only when it looks at records. */
static void show_client(struct session *s)
{
	const struct net_addr *c = &s->run->input->client;

	if (is_v4(c))
		s->request->ipv4 = c->v4.sin_addr;
	else
		s->request->ipv6 = c->v6.sin6_addr;
}

static void flip_client(struct session *s)
{
	if (is_v4(&s->run->input->client))
		s->request->ipv4.s_addr ^= htonl(0x80000000);
	else
		s->request->ipv6.s6_addr[0] ^= 0x80;
	s->flip = false;
}

static void add_value(SPF_dns_rr_t *rr, const void *p, size_t n, bool text)
{
	size_t i = (size_t)rr->num_rr;

	if (SPF_dns_rr_buf_realloc(rr, (int)i, n + 1 > sizeof(SPF_dns_rr_data_t) ? n + 1 : sizeof(SPF_dns_rr_data_t)) !=
	    SPF_E_SUCCESS)
		return;
	memcpy(rr->rr[i], p, n);
	if (text)
		((char *)rr->rr[i])[n] = '\0';
	rr->num_rr++;
}

static SPF_dns_rr_t *nothing(struct session *s, const char *name, ns_type type, SPF_dns_stat_t why)
{
	return SPF_dns_rr_new_init(&s->dns, name, type, 0, why);
}

static SPF_dns_rr_t *give_text(struct session *s, const char *name, struct str text)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(&s->dns, name, ns_t_txt, 0, NETDB_SUCCESS);

	add_value(rr, text.p, text.n, true);
	return rr;
}

static SPF_dns_rr_t *give(struct session *s, const struct answer *a, const char *name, ns_type type)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(&s->dns, name, type, 0, NETDB_SUCCESS);

	if (a->type == RR_MX && a->value_n > MX_MAX)
		s->run->too_many = true;
	for (size_t i = 0; i < a->value_n; i++)
		if (memchr(a->values[i].p, '\0', a->values[i].n) == NULL || a->type == RR_A || a->type == RR_AAAA)
			add_value(rr, a->values[i].p, a->values[i].n, a->type != RR_A && a->type != RR_AAAA);
	return rr;
}

/* One MX, one PTR: all their hosts will be asked for, so ask for them at once. */
static void need_hosts(struct session *s, const struct answer *a)
{
	enum rr_type host = is_v4(&s->run->input->client) ? RR_A : RR_AAAA;

	for (size_t i = 0; i < a->value_n && i < MX_MAX; i++)
		if (answers_find(s->run->input->answers, host, a->values[i]) == NULL)
			needs_add(s->run->needs, host, a->values[i]);
}

static SPF_dns_rr_t *look_up(struct session *s, const char *name, ns_type type)
{
	struct spf_run *run = s->run;

	if (!rr_is_name(str_c(name)))
		return nothing(s, name, type, HOST_NOT_FOUND);
	const struct answer *a = answers_find(run->input->answers, (enum rr_type)type, str_c(name));
	if (a == NULL) {
		needs_add(run->needs, (enum rr_type)type, str_c(name));
		return nothing(s, name, type, TRY_AGAIN);
	}
	run->asked++;
	run->insecure = run->insecure || !a->secure;
	if (a->status == RR_FAILED)
		return nothing(s, name, type, s->lenient ? HOST_NOT_FOUND : TRY_AGAIN);
	if (a->status != RR_OK) {
		run->voids++;
		return nothing(s, name, type, a->status == RR_NXDOMAIN ? HOST_NOT_FOUND : NO_DATA);
	}
	if (type == ns_t_mx || type == ns_t_ptr)
		need_hosts(s, a);
	return give(s, a, name, type);
}

static SPF_dns_rr_t *answer(SPF_dns_server_t *dns, const char *name, ns_type type, int should_cache)
{
	struct session *s = dns->hook;

	(void)should_cache;
	if (type == ns_t_txt && s->texts < s->own_texts) {
		show_client(s);
		return give_text(s, name, str_c(s->own[s->texts++]));
	}
	if (type == ns_t_txt) {
		snprintf(s->run->target, sizeof s->run->target, "%s", name);
		return nothing(s, name, type, TRY_AGAIN);
	}
	if (type != ns_t_a && type != ns_t_aaaa && type != ns_t_mx && type != ns_t_ptr)
		return nothing(s, name, type, NO_DATA);
	if (s->flip && (type == ns_t_a || type == ns_t_aaaa))
		flip_client(s);
	return look_up(s, name, type);
}

/* ---- one evaluation ---- */

/* `term` is the record of the current domain; when that is not the sender's an include leads there. */
static bool prepare(struct session *s, struct spf_run *run, const char *term)
{
	bool here = str_ieq(str_c(run->domain), str_c(run->input->domain));
	int n = 0;

	s->run = run;
	s->own_texts = here ? 1 : 2;
	if (!here)
		n = snprintf(s->own[0], TERM_ROOM, "v=spf1 include:%s -all", run->domain);
	must(n < TERM_ROOM);
	n = snprintf(s->own[here ? 0 : 1], TERM_ROOM, "v=spf1 %s", term);
	s->dns.lookup = answer;
	s->dns.name = "table";
	s->dns.hook = s;
	return n < TERM_ROOM;
}

static SPF_server_t *new_server(struct session *s)
{
	SPF_server_t *server = SPF_server_new_dns(&s->dns, 0);

	must(server != NULL);
	SPF_server_set_rec_dom(server, s->run->input->receiver);
	return server;
}

static SPF_request_t *new_request(struct session *s, SPF_server_t *server)
{
	static const struct in6_addr some6 = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	struct in_addr some4 = { .s_addr = htonl(0xc0000201) };
	SPF_request_t *r = SPF_request_new(server);

	must(r != NULL);
	if (is_v4(&s->run->input->client))
		SPF_request_set_ipv4(r, some4);
	else
		SPF_request_set_ipv6(r, some6);
	SPF_request_set_helo_dom(r, s->run->input->helo);
	SPF_request_set_env_from(r, s->run->input->sender);
	return r;
}

static SPF_result_t ask_library(struct session *s)
{
	SPF_server_t *server = new_server(s);
	SPF_request_t *request = new_request(s, server);
	SPF_response_t *response = NULL;

	s->request = request;
	SPF_request_query_mailfrom(request, &response);
	SPF_result_t result = response != NULL ? SPF_response_result(response) : SPF_RESULT_PERMERROR;
	if (response != NULL)
		SPF_response_free(response);
	SPF_request_free(request);
	SPF_server_free(server);
	return result;
}

static enum spf_match match_of(SPF_result_t r)
{
	switch (r) {
	case SPF_RESULT_PASS:
		return MATCH_YES;
	case SPF_RESULT_TEMPERROR:
		return MATCH_TEMPERROR;
	case SPF_RESULT_PERMERROR:
	case SPF_RESULT_INVALID:
		return MATCH_PERMERROR;
	default:
		return MATCH_NO;
	}
}

static enum spf_match evaluate(struct spf_run *run, enum spf_kind kind, const char *text, bool flip)
{
	struct session s = { .flip = flip, .lenient = kind == SPF_PTR };
	size_t lacking = run->needs->n;

	if (!prepare(&s, run, text))
		return MATCH_PERMERROR;
	SPF_result_t r = ask_library(&s);
	return run->needs->n > lacking || run->needs->cut ? MATCH_NEEDS : match_of(r);
}

/* The term as the library takes it: macros put in, prefix lengths only of the client's family, and of those never 0,
 * which it does not know. */
static bool write_term(const struct spf_run *run, const struct spf_term *t, char text[TERM_ROOM])
{
	static const char *const names[] = { [SPF_A] = "a",     [SPF_MX] = "mx",   [SPF_PTR] = "ptr",
					     [SPF_IP4] = "ip4", [SPF_IP6] = "ip6", [SPF_EXISTS] = "exists" };
	const struct spf_input *in = run->input;
	const struct spf_macros m = spf_macros_of(run);
	bool v4 = is_v4(&in->client);
	unsigned bits = v4 ? t->bits4 : t->bits6;
	struct buf b;

	buf_init(&b, TERM_ROOM - 1);
	buf_addf(&b, "%s", names[t->kind]);
	bool good = true;
	if (t->kind == SPF_IP4 || t->kind == SPF_IP6) {
		buf_addf(&b, ":" STR_FMT "/%u", STR_ARG(t->address), bits);
	} else if (t->domain.n > 0) {
		buf_addc(&b, ':');
		good = spf_expand(t->domain, &m, EXPAND_LIBRARY, &b);
	}
	if (t->kind == SPF_A || t->kind == SPF_MX)
		buf_addf(&b, "%s%u", v4 ? "/" : "//", bits == 0 ? 1 : bits);
	good = good && !b.full;
	snprintf(text, TERM_ROOM, "%s", buf_cstr(&b));
	buf_fini(&b);
	return good;
}

struct spf_macros spf_macros_of(const struct spf_run *run)
{
	const struct spf_input *in = run->input;

	return (struct spf_macros){ .client = in->client,
				    .sender = str_c(in->sender),
				    .domain = str_c(run->domain),
				    .helo = str_c(in->helo),
				    .receiver = str_c(in->receiver),
				    .now_s = in->now_s };
}

enum spf_match spf_lib_match(struct spf_run *run, const struct spf_term *term)
{
	bool v4 = is_v4(&run->input->client), sized = term->kind == SPF_A || term->kind == SPF_MX;
	bool all = (v4 ? term->bits4 : term->bits6) == 0;
	char text[TERM_ROOM];

	if (term->kind == SPF_IP4 || term->kind == SPF_IP6) {
		if (v4 != (term->kind == SPF_IP4))
			return MATCH_NO;
		if (all)
			return MATCH_YES;
	}
	if (!write_term(run, term, text))
		return MATCH_NO; /* a name that cannot be */
	enum spf_match m = evaluate(run, term->kind, text, false);
	if (m == MATCH_NO && sized && all)
		m = evaluate(run, term->kind, text, true); /* /0 is both halves */
	return run->too_many && m != MATCH_NEEDS ? MATCH_PERMERROR : m;
}

bool spf_lib_target(struct spf_run *run, struct str domain_spec, bool *lacking)
{
	const struct spf_macros m = spf_macros_of(run);
	struct session s = { 0 };
	size_t had = run->needs->n;
	struct buf b;

	buf_init(&b, TERM_ROOM - 1);
	buf_add(&b, S("include:"));
	run->target[0] = '\0';
	if (spf_expand(domain_spec, &m, EXPAND_LIBRARY, &b) && prepare(&s, run, buf_cstr(&b)))
		ask_library(&s);
	buf_fini(&b);
	*lacking = run->needs->n > had;
	return !*lacking && run->target[0] != '\0';
}
