/* tests/fuzz/auth_frame_fuzz.c: frames between tombolod and its workers, and every value in them, from a peer that was
 * taken over: nothing is read outside, what was read is within its limits, and can be written and read again. */
#include "auth/dkim_lib.h"
#include "auth/frame.h"
#include "auth/spf_eval.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_question(struct str payload)
{
	static struct answers a, b;
	struct spf_question q, p;
	struct buf out;

	if (!spf_question_read(payload, &q, &a))
		return;
	buf_init(&out, FRAME_MAX);
	spf_question_put(&q, &a, &out);
	must(!out.full && spf_question_read(buf_str(&out), &p, &b));
	must(str_eq(p.sender, q.sender) && b.n == a.n);
	for (size_t i = 0; i < a.n; i++)
		must(a.v[i].value_n <= ANSWER_VALUES_MAX && rr_is_name(a.v[i].name));
	buf_fini(&out);
}

static void check_verdict(struct str payload)
{
	struct spf_verdict v = { 0 };

	buf_init(&v.story, SPF_STORY_MAX);
	if (spf_verdict_read(payload, &v)) {
		must(v.result < AUTH_RESULT_N && strlen(v.domain) < sizeof v.domain);
		for (const char *p = v.explanation; *p != '\0'; p++)
			must(*p >= ' ' && *p <= '~');
	}
	buf_fini(&v.story);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct auth_sig sigs[AUTH_SIGS_MAX];
	static struct needs needs;
	struct str in = str_n(data, n), rest;
	struct frame f;
	ssize_t used;
	size_t count;

	for (rest = in; (used = frame_next(rest, &f)) > 0; rest = str_skip(rest, (size_t)used)) {
		must((size_t)used <= rest.n && f.payload.n + FRAME_HEAD == (size_t)used);
		for (size_t i = 0; i < (size_t)used && i < 32; i++) {
			struct frame g;
			must(frame_next(str_head(rest, i), &g) == 0);
		}
		check_question(f.payload);
		check_verdict(f.payload);
	}
	/* and without a frame around it, which a fuzzer finds sooner */
	check_question(in);
	check_verdict(in);
	struct reader r = { .in = in };
	if (needs_read(&r, &needs))
		must(needs.n <= ANSWERS_MAX && !needs.cut);
	if (sigs_read(in, sigs, &count))
		must(count <= AUTH_SIGS_MAX);
	return 0;
}
