/* base/user.c: see the header. */
#include "base/user.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

int user_find(const char *name, uid_t *uid, gid_t *gid, struct err *e)
{
	struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return err_set(e, ERR_NOT_FOUND, "user.find", "there is no user %s", name);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int user_become(uid_t uid, gid_t gid, struct err *e)
{
	if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
		return err_sys(e, ERR_SYSTEM, "user.become", "cannot become user %u", (unsigned)uid);
	if (uid != 0 && setuid(0) == 0)
		return err_set(e, ERR_SYSTEM, "user.become", "root could be had again");
	return 0;
}
