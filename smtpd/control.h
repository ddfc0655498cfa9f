/* smtpd/control.h: the local control socket: what `tombolo NOUN VERB` talks to.
 *
 * One request a connection: a JSON object on one line, {"cmd": ["queue", "list"], "args": {...}}; the answer is JSON
 * lines, each {"row": {...}} or {"text": "..."} (or {"data": "..."}, a piece of a file), and last
 * {"exit": 0} or {"exit": 1, "error": "..."} (with exit 0 a "note" may stand there).  `tombolo` prints rows as a table,
 * or as they are with --json. Peer credentials decide who may look and who may change things
 * (control_role.h); what was changed is logged with the uid (control.done), what was refused too.  What is not a
 * request is not answered: the connection is closed. Slow work (import, export, mode set, config load) runs on one
 * worker thread, never on a loop. Limits: 64 KiB a request, 10 s for it to arrive, 32 connections, 8 of them kept for
 * operators; a reader that takes nothing for 60 s is dropped. Threads: lives on one loop. */
#ifndef SMTPD_CONTROL_H
#define SMTPD_CONTROL_H

#include "connectors/connectors.h"

enum { CONTROL_REQUEST_MAX = 64 * 1024 - 1, CONTROL_CLIENTS_MAX = 32, CONTROL_CLIENTS_KEPT = 8 };

struct control;
struct drain;
struct kept;
struct pressure;
struct setup;
struct crl_source;
struct auth;

/* What the control socket may see and do; the composition root fills it in. */
struct control_hooks {
	void *arg;
	struct loop *loop; /* control_open fills it in; NULL offline */
	const struct config *(*config)(
		void *arg);      /* the one in force; called on the control's loop, which takes a ref */
	const char *config_path; /* the file of it, for `config diff`; may be NULL */
	struct routing *routing;
	struct dns *dns;
	struct queue *queue;
	struct queue_port *port; /* of the control's own loop */
	/* Loads and applies a configuration; slow: called on the worker.  0, or -1 with one line an error. */
	int (*reload)(void *arg, struct buf *problems);
	int (*tls_reload)(void *arg, struct buf *problems); /* the same for certificates and revocation lists alone */
	/* The one in force, a reference; on the worker.  NULL: there is none (offline), it is made of the config. */
	struct setup *(*setup)(void *arg);
	/* Sessions of all loops, by counter name; calls back for each; what comes twice under a name is added up.
	 * Called on the control's loop. */
	void (*counters)(void *arg, void (*each)(void *to, const char *name, uint64_t value), void *to);
	/* Hop statistics of all loops, gathered; at most max; returns how many it copied.  Called on the control's
	 * loop. */
	/* "queue retry": next hops that rest after a failure are to be tried at once, on all loops.  NULL = none to
	 * tell. */
	void (*hurry)(void *arg);
	size_t (*hops)(void *arg, struct hop_stats *rows, size_t max);
	size_t (*connectors)(void *arg, struct connector_stats *rows, size_t max); /* the same; on the worker */
	size_t (*times)(void *arg, struct hop_times *rows, size_t max);            /* the same; on the worker */
	/* Sources of revocation lists; any thread. */
	size_t (*crl_sources)(void *arg, struct crl_source *rows, size_t max);
	struct deliver *deliver;         /* of the control's own loop, for `connector test`; outlives the control */
	struct auth *auth;               /* of the control's own loop; NULL: none is configured, or offline */
	const struct pressure *pressure; /* NULL offline */
	struct drain *drain;             /* NULL offline */
	struct kept *kept;               /* the replay store; NULL: nothing is kept */
	int64_t started_ms;              /* wall clock */
};

/* Listens (mode 0660; 0666 when groups decide) and starts the worker.  NULL with err; also when another process answers
 * on `path`. Copies `h`; what it points to must outlive the control. */
struct control *control_open(struct loop *l, const char *path, const struct control_hooks *h, struct err *e);
/* Waits for the job in progress, drops all connections, removes the socket file.  Before the queue port is detached. */
void control_close(struct control **c);

#endif
