/* tests/fuzz/crl_fuzz.c: whatever a server sends instead of a revocation list: nobody we know has signed it, so it is
 * refused with a reason and leaves nothing; and whatever stands in a file of the cache is read or refused. */
#include "tests/fuzz/fuzz.h"
#include "tls/crl_keep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct crl_known *k = crl_known_new();
	struct crl_facts facts = { .this_update_ms = 7 };
	struct str in = str_n(data, n);
	struct err e = { 0 };
	struct buf pem;

	buf_init(&pem, 1 << 20);
	must(crl_judge(k, in, &facts, &pem, &e) == -1 && e.text[0] != '\0');
	must(pem.n == 0 && facts.this_update_ms == 7);
	if (crl_recall(k, in, &facts, NULL) == 0)
		must(facts.this_update_ms >= 0);
	buf_fini(&pem);
	crl_known_free(&k);
	return 0;
}
