/* config/schema.h: every option, declared once.
 *
 * The table drives parsing (it becomes libconfuse's option arrays), defaults, ranges, the effective configuration and
 * docs/CONFIG.md.  Defaults and bounds are text in the syntax of the file, so that documentation and code cannot
 * differ.  For this room only. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

enum option_type { OPT_TEXT, OPT_LIST, OPT_FLAG, OPT_MSEC, OPT_BYTES, OPT_COUNT, OPT_ENUM };

struct option {
	const char *name;
	enum option_type type;
	size_t offset;            /* in struct config, or in the item of a named section */
	const char *const *names; /* OPT_ENUM: the words in the order of the enum, NULL at the end */
	const char *dflt;         /* as in a file; "" is the empty text or list, lists are split at ", " */
	const char *min, *max;    /* OPT_MSEC, OPT_BYTES, OPT_COUNT */
	bool required;            /* has no default */
	bool restart;             /* read once at start: a reload cannot change it */
	const char *shown;        /* what the documentation says instead of dflt, where the value is worked out */
	const char *doc;
};

struct section {
	const char *name; /* "" is the top level */
	const struct option *options;
	size_t option_n;
	/* sections with a name, of which there may be several: an array in struct config; size 0 for the others */
	size_t array, count;   /* offsets in struct config of the pointer and of the number */
	size_t size;           /* of one item */
	size_t title, line_at; /* offsets in the item of its name and of the line it starts on */
	const char *doc;
};

/* Most options in one section. */
enum { SECTION_OPTIONS_MAX = 80 };

extern const struct section sections[];
extern const size_t section_n;

/* A member as an option of type t; the wrong C type for it does not compile. */
#define FIELD_OF(s, t, m) .type = t, .offset = offsetof(s, m) + 0 * sizeof(char[_Generic(((s *)0)->m, C_##t : 1)])
#define FIELD(t, m)       FIELD_OF(struct config, t, m)
#define C_OPT_TEXT        struct str
#define C_OPT_LIST        struct conf_list
#define C_OPT_FLAG        bool
#define C_OPT_MSEC        int64_t
#define C_OPT_BYTES       uint64_t
#define C_OPT_COUNT       int64_t
#define C_OPT_ENUM        unsigned

/* NULL when there is none of that name. */
const struct section *section_find(struct str name);
const struct option *option_find(const struct section *s, struct str name);

/* The items of a named section of `c`, for code that walks the table. */
size_t section_count(const struct section *s, const struct config *c);
void *section_item(const struct section *s, const struct config *c, size_t i); /* c itself for the others */

#endif
