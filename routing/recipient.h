/* routing/recipient.h: the store of recipients and mode, for the other files of this room.
 *
 *   addr   normalized address (long ones: "H:" + hash)  -> rid        rcpt   rid -> record (routing/record.h)
 *   ext    mailbox_id                                    -> rid        hist   rid ‖ version -> that version, until
 * then; a head without addresses: removed then meta   "state" -> mode and serial, one record, so that a decision reads
 * both in one get; "switch" -> the switch of the mode under way; "mode" ‖ epoch -> a mode and who made it (epoch.c)
 *   strag  slot -> a straggler's source (straggler.c)        incident   slot -> a disagreement (disagree.c)
 *   member the members of groups (routing/member.h)
 *
 * Every address of every record has its row in addr and no address two (recipient_check asserts it).  Writers run one
 * at a time under the store's write transaction; readers never wait. */
#ifndef ROUTING_RECIPIENT_H
#define ROUTING_RECIPIENT_H

#include "base/store.h"
#include "routing/disagree.h"
#include "routing/domain.h"
#include "routing/filter.h"
#include "routing/record.h"

#include <pthread.h>

struct routing {
	struct store *store;
	store_db addr, rcpt, ext, hist, member, meta, strag, incident;
	pthread_mutex_t lock; /* guards the pointer `domains` and what `known` says */
	struct domain_set *domains;
	struct {
		struct filter *filter; /* NULL: none yet */
		uint64_t from, to;     /* serials of the table whose addresses it all holds */
	} known;
	struct disagree disagree;
	struct stragglers stragglers;
	struct availability {
		_Atomic int64_t failing_since_ms; /* of the other side */
		pthread_mutex_t lock;             /* what follows */
		int64_t quota_hour;
		uint64_t quota_used;
		int64_t hours[COVERAGE_HOURS]; /* numbers of hours, a ring by number */
		uint64_t counts[COVERAGE_HOURS][COVERAGE_N], totals[COVERAGE_N];
	} peer;
};

/* availability.c: cmt.on_peer_down lets this mail bypass the other side now (the quota apart). */
bool availability_may_bypass(struct routing_view *v, const struct route_query *q, const struct mode *m);

enum { RID_SIZE = 16, HISTORY_KEPT = 8 };

struct table_state {
	struct mode mode;
	uint64_t serial;
	int64_t imported_ms; /* 0 = nothing was imported yet */
};

/* The reference is the caller's. */
struct domain_set *routing_domains(struct routing *r);

int state_read(struct routing *r, struct store_txn *t, struct table_state *out, struct err *e);
void state_write(struct routing *r, struct store_txn *t, const struct table_state *s);

/* epoch.c: the row of s->mode in the history, and of the one before it when it has none yet. */
void mode_keep(struct routing *r, struct store_txn *t, const struct mode *m, struct str who);

/* known.c: the filter if it is good for a view of this serial, a reference; NULL: read the table.  Addresses by the key
 * that the table has them under. */
struct filter *known_begin(struct routing *r, uint64_t serial);
void known_add(struct routing *r, struct str key);                    /* before the commit that stores it */
void known_moved(struct routing *r, uint64_t before, uint64_t after); /* after a commit that moved the serial */

/* False: the table of this view certainly has no such address. */
bool recipient_may_exist(const struct filter *f, struct str address);
/* By a normalized address; views live as long as the transaction does not write. */
bool recipient_rid(struct routing *r, struct store_txn *t, struct str address, unsigned char rid[RID_SIZE]);
bool recipient_bytes(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str *bytes);
bool recipient_find(struct routing *r, struct store_txn *t, struct str address, unsigned char rid[RID_SIZE],
		    struct str *bytes);
bool recipient_by_mailbox(struct routing *r, struct store_txn *t, struct str mailbox_id, unsigned char rid[RID_SIZE]);

/* Writes rcpt, ext and hist, and takes the rows of addresses that `bytes` no longer has out of addr.  `old` is the
 * stored record or empty; it is copied first, since a write may move it. */
void recipient_put(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str bytes,
		   struct str old);
void recipient_put_addr(struct routing *r, struct store_txn *t, struct str address, const unsigned char rid[RID_SIZE]);
void recipient_drop(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str old);

/* incident.c: what an incident is filed under; `rid` NULL: no record. */
uint64_t incident_location(const unsigned char *rid, struct str address);
uint64_t incident_loop(const struct token_rcpt *r);

/* history.c: as it was at v->now_ms. */
bool recipient_find_past(struct routing_view *v, struct str address, unsigned char rid[RID_SIZE], struct str *bytes);
/* epoch.c: the mode at a time; false: older than what is kept, the oldest known. */
bool mode_at(struct routing *r, struct store_txn *t, int64_t at_ms, struct mode *out);

void rid_make(unsigned char rid[RID_SIZE], uint64_t serial, uint64_t n); /* unique: serials rise */

bool route_expands_here(const struct located *l); /* its members are ours to send to */

/* Owner and lists of senders in the form they are stored in, into the arena.  NULL, or what is wrong with them. */
const char *recipient_normal(const struct domain_set *s, struct rcpt_record *rec, struct arena *arena);

/* What is wrong with a record by itself, as a phrase ("remote, but no routing address"); NULL when nothing is. */
const char *recipient_problem(const struct domain_set *s, const struct rcpt_record *rec);

/* Debug and tests: every record's addresses point to it and nothing else does. */
int recipient_check(struct routing *r, struct err *e);

#endif
