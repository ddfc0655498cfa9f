/* connectors/drain_file.c: the drain order on disk, so that a restart goes on with it.
 *
 *   tombolo-drain 1 / since MS / recipients N / to HOST / reason TEXT / end        one line each, the last three may be
 * empty
 *
 * Written beside, synced, renamed: there is the old order, the new one, or none. */
#include "base/fault.h"
#include "base/must.h"
#include "connectors/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FILE_MAX = 2048 };

static const struct str magic = STR_LIT("tombolo-drain 1"), unreadable = STR_LIT("this gateway is being emptied");

static int sync_folder(int dir_fd, struct err *e)
{
	return fault("drain.sync") || fsync(dir_fd) != 0 ? err_sys(e, ERR_IO, "drain", "cannot sync the queue's folder")
							 : 0;
}

static int open_folder(const char *queue, struct err *e)
{
	int fd = open(queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, ERR_IO, "drain", "cannot open %s", queue);
}

static int write_file(int dir_fd, struct str text, struct err *e)
{
	int fd = openat(dir_fd, "drain.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && !fault("drain.write") && write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	if (!ok || renameat(dir_fd, "drain.new", dir_fd, "drain") != 0)
		return err_sys(e, ERR_IO, "drain", "cannot keep the order for a restart");
	fault("drain.renamed");
	return sync_folder(dir_fd, e);
}

int drain_keep(const char *queue, const struct drain_order *o, struct err *e)
{
	int dir_fd = open_folder(queue, e), rc;
	struct buf text;

	if (dir_fd < 0)
		return -1;
	buf_init(&text, FILE_MAX);
	buf_add(&text, magic);
	buf_addf(&text, "\nsince %lld\nrecipients %llu\nto %s\nreason %s\nend\n", (long long)o->since_ms,
		 (unsigned long long)o->recipients, o->to, o->reason);
	must(!text.full);
	rc = write_file(dir_fd, buf_str(&text), e);
	buf_fini(&text);
	close(dir_fd);
	return rc;
}

int drain_forget(const char *queue, struct err *e)
{
	int dir_fd = open_folder(queue, e), rc;

	if (dir_fd < 0)
		return -1;
	rc = (fault("drain.unlink") || unlinkat(dir_fd, "drain", 0) != 0) && errno != ENOENT
		     ? err_sys(e, ERR_IO, "drain", "cannot remove the order that is kept for a restart")
		     : sync_folder(dir_fd, e);
	close(dir_fd);
	return rc;
}

/* ---- back ---- */

/* Takes the line "key value" off the front. */
static bool take(struct str *text, struct str key, struct str *value)
{
	struct str line;

	if (!str_cut(*text, '\n', &line, text) || !str_starts(line, key))
		return false;
	*value = str_skip(line, key.n);
	return true;
}

static bool keep(char *to, size_t room, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]))
			return false;
	snprintf(to, room, STR_FMT, STR_ARG(s));
	return s.n < room;
}

bool drain_parse(struct str text, struct drain_order *o)
{
	struct str first, since, recipients, to, reason, end;
	uint64_t since_ms;

	*o = (struct drain_order){ 0 };
	return take(&text, magic, &first) && first.n == 0 && take(&text, S("since "), &since) &&
	       take(&text, S("recipients "), &recipients) && take(&text, S("to "), &to) &&
	       take(&text, S("reason "), &reason) && take(&text, S("end"), &end) && end.n == 0 && text.n == 0 &&
	       str_u64(since, INT64_MAX, &since_ms) && (o->since_ms = (int64_t)since_ms, true) &&
	       str_u64(recipients, UINT64_MAX, &o->recipients) && keep(o->to, sizeof o->to, to) &&
	       keep(o->reason, sizeof o->reason, reason);
}

bool drain_kept(const char *queue, struct drain_order *o, bool *damaged)
{
	char path[300], text[FILE_MAX];
	ssize_t n = -1;

	*damaged = false;
	snprintf(path, sizeof path, "%s/drain", queue);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return false;
	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		close(fd);
	}
	*damaged = n < 0 || !drain_parse(str_n(text, (size_t)(n < 0 ? 0 : n)), o);
	if (*damaged) {
		*o = (struct drain_order){ 0 };
		keep(o->reason, sizeof o->reason, unreadable);
	}
	return true;
}
