/* wire/author.h: whom a From field names, and whether every reader names the same (RFC 5322 3.6.2, hardening HY-9).
 *
 * A mail program shows one of several addresses, a filter judges another: `"x" <a@evil.example>, ceo@contoso.com`,
 * `<ceo@contoso.com> <a@evil.example>`.  So anything but one plain mailbox counts as several.  Pure; any bytes. */
#ifndef WIRE_AUTHOR_H
#define WIRE_AUTHOR_H

#include "base/buf.h"

enum author {
	AUTHOR_NONE,    /* no address: empty, <>, or a bare name */
	AUTHOR_ONE,     /* one mailbox, with or without a display name */
	AUTHOR_SEVERAL, /* more than one, a group, a source route, or text that can be read in two ways */
};

/* `value` of the field: behind the colon, with its folds. */
enum author author_judge(struct str value);
/* The domain of the one author, as A-labels in lower case.  False, and nothing written, when author_judge says another
 * word than AUTHOR_ONE or what is behind the @ is no domain (an address literal, say). */
bool author_domain(struct str value, struct buf *out);

#endif
