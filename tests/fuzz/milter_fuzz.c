/* tests/fuzz/milter_fuzz.c: packets of a filter: views stay inside, options come back as they were written, a reply is
 * 4xx or 5xx and printable (hardening ML-1..ML-3, ML-7: the other direction reads with the same functions). */
#include "tests/fuzz/fuzz.h"
#include "wire/milter.h"

static void check_inside(struct str part, struct str whole)
{
	must(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void try_options(struct str data)
{
	struct milter_options o, again;
	struct milter_packet p;
	struct buf b;

	if (!milter_get_options(data, &o))
		return;
	buf_init(&b, MILTER_PACKET_MAX + 100);
	milter_put_options(&b, &o);
	must(milter_next(buf_str(&b), &p) == (ssize_t)b.n && milter_get_options(p.data, &again));
	must(again.version == o.version && again.actions == o.actions && again.protocol == o.protocol);
	for (int i = 0; i < MILTER_MACRO_LISTS; i++)
		must(str_eq(o.macros[i], again.macros[i]));
	buf_fini(&b);
}

static void try_reply(struct str in)
{
	struct reply r;
	struct buf text;

	buf_init(&text, 1000);
	if (milter_get_reply(in, &r, &text)) {
		must(r.code >= 400 && r.code <= 599 && (r.class == 0 || r.class == r.code / 100));
		for (size_t i = 0; i < r.text.n; i++)
			must(r.text.p[i] == '\n' || (!chr_is_ctl(r.text.p[i]) && !chr_is_8bit(r.text.p[i])));
	}
	buf_fini(&text);
}

static void try_packet(const struct milter_packet *p)
{
	struct milter_answer_parts a;
	struct str data = p->data, text;

	try_options(p->data);
	while (milter_get_text(&data, &text))
		check_inside(text, p->data);
	if (!milter_get_answer(p, &a))
		return;
	check_inside(a.name, p->data);
	check_inside(a.value, p->data);
	if (a.kind == MILTER_REPLY)
		try_reply(a.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct milter_packet p;
	ssize_t used;

	while ((used = milter_next(in, &p)) > 0) {
		must((size_t)used <= in.n);
		check_inside(p.data, in);
		try_packet(&p);
		in = str_skip(in, (size_t)used);
	}
	try_reply(in);
	return 0;
}
