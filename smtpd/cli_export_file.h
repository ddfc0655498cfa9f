/* smtpd/cli_export_file.h: the files of an export, and the set of recipients that they are to hold.
 *
 * A file has its name only when it is whole and synced; until then it is "ID.part".  Blocks on the disk. */
#ifndef SMTPD_CLI_EXPORT_FILE_H
#define SMTPD_CLI_EXPORT_FILE_H

#include "base/err.h"
#include "base/str.h"

enum export_state { EXPORT_GONE, EXPORT_BUSY, EXPORT_READY, EXPORT_WRITTEN };

struct export_item { /* a recipient in the queue */
	uint64_t id;
	uint32_t number;
	bool was_held; /* not by us: by a person, or as poison */
	enum export_state state;
};

struct export_set {
	struct export_item *v; /* ascending by id and number */
	size_t n, cap;
};

void export_add(struct export_set *s, const struct export_item *i); /* behind the last one */
struct export_item *export_find(const struct export_set *s, uint64_t id, uint32_t number);
void export_set_fini(struct export_set *s);

struct export_report {
	void (*file)(void *arg, uint64_t bytes, size_t recipients);
	void (*trouble)(void *arg, uint64_t id, const char *text); /* this message is in no file */
	void *arg;
};

/* May we read this queue, and is `dir` there (made if need be) and empty?  0, or -1 with err. */
int export_begin(const char *queue, const char *dir, struct err *e);
/* Writes what is READY, one file a message; 0: all of it is synced, its names too, and the items are WRITTEN. */
int export_write(const char *queue, const char *dir, struct export_set *s, const struct export_report *r,
		 struct err *e);
/* What the files of `dir` hold. */
int export_read(const char *dir, struct export_set *s, struct err *e);

#endif
