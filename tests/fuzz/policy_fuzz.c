/* tests/fuzz/policy_fuzz.c: what a peer's or a sealer's header says, any bytes: an address that is one and is the same
 * when said twice; a vouching chain only where the text speaks of DMARC; a field of ours that is one field. */
#include "auth/policy.h"
#include "tests/fuzz/fuzz.h"
#include "wire/authres.h"

#include <string.h>

static void check_original(struct str in)
{
	static const struct str names[] = { STR_LIT("X-MS-Exchange-ExternalOriginalInternetSender"),
					    STR_LIT("x-ms-exchange-crosspremises-originalclientipaddress") };

	for (size_t i = 0; i < 2; i++) {
		struct policy_original o = { 0 };
		policy_original_add(&o, names[i], in);
		must(o.rank == 2 - i);
		if (o.ambiguous)
			continue;
		must(net_same_ip(&o.addr, &o.addr));
		policy_original_add(&o, names[i], in);
		must(!o.ambiguous);
		policy_original_add(&o, names[i], S("ip=[192.0.2.77"));
		must(o.ambiguous);
	}
}

static void check_vouch(struct str in)
{
	struct str trusted = S("lists.example");
	const struct conf_list list = { &trusted, 1 };
	const struct arc_link link = { .domain = trusted, .results = in };
	const struct arc_result arc = { .verdict = ARC_PASS, .links = 1, .v = &link };
	char why[300];

	if (policy_arc_vouches(&arc, &list, "x.example", why, sizeof why)) {
		bool says = false;
		for (; in.n > 0 && !says; in = str_skip(in, 1))
			says = str_istarts(in, S("dmarc"));
		must(says);
	}
}

static void check_said(struct str in)
{
	static struct authres r;
	struct authres_result a;
	struct policy_sig sig = { "fail", in, in, in, in };
	struct dmarc_result d = { .verdict = DMARC_FAIL, .author = "x.example" };
	const struct policy_said s = {
		.id = S("mx.ours.example"), .spf = "fail", .identity = in, .sigs = &sig, .sig_n = 1, .dmarc = &d
	};
	struct buf b;
	unsigned n = 0;

	memcpy(d.why, in.p, in.n < sizeof d.why ? in.n : sizeof d.why - 1);
	buf_init(&b, 16384);
	policy_results(&s, &b);
	must(!b.full && authres_open(&r, str_skip(buf_str(&b), sizeof "Authentication-Results:" - 1)));
	while (authres_next(&r, &a) == 1) {
		must(str_eq(a.result, S("fail")));
		n++;
	}
	must(n == 3 && r.rest.n == 0);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);

	check_original(in);
	check_vouch(in);
	if (n > 0)
		check_said(in);
	return 0;
}
