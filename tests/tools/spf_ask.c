/* tests/tools/spf_ask.c: SPF verdicts over a DNS in text (tests/kit/zone.h), for comparisons with other programs.
 *
 *   spf_ask ZONE < questions      one a line, `IP HELO SENDER`; "-" is the null sender.  With -v the stories too. */
#include "tests/kit/zone.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

static char zone_text[4 << 20];

static void tell(const struct spf_verdict *v, bool story)
{
	printf("%s\t%s\t%s\n", auth_result_name(v->result), v->mechanism, v->why);
	if (story)
		printf(STR_FMT, STR_ARG(buf_str(&v->story)));
}

int main(int argc, char **argv)
{
	bool story = argc > 2 && strcmp(argv[1], "-v") == 0;
	FILE *f = argc < 2 ? NULL : fopen(argv[argc - 1], "re");
	struct spf_verdict v = { 0 };
	struct zone z;
	char line[4096];

	if (f == NULL)
		return 2;
	zone_init(&z, str_n(zone_text, fread(zone_text, 1, sizeof zone_text, f)));
	fclose(f);
	buf_init(&v.story, SPF_STORY_MAX);
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct str rest = str_head(str_c(line), strcspn(line, "\n"));
		struct str ip = str_word(&rest), helo = str_word(&rest), sender = str_word(&rest);
		struct spf_question q = {
			.helo = helo, .sender = sender, .receiver = S("mx.example"), .wants_story = story
		};
		if (str_eq(sender, S("-")))
			q.sender = STR_NONE;
		must(net_parse_ip(ip, 0, &q.client));
		zone_spf(&z, &q, &v, NULL);
		tell(&v, story);
	}
	buf_fini(&v.story);
	zone_fini(&z);
	return 0;
}
