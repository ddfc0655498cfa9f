/* tests/powerloss/journal.h: what preload.c notes of a process's writes and image.c makes a disk of.
 *
 * A record is a head, then the name, then the data; the last one may be cut short (the process was killed).  Names are
 * relative to the folder that is watched; "" is that folder.  A file keeps its number when its name changes. */
#ifndef TESTS_POWERLOSS_JOURNAL_H
#define TESTS_POWERLOSS_JOURNAL_H

#include <stdint.h>

enum { JOURNAL_MAGIC = 0x706c6a31, JOURNAL_NAME_MAX = 1000 };

enum journal_op {
	JOURNAL_OPEN,   /* an old file was opened: this number is that name */
	JOURNAL_CREATE, /* a new file */
	JOURNAL_MKDIR,
	JOURNAL_RENAME, /* the new name is the data */
	JOURNAL_UNLINK,
	JOURNAL_WRITE,
	JOURNAL_SIZE,     /* offset = the new size */
	JOURNAL_SYNC,     /* of a file: all before is on the disk */
	JOURNAL_SYNC_DIR, /* of a folder: its names are on the disk */
};

struct journal_head {
	uint32_t magic;
	uint8_t op;
	uint8_t durable; /* a write that returned only when it was on the disk (O_DSYNC) */
	uint16_t name_n;
	uint32_t file;
	uint32_t data_n;
	uint64_t offset;
};

#endif
