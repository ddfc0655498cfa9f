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
#include "routing/disagree.h"
#include "routing/srs.h"
#include "routing/straggler.h"
#include "routing/switch.h"
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

enum rcpt_expand { EXPAND_HOME, EXPAND_ONPREM, EXPAND_CLOUD, EXPAND_HERE }; /* of a group; HOME: where its mailbox is */
const char *expand_name(enum rcpt_expand x);                                /* "home" */
bool expand_parse(struct str s, enum rcpt_expand *x);

enum rcpt_report { REPORT_SENDER, REPORT_OWNER, REPORT_NONE }; /* who hears of failures behind a group */
const char *report_name(enum rcpt_report r);                   /* "sender" */
bool report_parse(struct str s, enum rcpt_report *r);

struct mode { /* one record in the recipient store */
	enum conf_side mx;
	bool cmt;
	uint64_t epoch;    /* rises with each change */
	int64_t since_ms;  /* wall clock of the change; grace counts from here */
	int64_t locked_ms; /* a switch of the MX locked the old entrance then (R05); 0 = it did not */
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
	bool token_seen;        /* our valid route token names this recipient */
	bool loop_is_fresh;     /* ... and it is not long since that was first seen: R41 defers (loop.action) */
	bool redirected;        /* reached by forwarding or expansion */
	bool moved_recently;    /* inside move_grace or disagreement_defer (R44) */
	bool grace_over;        /* of the mode change, or a switch has locked the old entrance (R05) */
	bool straggler_allowed; /* the caller stands in mode.allow: never R05 */
	bool disabled;          /* the record exists and is disabled: as unknown */
	bool is_group;          /* a group, whose home decides between LOCAL and REMOTE */
	bool auth_required;     /* the record takes mail from authenticated senders only (R12, spec 2.6) */
	bool redirect_loop;     /* following redirections passed max_redirects (R02) */
	bool table_stale;       /* the table is older than recipients.max_age (R03, spec 2.5.7) */
	bool return_internal;   /* of the inbound connector (R43) */
	bool peer_relay;        /* relaying for the peer without CMT allowed (R51) */
	bool routing_public;    /* R16 off */
	bool host_is_source;    /* R48: the domain's host is where it came from */
	bool bypass;            /* the other side is down, and cmt.on_peer_down lets this mail pass by it (R20, R58) */
	bool is_contact;        /* a contact or mail user (R12) */
	bool expand_here;       /* a group whose members we send to ourselves (R31) */
	bool our_expansion;     /* token_seen, and the token says that our own expansion led to this recipient (R41) */
	bool sender_denied;     /* the record does not take mail from this sender (R12, spec 2.6) */
	bool unproved;          /* its sender is not authenticated, whatever origin says by now (R12) */
	enum conf_stragglers stragglers;
	enum conf_forwarded forwarded;
	struct conf_egress_policy egress;
	enum conf_codes codes;
};

enum route_action {
	ROUTE_DELIVER,
	ROUTE_RELAY,
	ROUTE_REJECT,
	ROUTE_DEFER,
	ROUTE_EXPAND, /* a group of ours: its members are the recipients */
	ROUTE_DROP,   /* nothing is sent and nobody is told; an event says so */
};
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
	struct route_step steps[48];
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
struct filter;

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
	bool external_ok; /* require_auth does not hold after all (spec 2.6: groups that the cloud alone shows) */
	enum rcpt_expand expand_at;
	enum rcpt_report report_to;
	struct str owner;
	struct str allow, deny; /* senders: "a@x.example;@y.example"; empty allow: all */
	/* Members do not travel with the record.  Reading: how many there are (routing_members lists them).  Writing:
	 * with set_members the list becomes `members`, separated by ";" or line ends. */
	uint64_t member_n;
	struct str members;
	bool set_members;
	uint64_t version;
	int64_t changed_ms;
};

/* What one decision sees.  Lives on the caller's stack; end it before the loop turn ends. */
struct routing_view {
	struct routing *routing;
	struct store_txn *txn;
	struct domain_set *domains; /* a reference; what located.domain points into */
	struct mode mode;
	uint64_t serial;       /* of the table */
	struct filter *filter; /* a reference: addresses that this table may have; NULL: ask it */
	bool stale;            /* older than recipients.max_age: TABLE-STALE 451 4.3.0 */
	int64_t now_ms;        /* wall clock at the begin, or the time that is looked back at */
	bool past;             /* of routing_begin_at: records and mode are those of now_ms ... */
	bool forgotten;        /* ... and something older than what is kept was asked for: the answer may be wrong */
};

int routing_begin(struct routing *r, struct routing_view *v, struct err *e); /* cheap: microseconds */
/* As things were at `at_ms`, as far as the history goes: the mode and the records of then, the domains and policies of
 * now; serial is that of now.  Looking up what is not there any more reads the whole history: off the loops. */
int routing_begin_at(struct routing *r, int64_t at_ms, struct routing_view *v, struct err *e);
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
	struct str sender;   /* MAIL FROM as received, empty for reports; for restrictions (R12) */
	unsigned generation; /* redirections and expansions of ours before (env_rcpt) */
	bool followed;       /* its own redirection has been followed already */
	bool token_seen, redirected, return_internal, peer_relay;
	const struct token *token;     /* our valid route token of this message; NULL = none */
	bool host_is_source;           /* the caller is the host this domain is relayed to (R48) */
	const struct net_addr *client; /* the caller, for mode.allow (R05); NULL = nobody in particular */
	const struct mode *mode;       /* to ask "what if"; NULL = the mode in force */
	bool dry;                      /* explain: a disagreement of the sides is not remembered (R44) */
	bool null_sender;
	bool no_bypass;               /* the quota of mail that bypasses the other side is used up */
	struct str message;           /* its trace id, for the incident (R41, R44) */
	const struct token_keys *srs; /* keys of SRS addresses; NULL or n = 0: none is ours */
	int64_t arrived_ms;           /* of a message in the queue: what was good then is good (SRS); 0 = now */
};

struct route {
	struct verdict verdict;
	struct route_facts facts;
	struct located located;
	unsigned redirects;    /* query.generation, and how many contacts and redirections were followed here */
	bool forwards;         /* keep_copy: others get a copy of what the mailbox gets (routing_walk) */
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

/* The sender for the way to a stranger: rewritten for `srs_domain` when it is not ours already (spec 2.6), into the
 * arena; else, and when it cannot be (*why says so, SRS_NONE: need not be), as it is.  False: the arena is full. */
bool routing_sender_for(struct routing_view *v, const struct token_keys *keys, struct str srs_domain, struct str from,
			struct arena *arena, struct str *out, enum srs_result *why);

bool routing_is_our_domain(struct routing_view *v, struct str domain); /* accepted (not merely external) */

/* ---- the other side's health, and what passed by it (spec 1.7, 8.10); any thread, no disk ---- */

void routing_peer_heard(struct routing *r, bool ok, int64_t now_ms); /* a connection to it was made, or could not be */
int64_t routing_peer_failing_since(struct routing *r);               /* wall clock; 0 = it does not fail */
/* One recipient that is about to bypass; false: the quota of this hour is used up. */
bool routing_bypass_take(struct routing *r, int64_t now_ms);

/* Mail of the cloud to the Internet: did it pass the on-prem side? */
enum coverage { COVERAGE_NONE, COVERAGE_PASSED, COVERAGE_DIRECT, COVERAGE_FORWARDED, COVERAGE_BYPASSED, COVERAGE_N };
const char *coverage_name(enum coverage c); /* "forwarded" */
/* NONE: it is not such mail.  Pure. */
enum coverage route_coverage(const struct route *rt);
void routing_coverage_count(struct routing *r, enum coverage c, int64_t now_ms); /* a recipient that was delivered */

enum { COVERAGE_HOURS = 24 };
struct coverage_sum {
	uint64_t total[COVERAGE_N]; /* since the start, recipients */
	struct {
		int64_t hour_ms; /* its begin; 0 = nothing */
		uint64_t n[COVERAGE_N];
	} hours[COVERAGE_HOURS]; /* oldest first */
};
void routing_coverage(struct routing *r, int64_t now_ms, struct coverage_sum *out);

/* ---- changing them (slow) ---- */

int routing_mode_get(struct routing *r, struct mode *out, struct err *e);
/* Atomic; epoch + 1.  Setting what is set already changes nothing (changed = false).  A switch under way is overtaken:
 * it has failed.  `who`: "uid 0", for the history. */
int routing_mode_set(struct routing *r, enum conf_side mx, bool cmt, struct str who, struct mode *out, bool *changed,
		     struct err *e);

struct mode_change { /* of the history */
	struct mode mode;
	char who[SWITCH_WHO];
};
enum { MODE_HISTORY = 64 };
/* The newest changes, oldest first; returns how many (at most `max`), -1 with err. */
int routing_mode_history(struct routing *r, struct mode_change *out, size_t max, struct err *e);

/* state SWITCH_NONE when there never was one.  `move`: what it waits for. */
int routing_switch_get(struct routing *r, struct mode_switch *out, struct switch_move *move, struct err *e);
/* Makes it PLANNED.  ERR_BUSY while one is under way or its checks run, ERR_SYNTAX when the target is in force. */
int routing_switch_plan(struct routing *r, enum conf_side mx, bool cmt, struct str who, struct mode_switch *out,
			struct err *e);

struct switch_ask {
	enum switch_order order;
	const struct switch_check *checks; /* GO: what they found */
	size_t check_n;
	struct str who;
};
/* One step of switch_next, with the mode in the same transaction: wholly taken or not at all.  0 and out->state says
 * where it stands (moved: whether it moved); -1: ERR_BUSY, the order was refused, or the store failed. */
int routing_switch_ask(struct routing *r, const struct switch_ask *ask, struct mode_switch *out, bool *moved,
		       struct err *e);

/* Stragglers since the MX moved (routing/straggler.h).  note: a moment under a lock, any thread.  keep: writes what is
 * new (slow); 0 when there was nothing. */
void routing_straggler_note(struct routing *r, const struct straggler_seen *seen);
struct stragglers *routing_stragglers(struct routing *r);
int routing_stragglers_keep(struct routing *r, struct err *e);

/* Incidents between the sides (routing/disagree.h), newest first; returns how many were copied. */
size_t routing_incidents(struct routing *r, struct disagreement *out, size_t max);
/* Disagreements about a location that are not over: seen within loop.disagreement_defer. */
size_t routing_incidents_open(struct routing *r);
/* Closes those whose record says another place by now, and writes what is new; `began` hears of each new one.  Slow. */
int routing_incidents_keep(struct routing *r, void (*began)(void *arg, const struct disagreement *i),
			   void (*mended)(void *arg, const struct disagreement *i), void *arg, struct err *e);
/* Says where the mailbox is (`routing` empty: the address the record has), and closes its incidents.  Slow.  0 with the
 * record as it is now in the arena and how many were closed; -1: ERR_NOT_FOUND, ERR_SYNTAX. */
int routing_incident_resolve(struct routing *r, struct str address, enum rcpt_loc loc, struct str routing,
			     struct arena *arena, struct rcpt_record *out, size_t *closed, struct err *e);

/* A mailbox that is `loc`, for a probe; false when the first 1000 records hold none (or the store failed). */
bool routing_sample(struct routing *r, enum rcpt_loc loc, struct arena *arena, struct rcpt_record *out);

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
/* The members of a group, one a line, in order; as many as fit `out`. */
int routing_members(struct routing *r, struct str address, struct buf *out, struct err *e);

struct record_version {
	struct rcpt_record record; /* changed_ms: since when; dies with the callback */
	int64_t until_ms;          /* 0 = still */
	bool removed;              /* nothing but changed_ms holds: from then on there was no such recipient */
};
/* All versions that are kept of all recipients that have or had the address, oldest first recipient by recipient.  Slow
 * when nobody has it now.  Returns how many, -1 with err. */
int routing_record_history(struct routing *r, struct str address, struct arena *arena,
			   void (*each)(void *arg, const struct record_version *v), void *arg, struct err *e);

/* Guessed addresses are answered from a filter in memory: builds it when there is none, when the table was changed by
 * another process, or when it has grown out of it.  Slow: reads all addresses, and writers wait for it. */
int routing_filter_keep(struct routing *r, bool *built, struct err *e);
uint64_t routing_filter_bytes(struct routing *r); /* 0 = there is none yet */

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
	int ttl_s;    /* of the MX, what is left of it at our resolver; -1 = not known (static names) */
	struct mx_host *hosts;
	size_t host_n;     /* by preference, equals shuffled, at most DNS_ADDRS_MAX addresses in all */
	struct str *texts; /* of dns_lookup_txt, _rr: the strings of each record put together; addresses in 4 or 16
			      bytes; names */
	size_t text_n;
	bool texts_cut; /* there was more than DNS_TEXTS_MAX texts or DNS_TEXT_BYTES bytes */
	char text[160]; /* why FAILED */
	void *state;    /* owns hosts */
};
enum { DNS_ADDRS_MAX = 100, DNS_HOSTS_MAX = 20, DNS_DEADLINE_MS = 20000, DNS_TEXTS_MAX = 40, DNS_TEXT_BYTES = 16384 };

/* MX of a domain with the addresses of its hosts (IPv4 and IPv6).  Asked from `loop`, answered on `loop`. */
void dns_lookup_mx(struct dns *d, struct loop *loop, struct str domain, uint16_t port, struct dns_lookup *q,
		   void (*done)(struct op *));
/* Addresses of one host name or IP literal ("name", "[192.0.2.1]"): one element in hosts. */
void dns_lookup_host(struct dns *d, struct loop *loop, struct str name, uint16_t port, struct dns_lookup *q,
		     void (*done)(struct op *));
/* TXT records of a name. */
void dns_lookup_txt(struct dns *d, struct loop *loop, struct str name, struct dns_lookup *q, void (*done)(struct op *));
/* Records of one type as they are, in texts: nothing is followed but aliases, nothing is made up (no implicit MX).  The
 * name may be any that the DNS can hold: printable characters but backslashes. */
enum dns_rr { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };
void dns_lookup_rr(struct dns *d, struct loop *loop, struct str name, enum dns_rr type, struct dns_lookup *q,
		   void (*done)(struct op *));
void dns_lookup_fini(struct dns_lookup *q); /* cancels, frees; harmless when unused */

/* Best preference first, equals in an order drawn from `seed`. */
void mx_order(struct mx_host *hosts, size_t n, uint64_t seed);
/* RFC 5321 5.1: when one of the (ordered) hosts is ourselves, it and all of its preference and worse are no way out.
 * Returns how many remain.  An own address of 0.0.0.0 or :: stands for the loopback ones. */
size_t mx_drop_self(struct mx_host *hosts, size_t n, const struct net_addr *own, size_t own_n);

#endif
