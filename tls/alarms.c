/* tls/alarms.c: what is wrong, or soon will be, with what we show and with what we check others by.  Pure. */
#include "tls/certs.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

enum { TELL_DAYS = 60, WARN_DAYS = 30 };
static const int64_t day_ms = 86400000;

const char *tls_alarm_name(enum tls_alarm a)
{
	static const char *const names[TLS_ALARM_N] = {
		[TLS_ALARM_CERT_MISSING] = "CERT-MISSING",
		[TLS_ALARM_CERT_EXPIRED] = "CERT-EXPIRED",
		[TLS_ALARM_CERT_EXPIRING] = "CERT-EXPIRING",
		[TLS_ALARM_CHAIN_INCOMPLETE] = "CHAIN-INCOMPLETE",
		[TLS_ALARM_NAME_NOT_COVERED] = "NAME-NOT-COVERED",
		[TLS_ALARM_KEY_WEAK] = "KEY-WEAK",
		[TLS_ALARM_SELF_SIGNED] = "SELF-SIGNED",
		[TLS_ALARM_CRL_MISSING] = "CRL-MISSING",
		[TLS_ALARM_CRL_STALE] = "CRL-STALE",
		[TLS_ALARM_CRL_FETCH_FAILED] = "CRL-FETCH-FAILED",
	};

	must(a < TLS_ALARM_N);
	return names[a];
}

void tls_alarm_raise(struct tls_alarms *a, enum tls_alarm which, bool warn, const char *fmt, ...)
{
	va_list ap;

	must(which < TLS_ALARM_N);
	a->is[which] = true;
	a->warn[which] = warn;
	va_start(ap, fmt);
	vsnprintf(a->why[which], sizeof a->why[which], fmt, ap);
	va_end(ap);
}

/* A cut towards the past: an hour after the end is day -1. */
static int64_t days_until(int64_t then_ms, int64_t now_ms)
{
	int64_t left = then_ms - now_ms;

	return left >= 0 ? left / day_ms : -1 - (-left / day_ms);
}

int64_t cert_days_left(const struct cert_facts *f, int64_t now_ms)
{
	return days_until(f->not_after_ms, now_ms);
}

void cert_alarm_name(const struct cert_facts *f, struct str fqdn, struct tls_alarms *out)
{
	const struct tls_match_rules rules = { .mode = MATCH_STRICT, .direction = TLS_VERIFY, .cn_fallback = true };
	char *why = out->why[TLS_ALARM_NAME_NOT_COVERED];

	if (fqdn.n == 0 || tls_name_match(fqdn, &f->ids, &rules, NULL))
		return;
	if (!out->is[TLS_ALARM_NAME_NOT_COVERED]) {
		tls_alarm_raise(out, TLS_ALARM_NAME_NOT_COVERED, true, "it does not name " STR_FMT, STR_ARG(fqdn));
	} else if (str_find(str_c(why), fqdn) < 0) {
		size_t n = str_c(why).n;
		snprintf(why + n, sizeof out->why[0] - n, ", " STR_FMT, STR_ARG(fqdn));
	}
}

void cert_alarm_wish(const struct cert_facts *f, const struct cert_wish *w, struct tls_alarms *out)
{
	struct str name = cert_lacks(f, w);

	if (name.n > 0 && !out->is[TLS_ALARM_NAME_NOT_COVERED])
		tls_alarm_raise(out, TLS_ALARM_NAME_NOT_COVERED, true,
				"it does not name " STR_FMT ", by which the other side knows us", STR_ARG(name));
}

void cert_alarms(const struct cert_facts *f, int64_t now_ms, struct tls_alarms *out)
{
	long long days = cert_days_left(f, now_ms);

	*out = (struct tls_alarms){ 0 };
	if (days < 0)
		tls_alarm_raise(out, TLS_ALARM_CERT_EXPIRED, true, "the certificate has been over for %lld days",
				-days - 1);
	else if (days < TELL_DAYS)
		tls_alarm_raise(out, TLS_ALARM_CERT_EXPIRING, days < WARN_DAYS, "the certificate ends in %lld days",
				days);
	if (f->chain == CERT_INCOMPLETE)
		tls_alarm_raise(out, TLS_ALARM_CHAIN_INCOMPLETE, true,
				"the issuer is neither in the file nor in tls.store nor in tls.ca: " STR_FMT,
				STR_ARG(f->missing));
	if (f->chain == CERT_SELF_SIGNED)
		tls_alarm_raise(out, TLS_ALARM_SELF_SIGNED, true, "no authority vouches for it");
	if (f->weak.n > 0)
		tls_alarm_raise(out, TLS_ALARM_KEY_WEAK, true, STR_FMT, STR_ARG(f->weak));
}

void crl_alarms(enum conf_crl mode, const struct tls_crls *crls, int64_t now_ms, struct tls_alarms *out)
{
	const char *then = mode == CRL_HARD ? "every certificate is refused" : "revoked certificates pass";
	const char *stale =
		mode == CRL_HARD ? "certificates of this issuer are refused" : "new revocations are not seen";

	*out = (struct tls_alarms){ 0 };
	if (mode == CRL_OFF || !crls->wanted)
		return;
	if (crls->n == 0)
		tls_alarm_raise(out, TLS_ALARM_CRL_MISSING, true, "%s%sthere is no revocation list: %s", crls->problem,
				crls->problem[0] != '\0' ? "; " : "", then);
	else if (crls->problem[0] != '\0')
		tls_alarm_raise(out, TLS_ALARM_CRL_MISSING, true, "%s", crls->problem);
	if (crls->n > 0 && crls->next_update_ms <= now_ms)
		tls_alarm_raise(out, TLS_ALARM_CRL_STALE, true, "the list of %s was to be renewed %lld days ago: %s",
				crls->oldest, (long long)-days_until(crls->next_update_ms, now_ms) - 1, stale);
}
