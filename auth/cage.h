/* auth/cage.h: what a worker may still do once it has its keys: read and write one socket, use memory, look at the
 * clock.
 *
 * No file, no socket, no program, no other process; what only an attacker would call ends it.  Memory and time are
 * bounded.  Every library has to have loaded what it needs before. */
#ifndef AUTH_CAGE_H
#define AUTH_CAGE_H

#include <stdbool.h>

/* Every descriptor but 0 to 2 and `keep` is closed.  False: the kernel would not filter system calls. */
bool cage_worker(int keep);

#endif
