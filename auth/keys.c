/* auth/keys.c: key files of the `sign` sections. */
#include "auth/keys.h"

#include "auth/openssl_key.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The whole file, or NULL and why not. */
static char *read_pem(const char *path, size_t *n, const char **wrong)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	*n = 0;
	*wrong = NULL;
	if (fd < 0 || fstat(fd, &st) != 0)
		*wrong = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*wrong = "not a file";
	else if ((st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
		*wrong = "others may read or change it: chmod 600";
	char *pem = *wrong == NULL ? calloc(1, KEY_PEM_MAX) : NULL;
	must(pem != NULL || *wrong != NULL);
	for (ssize_t got = 1; pem != NULL && *n < KEY_PEM_MAX - 1 && got > 0;) {
		got = read(fd, pem + *n, KEY_PEM_MAX - 1 - *n);
		*n += got > 0 ? (size_t)got : 0;
	}
	if (fd >= 0)
		close(fd);
	if (pem != NULL && strlen(pem) != *n)
		*wrong = "not PEM text";
	return pem;
}

static void forget(struct sign_key *key)
{
	sign_key_close(key);
	if (key->pem != NULL)
		key_wipe(key->pem, KEY_PEM_MAX);
	free(key->pem);
	*key = (struct sign_key){ 0 };
}

static const char *read_key(const struct conf_sign *s, struct sign_key *key)
{
	const char *wrong;
	size_t n;

	snprintf(key->domain, sizeof key->domain, STR_FMT, STR_ARG(s->domain));
	snprintf(key->selector, sizeof key->selector, STR_FMT, STR_ARG(s->selector));
	key->pem = read_pem(s->key.p, &n, &wrong);
	if (wrong != NULL)
		return wrong;
	if (!key_look(key->pem, n, &key->ed25519, &key->bits))
		return "not a private key of RSA or Ed25519 in PEM";
	return sign_key_open(key, &s->headers, &s->oversign, (unsigned)s->bits);
}

void keys_read(struct keys *k, const struct config *c, struct buf *problems)
{
	for (size_t i = 0; i < c->sign_n; i++) {
		const struct conf_sign *s = &c->signs[i];
		struct sign_key *key = &k->v[k->n];
		const char *wrong = k->n == KEYS_MAX ? "too many keys" : read_key(s, key);
		if (wrong == NULL) {
			k->n++;
			continue;
		}
		if (k->n < KEYS_MAX)
			forget(key);
		buf_addf(problems, "sign \"" STR_FMT "\": " STR_FMT ": %s\n", STR_ARG(s->name), STR_ARG(s->key), wrong);
	}
}

void keys_fini(struct keys *k)
{
	while (k->n > 0)
		forget(&k->v[--k->n]);
}

const struct sign_key *keys_next(const struct keys *k, struct str domain, size_t *at)
{
	while (*at < k->n) {
		const struct sign_key *key = &k->v[(*at)++];
		if (str_ieq(str_c(key->domain), domain))
			return key;
	}
	return NULL;
}
