/* routing/token.h: the route token (spec 8.4): "we have handed these recipients of this message to the other side".
 *
 *   X-Tombolo-Route: v=1; k=KEY; p=onprem; e=EPOCH; t=UNIX; g=GENERATION; m=MESSAGE; r=RCPT,RCPT,...; s=MAC
 *
 * Written into every copy for the peer; a recipient that comes back under a valid token of ours is a loop (R41), seen
 * after one round trip.  m binds it to the message, r names recipients without telling them, s is keyed; keys rotate:
 * the first of the file signs, all of them verify.  Blanks and folds do not count: a relay may fold anew.
 * A token that is not perfectly ours says nothing: never a reason to refuse mail.
 *
 * The same with v=1b in X-Tombolo-Bypass says that the message passed by the on-prem side (spec 1.7): neither is taken
 * for the other.
 *
 * Pure but for token_keys_load.  Any thread. */
#ifndef ROUTING_TOKEN_H
#define ROUTING_TOKEN_H

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

enum {
	TOKEN_KEYS_MAX = 8,
	TOKEN_RCPTS_MAX = 200,
	TOKEN_HASH = 8,   /* bytes of a recipient */
	TOKEN_SHORT = 16, /* bytes of m and s */
	TOKEN_TEXT_MAX = 8192,
	TOKEN_AGE_MAX_S = 30 * 86400, /* longer than any queue keeps mail */
};

struct token_key {
	char id[17];
	unsigned char key[64];
	size_t key_n;
};
struct token_keys { /* secret: never logged; wipe with token_keys_fini */
	struct token_key v[TOKEN_KEYS_MAX];
	size_t n; /* 0: tokens are off */
};

/* Lines "ID HEX", newest first; `#` begins a comment.  0, or -1 with err naming the line. */
int token_keys_parse(struct str text, struct token_keys *out, struct err *e);
int token_keys_load(const char *path, struct token_keys *out, struct err *e);
void token_keys_fini(struct token_keys *k);

struct token_message { /* what m is made of; values as they stand in the header, empty when missing */
	struct str message_id, date, from;
};
void token_bind(const struct token_message *m, unsigned char out[TOKEN_SHORT]);

/* Names a recipient inside of the organisation, however it was addressed: the record's id, or the address. */
struct token_rcpt {
	unsigned char id[16];
};
struct token_rcpt token_rcpt_of(const unsigned char *rid_or_null, struct str address);

struct token {
	const struct token_key *key;
	bool bypass;             /* the other kind */
	bool journaled;          /* the writer has made the organisation's journal report (spec 6.6) */
	enum conf_site premises; /* who wrote it */
	uint64_t epoch, unix_s;
	unsigned generation;
	unsigned char message[TOKEN_SHORT];
	unsigned char rcpts[TOKEN_RCPTS_MAX][TOKEN_HASH];
	size_t rcpt_n;
};

/* The whole field, folded, with its CRLF.  False when `out` is full.  t->key NULL: the first of `keys`. */
bool token_put(const struct token_keys *keys, struct token *t, struct buf *out);
/* With the key that will sign: adds a recipient; false: it holds as many as it can. */
bool token_add(const struct token_keys *keys, struct token *t, const struct token_rcpt *r);

enum token_verdict { TOKEN_VALID, TOKEN_MALFORMED, TOKEN_UNKNOWN_KEY, TOKEN_FORGED, TOKEN_OTHER_MESSAGE, TOKEN_STALE };
const char *token_verdict_name(enum token_verdict v); /* "other-message" */

/* `value` of the field; `message` as token_bind made it.  *out is filled when VALID, and points into `keys`. */
enum token_verdict token_verify(const struct token_keys *keys, struct str value,
				const unsigned char message[TOKEN_SHORT], int64_t now_ms, struct token *out);
/* The same for X-Tombolo-Bypass. */
enum token_verdict token_verify_bypass(const struct token_keys *keys, struct str value,
				       const unsigned char message[TOKEN_SHORT], int64_t now_ms, struct token *out);
/* Only what it says about its writer; false when it cannot be read. */
bool token_is_from(struct str value, enum conf_site site);
bool token_names(const struct token *t, const struct token_rcpt *r);

#endif
