/* routing/import_ldif.c: recipients as an export of a directory (LDIF, RFC 2849; attributes of spec 2.3).
 *
 * Entries are separated by empty lines; a line that begins with a space continues the one before; "name:: x" is base64.
 * proxyAddresses gives the addresses (SMTP: is the primary, smtp: another, other types are ignored), the kind of object
 * and its target where the mailbox is.  Entries without any mail address (units, computers) are passed over. */
#include "routing/import.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 4 << 20, VALUES_MAX = 8 << 20 };

struct entry {
	struct rcpt_record rec;
	struct str addrs[RECORD_ADDRS_MAX];
	size_t line; /* its first */
	bool any, too_many, has_primary, has_loc, is_group, is_contact, target_bad;
	struct str mail;
};

struct ldif {
	struct import *im;
	struct import_lines *in;
	struct buf logical;  /* the line being unfolded */
	size_t logical_line; /* where it began */
	struct arena values; /* of the entry */
	struct buf decoded;  /* base64 */
	struct entry entry;
};

/* recipientTypeDetails: names as shown, numbers as stored.  MailUser (128) is not here: its target says where it is. */
static const struct {
	struct str name, number;
	enum rcpt_loc loc;
} types[] = {
	{ STR_LIT("UserMailbox"), STR_LIT("1"), LOC_LOCAL },
	{ STR_LIT("LinkedMailbox"), STR_LIT("2"), LOC_LOCAL },
	{ STR_LIT("SharedMailbox"), STR_LIT("4"), LOC_LOCAL },
	{ STR_LIT("LegacyMailbox"), STR_LIT("8"), LOC_LOCAL },
	{ STR_LIT("RoomMailbox"), STR_LIT("16"), LOC_LOCAL },
	{ STR_LIT("EquipmentMailbox"), STR_LIT("32"), LOC_LOCAL },
	{ STR_LIT("MailContact"), STR_LIT("64"), LOC_CONTACT },
	{ STR_LIT("MailUniversalDistributionGroup"), STR_LIT("256"), LOC_GROUP },
	{ STR_LIT("MailNonUniversalGroup"), STR_LIT("512"), LOC_GROUP },
	{ STR_LIT("MailUniversalSecurityGroup"), STR_LIT("1024"), LOC_GROUP },
	{ STR_LIT("DynamicDistributionGroup"), STR_LIT("2048"), LOC_GROUP },
	{ STR_LIT("PublicFolder"), STR_LIT("4096"), LOC_LOCAL },
	{ STR_LIT("RemoteUserMailbox"), STR_LIT("2147483648"), LOC_REMOTE },
	{ STR_LIT("RemoteRoomMailbox"), STR_LIT("8589934592"), LOC_REMOTE },
	{ STR_LIT("RemoteEquipmentMailbox"), STR_LIT("17179869184"), LOC_REMOTE },
	{ STR_LIT("RemoteSharedMailbox"), STR_LIT("34359738368"), LOC_REMOTE },
	{ STR_LIT("GroupMailbox"), STR_LIT("1099511627776"), LOC_GROUP },
};

/* ---- attributes ---- */

static void add_addr(struct entry *en, struct str address, bool primary)
{
	if (en->rec.addr_n >= RECORD_ADDRS_MAX) {
		en->too_many = true;
		return;
	}
	en->rec.addrs[en->rec.addr_n++] = address;
	if (primary && !en->has_primary) {
		en->rec.addrs[en->rec.addr_n - 1] = en->rec.addrs[0];
		en->rec.addrs[0] = address;
		en->has_primary = true;
	}
}

static void take_proxy(struct entry *en, struct str v)
{
	if (str_istarts(v, S("smtp:")))
		add_addr(en, str_skip(v, 5), str_starts(v, S("SMTP:")));
}

static void take_mail(struct entry *en, struct str v)
{
	en->mail = v;
}

/* Written with an upper-case "SMTP:" it still is only the target, never an address of the object. */
static struct str target(struct entry *en, struct str v)
{
	if (str_istarts(v, S("smtp:")))
		return str_skip(v, 5);
	en->target_bad |= str_chr(v, ':') >= 0;
	return v;
}

static void take_target(struct entry *en, struct str v)
{
	en->rec.routing = target(en, v);
}

static void take_forward(struct entry *en, struct str v)
{
	en->rec.redirect = target(en, v);
}

static bool is_true(struct str v)
{
	return str_ieq(v, S("TRUE")) || str_eq(v, S("1"));
}

static void take_keep(struct entry *en, struct str v)
{
	en->rec.keep_copy = is_true(v);
}

static void take_auth(struct entry *en, struct str v)
{
	en->rec.require_auth = is_true(v);
}

static void take_type(struct entry *en, struct str v)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (str_ieq(v, types[i].name) || str_eq(v, types[i].number)) {
			en->rec.loc = types[i].loc;
			en->has_loc = true;
		}
}

static void take_class(struct entry *en, struct str v)
{
	en->is_group |= str_ieq(v, S("group")) || str_ieq(v, S("groupOfNames"));
	en->is_contact |= str_ieq(v, S("contact"));
}

static void take_guid(struct entry *en, struct str v)
{
	en->rec.mailbox_id = v;
}

static const struct {
	struct str name;
	void (*take)(struct entry *en, struct str value);
} attributes[] = {
	{ STR_LIT("proxyAddresses"), take_proxy },
	{ STR_LIT("mail"), take_mail },
	{ STR_LIT("targetAddress"), take_target },
	{ STR_LIT("ExternalEmailAddress"), take_target },
	{ STR_LIT("ExchangeGuid"), take_guid },
	{ STR_LIT("msExchMailboxGuid"), take_guid },
	{ STR_LIT("recipientTypeDetails"), take_type },
	{ STR_LIT("msExchRecipientTypeDetails"), take_type },
	{ STR_LIT("objectClass"), take_class },
	{ STR_LIT("ForwardingSmtpAddress"), take_forward },
	{ STR_LIT("msExchGenericForwardingAddress"), take_forward },
	{ STR_LIT("DeliverToMailboxAndForward"), take_keep },
	{ STR_LIT("deliverAndRedirect"), take_keep },
	{ STR_LIT("RequireSenderAuthenticationEnabled"), take_auth },
	{ STR_LIT("msExchRequireAuthToSendTo"), take_auth },
};

/* ---- values ---- */

static int base64_digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : chr_is_digit(c)      ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

static bool decode_base64(struct str s, struct buf *out)
{
	unsigned bits = 0, held = 0;

	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		int d = base64_digit(s.p[i]);
		if (d < 0)
			return false;
		held = (held << 6 | (unsigned)d) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(out, (char)(held >> bits & 255));
		}
	}
	return !out->full && s.n % 4 != 1;
}

/* A GUID as bytes (first three groups little-endian) or text in braces becomes one text form; all zero is none. */
static void normal_guid(struct ldif *l, struct str *id)
{
	static const unsigned char order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct buf text;
	bool zero = true;

	buf_init(&text, 600);
	if (id->n == 16) {
		for (size_t i = 0; i < 16; i++)
			buf_addf(&text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				 (unsigned char)id->p[order[i]]);
	} else {
		if (id->n > 2 && id->p[0] == '{' && id->p[id->n - 1] == '}')
			*id = str_head(str_skip(*id, 1), id->n - 2);
		for (size_t i = 0; i < id->n; i++)
			buf_addc(&text, chr_lower(id->p[i]));
	}
	for (size_t i = 0; i < text.n; i++)
		zero = zero && (text.p[i] == '0' || text.p[i] == '-');
	must(arena_dup(&l->values, zero ? STR_NONE : buf_str(&text), id));
	buf_fini(&text);
}

/* ---- entries ---- */

static enum rcpt_loc guess_loc(struct ldif *l, const struct entry *en)
{
	struct buf name;
	struct str domain = str_skip(en->rec.routing, (size_t)(str_rchr(en->rec.routing, '@') + 1));

	if (en->is_group)
		return LOC_GROUP;
	if (en->is_contact)
		return LOC_CONTACT;
	if (en->rec.routing.n == 0)
		return LOC_LOCAL;
	buf_init(&name, 512); /* a mail user: on the other side when the target is in a domain of ours */
	bool ours = addr_normalize_domain(domain, &name) && domain_find(l->im->domains, buf_str(&name)) != NULL;
	buf_fini(&name);
	return ours ? LOC_REMOTE : LOC_CONTACT;
}

static void end_entry(struct ldif *l)
{
	struct entry *en = &l->entry;

	if (en->mail.n > 0)
		add_addr(en, en->mail, !en->has_primary);
	if (en->any && en->rec.addr_n > 0) {
		l->im->report.rows++;
		if (en->rec.mailbox_id.n > 0)
			normal_guid(l, &en->rec.mailbox_id);
		if (!en->has_loc)
			en->rec.loc = guess_loc(l, en);
		en->rec.primary = en->rec.addrs[0];
		if (en->too_many)
			import_problem(l->im, en->line, "more than 1000 addresses");
		else if (en->target_bad)
			import_problem(l->im, en->line, "the target is not an SMTP address");
		else
			import_add(l->im, en->line, &en->rec);
	}
	arena_fini(&l->values);
	memset(en, 0, offsetof(struct entry, addrs));
	memset(&en->line, 0, sizeof *en - offsetof(struct entry, line));
	en->rec.addrs = en->addrs;
}

static bool take_value(struct ldif *l, struct str *value)
{
	if (value->n > 0 && value->p[0] == '<') {
		import_problem(l->im, l->logical_line, "a value by URL is not read");
		return false;
	}
	if (value->n > 0 && value->p[0] == ':') {
		buf_reset(&l->decoded);
		if (!decode_base64(str_trim(str_skip(*value, 1)), &l->decoded)) {
			import_problem(l->im, l->logical_line, "not base64");
			return false;
		}
		*value = buf_str(&l->decoded);
	} else {
		*value = str_trim(*value);
	}
	if (!arena_dup(&l->values, *value, value)) {
		import_problem(l->im, l->logical_line, "the entry is too big");
		return false;
	}
	return true;
}

static void take_line(struct ldif *l)
{
	struct str line = buf_str(&l->logical), name, value, options;

	if (line.n == 0 || line.p[0] == '#')
		return;
	if (!str_cut(line, ':', &name, &value)) {
		import_problem(l->im, l->logical_line, "not \"attribute: value\"");
		return;
	}
	str_cut(name, ';', &name, &options);
	if (!l->entry.any)
		l->entry.line = l->logical_line;
	l->entry.any |= str_ieq(name, S("dn"));
	if (str_ieq(name, S("changetype")) && !str_ieq(str_trim(value), S("add")))
		import_problem(l->im, l->logical_line, "changes are not read, only whole entries");
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		if (str_ieq(name, attributes[i].name) && take_value(l, &value) && value.n > 0)
			attributes[i].take(&l->entry, value);
}

void import_ldif(struct import *im, struct import_lines *in)
{
	struct ldif *l = calloc(1, sizeof *l);
	struct str line;

	must(l != NULL);
	*l = (struct ldif){ .im = im, .in = in };
	l->entry.rec.addrs = l->entry.addrs;
	buf_init(&l->logical, ENTRY_MAX);
	buf_init(&l->decoded, ENTRY_MAX);
	arena_init(&l->values, VALUES_MAX);
	while (import_line(in, &line)) {
		if (line.n > 0 && line.p[0] == ' ') {
			buf_add(&l->logical, str_skip(line, 1));
			continue;
		}
		take_line(l);
		buf_reset(&l->logical);
		buf_add(&l->logical, line);
		l->logical_line = in->line;
		if (line.n == 0)
			end_entry(l);
	}
	take_line(l);
	end_entry(l);
	buf_fini(&l->logical);
	buf_fini(&l->decoded);
	arena_fini(&l->values);
	free(l);
}
