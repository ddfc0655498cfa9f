/* connectors/header_edits.h: from the answers of the header policy to edits of a message.
 *
 *   scan (wire/header) -> header_notes_add for each field -> header_edit_in when the header is complete
 *                                                         \> header_edit_out for each way out
 *
 * Notes hold only what some policy touches: for most mail none, and then nothing here costs anything.
 * Pure but for the arena that the results live in: the session's transaction, or the delivery's job. */
#ifndef CONNECTORS_HEADER_EDITS_H
#define CONNECTORS_HEADER_EDITS_H

#include "connectors/header_policy.h"
#include "wire/edits.h"

struct header_note { /* one field that a policy may touch */
	enum header_kind kind;
	uint64_t offset;
	size_t raw_n, name_n;
	struct str name;  /* a copy, cut at 100 bytes */
	struct str value; /* HEADER_TOKEN: a copy, empty when it is too long for one; else empty */
};

struct header_notes {
	struct arena *arena;
	struct header_own own;
	struct header_note *v;
	size_t n, cap;
	bool bind;                    /* to be set by who needs `message` */
	struct token_message message; /* the first field of each name, copied */
	bool journal_report;          /* X-MS-Journal-Report: it says to be one */
	bool full;                    /* the arena has no room: nothing may be said about this header */
};

void header_notes_init(struct header_notes *n, struct arena *a, const struct header_own *own);
void header_notes_add(struct header_notes *n, const struct header_field *f);
/* Every field of every target is kept: a delivery need not look at this header again. */
bool header_notes_plain(const struct header_notes *n, const struct header_in *in);

struct header_changes {
	struct edits edits;
	unsigned counts[GROUP_N][HEADER_ACTION_N];
	unsigned total;
	bool journaled;     /* IN: by who may say so: it has been, or is a report, and needs none */
	bool forged;        /* a stranger's header that only our organisation may write */
	struct str names;   /* "X-OriginatorOrg,X-MS-...", cut; never values */
	struct str summary; /* "H4.strip=1 H10.rename=2" */
};

/* False: the arena is full.  `h` is the finished scan: a broken header gets its empty line, a mailbox line goes. */
bool header_edit_in(const struct header_in *in, const struct header_notes *notes, const struct header_scan *h,
		    struct header_changes *out);

struct header_added { /* what we have to say ourselves; empty views are left out */
	enum header_trust trust;
	bool sender_ours;
	bool journaled;     /* Processed-By-Journaling for those who believe us */
	bool set_scl;       /* internal mail gets SCL -1 when it has none */
	struct str gateway; /* our name, in AuthSource and in evidence */
	struct str org;     /* X-OriginatorOrg towards the peer */
	struct str trace;   /* X-Tombolo-Trace towards our own servers */
	struct str token;   /* X-Tombolo-Route towards the peer: the whole field with its CRLF */
	struct str bypass;  /* X-Tombolo-Bypass, the same */
};

bool header_edit_out(const struct header_out *rules, const struct header_added *added, const struct header_notes *notes,
		     struct arena *a, struct header_changes *out);

#endif
