/* Tests of `tls show` and `tls reload`: the rows, and what is said when nothing can be done. */
#include "base/must.h"
#include "smtpd/control_verbs.h"
#include "smtpd/setup.h"
#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct bench {
	struct config *config;
	struct control_hooks hooks;
	struct buf answer;
	int reload_result;
	size_t reloads;
} bench;

static int make(void **state)
{
	if (certs_make(state) != 0)
		return -1;
	return spawn_wait((char *[]){ "sh", "tests/store.sh", certs, NULL });
}

static void emit(struct call *c, struct str line)
{
	(void)c;
	buf_add(&bench.answer, line);
}

static int run(const char *name)
{
	struct call c;

	buf_reset(&bench.answer);
	call_init(&c, verb_find("tls", name), json_object(), &bench.hooks, config_ref(bench.config));
	c.emit = emit;
	c.verb->run(&c);
	assert_true(c.ended);
	buf_add(&bench.answer, str_c(c.error));
	int code = c.exit;
	call_fini(&c);
	return code;
}

static void configure(const char *tls)
{
	struct buf conf, problems;

	buf_init(&conf, 4096);
	buf_init(&problems, 4096);
	buf_addf(&conf,
		 "hostname = mail.contoso.com\nreceive in { listen = '127.0.0.1:2525' }\nsend out { space = '*' }\n");
	for (; *tls != '\0'; tls++)
		buf_add(&conf, *tls == '$' ? str_c(certs) : str_n(tls, 1));
	config_unref(&bench.config);
	bench.config = config_parse(buf_str(&conf), "conf", &problems);
	if (bench.config == NULL)
		fail_msg("%s", buf_cstr(&problems));
	buf_fini(&conf);
	buf_fini(&problems);
}

static void says(const char *text)
{
	if (str_find(buf_str(&bench.answer), str_c(text)) < 0)
		fail_msg("no %s in %s", text, buf_cstr(&bench.answer));
}

static void test_show(void **state)
{
	(void)state;

	configure("tls { ca = $/ca.pem store = $/store crl_file = $/crl-stale.pem }\n"
		  "send lost { space = 'a.example' certificate = 'name:lost.contoso.com' }\n");
	assert_int_equal(run("show"), CALL_OK);
	says("\"used_by\":\"receive in\"");
	says("\"subject\":\"CN=mail.contoso.com,O=Tombolo Demo\"");
	says("\"names\":\"mail.contoso.com, autodiscover.contoso.com\"");
	says("\"issuer\":\"CN=Tombolo Demo CA,O=Tombolo Demo\"");
	says("\"days_left\":299");
	says("\"chain\":\"complete\"");
	says("\"kind\":\"missing\",\"used_by\":\"send lost\"");
	says("\"alarms\":\"CERT-MISSING\"");
	says("\"kind\":\"crl\"");
	says("\"lists\":1");
	says("\"alarms\":\"CRL-STALE\"");

	configure("");
	assert_int_equal(run("show"), CALL_NOTHING);
	configure("tls { certificate = $/nowhere.pem }\n");
	assert_int_equal(run("show"), CALL_PARTLY);
	says("nowhere.pem");
}

static int reload(void *arg, struct buf *problems)
{
	struct bench *b = arg;

	b->reloads++;
	if (b->reload_result != 0)
		buf_add(problems, S("x.pem is broken\n"));
	return b->reload_result;
}

static void test_reload(void **state)
{
	(void)state;

	configure("");
	assert_int_equal(run("reload"), CALL_PARTLY);
	says("cannot reload");
	bench.hooks = (struct control_hooks){ .arg = &bench, .tls_reload = reload };
	assert_int_equal(run("reload"), CALL_OK);
	says("in use for all new connections");
	bench.reload_result = -1;
	assert_int_equal(run("reload"), CALL_PARTLY);
	says("x.pem is broken");
	says("nothing was changed");
	assert_int_equal(bench.reloads, 2);
	config_unref(&bench.config);
	buf_fini(&bench.answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_show), cmocka_unit_test(test_reload) };

	buf_init(&bench.answer, 1024 * 1024);
	log_open("/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests_name("smtpd/control_tls", tests, make, certs_remove);
}
