/* smtpd/cli_help.c: the help of `tombolo`, printed from the verb table. */
#include "smtpd/cli_words.h"

void cli_print_usage(FILE *out)
{
	const char *noun = "";

	fputs("Usage: tombolo NOUN VERB [arguments] [--json] [--socket PATH]\n\n", out);
	for (size_t i = 0; i < control_verb_n; i++) {
		const struct verb *v = &control_verbs[i];
		fprintf(out, "  %-10s %-10s %s\n", strcmp(noun, v->noun) != 0 ? v->noun : "", v->name, v->help);
		noun = v->noun;
	}
	fputs("\n  --json         one JSON object a line\n"
	      "  --socket PATH  control socket (default: $TOMBOLO_CONTROL, then " CLI_SOCKET ")\n"
	      "  --offline      work on the files without a daemon (route, mode, recipients, config, connector)\n"
	      "  -c FILE        the configuration for --offline (default: " CLI_CONFIG ")\n"
	      "  --help         also behind a verb\n\n"
	      "Exit: 0 ok, 1 nothing matched, 2 usage, 3 failed or partly failed, 75 daemon unreachable\n",
	      out);
}

static void print_synopsis(FILE *out, const struct verb *v)
{
	fprintf(out, "Usage: tombolo %s%s%s", v->noun, v->name[0] != '\0' ? " " : "", v->name);
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++) {
		if (a->place == ARG_MUST)
			fprintf(out, " %s", verb_arg_meta(a));
		else if (a->place == ARG_MAY)
			fprintf(out, " [%s]", verb_arg_meta(a));
		else if (a->place == ARG_REST)
			fprintf(out, " [%s ...]", verb_arg_meta(a));
	}
	fputs(v->args != NULL ? " [options]\n" : "\n", out);
}

void cli_print_verb_help(FILE *out, const struct verb *v)
{
	char label[80];

	print_synopsis(out, v);
	fprintf(out, "\n%s.%s\n\n", v->help, v->flags & VERB_OPERATOR ? "  For root and the daemon's user." : "");
	for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++) {
		bool flag = a->kind == ARG_FLAG || a->kind == ARG_VIEW;
		if (a->place == ARG_OPTION)
			snprintf(label, sizeof label, "--%s%s%s", a->name, flag ? "" : " ",
				 flag ? "" : verb_arg_meta(a));
		else
			snprintf(label, sizeof label, "%s", verb_arg_meta(a));
		fprintf(out, "  %-24s %s\n", label, a->help);
	}
	if (v->flags & VERB_OFFLINE)
		fprintf(out, "  %-24s %s\n", "--offline -c FILE",
			"without a daemon, on the files of this configuration");
}
