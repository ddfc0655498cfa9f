/* auth/spf_frames.c: SPF questions and verdicts as payloads. */
#include "auth/spf_eval.h"

#include <string.h>

static void put_addr(struct buf *b, const struct net_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		put_str(b, str_n(&a->v4.sin_addr, 4));
	else
		put_str(b, str_n(&a->v6.sin6_addr, 16));
}

static bool read_addr(struct reader *r, struct net_addr *a)
{
	struct str s = read_str(r, 16);

	*a = (struct net_addr){ 0 };
	if (s.n == 4) {
		a->v4.sin_family = AF_INET;
		memcpy(&a->v4.sin_addr, s.p, 4);
	} else if (s.n == 16) {
		a->v6.sin6_family = AF_INET6;
		memcpy(&a->v6.sin6_addr, s.p, 16);
	}
	return s.n == 4 || s.n == 16;
}

void spf_question_put(const struct spf_question *q, const struct answers *answers, struct buf *b)
{
	put_addr(b, &q->client);
	put_str(b, q->helo);
	put_str(b, q->sender);
	put_str(b, q->receiver);
	put_u32(b, (uint32_t)q->now_s);
	put_u8(b, q->wants_story);
	answers_put(answers, b);
}

bool spf_question_read(struct str payload, struct spf_question *q, struct answers *answers)
{
	struct reader r = { .in = payload };
	bool good = read_addr(&r, &q->client);

	q->helo = read_str(&r, 1024);
	q->sender = read_str(&r, 1024);
	q->receiver = read_str(&r, 1024);
	q->now_s = read_u32(&r);
	q->wants_story = read_u8(&r) != 0;
	return answers_read(&r, answers) && good && read_end(&r);
}

void spf_verdict_put(const struct spf_verdict *v, struct buf *b)
{
	put_u8(b, v->result);
	put_u8(b, v->helo);
	put_u8(b, v->secure);
	put_str(b, str_c(v->domain));
	put_str(b, str_c(v->mechanism));
	put_str(b, str_c(v->explanation));
	put_str(b, str_c(v->why));
	put_u16(b, v->lookups);
	put_u16(b, v->voids);
	put_str(b, buf_str(&v->story));
}

/* Text for a log or a person, whatever a worker says: printable ASCII and line ends in stories. */
static void read_text(struct reader *r, char *room, size_t n)
{
	struct str s = read_str(r, n - 1);

	for (size_t i = 0; i < s.n; i++)
		room[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
	room[s.n] = '\0';
}

bool spf_verdict_read(struct str payload, struct spf_verdict *v)
{
	struct reader r = { .in = payload };
	unsigned result = read_u8(&r);

	v->helo = read_u8(&r) != 0;
	v->secure = read_u8(&r) != 0;
	read_text(&r, v->domain, sizeof v->domain);
	read_text(&r, v->mechanism, sizeof v->mechanism);
	read_text(&r, v->explanation, sizeof v->explanation);
	read_text(&r, v->why, sizeof v->why);
	v->lookups = read_u16(&r);
	v->voids = read_u16(&r);
	struct str story = read_str(&r, SPF_STORY_MAX);
	for (size_t i = 0; i < story.n; i++) {
		char c = story.p[i];
		buf_addc(&v->story, c == '\n' || (c >= ' ' && c <= '~') ? c : '?');
	}
	v->result = (enum auth_result)result;
	return read_end(&r) && result < AUTH_RESULT_N;
}
