/* smtpd/setup_report.c: the certificates we show and what is wrong with them, for the log, for `tombolo tls show` and
 * for whoever loads a configuration: one list, told in three ways. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/setup.h"

enum { USED_MAX = 4096 };

struct lister {
	const struct setup *s;
	int64_t now_ms;
	void (*each)(void *to, const struct cert_report *r);
	void *to;
};

static void add_user(struct buf *b, const struct cert_use *u)
{
	buf_addf(b, "%s%s " STR_FMT, b->n > 0 ? ", " : "", u->kind, STR_ARG(u->name));
}

/* The certificate of use `first` with all others that show it too. */
static void report_used(const struct lister *l, size_t first)
{
	const struct cert *c = l->s->uses[first].cert;
	struct cert_report r = { .facts = cert_facts(c) };
	struct buf used;

	buf_init(&used, USED_MAX);
	cert_alarms(r.facts, l->now_ms, &r.alarms);
	for (size_t i = first; i < l->s->use_n; i++) {
		if (l->s->uses[i].cert != c)
			continue;
		add_user(&used, &l->s->uses[i]);
		cert_alarm_name(r.facts, l->s->uses[i].fqdn, &r.alarms);
		cert_alarm_wish(r.facts, &l->s->uses[i].wish, &r.alarms);
	}
	r.used_by = buf_str(&used);
	l->each(l->to, &r);
	buf_fini(&used);
}

static void report_missing(const struct lister *l, const struct cert_use *u)
{
	struct cert_report r = { 0 };
	struct buf used;

	buf_init(&used, USED_MAX);
	add_user(&used, u);
	r.used_by = buf_str(&used);
	tls_alarm_raise(&r.alarms, TLS_ALARM_CERT_MISSING, true, "%s: %s", u->trouble,
			u->cert == NULL ? "its mail waits" : "another one is shown");
	l->each(l->to, &r);
	buf_fini(&used);
}

static bool is_shown(const struct setup *s, const struct cert *c, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (s->uses[i].cert == c)
			return true;
	return false;
}

/* One of the store that nobody is shown: it stands by, or it is too weak. */
static void report_idle(const struct lister *l, const struct cert *c)
{
	struct cert_report r = { .facts = cert_facts(c) };
	struct buf used;

	buf_init(&used, USED_MAX);
	for (size_t i = 0; i < l->s->use_n; i++)
		if (certs_stands_by(c, str_c(l->s->uses[i].reference), l->now_ms))
			add_user(&used, &l->s->uses[i]);
	r.used_by = buf_str(&used);
	r.stands_by = used.n > 0;
	if (r.stands_by || r.facts->weak.n > 0) {
		cert_alarms(r.facts, l->now_ms, &r.alarms);
		if (r.stands_by) /* that one ends is no news while another is shown */
			r.alarms = (struct tls_alarms){ 0 };
		l->each(l->to, &r);
	}
	buf_fini(&used);
}

void setup_each_cert(const struct setup *s, int64_t now_ms, void (*each)(void *to, const struct cert_report *r),
		     void *to)
{
	const struct lister l = { s, now_ms, each, to };

	for (size_t i = 0; i < s->use_n; i++) {
		if (s->uses[i].trouble[0] != '\0')
			report_missing(&l, &s->uses[i]);
		if (s->uses[i].cert != NULL && !is_shown(s, s->uses[i].cert, i))
			report_used(&l, i);
	}
	for (size_t i = 0; i < certs_count(s->certs); i++)
		if (!is_shown(s, certs_at(s->certs, i), s->use_n))
			report_idle(&l, certs_at(s->certs, i));
}

/* What the worst of them comes to. */
static enum conf_crl strictest(const struct config *c)
{
	enum conf_crl mode = c->tls.crl;

	for (size_t i = 0; i < c->inbound_n; i++)
		mode = c->inbounds[i].crl > mode ? c->inbounds[i].crl : mode;
	for (size_t i = 0; i < c->send_n; i++)
		mode = c->sends[i].crl > mode ? c->sends[i].crl : mode;
	return mode;
}

static void take_crls(void *arg, struct tls_ctx *c)
{
	struct tls_crls *crls = arg;

	if (!crls->wanted)
		tls_ctx_crls(c, crls);
}

/* All contexts that judge by lists have the same. */
void setup_crls(const struct setup *s, int64_t now_ms, struct tls_crls *crls, struct tls_alarms *alarms)
{
	*crls = (struct tls_crls){ 0 };
	setup_each_ctx(s, take_crls, crls);
	crl_alarms(strictest(s->config), crls, now_ms, alarms);
}

/* ---- told ---- */

struct teller {
	const char *prefix;
	struct buf *out; /* NULL: to the log */
	size_t n;
};

static void tell_alarm(struct teller *t, enum tls_alarm which, const struct cert_report *r)
{
	const char *name = tls_alarm_name(which), *why = r->alarms.why[which];
	struct str file = r->facts != NULL ? r->facts->file : STR_NONE;
	struct str sha256 = r->facts != NULL ? r->facts->sha256 : STR_NONE;

	t->n++;
	if (t->out != NULL)
		buf_addf(t->out, "%s%s: %s: %s (" STR_FMT "%s" STR_FMT ")\n", t->prefix,
			 r->alarms.warn[which] ? "warning" : "note", name, why, STR_ARG(r->used_by),
			 r->used_by.n > 0 && file.n > 0 ? "; " : "", STR_ARG(file));
	else if (r->alarms.warn[which])
		log_warn(NULL, "tls.alarm", kv_c("alarm", name), kv_c("why", why), kv_str("used_by", r->used_by),
			 kv_str("file", file), kv_str("sha256", sha256));
	else
		log_info(NULL, "tls.alarm", kv_c("alarm", name), kv_c("why", why), kv_str("used_by", r->used_by),
			 kv_str("file", file), kv_str("sha256", sha256));
}

static void tell(void *to, const struct cert_report *r)
{
	for (enum tls_alarm i = 0; i < TLS_ALARM_N; i++)
		if (r->alarms.is[i])
			tell_alarm(to, i, r);
}

static size_t tell_all(const struct setup *s, int64_t now_ms, const struct tls_alarms *fetching, const char *prefix,
		       struct buf *out)
{
	struct teller t = { prefix, out, 0 };
	struct cert_report lists = { .used_by = S("revocation lists") };
	struct tls_crls crls;

	setup_each_cert(s, now_ms, tell, &t);
	setup_crls(s, now_ms, &crls, &lists.alarms);
	tell(&t, &lists);
	lists.alarms = fetching != NULL ? *fetching : (struct tls_alarms){ 0 };
	tell(&t, &lists);
	return t.n;
}

void setup_put_alarms(const struct setup *s, int64_t now_ms, const char *prefix, struct buf *out)
{
	tell_all(s, now_ms, NULL, prefix, out);
}

size_t setup_log_alarms(const struct setup *s, int64_t now_ms, const struct tls_alarms *fetching)
{
	return tell_all(s, now_ms, fetching, "", NULL);
}
