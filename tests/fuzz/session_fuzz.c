/* tests/fuzz/session_fuzz.c: a whole session of a stranger, of one of our servers or behind a balancer: whatever is
 * said, each answer is a clean reply, no message comes of nothing, and the session ends.
 *
 * Closes at every state with CVE-2020-35680 in mind.  The first byte chooses the door (by 3) and whether the client
 * hangs up without waiting (bit 7); the rest is what it says, cut at each 0xFE (tests/fuzz/talk.h). */
#include "connectors/breaker.h"
#include "tests/fuzz/gateway.h"
#include "wire/reply.h"

static uint64_t sessions_before;

static bool session_is_over(struct talk *t)
{
	const struct server *s = &gateway_now.server;

	return t->ended && (LIST_EMPTY(&s->sessions) && s->counters.sessions > sessions_before);
}

/* Anything that could end a message: no more of them may have been taken. */
static size_t count_ends(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		struct str at = str_skip(s, i);
		n += str_starts(at, S(".\r\n")) || str_istarts(at, S("LAST"));
	}
	return n;
}

/* All of it is replies of clean lines, up to where TLS begins.  Returns how many say that a message was taken. */
static size_t check_replies(struct str heard)
{
	struct reply r;
	size_t queued = 0;

	for (int n; heard.n > 0; heard = str_skip(heard, (size_t)n)) {
		n = reply_next(heard, false, &r);
		must(n > 0);
		for (int i = 0; i < n; i++)
			must(!chr_is_8bit(heard.p[i]) &&
			     (heard.p[i] >= ' ' || heard.p[i] == '\r' || heard.p[i] == '\n'));
		queued += str_find(r.text, S("queued as")) >= 0;
		if (str_starts(str_trim(r.text), S("2.0.0 go ahead")))
			break;
	}
	return queued;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t choice = fuzz_byte(&in);
	struct gateway *g = gateway_ready();
	uint64_t before = g->server.counters.messages;
	struct talk t;
	struct err e;

	sessions_before = g->server.counters.sessions;
	talk_init(&t, g->loop, in, session_is_over);
	t.hasty = (choice & 0x80) != 0;
	must(stream_connect(&t.stream, &g->doors[(choice & 0x7F) % GATEWAY_DOORS], NULL, &e) == 0);
	loop_run(g->loop);
	size_t taken = (size_t)(g->server.counters.messages - before);
	size_t queued = check_replies(buf_str(&t.heard));
	must(queued <= taken && taken <= count_ends(in));
	must(queued == taken || t.hasty || t.stream.err.code != ERR_NONE); /* who is not told sends it again */
	talk_fini(&t);
	return 0;
}
