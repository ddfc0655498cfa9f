/* routing/decide.c: THE decision table (spec 1.4) as one pure function.
 *
 * The table below is read from the top; the first row whose condition holds decides.  A row is {id, reason, what it
 * says, when it holds, what then}, so the trace can list every row looked at in the words of the rule.  Rows appear in
 * the order of the pseudo-code (spec 1.5), which is that of their numbers but for three: R31 is a special case of R30,
 * R41 stands twice, before the returns it forbids, and R57 last: it holds always, so every set of facts has a verdict.
 */
#include "routing/routing.h"

#include "base/must.h"

struct codes { /* spec 5.4: what one refusal is called in each set, and by which side: {code, class, subject, detail} */
	struct str text;
	unsigned short standard[4], onprem[4], cloud[4];
};

struct rule {
	const char *id, *reason;
	const char *says;
	bool (*when)(const struct route_facts *f);
	void (*then)(const struct route_facts *f, struct verdict *v);
	const struct codes *codes; /* of a refusal */
	const char *cause, *fixer;
};

static const char SENDER[] = "sender";
static const char ADMIN[] = "administrator";
static const char PEER_ADMIN[] = "administrator of the other side";

/* Texts go to strangers: they name the rule, never where a mailbox is. */
static const struct codes c_redirect = {
	STR_LIT("Mail loop: too many redirections (LOOP-REDIRECT R02)"),
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 14 },
};
static const struct codes c_stale = {
	STR_LIT("Recipient table is out of date, try again later (TABLE-STALE R03)"),
	{ 451, 4, 3, 0 },
	{ 451, 4, 3, 0 },
	{ 451, 4, 3, 0 },
};
static const struct codes c_straggler_defer = {
	STR_LIT("This host is no longer the mail exchanger, look up the MX again (STRAGGLER R05)"),
	{ 451, 4, 7, 1 },
	{ 451, 4, 7, 1 },
	{ 451, 4, 7, 1 },
};
static const struct codes c_straggler_reject = {
	STR_LIT("This host is not the mail exchanger, look up the MX again (STRAGGLER R05)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 51 },
	{ 550, 5, 7, 51 },
};
static const struct codes c_unknown = {
	STR_LIT("Recipient address rejected: no such mailbox (RCPT-UNKNOWN R10)"),
	{ 550, 5, 1, 1 },
	{ 550, 5, 1, 10 },
	{ 550, 5, 1, 10 },
};
static const struct codes c_unknown_edge = {
	/* strangers at the cloud's edge hear another code */
	STR_LIT("Recipient address rejected: Access denied (RCPT-UNKNOWN R10)"),
	{ 550, 5, 1, 1 },
	{ 550, 5, 4, 1 },
	{ 550, 5, 4, 1 },
};
static const struct codes c_unknown_both = {
	STR_LIT("Recipient unknown on both sides (RCPT-UNKNOWN-BOTH R11)"),
	{ 550, 5, 1, 1 },
	{ 550, 5, 1, 10 },
	{ 550, 5, 1, 10 },
};
static const struct codes c_auth_group = {
	STR_LIT("This group takes mail from authenticated senders only (AUTH-REQUIRED R12)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 133 },
	{ 550, 5, 7, 133 },
};
static const struct codes c_auth_mailbox = {
	STR_LIT("This mailbox takes mail from authenticated senders only (AUTH-REQUIRED R12)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 134 },
	{ 550, 5, 7, 134 },
};
static const struct codes c_auth_contact = {
	STR_LIT("This recipient takes mail from authenticated senders only (AUTH-REQUIRED R12)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 136 },
	{ 550, 5, 7, 136 },
};
static const struct codes c_sender_denied = {
	STR_LIT("You may not write to this recipient (SENDER-DENIED R12)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 124 },
	{ 550, 5, 7, 124 },
};
static const struct codes c_loop_routing = {
	STR_LIT("Mail loop: an address of the other side came from there (LOOP-ROUTING R15)"),
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 14 },
};
static const struct codes c_routing_private = {
	STR_LIT("This address is not for use from outside (ROUTING-PRIVATE R16)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 54 },
	{ 550, 5, 7, 64 },
};
static const struct codes c_loop_token = {
	STR_LIT("Mail loop: this recipient was handed to the other side before (LOOP-TOKEN R41)"),
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 14 },
};
static const struct codes c_loop_token_defer = {
	STR_LIT("Mail loop: this recipient was handed to the other side before, try again later (LOOP-TOKEN R41)"),
	{ 451, 4, 4, 6 },
	{ 451, 4, 4, 6 },
	{ 451, 4, 4, 6 },
};
static const struct codes c_disagree_defer = {
	STR_LIT("Recipient is being moved, try again later (LOC-DISAGREE-DEFER R44)"),
	{ 451, 4, 4, 6 },
	{ 451, 4, 4, 6 },
	{ 451, 4, 4, 6 },
};
static const struct codes c_disagree = {
	STR_LIT("Mail loop: each side takes the mailbox to be on the other (LOC-DISAGREE R45)"),
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 14 },
};
static const struct codes c_loop_relay = {
	STR_LIT("Mail loop: the domain's host sent us its own mail (LOOP-RELAY R48)"),
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 6 },
	{ 554, 5, 4, 14 },
};
static const struct codes c_relay = {
	STR_LIT("Relaying denied (RELAY-DENIED R50)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 54 },
	{ 550, 5, 7, 64 },
};
static const struct codes c_relay_peer = {
	STR_LIT("Relaying for the other side is off (RELAY-DENIED-PEER R51)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 54 },
	{ 550, 5, 7, 54 },
};
static const struct codes c_org = {
	STR_LIT("Relaying denied: the organisation is not verified (ORG-UNVERIFIED R52)"),
	{ 550, 5, 7, 1 },
	{ 550, 5, 7, 64 },
	{ 550, 5, 7, 64 },
};

/* ---- effects ---- */

static void relay(struct verdict *v, enum route_next next, enum route_form form)
{
	v->action = ROUTE_RELAY;
	v->next = next;
	v->form = form;
}

static void to_mailbox(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	v->action = ROUTE_DELIVER;
	v->next = NEXT_INTERNAL;
	v->form = FORM_PRIMARY;
}

static void to_peer(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	relay(v, NEXT_PEER, FORM_AS_RECEIVED);
}

/* Only the on-prem side names the mailbox by its routing address: there the shared domain alone cannot say which side.
 */
static void to_peer_mailbox(const struct route_facts *f, struct verdict *v)
{
	bool routing = f->site == SITE_ONPREM && f->kind == KIND_REMOTE;

	relay(v, NEXT_PEER, routing ? FORM_ROUTING : FORM_AS_RECEIVED);
}

static void to_domain_host(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	relay(v, NEXT_DOMAIN_HOST, FORM_AS_RECEIVED);
}

static void to_internet(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	relay(v, NEXT_DIRECT, FORM_AS_RECEIVED);
}

static void expand(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	v->action = ROUTE_EXPAND;
}

static void drop(const struct route_facts *f, struct verdict *v)
{
	(void)f;
	v->action = ROUTE_DROP;
}

static enum route_next egress_next(enum conf_egress e)
{
	return e == EGRESS_CLOUD ? NEXT_PEER : e == EGRESS_SMARTHOST ? NEXT_SMARTHOST : NEXT_DIRECT;
}

static void to_egress_onprem(const struct route_facts *f, struct verdict *v)
{
	relay(v, egress_next(f->egress.onprem), FORM_AS_RECEIVED);
}

static void to_egress_cmt(const struct route_facts *f, struct verdict *v)
{
	relay(v, egress_next(f->egress.cmt), FORM_AS_RECEIVED);
}

/* ---- conditions ---- */

static bool is_stranger(const struct route_facts *f)
{
	return f->origin == ENV_INTERNET || f->origin == ENV_PARTNER;
}

static bool is_peer(const struct route_facts *f)
{
	return f->origin == ENV_PEER;
}

static bool is_straggler(const struct route_facts *f)
{
	return f->origin == ENV_INTERNET && (f->site == SITE_ONPREM) != (f->mx == SIDE_ONPREM);
}

/* A routing address of our own side names a mailbox here; groups and contacts that were not resolved have their home
 * here, which knows what to do with them. */
static bool is_here(const struct route_facts *f)
{
	return f->kind == KIND_LOCAL || f->kind == KIND_ROUTING_SELF || f->kind == KIND_GROUP ||
	       f->kind == KIND_CONTACT;
}

static bool is_there(const struct route_facts *f)
{
	return f->kind == KIND_REMOTE || f->kind == KIND_ROUTING_PEER || f->kind == KIND_UNK_RELAY_PEER;
}

static bool is_external(const struct route_facts *f)
{
	return f->kind == KIND_EXTERNAL;
}

static bool redirect_loop(const struct route_facts *f)
{
	return f->redirect_loop;
}

static bool table_stale(const struct route_facts *f)
{
	return f->table_stale && !is_external(f);
}

static bool straggler_deferred(const struct route_facts *f)
{
	return is_straggler(f) && f->grace_over && !f->straggler_allowed && f->stragglers == STRAGGLERS_DEFER;
}

static bool straggler_rejected(const struct route_facts *f)
{
	return is_straggler(f) && f->grace_over && !f->straggler_allowed && f->stragglers == STRAGGLERS_REJECT;
}

static bool unknown(const struct route_facts *f)
{
	return f->kind == KIND_UNK_AUTH || f->disabled;
}

static bool unknown_at_edge(const struct route_facts *f)
{
	return unknown(f) && f->site == SITE_CLOUD && f->origin == ENV_INTERNET;
}

static bool unknown_on_both(const struct route_facts *f)
{
	return f->kind == KIND_UNK_RELAY_PEER && is_peer(f);
}

static bool sender_denied(const struct route_facts *f)
{
	return f->sender_denied;
}

/* Redirected mail is ours from then on: what it was when it came is in `unproved`. */
static bool is_unproved(const struct route_facts *f)
{
	return f->unproved || is_stranger(f) || (is_peer(f) && f->class != ENV_CLASS_INT);
}

static bool contact_needs_auth(const struct route_facts *f)
{
	return f->auth_required && f->is_contact && is_unproved(f);
}

static bool group_needs_auth(const struct route_facts *f)
{
	return f->auth_required && f->is_group && is_unproved(f);
}

static bool mailbox_needs_auth(const struct route_facts *f)
{
	return f->auth_required && is_unproved(f);
}

static bool routing_from_peer(const struct route_facts *f)
{
	return f->kind == KIND_ROUTING_PEER && is_peer(f);
}

static bool routing_from_internet(const struct route_facts *f)
{
	return f->kind == KIND_ROUTING_PEER && f->origin == ENV_INTERNET && !f->routing_public;
}

static bool cmt_in(const struct route_facts *f)
{
	return f->site == SITE_CLOUD && f->cmt && f->origin == ENV_INTERNET &&
	       (is_here(f) || f->kind == KIND_REMOTE || f->kind == KIND_UNK_RELAY_PEER);
}

/* What stands in for R20 while the other side is down: as if central transport were off, for mailboxes here. */
static bool cmt_in_bypassed(const struct route_facts *f)
{
	return f->bypass && cmt_in(f) && is_here(f);
}

static bool there_not_from_peer(const struct route_facts *f)
{
	return is_there(f) && !is_peer(f);
}

static bool expand_here(const struct route_facts *f)
{
	return f->expand_here;
}

static bool there_own_expansion(const struct route_facts *f)
{
	return is_there(f) && f->token_seen && f->our_expansion;
}

static bool there_loop_fresh(const struct route_facts *f)
{
	return is_there(f) && f->token_seen && f->loop_is_fresh;
}

static bool there_token_seen(const struct route_facts *f)
{
	return is_there(f) && f->token_seen;
}

static bool cmt_return(const struct route_facts *f)
{
	return is_there(f) && f->site == SITE_ONPREM && f->cmt && f->class == ENV_CLASS_EXT;
}

static bool internal_return(const struct route_facts *f)
{
	return is_there(f) && f->return_internal && f->class == ENV_CLASS_INT;
}

static bool disagree_fresh(const struct route_facts *f)
{
	return is_there(f) && f->moved_recently;
}

static bool relay_to_source(const struct route_facts *f)
{
	return f->kind == KIND_UNK_RELAY_HOST && f->host_is_source;
}

static bool relay_domain(const struct route_facts *f)
{
	return f->kind == KIND_UNK_RELAY_HOST;
}

static bool external_from_stranger(const struct route_facts *f)
{
	return is_external(f) && is_stranger(f);
}

static bool external_peer_no_cmt(const struct route_facts *f)
{
	return is_external(f) && is_peer(f) && f->site == SITE_ONPREM && !f->cmt && !f->peer_relay;
}

static bool external_peer_no_org(const struct route_facts *f)
{
	return is_external(f) && is_peer(f) && f->org != ENV_ORG_OK;
}

static bool hairpin(const struct route_facts *f)
{
	return is_external(f) && is_peer(f) && f->site == SITE_ONPREM && f->egress.cmt == EGRESS_CLOUD;
}

static bool hairpin_own_expansion(const struct route_facts *f)
{
	return hairpin(f) && f->token_seen && f->our_expansion;
}

static bool hairpin_loop_fresh(const struct route_facts *f)
{
	return hairpin(f) && f->token_seen && f->loop_is_fresh;
}

static bool hairpin_token_seen(const struct route_facts *f)
{
	return hairpin(f) && f->token_seen;
}

static bool cmt_out_for_peer(const struct route_facts *f)
{
	return is_external(f) && is_peer(f) && f->site == SITE_ONPREM && !hairpin(f);
}

static bool out_onprem(const struct route_facts *f)
{
	return is_external(f) && f->site == SITE_ONPREM;
}

static bool cmt_forward(const struct route_facts *f)
{
	return is_external(f) && is_peer(f) && f->redirected && f->cmt && f->forwarded == FORWARDED_RETURN;
}

static bool cmt_out_of_cloud(const struct route_facts *f)
{
	return is_external(f) && !is_peer(f) && f->cmt;
}

static bool cmt_out_bypassed(const struct route_facts *f)
{
	return f->bypass && cmt_out_of_cloud(f);
}

static bool always(const struct route_facts *f)
{
	(void)f;
	return true;
}

static bool everything_else_there(const struct route_facts *f)
{
	return is_there(f);
}

/* ---- the table ---- */

static const struct rule rules[] = {
	{ "R02", "LOOP-REDIRECT", "redirected more often than max_redirects", redirect_loop, NULL, &c_redirect,
	  "Following the redirections of this recipient does not end.", ADMIN },
	{ "R03", "TABLE-STALE", "our domain, and the table is older than max_age", table_stale, NULL, &c_stale,
	  "The recipient table is too old to tell where this mailbox is.", ADMIN },
	{ "R05", "STRAGGLER", "from the Internet, we are not the MX, grace over, policy defer", straggler_deferred,
	  NULL, &c_straggler_defer, "The sender still uses the mail exchanger from before the switch.", SENDER },
	{ "R05", "STRAGGLER", "from the Internet, we are not the MX, grace over, policy reject", straggler_rejected,
	  NULL, &c_straggler_reject, "The sender still uses the mail exchanger from before the switch.", SENDER },
	{ "R10", "RCPT-UNKNOWN", "unknown in an authoritative domain, from the Internet at the cloud", unknown_at_edge,
	  NULL, &c_unknown_edge, "The domain is ours and nobody has this address.", SENDER },
	{ "R10", "RCPT-UNKNOWN", "unknown in an authoritative domain", unknown, NULL, &c_unknown,
	  "The domain is ours and nobody has this address.", SENDER },
	{ "R11", "RCPT-UNKNOWN-BOTH", "unknown in a shared domain, and the other side sent it", unknown_on_both, NULL,
	  &c_unknown_both, "Neither side has this address.", SENDER },
	{ "R12", "AUTH-REQUIRED", "a group for authenticated senders, and the sender is not", group_needs_auth, NULL,
	  &c_auth_group, "The group takes mail from authenticated senders only.", SENDER },
	{ "R12", "AUTH-REQUIRED", "a contact for authenticated senders, and the sender is not", contact_needs_auth,
	  NULL, &c_auth_contact, "The recipient takes mail from authenticated senders only.", SENDER },
	{ "R12", "AUTH-REQUIRED", "a mailbox for authenticated senders, and the sender is not", mailbox_needs_auth,
	  NULL, &c_auth_mailbox, "The mailbox takes mail from authenticated senders only.", SENDER },
	{ "R12", "SENDER-DENIED", "the record does not take mail from this sender", sender_denied, NULL,
	  &c_sender_denied, "The recipient takes mail from some senders only.", SENDER },
	{ "R15", "LOOP-ROUTING", "in the other side's routing domain, and it came from there", routing_from_peer, NULL,
	  &c_loop_routing, "The other side sent mail for its own routing domain.", PEER_ADMIN },
	{ "R16", "ROUTING-PRIVATE", "in the other side's routing domain, from the Internet", routing_from_internet,
	  NULL, &c_routing_private, "Routing addresses are not for use from outside.", SENDER },
	{ "R20", "CMT-BYPASS", "as R20, the mailbox is here, the other side is down and cmt.on_peer_down lets it pass",
	  cmt_in_bypassed, to_mailbox, NULL,
	  "The on-prem side cannot be reached, and the policy lets this mail go without it.", NULL },
	{ "R20", "CMT-IN", "at the cloud with central transport on, from the Internet, one of ours", cmt_in, to_peer,
	  NULL, "With central transport on, Internet mail passes the on-prem side first.", NULL },
	{ "R31", "EXPAND", "a group that is expanded here", expand_here, expand, NULL,
	  "The members of the group get copies from here.", NULL },
	{ "R30", "LOCAL", "the mailbox is on this side", is_here, to_mailbox, NULL, "The mailbox is on this side.",
	  NULL },
	{ "R40", "REMOTE", "on the other side, and it did not come from there", there_not_from_peer, to_peer_mailbox,
	  NULL, "The mailbox is on the other side.", NULL },
	{ "R41", "DUPLICATEREDIRECT", "came back, and it was our own expansion that led there", there_own_expansion,
	  drop, NULL, "The recipient was reached by our own expansion and has the message already.", NULL },
	{ "R41", "LOOP-TOKEN", "came back although our token says it was handed over, noticed a short time ago",
	  there_loop_fresh, NULL, &c_loop_token_defer,
	  "The other side returned a recipient that had been handed to it; this may be mended yet.", PEER_ADMIN },
	{ "R41", "LOOP-TOKEN", "came back although our token says it was handed over", there_token_seen, NULL,
	  &c_loop_token, "The other side returned a recipient that had been handed to it.", PEER_ADMIN },
	{ "R42", "CMT-RETURN", "on-prem, central transport on: Internet mail in transit goes back", cmt_return,
	  to_peer_mailbox, NULL, "Internet mail in transit goes back to the cloud after the on-prem policy.", NULL },
	{ "R43", "CBR-RETURN", "internal mail, and the connector returns it", internal_return, to_peer_mailbox, NULL,
	  "Internal mail sent through us on purpose goes back to the other side.", NULL },
	{ "R44", "LOC-DISAGREE-DEFER", "each side says the other; moved or noticed a short time ago", disagree_fresh,
	  NULL, &c_disagree_defer, "Each side takes the mailbox to be on the other; a move may be under way.", ADMIN },
	{ "R45", "LOC-DISAGREE", "each side says the other, for too long", everything_else_there, NULL, &c_disagree,
	  "Each side takes the mailbox to be on the other; one of the tables is wrong.", ADMIN },
	{ "R48", "LOOP-RELAY", "a relayed domain, and its host is where this came from", relay_to_source, NULL,
	  &c_loop_relay, "The host of the relayed domain sent us mail for its own domain.", ADMIN },
	{ "R48", "DOMAIN-RELAY", "a relayed domain", relay_domain, to_domain_host, NULL,
	  "The domain is relayed to its own host.", NULL },
	{ "R50", "RELAY-DENIED", "external, from the Internet or a partner", external_from_stranger, NULL, &c_relay,
	  "Strangers may not send through us to other strangers.", SENDER },
	{ "R51", "RELAY-DENIED-PEER", "external, from the other side, central transport and peer_relay off",
	  external_peer_no_cmt, NULL, &c_relay_peer,
	  "Central transport is off, so the cloud's mail does not leave through us.", PEER_ADMIN },
	{ "R52", "ORG-UNVERIFIED", "external, from the other side, organisation not verified", external_peer_no_org,
	  NULL, &c_org, "The sender's certificate does not prove that it is our organisation.", PEER_ADMIN },
	{ "R53", "CMT-OUT", "external, from the other side, allowed, egress.cmt is not the cloud", cmt_out_for_peer,
	  to_egress_cmt, NULL, "The cloud's mail leaves through the on-prem side.", NULL },
	{ "R41", "DUPLICATEREDIRECT", "external, came back, and it was our own expansion that led there",
	  hairpin_own_expansion, drop, NULL,
	  "The recipient was reached by our own expansion and has the message already.", NULL },
	{ "R41", "LOOP-TOKEN", "external, would go back, and did before by our token, noticed a short time ago",
	  hairpin_loop_fresh, NULL, &c_loop_token_defer,
	  "The other side returned a recipient that had been handed to it; this may be mended yet.", PEER_ADMIN },
	{ "R41", "LOOP-TOKEN", "external, would go back, and our token says it did before", hairpin_token_seen, NULL,
	  &c_loop_token, "The other side returned a recipient that had been handed to it.", PEER_ADMIN },
	{ "R54", "CMT-HAIRPIN", "external, from the other side, egress.cmt is the cloud", hairpin, to_peer, NULL,
	  "After the on-prem policy the cloud sends it to the Internet.", NULL },
	{ "R55", "OUT", "external, from our own side", out_onprem, to_egress_onprem, NULL,
	  "Our own mail leaves by egress.onprem.", NULL },
	{ "R56", "CMT-FORWARD", "at the cloud, redirected to outside, central transport on", cmt_forward, to_peer, NULL,
	  "Forwarded mail passes the on-prem policy before it leaves.", NULL },
	{ "R58", "CMT-BYPASS", "as R58, and the other side is down and cmt.on_peer_down lets it pass", cmt_out_bypassed,
	  to_internet, NULL, "The on-prem side cannot be reached, and the policy lets this mail go without it.", NULL },
	{ "R58", "CMT-OUT", "at the cloud, external, central transport on", cmt_out_of_cloud, to_peer, NULL,
	  "With central transport on, mail leaves through the on-prem side.", NULL },
	{ "R57", "OUT", "at the cloud, external, allowed", always, to_internet, NULL,
	  "Mail leaves for the Internet from the cloud.", NULL },
};
enum { RULE_N = sizeof rules / sizeof rules[0] };

_Static_assert(RULE_N <= sizeof((struct route_trace *)0)->steps / sizeof(struct route_step), "room for every rule");

static struct reply reply_of(const struct codes *c, const unsigned short n[4])
{
	return (struct reply){ n[0], (unsigned char)n[1], n[2], n[3], c->text };
}

static void refuse(const struct route_facts *f, const struct codes *c, struct verdict *v)
{
	v->reply = reply_of(c, f->codes == CODES_STANDARD ? c->standard : f->site == SITE_CLOUD ? c->cloud : c->onprem);
	v->action = reply_is_transient(&v->reply) ? ROUTE_DEFER : ROUTE_REJECT;
}

static void note(struct route_trace *t, const struct rule *r, bool hit)
{
	if (t != NULL)
		t->steps[t->n++] = (struct route_step){ r->id, r->says, hit };
}

void route_decide(const struct route_facts *f, struct verdict *out, struct route_trace *trace)
{
	const struct rule *r = rules;

	if (trace != NULL)
		trace->n = 0;
	for (; !r->when(f); r++)
		note(trace, r, false);
	must(r < rules + RULE_N);
	note(trace, r, true);
	*out = (struct verdict){ .rule = r->id, .reason = r->reason, .cause = r->cause, .fixer = r->fixer };
	if (r->codes != NULL)
		refuse(f, r->codes, out);
	else
		r->then(f, out);
	/* a refused straggler is refused for its own reason; the mark is for mail that went the old way and arrived */
	out->straggler = is_straggler(f) && r->codes == NULL;
}

/* ---- the same, told ---- */

bool route_reason_at(size_t i, struct route_reason *out)
{
	if (i >= RULE_N)
		return false;
	const struct rule *r = &rules[i];
	*out = (struct route_reason){ .rule = r->id,
				      .reason = r->reason,
				      .says = r->says,
				      .cause = r->cause,
				      .fixer = r->fixer,
				      .refuses = r->codes != NULL };
	if (r->codes != NULL) {
		out->standard = reply_of(r->codes, r->codes->standard);
		out->onprem = reply_of(r->codes, r->codes->onprem);
		out->cloud = reply_of(r->codes, r->codes->cloud);
	}
	return true;
}

const char *route_cause(struct str rule, struct str reason)
{
	for (const struct rule *r = rules; r < rules + RULE_N; r++)
		if (str_eq(str_c(r->id), rule) && str_eq(str_c(r->reason), reason))
			return r->cause;
	return NULL;
}
