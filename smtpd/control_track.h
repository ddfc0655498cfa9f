/* smtpd/control_track.h: reading tracking logs: line by line, whatever their size.
 *
 * Files are read as they are on disk, those put aside first; a running gateway may write them meanwhile.  A line that
 * is no event (torn by a crash, another format) is counted and passed over.
 * Knows: the format of connectors/track.  Must not know: what the events are wanted for.  Inside `tombolo` only. */
#ifndef SMTPD_CONTROL_TRACK_H
#define SMTPD_CONTROL_TRACK_H

#include "smtpd/control_call.h"

enum { TRACK_LINE_MAX = 1 << 20, TRACK_LOGS_MAX = 16 };

struct track_logs { /* of one question: this gateway's, then the others' */
	const char *paths[TRACK_LOGS_MAX];
	size_t n;
};

struct track_reader {
	/* Is the line worth parsing?  NULL = all are. */
	bool (*wants)(void *arg, struct str line);
	/* Takes the line itself, instead of `event`; *broken: it is no event.  NULL: not asked for. */
	bool (*line)(void *arg, struct str line, bool *broken);
	/* The object lives as long as the call.  False: enough. */
	bool (*event)(void *arg, const json_t *event);
	void *arg;
	uint64_t lines, broken, lost; /* read; no events; said to be missing (TRACK-LOST) */
};

/* Every event of every log in the order of the files.  0, or -1: a log cannot be opened, or is CSV. */
int track_read(const struct track_logs *logs, struct track_reader *r, struct err *e);

/* The logs a command line names: --track, else the configuration's; --also.  False: the call has ended. */
bool track_logs_of(struct call *c, struct track_logs *logs);

/* A text of a raw line without parsing it: the value of "key", up to its quote.  Peers cannot forge a key: their quotes
 * are escaped. */
struct str track_raw(struct str line, const char *key);

struct str track_text(const json_t *event, const char *key); /* empty when there is none */
int64_t track_ms(const json_t *event);                       /* date-time as wall clock; 0 when it is none */
size_t track_rcpt_n(const json_t *event);
struct str track_rcpt(const json_t *event, size_t i);

#endif
