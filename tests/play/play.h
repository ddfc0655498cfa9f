/* tests/play/play.h: one scenario while it runs.
 *
 *   play_scenario: script -> generated configuration -> gateway process -> items one after the other -> verdict
 *
 * All actors (the client at work, every sink, the list of items) live on one loop; each has a cursor into its steps and
 * a run function that goes on as far as it can and is called again by the next event.  The first thing that is not as
 * wanted ends the scenario.  Real sockets on loopback; the gateway's clock is moved by the `clock` item only. */
#ifndef TESTS_PLAY_PLAY_H
#define TESTS_PLAY_PLAY_H

#include "tests/play/script.h"

#include "base/buf.h"
#include "base/loop.h"
#include "base/net.h"
#include "tls/tls.h"

enum {
	STILL_MS = 20000, /* nothing went on for so long: failed */
	ASK_AGAIN_MS = 5000,
	TICK_MS = 4,
	SETTLE_TURNS = 75,
	PLAY_SINKS_MAX = 48,
	PLAY_STAYERS_MAX = 32,
	PLAY_FILTERS_MAX = 32
};

struct client;
struct sink;
struct wire;
struct play_filter;
struct settings;

struct played { /* the verdict on one file: it is as many cases as it names, or one */
	size_t passed, failed;
	struct buf told;    /* a line for each case that passed */
	struct buf failure; /* what went wrong, several lines; empty when all is as wanted */
};

struct progress { /* how far a scenario is; unchanged for STILL_MS, it has failed */
	size_t at;
	uint64_t round;
	int64_t client_line;
	uint64_t daemon_phase;
};

struct play {
	const char *file, *build, *certs;
	struct script script;
	struct loop *loop;
	struct loop_timer tick, limit;
	char dir[200];
	uint16_t inet_port, hub_port, closed_port;
	struct settings *settings;
	struct sink *sinks[PLAY_SINKS_MAX];
	size_t sink_n;
	struct wire *wires[PLAY_SINKS_MAX];
	size_t wire_n;
	struct play_filter *filters[PLAY_FILTERS_MAX];
	size_t filter_n;
	struct client *client;                    /* at work, or NULL */
	struct client *stayers[PLAY_STAYERS_MAX]; /* done, but still connected */
	size_t stayer_n;
	struct played *played;
	struct str case_name;  /* under way; empty before the first */
	size_t log_from;       /* `expect case log` looks at what was logged since the case began */
	size_t at;             /* the item under way */
	bool begun;            /* the item has been started and is being waited for */
	int64_t begun_ms;      /* when: real time */
	unsigned turns;        /* of the tick in which this item waited for the gateway to settle */
	unsigned round;        /* of a client that is played again and again (split each) */
	pid_t daemon, command; /* processes of ours, 0 = none */
	bool daemon_ready;
	bool has_fault, may_die; /* a failure point is armed; one that kills it */
	bool daemon_stays_down;  /* after `stop`, until `start` */
	enum { DAEMON_SETTLED, DAEMON_ENDING, DAEMON_STARTING } daemon_phase;
	int64_t *clock_ms; /* how far the gateway's clock is ahead (mapped file) */
	struct progress progress;
	bool over;
};

/* Plays one file.  `out` is zero at first; the caller frees its buffers. */
void play_scenario(const char *file, const char *build, const char *certs, struct played *out);

/* Ends the scenario: "FILE:LINE: ..." ; only the first failure counts. */
void play_fail(struct play *p, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void play_mismatch(struct play *p, int line, const char *who, struct str wanted, struct str got);
/* $PORT, $HUB, $DIR, $CERTS and $sink.NAME in `text` replaced, appended to `out`. */
void play_expand(struct play *p, struct str text, struct buf *out);
/* DIR/name, in memory of the scenario. */
const char *play_path(struct play *p, const char *name);
/* A context of ours with certificate NAME of the demo set (empty: none); owned by the caller. */
struct tls_ctx *play_client_tls(struct play *p, struct str certificate, struct err *e);
struct tls_ctx *play_server_tls(struct play *p, struct str certificate, struct err *e);
/* The same for one that is too weak to be shown by tls/. */
struct tls_ctx *play_weak_client_tls(struct play *p, struct str certificate, struct err *e);
struct tls_ctx *play_weak_server_tls(struct play *p, struct str certificate, struct err *e);
bool play_move_clock(struct play *p, struct str by); /* "+61s"; false: not understood */
bool play_write_file(struct play *p, const char *path, struct str text);

/* ---- settings.c: the gateway's configuration ---- */
struct settings *settings_new(struct play *p);
void settings_free(struct settings **s);
/* Adds what a `config` block says over what is there.  False after play_fail. */
bool settings_add(struct play *p, struct str text, int line);
bool settings_write(struct play *p, const char *path);

/* ---- daemon.c: processes ---- */
bool daemon_start(struct play *p);
bool daemon_poll(struct play *p); /* true when it is ready; notices that it died */
void daemon_signal(struct play *p, int sig);
void daemon_fault(struct play *p, struct str words);     /* `fault "POINT"` for the next start; anything else: none */
bool daemon_gone(struct play *p, int line, bool killed); /* true once it has ended, as it should */
bool command_start(struct play *p, struct str words);
bool command_done(struct play *p, int *status, struct buf *output);
/* Makes the gateway log `control.garbage ... bytes=N`: what it logged before stands before that. */
void daemon_mark_log(struct play *p, size_t n);
bool queue_is_idle(struct play *p); /* no message is in delivery */
/* What the queue says of the first one that waits for this recipient; false: none does. */
bool queue_row(struct play *p, struct str rcpt, struct buf *row);
long queue_count(struct play *p); /* recipients in the queue, or -1 when the daemon did not answer yet */

/* ---- client.c ---- */
struct client *client_new(struct play *p, const struct item *item, unsigned round);
bool client_is_done(const struct client *c);
int client_line(const struct client *c);
unsigned client_rounds(struct play *p, const struct item *item);
bool client_stays(const struct item *item); /* `client NAME stays`: its connection lives as long as the scenario */
void client_free(struct client **c);

/* ---- sink.c ---- */
struct sink *sink_new(struct play *p, const struct item *item);
bool sink_change(struct play *p, const struct item *item); /* false after play_fail */
struct str sink_name(const struct sink *s);
uint16_t sink_port(const struct sink *s);
bool sink_is_done(const struct sink *s);
int sink_line(const struct sink *s);
/* What an `auto` sink got: for each message "from=<> rcpts=<a>,<b> tls=TLSv1.3 cert=NAME\n" and its content. */
struct str sink_log(const struct sink *s);
struct sink *sink_named(struct play *p, struct str name); /* NULL when there is none */
struct str sink_last(const struct sink *s);               /* content of the last message */
struct str sink_last_from(const struct sink *s);          /* its sender */
size_t sink_messages(const struct sink *s);
struct str sink_heard(const struct sink *s); /* every command line, in clear or out of TLS */
void sink_wake(struct sink *s);              /* from the tick: a connection may wait in the backlog */
void sink_free(struct sink **s);

/* ---- filter.c ---- */
struct play_filter *play_filter_open(struct play *p, const struct item *item);
void play_filter_order(struct play_filter *f, const struct item *item);
struct str play_filter_name(const struct play_filter *f);
uint16_t play_filter_port(const struct play_filter *f);
struct str play_filter_heard(const struct play_filter *f);
void play_filter_close(struct play_filter **f);

/* ---- wire.c ---- */
struct wire *wire_new(struct play *p, const struct item *item);
struct str wire_name(const struct wire *w); /* of the sink behind it */
uint16_t wire_port(const struct wire *w);
struct str wire_kept(const struct wire *w); /* what the gateway sent, as it was on the wire */
void wire_free(struct wire **w);

#endif
