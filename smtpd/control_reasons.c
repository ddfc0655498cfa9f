/* smtpd/control_reasons.c: `reasons`: the catalogue of reason codes, from the tables that the code answers by
 * (spec 8.14). */
#include "connectors/reason.h"
#include "smtpd/control_verbs.h"

struct catalogue_row {
	const char *rule, *reason, *cause, *fixer;
	const struct reply *standard, *onprem, *cloud;
	const char *says;
};

static void row_reply(json_t *row, const char *key, const struct reply *r)
{
	char text[32];

	if (r == NULL || r->code == 0)
		return;
	if (r->class != 0)
		snprintf(text, sizeof text, "%d %u.%u.%u", r->code, r->class, r->subject, r->detail);
	else /* the enhanced code is the first word of the text */
		snprintf(text, sizeof text, "%d %.*s", r->code, 5, r->text.p);
	row_c(row, key, text);
}

static void put_row(struct call *c, const struct catalogue_row *r)
{
	json_t *row = json_object();

	row_c(row, "reason", r->reason);
	row_c(row, "rule", r->rule != NULL ? r->rule : "-");
	row_reply(row, "standard", r->standard);
	row_reply(row, "exchange", r->onprem);
	row_reply(row, "exchange_cloud", r->cloud);
	if (r->fixer != NULL) {
		char mend[100];
		snprintf(mend, sizeof mend, "the %s can mend it", r->fixer);
		row_c(row, "fixer", r->fixer);
		row_c(row, "mend", mend);
	}
	row_c(row, "cause", r->cause);
	if (r->says != NULL)
		row_c(row, "when", r->says);
	if (r->standard != NULL && r->standard->text.n > 0)
		row_str(row, "text", r->standard->text);
	call_row(c, row);
}

static bool is_asked(struct str asked, const char *reason, const char *rule)
{
	return asked.n == 0 || str_ieq(asked, str_c(reason)) || (rule != NULL && str_ieq(asked, str_c(rule)));
}

void run_reasons(struct call *c)
{
	struct str asked = args_text(c, "CODE");
	struct route_reason rule;
	size_t n = 0;

	for (size_t i = 0; route_reason_at(i, &rule); i++)
		if (is_asked(asked, rule.reason, rule.rule)) {
			put_row(c, &(struct catalogue_row){ rule.rule, rule.reason, rule.cause, rule.fixer,
							    rule.refuses ? &rule.standard : NULL, &rule.onprem,
							    &rule.cloud, rule.says });
			n++;
		}
	for (int i = 0; i < REASON_N; i++) {
		const struct reason_row *r = reason_row((enum reason)i);
		if (!is_asked(asked, r->name, r->rule))
			continue;
		put_row(c, &(struct catalogue_row){ r->rule, r->name, r->cause, r->fixer, &r->standard, &r->exchange,
						    &r->exchange_cloud, NULL });
		n++;
	}
	call_end(c, n > 0 ? CALL_OK : CALL_NOTHING, n > 0 ? NULL : "there is no such reason code or rule");
}
