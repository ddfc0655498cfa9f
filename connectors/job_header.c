/* connectors/job_header.c: the header of a leased message, read once, and what each way out changes of it.
 *
 *   plans made -> job_scan_header -> (windows from the disk, if it is not in memory) -> then -> job_edit_header
 *
 * What was plain when it was accepted is not read again: then only what we add ourselves matters. */
#include "connectors/job.h"

#include "base/must.h"
#include "base/time.h"

/* Whom our token names has the message; members that came back to be expanded have it too (R41). */
static bool reads_tokens(const struct job *j)
{
	if (outbound_token_keys(j->d->outbound)->n > 0 && j->lease->env.origin == ENV_PEER &&
	    !j->lease->env.plain_headers)
		for (size_t i = 0; i < j->plan_n; i++)
			if (j->plans[i].expands || j->plans[i].forwards)
				return true;
	return false;
}

static bool needs_token(const struct job *j)
{
	if (reads_tokens(j))
		return true;
	if (outbound_token_keys(j->d->outbound)->n > 0)
		for (const struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
			if (header_target_of(hop_send(dl->txn.hop)) == TARGET_PEER)
				return true;
	return false;
}

/* Some recipient of it goes without the other side. */
static bool is_bypass(const struct delivery *dl)
{
	const struct smtp_rcpt *r;

	STAILQ_FOREACH (r, &dl->txn.rcpts, next)
		if (container_of(r, const struct plan, rcpt)->bypass)
			return true;
	return false;
}

static bool needs_bypass(const struct job *j)
{
	for (const struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
		if (is_bypass(dl))
			return outbound_token_keys(j->d->outbound)->n > 0;
	return false;
}

bool job_needs_header(struct job *j)
{
	return sign_wants_header(j) || needs_bypass(j) || j->lease->env.smtputf8 || !j->lease->env.plain_headers ||
	       needs_token(j);
}

/* Bounds against a store gone wrong: what was accepted is below limits.header_max. */
enum { HEADER_BYTES_MAX = 64 << 20, HEADER_FIELDS_MAX = 1 << 20 };

static void look(void *arg, const struct header_field *f)
{
	struct job *j = arg;

	header_notes_add(&j->notes, f);
	sign_look(j, f);
	for (size_t i = 0; j->lease->env.smtputf8 && i < f->raw.n && !j->header_8bit; i++)
		j->header_8bit = chr_is_8bit(f->raw.p[i]);
}

static void end_scan(struct job *j, bool ok)
{
	must(j->scanning);
	j->scanning = false;
	header_scan_fini(&j->scan);
	lease_read_fini(&j->head_read);
	j->head_read = (struct lease_read){ 0 };
	j->with_header(j, ok);
}

static void read_window(struct job *j);

static void on_window(struct op *op)
{
	struct job *j = container_of(op, struct job, head_read.op);
	const struct lease_read *r = &j->head_read;

	if (!r->ok)
		log_warn(&j->log, "delivery.unreadable", kv_c("why", r->err.text));
	else
		header_scan_add(&j->scan, r->bytes);
	if (!r->ok || j->scan.done) {
		end_scan(j, r->ok && !j->scan.too_big);
		return;
	}
	j->scanned += r->bytes.n;
	read_window(j);
}

static void read_window(struct job *j)
{
	if (j->scanned < j->lease->size) {
		lease_read(j->lease, j->scanned, &j->head_read, on_window);
		return;
	}
	header_scan_finish(&j->scan);
	end_scan(j, !j->scan.too_big);
}

void job_scan_header(struct job *j, void (*then)(struct job *, bool))
{
	must(!j->scanning);
	j->with_header = then;
	j->scanning = true;
	j->scanned = 0;
	header_notes_init(&j->notes, &j->arena, &(struct header_own){ 0 });
	j->notes.bind = needs_token(j) || needs_bypass(j);
	header_scan_init(&j->scan, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, STR_NONE);
	j->scan.on_field = look;
	j->scan.arg = j;
	if (j->lease->content.p != NULL) {
		header_scan_add(&j->scan, j->lease->content);
		j->scanned = j->lease->size;
	}
	if (j->scan.done)
		end_scan(j, !j->scan.too_big);
	else
		read_window(j);
}

void job_scan_cancel(struct job *j)
{
	if (j->scanning)
		header_scan_fini(&j->scan);
	lease_read_fini(&j->head_read);
	j->scanning = false;
}

/* ---- the route token (spec 8.4) ---- */

enum { TOKENS_KEPT = 8 };

void job_keep_tokens(struct job *j)
{
	const struct token_keys *keys = outbound_token_keys(j->d->outbound);
	unsigned char message[TOKEN_SHORT];

	if (!reads_tokens(j) || !j->notes.bind)
		return;
	j->tokens = arena_alloc(&j->arena, TOKENS_KEPT * sizeof *j->tokens);
	if (j->tokens == NULL)
		return; /* the copies are made, and may be the second ones */
	token_bind(&j->notes.message, message);
	for (size_t i = 0; i < j->notes.n && j->token_n < TOKENS_KEPT; i++) {
		struct token *t = &j->tokens[j->token_n];
		if (j->notes.v[i].kind == HEADER_TOKEN &&
		    token_verify(keys, j->notes.v[i].value, message, clock_wall_ms(), t) == TOKEN_VALID)
			j->token_n += t->premises == outbound_config(j->d->outbound)->site;
	}
}

/* An older one of ours goes: the new one says it again. */
static void drop_own_tokens(struct job *j)
{
	for (size_t i = 0; i < j->notes.n; i++) {
		struct header_note *n = &j->notes.v[i];
		if (n->kind == HEADER_TOKEN && token_is_from(n->value, outbound_config(j->d->outbound)->site))
			n->kind = HEADER_GATEWAY;
	}
}

static bool make_token(struct job *j, const struct delivery *dl, bool bypass, struct str *out)
{
	const struct token_keys *keys = outbound_token_keys(j->d->outbound);
	struct token t = { .bypass = bypass,
			   .journaled = !bypass && job_is_journaled(j),
			   .premises = outbound_config(j->d->outbound)->site,
			   .epoch = j->lease->env.epoch,
			   .unix_s = (uint64_t)(clock_wall_ms() / 1000),
			   .generation = dl->generation };
	const struct smtp_rcpt *r;
	struct buf b;

	token_bind(&j->notes.message, t.message);
	STAILQ_FOREACH (r, &dl->txn.rcpts, next) /* `who` is known of those for the peer; a bypass names no one */
		if (!bypass)
			token_add(keys, &t, &container_of(r, const struct plan, rcpt)->who);
	buf_init(&b, TOKEN_TEXT_MAX);
	bool ok = token_put(keys, &t, &b) && arena_dup(&j->arena, buf_str(&b), out);
	buf_fini(&b);
	return ok;
}

bool job_edit_header(struct job *j, struct delivery *dl)
{
	const struct conf_send *send = hop_send(dl->txn.hop);
	const struct config *c = outbound_config(j->d->outbound);
	const struct envelope *env = &j->lease->env;
	const struct header_out rules = { .target = header_target_of(send),
					  .endpoint = send->headers == HEADERS_ENDPOINT,
					  .demote = &send->demote };
	struct header_changes changes;

	bool by = is_bypass(dl) && j->notes.bind;
	if (rules.target == TARGET_INTERNET && j->notes.n == 0 && !by)
		return true;
	struct str token = STR_NONE, bypass = STR_NONE;
	if (by && !make_token(j, dl, true, &bypass))
		return false;
	if (rules.target == TARGET_PEER && j->notes.bind) {
		drop_own_tokens(j);
		if (!make_token(j, dl, false, &token))
			return false;
	}
	const struct header_added added = {
		.trust = header_trust_stored(c, env),
		.sender_ours = env->from.n > 0 ? header_sender_ours(c, env->from) : env->origin == ENV_SELF,
		/* who keeps no journal has nothing to say: what others marked passes as it is */
		.journaled = c->journal_n > 0 && job_is_journaled(j),
		.set_scl = send->set_scl,
		.gateway = send->fqdn,
		.org = dl->txn.env.xorg,
		.trace = env->trace_id,
		.token = token,
		.bypass = bypass
	};
	if (!header_edit_out(&rules, &added, &j->notes, &j->arena, &changes))
		return false;
	if (by)
		log_warn(&j->log, "cmt.bypass", kv_str("connector", send->name),
			 kv_int("rcpts", (int64_t)dl->txn.rcpt_n),
			 kv_int("failing_since_ms", routing_peer_failing_since(j->d->o.routing)));
	dl->txn.edits = changes.edits;
	track_headers_of(&changes, &dl->headers);
	dl->txn.size = (uint64_t)((int64_t)j->lease->size + edits_growth(changes.edits));
	if (changes.total > 0)
		log_info(&j->log, "header.edited", kv_str("names", changes.names), kv_str("groups", changes.summary),
			 kv_c("direction", "out"), kv_str("connector", send->name));
	return true;
}

static bool value_is(const struct header_field *f, const char *word)
{
	struct buf b;

	buf_init(&b, 4096);
	header_unfold(f->value, &b);
	bool is = str_ieq(str_trim(buf_str(&b)), str_c(word));
	buf_fini(&b);
	return is;
}

static void look_for_robot(void *arg, const struct header_field *f)
{
	bool *automatic = arg;

	if (header_name_is(f->name, S("Auto-Submitted")))
		*automatic |= !value_is(f, "no");
	else if (header_name_is(f->name, S("Precedence")))
		*automatic |= value_is(f, "bulk") || value_is(f, "junk") || value_is(f, "list");
	else if (header_name_is(f->name, S("X-Auto-Response-Suppress")))
		*automatic |= value_is(f, "All") || value_is(f, "NDR");
}

bool job_is_automatic(struct str head)
{
	struct header_scan scan;
	bool automatic = false;

	header_scan_init(&scan, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, STR_NONE);
	scan.on_field = look_for_robot;
	scan.arg = &automatic;
	header_scan_add(&scan, head);
	header_scan_finish(&scan);
	header_scan_fini(&scan);
	return automatic;
}

struct str job_clean_head(struct job *j, struct str head, struct buf *room)
{
	const struct header_out rules = { .target = TARGET_INTERNET };
	const struct header_added nothing = { .trust = TRUST_INTERNET };
	struct header_changes changes;
	struct edit_pos pos = { 0 };
	struct str run;

	if (j->lease->env.plain_headers)
		return head;
	header_notes_init(&j->notes, &j->arena, &(struct header_own){ 0 });
	header_scan_init(&j->scan, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, STR_NONE);
	j->scan.on_field = look;
	j->scan.arg = j;
	header_scan_add(&j->scan, head);
	header_scan_finish(&j->scan);
	bool ok = header_edit_out(&rules, &nothing, &j->notes, &j->arena, &changes);
	header_scan_fini(&j->scan);
	while (ok && (run = edits_take(changes.edits, &pos, &head, SIZE_MAX)).n > 0)
		buf_add(room, run);
	return ok && !room->full ? buf_str(room) : STR_NONE;
}
