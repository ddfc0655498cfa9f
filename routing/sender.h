/* routing/sender.h: who may write to a recipient (spec 2.6): lists of senders, "ann@x.example;@y.example".
 *
 * Pure.  A list as it is stored has addresses in normal form and "@" + domain as A-labels in lower case. */
#ifndef ROUTING_SENDER_H
#define ROUTING_SENDER_H

#include "routing/domain.h"

enum { SENDERS_MAX = 1000 };

/* Adds the list in its stored form.  NULL, or what is wrong with it. */
const char *sender_normalize(const struct domain_set *s, struct str raw, struct buf *list);
/* `sender` in normal form; the empty one (a report) is in no list. */
bool sender_is_in(struct str list, struct str sender);

#endif
