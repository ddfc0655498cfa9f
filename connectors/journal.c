/* connectors/journal.c: scope and names of a journal rule; see the header. */
#include "connectors/journal.h"

static bool is_in_scope(enum conf_journal_scope scope, const struct journal_party *from, const struct journal_party *to)
{
	bool internal = from->ours && to->ours;

	return scope == JOURNAL_GLOBAL || internal == (scope == JOURNAL_INTERNAL);
}

static bool is_of(const struct conf_list *of, const struct journal_party *p)
{
	for (size_t i = 0; i < of->n && p->addr.n > 0; i++)
		if (of->v[i].p[0] == '@' ? str_iends(p->addr, of->v[i]) : str_ieq(p->addr, of->v[i]))
			return true;
	return of->n == 0;
}

bool journal_wants(const struct conf_journal *j, const struct journal_facts *f)
{
	bool sent = is_of(&j->of, &f->sender);

	for (size_t i = 0; i < f->rcpt_n; i++)
		if (is_in_scope(j->scope, &f->sender, &f->rcpts[i]) && (sent || is_of(&j->of, &f->rcpts[i])))
			return true;
	return false;
}
