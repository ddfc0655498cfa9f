/* smtpd/setup.c: configuration -> ready for use; see the header. */
#include "smtpd/setup.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>

static struct str first_of(struct str a, struct str b)
{
	return a.n > 0 ? a : b;
}

enum { EXPIRY_WARN_DAYS = 30 };
static const int64_t day_ms = 86400000;

/* The first alarm of spec 3.5.7: a renewal that was forgotten is the most frequent end of a hybrid link. */
static void warn_of_expiry(const struct setup *s, size_t i, const char *path, struct buf *problems)
{
	const struct conf_receive *r = &s->config->receives[i];
	int64_t left_ms;

	if (s->server_tls[i] == NULL)
		return;
	left_ms = tls_ctx_not_after_ms(s->server_tls[i]) - clock_wall_ms();
	if (left_ms < 0)
		buf_addf(problems, "%s:%d: warning: receive \"" STR_FMT "\": the certificate is over\n", path, r->line,
			 STR_ARG(r->name));
	else if (left_ms < EXPIRY_WARN_DAYS * day_ms)
		buf_addf(problems, "%s:%d: warning: receive \"" STR_FMT "\": the certificate ends in %lld days\n", path,
			 r->line, STR_ARG(r->name), (long long)(left_ms / day_ms));
}

static int load_tls(struct setup *s, size_t i, bool at_start, struct err *e)
{
	const struct config *c = s->config;
	const struct conf_receive *r = &c->receives[i];
	struct tls_server_options o = {
		.certificate = first_of(r->certificate, c->tls.certificate),
		.key = first_of(r->key, c->tls.key),
		.ca = c->tls.ca,
		.tls = &c->tls,
		.id_context = r->name,
		.allow_expired = at_start,
	};

	if (!r->starttls || o.certificate.n == 0)
		return 0;
	s->server_tls[i] = tls_server_new(&o, e);
	return s->server_tls[i] == NULL ? -1 : 0;
}

struct setup *setup_load(const char *path, bool at_start, struct buf *problems)
{
	struct setup *s = calloc(1, sizeof *s);
	struct err e = { 0 };
	bool bad = false;

	must(s != NULL);
	s->refs = 1;
	s->config = config_load(path, problems);
	if (s->config == NULL) {
		setup_unref(&s);
		return NULL;
	}
	s->server_tls = calloc(s->config->receive_n, sizeof *s->server_tls);
	must(s->server_tls != NULL);
	for (size_t i = 0; i < s->config->receive_n; i++)
		if (load_tls(s, i, at_start, &e) == 0) {
			warn_of_expiry(s, i, path, problems);
		} else {
			const struct conf_receive *r = &s->config->receives[i];
			buf_addf(problems, "%s:%d: receive \"" STR_FMT "\": %s\n", path, r->line, STR_ARG(r->name),
				 e.text);
			bad = true;
		}
	s->outbound = outbound_new(s->config, &e);
	if (s->outbound == NULL) {
		buf_addf(problems, "%s: %s\n", path, e.text);
		bad = true;
	}
	if (bad)
		setup_unref(&s);
	return s;
}

struct setup *setup_ref(struct setup *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void setup_unref(struct setup **sp)
{
	struct setup *s = *sp;

	*sp = NULL;
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; s->server_tls != NULL && i < s->config->receive_n; i++)
		tls_ctx_unref(&s->server_tls[i]);
	free(s->server_tls);
	outbound_unref(&s->outbound);
	config_unref(&s->config);
	free(s);
}

struct tls_ctx *setup_tls(const struct setup *s, const struct conf_receive *r)
{
	size_t i = (size_t)(r - s->config->receives);

	must(i < s->config->receive_n);
	return s->server_tls[i];
}
