/* smtpd/tls_watch.h: what changes about certificates while nobody does anything: time passes, and revocation lists are
 * renewed by others.
 *
 * Once a minute, on a thread of its own: takes revocation lists that changed (crl.renewed; crl.kept when they are no
 * good); logs all alarms (tls.alarm) when they are others than before, after a reload, and else once a day.
 * Threads: all but kick on the loop's. */
#ifndef SMTPD_TLS_WATCH_H
#define SMTPD_TLS_WATCH_H

#include "smtpd/crl_fetcher.h"

struct tls_watch;

struct tls_watch_options {
	struct loop *loop;
	struct setup *(*setup)(void *arg); /* a reference to the one in force; called on the watch's thread */
	void *arg;
	int (*reload)(void *arg, struct buf *problems); /* certificates anew; on the watch's thread; may be NULL */
	struct crl_fetcher *fetcher;                    /* whose alarm is told too; may be NULL; outlives the watch */
};

/* The first look is at once.  NULL with err when there is no thread. */
struct tls_watch *tls_watch_start(const struct tls_watch_options *o, struct err *e);
/* Looks again soon: there is another setup.  Any thread. */
void tls_watch_kick(struct tls_watch *w);
void tls_watch_stop(struct tls_watch **w); /* waits for the look in progress */

#endif
