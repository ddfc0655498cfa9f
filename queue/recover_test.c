/* queue/recover_test.c: stores as crashes and failing disks leave them.
 *
 * A crash is a copy of the files of a running queue; nothing is copied in between two groups, and what the test then
 * destroys stands for what had not reached the disk. */
#include "queue/inner.h"
#include "tests/queue_rig.h"

/* ---- images ---- */

static void copy_file(const char *from, const char *to)
{
	char block[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;

	must(in >= 0 && out >= 0);
	while ((n = read(in, block, sizeof block)) > 0)
		must(write(out, block, (size_t)n) == n);
	close(in);
	close(out);
}

static void copy_dir(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *entry;
	char a[400], b[400];

	must(d != NULL && (mkdir(to, 0700) == 0 || access(to, W_OK) == 0));
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock.mdb") == 0)
			continue;
		snprintf(a, sizeof a, "%s/%s", from, entry->d_name);
		snprintf(b, sizeof b, "%s/%s", to, entry->d_name);
		if (entry->d_type == DT_DIR)
			copy_dir(a, b);
		else
			copy_file(a, b);
	}
	closedir(d);
}

static void take_image(struct rig *image, const struct rig *r)
{
	*image = (struct rig){ .conf = r->conf };
	snprintf(image->path, sizeof image->path, "%.100s.image", r->path);
	nftw(image->path, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
	copy_dir(r->path, image->path);
}

static void drop_image(struct rig *image)
{
	nftw(image->path, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
}

struct place { /* of one record */
	char path[300];
	uint64_t seq, at, end;
};

/* The first message and the last two records of the log. */
static void find_places(const struct rig *r, struct place *first, struct place *before, struct place *last)
{
	char dir[200], name[24];
	struct segment_walk w;
	uint64_t *seqs;
	size_t n;
	struct err e;

	*first = *before = *last = (struct place){ 0 };
	snprintf(dir, sizeof dir, "%s/segments", r->path);
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir_fd >= 0 && segment_list(dir_fd, &seqs, &n, &e) == 0);
	for (size_t i = 0; i < n; i++) {
		int fd = segment_open(dir_fd, seqs[i], &e);
		segment_walk_init(&w, fd, seqs[i], 0, UINT64_MAX);
		while (segment_walk_next(&w)) {
			*before = *last;
			segment_name(name, seqs[i]);
			*last = (struct place){ .seq = seqs[i], .at = w.record_at, .end = w.at };
			snprintf(last->path, sizeof last->path, "%s/%s", dir, name);
			if (w.record.kind == RECORD_MESSAGE && first->end == 0)
				*first = *last;
		}
		segment_walk_fini(&w);
		close(fd);
	}
	close(dir_fd);
	free(seqs);
}

static struct place find_first(const struct rig *r)
{
	struct place first, before, last;

	find_places(r, &first, &before, &last);
	must(first.end > 0);
	return first;
}

static struct place find_last(const struct rig *r)
{
	struct place first, before, last;

	find_places(r, &first, &before, &last);
	return last;
}

static struct place find_last_but_one(const struct rig *r)
{
	struct place first, before, last;

	find_places(r, &first, &before, &last);
	return before;
}

static void overwrite(const struct place *t, uint64_t at, const char *bytes, size_t n)
{
	int fd = open(t->path, O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && pwrite(fd, bytes, n, (off_t)at) == (ssize_t)n);
	close(fd);
}

static void flip(const struct place *t, uint64_t at)
{
	int fd = open(t->path, O_RDWR | O_CLOEXEC);
	char c;

	must(fd >= 0 && pread(fd, &c, 1, (off_t)at) == 1);
	c ^= 0x40;
	must(pwrite(fd, &c, 1, (off_t)at) == 1);
	close(fd);
}

/* Four messages, the last two of them in the log only; nothing leased. */
static void two_in_the_log(struct rig *r)
{
	r->conf.checkpoint_ms = 1000000000;
	r->conf.active_max = 0;
	r->conf.segment_bytes = 64 * 1024;
	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, rig_idle);
	rig_accept(r, 100, 1); /* goes on in a filled segment, which brings a checkpoint */
	rig_until(r, rig_idle);
	rig_accept(r, 100, 1);
	rig_accept(r, 100, 1);
}

static uint64_t messages_after_recovery(struct rig *image)
{
	struct err e;

	image->conf.path = str_c(image->path);
	struct queue *q = queue_open(&image->conf, &image->found, &e);
	if (q == NULL)
		fail_msg("%s", e.text);
	queue_close(&q);
	rig_check(image);
	return image->found.messages;
}

/* ---- torn and turned bytes ---- */

static void test_crash_without_checkpoint(void **state)
{
	struct rig *r = *state, image;

	two_in_the_log(r);
	take_image(&image, r);
	rig_check(&image);
	assert_int_equal(messages_after_recovery(&image), 4);
	assert_true(image.found.replayed_records == 2 && image.found.cut_bytes == 0);
	assert_int_equal(messages_after_recovery(&image), 4); /* and once more */
	assert_int_equal(image.found.replayed_records, 0);
	drop_image(&image);
	rig_close(r);
}

static void test_torn_tail(void **state)
{
	static const char zeros[4096];
	struct rig *r = *state, image;

	two_in_the_log(r);
	take_image(&image, r);
	struct place t = find_last(&image);
	for (uint64_t cut = t.at; cut < t.end - RECORD_ALIGN; cut += cut - t.at < RECORD_HEAD ? 3 : 29) {
		take_image(&image, r);
		overwrite(&t, cut, zeros, (size_t)(t.end - cut));
		rig_check(&image);
		assert_int_equal(messages_after_recovery(&image), 3);
		assert_true(cut == t.at || image.found.cut_bytes > 0);
	}
	drop_image(&image);
	rig_close(r);
}

/* The same for each byte, with the reader alone. */
static void test_torn_tail_each_byte(void **state)
{
	struct rig *r = *state, image;

	two_in_the_log(r);
	take_image(&image, r);
	struct place t = find_last(&image);
	for (uint64_t at = t.at; at < t.end - RECORD_ALIGN; at++) {
		struct segment_walk w;
		flip(&t, at);
		int fd = open(t.path, O_RDONLY | O_CLOEXEC);
		segment_walk_init(&w, fd, t.seq, t.at, UINT64_MAX);
		assert_false(segment_walk_next(&w) && w.sound);
		segment_walk_fini(&w);
		close(fd);
		flip(&t, at);
	}
	drop_image(&image);
	rig_close(r);
}

static void test_broken_payload_costs_one_message(void **state)
{
	struct rig *r = *state, image;

	two_in_the_log(r);
	take_image(&image, r);
	struct place t = find_last_but_one(&image);
	flip(&t, t.at + RECORD_HEAD + 5);
	uint64_t left = messages_after_recovery(&image);
	assert_true(left == 3 && image.found.cut_bytes == t.end - t.at);
	drop_image(&image);
	rig_close(r);
}

/* A message whose stored bytes went bad is held for a person to look at, and queue_check says so. */
static void test_damaged_message_is_held(void **state)
{
	struct rig *r = *state;
	struct buf findings;
	struct err e;

	rig_open(r);
	rig_accept(r, 1000, 1);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, 1000);
	rig_until(r, rig_idle);
	rig_close(r);
	struct place t = find_first(r);
	flip(&t, t.at + RECORD_HEAD + 5);
	buf_init(&findings, 4096);
	assert_int_equal(queue_check(r->path, &findings, &e), 1);
	assert_true(str_find(buf_str(&findings), S("checksum")) > 0);
	buf_fini(&findings);
	rig_open(r);
	rig_clock_ms += 2000;
	rig_until(r, rig_idle);
	rig_until(r, rig_idle);
	assert_true(r->lease_n == 0 && rig_stats(r).messages == 1 && rig_stats(r).leased == 0);
	rig_close(r);
}

static void test_missing_segment_refused(void **state)
{
	struct rig *r = *state;
	struct queue_recovery found;
	struct err e;

	r->conf.active_max = 0;
	rig_open(r);
	rig_accept(r, 1000, 1);
	rig_until(r, rig_idle);
	rig_close(r);
	rig_check(r);
	struct place t = find_last(r);
	unlink(t.path);
	assert_null(queue_open(&r->conf, &found, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
}

static void test_orphans_are_removed(void **state)
{
	struct rig *r = *state;
	char path[200];

	rig_open(r);
	rig_close(r);
	snprintf(path, sizeof path, "%s/big/0000000000ABC", r->path);
	copy_file("/proc/self/exe", path);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.orphans_removed, 1);
	assert_int_equal(access(path, F_OK), -1);
	rig_close(r);
}

static void test_ids_are_new(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	uint64_t before = rig_accept(r, 10, 1);
	rig_close(r);
	rig_clock_ms -= 86400000; /* the clock was wrong, and is right again */
	rig_open(r);
	uint64_t after = rig_accept(r, 10, 1);
	rig_clock_ms += 86400000;
	assert_true(after > before);
	rig_close(r);
}

/* ---- failing disks ---- */

static bool all_settled(struct rig *r)
{
	for (size_t i = 0; i < r->lease_n; i++)
		if (r->leases[i] != NULL)
			rig_settle(r, i, OUTCOME_DELIVERED, 0);
	return rig_empty(r);
}

static void test_failed_sync_is_final(void **state)
{
	struct rig *r = *state;
	struct rig_commit c;
	struct err e;

	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, all_settled);
	rig_fault("queue.group_sync:1");
	rig_send(r, &c, 100, 1);
	rig_until(r, rig_committed);
	assert_true(!c.commit.ok && c.commit.err.code == ERR_IO);
	assert_null(spool_begin(r->port, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_true(rig_stats(r).read_only);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 0); /* what was refused is not there */
	rig_close(r);
}

static void test_no_space_for_a_group(void **state)
{
	struct rig *r = *state;
	struct rig_commit c;

	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, all_settled);
	rig_until(r, rig_idle);
	rig_fault("queue.group_write:1:enospc");
	rig_send(r, &c, 100, 1);
	rig_until(r, rig_committed);
	assert_true(!c.commit.ok && c.commit.err.code == ERR_NO_SPACE);
	rig_until(r, rig_idle);
	r->lease_n = 0;
	rig_accept(r, 100, 1);
	rig_until(r, all_settled);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 0);
	rig_close(r);
}

static void refuse_big(struct rig *r, const char *fault, enum err_code code)
{
	struct rig_commit c;

	rig_open(r);
	rig_fault(fault);
	rig_send(r, &c, 400000, 1);
	rig_until(r, rig_committed);
	assert_true(!c.commit.ok);
	assert_int_equal(c.commit.err.code, code);
	rig_until(r, rig_idle);
	rig_accept(r, 400000, 1);
	rig_until(r, all_settled);
	rig_close(r);
	rig_check(r);
}

static size_t big_files(const struct rig *r)
{
	char path[300];
	size_t n = 0;

	snprintf(path, sizeof path, "%s/big", r->path);
	DIR *d = opendir(path);
	must(d != NULL);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

/* The record of a refused message may have reached the log: until a checkpoint is past it, its file stays. */
static void test_big_refused_keeps_its_file(void **state)
{
	struct rig *r = *state, image;
	struct rig_commit c;

	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, all_settled);
	rig_until(r, rig_idle);
	rig_fault("queue.group_sync:1,queue.checkpoint_begin:1");
	rig_send(r, &c, 400000, 1);
	rig_until(r, rig_committed);
	assert_true(!c.commit.ok && c.commit.err.code == ERR_IO);
	usleep(100 * 1000); /* whoever would remove it is quicker */
	assert_int_equal(big_files(r), 1);
	take_image(&image, r);
	rig_check(&image);
	drop_image(&image);
	rig_close(r);
	rig_check(r);
	assert_int_equal(big_files(r), 0);
}

static void test_big_fails(void **state)
{
	refuse_big(*state, "queue.big_write:1:enospc", ERR_NO_SPACE);
	refuse_big(*state, "queue.big_write:2", ERR_IO);
	refuse_big(*state, "queue.big_sync:1", ERR_IO);
}

/* ---- the first write to a segment fails, and the crash comes before the next checkpoint ---- */

static void refresh_segments(const struct rig *image, const struct rig *r)
{
	char from[200], to[200];

	snprintf(from, sizeof from, "%s/segments", r->path);
	snprintf(to, sizeof to, "%s/segments", image->path);
	copy_dir(from, to);
}

/* Seven messages; the next one does not fit any more.  The image has the index as it was before all this. */
static struct place fill_a_segment(struct rig *r, struct rig *image)
{
	two_in_the_log(r);
	take_image(image, r);
	for (size_t i = 0; i < 3; i++)
		rig_accept(r, 20000, 1);
	return find_last(r);
}

static enum err_code refused(struct rig *r)
{
	struct rig_commit c;

	rig_fault("queue.group_write:1:enospc");
	rig_send(r, &c, 20000, 1);
	rig_until(r, rig_committed);
	assert_false(c.commit.ok);
	return c.commit.err.code;
}

/* What a write that ran out of space in the middle leaves: the start of the segment and one whole message. */
static void write_beginnings(const struct rig *image, uint64_t seq, const struct place *before)
{
	struct place first = find_first(image), t = { .seq = seq };
	char record[4096], name[24];
	struct record r;

	segment_name(name, seq);
	snprintf(t.path, sizeof t.path, "%s/segments/%s", image->path, name);
	record_put_head(record, &(struct record){ .kind = RECORD_SEGMENT,
						  .segment = seq,
						  .id = before->seq,
						  .size = before->end,
						  .meta_check = record_sum(STR_NONE),
						  .body_check = record_sum(STR_NONE) });
	overwrite(&t, 0, record, RECORD_HEAD);
	int fd = open(first.path, O_RDONLY | O_CLOEXEC);
	size_t n = (size_t)(first.end - first.at);
	must(fd >= 0 && n <= sizeof record && pread(fd, record, n, (off_t)first.at) == (ssize_t)n);
	close(fd);
	must(record_get_head(record, first.seq, &r));
	r.segment = seq;
	r.id = UINT64_C(1) << 62; /* one that nobody knows */
	record_put_head(record, &r);
	overwrite(&t, RECORD_HEAD, record, n);
}

static void test_abandoned_segment(void **state)
{
	struct rig *r = *state, image;
	struct place full = fill_a_segment(r, &image);

	assert_int_equal(refused(r), ERR_NO_SPACE);
	rig_until(r, rig_idle);
	rig_accept(r, 100, 1); /* in the one after it */
	assert_int_equal(find_last(r).seq, full.seq + 2);
	refresh_segments(&image, r);
	rig_check(&image);
	assert_int_equal(messages_after_recovery(&image), 8);
	assert_int_equal(image.found.cut_bytes, 0);
	drop_image(&image);
	rig_close(r);
}

static void test_abandoned_segment_half_written(void **state)
{
	struct rig *r = *state, image;
	struct place full = fill_a_segment(r, &image);

	assert_int_equal(refused(r), ERR_NO_SPACE);
	rig_until(r, rig_idle);
	rig_accept(r, 100, 1);
	refresh_segments(&image, r);
	write_beginnings(&image, full.seq + 1, &full);
	rig_check(&image);
	assert_int_equal(messages_after_recovery(&image), 8); /* what was refused is not there */
	drop_image(&image);
	rig_close(r);
}

/* Nothing was written after it: a whole record in it is a message, as after any crash before a sync. */
static void test_abandoned_segment_is_the_last(void **state)
{
	struct rig *r = *state, image;
	struct place full = fill_a_segment(r, &image);

	assert_int_equal(refused(r), ERR_NO_SPACE);
	refresh_segments(&image, r);
	write_beginnings(&image, full.seq + 1, &full);
	rig_check(&image);
	assert_int_equal(messages_after_recovery(&image), 8);
	drop_image(&image);
	rig_close(r);
}

static bool has_space(struct rig *r)
{
	return !rig_stats(r).read_only;
}

static bool lacks_space(struct rig *r)
{
	return rig_stats(r).read_only;
}

static void test_full_index_recovers(void **state)
{
	struct rig *r = *state;

	r->conf.active_max = 0;
	rig_open(r);
	rig_fault("store.put:1");
	rig_accept(r, 100, 1);
	rig_until(r, lacks_space);
	rig_clock_ms += 1100;
	rig_until(r, has_space);
	rig_accept(r, 100, 1);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 2);
	rig_close(r);
}

static void test_short_of_space(void **state)
{
	struct rig *r = *state;
	struct err e;

	rig_open(r);
	struct conf_queue conf = r->conf;
	conf.keep_free = UINT64_MAX;
	queue_reconfigure(r->queue, &conf);
	rig_clock_ms += 1100;
	rig_until(r, lacks_space);
	assert_null(spool_begin(r->port, &e));
	assert_int_equal(e.code, ERR_NO_SPACE);
	queue_reconfigure(r->queue, &r->conf);
	rig_clock_ms += 1100;
	rig_until(r, has_space);
	rig_accept(r, 100, 1);
	rig_close(r);
}

static void test_no_space_for_a_segment(void **state)
{
	struct rig *r = *state;
	static struct rig_commit c[20];
	size_t refused = 0;

	r->conf.active_max = 0;
	r->conf.segment_bytes = 64 * 1024;
	rig_open(r);
	rig_until(r, rig_idle);
	rig_fault("queue.segment_new:1:enospc");
	for (size_t i = 0; i < COUNT(c); i++)
		rig_send(r, &c[i], 10000, 1);
	rig_until(r, rig_committed);
	for (size_t i = 0; i < COUNT(c); i++)
		refused += !c[i].commit.ok;
	assert_true(refused > 0 && refused < COUNT(c));
	rig_clock_ms += 1100;
	rig_until(r, has_space);
	rig_accept(r, 10000, 1);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, COUNT(c) - refused + 1);
	rig_close(r);
}

/* Stopping while messages wait for a segment that is not filled yet: they are stored all the same. */
static void test_stop_while_waiting(void **state)
{
	struct rig *r = *state;
	static struct rig_commit c[40];

	r->conf.active_max = 0;
	r->conf.segment_bytes = 8 << 20;
	rig_open(r);
	for (size_t i = 0; i < COUNT(c); i++)
		rig_send(r, &c[i], 20000, 1);
	rig_close(r);
	rig_check(r);
	r->commits_open = 0;
	rig_open(r);
	assert_int_equal(r->found.messages, COUNT(c));
	rig_close(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_crash_without_checkpoint),
		T(test_torn_tail),
		T(test_torn_tail_each_byte),
		T(test_broken_payload_costs_one_message),
		T(test_damaged_message_is_held),
		T(test_missing_segment_refused),
		T(test_orphans_are_removed),
		T(test_ids_are_new),
		T(test_failed_sync_is_final),
		T(test_no_space_for_a_group),
		T(test_big_fails),
		T(test_big_refused_keeps_its_file),
		T(test_abandoned_segment),
		T(test_abandoned_segment_half_written),
		T(test_abandoned_segment_is_the_last),
		T(test_full_index_recovers),
		T(test_short_of_space),
		T(test_no_space_for_a_segment),
		T(test_stop_while_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
