/* auth/dkim_lib.h: the libopendkim files: a message verified, a message signed; keys come from a table.
 *
 *   verify_new (the names of the keys it needs) -> verify_body* -> verify_end (with the keys) -> verdicts
 *   signing_new -> signing_body* -> signing_end -> one DKIM-Signature field
 *
 * The library never asks the DNS: the names are collected at the end of the header, the body streams while they are
 * resolved, and only at the end is anything decided.  Threads: one. */
#ifndef AUTH_DKIM_LIB_H
#define AUTH_DKIM_LIB_H

#include "auth/answers.h"
#include "auth/auth.h"

/* Once, before the first; everything that is loaded lazily is there afterwards. */
void dkim_lib_open(void);

struct verify;

/* `header`: all fields.  At most `most` signatures are judged, the first ones; others are AUTH_POLICY. */
struct verify *verify_new(struct str header, unsigned most, struct needs *needs);
void verify_body(struct verify *v, struct str chunk);
/* Returns how many signatures are in `sigs`. */
size_t verify_end(struct verify *v, const struct answers *keys, struct auth_sig sigs[AUTH_SIGS_MAX]);
void verify_free(struct verify **v);

struct sign_key; /* auth/keys.h */
struct signing;

/* NULL: the library does not take it; `why` says so. */
struct signing *signing_new(const struct sign_key *key, struct str header, char why[AUTH_TEXT]);
void signing_body(struct signing *s, struct str chunk);
bool signing_end(struct signing *s, struct buf *field, char why[AUTH_TEXT]); /* whole, with its CRLF */
void signing_free(struct signing **s);

/* Payloads. */
void sigs_put(const struct auth_sig *sigs, size_t n, struct buf *b);
bool sigs_read(struct str payload, struct auth_sig sigs[AUTH_SIGS_MAX], size_t *n);

#endif
