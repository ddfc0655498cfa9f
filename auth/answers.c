/* auth/answers.c: tables of answers and lists of questions. */
#include "auth/answers.h"

#include <string.h>

bool rr_is_name(struct str name)
{
	size_t label = 0;

	if (str_ends(name, S(".")))
		name.n--;
	if (name.n == 0 || name.n > 253)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c <= ' ' || c > '~' || c == '\\' || (c == '.' && label == 0))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

static bool is_type(unsigned t)
{
	return t == RR_A || t == RR_PTR || t == RR_MX || t == RR_TXT || t == RR_AAAA;
}

static struct str without_dot(struct str name)
{
	if (str_ends(name, S(".")))
		name.n--;
	return name;
}

const struct answer *answers_find(const struct answers *a, enum rr_type type, struct str name)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].type == type && str_ieq(a->v[i].name, without_dot(name)))
			return &a->v[i];
	return NULL;
}

void answers_put(const struct answers *a, struct buf *b)
{
	put_u16(b, (unsigned)a->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct answer *x = &a->v[i];
		put_u16(b, x->type);
		put_u8(b, x->status);
		put_u8(b, x->secure);
		put_str(b, x->name);
		put_u8(b, (unsigned)x->value_n);
		for (size_t k = 0; k < x->value_n; k++)
			put_str(b, x->values[k]);
	}
}

static bool read_answer(struct reader *r, struct answer *x)
{
	unsigned type = read_u16(r), status = read_u8(r);

	*x = (struct answer){ .secure = read_u8(r) != 0, .name = read_str(r, ANSWER_NAME - 1) };
	x->value_n = read_u8(r);
	if (r->bad || !is_type(type) || status > RR_FAILED || x->value_n > ANSWER_VALUES_MAX || !rr_is_name(x->name))
		return false;
	x->type = (enum rr_type)type;
	x->status = (enum rr_status)status;
	for (size_t i = 0; i < x->value_n; i++) {
		x->values[i] = read_str(r, ANSWER_BYTES_MAX);
		size_t n = x->values[i].n;
		if ((type == RR_A && n != 4) || (type == RR_AAAA && n != 16))
			return false;
		if ((type == RR_MX || type == RR_PTR) && n > 0 && !rr_is_name(x->values[i]))
			return false;
	}
	return !r->bad && (x->status == RR_OK) == (x->value_n > 0);
}

bool answers_read(struct reader *r, struct answers *a)
{
	unsigned n = read_u16(r);

	a->n = 0;
	if (r->bad || n > ANSWERS_MAX)
		return false;
	for (; a->n < n; a->n++)
		if (!read_answer(r, &a->v[a->n]))
			return false;
	return true;
}

void needs_add(struct needs *n, enum rr_type type, struct str name)
{
	name = without_dot(name);
	if (!rr_is_name(name))
		return;
	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].type == type && str_ieq(str_c(n->v[i].name), name))
			return;
	if (n->n == ANSWERS_MAX) {
		n->cut = true;
		return;
	}
	struct need *x = &n->v[n->n++];
	x->type = type;
	memcpy(x->name, name.p, name.n);
	x->name[name.n] = '\0';
}

void needs_put(const struct needs *n, struct buf *b)
{
	put_u16(b, (unsigned)n->n);
	for (size_t i = 0; i < n->n; i++) {
		put_u16(b, n->v[i].type);
		put_str(b, str_c(n->v[i].name));
	}
}

bool needs_read(struct reader *r, struct needs *n)
{
	unsigned count = read_u16(r);

	n->n = 0;
	n->cut = false;
	if (r->bad || count > ANSWERS_MAX)
		return false;
	for (unsigned i = 0; i < count; i++) {
		unsigned type = read_u16(r);
		struct str name = read_str(r, ANSWER_NAME - 1);
		if (r->bad || !is_type(type) || !rr_is_name(name))
			return false;
		needs_add(n, (enum rr_type)type, name);
	}
	return n->n == count; /* none twice */
}
