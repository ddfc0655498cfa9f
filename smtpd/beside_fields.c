/* smtpd/beside_fields.c: see the header. */
#include "smtpd/beside_fields.h"

#include "base/must.h"

#include <string.h>

/* ---- reading ---- */

/* Room for one more in a list of the arena. */
static void *grow(struct beside_fields *f, void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	size_t more = *cap == 0 ? 32 : *cap * 2;
	char *wider = arena_alloc(f->arena, more * size);
	if (wider == NULL) {
		f->full = true;
		return NULL;
	}
	if (n > 0)
		memcpy(wider, v, n * size);
	*cap = more;
	return wider;
}

static void on_field(void *arg, const struct header_field *field)
{
	struct beside_fields *f = arg;
	struct beside_field *v = grow(f, f->v, f->n, &f->cap, sizeof *v);

	header_notes_add(&f->notes, field);
	claim_take(&f->claim, field);
	if (header_name_is(field->name, S("From")))
		f->author = ++f->from_n > 1 ? AUTHOR_SEVERAL : author_judge(field->value);
	if (v == NULL)
		return;
	f->v = v;
	v[f->n++] = (struct beside_field){ .name = str_head(str_skip(f->header, (size_t)field->offset), field->name.n),
					   .offset = field->offset,
					   .raw_n = field->raw.n };
}

bool beside_fields_read(struct beside_fields *f, const struct beside *b, struct str header, struct arena *a)
{
	const struct conf_limits *l = &b->config->limits;

	*f = (struct beside_fields){ .arena = a, .header = header, .reading = true };
	header_notes_init(&f->notes, a, &(struct header_own){ { b->config->hostname, STR_NONE } });
	f->notes.bind = b->tokens != NULL && b->tokens->n > 0;
	header_scan_init(&f->scan, l->header_max, (unsigned)l->header_fields, b->config->hostname);
	f->scan.on_field = on_field;
	f->scan.arg = f;
	header_scan_add(&f->scan, header);
	header_scan_finish(&f->scan);
	/* the milter sends nothing but fields: what breaks here would be counted otherwise there */
	return !f->scan.too_big && !f->scan.broken && f->scan.mbox == 0 && !f->full && !f->notes.full &&
	       f->scan.end >= header.n;
}

void beside_fields_fini(struct beside_fields *f)
{
	if (f->reading)
		header_scan_fini(&f->scan);
	f->reading = false;
}

/* ---- changing ---- */

bool beside_fields_add(struct beside_fields *f, struct str name, struct str value)
{
	struct decide_field *v = grow(f, f->added, f->added_n, &f->added_cap, sizeof *v);

	if (v == NULL)
		return false;
	f->added = v;
	if (!arena_dup(f->arena, name, &v[f->added_n].name) || !arena_dup(f->arena, value, &v[f->added_n].value))
		return false;
	f->added_n++;
	return true;
}

void beside_fields_strip(struct beside_fields *f, struct str name)
{
	for (size_t i = 0; i < f->n; i++)
		f->v[i].stripped = f->v[i].stripped || (name.n > 0 && header_name_is(f->v[i].name, name));
}

/* The field as the edits at [first, last) leave it. */
static void put_edited(const struct beside_fields *f, const struct beside_field *field, const struct edit *e, size_t n,
		       struct buf *out)
{
	uint64_t at = field->offset, end = field->offset + field->raw_n;

	for (size_t i = 0; i < n; i++) {
		buf_add(out, str_head(str_skip(f->header, (size_t)at), (size_t)(e[i].at - at)));
		buf_add(out, e[i].insert);
		at = e[i].at + e[i].drop;
	}
	must(at <= end);
	buf_add(out, str_head(str_skip(f->header, (size_t)at), (size_t)(end - at)));
}

static bool replace(struct beside_fields *f, struct beside_field *field, const struct edit *e, size_t n)
{
	struct str name, value;
	struct buf b;
	bool ok = true;

	buf_init(&b, field->raw_n + 4096);
	put_edited(f, field, e, n, &b);
	field->stripped = true;
	if (b.n > 0 && str_cut(buf_str(&b), ':', &name, &value)) {
		if (str_ends(value, S("\r\n")))
			value.n -= 2;
		ok = !b.full && beside_fields_add(f, str_trim(name), value);
	}
	buf_fini(&b);
	return ok;
}

bool beside_fields_edit(struct beside_fields *f, struct edits e)
{
	size_t next = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct beside_field *field = &f->v[i];
		size_t first = next;
		while (next < e.n && e.v[next].at < field->offset + field->raw_n)
			next++;
		if (next > first && !replace(f, field, &e.v[first], next - first))
			return false;
	}
	return true;
}

bool beside_fields_put(struct beside_fields *f, struct decide_answer *out)
{
	uint64_t *strip = arena_alloc(f->arena, (f->n + 1) * sizeof *strip);

	if (strip == NULL)
		return false;
	out->strip = strip;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].stripped)
			strip[out->strip_n++] = i;
	out->add = f->added;
	out->add_n = f->added_n;
	return true;
}
