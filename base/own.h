/* base/own.h: files and folders that must be ours alone, because we write them.
 *
 * Whoever may write into one of our folders could plant a link there: then what we write, cut off or give away is a
 * file of somebody else.  So the last part of a path is never followed, a file has one name only, and a folder belongs
 * to us or to root and is writable for nobody else.  What leads to the folder is the administrator's business. Threads:
 * any. */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include "base/err.h"

/* Opens a folder that we write in.  The descriptor, or -1 with err (`what`: for err.where). */
int own_dir(const char *path, const char *what, struct err *e);

/* The same of one name in an open folder, as openat does; `flags` as for open, O_NOFOLLOW and O_CLOEXEC come by
 * themselves.  What is there must be a regular file without a second name.  The descriptor, or -1 with err; `shown` is
 * its name in words. */
int own_open(int dir_fd, const char *name, int flags, unsigned mode, const char *what, const char *shown,
	     struct err *e);

/* Before somebody else (a library) opens it by its path: what is there now is a regular file without a second name, or
 * nothing.  0, or -1 with err.  Only in a folder that own_dir has looked at. */
int own_look(int dir_fd, const char *name, const char *what, const char *shown, struct err *e);

#endif
