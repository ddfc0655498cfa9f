/* config/parse.h: from the text of a file to a filled struct config.  For this room only. */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/scan.h"

/* Fills `c` with what the text says and with the defaults for what it does not say; all memory comes from `a`, nothing
 * is derived yet.  `scan` remembers where things stand.  Returns false when the structure of the text is so broken that
 * `c` means nothing; other mistakes are in `r` only. */
bool parse_text(struct str text, struct arena *a, struct report *r, struct scan *scan, struct config *c);

#endif
