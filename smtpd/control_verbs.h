/* smtpd/control_verbs.h: the handlers that the verb table names (see control_call.h for what a handler may do).
 *
 * Each is one command: reads its arguments, writes rows, ends the call once.  Those of VERB_LOOP may end it later;
 * those of VERB_WORKER and VERB_LOCAL end it before they return. */
#ifndef SMTPD_CONTROL_VERBS_H
#define SMTPD_CONTROL_VERBS_H

#include "smtpd/control_call.h"

/* control_status.c */
void run_status(struct call *c);
void run_top(struct call *c);
void run_metrics(struct call *c); /* metrics.c */

/* control_connector.c */
void run_connector_list(struct call *c);
void run_connector_hops(struct call *c);
void run_connector_test(struct call *c);

/* control_queue.c, control_summary.c */
void run_queue_list(struct call *c);
void run_queue_show(struct call *c);
void run_queue_summary(struct call *c);
void run_queue_retry(struct call *c);
void run_queue_remove(struct call *c);
void run_queue_hold(struct call *c);
void run_queue_release(struct call *c);
void run_queue_reroute(struct call *c);
void run_queue_check(struct call *c);
void run_queue_drain(struct call *c);  /* control_drain.c */
void run_queue_export(struct call *c); /* `tombolo` does it: cli_export.c */
void run_queue_import(struct call *c); /* control_import.c */

/* control_replay.c */
void run_replay_list(struct call *c);
void run_replay_send(struct call *c);

/* control_route.c */
void run_route_explain(struct call *c);

/* control_mode.c, control_switch.c */
void run_mode_show(struct call *c);
void run_mode_set(struct call *c);
void run_mode_history(struct call *c);
void run_mode_stragglers(struct call *c);
void run_mode_plan(struct call *c);
void run_mode_switch(struct call *c);
void run_mode_status(struct call *c);
void run_mode_rollback(struct call *c);

/* control_trace.c */
void run_trace(struct call *c);

/* control_reasons.c */
void run_reasons(struct call *c);

/* control_auth.c */
void run_auth_check(struct call *c);

/* control_simulate.c */
void run_simulate(struct call *c);

/* control_recipients.c */
void run_recipients_import(struct call *c);
void run_recipients_export(struct call *c);
void run_recipients_get(struct call *c);
void run_recipients_set(struct call *c);
void run_recipients_remove(struct call *c);

/* control_bypass.c */
void run_cmt_verify(struct call *c);

/* control_history.c */
void run_recipients_history(struct call *c);

/* control_conflicts.c */
void run_recipients_conflicts(struct call *c);
void run_recipients_resolve(struct call *c);

/* control_config.c */
void run_config_check(struct call *c);
void run_config_show(struct call *c);
void run_config_diff(struct call *c);
void run_config_reload(struct call *c);

/* control_tls.c */
void run_tls_show(struct call *c);
void run_tls_reload(struct call *c);

/* The filter of a queue verb, and the memory behind it. */
struct filter_room {
	struct queue_filter f;
	struct queue_where *where;
	struct buf from, to;
};
bool filter_init(struct filter_room *r, struct call *c); /* false: the call has ended, the reason is told */
void filter_fini(struct filter_room *r);                 /* also of zeros */
const char *queue_state_name(enum queue_state s);        /* "deferred" */

/* Shared by the handlers. */
/* Strangers' mail is refused for want of resources: then nothing is brought in by hand either (spec 6.4). */
bool is_short_of_resources(const struct call *c, struct err *e);
const char *conf_side_name(enum conf_side s);                 /* "onprem" */
const char *conf_tls_name(enum conf_tls_level l);             /* "validate" */
void row_mode(json_t *row, const struct mode *m);             /* mode, mx, cmt, epoch, since_ms */
void row_coverage(json_t *row, const uint64_t n[COVERAGE_N]); /* passed, direct, ..., passed_percent */
bool mode_parse(struct str s, enum conf_side *mx, bool *cmt); /* "M1".."M4" */
/* The words of the argument MODE over what is there; false: the call has ended. */
bool mode_read_words(struct call *c, enum conf_side *mx, bool *cmt);
struct str call_who(const struct call *c, char room[SWITCH_WHO]); /* "uid 0" */

#endif
