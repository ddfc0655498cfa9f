/* tests/fuzz/kept_fuzz.c: whatever stands in the replay store's folder or in the kept drain order: no decoder reads
 * outside of it, and what one takes it would write the same. */
#include "connectors/drain.h"
#include "connectors/kept_file.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void try_heads(struct str in)
{
	char raw[KEPT_HEAD] = { 0 }, again[KEPT_HEAD];
	struct kept_lengths l;
	struct kept_head h;

	memcpy(raw, in.p, in.n < sizeof raw ? in.n : sizeof raw);
	if (kept_get_head(raw, &h)) {
		kept_put_head(again, &h);
		must(memcmp(again + 8, raw + 8, KEPT_HEAD - 8) == 0);
	}
	if (kept_get_record(raw, &l)) {
		must(l.meta_n <= KEPT_META_MAX + SEAL_TAG && l.content_n <= UINT32_MAX);
		kept_put_record(again, &l);
		must(memcmp(again + 8, raw + 8, 24) == 0);
	}
}

static void try_order(struct str in)
{
	struct drain_order o;
	size_t to_n, reason_n;

	if (!drain_parse(in, &o))
		return;
	to_n = strlen(o.to);
	reason_n = strlen(o.reason);
	must(to_n < DRAIN_TO && reason_n < DRAIN_REASON && o.since_ms >= 0);
	for (size_t i = 0; i < to_n; i++)
		must(!chr_is_ctl(o.to[i]));
	for (size_t i = 0; i < reason_n; i++)
		must(!chr_is_ctl(o.reason[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);

	if (n > 0)
		try_heads(in);
	try_order(in);
	return 0;
}
