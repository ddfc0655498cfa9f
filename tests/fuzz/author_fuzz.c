/* tests/fuzz/author_fuzz.c: From fields of any bytes: a verdict, the same again, and none better for more text. */
#include "tests/fuzz/fuzz.h"
#include "wire/author.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char second[] = " <ceo@contoso.com>";
	enum author a = author_judge(str_n(data, n));
	char *longer = malloc(n + sizeof second);

	must(longer != NULL);
	memcpy(longer, data, n);
	memcpy(longer + n, second, sizeof second);
	/* another mailbox behind a mailbox in brackets is never one author */
	if (a == AUTHOR_ONE && memchr(data, '<', n) != NULL && memchr(data, '"', n) == NULL &&
	    memchr(data, '(', n) == NULL)
		must(author_judge(str_n(longer, n + sizeof second - 1)) == AUTHOR_SEVERAL);
	free(longer);
	return 0;
}
