/* connectors/job_keep.c: what a job delivered goes into the replay store, before it is settled: afterwards its content
 * may be gone.  Nearly always the content is in memory; else it is read first, if the store has room for it at all. */
#include "connectors/job.h"
#include "connectors/kept.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>

struct keeping {
	struct job *j;
	void (*then)(struct job *j);
	struct lease_read read;
	struct buf bytes;
};

/* A server took it, and the domain is one of those that are kept. */
static bool is_kept(const struct job *j, size_t i)
{
	const struct plan *p = &j->plans[i];

	return j->outcomes[i].kind == OUTCOME_DELIVERED && p->rcpt.result == RCPT_SENT && p->where != NULL &&
	       !p->expands && !p->dropped &&
	       kept_wants(j->d->o.kept, j->lease->env.rcpts[p->index].addr, j->lease->size);
}

static size_t count_kept(const struct job *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->plan_n; i++)
		n += is_kept(j, i);
	return n;
}

/* As they were received: where they go is decided anew when they are sent again, but nobody else gets another copy. */
static void put(struct job *j, struct str content)
{
	size_t n = count_kept(j), at = 0;
	struct env_rcpt *rcpts = arena_alloc(&j->arena, n * sizeof *rcpts);
	struct queue_past *past = arena_alloc(&j->arena, n * sizeof *past);
	struct str *connectors = arena_alloc(&j->arena, n * sizeof *connectors);
	struct envelope env = j->lease->env;

	if (rcpts == NULL || past == NULL || connectors == NULL || str_starts(content, S(KEPT_MARK)))
		return; /* no memory: a copy less; or it came out of the store itself */
	for (size_t i = 0; i < j->plan_n; i++) {
		const struct plan *p = &j->plans[i];
		if (!is_kept(j, i))
			continue;
		rcpts[at] = env.rcpts[p->index];
		rcpts[at].followed |= p->forwards;
		past[at] = (struct queue_past){ .number = p->index,
						.attempts = p->attempts + 1,
						.due_ms = clock_wall_ms(),
						.last = str_head(p->rcpt.text, QUEUE_TEXT_MAX) };
		connectors[at++] = p->connector;
	}
	env.rcpts = rcpts;
	env.rcpt_n = n;
	kept_put(j->d->o.kept,
		 &(struct kept_order){
			 .id = j->lease->id, .env = &env, .past = past, .connectors = connectors, .content = content });
}

void job_keep_cancel(struct job *j)
{
	struct keeping *k = j->keeping;

	j->keeping = NULL;
	if (k == NULL)
		return;
	lease_read_fini(&k->read);
	buf_fini(&k->bytes);
	free(k);
}

static void end(struct job *j)
{
	void (*then)(struct job *) = j->keeping->then;

	job_keep_cancel(j);
	then(j);
}

static void on_read(struct op *op)
{
	struct keeping *k = container_of(op, struct keeping, read.op);
	struct job *j = k->j;

	if (!k->read.ok || k->read.bytes.n == 0 || !buf_add(&k->bytes, k->read.bytes)) {
		end(j);
		return;
	}
	if (k->bytes.n < j->lease->size) {
		lease_read(j->lease, k->bytes.n, &k->read, on_read);
		return;
	}
	put(j, buf_str(&k->bytes));
	end(j);
}

void job_keep(struct job *j, void (*then)(struct job *j))
{
	if (echo_is_probe(&j->lease->env) || count_kept(j) == 0) {
		then(j);
		return;
	}
	if (j->lease->content.p != NULL || !kept_has_room(j->d->o.kept, j->lease->size)) {
		if (j->lease->content.p != NULL)
			put(j, j->lease->content);
		then(j);
		return;
	}
	j->keeping = calloc(1, sizeof *j->keeping);
	must(j->keeping != NULL);
	j->keeping->j = j;
	j->keeping->then = then;
	buf_init(&j->keeping->bytes, j->lease->size + 1);
	lease_read(j->lease, 0, &j->keeping->read, on_read);
}
