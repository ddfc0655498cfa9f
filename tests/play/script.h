/* tests/play/script.h: the text of a scenario -> things to do, with the line each came from.
 *
 *   title "..."                         client NAME [split each|stays] { }     expect queue = N
 *   config { options and blocks }       sink NAME { steps }                    expect log has "..."
 *   recipients { csv lines }            sink NAME auto [tls CERT] { rules }    expect SINK has | lacks "..."
 *   file NAME { text }                  for NAME in "a" "b" | 1..9 { anything } expect SINK got N
 *   wire SINK { alterations }           case "..."                            filter NAME [unix] { rules } | stops |
 * starts clock +61s      restart      kill      reload      tombolo WORDS [=> exit N] [has "..."] [lacks "..."]
 *
 * In a block of steps a line that begins with a lower-case word is an order to the player (connect, body, raw, ...);
 * anything else is said (client) or heard (sink) on the wire.  `=>` parts what is said from the answer; `*` in a
 * pattern stands for anything; `#` behind a blank begins a comment.  Loops may also stand inside of blocks; `for A B in
 * { rows } { }` takes a row of values a turn.  */
#ifndef TESTS_PLAY_SCRIPT_H
#define TESTS_PLAY_SCRIPT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { WANT_PARTS_MAX = 6 };

struct want {               /* what is to be heard: a pattern over the whole, and parts it must (not) hold */
	struct str pattern; /* p == NULL: anything */
	struct str has[WANT_PARTS_MAX], lacks[WANT_PARTS_MAX];
	unsigned has_n, lacks_n;
};

struct step {
	int line;
	struct str order; /* the lower-case word; empty: `text` goes over the wire */
	struct str text;  /* left of `=>`, without the order */
	bool answered;    /* there was a `=>` */
	struct str right; /* right of it, as written */
	struct want want; /* what is to be heard: of a client the right side, of a sink the left */
	bool piped;       /* a client sends it together with the piped steps around it */
};

struct steps {
	struct step *v;
	size_t n;
};

enum item_kind {
	ITEM_CONFIG,
	ITEM_RECIPIENTS,
	ITEM_FILE,
	ITEM_SINK,
	ITEM_CLIENT,
	ITEM_EXPECT,
	ITEM_CASE,
	ITEM_WIRE,
	ITEM_FILTER, /* a block opens one, a line orders it */
	ITEM_CLOCK,
	ITEM_TOMBOLO,
	ITEM_CHANGE, /* of an auto sink */
	ITEM_DAEMON, /* restart, kill, reload, stop, start */
};

struct item {
	enum item_kind kind;
	int line;
	struct str name, options; /* of a block: its name and what stands between that and "{" */
	struct str text;          /* the block as written, or the rest of the line */
	struct steps steps;       /* of a sink or client */
	struct want want;
	struct str right;
};

struct script {
	struct arena memory;
	struct str title;
	struct item *items;
	size_t n, cap;
};

/* `text` must outlive the script.  0, or -1 with err: "LINE: what is wrong". */
int script_parse(struct script *s, struct str text, struct err *e);
void script_fini(struct script *s);

/* "\r \n \t \0 \\ \" \xNN" undone; `lines`: each "\n" that has no "\r" before it becomes CR LF.  False: bad escape. */
bool script_unescape(struct script *s, struct str quoted, bool lines, struct str *out);
/* Takes "..." off the front of *text (blanks before it skipped); the inside is given as written. */
bool script_quoted(struct str *text, struct str *inside);

/* `*` stands for anything; everything else for itself. */
bool pattern_match(struct str pattern, struct str text);
/* Does `got` hold what is wanted?  Otherwise *why names the first thing that is not as wanted. */
bool want_met(const struct want *w, struct str got, struct str *why);

#endif
