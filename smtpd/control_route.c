/* smtpd/control_route.c: `route explain` and `mode`: the flow, told and switched.
 *
 * On the worker: both read the store, `mode set` writes it. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/explain.h"

#include <fcntl.h>
#include <unistd.h>

enum { EXPLAIN_MEMORY = 4 << 20, HEADER_FILE_MAX = 1 << 20 };

static const struct mode_word {
	const char *name;
	enum conf_side mx;
	bool cmt;
} mode_words[] = {
	{ "M1", SIDE_ONPREM, false },
	{ "M2", SIDE_CLOUD, false },
	{ "M3", SIDE_CLOUD, true },
	{ "M4", SIDE_ONPREM, true },
};

bool mode_parse(struct str s, enum conf_side *mx, bool *cmt)
{
	for (size_t i = 0; i < sizeof mode_words / sizeof mode_words[0]; i++)
		if (str_ieq(s, str_c(mode_words[i].name))) {
			*mx = mode_words[i].mx;
			*cmt = mode_words[i].cmt;
			return true;
		}
	return false;
}

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
static int read_question(const struct call *c, struct explain_query *q, struct str *names, struct err *e)
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
	};
	for (size_t i = 0; i < q->cert_name_n; i++)
		names[i] = args_list_at(c, "cert-name", i);
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
	struct arena arena;
	struct buf header;
	struct err e = { 0 };

	must(names != NULL);
	arena_init(&arena, EXPLAIN_MEMORY);
	buf_init(&header, HEADER_FILE_MAX);
	if (read_question(c, &q, names, &e) == 0 && read_certificate(c, &q, &arena, &peer, &e) == 0 &&
	    read_headers(c, &q, &header, &e) == 0 &&
	    explain(c->config, c->hooks->routing, &q, &arena, explain_row, c, &result, &e) == 0) {
		result_row(c, &result);
		call_end(c, CALL_OK, NULL);
	} else {
		call_end_err(c, e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, &e);
	}
	buf_fini(&header);
	arena_fini(&arena);
	free(names);
}

/* ---- mode ---- */

void run_mode_show(struct call *c)
{
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &m, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	json_t *row = json_object();
	row_mode(row, &m);
	row_int(row, "grace_ms", c->config->mode.grace_ms);
	row_bool(row, "in_grace", clock_wall_ms() < m.since_ms + c->config->mode.grace_ms);
	call_row(c, row);
	call_end(c, CALL_OK, NULL);
}

/* One word of `mode set`: M3, mx=cloud, cmt=on. */
static bool apply_mode_word(struct str word, enum conf_side *mx, bool *cmt)
{
	struct str key, value;

	if (mode_parse(word, mx, cmt))
		return true;
	str_cut(word, '=', &key, &value);
	if (str_ieq(key, S("mx")) && (str_ieq(value, S("onprem")) || str_ieq(value, S("cloud"))))
		*mx = str_ieq(value, S("cloud")) ? SIDE_CLOUD : SIDE_ONPREM;
	else if (str_ieq(key, S("cmt")) && (str_ieq(value, S("on")) || str_ieq(value, S("off"))))
		*cmt = str_ieq(value, S("on"));
	else
		return false;
	return true;
}

/* False: the call has ended. */
static bool read_mode_words(struct call *c, enum conf_side *mx, bool *cmt)
{
	size_t n = args_list_n(c, "MODE");

	for (size_t i = 0; i < n; i++)
		if (!apply_mode_word(args_list_at(c, "MODE", i), mx, cmt)) {
			call_end(c, CALL_USAGE, "\"" STR_FMT "\": M1..M4, mx=onprem|cloud or cmt=on|off is expected",
				 STR_ARG(args_list_at(c, "MODE", i)));
			return false;
		}
	if (n == 0)
		call_end(c, CALL_USAGE, "which mode? M1..M4, or mx=onprem|cloud and cmt=on|off");
	return n > 0;
}

void run_mode_set(struct call *c)
{
	struct mode before, after;
	bool changed = false, dry_run = args_flag(c, "dry-run");
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &before, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	after = before;
	if (!read_mode_words(c, &after.mx, &after.cmt))
		return;
	if (dry_run)
		changed = after.mx != before.mx || after.cmt != before.cmt;
	else if (routing_mode_set(c->hooks->routing, after.mx, after.cmt, &after, &changed, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	json_t *row = json_object();
	row_mode(row, &after);
	row_c(row, "before", mode_name(&before));
	row_bool(row, "changed", changed);
	row_bool(row, "dry_run", dry_run);
	call_row(c, row);
	call_end(c, changed ? CALL_OK : CALL_NOTHING, changed ? NULL : "this mode is in force already");
}
