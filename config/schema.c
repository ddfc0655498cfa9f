/* config/schema.c: the table of sections and options.  Order here is the order of config_show and docs/CONFIG.md. */
#include "config/schema.h"

#include "base/must.h"

#include <string.h>

#define COUNT(a)  (sizeof(a) / sizeof(a)[0])
#define ONE(n, o) .name = n, .options = o, .option_n = COUNT(o)
#define MANY(n, o, s, v, k) \
	ONE(n, o), .array = offsetof(struct config, v), .count = offsetof(struct config, k), .size = sizeof(s), \
		   .title = offsetof(s, name), .line_at = offsetof(s, line)
#define DOMAIN(t, m)  FIELD_OF(struct conf_domain, t, m)
#define RECEIVE(t, m) FIELD_OF(struct conf_receive, t, m)
#define INBOUND(t, m) FIELD_OF(struct conf_inbound, t, m)
#define SEND(t, m)    FIELD_OF(struct conf_send, t, m)
#define POLICY(t, m)  FIELD_OF(struct conf_tls_policy, t, m)
#define JOURNAL(t, m) FIELD_OF(struct conf_journal, t, m)
#define SIGN(t, m)    FIELD_OF(struct conf_sign, t, m)
#define MILTER(t, m)  FIELD_OF(struct conf_milter, t, m)

/* The words of each enum, in its order. */
#define WORDS static const char *const
WORDS site_names[] = { "onprem", "cloud", NULL };
WORDS codes_names[] = { "standard", "exchange", NULL };
WORDS stragglers_names[] = { "tag", "defer", "reject", NULL };
WORDS forwarded_names[] = { "return", "direct", NULL };
WORDS peer_down_names[] = { "queue", "bypass", "bypass-classes", NULL };
WORDS egress_names[] = { "direct", "cloud", "smarthost", NULL };
WORDS loop_action_names[] = { "defer-then-reject", "reject", NULL };
WORDS domain_type_names[] = { "authoritative", "internal-relay", "external-relay", NULL };
WORDS crl_names[] = { "off", "soft", "hard", NULL };
WORDS eku_names[] = { "server-or-client", "client", "any", NULL };
WORDS inbound_type_names[] = { "peer", "partner", NULL };
WORDS ip_trust_names[] = { "none", "full", NULL };
WORDS own_tenant_names[] = { "no", "report", "yes", NULL };
WORDS match_names[] = { "strict", "exchange", NULL };
WORDS tls_level_names[] = { "none", "may", "encrypt", "validate", "domain", NULL };
WORDS journal_scope_names[] = { "global", "internal", "external", NULL };
WORDS milter_default_names[] = { "tempfail", "accept", "reject", "quarantine", NULL };
WORDS headers_names[] = { "transparent", "endpoint", NULL };
WORDS wire_policy_names[] = { "reject", "normalise", NULL };
WORDS author_names[] = { "any", "one", "required", NULL };
WORDS beside_trust_names[] = { "ignore", "route", "trust", NULL };
WORDS beside_hold_names[] = { "quarantine", "defer", NULL };
WORDS beside_unanswered_names[] = { "tempfail", "accept", NULL };
WORDS judge_names[] = { "off", "report", "enforce", NULL };
WORDS judged_names[] = { "tag", "hold", "reject", NULL };
WORDS unsure_names[] = { "accept", "defer", NULL };
WORDS log_level_names[] = { "debug", "info", "warn", "error", NULL };
WORDS log_format_names[] = { "text", "json", NULL };
WORDS track_format_names[] = { "json", "exchange-csv", NULL };
WORDS track_subject_names[] = { "off", "hash", "on", NULL };

static const struct option top[] = {
	{ "site", FIELD(OPT_ENUM, site), site_names, .dflt = "onprem", .restart = true,
	  .doc = "The side of the hybrid organisation this gateway stands for." },
	{ "hostname", FIELD(OPT_TEXT, hostname), .dflt = "", .shown = "the machine's name",
	  .doc = "Full name of this gateway: banner, EHLO and Received unless a connector says otherwise." },
	{ "postmaster", FIELD(OPT_TEXT, postmaster), .dflt = "", .shown = "postmaster@ the default domain",
	  .doc = "Author of the reports this gateway writes." },
	{ "control", FIELD(OPT_TEXT, control), .dflt = "/run/tombolo/control", .restart = true,
	  .doc = "Path of the socket the command line talks to." },
	{ "control_viewers", FIELD(OPT_TEXT, control_viewers), .dflt = "", .restart = true,
	  .doc = "Group whose members may look by the command line.  With this or control_operators set nobody else may but "
		 "root and the daemon's own user." },
	{ "control_operators", FIELD(OPT_TEXT, control_operators), .dflt = "", .restart = true,
	  .doc = "Group whose members may look and change things by the command line." },
	{ "user", FIELD(OPT_TEXT, user), .dflt = "", .restart = true,
	  .doc = "Account to become once the listeners are bound; empty to stay who started it." },
	{ "sandbox", FIELD(OPT_FLAG, sandbox), .dflt = "yes", .restart = true,
	  .doc = "Give up for good what serving mail does not need: capabilities, writing outside of our own folders, running "
		 "programs, other system calls.  Only for looking for faults is it switched off." },
	{ "loops", FIELD(OPT_COUNT, loops), .dflt = "0", .min = "0", .max = "256", .restart = true,
	  .doc = "Number of event loops; 0 for one per processor core." },
	{ "status_codes", FIELD(OPT_ENUM, status_codes), codes_names, .dflt = "standard",
	  .doc = "Set of enhanced status codes in replies: those of the RFCs or those Exchange administrators know." },
	{ "resolvers", FIELD(OPT_LIST, resolvers), .dflt = "", .shown = "those of /etc/resolv.conf", .restart = true,
	  .doc = "Addresses of the DNS servers to ask." },
	{ "hosts", FIELD(OPT_TEXT, hosts), .dflt = "", .restart = true,
	  .doc = "File of static names in the form of hosts(5), plus lines `MX preference domain host`; for closed "
		 "networks." },
	{ "validate", FIELD(OPT_MSEC, validate_ms), .dflt = "5m", .min = "0", .max = "1d",
	  .doc = "How often a send connector to the other side is probed when it does not say itself; 0 for never." },
};

static const struct option mode[] = {
	{ "mx", FIELD(OPT_ENUM, mode.mx), site_names, .dflt = "onprem",
	  .doc = "The side the MX of the shared domains points to.  The mode set on the command line wins once there is "
		 "one." },
	{ "cmt", FIELD(OPT_FLAG, mode.cmt), .dflt = "no",
	  .doc = "Centralized mail transport: all mail between the cloud and the Internet passes on-prem." },
	{ "cmt_forwarded", FIELD(OPT_ENUM, mode.forwarded), forwarded_names, .dflt = "return",
	  .doc = "With cmt, at the cloud: what on-prem sent and the cloud forwards outside returns on-prem, or leaves "
		 "directly." },
	{ "grace", FIELD(OPT_MSEC, mode.grace_ms), .dflt = "72h", .min = "0", .max = "30d",
	  .doc = "How long after a change of MX Internet mail at the wrong side is taken without question." },
	{ "stragglers", FIELD(OPT_ENUM, mode.stragglers), stragglers_names, .dflt = "tag",
	  .doc = "What is done with Internet mail at the side that is not the MX once the grace is over." },
	{ "ttl_max", FIELD(OPT_MSEC, mode.ttl_max_ms), .dflt = "1h", .min = "0", .max = "7d",
	  .doc = "Longest TTL the MX records may have when `mode switch` begins; for so long after it both entrances "
		 "are open and nobody is counted late." },
	{ "threshold", FIELD(OPT_COUNT, mode.threshold), .dflt = "10", .min = "1", .max = "1000000000",
	  .doc = "Stragglers in one hour (messages) from which a switch keeps observing." },
	{ "quiet", FIELD(OPT_MSEC, mode.quiet_ms), .dflt = "24h", .min = "0", .max = "30d",
	  .doc = "How long they must stay below the threshold before the old entrance is locked; at the end of the "
		 "grace it is locked anyway." },
	{ "lock_defer", FIELD(OPT_MSEC, mode.lock_defer_ms), .dflt = "24h", .min = "0", .max = "30d",
	  .doc = "How long a locked entrance defers stragglers before it rejects them." },
	{ "allow", FIELD(OPT_LIST, mode.allow), .dflt = "",
	  .doc = "Ranges of clients that are never refused as stragglers." },
	{ "straggler_sources", FIELD(OPT_COUNT, mode.straggler_sources), .dflt = "4096", .min = "64", .max = "1000000",
	  .restart = true,
	  .doc = "Sources of stragglers that are told apart; then the one seen longest ago makes room." },
	{ "probe_age", FIELD(OPT_MSEC, mode.probe_age_ms), .dflt = "15m", .min = "1m", .max = "7d",
	  .doc = "Check before a switch: how old the last success of a connector to the other side may be." },
	{ "table_age", FIELD(OPT_MSEC, mode.table_age_ms), .dflt = "24h", .min = "1m", .max = "365d",
	  .doc = "Check before a switch: how old the last import of recipients may be." },
	{ "queue_max", FIELD(OPT_COUNT, mode.queue_max), .dflt = "1000", .min = "0", .max = "1000000000",
	  .doc = "Check before a switch: most recipients that may wait in the queue." },
};

static const struct option cmt[] = {
	{ "on_peer_down", FIELD(OPT_ENUM, cmt.on_peer_down), peer_down_names, .dflt = "queue",
	  .doc = "At the cloud, when no connection to the on-prem side can be made: mail that central transport sends "
		 "there waits, or goes as if cmt were off, with a signed X-Tombolo-Bypass header; of all mail, or of "
		 "`classes` only." },
	{ "classes", FIELD(OPT_LIST, cmt.classes), .dflt = "dsn",
	  .doc = "What bypass-classes lets pass: dsn (null sender: reports and automatic replies), inbound (Internet "
		 "mail for mailboxes here), outbound (mail to the Internet)." },
	{ "bypass_after", FIELD(OPT_MSEC, cmt.bypass_after_ms), .dflt = "30m", .min = "0", .max = "5d",
	  .doc = "How long connections must have failed before anything bypasses." },
	{ "quota", FIELD(OPT_COUNT, cmt.quota), .dflt = "1000", .min = "0", .max = "1000000000",
	  .doc = "Most recipients an hour that bypass; the others wait.  0 for no limit." },
};

static const struct option egress[] = {
	{ "onprem", FIELD(OPT_ENUM, egress.onprem), egress_names, .dflt = "direct",
	  .doc = "How mail of on-prem users leaves for the Internet." },
	{ "cmt", FIELD(OPT_ENUM, egress.cmt), egress_names, .dflt = "direct",
	  .doc = "How mail that the cloud sends through on-prem leaves for the Internet." },
	{ "onprem_addresses", FIELD(OPT_LIST, egress.onprem_addresses), .dflt = "",
	  .doc = "Where on-prem mail comes from in the eyes of the Internet: ranges (of our hosts, the NAT or the "
		 "smarthost), or names that SPF records must include.  For the checks before a switch." },
	{ "cloud_addresses", FIELD(OPT_LIST, egress.cloud_addresses), .dflt = "",
	  .doc = "The same of the cloud; for a provider the name it asks to include." },
};

static const struct option loop[] = {
	{ "max_hops", FIELD(OPT_COUNT, loop.max_hops), .dflt = "30", .min = "1", .max = "500",
	  .doc = "Most Received fields a message may carry." },
	{ "max_local_hops", FIELD(OPT_COUNT, loop.max_local_hops), .dflt = "8", .min = "0", .max = "50",
	  .doc = "Most Received fields written by this gateway; 0 to not count them." },
	{ "max_redirects", FIELD(OPT_COUNT, loop.max_redirects), .dflt = "3", .min = "0", .max = "20",
	  .doc = "Most redirections followed for one recipient." },
	{ "action", FIELD(OPT_ENUM, loop.action), loop_action_names, .dflt = "defer-then-reject",
	  .doc = "Answer to a recipient we handed over and got back: keep it in the sender's queue for a while, or "
		 "refuse at once." },
	{ "token_key", FIELD(OPT_TEXT, loop.token_key), .dflt = "",
	  .doc = "File of keys for the route token, lines `ID HEX`, newest first: marks what is handed to the other "
		 "side, so that a loop is seen after one round trip.  Empty for no tokens." },
	{ "defer", FIELD(OPT_MSEC, loop.defer_ms), .dflt = "1h", .min = "0", .max = "2d",
	  .doc = "How long defer-then-reject defers." },
	{ "move_grace", FIELD(OPT_MSEC, loop.move_grace_ms), .dflt = "2h", .min = "0", .max = "2d",
	  .doc = "How long after a move of the mailbox a disagreement with the other side only defers." },
	{ "disagreement_defer", FIELD(OPT_MSEC, loop.disagreement_defer_ms), .dflt = "4h", .min = "0", .max = "2d",
	  .doc = "How long any other disagreement about the place of a mailbox only defers." },
};

static const struct option domain[] = {
	{ "type", DOMAIN(OPT_ENUM, type), domain_type_names, .dflt = "authoritative",
	  .doc = "What an address unknown here means: refuse it, ask the other side, or relay without looking." },
	{ "peer_type", DOMAIN(OPT_ENUM, peer_type), domain_type_names, .dflt = "authoritative",
	  .doc = "The type the other side gives this domain." },
	{ "routing_domain", DOMAIN(OPT_TEXT, routing_domain), .dflt = "",
	  .doc = "The other side's coexistence domain, in which its mailboxes are addressed." },
	{ "own_routing", DOMAIN(OPT_FLAG, own_routing), .dflt = "no",
	  .doc = "This domain is the coexistence domain of our own side." },
	{ "relay_to", DOMAIN(OPT_TEXT, relay_to), .dflt = "", .shown = "peer; mx for external-relay",
	  .doc = "Where addresses unknown here go: `peer`, `mx` or `host:NAME[:PORT]`." },
	{ "plus", DOMAIN(OPT_TEXT, plus), .dflt = "+",
	  .doc = "Characters that separate a tag from the local part; empty for no plus addressing." },
	{ "match_subdomains", DOMAIN(OPT_FLAG, match_subdomains), .dflt = "no",
	  .doc = "The domain stands for its subdomains too." },
	{ "exact_case", DOMAIN(OPT_FLAG, exact_case), .dflt = "no", .doc = "Local parts differ by case." },
	{ "default", DOMAIN(OPT_FLAG, is_default), .dflt = "no", .shown = "yes for the first domain",
	  .doc = "The domain of the postmaster and of encapsulated addresses." },
	{ "routing_public", DOMAIN(OPT_FLAG, routing_public), .dflt = "no",
	  .doc = "Accept Internet mail for addresses in the routing domain." },
};

static const struct option recipients[] = {
	{ "path", FIELD(OPT_TEXT, recipients.path), .dflt = "/var/lib/tombolo/recipients", .restart = true,
	  .doc = "Directory of the recipient table." },
	{ "map_size", FIELD(OPT_BYTES, recipients.map_bytes), .dflt = "4G", .min = "1M", .max = "1T", .restart = true,
	  .doc = "Largest size of the table on disk; the file is sparse." },
	{ "delete_threshold", FIELD(OPT_COUNT, recipients.delete_threshold), .dflt = "500", .min = "0",
	  .max = "100000000", .doc = "An import that would delete more recipients than this stops and asks." },
	{ "delete_percent", FIELD(OPT_COUNT, recipients.delete_percent), .dflt = "5", .min = "0", .max = "100",
	  .doc = "The same, as a share of the table in percent." },
	{ "max_age", FIELD(OPT_MSEC, recipients.max_age_ms), .dflt = "0", .min = "0", .max = "365d",
	  .doc = "Age from which the table is not trusted to refuse a recipient; 0 for never." },
	{ "group_members", FIELD(OPT_COUNT, recipients.group_members), .dflt = "100000", .min = "1", .max = "10000000",
	  .doc = "Most members of one group." },
	{ "expansion_limit", FIELD(OPT_COUNT, recipients.expansion_limit), .dflt = "1000", .min = "1", .max = "10000",
	  .doc = "Most recipients of one copy when a group is expanded here; a larger group becomes several copies." },
	{ "expansion_total", FIELD(OPT_COUNT, recipients.expansion_total), .dflt = "200000", .min = "1",
	  .max = "10000000", .doc = "Most recipients that the groups of one message may become; more is refused." },
};

static const struct option srs[] = {
	{ "key", FIELD(OPT_TEXT, srs.key), .dflt = "",
	  .doc = "File of keys, lines `ID HEX`, newest first: the first signs, all are believed.  Keep a key for 21 days "
		 "after the one that follows it." },
};

static const struct option tls[] = {
	{ "store", FIELD(OPT_TEXT, tls.store), .dflt = "",
	  .doc = "Folder of our certificates: NAME.pem with the key inside or in NAME.key beside it, and intermediate "
		 "certificates without a key.  A client that names a host (SNI) is shown the certificate for it." },
	{ "certificate", FIELD(OPT_TEXT, tls.certificate), .dflt = "", .shown = "with a store: the one for fqdn",
	  .doc = "Our certificate, for every listener without one of its own: a PEM file with its chain, or one of the "
		 "store by `name:HOST`, `sha256:HEX` or `<I>issuer<S>subject`.  Docs: TLS.md." },
	{ "key", FIELD(OPT_TEXT, tls.key), .dflt = "", .shown = "NAME.key beside NAME.pem, or the same file",
	  .doc = "PEM file of its private key, or a URI that a provider of OpenSSL knows (`pkcs11:...`)." },
	{ "ca", FIELD(OPT_TEXT, tls.ca), .dflt = "", .shown = "the system's", .doc = "PEM file of trusted roots." },
	{ "min", FIELD(OPT_TEXT, tls.min), .dflt = "1.2", .doc = "Oldest version of TLS: 1.2 or 1.3." },
	{ "crl", FIELD(OPT_ENUM, tls.crl), crl_names, .dflt = "soft",
	  .doc = "Revocation: not checked; unknown passes and is reported; or unknown fails." },
	{ "crl_file", FIELD(OPT_TEXT, tls.crl_file), .dflt = "", .doc = "File of revocation lists, PEM or DER." },
	{ "crl_dir", FIELD(OPT_TEXT, tls.crl_dir), .dflt = "",
	  .doc = "Folder of such files (*.crl, *.pem, *.der); looked at every minute." },
	{ "client_cert_eku", FIELD(OPT_ENUM, tls.client_cert_eku), eku_names, .dflt = "server-or-client",
	  .doc = "Extended key usage asked of a client's certificate.  Public authorities no longer issue clientAuth, so "
		 "`client` cuts off most peers." },
	{ "crl_fetch", FIELD(OPT_LIST, tls.crl_fetch), .dflt = "",
	  .doc = "Revocation lists to fetch ahead of need: `http://` and `https://` URLs, and `auto` for the "
		 "distribution points named by our certificates, those of tls.ca and those of peers we have verified." },
	{ "crl_cache", FIELD(OPT_TEXT, tls.crl_cache), .dflt = "/var/lib/tombolo/crls", .restart = true,
	  .doc = "Folder where fetched lists are kept; nobody else writes there." },
	{ "crl_fetch_timeout", FIELD(OPT_MSEC, tls.crl_fetch_ms), .dflt = "30s", .min = "1s", .max = "5m",
	  .doc = "Longest time for one list to come." },
	{ "crl_fetch_max", FIELD(OPT_BYTES, tls.crl_fetch_max), .dflt = "16M", .min = "1K", .max = "256M",
	  .doc = "Largest list that is taken." },
	{ "overlap", FIELD(OPT_MSEC, tls.overlap_ms), .dflt = "0", .min = "0", .max = "60d",
	  .doc = "How long a new certificate of the store stands by, counted from its begin, while the one before it is "
		 "good for longer than that: time to tell the other side." },
};

static const struct option receive[] = {
	{ "listen", RECEIVE(OPT_LIST, listen), .required = true, .restart = true,
	  .doc = "Addresses to listen on, `192.0.2.1:25` or `[::]:25`.  With beside.listen it may be `{}`: then the section is "
		 "for clients of the MTA whose milter asks." },
	{ "from", RECEIVE(OPT_LIST, from), .dflt = "0/0, ::/0",
	  .doc = "Ranges of clients the section is for; among sections of one address the longest prefix wins." },
	{ "permissions", RECEIVE(OPT_LIST, permissions), .dflt = "anonymous",
	  .doc = "What clients may do: one preset (anonymous, users, servers, partner, peer) and single permissions "
		 "(submit, relay, any-sender, own-domain-sender, auth-flag, bypass-spam, bypass-size, hdr-routing, "
		 "hdr-org, xoorg, cloud-mail)." },
	{ "fqdn", RECEIVE(OPT_TEXT, fqdn), .dflt = "", .shown = "hostname",
	  .doc = "Name in the banner, in the EHLO reply and in Received." },
	{ "size", RECEIVE(OPT_BYTES, size), .dflt = "0", .min = "0", .max = "4G",
	  .doc = "Largest message; 0 for limits.message_max." },
	{ "require_tls", RECEIVE(OPT_FLAG, require_tls), .dflt = "no", .doc = "Refuse mail before STARTTLS." },
	{ "starttls", RECEIVE(OPT_FLAG, starttls), .dflt = "yes",
	  .doc = "Offer STARTTLS where there is a certificate." },
	{ "proxy_from", RECEIVE(OPT_LIST, proxy_from), .dflt = "",
	  .doc = "Ranges of load balancers that speak the PROXY protocol first." },
	{ "tarpit", RECEIVE(OPT_MSEC, tarpit_ms), .dflt = "5s", .min = "0", .max = "10m",
	  .doc = "Delay of the answers to a client that collects refusals." },
	{ "milters", RECEIVE(OPT_LIST, milters), .dflt = "",
	  .doc = "Names of milter sections: content filters that are asked about everything that comes in here, in this order.  "
		 "See docs/MILTERS.md." },
	{ "certificate", RECEIVE(OPT_TEXT, certificate), .dflt = "", .shown = "tls.certificate",
	  .doc = "The certificate shown here, as in tls.certificate." },
	{ "key", RECEIVE(OPT_TEXT, key), .dflt = "", .shown = "as tls.key",
	  .doc = "PEM file of its private key, or a URI that a provider of OpenSSL knows (`pkcs11:...`)." },
	{ "known_as", RECEIVE(OPT_LIST, known_as), .dflt = "",
	  .doc = "Names the other side wants in the certificate shown here (its TlsDomain), `name` or `*.name`: a new one "
		 "without them does not replace one that has them." },
	{ "dmarc", RECEIVE(OPT_ENUM, dmarc.mode), judge_names, .dflt = "report",
	  .doc = "Mail from the Internet: judge by SPF, DKIM and DMARC whether its author's domain may be used, say so in "
		 "Authentication-Results and in the log; with enforce do what the domain asks for.  See DMARC.md." },
	{ "dmarc_reject", RECEIVE(OPT_ENUM, dmarc.reject), judged_names, .dflt = "reject",
	  .doc = "With enforce, mail that fails and whose author's domain wants it rejected: refuse it (550 5.7.26), accept "
		 "and hold it, or let it pass with policy.dmarc=reject in Authentication-Results." },
	{ "dmarc_quarantine", RECEIVE(OPT_ENUM, dmarc.quarantine), judged_names, .dflt = "tag",
	  .doc = "The same for mail that the domain wants quarantined." },
	{ "dmarc_author", RECEIVE(OPT_ENUM, dmarc.author), judged_names, .dflt = "reject",
	  .doc = "The same for mail whose From does not name one author domain, so that nothing can be judged." },
	{ "dmarc_unsure", RECEIVE(OPT_ENUM, dmarc.unsure), unsure_names, .dflt = "accept",
	  .doc = "With enforce, when the DNS does not answer: accept, or let the client come again (451 4.4.3)." },
	{ "arc_trusted", RECEIVE(OPT_LIST, dmarc.arc_trusted), .dflt = "",
	  .doc = "Domains whose ARC seals are believed: what they saw pass DMARC before they forwarded it passes here." },
	{ "forwarders", RECEIVE(OPT_LIST, dmarc.forwarders), .dflt = "",
	  .doc = "Domains of forwarders and lists, with all below them: mail that SPF or DKIM proves to come from one is not "
		 "refused or held for DMARC." },
};

static const struct option milter[] = {
	{ "address", MILTER(OPT_TEXT, address), .required = true,
	  .doc = "Where it listens: `unix:/run/filter/socket`, `inet:127.0.0.1:8891` or `inet:8891@localhost`.  Names are not "
		 "looked up." },
	{ "default_action", MILTER(OPT_ENUM, default_action), milter_default_names, .dflt = "tempfail",
	  .doc = "When it cannot be asked, is too slow or answers what makes no sense: 451, go on without it, 550, or take "
		 "the message and hold it in the queue." },
	{ "reuse", MILTER(OPT_FLAG, reuse), .dflt = "no",
	  .doc = "Keep its connection for the next session (QUIT_NC of version 6).  Leave it at no for filters on Debian's "
		 "libmilter, which never answer again after that; within a session its connection serves all messages anyway." },
	{ "connect", MILTER(OPT_MSEC, connect_ms), .dflt = "30s", .min = "100ms", .max = "10m",
	  .doc = "Longest wait for the connection and for what it wants to hear." },
	{ "command", MILTER(OPT_MSEC, command_ms), .dflt = "30s", .min = "100ms", .max = "10m",
	  .doc = "Longest wait for the answer about a client, a sender, a recipient, the DATA command." },
	{ "content", MILTER(OPT_MSEC, content_ms), .dflt = "30s", .min = "100ms", .max = "10m",
	  .doc = "The same for a header field, the end of the header, a piece of the body." },
	{ "end", MILTER(OPT_MSEC, end_ms), .dflt = "5m", .min = "100ms", .max = "10m",
	  .doc = "The same for the verdict on the whole message." },
	{ "progress_max", MILTER(OPT_MSEC, progress_max_ms), .dflt = "10m", .min = "100ms", .max = "1h",
	  .doc = "A filter that says it is still busy is given its time again; one answer takes no longer than this, however "
		 "often it says so." },
};

static const struct option inbound[] = {
	{ "type", INBOUND(OPT_ENUM, type), inbound_type_names, .dflt = "partner",
	  .doc = "The other side of our own organisation, or an outside organisation." },
	{ "sender_certificate", INBOUND(OPT_LIST, sender_certificate), .dflt = "",
	  .doc = "Names in the client's certificate, `name` or `*.name`; the strongest way to be recognised." },
	{ "sender_ip", INBOUND(OPT_LIST, sender_ip), .dflt = "", .doc = "Ranges of client addresses." },
	{ "sender_domains", INBOUND(OPT_LIST, sender_domains), .dflt = "",
	  .doc = "Partner: domains of the envelope sender, `name`, `*.name` (with name itself) or `*`." },
	{ "match", INBOUND(OPT_ENUM, match), match_names, .dflt = "exchange",
	  .doc = "Rules for comparing certificate names: those of RFC 9525 or those of Exchange." },
	{ "expand_presented_wildcard", INBOUND(OPT_FLAG, expand_presented_wildcard), .dflt = "no",
	  .doc = "Let a certificate for `*.name` stand for a host of that domain when recognising a client." },
	{ "require_tls", INBOUND(OPT_FLAG, require_tls), .dflt = "yes", .doc = "Refuse its mail without TLS." },
	{ "restrict_cert", INBOUND(OPT_FLAG, restrict_cert), .dflt = "no",
	  .doc = "Partner: refuse mail of its domains without one of its certificates." },
	{ "restrict_ip", INBOUND(OPT_FLAG, restrict_ip), .dflt = "no",
	  .doc = "Partner: refuse mail of its domains from other addresses." },
	{ "cloud_mail", INBOUND(OPT_FLAG, cloud_mail), .dflt = "no",
	  .doc = "Peer: believe its cross-premises headers, so that its internal mail stays internal." },
	{ "org_required", INBOUND(OPT_FLAG, org_required), .dflt = "yes",
	  .doc = "Peer: relay to the Internet only what is proved to be of our organisation." },
	{ "trusted_orgs", INBOUND(OPT_LIST, trusted_orgs), .dflt = "",
	  .doc = "Peer: domains by which our organisation is named in its claim." },
	{ "return_internal", INBOUND(OPT_FLAG, return_internal), .dflt = "no",
	  .doc = "Peer: hand internal mail for its own mailboxes back instead of deferring it." },
	{ "peer_relay", INBOUND(OPT_FLAG, peer_relay), .dflt = "no",
	  .doc = "Peer: may send to the Internet through us even without centralized mail transport." },
	{ "ip_trust", INBOUND(OPT_ENUM, ip_trust), ip_trust_names, .dflt = "none",
	  .doc = "Peer known by its address: no trust in its headers, or the same as with a certificate until "
		 "ip_trust_until.  Addresses of a shared cloud belong to all its tenants." },
	{ "ip_trust_until", INBOUND(OPT_TEXT, ip_trust_until), .dflt = "",
	  .doc = "Last day of ip_trust = full, `2027-01-31` (UTC); from the next day on the addresses are not taken for "
		 "the peer's any more, and an alarm says so." },
	{ "own_tenant_only", INBOUND(OPT_ENUM, own_tenant_only), own_tenant_names, .dflt = "no",
	  .doc = "Peer: mail without a claim of our organisation (other tenants of a shared cloud, but also mail that "
		 "only passes through ours) is taken; taken and reported in the log; or refused with 550 5.7.51.  Look at "
		 "`report` for a week before `yes`." },
	{ "enabled", INBOUND(OPT_FLAG, enabled), .dflt = "yes", .doc = "Take the connector into account." },
	{ "client_cert_eku", INBOUND(OPT_ENUM, client_cert_eku), eku_names, .dflt = "server-or-client",
	  .shown = "tls.client_cert_eku",
	  .doc = "Extended key usage asked of its certificate, as tls.client_cert_eku." },
	{ "crl", INBOUND(OPT_ENUM, crl), crl_names, .dflt = "soft", .shown = "tls.crl",
	  .doc = "What a revocation list, or none, means for its certificate, as tls.crl." },
};

static const struct option send_options[] = {
	{ "space", SEND(OPT_LIST, space), .required = true,
	  .doc = "Recipient domains it serves: `name`, `*.name` (with name itself), `*`, `@local` (our mailboxes) or "
		 "`@peer` (the other side), each with an optional `;cost` from 1 to 100." },
	{ "smarthosts", SEND(OPT_LIST, smarthosts), .dflt = "",
	  .doc = "Hosts to hand the mail to, `host`, `host:port` or `[192.0.2.1]:port`, tried in the order written.  With "
		 "`;preference` (0 to 65535) the lowest is tried first and equals share the load; hosts without one come last." },
	{ "dns", SEND(OPT_FLAG, dns), .dflt = "no", .shown = "yes without smarthosts",
	  .doc = "Route by the MX of the recipient's domain." },
	{ "port", SEND(OPT_COUNT, port), .dflt = "25", .min = "1", .max = "65535",
	  .doc = "Port where none is written." },
	{ "tls", SEND(OPT_ENUM, tls), tls_level_names, .dflt = "may",
	  .doc = "Least protection: none (never TLS), may (when offered), encrypt, validate (a chain we trust), domain "
		 "(and the right name).  Mail waits rather than leave with less." },
	{ "tls_domain", SEND(OPT_TEXT, tls_domain), .dflt = "", .shown = "the recipient's domain",
	  .doc = "With tls = domain: name the server's certificate must carry, `name` or `*.name`." },
	{ "match", SEND(OPT_ENUM, match), match_names, .dflt = "strict",
	  .doc = "Rules for comparing certificate names: those of RFC 9525 or those of Exchange." },
	{ "certificate", SEND(OPT_TEXT, certificate), .dflt = "",
	  .doc = "The certificate we show as a client, as in tls.certificate.  Without it mail waits." },
	{ "key", SEND(OPT_TEXT, key), .dflt = "", .shown = "as tls.key",
	  .doc = "PEM file of its private key, or a URI that a provider of OpenSSL knows (`pkcs11:...`)." },
	{ "ca", SEND(OPT_TEXT, ca), .dflt = "", .shown = "tls.ca", .doc = "PEM file of the roots trusted here." },
	{ "fqdn", SEND(OPT_TEXT, fqdn), .dflt = "", .shown = "hostname", .doc = "Name in EHLO." },
	{ "source", SEND(OPT_TEXT, source), .dflt = "", .doc = "Local address to connect from." },
	{ "max_size", SEND(OPT_BYTES, max_size), .dflt = "0", .min = "0", .max = "4G",
	  .doc = "Largest message; 0 for no limit." },
	{ "exclusive", SEND(OPT_FLAG, exclusive), .dflt = "no", .shown = "yes with peer or tls = validate, domain",
	  .doc = "Mail for its spaces never falls through to a wider connector, however big it is and even while this "
		 "one is disabled." },
	{ "peer", SEND(OPT_FLAG, peer), .dflt = "no", .shown = "yes with the space @peer",
	  .doc = "Leads to the other side of our organisation." },
	{ "srs_domain", SEND(OPT_TEXT, srs_domain), .dflt = "",
	  .doc = "Domain of ours (its MX leads here) under which mail of strangers leaves, when it is forwarded or relayed "
		 "to strangers: SRS0=...@srs_domain.  Empty for senders as they are." },
	{ "xoorg", SEND(OPT_TEXT, xoorg), .dflt = "",
	  .doc = "Domain to name as our organisation, to a peer: XOORG where it is offered, and X-OriginatorOrg." },
	{ "headers", SEND(OPT_ENUM, headers), headers_names, .dflt = "transparent",
	  .doc = "Headers of the organisation on this way: passed as they are between two Exchange servers "
		 "(transparent), or promoted, demoted and written by us as the last server of our side (endpoint)." },
	{ "cloud_mail", SEND(OPT_FLAG, cloud_mail), .dflt = "no", .shown = "yes with peer",
	  .doc = "Cross-premises headers may leave by it, so that internal mail stays internal on the other side." },
	{ "clean_headers", SEND(OPT_FLAG, clean_headers), .dflt = "yes", .shown = "no with cloud_mail or for @local",
	  .doc = "No header that only our organisation may write leaves by it." },
	{ "demote", SEND(OPT_LIST, demote), .dflt = "",
	  .doc = "With headers = endpoint: names of organisation headers that cross beside the usual ones, without "
		 "their prefix." },
	{ "sign", SEND(OPT_FLAG, sign), .dflt = "yes",
	  .doc = "Mail of ours that leaves by it for the Internet is signed, if there is a `sign` section for its author's "
		 "domain." },
	{ "set_scl", SEND(OPT_FLAG, set_scl), .dflt = "no",
	  .doc = "With headers = endpoint: internal mail without a spam level gets SCL -1." },
	{ "enabled", SEND(OPT_FLAG, enabled), .dflt = "yes", .doc = "Use the connector." },
	{ "scoped", SEND(OPT_FLAG, scoped), .dflt = "no", .doc = "Only for mail that a policy sends to it by name." },
	{ "connections", SEND(OPT_COUNT, connections), .dflt = "40", .min = "1", .max = "10000",
	  .doc = "Most connections to one destination." },
	{ "connections_first", SEND(OPT_COUNT, connections_first), .dflt = "5", .min = "1", .max = "10000",
	  .doc = "A new destination gets so many connections; it gets more as mail goes well, and fewer when it does not." },
	{ "connection_rate", SEND(OPT_COUNT, connection_rate), .dflt = "1200", .min = "0", .max = "1000000",
	  .doc = "Most new connections a minute; 0 for no limit." },
	{ "message_rate", SEND(OPT_COUNT, message_rate), .dflt = "0", .min = "0", .max = "100000000",
	  .doc = "Most messages a minute, where the other side allows only so many; 0 for no limit." },
	{ "breaker_faults", SEND(OPT_COUNT, breaker_faults), .dflt = "3", .min = "0", .max = "1000",
	  .doc = "After so many answers in a row that the other side does not know us, or our certificate proof of it fails, "
		 "all mail of the connector waits; 0 for never." },
	{ "breaker_pause", SEND(OPT_MSEC, breaker_pause_ms), .dflt = "1m", .min = "1s", .max = "1d",
	  .doc = "Then one message tries again after this long, and after twice as long each time it fails." },
	{ "breaker_pause_max", SEND(OPT_MSEC, breaker_pause_max_ms), .dflt = "15m", .min = "1s", .max = "1d",
	  .doc = "Longest such wait." },
	{ "messages_per_connection", SEND(OPT_COUNT, messages_per_connection), .dflt = "1000", .min = "1",
	  .max = "1000000", .doc = "Messages after which a connection is closed." },
	{ "recipients_per_message", SEND(OPT_COUNT, recipients_per_message), .dflt = "100", .min = "1", .max = "10000",
	  .doc = "Most recipients in one transaction." },
	{ "connect_timeout", SEND(OPT_MSEC, connect_ms), .dflt = "30s", .min = "1s", .max = "10m",
	  .doc = "For the connection to be made." },
	{ "command_timeout", SEND(OPT_MSEC, command_ms), .dflt = "5m", .min = "1s", .max = "1h",
	  .doc = "For the greeting and for the reply to a command." },
	{ "data_timeout", SEND(OPT_MSEC, data_ms), .dflt = "3m", .min = "1s", .max = "1h",
	  .doc = "For the other side to take a block of content." },
	{ "final_timeout", SEND(OPT_MSEC, final_ms), .dflt = "10m", .min = "1s", .max = "1h",
	  .doc = "For the reply to the end of the content; a short one makes duplicates." },
	{ "idle_timeout", SEND(OPT_MSEC, idle_ms), .dflt = "30s", .min = "0", .max = "10m",
	  .doc = "How long an unused connection is kept for the next message." },
	{ "retry_glitch", SEND(OPT_MSEC, retry.glitch_ms), .dflt = "1m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_glitch", .doc = "As queue.retry_glitch, for this connector." },
	{ "retry_glitch_count", SEND(OPT_COUNT, retry.glitch_n), .dflt = "4", .min = "0", .max = "1000",
	  .shown = "queue.retry_glitch_count", .doc = "As queue.retry_glitch_count, for this connector." },
	{ "retry_transient", SEND(OPT_MSEC, retry.transient_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_transient", .doc = "As queue.retry_transient, for this connector." },
	{ "retry_transient_count", SEND(OPT_COUNT, retry.transient_n), .dflt = "6", .min = "0", .max = "1000",
	  .shown = "queue.retry_transient_count", .doc = "As queue.retry_transient_count, for this connector." },
	{ "retry_first", SEND(OPT_MSEC, retry.first_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_first", .doc = "As queue.retry_first, for this connector." },
	{ "retry_max_interval", SEND(OPT_MSEC, retry.max_ms), .dflt = "30m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_max_interval", .doc = "As queue.retry_max_interval, for this connector." },
	{ "retry_message", SEND(OPT_MSEC, retry.message_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_message", .doc = "As queue.retry_message, for this connector." },
	{ "retry_unknown", SEND(OPT_MSEC, retry.unknown_ms), .dflt = "30m", .min = "1s", .max = "1d",
	  .shown = "queue.retry_unknown", .doc = "As queue.retry_unknown, for this connector." },
	{ "expire", SEND(OPT_MSEC, retry.expire_ms), .dflt = "2d", .min = "1m", .max = "30d", .shown = "queue.expire",
	  .doc = "As queue.expire, for this connector." },
	{ "delay_report", SEND(OPT_MSEC, retry.delay_report_ms), .dflt = "4h", .min = "0", .max = "30d",
	  .shown = "queue.delay_report", .doc = "As queue.delay_report, for this connector." },
	{ "peer_expire", SEND(OPT_MSEC, peer_expire_ms), .dflt = "1d", .min = "1m", .max = "30d",
	  .shown = "1d when the peer is the cloud, else 2d",
	  .doc = "With peer: how long the other side keeps trying.  We give up no later, so that both sides tell the same." },
	{ "crl", SEND(OPT_ENUM, crl), crl_names, .dflt = "soft", .shown = "tls.crl",
	  .doc = "What a revocation list, or none, means for the server's certificate, as tls.crl." },
	{ "known_as", SEND(OPT_LIST, known_as), .dflt = "",
	  .doc = "Names by which the other side recognises us (its TlsSenderCertificateName), `name` or `*.name`: a new "
		 "certificate without them does not replace one that has them." },
	{ "validate", SEND(OPT_MSEC, validate_ms), .dflt = "0", .min = "0", .max = "1d",
	  .shown = "the option validate with peer, else 0",
	  .doc = "How often the connector is probed, to every host, from name to EHLO behind TLS; 0 for never." },
	{ "probe_to", SEND(OPT_TEXT, probe_to), .dflt = "",
	  .doc = "Recipient that such a probe asks for (MAIL, RCPT, then RSET); empty to stop at EHLO." },
	{ "echo_to", SEND(OPT_TEXT, echo_to), .dflt = "",
	  .doc = "Address on the other side that sends back what it gets, to echo_from: a mailbox that forwards, or one "
		 "that takes mail and reports it undeliverable.  A small message goes there again and again, and how it comes back "
		 "tells whether the other side still finds and recognises us; empty for none.  Needs peer and "
		 "loop.token_key." },
	{ "echo_from", SEND(OPT_TEXT, echo_from), .dflt = "", .shown = "tombolo-echo@ the default domain",
	  .doc = "Sender of these messages, where they come back to: an address of ours without a mailbox, in an "
		 "authoritative domain; its local part has room for a +tag of 40." },
	{ "echo_every", SEND(OPT_MSEC, echo_ms), .dflt = "15m", .min = "1m", .max = "1d",
	  .doc = "With echo_to: how often, and how long one is waited for." },
};

static const struct option tls_policy[] = {
	{ "tls", POLICY(OPT_ENUM, tls), tls_level_names, .dflt = "encrypt",
	  .doc = "Least protection for mail to this domain: the higher of this and the connector's holds." },
	{ "tls_domain", POLICY(OPT_TEXT, tls_domain), .dflt = "", .shown = "the recipient's domain; the smart host",
	  .doc = "With tls = domain: name the server's certificate must carry, `name` or `*.name`; a tls_domain of the "
		 "connector must be matched as well." },
};

static const struct option journal[] = {
	{ "scope", JOURNAL(OPT_ENUM, scope), journal_scope_names, .dflt = "global",
	  .doc = "All mail, mail from ours to ours, or mail from or to somebody else." },
	{ "of", JOURNAL(OPT_LIST, of), .dflt = "", .shown = "everybody",
	  .doc = "Senders and recipients whose mail it is: addresses and `@domain`." },
	{ "to", JOURNAL(OPT_TEXT, to), .required = true,
	  .doc = "Address of the archive, which gets one report a message." },
	{ "alternate", JOURNAL(OPT_TEXT, alternate), .dflt = "",
	  .doc = "Gets the reports that the archive refuses or is too late for; without it they are held (JOURNAL-LOST)." },
	{ "connector", JOURNAL(OPT_TEXT, connector), .required = true,
	  .doc = "Send section that leads to the archive: the only way for reports.  It has to force TLS, unless it leads to "
		 "our own mailboxes or to this machine." },
};

static const struct option auth[] = {
	{ "workers", FIELD(OPT_COUNT, auth.workers), .dflt = "0", .min = "0", .max = "64", .restart = true,
	  .doc = "Processes that judge SPF and DKIM and sign; each loop has one at least.  0: nothing is judged or signed." },
	{ "program", FIELD(OPT_TEXT, auth.program), .dflt = "", .shown = "tombolo-auth beside tombolod",
	  .restart = true, .doc = "Path of their program." },
	{ "recycle", FIELD(OPT_COUNT, auth.recycle), .dflt = "10000", .min = "1", .max = "100000000",
	  .doc = "Questions and messages after which a fresh worker takes the place of one; the libraries leak." },
	{ "signatures", FIELD(OPT_COUNT, auth.signatures), .dflt = "10", .min = "1", .max = "32",
	  .doc = "DKIM signatures of one message that are judged, the first ones; each costs a look at the DNS and a "
		 "calculation." },
	{ "spf_timeout", FIELD(OPT_MSEC, auth.spf_ms), .dflt = "20s", .min = "1s", .max = "5m",
	  .doc = "Longest time for one SPF verdict, all questions to the DNS together (RFC 7208 4.6.4); then it is temperror." },
	{ "dns_timeout", FIELD(OPT_MSEC, auth.dns_ms), .dflt = "10s", .min = "1s", .max = "1m",
	  .doc = "Longest wait for the DNS about the keys of one message, and for its author's DMARC record; what has no "
		 "answer then is temperror." },
	{ "work_timeout", FIELD(OPT_MSEC, auth.work_ms), .dflt = "10s", .min = "100ms", .max = "5m",
	  .doc = "Longest time a worker may take for one step of its work; then it is killed, and that step is temperror." },
	{ "start_timeout", FIELD(OPT_MSEC, auth.start_ms), .dflt = "30s", .min = "1s", .max = "10m",
	  .doc = "Longest time a worker may take to read the configuration and its keys." },
	{ "memory", FIELD(OPT_BYTES, auth.memory), .dflt = "32M", .min = "4M", .max = "16G",
	  .doc = "Of each loop: what waits for workers, and what is kept to be told again should one die.  Who finds no room "
		 "has temperror." },
	{ "keep", FIELD(OPT_BYTES, auth.keep), .dflt = "256K", .min = "0", .max = "64M",
	  .doc = "Of one message: larger ones cannot be told again when their worker dies over another one." },
};

static const struct option sign[] = {
	{ "domain", SIGN(OPT_TEXT, domain), .dflt = "", .shown = "the name of the section",
	  .doc = "Domain that signs: that of the author (From).  Two keys of one domain are two sections." },
	{ "selector", SIGN(OPT_TEXT, selector), .required = true,
	  .doc = "The public key stands in the DNS at SELECTOR._domainkey.DOMAIN." },
	{ "key", SIGN(OPT_TEXT, key), .required = true,
	  .doc = "File of the private key, PEM, RSA or Ed25519.  Only workers read it, before they give up root: it may "
		 "belong to root, mode 600.  A reload reads it again." },
	{ "min_bits", SIGN(OPT_COUNT, bits), .dflt = "2048", .min = "1024", .max = "16384",
	  .doc = "An RSA key with fewer bits is refused." },
	{ "headers", SIGN(OPT_LIST, headers),
	  .dflt = "From, Sender, Reply-To, To, Cc, Subject, Date, Message-ID, In-Reply-To, References, MIME-Version, "
		  "Content-Type, Content-Transfer-Encoding, List-Id, List-Unsubscribe, List-Unsubscribe-Post",
	  .doc = "Fields that are signed, as often as they are there.  From is signed in any case." },
	{ "oversign", SIGN(OPT_LIST, oversign),
	  .dflt = "From, Reply-To, To, Cc, Subject, Date, Message-ID, MIME-Version, Content-Type, "
		  "Content-Transfer-Encoding",
	  .doc = "Fields that are signed once more than they are there, so that nobody can add one." },
};

static const struct option queue[] = {
	{ "path", FIELD(OPT_TEXT, queue.path), .dflt = "/var/lib/tombolo/queue", .restart = true,
	  .doc = "Directory of the queue." },
	{ "segment_size", FIELD(OPT_BYTES, queue.segment_bytes), .dflt = "64M", .min = "1M", .max = "1G",
	  .restart = true, .doc = "Size of one segment file; they are preallocated and used again." },
	{ "segment_message_max", FIELD(OPT_BYTES, queue.segment_message_max), .dflt = "1M", .min = "1K", .max = "256M",
	  .restart = true, .doc = "Larger messages get a file of their own." },
	{ "map_size", FIELD(OPT_BYTES, queue.map_bytes), .dflt = "16G", .min = "1M", .max = "1T", .restart = true,
	  .doc = "Largest size of the index on disk; the file is sparse." },
	{ "checkpoint", FIELD(OPT_MSEC, queue.checkpoint_ms), .dflt = "1s", .min = "10ms", .max = "1m",
	  .doc = "How far the index may trail the segments: what recovery has to read again." },
	{ "settle_window", FIELD(OPT_MSEC, queue.settle_window_ms), .dflt = "100ms", .min = "0", .max = "10s",
	  .doc = "How long the outcome of a delivery may wait to be written; a crash in it delivers twice." },
	{ "retry_glitch", FIELD(OPT_MSEC, queue.retry.glitch_ms), .dflt = "1m", .min = "1s", .max = "1d",
	  .doc = "No connection: wait before each of the first tries, it may be over soon." },
	{ "retry_glitch_count", FIELD(OPT_COUNT, queue.retry.glitch_n), .dflt = "4", .min = "0", .max = "1000",
	  .doc = "How many tries that is." },
	{ "retry_transient", FIELD(OPT_MSEC, queue.retry.transient_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .doc = "No connection: wait before each of the next tries." },
	{ "retry_transient_count", FIELD(OPT_COUNT, queue.retry.transient_n), .dflt = "6", .min = "0", .max = "1000",
	  .doc = "How many tries that is." },
	{ "retry_first", FIELD(OPT_MSEC, queue.retry.first_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .doc = "No connection for longer than that: this wait, doubled from try to try." },
	{ "retry_max_interval", FIELD(OPT_MSEC, queue.retry.max_ms), .dflt = "30m", .min = "1s", .max = "1d",
	  .doc = "Longest wait between two tries while there is no connection." },
	{ "retry_message", FIELD(OPT_MSEC, queue.retry.message_ms), .dflt = "5m", .min = "1s", .max = "1d",
	  .shown = "retry_first", .doc = "Wait after the server itself answered that it cannot take the message now." },
	{ "retry_unknown", FIELD(OPT_MSEC, queue.retry.unknown_ms), .dflt = "30m", .min = "1s", .max = "1d",
	  .doc = "Wait when a message was sent completely and the answer was lost: the server may have it already." },
	{ "expire", FIELD(OPT_MSEC, queue.retry.expire_ms), .dflt = "2d", .min = "1m", .max = "30d",
	  .doc = "Give up and report after this long." },
	{ "delay_report", FIELD(OPT_MSEC, queue.retry.delay_report_ms), .dflt = "4h", .min = "0", .max = "30d",
	  .doc = "Tell the sender once that the message is late; 0 for never." },
	{ "active_max", FIELD(OPT_COUNT, queue.active_max), .dflt = "20000", .min = "1", .max = "10000000",
	  .doc = "Most messages in delivery at once in one event loop." },
	{ "memory_max", FIELD(OPT_BYTES, queue.memory_max), .dflt = "256M", .min = "1M", .max = "1T",
	  .doc = "Most memory for the content of accepted messages; beyond it content is read back from disk." },
	{ "keep_free", FIELD(OPT_BYTES, queue.keep_free), .dflt = "64M", .min = "0", .max = "1T",
	  .doc = "Free disk space below which no mail is accepted." },
	{ "bounce", FIELD(OPT_FLAG, queue.bounce), .dflt = "yes",
	  .doc = "Write failure reports to senders; `no` only where another system does." },
	{ "report_full_max", FIELD(OPT_BYTES, queue.report_full_max), .dflt = "50K", .min = "0", .max = "256K",
	  .doc = "A report returns a message up to this size whole, when the sender asked for that (RET=FULL)." },
	{ "report_rate", FIELD(OPT_COUNT, queue.report_rate), .dflt = "600", .min = "0", .max = "1000000",
	  .doc = "Most reports a minute; 0 for no limit.  Above it those to strangers are not written, those to our own "
		 "senders wait." },
	{ "report_rate_domain", FIELD(OPT_COUNT, queue.report_rate_domain), .dflt = "60", .min = "0", .max = "1000000",
	  .doc = "The same for the senders of one domain." },
	{ "double_bounce_copy", FIELD(OPT_FLAG, queue.double_bounce_copy), .dflt = "no",
	  .doc = "Tell the postmaster about reports that could not be delivered." },
};

static const struct option limits[] = {
	{ "message_max", FIELD(OPT_BYTES, limits.message_max), .dflt = "36MB", .min = "64K", .max = "4G",
	  .doc = "Largest message." },
	{ "header_max", FIELD(OPT_BYTES, limits.header_max), .dflt = "256K", .min = "16K", .max = "16M",
	  .doc = "Largest header of a message." },
	{ "header_fields", FIELD(OPT_COUNT, limits.header_fields), .dflt = "1000", .min = "100", .max = "100000",
	  .doc = "Most header fields in a message." },
	{ "recipients", FIELD(OPT_COUNT, limits.recipients), .dflt = "200", .min = "100", .max = "100000",
	  .doc = "Most recipients in a transaction; the rest is told to come in another one." },
	{ "memory_per_session", FIELD(OPT_BYTES, limits.memory_per_session), .dflt = "1M", .min = "64K", .max = "64M",
	  .doc = "Most memory for the envelope of one session." },
	{ "connections", FIELD(OPT_COUNT, limits.connections), .dflt = "5000", .min = "1", .max = "1000000",
	  .doc = "Most clients at once." },
	{ "connections_per_ip", FIELD(OPT_COUNT, limits.connections_per_ip), .dflt = "20", .min = "1", .max = "1000000",
	  .doc = "Most of them from one address, or from one /64 of IPv6." },
	{ "connection_rate", FIELD(OPT_COUNT, limits.connection_rate), .dflt = "600", .min = "0", .max = "1000000",
	  .doc = "Most new connections a minute from one client network (an address, or a /64 of IPv6); 0 for no limit. "
		 "What was not used in ten seconds is lost.  Rates do not hold for our own servers and the other side." },
	{ "message_rate", FIELD(OPT_COUNT, limits.message_rate), .dflt = "1200", .min = "0", .max = "1000000",
	  .doc = "Most messages a minute from one client network; 0 for no limit." },
	{ "recipient_rate", FIELD(OPT_COUNT, limits.recipient_rate), .dflt = "6000", .min = "0", .max = "1000000",
	  .doc = "Most recipients a minute from one client network; 0 for no limit." },
	{ "unknown_rate", FIELD(OPT_COUNT, limits.unknown_rate), .dflt = "300", .min = "0", .max = "1000000",
	  .doc = "Most refused recipients a minute from one client network; above it all of its recipients are told to "
		 "come later, without a look at the table.  0 for no limit." },
	{ "rate_exempt", FIELD(OPT_LIST, limits.rate_exempt), .dflt = "127.0.0.0/8, ::1",
	  .doc = "Ranges of clients whose rates are not limited, such as a filter service in front of this gateway." },
	{ "rate_networks", FIELD(OPT_COUNT, limits.rate_networks), .dflt = "50000", .min = "100", .max = "10000000",
	  .doc = "Client networks without a connection whose rates are remembered; the one silent for longest is "
		 "forgotten first." },
	{ "outbound_connections", FIELD(OPT_COUNT, limits.outbound_connections), .dflt = "1000", .min = "1",
	  .max = "100000", .doc = "Most connections to other servers at once." },
	{ "errors", FIELD(OPT_COUNT, limits.errors), .dflt = "5", .min = "1", .max = "1000",
	  .doc = "Protocol errors after which a client is dropped." },
	{ "junk_commands", FIELD(OPT_COUNT, limits.junk_commands), .dflt = "100", .min = "1", .max = "100000",
	  .doc = "Commands that lead nowhere (NOOP, RSET, EHLO, VRFY) between two messages before a client is dropped." },
	{ "lines_discarded", FIELD(OPT_COUNT, limits.lines_discarded), .dflt = "10", .min = "0", .max = "1000",
	  .doc = "Command lines too long to read before a client is dropped." },
	{ "greeting_timeout", FIELD(OPT_MSEC, limits.greeting_ms), .dflt = "5m", .min = "1s", .max = "1h",
	  .doc = "For the first command of a client." },
	{ "command_timeout", FIELD(OPT_MSEC, limits.command_ms), .dflt = "5m", .min = "1s", .max = "1h",
	  .doc = "For each further command." },
	{ "data_timeout", FIELD(OPT_MSEC, limits.data_ms), .dflt = "5m", .min = "1s", .max = "1h",
	  .doc = "For each block of content after DATA." },
	{ "bdat_timeout", FIELD(OPT_MSEC, limits.bdat_ms), .dflt = "5m", .min = "1s", .max = "1h",
	  .doc = "For each block of content after BDAT." },
	{ "tls_timeout", FIELD(OPT_MSEC, limits.tls_ms), .dflt = "1m", .min = "1s", .max = "10m",
	  .doc = "For a TLS handshake." },
	{ "proxy_timeout", FIELD(OPT_MSEC, limits.proxy_ms), .dflt = "5s", .min = "1s", .max = "1m",
	  .doc = "For the PROXY header of a load balancer." },
	{ "session_timeout", FIELD(OPT_MSEC, limits.session_ms), .dflt = "1h", .min = "1s", .max = "1d",
	  .doc = "For a session as a whole." },
	{ "early_talker", FIELD(OPT_MSEC, limits.early_talker_ms), .dflt = "0", .min = "0", .max = "30s",
	  .doc = "Wait before the banner; a client that talks in it is refused.  0 to not wait." },
	{ "min_data_rate", FIELD(OPT_BYTES, limits.min_data_rate), .dflt = "1K", .min = "0", .max = "1M",
	  .doc = "Bytes a second a sender of content must keep on average; 0 for any." },
	{ "bare_lf", FIELD(OPT_ENUM, limits.bare_lf), wire_policy_names, .dflt = "reject",
	  .doc = "Content with a lone CR, LF or NUL: refuse the message, or make the line ends right.  Neither lets a "
		 "message be smuggled in." },
	{ "from_header", FIELD(OPT_ENUM, limits.author), author_names, .dflt = "one",
	  .doc = "From of a stranger's or a partner's message: any; at most one, with one address that all readers read "
		 "alike, or none; or required to be there, too.  Others are refused with 550 5.6.0." },
};

#define MARKS(word, r, d, text) \
	{ \
		word, FIELD(OPT_LIST, pressure.lists[r]), .dflt = d, .doc = text \
	}

static const struct option pressure[] = {
	{ "shed", FIELD(OPT_FLAG, pressure.shed), .dflt = "yes",
	  .doc = "Turn senders away while resources are short, strangers first; no to only tell." },
	MARKS("disk", RES_DISK, "96, 99, 97, 94",
	      "Percent of the file system of the queue that is used, by bytes or inodes."),
	MARKS("map", RES_MAP, "80, 90, 85, 75", "Percent of queue.map_size or recipients.map_size that is used."),
	MARKS("memory", RES_MEMORY, "88, 94, 89, 84", "Percent of the machine's memory that is used."),
	MARKS("process", RES_PROCESS, "72, 75, 73, 71",
	      "Percent of the memory the process may have (its control group's limit, else the machine's) that it has."),
	MARKS("stall", RES_STALL, "20, 40, 30, 10",
	      "Percent of the last ten seconds in which everything waited for memory, as the kernel counts it."),
	MARKS("files", RES_FILES, "85, 95, 90, 80", "Percent of the descriptors the process may open that are open."),
	MARKS("waiting", RES_WAITING, "40, 80, 60, 20",
	      "Percent of queue.memory_max that is content waiting to be made durable."),
	MARKS("sync", RES_SYNC, "500, 2000, 1000, 250",
	      "Milliseconds in which 99 of 100 syncs of the queue ended, over two seconds."),
	MARKS("messages", RES_MESSAGES, "1000000, 1500000, 1000000, 200000", "Messages in the queue."),
};

static const struct option metrics[] = {
	{ "listen", FIELD(OPT_LIST, metrics.listen), .dflt = "", .restart = true,
	  .doc = "Addresses at which a monitoring system may fetch `http://ADDRESS/metrics` (OpenMetrics); empty for "
		 "none." },
	{ "from", FIELD(OPT_LIST, metrics.from), .dflt = "127.0.0.0/8, ::1", .doc = "Ranges of clients that may." },
	{ "hops", FIELD(OPT_COUNT, metrics.hops), .dflt = "50", .min = "0", .max = "100",
	  .doc = "Next hops that are told apart, the busiest first; the rest is summed up as `other`." },
};

static const struct option beside[] = {
	{ "listen", FIELD(OPT_LIST, beside.listen), .dflt = "", .restart = true,
	  .doc = "Where Postfix and Sendmail may ask for table entries (socketmap) and tombolo-milter for decisions: "
		 "`127.0.0.1:9626`, or the path of a socket.  Empty for nowhere.  Whoever can connect may ask the tables; "
		 "only root, our own user and control_operators may ask for decisions, by a path." },
	{ "clients", FIELD(OPT_COUNT, beside.clients), .dflt = "500", .min = "1", .max = "100000",
	  .doc = "Most of these connections at a time; each process of Postfix that asks keeps one." },
	{ "transport", FIELD(OPT_TEXT, beside.transport), .dflt = "smtp",
	  .doc = "Service of Postfix's master.cf that the map `transport` names for whatever goes to another server." },
	{ "own_mailboxes", FIELD(OPT_FLAG, beside.own_mailboxes), .dflt = "no",
	  .doc = "Mail for mailboxes of this side is the MTA's own to deliver: the map `transport` says nothing about it, "
		 "instead of naming the send connector's server." },
	{ "milter", FIELD(OPT_TEXT, beside.milter), .dflt = "inet:9627@127.0.0.1",
	  .doc = "Where tombolo-milter listens, in libmilter's words: `inet:PORT@ADDRESS` or `unix:PATH`." },
	{ "milter_user", FIELD(OPT_TEXT, beside.milter_user), .dflt = "", .shown = "user",
	  .doc = "Account tombolo-milter becomes." },
	{ "ask", FIELD(OPT_TEXT, beside.ask), .dflt = "", .shown = "the first path in listen",
	  .doc = "Path of the socket at which tombolo-milter asks tombolod." },
	{ "patience", FIELD(OPT_MSEC, beside.patience_ms), .dflt = "10s", .min = "100ms", .max = "5m",
	  .doc = "How long tombolo-milter waits for an answer of tombolod." },
	{ "unanswered", FIELD(OPT_ENUM, beside.unanswered), beside_unanswered_names, .dflt = "tempfail",
	  .doc = "What it does without one: 451 to the client, or the message passes as it is, undecided and unfiltered." },
	{ "certificates", FIELD(OPT_ENUM, beside.certificates), beside_trust_names, .dflt = "route",
	  .doc = "How far the name of a client's certificate is believed that the MTA reports: not at all; to tell where "
		 "mail comes from; or to believe its organisation headers, too." },
	{ "hold", FIELD(OPT_ENUM, beside.hold), beside_hold_names, .dflt = "quarantine",
	  .doc = "What the milter has the MTA do with mail whose way out is closed: keep it until an administrator "
		 "releases it, or answer 451 so that the client does." },
	{ "rewrite", FIELD(OPT_FLAG, beside.rewrite), .dflt = "yes",
	  .doc = "The milter replaces recipients by the addresses the decision gives them: routing address, redirection, "
		 "members." },
	{ "firewall", FIELD(OPT_FLAG, beside.firewall), .dflt = "yes",
	  .doc = "The milter takes out the header fields that who sent them may not write." },
	{ "decision_header", FIELD(OPT_TEXT, beside.decision_header), .dflt = "",
	  .doc = "Name of a header field in which the milter writes what was decided, such as X-Tombolo-Decision; fields of "
		 "that name that came with the message are taken out.  Empty for none." },
};

static const struct option log_options[] = {
	{ "file", FIELD(OPT_TEXT, log.file), .dflt = "", .shown = "standard error", .doc = "Path of the log." },
	{ "level", FIELD(OPT_ENUM, log.level), log_level_names, .dflt = "info", .doc = "Least level that is written." },
	{ "format", FIELD(OPT_ENUM, log.format), log_format_names, .dflt = "text",
	  .doc = "`key=value` lines or one JSON object a line." },
};

static const struct option track[] = {
	{ "path", FIELD(OPT_TEXT, track.path), .dflt = "", .restart = true,
	  .doc = "Path of the tracking log, such as /var/log/tombolo/track.jsonl; older files get the time they were put "
		 "aside behind their name.  Empty for none." },
	{ "format", FIELD(OPT_ENUM, track.format), track_format_names, .dflt = "json", .restart = true,
	  .doc = "One JSON object a line, which `tombolo trace` and `simulate` read, or the CSV that tools for Exchange's "
		 "message tracking log read." },
	{ "retain", FIELD(OPT_MSEC, track.retain_ms), .dflt = "30d", .min = "1h", .max = "3650d", .restart = true,
	  .doc = "How long a file that was put aside is kept." },
	{ "rotate", FIELD(OPT_BYTES, track.rotate_bytes), .dflt = "256M", .min = "64K", .max = "1T", .restart = true,
	  .doc = "Size at which the file is put aside; that is also done at the end of each day (UTC)." },
	{ "subject", FIELD(OPT_ENUM, track.subject), track_subject_names, .dflt = "off", .restart = true,
	  .doc = "Subjects in the tracking log: left out, as a hash that tells equal ones, or as they are." },
	{ "ring", FIELD(OPT_BYTES, track.ring_bytes), .dflt = "1M", .min = "64K", .max = "1G", .restart = true,
	  .doc = "Memory of each event loop for events that wait to be written; what does not fit is counted "
		 "(TRACK-LOST), never waited for." },
};

static const struct option replay[] = {
	{ "path", FIELD(OPT_TEXT, replay.path), .dflt = "", .restart = true,
	  .doc = "Folder for copies of delivered mail, encrypted, such as /var/lib/tombolo/replay.  Empty: nothing is kept." },
	{ "key", FIELD(OPT_TEXT, replay.key), .dflt = "", .restart = true,
	  .doc = "File of keys, lines `ID HEX` of at least 32 bytes, newest first; the others only read what they wrote." },
	{ "domains", FIELD(OPT_LIST, replay.domains), .dflt = "", .restart = true,
	  .doc = "Domains of recipients whose mail is kept: `name`, `*.name` (with name itself) or `*`." },
	{ "keep", FIELD(OPT_MSEC, replay.keep_ms), .dflt = "2d", .min = "1m", .max = "30d", .restart = true,
	  .doc = "How long." },
	{ "size", FIELD(OPT_BYTES, replay.size_max), .dflt = "4G", .min = "1M", .max = "16T", .restart = true,
	  .doc = "Most disk it takes; the oldest go first." },
	{ "message_max", FIELD(OPT_BYTES, replay.message_max), .dflt = "32M", .min = "1K", .max = "256M",
	  .restart = true, .doc = "Messages above this are not kept." },
	{ "memory", FIELD(OPT_BYTES, replay.memory), .dflt = "64M", .min = "64K", .max = "4G", .restart = true,
	  .doc = "Memory for copies that wait for the disk; what does not fit is not kept, and counted." },
	{ "rate", FIELD(OPT_COUNT, replay.rate), .dflt = "1200", .min = "1", .max = "1000000", .restart = true,
	  .doc = "Most messages a minute that `tombolo replay send` puts into the queue." },
};

const struct section sections[] = {
	{ ONE("", top), .doc = "Options outside of all sections." },
	{ ONE("mode", mode), .doc = "Where the flow of mail starts; changed while running with `tombolo mode set`." },
	{ ONE("cmt", cmt), .doc = "Central transport while the other side is down." },
	{ ONE("egress", egress),
	  .doc = "The way out to the Internet: direct (by MX), cloud (through the other side) or "
		 "smarthost." },
	{ ONE("loop", loop), .doc = "When a message goes in circles." },
	{ MANY("domain", domain, struct conf_domain, domains, domain_n), .doc = "One accepted domain." },
	{ ONE("recipients", recipients), .doc = "The table that says where each mailbox is." },
	{ ONE("srs", srs),
	  .doc = "Senders rewritten for forwarding, so that SPF holds at the next host; see send.srs_domain." },
	{ ONE("tls", tls), .doc = "Certificates and trust." },
	{ MANY("receive", receive, struct conf_receive, receives, receive_n),
	  .doc = "A place to listen and who may do what there." },
	{ MANY("milter", milter, struct conf_milter, milters, milter_n),
	  .doc = "A content filter of the kind that Sendmail and Postfix ask, for receive.milters.  See docs/MILTERS.md." },
	{ MANY("inbound", inbound, struct conf_inbound, inbounds, inbound_n),
	  .doc = "Who is calling: recognises the other side and partners.  Certificate first, then address, then the "
		 "sender's domain." },
	{ MANY("send", send_options, struct conf_send, sends, send_n),
	  .doc = "A way out.  The most specific space wins, then the lowest cost, then the name." },
	{ MANY("tls_policy", tls_policy, struct conf_tls_policy, tls_policies, tls_policy_n),
	  .doc = "Least TLS towards a recipient domain, `name`, `*.name` (with name itself) or `*`.  All that match count; "
		 "the highest level holds, and never less than the connector's." },
	{ MANY("journal", journal, struct conf_journal, journals, journal_n),
	  .doc = "A journal: copies of mail for an archive, each in a report on who got it.  See docs/JOURNAL.md." },
	{ ONE("auth", auth), .doc = "Who wrote it: SPF and DKIM, in processes of their own.  See docs/AUTH.md." },
	{ MANY("sign", sign, struct conf_sign, signs, sign_n),
	  .doc = "A DKIM key.  Mail that leaves for the Internet is signed when the domain of its author has one and has not "
		 "signed it already." },
	{ ONE("queue", queue), .doc = "Where accepted mail is kept, and for how long it is tried." },
	{ ONE("limits", limits), .doc = "What a client may cost." },
	{ ONE("pressure", pressure),
	  .doc = "When resources are short.  Four numbers each: from which value on the level is medium, from which high; below "
		 "which it is medium again, below which low." },
	{ ONE("metrics", metrics), .doc = "Figures for a monitoring system.  See docs/METRICS.md." },
	{ ONE("beside", beside),
	  .doc = "Beside an MTA that stays in its place.  See docs/BESIDE-POSTFIX.md and docs/BESIDE-SENDMAIL.md." },
	{ ONE("log", log_options), .doc = "What is written about all this." },
	{ ONE("track", track),
	  .doc = "The tracking log: every step of every message, for `tombolo trace` and `tombolo simulate`." },
	{ ONE("replay", replay),
	  .doc = "Copies of delivered mail, to send it again when a server behind this gateway lost it.  See docs/REPLAY.md." },
};
const size_t section_n = COUNT(sections);

const struct section *section_find(struct str name)
{
	for (size_t i = 0; i < section_n; i++)
		if (str_eq(str_c(sections[i].name), name))
			return &sections[i];
	return NULL;
}

const struct option *option_find(const struct section *s, struct str name)
{
	must(s->option_n <= SECTION_OPTIONS_MAX);
	for (size_t i = 0; i < s->option_n; i++)
		if (str_eq(str_c(s->options[i].name), name))
			return &s->options[i];
	return NULL;
}

size_t section_count(const struct section *s, const struct config *c)
{
	size_t n = 1;

	if (s->size > 0)
		memcpy(&n, (const char *)c + s->count, sizeof n);
	return n;
}

void *section_item(const struct section *s, const struct config *c, size_t i)
{
	char *base = (char *)(uintptr_t)c;

	must(i < section_count(s, c));
	if (s->size > 0) {
		memcpy(&base, (const char *)c + s->array, sizeof base);
		base += i * s->size;
	}
	return base;
}
