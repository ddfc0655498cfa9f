/* connectors/response.c: the table, most specific first.  Codes: spec 5.1. */
#include "connectors/response.h"

#include "base/must.h"

#define OTHER_SIDE "administrator of the other side"

static const struct response_rule rules[] = {
	/* it does not know us: certificate renewed, address changed, connector gone */
	{ 500, 599, 7, 64, 64, RESPONSE_TO_ANY, true, RESPONSE_HOLD, "the other side does not accept this gateway",
	  OTHER_SIDE, "compare our certificate with the names in the inbound connector of the other side" },
	{ 500, 599, 7, 57, 57, RESPONSE_TO_ANY, true, RESPONSE_HOLD,
	  "the other side wants this gateway to authenticate", OTHER_SIDE,
	  "let the receive connector of the other side accept our certificate or address" },
	{ 500, 599, 7, 68, 68, RESPONSE_TO_ANY, true, RESPONSE_HOLD, "the other side takes this gateway for a stranger",
	  OTHER_SIDE, "make an inbound connector for this gateway: direct sending is refused" },
	{ 500, 599, 7, 51, 51, RESPONSE_TO_ANY, true, RESPONSE_HOLD,
	  "a partner connector of the other side restricts who may send", OTHER_SIDE,
	  "the restricted partner connector there must name our certificate or address" },
	{ 500, 599, 7, 606, 649, RESPONSE_TO_ANY, true, RESPONSE_HOLD, "our address is blocked by the other side",
	  "administrator", "ask the other side to take our address off its block list" },
	{ 500, 599, 7, 703, 708, RESPONSE_TO_ANY, true, RESPONSE_HOLD,
	  "the other side has blocked the whole organisation", OTHER_SIDE, "see its security portal for the reason" },
	{ 500, 599, 7, 750, 750, RESPONSE_TO_ANY, true, RESPONSE_HOLD,
	  "the other side has blocked mail from domains it does not know", OTHER_SIDE,
	  "add the domains we send from to the accepted domains there" },
	{ 500, 599, 7, 230, 230, RESPONSE_TO_ANY, true, RESPONSE_HOLD,
	  "the other side blocks the out-of-date server that this mail comes from", "administrator",
	  "update that server, or pause the blocking at the other side" },
	/* it wants less, or something else is to be mended before it wants more */
	{ 400, 499, 7, 230, 230, RESPONSE_TO_ANY, true, RESPONSE_SLOW,
	  "the other side slows down the out-of-date server that this mail comes from", "administrator",
	  "update that server, or pause the throttling at the other side" },
	{ 400, 499, 7, 500, 699, RESPONSE_TO_ANY, false, RESPONSE_SLOW,
	  "the other side limits mail from this gateway for now", "administrator",
	  "look for a flood of mail through this gateway" },
	{ 400, 499, 7, 850, 899, RESPONSE_TO_ANY, false, RESPONSE_SLOW,
	  "the other side limits mail from this gateway for now", "administrator",
	  "look for a flood of mail through this gateway" },
	/* recipients, in all spellings: RFC 5321 4.5.3.1.10, RFC 3463 x.5.3 */
	{ 452, 452, -1, 0, 0, RESPONSE_TO_RCPT, false, RESPONSE_SPLIT, NULL, NULL, NULL },
	{ 552, 552, -1, 0, 0, RESPONSE_TO_RCPT, false, RESPONSE_SPLIT, NULL, NULL, NULL },
	{ 400, 599, 5, 3, 3, RESPONSE_TO_RCPT, false, RESPONSE_SPLIT, NULL, NULL, NULL },
	/* the server as such is not well */
	{ 400, 499, 3, 2, 2, RESPONSE_TO_MAIL, false, RESPONSE_NEXT_HOST, NULL, NULL, NULL },
};

const struct response_rule *response_find(const struct reply *r, enum response_to to, bool ours)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct response_rule *rule = &rules[i];
		if (r->code < rule->code_least || r->code > rule->code_most || (rule->to & to) == 0 ||
		    (rule->ours && !ours))
			continue;
		if (rule->subject < 0 || (r->class != 0 && r->subject == rule->subject &&
					  r->detail >= rule->detail_least && r->detail <= rule->detail_most))
			return rule;
	}
	return NULL;
}

const char *response_act_name(enum response_act a)
{
	static const char *const names[RESPONSE_N] = {
		[RESPONSE_HOLD] = "hold",
		[RESPONSE_SLOW] = "slow",
		[RESPONSE_SPLIT] = "split",
		[RESPONSE_NEXT_HOST] = "next-host",
	};

	must((size_t)a < RESPONSE_N);
	return names[a];
}
