/* routing/member.h: the members of groups, beside the record, so that a group of 100,000 is as cheap to look up as a
 * mailbox.
 *
 *   rid                 -> head: u64 members, u64 version, two u64 hashes of the list
 *   rid ‖ u32 number    -> up to MEMBER_CHUNK bytes of addresses, each with a line end; numbers from 0 without gaps
 *
 * A list is sorted and has no address twice, so equal groups are equal bytes.  Addresses are in normal form. */
#ifndef ROUTING_MEMBER_H
#define ROUTING_MEMBER_H

#include "routing/recipient.h"

enum { MEMBER_CHUNK = 1800, MEMBER_BYTES = 600 /* of one, at most */ };

struct member_head {
	uint64_t n, version, hash[2];
};

/* False: the group has no members. */
bool member_head(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct member_head *out);
/* The lines of chunk `at`; false behind the last. */
bool member_chunk(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], uint32_t at,
		  struct str *lines);
bool member_same(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str list);
/* Replaces all of them; an empty list removes the rows. */
void member_put(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str list,
		uint64_t version);

/* "Ann@Contoso.com;bob@x.example" (also by line ends) -> a list as it is stored, added to `list`.  0, or -1: *bad is
 * the text that is no address, or empty when there are more than `most`. */
int member_normalize(const struct domain_set *s, struct str raw, uint64_t most, struct buf *list, struct str *bad);

#endif
