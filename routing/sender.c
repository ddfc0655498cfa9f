/* routing/sender.c: lists of senders; see the header. */
#include "routing/sender.h"

const char *sender_normalize(const struct domain_set *s, struct str raw, struct buf *list)
{
	struct str entry;
	size_t n = 0;

	while (raw.n > 0) {
		str_cut(raw, ';', &entry, &raw);
		entry = str_trim(entry);
		if (entry.n == 0)
			continue;
		if (n++ > 0)
			buf_addc(list, ';');
		if (n > SENDERS_MAX)
			return "more than 1000 senders";
		bool domain = entry.p[0] == '@';
		if (domain)
			buf_addc(list, '@');
		if (!(domain ? addr_normalize_domain(str_skip(entry, 1), list) : domain_normalize(s, entry, list)))
			return "a sender is neither an address nor @domain";
	}
	return list->full ? "the list of senders is too long" : NULL;
}

bool sender_is_in(struct str list, struct str sender)
{
	struct str entry, domain;
	ssize_t at = str_rchr(sender, '@');

	if (at < 0)
		return false;
	domain = str_skip(sender, (size_t)at);
	while (list.n > 0) {
		str_cut(list, ';', &entry, &list);
		if (str_eq(entry, entry.n > 0 && entry.p[0] == '@' ? domain : sender))
			return true;
	}
	return false;
}
