/* auth/arc_sets.h: from header fields to ARC sets, and what a set's signatures are made over.  arc.c's own. */
#ifndef AUTH_ARC_SETS_H
#define AUTH_ARC_SETS_H

#include "auth/arc.h"

/* Copies the header into `a` and splits it; false, with nothing kept: no ARC field in it. */
bool arc_collect(struct arc *a, struct str header);
/* Steps 1 to 3 of RFC 8617 5.2: sets, links and result.links; false: fails, `why` says why. */
bool arc_form_sets(struct arc *a, char *why, size_t room);

enum canon arc_body_canon(const struct tags *signature);
void arc_key_name(const struct tags *t, char name[ARC_NAME]); /* of tags that arc_form_sets let pass */
void arc_hash_message(const struct arc *a, const struct arc_set *s, unsigned char out[DIGEST_SIZE]);
void arc_hash_seal(const struct arc *a, unsigned instance, unsigned char out[DIGEST_SIZE]);

#endif
