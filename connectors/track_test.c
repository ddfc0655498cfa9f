/* connectors/track_test.c: events through the ring into files: split when they are long, lost ones told. */
#include "connectors/track.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/track_eventXXXXXX";
static char text[4 << 20];

static struct str written(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text);

	close(fd);
	assert_true(n >= 0);
	return str_n(text, (size_t)n);
}

static size_t count(struct str s, struct str what)
{
	size_t n = 0;

	for (ssize_t at; (at = str_find(s, what)) >= 0; n++)
		s = str_skip(s, (size_t)at + what.n);
	return n;
}

static struct track *open_track(size_t ring_bytes)
{
	const struct track_options o = { .path = path,
					 .rotate_bytes = 1 << 30,
					 .retain_ms = 86400000,
					 .ring_bytes = ring_bytes,
					 .put_lost = track_put_lost_json };
	struct err e = { 0 };
	struct track *t = track_open(&o, &e);

	assert_int_equal(truncate(path, 0), 0);
	assert_non_null(t);
	return t;
}

/* A thousand long addresses do not fit one line: together the lines hold each of them once. */
static void test_split(void **state)
{
	struct config c = { .hostname = S("gw") };
	struct env_rcpt *rcpts = calloc(1000, sizeof *rcpts);
	char(*names)[300] = calloc(1000, sizeof *names), wanted[16];
	struct track *t = open_track(4 << 20);

	(void)state;
	assert_non_null(rcpts);
	assert_non_null(names);
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(names[i], sizeof names[i], "n%04d.%0250d@x.example", i, 0);
		rcpts[i].addr = str_n(names[i], (size_t)n);
	}
	track_event(track_ring(t), &c, &(struct track_event){ .kind = TRACK_RECEIVE, .rcpts = rcpts, .rcpt_n = 1000 });
	track_close(&t);
	struct str all = written();
	assert_true(count(all, S("\n")) > 1);
	assert_int_equal(count(all, S("\n")), count(all, S("\"recipient-count\":1000")));
	for (int i = 0; i < 1000; i++) {
		snprintf(wanted, sizeof wanted, "\"n%04d.", i);
		check(count(all, str_c(wanted)) == 1, wanted);
	}
	free(rcpts);
	free(names);
}

/* One flood into a small ring; how many were lost, by what the log says. */
static uint64_t flood(int events)
{
	struct config c = { .hostname = S("gw") };
	struct track *t = open_track(64 * 1024);
	struct track_ring *r = track_ring(t);
	uint64_t lost = 0, n;

	for (int i = 0; i < events; i++)
		track_event(r, &c, &(struct track_event){ .kind = TRACK_SEND, .rcpt = S("a@x.example") });
	track_close(&t);
	struct str all = written(), rest = all, digits;
	for (ssize_t at; (at = str_find(rest, S("\"TRACK-LOST\""))) >= 0;) {
		rest = str_skip(rest, (size_t)at + 1);
		struct str tail = str_skip(rest, (size_t)str_find(rest, S("\"total-bytes\":")) + 14), end;
		str_cut(tail, ',', &digits, &end);
		assert_true(str_u64(digits, (uint64_t)events, &n));
		lost += n;
	}
	assert_int_equal(count(all, S("\"SEND\"")) + lost, events);
	return lost;
}

/* A writer with a core to itself may keep up: then once more. */
static void test_lost(void **state)
{
	uint64_t lost = 0;

	(void)state;
	for (int i = 0; i < 200 && lost == 0; i++)
		lost = flood(5000);
	assert_true(lost > 0);
}

static void test_off(void **state)
{
	struct config c = { .hostname = S("gw") };

	(void)state;
	track_event(NULL, &c,
		    &(struct track_event){ .kind = TRACK_SEND, .rcpt = S("a@x.example") }); /* no log: nothing */
}

static void test_subject(void **state)
{
	static const struct {
		enum conf_track_subject how;
		const char *has;
	} rows[] = { { TRACK_SUBJECT_OFF, NULL },
		     { TRACK_SUBJECT_ON, "\"message-subject\":\"hello\"" },
		     { TRACK_SUBJECT_HASH, "\"message-subject\":\"sha256:2cf24dba5fb0a30e\"" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config c = { .track.subject = rows[i].how };
		struct buf b;
		buf_init(&b, 4096);
		assert_true(track_put_event(&b, &c, &(struct track_event){ .subject = S("hello") }, 0));
		if (rows[i].has == NULL)
			assert_true(str_find(buf_str(&b), S("subject")) < 0 && str_find(buf_str(&b), S("hello")) < 0);
		else
			assert_true(str_find(buf_str(&b), str_c(rows[i].has)) >= 0);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_split), cmocka_unit_test(test_lost),
					    cmocka_unit_test(test_off), cmocka_unit_test(test_subject) };
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
