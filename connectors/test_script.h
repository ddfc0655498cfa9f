/* connectors/test_script.h: for the tests of this room: a server that follows a script.
 *
 * A script is a list of lines: "> text" it says (CRLF added), ">> text" the same without CRLF, "< text" it must hear (a
 * final * matches any rest), "# n" it takes n bytes of anything, "!" it closes. */
#ifndef CONNECTORS_TEST_SCRIPT_H
#define CONNECTORS_TEST_SCRIPT_H

#include "base/op.h"
#include "base/stream.h"

struct script {
	struct stream stream;
	const char *const *at;           /* next line; *at == NULL: all done */
	const char *broken;              /* the line that was not met */
	char heard[200];                 /* instead */
	uint64_t left;                   /* of the "#" line in progress */
	void (*moved)(struct script *s); /* after each step forward, and when broken */
};

static inline bool script_is_done(const struct script *s)
{
	return *s->at == NULL;
}

static inline bool script_matches(struct str want, struct str got)
{
	if (str_ends(want, S("*")))
		return str_starts(got, str_head(want, want.n - 1));
	return str_eq(want, got);
}

/* One "<" line.  True when it was there. */
static inline bool script_hear(struct script *s, struct str want)
{
	struct str in = stream_in(&s->stream), line;
	ssize_t lf = str_find(in, S("\r\n"));

	if (lf < 0)
		return false;
	line = str_head(in, (size_t)lf);
	if (!script_matches(want, line)) {
		s->broken = *s->at;
		snprintf(s->heard, sizeof s->heard, STR_FMT, STR_ARG(line));
		return false;
	}
	stream_consume(&s->stream, (size_t)lf + 2);
	return true;
}

/* One "#" line; the count may be more than a stream holds at once. */
static inline bool script_take(struct script *s, struct str count)
{
	size_t have = stream_in(&s->stream).n;

	if (s->left == 0)
		must(str_u64(count, 1 << 30, &s->left));
	if (have > s->left)
		have = (size_t)s->left;
	stream_consume(&s->stream, have);
	s->left -= have;
	return s->left == 0;
}

static inline void script_run(struct script *s)
{
	for (; *s->at != NULL && s->broken == NULL && stream_is_open(&s->stream); s->at++) {
		struct str step = str_c(*s->at);
		if (str_starts(step, S("<")) && !script_hear(s, str_skip(step, 2)))
			break;
		if (str_starts(step, S("#")) && !script_take(s, str_skip(step, 2)))
			break;
		if (str_starts(step, S(">>"))) {
			stream_write(&s->stream, str_skip(step, 3));
		} else if (str_starts(step, S(">"))) {
			stream_write(&s->stream, str_skip(step, 2));
			stream_write(&s->stream, S("\r\n"));
		} else if (str_eq(step, S("!"))) {
			stream_finish(&s->stream);
		}
	}
	s->moved(s);
}

static inline void script_on_event(struct stream *stream, enum stream_event e)
{
	struct script *s = container_of(stream, struct script, stream);

	if (e == STREAM_READABLE)
		script_run(s);
	else if (e == STREAM_EOF || e == STREAM_FAILED)
		stream_close(stream);
}

/* Begins to follow the script on a connected socket. */
static inline void script_start(struct script *s, struct loop *l, int fd, const struct net_addr *peer,
				const char *const *lines, void (*moved)(struct script *))
{
	s->at = lines;
	s->broken = NULL;
	s->left = 0;
	s->moved = moved;
	stream_init(&s->stream, l, script_on_event);
	stream_attach(&s->stream, fd, peer);
	script_run(s);
}

#endif
