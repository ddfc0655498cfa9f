/* wire/authres_write.c: writing Authentication-Results; see authres.h.
 *
 * A part (";", "spf=pass", "smtp.mailfrom=a@x.example") is made whole, then put on this line or the next: one place
 * folds.  Parts of a reason fold at its own blanks. */
#include "base/must.h"
#include "wire/authres.h"

/* Puts `part` behind a blank, or on a new line where this one would grow past 78 columns. */
static void put_part(struct authres_writer *w, struct str part)
{
	if (w->column + 1 + part.n + 1 > AUTHRES_LINE) { /* the last byte is for a semicolon */
		buf_add(w->out, S("\r\n\t"));
		w->column = 8; /* as a reader sees a tab */
	} else {
		buf_addc(w->out, ' ');
		w->column++;
	}
	buf_add(w->out, part);
	w->column += part.n;
}

static bool is_keyword(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n > 0;
}

static bool is_made_of(struct str s, struct str signs)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && str_chr(signs, s.p[i]) < 0)
			return false;
	return true;
}

/* What needs no quotes: a token, or an address, with a domain and with or without a local part (RFC 8601 2.2). */
static bool is_plain(struct str s)
{
	struct str local, domain;

	if (str_cut(s, '@', &local, &domain))
		return domain.n > 0 && chr_is_alnum(domain.p[0]) && is_made_of(domain, S("-.")) &&
		       is_made_of(local, S("-._+#$%&'*!^`{|}~"));
	return s.n > 0 && is_made_of(s, S("-._+#$%&'*!^`{|}~"));
}

/* `s` with every byte gone that could end what it stands in. */
static void clean(struct buf *out, struct str s, bool utf8)
{
	while (s.n > 0) {
		size_t n = !chr_is_8bit(s.p[0]) ? 1 : utf8 ? str_utf8(s) : 0;
		char c = s.p[0];
		if (n == 0 || chr_is_ctl(c) || (n == 1 && str_chr(S(";()\"\\"), c) >= 0)) {
			n = 1;
			buf_addc(out, c == ';' ? ',' : '?'); /* our reasons have parts */
		} else if (!buf_add(out, str_head(s, n))) {
			return; /* cut, but not inside of a character */
		}
		s = str_skip(s, n);
	}
}

static void put_value(struct buf *part, struct str value, bool utf8)
{
	char room[AUTHRES_VALUE_MAX + 1];
	struct buf b = { .p = room, .cap = sizeof room, .max = AUTHRES_VALUE_MAX };

	clean(&b, value, utf8);
	bool plain = is_plain(buf_str(&b));
	buf_add(part, plain ? S("") : S("\""));
	buf_add(part, buf_str(&b));
	buf_add(part, plain ? S("") : S("\""));
}

void authres_begin(struct authres_writer *w, struct buf *out, struct str id, bool utf8)
{
	char room[AUTHRES_VALUE_MAX + 64];
	struct buf part = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	*w = (struct authres_writer){ .out = out, .utf8 = utf8, .column = sizeof "Authentication-Results:" - 1 };
	buf_add(out, S("Authentication-Results:"));
	put_value(&part, id, utf8);
	put_part(w, buf_str(&part));
}

void authres_result(struct authres_writer *w, struct str method, struct str result)
{
	char room[128];
	struct buf part = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	must(is_keyword(method) && is_keyword(result));
	buf_addc(w->out, ';');
	w->column = AUTHRES_LINE; /* each result begins a line */
	buf_add(&part, method);
	buf_addc(&part, '=');
	buf_add(&part, result);
	must(!part.full);
	put_part(w, buf_str(&part));
	w->results++;
}

void authres_reason(struct authres_writer *w, struct str reason)
{
	char room[AUTHRES_VALUE_MAX + 1];
	struct buf b = { .p = room, .cap = sizeof room, .max = AUTHRES_VALUE_MAX };
	char word_room[AUTHRES_VALUE_MAX + 16];
	bool first = true;

	clean(&b, reason, w->utf8);
	struct str rest = buf_str(&b), word = str_word(&rest), next;
	if (word.n == 0)
		return;
	for (; word.n > 0; word = next) {
		struct buf part = { .p = word_room, .cap = sizeof word_room, .max = sizeof word_room - 1 };
		next = str_word(&rest);
		buf_add(&part, first ? S("reason=\"") : S(""));
		buf_add(&part, word);
		buf_add(&part, next.n == 0 ? S("\"") : S(""));
		put_part(w, buf_str(&part));
		first = false;
	}
}

void authres_prop(struct authres_writer *w, struct str ptype, struct str property, struct str value)
{
	char room[AUTHRES_VALUE_MAX + 160];
	struct buf part = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	must(w->results > 0 && is_keyword(ptype) && is_keyword(property) && ptype.n + property.n < 128);
	buf_add(&part, ptype);
	buf_addc(&part, '.');
	buf_add(&part, property);
	buf_addc(&part, '=');
	put_value(&part, value, w->utf8);
	must(!part.full);
	put_part(w, buf_str(&part));
}

void authres_end(struct authres_writer *w)
{
	if (w->results == 0) {
		buf_addc(w->out, ';');
		w->column++;
		put_part(w, S("none"));
	}
	buf_add(w->out, S("\r\n"));
}
