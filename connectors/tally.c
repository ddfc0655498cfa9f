/* connectors/tally.c: counters of connectors; see the header. */
#include "connectors/tally.h"

#include "base/must.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

const char *smtp_stage_name(enum smtp_stage at)
{
	static const char *const names[AT_N] = {
		[AT_RESOLVE] = "resolve", [AT_CONNECT] = "connect",   [AT_GREETING] = "greeting",
		[AT_EHLO] = "ehlo",       [AT_STARTTLS] = "starttls", [AT_HANDSHAKE] = "handshake",
		[AT_CHAIN] = "chain",     [AT_NAME] = "name",         [AT_EHLO_AGAIN] = "ehlo again",
		[AT_SESSION] = "session",
	};

	must((size_t)at < AT_N);
	return names[at];
}

const char *smtp_why_name(enum smtp_why w)
{
	static const char *const names[WHY_N] = {
		[WHY_OTHER] = "other",       [WHY_UNREACHABLE] = "unreachable", [WHY_TIMEOUT] = "timeout",
		[WHY_PROTOCOL] = "protocol", [WHY_REFUSED] = "refused",         [WHY_NOT_OFFERED] = "not offered",
		[WHY_CHAIN] = "chain",       [WHY_EXPIRED] = "expired",         [WHY_REVOKED] = "revoked",
		[WHY_NAME] = "name",
	};

	must((size_t)w < WHY_N);
	return names[w];
}

struct tally *tally_of(struct tallies *all, struct str connector)
{
	char name[sizeof((struct connector_stats *)0)->name];
	struct tally *t;

	snprintf(name, sizeof name, STR_FMT, STR_ARG(connector));
	SLIST_FOREACH (t, all, link)
		if (str_eq(str_c(t->stats.name), str_c(name)))
			return t;
	t = calloc(1, sizeof *t);
	must(t != NULL);
	snprintf(t->stats.name, sizeof t->stats.name, "%s", name);
	SLIST_INSERT_HEAD(all, t, link);
	return t;
}

void tallies_free(struct tallies *all)
{
	struct tally *t;

	while ((t = SLIST_FIRST(all)) != NULL) {
		SLIST_REMOVE_HEAD(all, link);
		free(t);
	}
}

size_t tallies_copy(const struct tallies *all, struct connector_stats *rows, size_t max)
{
	const struct tally *t;
	size_t n = 0;

	SLIST_FOREACH (t, all, link) {
		if (n < max)
			rows[n] = t->stats;
		n++;
	}
	return n;
}

void tally_ready(struct tally *t, const struct smtp_client *c)
{
	t->stats.tls[c->achieved]++;
	t->stats.ok_ms = clock_wall_ms();
	snprintf(t->stats.last_tls, sizeof t->stats.last_tls, "%s", c->where.tls);
}

void tally_failed(struct tally *t, enum smtp_stage at, enum smtp_why reason, const char *why)
{
	must((size_t)at < AT_N && (size_t)reason < WHY_N);
	t->stats.failed_at[at]++;
	t->stats.failed_why[reason]++;
	t->stats.failed_ms = clock_wall_ms();
	snprintf(t->stats.last_error, sizeof t->stats.last_error, "%.*s", (int)sizeof t->stats.last_error - 1, why);
}

void tally_unknown(struct tally *t)
{
	t->stats.unknown++;
}

void tally_result(struct tally *t, enum rcpt_result result)
{
	t->stats.sent += result == RCPT_SENT;
	t->stats.deferred += result == RCPT_DEFERRED;
	t->stats.failed += result == RCPT_FAILED;
	if (result == RCPT_SENT)
		t->stats.ok_ms = clock_wall_ms();
}
