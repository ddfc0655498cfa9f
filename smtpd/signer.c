/* smtpd/signer.c: one signature of auth/ behind one of connectors/. */
#include "smtpd/signer.h"

#include "base/must.h"

#include <stdlib.h>

struct signed_one {
	struct auth_sign sign;
	struct signature *of;
};

static void begin(void *arg, struct signature *s, struct str domain)
{
	struct auth **auth = arg;
	struct signed_one *one = calloc(1, sizeof *one);

	must(one != NULL && *auth != NULL);
	one->of = s;
	s->state = one;
	auth_sign_begin(*auth, domain, &one->sign);
}

static void on_more(struct auth_sign *q)
{
	struct signature *s = container_of(q, struct signed_one, sign)->of;

	s->more(s);
}

static bool write(struct signature *s, struct str bytes)
{
	struct signed_one *one = s->state;

	return auth_sign_write(&one->sign, bytes, on_more);
}

static void on_done(struct op *op)
{
	struct signed_one *one = container_of(container_of(op, struct auth_sign, op), struct signed_one, sign);
	struct signature *s = one->of;

	s->ok = one->sign.ok;
	s->refused = one->sign.refused;
	s->fields = one->sign.fields;
	s->why = one->sign.why;
	s->done(s);
}

static void end(struct signature *s)
{
	struct signed_one *one = s->state;

	auth_sign_end(&one->sign, on_done);
}

static void fini(struct signature *s)
{
	struct signed_one *one = s->state;

	s->state = NULL;
	if (one == NULL)
		return;
	auth_sign_fini(&one->sign);
	free(one);
}

struct signer signer_by(struct auth **auth)
{
	return (struct signer){ auth, begin, write, end, fini };
}
