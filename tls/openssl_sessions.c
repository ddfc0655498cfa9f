/* tls/openssl_sessions.c: sessions saved by outbound connections, to be resumed by the next one to the same place.
 *
 * A table of fixed size in which each key has exactly one slot: two keys that meet there push each other out, which
 * costs a full handshake and nothing else.  So it cannot grow, needs no list and no clean-up (OpenSSL refuses a session
 * that is too old). A found session stays in the table: the connections that start together all use it. */
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <pthread.h>

enum { SLOTS = 512 };

struct slot {
	char *key;
	size_t key_n;
	SSL_SESSION *session; /* NULL = free */
};

struct sessions {
	pthread_mutex_t lock; /* guards slots */
	struct slot slots[SLOTS];
};

struct sessions *sessions_new(void)
{
	struct sessions *c = calloc(1, sizeof *c);

	must(c != NULL);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void slot_clear(struct slot *slot)
{
	if (slot->session != NULL)
		SSL_SESSION_free(slot->session);
	free(slot->key);
	*slot = (struct slot){ 0 };
}

void sessions_clear(struct sessions *c)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < SLOTS; i++)
		slot_clear(&c->slots[i]);
	pthread_mutex_unlock(&c->lock);
}

void sessions_free(struct sessions **cp)
{
	struct sessions *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		slot_clear(&c->slots[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Keys come from our own configuration and its MX hosts: no seed is needed, the worst is a full handshake. */
static struct slot *slot_of(struct sessions *c, struct str key)
{
	return &c->slots[str_hash(key, 0) % SLOTS];
}

static bool slot_has(const struct slot *slot, struct str key)
{
	return slot->session != NULL && str_eq(str_n(slot->key, slot->key_n), key);
}

void sessions_save(struct sessions *c, struct str key, SSL_SESSION *session)
{
	must(key.n > 0 && session != NULL);
	pthread_mutex_lock(&c->lock);
	struct slot *slot = slot_of(c, key);
	if (slot_has(slot, key)) {
		SSL_SESSION_free(slot->session);
	} else {
		slot_clear(slot);
		slot->key = malloc(key.n);
		must(slot->key != NULL);
		memcpy(slot->key, key.p, key.n);
		slot->key_n = key.n;
	}
	slot->session = session;
	pthread_mutex_unlock(&c->lock);
}

SSL_SESSION *sessions_find(struct sessions *c, struct str key)
{
	SSL_SESSION *found = NULL;

	if (key.n == 0)
		return NULL;
	pthread_mutex_lock(&c->lock);
	struct slot *slot = slot_of(c, key);
	if (slot_has(slot, key) && SSL_SESSION_is_resumable(slot->session)) {
		found = slot->session;
		SSL_SESSION_up_ref(found);
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}
