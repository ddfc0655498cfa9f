/* tests/kit/openssl_rogue.h: TLS as others do it: what tls/ refuses to say, so that tests can say it.
 *
 * Works on contexts and streams of tls/, which stays strict: weak keys and hashes, versions that are over, a session
 * without the certificate it began with, server names that are none, renegotiation.
 * Threads: as tls/tls.h. */
#ifndef TESTS_KIT_OPENSSL_ROGUE_H
#define TESTS_KIT_OPENSSL_ROGUE_H

#include "tls/tls.h"

/* Shows this certificate however weak it is; a server's context must have been made with one of the same kind of key.
 * 0, or -1 with err. */
int rogue_show(struct tls_ctx *c, struct str certificate, struct str key, struct err *e);
/* From now on TLS 1.0 to `version` ("1.1" ... "1.3"); false when there is no such version. */
bool rogue_speak_at_most(struct tls_ctx *c, struct str version);
/* From now on a server ends the connection of a client that shows no certificate. */
void rogue_demand_certificate(struct tls_ctx *c);
/* From now on a client shows no certificate, whatever it has and whatever its saved sessions were made with. */
void rogue_hide_certificate(struct tls_ctx *c);
/* Right after tls_connect: asks for this server name, any bytes but NUL. */
void rogue_ask_for(struct stream *s, struct str name);
/* A client in TLS 1.2 asks for another handshake.  0 = OpenSSL said no. */
int rogue_renegotiate(struct stream *s);
/* Sends KeyUpdate `n` times (TLS 1.3), each time asking for one back, as far as the socket takes them; returns how many
 * went. */
unsigned rogue_update_keys(struct stream *s, unsigned n);
/* Right after tls_connect with a saved session: says `text` as early data although the server never offered that.
 * False: OpenSSL said no. */
bool rogue_speak_early(struct stream *s, struct str text);
/* What became of it, when the handshake is over: the server took it. */
bool rogue_was_heard_early(struct stream *s);
/* Says goodbye to TLS, not to TCP, and then these bytes in clear. */
void rogue_go_on_clear(struct stream *s, struct str bytes);

#endif
