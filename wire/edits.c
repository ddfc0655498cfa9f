/* wire/edits.c: edits applied while the message streams; see the header. */
#include "wire/edits.h"

int64_t edits_growth(struct edits e)
{
	int64_t growth = 0;

	for (size_t i = 0; i < e.n; i++)
		growth += (int64_t)e.v[i].insert.n - (int64_t)e.v[i].drop;
	return growth;
}

bool edits_check(struct edits e)
{
	for (size_t i = 1; i < e.n; i++)
		if (e.v[i].at < e.v[i - 1].at + e.v[i - 1].drop)
			return false;
	return true;
}

static struct str cut(struct str *s, uint64_t n)
{
	struct str head = str_head(*s, n < s->n ? (size_t)n : s->n);

	*s = str_skip(*s, head.n);
	return head;
}

struct str edits_take(struct edits e, struct edit_pos *pos, struct str *source, size_t most)
{
	while (pos->next < e.n && pos->at >= e.v[pos->next].at) {
		const struct edit *edit = &e.v[pos->next];
		struct str rest = str_skip(edit->insert, pos->given);
		if (rest.n > 0) {
			rest = cut(&rest, most);
			pos->given += rest.n;
			return rest;
		}
		pos->at += cut(source, edit->at + edit->drop - pos->at).n;
		if (pos->at < edit->at + edit->drop)
			return STR_NONE;
		pos->next++;
		pos->given = 0;
	}
	uint64_t until = pos->next < e.n ? e.v[pos->next].at - pos->at : UINT64_MAX;
	struct str run = cut(source, until < most ? until : most);
	pos->at += run.n;
	return run;
}
