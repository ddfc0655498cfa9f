/* connectors/sign.h: DKIM signatures on mail that leaves for the Internet (spec 4.7).
 *
 *   header scan -> sign_look -> sign_start -> the message as it leaves, read once for the signer -> then(dl)
 *
 * The keys are somebody else's: struct signer is what the floor above hands down (smtpd/signer.c).  Signed is what one
 * of ours wrote, by the keys of its author's domain, unless that domain has signed it already.  Content from the disk
 * is read window by window; at most one window of it is in memory. Between deliver.c and job_header.c; but for struct
 * signer and struct signature nobody else's. */
#ifndef CONNECTORS_SIGN_H
#define CONNECTORS_SIGN_H

#include "base/str.h"

struct job;
struct delivery;
struct header_field;

struct signature { /* one message being signed; begin .. end, then done() once, never inside a call */
	void (*more)(struct signature *s); /* after write said false */
	void (*done)(struct signature *s);
	bool ok, refused;  /* refused: not now and not later */
	struct str fields; /* ok: whole fields; live until fini */
	const char *why;
	void *state; /* the signer's */
};

struct signer {
	void *arg;
	void (*begin)(void *arg, struct signature *s, struct str domain);
	bool (*write)(struct signature *s, struct str bytes); /* false: it is taken, but wait for more() */
	void (*end)(struct signature *s);
	void (*fini)(struct signature *s); /* cancels; harmless on zeros */
};

bool sign_wants_header(struct job *j); /* before the scan */
void sign_look(struct job *j, const struct header_field *f);
/* False: it leaves as it is, at once.  True: then(dl) comes, from the loop; dl->signing says how it went. */
bool sign_start(struct delivery *dl, void (*then)(struct delivery *dl));
/* Puts the fields in front.  False: no memory. */
bool sign_put(struct delivery *dl);
void sign_cancel(struct delivery *dl);

#endif
