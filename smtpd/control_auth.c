/* smtpd/control_auth.c: `auth check`: the verdicts of SPF and DKIM told in words, by the same workers that judge mail.
 *
 *   [loop] SPF, if there is an --ip -> [worker] the file is read -> [loop] DKIM, if there is a --file -> the end */
#include "auth/auth.h"
#include "base/must.h"
#include "smtpd/control_verbs.h"
#include "wire/header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20, FIELDS_MAX = 10000 };

struct auth_check {
	struct call *call;
	struct auth_spf spf;
	struct auth_dkim dkim;
	struct buf message;
	char trouble[200];
	bool good; /* what was asked for passed */
};

static void drop_check(struct call *c)
{
	struct auth_check *k = c->state;

	c->state = NULL;
	auth_spf_fini(&k->spf);
	auth_dkim_fini(&k->dkim);
	buf_fini(&k->message);
	free(k);
}

static void end_check(struct call *c)
{
	bool good = ((struct auth_check *)c->state)->good;

	drop_check(c);
	call_end(c, good ? CALL_OK : CALL_NOTHING, NULL);
}

/* ---- DKIM ---- */

static void sig_row(struct call *c, const struct auth_sig *s)
{
	json_t *row = json_object();

	row_c(row, "check", "dkim");
	row_c(row, "result", auth_result_name(s->result));
	row_c(row, "domain", s->domain);
	row_c(row, "selector", s->selector);
	row_c(row, "identity", s->identity);
	row_c(row, "algorithm", s->algorithm);
	row_uint(row, "bits", s->bits);
	row_bool(row, "testing", s->testing);
	row_bool(row, "dnssec", s->secure);
	row_c(row, "why", s->why);
	call_row(c, row);
}

static void on_dkim(struct op *op)
{
	struct auth_check *k = container_of(container_of(op, struct auth_dkim, op), struct auth_check, dkim);
	struct call *c = k->call;

	for (size_t i = 0; i < k->dkim.sig_n; i++)
		sig_row(c, &k->dkim.sigs[i]);
	if (k->dkim.sig_n == 0) {
		json_t *row = json_object();
		row_c(row, "check", "dkim");
		row_c(row, "result", auth_result_name(k->dkim.result));
		row_c(row, "why", k->dkim.why[0] != '\0' ? k->dkim.why : "there is no signature");
		call_row(c, row);
	}
	k->good = k->good && k->dkim.result == AUTH_PASS;
	end_check(c);
}

/* Files of people end their lines as they like; mail does not. */
static void put_crlf(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_addc(b, '\r');
		buf_addc(b, s.p[i]);
	}
}

static void read_file(struct call *c)
{
	struct auth_check *k = c->state;
	const char *path = args_text(c, "file").p;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	struct buf raw;
	ssize_t got = -1;
	char *room;

	buf_init(&raw, FILE_MAX);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		while ((room = buf_reserve(&raw, 65536)) != NULL && (got = read(fd, room, 65536)) > 0)
			buf_commit(&raw, (size_t)got);
	if (got != 0)
		snprintf(k->trouble, sizeof k->trouble, "cannot be read: %s",
			 raw.full     ? "it is too big"
			 : errno != 0 ? strerror(errno)
				      : "not a file");
	if (fd >= 0)
		close(fd);
	put_crlf(&k->message, buf_str(&raw));
	buf_fini(&raw);
}

static void ask_dkim(struct call *c)
{
	struct auth_check *k = c->state;
	struct header_scan scan;
	struct str all = buf_str(&k->message);

	if (k->trouble[0] != '\0' || k->message.full) {
		char why[200];
		memcpy(why, k->trouble, sizeof why);
		drop_check(c);
		call_end(c, CALL_PARTLY, "the file %s", why);
		return;
	}
	header_scan_init(&scan, AUTH_HEADER_MAX, FIELDS_MAX, STR_NONE);
	header_scan_add(&scan, all);
	header_scan_finish(&scan);
	size_t end = scan.too_big ? all.n : (size_t)scan.end;
	header_scan_fini(&scan);
	auth_dkim_begin(c->hooks->auth, &k->dkim);
	auth_dkim_header(&k->dkim, str_head(all, end));
	auth_dkim_body(&k->dkim, str_skip(all, end));
	auth_dkim_end(&k->dkim, on_dkim);
}

static void look_at_file(struct call *c)
{
	if (args_has(c, "file"))
		call_to_worker(c, read_file, ask_dkim);
	else
		end_check(c);
}

/* ---- SPF ---- */

static void on_spf(struct op *op)
{
	struct auth_check *k = container_of(container_of(op, struct auth_spf, op), struct auth_check, spf);
	const struct auth_spf *q = &k->spf;
	struct call *c = k->call;
	json_t *row = json_object();

	row_c(row, "check", "spf");
	row_c(row, "result", auth_result_name(q->result));
	row_c(row, "identity", q->helo ? "helo" : "mailfrom");
	row_c(row, "domain", q->domain);
	row_c(row, "mechanism", q->mechanism);
	row_uint(row, "lookups", q->lookups);
	row_uint(row, "voids", q->voids);
	row_bool(row, "dnssec", q->secure);
	row_c(row, "explanation", q->explanation);
	row_c(row, "why", q->why);
	call_row(c, row);
	call_lines(c, q->story);
	k->good = q->result == AUTH_PASS;
	look_at_file(c);
}

static bool ask_spf(struct call *c, struct auth_check *k)
{
	struct auth_spf_ask ask = { .helo = args_text(c, "helo"),
				    .sender = args_text(c, "from"),
				    .receiver = c->config->hostname,
				    .wants_story = true };

	if (!net_parse_ip(args_text(c, "ip"), 0, &ask.client))
		return false;
	if (str_eq(ask.sender, S("<>")))
		ask.sender = STR_NONE;
	if (str_starts(ask.sender, S("<")) && str_ends(ask.sender, S(">")))
		ask.sender = str_n(ask.sender.p + 1, ask.sender.n - 2);
	auth_spf(c->hooks->auth, &ask, &k->spf, on_spf);
	return true;
}

void run_auth_check(struct call *c)
{
	struct auth_check *k;

	if (c->hooks->auth == NULL) {
		call_end(c, CALL_PARTLY, "nothing is judged here: auth.workers = 0");
		return;
	}
	if (!args_has(c, "ip") && !args_has(c, "file")) {
		call_end(c, CALL_USAGE, "--ip or --file is missing");
		return;
	}
	k = calloc(1, sizeof *k);
	must(k != NULL);
	k->call = c;
	k->good = true;
	buf_init(&k->message, 2 * FILE_MAX);
	c->state = k;
	c->drop = drop_check;
	if (!args_has(c, "ip"))
		look_at_file(c);
	else if (!ask_spf(c, k)) {
		drop_check(c);
		call_end(c, CALL_USAGE, "--ip: that is no address");
	}
}
