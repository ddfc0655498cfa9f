/* config/show.c: the option table read backwards: effective values, documentation, what a reload cannot change. */
#include "config/schema.h"
#include "config/value.h"

#include "base/must.h"

const char *conf_tls_level_name(enum conf_tls_level l)
{
	return option_find(section_find(S("send")), S("tls"))->names[l];
}

const char *conf_site_name(enum conf_site s)
{
	return option_find(section_find(S("")), S("site"))->names[s];
}

/* ---- config_show ---- */

static struct str item_title(const struct section *s, const void *item)
{
	struct str title = STR_NONE;

	if (s->size > 0)
		memcpy(&title, (const char *)item + s->title, sizeof title);
	return title;
}

static void show_item(const struct section *s, const void *item, struct buf *out)
{
	const char *indent = s->name[0] != '\0' ? "\t" : "";

	if (s->name[0] != '\0')
		buf_addf(out, "\n%s ", s->name);
	if (s->size > 0) {
		value_put_quoted(item_title(s, item), out);
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

static const void *item_named(const struct section *s, const struct config *c, struct str title)
{
	for (size_t i = 0; i < section_count(s, c); i++) {
		const void *item = section_item(s, c, i);
		if (str_eq(item_title(s, item), title))
			return item;
	}
	return NULL;
}

static void put_path(const struct section *s, struct str title, const struct option *o, struct buf *out)
{
	buf_add(out, str_c(s->name));
	if (s->size > 0)
		buf_addf(out, " \"" STR_FMT "\"", STR_ARG(title));
	if (o != NULL)
		buf_addf(out, "%s%s", s->name[0] != '\0' ? "." : "", o->name);
	buf_add(out, S(": needs a restart\n"));
}

static bool needs_restart(const struct section *s)
{
	for (size_t i = 0; i < s->option_n; i++)
		if (s->options[i].restart)
			return true;
	return false;
}

static size_t diff_item(const struct section *s, const void *item, const void *other, struct buf *lines)
{
	struct str title = item_title(s, item);
	size_t n = 0;

	if (other == NULL) {
		put_path(s, title, NULL, lines);
		return 1;
	}
	for (size_t i = 0; i < s->option_n; i++) {
		const struct option *o = &s->options[i];
		if (o->restart && !value_same(o, item, other)) {
			put_path(s, title, o, lines);
			n++;
		}
	}
	return n;
}

size_t config_restart_diff(const struct config *old, const struct config *new, struct buf *lines)
{
	size_t n = 0;

	for (size_t i = 0; i < section_n; i++) {
		const struct section *s = &sections[i];
		if (!needs_restart(s))
			continue;
		for (size_t j = 0; j < section_count(s, old); j++) {
			const void *item = section_item(s, old, j);
			n += diff_item(s, item, item_named(s, new, item_title(s, item)), lines);
		}
		for (size_t j = 0; j < section_count(s, new); j++) {
			const void *item = section_item(s, new, j);
			if (item_named(s, old, item_title(s, item)) == NULL)
				n += diff_item(s, item, NULL, lines);
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
