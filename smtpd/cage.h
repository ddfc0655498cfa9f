/* smtpd/cage.h: what the process may still do once it is set up: serve mail, and nothing that a break-in would need
 * (hardening 4.10).
 *
 *   cage_folders    after root is dropped, before the first thread: no capabilities, no new privileges, no core dumps;
 *                   files may be read wherever the user may read, written only below our own folders, executed nowhere
 *   cage_calls      before the loops run, for all threads: system calls of a mail server only; no new listener, no
 *                   program, no foreign process; what only an attacker would call ends the process
 *
 * A kernel without the one or the other makes the cage smaller, and a warning says so.  docs/SECURITY.md has the list.
 * Threads: the main thread. */
#ifndef SMTPD_CAGE_H
#define SMTPD_CAGE_H

#include "config/config.h"

void cage_folders(const struct config *c);
void cage_calls(void);

#endif
