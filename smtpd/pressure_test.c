/* smtpd/pressure_test.c: levels with hysteresis, and who is shed when. */
#include "smtpd/pressure.h"
#include "tests/unit.h"

#include <string.h>

/* The marks of spec 6.4 for a disk; everything else is never short. */
static void init(struct conf_pressure *c)
{
	memset(c, 0, sizeof *c);
	c->shed = true;
	for (enum conf_resource r = 0; r < RES_N; r++)
		c->marks[r] = (struct conf_marks){ 1000, 1000, 1000, 1000 };
	c->marks[RES_DISK] = (struct conf_marks){ 96, 99, 97, 94 };
	c->marks[RES_MESSAGES] = (struct conf_marks){ 100, 500, 300, 50 };
}

static void step(struct pressure *p, const struct conf_pressure *c, enum conf_resource r, int64_t value)
{
	int64_t values[RES_N] = { 0 };

	values[r] = value;
	pressure_step(p, c, values);
}

/* Up at one mark, down below a lower one. */
static void test_hysteresis(void **state)
{
	static const struct {
		int64_t value;
		enum pressure_level level;
	} path[] = {
		{ 50, PRESSURE_LOW },    { 95, PRESSURE_LOW },
		{ 96, PRESSURE_MEDIUM }, { 95, PRESSURE_MEDIUM },
		{ 94, PRESSURE_MEDIUM }, { 93, PRESSURE_LOW },
		{ 94, PRESSURE_LOW },    { 99, PRESSURE_HIGH },
		{ 98, PRESSURE_HIGH },   { 97, PRESSURE_HIGH },
		{ 96, PRESSURE_MEDIUM }, { 98, PRESSURE_MEDIUM },
		{ 99, PRESSURE_HIGH },   { 10, PRESSURE_LOW },
		{ 97, PRESSURE_MEDIUM }, { PRESSURE_UNKNOWN, PRESSURE_LOW },
	};
	struct conf_pressure c;
	struct pressure p = { 0 };

	(void)state;
	init(&c);
	for (size_t i = 0; i < COUNT(path); i++) {
		enum pressure_level before = p.gauges[RES_DISK].level;
		step(&p, &c, RES_DISK, path[i].value);
		assert_int_equal(p.gauges[RES_DISK].level, path[i].level);
		assert_int_equal(p.gauges[RES_DISK].changed, before != path[i].level);
	}
}

static enum pressure_answer ask(const struct pressure *p, enum env_origin o)
{
	int64_t ms = 0;
	enum pressure_answer a = pressure_at_mail(p, o, &ms);

	assert_int_equal(a == PRESSURE_WAIT, ms > 0);
	return a;
}

/* The order of spec 6.4: strangers, clients, our servers, the other side. */
static void test_order(void **state)
{
	static const enum env_origin order[] = { ENV_INTERNET, ENV_APP, ENV_LOCAL, ENV_PEER };
	struct conf_pressure c;
	struct pressure p = { 0 };
	size_t shed = 0;

	(void)state;
	init(&c);
	step(&p, &c, RES_DISK, 96);
	assert_int_equal(ask(&p, ENV_INTERNET), PRESSURE_REFUSE);
	assert_int_equal(ask(&p, ENV_PARTNER), PRESSURE_REFUSE);
	assert_int_equal(ask(&p, ENV_APP), PRESSURE_TAKE);
	assert_true(pressure_at_rcpt(&p, ENV_INTERNET) > 0);
	assert_int_equal(pressure_at_rcpt(&p, ENV_LOCAL), 0);
	for (int i = 0; i < 30; i++) {
		step(&p, &c, RES_DISK, 99);
		size_t n = 0;
		while (n < COUNT(order) && ask(&p, order[n]) == PRESSURE_REFUSE)
			n++;
		for (size_t k = n; k < COUNT(order); k++)
			assert_int_equal(ask(&p, order[k]), PRESSURE_TAKE); /* nobody out of turn */
		assert_true(n >= shed && n <= shed + 2);
		shed = n;
		assert_int_equal(shed >= 3, i >= HIGH_SERVERS);
		assert_int_equal(shed >= 4, i >= HIGH_PEER);
	}
	step(&p, &c, RES_DISK, 10);
	for (size_t k = 0; k < COUNT(order); k++)
		assert_int_equal(ask(&p, order[k]), PRESSURE_TAKE);
}

/* A long queue makes strangers wait, longer each time, before it turns them away. */
static void test_patience(void **state)
{
	struct conf_pressure c;
	struct pressure p = { 0 };
	int64_t before = 0, ms = 0;

	(void)state;
	init(&c);
	for (int i = 0; i < HISTORY; i++) {
		step(&p, &c, RES_MESSAGES, 100);
		assert_int_equal(pressure_at_mail(&p, ENV_INTERNET, &ms), PRESSURE_WAIT);
		assert_true(ms >= before && ms <= 10000);
		before = ms;
		assert_int_equal(ask(&p, ENV_APP), PRESSURE_TAKE);
	}
	step(&p, &c, RES_MESSAGES, 100);
	assert_int_equal(ask(&p, ENV_INTERNET), PRESSURE_REFUSE);
	step(&p, &c, RES_MESSAGES, 49);
	assert_int_equal(ask(&p, ENV_INTERNET), PRESSURE_TAKE);
}

static void test_only_told(void **state)
{
	struct conf_pressure c;
	struct pressure p = { 0 };

	(void)state;
	init(&c);
	c.shed = false;
	for (int i = 0; i < 30; i++)
		step(&p, &c, RES_DISK, 100);
	assert_int_equal(p.gauges[RES_DISK].level, PRESSURE_HIGH);
	assert_int_equal(ask(&p, ENV_INTERNET), PRESSURE_TAKE);
	assert_int_equal(pressure_at_rcpt(&p, ENV_INTERNET), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_only_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
