/* connectors/smtp_peer.c: what the server's certificate must prove, and what it did prove (spec 3.5.1, 3.7).
 *
 * The level says how far it is judged; the level that was achieved is noted whatever was asked. */
#include "connectors/smtp_txn.h"

#include "base/time.h"

#include <stdio.h>

static void put_names(struct buf *b, const struct tls_identities *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < ids->san_n && n < 5; i++, n++)
		buf_addf(b, "%s" STR_FMT, n > 0 ? ", " : "", STR_ARG(ids->sans[i]));
	for (size_t i = 0; i < ids->cn_n && n < 5; i++, n++)
		buf_addf(b, "%s" STR_FMT, n > 0 ? ", " : "", STR_ARG(ids->cns[i]));
	if (n == 0)
		buf_add(b, S("no usable name"));
}

static void fail_name(struct smtp_client *c, const struct tls_peer *peer, struct str wanted)
{
	struct buf b;

	c->why = WHY_NAME;
	buf_init(&b, 300);
	put_names(&b, &peer->ids);
	client_refuse(c, REFUSED_NAME, "%s[%s]: certificate name mismatch: wanted " STR_FMT ", presented %s",
		      c->where.host, c->where.ip, STR_ARG(wanted), buf_cstr(&b));
	buf_fini(&b);
}

/* All the names that are wanted.  *wanted is the one that is missing, *matched what the first one matched. */
static bool match_names(const struct smtp_client *c, const struct tls_peer *peer, struct str *wanted,
			struct str *matched)
{
	const struct tls_match_rules rules = { .mode = c->target.send->match, .direction = TLS_VERIFY };
	const struct str *also = c->target.tls_also;

	*wanted = c->target.tls_pattern;
	if (!tls_name_match(*wanted, &peer->ids, &rules, matched))
		return false;
	for (size_t i = 0; i < sizeof c->target.tls_also / sizeof also[0] && also[i].n > 0; i++) {
		*wanted = also[i];
		if (!tls_name_match(*wanted, &peer->ids, &rules, NULL))
			return false;
	}
	return true;
}

static void tell_chain(struct smtp_client *c, const struct tls_peer *peer)
{
	struct buf b;

	if (c->on_stage == NULL)
		return;
	buf_init(&b, 400);
	if (!peer->has_certificate)
		buf_add(&b, S("no certificate; "));
	else if (!peer->chain_ok)
		buf_addf(&b, "not trusted (" STR_FMT "); ", STR_ARG(peer->chain_error));
	if (!peer->has_certificate || !peer->chain_ok)
		buf_addf(&b, "level %s does not ask for it", conf_tls_level_name(c->target.level));
	else
		buf_add(&b, S("trusted"));
	if (peer->has_certificate) {
		buf_addf(&b, "; issued by " STR_FMT ", until ", STR_ARG(peer->issuer));
		time_put_iso(&b, peer->not_after_ms);
	}
	client_pass_stage(c, AT_NAME, buf_str(&b));
	buf_fini(&b);
}

static void tell_name(struct smtp_client *c, const struct tls_peer *peer, struct str wanted, bool match)
{
	struct buf b;

	if (c->on_stage == NULL)
		return;
	buf_init(&b, 400);
	buf_addf(&b, "wanted " STR_FMT "%s, presented ", STR_ARG(wanted),
		 match ? "" : " (not asked for at this level: it does not match)");
	put_names(&b, &peer->ids);
	client_pass_stage(c, AT_EHLO_AGAIN, buf_str(&b));
	buf_fini(&b);
}

static void tell_handshake(struct smtp_client *c, const struct tls_peer *peer)
{
	char text[200];

	snprintf(text, sizeof text, STR_FMT " " STR_FMT, STR_ARG(peer->protocol), STR_ARG(peer->cipher));
	client_pass_stage(c, AT_CHAIN, str_c(text));
}

static enum smtp_why chain_reason(const struct tls_peer *peer)
{
	if (peer->has_certificate && peer->not_after_ms <= clock_wall_ms())
		return WHY_EXPIRED;
	if (peer->judgement.made && peer->judgement.path_error == NULL && peer->judgement.revocation != TLS_NOT_REVOKED)
		return WHY_REVOKED;
	return WHY_CHAIN;
}

bool client_judge_peer(struct smtp_client *c, const struct tls_peer *peer)
{
	bool chain_ok = peer->has_certificate && peer->chain_ok;
	struct str matched = STR_NONE, wanted;
	bool match = match_names(c, peer, &wanted, &matched);

	if (c->target.level >= TLS_VALIDATE && match)
		tls_note_chain(&c->stream);
	tell_handshake(c, peer);
	c->at = AT_CHAIN;
	c->achieved = !chain_ok ? TLS_ENCRYPT : match ? TLS_DOMAIN : TLS_VALIDATE;
	if (c->target.level >= TLS_VALIDATE && !chain_ok) {
		c->why = chain_reason(peer);
		client_refuse(c, REFUSED_CHAIN, "%s[%s]: certificate is not trusted: " STR_FMT, c->where.host,
			      c->where.ip,
			      STR_ARG(peer->has_certificate ? peer->chain_error : S("none was presented")));
		return false;
	}
	tell_chain(c, peer);
	c->at = AT_NAME;
	if (c->target.level >= TLS_DOMAIN && !match) {
		fail_name(c, peer, wanted);
		return false;
	}
	tell_name(c, peer, match ? c->target.tls_pattern : wanted, match);
	c->at = AT_EHLO_AGAIN;
	if (c->target.level < TLS_DOMAIN)
		matched = STR_NONE; /* not proved on purpose: not told as if it were */
	snprintf(c->where.tls, sizeof c->where.tls, STR_FMT "%s" STR_FMT, STR_ARG(peer->protocol),
		 matched.n > 0 ? " " : "", STR_ARG(matched));
	snprintf(c->where.cipher, sizeof c->where.cipher, STR_FMT, STR_ARG(peer->cipher));
	snprintf(c->where.sha256, sizeof c->where.sha256, STR_FMT, STR_ARG(peer->sha256));
	return true;
}
