/* connectors/job.h: one lease being worked on; between deliver.c (sending), job_header.c (header edits) and settle.c
 * (what comes of it), nobody else's.
 *
 *   job_new -> deliver.c: plan, scan the header, send ... over -> job_end -> settle.c: outcomes, copies, report ->
 * lease_settle, job_free
 */
#ifndef CONNECTORS_JOB_H
#define CONNECTORS_JOB_H

#include "connectors/bounce.h"
#include "connectors/drain.h"
#include "connectors/echo_watch.h"
#include "connectors/expand.h"
#include "connectors/header_edits.h"
#include "connectors/plan.h"
#include "connectors/report.h"
#include "connectors/sign.h"
#include "connectors/validate.h"
#include "connectors/track.h"

struct job;
struct journaling;
struct keeping;

enum job_note { /* kept with each recipient that waits (outcome.note; stored: append only) */
		NOTE_NEW,
		NOTE_LOOKED,   /* no rule wanted a report */
		NOTE_JOURNALED /* the reports are durable */
};

struct signing { /* of a delivery; zero: nothing is signed */
	struct signature signature;
	void (*then)(struct delivery *dl);
	struct lease_read read;
	struct edit_pos pos;
	struct str window;
};

enum { SIGNED_BY_MAX = 16 };

struct delivery { /* one transaction of a job */
	struct smtp_txn txn;
	struct job *job;
	struct delivery *next;
	enum route_form form;
	bool forwarded;
	unsigned generation; /* of its recipients, on the way to the peer: the token says it */
	struct lease_read read;
	struct signing signing;
	struct track_headers headers; /* what was changed for this way */
	int64_t began_ms;             /* given to the pool; monotonic */
};

struct job {
	TAILQ_ENTRY(job) link;
	struct deliver *d;
	struct lease *lease;
	struct arena arena;
	struct log log;
	struct plan *plans;
	size_t plan_n;
	struct delivery *deliveries;
	size_t open_n;
	bool header_8bit;
	struct header_notes notes; /* what ways out may have to change */
	struct header_scan scan;   /* while scanning */
	bool scanning;
	uint64_t scanned;
	void (*with_header)(struct job *j, bool ok);
	struct lease_read head_read; /* the beginning of the content, when it is not in memory */
	void (*with_head)(struct job *j, struct str head);
	struct outcome *outcomes;
	struct dsn_rcpt *reports;
	size_t report_n;
	struct str report_to;     /* the sender; the postmaster about a report that failed */
	size_t redirect_report_n; /* the last ones: about redirections that do not end */
	struct bounce bounce;
	struct expand expand;
	enum job_note note;
	struct journaling *journaling; /* while reports are being stored */
	struct keeping *keeping;       /* while a copy for the replay store is read */
	struct queue_order hold;
	bool signs;        /* some way out wants a signature: author and signatures are looked for */
	struct str author; /* domain of the one author; empty: there is no such thing */
	unsigned from_n;
	struct str signed_by[SIGNED_BY_MAX]; /* d= of the signatures in it */
	size_t signed_n;
	struct token *tokens; /* valid ones of ours in the header, before it is edited */
	size_t token_n;
};

struct deliver {
	struct deliver_options o;
	struct outbound *outbound;
	struct pool *pool;
	struct report_limits report_limits;
	TAILQ_HEAD(, job) jobs;
	size_t job_n;
	struct validator *validator; /* NULL: another loop looks after the connectors */
	struct echo_watch *echo;     /* as well */
};

/* The first LEASE_READ_MAX bytes of the content, at once when they are in memory; empty when they cannot be read. */
void job_fetch_head(struct job *j, void (*then)(struct job *, struct str));

/* job_header.c.  The header is looked through; then() may run inside the call.  False: it cannot be read now. */
void job_scan_header(struct job *j, void (*then)(struct job *, bool ok));
void job_scan_cancel(struct job *j);
bool job_needs_header(struct job *j); /* the envelope alone does not tell */
void job_keep_tokens(struct job *j);  /* after the scan: fills tokens */
/* What a report may quote of the beginning of the message: as clean as for the Internet.  In `room` when edited. */
struct str job_clean_head(struct job *j, struct str head, struct buf *room);
bool job_is_automatic(struct str head);                   /* written by a robot, or wants no reports (spec 4.2 H15) */
bool job_edit_header(struct job *j, struct delivery *dl); /* recipients are in it; false: no memory for it now */

/* job_journal.c.  The reports that journals want of this message, durable before anybody is tried.  then() may run
 * inside the call; with an error nothing may be delivered. */
void job_journal(struct job *j, void (*then)(struct job *, const struct err *));
bool job_is_journaled(const struct job *j); /* here, or where it came from */
bool job_is_report(const struct job *j);    /* it is one itself */
/* The archive does not take this report: the alternate address gets it, durably, or (`held`) it stays and is put on
 * hold.  then() never runs inside the call when it returns 0; -1: it has to stay. */
int job_rescue(struct job *j, void (*then)(struct job *, bool held, const struct err *), struct err *e);
void job_journal_cancel(struct job *j);

/* job_keep.c: for the replay store, if there is one; a copy that cannot be made is left out.  then() may run inside. */
void job_keep(struct job *j, void (*then)(struct job *j));
void job_keep_cancel(struct job *j);

/* job_track.c: for the tracking log. */
void job_track_sent(const struct job *j, const struct plan *p, const struct delivery *dl);
void job_track_outcome(const struct job *j, const struct plan *p, const struct outcome *o);
void job_track_copies(const struct job *j);
void job_track_report(const struct job *j);

void job_end(struct job *j); /* every plan has its result; the job is gone when this is through */
void job_free(struct job *j);

#endif
