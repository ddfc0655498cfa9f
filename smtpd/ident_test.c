/* smtpd/ident_test.c: which network message id is believed of whom, and what is kept of the other names. */
#include "smtpd/ident.h"
#include "tests/unit.h"

#define GUID  "0a1b2c3d-1111-2222-3333-444455556666"
#define OTHER "ffffffff-1111-2222-3333-444455556666"
#define ORG   "X-MS-Exchange-Organization-Network-Message-Id"
#define CROSS "X-MS-Exchange-CrossPremises-Network-Message-Id"

static void take(struct ident *i, struct arena *a, const char *name, const char *value)
{
	ident_take(i, a, &(struct header_field){ .name = str_c(name), .value = str_c(value) });
}

static void test_network_id(void **state)
{
	static const struct {
		const char *row, *names[2], *values[2];
		enum header_trust trust;
		const char *id;
	} rows[] = {
		{ "stranger", { ORG, CROSS }, { GUID, GUID }, TRUST_INTERNET, "" },
		{ "partner", { ORG, CROSS }, { GUID, GUID }, TRUST_PARTNER, "" },
		{ "client", { ORG }, { GUID }, TRUST_CLIENT, "" },
		{ "our server", { ORG }, { " " GUID "\r\n" }, TRUST_SERVER, GUID },
		{ "capitals", { ORG }, { " 0A1B2C3D-1111-2222-3333-444455556666\r\n" }, TRUST_SERVER, GUID },
		{ "our server demoted", { CROSS }, { GUID }, TRUST_SERVER, GUID },
		{ "the inner one first", { CROSS, ORG }, { GUID, OTHER }, TRUST_SERVER, OTHER },
		{ "peer", { CROSS }, { GUID }, TRUST_PEER, GUID },
		{ "peer may not write the inner one", { ORG }, { GUID }, TRUST_PEER, "" },
		{ "twice", { CROSS, CROSS }, { GUID, OTHER }, TRUST_PEER, "" },
		{ "no guid", { CROSS }, { "1" }, TRUST_PEER, "" },
		{ "too long", { CROSS }, { GUID "0" }, TRUST_PEER, "" },
		{ "not hexadecimal", { CROSS }, { "0a1b2c3g-1111-2222-3333-444455556666" }, TRUST_PEER, "" },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 4096);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ident id = { 0 };
		for (size_t k = 0; k < 2 && rows[i].names[k] != NULL; k++)
			take(&id, &a, rows[i].names[k], rows[i].values[k]);
		check_str(ident_network_id(&id, rows[i].trust), str_c(rows[i].id), rows[i].row);
	}
	arena_fini(&a);
}

static void test_texts(void **state)
{
	struct ident id = { 0 };
	struct arena a;

	(void)state;
	arena_init(&a, 4096);
	take(&id, &a, "Message-Id", " <1@x.example>\r\n");
	take(&id, &a, "Message-ID", " <2@x.example>\r\n");
	take(&id, &a, "subject", " not wanted\r\n");
	check_str(id.message_id, S("<1@x.example>"), "first");
	check_str(id.subject, S(""), "not asked for");
	id.want_subject = true;
	take(&id, &a, "Subject", " folded\r\n subject\r\n");
	check_str(id.subject, S("folded subject"), "unfolded");
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_network_id), cmocka_unit_test(test_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
