/* smtpd/ident.c: the names a message brings along; see the header. */
#include "smtpd/ident.h"

#include <string.h>

enum { KEPT_MAX = 400 };

static void keep_text(struct str *to, struct arena *a, struct str raw)
{
	char room[KEPT_MAX + 1];
	struct buf b = { .p = room, .cap = sizeof room, .max = KEPT_MAX };

	if (to->p != NULL)
		return; /* the first one counts, as it does in mail programs */
	header_unfold(str_head(raw, KEPT_MAX), &b);
	arena_dup(a, buf_str(&b), to); /* without memory it has no name */
}

static bool is_guid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = chr_lower(s.p[i]);
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? c != '-' : !chr_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
	}
	return s.n == GUID_SIZE - 1;
}

/* Two fields: which of them the next server believes cannot be known, so neither counts; "?" is no GUID. */
static void keep_guid(char to[GUID_SIZE], struct str raw)
{
	char room[GUID_SIZE + 8];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	header_unfold(raw, &b);
	if (to[0] != '\0' || b.full || !is_guid(buf_str(&b))) {
		memcpy(to, "?", 2);
		return;
	}
	for (size_t i = 0; i < b.n; i++)
		to[i] = chr_lower(b.p[i]);
	to[b.n] = '\0';
}

void ident_take(struct ident *i, struct arena *a, const struct header_field *f)
{
	switch (f->name.n) { /* most fields have another length: nothing is compared */
	case sizeof "Message-ID" - 1:
		if (header_name_is(f->name, S("Message-ID")))
			keep_text(&i->message_id, a, f->value);
		break;
	case sizeof "Subject" - 1:
		if (i->want_subject && header_name_is(f->name, S("Subject")))
			keep_text(&i->subject, a, f->value);
		break;
	case sizeof "X-MS-Exchange-Organization-Network-Message-Id" - 1:
		if (header_name_is(f->name, S("X-MS-Exchange-Organization-Network-Message-Id")))
			keep_guid(i->organization, f->value);
		break;
	case sizeof "X-MS-Exchange-CrossPremises-Network-Message-Id" - 1:
		if (header_name_is(f->name, S("X-MS-Exchange-CrossPremises-Network-Message-Id")))
			keep_guid(i->cross, f->value);
		break;
	default:
		break;
	}
}

struct str ident_network_id(const struct ident *i, enum header_trust trust)
{
	bool server = trust == TRUST_SERVER, peer = trust == TRUST_PEER;

	if (server && is_guid(str_c(i->organization)))
		return str_c(i->organization);
	if ((server || peer) && is_guid(str_c(i->cross)))
		return str_c(i->cross);
	return STR_NONE;
}
