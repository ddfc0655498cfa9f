/* routing/epoch.c: the mode (where the MX points, central transport on or off) as one record that changes atomically.
 *
 * It lives beside the recipients, so one read transaction sees one pair {mode, table}.  A change raises the epoch; the
 * grace for stragglers counts from its time.  The configuration's mode is only the first one (recipient.c). */
#include "routing/recipient.h"

#include "base/time.h"

int routing_mode_get(struct routing *r, struct mode *out, struct err *e)
{
	struct table_state s;
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL ? -1 : state_read(r, t, &s, e);

	store_abort(&t);
	if (rc == 0)
		*out = s.mode;
	return rc;
}

int routing_mode_set(struct routing *r, enum conf_side mx, bool cmt, struct mode *out, bool *changed, struct err *e)
{
	struct table_state s;
	struct store_txn *t = store_write(r->store, e);

	if (t == NULL || state_read(r, t, &s, e) != 0) {
		store_abort(&t);
		return -1;
	}
	bool differs = s.mode.mx != mx || s.mode.cmt != cmt;
	if (differs) {
		s.mode = (struct mode){ mx, cmt, s.mode.epoch + 1, clock_wall_ms() };
		state_write(r, t, &s);
		if (store_commit(&t, e) != 0)
			return -1;
	}
	store_abort(&t);
	*out = s.mode;
	*changed = differs;
	return 0;
}
