/* tests/fuzz/track_fuzz.c: the tracking log: whatever peers say, an event is one line that reads back, in both formats;
 * clean UTF-8 reads back as it was; and the readers of lines survive any line. */
#include "connectors/track.h"
#include "smtpd/control_track.h"
#include "smtpd/ident.h"
#include "tests/fuzz/fuzz.h"

enum { TEXTS = 8, LINE_ROOM = 256 * 1024 };

static bool is_clean(struct str s)
{
	for (size_t i = 0, n; i < s.n; i += n)
		if ((n = str_utf8(str_skip(s, i))) == 0 || chr_is_ctl(s.p[i]))
			return false;
	return s.n <= 1000;
}

static void check_one_line(struct str line, struct str end)
{
	must(str_ends(line, end));
	line.n -= end.n;
	for (size_t i = 0; i < line.n; i++)
		must(!chr_is_ctl(line.p[i]));
}

/* RFC 4180: fields between commas, quotes doubled inside of quotes. */
static size_t csv_columns(struct str line)
{
	bool quoted = false;
	size_t n = 1;

	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '"')
			quoted = !quoted;
		n += !quoted && line.p[i] == ',';
	}
	must(!quoted);
	return n;
}

static void check_json(const struct track_event *e, struct str line)
{
	json_t *j = json_loadb(line.p, line.n - 1, 0, NULL);

	must(json_is_object(j));
	must(str_eq(track_text(j, "event-id"), str_c(track_kind_name(e->kind))));
	must(str_eq(track_raw(line, "event-id"), str_c(track_kind_name(e->kind))));
	must(track_ms(j) == 1700000000123);
	must(track_rcpt_n(j) == e->rcpt_n);
	for (size_t i = 0; i < e->rcpt_n; i++)
		if (is_clean(e->rcpts[i].addr))
			must(str_eq(track_rcpt(j, i), e->rcpts[i].addr));
	if (is_clean(e->context) && e->context.n > 0)
		must(str_eq(track_text(j, "source-context"), e->context));
	json_decref(j);
}

static void check_event(const struct track_event *e)
{
	struct config c = { .hostname = S("mail.contoso.com"), .track.subject = TRACK_SUBJECT_ON };
	struct buf b;

	buf_init(&b, LINE_ROOM);
	must(track_put_event(&b, &c, e, 1700000000123));
	check_one_line(buf_str(&b), S("\n"));
	check_json(e, buf_str(&b));
	buf_reset(&b);
	c.track.format = TRACK_FORMAT_CSV;
	must(track_put_event(&b, &c, e, 1700000000123));
	check_one_line(buf_str(&b), S("\r\n"));
	must(csv_columns(buf_str(&b)) == 30);
	buf_fini(&b);
}

static void check_ident(struct str in)
{
	struct ident i = { .want_subject = true };
	struct arena a;
	struct str name, value;

	arena_init(&a, 4096);
	while (in.n > 0) {
		struct str field;
		str_cut(in, '\n', &field, &in);
		str_cut(field, ':', &name, &value);
		ident_take(&i, &a, &(struct header_field){ .name = name, .value = value });
	}
	for (int t = 0; t < TRUST_N; t++) {
		struct str id = ident_network_id(&i, (enum header_trust)t);
		must(id.n == 0 || (id.n == GUID_SIZE - 1 && (t == TRUST_PEER || t == TRUST_SERVER)));
	}
	must(i.message_id.n <= 400 && i.subject.n <= 400);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n), texts[TEXTS], rest;
	struct env_rcpt rcpts[TEXTS];
	size_t text_n = 0;

	check_ident(in);
	track_raw(in, "event-id");
	uint8_t kind = fuzz_byte(&in);
	for (rest = in; text_n < TEXTS; text_n++)
		str_cut(rest, '|', &texts[text_n], &rest);
	for (size_t i = 0; i < TEXTS; i++)
		rcpts[i] = (struct env_rcpt){ .addr = str_head(texts[i], 320) };
	const struct reply status = { 550, 5, 1, 1, texts[0] };
	const struct track_tls tls = { texts[1], texts[2], S("domain"), texts[3], texts[4] };
	const struct track_event e = { .kind = (enum track_kind)(kind % TRACK_LOST),
				       .client = texts[1],
				       .client_host = texts[2],
				       .connector = texts[3],
				       .how = texts[4],
				       .context = texts[5],
				       .message_id = texts[6],
				       .subject = texts[7],
				       .trace = texts[0],
				       .from = texts[1],
				       .related = texts[2],
				       .rcpts = rcpts,
				       .rcpt_n = kind % (TEXTS + 1),
				       .status = &status,
				       .tls = &tls,
				       .has_origin = true };
	check_event(&e);
	return 0;
}
