/* routing/import_csv.c: recipients as comma-separated values (RFC 4180, without line breaks inside cells).
 *
 *   address,loc,routing,aliases,local_host,mailbox_id,source,redirect,keep_copy,require_auth,
 *   expand_at,report_to,owner,allow,deny,external_ok,members
 *
 * The first line names the columns, in any order; address and loc must be there, an unknown one is an error: a
 * misspelt column would otherwise be dropped from every record. */
#include "routing/import.h"

#include "base/must.h"

#include <stdlib.h>

enum column {
	COL_ADDRESS,
	COL_LOC,
	COL_ROUTING,
	COL_ALIASES,
	COL_LOCAL_HOST,
	COL_MAILBOX_ID,
	COL_SOURCE,
	COL_REDIRECT,
	COL_KEEP_COPY,
	COL_REQUIRE_AUTH,
	COL_EXPAND_AT,
	COL_REPORT_TO,
	COL_OWNER,
	COL_ALLOW,
	COL_DENY,
	COL_EXTERNAL_OK,
	COL_MEMBERS,
	COLUMN_N,
};
static const char *const column_names[COLUMN_N] = {
	"address", "loc",      "routing",   "aliases",      "local_host", "mailbox_id",
	"source",  "redirect", "keep_copy", "require_auth", "expand_at",  "report_to",
	"owner",   "allow",    "deny",      "external_ok",  "members",
};
enum { CELLS_MAX = 64 };

struct csv {
	struct import *im;
	struct import_lines *in;
	enum column order[CELLS_MAX]; /* which column each cell is */
	size_t cell_n;
	struct str addrs[RECORD_ADDRS_MAX];
};

/* Takes a cell off the front of *line; quoted ones are unquoted in place.  False for a quote that does not end. */
static bool take_cell(struct str *line, struct str *cell, bool *more)
{
	if (line->n == 0 || line->p[0] != '"') {
		*more = str_cut(*line, ',', cell, line);
		*cell = str_trim(*cell);
		return true;
	}
	char *to = (char *)(uintptr_t)line->p;
	size_t from = 1, n = 0;
	for (;; from++) {
		if (from >= line->n)
			return false;
		if (to[from] == '"' && (from + 1 == line->n || to[++from] != '"'))
			break;
		to[n++] = to[from];
	}
	if (from + 1 == line->n && to[from] == '"')
		from++;
	*cell = str_n(to, n);
	*line = str_skip(*line, from);
	*more = line->n > 0;
	if (*more && line->p[0] != ',')
		return false;
	*line = str_skip(*line, 1);
	return true;
}

static bool split(struct str line, struct str cells[CELLS_MAX], size_t *n)
{
	bool more = true;

	for (*n = 0; more; ++*n)
		if (*n == CELLS_MAX || !take_cell(&line, &cells[*n], &more))
			return false;
	return true;
}

static bool read_header(struct csv *c, struct str line)
{
	struct str cells[CELLS_MAX];
	bool seen[COLUMN_N] = { false };

	if (str_starts(line, S("\xEF\xBB\xBF")))
		line = str_skip(line, 3);
	if (!split(line, cells, &c->cell_n)) {
		import_problem(c->im, c->in->line, "the header line is not comma-separated column names");
		return false;
	}
	for (size_t i = 0; i < c->cell_n; i++) {
		size_t col = 0;
		while (col < COLUMN_N && !str_ieq(cells[i], str_c(column_names[col])))
			col++;
		if (col == COLUMN_N || seen[col]) {
			import_problem(c->im, c->in->line, "%s column '" STR_FMT "'",
				       col == COLUMN_N ? "unknown" : "repeated", STR_ARG(cells[i]));
			return false;
		}
		c->order[i] = (enum column)col;
		seen[col] = true;
	}
	for (size_t col = COL_ADDRESS; col <= COL_LOC; col++)
		if (!seen[col]) {
			import_problem(c->im, c->in->line, "column '%s' is missing", column_names[col]);
			return false;
		}
	return true;
}

static bool read_flag(struct str s, bool *v)
{
	*v = str_ieq(s, S("yes")) || str_ieq(s, S("true")) || str_eq(s, S("1"));
	return *v || s.n == 0 || str_ieq(s, S("no")) || str_ieq(s, S("false")) || str_eq(s, S("0"));
}

static bool read_aliases(struct str list, struct rcpt_record *rec)
{
	struct str one;

	while (list.n > 0) {
		str_cut(list, ';', &one, &list);
		one = str_trim(one);
		if (one.n == 0)
			continue;
		if (rec->addr_n == RECORD_ADDRS_MAX)
			return false;
		rec->addrs[rec->addr_n++] = one;
	}
	return true;
}

static const char *take_value(enum column col, struct str v, struct rcpt_record *rec)
{
	switch (col) {
	case COL_ADDRESS:
		rec->addrs[0] = v;
		return v.n > 0 ? NULL : "address is empty";
	case COL_LOC:
		return loc_parse(v, &rec->loc) ? NULL
					       : "loc is not one of local, remote, both, group, contact, redirect, "
						 "disabled";
	case COL_ROUTING:
		rec->routing = v;
		return NULL;
	case COL_ALIASES:
		return read_aliases(v, rec) ? NULL : "more than 1000 addresses";
	case COL_LOCAL_HOST:
		rec->local_host = v;
		return NULL;
	case COL_MAILBOX_ID:
		rec->mailbox_id = v;
		return NULL;
	case COL_SOURCE:
		rec->source = v;
		return NULL;
	case COL_REDIRECT:
		rec->redirect = v;
		return NULL;
	case COL_KEEP_COPY:
		return read_flag(v, &rec->keep_copy) ? NULL : "keep_copy is not yes or no";
	case COL_REQUIRE_AUTH:
		return read_flag(v, &rec->require_auth) ? NULL : "require_auth is not yes or no";
	case COL_EXPAND_AT:
		return v.n == 0 || expand_parse(v, &rec->expand_at)
			       ? NULL
			       : "expand_at is not one of home, onprem, cloud, here";
	case COL_REPORT_TO:
		return v.n == 0 || report_parse(v, &rec->report_to) ? NULL
								    : "report_to is not one of sender, owner, none";
	case COL_OWNER:
		rec->owner = v;
		return NULL;
	case COL_ALLOW:
		rec->allow = v;
		return NULL;
	case COL_DENY:
		rec->deny = v;
		return NULL;
	case COL_EXTERNAL_OK:
		return read_flag(v, &rec->external_ok) ? NULL : "external_ok is not yes or no";
	case COL_MEMBERS:
		rec->members = v;
		return NULL;
	case COLUMN_N:
		break;
	}
	return "column";
}

static void read_row(struct csv *c, struct str line)
{
	struct rcpt_record rec = { .addrs = c->addrs, .addr_n = 1 };
	struct str cells[CELLS_MAX];
	const char *problem;
	size_t n;

	c->im->report.rows++;
	if (!split(line, cells, &n)) {
		import_problem(c->im, c->in->line, "a quoted cell that does not end well");
		return;
	}
	if (n != c->cell_n) {
		import_problem(c->im, c->in->line, "%zu cells where the header names %zu columns", n, c->cell_n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if ((problem = take_value(c->order[i], cells[i], &rec)) != NULL) {
			import_problem(c->im, c->in->line, "%s", problem);
			return;
		}
	rec.primary = rec.addrs[0];
	import_add(c->im, c->in->line, &rec);
}

void import_csv(struct import *im, struct import_lines *in)
{
	struct csv *c = calloc(1, sizeof *c);
	struct str line;

	must(c != NULL);
	*c = (struct csv){ .im = im, .in = in };
	if (!import_line(in, &line))
		import_problem(im, 1, "the file is empty: a header line is missing");
	else if (read_header(c, line))
		while (import_line(in, &line))
			if (str_trim(line).n > 0)
				read_row(c, line);
	free(c);
}
