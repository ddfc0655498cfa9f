/* routing/recipient_test.c: the table: records in and out, addresses unique, mode and serial beside them. */
#include "routing/table_test.h"

static void test_set_get_remove(void **state)
{
	struct rcpt_record rec;
	struct routing_stats st;
	struct fixture f;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(fixture_add(&f, "Ann@Contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == 0, "set");
	check(routing_record_get(f.r, S("A@CONTOSO.com"), &f.arena, &rec, &f.e) == 0, "get by alias");
	check_str(rec.primary, S("ann@contoso.com"), "normalized");
	check(rec.addr_n == 2 && rec.loc == LOC_LOCAL && rec.version == 2, "record");
	unsigned char rid[RID_SIZE];
	memcpy(rid, rec.rid, RID_SIZE);

	/* the same primary keeps its rid; the alias it no longer has is free again */
	check(fixture_add(&f, "ann@contoso.com", "b@contoso.com", LOC_REMOTE, "ann@contoso.mail.cloud.example") == 0,
	      "change");
	check(routing_record_get(f.r, S("b@contoso.com"), &f.arena, &rec, &f.e) == 0, "new alias");
	check(memcmp(rid, rec.rid, RID_SIZE) == 0 && rec.version == 3 && rec.loc == LOC_REMOTE, "same rid");
	check(routing_record_get(f.r, S("a@contoso.com"), &f.arena, &rec, &f.e) == -1 && f.e.code == ERR_NOT_FOUND,
	      "old alias");
	check(recipient_check(f.r, &f.e) == 0, "whole");
	check(routing_stats(f.r, &st, &f.e) == 0 && st.recipients == 1 && st.addresses == 2 && st.serial == 3, "stats");

	check(routing_record_remove(f.r, S("b@contoso.com"), &f.e) == 0, "remove");
	check(routing_record_remove(f.r, S("b@contoso.com"), &f.e) == -1 && f.e.code == ERR_NOT_FOUND, "again");
	check(routing_stats(f.r, &st, &f.e) == 0 && st.recipients == 0 && st.addresses == 0, "empty");
	check(recipient_check(f.r, &f.e) == 0, "whole");
	fixture_close(&f);
}

static void test_refusals(void **state)
{
	struct str addr = S("x@contoso.com");
	struct rcpt_record rec = { .primary = addr, .addrs = &addr, .addr_n = 1, .mailbox_id = S("guid-1") };
	struct fixture f;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(fixture_add(&f, "ann@contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == 0, "set");
	check(fixture_add(&f, "bob@contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == -1, "alias of another");
	check(fixture_add(&f, "a@contoso.com", NULL, LOC_LOCAL, NULL) == -1, "primary is another's alias");
	check(fixture_add(&f, "bob@contoso.com", NULL, LOC_REMOTE, NULL) == -1, "remote without routing address");
	check(fixture_add(&f, "bob@contoso.com", NULL, LOC_CONTACT, NULL) == -1, "contact without target");
	check(fixture_add(&f, "bob", NULL, LOC_LOCAL, NULL) == -1, "not an address");
	check(routing_record_set(f.r, &rec, &f.e) == 0, "mailbox_id");
	addr = S("y@contoso.com");
	rec.primary = addr;
	check(routing_record_set(f.r, &rec, &f.e) == -1, "mailbox_id of another");
	check(recipient_check(f.r, &f.e) == 0, "whole");
	fixture_close(&f);
}

/* At the cloud the routing address is the other side's business. */
static void test_cloud_needs_no_routing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_config(&f);
	f.config.site = SITE_CLOUD;
	fixture_open(&f);
	check(fixture_add(&f, "bob@contoso.com", NULL, LOC_REMOTE, NULL) == 0, "remote at the cloud");
	fixture_close(&f);
}

static void test_long_addresses(void **state)
{
	char a[600], b[600];
	struct rcpt_record rec;
	struct fixture f;
	size_t n = 0;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	for (size_t i = 0; i < 300; i++)
		a[n++] = 'l';
	a[n++] = '@';
	for (size_t i = 0; i < 200; i++)
		a[n++] = i % 50 == 49 ? '.' : 'd';
	memcpy(a + n, "example", 8);
	memcpy(b, a, sizeof b);
	b[0] = 'm';
	check(strlen(a) > 480, "needs the hash");
	check(fixture_add(&f, a, NULL, LOC_LOCAL, NULL) == 0, "set");
	check(routing_record_get(f.r, str_c(a), &f.arena, &rec, &f.e) == 0, "get");
	check_str(rec.primary, str_c(a), "whole address");
	check(routing_record_get(f.r, str_c(b), &f.arena, &rec, &f.e) == -1, "another long one");
	check(recipient_check(f.r, &f.e) == 0, "whole");
	check(routing_record_remove(f.r, str_c(a), &f.e) == 0, "remove");
	check(recipient_check(f.r, &f.e) == 0, "whole");
	fixture_close(&f);
}

static void test_history_is_bounded(void **state)
{
	struct fixture f;
	struct store_txn *t;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	for (int i = 0; i < 3 * HISTORY_KEPT; i++)
		check(fixture_add(&f, "ann@contoso.com", i % 2 ? "a@contoso.com" : "b@contoso.com", LOC_LOCAL, NULL) ==
			      0,
		      "set");
	t = store_read(f.r->store, &f.e);
	check(store_count(t, f.r->hist) == HISTORY_KEPT, "kept");
	store_abort(&t);
	fixture_close(&f);
}

static void test_mode(void **state)
{
	struct routing_view v;
	struct mode m, was;
	struct fixture f;
	bool changed;

	(void)state;
	fixture_config(&f);
	f.config.mode.mx = SIDE_CLOUD;
	fixture_open(&f);
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.mx == SIDE_CLOUD && !m.cmt && m.epoch == 1 && m.since_ms > 0,
	      "first start: as configured");
	was = m;
	check(routing_mode_set(f.r, SIDE_CLOUD, false, S("t"), &m, &changed, &f.e) == 0 && !changed && m.epoch == 1 &&
		      m.since_ms == was.since_ms,
	      "no change");
	check(routing_mode_set(f.r, SIDE_ONPREM, true, S("t"), &m, &changed, &f.e) == 0 && changed && m.epoch == 2,
	      "change");
	routing_close(&f.r);

	fixture_open(&f); /* the configuration still says cloud */
	check(routing_begin(f.r, &v, &f.e) == 0, "begin");
	check(v.mode.mx == SIDE_ONPREM && v.mode.cmt && v.mode.epoch == 2, "stored mode wins over the configuration");
	routing_end(&v);
	fixture_close(&f);
}

/* A view keeps what it saw, domains included, whatever is changed meanwhile. */
static void test_view_is_a_snapshot(void **state)
{
	struct routing_view before, after;
	struct fixture f;
	struct mode m;
	bool changed;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(routing_begin(f.r, &before, &f.e) == 0, "begin");
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "write beside a reader");
	check(routing_mode_set(f.r, SIDE_CLOUD, true, S("t"), &m, &changed, &f.e) == 0, "switch");
	f.config.domain_n = 1;
	check(routing_reconfigure(f.r, &f.config, &f.e) == 0, "reload");
	check(routing_begin(f.r, &after, &f.e) == 0, "begin");
	check(before.serial + 1 == after.serial && before.mode.epoch == 1 && after.mode.epoch == 2, "numbers");
	check(routing_is_our_domain(&before, S("Shared.Example")) &&
		      !routing_is_our_domain(&after, S("shared.example")),
	      "domains");
	check(routing_is_our_domain(&after, S("contoso.com.")), "trailing dot");
	routing_end(&before);
	routing_end(&after);
	f.domains[1].name = S("contoso.com");
	f.config.domain_n = 2;
	check(routing_reconfigure(f.r, &f.config, &f.e) == -1, "a bad configuration changes nothing");
	check(routing_begin(f.r, &after, &f.e) == 0 && routing_is_our_domain(&after, S("contoso.com")), "as before");
	routing_end(&after);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_get_remove),         cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cloud_needs_no_routing), cmocka_unit_test(test_long_addresses),
		cmocka_unit_test(test_history_is_bounded),     cmocka_unit_test(test_mode),
		cmocka_unit_test(test_view_is_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
