/* config/show.c: the option table read backwards: effective values, documentation, what a reload cannot change. */
#include "config/schema.h"
#include "config/value.h"

#include "base/must.h"

const char *conf_tls_level_name(enum conf_tls_level l)
{
	return option_find(section_find(S("send")), S("tls"))->names[l];
}

/* The options of the section are `shed`, then the resources in the order of the enum. */
const char *conf_resource_name(enum conf_resource r)
{
	const struct section *s = section_find(S("pressure"));

	must(s->option_n == RES_N + 1);
	return s->options[1 + r].name;
}

const char *conf_milter_default_name(enum conf_milter_default d)
{
	return option_find(section_find(S("milter")), S("default_action"))->names[d];
}

const char *conf_site_name(enum conf_site s)
{
	return option_find(section_find(S("")), S("site"))->names[s];
}

/* ---- config_show ---- */

static void show_item(const struct section *s, const void *item, struct buf *out)
{
	const char *indent = s->name[0] != '\0' ? "\t" : "";

	if (s->name[0] != '\0')
		buf_addf(out, "\n%s ", s->name);
	if (s->size > 0) {
		value_put_quoted(*(const struct str *)(const void *)((const char *)item + s->title), out);
		buf_addc(out, ' ');
	}
	if (s->name[0] != '\0')
		buf_add(out, S("{\n"));
	for (size_t i = 0; i < s->option_n; i++) {
		buf_addf(out, "%s%s = ", indent, s->options[i].name);
		value_put(&s->options[i], item, out);
		buf_addc(out, '\n');
	}
	if (s->name[0] != '\0')
		buf_add(out, S("}\n"));
}

void config_show(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < section_n; i++)
		for (size_t j = 0; j < section_count(&sections[i], c); j++)
			show_item(&sections[i], section_item(&sections[i], c, j), out);
}

/* ---- config_restart_diff ---- */

static bool any_item_lists(const struct section *s, const struct option *o, const struct config *c, struct str word)
{
	for (size_t i = 0; i < section_count(s, c); i++) {
		const struct conf_list *l = (const void *)((const char *)section_item(s, c, i) + o->offset);
		for (size_t j = 0; j < l->n; j++)
			if (str_eq(l->v[j], word))
				return true;
	}
	return false;
}

static bool lists_covered(const struct section *s, const struct option *o, const struct config *by,
			  const struct config *c)
{
	for (size_t i = 0; i < section_count(s, c); i++) {
		const struct conf_list *l = (const void *)((const char *)section_item(s, c, i) + o->offset);
		for (size_t j = 0; j < l->n; j++)
			if (!any_item_lists(s, o, by, l->v[j]))
				return false;
	}
	return true;
}

/* Sections with names may come, go and share their words: what counts is the set of words of all of them (the addresses
 * that are bound, say). */
static bool same_for_restart(const struct section *s, const struct option *o, const struct config *a,
			     const struct config *b)
{
	if (s->size == 0)
		return value_same(o, a, b);
	must(o->type == OPT_LIST);
	return lists_covered(s, o, a, b) && lists_covered(s, o, b, a);
}

size_t config_restart_diff(const struct config *old, const struct config *new, struct buf *lines)
{
	size_t n = 0;

	for (size_t i = 0; i < section_n; i++) {
		const struct section *s = &sections[i];
		for (size_t j = 0; j < s->option_n; j++) {
			const struct option *o = &s->options[j];
			if (!o->restart || same_for_restart(s, o, old, new))
				continue;
			buf_addf(lines, "%s%s%s: needs a restart\n", s->name, s->name[0] != '\0' ? "." : "", o->name);
			n++;
		}
	}
	return n;
}

/* ---- config_doc ---- */

static void doc_option(const struct option *o, struct buf *out)
{
	buf_addf(out, "| `%s` | %s | ", o->name, value_type_name(o));
	if (o->required)
		buf_add(out, S("*required*"));
	else if (o->shown != NULL)
		buf_add(out, str_c(o->shown));
	else if (o->dflt[0] != '\0')
		buf_addf(out, "`%s`", o->dflt);
	buf_add(out, S(" | "));
	value_put_range(o, out);
	buf_addf(out, " | %s | %s |\n", o->restart ? "yes" : "", o->doc);
}

static void doc_section(const struct section *s, struct buf *out)
{
	if (s->name[0] == '\0')
		buf_add(out, S("\n## Top level\n\n"));
	else
		buf_addf(out, "\n## %s%s\n\n", s->name, s->size > 0 ? " \"NAME\"" : "");
	buf_addf(out, "%s\n\n", s->doc);
	buf_add(out, S("| option | type | default | allowed | restart | meaning |\n|---|---|---|---|---|---|\n"));
	for (size_t i = 0; i < s->option_n; i++)
		doc_option(&s->options[i], out);
}

void config_doc(struct buf *out)
{
	buf_add(out,
		S("# Configuration\n\n"
		  "Made by `tombolod --doc` from the option table; do not edit.  `docs/tombolo.conf` is an example to "
		  "start from.\n\n"
		  "A file is a list of `option = value` and of sections `section { ... }` or `section \"NAME\" { ... }`.  "
		  "Sections do not nest.\n"
		  "Comments begin with `#` or `//`, or stand between `/*` and `*/`.  A `;` after a value is allowed.\n\n"
		  "- **list**: `{ \"a\", \"b\" }`, or one value without braces.  `*`, `+`, `;` and blanks need quotes.\n"
		  "- **duration**: `200ms`, `90s`, `5m`, `4h`, `2d`, `1h30m`; a bare number is seconds.\n"
		  "- **size**: `500`, `64K`, `36M`, `36MB`, `1G`; units are powers of 1024.\n"
		  "- **yes or no**: also `on`, `off`, `true`, `false`.\n\n"
		  "All mistakes of a file are reported at once, each with its line; `tombolod -t` checks and exits.  A "
		  "reload takes effect as a whole\nor not at all; options marked *restart* are read only at start.\n"));
	for (size_t i = 0; i < section_n; i++)
		doc_section(&sections[i], out);
}
