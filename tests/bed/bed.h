/* tests/bed/bed.h: the test bed: two real gateways back to back, and everything that stands around them.
 *
 *     an Internet sender        on-prem host                              cloud host        an Internet host
 *            |                    |     ^                                  ^    |                  ^
 *            v                    v     |                                  |    v                  |
 *          inet --> ON-PREM gateway <--- TLS, certificates of both ---> CLOUD gateway <-- inet      |
 *                       \________________________________________________________\________________/
 *
 * Both gateways are the product (`tombolod`), each with its own folder, on ports of loopback that the bed picks; hosts
 * and senders live in the bed's one loop and are tests/kit.  The bed remembers every message that arrives anywhere, and
 * tests/bed/trail.h reads the logs.  In a variant with a wire, what the gateways say to each other passes a relay of
 * the bed's that writes it down and may play the foreign cloud.
 * Threads: one.  Every call that waits runs the loop until it is done or its time is over. */
#ifndef TESTS_BED_BED_H
#define TESTS_BED_BED_H

#include "base/arena.h"
#include "base/loop.h"
#include "tests/kit/caller.h"
#include "tests/kit/host.h"

enum bed_gate { GATE_ONPREM, GATE_CLOUD, GATES };

enum bed_place { /* where messages arrive */
		 HOST_ONPREM,
		 HOST_CLOUD,
		 HOST_NET,      /* of the Internet: the last stop of all mail that leaves */
		 HOST_ARCHIVE,  /* of journal reports */
		 WIRE_TO_CLOUD, /* between the gateways, in variants with a wire */
		 WIRE_TO_ONPREM,
		 PLACES
};

enum bed_door { /* who sends, and into which gateway */
		DOOR_NET_ONPREM,
		DOOR_NET_CLOUD,
		DOOR_ONPREM,  /* a server of the on-prem side */
		DOOR_CLOUD,   /* one of the cloud side */
		DOOR_PEER,    /* the shared cloud's certificate into on-prem: our tenant or another, as it claims */
		DOOR_PARTNER, /* a partner's certificate into on-prem */
		DOOR_APP,     /* a device of the office that may send */
		DOORS
};

struct bed_variant {         /* how the gateways are configured; zero = as in production */
	bool wire;           /* the relay is between them */
	bool stranger;       /* ... and shows the cloud no certificate: on-prem is not attributed there */
	bool keeps_token;    /* ... and carries X-Tombolo-Route past the cloud, as a cloud does that keeps what it does
				not know (ours takes it away from strangers) */
	bool drops_token;    /* ... or takes it away itself */
	bool no_token;       /* on-prem has no token keys */
	bool forward_direct; /* cmt_forwarded = direct, at the cloud */
	bool endpoint;       /* headers = endpoint on the connectors between them and to the hosts */
};

struct arrival {
	enum bed_place where;
	struct str from;    /* empty = <> */
	struct str rcpts;   /* addresses, each ended by '\n' */
	struct str mail;    /* parameters of MAIL as we would write them: "BODY=8BITMIME RET=HDRS" */
	struct str notes;   /* of each recipient, ended by '\n': "NOTIFY=6 ORCPT=rfc822;a@b" */
	struct str tls;     /* identity of the client's certificate; "-" without one; empty = clear */
	struct str content; /* as it came, dots unstuffed */
};

struct wire;     /* tests/bed/wire.c */
struct bed_host; /* tests/bed/hosts.c */

struct bed {
	struct loop *loop;
	const char *build, *certs, *confs; /* build folder, certificates, templates of the configurations */
	char dir[200];
	struct bed_variant variant;
	uint16_t inet[GATES], hub[GATES], app;
	pid_t pids[GATES];
	struct host *hosts[PLACES];
	unsigned net_lacks; /* capabilities the Internet's host does not offer (set before it is connected to) */
	struct bed_host *host_states;
	struct wire *wires;
	struct tls_ctx *plain, *as_onprem, *as_cloud, *as_partner; /* clients without and with a certificate */
	struct tls_ctx *onprem_tls, *cloud_tls;                    /* servers */
	struct arena memory;                                       /* of arrivals */
	struct arrival *arrivals;
	size_t arrival_n, arrival_cap;
	/* NULL: arrivals are kept.  Else this sees them and they are forgotten (load). */
	void (*on_arrival)(struct bed *b, const struct arrival *a);
	void *arg;
	bool cloud_signs;         /* the cloud has the keys of on-prem's tokens */
	const char *extra[GATES]; /* text added to each configuration; NULL = none */
};

/* Starts it all: exits the program with a message when that fails (it is a test). */
void bed_open(struct bed *b);
/* Ends the gateways.  The number of those that ended badly or about which a sanitizer complained. */
unsigned bed_close(struct bed *b);

void bed_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Both configurations anew, and a reload when they differ from those in force. */
void bed_configure(struct bed *b, const struct bed_variant *v);
void bed_mode(struct bed *b, const char *mode); /* "M3", on both sides */
void bed_mode_at(struct bed *b, enum bed_gate g, const char *mode);
/* Records that are added to the table of one side, or changed there: CSV with a header line. */
void bed_recipients(struct bed *b, enum bed_gate g, struct str csv);
/* `tombolo WORDS` on a gateway; the exit status.  `out` may be NULL. */
int bed_tombolo(const struct bed *b, enum bed_gate g, struct buf *out, const char *words);
const char *bed_log_path(const struct bed *b, enum bed_gate g, char room[256]);
void bed_forget_arrivals(struct bed *b);
bool bed_queue_is_empty(const struct bed *b, enum bed_gate g);

/* Runs the loop until `done` says so; false when the time is over. */
bool bed_settle(struct bed *b, int64_t ms); /* until both queues are empty */
bool bed_until(struct bed *b, int64_t ms, bool (*done)(void *arg), void *arg);
void bed_pause(struct bed *b, int64_t ms);

/* ---- sending (tests/bed/post.c) ---- */

struct post {
	enum bed_door door;
	bool clear; /* no STARTTLS where it would be used (the Internet's doors and servers' ones: always clear) */
	struct caller_message message;
};

enum { POST_RCPTS = 200 };
struct answers {
	struct { /* of MAIL and of each recipient: "250 2.1.5" */
		char text[160];
	} mail, rcpt[POST_RCPTS], message;
	unsigned taken;   /* recipients */
	bool accepted;    /* the message was */
	struct ehlo peer; /* what was offered */
	char why[256];    /* the connection failed */
};
/* One message on a connection of its own.  m->head and body: content as it is; dots are stuffed here. */
void bed_post(struct bed *b, const struct post *p, struct answers *out);
struct caller_options bed_door_options(const struct bed *b, enum bed_door d);

/* ---- the parts, opened and closed by bed.c ---- */

void bed_hosts_open(struct bed *b);
void bed_hosts_close(struct bed *b);
void bed_wires_open(struct bed *b);
void bed_wires_close(struct bed *b);
struct host_events bed_host_events(struct bed *b, enum bed_place where);
struct bed *bed_of_host(const struct bed_host *h);
void bed_view(struct visit *v, enum bed_place where, struct arrival *a); /* views into the visit */
void bed_remember(struct bed *b, const struct arrival *a);               /* copies */
void bed_forget_visit(struct visit *v);                                  /* of host_events.closed */
uint64_t bed_connections(const struct bed *b, enum bed_place where);     /* since the start */

#endif
