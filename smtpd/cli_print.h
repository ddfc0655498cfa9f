/* smtpd/cli_print.h: how `tombolo` shows the lines of an answer: tables, pairs, JSON, or like a mail queue listing.
 *
 * Everything shown may come from strangers (addresses, replies of other servers): control bytes leave as \xNN, so no
 * mail can move the administrator's cursor.  Tables fit 100 columns; nothing is ever cut, a long value pushes.
 * Knows: the protocol's lines.  Must not know: sockets. */
#ifndef SMTPD_CLI_PRINT_H
#define SMTPD_CLI_PRINT_H

#include "smtpd/control_call.h"

enum print_view { PRINT_TABLE, PRINT_JSON, PRINT_POSTFIX };

struct print_layout; /* of one command */

struct printer {
	FILE *out;
	enum print_view view;
	const struct print_layout *layout;
	json_t *held; /* rows that wait for the column widths (or, --postfix, for the end of their message) */
	unsigned widths[12];
	bool head_done;
	char group[64];           /* of the row before, where equal neighbours are left blank */
	uint64_t bytes, messages; /* --postfix: the sum */
	int64_t now_ms;
	bool ended; /* the last line of the answer has been seen */
	int exit;
	char error[480]; /* or, with exit 0, a note */
};

void printer_init(struct printer *p, const struct verb *v, enum print_view view, FILE *out, int64_t now_ms);
/* One line of the protocol, without its end.  False: it is not one. */
bool printer_line(struct printer *p, struct str line);
void printer_fini(struct printer *p); /* prints what is held */

/* Values as people read them: "12s", "5m", "3h07m", "2d04h"; "512", "9.8K", "12M". */
void print_age(struct buf *b, int64_t ms);
void print_bytes(struct buf *b, uint64_t n);
/* UTF-8 text without anything a terminal would obey. */
void print_clean(struct buf *b, struct str s);

#endif
