/* smtpd/control_recipients.c: the recipient table by file and by record.
 *
 * On the worker: writes wait for the disk, an import may take a minute. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	RECORD_MEMORY = 256 * 1024,
	PROBLEMS_MAX = 64 * 1024,
	MEMBERS_SHOWN = 1000, /* the export has all of them */
	MEMBERS_MAX = 64 << 20
};

/* ---- files ---- */

static void import_row(struct call *c, const struct import_report *r, bool dry_run)
{
	json_t *row = json_object();

	row_uint(row, "rows", r->rows);
	row_uint(row, "added", r->added);
	row_uint(row, "changed", r->changed);
	row_uint(row, "removed", r->removed);
	row_uint(row, "unchanged", r->unchanged);
	row_uint(row, "errors", r->errors);
	row_bool(row, "applied", r->applied);
	row_bool(row, "dry_run", dry_run);
	if (r->applied)
		row_uint(row, "serial", r->serial);
	call_row(c, row);
}

/* False: it failed and the call has ended. */
static bool import_once(struct call *c, bool dry_run, struct import_report *report)
{
	struct str file = args_text(c, "FILE"), source = args_text(c, "source");
	bool ldif = args_flag(c, "ldif") || str_iends(file, S(".ldif"));
	struct buf problems;
	struct err e = { 0 };
	int failed;

	*report = (struct import_report){ 0 };
	buf_init(&problems, PROBLEMS_MAX);
	failed = routing_import(c->hooks->routing, file.p, ldif ? IMPORT_LDIF : IMPORT_CSV,
				source.n > 0 ? source : S("import"), args_flag(c, "replace"),
				args_number(c, "accept-deletes", 0), dry_run, report, &problems, &e);
	call_lines(c, buf_str(&problems));
	buf_fini(&problems);
	if (failed == 0 && report->errors == 0)
		return true;
	if (report->rows > 0)
		import_row(c, report, dry_run);
	call_end(c, CALL_PARTLY, "%s",
		 failed != 0 ? e.text : "nothing was applied: mend the rows above and import again");
	return false;
}

void run_recipients_import(struct call *c)
{
	bool dry_run = args_flag(c, "dry-run");
	struct import_report report;

	/* an import that may remove says first how many */
	if (args_flag(c, "replace") && !dry_run) {
		if (!import_once(c, true, &report))
			return;
		import_row(c, &report, true);
	}
	if (!import_once(c, dry_run, &report))
		return;
	import_row(c, &report, dry_run);
	call_end(c, CALL_OK, NULL);
}

/* A nameless file on the disk that the table lives on: the table may be larger than the memory we want to use. */
static int scratch_file(const struct config *conf, struct err *e)
{
	int fd = open(conf->recipients.path.p, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) /* the file system cannot: memory then */
		fd = memfd_create("tombolo-export", MFD_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, ERR_IO, "control.export", "cannot make a temporary file");
}

void run_recipients_export(struct call *c)
{
	struct err e = { 0 };
	int fd = scratch_file(c->config, &e);

	if (fd >= 0 && routing_export(c->hooks->routing, NULL, fd, &e) == 0 && lseek(fd, 0, SEEK_SET) == 0) {
		c->file = fd;
		call_end(c, CALL_OK, NULL);
		return;
	}
	if (fd >= 0)
		close(fd);
	call_end_err(c, CALL_PARTLY, &e);
}

/* ---- records ---- */

static void group_row(struct call *c, json_t *row, const struct rcpt_record *r)
{
	json_t *members = json_array();
	struct str list, one;
	struct buf all;
	struct err e;

	row_c(row, "expand_at", expand_name(r->expand_at));
	row_c(row, "report_to", report_name(r->report_to));
	row_str(row, "owner", r->owner);
	row_uint(row, "member_n", r->member_n);
	buf_init(&all, MEMBERS_MAX);
	if (r->set_members) /* a dry run: as they were given */
		buf_add(&all, r->members);
	else
		routing_members(c->hooks->routing, r->primary, &all, &e); /* a record that is not there has none */
	list = buf_str(&all);
	for (size_t n = 0; n < MEMBERS_SHOWN && list.n > 0; n++) {
		str_cut(list, '\n', &one, &list);
		must(json_array_append_new(members, json_of_str(one)) == 0);
	}
	buf_fini(&all);
	must(json_object_set_new(row, "members", members) == 0);
}

static void record_row(struct call *c, const struct rcpt_record *r)
{
	json_t *row = json_object(), *aliases = json_array();

	row_str(row, "primary", r->primary);
	for (size_t i = 0; i < r->addr_n; i++)
		if (!str_eq(r->addrs[i], r->primary))
			must(json_array_append_new(aliases, json_of_str(r->addrs[i])) == 0);
	must(json_object_set_new(row, "alias", aliases) == 0);
	row_c(row, "loc", loc_name(r->loc));
	row_str(row, "routing", r->routing);
	row_str(row, "local_host", r->local_host);
	row_str(row, "redirect", r->redirect);
	row_bool(row, "keep_copy", r->keep_copy);
	row_bool(row, "require_auth", r->require_auth);
	row_bool(row, "external_ok", r->external_ok);
	row_str(row, "allow", r->allow);
	row_str(row, "deny", r->deny);
	if (r->loc == LOC_GROUP)
		group_row(c, row, r);
	row_str(row, "mailbox_id", r->mailbox_id);
	row_str(row, "source", r->source);
	row_str(row, "batch", r->batch);
	row_uint(row, "version", r->version);
	row_int(row, "changed_ms", r->changed_ms);
	call_row(c, row);
}

void run_recipients_get(struct call *c)
{
	struct rcpt_record r = { 0 };
	struct arena arena;
	struct err e = { 0 };

	arena_init(&arena, RECORD_MEMORY + MEMBERS_MAX);
	if (routing_record_get(c->hooks->routing, args_text(c, "ADDRESS"), &arena, &r, &e) == 0) {
		record_row(c, &r);
		call_end(c, CALL_OK, NULL);
	} else {
		call_end_err(c, e.code == ERR_NOT_FOUND ? CALL_NOTHING : CALL_PARTLY, &e);
	}
	arena_fini(&arena);
}

static bool set_loc(struct rcpt_record *r, struct str value)
{
	for (enum rcpt_loc l = LOC_LOCAL; l <= LOC_DISABLED; l++)
		if (str_ieq(value, str_c(loc_name(l)))) {
			r->loc = l;
			return true;
		}
	return false;
}

static bool set_flag(bool *flag, struct str value)
{
	if (!str_ieq(value, S("yes")) && !str_ieq(value, S("no")))
		return false;
	*flag = str_ieq(value, S("yes"));
	return true;
}

/* The other addresses, replaced: "a@x,b@x", or empty for none.  The primary stays first. */
static bool set_aliases(struct rcpt_record *r, struct str value, struct arena *arena)
{
	size_t n = 1;

	for (size_t i = 0; i < value.n; i++)
		n += value.p[i] == ',';
	struct str *addrs = arena_alloc(arena, (n + 1) * sizeof *addrs);
	if (addrs == NULL)
		return false;
	addrs[0] = r->primary;
	n = 1;
	while (value.n > 0) {
		struct str one;
		str_cut(value, ',', &one, &value);
		one = str_trim(one);
		if (one.n > 0 && !str_ieq(one, r->primary))
			addrs[n++] = one;
	}
	r->addrs = addrs;
	r->addr_n = n;
	return true;
}

/* members=a@x,b@y replaces the list; members+=a@x and members-=a@x change the one that is stored. */
static bool set_members(struct call *c, struct rcpt_record *r, char how, struct str value, struct arena *arena)
{
	struct buf list, old;
	struct str lines, one;
	struct err e;
	bool ok = true;

	buf_init(&list, MEMBERS_MAX);
	buf_init(&old, MEMBERS_MAX);
	if (how != '=' && !r->set_members)
		ok = routing_members(c->hooks->routing, r->primary, &old, &e) == 0 || e.code == ERR_NOT_FOUND;
	else if (how != '=')
		buf_add(&old, r->members);
	for (lines = buf_str(&old); lines.n > 0;) {
		struct str gone = value, name;
		bool keep = true;
		str_cut(lines, '\n', &one, &lines);
		while (how == '-' && keep && gone.n > 0) {
			str_cut(gone, ',', &name, &gone);
			keep = !str_ieq(str_trim(name), one);
		}
		if (keep && one.n > 0) {
			buf_add(&list, one);
			buf_addc(&list, '\n');
		}
	}
	while (how != '-' && value.n > 0) {
		str_cut(value, ',', &one, &value);
		buf_add(&list, str_trim(one));
		buf_addc(&list, '\n');
	}
	ok = ok && !old.full && !list.full && arena_dup(arena, buf_str(&list), &r->members);
	r->set_members = true;
	r->member_n = 0;
	for (size_t i = 0; i < list.n; i++)
		r->member_n += list.p[i] == '\n';
	buf_fini(&list);
	buf_fini(&old);
	return ok;
}

static bool apply_setting(struct call *c, struct rcpt_record *r, struct str key, struct str value, struct arena *arena)
{
	const struct {
		struct str key;
		struct str *to;
	} texts[] = {
		{ S("routing"), &r->routing },   { S("local_host"), &r->local_host },
		{ S("redirect"), &r->redirect }, { S("mailbox_id"), &r->mailbox_id },
		{ S("source"), &r->source },     { S("batch"), &r->batch },
		{ S("owner"), &r->owner },       { S("allow"), &r->allow },
		{ S("deny"), &r->deny },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (str_ieq(key, texts[i].key)) {
			*texts[i].to = value;
			return true;
		}
	if (str_ieq(key, S("loc")))
		return set_loc(r, value);
	if (str_ieq(key, S("keep_copy")))
		return set_flag(&r->keep_copy, value);
	if (str_ieq(key, S("require_auth")))
		return set_flag(&r->require_auth, value);
	if (str_ieq(key, S("external_ok")))
		return set_flag(&r->external_ok, value);
	if (str_ieq(key, S("expand_at")))
		return expand_parse(value, &r->expand_at);
	if (str_ieq(key, S("report_to")))
		return report_parse(value, &r->report_to);
	if (str_ieq(key, S("members")))
		return set_members(c, r, '=', value, arena);
	if (str_ieq(key, S("members+")) || str_ieq(key, S("members-")))
		return set_members(c, r, key.p[key.n - 1], value, arena);
	/* the primary address names the record: another one is another record */
	return str_ieq(key, S("alias")) && set_aliases(r, value, arena);
}

/* The record that is, or a new one for this address. */
static int old_or_new(struct call *c, struct arena *arena, struct rcpt_record *r, bool *is_new, struct err *e)
{
	struct str address = args_text(c, "ADDRESS");

	*is_new = false;
	if (routing_record_get(c->hooks->routing, address, arena, r, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*is_new = true;
	*r = (struct rcpt_record){ .primary = address, .loc = LOC_LOCAL, .source = S("manual") };
	return set_aliases(r, STR_NONE, arena) ? 0 : err_set(e, ERR_TOO_BIG, "control.recipients", "out of memory");
}

/* False: the call has ended. */
static bool apply_settings(struct call *c, struct rcpt_record *r, struct arena *arena)
{
	size_t n = args_list_n(c, "SETTING");

	for (size_t i = 0; i < n; i++) {
		struct str word = args_list_at(c, "SETTING", i), key, value;
		if (str_cut(word, '=', &key, &value) && apply_setting(c, r, key, value, arena))
			continue;
		call_end(c, CALL_USAGE,
			 "\"" STR_FMT "\": KEY=VALUE is expected, like loc=remote, routing=u@x.example, keep_copy=yes; "
			 "see: tombolo recipients set --help",
			 STR_ARG(word));
		return false;
	}
	if (n == 0)
		call_end(c, CALL_USAGE, "what shall be set? KEY=VALUE is expected, like loc=remote");
	return n > 0;
}

void run_recipients_set(struct call *c)
{
	struct rcpt_record r = { 0 };
	struct arena arena;
	struct err e = { 0 };
	bool is_new, dry_run = args_flag(c, "dry-run");

	arena_init(&arena, RECORD_MEMORY + MEMBERS_MAX);
	if (old_or_new(c, &arena, &r, &is_new, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
	} else if (apply_settings(c, &r, &arena)) {
		if (!dry_run && routing_record_set(c->hooks->routing, &r, &e) != 0) {
			call_end_err(c, e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, &e);
		} else {
			if (!dry_run) /* as it is stored now: normalized, with its version */
				routing_record_get(c->hooks->routing, r.primary, &arena, &r, &e);
			record_row(c, &r);
			call_text(c, "%s",
				  dry_run  ? "Nothing was changed (--dry-run)."
				  : is_new ? "New record."
					   : "Changed.");
			call_end(c, CALL_OK, NULL);
		}
	}
	arena_fini(&arena);
}

void run_recipients_remove(struct call *c)
{
	struct rcpt_record r = { 0 };
	struct arena arena;
	struct err e = { 0 };
	bool dry_run = args_flag(c, "dry-run");

	arena_init(&arena, RECORD_MEMORY + MEMBERS_MAX);
	if (routing_record_get(c->hooks->routing, args_text(c, "ADDRESS"), &arena, &r, &e) != 0) {
		call_end_err(c, e.code == ERR_NOT_FOUND ? CALL_NOTHING : CALL_PARTLY, &e);
	} else {
		record_row(c, &r);
		call_text(c, "1 record with %zu addresses %s.", r.addr_n,
			  dry_run ? "would be removed" : "to be removed");
		if (!dry_run && routing_record_remove(c->hooks->routing, args_text(c, "ADDRESS"), &e) != 0)
			call_end_err(c, CALL_PARTLY, &e);
		else
			call_end(c, CALL_OK, NULL);
	}
	arena_fini(&arena);
}
