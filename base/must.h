/* base/must.h: assertions that stay on in production.  A broken invariant stops the process: the queue is crash-safe,
 * a process that goes on with a wrong idea of its state is not. */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/* Aborts with file, line and condition on stderr when `cond` is false.  Never has side effects worth keeping. */
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__, __func__))

_Noreturn void must_failed(const char *cond, const char *file, int line, const char *func);

/* Sets what is printed after the assertion (the current session, say).  One per process; NULL removes it. */
void must_on_panic(void (*dump)(void *arg), void *arg);

#endif
