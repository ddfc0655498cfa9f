/* wire/dsn.c: a delivery report in three parts: words for a person, fields for a program, the header of the original.
 *
 * Everything that came from elsewhere (a remote reply, addresses, the original's header) passes text_put_line or
 * put_returned_line here: no control byte, no line of its own, 7-bit unless the original needed SMTPUTF8 (RFC 6533).
 * Without SMTPUTF8 the report is pure ASCII: an 8-bit original header goes out as quoted-printable. */
#include "wire/dsn.h"

#include "base/must.h"
#include "base/time.h"
#include "wire/addr.h"
#include "wire/reply.h"
#include "wire/text.h"

enum { WRAP_AT = 76, LINE_MOST = 990, FIELD_MOST = TEXT_LINE_MAX };

static const struct action {
	struct str word, subject, sentence;
	struct str status; /* when the recipient has none that can be read */
} actions[] = {
	[DSN_FAILED] = { STR_LIT("failed"), STR_LIT("Your message could not be delivered"),
			 STR_LIT("Your message could not be delivered to:"), STR_LIT("5.0.0") },
	[DSN_DELAYED] = { STR_LIT("delayed"), STR_LIT("Your message is delayed"),
			  STR_LIT("Your message has not been delivered yet to the address below. There is no need to send "
				  "it again; delivery is still being tried:"),
			  STR_LIT("4.0.0") },
	[DSN_RELAYED] = { STR_LIT("relayed"), STR_LIT("Your message was passed on"),
			  STR_LIT("Your message was passed on to a server that does not report deliveries, for:"),
			  STR_LIT("2.0.0") },
	[DSN_DELIVERED] = { STR_LIT("delivered"), STR_LIT("Your message was delivered"),
			    STR_LIT("Your message was delivered to:"), STR_LIT("2.0.0") },
	[DSN_EXPANDED] = { STR_LIT("expanded"), STR_LIT("Your message was sent on to a list"),
			   STR_LIT("Your message was sent on to the members of:"), STR_LIT("2.0.0") },
};

/* The action that matters most to the sender decides the subject. */
static enum dsn_action worst_action(const struct dsn *d)
{
	enum dsn_action worst = d->rcpts[0].action;

	for (size_t i = 1; i < d->rcpt_n; i++)
		if (d->rcpts[i].action < worst)
			worst = d->rcpts[i].action;
	return worst;
}

/* ---- clean text ---- */

/* Words of `s` on lines of WRAP_AT columns, each behind `indent` blanks. */
static void put_wrapped(struct buf *out, struct str s, size_t indent, bool utf8)
{
	struct buf clean;
	size_t column = 0;

	buf_init(&clean, FIELD_MOST);
	text_put_line(&clean, s, utf8);
	struct str rest = buf_str(&clean), word;
	while ((word = str_word(&rest)).n > 0) {
		if (column > 0 && column + 1 + word.n > WRAP_AT) {
			buf_add(out, S("\r\n"));
			column = 0;
		}
		if (column == 0)
			buf_addf(out, "%*s", (int)indent, "");
		else
			buf_addc(out, ' ');
		column += word.n + (column == 0 ? indent : 1);
		buf_add(out, word);
	}
	buf_add(out, S("\r\n"));
	buf_fini(&clean);
}

static void put_field(struct buf *out, struct str name, struct str value, bool utf8)
{
	if (value.n == 0)
		return;
	buf_add(out, name);
	buf_add(out, S(": "));
	text_put_line(out, value, utf8);
	buf_add(out, S("\r\n"));
}

static void put_date(struct buf *out, struct str name, int64_t wall_ms)
{
	if (wall_ms == 0)
		return;
	buf_add(out, name);
	buf_add(out, S(": "));
	time_put_rfc5322(out, wall_ms);
	buf_add(out, S("\r\n"));
}

/* ---- the report's own header ---- */

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return false;
	return true;
}

/* A boundary that does not occur in what is returned, whoever wrote that. */
static void choose_boundary(const struct dsn *d, struct buf *boundary)
{
	for (unsigned i = 0;; i++) {
		buf_reset(boundary);
		buf_addf(boundary, "=_tombolo_%u_%llx", i,
			 (unsigned long long)str_hash(d->message_id, (uint64_t)d->now_ms));
		if (str_find(d->original_headers, buf_str(boundary)) < 0)
			return;
	}
}

static void put_header(struct buf *out, const struct dsn *d, struct str boundary)
{
	buf_add(out, S("From: Mail Delivery System <"));
	text_put_line(out, d->postmaster, d->smtputf8);
	buf_add(out, S(">\r\nTo: <"));
	text_put_line(out, d->to, d->smtputf8);
	buf_add(out, S(">\r\n"));
	put_field(out, S("Subject"), actions[worst_action(d)].subject, false);
	put_date(out, S("Date"), d->now_ms);
	buf_add(out, S("Message-ID: <"));
	text_put_line(out, d->message_id, false);
	buf_add(out, S(">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		       "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""));
	buf_add(out, boundary);
	buf_add(out, S("\"\r\n\r\nThis is a delivery report in MIME format.\r\n"));
}

static void put_part(struct buf *out, struct str boundary, struct str type, struct str encoding)
{
	buf_add(out, S("\r\n--"));
	buf_add(out, boundary);
	buf_add(out, S("\r\n"));
	put_field(out, S("Content-Type"), type, false);
	put_field(out, S("Content-Transfer-Encoding"), encoding, false);
	buf_add(out, S("\r\n"));
}

/* ---- part one: for a person ---- */

static void put_human_rcpt(struct buf *out, const struct dsn *d, const struct dsn_rcpt *r)
{
	put_wrapped(out, actions[r->action].sentence, 0, false);
	buf_add(out, S("\r\n    "));
	text_put_line(out, r->addr, d->smtputf8);
	buf_add(out, S("\r\n\r\n"));
	if (r->reason.n > 0)
		put_wrapped(out, r->reason, 4, d->smtputf8);
	if (r->diagnostic.n > 0) {
		if (r->reason.n > 0)
			buf_add(out, S("\r\n"));
		if (r->remote_mta.n > 0 && !r->own_words) {
			buf_add(out, S("    The server "));
			text_put_line(out, r->remote_mta, false);
			buf_add(out, S(" said:\r\n"));
		}
		put_wrapped(out, r->diagnostic, 8, d->smtputf8);
	}
	if (r->action == DSN_DELAYED && r->retry_until_ms != 0) {
		buf_add(out, S("    Delivery will be tried until "));
		time_put_rfc5322(out, r->retry_until_ms);
		buf_add(out, S(".\r\n"));
	}
	buf_add(out, S("\r\n"));
}

static void put_human(struct buf *out, const struct dsn *d)
{
	buf_add(out, S("This is the mail system at "));
	text_put_line(out, d->reporting_mta, false);
	buf_add(out, S(".\r\n\r\n"));
	for (size_t i = 0; i < d->rcpt_n; i++)
		put_human_rcpt(out, d, &d->rcpts[i]);
	if (d->trace_id.n > 0) {
		buf_add(out, S("If you ask for help, please quote this number: "));
		text_put_line(out, d->trace_id, false);
		buf_add(out, S("\r\n"));
	}
}

/* ---- part two: for a program (RFC 3464) ---- */

/* "rfc822; a@b", or for 8-bit addresses "utf-8; ..." as it is or, in a 7-bit report, with \x{...} (RFC 6533 3). */
static void put_typed_addr(struct buf *out, struct str addr, bool utf8)
{
	if (is_ascii(addr) || !addr_is_utf8(addr)) {
		buf_add(out, S("rfc822; "));
		text_put_line(out, addr, false);
		return;
	}
	buf_add(out, S("utf-8; "));
	if (utf8) {
		text_put_line(out, addr, true);
		return;
	}
	for (size_t i = 0; i < addr.n; i++) {
		unsigned char c = (unsigned char)addr.p[i];
		unsigned long code;
		if (c < 0x80) {
			buf_addc(out, (char)c);
			continue;
		}
		size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1; /* addr_is_utf8: all bytes are there */
		code = c & (0x3FU >> more);
		while (more-- > 0)
			code = code << 6 | ((unsigned char)addr.p[++i] & 0x3F);
		buf_addf(out, "\\x{%lX}", code);
	}
}

static void put_original_rcpt(struct buf *out, struct str orcpt, bool utf8)
{
	struct str type, addr;
	struct buf plain;

	if (!str_cut(orcpt, ';', &type, &addr))
		return;
	buf_init(&plain, FIELD_MOST);
	if (!addr_xtext_decode(addr, &plain)) { /* of the utf-8 type: already as it is to be */
		buf_reset(&plain);
		buf_add(&plain, str_head(addr, FIELD_MOST));
	}
	buf_add(out, S("Original-Recipient: "));
	text_put_line(out, type, false);
	buf_add(out, S("; "));
	text_put_line(out, buf_str(&plain), utf8);
	buf_add(out, S("\r\n"));
	buf_fini(&plain);
}

static void put_status(struct buf *out, const struct dsn_rcpt *r)
{
	unsigned char class;
	unsigned short subject, detail;

	if (reply_parse_enhanced(r->status, &class, &subject, &detail))
		buf_addf(out, "Status: %u.%u.%u\r\n", class, subject, detail);
	else
		put_field(out, S("Status"), actions[r->action].status, false);
}

static void put_status_rcpt(struct buf *out, const struct dsn_rcpt *r, bool utf8)
{
	buf_add(out, S("\r\n"));
	put_original_rcpt(out, r->orcpt, utf8);
	buf_add(out, S("Final-Recipient: "));
	put_typed_addr(out, r->addr, utf8);
	buf_add(out, S("\r\n"));
	put_field(out, S("Action"), actions[r->action].word, false);
	put_status(out, r);
	if (r->remote_mta.n > 0) {
		buf_add(out, S("Remote-MTA: dns; "));
		text_put_line(out, r->remote_mta, false);
		buf_add(out, S("\r\n"));
	}
	if (r->diagnostic.n > 0) {
		buf_add(out, r->own_words ? S("Diagnostic-Code: x-tombolo; ") : S("Diagnostic-Code: smtp; "));
		text_put_line(out, r->diagnostic, utf8);
		buf_add(out, S("\r\n"));
	}
	put_date(out, S("Last-Attempt-Date"), r->last_attempt_ms);
	if (r->action == DSN_DELAYED)
		put_date(out, S("Will-Retry-Until"), r->retry_until_ms);
}

static void put_status_part(struct buf *out, const struct dsn *d)
{
	struct buf envid;

	buf_add(out, S("Reporting-MTA: dns; "));
	text_put_line(out, d->reporting_mta, false);
	buf_add(out, S("\r\n"));
	buf_init(&envid, FIELD_MOST);
	if (addr_xtext_decode(d->envid, &envid))
		put_field(out, S("Original-Envelope-Id"), buf_str(&envid), false);
	buf_fini(&envid);
	put_date(out, S("Arrival-Date"), d->arrived_ms);
	for (size_t i = 0; i < d->rcpt_n; i++)
		put_status_rcpt(out, &d->rcpts[i], d->smtputf8);
}

/* ---- part three: the header of the original ---- */

static void put_quoted_printable(struct buf *out, struct str line)
{
	size_t column = 0;

	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];
		bool plain = c > ' ' && c <= '~' && c != '=';
		plain = plain || (chr_is_space(c) && i + 1 < line.n);
		if (column + (plain ? 1 : 3) > WRAP_AT - 1) {
			buf_add(out, S("=\r\n"));
			column = 0;
		}
		if (plain)
			buf_addc(out, c);
		else
			buf_addf(out, "=%02X", (unsigned)(unsigned char)c);
		column += plain ? 1 : 3;
	}
	buf_add(out, S("\r\n"));
}

static void put_returned_line(struct buf *out, struct str line, bool utf8, bool encode)
{
	if (encode) {
		put_quoted_printable(out, line);
		return;
	}
	utf8 = utf8 && addr_is_utf8(line);
	line = str_head(line, LINE_MOST);
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];
		buf_addc(out, (chr_is_ctl(c) && c != '\t') || (chr_is_8bit(c) && !utf8) ? '?' : c);
	}
	buf_add(out, S("\r\n"));
}

static void put_returned(struct buf *out, const struct dsn *d, bool encode)
{
	struct str rest = d->original_headers, line;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		put_returned_line(out, line, d->smtputf8, encode);
	}
}

bool dsn_can_return(struct str message)
{
	struct str line;

	while (message.n > 0) {
		if (!str_cut(message, '\n', &line, &message) || !str_ends(line, S("\r")) || line.n > 998 + 1)
			return false;
		line.n--;
		if (str_chr(line, '\r') >= 0 || str_chr(line, '\0') >= 0)
			return false;
	}
	return true;
}

/* The last part.  RFC 2046 5.2.1: a message is never encoded, so an 8-bit one makes the report 8-bit. */
static void put_original(struct buf *out, const struct dsn *d, struct str boundary)
{
	bool ascii = is_ascii(d->original_headers), encode = !d->smtputf8 && !ascii;

	if (d->whole) {
		put_part(out, boundary, d->smtputf8 ? S("message/global") : S("message/rfc822"),
			 ascii ? S("7bit") : S("8bit"));
		buf_add(out, d->original_headers);
		return;
	}
	put_part(out, boundary, d->smtputf8 ? S("message/global-headers") : S("text/rfc822-headers"),
		 d->smtputf8 ? S("8bit")
		 : encode    ? S("quoted-printable")
			     : S("7bit"));
	put_returned(out, d, encode);
}

bool dsn_put(struct buf *out, const struct dsn *d)
{
	struct buf boundary;

	must(d->rcpt_n > 0 && d->reporting_mta.n > 0 && d->message_id.n > 0);
	buf_init(&boundary, 70);
	choose_boundary(d, &boundary);
	put_header(out, d, buf_str(&boundary));
	put_part(out, buf_str(&boundary),
		 d->smtputf8 ? S("text/plain; charset=utf-8") : S("text/plain; charset=us-ascii"),
		 d->smtputf8 ? S("8bit") : S("7bit"));
	put_human(out, d);
	put_part(out, buf_str(&boundary),
		 d->smtputf8 ? S("message/global-delivery-status") : S("message/delivery-status"),
		 d->smtputf8 ? S("8bit") : STR_NONE);
	put_status_part(out, d);
	put_original(out, d, buf_str(&boundary));
	buf_add(out, S("\r\n--"));
	buf_add(out, buf_str(&boundary));
	buf_add(out, S("--\r\n"));
	buf_fini(&boundary);
	return !out->full;
}
