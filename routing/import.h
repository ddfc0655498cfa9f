/* routing/import.h: between the formats (CSV, LDIF) and the one way into the table.
 *
 *   routing_import -> import_csv | import_ldif -> import_add, once a record -> sort, compare with the table, apply
 *
 * A format only reads: it names what it found with the line it stood in.  Everything that needs more than one record
 * (addresses given twice, other recipients' addresses, deletions) is import.c's. */
#ifndef ROUTING_IMPORT_H
#define ROUTING_IMPORT_H

#include "routing/recipient.h"

enum { PROBLEMS_SHOWN = 100, IMPORT_LINE_MAX = 16 << 20 /* a group of 100,000 on one line */ };

struct import_row {
	char *bytes; /* as record_encode leaves it; version and time come at the end */
	uint32_t n, line;
	struct str members; /* as member_normalize leaves it */
	unsigned char rid[RID_SIZE];
	enum { ROW_NEW, ROW_CHANGED, ROW_SAME } state;
};

struct import_addr { /* 2,400,000 of them: kept small */
	const char *p;
	uint32_t row;
	uint16_t n;
	bool stored; /* already points where it should */
};

struct import {
	struct routing *r;
	struct domain_set *domains;
	const char *file;
	struct str source; /* of records that name none */
	struct arena memory;
	struct import_row *rows;
	size_t row_n, row_cap;
	struct import_addr *addrs;
	size_t addr_n, addr_cap;
	struct buf key, bytes, list; /* scratch of import_add */
	struct arena lists;          /* the same, for one record */
	struct import_report report;
	struct buf *problems;
	struct err *e;
	unsigned warnings;
	bool failed; /* reading the file failed; e is set */
};

/* One record as the file has it: addresses not yet normalized, addrs[0] the primary; views die after the call.  What is
 * wrong with it is reported against `line`. */
void import_add(struct import *im, size_t line, const struct rcpt_record *rec);
/* Says something about the file without refusing it. */
void import_warn(struct import *im, size_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Counts an error; shown as "FILE:LINE: ..." while there is room. */
void import_problem(struct import *im, size_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct import_lines { /* the lines of a file, read as they are needed */
	int fd;
	size_t line; /* number of the last one given */
	struct buf buf;
	size_t used;
	bool eof, failed;
};

int import_open(struct import_lines *in, const char *path, struct err *e);
/* Without its end of line; the bytes may be changed.  False at the end, or (failed) when it cannot be read. */
bool import_line(struct import_lines *in, struct str *line);
void import_close(struct import_lines *in);

void import_csv(struct import *im, struct import_lines *in);
void import_ldif(struct import *im, struct import_lines *in);

#endif
