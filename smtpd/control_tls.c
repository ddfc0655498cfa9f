/* smtpd/control_tls.c: what we show to others, and by what we judge them.
 *
 * On the worker: `reload` reads files, `show` may wait for one that is under way. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/setup.h"
#include "tls/crl_keep.h"

enum { TEXT_MAX = 256 * 1024, NAMES_SHOWN = 200 };

struct show {
	struct call *call;
	int64_t now_ms;
	size_t rows;
};

static const char *chain_name(const struct cert_facts *f)
{
	static const char *const names[] = { [CERT_COMPLETE] = "complete",
					     [CERT_FOREIGN] = "other root",
					     [CERT_INCOMPLETE] = "incomplete",
					     [CERT_SELF_SIGNED] = "self-signed" };

	return names[f->chain];
}

static void row_time(json_t *row, const char *key, int64_t ms)
{
	struct buf b;

	buf_init(&b, 64);
	time_put_iso(&b, ms);
	row_str(row, key, buf_str(&b));
	buf_fini(&b);
}

static void add_names(struct buf *b, const struct str *v, size_t n)
{
	for (size_t i = 0; i < n && i < NAMES_SHOWN; i++)
		buf_addf(b, "%s" STR_FMT, b->n > 0 ? ", " : "", STR_ARG(v[i]));
}

/* `alarms` for people and scripts: the names; `why`: the same in words. */
static void row_alarms(json_t *row, const struct tls_alarms *a)
{
	struct buf names, why;

	buf_init(&names, TEXT_MAX);
	buf_init(&why, TEXT_MAX);
	for (enum tls_alarm i = 0; i < TLS_ALARM_N; i++) {
		if (!a->is[i])
			continue;
		buf_addf(&names, "%s%s", names.n > 0 ? " " : "", tls_alarm_name(i));
		buf_addf(&why, "%s%s", why.n > 0 ? "; " : "", a->why[i]);
	}
	row_str(row, "alarms", buf_str(&names));
	row_str(row, "why", buf_str(&why));
	buf_fini(&names);
	buf_fini(&why);
}

static void row_facts(json_t *row, const struct cert_facts *f, int64_t now_ms)
{
	struct buf names, detail;

	buf_init(&names, TEXT_MAX);
	buf_init(&detail, TEXT_MAX);
	add_names(&names, f->ids.sans, f->ids.san_n);
	add_names(&names, f->ids.ips, f->ids.ip_n);
	row_str(row, "subject", f->subject);
	row_str(row, "names", buf_str(&names));
	row_str(row, "issuer", f->issuer);
	row_str(row, "sha256", f->sha256);
	row_str(row, "file", f->file);
	row_time(row, "not_after", f->not_after_ms);
	row_int(row, "days_left", cert_days_left(f, now_ms));
	row_c(row, "key", f->key_type);
	row_int(row, "key_bits", f->key_bits);
	row_c(row, "chain", chain_name(f));
	row_uint(row, "shown", f->shown_n);
	buf_addf(&detail, "names " STR_FMT "; issuer " STR_FMT "; sha256 " STR_FMT "; " STR_FMT,
		 STR_ARG(buf_str(&names)), STR_ARG(f->issuer), STR_ARG(f->sha256), STR_ARG(f->file));
	row_str(row, "detail", buf_str(&detail));
	buf_fini(&names);
	buf_fini(&detail);
}

static void show_cert(void *to, const struct cert_report *r)
{
	struct show *s = to;
	json_t *row = json_object();

	row_c(row, "kind", r->facts != NULL ? "certificate" : "missing");
	row_str(row, "used_by", r->used_by);
	row_c(row, "role", r->stands_by ? "standby" : r->facts != NULL && r->used_by.n > 0 ? "primary" : "");
	if (r->facts != NULL)
		row_facts(row, r->facts, s->now_ms);
	row_alarms(row, &r->alarms);
	call_row(s->call, row);
	s->rows++;
}

static void show_lists(struct show *s, const struct setup *setup)
{
	static const char *const modes[] = { [CRL_OFF] = "off", [CRL_SOFT] = "soft", [CRL_HARD] = "hard" };
	json_t *row = json_object();
	struct tls_alarms alarms;
	struct tls_crls crls;
	char detail[300];

	setup_crls(setup, s->now_ms, &crls, &alarms);
	if (!crls.wanted) {
		json_decref(row);
		return;
	}
	row_c(row, "kind", "crl");
	row_c(row, "used_by", "revocation lists");
	row_c(row, "mode", modes[setup->config->tls.crl]);
	row_uint(row, "lists", crls.n);
	if (crls.n > 0 && crls.next_update_ms != INT64_MAX) {
		row_c(row, "subject", crls.oldest);
		row_time(row, "not_after", crls.next_update_ms);
		row_int(row, "days_left", (crls.next_update_ms - s->now_ms) / (24 * 3600 * 1000));
	}
	snprintf(detail, sizeof detail, "crl = %s; %zu lists, the one to be renewed first is shown",
		 modes[setup->config->tls.crl], crls.n);
	row_c(row, "detail", detail);
	row_alarms(row, &alarms);
	call_row(s->call, row);
	s->rows++;
}

/* `not_after`: what the list says; a time that has not come yet is left out. */
static void show_source(struct show *s, const struct crl_source *from)
{
	json_t *row = json_object();
	char detail[800];

	row_c(row, "kind", "crl source");
	row_c(row, "used_by", from->configured ? "crl_fetch" : "a certificate");
	row_c(row, "url", from->url);
	row_c(row, "subject", from->has_list ? from->list.issuer : from->url);
	if (from->has_list && from->list.next_update_ms > 0) {
		row_time(row, "not_after", from->list.next_update_ms);
		row_int(row, "days_left", (from->list.next_update_ms - s->now_ms) / (24 * 3600 * 1000));
	}
	if (from->fetched_ms > 0)
		row_time(row, "fetched", from->fetched_ms);
	if (from->tried_ms > 0)
		row_time(row, "tried", from->tried_ms);
	row_time(row, "next_fetch", from->next_ms);
	row_uint(row, "failures", from->failures);
	row_c(row, "error", from->error);
	row_c(row, "alarms", from->failures > 0 ? tls_alarm_name(TLS_ALARM_CRL_FETCH_FAILED) : "");
	row_c(row, "why", from->error);
	snprintf(detail, sizeof detail, "%s; %s", from->url, from->has_list ? "in the cache" : "no list yet");
	row_c(row, "detail", detail);
	call_row(s->call, row);
	s->rows++;
}

static void show_sources(struct show *s)
{
	const struct control_hooks *h = s->call->hooks;
	struct crl_source *rows = calloc(CRL_SOURCES_MAX, sizeof *rows);
	size_t n;

	must(rows != NULL);
	n = h->crl_sources == NULL ? 0 : h->crl_sources(h->arg, rows, CRL_SOURCES_MAX);
	for (size_t i = 0; i < n; i++)
		show_source(s, &rows[i]);
	free(rows);
}

static struct setup *setup_of(struct call *c, struct buf *problems)
{
	if (c->hooks->setup != NULL)
		return c->hooks->setup(c->hooks->arg);
	return setup_make(c->config, "tls", SETUP_START, problems);
}

void run_tls_show(struct call *c)
{
	struct show s = { c, clock_wall_ms(), 0 };
	struct buf problems;

	buf_init(&problems, TEXT_MAX);
	struct setup *setup = setup_of(c, &problems);
	if (setup == NULL) {
		call_lines(c, buf_str(&problems));
		call_end(c, CALL_PARTLY, "the certificates cannot be used");
	} else {
		setup_each_cert(setup, s.now_ms, show_cert, &s);
		show_lists(&s, setup);
		show_sources(&s);
		if (s.rows == 0)
			call_end(c, CALL_NOTHING, "no certificate is configured");
		else
			call_end(c, CALL_OK, NULL);
	}
	setup_unref(&setup);
	buf_fini(&problems);
}

void run_tls_reload(struct call *c)
{
	struct buf problems;
	int failed;

	if (c->hooks->tls_reload == NULL) {
		call_end(c, CALL_PARTLY, "this daemon cannot reload; restart it");
		return;
	}
	buf_init(&problems, TEXT_MAX);
	failed = c->hooks->tls_reload(c->hooks->arg, &problems);
	call_lines(c, buf_str(&problems));
	buf_fini(&problems);
	if (failed != 0) {
		call_end(c, CALL_PARTLY, "nothing was changed: the certificates before stay in use");
		return;
	}
	call_text(c, "The certificates are in use for all new connections.");
	call_end(c, CALL_OK, NULL);
}
