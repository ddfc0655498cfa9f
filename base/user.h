/* base/user.h: root, given up for good. */
#ifndef BASE_USER_H
#define BASE_USER_H

#include "base/err.h"

#include <sys/types.h>

/* 0, or -1 with err: there is no such account. */
int user_find(const char *name, uid_t *uid, gid_t *gid, struct err *e);
/* Groups first, then group, then user, then proof that there is no way back. */
int user_become(uid_t uid, gid_t gid, struct err *e);

#endif
