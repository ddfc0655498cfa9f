/* Tests of the rehearsal: what can be shown passes; a key that is not its own and a chain that stays behind do not. */
#include "tls/openssl_cert.h"

#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct cert_room room;

static struct cert *read_cert(const char *file, const char *key)
{
	struct err e = { 0 };
	struct pem p;

	if (pem_read(cert(file).p, key != NULL ? cert(key).p : NULL, &p, &e) != 0)
		fail_msg("%s", e.text);
	struct cert *c = cert_new(&room, &p, file, &e);
	pem_free(&p);
	assert_non_null(c);
	cert_complete(&room, c);
	cert_try(&room, c);
	return c;
}

static void says(const struct cert *c, const char *text)
{
	if (str_find(c->facts.weak, str_c(text)) < 0)
		fail_msg("no %s in " STR_FMT, text, STR_ARG(c->facts.weak));
}

static void test_rehearse(void **state)
{
	static const char *const good[] = { "server.pem", "chained.pem", "clientonly.pem", "expired.pem",
					    "selfsigned.pem" };
	const struct trust_files files = { .ca = cert("ca.pem") };
	struct err e = { 0 };
	(void)state;

	arena_init(&room.arena, 1 << 20);
	room.pool = sk_X509_new_null();
	room.probe = SSL_CTX_new(TLS_server_method());
	room.trust = trust_get(&files, false, &e);
	assert_non_null(room.trust);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct cert *c = read_cert(good[i], NULL);
		if (!cert_rehearse(&room, c))
			fail_msg("%s: " STR_FMT, good[i], STR_ARG(c->facts.weak));
		assert_true(cert_rehearse(&room, c));
		cert_free(c);
	}

	struct cert *c = read_cert("server.pem", NULL), *other = read_cert("client.pem", NULL);
	EVP_PKEY *key = c->key;
	c->key = other->key;
	assert_false(cert_rehearse(&room, c));
	says(c, "a handshake with it failed: ");
	assert_false(cert_rehearse(&room, c)); /* once is enough */
	c->key = key;
	cert_free(c);

	c = read_cert("chained.pem", NULL); /* the intermediate is to be shown, and is not */
	X509_free(sk_X509_pop(c->chain));
	assert_false(cert_rehearse(&room, c));
	says(c, "did not arrive whole");
	cert_free(c);
	cert_free(other);
	sk_X509_pop_free(room.pool, X509_free);
	SSL_CTX_free(room.probe);
	trust_put(&room.trust);
	arena_fini(&room.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rehearse) };

	return cmocka_run_group_tests_name("tls/openssl_rehearse", tests, certs_make, certs_remove);
}
