/* tests/kit/zone.c: the DNS in text. */
#include "tests/kit/zone.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

void zone_init(struct zone *z, struct str text)
{
	*z = (struct zone){ .text = text, .answers = calloc(1, sizeof *z->answers) };
	must(z->answers != NULL);
	arena_init(&z->memory, 1 << 20);
}

void zone_fini(struct zone *z)
{
	free(z->answers);
	arena_fini(&z->memory);
}

static bool type_of(struct str word, enum rr_type *type)
{
	static const struct {
		struct str name;
		enum rr_type type;
	} types[] = { { STR_LIT("A"), RR_A },
		      { STR_LIT("AAAA"), RR_AAAA },
		      { STR_LIT("MX"), RR_MX },
		      { STR_LIT("TXT"), RR_TXT },
		      { STR_LIT("PTR"), RR_PTR } };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (str_eq(types[i].name, word)) {
			*type = types[i].type;
			return true;
		}
	return false;
}

static struct str value_of(struct zone *z, enum rr_type type, struct str text)
{
	char room[64];
	unsigned char *ip = arena_alloc(&z->memory, 16);

	if (type == RR_MX)
		str_word(&text);
	if (type == RR_TXT)
		return text;
	if (type == RR_MX || type == RR_PTR)
		return str_word(&text);
	snprintf(room, sizeof room, STR_FMT, STR_ARG(text));
	must(inet_pton(type == RR_A ? AF_INET : AF_INET6, room, ip) == 1);
	return str_n(ip, type == RR_A ? 4 : 16);
}

static void answer(struct zone *z, const struct need *n)
{
	struct answers *as = z->answers;
	struct answer *a = &as->v[as->n++];
	struct str line, rest = z->text;

	must(as->n <= ANSWERS_MAX);
	*a = (struct answer){ .type = n->type, .status = RR_NXDOMAIN };
	must(arena_dup(&z->memory, str_c(n->name), &a->name));
	while (rest.n > 0) {
		enum rr_type type;
		str_cut(rest, '\n', &line, &rest);
		struct str word = str_word(&line), name = str_word(&line);
		if (!str_ieq(name, a->name))
			continue;
		if (line.n > 0) /* one blank */
			line = str_skip(line, 1);
		if (str_eq(word, S("FAIL"))) {
			a->status = RR_FAILED;
			a->value_n = 0;
			return;
		}
		if (a->status == RR_NXDOMAIN)
			a->status = RR_NODATA;
		if (!type_of(word, &type) || type != n->type || a->value_n == ANSWER_VALUES_MAX)
			continue;
		a->status = RR_OK;
		a->values[a->value_n++] = value_of(z, type, line);
	}
}

void zone_answer(struct zone *z, const struct needs *n)
{
	for (size_t i = 0; i < n->n; i++)
		answer(z, &n->v[i]);
}

void zone_spf(struct zone *z, const struct spf_question *q, struct spf_verdict *out, unsigned *rounds)
{
	struct needs needs;
	unsigned n = 1;

	z->answers->n = 0;
	for (; spf_eval(q, z->answers, &needs, out) == EVAL_NEEDS; n++) {
		must(needs.n > 0 && n < 100);
		zone_answer(z, &needs);
	}
	if (rounds != NULL)
		*rounds = n;
}
