/* smtpd/control_verbs.c: THE table of commands: dispatch, roles, arguments and help of the daemon and of `tombolo`.
 *
 * A row is a promise to scripts (DESIGN section 7): names stay, options are only added.  docs/CLI.md tells the same in
 * more words. */
#include "smtpd/control_verbs.h"

static const struct verb_arg queue_list_args[] = {
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "deferred", ARG_FLAG, ARG_OPTION, NULL, "only what a try has failed for" },
	{ "held", ARG_FLAG, ARG_OPTION, NULL, "only what is on hold or put aside as poison" },
	{ "older", ARG_SPAN, ARG_OPTION, "2h", "only messages that arrived longer ago" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"domain = x.example and attempts > 3\"" },
	{ "max", ARG_COUNT, ARG_OPTION, "N", "at most N recipients (default 1000, 0 = all)" },
	{ "postfix", ARG_VIEW, ARG_OPTION, NULL, "print as `postqueue -p` does, for tools that read that" },
	{ 0 },
};

static const struct verb_arg queue_show_args[] = {
	{ "ID", ARG_TEXT, ARG_MUST, "ID", "the message" },
	{ 0 },
};

/* Ids and filters together must all hold. */
static const struct verb_arg queue_remove_args[] = {
	{ "ID", ARG_LIST, ARG_REST, "ID", "messages, as `queue list` names them" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "deferred", ARG_FLAG, ARG_OPTION, NULL, "only what a try has failed for" },
	{ "held", ARG_FLAG, ARG_OPTION, NULL, "only what is on hold or put aside as poison" },
	{ "older", ARG_SPAN, ARG_OPTION, "2h", "only messages that arrived longer ago" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"domain = x.example and attempts > 3\"" },
	{ "all", ARG_FLAG, ARG_OPTION, NULL, "the whole queue; needed when nothing else is given" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "count, change nothing" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why; stands in the log beside who did it" },
	{ "ndr", ARG_FLAG, ARG_OPTION, NULL, "the senders get a failure report; it says the --reason" },
	{ 0 },
};

static const struct verb_arg queue_order_args[] = {
	{ "ID", ARG_LIST, ARG_REST, "ID", "messages, as `queue list` names them" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "deferred", ARG_FLAG, ARG_OPTION, NULL, "only what a try has failed for" },
	{ "held", ARG_FLAG, ARG_OPTION, NULL, "only what is on hold or put aside as poison" },
	{ "older", ARG_SPAN, ARG_OPTION, "2h", "only messages that arrived longer ago" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"domain = x.example and attempts > 3\"" },
	{ "all", ARG_FLAG, ARG_OPTION, NULL, "the whole queue; needed when nothing else is given" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "count, change nothing" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why; stands in the log beside who did it" },
	{ 0 },
};

static const struct verb_arg queue_export_args[] = {
	{ "ID", ARG_LIST, ARG_REST, "ID", "messages, as `queue list` names them" },
	{ "into", ARG_FILE, ARG_OPTION, "FOLDER", "write them there; it is made, or must be empty" },
	{ "remove", ARG_FLAG, ARG_OPTION, NULL, "take them out of the queue when all files are synced" },
	{ "finish", ARG_FILE, ARG_OPTION, "FOLDER", "take out of the queue what these files hold" },
	{ "undo", ARG_FILE, ARG_OPTION, "FOLDER", "release what these files hold; delete the files then" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "deferred", ARG_FLAG, ARG_OPTION, NULL, "only what a try has failed for" },
	{ "held", ARG_FLAG, ARG_OPTION, NULL, "only what is on hold or put aside as poison" },
	{ "older", ARG_SPAN, ARG_OPTION, "2h", "only messages that arrived longer ago" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"domain = x.example and attempts > 3\"" },
	{ "all", ARG_FLAG, ARG_OPTION, NULL, "the whole queue; needed when nothing else is given" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "count, change nothing" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why; stands in the log beside who did it" },
	{ 0 },
};

static const struct verb_arg queue_import_args[] = {
	{ "PATH", ARG_FILE, ARG_MUST, "FOLDER|FILE", "files of `queue export`; the daemon opens them" },
	{ "hold", ARG_FLAG, ARG_OPTION, NULL, "put all of it on hold" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "check and count, change nothing" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why; stands in the log beside who did it" },
	{ 0 },
};

static const struct verb_arg queue_drain_args[] = {
	{ "to", ARG_TEXT, ARG_OPTION, "HOST[:PORT]", "everything goes to this host, instead of where it belongs" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "what those hear who are refused; stands in the log" },
	{ "stop", ARG_FLAG, ARG_OPTION, NULL, "end it: accept mail again, deliver by routing" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "count, change nothing" },
	{ 0 },
};

static const struct verb_arg queue_summary_args[] = {
	{ "by", ARG_TEXT, ARG_OPTION, "FIELD", "domain (default), sender-domain, next-hop, last-error or state" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "deferred", ARG_FLAG, ARG_OPTION, NULL, "only what a try has failed for" },
	{ "held", ARG_FLAG, ARG_OPTION, NULL, "only what is on hold or put aside as poison" },
	{ "older", ARG_SPAN, ARG_OPTION, "2h", "only messages that arrived longer ago" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"domain = x.example and attempts > 3\"" },
	{ 0 },
};

static const struct verb_arg queue_check_args[] = {
	{ "PATH", ARG_FILE, ARG_MUST, "PATH", "folder of a queue that no gateway has open" },
	{ 0 },
};

static const struct verb_arg replay_list_args[] = {
	{ "since", ARG_SPAN, ARG_OPTION, "2h", "only what was delivered within this time (default: all that is kept)" },
	{ "until", ARG_SPAN, ARG_OPTION, "1h", "only what was delivered longer ago" },
	{ "connector", ARG_TEXT, ARG_OPTION, "NAME", "delivered by this send connector" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"hop = mx1.x.example and size < 1M\"" },
	{ "max", ARG_COUNT, ARG_OPTION, "N", "at most N recipients (default 1000, 0 = all)" },
	{ 0 },
};

static const struct verb_arg replay_send_args[] = {
	{ "since", ARG_SPAN, ARG_OPTION, "2h", "only what was delivered within this time; needed" },
	{ "until", ARG_SPAN, ARG_OPTION, "1h", "only what was delivered longer ago" },
	{ "connector", ARG_TEXT, ARG_OPTION, "NAME", "delivered by this send connector" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "where", ARG_TEXT, ARG_OPTION, "EXPR", "an expression, like \"hop = mx1.x.example and size < 1M\"" },
	{ "again", ARG_FLAG, ARG_OPTION, NULL, "also what was sent again before" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "count, send nothing" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why; stands in the log beside who did it" },
	{ 0 },
};

static const struct verb_arg explain_args[] = {
	{ "RCPT", ARG_ADDRESS, ARG_MUST, "RCPT", "the recipient" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "MAIL FROM; '<>' is the null sender" },
	{ "ip", ARG_TEXT, ARG_OPTION, "IP", "address of the client (default: one that belongs to nobody)" },
	{ "via", ARG_TEXT, ARG_OPTION, "RECEIVE", "receive connector; the default is the one the address leads to" },
	{ "tls", ARG_FLAG, ARG_OPTION, NULL, "the client used STARTTLS" },
	{ "cert-name", ARG_LIST, ARG_OPTION, "NAME", "a name in the client's valid certificate; may be repeated" },
	{ "cert", ARG_FILE, ARG_OPTION, "FILE", "the client's certificate, PEM; its chain is taken for good" },
	{ "ca", ARG_FILE, ARG_OPTION, "FILE", "roots by which to judge the chain of --cert" },
	{ "claim", ARG_TEXT, ARG_OPTION, "ORG", "organisation the client claims (XOORG or X-OriginatorOrg)" },
	{ "class", ARG_TEXT, ARG_OPTION, "int|ext", "class of a peer's message, as its headers say" },
	{ "token", ARG_FLAG, ARG_OPTION, NULL, "the message carries our route token for this recipient" },
	{ "redirected", ARG_FLAG, ARG_OPTION, NULL, "reached by forwarding or expansion" },
	{ "mode", ARG_TEXT, ARG_OPTION, "M1..M4", "as if this mode were in force" },
	{ "at", ARG_TEXT, ARG_OPTION, "TIME", "with the mode and the records of then: 2026-11-20T10:00Z, or 2h ago" },
	{ "headers", ARG_FILE, ARG_OPTION, "FILE", "the header of the message: which fields would be changed" },
	{ "why-not", ARG_TEXT, ARG_OPTION, "CONNECTOR", "say why this send or inbound connector was not taken" },
	{ "size", ARG_BYTES, ARG_OPTION, "12M", "size of the message" },
	{ 0 },
};

static const struct verb_arg mode_set_args[] = {
	{ "MODE", ARG_LIST, ARG_REST, "M1..M4|mx=SIDE|cmt=on", "M1..M4, or mx=onprem|cloud and cmt=on|off" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "say what would change, change nothing" },
	{ 0 },
};

static const struct verb_arg mode_plan_args[] = {
	{ "MODE", ARG_LIST, ARG_REST, "M1..M4|mx=SIDE|cmt=on", "M1..M4, or mx=onprem|cloud and cmt=on|off" },
	{ 0 },
};

static const struct verb_arg mode_switch_args[] = {
	{ "MODE", ARG_LIST, ARG_REST, "M1..M4|mx=SIDE|cmt=on", "where to (default: what `mode plan` said)" },
	{ "waive", ARG_LIST, ARG_OPTION, "CHECK", "let this check fail; may be repeated; needs --reason" },
	{ "reason", ARG_TEXT, ARG_OPTION, "TEXT", "why they may; it is kept with the switch" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "run the checks, change nothing" },
	{ 0 },
};

static const struct verb_arg auth_check_args[] = {
	{ "ip", ARG_TEXT, ARG_OPTION, "IP", "SPF: address of the client" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "SPF: MAIL FROM; '<>' or nothing is the null sender" },
	{ "helo", ARG_TEXT, ARG_OPTION, "NAME", "SPF: what the client says in EHLO" },
	{ "file", ARG_FILE, ARG_OPTION, "MSG", "DKIM: a message as it came, readable for the daemon" },
	{ 0 },
};

static const struct verb_arg stragglers_args[] = {
	{ "max", ARG_COUNT, ARG_OPTION, "N", "at most N sources (default 1000, 0 = all)" },
	{ 0 },
};

static const struct verb_arg import_args[] = {
	{ "FILE", ARG_FILE, ARG_MUST, "FILE", "CSV with a header line, or LDIF" },
	{ "ldif", ARG_FLAG, ARG_OPTION, NULL, "the file is LDIF (default when its name ends in .ldif)" },
	{ "source", ARG_TEXT, ARG_OPTION, "NAME", "who says so (default: import)" },
	{ "replace", ARG_FLAG, ARG_OPTION, NULL, "remove what this source said before and the file does not name" },
	{ "accept-deletes", ARG_COUNT, ARG_OPTION, "N", "let exactly N removals pass the guard" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "check and count, change nothing" },
	{ 0 },
};

static const struct verb_arg address_args[] = {
	{ "ADDRESS", ARG_ADDRESS, ARG_MUST, "ADDRESS", "any address of the recipient" },
	{ 0 },
};

static const struct verb_arg record_set_args[] = {
	{ "ADDRESS", ARG_ADDRESS, ARG_MUST, "ADDRESS", "any address of the recipient; unknown: a new record" },
	{ "SETTING", ARG_LIST, ARG_REST, "KEY=VALUE",
	  "loc, routing, alias, local_host, redirect, keep_copy, require_auth, external_ok, allow, deny, expand_at, report_to, "
	  "owner, members (also members+= and members-=), mailbox_id, source, batch" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "show the record as it would be, change nothing" },
	{ 0 },
};

static const struct verb_arg record_remove_args[] = {
	{ "ADDRESS", ARG_ADDRESS, ARG_MUST, "ADDRESS", "any address of the recipient" },
	{ "dry-run", ARG_FLAG, ARG_OPTION, NULL, "show the record, change nothing" },
	{ 0 },
};

static const struct verb_arg resolve_args[] = {
	{ "ADDRESS", ARG_ADDRESS, ARG_MUST, "ADDRESS", "any address of the recipient" },
	{ "local", ARG_FLAG, ARG_OPTION, NULL, "the mailbox is on this side" },
	{ "remote", ARG_FLAG, ARG_OPTION, NULL, "the mailbox is on the other side" },
	{ "routing", ARG_ADDRESS, ARG_OPTION, "ADDRESS", "its address there (default: what the record has)" },
	{ 0 },
};

static const struct verb_arg message_args[] = {
	{ "FILE", ARG_FILE, ARG_MUST, "FILE", "a message, header first" },
	{ 0 },
};

static const struct verb_arg file_args[] = {
	{ "FILE", ARG_FILE, ARG_MUST, "FILE", "configuration file" },
	{ 0 },
};

static const struct verb_arg diff_args[] = {
	{ "FILE", ARG_FILE, ARG_MAY, "FILE", "configuration file (default: the one the daemon was started with)" },
	{ 0 },
};

static const struct verb_arg test_args[] = {
	{ "NAME", ARG_TEXT, ARG_MUST, "NAME", "a send connector" },
	{ "rcpt", ARG_ADDRESS, ARG_OPTION, "ADDRESS", "ask for this recipient too (MAIL, RCPT, RSET)" },
	{ "from", ARG_ADDRESS, ARG_OPTION, "ADDRESS", "its sender (default: the postmaster)" },
	{ "host", ARG_TEXT, ARG_OPTION, "HOST[:PORT]", "only this host, instead of where the connector leads" },
	{ 0 },
};

static const struct verb_arg top_args[] = {
	{ "interval", ARG_SPAN, ARG_OPTION, "2s", "time between two screens (default 2s)" },
	{ "count", ARG_COUNT, ARG_OPTION, "N", "so many screens (default: until interrupted)" },
	{ 0 },
};

static const struct verb_arg trace_args[] = {
	{ "ID", ARG_TEXT, ARG_MAY, "ID", "network message id, queue id or Message-ID" },
	{ "from", ARG_TEXT, ARG_OPTION, "ADDRESS", "sender; a domain means all its addresses" },
	{ "to", ARG_TEXT, ARG_OPTION, "ADDRESS", "recipient; a domain means all its addresses" },
	{ "since", ARG_SPAN, ARG_OPTION, "2h", "only events that are not older" },
	{ "max", ARG_COUNT, ARG_OPTION, "N", "at most N messages (default 20, most 1000)" },
	{ "track", ARG_FILE, ARG_OPTION, "FILE", "the tracking log (default: the configuration's, see -c)" },
	{ "also", ARG_LIST, ARG_OPTION, "FILE", "a tracking log of another gateway; may be repeated" },
	{ 0 },
};

static const struct verb_arg reasons_args[] = {
	{ "CODE", ARG_TEXT, ARG_MAY, "CODE", "one reason code or rule (default: all)" },
	{ 0 },
};

static const struct verb_arg simulate_args[] = {
	{ "mode", ARG_TEXT, ARG_OPTION, "M1..M4", "the mode to try" },
	{ "since", ARG_SPAN, ARG_OPTION, "24h", "only messages that are not older" },
	{ "peer-config", ARG_FILE, ARG_OPTION, "FILE", "the configuration of the other side's gateway" },
	{ "spf", ARG_FLAG, ARG_OPTION, NULL, "ask the DNS whether SPF records name the side mail would leave from" },
	{ "track", ARG_FILE, ARG_OPTION, "FILE", "the tracking log (default: the configuration's, see -c)" },
	{ "also", ARG_LIST, ARG_OPTION, "FILE", "a tracking log of the other side; may be repeated" },
	{ 0 },
};

const struct verb control_verbs[] = {
	{ "status", "", 0, VERB_LOOP, run_status, NULL, "what the daemon is and does, at a glance" },
	{ "top", "", 0, VERB_LOCAL, run_top, top_args, "what it does now, over and over, with rates" },
	{ "metrics", "", 0, VERB_WORKER, run_metrics, NULL, "all figures, as a monitoring system gets them" },

	{ "queue", "list", VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_list, queue_list_args,
	  "recipients that wait, oldest first" },
	{ "queue", "show", VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_show, queue_show_args,
	  "one message with all its recipients" },
	{ "queue", "summary", VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_summary, queue_summary_args,
	  "totals, and what waits by domain, next hop, error ..." },
	{ "queue", "retry", VERB_OPERATOR, VERB_LOOP, run_queue_retry, queue_order_args, "try now" },
	{ "queue", "remove", VERB_OPERATOR | VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_remove, queue_remove_args,
	  "drop; without --ndr nobody gets a report" },
	{ "queue", "hold", VERB_OPERATOR | VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_hold, queue_order_args,
	  "do not try until released" },
	{ "queue", "release", VERB_OPERATOR | VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_release, queue_order_args,
	  "end a hold" },
	{ "queue", "reroute", VERB_OPERATOR, VERB_LOOP, run_queue_reroute, queue_order_args,
	  "decide anew where it goes, and try now" },
	{ "queue", "drain", VERB_OPERATOR, VERB_LOOP, run_queue_drain, queue_drain_args,
	  "accept nothing, deliver all that is there" },
	{ "queue", "export", 0, VERB_LOCAL, run_queue_export, queue_export_args,
	  "messages into files, for another gateway or a backup" },
	{ "queue", "import", VERB_OPERATOR | VERB_OFFLINE | VERB_QUEUE, VERB_LOOP, run_queue_import, queue_import_args,
	  "messages out of such files, each only once" },
	{ "queue", "check", 0, VERB_LOCAL, run_queue_check, queue_check_args,
	  "is a closed store sound? needs no daemon" },

	{ "replay", "list", VERB_OPERATOR, VERB_WORKER, run_replay_list, replay_list_args,
	  "delivered mail that is kept, oldest first" },
	{ "replay", "send", VERB_OPERATOR, VERB_LOOP, run_replay_send, replay_send_args,
	  "send it again, after a loss behind this gateway" },

	{ "route", "explain", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_route_explain, explain_args,
	  "what would happen to a recipient, and why" },

	{ "reasons", "", 0, VERB_LOCAL, run_reasons, reasons_args,
	  "every reason code: when, which codes, who can mend it" },

	{ "trace", "", VERB_FILES, VERB_LOCAL, run_trace, trace_args,
	  "what happened to a message, on this side and the other" },

	{ "simulate", "", VERB_FILES | VERB_STORE, VERB_LOCAL, run_simulate, simulate_args,
	  "recorded mail under another mode: what would change" },

	{ "mode", "show", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_show, NULL,
	  "where the MX points, and whether CMT is on" },
	{ "mode", "set", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_set, mode_set_args,
	  "switch the flow; holds from the next decision" },
	{ "mode", "plan", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_plan, mode_plan_args,
	  "say where a switch is to lead" },
	{ "mode", "switch", VERB_OPERATOR, VERB_LOOP, run_mode_switch, mode_switch_args,
	  "check, and when nothing stands in the way switch" },
	{ "mode", "status", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_status, NULL,
	  "how the switch goes, and what its checks found" },
	{ "mode", "rollback", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_rollback, NULL,
	  "back to the mode before the switch under way" },
	{ "mode", "stragglers", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_stragglers, stragglers_args,
	  "who still comes to the side that is not the MX" },
	{ "mode", "history", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_mode_history, NULL,
	  "the changes of the mode, and who made them" },

	{ "cmt", "verify", VERB_OPERATOR | VERB_OFFLINE, VERB_WORKER, run_cmt_verify, message_args,
	  "did this message pass by the on-prem side, signed by us?" },

	{ "recipients", "import", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_import,
	  import_args, "read a file into the table, all of it or nothing" },
	{ "recipients", "export", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_export, NULL,
	  "the table as CSV that imports again" },
	{ "recipients", "get", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_get, address_args, "one record" },
	{ "recipients", "set", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_set,
	  record_set_args, "change or make one record" },
	{ "recipients", "remove", VERB_OPERATOR | VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_remove,
	  record_remove_args, "remove one record" },
	{ "recipients", "history", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_history, address_args,
	  "the versions of a record that are kept" },
	{ "recipients", "conflicts", VERB_OFFLINE | VERB_STORE, VERB_WORKER, run_recipients_conflicts, NULL,
	  "where the two sides disagree about a mailbox" },
	{ "recipients", "resolve", VERB_OPERATOR, VERB_LOOP, run_recipients_resolve, resolve_args,
	  "say where it is, close the conflict, try what waits" },

	{ "auth", "check", VERB_OPERATOR, VERB_LOOP, run_auth_check, auth_check_args,
	  "what SPF says of a client, and DKIM of a message" },

	{ "config", "check", 0, VERB_LOCAL, run_config_check, file_args, "all errors of a file; needs no daemon" },
	{ "config", "show", VERB_OFFLINE, VERB_WORKER, run_config_show, NULL,
	  "effective values, as a file that loads" },
	{ "config", "diff", 0, VERB_WORKER, run_config_diff, diff_args, "the running values against a file" },
	{ "config", "reload", VERB_OPERATOR, VERB_WORKER, run_config_reload, NULL,
	  "load the file again, all of it or nothing" },

	{ "tls", "show", VERB_OFFLINE, VERB_WORKER, run_tls_show, NULL,
	  "our certificates, who shows them, what is wrong" },
	{ "tls", "reload", VERB_OPERATOR, VERB_WORKER, run_tls_reload, NULL,
	  "read certificates and revocation lists again" },

	{ "connector", "list", VERB_OFFLINE, VERB_WORKER, run_connector_list, NULL,
	  "receive, inbound and send connectors, and how it goes" },
	{ "connector", "hops", 0, VERB_WORKER, run_connector_hops, NULL, "where we connect to, and how it goes" },
	{ "connector", "test", VERB_OPERATOR, VERB_LOOP, run_connector_test, test_args,
	  "connect as mail would, stage by stage; sends nothing" },
};
const size_t control_verb_n = sizeof control_verbs / sizeof control_verbs[0];
