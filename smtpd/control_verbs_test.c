/* smtpd/control_verbs_test.c: the real verb table, and the handlers that need no daemon, on a store in a scratch
 * folder.
 *
 * Rows run in order on one store: {command, arguments, exit code, what the answer must hold}. */
#include "base/must.h"
#include "smtpd/control_verbs.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const conf_template =
	"site = onprem\n"
	"hostname = \"mail.contoso.com\"\n"
	"tls { certificate = \"/etc/tls.pem\" key = \"/etc/tls.key\" }\n"
	"domain \"contoso.com\" { type = authoritative\n"
	"  routing_domain = \"contoso.cloud.example\" }\n"
	"recipients { path = \"%s/rec\" map_size = 64M }\n"
	"queue { path = \"%s/queue\" }\n"
	"receive \"inet\" { listen = {\"127.0.0.1:2525\"} from = {\"0/0\"} permissions = {anonymous} }\n"
	"receive \"hub\" { listen = {\"127.0.0.1:2525\"} from = {\"10.0.0.0/8\"} permissions = {servers} }\n"
	"inbound \"cloud\" { type = peer sender_certificate = {\"mail.cloud.example\"}\n"
	"  require_tls = yes cloud_mail = yes }\n"
	"send \"to-cloud\" { space = {\"contoso.cloud.example\", \"@peer\"} dns = yes peer = yes\n"
	"  tls = domain tls_domain = \"mail.cloud.example\" max_size = 10M }\n"
	"send \"inside\" { space = {\"@local\"} smarthosts = {\"127.0.0.1\"} tls = none }\n"
	"send \"internet\" { space = {\"*\"} dns = yes tls = may }\n"
	"tls_policy \"*.gmail.example\" { tls = domain tls_domain = mx.gmail.example }\n"
	"tls_policy \"gmail.example\" { tls = encrypt }\n";

struct bench {
	char dir[64];
	struct config *config;
	struct routing *routing;
	struct control_hooks hooks;
	struct buf answer;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct buf text, problems;
	struct err e = { 0 };

	must(b != NULL);
	snprintf(b->dir, sizeof b->dir, "/tmp/verbs-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	buf_init(&text, 65536);
	buf_init(&problems, 65536);
	struct str conf = str_c(conf_template), head;
	while (conf.n > 0) { /* puts the folder where %s stands */
		ssize_t at = str_find(conf, S("%s"));
		head = at < 0 ? conf : str_head(conf, (size_t)at);
		buf_add(&text, head);
		conf = str_skip(conf, head.n + 2);
		if (at >= 0)
			buf_add(&text, str_c(b->dir));
	}
	b->config = config_parse(buf_str(&text), "test", &problems);
	if (b->config == NULL)
		fail_msg("%s", buf_cstr(&problems));
	b->routing = routing_open(b->config, &e);
	if (b->routing == NULL)
		fail_msg("%s", e.text);
	b->hooks = (struct control_hooks){ .routing = b->routing };
	buf_init(&b->answer, 4 * 1024 * 1024);
	buf_fini(&text);
	buf_fini(&problems);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	routing_close(&b->routing);
	config_unref(&b->config);
	buf_fini(&b->answer);
	nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

static void emit(struct call *c, struct str line)
{
	struct bench *b = c->carrier;

	buf_add(&b->answer, line);
}

/* Runs a command as the worker would; the answer is all lines, the file if there is one, and the error. */
static int run(struct bench *b, const char *noun, const char *name, const char *args)
{
	const struct verb *v = verb_find(noun, name);
	json_t *j = json_loads(args, 0, NULL);
	struct err e = { 0 };
	struct call c;
	char piece[4096];
	ssize_t n;

	assert_non_null(v);
	assert_non_null(j);
	buf_reset(&b->answer);
	if (args_check(v, j, &e) != 0) {
		buf_add(&b->answer, str_c(e.text));
		json_decref(j);
		return CALL_USAGE;
	}
	call_init(&c, v, j, &b->hooks, config_ref(b->config));
	c.emit = emit;
	c.carrier = b;
	v->run(&c);
	assert_true(c.ended);
	while (c.file >= 0 && (n = read(c.file, piece, sizeof piece)) > 0)
		buf_add(&b->answer, str_n(piece, (size_t)n));
	buf_add(&b->answer, str_c(c.error));
	call_fini(&c);
	return c.exit;
}

static const struct {
	const char *noun, *name, *args;
	int exit;
	const char *holds[4];
} rows[] = {
	/* mode */
	{ "mode", "show", "{}", 0, { "\"mode\":\"M1\"", "\"cmt\":false" } },
	{ "mode", "set", "{}", 2, { "which mode" } },
	{ "mode", "set", "{\"MODE\":[\"M5\"]}", 2, { "M1..M4" } },
	{ "mode", "set", "{\"MODE\":[\"M3\"],\"dry-run\":true}", 0, { "\"mode\":\"M3\"", "\"dry_run\":true" } },
	{ "mode", "show", "{}", 0, { "\"mode\":\"M1\"" } },
	{ "mode",
	  "set",
	  "{\"MODE\":[\"mx=cloud\",\"cmt=on\"]}",
	  0,
	  { "\"mode\":\"M3\"", "\"before\":\"M1\"", "\"changed\":true" } },
	{ "mode", "set", "{\"MODE\":[\"m3\"]}", 1, { "\"changed\":false", "in force already" } },
	{ "mode", "set", "{\"MODE\":[\"M1\"]}", 0, { "\"mode\":\"M1\"" } },
	/* records */
	{ "recipients", "get", "{\"ADDRESS\":\"u@contoso.com\"}", 1, { "u@contoso.com" } },
	{ "recipients", "set", "{\"ADDRESS\":\"u@contoso.com\"}", 2, { "KEY=VALUE" } },
	{ "recipients", "set", "{\"ADDRESS\":\"u@contoso.com\",\"SETTING\":[\"loc=mars\"]}", 2, { "loc=mars" } },
	{ "recipients",
	  "set",
	  "{\"ADDRESS\":\"u@contoso.com\",\"SETTING\":[\"loc=local\"],\"dry-run\":true}",
	  0,
	  { "Nothing was changed" } },
	{ "recipients", "get", "{\"ADDRESS\":\"u@contoso.com\"}", 1, { NULL } },
	{ "recipients",
	  "set",
	  "{\"ADDRESS\":\"u@contoso.com\",\"SETTING\":[\"loc=remote\",\"routing=u@contoso.cloud.example\",\"alias=v@contoso.com, w@contoso.com\"]}",
	  0,
	  { "New record", "\"alias\":[\"v@contoso.com\",\"w@contoso.com\"]", "\"loc\":\"remote\"" } },
	{ "recipients",
	  "set",
	  "{\"ADDRESS\":\"v@contoso.com\",\"SETTING\":[\"batch=7\",\"keep_copy=yes\"]}",
	  0,
	  { "Changed.", "\"batch\":\"7\"", "\"primary\":\"u@contoso.com\"", "\"keep_copy\":true" } },
	{ "recipients",
	  "set",
	  "{\"ADDRESS\":\"w@contoso.com\",\"SETTING\":[\"primary=w@contoso.com\"]}",
	  2,
	  { "KEY=VALUE" } },
	{ "recipients", "set", "{\"ADDRESS\":\"l@contoso.com\",\"SETTING\":[\"loc=local\"]}", 0, { "New record" } },
	{ "recipients",
	  "get",
	  "{\"ADDRESS\":\"U@Contoso.com\"}",
	  0,
	  { "\"primary\":\"u@contoso.com\"", "\"batch\":\"7\"" } },
	{ "recipients", "get", "{\"ADDRESS\":\"no address\"}", 2, { "not a mailbox" } },
	/* route explain */
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\"}",
	  0,
	  { "\"name\":\"R40\",\"hit\":true", "\"connector\":\"to-cloud\"", "\"address\":\"u@contoso.cloud.example\"",
	    "\"code\":250" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"l@contoso.com\",\"ip\":\"10.1.2.3\"}",
	  0,
	  { "\"rule\":\"R30\"", "\"connector\":\"inside\"", "\"receive\":\"hub\"", "\"tls\":\"none\"" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"l@contoso.com\",\"via\":\"hub\"}",
	  0,
	  { "\"receive\":\"hub\"", "\"origin\":\"LOCAL\"" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"l@contoso.com\",\"via\":\"nowhere\"}",
	  2,
	  { "no receive connector nowhere" } },
	{ "route", "explain", "{\"RCPT\":\"l@contoso.com\",\"ip\":\"300.1.1.1\"}", 2, { "not an IP address" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"nobody@contoso.com\"}",
	  0,
	  { "\"rule\":\"R10\"", "\"action\":\"REJECT\"", "\"code\":550" } },
	{ "route", "explain", "{\"RCPT\":\"x@gmail.example\"}", 0, { "\"rule\":\"R50\"", "\"code\":550" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"x@gmail.example\",\"ip\":\"10.1.2.3\",\"from\":\"<>\"}",
	  0,
	  { "\"rule\":\"R55\"", "\"connector\":\"internet\"", "\"next\":\"direct\"" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"cert-name\":[\"mail.cloud.example\"]}",
	  0,
	  { "\"inbound\":\"cloud\"", "\"origin\":\"PEER\"", "\"how\":\"cert:" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"cert-name\":[\"mail.cloud.example\"],\"mode\":\"M4\"}",
	  0,
	  { "\"rule\":\"R42\"", "\"mode\":\"M4\"" } },
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"size\":\"20M\"}", 0, { "\"code\":552" } },
	/* the TLS lattice, contribution by contribution */
	{ "route",
	  "explain",
	  "{\"RCPT\":\"x@gmail.example\",\"ip\":\"10.1.2.3\"}",
	  0,
	  { "{\"step\":\"tls asked\",\"name\":\"may\",\"hit\":false,\"says\":\"by the connector internet\"}",
	    "{\"step\":\"tls asked\",\"name\":\"domain\",\"hit\":true,\"says\":\"by tls_policy *.gmail.example",
	    "\"says\":\"by tls_policy gmail.example, for the domain of the next hop\"",
	    "\"tls\":\"domain\",\"tls_domain\":\"mx.gmail.example\"" } },
	/* --why-not */
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"why-not\":\"internet\"}",
	  0,
	  { "{\"step\":\"why not\",\"name\":\"internet\",\"hit\":false,\"says\":\"does not lead to the other side\"}" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"nobody@contoso.com\",\"why-not\":\"inside\"}",
	  0,
	  { "no connector was asked" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"why-not\":\"cloud\"}",
	  0,
	  { "the client shows no certificate" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"why-not\":\"cloud\",\"cert-name\":[\"www.cloud.example\"]}",
	  0,
	  { "no name in the certificate matches mail.cloud.example by the rules of match = exchange",
	    "ATTRIBUTION-MISS: its certificate names www.cloud.example" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"why-not\":\"x\"}",
	  2,
	  { "no send or inbound connector x" } },
	/* --cert */
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"cert\":\"/nonexistent.pem\"}", 2, { "/nonexistent.pem" } },
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"ca\":\"/nonexistent.pem\"}", 2, { "--cert" } },
	{ "route",
	  "explain",
	  "{\"RCPT\":\"u@contoso.com\",\"cert\":\"/x\",\"cert-name\":[\"a.example\"]}",
	  2,
	  { "exclude each other" } },
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"mode\":\"M9\"}", 2, { "--mode" } },
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"from\":\"x\"}", 2, { "--from" } },
	{ "route", "explain", "{\"RCPT\":\"u@contoso.com\",\"class\":\"x\"}", 2, { "--class" } },
	/* the rest */
	{ "recipients", "export", "{}", 0, { "w@contoso.com", "l@contoso.com" } },
	{ "recipients",
	  "remove",
	  "{\"ADDRESS\":\"v@contoso.com\",\"dry-run\":true}",
	  0,
	  { "3 addresses would be removed" } },
	{ "recipients", "remove", "{\"ADDRESS\":\"v@contoso.com\"}", 0, { "3 addresses to be removed" } },
	{ "recipients", "remove", "{\"ADDRESS\":\"v@contoso.com\"}", 1, { NULL } },
	{ "recipients", "import", "{\"FILE\":\"/nonexistent.csv\"}", 3, { "nonexistent" } },
	{ "config", "show", "{}", 0, { "contoso.com", "to-cloud" } },
	{ "config", "check", "{\"FILE\":\"/nonexistent.conf\"}", 3, { "would not load" } },
	{ "config", "diff", "{}", 2, { "which file" } },
	{ "config", "diff", "{\"FILE\":\"/nonexistent.conf\"}", 3, { "would not load" } },
	{ "config", "reload", "{}", 3, { "restart it" } },
	{ "connector", "list", "{}", 0, { "\"name\":\"hub\"", "\"name\":\"cloud\"", "\"tls\":\"domain\"" } },
	{ "connector",
	  "list",
	  "{}",
	  0,
	  { "\"state\":\"unused\"", "\"certificate_wanted\":\"mail.cloud.example\"",
	    "\"connections_by_tls\":{\"none\":0,\"encrypt\":0,\"validate\":0,\"domain\":0}",
	    "\"spaces\":[\"contoso.cloud.example\",\"@peer\"]" } },
	{ "connector", "hops", "{}", 1, { "no connections" } },
	/* refused before any handler looks at the queue */
	{ "queue", "remove", "{}", 2, { "which messages" } },
	{ "queue", "remove", "{\"ID\":[\"../../etc\"]}", 2, { "not a queue id" } },
	{ "queue", "show", "{\"ID\":\"x\"}", 2, { "not a queue id" } },
	{ "queue", "hold", "{\"to\":\"a\\r\\nb\"}", 2, { "control bytes" } },
};

static void test_rows(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int code = run(b, rows[i].noun, rows[i].name, rows[i].args);
		if (code != rows[i].exit)
			fail_msg("%s %s %s: exit %d\n" STR_FMT, rows[i].noun, rows[i].name, rows[i].args, code,
				 STR_ARG(buf_str(&b->answer)));
		for (size_t j = 0; j < 4 && rows[i].holds[j] != NULL; j++)
			if (str_find(buf_str(&b->answer), str_c(rows[i].holds[j])) < 0)
				fail_msg("%s %s %s: no %s in\n" STR_FMT, rows[i].noun, rows[i].name, rows[i].args,
					 rows[i].holds[j], STR_ARG(buf_str(&b->answer)));
	}
}

static void write_file(struct bench *b, const char *name, const char *text, char *path, size_t room)
{
	snprintf(path, room, "%s/%s", b->dir, name);
	FILE *f = fopen(path, "w");
	must(f != NULL);
	fputs(text, f);
	fclose(f);
}

/* What export writes, import takes; a bad row applies nothing. */
static void test_export_import(void **state)
{
	struct bench *b = *state;
	char path[128], args[400];

	run(b, "recipients", "set",
	    "{\"ADDRESS\":\"a@contoso.com\",\"SETTING\":[\"loc=local\",\"alias=b@contoso.com\"]}");
	assert_int_equal(run(b, "recipients", "export", "{}"), 0);
	write_file(b, "all.csv", buf_cstr(&b->answer), path, sizeof path);
	assert_int_equal(run(b, "recipients", "remove", "{\"ADDRESS\":\"a@contoso.com\"}"), 0);
	snprintf(args, sizeof args, "{\"FILE\":\"%s\",\"dry-run\":true}", path);
	assert_int_equal(run(b, "recipients", "import", args), 0);
	assert_true(str_find(buf_str(&b->answer), S("\"added\":1")) >= 0);
	assert_int_equal(run(b, "recipients", "get", "{\"ADDRESS\":\"b@contoso.com\"}"), 1);
	snprintf(args, sizeof args, "{\"FILE\":\"%s\"}", path);
	assert_int_equal(run(b, "recipients", "import", args), 0);
	assert_true(str_find(buf_str(&b->answer), S("\"applied\":true")) >= 0);
	assert_int_equal(run(b, "recipients", "get", "{\"ADDRESS\":\"b@contoso.com\"}"), 0);
	write_file(b, "bad.csv", "what,is\nthis,file\n", path, sizeof path);
	snprintf(args, sizeof args, "{\"FILE\":\"%s\"}", path);
	assert_int_equal(run(b, "recipients", "import", args), 3);
}

static void test_config_diff(void **state)
{
	struct bench *b = *state;
	struct buf text;
	char path[128], args[400];

	buf_init(&text, 1024 * 1024);
	config_show(b->config, &text);
	write_file(b, "same.conf", buf_cstr(&text), path, sizeof path);
	snprintf(args, sizeof args, "{\"FILE\":\"%s\"}", path);
	assert_int_equal(run(b, "config", "diff", args), 1);
	buf_add(&text, S("\nhostname = \"other.contoso.com\"\n"));
	ssize_t at = str_find(buf_str(&text), S("mail.contoso.com"));
	assert_true(at >= 0);
	text.p[at] = 'M'; /* the same length, another value */
	text.p[at + 1] = 'X';
	text.n -= strlen("\nhostname = \"other.contoso.com\"\n");
	write_file(b, "other.conf", buf_cstr(&text), path, sizeof path);
	snprintf(args, sizeof args, "{\"FILE\":\"%s\"}", path);
	if (run(b, "config", "diff", args) != 0)
		fail_msg(STR_FMT, STR_ARG(buf_str(&b->answer)));
	assert_true(str_find(buf_str(&b->answer), S("\"sign\":\"-\"")) >= 0);
	assert_true(str_find(buf_str(&b->answer), S("\"sign\":\"+\"")) >= 0);
	assert_int_equal(run(b, "config", "check", args), 0);
	buf_fini(&text);
}

/* What the command line and the help rely on. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < control_verb_n; i++) {
		const struct verb *v = &control_verbs[i];
		assert_ptr_equal(verb_find(v->noun, v->name), v); /* no two of a name */
		assert_true(i == 0 || strcmp(v->noun, control_verbs[i - 1].noun) == 0 ||
			    verb_find(v->noun, v->name) == v);
		assert_non_null(v->run);
		assert_true(strlen(v->help) > 0 && strlen(v->help) < 60);
		if (v->flags & VERB_STORE)
			assert_true(v->flags & (VERB_OFFLINE | VERB_FILES));
		for (const struct verb_arg *a = v->args; a != NULL && a->name != NULL; a++) {
			assert_true(a->kind != ARG_LIST || a->place == ARG_REST || a->place == ARG_OPTION);
			assert_true(a->place != ARG_REST || a->kind == ARG_LIST);
			assert_true(a->place != ARG_REST || a[1].name == NULL || a[1].place == ARG_OPTION);
			assert_true(strlen(a->help) > 0);
		}
	}
	assert_null(verb_find("queue", ""));
	assert_null(verb_find("", ""));
}

#define WITH_BENCH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BENCH(test_rows),
		WITH_BENCH(test_export_import),
		WITH_BENCH(test_config_diff),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
