/* auth/result.c: the words of RFC 8601. */
#include "auth/auth.h"

#include "base/must.h"

const char *auth_result_name(enum auth_result r)
{
	static const char *const names[] = { "none",     "neutral", "pass",      "fail",
					     "softfail", "policy",  "temperror", "permerror" };

	must((size_t)r < sizeof names / sizeof names[0]);
	return names[r];
}
