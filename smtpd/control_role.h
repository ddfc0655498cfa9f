/* smtpd/control_role.h: who may do what on the control socket, by what the kernel says about the process at its end.
 *
 *   root, the daemon's own user, members of control_operators    look and change
 *   members of control_viewers                                   look
 *   others                                                       look, as far as the socket's mode lets them in, while
 * no group is set; else nothing
 *
 * With a group set anybody may connect (mode 0666), since a socket file has only one group and the daemon is no member
 * of it: these rules decide then. */
#ifndef SMTPD_CONTROL_ROLE_H
#define SMTPD_CONTROL_ROLE_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

enum control_role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR };

struct control_roles {
	bool by_group;            /* one of the two is set */
	gid_t viewers, operators; /* (gid_t)-1: not set */
};

struct control_peer {
	uid_t uid;
	const gid_t *groups; /* its own and the further ones */
	size_t group_n;
};

/* Names of groups, empty for none.  -1 with err when there is no such group. */
int control_roles_find(struct control_roles *r, struct str viewers, struct str operators, struct err *e);
unsigned control_roles_mode(const struct control_roles *r); /* of the socket file */

/* Pure; `own` is the daemon's user. */
enum control_role control_role_judge(const struct control_roles *r, const struct control_peer *p, uid_t own);
/* Of the process at the other end of a local socket; *uid is who it is. */
enum control_role control_role_of(const struct control_roles *r, int fd, uid_t *uid);

#endif
