/* smtpd/crl_fetcher.h: tls/crl_keep.h for the configuration in force: revocation lists are fetched on a thread of their
 * own, once a minute those that are due.
 *
 * Without tls.crl_fetch it rests.  Logs crl.fetched and crl.fetch_failed.
 * Threads: rows and alarm any; the rest the loop's, `setup` is called on the fetcher's. */
#ifndef SMTPD_CRL_FETCHER_H
#define SMTPD_CRL_FETCHER_H

#include "smtpd/setup.h"
#include "tls/crl_keep.h"

struct crl_fetcher;

struct crl_fetcher_options {
	struct loop *loop;
	struct setup *(*setup)(void *arg); /* a reference to the one in force */
	void (*changed)(void *arg);        /* on the loop: there are other lists in the folder */
	void *arg;
};

struct crl_fetcher *crl_fetcher_start(const struct crl_fetcher_options *o, struct err *e);
void crl_fetcher_kick(struct crl_fetcher *f);  /* there is another setup; any thread */
void crl_fetcher_stop(struct crl_fetcher **f); /* a transfer in progress ends within a second */

size_t crl_fetcher_rows(struct crl_fetcher *f, struct crl_source *rows, size_t max);
/* Adds CRL-FETCH-FAILED when there is cause. */
void crl_fetcher_alarm(struct crl_fetcher *f, struct tls_alarms *out);

#endif
