/* connectors/copy.c: content goes window by window from the lease into a new spool, then is committed. */
#include "connectors/copy.h"

#include "base/must.h"

static void read_on(struct copy *c);

static void end(struct copy *c, const struct err *e)
{
	spool_abort(&c->spool);
	lease_read_fini(&c->read);
	c->done(c, e);
}

static void on_commit(struct op *op)
{
	struct copy *c = container_of(op, struct copy, commit.op);

	end(c, c->commit.ok ? NULL : &c->commit.err);
}

static void commit(struct copy *c)
{
	struct envelope env = c->o.env != NULL ? *c->o.env : c->o.lease->env;

	if (c->o.owner.n > 0) { /* who is told, and what, is the owner's now (RFC 3461 5.2.7.4) */
		env.from = c->o.owner;
		env.envid = STR_NONE;
		env.ret = ENV_RET_HDRS;
	}
	env.hold = STR_NONE; /* who released the message meant its copies, too */
	if (c->o.journaled)
		env.journal = ENV_JOURNAL_DONE;
	env.rcpts = c->o.rcpts;
	env.rcpt_n = c->o.rcpt_n;
	spool_commit(&c->spool, &env, &c->commit, on_commit);
}

static void on_read(struct op *op)
{
	struct copy *c = container_of(op, struct copy, read.op);
	struct err e = c->read.err;

	if (!c->read.ok || c->read.bytes.n == 0 || spool_write(c->spool, c->read.bytes, &e) != 0) {
		end(c, &e);
		return;
	}
	c->offset += c->read.bytes.n;
	read_on(c);
}

static void read_on(struct copy *c)
{
	struct err e = { 0 };

	if (c->offset < c->o.lease->size) {
		lease_read(c->o.lease, c->offset, &c->read, on_read);
		return;
	}
	(void)spool_write(c->spool, c->o.tail, &e); /* if it fails, so does the commit, and tells why */
	commit(c);
}

int copy_start(struct copy *c, const struct copy_order *o, void (*done)(struct copy *, const struct err *),
	       struct err *e)
{
	must(o->rcpt_n > 0);
	*c = (struct copy){ .o = *o, .done = done };
	c->spool = spool_begin(o->port, e);
	if (c->spool == NULL)
		return -1;
	if (spool_write(c->spool, o->head, e) != 0) {
		spool_abort(&c->spool);
		return -1;
	}
	read_on(c);
	return 0;
}

void copy_cancel(struct copy *c)
{
	op_cancel(&c->commit.op);
	lease_read_fini(&c->read);
	spool_abort(&c->spool);
}
