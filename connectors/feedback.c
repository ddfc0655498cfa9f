/* connectors/feedback.c: the window of a destination; see the header. */
#include "connectors/feedback.h"

#include "base/must.h"

void feedback_init(struct feedback *f, size_t first, size_t most)
{
	must(most > 0);
	*f = (struct feedback){ .window = first == 0 ? 1 : first < most ? first : most, .most = most };
}

static void hear(struct feedback *f)
{
	f->deaf -= f->deaf > 0;
	must(f->window > 0 && f->window <= f->most);
}

void feedback_good(struct feedback *f)
{
	hear(f);
	if (f->window == f->most || ++f->good < f->window)
		return;
	f->good = 0;
	f->window++;
}

void feedback_failed(struct feedback *f)
{
	hear(f);
	f->good = 0;
	f->window -= f->window > 1;
}

void feedback_throttled(struct feedback *f)
{
	bool heard = f->deaf == 0;

	hear(f);
	f->good = 0;
	if (!heard)
		return;
	f->deaf = f->window; /* as many as may be under way now */
	f->window = (f->window + 1) / 2;
}
