/* wire/journal.c: a journal report in two parts: lines for the archive, and the message as it came.
 *
 * What came from elsewhere (subject, addresses) passes text_put_line: no line of its own.  The CRLF before the last
 * boundary is the boundary's (RFC 2046 5.1.1): a message without a line end at its end is not given one. */
#include "wire/journal.h"

#include "base/time.h"
#include "wire/addr.h"
#include "wire/text.h"

static void put_line(struct buf *out, const char *name, struct str value)
{
	buf_addf(out, "%s: ", name);
	text_put_line(out, value, true);
	buf_add(out, S("\r\n"));
}

/* "rfc822;list+2Bx@contoso.com" -> "list+x@contoso.com"; false when it says nothing new. */
static bool original_of(const struct journal_rcpt *r, struct buf *out)
{
	struct str type, text;

	return str_cut(r->orcpt, ';', &type, &text) && addr_xtext_decode(text, out) && !str_ieq(buf_str(out), r->addr);
}

static void put_rcpt(struct buf *out, const struct journal_rcpt *r)
{
	struct buf original;

	buf_init(&original, TEXT_LINE_MAX);
	buf_add(out, S("Recipient: "));
	text_put_line(out, str_head(r->addr, TEXT_LINE_MAX / 2), true);
	buf_addf(out, ", Location: %s", r->location);
	if (original_of(r, &original)) {
		buf_addf(out, ", %s: ", r->expanded ? "Expanded" : "Original");
		text_put_line(out, str_head(buf_str(&original), TEXT_LINE_MAX / 3), true);
	}
	buf_add(out, S("\r\n"));
	buf_fini(&original);
}

static void put_facts(struct buf *out, const struct journal_report *r)
{
	put_line(out, "Sender", r->sender.n > 0 ? r->sender : S("<>"));
	put_line(out, "Subject", r->subject);
	put_line(out, "Message-Id", r->original_id);
	for (size_t i = 0; i < r->rcpt_n; i++)
		put_rcpt(out, &r->rcpts[i]);
	put_line(out, "Received-From", r->client.n > 0 ? r->client : S("-"));
	buf_add(out, S("Received-At: "));
	time_put_rfc5322(out, r->arrived_ms);
	buf_add(out, S("\r\n"));
	put_line(out, "Trace-Id", r->trace_id);
	put_line(out, "Journaled-By", r->gateway);
}

static void put_header(struct buf *out, const struct journal_report *r)
{
	buf_add(out, S("From: Journal <"));
	text_put_line(out, r->postmaster, false);
	buf_add(out, S(">\r\nTo: <"));
	text_put_line(out, r->to, false);
	buf_add(out, S(">\r\nSubject: Journal report\r\nDate: "));
	time_put_rfc5322(out, r->now_ms);
	buf_add(out, S("\r\nMessage-ID: <"));
	text_put_line(out, r->message_id, false);
	buf_addf(out,
		 ">\r\nX-MS-Journal-Report:\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		 "Content-Type: multipart/mixed;\r\n\tboundary=\"" STR_FMT "\"\r\n\r\n",
		 STR_ARG(r->boundary));
}

static bool is_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

bool journal_put_head(struct buf *out, const struct journal_report *r, bool *eight_bit)
{
	static const char *const encodings[] = { "7bit", "8bit", "binary" };
	struct buf facts;

	buf_init(&facts, out->max);
	put_facts(&facts, r);
	bool full = facts.full;
	*eight_bit = is_8bit(buf_str(&facts));
	put_header(out, r);
	buf_addf(out, "--" STR_FMT "\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		 STR_ARG(r->boundary), *eight_bit ? "utf-8" : "us-ascii", encodings[*eight_bit]);
	buf_add(out, buf_str(&facts));
	buf_fini(&facts);
	buf_addf(out, "\r\n--" STR_FMT "\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		 STR_ARG(r->boundary), r->smtputf8 ? "message/global" : "message/rfc822", encodings[r->body]);
	*eight_bit |= r->body != ENV_BODY_7BIT;
	return !full && !out->full;
}

bool journal_put_tail(struct buf *out, struct str boundary)
{
	return buf_addf(out, "\r\n--" STR_FMT "--\r\n", STR_ARG(boundary));
}
