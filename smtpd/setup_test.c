/* Tests of a configuration made ready: which certificate each connector gets, what is an error at a check and what only
 * a warning at a start, and what is reported. */
#include "smtpd/setup.h"

#include "base/must.h"
#include "base/time.h"
#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

static int make(void **state)
{
	if (certs_make(state) != 0)
		return -1;
	return spawn_wait((char *[]){ "sh", "tests/store.sh", certs, NULL });
}

/* "$" in the text stands for the folder of certificates. */
static struct setup *start(const char *text, enum setup_how how, struct buf *problems)
{
	struct buf conf;

	buf_init(&conf, 65536);
	buf_addf(&conf, "hostname = mail.contoso.com\n");
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '$')
			buf_add(&conf, str_c(certs));
		else
			buf_addc(&conf, *p);
	struct config *c = config_parse(buf_str(&conf), "conf", problems);
	if (c == NULL)
		fail_msg("%s", buf_cstr(problems));
	struct setup *s = setup_make(c, "conf", how, problems);
	config_unref(&c);
	buf_fini(&conf);
	return s;
}

#define IN  "receive in { listen = '127.0.0.1:2525' }\n"
#define TLS "tls { ca = $/ca.pem certificate = $/server.pem }\n"
#define OUT "send out { space = '*' "

static void test_made_or_not(void **state)
{
	static const struct {
		const char *text;
		const char *at_start,
			*at_check; /* in the problems; "" = none at all; the first letter '-' = it fails */
	} table[] = {
		{ TLS IN OUT "}", "", "" },
		{ "tls { ca = $/ca.pem store = $/store }\n" IN OUT "}", "", "" },
		{ TLS IN OUT "certificate = $/client.pem }", "", "" },

		/* a send connector without its certificate waits, and does not keep the daemon down */
		{ TLS IN OUT "certificate = $/nowhere.pem }", "warning: CERT-MISSING: cannot use the certificate",
		  "-send connector \"out\": cannot use the certificate" },
		{ "tls { ca = $/ca.pem store = $/store certificate = $/server.pem }\n" IN OUT
		  "certificate = 'name:no.contoso.com' }",
		  "no.contoso.com': its mail waits (send out)",
		  "-send connector \"out\": the folder tls.store has no" },
		{ TLS IN OUT "certificate = $/nowhere.pem enabled = no }", "", "" },
		{ TLS IN OUT "certificate = $/nowhere.pem tls = none }", "", "" },
		{ TLS IN OUT "certificate = $/server.pem key = $/mismatch.key }", "warning: CERT-MISSING: the key in",
		  "-does not belong to the certificate in" },

		/* a listener takes the default rather than be without STARTTLS */
		{ TLS "receive in { listen = '127.0.0.1:2525' certificate = $/nowhere.pem }\n" OUT "}",
		  "nowhere.pem: No such file or directory: another one is shown (receive in)",
		  "-receive \"in\": cannot use the certificate" },
		{ "tls { ca = $/ca.pem store = $/store certificate = $/nowhere.pem }\n" IN OUT "}",
		  "another one is shown (receive in)", "-receive \"in\": cannot use the certificate" },
		{ "tls { ca = $/ca.pem store = $/store }\nreceive in { listen = '127.0.0.1:2525' fqdn = x.example }\n" OUT
		  "}",
		  "NAME-NOT-COVERED", "-has no certificate 'name:x.example'" },
		{ "tls { ca = $/ca.pem certificate = $/nowhere.pem }\n" IN OUT "}", "-receive \"in\": cannot use",
		  "-receive \"in\": cannot use" },

		{ "tls { ca = $/ca.pem certificate = $/expired.pem }\n" IN OUT "}", "warning: CERT-EXPIRED",
		  "-has expired" },
		{ "tls { ca = $/ca.pem certificate = $/month.pem }\n" IN OUT "}", "note: CERT-EXPIRING",
		  "it does not name mail.contoso.com (receive in; " },
		{ "tls { ca = $/other-ca.pem certificate = $/server.pem }\n" IN OUT "}", "warning: CHAIN-INCOMPLETE",
		  "warning: CHAIN-INCOMPLETE" },
		{ "tls { ca = $/ca.pem certificate = $/weak.pem }\n" IN OUT "}", "-has only 1024 bits",
		  "-has only 1024 bits" },

		/* names the other side knows us by */
		{ TLS IN OUT "certificate = $/server.pem known_as = { mail.contoso.com, '*.contoso.com' } }", "", "" },
		{ TLS IN OUT "certificate = $/server.pem known_as = { mail.contoso.com, hybrid.contoso.net } }",
		  "NAME-NOT-COVERED: it does not name hybrid.contoso.net, by which the other side knows us (",
		  "-does not name hybrid.contoso.net (known_as)" },

		/* revocation lists */
		{ "tls { ca = $/ca.pem certificate = $/server.pem crl = hard crl_dir = $/store }\n" IN OUT "}",
		  "warning: CRL-MISSING", "-does not hold revocation lists" },
		{ "tls { ca = $/ca.pem certificate = $/server.pem crl_file = $/crl-stale.pem }\n" IN OUT "}",
		  "warning: CRL-STALE: the list of CN=Tombolo Demo CA", "warning: CRL-STALE" },
		{ "tls { ca = $/ca.pem certificate = $/server.pem crl_file = $/nowhere.pem }\n" IN OUT "}",
		  "warning: CRL-MISSING", "-cannot read" },
	};
	struct buf problems;
	(void)state;

	buf_init(&problems, 65536);
	for (size_t i = 0; i < 2 * ALL(table); i++) {
		const char *want = i % 2 == 0 ? table[i / 2].at_start : table[i / 2].at_check;
		bool fails = want[0] == '-';
		buf_reset(&problems);
		struct setup *s = start(table[i / 2].text, i % 2 == 0 ? SETUP_START : SETUP_CHECK, &problems);
		bool said = want[0] == '\0' ? problems.n == 0 : str_find(buf_str(&problems), str_c(want + fails)) >= 0;
		if ((s == NULL) != fails || !said)
			fail_msg("row %zu, %s: %s", i / 2, i % 2 == 0 ? "start" : "check", buf_cstr(&problems));
		setup_unref(&s);
	}
	buf_fini(&problems);
}

static void test_degraded(void **state)
{
	struct buf problems;
	(void)state;

	buf_init(&problems, 65536);
	struct setup *s = start(TLS IN OUT "certificate = $/nowhere.pem }\n"
					   "send fine { space = 'a.example' certificate = $/client.pem }\n",
				SETUP_START, &problems);
	assert_non_null(s);
	const struct conf_send *out = &s->config->sends[0], *fine = &s->config->sends[1];
	assert_true(outbound_trouble(s->outbound, out).n > 0);
	assert_null(outbound_tls(s->outbound, out));
	assert_int_equal(outbound_trouble(s->outbound, fine).n, 0);
	assert_non_null(outbound_tls(s->outbound, fine));
	assert_non_null(outbound_certificate(s->outbound, fine));
	setup_unref(&s);
	buf_fini(&problems);
}

static const int64_t day_ms = 86400000;

static void add_row(void *to, const struct cert_report *r)
{
	struct buf *b = to;

	buf_addf(b, "[" STR_FMT "|" STR_FMT "|", STR_ARG(r->used_by),
		 STR_ARG(r->facts != NULL ? str_skip(r->facts->file, str_c(certs).n + 1) : S("-")));
	for (enum tls_alarm i = 0; i < TLS_ALARM_N; i++)
		if (r->alarms.is[i])
			buf_addf(b, " %s", tls_alarm_name(i));
	buf_add(b, S("]"));
}

static void test_report(void **state)
{
	static const char text[] =
		"tls { ca = $/ca.pem store = $/store certificate = 'name:mail.contoso.com' }\n" IN
		"receive leaf { listen = '127.0.0.1:2526' fqdn = gw.contoso.com certificate = 'name:leaf.contoso.com' }\n"
		"receive clear { listen = '127.0.0.1:2527' starttls = no }\n" OUT
		"certificate = 'name:autodiscover.contoso.com' }\n"
		"send lost { space = 'a.example' certificate = 'name:lost.contoso.com' }\n"
		"send plain { space = 'b.example' tls = may }\n";
	struct buf problems, rows;
	(void)state;

	buf_init(&problems, 65536);
	buf_init(&rows, 65536);
	assert_int_equal(spawn_wait((char *[]){ "sh", "-c", "cp $0/weak.pem $0/weak.key $0/store", certs, NULL }), 0);
	struct setup *s = start(text, SETUP_START, &problems);
	assert_non_null(s);
	setup_each_cert(s, clock_wall_ms(), add_row, &rows);
	assert_true(str_starts(buf_str(&rows), S("[receive in, send out|store/mail.pem|]"
						 "[receive leaf|store/leaf.pem| NAME-NOT-COVERED]"
						 "[send lost|-| CERT-MISSING]")));
	/* behind them, in the order of the folder: what stands by, and what is of no use */
	assert_true(str_find(buf_str(&rows), S("[receive in, send out|store/older.pem|]")) > 0);
	assert_true(str_find(buf_str(&rows), S("[|store/weak.pem| KEY-WEAK]")) > 0);
	assert_false(setup_is_outdated(s, clock_wall_ms() + 200 * day_ms));
	assert_int_equal(setup_log_alarms(s, clock_wall_ms(), NULL), 3);
	assert_int_equal(setup_refresh(s, NULL), 0);
	setup_unref(&s);
	buf_fini(&problems);
	buf_fini(&rows);
}

/* A renewal stands by for the overlap; then the setup is outdated, and the next one shows it. */
static void test_overlap(void **state)
{
	struct buf problems, rows;
	(void)state;

	buf_init(&problems, 65536);
	buf_init(&rows, 65536);
	struct setup *s =
		start("tls { ca = $/ca.pem store = $/ages overlap = 14d }\n" IN OUT "}", SETUP_CHECK, &problems);
	assert_non_null(s);
	setup_each_cert(s, clock_wall_ms(), add_row, &rows);
	assert_string_equal(buf_cstr(&rows), "[receive in|ages/old.pem| CERT-EXPIRING][receive in|ages/young.pem|]");
	assert_false(setup_is_outdated(s, clock_wall_ms() + 12 * day_ms));
	assert_true(setup_is_outdated(s, clock_wall_ms() + 14 * day_ms));
	setup_unref(&s);

	buf_reset(&rows);
	s = start("tls { ca = $/ca.pem store = $/ages }\n" IN OUT "}", SETUP_CHECK, &problems);
	assert_non_null(s);
	setup_each_cert(s, clock_wall_ms(), add_row, &rows);
	assert_string_equal(buf_cstr(&rows), "[receive in|ages/young.pem|][receive in|ages/old.pem|]");
	assert_false(setup_is_outdated(s, clock_wall_ms() + 80 * day_ms));
	setup_unref(&s);
	buf_fini(&problems);
	buf_fini(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_or_not),
		cmocka_unit_test(test_degraded),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_overlap),
	};

	log_open("/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests_name("smtpd/setup", tests, make, certs_remove);
}
