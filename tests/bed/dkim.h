/* tests/bed/dkim.h: signing and verifying mail with libopendkim, keys from files of the bed's folder.
 *
 * DIR/rsa.pem, ed.pem and their public halves rsa.txt, ed.txt (TXT records) are made by tests/bed/run.sh; the selector
 * names the file. */
#ifndef TESTS_BED_DKIM_H
#define TESTS_BED_DKIM_H

#include "base/buf.h"

struct dkim_way {
	bool ed25519;
	bool relaxed_header, relaxed_body;
};

void dkim_open(const char *dir); /* exits with a message when a key is missing */
void dkim_shut(void);
/* The whole DKIM-Signature field, to be put on top.  `why` gets the reason of a false. */
bool dkim_make(struct str message, const struct dkim_way *way, struct buf *out, char why[160]);
bool dkim_holds(struct str message, char why[160]);

#endif
