/* tests/fuzz/cmd_fuzz.c: commands: refused with a reply, or sent on and read again with the same meaning. */
#include "tests/fuzz/fuzz.h"
#include "wire/cmd.h"
#include "wire/line.h"

static const struct cmd_offer all = { true, true, true, true, true, true, true, true };

static struct str args_of(const struct buf *b, enum verb want)
{
	struct str line;
	struct cmd c;

	must(!b->full);
	must(line_next(buf_str(b), 1 << 20, &line) == (int)b->n); /* one line, whatever was in it */
	cmd_parse(line, &c);
	must(c.verb == want);
	return c.args;
}

static void check_why(const struct reply *why)
{
	must((why->code == 501 || why->code == 553 || why->code == 555) && why->class == 5 && why->text.n > 0);
}

static void check_mail(struct str args)
{
	struct cmd_mail m, again;
	struct reply why;
	struct buf out, xorg;

	if (!cmd_parse_mail(args, &all, &m, &why)) {
		check_why(&why);
		return;
	}
	buf_init(&out, 1 << 16);
	buf_init(&xorg, 1 << 16);
	must(m.xorg.n == 0 || addr_xtext_decode(m.xorg, &xorg));
	struct envelope env = { .from = m.from.whole,
				.envid = m.envid,
				.ret = m.ret,
				.body = m.body,
				.smtputf8 = m.smtputf8,
				.xorg = buf_str(&xorg) };
	cmd_put_mail(&out, &env, &all, m.size);
	must(cmd_parse_mail(args_of(&out, VERB_MAIL), &all, &again, &why));
	must(str_eq(again.from.whole, m.from.whole) && str_eq(again.envid, m.envid) && again.ret == m.ret);
	must(again.body == m.body && again.smtputf8 == m.smtputf8 && again.size == m.size);
	buf_fini(&out);
	buf_fini(&xorg);
}

static void check_rcpt(struct str args, bool smtputf8)
{
	struct cmd_rcpt r, again;
	struct reply why;
	struct buf out;

	if (!cmd_parse_rcpt(args, &all, smtputf8, &r, &why)) {
		check_why(&why);
		return;
	}
	struct env_rcpt rcpt = { .addr = r.to.whole, .orcpt = r.orcpt, .notify = r.notify };
	buf_init(&out, 1 << 16);
	cmd_put_rcpt(&out, rcpt.addr, &rcpt, &all);
	must(cmd_parse_rcpt(args_of(&out, VERB_RCPT), &all, smtputf8, &again, &why));
	must(str_eq(again.to.whole, r.to.whole) && str_eq(again.orcpt, r.orcpt) && again.notify == r.notify);
	buf_fini(&out);
}

static void check_bdat(struct str args)
{
	uint64_t size, again;
	bool last, last_again;
	struct reply why;
	struct buf out;

	if (!cmd_parse_bdat(args, &size, &last, &why)) {
		check_why(&why);
		return;
	}
	must(size <= INT64_MAX);
	buf_init(&out, 1000);
	cmd_put_bdat(&out, size, last);
	must(cmd_parse_bdat(args_of(&out, VERB_BDAT), &again, &last_again, &why));
	must(size == again && last == last_again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct cmd c;

	cmd_parse(in, &c);
	must(c.verb < VERB_N && c.name.n + c.args.n <= in.n);
	must(c.verb == VERB_UNKNOWN || str_ieq(c.name, cmd_name(c.verb)));
	check_mail(c.args);
	check_rcpt(c.args, false);
	check_rcpt(c.args, true);
	check_bdat(c.args);
	return 0;
}
