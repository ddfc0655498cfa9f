/* tests/tools/results.c: what we would write into Authentication-Results, for other programs to read.
 *
 *   results < values     each line is what a hostile peer calls itself in every place; one field for each, an empty
 * line behind it */
#include "auth/policy.h"
#include "base/must.h"

#include <stdio.h>
#include <string.h>

static void say(struct str v)
{
	struct policy_sig sig = { "fail", v, v, v, v };
	struct dmarc_result d = { .verdict = DMARC_FAIL, .author = "x.example" };
	struct policy_said s = {
		.id = S("mx.ours.example"), .spf = "softfail", .identity = v, .sigs = &sig, .sig_n = 1, .dmarc = &d
	};
	struct buf b;

	memcpy(d.why, v.p, v.n < sizeof d.why ? v.n : sizeof d.why - 1);
	buf_init(&b, 65536);
	policy_results(&s, &b);
	must(!b.full);
	fwrite(b.p, 1, b.n, stdout);
	fputs("\r\n", stdout);
	buf_fini(&b);
}

int main(void)
{
	char line[4096];

	while (fgets(line, sizeof line, stdin) != NULL)
		say(str_n(line, strcspn(line, "\n")));
	return 0;
}
