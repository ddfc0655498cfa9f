/* smtpd/control_bypass_test.c: `cmt verify` on messages as they come out of a journal. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "tests/unit.h"

#include <unistd.h>

static const char keys[] = "k2 000102030405060708090a0b0c0d0e0f\n";
static char dir[] = "/tmp/tombolo_bypass.XXXXXX";
static struct buf lines;

static void write_file(const char *name, struct str text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	must(f != NULL && fwrite(text.p, 1, text.n, f) == text.n);
	fclose(f);
}

static void on_line(struct call *c, struct str line)
{
	(void)c;
	buf_add(&lines, line);
}

/* The exit code for this message; its rows are in `lines`. */
static int verify(struct str message)
{
	struct control_hooks hooks = { 0 };
	char text[300], path[100];
	struct config *config;
	struct buf problems;
	struct call c;

	write_file("message", message);
	buf_init(&problems, 4096);
	snprintf(text, sizeof text,
		 "hostname = gw.contoso.com receive r { listen = \"127.0.0.1:2525\" } loop { token_key = \"%s/keys\" }",
		 dir);
	config = config_parse(str_c(text), "f", &problems);
	check(config != NULL, buf_cstr(&problems));
	snprintf(path, sizeof path, "%s/message", dir);
	json_t *args = json_object();
	row_c(args, "FILE", path);
	call_init(&c, verb_find("cmt", "verify"), args, &hooks, config);
	c.emit = on_line;
	buf_reset(&lines);
	run_cmt_verify(&c);
	int code = c.exit;
	call_fini(&c);
	buf_fini(&problems);
	return code;
}

/* A message that bypassed: its field in front, as the delivery writes it. */
static void make(struct buf *out, int64_t age_s, bool bypass, const char *id)
{
	struct token t = { .bypass = bypass, .premises = SITE_CLOUD, .epoch = 7 };
	struct token_keys k;

	t.unix_s = (uint64_t)(clock_wall_ms() / 1000 - age_s);
	must(token_keys_parse(str_c(keys), &k, NULL) == 0);
	token_bind(&(struct token_message){ .message_id = S("<1@x>"), .from = S("a@x") }, t.message);
	buf_reset(out);
	must(token_put(&k, &t, out));
	buf_addf(out, "From: a@x\r\nMessage-ID: %s\r\nSubject: s\r\n\r\nX-Tombolo-Bypass: body\r\n", id);
}

static void test_verify(void **state)
{
	struct buf m;

	(void)state;
	buf_init(&m, 64 * 1024);
	make(&m, 60, true, "<1@x>");
	check(verify(buf_str(&m)) == CALL_OK, "ours");
	check(str_find(buf_str(&lines), S("\"verdict\":\"valid\"")) >= 0, "valid");
	check(str_find(buf_str(&lines), S("\"site\":\"cloud\"")) >= 0, "by the cloud");
	struct buf unix_lines;
	buf_init(&unix_lines, 64 * 1024);
	for (size_t i = 0; i < m.n; i++)
		if (m.p[i] != '\r')
			buf_addc(&unix_lines, m.p[i]);
	check(verify(buf_str(&unix_lines)) == CALL_OK, "LF alone");
	make(&m, INT64_C(400) * 86400, true, "<1@x>");
	check(verify(buf_str(&m)) == CALL_OK && str_find(buf_str(&lines), S("stale")) >= 0, "long ago");
	make(&m, 60, true, "<2@x>");
	check(verify(buf_str(&m)) == CALL_PARTLY, "of another message");
	make(&m, 60, false, "<1@x>");
	check(verify(buf_str(&m)) == CALL_NOTHING, "a route token is no bypass");
	make(&m, 60, true, "<1@x>");
	m.p[str_find(buf_str(&m), S("e=7")) + 2] = '8';
	check(verify(buf_str(&m)) == CALL_PARTLY && str_find(buf_str(&lines), S("forged")) >= 0, "changed");
	check(verify(S("")) == CALL_NOTHING, "empty");
	buf_fini(&unix_lines);
	buf_fini(&m);
}

static int setup(void **state)
{
	(void)state;
	must(mkdtemp(dir) != NULL);
	buf_init(&lines, 64 * 1024);
	write_file("keys", str_c(keys));
	return 0;
}

static int teardown(void **state)
{
	char path[100];

	(void)state;
	snprintf(path, sizeof path, "%s/keys", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/message", dir);
	unlink(path);
	buf_fini(&lines);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_verify) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
