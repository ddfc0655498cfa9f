/* connectors/drain.c: see the header. */
#include "connectors/drain.h"

void drain_init(struct drain *d)
{
	*d = (struct drain){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

void drain_start(struct drain *d, const struct drain_order *o)
{
	pthread_mutex_lock(&d->lock);
	d->order = *o;
	pthread_mutex_unlock(&d->lock);
	d->on = true;
}

bool drain_stop(struct drain *d)
{
	return atomic_exchange(&d->on, false);
}

bool drain_read(const struct drain *d, struct drain_order *out)
{
	pthread_mutex_t *lock;

	if (d == NULL || !d->on)
		return false;
	lock = (pthread_mutex_t *)(uintptr_t)&d->lock;
	pthread_mutex_lock(lock);
	*out = d->order;
	pthread_mutex_unlock(lock);
	return true;
}
