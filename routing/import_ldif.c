/* routing/import_ldif.c: recipients as an export of a directory (LDIF, RFC 2849; attributes of spec 2.3).
 *
 * Entries are separated by empty lines; a line that begins with a space continues the one before; "name:: x" is base64.
 * proxyAddresses gives the addresses (SMTP: is the primary, smtp: another, other types are ignored), the kind of object
 * and its target where the mailbox is.  Entries without any mail address (units, computers) are passed over.
 *
 * Members, owners and permitted senders are named by DN.  Entries with such names wait until all of the file has been
 * read: then every DN has its address.  A DN is kept as a hash of 128 bits, so 600,000 of them are 20 MB. */
#include "routing/import.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 4 << 20, VALUES_MAX = 64 << 20, KEPT_MAX_GIB = 4, DN_MAX = 4096 };

static const char too_big[] = "the entry is too big";
static const char no_room[] = "too many entries refer to others";

struct dn {
	uint64_t hash[2];
};

struct dn_row { /* an entry of the file */
	struct dn dn;
	struct str primary; /* empty: it has no address */
};

enum ref_kind { REF_MEMBER, REF_OWNER, REF_ALLOW, REF_DENY, REF_REDIRECT };

struct ref { /* one entry names another */
	struct dn dn;
	enum ref_kind kind;
};

struct entry {
	struct rcpt_record rec;
	struct str addrs[RECORD_ADDRS_MAX];
	size_t line; /* its first */
	bool any, too_many, has_primary, has_loc, is_group, is_contact, target_bad, range_open;
	bool to_owner, to_sender, not_to_sender;
	struct str mail, dn;
	size_t ref_n; /* of its names, in ldif.refs from ref_at */
	size_t ref_at;
	struct buf members; /* those given by address */
};

struct waiting { /* a record with names, until all of them are known */
	struct rcpt_record rec;
	size_t line, ref_at, ref_n;
};

struct ldif {
	struct import *im;
	struct import_lines *in;
	struct buf logical;  /* the line being unfolded */
	size_t logical_line; /* where it began */
	struct arena values; /* of the entry */
	struct buf decoded;  /* base64 */
	struct entry entry;
	struct arena kept; /* what outlives its entry */
	struct dn_row *dns;
	size_t dn_n, dn_cap;
	struct ref *refs;
	size_t ref_n, ref_cap;
	struct waiting *waiting;
	size_t waiting_n, waiting_cap;
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

static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 1024 : *cap * 2;
	v = realloc(v, *cap * size);
	must(v != NULL);
	return v;
}

/* "CN=Ann, OU=x" and "cn=ann,ou=x" are one name. */
static bool hash_dn(struct str dn, struct dn *out)
{
	char room[DN_MAX];
	size_t n = 0;

	if (dn.n > sizeof room)
		return false;
	for (size_t i = 0; i < dn.n; i++) {
		char c = dn.p[i];
		bool joint = c == ',' || c == '=' || c == '+' || c == ';';
		while (joint && n > 0 && room[n - 1] == ' ' && !(n > 1 && room[n - 2] == '\\'))
			n--;
		if (c == ' ' && (n == 0 || strchr(",=+;", room[n - 1]) != NULL))
			continue;
		room[n++] = chr_lower(c);
	}
	out->hash[0] = str_hash(str_n(room, n), 0);
	out->hash[1] = str_hash(str_n(room, n), 1);
	return true;
}

static void add_ref(struct ldif *l, enum ref_kind kind, struct str name)
{
	struct ref ref = { .kind = kind };

	if (!hash_dn(name, &ref.dn)) {
		import_problem(l->im, l->logical_line, "a name of more than %d bytes", DN_MAX);
		return;
	}
	l->refs = grow(l->refs, l->ref_n, &l->ref_cap, sizeof *l->refs);
	l->refs[l->ref_n++] = ref;
	l->entry.ref_n++;
}

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

static void take_proxy(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	if (str_istarts(v, S("smtp:")))
		add_addr(en, str_skip(v, 5), str_starts(v, S("SMTP:")));
}

static void take_mail(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

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

static void take_target(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->rec.routing = target(en, v);
}

static void take_forward(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->rec.redirect = target(en, v);
}

static bool is_true(struct str v)
{
	return str_ieq(v, S("TRUE")) || str_eq(v, S("1"));
}

static void take_keep(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->rec.keep_copy = is_true(v);
}

static void take_auth(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->rec.require_auth = is_true(v);
}

static void take_type(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (str_ieq(v, types[i].name) || str_eq(v, types[i].number)) {
			en->rec.loc = types[i].loc;
			en->has_loc = true;
		}
}

static void take_class(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->is_group |= str_ieq(v, S("group")) || str_ieq(v, S("groupOfNames"));
	en->is_contact |= str_ieq(v, S("contact"));
}

static void take_guid(struct ldif *l, struct str v)
{
	struct entry *en = &l->entry;

	en->rec.mailbox_id = v;
}

static void take_dn(struct ldif *l, struct str v)
{
	l->entry.dn = v;
}

/* By DN, or by address (rfc822MailMember, and tools that write one into `member`). */
static void take_member(struct ldif *l, struct str v)
{
	if (str_chr(v, '=') >= 0 || str_chr(v, '@') < 0) {
		add_ref(l, REF_MEMBER, v);
		return;
	}
	buf_add(&l->entry.members, v);
	buf_addc(&l->entry.members, '\n');
}

static void take_owner(struct ldif *l, struct str v)
{
	add_ref(l, REF_OWNER, v);
}

static void take_allowed(struct ldif *l, struct str v)
{
	add_ref(l, REF_ALLOW, v);
}

static void take_denied(struct ldif *l, struct str v)
{
	add_ref(l, REF_DENY, v);
}

static void take_alternate(struct ldif *l, struct str v)
{
	add_ref(l, REF_REDIRECT, v);
}

static void take_to_owner(struct ldif *l, struct str v)
{
	l->entry.to_owner = is_true(v);
}

static void take_to_sender(struct ldif *l, struct str v)
{
	l->entry.to_sender = is_true(v);
	l->entry.not_to_sender = !is_true(v);
}

static const struct {
	struct str name;
	void (*take)(struct ldif *l, struct str value);
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
	{ STR_LIT("dn"), take_dn },
	{ STR_LIT("member"), take_member },
	{ STR_LIT("rfc822MailMember"), take_member },
	{ STR_LIT("managedBy"), take_owner },
	{ STR_LIT("authOrig"), take_allowed },
	{ STR_LIT("unauthOrig"), take_denied },
	{ STR_LIT("altRecipient"), take_alternate },
	{ STR_LIT("reportToOwner"), take_to_owner },
	{ STR_LIT("reportToOriginator"), take_to_sender },
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
static bool normal_guid(struct ldif *l, struct str *id)
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
	bool kept = !text.full && arena_dup(&l->values, zero ? STR_NONE : buf_str(&text), id);
	buf_fini(&text);
	return kept;
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

/* The entry can be named by others, with an address or without. */
static bool keep_dn(struct ldif *l, const struct entry *en)
{
	struct dn_row row = { .primary = STR_NONE };

	if (en->dn.n == 0 || !hash_dn(en->dn, &row.dn))
		return true;
	if (en->rec.addr_n > 0 && !arena_dup(&l->kept, en->rec.addrs[0], &row.primary))
		return false;
	l->dns = grow(l->dns, l->dn_n, &l->dn_cap, sizeof *l->dns);
	l->dns[l->dn_n++] = row;
	return true;
}

/* A copy that outlives the entry. */
static bool keep_waiting(struct ldif *l, const struct entry *en)
{
	struct waiting w = { .rec = en->rec, .line = en->line, .ref_at = en->ref_at, .ref_n = en->ref_n };
	struct str *const texts[] = { &w.rec.routing, &w.rec.mailbox_id, &w.rec.redirect, &w.rec.members };
	struct str *addrs = arena_alloc(&l->kept, en->rec.addr_n * sizeof *addrs);
	bool kept = addrs != NULL;

	for (size_t i = 0; kept && i < en->rec.addr_n; i++)
		kept = arena_dup(&l->kept, en->rec.addrs[i], &addrs[i]);
	for (size_t i = 0; kept && i < sizeof texts / sizeof *texts; i++)
		kept = arena_dup(&l->kept, *texts[i], texts[i]);
	if (!kept)
		return false;
	w.rec.addrs = addrs;
	w.rec.primary = addrs[0];
	l->waiting = grow(l->waiting, l->waiting_n, &l->waiting_cap, sizeof *l->waiting);
	l->waiting[l->waiting_n++] = w;
	return true;
}

static const char *entry_problem(const struct entry *en)
{
	if (en->too_many)
		return "more than 1000 addresses";
	if (en->target_bad)
		return "the target is not an SMTP address";
	if (en->to_owner && en->to_sender)
		return "reports go to the owner or to the sender, not to both";
	if (en->range_open)
		return "the list of members is cut: the directory gave the first of them only (range)";
	if (en->members.full)
		return "the list of members is too long";
	return NULL;
}

static void add_entry(struct ldif *l, struct entry *en)
{
	const char *problem = entry_problem(en);

	l->im->report.rows++;
	if (en->rec.mailbox_id.n > 0 && !normal_guid(l, &en->rec.mailbox_id))
		problem = too_big;
	if (!en->has_loc)
		en->rec.loc = guess_loc(l, en);
	if (en->to_owner || en->not_to_sender)
		en->rec.report_to = en->to_owner ? REPORT_OWNER : REPORT_NONE;
	en->rec.primary = en->rec.addrs[0];
	en->rec.members = buf_str(&en->members);
	if (problem != NULL)
		import_problem(l->im, en->line, "%s", problem);
	else if (en->ref_n > 0 && !keep_waiting(l, en))
		import_problem(l->im, en->line, "%s", no_room);
	else if (en->ref_n == 0)
		import_add(l->im, en->line, &en->rec);
}

static void end_entry(struct ldif *l)
{
	struct entry *en = &l->entry;

	if (en->mail.n > 0)
		add_addr(en, en->mail, !en->has_primary);
	if (!keep_dn(l, en))
		import_problem(l->im, en->line, "%s", no_room);
	if (en->any && en->rec.addr_n > 0)
		add_entry(l, en);
	arena_fini(&l->values);
	buf_fini(&en->members);
	memset(en, 0, offsetof(struct entry, addrs));
	memset(&en->line, 0, sizeof *en - offsetof(struct entry, line));
	en->rec.addrs = en->addrs;
	en->ref_at = l->ref_n;
	buf_init(&en->members, VALUES_MAX);
}

/* ---- names become addresses ---- */

static int by_dn(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct dn));
}

static const struct dn_row *find_dn(const struct ldif *l, const struct dn *dn)
{
	return l->dn_n == 0 ? NULL : bsearch(dn, l->dns, l->dn_n, sizeof *l->dns, by_dn);
}

static void resolve_ref(struct rcpt_record *rec, struct buf lists[3], enum ref_kind kind, struct str address)
{
	switch (kind) {
	case REF_MEMBER:
	case REF_ALLOW:
	case REF_DENY:
		buf_add(&lists[kind == REF_MEMBER ? 0 : kind == REF_ALLOW ? 1 : 2], address);
		buf_addc(&lists[kind == REF_MEMBER ? 0 : kind == REF_ALLOW ? 1 : 2], ';');
		break;
	case REF_OWNER:
		if (rec->owner.n == 0) /* several owners: reports go to the first */
			rec->owner = address;
		break;
	case REF_REDIRECT:
		rec->redirect = address;
		break;
	}
}

/* Names of entries without an address are people without mail, and passed over; names that are not in the file at all
 * are said: it may have been exported with a filter. */
static void add_waiting(struct ldif *l, struct waiting *w)
{
	struct buf lists[3];
	size_t missing = 0;
	bool lost = false;

	for (size_t i = 0; i < 3; i++)
		buf_init(&lists[i], VALUES_MAX);
	buf_add(&lists[0], w->rec.members);
	for (size_t i = 0; i < w->ref_n; i++) {
		const struct ref *ref = &l->refs[w->ref_at + i];
		const struct dn_row *row = find_dn(l, &ref->dn);
		missing += row == NULL;
		lost |= ref->kind == REF_REDIRECT && (row == NULL || row->primary.n == 0);
		if (row != NULL && row->primary.n > 0)
			resolve_ref(&w->rec, lists, ref->kind, row->primary);
	}
	w->rec.members = buf_str(&lists[0]);
	w->rec.allow = buf_str(&lists[1]);
	w->rec.deny = buf_str(&lists[2]);
	if (missing > 0)
		import_warn(l->im, w->line, STR_FMT ": %zu of the entries it names are not in this file",
			    STR_ARG(w->rec.primary), missing);
	if (lost)
		import_problem(l->im, w->line, STR_FMT ": forwards to an entry that has no address in this file",
			       STR_ARG(w->rec.primary));
	else if (lists[0].full || lists[1].full || lists[2].full)
		import_problem(l->im, w->line, STR_FMT ": too many names", STR_ARG(w->rec.primary));
	else
		import_add(l->im, w->line, &w->rec);
	for (size_t i = 0; i < 3; i++)
		buf_fini(&lists[i]);
}

static void add_all_waiting(struct ldif *l)
{
	if (l->waiting_n > 0 && l->dn_n > 0)
		qsort(l->dns, l->dn_n, sizeof *l->dns, by_dn);
	for (size_t i = 0; i < l->waiting_n; i++)
		add_waiting(l, &l->waiting[i]);
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
		import_problem(l->im, l->logical_line, "%s", too_big);
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
	if (str_ieq(name, S("member")) && str_istarts(options, S("range=")))
		l->entry.range_open = !str_ends(options, S("*"));
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		if (str_ieq(name, attributes[i].name) && take_value(l, &value) && value.n > 0)
			attributes[i].take(l, value);
}

void import_ldif(struct import *im, struct import_lines *in)
{
	struct ldif *l = calloc(1, sizeof *l);
	struct str line;

	must(l != NULL);
	*l = (struct ldif){ .im = im, .in = in };
	l->entry.rec.addrs = l->entry.addrs;
	buf_init(&l->entry.members, VALUES_MAX);
	arena_init(&l->kept, (size_t)KEPT_MAX_GIB << 30);
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
	add_all_waiting(l);
	buf_fini(&l->entry.members);
	arena_fini(&l->kept);
	free(l->dns);
	free(l->refs);
	free(l->waiting);
	buf_fini(&l->logical);
	buf_fini(&l->decoded);
	arena_fini(&l->values);
	free(l);
}
