/* tests/fuzz/dmarc_fuzz.c: DMARC with any names and any answers: it ends, within its bounds, and says nothing that
 * its inputs do not carry.  Input: lines; the first three are author, SPF and DKIM domain, each further one an answer:
 * "!" no answer, "-" no such name, "0" no TXT, else records with tabs between. */
#include "auth/dmarc.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static struct str line(struct str *in)
{
	struct str head;

	str_cut(*in, '\n', &head, in);
	return head;
}

static void answer(struct dmarc *d, struct str text)
{
	struct str texts[6], rest = text;
	size_t n = 0;
	bool more = true;

	if (text.n == 0 || str_eq(text, S("-")))
		dmarc_answer(d, TXT_NXDOMAIN, NULL, 0);
	else if (str_eq(text, S("!")))
		dmarc_answer(d, TXT_FAILED, NULL, 0);
	else if (str_eq(text, S("0")))
		dmarc_answer(d, TXT_NODATA, NULL, 0);
	else {
		while (more && n < 6)
			more = str_cut(rest, '\t', &texts[n++], &rest);
		dmarc_answer(d, TXT_DATA, texts, n);
	}
}

static void check_record(struct str text)
{
	struct dmarc_record r;
	struct buf b;

	if (!dmarc_record_parse(text, &r))
		return;
	must(r.p <= DMARC_POLICY_REJECT && r.sp <= DMARC_POLICY_REJECT && r.np <= DMARC_POLICY_REJECT);
	must(dmarc_record_use(&r) != DMARC_USE_POLICY || dmarc_record_has(&r, DMARC_TAG_P));
	must(!r.rua_usable || r.rua.n > 0);
	buf_init(&b, 1000);
	dmarc_record_tell(&r, &b);
	must(!b.full);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct dmarc d;
	struct str in = str_n(data, n), name;
	struct dmarc_id dkim[20];
	unsigned asked = 0;

	check_record(in);
	struct dmarc_input input = { .author = line(&in), .dkim = dkim };
	input.spf = (struct dmarc_id){ line(&in), DMARC_ID_PASS };
	for (struct str ids = line(&in), id; input.dkim_n < 20 && (id = str_word(&ids)).n > 0;)
		dkim[input.dkim_n++] = (struct dmarc_id){ id, id.n % 7 == 3 ? DMARC_ID_TEMPERROR : DMARC_ID_PASS };
	dmarc_begin(&d, &input);
	while ((name = dmarc_next(&d)).n > 0) {
		must(name.n < DMARC_NAME && ++asked <= DMARC_NAMES_MAX + 1);
		for (size_t i = 0; i < name.n; i++)
			must(chr_is_alnum(name.p[i]) || str_chr(S("._-"), name.p[i]) >= 0);
		answer(&d, line(&in));
	}
	const struct dmarc_result *r = dmarc_result(&d);
	must(r->asked == asked && strlen(r->why) > 0);
	must(r->verdict == DMARC_FAIL || r->disposition == DMARC_POLICY_NONE);
	must(r->disposition <= r->published);
	must((r->verdict == DMARC_PASS) == (r->aligned[0] != '\0'));
	return 0;
}
