/* config/show_test.c: the table read backwards: a file that loads again, documentation, what needs a restart. */
#include "config/schema.h"

#include "tests/unit.h"

#include <string.h>

static struct config *load(const char *text)
{
	struct buf told;

	buf_init(&told, 64 * 1024);
	struct config *c = config_parse(str_c(text), "f", &told);
	if (c == NULL)
		print_error("%s", buf_cstr(&told));
	assert_non_null(c);
	buf_fini(&told);
	return c;
}

/* One of everything, with values that are not the defaults and that need their quotes. */
static const char full[] =
	"site = cloud hostname = mail.contoso.com postmaster = p@contoso.com user = u loops = 3 status_codes = exchange\n"
	"resolvers = { 127.0.0.1, '::1' } hosts = '/a \"b\"'\n"
	"mode { mx = cloud cmt = on cmt_forwarded = direct grace = 1h30m stragglers = defer }\n"
	"egress { onprem = cloud cmt = smarthost }\n"
	"loop { max_hops = 20 action = reject defer = 10m }\n"
	"domain contoso.com { plus = '+-' exact_case = yes routing_domain = r.example }\n"
	"domain b.example { type = internal-relay relay_to = 'host:h.example:26' match_subdomains = yes default = yes }\n"
	"recipients { max_age = 6h delete_percent = 7 }\n"
	"tls { certificate = /c key = /k min = 1.3 crl = hard crl_file = /crl crl_dir = /crls store = /store client_cert_eku = any\n"
	"	crl_fetch = { auto, 'http://a/b' } crl_cache = /cache crl_fetch_timeout = 10s crl_fetch_max = 1M }\n"
	"receive inet { listen = { '0.0.0.0:25', '[::]:25' } tarpit = 250ms size = 10MB }\n"
	"receive hub { listen = '0.0.0.0:25' from = 10/8 permissions = { servers, cloud-mail } proxy_from = 10.0.0.1/32 }\n"
	"inbound cloud { type = peer sender_certificate = { a.example, '*.b.example' } cloud_mail = yes trusted_orgs = o.example }\n"
	"inbound p { sender_domains = '*' sender_ip = '192.0.2.0/24' restrict_ip = yes }\n"
	"send peer { space = { '@peer', 'r.example' } tls = domain tls_domain = '*.b.example' xoorg = contoso.com }\n"
	"send in { space = '@local' smarthosts = { 'a.example:26', '[::1]:27' } source = '127.0.0.1' }\n"
	"send out { space = '*;10' smarthosts = h.example exclusive = yes max_size = 1000 enabled = no }\n"
	"send out2 { space = '*;20' smarthosts = h.example }\n"
	"queue { path = /q settle_window = 0 expire = 3d }\n"
	"limits { message_max = 100000 early_talker = 2s bare_lf = normalise }\n"
	"log { file = /l level = debug format = json }\n";

static void test_round_trip(void **state)
{
	static const char *const files[] = { full, "hostname = a.b receive r { listen = 127.0.0.1:25 }" };

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		struct buf once, twice;
		buf_init(&once, 64 * 1024);
		buf_init(&twice, 64 * 1024);
		struct config *c = load(files[i]);
		config_show(c, &once);
		struct config *again = load(buf_cstr(&once));
		config_show(again, &twice);
		assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
		assert_int_equal(config_restart_diff(c, again, &twice), 0);
		config_unref(&c);
		config_unref(&again);
		buf_fini(&twice);
		buf_fini(&once);
	}
}

static void test_show(void **state)
{
	struct config *c = load(full);
	struct buf out;

	(void)state;
	buf_init(&out, 64 * 1024);
	config_show(c, &out);
	assert_true(str_find(buf_str(&out), S("hosts = \"/a \\\"b\\\"\"\n")) >= 0);
	assert_true(str_find(buf_str(&out), S("\treceive")) < 0);
	assert_true(str_find(buf_str(&out), S("\nreceive \"hub\" {\n\tlisten = { \"0.0.0.0:25\" }\n")) >= 0);
	assert_true(str_find(buf_str(&out), S("\n\tsize = 10M\n")) >= 0);
	assert_true(str_find(buf_str(&out), S("\n\ttarpit = 250ms\n")) >= 0);
	config_unref(&c);
	buf_fini(&out);
}

/* Every option has its row below the heading of its section. */
static void test_doc(void **state)
{
	struct buf doc, want;

	(void)state;
	buf_init(&doc, 1 << 20);
	buf_init(&want, 1024);
	config_doc(&doc);
	assert_false(doc.full);
	struct str rest = buf_str(&doc);
	for (size_t i = 0; i < section_n; i++) {
		buf_reset(&want);
		buf_addf(&want, "\n## %s", sections[i].name[0] == '\0' ? "Top level" : sections[i].name);
		ssize_t at = str_find(rest, buf_str(&want));
		assert_true(at >= 0);
		rest = str_skip(rest, (size_t)at);
		for (size_t j = 0; j < sections[i].option_n; j++) {
			const struct option *o = &sections[i].options[j];
			buf_reset(&want);
			buf_addf(&want, "\n| `%s` | ", o->name);
			at = str_find(rest, buf_str(&want));
			assert_true(at >= 0);
			rest = str_skip(rest, (size_t)at);
			assert_true(str_find(rest, str_c(o->doc)) >= 0);
			assert_true(strchr(o->doc, '|') == NULL && strchr(o->doc, '\n') == NULL);
		}
	}
	buf_fini(&want);
	buf_fini(&doc);
}

static void read_all(const char *path, struct buf *to)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	do {
		char *room = buf_reserve(to, 4096);
		assert_non_null(room);
		n = fread(room, 1, 4096, f);
		buf_commit(to, n);
	} while (n > 0);
	fclose(f);
}

/* Run from the top of the tree, as make does. */
static void test_files(void **state)
{
	struct buf doc, file, told;

	(void)state;
	buf_init(&doc, 1 << 20);
	buf_init(&file, 1 << 20);
	buf_init(&told, 1024);
	config_doc(&doc);
	read_all("docs/CONFIG.md", &file);
	assert_true(str_eq(buf_str(&doc), buf_str(&file))); /* else: make doc */
	struct config *c = config_load("docs/tombolo.conf", &told);
	assert_string_equal(buf_cstr(&told), "");
	assert_non_null(c);
	config_unref(&c);
	buf_fini(&told);
	buf_fini(&file);
	buf_fini(&doc);
}

static void test_restart(void **state)
{
#define R "hostname = a.b receive r { listen = { 127.0.0.1:25, 127.0.0.1:26 } }\n"
	static const struct {
		const char *old, *new, *lines;
	} cases[] = {
		{ R, R, "" },
		{ R, R "limits { recipients = 300 } log { level = debug }", "" },
		{ R, R "queue { path = /x expire = 3d }", "queue.path: needs a restart\n" },
		{ R, R "loops = 2 recipients { map_size = 1G } user = u",
		  "user: needs a restart\nloops: needs a restart\nrecipients.map_size: needs a restart\n" },
		{ R, R "receive s { listen = 127.0.0.1:26 from = 10/8 }", "" },
		{ R, R "receive s { listen = 127.0.0.1:27 }", "receive.listen: needs a restart\n" },
		{ R, "hostname = a.b receive r { listen = 127.0.0.1:25 }", "receive.listen: needs a restart\n" },
		{ R, "hostname = a.b receive x { listen = 127.0.0.1:26 } receive y { listen = 127.0.0.1:25 }", "" },
		{ R, R "send s { space = '*' }", "" },
	};
#undef R

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *a = load(cases[i].old), *b = load(cases[i].new);
		struct buf lines;
		size_t n = 0;

		buf_init(&lines, 1024);
		size_t found = config_restart_diff(a, b, &lines);
		assert_string_equal(buf_cstr(&lines), cases[i].lines);
		for (const char *p = cases[i].lines; *p != '\0'; p++)
			n += *p == '\n';
		assert_int_equal(found, n);
		config_unref(&a);
		config_unref(&b);
		buf_fini(&lines);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(conf_site_name(SITE_CLOUD), "cloud");
	assert_string_equal(conf_tls_level_name(TLS_NONE), "none");
	assert_string_equal(conf_tls_level_name(TLS_DOMAIN), "domain");
	assert_string_equal(conf_milter_default_name(MILTER_DEFAULT_QUARANTINE), "quarantine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_show),    cmocka_unit_test(test_doc),
		cmocka_unit_test(test_files),      cmocka_unit_test(test_restart), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
