/* wire/ehlo.c: one table of capabilities, read by both directions. */
#include "wire/ehlo.h"

#include "base/must.h"

enum { REPLY_MAX = 4096 };

static const struct capability {
	unsigned bit;
	struct str keyword;
} capabilities[] = {
	{ EHLO_PIPELINING, STR_LIT("PIPELINING") },
	{ EHLO_SIZE, STR_LIT("SIZE") },
	{ EHLO_8BITMIME, STR_LIT("8BITMIME") },
	{ EHLO_SMTPUTF8, STR_LIT("SMTPUTF8") },
	{ EHLO_ENHANCEDSTATUSCODES, STR_LIT("ENHANCEDSTATUSCODES") },
	{ EHLO_CHUNKING, STR_LIT("CHUNKING") },
	{ EHLO_DSN, STR_LIT("DSN") },
	{ EHLO_STARTTLS, STR_LIT("STARTTLS") },
	{ EHLO_BINARYMIME, STR_LIT("BINARYMIME") },
	{ EHLO_XOORG, STR_LIT("XOORG") },
	{ EHLO_AUTH, STR_LIT("AUTH") },
	{ EHLO_LIMITS, STR_LIT("LIMITS") },
};
enum { CAPABILITY_N = sizeof capabilities / sizeof capabilities[0] };

static void put_values(struct buf *text, const struct ehlo *e, unsigned bit)
{
	if (bit == EHLO_SIZE && e->size > 0) {
		buf_addc(text, ' ');
		buf_addu(text, e->size);
	} else if (bit == EHLO_AUTH && e->auth.n > 0) {
		buf_addc(text, ' ');
		buf_add(text, e->auth);
	} else if (bit == EHLO_LIMITS && e->rcpt_max > 0) {
		buf_add(text, S(" RCPTMAX="));
		buf_addu(text, e->rcpt_max);
	}
}

void ehlo_put(struct buf *out, const struct ehlo *e, struct str name, struct str client)
{
	struct buf text;

	buf_init_sure(&text, REPLY_MAX);
	buf_add(&text, name);
	buf_add(&text, S(" greets "));
	for (size_t i = 0; i < client.n && i < 255; i++) /* the peer's word: a line end in it would add a capability */
		buf_addc(&text, chr_is_ctl(client.p[i]) ? '?' : client.p[i]);
	for (size_t i = 0; i < CAPABILITY_N; i++)
		if (e->caps & capabilities[i].bit) {
			buf_addc(&text, '\n');
			buf_add(&text, capabilities[i].keyword);
			put_values(&text, e, capabilities[i].bit);
		}
	must(!text.full);
	reply_put(out, &(struct reply){ .code = 250, .text = buf_str(&text) });
	buf_fini(&text);
}

static void parse_limits(struct str values, struct ehlo *out)
{
	struct str word;
	uint64_t v;

	while ((word = str_word(&values)).n > 0)
		if (str_istarts(word, S("RCPTMAX=")) && str_u64(str_skip(word, 8), UINT32_MAX, &v))
			out->rcpt_max = (unsigned)v;
}

static void parse_line(struct str line, struct ehlo *out)
{
	struct str keyword = str_word(&line);
	uint64_t v;

	line = str_trim(line);
	if (str_istarts(keyword,
			S("AUTH="))) { /* what servers of the nineties sent, some still beside the proper line */
		out->caps |= EHLO_AUTH;
		return;
	}
	for (size_t i = 0; i < CAPABILITY_N; i++)
		if (str_ieq(keyword, capabilities[i].keyword))
			out->caps |= capabilities[i].bit;
	if (str_ieq(keyword, S("SIZE")) && str_u64(line, UINT64_MAX, &v))
		out->size = v;
	else if (str_ieq(keyword, S("AUTH")))
		out->auth = line;
	else if (str_ieq(keyword, S("LIMITS")))
		parse_limits(line, out);
}

void ehlo_parse(const struct reply *r, struct ehlo *out)
{
	struct str rest = r->text, line;

	*out = (struct ehlo){ 0 };
	reply_lines(&rest, &line); /* the greeting */
	while (reply_lines(&rest, &line))
		parse_line(line, out);
}
