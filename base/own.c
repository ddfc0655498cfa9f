/* base/own.c: no link is followed, no file with two names is written. */
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(struct err *e, const char *what, const char *shown, const char *why)
{
	errno = EPERM;
	return err_set(e, ERR_IO, what, "%s %s", shown, why);
}

static int judge_dir(const struct stat *st, const char *path, const char *what, struct err *e)
{
	if (st->st_uid != geteuid() && st->st_uid != 0 && geteuid() != 0)
		return refuse(e, what, path, "belongs to another user");
	if ((st->st_mode & S_IWOTH) != 0)
		return refuse(e, what, path, "can be written by everybody: chmod o-w it");
	return 0;
}

int own_dir(const char *path, const char *what, struct err *e)
{
	struct stat st;
	int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));

	if (fd < 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return refuse(e, what, path, "is a link: name the folder itself");
	if (fd < 0 || fstat(fd, &st) != 0)
		err_sys(e, ERR_IO, what, "cannot open %s", path);
	else if (judge_dir(&st, path, what, e) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int judge_file(const struct stat *st, const char *shown, const char *what, struct err *e)
{
	if (S_ISLNK(st->st_mode))
		return refuse(e, what, shown, "is a link: somebody put it there, remove it");
	if (!S_ISREG(st->st_mode))
		return refuse(e, what, shown, "is not a regular file");
	if (st->st_nlink > 1)
		return refuse(e, what, shown, "has a second name (hard link): somebody put it there, remove it");
	return 0;
}

int own_open(int dir_fd, const char *name, int flags, unsigned mode, const char *what, const char *shown, struct err *e)
{
	struct stat st;
	/* O_NONBLOCK: a pipe that somebody planted must not hold us; it means nothing to a regular file */
	int fd = (int)TEMP_FAILURE_RETRY(openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode));

	if (fd < 0) {
		int why = errno;
		if (why == ELOOP && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return judge_file(&st, shown, what, e);
		errno = why;
		return err_sys(e, ERR_IO, what, "cannot open %s", shown);
	}
	if (fstat(fd, &st) != 0)
		err_sys(e, ERR_IO, what, "cannot look at %s", shown);
	else if (judge_file(&st, shown, what, e) == 0)
		return fd;
	close(fd);
	return -1;
}

int own_look(int dir_fd, const char *name, const char *what, const char *shown, struct err *e)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, what, "cannot look at %s", shown);
	return judge_file(&st, shown, what, e);
}
