/* tests/bed/journal.c: P15: both gateways keep a journal of everything; whatever way a message takes, the archive gets
 * one report about it, from the gateway that had it first, by the journals' own connector.  Both gateways have the keys
 * of route tokens: strangers' mail crosses without a claim, and only a signature can say that it is in the archive. */
#include "tests/bed/part.h"

#include <stdio.h>

enum { WAIT_MS = 15000 };

void part_await_reports(struct part *p)
{
	if (p->journals)
		part_check(p, bed_settle(p->bed, WAIT_MS), "journal: reports still wait");
}

/* Delivery reports quote the message: they are told apart by the sender in the journal's first lines. */
static unsigned count_reports(const struct bed *b, struct str id, struct str from)
{
	char mark[60], sender[140];
	unsigned n = 0;

	snprintf(mark, sizeof mark, "X-Bed: " STR_FMT "\r\n", STR_ARG(id));
	snprintf(sender, sizeof sender, "\r\n\r\nSender: " STR_FMT "\r\n", STR_ARG(from.n > 0 ? from : S("<>")));
	for (size_t i = 0; i < b->arrival_n; i++) {
		const struct arrival *a = &b->arrivals[i];
		n += a->where == HOST_ARCHIVE && str_find(a->content, str_c(mark)) >= 0 &&
		     str_find(a->content, str_c(sender)) >= 0;
	}
	return n;
}

void part_judge_reports(struct part *p, struct str id, struct str from, bool taken)
{
	const struct bed *b = p->bed;

	if (!p->journals)
		return;
	unsigned n = count_reports(b, id, from);
	/* a gateway that takes the other one for a stranger believes nobody's mark, and without a key nobody can prove
	 * it of a stranger's mail, nor past a relay that hides it: they report for themselves */
	bool once = !b->variant.stranger && !b->variant.no_token && !b->variant.keeps_token;
	part_check(p, once ? n == taken : n >= taken, STR_FMT ": %u journal reports, not %d", STR_ARG(id), n, taken);
	for (size_t i = 0; i < b->arrival_n; i++) {
		const struct arrival *a = &b->arrivals[i];
		if (a->where != HOST_ARCHIVE)
			continue;
		part_check(p, a->from.n == 0 && str_eq(a->rcpts, S("keep@archive.example\n")) && a->tls.n > 0,
			   STR_FMT ": a report came from <" STR_FMT "> for " STR_FMT, STR_ARG(id), STR_ARG(a->from),
			   STR_ARG(a->rcpts));
	}
}

static void write_rules(const struct bed *b, char *text, size_t room)
{
	snprintf(
		text, room,
		"send \"journal\" { space = {\"archive.example\"}; scoped = yes; tls = domain; tls_domain = mail.contoso.com\n"
		"	smarthosts = {\"[127.0.0.1]:%u\"} }\n"
		"journal \"all\" { to = keep@archive.example; alternate = lost@archive.example; connector = journal }\n",
		host_port(b->hosts[HOST_ARCHIVE]));
}

void part_journal(struct part *p)
{
	static const struct bed_variant as_usual;
	struct bed *b = p->bed;
	char text[1000];

	write_rules(b, text, sizeof text);
	for (unsigned g = 0; g < GATES; g++)
		b->extra[g] = text;
	b->cloud_signs = true;
	p->journals = true;
	part_rows(p);
	part_cases(p);
	p->journals = false;
	b->cloud_signs = false;
	for (unsigned g = 0; g < GATES; g++)
		b->extra[g] = NULL;
	bed_configure(b, &as_usual);
}
