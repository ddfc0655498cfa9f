/* connectors/reason.c: THE table of reasons beside the decision table; see the header. */
#include "connectors/reason.h"

#include "base/must.h"

static const char SENDER[] = "sender";
static const char ADMIN[] = "administrator";
static const char PEER_ADMIN[] = "administrator of the other side";

#define R(code, class, subject, detail, text) \
	{ \
		code, class, subject, detail, STR_LIT(text) \
	}
#define SAME(...) R(__VA_ARGS__), R(__VA_ARGS__), R(__VA_ARGS__)

static const struct reason_row rows[REASON_N] = {
	/* What Exchange's administrators look for is 451 with 5.7.3, which breaks RFC 2034 4 (the classes differ): so
	 * there the enhanced code is text. */
	[REASON_TLS_REQUIRED] = { "TLS-REQUIRED", NULL,
				  R(530, 5, 7, 0, "Must issue a STARTTLS command first (TLS-REQUIRED)"),
				  R(451, 0, 0, 0, "5.7.3 STARTTLS is required to send mail (TLS-REQUIRED)"),
				  R(451, 0, 0, 0, "5.7.3 STARTTLS is required to send mail (TLS-REQUIRED)"),
				  "Mail is taken here only over TLS.", SENDER },
	[REASON_CLOSED] = { "CONNECTOR-CLOSED", NULL,
			    SAME(550, 5, 7, 1, "this connector takes no mail (CONNECTOR-CLOSED)"),
			    "The receive connector has no permission to submit.", ADMIN },
	[REASON_PARTNER_CERT] = { "PARTNER-CERT", NULL,
				  SAME(550, 5, 7, 51,
				       "Mail of this sender domain is accepted only with the partner's certificate "
				       "(PARTNER-CERT)"),
				  "A partner connector is restricted to a certificate, and this client did not show it.",
				  SENDER },
	[REASON_PARTNER_IP] = { "PARTNER-IP", NULL,
				SAME(550, 5, 7, 51,
				     "Mail of this sender domain is accepted only from the partner's addresses "
				     "(PARTNER-IP)"),
				"A partner connector is restricted to addresses, and this client has another.",
				SENDER },
	[REASON_FOREIGN] = { "ORG-UNVERIFIED", NULL,
			     SAME(550, 5, 7, 51, "Mail of other organisations is not accepted here (ORG-UNVERIFIED)"),
			     "The message names no organisation of ours, and own_tenant_only refuses that.",
			     PEER_ADMIN },
	[REASON_SIZE] = { "SIZE", NULL, SAME(552, 5, 3, 4, "message is larger than this server takes (SIZE)"),
			  "The message is larger than limits.message_max or the receive connector's size.", SENDER },
	[REASON_HEADER_SIZE] = { "HEADER-SIZE", NULL,
				 SAME(552, 5, 3, 4, "the header is larger than this server takes (HEADER-SIZE)"),
				 "The header is larger than limits.header_max or has more than limits.header_fields.",
				 SENDER },
	[REASON_LOOKUP] = { "TABLE-STALE", NULL, SAME(451, 4, 3, 0, "recipients cannot be looked up now (TABLE-STALE)"),
			    "The recipient table could not be read.", ADMIN },
	[REASON_HOPS] = { "LOOP-HOPS", "R01",
			  R(554, 5, 4, 6, "Hop count exceeded - possible mail loop (LOOP-HOPS R01)"),
			  R(554, 5, 4, 6, "Hop count exceeded - possible mail loop (LOOP-HOPS R01)"),
			  R(554, 5, 4, 14, "Hop count exceeded - possible mail loop ATTR34 (LOOP-HOPS R01)"),
			  "The message has passed more servers than loop.max_hops, or us more often than max_local_hops.",
			  ADMIN },
	[REASON_BARE_LF] = { "BARE-LF", NULL, R(550, 5, 6, 0, "a line of the message does not end in CR LF (BARE-LF)"),
			     R(550, 5, 6, 11, "a line of the message does not end in CR LF (BARE-LF)"),
			     R(550, 5, 6, 11, "a line of the message does not end in CR LF (BARE-LF)"),
			     "Lines must end in CR LF; a lone one can smuggle a second message in.", SENDER },
	[REASON_NUL] = { "NUL", NULL, SAME(550, 5, 6, 0, "the message holds a NUL byte (NUL)"),
			 "Mail is text; a NUL byte ends it for some servers and not for others.", SENDER },
	[REASON_CONNECTION_RATE] = { "RATE-CONNECTIONS", NULL,
				     SAME(421, 4, 7, 0,
					  "too many connections from your network, try again later (RATE-CONNECTIONS)"),
				     "The client's network connected more often than limits.connection_rate.", ADMIN },
	[REASON_MESSAGE_RATE] = { "RATE-MESSAGES", NULL,
				  SAME(450, 4, 7, 1,
				       "too many messages from your network, try again later (RATE-MESSAGES)"),
				  "The client's network sent more messages than limits.message_rate.", ADMIN },
	[REASON_RECIPIENT_RATE] = { "RATE-RECIPIENTS", NULL,
				    SAME(452, 4, 5, 3,
					 "too many recipients from your network, try again later (RATE-RECIPIENTS)"),
				    "The client's network wrote to more recipients than limits.recipient_rate.",
				    ADMIN },
	[REASON_UNKNOWN_RATE] = { "RATE-UNKNOWN", NULL,
				  SAME(450, 4, 7, 1,
				       "too many refused recipients from your network, try again later (RATE-UNKNOWN)"),
				  "More recipients of the client's network were refused than limits.unknown_rate: it guesses "
				  "addresses, or its list is old.",
				  SENDER },
	[REASON_PRESSURE] = { "PRESSURE", NULL,
			      SAME(452, 4, 3, 1, "no room for messages now, try again later (PRESSURE)"),
			      "The disk or the memory of the gateway is full.", ADMIN },
	[REASON_STORE] = { "STORE", NULL,
			   SAME(451, 4, 3, 0, "the queue cannot take messages now, try again later (STORE)"),
			   "The queue could not be written.", ADMIN },
	[REASON_WAY_DISABLED] = { "WAY-DISABLED", NULL,
				  SAME(451, 4, 4, 4, "The connector that owns this address space is disabled"),
				  "The way this message must take is closed; it waits and takes no other.", ADMIN },
	[REASON_WAY_SIZE] = { "WAY-SIZE", NULL,
			      SAME(552, 5, 3, 4, "Message too big for the connector that owns this address space"),
			      "The message is too big for the way it must take.", ADMIN },
	[REASON_WAYS_SIZE] = { "WAYS-SIZE", NULL, SAME(552, 5, 3, 4, "Message too big for every way out"),
			       "The message is too big for every connector.", ADMIN },
	[REASON_NO_WAY] = { "NO-WAY", NULL, SAME(451, 4, 4, 4, "No send connector leads there"),
			    "No send connector has this address space.", ADMIN },
	[REASON_CERT_MISSING] = { "CERT-MISSING", NULL, SAME(454, 4, 7, 5, "certificate missing"),
				  "The certificate that a connector must show is not there.", ADMIN },
	/* 4.7.4 is "security features not supported", 4.7.5 "cryptographic failure" (RFC 3463 3.8) */
	[REASON_OUT_STARTTLS] = { "TLS-REQUIRED", NULL, R(451, 4, 7, 4, ""), R(451, 4, 4, 101, ""),
				  R(451, 4, 4, 101, ""),
				  "The next server offers no TLS or refuses it, and the connector asks for it.",
				  PEER_ADMIN },
	[REASON_OUT_HANDSHAKE] = { "TLS-REQUIRED", NULL, R(451, 4, 7, 5, ""), R(451, 4, 4, 101, ""),
				   R(451, 4, 4, 101, ""),
				   "The TLS handshake with the next server failed, and the connector asks for TLS.",
				   PEER_ADMIN },
	[REASON_CERT_CHAIN] = { "CERT-CHAIN", NULL, R(451, 4, 7, 5, ""), R(451, 4, 4, 317, ""), R(451, 4, 4, 317, ""),
				"No authority we trust vouches for the certificate of the next server.", PEER_ADMIN },
	[REASON_CERT_NAME] = { "CERT-NAME", NULL, R(451, 4, 7, 5, ""), R(451, 4, 7, 320, ""), R(451, 4, 7, 320, ""),
			       "The certificate of the next server does not name who we want to reach.", PEER_ADMIN },
	[REASON_EXPIRED] = { "EXPIRED", NULL, R(550, 5, 4, 7, ""), R(550, 5, 4, 300, ""), R(550, 5, 4, 300, ""),
			     "The message could not be delivered within queue.expire; the last try tells why.", ADMIN },
};

const struct reason_row *reason_row(enum reason r)
{
	must((size_t)r < REASON_N);
	return &rows[r];
}

struct reply reason_reply(enum reason r, enum conf_codes codes, enum conf_site site)
{
	const struct reason_row *row = reason_row(r);

	return codes == CODES_STANDARD ? row->standard : site == SITE_CLOUD ? row->exchange_cloud : row->exchange;
}
