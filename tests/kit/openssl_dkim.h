/* tests/kit/openssl_dkim.h: keys for DKIM, made anew: the private one as PEM, the public one as the DNS would say it.
 */
#ifndef TESTS_KIT_OPENSSL_DKIM_H
#define TESTS_KIT_OPENSSL_DKIM_H

enum { DKIM_PEM = 8192, DKIM_RECORD = 1024 };

/* `bits` of an RSA key; 0: an Ed25519 key. */
void dkim_key_make(unsigned bits, char pem[DKIM_PEM], char record[DKIM_RECORD]);

#endif
