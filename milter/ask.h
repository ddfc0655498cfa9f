/* milter/ask.h: a question to tombolod and its answer, over its socketmap server's path.
 *
 * Blocking, bounded in time; the connection is kept for the next question.  When tombolod has been restarted meanwhile
 * the question is put once more to the new one.  Threads: one at a time a struct. */
#ifndef MILTER_ASK_H
#define MILTER_ASK_H

#include "base/err.h"
#include "wire/decide.h"

struct ask {
	const char *path;
	int64_t patience_ms;
	int fd; /* -1: not connected */
	struct buf out, in;
};

void ask_init(struct ask *a, const char *path, int64_t patience_ms);
void ask_fini(struct ask *a);

/* 0 with the answer, a view that lives until the next question (lists in the arena); -1 with err. */
int ask(struct ask *a, const struct decide_question *q, struct arena *arena, struct decide_answer *out, struct err *e);

#endif
