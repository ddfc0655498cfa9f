/* tls/judge.c: one chain, many connectors: what a client proved, by the rules of the one that would know it.  Pure. */
#include "tls/tls.h"

static const char *usage_error(const struct tls_judgement *j, enum conf_eku eku)
{
	switch (eku) {
	case EKU_ANY:
		return NULL;
	case EKU_CLIENT:
		return j->as_client ? NULL : "unsuitable certificate purpose (client_cert_eku = client)";
	case EKU_SERVER_OR_CLIENT:
		return j->as_client || j->as_server ? NULL : "unsuitable certificate purpose";
	}
	return "no such usage";
}

static const char *revocation_error(const struct tls_judgement *j, enum conf_crl crl)
{
	bool fails = (j->revocation == TLS_REVOKED && crl != CRL_OFF) ||
		     (j->revocation == TLS_REVOCATION_UNKNOWN && crl == CRL_HARD);

	return fails ? j->revocation_error : NULL;
}

bool tls_client_is_good(const struct tls_peer *p, enum conf_eku eku, enum conf_crl crl, struct str *why)
{
	const struct tls_judgement *j = &p->judgement;
	const char *error = j->path_error;

	if (!p->has_certificate || !j->made) {
		*why = p->chain_error;
		return p->has_certificate && p->chain_ok;
	}
	if (error == NULL)
		error = usage_error(j, eku);
	if (error == NULL)
		error = revocation_error(j, crl);
	*why = str_c(error);
	return error == NULL;
}
