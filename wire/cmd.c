/* wire/cmd.c: commands from text to values and back.
 *
 * Each parameter of MAIL and RCPT is one row: keyword, whether it was offered, a function that checks the value.  The
 * one dispatch below refuses unknown keywords, repeated ones and values where none belong, so no row has to. */
#include "wire/cmd.h"

#include "base/must.h"

#include <string.h>

static const struct str names[VERB_N] = {
	[VERB_EHLO] = STR_LIT("EHLO"),         [VERB_HELO] = STR_LIT("HELO"), [VERB_MAIL] = STR_LIT("MAIL"),
	[VERB_RCPT] = STR_LIT("RCPT"),         [VERB_DATA] = STR_LIT("DATA"), [VERB_BDAT] = STR_LIT("BDAT"),
	[VERB_RSET] = STR_LIT("RSET"),         [VERB_NOOP] = STR_LIT("NOOP"), [VERB_QUIT] = STR_LIT("QUIT"),
	[VERB_VRFY] = STR_LIT("VRFY"),         [VERB_EXPN] = STR_LIT("EXPN"), [VERB_HELP] = STR_LIT("HELP"),
	[VERB_STARTTLS] = STR_LIT("STARTTLS"), [VERB_AUTH] = STR_LIT("AUTH"),
};

void cmd_parse(struct str line, struct cmd *out)
{
	while (line.n > 0 && chr_is_space(line.p[line.n - 1]))
		line.n--; /* RFC 5321 4.1.1: trailing blanks are tolerated */
	*out = (struct cmd){ .verb = VERB_UNKNOWN };
	str_cut(line, ' ', &out->name, &out->args);
	for (enum verb v = VERB_UNKNOWN + 1; v < VERB_N; v++)
		if (str_ieq(out->name, names[v]))
			out->verb = v;
}

struct str cmd_name(enum verb v)
{
	must(v < VERB_N);
	return names[v];
}

/* ---- parameters ---- */

enum { ENVID_MAX = 100, ORCPT_MAX = 500, AUTH_MAX = 500, XORG_MAX = 255 };

static const struct reply bad_value = { 501, 5, 5, 4, STR_LIT("Parameter value is not valid") };

static bool refuse(struct reply *why, struct reply r)
{
	*why = r;
	return false;
}

static bool take_size(struct str value, struct cmd_mail *m)
{
	m->has_size = true;
	if (str_u64(value, UINT64_MAX, &m->size))
		return true;
	for (size_t i = 0; i < value.n; i++)
		if (!chr_is_digit(value.p[i]))
			return false;
	m->size = UINT64_MAX; /* 20 digits are legal (RFC 1870 3) and surely too much */
	return value.n > 0 && value.n <= 20;
}

static bool take_body(struct str value, const struct cmd_offer *offer, struct cmd_mail *m, struct reply *why)
{
	m->has_body = true;
	if (str_ieq(value, S("7BIT")))
		m->body = ENV_BODY_7BIT;
	else if (str_ieq(value, S("8BITMIME")))
		m->body = ENV_BODY_8BITMIME;
	else if (!str_ieq(value, S("BINARYMIME")))
		return refuse(why, bad_value);
	else if (!offer->binarymime)
		return refuse(why, REPLY(555, 5, 5, 4, "BODY=BINARYMIME is not offered here"));
	else
		m->body = ENV_BODY_BINARYMIME;
	return true;
}

static bool take_ret(struct str value, struct cmd_mail *m)
{
	m->ret = str_ieq(value, S("FULL")) ? ENV_RET_FULL : str_ieq(value, S("HDRS")) ? ENV_RET_HDRS : ENV_RET_NONE;
	return m->ret != ENV_RET_NONE;
}

static bool take_xtext(struct str value, size_t max, struct str *out)
{
	*out = value;
	return value.n > 0 && value.n <= max && addr_is_xtext(value);
}

enum mail_param { MAIL_SIZE, MAIL_BODY, MAIL_SMTPUTF8, MAIL_RET, MAIL_ENVID, MAIL_XOORG, MAIL_AUTH, MAIL_PARAM_N };

static const struct str mail_params[MAIL_PARAM_N] = {
	[MAIL_SIZE] = STR_LIT("SIZE"), [MAIL_BODY] = STR_LIT("BODY"),   [MAIL_SMTPUTF8] = STR_LIT("SMTPUTF8"),
	[MAIL_RET] = STR_LIT("RET"),   [MAIL_ENVID] = STR_LIT("ENVID"), [MAIL_XOORG] = STR_LIT("XOORG"),
	[MAIL_AUTH] = STR_LIT("AUTH"),
};

static bool mail_offered(const struct cmd_offer *o, size_t param)
{
	const bool offered[MAIL_PARAM_N] = { o->size, o->eightbitmime, o->smtputf8, o->dsn, o->dsn, o->xoorg, o->auth };

	return offered[param];
}

static bool take_mail_param(size_t param, struct str value, const struct cmd_offer *offer, void *out, struct reply *why)
{
	struct cmd_mail *m = out;
	bool good = true;

	must(param < MAIL_PARAM_N);
	switch ((enum mail_param)param) {
	case MAIL_SIZE:
		good = take_size(value, m);
		break;
	case MAIL_BODY:
		return take_body(value, offer, m, why);
	case MAIL_SMTPUTF8:
		m->smtputf8 = good = value.p == NULL;
		break;
	case MAIL_RET:
		good = take_ret(value, m);
		break;
	case MAIL_ENVID:
		good = take_xtext(value, ENVID_MAX, &m->envid);
		break;
	case MAIL_XOORG:
		good = take_xtext(value, XORG_MAX, &m->xorg);
		break;
	case MAIL_AUTH:
		good = take_xtext(value, AUTH_MAX, &m->auth);
		break;
	case MAIL_PARAM_N:
		break;
	}
	return good || refuse(why, bad_value);
}

static bool take_notify(struct str value, struct cmd_rcpt *r)
{
	static const struct {
		struct str word;
		unsigned bit;
	} words[] = { { STR_LIT("NEVER"), ENV_NOTIFY_NEVER },
		      { STR_LIT("SUCCESS"), ENV_NOTIFY_SUCCESS },
		      { STR_LIT("FAILURE"), ENV_NOTIFY_FAILURE },
		      { STR_LIT("DELAY"), ENV_NOTIFY_DELAY } };
	struct str word;

	for (bool more = true; more;) {
		unsigned bit = 0;
		more = str_cut(value, ',', &word, &value);
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (str_ieq(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (r->notify & bit) != 0)
			return false;
		r->notify |= bit;
	}
	return (r->notify & ENV_NOTIFY_NEVER) == 0 || r->notify == ENV_NOTIFY_NEVER;
}

/* "rfc822;xtext"; the utf-8 type (RFC 6533 3) may hold UTF-8 as it is, but only in an SMTPUTF8 transaction. */
static bool take_orcpt(struct str value, bool smtputf8, struct cmd_rcpt *r)
{
	struct str type, addr, ascii;

	if (value.n > ORCPT_MAX || !str_cut(value, ';', &type, &addr) || type.n == 0 || addr.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!chr_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	r->orcpt = value;
	if (!smtputf8 || !str_ieq(type, S("utf-8")))
		return addr_is_xtext(addr);
	if (!addr_is_utf8(addr))
		return false;
	while (addr.n > 0) { /* the ASCII stretches are xtext */
		size_t n = 0;
		while (n < addr.n && !chr_is_8bit(addr.p[n]))
			n++;
		ascii = str_head(addr, n);
		if (!addr_is_xtext(ascii))
			return false;
		addr = str_skip(addr, n > 0 ? n : 1);
	}
	return true;
}

enum rcpt_param { RCPT_NOTIFY, RCPT_ORCPT, RCPT_PARAM_N };

static const struct str rcpt_params[RCPT_PARAM_N] = { STR_LIT("NOTIFY"), STR_LIT("ORCPT") };

static bool rcpt_offered(const struct cmd_offer *o, size_t param)
{
	(void)param;
	return o->dsn;
}

struct rcpt_in {
	struct cmd_rcpt *rcpt;
	bool smtputf8;
};

static bool take_rcpt_param(size_t param, struct str value, const struct cmd_offer *offer, void *out, struct reply *why)
{
	struct rcpt_in *in = out;

	(void)offer;
	bool good = param == RCPT_NOTIFY ? take_notify(value, in->rcpt) : take_orcpt(value, in->smtputf8, in->rcpt);
	return good || refuse(why, bad_value);
}

struct param_set {
	const struct str *keywords;
	size_t n;
	bool (*offered)(const struct cmd_offer *, size_t param);
	/* value.p is NULL when there was no "=" */
	bool (*take)(size_t param, struct str value, const struct cmd_offer *, void *out, struct reply *why);
};

static const struct param_set mail_set = { mail_params, MAIL_PARAM_N, mail_offered, take_mail_param };
static const struct param_set rcpt_set = { rcpt_params, RCPT_PARAM_N, rcpt_offered, take_rcpt_param };

static bool is_keyword(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && !(s.p[i] == '-' && i > 0))
			return false;
	return s.n > 0;
}

static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]) || s.p[i] == ' ' || s.p[i] == '=')
			return false;
	return s.n > 0;
}

static bool parse_params(struct str args, const struct param_set *set, const struct cmd_offer *offer, void *out,
			 struct reply *why)
{
	unsigned seen = 0;

	while (args.n > 0) {
		struct str word, keyword, value;
		str_cut(args, ' ', &word, &args);
		if (word.n == 0)
			continue; /* two blanks */
		bool has_value = str_cut(word, '=', &keyword, &value);
		if (!is_keyword(keyword) || (has_value && !is_value(value)))
			return refuse(why, REPLY(501, 5, 5, 4, "Parameter syntax is KEYWORD or KEYWORD=value"));
		size_t i = 0;
		while (i < set->n && !str_ieq(keyword, set->keywords[i]))
			i++;
		if (i == set->n || !set->offered(offer, i))
			return refuse(why, REPLY(555, 5, 5, 4, "Parameter not known or not offered here"));
		if (seen & 1U << i)
			return refuse(why, REPLY(501, 5, 5, 4, "Parameter given twice"));
		seen |= 1U << i;
		if (!set->take(i, has_value ? value : STR_NONE, offer, out, why))
			return false;
	}
	return true;
}

/* ---- MAIL, RCPT, BDAT ---- */

/* Splits "FROM:<path> params" after the prefix.  A ">" inside a quoted local part does not end the path. */
static bool split_path(struct str args, struct str prefix, struct str *path, struct str *params)
{
	bool quoted = false;

	if (!str_istarts(args, prefix))
		return false;
	args = str_skip(args, prefix.n);
	while (args.n > 0 && args.p[0] == ' ') /* "MAIL FROM: <a@b>" is wrong and common */
		args = str_skip(args, 1);
	if (args.n == 0 || args.p[0] != '<')
		return false;
	for (size_t i = 1; i < args.n; i++) {
		if (args.p[i] == '"')
			quoted = !quoted;
		else if (quoted && args.p[i] == '\\')
			i++;
		else if (!quoted && args.p[i] == '>') {
			*path = (struct str){ args.p + 1, i - 1 };
			*params = str_skip(args, i + 1);
			return params->n == 0 || params->p[0] == ' ';
		}
	}
	return false;
}

static bool explain_addr(enum addr_error e, bool sender, struct reply *why)
{
	unsigned short detail = sender ? 7 : 3; /* X.1.7 bad sender's, X.1.3 bad recipient's mailbox syntax */

	switch (e) {
	case ADDR_OK:
	case ADDR_LITERAL:
		return true;
	case ADDR_SYNTAX:
		*why = REPLY(501, 5, 1, detail, "Address syntax is <local@domain>");
		break;
	case ADDR_TOO_LONG:
		*why = REPLY(501, 5, 1, detail, "Address is longer than RFC 5321 4.5.3.1 allows");
		break;
	case ADDR_UTF8:
		*why = REPLY(553, 5, 6, 7, "Address with 8-bit characters needs SMTPUTF8 and clean UTF-8");
		break;
	}
	return false;
}

bool cmd_parse_mail(struct str args, const struct cmd_offer *offer, struct cmd_mail *out, struct reply *why)
{
	struct cmd_mail m = { 0 };
	struct addr_rules rules = { .relaxed = offer->relaxed_addresses };
	struct str path, params;

	if (!split_path(args, S("FROM:"), &path, &params))
		return refuse(why, REPLY(501, 5, 5, 4, "Syntax is MAIL FROM:<address>"));
	if (!parse_params(params, &mail_set, offer, &m, why))
		return false;
	rules.smtputf8 = m.smtputf8;
	if (path.n > 0 && !explain_addr(addr_parse(path, &rules, &m.from), true, why))
		return false;
	*out = m;
	return true;
}

bool cmd_parse_rcpt(struct str args, const struct cmd_offer *offer, bool smtputf8, struct cmd_rcpt *out,
		    struct reply *why)
{
	struct cmd_rcpt r = { 0 };
	struct addr_rules rules = { .smtputf8 = smtputf8,
				    .relaxed = offer->relaxed_addresses,
				    .allow_bare_local = true };
	struct str path, params;

	if (!split_path(args, S("TO:"), &path, &params))
		return refuse(why, REPLY(501, 5, 5, 4, "Syntax is RCPT TO:<address>"));
	if (!parse_params(params, &rcpt_set, offer, &(struct rcpt_in){ &r, smtputf8 }, why))
		return false;
	if (!explain_addr(addr_parse(path, &rules, &r.to), false, why))
		return false;
	*out = r;
	return true;
}

bool cmd_parse_bdat(struct str args, uint64_t *size, bool *last, struct reply *why)
{
	struct str number, word;
	uint64_t v;
	bool has_word = str_cut(args, ' ', &number, &word);

	/* "05" or "+5" may be counted differently by a proxy in front of us: then its content would be our commands */
	if (!str_u64(number, INT64_MAX, &v) || (number.n > 1 && number.p[0] == '0') ||
	    (has_word && !str_ieq(word, S("LAST"))))
		return refuse(why, REPLY(501, 5, 5, 4, "Syntax is BDAT size [LAST]"));
	*size = v;
	*last = has_word;
	return true;
}

/* ---- outgoing ---- */

static void must_be_one_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		must(!chr_is_ctl(s.p[i]));
}

void cmd_put(struct buf *out, enum verb v, struct str args)
{
	must(v != VERB_UNKNOWN);
	must_be_one_line(args);
	buf_add(out, cmd_name(v));
	if (args.n > 0)
		buf_addc(out, ' ');
	buf_add(out, args);
	buf_add(out, S("\r\n"));
}

static void put_path(struct buf *out, struct str prefix, struct str addr)
{
	must(addr_is_clean(addr));
	buf_add(out, prefix);
	buf_add(out, addr);
	buf_addc(out, '>');
}

static void put_param(struct buf *out, struct str keyword, struct str value)
{
	must(is_value(value));
	buf_addc(out, ' ');
	buf_add(out, keyword);
	buf_addc(out, '=');
	buf_add(out, value);
}

void cmd_put_mail(struct buf *out, const struct envelope *env, const struct cmd_offer *peer, uint64_t size)
{
	put_path(out, S("MAIL FROM:<"), env->from);
	if (peer->size && size > 0) {
		buf_add(out, S(" SIZE="));
		buf_addu(out, size);
	}
	if (env->body == ENV_BODY_8BITMIME && peer->eightbitmime)
		put_param(out, S("BODY"), S("8BITMIME"));
	else if (env->body == ENV_BODY_BINARYMIME && peer->binarymime)
		put_param(out, S("BODY"), S("BINARYMIME"));
	if (env->smtputf8 && peer->smtputf8)
		buf_add(out, S(" SMTPUTF8"));
	if (env->ret != ENV_RET_NONE && peer->dsn)
		put_param(out, S("RET"), env->ret == ENV_RET_FULL ? S("FULL") : S("HDRS"));
	if (env->envid.n > 0 && peer->dsn)
		put_param(out, S("ENVID"), env->envid);
	if (env->xorg.n > 0 && peer->xoorg) {
		buf_add(out, S(" XOORG="));
		addr_xtext_encode(env->xorg, out);
	}
	/* nobody is believed to have been authenticated elsewhere: then it must be <> (RFC 4954 5) */
	if (peer->auth)
		buf_add(out, S(" AUTH=<>"));
	buf_add(out, S("\r\n"));
}

static void put_notify(struct buf *out, unsigned notify)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	char sep = '=';

	buf_add(out, S(" NOTIFY"));
	for (unsigned i = 0; i < 4; i++)
		if (notify & 1U << i) {
			buf_addc(out, sep);
			buf_add(out, str_c(words[i]));
			sep = ',';
		}
}

void cmd_put_rcpt(struct buf *out, struct str addr, const struct env_rcpt *rcpt, const struct cmd_offer *peer)
{
	must(addr.n > 0 && rcpt->notify < 16);
	put_path(out, S("RCPT TO:<"), addr);
	if (rcpt->notify != 0 && peer->dsn)
		put_notify(out, rcpt->notify);
	if (rcpt->orcpt.n > 0 && peer->dsn)
		put_param(out, S("ORCPT"), rcpt->orcpt);
	buf_add(out, S("\r\n"));
}

void cmd_put_bdat(struct buf *out, uint64_t size, bool last)
{
	buf_add(out, S("BDAT "));
	buf_addu(out, size);
	buf_add(out, last ? S(" LAST\r\n") : S("\r\n"));
}
