/* base/guid.h: random identifiers as text (RFC 9562 version 4): the network message id that follows a message over both
 * gateways.  Any thread. */
#ifndef BASE_GUID_H
#define BASE_GUID_H

enum { GUID_SIZE = 37 }; /* with its NUL */

void guid_make(char to[GUID_SIZE]);

#endif
