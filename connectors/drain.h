/* connectors/drain.h: the gateway is being emptied: nothing new is accepted, what is there leaves, perhaps all to one
 * host.
 *
 * One for the process, in memory; and in the file "drain" of the queue's folder, so that a restart goes on with it: on
 * disk first, then in force; off disk first, then ended.  Zeros after drain_init are "no drain".  Threads: any. */
#ifndef CONNECTORS_DRAIN_H
#define CONNECTORS_DRAIN_H

#include "base/buf.h"
#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DRAIN_TO = 300, DRAIN_REASON = 200 };

struct drain_order {
	char to[DRAIN_TO];         /* "host[:port]"; empty: by routing, as ever */
	char reason[DRAIN_REASON]; /* what senders are told; may be empty */
	int64_t since_ms;          /* wall clock */
	uint64_t recipients;       /* that waited then */
};

struct drain {
	_Atomic bool on;
	pthread_mutex_t lock;
	struct drain_order order;
};

void drain_init(struct drain *d);
void drain_start(struct drain *d, const struct drain_order *o);  /* again: takes the place of the one before */
bool drain_stop(struct drain *d);                                /* false: there was none */
bool drain_read(const struct drain *d, struct drain_order *out); /* false: none is on; `d` may be NULL */

/* connectors/drain_file.c; these block on the disk.  `queue`: the folder. */
int drain_keep(const char *queue, const struct drain_order *o, struct err *e); /* durable when it returns 0 */
int drain_forget(const char *queue, struct err *e);                            /* also when there is none */
/* False: none is kept.  Damaged: somebody wanted a drain, to where is not known any more; *o then has no host. */
bool drain_kept(const char *queue, struct drain_order *o, bool *damaged);
bool drain_parse(struct str text, struct drain_order *o); /* pure: what the file says */

#endif
