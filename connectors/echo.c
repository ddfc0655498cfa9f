/* connectors/echo.c: tags of probes, and what their way back proves; see the header. */
#include "connectors/echo.h"

#include "base/must.h"
#include "tls/mac.h"

#include <stdio.h>
#include <string.h>

enum { STAMP = 8, PROOF = 16 };

_Static_assert(STAMP + 2 * PROOF == ECHO_TAG, "a tag is its stamp and its proof");

/* ---- tags ---- */

/* The words in front keep these apart from all else that the keys sign. */
static void prove(const struct token_key *k, struct str connector, uint64_t unix_s, unsigned char out[PROOF])
{
	unsigned char sum[MAC_SIZE];
	struct buf b;

	buf_init_sure(&b, 4096);
	buf_addf(&b, "tombolo echo 1\n%08llx\n" STR_FMT, (unsigned long long)unix_s, STR_ARG(connector));
	must(!b.full);
	mac_hmac(str_n(k->key, k->key_n), buf_str(&b), sum);
	memcpy(out, sum, PROOF);
	buf_fini(&b);
}

static bool split(struct str address, struct str *local, struct str *domain)
{
	ssize_t at = str_rchr(address, '@');

	if (at < 0)
		return false;
	*local = str_head(address, (size_t)at);
	*domain = str_skip(address, (size_t)at + 1);
	return true;
}

bool echo_put_address(const struct token_keys *keys, const struct conf_send *s, int64_t now_ms, struct buf *out)
{
	unsigned char proof[PROOF];
	struct str local, domain;
	uint64_t unix_s = (uint64_t)(now_ms / 1000) & UINT32_MAX;
	bool ok = split(s->echo_from, &local, &domain);

	must(ok && keys->n > 0);
	prove(&keys->v[0], s->name, unix_s, proof);
	buf_addf(out, STR_FMT "+%08llx", STR_ARG(local), (unsigned long long)unix_s);
	for (size_t i = 0; i < PROOF; i++)
		buf_addf(out, "%02x", proof[i]);
	buf_addf(out, "@" STR_FMT, STR_ARG(domain));
	return !out->full;
}

enum echo_address echo_address(const struct config *c, const struct addr *a, struct str *tag)
{
	struct str local, domain;

	*tag = STR_NONE;
	for (size_t i = 0; i < c->send_n; i++) {
		const struct conf_send *s = &c->sends[i];
		if (s->echo_to.n == 0 || !split(s->echo_from, &local, &domain) || !str_ieq(domain, a->domain) ||
		    !str_istarts(a->local, local))
			continue;
		if (a->local.n == local.n)
			return ECHO_PLAIN;
		if (a->local.p[local.n] != '+')
			continue;
		*tag = str_skip(a->local, local.n + 1);
		return ECHO_TAGGED;
	}
	return ECHO_NOT;
}

static int hex(char c)
{
	c = chr_lower(c); /* hosts on the way may fold the address */
	return chr_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_tag(struct str tag, uint64_t *unix_s, unsigned char proof[PROOF])
{
	if (tag.n != ECHO_TAG)
		return false;
	for (size_t i = 0; i < tag.n; i++)
		if (hex(tag.p[i]) < 0)
			return false;
	*unix_s = 0;
	for (size_t i = 0; i < STAMP; i++)
		*unix_s = *unix_s << 4 | (uint64_t)hex(tag.p[i]);
	for (size_t i = 0; i < PROOF; i++)
		proof[i] = (unsigned char)(hex(tag.p[STAMP + 2 * i]) << 4 | hex(tag.p[STAMP + 2 * i + 1]));
	return true;
}

static bool is_fresh(const struct conf_send *s, uint64_t unix_s, int64_t now_ms)
{
	int64_t age_ms = now_ms - (int64_t)unix_s * 1000;

	return age_ms >= -1000 && age_ms <= s->echo_ms; /* the stamp has lost its milliseconds */
}

bool echo_verify(const struct token_keys *keys, const struct config *c, struct str tag, int64_t now_ms,
		 struct echo_nonce *out)
{
	unsigned char proof[PROOF], want[PROOF];
	uint64_t unix_s;

	if (!read_tag(tag, &unix_s, proof))
		return false;
	for (size_t i = 0; i < c->send_n; i++) {
		const struct conf_send *s = &c->sends[i];
		for (size_t k = 0; s->echo_to.n > 0 && k < keys->n; k++) {
			prove(&keys->v[k], s->name, unix_s, want);
			if (!mac_equal(proof, want, PROOF) || !is_fresh(s, unix_s, now_ms))
				continue;
			*out = (struct echo_nonce){ s, (int64_t)unix_s };
			return true;
		}
	}
	return false;
}

/* ---- the header of what comes back ---- */

static void take_tags(struct echo_seen *e, struct str value)
{
	for (ssize_t at; e->tag_n < ECHO_TAGS_MAX && (at = str_chr(value, '+')) >= 0;) {
		size_t n = 0;
		value = str_skip(value, (size_t)at + 1);
		while (n < value.n && hex(value.p[n]) >= 0)
			n++;
		if (n == ECHO_TAG)
			memcpy(e->tags[e->tag_n++], value.p, ECHO_TAG);
	}
}

void echo_take(struct echo_seen *e, const struct header_field *f)
{
	/* which of them a mailbox that forwards leaves alone differs; a tag is proof wherever it stands */
	static const struct str where[] = { STR_LIT("Message-ID"), STR_LIT("In-Reply-To"), STR_LIT("References"),
					    STR_LIT("Subject") };
	struct buf text;

	for (size_t i = 0; i < sizeof where / sizeof *where; i++)
		if (header_name_is(f->name, where[i]))
			take_tags(e, f->value);
	/* whoever writes a report quotes no headers of ours: that it took them out is no finding */
	if (e->filtered[0] != '\0' || !str_istarts(f->name, S("X-CrossPremisesHeadersFiltered")) ||
	    str_istarts(f->name, S("X-CrossPremisesHeadersFilteredByDsnGenerator")))
		return;
	buf_init(&text, 4096);
	buf_addf(&text, STR_FMT ": ", STR_ARG(f->name));
	header_unfold(str_head(f->value, 1024), &text);
	for (size_t i = 0; i < text.n; i++) /* it goes to the log and to tables */
		if ((unsigned char)text.p[i] < ' ' || (unsigned char)text.p[i] > '~')
			text.p[i] = '?';
	snprintf(e->filtered, sizeof e->filtered, STR_FMT, STR_ARG(buf_str(&text)));
	buf_fini(&text);
}

bool echo_is_probe(const struct envelope *env)
{
	/* reports have no sender, copies the receive connector of what they were made of */
	return env->origin == ENV_SELF && env->from.n > 0 && env->receive.n == 0;
}

/* ---- judging ---- */

static void set(struct validation *v, enum valid_state state, const char *differs, const char *why, const char *detail)
{
	v->state = state;
	snprintf(v->differs, sizeof v->differs, "%s", differs);
	snprintf(v->why, sizeof v->why, "%s%s", why, detail);
}

void echo_judge(const struct echo_return *r, struct validation *out)
{
	if (!r->peer)
		set(out, VALID_FAILED, "unattributed", "came back unattributed: ", r->certificate);
	else if (!r->by_certificate)
		set(out, VALID_DEGRADED, "address",
		    "came back recognised by its address only, not by certificate: ", r->how);
	else if (r->org == ENV_ORG_NONE)
		set(out, VALID_FAILED, "organisation", "came back without the name of an organisation", "");
	else if (r->org == ENV_ORG_OTHER)
		set(out, VALID_FAILED, "organisation", "came back as mail of another organisation: ", r->claim);
	else if (r->filtered[0] != '\0')
		set(out, VALID_DEGRADED, "filtered", "headers were filtered by ", r->filtered);
	else if (!r->report && !r->internal)
		set(out, VALID_FAILED, "anonymous", "came back as Anonymous: the other side did not recognise us", "");
	else
		set(out, VALID_OK, "", "", "");
}
