/* base/fault.h: named failure points, so that tests can make each one fail once or kill the process there.
 *
 *   if (fault("queue.sync") || fdatasync(fd) != 0) ...
 *
 * TOMBOLO_FAULT="queue.sync:3" makes the third pass fail with errno EIO; "queue.sync:3:kill" sends SIGKILL there;
 * ":hang" never comes back, ":enospc" fails with ENOSPC instead; up to four points, separated by commas.
 * TOMBOLO_FAULT_LIST=FILE appends each point's name at its first, second, fourth, eighth... pass, which is how the
 * runners find them and about how often they are passed.  Unset, a point costs one predictable branch.  Any thread. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

extern _Atomic bool fault_armed;

bool fault_pass(const char *point);
static inline bool fault(const char *point)
{
	return atomic_load_explicit(&fault_armed, memory_order_relaxed) && fault_pass(point);
}

void fault_init(void); /* reads the environment; from main, or from a test that changed it */

#endif
