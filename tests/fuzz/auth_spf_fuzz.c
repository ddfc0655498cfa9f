/* tests/fuzz/auth_spf_fuzz.c: any records, any sender, through our own walk and libspf2: an end in a bounded number of
 * rounds, counts within the limits, words that are clean.
 *
 * The input: a line `IP HELO SENDER`, then a zone in the form of tests/kit/zone.h, of TXT, MX and PTR lines. */
#include "auth/spf_eval.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static struct answers answers;
static struct needs needs;

static void answer(const struct need *n, struct str zone)
{
	struct answer *a = &answers.v[answers.n++];
	struct str line, rest = zone;

	must(answers.n <= ANSWERS_MAX);
	*a = (struct answer){ .type = n->type, .status = RR_NXDOMAIN };
	static char names[ANSWERS_MAX][ANSWER_NAME];
	memcpy(names[answers.n - 1], n->name, sizeof n->name);
	a->name = str_c(names[answers.n - 1]);
	while (rest.n > 0 && a->value_n < ANSWER_VALUES_MAX) {
		str_cut(rest, '\n', &line, &rest);
		struct str kind = str_word(&line), name = str_word(&line);
		if (!str_ieq(name, a->name))
			continue;
		line = str_trim(line);
		bool named = a->type == RR_MX || a->type == RR_PTR;
		if (str_eq(kind, S("FAIL"))) {
			a->status = RR_FAILED;
			a->value_n = 0;
			return;
		}
		if (a->type == RR_A && str_eq(kind, S("A")))
			a->values[a->value_n++] = S("\xc0\0\2\1");
		else if (a->type == RR_TXT && str_eq(kind, S("TXT")))
			a->values[a->value_n++] = str_head(line, ANSWER_BYTES_MAX);
		else if (named && str_eq(kind, a->type == RR_MX ? S("MX") : S("PTR")) && rr_is_name(line))
			a->values[a->value_n++] = line;
		a->status = a->value_n > 0 ? RR_OK : RR_NODATA;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str head, zone;
	struct spf_question q = { .receiver = S("mx.example"), .wants_story = true, .now_s = 1 };
	struct spf_verdict v = { 0 };

	str_cut(str_n(data, n), '\n', &head, &zone);
	struct str ip = str_word(&head);
	q.helo = str_head(str_word(&head), 1000);
	q.sender = str_head(str_trim(head), 1000);
	if (memchr(q.helo.p != NULL ? q.helo.p : "", '\0', q.helo.n) != NULL || !net_parse_ip(ip, 0, &q.client))
		return 0;
	buf_init(&v.story, SPF_STORY_MAX);
	answers.n = 0;
	for (unsigned round = 0; spf_eval(&q, &answers, &needs, &v) == EVAL_NEEDS; round++) {
		must(round < ANSWERS_MAX && needs.n > 0);
		for (size_t i = 0; i < needs.n; i++)
			answer(&needs.v[i], zone);
	}
	must(v.result < AUTH_RESULT_N);
	must(v.lookups <= SPF_TERMS_ASKING || v.result == AUTH_PERMERROR);
	must(v.voids <= SPF_VOIDS || v.result == AUTH_PERMERROR);
	for (const char *p = v.explanation; *p != '\0'; p++)
		must(*p >= ' ' && *p <= '~');
	must(v.result == AUTH_FAIL || v.explanation[0] == '\0');
	buf_fini(&v.story);
	return 0;
}
