/* smtpd/setup.h: one configuration made ready for use: the config and the TLS contexts that belong to it.
 *
 * Built off the loops (PEM files, CA bundles are slow), immutable, counted; a reload makes a new one and hands it to
 * the loops, sessions keep the one they started with. */
#ifndef SMTPD_SETUP_H
#define SMTPD_SETUP_H

#include "connectors/connectors.h"

struct setup {
	struct config *config;
	struct tls_ctx **server_tls; /* per config->receives; NULL where STARTTLS is not offered */
	struct outbound *outbound;
	int refs;
};

/* Loads and checks `path`; every problem is one line in `problems`.  NULL when there was any error.  `at_start`: a
 * server certificate that is over is only a warning, since STARTTLS with it is better than none (spec 3.5.5); at a
 * reload or a check it is an error, and what was in use before stays. */
struct setup *setup_load(const char *path, bool at_start, struct buf *problems);
struct setup *setup_ref(struct setup *s); /* any thread */
void setup_unref(struct setup **s);

/* Context of the receive connector `r` (one of s->config->receives), or NULL: no STARTTLS there. */
struct tls_ctx *setup_tls(const struct setup *s, const struct conf_receive *r);

#endif
