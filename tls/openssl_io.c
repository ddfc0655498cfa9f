/* tls/openssl_io.c: struct stream_ops over an SSL.
 *
 * OpenSSL reads and writes the stream's descriptor through a BIO of our own (MSG_NOSIGNAL).  Its answers map so:
 *   WANT_READ, WANT_WRITE   EAGAIN, and stream.wants when that is not the direction the stream waits for anyway
 *   close_notify            end of input
 *   FIN without it          ECONNRESET: somebody cut the stream, what came so far may not be all of it
 *   anything else           -1 with stream.err set */
#include "tls/openssl_tls.h"

#include "base/fault.h"
#include "base/must.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

enum { ARENA_CAP = 256 * 1024, SNI_MAX = 253 };

/* Each KeyUpdate costs us new keys and an answer, each ticket a session, each HelloRequest an alert, and no byte of
 * mail comes with them.  Honest peers send a few tickets, and new keys every 2^24 records (RFC 8446 5.5, 4.6). */
enum { LATE_MAX = 64 };

/* ---- the BIO ---- */

/* One fetch for each report of the loop: saves the read that only learns EAGAIN, and keeps one flooding peer from
 * holding the loop. */
static int on_bio_read(BIO *b, char *to, size_t room, size_t *got)
{
	struct stream *s = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*got = 0;
	if (!s->readable) {
		BIO_set_retry_read(b);
		return 0;
	}
	s->readable = false;
	ssize_t n = fault("tls.read") ? -1 : recv(s->fd, to, room, 0);
	*got = n > 0 ? (size_t)n : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	return n > 0;
}

static int on_bio_write(BIO *b, const char *from, size_t n, size_t *put)
{
	const struct stream *s = BIO_get_data(b);
	ssize_t sent = fault("tls.write") ? -1 : send(s->fd, from, n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	*put = sent > 0 ? (size_t)sent : 0;
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return sent > 0;
}

static long on_bio_ctrl(BIO *b, int what, long arg, void *ptr)
{
	(void)arg, (void)ptr;
	if (what == BIO_CTRL_FLUSH)
		return 1;
	if (what == BIO_CTRL_EOF)
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	return 0;
}

BIO_METHOD *secured_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");

	must(m != NULL && BIO_meth_set_read_ex(m, on_bio_read) == 1 && BIO_meth_set_write_ex(m, on_bio_write) == 1 &&
	     BIO_meth_set_ctrl(m, on_bio_ctrl) == 1);
	return m;
}

/* ---- what comes after the handshake ---- */

static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
	struct secured *t = SSL_get_app_data(ssl);

	(void)version, (void)bytes, (void)n, (void)arg;
	if (!sent && type == SSL3_RT_HANDSHAKE && t != NULL && t->shaken && ++t->late > LATE_MAX)
		SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN); /* ends the read under way, whatever its buffer holds */
}

void secured_watch(SSL_CTX *ssl)
{
	SSL_CTX_set_msg_callback(ssl, on_message);
}

/* ---- stream_ops ---- */

/* The SSL said no.  Returns 0 for a clean end, else -1 with errno (and stream.err where errno says too little). */
static ssize_t explain(struct stream *s, unsigned own)
{
	struct secured *t = s->under;
	int kept = errno;
	unsigned long first = ERR_peek_error();

	switch (SSL_get_error(t->ssl, -1)) {
	case SSL_ERROR_WANT_READ:
		s->wants = own == LOOP_READ ? 0 : LOOP_READ;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		s->wants = own == LOOP_WRITE ? 0 : LOOP_WRITE;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		errno = EPIPE;
		return own == LOOP_READ ? 0 : -1;
	case SSL_ERROR_SYSCALL:
		t->broken = true;
		errno = kept != 0 && kept != EAGAIN ? kept : ECONNRESET;
		return -1;
	default:
		t->broken = true;
		if (ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
			ERR_clear_error();
			err_set(&s->err, ERR_NET, "tls.read", "the peer cut the connection without saying goodbye");
			errno = ECONNRESET;
		} else {
			openssl_err(&s->err, ERR_TLS, "tls.io", "broken TLS data");
			errno = EPROTO;
		}
		return -1;
	}
}

static ssize_t secured_read(struct stream *s, char *to, size_t room)
{
	struct secured *t = s->under;
	size_t got = 0;

	ERR_clear_error();
	errno = 0;
	t->starved = SSL_read_ex(t->ssl, to, room, &got) != 1;
	if (t->late > LATE_MAX) {
		t->broken = true;
		err_set(&s->err, ERR_TLS, "tls.read", "a flood of messages that belong to a handshake");
		errno = EPROTO;
		return -1;
	}
	return t->starved ? explain(s, LOOP_READ) : (ssize_t)got;
}

static ssize_t secured_write(struct stream *s, const char *from, size_t n)
{
	struct secured *t = s->under;
	size_t put = 0;

	ERR_clear_error();
	errno = 0;
	return SSL_write_ex(t->ssl, from, n, &put) == 1 ? (ssize_t)put : explain(s, LOOP_WRITE);
}

static int secured_handshake(struct stream *s, struct err *e)
{
	struct secured *t = s->under;

	must(!t->shaken);
	if (t->ssl == NULL || fault("tls.handshake")) {
		t->broken = true;
		return openssl_err(e, ERR_TLS, "tls.handshake", "no handshake can begin");
	}
	ERR_clear_error();
	errno = 0;
	if (SSL_do_handshake(t->ssl) == 1) {
		t->shaken = true;
		return 1;
	}
	if (explain(s, 0) < 0 && errno == EAGAIN)
		return 0;
	*e = s->err;
	if (e->code == ERR_NONE)
		err_sys(e, ERR_TLS, "tls.handshake", "the handshake broke off");
	e->code = ERR_TLS;
	e->where = "tls.handshake";
	return -1;
}

static size_t secured_pending(struct stream *s)
{
	const struct secured *t = s->under;

	/* has_pending counts a piece of a record too, which no read can deliver: hence `starved` */
	return !t->starved && SSL_has_pending(t->ssl) ? 1 : 0;
}

static void secured_close(struct stream *s)
{
	struct secured *t = s->under;

	if (t->shaken && !t->broken) {
		ERR_clear_error();
		if (stream_unsent(s) == 0) /* after cut-off output a goodbye would say that it was all */
			SSL_shutdown(t->ssl);
		/* SSL_free takes a session for spoilt when the connection ended without this */
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	}
	SSL_free(t->ssl);
	ERR_clear_error();
	tls_ctx_unref(&t->ctx);
	arena_fini(&t->arena);
	free(t);
	s->under = NULL;
}

static const struct stream_ops secured_ops = { .read = secured_read,
					       .write = secured_write,
					       .handshake = secured_handshake,
					       .pending = secured_pending,
					       .close = secured_close };

/* ---- going over ---- */

/* Without an SSL (OpenSSL had none to give) there is no handshake, which says so when it is tried. */
static struct secured *secured_new(struct stream *s, struct tls_ctx *c)
{
	struct secured *t = calloc(1, sizeof *t);

	must(t != NULL);
	t->ctx = tls_ctx_ref(c);
	arena_init_sure(&t->arena, ARENA_CAP);
	ERR_clear_error();
	t->ssl = fault("tls.new") ? NULL : SSL_new(c->ssl);
	if (t->ssl == NULL)
		return t;
	BIO *bio = BIO_new(c->bio);
	must(bio != NULL);
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	ctx_verify_by(c, t->ssl);
	SSL_set_app_data(t->ssl, t);
	return t;
}

void tls_accept(struct stream *s, struct tls_ctx *c)
{
	must(c->server);
	struct secured *t = secured_new(s, c);
	if (t->ssl != NULL)
		SSL_set_accept_state(t->ssl);
	stream_secure(s, &secured_ops, t, false);
}

/* RFC 6066 3: a host name, without the trailing dot, never an address. */
static void set_sni(SSL *ssl, struct str name)
{
	char text[SNI_MAX + 1];
	struct net_addr ip;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > SNI_MAX || net_parse_ip(name, 0, &ip) || str_chr(name, '\0') >= 0)
		return;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	SSL_set_tlsext_host_name(ssl, text);
}

static void prepare_client(struct secured *t, struct tls_ctx *c, struct str sni, struct str session_key)
{
	SSL_set_connect_state(t->ssl);
	set_sni(t->ssl, sni);
	if (session_key.n > 0)
		must(arena_dup(&t->arena, session_key, &t->session_key));
	SSL_SESSION *saved = sessions_find(c->sessions, session_key);
	if (saved != NULL) {
		SSL_set_session(t->ssl, saved);
		SSL_SESSION_free(saved);
	}
}

void tls_connect(struct stream *s, struct tls_ctx *c, struct str sni, struct str session_key)
{
	must(!c->server);
	struct secured *t = secured_new(s, c);
	if (t->ssl != NULL)
		prepare_client(t, c, sni, session_key);
	stream_secure(s, &secured_ops, t, true);
}

const struct tls_peer *tls_peer(const struct stream *s)
{
	if (s->ops != &secured_ops)
		return NULL;
	struct secured *t = s->under;
	if (!t->shaken)
		return NULL;
	if (t->peer == NULL)
		t->peer = peer_make(t->ssl, &t->arena);
	return t->peer;
}
