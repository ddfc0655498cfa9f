/* connectors/breaker.c: see the header.  Faults and questions are rare beside the mail that flows: a lock will do. */
#include "connectors/breaker.h"

#include "base/must.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { TRIAL_MAX_MS = 20 * 60 * 1000 }; /* longer than any answer is waited for: its loop is gone */

struct breaker {
	SLIST_ENTRY(breaker) link;
	pthread_mutex_t lock;
	struct breaker_view now;
	int64_t faults, pause_ms, tried_ms;
	_Atomic bool suspect; /* there were faults since the last delivery */
	_Atomic bool is_open; /* not closed; read without the lock */
	struct str name;
	char name_text[];
};

struct breakers {
	pthread_mutex_t lock;
	SLIST_HEAD(, breaker) all;
};

struct breakers *breakers_new(void)
{
	struct breakers *b = calloc(1, sizeof *b);

	must(b != NULL);
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

void breakers_free(struct breakers **bp)
{
	struct breaker *b;

	if (*bp == NULL)
		return;
	while ((b = SLIST_FIRST(&(*bp)->all)) != NULL) {
		SLIST_REMOVE_HEAD(&(*bp)->all, link);
		pthread_mutex_destroy(&b->lock);
		free(b);
	}
	pthread_mutex_destroy(&(*bp)->lock);
	free(*bp);
	*bp = NULL;
}

static struct breaker *breaker_new(struct str name)
{
	struct breaker *b = calloc(1, sizeof *b + name.n + 1);

	must(b != NULL);
	pthread_mutex_init(&b->lock, NULL);
	if (name.n > 0)
		memcpy(b->name_text, name.p, name.n);
	b->name = (struct str){ b->name_text, name.n };
	return b;
}

struct breaker *breaker_of(struct breakers *all, struct str connector)
{
	struct breaker *b;

	pthread_mutex_lock(&all->lock);
	SLIST_FOREACH (b, &all->all, link)
		if (str_eq(b->name, connector))
			break;
	if (b == NULL) {
		b = breaker_new(connector);
		SLIST_INSERT_HEAD(&all->all, b, link);
	}
	pthread_mutex_unlock(&all->lock);
	return b;
}

enum breaker_says breaker_ask(struct breaker *b, int64_t now_ms)
{
	enum breaker_says says = BREAKER_GO;

	if (!b->is_open) /* nearly always */
		return BREAKER_GO;
	pthread_mutex_lock(&b->lock);
	if (b->now.state == BREAKER_OPEN)
		says = now_ms < b->now.next_ms ? BREAKER_HOLD : BREAKER_TRY;
	else if (b->now.state == BREAKER_TRIAL)
		says = now_ms - b->tried_ms < TRIAL_MAX_MS ? BREAKER_WAIT : BREAKER_TRY;
	if (says == BREAKER_TRY) {
		b->now.state = BREAKER_TRIAL;
		b->tried_ms = now_ms;
	}
	pthread_mutex_unlock(&b->lock);
	return says;
}

static void open_it(struct breaker *b, int64_t now_ms)
{
	b->now.state = BREAKER_OPEN;
	b->is_open = true;
	b->now.next_ms = now_ms + b->pause_ms;
}

bool breaker_fault(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms, struct str why)
{
	bool opened = false;

	pthread_mutex_lock(&b->lock);
	snprintf(b->now.why, sizeof b->now.why, STR_FMT, STR_ARG(why));
	b->faults++;
	b->suspect = true;
	if (b->now.state == BREAKER_CLOSED && rules->faults > 0 && b->faults >= rules->faults) {
		b->pause_ms = rules->pause_ms;
		b->now.opened_n++;
		open_it(b, now_ms);
		opened = true;
	} else if (b->now.state == BREAKER_TRIAL) {
		b->pause_ms = b->pause_ms < rules->pause_max_ms / 2 ? b->pause_ms * 2 : rules->pause_max_ms;
		open_it(b, now_ms);
	} /* open: an answer that was under way */
	pthread_mutex_unlock(&b->lock);
	return opened;
}

bool breaker_good(struct breaker *b)
{
	if (!b->suspect)
		return false;
	pthread_mutex_lock(&b->lock);
	bool was_closed = b->now.state == BREAKER_CLOSED;
	b->now.state = BREAKER_CLOSED;
	b->is_open = false;
	b->faults = 0;
	b->suspect = false;
	pthread_mutex_unlock(&b->lock);
	return !was_closed;
}

void breaker_tried(struct breaker *b, int64_t now_ms)
{
	pthread_mutex_lock(&b->lock);
	if (b->now.state == BREAKER_TRIAL)
		open_it(b, now_ms); /* it could not be reached, or refused one recipient: says nothing about us */
	pthread_mutex_unlock(&b->lock);
}

void breaker_hurry(struct breaker *b)
{
	pthread_mutex_lock(&b->lock);
	b->now.next_ms = INT64_MIN;
	pthread_mutex_unlock(&b->lock);
}

void breaker_look(struct breaker *b, struct breaker_view *out)
{
	pthread_mutex_lock(&b->lock);
	*out = b->now;
	pthread_mutex_unlock(&b->lock);
}

const char *breaker_state_name(enum breaker_state s)
{
	static const char *const names[] = { "closed", "open", "trial" };

	must((size_t)s < sizeof names / sizeof *names);
	return names[s];
}
