/* Tests of tls/judge.c: one chain by the rules of several connectors. */
#include "tls/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SERVER = 1, CLIENT = 2, NO_PATH = 4, UNKNOWN = 8, REVOKED = 16 };

static void test_table(void **state)
{
	static const struct {
		unsigned is;
		enum conf_eku eku;
		enum conf_crl crl;
		const char *why; /* "" = good */
	} table[] = {
		{ SERVER | CLIENT, EKU_CLIENT, CRL_HARD, "" },
		{ SERVER, EKU_SERVER_OR_CLIENT, CRL_HARD, "" },
		{ CLIENT, EKU_SERVER_OR_CLIENT, CRL_HARD, "" },
		{ SERVER, EKU_CLIENT, CRL_SOFT, "unsuitable certificate purpose (client_cert_eku = client)" },
		{ 0, EKU_SERVER_OR_CLIENT, CRL_SOFT, "unsuitable certificate purpose" },
		{ 0, EKU_ANY, CRL_SOFT, "" },
		{ CLIENT | UNKNOWN, EKU_CLIENT, CRL_OFF, "" },
		{ CLIENT | UNKNOWN, EKU_CLIENT, CRL_SOFT, "" },
		{ CLIENT | UNKNOWN, EKU_CLIENT, CRL_HARD, "list" },
		{ CLIENT | REVOKED, EKU_CLIENT, CRL_OFF, "" },
		{ CLIENT | REVOKED, EKU_CLIENT, CRL_SOFT, "list" },
		{ CLIENT | REVOKED, EKU_CLIENT, CRL_HARD, "list" },
		{ CLIENT | NO_PATH, EKU_ANY, CRL_OFF, "path" },
		{ REVOKED | NO_PATH, EKU_CLIENT, CRL_HARD, "path" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		unsigned is = table[i].is;
		const struct tls_peer p = {
			.has_certificate = true,
			.judgement = { .made = true,
				       .path_error = is & NO_PATH ? "path" : NULL,
				       .revocation = is & REVOKED   ? TLS_REVOKED
						     : is & UNKNOWN ? TLS_REVOCATION_UNKNOWN
								    : TLS_NOT_REVOKED,
				       .revocation_error = "list",
				       .as_server = is & SERVER,
				       .as_client = is & CLIENT },
		};
		struct str why;
		bool good = tls_client_is_good(&p, table[i].eku, table[i].crl, &why);
		if (!str_eq(why, str_c(table[i].why)) || good != (table[i].why[0] == '\0'))
			fail_msg("row %zu: %d " STR_FMT, i, good, STR_ARG(why));
	}
}

static void test_without(void **state)
{
	struct tls_peer p = { .has_certificate = true, .chain_ok = true };
	struct str why;
	(void)state;

	assert_true(tls_client_is_good(&p, EKU_CLIENT, CRL_HARD, &why)); /* no judgement: its own word */
	p = (struct tls_peer){ .has_certificate = true, .chain_error = S("over") };
	assert_false(tls_client_is_good(&p, EKU_ANY, CRL_OFF, &why));
	assert_true(str_eq(why, S("over")));
	p = (struct tls_peer){ .chain_ok = true };
	assert_false(tls_client_is_good(&p, EKU_ANY, CRL_OFF, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table), cmocka_unit_test(test_without) };

	return cmocka_run_group_tests_name("tls/judge", tests, NULL, NULL);
}
