/* base/err.h: operating failures (disk, network, library), never bugs (must) and never protocol outcomes (reply).
 *
 * A function that may fail takes `struct err *` last and returns 0 or -1; on -1 the error is set and its outputs are
 * untouched.  The caller logs the error or returns it, not both. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
	ERR_NONE,
	ERR_IO,       /* read, write, sync failed */
	ERR_NO_SPACE, /* disk, inodes or LMDB map full */
	ERR_TOO_BIG,  /* past a configured limit */
	ERR_CORRUPT,  /* stored bytes do not check */
	ERR_SYNTAX,   /* text from an administrator or a file is wrong */
	ERR_NOT_FOUND,
	ERR_NET, /* connect, listen, resolve */
	ERR_TLS,
	ERR_BUSY,   /* try again later */
	ERR_TAKEN,  /* it is there already */
	ERR_SYSTEM, /* anything else the kernel refused */
};

struct err {
	enum err_code code;
	const char *where; /* a literal: "queue.commit" */
	char text[240];    /* one line for a person, no newline */
};

/* Sets *e (which may be NULL) and returns -1, so that `return err_set(e, ...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same from errno: picks ERR_NO_SPACE for ENOSPC/EDQUOT, else `code`, and appends strerror. */
int err_sys(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
