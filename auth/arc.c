/* auth/arc.c: the machine around a chain; see the header.  arc_sets.c makes sets out of fields, this file checks them.
 *
 *   collect    fields -> sets, and their form                   RFC 8617 5.2, steps 1 to 3
 *   judge      the newest ARC-Message-Signature, then every     steps 4 and 6
 *              ARC-Seal from the newest to the oldest
 *
 * Judging stops where a key is wanted and goes on there with its answer; what has been answered is kept in keys[]. */
#include "auth/arc_sets.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum look { GOOD, WANTS, FAILED };

const char *arc_verdict_name(enum arc_verdict v)
{
	static const char *const names[] = { "none", "pass", "fail" };

	return names[v];
}

static void finish(struct arc *a, enum arc_verdict v, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void finish(struct arc *a, enum arc_verdict v, const char *fmt, ...)
{
	va_list ap;

	a->result.verdict = v;
	va_start(ap, fmt);
	vsnprintf(a->result.why, sizeof a->result.why, fmt, ap);
	va_end(ap);
	a->done = true;
}

/* ---- keys ---- */

/* The key of these tags, or NULL: wanted first. */
static const struct arc_key *find_key(struct arc *a, const struct tags *t)
{
	char name[ARC_NAME];

	arc_key_name(t, name);
	for (size_t i = 0; i < a->key_n; i++)
		if (strcmp(a->keys[i].name, name) == 0) {
			if (a->keys[i].answered)
				return &a->keys[i];
			a->wanted = &a->keys[i];
			return NULL;
		}
	must(a->key_n < 1 + ARC_SETS_MAX);
	a->wanted = &a->keys[a->key_n++];
	*a->wanted = (struct arc_key){ .answered = false };
	memcpy(a->wanted->name, name, sizeof name);
	return NULL;
}

void arc_answer(struct arc *a, enum txt_status status, const struct str *texts, size_t n)
{
	must(!a->done && a->wanted != NULL && (status == TXT_DATA || n == 0));
	struct arc_key *k = a->wanted;
	a->wanted = NULL;
	k->answered = true;
	k->failed = status == TXT_FAILED;
	k->fault = status == TXT_FAILED ? "the DNS did not say" : "there is no key";
	for (size_t i = 0; i < n && k->fault != NULL; i++) /* the first that is one */
		k->fault = key_read(texts[i], &k->key);
}

/* ---- signatures ---- */

/* Does the signature of these tags hold over `hash`?  If not, *why says so. */
static enum look check(struct arc *a, const struct tags *t, const unsigned char hash[DIGEST_SIZE], const char **why)
{
	static const char *const states[] = { NULL, "the signature does not fit",
					      "the key is damaged or of another kind", "the key is too short" };
	unsigned char bytes[KEY_BYTES_MAX];
	size_t n;
	const struct arc_key *k = find_key(a, t);

	if (k == NULL)
		return WANTS;
	*why = k->fault;
	a->result.temporary = k->failed;
	if (k->fault != NULL)
		return FAILED;
	bool ed = str_eq(tags_value(t, S("a")), S("ed25519-sha256"));
	if (ed != (k->key.kind == SIGNATURE_ED25519)) {
		*why = "the key is of another kind than the signature";
		return FAILED;
	}
	if (!signature_base64(tags_value(t, S("b")), bytes, sizeof bytes, &n)) {
		*why = "b= is not base64";
		return FAILED;
	}
	*why = states[signature_check(k->key.kind, str_n(k->key.bytes, k->key.n), hash, str_n(bytes, n))];
	return *why == NULL ? GOOD : FAILED;
}

static bool is_expired(const struct tags *t, uint64_t now_s)
{
	uint64_t x;

	return tags_find(t, S("x")) != NULL && (!str_u64(tags_value(t, S("x")), UINT64_MAX / 2, &x) || x < now_s);
}

static enum look check_message(struct arc *a, const struct arc_set *s, const char **why)
{
	unsigned char hash[DIGEST_SIZE], said[DIGEST_SIZE + 4];
	const struct tags *t = &s->signature_tags;
	size_t n;

	*why = NULL;
	if (!signature_base64(tags_value(t, S("bh")), said, sizeof said, &n) || n != DIGEST_SIZE)
		*why = "bh= is no SHA-256";
	else if (memcmp(said, a->body_hash, DIGEST_SIZE) != 0)
		*why = "the body was changed";
	else if (is_expired(t, a->now_s))
		*why = "it is over (x=)";
	if (*why != NULL)
		return FAILED;
	arc_hash_message(a, s, hash);
	return check(a, t, hash, why);
}

static enum look check_seal(struct arc *a, unsigned instance, const char **why)
{
	unsigned char hash[DIGEST_SIZE];

	arc_hash_seal(a, instance, hash);
	return check(a, &a->sets[instance - 1].seal_tags, hash, why);
}

/* Step 0 is the newest ARC-Message-Signature, step 1 its seal, and so on to the oldest; a->steps of them hold. */
static void judge(struct arc *a)
{
	unsigned newest = a->result.links;
	const char *why = NULL;

	for (; a->steps <= newest; a->steps++) {
		unsigned instance = newest - (a->steps > 0 ? a->steps - 1 : 0);
		const struct arc_set *s = &a->sets[instance - 1];
		const struct tags *t = a->steps == 0 ? &s->signature_tags : &s->seal_tags;
		enum look l = a->steps == 0 ? check_message(a, s, &why) : check_seal(a, instance, &why);
		if (l == FAILED)
			finish(a, ARC_FAIL, "%s %u of " STR_FMT ": %s",
			       a->steps == 0 ? "ARC-Message-Signature" : "ARC-Seal", instance,
			       STR_ARG(tags_value(t, S("d"))), why);
		if (l != GOOD)
			return;
	}
	finish(a, ARC_PASS, "%u %s, the newest of " STR_FMT, newest, newest == 1 ? "link" : "links",
	       STR_ARG(a->links[newest - 1].domain));
}

/* ---- the machine ---- */

void arc_begin(struct arc *a, struct str header, uint64_t now_s)
{
	char why[sizeof a->result.why] = "";

	*a = (struct arc){ .now_s = now_s };
	if (!arc_collect(a, header)) {
		finish(a, ARC_NONE, "no ARC fields");
		return;
	}
	if (!arc_form_sets(a, why, sizeof why)) {
		finish(a, ARC_FAIL, "%s", why);
		return;
	}
	a->keys = calloc(1 + ARC_SETS_MAX, sizeof *a->keys);
	must(a->keys != NULL);
	a->result.v = a->links;
	canon_body_init(&a->body, arc_body_canon(&a->sets[a->result.links - 1].signature_tags));
}

void arc_body(struct arc *a, struct str bytes)
{
	if (arc_wants_body(a))
		canon_body_add(&a->body, bytes);
}

void arc_end(struct arc *a)
{
	if (arc_wants_body(a)) {
		canon_body_end(&a->body, a->body_hash);
		canon_body_fini(&a->body);
	}
	a->ended = true;
}

struct str arc_next(struct arc *a)
{
	if (!a->done && a->wanted == NULL) {
		const struct arc_set *newest = &a->sets[a->result.links - 1];
		const struct arc_key *k;
		if (a->ended)
			judge(a);
		else if ((k = find_key(a, &newest->signature_tags)) != NULL && k->fault == NULL)
			find_key(a, &newest->seal_tags);
	}
	return a->done || a->wanted == NULL ? STR_NONE : str_c(a->wanted->name);
}

const struct arc_result *arc_result(const struct arc *a)
{
	must(a->done);
	return &a->result;
}

void arc_fini(struct arc *a)
{
	canon_body_fini(&a->body);
	free(a->header);
	free(a->fields);
	free(a->sets);
	free(a->keys);
	*a = (struct arc){ .done = true };
}
