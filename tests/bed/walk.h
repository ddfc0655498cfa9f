/* tests/bed/walk.h: the model of a message's way through two gateways back to back; no network.
 *
 * Each gateway is a call of route_decide with what that side would know.  Only the on-prem side makes and reads route
 * tokens; a recipient reached by forwarding starts without one.  paths.csv is checked against it (tests/tools/vectors),
 * and the bed's real messages are checked against both. */
#ifndef TESTS_BED_WALK_H
#define TESTS_BED_WALK_H

#include "routing/routing.h"

enum walk_place { ON_PREM, IN_CLOUD, NOWHERE, OUTSIDE }; /* where the mailbox really is */
enum walk_start { FROM_INTERNET, FROM_ONPREM, FROM_CLOUD };
enum walk_entry { AT_MX, AT_ONPREM, AT_CLOUD }; /* of Internet mail */
enum { WALK_GATEWAYS_MAX = 12 };

struct walk_scenario {
	const char *id;
	enum walk_start start;
	enum walk_place place;
	enum walk_entry entry;
	bool forwards;        /* the mailbox forwards to outside */
	bool forwards_direct; /* cmt.forwarded = direct */
	bool not_attributed;  /* the cloud takes on-prem for a stranger */
	bool no_token;
	bool onprem_wrong, cloud_wrong; /* that side's table says the other side */
};

/* "P01.M2" or "P01"; NULL when there is none. */
const struct walk_scenario *walk_scenario_of(struct str id);
struct mode walk_mode(char digit); /* '1' to '4' */
bool walk_begins_in_cloud(const struct walk_scenario *s, const struct mode *mode);
/* Adds to both: "INTERNET onprem[R30 deliver]" and "DELIVERED". */
void walk(const struct walk_scenario *s, const struct mode *mode, struct buf *trail, struct buf *result);

#endif
