/* base/op.h: one operation in flight, embedded in the struct that asks.
 *
 *   op_start(&q->op, on_done)  ->  the worker keeps &q->op  ->  op_finish(op)
 *
 * The contract, checked here: done() runs exactly once, from the loop thread, never inside the call that started the
 * operation; after op_cancel() it never runs.  A worker on another thread never touches the op: it hands its own
 * request back to the loop thread, and only there looks whether the op is still open (see queue/spool, routing/dns).
 * Threads: the loop thread that owns the asking struct. */
#ifndef BASE_OP_H
#define BASE_OP_H

#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct op {
	void (*done)(struct op *op);
	struct op **held; /* where the worker keeps its pointer to us; cleared by op_cancel */
};

static inline bool op_is_open(const struct op *op)
{
	return op->held != NULL;
}

/* Opens the op; `held` is the worker's pointer to it and must live until finish or cancel. */
static inline void op_start(struct op *op, void (*done)(struct op *), struct op **held)
{
	must(op->held == NULL && done != NULL);
	op->done = done;
	op->held = held;
	*held = op;
}

/* Worker side, on the loop thread: calls done() unless the op was cancelled (then *held is NULL). */
static inline void op_finish(struct op **held)
{
	struct op *op = *held;

	if (op == NULL)
		return;
	must(op->held == held);
	*held = NULL;
	op->held = NULL;
	op->done(op);
}

/* Asker side: done() will not run any more.  Harmless when not open. */
static inline void op_cancel(struct op *op)
{
	if (op->held != NULL)
		*op->held = NULL;
	op->held = NULL;
}

#endif
