/* tls/openssl_key.c: a private key by URI, from wherever OpenSSL's providers have it: a token (pkcs11:), a file
 * (file:).
 *
 * Which schemes there are is a matter of openssl.cnf: nothing here knows one by name.  A PIN must stand in the URI
 * (pin-source=file:...) or in the provider's configuration: a daemon does not ask. */
#include "tls/openssl_cert.h"

#include "base/must.h"

#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

/* Letters, then a colon: "pkcs11:token=x", "file:/a/b.key".  A path has a slash or a dot before any. */
bool key_is_uri(const char *s)
{
	size_t n = 0;

	while (chr_is_alnum(s[n]) || (n > 0 && (s[n] == '+' || s[n] == '-')))
		n++;
	return n > 1 && s[n] == ':';
}

static int refuse(UI *ui, UI_STRING *what)
{
	(void)ui, (void)what;
	return 0;
}

static EVP_PKEY *first_key(OSSL_STORE_CTX *store)
{
	EVP_PKEY *key = NULL;

	while (key == NULL && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		if (info == NULL)
			continue; /* what it cannot read is not what we look for */
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return key;
}

/* Behind '?' stand a PIN and the like. */
static void tell(struct err *e, const char *uri, const char *why)
{
	struct str shown = str_c(uri);
	ssize_t secret = str_chr(shown, '?');

	if (secret >= 0)
		shown = str_head(shown, (size_t)secret);
	err_set(e, ERR_TLS, "tls.certificate", "cannot use the private key in %.*s: %s",
		(int)(shown.n < 120 ? shown.n : 120), shown.p, why);
}

/* OpenSSL tries every URI as the name of a file too, so "no such file" means something for file: only. */
static const char *why_not_open(const char *uri)
{
	unsigned long code;
	const char *why = "cannot open it";

	if (!str_istarts(str_c(uri), S("file:")))
		return "no provider of OpenSSL is there for this kind of URI, or it refuses it (see openssl.cnf)";
	while ((code = ERR_get_error()) != 0)
		if (ERR_SYSTEM_ERROR(code))
			why = strerror(ERR_GET_REASON(code));
	return why;
}

EVP_PKEY *key_by_uri(const char *uri, struct err *e)
{
	UI_METHOD *silent = UI_create_method("silent");
	OSSL_STORE_CTX *store;
	EVP_PKEY *key = NULL;

	must(silent != NULL && UI_method_set_reader(silent, refuse) == 0);
	ERR_clear_error();
	store = OSSL_STORE_open(uri, silent, NULL, NULL, NULL);
	if (store == NULL)
		tell(e, uri, why_not_open(uri));
	else if ((key = first_key(store)) == NULL)
		tell(e, uri, "there is none, or it wants a password");
	OSSL_STORE_close(store);
	UI_destroy_method(silent);
	ERR_clear_error();
	return key;
}
