/* smtpd/control_route.c: `route explain`: the flow, told.
 *
 * On the worker: it reads the store. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/explain.h"

#include <fcntl.h>
#include <unistd.h>

enum { EXPLAIN_MEMORY = 4 << 20, HEADER_FILE_MAX = 1 << 20 };

/* ---- route explain ---- */

static void explain_row(void *arg, const struct explain_line *l)
{
	json_t *row = json_object();

	row_c(row, "step", l->step);
	row_str(row, "name", l->name);
	row_bool(row, "hit", l->hit);
	row_str(row, "says", l->says);
	call_row(arg, row);
}

static void row_if(json_t *row, const char *key, const char *value)
{
	if (value != NULL)
		row_c(row, key, value);
}

static void row_if_str(json_t *row, const char *key, struct str value)
{
	if (value.n > 0)
		row_str(row, key, value);
}

/* The last row: everything that was decided, as values for scripts. */
static void result_row(struct call *c, const struct explain_result *r)
{
	json_t *row = json_object();
	char enhanced[32];

	row_c(row, "step", "result");
	row_if_str(row, "receive", r->receive);
	row_if_str(row, "inbound", r->inbound);
	row_if_str(row, "how", r->how);
	row_if(row, "origin", r->origin);
	row_if(row, "class", r->class);
	row_if(row, "org", r->org);
	row_if(row, "kind", r->kind);
	row_if(row, "rule", r->rule);
	row_if(row, "reason", r->reason);
	row_if(row, "action", r->action);
	row_if(row, "next", r->next);
	row_if(row, "form", r->form);
	row_if_str(row, "address", r->rcpt);
	row_if_str(row, "hop_domain", r->hop_domain);
	row_if_str(row, "hop_host", r->hop_host);
	row_if_str(row, "connector", r->connector);
	row_if(row, "tls", r->tls);
	row_if_str(row, "tls_domain", r->tls_domain);
	row_bool(row, "straggler", r->straggler);
	row_bool(row, "held", r->held);
	row_int(row, "code", r->reply.code);
	snprintf(enhanced, sizeof enhanced, "%d.%d.%d", r->reply.class, r->reply.subject, r->reply.detail);
	row_c(row, "enhanced", enhanced);
	row_str(row, "text", r->reply.text);
	row_if(row, "cause", r->cause);
	row_if(row, "fixer", r->fixer);
	if (r->kind != NULL) { /* the table was asked */
		row_c(row, "mode", mode_name(&r->mode));
		row_uint(row, "epoch", r->mode.epoch);
		row_uint(row, "serial", r->serial);
	}
	call_row(c, row);
}

static int read_class(struct str s, enum env_class *out, struct err *e)
{
	if (s.n == 0)
		return 0;
	if (str_ieq(s, S("int")))
		*out = ENV_CLASS_INT;
	else if (str_ieq(s, S("ext")))
		*out = ENV_CLASS_EXT;
	else
		return err_set(e, ERR_SYNTAX, "control.explain", "--class: int or ext is expected");
	return 0;
}

static int read_sender(struct str s, struct str *from, struct err *e)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;

	*from = STR_NONE;
	if (s.n == 0 || str_eq(s, S("<>")))
		return 0;
	if (addr_parse(s, &rules, &a) != ADDR_OK)
		return err_set(e, ERR_SYNTAX, "control.explain", "--from: not a mailbox address like user@example.com");
	*from = a.whole;
	return 0;
}

/* --cert FILE [--ca FILE]: read here, off the loops.  `peer` is filled when there is one. */
static int read_certificate(const struct call *c, struct explain_query *q, struct arena *a, struct tls_peer *peer,
			    struct err *e)
{
	struct str path = args_text(c, "cert"), ca = args_text(c, "ca");
	struct err why = { 0 };

	if (path.n == 0)
		return ca.n == 0 ? 0
				 : err_set(e, ERR_SYNTAX, "control.explain", "--ca judges the certificate of --cert");
	if (q->cert_name_n > 0)
		return err_set(e, ERR_SYNTAX, "control.explain", "--cert and --cert-name exclude each other");
	if (tls_peer_of_file(path.p, ca, &c->config->tls, a, peer, &why) != 0)
		return err_set(e, ERR_SYNTAX, "control.explain", "%s", why.text);
	q->peer = peer;
	q->chain_assumed = ca.n == 0;
	return 0;
}

/* A date, or how long ago. */
static int read_time(struct str s, int64_t *at_ms, struct err *e)
{
	int64_t now_ms = clock_wall_ms(), ago_ms;

	if (s.n == 0 || (time_parse_iso(s, at_ms) && *at_ms > 0 && *at_ms <= now_ms))
		return 0;
	if (!time_parse_span(s, &ago_ms) || ago_ms >= now_ms)
		return err_set(e, ERR_SYNTAX, "control.explain",
			       "--at: a time in the past is expected, 2026-11-20T10:00Z (UTC) or 2h (ago)");
	*at_ms = now_ms - ago_ms;
	return 0;
}

/* --headers FILE: the beginning of a message, or only its header. */
static int read_headers(const struct call *c, struct explain_query *q, struct buf *room, struct err *e)
{
	struct str path = args_text(c, "headers");
	char *to;
	ssize_t n;

	if (path.n == 0)
		return 0;
	int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold the worker up */
	if (fd < 0)
		return err_sys(e, ERR_SYNTAX, "control.explain", "--headers: %s", path.p);
	while ((to = buf_reserve(room, 64 * 1024)) != NULL && (n = read(fd, to, 64 * 1024)) > 0)
		buf_commit(room, (size_t)n);
	close(fd);
	q->header = buf_str(room);
	return 0;
}

/* `names` has room for ARG_LIST_MAX. */
static int read_question(const struct call *c, struct explain_query *q, struct str *names, const struct token_keys *srs,
			 struct err *e)
{
	struct str mode = args_text(c, "mode");

	*q = (struct explain_query){
		.rcpt = args_text(c, "RCPT"),
		.ip = args_text(c, "ip"),
		.via = args_text(c, "via"),
		.secured = args_flag(c, "tls"),
		.cert_names = names,
		.cert_name_n = args_list_n(c, "cert-name"),
		.claim = args_text(c, "claim"),
		.token_seen = args_flag(c, "token"),
		.redirected = args_flag(c, "redirected"),
		.has_mode = mode.n > 0,
		.size = args_number(c, "size", 0),
		.why_not = args_text(c, "why-not"),
		.srs = srs,
	};
	for (size_t i = 0; i < q->cert_name_n; i++)
		names[i] = args_list_at(c, "cert-name", i);
	if (read_time(args_text(c, "at"), &q->at_ms, e) != 0)
		return -1;
	if (mode.n > 0 && !mode_parse(mode, &q->mx, &q->cmt))
		return err_set(e, ERR_SYNTAX, "control.explain", "--mode: M1, M2, M3 or M4 is expected");
	return read_class(args_text(c, "class"), &q->class, e) != 0 ? -1
								    : read_sender(args_text(c, "from"), &q->from, e);
}

void run_route_explain(struct call *c)
{
	struct str *names = calloc(ARG_LIST_MAX, sizeof *names);
	struct explain_query q;
	struct explain_result result;
	struct tls_peer peer;
	struct token_keys srs = { .n = 0 };
	struct arena arena;
	struct buf header;
	struct err e = { 0 };
	struct err ignored; /* without the keys no SRS address is ours, and the explanation says so */

	must(names != NULL);
	arena_init(&arena, EXPLAIN_MEMORY);
	if (c->config->srs.key.n > 0)
		token_keys_load(c->config->srs.key.p, &srs, &ignored);
	buf_init(&header, HEADER_FILE_MAX);
	if (read_question(c, &q, names, &srs, &e) == 0 && read_certificate(c, &q, &arena, &peer, &e) == 0 &&
	    read_headers(c, &q, &header, &e) == 0 &&
	    explain(c->config, c->hooks->routing, &q, &arena, explain_row, c, &result, &e) == 0) {
		result_row(c, &result);
		call_end(c, CALL_OK, NULL);
	} else {
		call_end_err(c, e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, &e);
	}
	token_keys_fini(&srs);
	buf_fini(&header);
	arena_fini(&arena);
	free(names);
}
