/* tests/bed/headers.c: what each hop does to a message: header policy, trace fields, body, parameters (spec 4.2-4.5).
 *
 *   message with every kind of header -> door -> gateways, with the wire between -> host
 *
 * The trail says which hops it took; for each the header policy (connectors/header_policy.h, whose table the vectors
 * check against the spec) says what the text must be then.  It is compared with what came byte for byte, but for what a
 * gateway adds of its own: one Received on top, whose every word is checked, and X-Tombolo-*.  Both modes of the
 * connectors, every door, every kind of recipient, all four modes of the flow. */
#include "tests/bed/part.h"
#include "tests/bed/policy.h"
#include "tests/bed/trail.h"
#include "wire/header.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 10000, TEXT_MAX = 8 << 20 };

static const char probes[] = "X-MS-Exchange-Organization-AuthAs: Internal\r\n"
			     "X-MS-Exchange-Organization-AuthSource: ex1.corp.contoso.com\r\n"
			     "x-ms-exchange-organization-scl : -1\r\n"
			     "X-MS-Exchange-Organization-Unknown: o\r\n"
			     "X-MS-Exchange-Forest-RulesExecuted: f\r\n"
			     "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
			     "X-MS-Exchange-CrossPremises-SCL\t: -1\r\n"
			     "X-MS-Exchange-CrossPremises-Unlisted: c\r\n"
			     "X-OriginatorOrg: contoso.com\r\n"
			     "X-MS-Exchange-CrossTenant-Id:\r\n 5e1f\r\n"
			     "X-OrganizationHeadersPreserved: ex1.corp.contoso.com\r\n"
			     "X-CrossPremisesHeadersPromoted: ex1.corp.contoso.com\r\n"
			     "Resent-From: <r@contoso.com>\r\n"
			     "X-MS-Exchange-Inbox-Rules-Loop: ann@contoso.com\r\n"
			     "X-LD-Processed: 5e1f,ExtAddr\r\n"
			     "X-MS-Exchange-ExternalOriginalInternetSender: ip=[192.0.2.1]\r\n"
			     "X-Forefront-Antispam-Report: SFV:NSPM;\r\n folded=yes\r\n"
			     "X-Forefront-Antispam-Report-Untrusted: SFV:SKN\r\n"
			     "X-Microsoft-Antispam: BCL:0;\r\n"
			     "Authentication-Results: mail.contoso.com; dkim=pass\r\n"
			     "Authentication-Results: (c) \"mail.contoso.mail.cloud.example\" 1; spf=pass\r\n"
			     "Authentication-Results: mx.other.example; dmarc=pass\r\n"
			     "ARC-Seal: i=1; cv=none\r\n"
			     "X-Tombolo-Decision: forged\r\n"
			     "X-Tombolo-Route: v=1;k=k1;forged\r\n"
			     "Bcc: <hidden@contoso.com>\r\n"
			     "Return-Path: <liar@outside.example>\r\n"
			     "X-MS-Journal-Report:\r\n"
			     "X-MS-Exchange-Organization-Journal-Report:\r\n"
			     "Auto-Submitted: auto-generated\r\n"
			     "Precedence: list\r\n";
static const char plain[] = "X-Bed: %s\r\n"
			    "DKIM-Signature: v=1; a=rsa-sha256; d=contoso.com; s=s;\r\n\tbh=x; b=y\r\n"
			    "From: \"Ann\" <%s>\r\n"
			    "To: undisclosed-recipients:;\r\n"
			    "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
			    "Message-ID: <%s@bed.example>\r\n"
			    "Subject:   blanks   stay \r\n"
			    "X-Long: 12345678901234567890123456789012345678901234567890123456789012345678901234567890"
			    "12345678901234567890\r\n"
			    "mime-version:1.0\r\n";
static const char body[] = "\r\n.\r\n..dots\r\nX-OriginatorOrg: in the body\r\nReceived: in the body\r\n"
			   "8 bit: \xc3\xa4\xff\r\ntrailing blanks  \t\r\n\r\n\r\n";

static const struct door {
	const char *name;
	enum bed_door door;
	enum policy_trust trust;
	bool cloud; /* into the cloud gateway */
	const char *from, *helo, *claim;
} doors[] = {
	{ "internet", DOOR_NET_ONPREM, POLICY_INTERNET, false, "g@outside.example", "mta.outside.example", "" },
	{ "internet-c", DOOR_NET_CLOUD, POLICY_INTERNET, true, "gc@outside.example", "mta.outside.example", "" },
	{ "server", DOOR_ONPREM, POLICY_SERVER, false, "ann@contoso.com", "ex1.corp.contoso.com", "" },
	{ "server-for", DOOR_ONPREM, POLICY_SERVER, false, "guest@outside.example", "ex1.corp.contoso.com", "" },
	{ "server-c", DOOR_CLOUD, POLICY_SERVER, true, "max@contoso.com", "mbx.contoso.mail.cloud.example", "" },
	{ "null-c", DOOR_CLOUD, POLICY_SERVER, true, "", "mbx.contoso.mail.cloud.example", "" },
	{ "device", DOOR_APP, POLICY_CLIENT, false, "scan@contoso.com", "printer.contoso.com", "" },
	{ "partner", DOOR_PARTNER, POLICY_PARTNER, false, "boss@wrong.example", "mail.wrong.example", "" },
	{ "tenant", DOOR_PEER, POLICY_INTERNET, false, "ceo@contoso.com", "mail.contoso.mail.cloud.example",
	  "evil.example" },
};

struct passage { /* one message */
	struct part *part;
	const struct door *door;
	char id[60], from[100];
	const char *rcpt;
	struct trails *trails;
	struct trail trail;
	struct answers answers;
	struct buf sent, expected, came;
};

enum { RCPTS = 3, BATCH = RCPTS * sizeof doors / sizeof *doors };

/* ---- the model of one hop ---- */

static const char received[] = "Received: by a gateway\r\n";

static struct str name_of(enum bed_gate g)
{
	return g == GATE_CLOUD ? S("mail.contoso.mail.cloud.example") : S("mail.contoso.com");
}

/* How far the i-th gateway believes the headers: the door says it for the first, the claim for the others (spec 4.3).
 * Only what began at a server or client of ours is claimed. */
static enum policy_trust trust_at(const struct passage *m, size_t i)
{
	bool claimed = m->door->trust == POLICY_SERVER || m->door->trust == POLICY_CLIENT;

	if (i == 0)
		return m->door->trust;
	return claimed ? POLICY_PEER : POLICY_INTERNET;
}

static bool claims_at(const struct passage *m, size_t i)
{
	enum policy_trust t = trust_at(m, i);

	return t == POLICY_SERVER || t == POLICY_CLIENT || t == POLICY_PEER;
}

static void pass_hop(const struct passage *m, size_t i, struct buf *text)
{
	const struct hop *h = &m->trail.hops[i];
	const struct policy_hop hop = {
		.trust = trust_at(m, i),
		.target = h->next == TRAIL_PEER      ? POLICY_TO_PEER
			  : h->next == TRAIL_DELIVER ? POLICY_TO_INTERNAL
						     : POLICY_TO_INTERNET,
		.endpoint = m->part->bed->variant.endpoint && h->next != TRAIL_DIRECT,
		.sender_ours = str_iends(str_c(m->from), S("@contoso.com")),
		.gateway = name_of(h->gate),
		.org = h->next == TRAIL_PEER && claims_at(m, i) ? S("contoso.com") : STR_NONE,
		.trace = str_c(received),
	};

	policy_pass(&hop, text);
}

/* ---- what came ---- */

struct cleaning {
	struct passage *m;
	struct str source;
	uint64_t at;
	size_t hop; /* the next Received of ours from the top was written at that hop, counted down */
	unsigned traces, routes;
};

static bool has(struct str s, struct str word)
{
	return str_find(s, word) >= 0;
}

/* Each word of a Received of ours is true (spec 4.5) and no line of it is longer than 78. */
static void judge_received(struct passage *m, struct str raw, size_t i)
{
	const struct hop *h = &m->trail.hops[i];
	struct str line, rest = raw, who = i == 0 ? str_c(m->door->helo) : name_of(m->trail.hops[i - 1].gate);
	bool tls = i > 0 || m->door->door == DOOR_PEER || m->door->door == DOOR_PARTNER;
	char words[300];

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		part_check(m->part, line.n <= 79, "%s: a line of %zu bytes in Received", m->id, line.n);
	}
	snprintf(words, sizeof words,
		 "Received: from " STR_FMT " ([127.0.0.1])\r\n\tby " STR_FMT " (tombolo) with ESMTP%s\r\n",
		 STR_ARG(who), STR_ARG(name_of(h->gate)), tls ? "S" : "");
	part_check(m->part, str_starts(raw, str_c(words)), "%s: hop %zu wrote\n" STR_FMT "  not\n%s", m->id, i,
		   STR_ARG(raw), words);
	if (i > 0)
		part_check(m->part, has(raw, S("(TLSv1.")) && has(raw, name_of(m->trail.hops[i - 1].gate)),
			   "%s: hop %zu does not tell who the certificate proved:\n" STR_FMT, m->id, i, STR_ARG(raw));
}

static void clean_field(void *arg, const struct header_field *f)
{
	struct cleaning *c = arg;
	bool trace = header_name_is(f->name, S("Received")) && has(f->raw, S("(tombolo)"));
	bool own = str_istarts(f->name, S("X-Tombolo-"));

	if (!trace && !own)
		return;
	struct buf *out = &c->m->came;
	buf_add(out, str_head(str_skip(c->source, c->at), f->offset - c->at));
	if (trace) {
		buf_add(out, str_c(received));
		if (part_check(c->m->part, c->hop > 0, "%s: a Received too many", c->m->id))
			judge_received(c->m, f->raw, --c->hop);
	}
	c->traces += header_name_is(f->name, S("X-Tombolo-Trace"));
	c->routes += header_name_is(f->name, S("X-Tombolo-Route"));
	c->at = f->offset + f->raw.n;
}

/* m->came: the text without the words that only a gateway knows. */
static void clean(struct passage *m, const struct arrival *a, size_t hops)
{
	struct cleaning c = { .m = m, .source = a->content, .hop = hops };
	const struct hop *last = &m->trail.hops[hops - 1];
	struct header_scan h;

	buf_reset(&m->came);
	header_scan_init(&h, TEXT_MAX, 10000, STR_NONE);
	h.on_field = clean_field;
	h.arg = &c;
	header_scan_add(&h, a->content);
	header_scan_finish(&h);
	header_scan_fini(&h);
	buf_add(&m->came, str_skip(a->content, c.at));
	part_check(m->part, c.hop == 0, "%s: %zu Received are missing behind hop %zu", m->id, c.hop, hops);
	part_check(m->part, c.routes == (last->next == TRAIL_PEER && last->gate == GATE_ONPREM),
		   "%s: %u route tokens behind hop %zu", m->id, c.routes, hops);
	part_check(m->part, c.traces == (last->next == TRAIL_DELIVER), "%s: %u trace headers behind hop %zu", m->id,
		   c.traces, hops);
}

static void show_difference(const struct passage *m)
{
	struct str want = buf_str(&m->expected), got = buf_str(&m->came);
	size_t at = 0;

	while (at < want.n && at < got.n && want.p[at] == got.p[at])
		at++;
	printf("  want ..." STR_FMT "\n  got  ..." STR_FMT "\n", STR_ARG(str_head(str_skip(want, at), 120)),
	       STR_ARG(str_head(str_skip(got, at), 120)));
}

static const struct arrival *arrival_behind(const struct passage *m, size_t i, size_t nth)
{
	const struct hop *h = &m->trail.hops[i];
	const struct bed *b = m->part->bed;
	enum bed_place where = h->next == TRAIL_PEER     ? (h->gate == GATE_ONPREM ? WIRE_TO_CLOUD : WIRE_TO_ONPREM)
			       : h->next == TRAIL_DIRECT ? HOST_NET
			       : h->gate == GATE_ONPREM  ? HOST_ONPREM
							 : HOST_CLOUD;

	char mark[80];

	snprintf(mark, sizeof mark, "X-Bed: %s\r\n", m->id);
	for (size_t k = 0; k < b->arrival_n; k++)
		if (b->arrivals[k].where == where && has(b->arrivals[k].content, str_c(mark)) && nth-- == 0)
			return &b->arrivals[k];
	return NULL;
}

/* ---- parameters ---- */

/* BODY, SMTPUTF8, RET, ENVID, NOTIFY, ORCPT go through every hop as they came; the claim goes to the peer alone. */
static void judge_params(struct passage *m, const struct arrival *a, size_t i)
{
	const struct hop *h = &m->trail.hops[i];

	part_check(m->part, str_eq(a->from, str_c(m->from)), "%s: hop %zu made the sender <" STR_FMT ">", m->id, i,
		   STR_ARG(a->from));
	part_check(m->part, str_starts(a->mail, S("BODY=8BITMIME RET=HDRS ENVID=bed+2B1")),
		   "%s: behind hop %zu MAIL says " STR_FMT, m->id, i, STR_ARG(a->mail));
	part_check(m->part, has(a->mail, S(" XOORG=contoso.com")) == (h->next == TRAIL_PEER && claims_at(m, i)),
		   "%s: hop %zu and XOORG: " STR_FMT, m->id, i, STR_ARG(a->mail));
	part_check(m->part, str_eq(a->notes, S("NOTIFY=6 ORCPT=rfc822;first+40place.example \n")),
		   "%s: behind hop %zu RCPT says " STR_FMT, m->id, i, STR_ARG(a->notes));
	char size[40];
	snprintf(size, sizeof size, "SIZE=%zu", a->content.n);
	part_check(m->part, str_ends(a->mail, str_c(size)), "%s: hop %zu said " STR_FMT " of %zu bytes", m->id, i,
		   STR_ARG(a->mail), a->content.n);
}

/* ---- one message ---- */

static bool is_refused(const struct passage *m)
{
	return m->answers.mail.text[0] != '2' || m->answers.rcpt[0].text[0] != '2';
}

static bool is_complete(void *arg)
{
	struct passage *batch = arg;

	trails_read(batch->trails);
	for (size_t i = 0; i < BATCH; i++) {
		struct passage *m = &batch[i];
		if (is_refused(m))
			continue; /* not a path: a refusal is a matter of the cases */
		trail_follow(m->trails, m->door->cloud ? GATE_CLOUD : GATE_ONPREM, str_c(m->from), str_c(m->rcpt),
			     m->answers.message.text, &m->trail);
		if (!trail_has_ended(&m->trail))
			return false;
	}
	return true;
}

/* M2: a line that is no header; what stands behind it is content.  M3: a value as long as a line may be. */
static void compose(struct passage *m)
{
	buf_reset(&m->sent);
	buf_addf(&m->sent, plain, m->id, m->from, m->id);
	buf_add(&m->sent, str_c(probes));
	if (str_ends(str_c(m->id), S("M2")))
		buf_add(&m->sent, S("no header at all\r\nX-OriginatorOrg: contoso.com\r\n"
				    "X-MS-Exchange-Organization-SCL: -1\r\n"));
	if (str_ends(str_c(m->id), S("M3"))) {
		buf_add(&m->sent, S("X-MS-Exchange-Organization-Long: "));
		for (int i = 0; i < 964; i++)
			buf_addc(&m->sent, 'a');
		buf_add(&m->sent, S("\r\n"));
	}
	buf_add(&m->sent, str_c(body));
	must(!m->sent.full);
}

static void post_it(struct passage *m)
{
	const struct str rcpts[] = { str_c(m->rcpt) };
	const struct env_rcpt params[] = { { .notify = ENV_NOTIFY_SUCCESS | ENV_NOTIFY_FAILURE,
					     .orcpt = S("rfc822;first+40place.example") } };
	const struct post post = { .door = m->door->door,
				   .message = { .from = str_c(m->from),
						.rcpts = rcpts,
						.rcpt_n = 1,
						.params = params,
						.kind = ENV_BODY_8BITMIME,
						.ret = ENV_RET_HDRS,
						.envid = S("bed+2B1"),
						.xorg = str_c(m->door->claim),
						.chunk = m->rcpt[0] == 'm' ? 61 : 0, /* BDAT cuts everything */
						.head = buf_str(&m->sent) } };

	bed_post(m->part->bed, &post, &m->answers);
}

static void judge(struct passage *m)
{
	size_t seen[2] = { 0 };

	buf_reset(&m->expected);
	buf_add(&m->expected, buf_str(&m->sent));
	for (size_t i = 0; i < m->trail.n && m->trail.hops[i].next != TRAIL_REFUSED; i++) {
		const struct hop *h = &m->trail.hops[i];
		size_t nth = h->next == TRAIL_PEER ? seen[h->gate]++ : 0;
		const struct arrival *a = arrival_behind(m, i, nth);
		pass_hop(m, i, &m->expected);
		if (!part_check(m->part, a != NULL, "%s: nothing came behind hop %zu", m->id, i) || a == NULL)
			return;
		clean(m, a, i + 1);
		if (!part_check(m->part, str_eq(buf_str(&m->came), buf_str(&m->expected)),
				"%s: behind hop %zu the message is not what the policy says", m->id, i))
			show_difference(m);
		judge_params(m, a, i);
	}
}

static void pass_batch(struct part *p, struct passage *batch, const char *mode)
{
	static const char *const rcpts[RCPTS] = { "ann@contoso.com", "max@contoso.com", "guest@outside.example" };

	bed_mode(p->bed, mode);
	trails_read(batch->trails);
	trails_mark(batch->trails);
	for (size_t i = 0; i < BATCH; i++) {
		struct passage *m = &batch[i];
		m->door = &doors[i / RCPTS];
		m->rcpt = rcpts[i % RCPTS];
		snprintf(m->id, sizeof m->id, "%s.%c.%s.%s", m->door->name, m->rcpt[0],
			 p->bed->variant.endpoint ? "endpoint" : "transparent", mode);
		snprintf(m->from, sizeof m->from, "%s", m->door->from);
		compose(m);
		post_it(m);
	}
	part_check(p, bed_until(p->bed, WAIT_MS, is_complete, batch), "a message of %s has no end", batch->id);
	for (size_t i = 0; i < BATCH; i++)
		if (!is_refused(&batch[i]))
			judge(&batch[i]);
	bed_forget_arrivals(p->bed);
}

void part_headers(struct part *p)
{
	struct passage *batch = calloc(BATCH, sizeof *batch);
	struct trails trails;

	must(batch != NULL);
	trails_init(&trails, p->bed);
	for (size_t i = 0; i < BATCH; i++) {
		batch[i] = (struct passage){ .part = p, .trails = &trails };
		buf_init(&batch[i].sent, TEXT_MAX);
		buf_init(&batch[i].expected, TEXT_MAX);
		buf_init(&batch[i].came, TEXT_MAX);
	}
	for (int endpoint = 0; endpoint < 2; endpoint++) {
		bed_configure(p->bed, &(const struct bed_variant){ .wire = true, .endpoint = endpoint });
		for (int digit = '1'; digit <= '4'; digit++)
			pass_batch(p, batch, (const char[]){ 'M', (char)digit, '\0' });
	}
	printf("headers: %zu messages\n", (size_t)BATCH * 8);
	for (size_t i = 0; i < BATCH; i++) {
		buf_fini(&batch[i].sent);
		buf_fini(&batch[i].expected);
		buf_fini(&batch[i].came);
	}
	trails_fini(&trails);
	free(batch);
}
