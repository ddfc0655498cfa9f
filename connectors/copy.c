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
	struct envelope env = c->lease->env;

	env.origin = ENV_SELF; /* whoever sent it, this copy is ours: the first one passed the rules */
	env.inbound = STR_NONE;
	env.rcpts = c->rcpts;
	env.rcpt_n = c->rcpt_n;
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
	if (c->offset < c->lease->size)
		lease_read(c->lease, c->offset, &c->read, on_read);
	else
		commit(c);
}

int copy_start(struct copy *c, struct queue_port *port, struct lease *l, const struct env_rcpt *rcpts, size_t n,
	       void (*done)(struct copy *, const struct err *), struct err *e)
{
	must(n > 0);
	*c = (struct copy){ .lease = l, .rcpts = rcpts, .rcpt_n = n, .done = done };
	c->spool = spool_begin(port, e);
	if (c->spool == NULL)
		return -1;
	read_on(c);
	return 0;
}

void copy_cancel(struct copy *c)
{
	op_cancel(&c->commit.op);
	lease_read_fini(&c->read);
	spool_abort(&c->spool);
}
