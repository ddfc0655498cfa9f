/* connectors/header_policy.h: which header fields pass between whom (spec 4.2): the header firewall.
 *
 *   field -> kind                                  header_classify   what the field is, by its name
 *   kind x where the mail came from -> action      header_in         once, when the message is accepted
 *   kind x where it goes -> action                 header_out        for each target, when it is delivered
 *
 * Pure.  The table in the .c is the table of the spec, row by row.  header_edits.h makes edits out of the answers. */
#ifndef CONNECTORS_HEADER_POLICY_H
#define CONNECTORS_HEADER_POLICY_H

#include "connectors/connectors.h"
#include "wire/header.h"

/* How far the headers of incoming mail are believed: T0..T4 of the spec. */
enum header_trust {
	TRUST_INTERNET, /* also a peer that has not proved to be ours */
	TRUST_PARTNER,
	TRUST_PEER,   /* certificate, cloud_mail and claim */
	TRUST_SERVER, /* a mail server of ours: hdr-org */
	TRUST_CLIENT,
	TRUST_N
};

/* What kind of place outgoing mail goes to: X0, X2, X3 of the spec. */
enum header_target { TARGET_INTERNET, TARGET_PEER, TARGET_INTERNAL, TARGET_N };

enum header_group {
	GROUP_NONE,
	GROUP_H1,
	GROUP_H2,
	GROUP_H3,
	GROUP_H4,
	GROUP_H5,
	GROUP_H6,
	GROUP_H7,
	GROUP_H8,
	GROUP_H9,
	GROUP_H10,
	GROUP_H11,
	GROUP_H11B,
	GROUP_H12,
	GROUP_H13,
	GROUP_H14,
	GROUP_H15,
	GROUP_N
};

enum header_kind {
	HEADER_OTHER,        /* no group: never touched */
	HEADER_ORGANIZATION, /* H1 */
	HEADER_FOREST,       /* H2 */
	HEADER_CROSS,        /* H3: X-MS-Exchange-CrossPremises-* */
	HEADER_ORIGINATOR,   /* H4 */
	HEADER_TENANT,       /* H5 */
	HEADER_EVIDENCE,     /* H6: who preserved, promoted or filtered */
	HEADER_HOPS,         /* H7 */
	HEADER_LOOP,         /* H8 */
	HEADER_SENDER,       /* H9: the original Internet sender */
	HEADER_SPAM,         /* H10 */
	HEADER_SPAM_DOUBTED, /* H10: renamed before, by us or by another */
	HEADER_RESULTS_OWN,  /* H11: Authentication-Results that say to be ours */
	HEADER_RESULTS,      /* H11: of others */
	HEADER_ARC,          /* H11b */
	HEADER_TOKEN,        /* H12: X-Tombolo-Route */
	HEADER_TOKEN_VALID,  /* H12: verified; never the answer of header_classify */
	HEADER_GATEWAY,      /* H12: other X-Tombolo-* */
	HEADER_BCC,          /* H13 */
	HEADER_RETURN_PATH,  /* H13 */
	HEADER_JOURNAL,      /* H14 */
	HEADER_ORG_JOURNAL,  /* H14: the form inside an organisation */
	HEADER_AUTO,         /* H15 */
	HEADER_KIND_N
};

enum header_action {
	HEADER_KEEP,
	HEADER_STRIP,
	HEADER_RENAME,  /* the name gets "-Untrusted" */
	HEADER_PROMOTE, /* CrossPremises-X becomes Organization-X */
	HEADER_DEMOTE,  /* and back */
	HEADER_ACTION_N
};

/* Our own authserv-ids; Authentication-Results under one of them is ours (or forged). */
struct header_own {
	struct str ids[2];
};
enum header_kind header_classify(const struct header_field *f, const struct header_own *own);
enum header_group header_group_of(enum header_kind k);
bool header_is_touched(enum header_kind k);         /* some trust or target does not keep it */
const char *header_group_name(enum header_group g); /* "H11b" */

struct header_in {
	enum header_trust trust;
	bool cloud_mail;  /* SERVER: the mail server behind us has demoted already, keep H3 */
	bool sender_ours; /* the envelope sender is in a domain of ours */
};
enum header_action header_in(const struct header_in *in, enum header_kind k);

struct header_out {
	enum header_target target;
	bool endpoint;                  /* we are the last server of our side: promote and demote */
	const struct conf_list *demote; /* names beside the built-in ones, without prefix; may be NULL */
};
enum header_action header_out(const struct header_out *out, enum header_kind k, struct str name);

/* The part behind "X-MS-Exchange-Organization-" or "X-MS-Exchange-CrossPremises-"; empty when it is neither. */
struct str header_org_suffix(struct str name);

/* ---- who is trusted, and what is said about them ---- */

enum header_trust header_trust_of(const struct attribution *a, unsigned perms);
/* The same for a stored message, from the connectors it came by. */
enum header_trust header_trust_stored(const struct config *c, const struct envelope *env);
/* "Internal", "Partner", "Anonymous"; empty: the peer's own word counts (spec 4.2.2). */
struct str header_auth_as(enum header_trust t, bool sender_ours);
bool header_sender_ours(const struct config *c, struct str from);

enum header_target header_target_of(const struct conf_send *s);
/* The organisation named in MAIL XOORG= and X-OriginatorOrg towards this connector; empty: none. */
struct str header_claim_for(const struct envelope *env, const struct conf_send *s);

#endif
