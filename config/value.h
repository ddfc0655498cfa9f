/* config/value.h: one value of an option, between the words of the file and the struct.  For this room only. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/arena.h"
#include "config/schema.h"

/* Stores the words (exactly one unless OPT_LIST) in the option's member of the item at `base`, copying them into `a`.
 * The words hold no control
 * bytes (config/scan).  On failure returns false, stores nothing and says in `why` what was wrong and what is allowed.
 */
bool value_set(const struct option *o, const struct str *words, size_t n, struct arena *a, void *base, struct buf *why);
void value_set_default(const struct option *o, struct arena *a, void *base);

/* As a file would have it: yes, 1h30m, "text", { "a", "b" }. */
void value_put(const struct option *o, const void *base, struct buf *out);
bool value_same(const struct option *o, const void *a, const void *b);

/* For the documentation: "duration"; "1m to 30d", "reject, normalise", empty when anything goes. */
const char *value_type_name(const struct option *o);
void value_put_range(const struct option *o, struct buf *out);
void value_put_quoted(struct str s, struct buf *out);

/* Is `word` of a file this `name`, given in lower case with hyphens?  A file may write capitals and underscores. */
bool value_word_eq(struct str name, struct str word);

/* A copy in the arena; loading a file has no cap but that of the file, so this does not fail. */
struct str value_dup(struct arena *a, struct str s);

#endif
