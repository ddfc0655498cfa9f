/* routing/dns_inner.h: the insides of the resolver, for its own files.
 *
 *   dns.c            a question from any loop: its way to the home loop, what is known without asking, its way back
 *   dns_resolver.c   libunbound itself: opened, closed, and whether signatures come through here
 *   dns_answer.c     what is asked of it, and what its answers say
 *
 * Threads: the home loop's, but for what dns.c says of the asker's. */
#ifndef ROUTING_DNS_INNER_H
#define ROUTING_DNS_INNER_H

#include "routing/hosts.h"
#include "routing/routing.h"

#include <stdatomic.h>
#include <unbound.h>

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_DNSKEY = 48, CLASS_IN = 1 };
enum { NAME_ROOM = 256, MX_READ_MAX = 100, QUESTIONS_MAX = 1 + 2 * DNS_HOSTS_MAX };
enum { PROBE_AGAIN_MS = 60000 };

struct request;

struct question {
	struct request *request;
	struct ub_ctx *ctx;
	int id;
	bool open;
	int type;
	size_t host; /* whose address */
};

struct request {
	struct loop_task task; /* its way to the home loop and back */
	struct dns *dns;
	struct loop *asker;
	struct op *held;               /* the asking op; NULL once cancelled */
	struct request *next, **place; /* in dns->requests, on the home loop */
	struct loop_timer deadline;
	int wants; /* TYPE_MX, TYPE_A (and AAAA), TYPE_TXT */
	bool raw;  /* records of `wants` as they are, as texts */
	bool waiting;
	uint16_t port;
	char name[NAME_ROOM];

	enum dns_status status;
	bool null_mx, has_mx, secure, failed; /* failed: some question had no answer */
	int ttl_s;                            /* of the MX; -1 = not known */
	char text[160];
	struct mx_host hosts[DNS_HOSTS_MAX];
	char names[DNS_HOSTS_MAX][NAME_ROOM];
	size_t host_n;
	struct net_addr found[DNS_ADDRS_MAX], addrs[DNS_ADDRS_MAX]; /* as they came / by host */
	size_t found_of[DNS_ADDRS_MAX], found_n;
	struct question questions[QUESTIONS_MAX];
	size_t question_n, open_n;
	struct str texts[DNS_TEXTS_MAX];
	size_t text_n, text_used;
	bool texts_cut;
	char text_room[]; /* DNS_TEXT_BYTES when texts are wanted */
};

struct resolver {
	struct dns *dns;
	struct ub_ctx *ctx;
	struct loop_io io;
};

struct dns {
	_Atomic unsigned refs; /* one of the owner, one of each request: some may still be on their way at the close */
	bool closed;           /* home loop only */
	struct loop *home;
	struct hosts hosts;
	struct resolver strict, plain; /* with and without validation */
	struct resolver *use;
	bool probing, decided;
	int64_t probed_ms;
	int probe_id;
	struct loop_timer probe_timer;
	struct request *requests;
	uint64_t seed;
};

/* dns.c */
void dns_unref(struct dns *d);
void request_free(struct request *r);
void request_unlink(struct request *r); /* out of dns->requests */
void request_begin(struct request *r);  /* again, too, when it waited for the probe */
void request_finish(struct request *r); /* nothing is open: it goes back to its asker */

/* dns_resolver.c */
void dns_probe(struct dns *d); /* asks whether validation works here, unless that is known */

/* dns_answer.c */
void request_ask(struct request *r, const char *name, int type, size_t host);
void request_ask_implicit(struct request *r);  /* no MX at all: the domain itself is its host (RFC 5321 5.1) */
void request_ask_addresses(struct request *r); /* of all hosts */
void request_fail(struct request *r, const char *what, const char *why);
void request_add_host(struct request *r, unsigned preference, const char *name);
/* 4 or 16 bytes, by type.  Each host has its share of the room: one with hundreds of addresses must not crowd out the
 * better ones. */
void request_add_address(struct request *r, size_t host, int type, const void *bytes);
bool request_begin_text(struct request *r); /* false: there is no room for another */
void request_add_to_text(struct request *r, struct str s);
void request_add_text(struct request *r, struct str s);

#endif
