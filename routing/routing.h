/* routing/routing.h: who the recipient is and where the mail must go.
 *
 *   locate(address, table) -> kind
 *   decide(site, mode, origin, kind, ...) -> rule, action, next hop, address form, reply
 *
 * Both are pure functions of values; the session at RCPT, the delivery at each attempt, `route explain`, the vectors
 * and the simulator call the same ones, so an explanation cannot disagree with what happened. One snapshot {mode,
 * epoch, table serial} serves one decision: mode and recipients are read in one transaction.
 *
 * Knows: accepted domains, the location table, the mode.  Must not know: sessions, connectors, queue, TLS.
 * Threads: a struct routing is shared by all loops; reads never block and never wait for a writer.  Calls marked "slow"
 * write to disk: run them off the loops (tools, the control worker). */
#ifndef ROUTING_ROUTING_H
#define ROUTING_ROUTING_H

#include "base/arena.h"
#include "base/loop.h"
#include "base/op.h"
#include "config/config.h"
#include "routing/token.h"
#include "wire/addr.h"
#include "wire/envelope.h"
#include "wire/reply.h"

/* ---- vocabulary (spec 0.4); stored values: append only ---- */

enum rcpt_kind {
	KIND_LOCAL,
	KIND_REMOTE,
	KIND_ROUTING_SELF,
	KIND_ROUTING_PEER,
	KIND_GROUP,
	KIND_CONTACT,
	KIND_UNK_AUTH,
	KIND_UNK_RELAY_PEER,
	KIND_UNK_RELAY_HOST,
	KIND_EXTERNAL,
};
const char *kind_name(enum rcpt_kind k); /* "UNK_RELAY_PEER" */
bool kind_parse(struct str s, enum rcpt_kind *k);

enum rcpt_loc { LOC_LOCAL, LOC_REMOTE, LOC_BOTH, LOC_GROUP, LOC_CONTACT, LOC_REDIRECT, LOC_DISABLED };
const char *loc_name(enum rcpt_loc l); /* "remote" */
bool loc_parse(struct str s, enum rcpt_loc *l);

struct mode { /* one record in the recipient store */
	enum conf_side mx;
	bool cmt;
	uint64_t epoch;   /* rises with each change */
	int64_t since_ms; /* wall clock of the change; grace counts from here */
};
const char *mode_name(const struct mode *m); /* "M1".."M4" */

/* ---- the decision table (routing/decide.c): spec 1.4, one pure function ---- */

struct route_facts {
	enum conf_site site;
	enum conf_side mx;
	bool cmt;
	enum env_origin origin;
	enum rcpt_kind kind;
	enum env_class class;
	enum env_org org;
	bool token_seen;      /* our valid route token names this recipient */
	bool loop_is_fresh;   /* ... and it is not long since that was first seen: R41 defers (loop.action) */
	bool redirected;      /* reached by forwarding or expansion */
	bool moved_recently;  /* inside move_grace or disagreement_defer (R44) */
	bool grace_over;      /* of the mode change (R05) */
	bool disabled;        /* the record exists and is disabled: as unknown */
	bool is_group;        /* a group, whose home decides between LOCAL and REMOTE */
	bool auth_required;   /* the record takes mail from authenticated senders only (R12, spec 2.6) */
	bool redirect_loop;   /* following redirections passed max_redirects (R02) */
	bool table_stale;     /* the table is older than recipients.max_age (R03, spec 2.5.7) */
	bool return_internal; /* of the inbound connector (R43) */
	bool peer_relay;      /* relaying for the peer without CMT allowed (R51) */
	bool routing_public;  /* R16 off */
	bool host_is_source;  /* R48: the domain's host is where it came from */
	enum conf_stragglers stragglers;
	enum conf_forwarded forwarded;
	struct conf_egress_policy egress;
	enum conf_codes codes;
};

enum route_action { ROUTE_DELIVER, ROUTE_RELAY, ROUTE_REJECT, ROUTE_DEFER };
enum route_next { NEXT_NONE, NEXT_INTERNAL, NEXT_PEER, NEXT_DIRECT, NEXT_SMARTHOST, NEXT_DOMAIN_HOST };
enum route_form { FORM_NONE, FORM_PRIMARY, FORM_ROUTING, FORM_AS_RECEIVED };
const char *route_action_name(enum route_action a); /* "DELIVER" */
const char *route_next_name(enum route_next n);     /* "peer", "-" */
const char *route_form_name(enum route_form f);     /* "as-received", "-" */

struct verdict {
	const char *rule;   /* "R40" */
	const char *reason; /* "REMOTE": the stable reason code */
	bool straggler;     /* printed as "R40+straggler" */
	enum route_action action;
	enum route_next next;
	enum route_form form;
	struct reply reply; /* REJECT, DEFER: what to answer; text is a literal */
	const char *cause;  /* one sentence in plain words */
	const char *fixer;  /* who can mend it: "sender", "administrator", "administrator of the other side"; NULL when
			       all is well */
};

/* One line a rule that was looked at, in order; `hit` marks the one that decided. */
struct route_step {
	const char *rule;
	const char *says;
	bool hit;
};
struct route_trace {
	struct route_step steps[40];
	size_t n;
};

/* `trace` may be NULL. */
void route_decide(const struct route_facts *f, struct verdict *out, struct route_trace *trace);

/* The catalogue of reason codes: the rows of the table, each as a value (spec 8.14). */
struct route_reason {
	const char *rule, *reason, *says, *cause, *fixer;
	bool refuses;                         /* else the replies are empty */
	struct reply standard, onprem, cloud; /* of status_codes = standard; = exchange on each side */
};
bool route_reason_at(size_t i, struct route_reason *out); /* false past the end */
/* What the rule means in plain words; NULL: no such rule. */
const char *route_cause(struct str rule, struct str reason);

/* ---- recipients and domains ---- */

struct routing; /* the store of recipients and mode, and the domains of one configuration beside it */
struct store_txn;
struct domain_set;

struct routing *routing_open(const struct config *c, struct err *e);
void routing_close(struct routing **r);
/* Domains and policies of a new configuration; the store stays.  Any thread; decisions in progress keep the old one. */
int routing_reconfigure(struct routing *r, const struct config *c, struct err *e);

struct rcpt_record {
	unsigned char rid[16];
	struct str primary; /* normalized address */
	struct str *addrs;
	size_t addr_n; /* all, primary first */
	enum rcpt_loc loc;
	struct str routing;    /* address on the other side; empty: none */
	struct str local_host; /* per-user target, "host[:port]"; empty: the connector's */
	struct str mailbox_id, source, batch;
	struct str redirect;
	bool keep_copy, require_auth;
	uint64_t version;
	int64_t changed_ms;
};

/* What one decision sees.  Lives on the caller's stack; end it before the loop turn ends. */
struct routing_view {
	struct routing *routing;
	struct store_txn *txn;
	struct domain_set *domains; /* a reference; what located.domain points into */
	struct mode mode;
	uint64_t serial; /* of the table */
	bool stale;      /* older than recipients.max_age: TABLE-STALE 451 4.3.0 */
	int64_t now_ms;  /* wall clock at the begin */
};

int routing_begin(struct routing *r, struct routing_view *v, struct err *e); /* cheap: microseconds */
void routing_end(struct routing_view *v);

struct located {
	enum rcpt_kind kind;
	bool found; /* a record, copied into the arena */
	struct rcpt_record record;
	const struct conf_domain *domain; /* accepted domain it belongs to, NULL = external; valid until routing_end */
	bool plus;                        /* found under the address without its +tag */
};

/* spec 2.5.  `a` as parsed by addr_parse.  False when the arena is full or the store failed (err): then answer
 * 451 4.3.0. */
bool routing_locate(struct routing_view *v, const struct addr *a, struct arena *arena, struct located *out,
		    struct err *e);

struct route_query { /* one recipient of one message */
	const struct addr *rcpt;
	enum env_origin origin;
	enum env_class class;
	enum env_org org;
	bool token_seen, redirected, return_internal, peer_relay;
	const struct token *token; /* our valid route token of this message; NULL = none */
	bool host_is_source;       /* the caller is the host this domain is relayed to (R48) */
	const struct mode *mode;   /* to ask "what if"; NULL = the mode in force */
	bool dry;                  /* explain: a disagreement of the sides is not remembered (R44) */
};

struct route {
	struct verdict verdict;
	struct route_facts facts;
	struct located located;
	unsigned redirects;    /* how many contacts and redirections of ours were followed to get here */
	struct str rcpt;       /* address for RCPT TO at the next hop (arena) */
	struct str hop_domain; /* what connector selection goes by: the routing or recipient domain */
	struct str hop_host;   /* a fixed host (record.local_host, relay_to host:...); empty = connector decides */
	struct str copy_to;    /* loc=both: a second copy is for this address on the other side; empty = none */
};

/* locate + decide + address form; the one entry for session, delivery and explain.  Contacts and redirections of ours
 * are followed (at most loop.max_redirects, then R02); mail to strangers goes out as our own (SELF) then.
 * False like routing_locate. */
bool routing_route(struct routing_view *v, const struct route_query *q, struct arena *arena, struct route *out,
		   struct route_trace *trace, struct err *e);

/* What a route token calls this recipient: the same now and when it comes back. */
struct token_rcpt route_token_rcpt(const struct route *rt);

bool routing_is_our_domain(struct routing_view *v, struct str domain); /* accepted (not merely external) */

/* ---- changing them (slow) ---- */

int routing_mode_get(struct routing *r, struct mode *out, struct err *e);
/* Atomic; epoch + 1.  Setting what is set already changes nothing (changed = false). */
int routing_mode_set(struct routing *r, enum conf_side mx, bool cmt, struct mode *out, bool *changed, struct err *e);

enum import_format { IMPORT_CSV, IMPORT_LDIF };
struct import_report {
	uint64_t rows, added, changed, removed, unchanged, errors;
	uint64_t serial; /* after it, when applied */
	bool applied;
};
/* One transaction, or nothing: any bad row (one "FILE:LINE: ..." in `problems` each, at most 100) applies nothing.
 * Returns 0 when the file was judged: out->applied and out->errors say how; -1 when it or the table cannot be read or
 * written.
 * `replace`: records of `source` that the file does not name are removed, guarded by delete_threshold/percent unless
 * accept_deletes names their exact number. */
int routing_import(struct routing *r, const char *path, enum import_format f, struct str source, bool replace,
		   uint64_t accept_deletes, bool dry_run, struct import_report *out, struct buf *problems,
		   struct err *e);
int routing_export(struct routing *r, struct buf *csv_or_null, int fd, struct err *e); /* CSV that imports again */
/* One record by any of its addresses; set writes it (rid given by the old record of that primary, or new). */
int routing_record_get(struct routing *r, struct str address, struct arena *arena, struct rcpt_record *out,
		       struct err *e);
int routing_record_set(struct routing *r, const struct rcpt_record *rec, struct err *e);
int routing_record_remove(struct routing *r, struct str address, struct err *e);

struct routing_stats {
	uint64_t recipients, addresses, serial;
	int64_t imported_ms;
	double map_used;
};
int routing_stats(struct routing *r, struct routing_stats *out, struct err *e);

/* ---- names: routing/dns.c (libunbound) and routing/mx.c (pure order) ---- */

struct dns; /* one per process; any loop may ask */

/* `hosts`: path of a file of static answers, asked first ("192.0.2.1 name..." and "MX 10 domain host" lines); empty =
 * none.  Without resolvers those of /etc/resolv.conf are asked.  Answers are validated (DNSSEC) where the resolvers let
 * signatures through; else that is logged once and they count as unsigned. Call from the home loop's thread. */
struct dns *dns_open(struct loop *home, const struct conf_list *resolvers, struct str hosts, struct err *e);
void dns_close(struct dns **d); /* when no lookup is open any more; home loop */

enum dns_status { DNS_OK, DNS_NXDOMAIN, DNS_NODATA, DNS_FAILED }; /* FAILED = try later; bogus counts as FAILED */

struct mx_host {
	struct str name;
	unsigned preference;
	struct net_addr *addrs;
	size_t addr_n;
};

struct dns_lookup {
	struct op op;
	enum dns_status status;
	bool null_mx; /* "MX 0 ." (RFC 7505): 5.1.10 */
	bool has_mx;  /* false: the domain's own addresses, one host */
	bool secure;  /* DNSSEC-validated */
	struct mx_host *hosts;
	size_t host_n;  /* by preference, equals shuffled, at most DNS_ADDRS_MAX addresses in all */
	char text[160]; /* why FAILED */
	void *state;    /* owns hosts */
};
enum { DNS_ADDRS_MAX = 100, DNS_HOSTS_MAX = 20, DNS_DEADLINE_MS = 20000 };

/* MX of a domain with the addresses of its hosts (IPv4 and IPv6).  Asked from `loop`, answered on `loop`. */
void dns_lookup_mx(struct dns *d, struct loop *loop, struct str domain, uint16_t port, struct dns_lookup *q,
		   void (*done)(struct op *));
/* Addresses of one host name or IP literal ("name", "[192.0.2.1]"): one element in hosts. */
void dns_lookup_host(struct dns *d, struct loop *loop, struct str name, uint16_t port, struct dns_lookup *q,
		     void (*done)(struct op *));
void dns_lookup_fini(struct dns_lookup *q); /* cancels, frees; harmless when unused */

/* Best preference first, equals in an order drawn from `seed`. */
void mx_order(struct mx_host *hosts, size_t n, uint64_t seed);
/* RFC 5321 5.1: when one of the (ordered) hosts is ourselves, it and all of its preference and worse are no way out.
 * Returns how many remain.  An own address of 0.0.0.0 or :: stands for the loopback ones. */
size_t mx_drop_self(struct mx_host *hosts, size_t n, const struct net_addr *own, size_t own_n);

#endif
