/* config/config.h: what the administrator said, as plain structs.
 *
 * Made from one file by config_load: defaults and ranges come from the option table (config/schema.c), rules across
 * options from config/check.c.  A config is immutable, shared by reference count (any thread), and swapped whole at
 * reload. Rooms receive the part they need (const struct conf_queue *), never the whole.  Names follow spec Appendix B.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/net.h"

/* C types of options; see FIELD in config/schema.h. */
typedef bool conf_flag;
typedef int64_t conf_msec;
typedef uint64_t conf_bytes;
typedef int64_t conf_count;
typedef struct str conf_text; /* also NUL-terminated at p[n] */
struct conf_list {
	struct str *v;
	size_t n;
}; /* each element NUL-terminated too */

enum conf_site { SITE_ONPREM, SITE_CLOUD };
enum conf_side { SIDE_ONPREM, SIDE_CLOUD }; /* where the MX points */
enum conf_stragglers { STRAGGLERS_TAG, STRAGGLERS_DEFER, STRAGGLERS_REJECT };
enum conf_egress { EGRESS_DIRECT, EGRESS_CLOUD, EGRESS_SMARTHOST };
enum conf_codes { CODES_STANDARD, CODES_EXCHANGE };
enum conf_domain_type { DOMAIN_AUTHORITATIVE, DOMAIN_INTERNAL_RELAY, DOMAIN_EXTERNAL_RELAY };
enum conf_tls_level { TLS_NONE, TLS_MAY, TLS_ENCRYPT, TLS_VALIDATE, TLS_DOMAIN }; /* rising */
enum conf_match { MATCH_STRICT, MATCH_EXCHANGE };
enum conf_inbound_type { INBOUND_PEER, INBOUND_PARTNER };
enum conf_ip_trust { IP_TRUST_NONE, IP_TRUST_FULL };
enum conf_own_tenant { OWN_TENANT_NO, OWN_TENANT_REPORT, OWN_TENANT_YES };
enum conf_crl { CRL_OFF, CRL_SOFT, CRL_HARD };
enum conf_eku { EKU_SERVER_OR_CLIENT, EKU_CLIENT, EKU_ANY };
enum conf_forwarded { FORWARDED_RETURN, FORWARDED_DIRECT };
enum conf_loop_action { LOOP_DEFER_THEN_REJECT, LOOP_REJECT };
enum conf_wire_policy { BARE_REJECT, BARE_NORMALISE };
enum conf_author { AUTHOR_RULE_ANY, AUTHOR_RULE_ONE, AUTHOR_RULE_REQUIRED };
enum conf_journal_scope { JOURNAL_GLOBAL, JOURNAL_INTERNAL, JOURNAL_EXTERNAL };
enum conf_milter_default {
	MILTER_DEFAULT_TEMPFAIL,
	MILTER_DEFAULT_ACCEPT,
	MILTER_DEFAULT_REJECT,
	MILTER_DEFAULT_QUARANTINE
};
enum conf_headers { HEADERS_TRANSPARENT, HEADERS_ENDPOINT };
enum conf_track_format { TRACK_FORMAT_JSON, TRACK_FORMAT_CSV };
enum conf_track_subject { TRACK_SUBJECT_OFF, TRACK_SUBJECT_HASH, TRACK_SUBJECT_ON };

struct conf_mode { /* where the flow starts; later changes live in the recipient store (routing/epoch) */
	enum conf_side mx;
	conf_flag cmt;
	conf_msec grace_ms;
	enum conf_stragglers stragglers;
	enum conf_forwarded forwarded; /* cmt_forwarded */
	/* a switch (routing/switch.h) */
	conf_msec ttl_max_ms, quiet_ms, lock_defer_ms, table_age_ms, probe_age_ms;
	conf_count threshold, queue_max, straggler_sources;
	struct conf_list allow; /* CIDR of sources that are never refused as stragglers; parsed in allow_ranges */
	struct net_cidr *allow_ranges;
	size_t allow_n;
};

enum conf_peer_down { PEER_DOWN_QUEUE, PEER_DOWN_BYPASS, PEER_DOWN_CLASSES };
enum { BYPASS_DSN = 1 << 0, BYPASS_INBOUND = 1 << 1, BYPASS_OUTBOUND = 1 << 2 };

struct conf_cmt { /* central transport while the other side is down (spec 1.7) */
	enum conf_peer_down on_peer_down;
	struct conf_list classes;
	unsigned class_bits; /* BYPASS_* of the list */
	conf_msec bypass_after_ms;
	conf_count quota; /* recipients an hour; 0 = no limit */
};

struct conf_egress_policy {
	enum conf_egress onprem, cmt;
	struct conf_list onprem_addresses, cloud_addresses; /* ranges, or names to be included in SPF records */
};

struct conf_loop {
	conf_count max_hops, max_local_hops, max_redirects;
	enum conf_loop_action action;
	conf_msec defer_ms, move_grace_ms, disagreement_defer_ms;
	conf_text token_key; /* file of route token keys; empty = no tokens */
};

struct conf_domain {
	conf_text name; /* A-labels, lower case */
	enum conf_domain_type type, peer_type;
	conf_text routing_domain; /* the peer's coexistence domain, for addresses u@contoso.mail.cloud.example */
	conf_flag own_routing;    /* this domain itself is the routing domain of *our* side (ROUTING_SELF) */
	conf_text relay_to;       /* "peer", "mx" or "host:NAME[:PORT]" for external_relay and unknown recipients */
	conf_text plus;           /* separator characters; empty = no plus addressing */
	conf_flag match_subdomains, exact_case, is_default;
	conf_flag routing_public; /* accept Internet mail for the peer's routing domain (R16) */
	int line;
};

struct conf_recipients {
	conf_text path;
	conf_bytes map_bytes;
	conf_count delete_threshold, delete_percent;
	conf_msec max_age_ms;                        /* 0 = never stale */
	conf_count group_members;                    /* of one group */
	conf_count expansion_limit, expansion_total; /* recipients: of one copy; of one message, all groups expanded */
};

struct conf_srs {
	conf_text key; /* file of keys, as loop.token_key; empty = senders are not rewritten */
};

struct conf_tls {
	conf_text store;            /* folder of our certificates; empty = none */
	conf_text certificate, key; /* reference (see conf_in_store) and key file; for every listener without its own */
	conf_text ca;               /* PEM file of trusted roots; empty = the system's */
	conf_text min;              /* "1.2" or "1.3" */
	enum conf_crl crl;
	conf_text crl_file, crl_dir; /* both may be given; crl = off reads neither */
	enum conf_eku client_cert_eku;
	struct conf_list crl_fetch; /* URLs, and "auto" */
	bool crl_points;            /* "auto" is among them: the distribution points of certificates too */
	conf_text crl_cache;        /* folder of what was fetched */
	conf_msec crl_fetch_ms;
	conf_bytes crl_fetch_max;
	conf_msec overlap_ms; /* how long a new certificate stands by */
	bool crl_of_inbound;  /* an inbound section looks at lists, whatever `crl` says */
	bool crl_used;        /* somebody does */
};

enum { /* receive.permissions, as bits (spec 3.1) */
       PERM_SUBMIT = 1 << 0,
       PERM_RELAY = 1 << 1,
       PERM_ANY_SENDER = 1 << 2,
       PERM_OWN_DOMAIN_SENDER = 1 << 3,
       PERM_AUTH_FLAG = 1 << 4,
       PERM_BYPASS_SPAM = 1 << 5,
       PERM_BYPASS_SIZE = 1 << 6,
       PERM_HDR_ROUTING = 1 << 7,
       PERM_HDR_ORG = 1 << 8,
       PERM_XOORG = 1 << 9,
       PERM_CLOUD_MAIL = 1 << 10,
};

struct conf_milter { /* a content filter that is asked (docs/MILTERS.md) */
	conf_text name;
	conf_text
		address; /* "unix:/run/x.sock", "inet:127.0.0.1:8891", "inet:8891@localhost"; parsed in the next two */
	struct str path; /* unix; NUL-terminated; empty: inet */
	struct net_addr addr;                    /* inet */
	enum conf_milter_default default_action; /* when it is not there or does not make sense */
	conf_msec connect_ms, command_ms, content_ms, end_ms;
	conf_flag reuse;           /* its connections serve one session after the other */
	conf_msec progress_max_ms; /* one answer, however often it says that it is busy */
	int line;
};

enum conf_judge { JUDGE_OFF, JUDGE_REPORT, JUDGE_ENFORCE };
enum conf_judged { JUDGED_TAG, JUDGED_HOLD, JUDGED_REJECT };
enum conf_unsure { UNSURE_ACCEPT, UNSURE_DEFER };

struct conf_dmarc { /* mail whose author somebody else may have been (auth/policy.h) */
	enum conf_judge mode;
	enum conf_judged reject, quarantine;      /* what becomes of mail that the author's domain wants so */
	enum conf_judged author;                  /* ... of mail that names no one author domain */
	enum conf_unsure unsure;                  /* ... when the DNS did not say */
	struct conf_list arc_trusted, forwarders; /* domains, A-labels */
};

struct conf_receive {
	conf_text name;
	struct conf_list listen; /* "0.0.0.0:25"; parsed in addrs */
	struct net_addr *addrs;
	size_t addr_n;
	struct conf_list from; /* CIDR; parsed in ranges */
	struct net_cidr *ranges;
	size_t range_n;
	struct conf_list permissions; /* preset anonymous | users | servers | partner | peer, or single names */
	unsigned perms;               /* PERM_* of the list */
	unsigned origin; /* enum env_origin the preset gives: anonymous INTERNET, users APP, servers LOCAL */
	conf_text fqdn;  /* banner, EHLO, Received; default: config.hostname */
	conf_bytes size; /* 0 = limits.message_max */
	conf_flag require_tls, starttls;
	struct conf_list proxy_from; /* CIDR of peers that speak the PROXY protocol first; parsed in proxies */
	struct net_cidr *proxies;
	size_t proxy_n;
	conf_msec tarpit_ms;
	struct conf_list milters; /* names, in the order they are asked; resolved in filters */
	const struct conf_milter **filters;
	size_t filter_n;
	conf_text certificate, key; /* empty = tls.* */
	struct conf_list known_as;  /* patterns the other side wants in it */
	struct conf_dmarc dmarc;
	int line;
};

struct conf_inbound { /* who is calling (spec 3.3) */
	conf_text name;
	enum conf_inbound_type type;
	struct conf_list sender_certificate; /* patterns "name" or "*.name" */
	struct conf_list sender_ip;          /* CIDR; parsed in ranges */
	struct net_cidr *ranges;
	size_t range_n;
	struct conf_list sender_domains; /* partner: P1 domains it is for */
	enum conf_match match;
	conf_flag expand_presented_wildcard;
	conf_flag require_tls, restrict_cert, restrict_ip;
	conf_flag cloud_mail, org_required, return_internal, peer_relay;
	struct conf_list trusted_orgs;
	enum conf_ip_trust ip_trust;
	conf_text ip_trust_until;  /* "2027-01-31" */
	int64_t ip_trust_until_ms; /* wall clock, the end of that day (UTC); 0 = no date */
	enum conf_own_tenant own_tenant_only;
	conf_flag enabled;
	enum conf_eku client_cert_eku; /* default: of tls; crl too */
	enum conf_crl crl;
	int line;
};

struct conf_tls_policy {   /* least protection towards a recipient domain, whatever connector leads there (spec 3.7) */
	conf_text name;    /* as written: "name", "*.name" or "*" */
	struct str domain; /* without "*.", A-labels; empty for "*" */
	bool any, sub;     /* "*"; "*.name": name and all below */
	enum conf_tls_level tls;
	conf_text tls_domain; /* pattern the server's certificate must match; empty = the right default of the hop */
	int line;
};

struct conf_journal { /* whose mail is kept, and where (spec 6.6) */
	conf_text name;
	enum conf_journal_scope scope;
	struct conf_list of;     /* addresses, "@domain"; empty = everybody */
	conf_text to, alternate; /* alternate empty: what the archive refuses is held */
	conf_text connector;     /* send section, the only way there */
	int line;
};

/* When to try again and when to give up (spec 6.3, docs/DELIVERY.md).  A send connector has its own, complete one: what
 * it does not say is the queue's. */
struct conf_retry {
	conf_msec glitch_ms, transient_ms; /* no connection: the first tries, and those after them ... */
	conf_count glitch_n, transient_n;
	conf_msec first_ms, max_ms; /* ... and from there on, growing from the one to the other */
	conf_msec message_ms;       /* the server answered "later" */
	conf_msec unknown_ms;       /* all was sent, the answer was lost */
	conf_msec expire_ms, delay_report_ms;
};

struct conf_space {
	struct str domain;
	unsigned cost;
	bool any, sub, local, peer;
}; /* "*", "*.d", "d", "@local", "@peer" */

struct conf_send { /* which way out (spec 3.2, 3.6) */
	conf_text name;
	struct conf_list space; /* "contoso.mail.cloud.example;1", "*;10", "@local", "@peer"; parsed in spaces */
	struct conf_space *spaces;
	size_t space_n;
	struct conf_list smarthosts; /* "host", "host:port", "[192.0.2.1]:25"; empty = DNS routing */
	conf_flag dns;               /* route by MX of the recipient domain */
	conf_count port;
	enum conf_tls_level tls;
	conf_text tls_domain; /* pattern the server's certificate must match at level domain */
	enum conf_match match;
	conf_text certificate, key; /* our client certificate; empty = none */
	conf_text ca;               /* empty = tls.ca */
	conf_text fqdn;             /* EHLO name; empty = hostname */
	conf_text source;           /* local address to connect from */
	struct net_addr source_addr;
	conf_bytes max_size;                /* 0 = unlimited */
	conf_flag exclusive, has_exclusive; /* default: yes when tls >= validate or peer */
	conf_flag peer;                     /* leads to the other side of the hybrid organisation */
	conf_text srs_domain;               /* strangers' mail leaves under addresses of this domain of ours */
	conf_text xoorg;                    /* organisation to claim where the peer offers XOORG */
	enum conf_headers headers;          /* the organisation's headers: passed as they are, or made and read by us */
	conf_flag cloud_mail;               /* they may leave by it (spec 4.2 X2); default: with peer */
	conf_flag clean_headers;            /* they may not (X0); default: unless for @local or cloud_mail */
	struct conf_list demote;            /* names demoted beside the built-in ones */
	conf_flag set_scl;
	conf_flag sign; /* with the keys of the author's domain, where it leads to the Internet */
	conf_flag enabled, scoped;
	conf_count connections, messages_per_connection, recipients_per_message;
	conf_count connections_first;             /* a new destination begins with so many */
	conf_count connection_rate, message_rate; /* a minute; 0 = no limit */
	conf_count breaker_faults;
	conf_msec breaker_pause_ms, breaker_pause_max_ms;
	conf_msec connect_ms, command_ms, data_ms, final_ms, idle_ms;
	struct conf_retry retry;
	conf_msec peer_expire_ms;  /* the other side gives up after this; retry.expire_ms is never longer with `peer` */
	enum conf_crl crl;         /* default: of tls */
	struct conf_list known_as; /* patterns by which the other side knows our certificate */
	conf_msec validate_ms;     /* between two probes; 0 = none */
	conf_text probe_to;        /* recipient a probe asks for; empty = none */
	conf_text echo_to;         /* address over there that sends back what it gets; empty = no echoes */
	conf_text echo_from;       /* where it sends it back to */
	conf_msec echo_ms;         /* between two of them, and how long one is waited for */
	int line;
};

struct conf_queue {
	conf_text path;
	conf_bytes segment_bytes, segment_message_max, map_bytes;
	conf_msec checkpoint_ms, settle_window_ms;
	struct conf_retry retry;
	conf_count active_max;                      /* leases a loop holds at once */
	conf_bytes memory_max;                      /* content of accepted messages kept in memory */
	conf_bytes keep_free;                       /* free disk space below which nothing is accepted */
	conf_flag bounce;                           /* make failure reports */
	conf_bytes report_full_max;                 /* RET=FULL returns messages up to this size whole */
	conf_count report_rate, report_rate_domain; /* reports a minute: in all, to one sender's domain; 0 = no limit */
	conf_flag double_bounce_copy;
};

struct conf_limits {
	conf_bytes message_max, header_max, memory_per_session;
	conf_count header_fields, recipients, connections, connections_per_ip, errors, junk_commands, lines_discarded;
	conf_msec greeting_ms, command_ms, data_ms, bdat_ms, tls_ms, proxy_ms, session_ms, early_talker_ms;
	conf_bytes min_data_rate; /* bytes a second a sender of content must keep, on average over data_ms */
	enum conf_wire_policy bare_lf;
	enum conf_author author; /* what From of a stranger has to be */
	conf_count outbound_connections;
	/* a minute, of one client network; 0 = no limit */
	conf_count connection_rate, message_rate, recipient_rate, unknown_rate;
	conf_count rate_networks;
	struct conf_list rate_exempt;
	struct net_cidr *exempt; /* parsed */
	size_t exempt_n;
};

/* What the machine may run short of (spec 6.4).  Percent used, but for messages and milliseconds of a sync. */
enum conf_resource {
	RES_DISK,
	RES_MAP,
	RES_MEMORY,
	RES_PROCESS,
	RES_STALL,
	RES_FILES,
	RES_WAITING,
	RES_SYNC,
	RES_MESSAGES,
	RES_N,
};

struct conf_marks {                          /* the level changes when the value reaches one */
	int64_t medium, high;                /* rising */
	int64_t back_to_medium, back_to_low; /* falling */
};

struct conf_pressure {
	conf_flag shed;                 /* act on it, not only tell */
	struct conf_list lists[RES_N];  /* as written: MEDIUM, HIGH, BACK TO MEDIUM, BACK TO LOW */
	struct conf_marks marks[RES_N]; /* parsed */
};
const char *conf_resource_name(enum conf_resource r); /* "disk" */

enum { METRICS_LISTEN_MAX = 8, BESIDE_LISTEN_MAX = 8, CONF_SOCKET_PATH_MAX = 100 };

enum conf_beside_trust { BESIDE_IGNORE, BESIDE_ROUTE, BESIDE_TRUST };
enum conf_beside_hold { BESIDE_QUARANTINE, BESIDE_DEFER };
enum conf_beside_unanswered { BESIDE_TEMPFAIL, BESIDE_ACCEPT };

struct conf_beside {             /* beside an MTA that stays: tables over socketmap, and tombolo-milter */
	struct conf_list listen; /* "127.0.0.1:9626" or the path of a socket */
	conf_count clients;
	conf_text transport;     /* of Postfix's master.cf, for all that is relayed */
	conf_flag own_mailboxes; /* mail for mailboxes of this side is the MTA's own to deliver */
	conf_text milter;        /* where tombolo-milter listens: "inet:9627@127.0.0.1", "unix:/path" */
	conf_text milter_user;   /* to become */
	conf_text ask;           /* path where it finds tombolod; empty: nowhere */
	conf_msec patience_ms;
	enum conf_beside_unanswered unanswered;
	enum conf_beside_trust certificates; /* how far names of certificates are believed that the MTA reports */
	enum conf_beside_hold hold;
	conf_flag rewrite, firewall;
	conf_text decision_header; /* empty: none */
};

struct conf_metrics {
	struct conf_list listen; /* "127.0.0.1:9625"; empty = nowhere */
	struct conf_list from;   /* CIDR; parsed in ranges */
	struct net_cidr *ranges;
	size_t range_n;
	conf_count hops; /* next hops told apart */
};

struct conf_sign { /* a key that signs for a domain (DKIM) */
	conf_text name;
	conf_text domain; /* empty: the name; then A-labels, lower case */
	conf_text selector, key;
	conf_count bits; /* least bits of an RSA key */
	struct conf_list headers, oversign;
	int line;
};

struct conf_auth {             /* who wrote it: SPF and DKIM (auth/auth.h) */
	conf_count workers;    /* processes; 0 = none, and then nothing is judged or signed */
	conf_text program;     /* empty: tombolo-auth beside tombolod */
	conf_count recycle;    /* jobs of a worker before a fresh one takes over */
	conf_count signatures; /* judged of one message */
	conf_msec spf_ms, dns_ms, work_ms, start_ms;
	conf_bytes memory; /* of one loop: what waits for workers and what could be sent again */
	conf_bytes keep;   /* of one message */
};

struct conf_log {
	conf_text file;
	enum log_level level;
	enum log_format format;
};

struct conf_track {     /* the tracking log (spec 6.5) */
	conf_text path; /* empty = none */
	enum conf_track_format format;
	enum conf_track_subject subject;
	conf_msec retain_ms;
	conf_bytes rotate_bytes, ring_bytes;
};

struct conf_replay {              /* what was delivered, to be sent again after a loss behind us (spec 6.2) */
	conf_text path;           /* folder; empty = nothing is kept */
	conf_text key;            /* file of keys, as loop.token_key */
	struct conf_list domains; /* of recipients, patterns "name", "*.name", "*" */
	conf_msec keep_ms;
	conf_bytes size_max, message_max, memory;
	conf_count rate; /* messages a minute that are sent again */
};

struct config {
	enum conf_site site;
	conf_text hostname;                           /* default: the machine's FQDN */
	conf_text postmaster;                         /* From: of reports; default postmaster@default domain */
	conf_text control;                            /* path of the control socket */
	conf_text control_viewers, control_operators; /* names of groups; empty: none */
	conf_text user;                               /* to become after binding; empty = stay */
	conf_flag sandbox;                            /* give up what serving mail does not need */
	conf_count loops;                             /* 0 = one per core */
	enum conf_codes status_codes;
	struct conf_list resolvers; /* addresses of DNS servers; empty = /etc/resolv.conf */
	conf_msec validate_ms;      /* of connectors to the other side */
	conf_text hosts; /* static names, hosts(5) format with MX and TXT lines; for tests and closed networks */
	struct conf_mode mode;
	struct conf_cmt cmt;
	struct conf_egress_policy egress;
	struct conf_loop loop;
	struct conf_recipients recipients;
	struct conf_srs srs;
	struct conf_tls tls;
	struct conf_queue queue;
	struct conf_limits limits;
	struct conf_pressure pressure;
	struct conf_metrics metrics;
	struct conf_beside beside;
	struct conf_log log;
	struct conf_track track;
	struct conf_replay replay;
	struct conf_domain *domains;
	size_t domain_n;
	struct conf_milter *milters;
	size_t milter_n;
	struct conf_receive *receives;
	size_t receive_n;
	struct conf_inbound *inbounds;
	size_t inbound_n;
	struct conf_send *sends;
	size_t send_n;
	struct conf_tls_policy *tls_policies;
	size_t tls_policy_n;
	struct conf_journal *journals;
	size_t journal_n;
	struct conf_auth auth;
	struct conf_sign *signs;
	size_t sign_n;
	struct conf_private *private; /* memory, reference count, file name */
};

/* Reads and checks a file.  All errors at once: one line each in `errors`, "FILE:LINE: what is wrong and what is
 * allowed"; warnings likewise with "warning:".  NULL when there was any error.  The result has one reference. */
struct config *config_load(const char *path, struct buf *errors);
/* The same from text; `name` stands for the file in messages. */
struct config *config_parse(struct str text, const char *name, struct buf *errors);
struct config *config_ref(const struct config *c);
void config_unref(struct config **c);

/* Options whose change needs a restart: appends "NAME: needs a restart" lines and returns how many differ. */
size_t config_restart_diff(const struct config *old, const struct config *new, struct buf *lines);

void config_show(const struct config *c, struct buf *out); /* effective values, as a file that would load */
void config_doc(struct buf *out);                          /* docs/CONFIG.md from the option table */

/* A pattern of certificate names (spec 3.5.3): "name" or "*.name", name of two labels at least.  NULL when it is one,
 * and then its normal form (A-labels, lower case, no dot at the end) is added to `normal`, which may be NULL; else what
 * is wrong with it. */
const char *conf_pattern_check(struct str pattern, struct buf *normal);

/* An absolute http or https URL without a user's name, printable ASCII.  NULL, or what is wrong with it. */
const char *conf_url_check(struct str url);

/* How a certificate is referred to: "name:HOST", "sha256:HEX" and "<I>issuer<S>subject" look in the folder tls.store
 * and have no key option; all else is the path of a PEM file. */
bool conf_in_store(struct str reference);
/* STARTTLS is wanted there and a certificate could be found for it. */
bool conf_offers_tls(const struct config *c, const struct conf_receive *r);

const char *conf_tls_level_name(enum conf_tls_level l);
const char *conf_milter_default_name(enum conf_milter_default d);
const char *conf_site_name(enum conf_site s);

#endif
