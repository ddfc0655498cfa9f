/* smtpd/control.h: the local control socket: what `tombolo NOUN VERB` talks to.
 *
 * One request a connection: a JSON object on one line, {"cmd": ["queue", "list"], "args": {...}}; the answer is JSON
 * lines, each {"row": {...}} or {"text": "..."}, and last {"exit": 0, "error": "..."}.  `tombolo` prints rows as a
 * table, or as they are with
 * --json.  Peer credentials decide: root and the daemon's own user may change things, the group of the socket may look.
 * Slow work (import, export, mode set, config load) runs on one worker thread, never on a loop.
 * Threads: lives on one loop. */
#ifndef SMTPD_CONTROL_H
#define SMTPD_CONTROL_H

#include "connectors/connectors.h"

struct control;

/* What the control socket may see and do; the composition root fills it in. */
struct control_hooks {
	void *arg;
	const struct config *(*config)(void *arg); /* the one in force; ref it for use across turns */
	struct routing *routing;
	struct dns *dns;
	struct queue *queue;
	struct queue_port *port; /* of the control's own loop */
	/* Loads and applies a configuration; slow: called on the worker.  0, or -1 with one line an error. */
	int (*reload)(void *arg, struct buf *problems);
	/* Sessions of all loops, by counter name; calls back for each. */
	void (*counters)(void *arg, void (*each)(void *to, const char *name, uint64_t value), void *to);
	/* Hop statistics of all loops, gathered; at most max. */
	size_t (*hops)(void *arg, struct hop_stats *rows, size_t max);
	int64_t started_ms; /* wall clock */
};

struct control *control_open(struct loop *l, const char *path, const struct control_hooks *h, struct err *e);
void control_close(struct control **c);

#endif
