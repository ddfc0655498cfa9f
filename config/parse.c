/* config/parse.c: THE libconfuse file.
 *
 * libconfuse is given the scanned text and the option table, every option as a string or a list of strings; it
 * unquotes, and gives the words back.  Their meaning, and every message about them, is ours (config/value).  No
 * CFG_FUNC: a file can include nothing and call nothing. */
#include "config/parse.h"

#include "base/must.h"
#include "config/value.h"

#include <confuse.h>
#include <pthread.h>
#include <string.h>

/* One more than section_n: the array ends with CFG_END. */
enum { OPTS_MAX = SECTION_OPTIONS_MAX + 1 };

static cfg_opt_t confuse_option(const struct option *o)
{
	cfg_opt_t text = CFG_STR(NULL, NULL, CFGF_NODEFAULT), list = CFG_STR_LIST(NULL, NULL, CFGF_NODEFAULT);
	cfg_opt_t opt = o->type == OPT_LIST ? list : text;

	opt.name = o->name;
	return opt;
}

static void confuse_options(const struct section *s, cfg_opt_t *to)
{
	for (size_t i = 0; i < s->option_n; i++)
		*to++ = confuse_option(&s->options[i]);
	*to = (cfg_opt_t)CFG_END();
}

/* The whole table: the options of the top level, then the sections. */
static cfg_opt_t *confuse_table(struct arena *a)
{
	cfg_opt_t *all = arena_alloc(a, (sections[0].option_n + section_n) * sizeof *all);

	must(all != NULL);
	confuse_options(&sections[0], all);
	for (size_t i = 1; i < section_n; i++) {
		cfg_opt_t *subs = arena_alloc(a, OPTS_MAX * sizeof *subs);
		must(subs != NULL);
		confuse_options(&sections[i], subs);
		cfg_opt_t one = CFG_SEC(NULL, subs, CFGF_NONE), many = CFG_SEC(NULL, subs, CFGF_MULTI | CFGF_TITLE);
		cfg_opt_t *at = &all[sections[0].option_n + i - 1];
		*at = sections[i].size > 0 ? many : one;
		at->name = sections[i].name;
	}
	all[sections[0].option_n + section_n - 1] = (cfg_opt_t)CFG_END();
	return all;
}

struct parser {
	struct arena *arena;
	struct report *r;
	cfg_t *cfg;
};

static void wrong_value(struct parser *p, const struct scan_item *item, const struct option *o, struct str why)
{
	const struct section *s = item->section;
	int line = item->lines[o - s->options];

	if (s->size > 0)
		report_error(p->r, line, "%s \"" STR_FMT "\": %s: " STR_FMT, s->name, STR_ARG(item->title), o->name,
			     STR_ARG(why));
	else
		report_error(p->r, line, "%s%s%s: " STR_FMT, s->name, s->name[0] != '\0' ? "." : "", o->name,
			     STR_ARG(why));
}

static void take_value(struct parser *p, const struct scan_item *item, const struct option *o, cfg_t *from, void *base)
{
	cfg_opt_t *opt = cfg_getopt(from, o->name);
	must(opt != NULL);
	size_t n = cfg_opt_size(opt);
	struct str *words = arena_alloc(p->arena, (n + 1) * sizeof *words);
	struct buf why;

	must(words != NULL && (o->type == OPT_LIST || n == 1));
	buf_init(&why, 8192);
	for (size_t i = 0; i < n; i++)
		words[i] = str_c(cfg_opt_getnstr(opt, (unsigned)i));
	if (!value_set(o, words, n, p->arena, base, &why))
		wrong_value(p, item, o, buf_str(&why));
	buf_fini(&why);
}

/* `item` and `from` are NULL for a section that was not written. */
static void fill_item(struct parser *p, const struct section *s, const struct scan_item *item, cfg_t *from, void *base)
{
	for (size_t i = 0; i < s->option_n; i++) {
		const struct option *o = &s->options[i];
		if (!o->required)
			value_set_default(o, p->arena, base);
		if (item != NULL && item->lines[i] != 0)
			take_value(p, item, o, from, base);
		else if (o->required && item != NULL)
			report_error(p->r, item->line, "%s \"" STR_FMT "\": %s is missing", s->name,
				     STR_ARG(item->title), o->name);
	}
}

static void fill_named(struct parser *p, const struct section *s, const struct scan_items *items, struct config *c)
{
	char *array = arena_alloc(p->arena, items->n * s->size);

	must(items->n == 0 || array != NULL);
	must(cfg_size(p->cfg, s->name) == items->n);
	for (size_t i = 0; i < items->n; i++) {
		char *base = array + i * s->size;
		cfg_t *from = cfg_getnsec(p->cfg, s->name, (unsigned)i);
		struct str title = value_dup(p->arena, str_c(cfg_title(from)));

		fill_item(p, s, items->v[i], from, base);
		memcpy(base + s->title, &title, sizeof title);
		memcpy(base + s->line_at, &items->v[i]->line, sizeof(int));
	}
	memcpy((char *)c + s->array, &array, sizeof array);
	memcpy((char *)c + s->count, &items->n, sizeof items->n);
}

static void fill_config(struct parser *p, const struct scan *scan, struct config *c)
{
	for (size_t i = 0; i < section_n; i++) {
		const struct section *s = &sections[i];
		const struct scan_item *item = scan_item(scan, s, 0);
		if (s->size > 0)
			fill_named(p, s, &scan->by[i], c);
		else
			fill_item(p, s, item, i == 0 ? p->cfg : cfg_getsec(p->cfg, s->name), c);
	}
}

static void confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	(void)cfg;
	(void)fmt;
	(void)ap; /* parse_text says it: there is no way to hand a report in here */
}

/* libconfuse keeps the state of its scanner in globals, and a check may be asked for while a reload runs. */
static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;

bool parse_text(struct str text, struct arena *a, struct report *r, struct scan *scan, struct config *c)
{
	struct parser p = { .arena = a, .r = r };
	bool ok = false;

	scan_text(text, a, r, scan);
	if (scan->broken)
		return false;
	p.cfg = cfg_init(confuse_table(a), CFGF_NONE);
	must(p.cfg != NULL);
	cfg_set_error_function(p.cfg, confuse_error);
	pthread_mutex_lock(&confuse_lock);
	int rc = cfg_parse_buf(p.cfg, scan->text);
	pthread_mutex_unlock(&confuse_lock);
	if (rc == CFG_SUCCESS) {
		fill_config(&p, scan, c);
		ok = true;
	} else {
		report_error(r, p.cfg->line, "syntax error");
	}
	cfg_free(p.cfg);
	return ok;
}
