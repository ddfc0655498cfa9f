/* milter/main.c: tombolo-milter: tombolod's decisions inside of Postfix and Sendmail.  THE libmilter file.
 *
 *   tombolo-milter -c FILE        run in the foreground, on the section `beside` of tombolod's configuration
 *   tombolo-milter -t -c FILE     check the configuration, exit
 *
 * libmilter owns threads and signals: one thread a message under load, so a callback may block, for at most
 * beside.patience.  This file only carries words between libmilter, the message (milter/mail) and tombolod
 * (milter/ask); what is decided is tombolod's business.  The body is never asked for. */
#include "base/guid.h"
#include "base/must.h"
#include "base/user.h"
#include "config/config.h"
#include "milter/ask.h"
#include "milter/mail.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct conversation { /* with one connection of the MTA */
	struct mail mail;
	struct ask ask;
	char id[GUID_SIZE];
	struct arena answers;
};

static const struct conf_beside *conf; /* read once, before the first thread */

/* ---- questions ---- */

static struct conversation *of(SMFICTX *ctx)
{
	struct conversation *k = smfi_getpriv(ctx);

	if (k != NULL)
		return k;
	k = calloc(1, sizeof *k);
	must(k != NULL);
	mail_init(&k->mail);
	ask_init(&k->ask, conf->ask.p, conf->patience_ms);
	arena_init(&k->answers, DECIDE_ARENA_MAX);
	must(smfi_setpriv(ctx, k) == MI_SUCCESS);
	return k;
}

static sfsistat refuse(SMFICTX *ctx, const struct reply *r)
{
	char code[8], enhanced[24], text[DECIDE_TEXT_MAX + 1];

	snprintf(code, sizeof code, "%d", r->code);
	snprintf(enhanced, sizeof enhanced, "%d.%d.%d", r->class, r->subject, r->detail);
	snprintf(text, sizeof text, STR_FMT, STR_ARG(str_head(r->text, 900)));
	smfi_setreply(ctx, code, r->class != 0 ? enhanced : NULL, text[0] != '\0' ? text : NULL);
	return r->code < 500 ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

static sfsistat refuse_with(SMFICTX *ctx, struct str words)
{
	struct reply r;

	if (!decide_reply_parse(words, &r))
		r = REPLY(451, 4, 3, 0, "this message cannot be judged now");
	return refuse(ctx, &r);
}

static sfsistat without_answer(SMFICTX *ctx, const struct conversation *k, const struct err *e)
{
	const struct reply r = REPLY(451, 4, 3, 0, "the way of this message cannot be decided now, try again later");

	log_warn(NULL, "milter.unanswered", kv_c("trace", k->id), kv_c("why", e->text),
		 kv_bool("passes", conf->unanswered == BESIDE_ACCEPT));
	return conf->unanswered == BESIDE_ACCEPT ? SMFIS_CONTINUE : refuse(ctx, &r);
}

/* ---- the connection ---- */

enum {
	NEEDED_ACTIONS =
		SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_QUARANTINE | SMFIF_ADDRCPT_PAR,
	NEEDED_STEPS = SMFIP_HDR_LEADSPC | SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_HDR,
	SPARED_STEPS = SMFIP_NOBODY | SMFIP_NOEOH | SMFIP_NODATA | SMFIP_NOUNKNOWN
};

/* Postfix 2.6 and Sendmail 8.14 have all of it. */
static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
			     unsigned long f3, unsigned long *want_actions, unsigned long *want_steps,
			     unsigned long *want_f2, unsigned long *want_f3)
{
	static char helo[] = "{tls_version} {verify} {cert_subject} {cn_subject} v",
		    from[] = "{auth_authen} {tls_version} {verify} {cert_subject} {cn_subject} v", eom[] = "i";

	(void)f2;
	(void)f3;
	if ((actions & NEEDED_ACTIONS) != NEEDED_ACTIONS || (steps & NEEDED_STEPS) != NEEDED_STEPS) {
		log_error(NULL, "milter.too_old", kv_int("actions", (int64_t)actions), kv_int("steps", (int64_t)steps));
		return SMFIS_REJECT;
	}
	if (actions & SMFIF_SETSYMLIST) {
		smfi_setsymlist(ctx, SMFIM_HELO, helo);
		smfi_setsymlist(ctx, SMFIM_ENVFROM, from);
		smfi_setsymlist(ctx, SMFIM_EOM, eom);
	}
	*want_actions = NEEDED_ACTIONS | (actions & SMFIF_SETSYMLIST);
	*want_steps = NEEDED_STEPS | (steps & SPARED_STEPS);
	*want_f2 = *want_f3 = 0;
	return SMFIS_CONTINUE;
}

/* The address as text; empty on the machine itself; one that nobody has when the MTA does not know it. */
static struct str client_of(const char *host, const struct sockaddr *sa, char room[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;

	if (sa != NULL && sa->sa_family == AF_INET)
		return str_c(inet_ntop(AF_INET, &v4->sin_addr, room, INET6_ADDRSTRLEN));
	if (sa != NULL && sa->sa_family == AF_INET6)
		return str_c(inet_ntop(AF_INET6, &v6->sin6_addr, room, INET6_ADDRSTRLEN));
	if (sa != NULL && sa->sa_family == AF_UNIX)
		return STR_NONE;
	return str_eq(str_c(host), S("localhost")) ? STR_NONE : S("0.0.0.0");
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *sa)
{
	char room[INET6_ADDRSTRLEN];

	mail_connect(&of(ctx)->mail, client_of(host, sa, room));
	return SMFIS_NOREPLY;
}

static sfsistat on_helo(SMFICTX *ctx, char *helo)
{
	mail_helo(&of(ctx)->mail, str_c(helo));
	return SMFIS_NOREPLY;
}

/* ---- the envelope ---- */

static const char *macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)(uintptr_t)name);
}

static sfsistat on_from(SMFICTX *ctx, char **argv)
{
	struct conversation *k = of(ctx);
	const struct mail_tls tls = { .version = macro(ctx, "{tls_version}"),
				      .verify = macro(ctx, "{verify}"),
				      .cert_subject = macro(ctx, "{cert_subject}"),
				      .cn_subject = macro(ctx, "{cn_subject}"),
				      .mta = macro(ctx, "v") };
	struct decide_question q;
	struct decide_answer a;
	struct err e = { 0 };

	guid_make(k->id);
	mail_tls(&k->mail, &tls);
	mail_begin(&k->mail, str_c(k->id), str_c(argv[0]), str_c(macro(ctx, "{auth_authen}")));
	if (k->mail.refused.code != 0)
		return refuse(ctx, &k->mail.refused);
	mail_ask_sender(&k->mail, &q);
	arena_fini(&k->answers);
	if (ask(&k->ask, &q, &k->answers, &a, &e) != 0)
		return without_answer(ctx, k, &e);
	return a.reply.n > 0 ? refuse_with(ctx, a.reply) : SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	struct conversation *k = of(ctx);
	struct decide_question q;
	struct decide_answer a;
	struct err e = { 0 };
	sfsistat verdict = SMFIS_CONTINUE;

	k->mail.refused = (struct reply){ 0 };
	mail_rcpt(&k->mail, str_c(argv[0]), argv[0] != NULL ? &argv[1] : NULL);
	if (k->mail.refused.code != 0) {
		const struct reply r = k->mail.refused;
		k->mail.refused = (struct reply){ 0 };
		return refuse(ctx, &r);
	}
	mail_ask_rcpt(&k->mail, &q);
	arena_fini(&k->answers);
	if (ask(&k->ask, &q, &k->answers, &a, &e) != 0)
		verdict = without_answer(ctx, k, &e);
	else if (a.reply.n > 0)
		verdict = refuse_with(ctx, a.reply);
	else if (a.rcpt_n == 1 && a.rcpts[0].action == DECIDE_REFUSE)
		verdict = refuse_with(ctx, a.rcpts[0].reply);
	if (verdict != SMFIS_CONTINUE)
		mail_forget_rcpt(&k->mail);
	return verdict;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	mail_field(&of(ctx)->mail, str_c(name), str_c(value));
	return SMFIS_NOREPLY;
}

/* ---- the end of the message ---- */

static bool carry_out(SMFICTX *ctx, const struct mail_order *o)
{
	char *name = (char *)(uintptr_t)o->name, *value = (char *)(uintptr_t)o->value;

	switch (o->kind) {
	case ORDER_STRIP:
		return smfi_chgheader(ctx, name, o->index, NULL) == MI_SUCCESS;
	case ORDER_ADD:
		return smfi_addheader(ctx, name, value) == MI_SUCCESS;
	case ORDER_RCPT_GONE:
		return smfi_delrcpt(ctx, name) == MI_SUCCESS;
	case ORDER_RCPT_NEW:
		return smfi_addrcpt_par(ctx, name, value) == MI_SUCCESS;
	}
	return false;
}

/* All of it or nothing: a message that is only half rewritten must not go on. */
static sfsistat edit(SMFICTX *ctx, struct conversation *k, const struct decide_answer *a)
{
	struct err e = { 0 };
	struct mail_orders o = { 0 };
	char why[300];
	bool ok = mail_orders(&k->mail, a, &o);

	if (ok && o.nobody)
		return SMFIS_DISCARD;
	for (size_t i = 0; ok && i < o.n; i++)
		ok = carry_out(ctx, &o.v[i]);
	snprintf(why, sizeof why, STR_FMT, STR_ARG(str_head(a->hold, sizeof why - 1)));
	if (ok && (a->hold.n == 0 || smfi_quarantine(ctx, why) == MI_SUCCESS))
		return SMFIS_CONTINUE;
	err_set(&e, ERR_SYSTEM, "milter.edit", "the changes could not be made");
	log_warn(NULL, "milter.failed", kv_c("trace", k->id), kv_c("why", e.text));
	return refuse_with(ctx, S("451 4.3.0 this message cannot be changed as it must be, try again later"));
}

static sfsistat on_end(SMFICTX *ctx)
{
	struct conversation *k = of(ctx);
	struct decide_question q;
	struct decide_answer a;
	struct err e = { 0 };

	if (k->mail.refused.code != 0)
		return refuse(ctx, &k->mail.refused);
	arena_fini(&k->answers);
	if (!mail_ask_whole(&k->mail, &q))
		return refuse_with(ctx, S("452 4.3.1 out of memory for this message"));
	if (ask(&k->ask, &q, &k->answers, &a, &e) != 0)
		return without_answer(ctx, k, &e);
	log_info(NULL, "milter.message", kv_c("trace", k->id), kv_c("queue_id", macro(ctx, "i")),
		 kv_int("recipients", (int64_t)k->mail.rcpt_n));
	log_flush();
	return a.reply.n > 0 ? refuse_with(ctx, a.reply) : edit(ctx, k, &a);
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct conversation *k = smfi_getpriv(ctx);

	if (k == NULL)
		return SMFIS_CONTINUE;
	mail_fini(&k->mail);
	ask_fini(&k->ask);
	arena_fini(&k->answers);
	free(k);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* ---- the program ---- */

static const struct smfiDesc callbacks = {
	.xxfi_name = (char *)(uintptr_t) "tombolo",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = NEEDED_ACTIONS | SMFIF_SETSYMLIST,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_from,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_header = on_header,
	.xxfi_eom = on_end,
	.xxfi_close = on_close,
	.xxfi_negotiate = on_negotiate,
};

static int usage(void)
{
	fputs("usage: tombolo-milter [-t] -c FILE\n", stderr);
	return 2;
}

static struct config *load(const char *path)
{
	struct buf problems;

	buf_init(&problems, 64 * 1024);
	struct config *c = config_load(path, &problems);
	fputs(buf_cstr(&problems), stderr);
	buf_fini(&problems);
	if (c != NULL && c->beside.ask.n == 0) {
		fprintf(stderr, "%s: beside.listen has no path at which tombolod could be asked\n", path);
		config_unref(&c);
	}
	return c;
}

/* Binds as whoever started us, then root goes for good.  A socket file is for all who reach its folder. */
static int start(struct err *e)
{
	uid_t uid;
	gid_t gid;

	umask(0111);
	if (smfi_setconn((char *)(uintptr_t)conf->milter.p) != MI_SUCCESS || smfi_register(callbacks) != MI_SUCCESS ||
	    smfi_opensocket(true) != MI_SUCCESS)
		return err_set(e, ERR_NET, "milter.listen", "cannot listen on %s", conf->milter.p);
	umask(0077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_sys(e, ERR_SYSTEM, "milter.start", "prctl");
	if (geteuid() != 0 || conf->milter_user.n == 0)
		return 0;
	return user_find(conf->milter_user.p, &uid, &gid, e) != 0 ? -1 : user_become(uid, gid, e);
}

int main(int argc, char **argv)
{
	const char *path = "/etc/tombolo/tombolo.conf";
	struct err e = { 0 };
	bool check = false;
	int opt;

	while ((opt = getopt(argc, argv, "c:t")) != -1) {
		if (opt == 'c')
			path = optarg;
		else if (opt == 't')
			check = true;
		else
			return usage();
	}
	if (optind != argc)
		return usage();
	struct config *c = load(path);
	if (c == NULL)
		return 1;
	if (check) {
		fprintf(stderr, "%s: ok\n", path);
		config_unref(&c);
		return 0;
	}
	conf = &c->beside;
	must_on_panic(log_flush_at_panic, NULL);
	if (log_open(NULL, c->log.level, c->log.format) != 0 || start(&e) != 0) {
		fprintf(stderr, "tombolo-milter: %s: %s\n", e.where, e.text);
		return 1;
	}
	log_info(NULL, "milter.ready", kv_str("listens", conf->milter), kv_str("asks", conf->ask));
	log_flush();
	int status = smfi_main();
	log_info(NULL, "milter.stopped", kv_bool("clean", status == MI_SUCCESS));
	log_flush();
	config_unref(&c);
	return status == MI_SUCCESS ? 0 : 1;
}
