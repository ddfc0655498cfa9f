/* smtpd/spf_check.c: asks what routing/spf wants to know, address by address; see the header. */
#include "smtpd/spf_check.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

void spf_check_add(struct spf_check *k, const struct conf_list *addresses)
{
	for (size_t i = 0; i < addresses->n && k->n < SPF_EGRESS_MAX; i++)
		k->egress[k->n++] = addresses->v[i];
}

static void on_answer(struct op *op)
{
	struct spf_check *k = container_of(container_of(op, struct dns_lookup, op), struct spf_check, lookup);

	spf_tell(k->spf, &k->question, &k->lookup);
	if (!spf_check_go_on(k))
		k->done(k);
}

static void ask(struct spf_check *k)
{
	struct str name = str_c(k->question.name);

	switch (k->question.what) {
	case SPF_TXT:
		dns_lookup_txt(k->dns, k->loop, name, &k->lookup, on_answer);
		break;
	case SPF_HOST:
		dns_lookup_host(k->dns, k->loop, name, 25, &k->lookup, on_answer);
		break;
	case SPF_MX:
		dns_lookup_mx(k->dns, k->loop, name, 25, &k->lookup, on_answer);
		break;
	}
}

/* The first address that is not covered is told, before one that cannot be. */
static void judge(struct spf_check *k, enum spf_result r, const char *why)
{
	bool worse = r == SPF_NOT_COVERED ? k->result != SPF_NOT_COVERED : r == SPF_UNKNOWN && k->result == SPF_COVERED;

	if (k->at == 0 || worse) {
		k->result = r;
		snprintf(k->why, sizeof k->why, STR_FMT ": %s", STR_ARG(str_head(k->egress[k->at], 70)), why);
	}
}

bool spf_check_go_on(struct spf_check *k)
{
	char why[SPF_WHY];

	must(!op_is_open(&k->lookup.op));
	if (k->n == 0) {
		k->result = SPF_UNKNOWN;
		snprintf(k->why, sizeof k->why, "the addresses of that side are not configured (egress)");
		return false;
	}
	for (; k->at < k->n; k->at++) {
		enum spf_result r = spf_covers(k->spf, k->domain, k->egress[k->at], &k->question, why);
		if (r == SPF_ASK) {
			ask(k);
			return true;
		}
		judge(k, r, why);
	}
	return false;
}

void spf_check_fini(struct spf_check *k)
{
	dns_lookup_fini(&k->lookup);
}

size_t spf_check_sides(const struct config *c, bool cmt, const struct conf_list *lists[2], const char *names[2])
{
	const struct conf_egress_policy *e = &c->egress;
	size_t n = 0;

	if (e->onprem != EGRESS_CLOUD || (cmt && e->cmt != EGRESS_CLOUD)) {
		names[n] = "egress.onprem_addresses";
		lists[n++] = &e->onprem_addresses;
	}
	/* what the cloud sends itself: all without central transport, with it what is forwarded, or comes back to it */
	if (!cmt || e->onprem == EGRESS_CLOUD || e->cmt == EGRESS_CLOUD || c->mode.forwarded == FORWARDED_DIRECT) {
		names[n] = "egress.cloud_addresses";
		lists[n++] = &e->cloud_addresses;
	}
	return n;
}
