/* smtpd/control_role.c: credentials of a local peer, and what they are good for; see the header. */
#include "smtpd/control_role.h"

#include "base/must.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROUPS_MAX = 65536 }; /* the kernel's own limit */

static int find_group(struct str name, const char *option, gid_t *gid, struct err *e)
{
	*gid = (gid_t)-1;
	if (name.n == 0)
		return 0;
	const struct group *g = getgrnam(name.p);
	if (g == NULL)
		return err_set(e, ERR_NOT_FOUND, "control.open", "%s: there is no group " STR_FMT, option,
			       STR_ARG(name));
	*gid = g->gr_gid;
	return 0;
}

int control_roles_find(struct control_roles *r, struct str viewers, struct str operators, struct err *e)
{
	if (find_group(viewers, "control_viewers", &r->viewers, e) != 0 ||
	    find_group(operators, "control_operators", &r->operators, e) != 0)
		return -1;
	r->by_group = viewers.n > 0 || operators.n > 0;
	return 0;
}

unsigned control_roles_mode(const struct control_roles *r)
{
	return r->by_group ? 0666 : 0660;
}

static bool is_member(const struct control_peer *p, gid_t gid)
{
	for (size_t i = 0; gid != (gid_t)-1 && i < p->group_n; i++)
		if (p->groups[i] == gid)
			return true;
	return false;
}

enum control_role control_role_judge(const struct control_roles *r, const struct control_peer *p, uid_t own)
{
	if (p->uid == 0 || p->uid == own || is_member(p, r->operators))
		return ROLE_OPERATOR;
	return !r->by_group || is_member(p, r->viewers) ? ROLE_VIEWER : ROLE_NONE;
}

enum control_role control_role_of(const struct control_roles *r, int fd, uid_t *uid)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t n = sizeof peer, size = 0;

	*uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return ROLE_NONE;
	*uid = peer.uid;
	/* asked with no room it says how much there must be */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size);
	must(size <= GROUPS_MAX * sizeof(gid_t));
	gid_t *groups = malloc(size + sizeof *groups);
	must(groups != NULL);
	groups[0] = peer.gid;
	if (size > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) != 0)
		size = 0;
	const struct control_peer p = { peer.uid, groups, 1 + size / sizeof *groups };
	enum control_role role = control_role_judge(r, &p, geteuid());
	free(groups);
	return role;
}
