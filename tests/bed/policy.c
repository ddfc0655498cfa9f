/* tests/bed/policy.c: accept, trace field, send: the order of the product. */
#include "tests/bed/policy.h"

#include "base/must.h"
#include "tests/kit/firewall.h"

_Static_assert((int)POLICY_CLIENT == (int)TRUST_CLIENT && (int)POLICY_TO_INTERNAL == (int)TARGET_INTERNAL,
	       "the same words in the same order");

void policy_pass(const struct policy_hop *h, struct buf *text)
{
	const struct header_in in = { .trust = (enum header_trust)h->trust, .sender_ours = h->sender_ours };
	const struct header_out out = { .target = (enum header_target)h->target, .endpoint = h->endpoint };
	const struct header_added added = {
		.trust = in.trust, .sender_ours = h->sender_ours, .gateway = h->gateway, .org = h->org
	};
	struct firewall f;
	struct buf traced;

	firewall_init(&f, h->gateway);
	firewall_accept(&f, &in, buf_str(text));
	buf_init(&traced, text->max);
	buf_add(&traced, h->trace);
	buf_add(&traced, buf_str(&f.text));
	buf_fini(&f.text);
	f.text = traced;
	firewall_send(&f, &out, &added);
	buf_reset(text);
	buf_add(text, buf_str(&f.text));
	must(!text->full);
	firewall_fini(&f);
}
