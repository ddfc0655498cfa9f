/* auth/keys.h: the private keys of a worker, read before it is caged.
 *
 * Only processes of tombolo-auth ever hold them.  A key that cannot be used is told in words and missing from then on.
 */
#ifndef AUTH_KEYS_H
#define AUTH_KEYS_H

#include "base/buf.h"
#include "config/config.h"

enum { KEYS_MAX = 256, KEY_PEM_MAX = 16384 };

struct sign_key {
	char domain[256], selector[128];
	char *pem; /* NUL-terminated */
	bool ed25519;
	unsigned bits;
	void *lib; /* auth/dkim_sign.c's: settings of this key */
};

struct keys {
	struct sign_key v[KEYS_MAX];
	size_t n;
};

/* One line in `problems` for each that cannot be used. */
void keys_read(struct keys *k, const struct config *c, struct buf *problems);
void keys_fini(struct keys *k); /* wipes them */
/* The next key of a domain from *at on; NULL when there is none. */
const struct sign_key *keys_next(const struct keys *k, struct str domain, size_t *at);

/* auth/dkim_sign.c: what kind of key it is; NULL, or what is wrong.  Then lib is set. */
const char *sign_key_open(struct sign_key *key, const struct conf_list *headers, const struct conf_list *oversign,
			  unsigned least_bits);
void sign_key_close(struct sign_key *key);

#endif
