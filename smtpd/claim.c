/* smtpd/claim.c: the claim in a header; see the header. */
#include "smtpd/claim.h"

#include <stdio.h>

/* A value that does not fit, or differs from the one before, is kept as one that nothing equals. */
static void take_value(char *to, size_t room, bool *seen, struct str raw)
{
	static const char nobody[] = "?";
	struct buf value;

	buf_init(&value, 4096);
	header_unfold(raw, &value);
	if (value.full || value.n >= room || str_chr(buf_str(&value), '\0') >= 0 ||
	    (*seen && !str_ieq(str_c(to), buf_str(&value))))
		snprintf(to, room, "%s", nobody);
	else if (!*seen)
		snprintf(to, room, "%s", buf_cstr(&value));
	*seen = true;
	buf_fini(&value);
}

void claim_take(struct claim *c, const struct header_field *f)
{
	if (header_name_is(f->name, S("X-OriginatorOrg")))
		take_value(c->org, sizeof c->org, &c->org_seen, f->value);
	else if (header_name_is(f->name, S("X-MS-Exchange-CrossPremises-AuthAs")))
		take_value(c->auth_as, sizeof c->auth_as, &c->auth_seen, f->value);
}
