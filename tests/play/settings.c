/* tests/play/settings.c: the configuration of a scenario: a standard one, with what the scenario says laid over it.
 *
 * Single options are `section.name = value` (or `section { name = value }`); titled blocks replace the standard block
 * of the same kind and title.  `route "domain" via SINK` is short for a send connector.  `drop send "x"` removes a
 * block. */
#include "tests/play/play.h"

#include "base/must.h"

enum { OPTIONS_MAX = 200, BLOCKS_MAX = 64, CONFIG_MAX = 256 * 1024 };

struct settings {
	struct {
		struct str section, name, value;
	} options[OPTIONS_MAX];
	size_t option_n;
	struct {
		struct str kind, title, text;
	} blocks[BLOCKS_MAX];
	size_t block_n;
};

/* On-prem gateway of contoso.com; sinks `onprem`, `cloud` and `net` stand for the three sides if a scenario has them.
 */
static const char standard[] =
	"hostname = mail.contoso.com\n"
	"validate = 0\n" /* hosts hear nothing a scenario does not know of */
	"control = \"$DIR/control\"\n"
	"hosts = \"$DIR/hosts\"\n"
	"resolvers = {\"127.0.0.1\"}\n"
	"loops = 1\n"
	"log.file = \"$DIR/log\"\n"
	"log.level = debug\n"
	"track.path = \"$DIR/track.jsonl\"\n"
	"queue.path = \"$DIR/queue\"\n"
	"queue.segment_size = 4M\n"
	"queue.map_size = 64M\n"
	"queue.keep_free = 0\n"
	"recipients.path = \"$DIR/recipients\"\n"
	"recipients.map_size = 64M\n"
	"tls.certificate = \"$CERTS/server.pem\"\n"
	"tls.key = \"$CERTS/server.key\"\n"
	"tls.ca = \"$CERTS/ca.pem\"\n"
	"domain \"contoso.com\" { type = authoritative; routing_domain = contoso.mail.cloud.example; default = yes }\n"
	"receive \"inet\" { listen = {\"127.0.0.1:$PORT\"}; permissions = {anonymous}; tarpit = 0 }\n"
	"receive \"hub\" { listen = {\"127.0.0.1:$HUB\"}; permissions = {servers}; tarpit = 0 }\n"
	"inbound \"cloud\" { type = peer; sender_certificate = {\"mail.contoso.mail.cloud.example\"}\n"
	"	cloud_mail = yes; trusted_orgs = {contoso.com} }\n"
	"send \"to-cloud\" { space = {\"contoso.mail.cloud.example\"}; smarthosts = {\"[127.0.0.1]:$sink.cloud\"}\n"
	"	tls = domain; tls_domain = mail.contoso.mail.cloud.example; peer = yes\n"
	"	certificate = \"$CERTS/server.pem\"; key = \"$CERTS/server.key\" }\n"
	"send \"mailboxes\" { space = {\"@local\"}; smarthosts = {\"[127.0.0.1]:$sink.onprem\"}; tls = none }\n"
	"send \"internet\" { space = {\"*;10\"}; smarthosts = {\"[127.0.0.1]:$sink.net\"}; tls = none }\n";

static void set_option(struct settings *s, struct str section, struct str name, struct str value)
{
	size_t i = 0;

	while (i < s->option_n && !(str_eq(s->options[i].section, section) && str_eq(s->options[i].name, name)))
		i++;
	must(i < OPTIONS_MAX);
	s->options[i].section = section;
	s->options[i].name = name;
	s->options[i].value = value;
	s->option_n += i == s->option_n;
}

static void set_block(struct settings *s, struct str kind, struct str title, struct str text)
{
	size_t i = 0;

	while (i < s->block_n && !(str_eq(s->blocks[i].kind, kind) && str_eq(s->blocks[i].title, title)))
		i++;
	must(i < BLOCKS_MAX);
	s->blocks[i].kind = kind;
	s->blocks[i].title = title;
	s->blocks[i].text = text;
	s->block_n += i == s->block_n;
}

static void drop_block(struct settings *s, struct str kind, struct str title)
{
	for (size_t i = 0; i < s->block_n; i++)
		if (str_eq(s->blocks[i].kind, kind) && str_eq(s->blocks[i].title, title)) {
			s->blocks[i] = s->blocks[--s->block_n];
			return;
		}
}

/* Bytes up to the first of `ends` outside quotes and braces (or all). */
static struct str take_until(struct str *text, const char *ends)
{
	bool quoted = false;
	int depth = 0;
	size_t i;

	for (i = 0; i < text->n; i++) {
		char c = text->p[i];
		if (c == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		if (depth == 0 && strchr(ends, c) != NULL)
			break;
		depth += (c == '{') - (c == '}');
	}
	struct str head = str_head(*text, i);
	*text = str_skip(*text, i);
	return head;
}

static void skip_blank(struct str *text)
{
	while (text->n > 0 && (chr_is_space(text->p[0]) || strchr("\r\n;", text->p[0]) != NULL))
		*text = str_skip(*text, 1);
	if (text->n > 0 && text->p[0] == '#') {
		take_until(text, "\n");
		skip_blank(text);
	}
}

static struct str unquote(struct str s)
{
	struct str inside;

	return script_quoted(&s, &inside) ? inside : str_trim(s);
}

/* `route "domain" via SINK`: in clear to that sink, whatever else there is. */
static void add_route(struct play *p, struct str words)
{
	struct str domain = unquote(str_word(&words)), via = str_word(&words), sink = str_word(&words), text;
	struct buf b;

	(void)via;
	buf_init(&b, 4096);
	buf_addf(&b,
		 " space = {\"" STR_FMT "\"}; smarthosts = {\"[127.0.0.1]:$sink." STR_FMT
		 "\"}; tls = none; messages_per_connection = 1 ",
		 STR_ARG(domain), STR_ARG(sink));
	bool kept = arena_dup(&p->script.memory, buf_str(&b), &text);
	must(kept);
	buf_fini(&b);
	set_block(p->settings, S("send"), sink, text);
}

static bool add_statements(struct play *p, struct str section, struct str text, int line)
{
	struct settings *s = p->settings;

	for (skip_blank(&text); text.n > 0; skip_blank(&text)) {
		struct str head = str_trim(take_until(&text, "={\n;")), rest = head, word = str_word(&rest);
		char next = text.n > 0 ? text.p[0] : '\n';
		if (next == '=') {
			struct str left, right = STR_NONE, value;
			text = str_skip(text, 1);
			value = str_trim(take_until(&text, "\n;"));
			if (section.n > 0)
				set_option(s, section, head, value);
			else if (str_cut(head, '.', &left, &right))
				set_option(s, left, right, value);
			else
				set_option(s, STR_NONE, head, value);
		} else if (next == '{') {
			text = str_skip(text, 1);
			struct str inside = take_until(&text, "}");
			text = str_skip(text, 1);
			if (str_trim(rest).n > 0)
				set_block(s, word, unquote(rest), inside);
			else if (!add_statements(p, word, inside, line))
				return false;
		} else if (str_eq(word, S("route"))) {
			add_route(p, rest);
		} else if (str_eq(word, S("drop"))) {
			struct str kind = str_word(&rest);
			drop_block(s, kind, unquote(rest));
		} else {
			play_fail(p, line, "config: cannot read `" STR_FMT "`", STR_ARG(head));
			return false;
		}
	}
	return true;
}

struct settings *settings_new(struct play *p)
{
	struct settings *s = calloc(1, sizeof *s);

	must(s != NULL);
	p->settings = s;
	bool ok = add_statements(p, STR_NONE, str_c(standard), 0);
	must(ok);
	return s;
}

void settings_free(struct settings **s)
{
	free(*s);
	*s = NULL;
}

bool settings_add(struct play *p, struct str text, int line)
{
	return add_statements(p, STR_NONE, text, line);
}

static void put_section(const struct settings *s, struct str section, struct buf *out)
{
	if (section.n > 0)
		buf_addf(out, STR_FMT " {\n", STR_ARG(section));
	for (size_t i = 0; i < s->option_n; i++)
		if (str_eq(s->options[i].section, section))
			buf_addf(out, STR_FMT " = " STR_FMT "\n", STR_ARG(s->options[i].name),
				 STR_ARG(s->options[i].value));
	if (section.n > 0)
		buf_add(out, S("}\n"));
}

bool settings_write(struct play *p, const char *path)
{
	const struct settings *s = p->settings;
	struct buf plain, out;

	buf_init(&plain, CONFIG_MAX);
	buf_init(&out, CONFIG_MAX);
	for (size_t i = 0; i < s->option_n; i++) {
		size_t first = 0;
		while (!str_eq(s->options[first].section, s->options[i].section))
			first++;
		if (first == i)
			put_section(s, s->options[i].section, &plain);
	}
	for (size_t i = 0; i < s->block_n; i++)
		buf_addf(&plain, STR_FMT " \"" STR_FMT "\" {" STR_FMT "}\n", STR_ARG(s->blocks[i].kind),
			 STR_ARG(s->blocks[i].title), STR_ARG(s->blocks[i].text));
	play_expand(p, buf_str(&plain), &out);
	bool ok = play_write_file(p, path, buf_str(&out));
	buf_fini(&plain);
	buf_fini(&out);
	return ok;
}
