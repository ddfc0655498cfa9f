/* smtpd/filters_macros.c: what filters are told about a session: macros by the names of Sendmail and Postfix, and the
 * packets of the commands. */
#include "smtpd/filters.h"

#include "smtpd/session.h"

#include <netinet/in.h>

/* What goes before each stage when the filter does not choose: the lists of Postfix, and the client's own. */
static const char *const usual[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = "j {daemon_name} {client_addr} {client_name} {client_port} {client_ptr} v _",
	[MILTER_AT_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} {verify}",
	[MILTER_AT_MAIL] = "i {mail_addr} {mail_host} {mail_mailer} {auth_type} {auth_authen}",
	[MILTER_AT_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[MILTER_AT_DATA] = "i",
	[MILTER_AT_EOH] = "i",
	[MILTER_AT_END] = "i {msg_id}",
};

enum { VALUE_MAX = 2048 };

static const struct env_rcpt *last_rcpt(const struct session *s)
{
	return s->tx.env.rcpt_n > 0 ? &s->tx.env.rcpts[s->tx.env.rcpt_n - 1] : NULL;
}

static void put_domain(struct buf *b, struct str address)
{
	ssize_t at = str_rchr(address, '@');

	if (at >= 0)
		buf_add(b, str_skip(address, (size_t)at + 1));
}

static void put_verify(const struct session *s, struct buf *b)
{
	const struct tls_peer *p = tls_peer(&s->stream);

	if (p != NULL)
		buf_add(b, !p->has_certificate ? S("NO") : p->chain_ok ? S("OK") : S("FAIL"));
}

static void put_tls(const struct session *s, struct str name, struct buf *b)
{
	const struct tls_peer *p = tls_peer(&s->stream);

	if (p == NULL)
		return;
	if (str_eq(name, S("{tls_version}")))
		buf_add(b, p->protocol);
	else if (str_eq(name, S("{cipher}")))
		buf_add(b, p->cipher);
	else if (str_eq(name, S("{cipher_bits}")))
		buf_addu(b, p->cipher_bits);
	else if (str_eq(name, S("{cert_subject}")))
		buf_add(b, p->subject);
	else if (str_eq(name, S("{cert_issuer}")))
		buf_add(b, p->issuer);
	else if (str_eq(name, S("{verify}")))
		put_verify(s, b);
}

static void put_mail(const struct session *s, struct str name, struct buf *b)
{
	const struct env_rcpt *r = last_rcpt(s);

	if (str_eq(name, S("{mail_addr}")))
		buf_add(b, s->tx.env.from);
	else if (str_eq(name, S("{mail_host}")))
		put_domain(b, s->tx.env.from);
	else if (str_eq(name, S("{mail_mailer}")) || (r != NULL && str_eq(name, S("{rcpt_mailer}"))))
		buf_add(b, S("esmtp"));
	else if (r != NULL && str_eq(name, S("{rcpt_addr}")))
		buf_add(b, r->addr);
	else if (r != NULL && str_eq(name, S("{rcpt_host}")))
		put_domain(b, r->addr);
	else if (str_eq(name, S("{msg_id}")))
		buf_add(b, s->tx.ident.message_id);
	else if (str_eq(name, S("i")) && s->tx.spool != NULL)
		queue_put_id(b, spool_id(s->tx.spool));
}

/* Nothing is looked up for it: the client's name is its address in brackets, as Sendmail has it then. */
static void put_client(const struct session *s, struct str name, struct buf *b)
{
	if (str_eq(name, S("{client_addr}")))
		buf_add(b, str_c(s->client_text));
	else if (str_eq(name, S("{client_name}")) || str_eq(name, S("_")))
		buf_addf(b, "[%s]", s->client_text);
	else if (str_eq(name, S("{client_ptr}")))
		buf_add(b, S("unknown"));
	else if (str_eq(name, S("{client_port}")))
		buf_addu(b, net_port(&s->client));
}

static void put_value(const struct session *s, struct str name, struct buf *b)
{
	put_client(s, name, b);
	put_tls(s, name, b);
	put_mail(s, name, b);
	if (str_eq(name, S("j")))
		buf_add(b, session_config(s)->hostname);
	else if (str_eq(name, S("v")))
		buf_add(b, S("Tombolo"));
	else if (str_eq(name, S("{daemon_name}")))
		buf_add(b, s->receive->name);
	else if (str_eq(name, S("{daemon_addr}")))
		net_put_ip(b, &s->stream.local);
	else if (str_eq(name, S("{daemon_port}")))
		buf_addu(b, net_port(&s->stream.local));
}

void filters_put_macros(struct filters *f, struct filter_slot *slot, enum milter_stage stage)
{
	struct str chosen = milter_macro_list(&slot->client->options, stage), name;
	struct str names = chosen.p != NULL ? chosen : str_c(usual[stage]);
	struct buf *out = milter_client_out(slot->client);
	struct buf value;
	size_t at = 0;

	buf_init(&value, VALUE_MAX);
	while ((name = str_word(&names)).n > 0) {
		buf_reset(&value);
		put_value(f->session, name, &value);
		if (value.n == 0)
			continue;
		if (at == 0) {
			at = milter_begin(out, MILTER_MACROS) + 1;
			buf_addc(out, (char)milter_stage_command(stage));
		}
		milter_put_text(out, name);
		milter_put_text(out, buf_str(&value));
	}
	if (at > 0)
		milter_end(out, at - 1);
	buf_fini(&value);
}

void filters_put_connect(struct filters *f, struct buf *out)
{
	const struct session *s = f->session;
	bool v6 = s->client.sa.sa_family == AF_INET6;
	uint16_t port = net_port(&s->client);
	struct buf name;
	size_t at = milter_begin(out, MILTER_CONNECT);

	buf_init(&name, 100);
	buf_addf(&name, "[%s]", s->client_text);
	milter_put_text(out, buf_str(&name));
	buf_fini(&name);
	buf_addc(out, v6 ? '6' : '4');
	buf_addc(out, (char)(port >> 8));
	buf_addc(out, (char)port);
	milter_put_text(out, str_c(s->client_text));
	milter_end(out, at);
}

/* The parameters behind "<address>": their syntax was checked before anybody is asked. */
static struct str parameters(struct str args, struct str address)
{
	ssize_t at = address.n > 0 ? str_find(args, address) : 0;
	struct str path, rest;

	if (at < 0)
		return STR_NONE;
	str_cut(str_skip(args, (size_t)at + address.n), '>', &path, &rest);
	return rest;
}

static void put_path(struct buf *out, char kind, struct str address, struct str args)
{
	size_t at = milter_begin(out, kind);
	struct str rest = parameters(args, address), word;

	buf_addc(out, '<');
	buf_add(out, address);
	milter_put_text(out, S(">"));
	while ((word = str_word(&rest)).n > 0)
		milter_put_text(out, word);
	milter_end(out, at);
}

void filters_put_command(struct filters *f, enum milter_stage stage, struct buf *out)
{
	const struct session *s = f->session;

	switch (stage) {
	case MILTER_AT_MAIL:
		put_path(out, MILTER_MAIL, s->tx.env.from, f->detail);
		return;
	case MILTER_AT_RCPT:
		must(last_rcpt(s) != NULL);
		put_path(out, MILTER_RCPT, last_rcpt(s)->addr, f->detail);
		return;
	case MILTER_AT_DATA:
		milter_put_bare(out, MILTER_DATA);
		return;
	case MILTER_AT_UNKNOWN:
		milter_put_texts(out, MILTER_UNKNOWN, &f->detail, 1);
		return;
	default:
		must(false);
	}
}
