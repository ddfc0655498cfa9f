/* tests/fuzz/queue_file_fuzz.c: a file of `queue import` may hold anything; what is taken can be written and read
 * again, and nothing in it could end a line or a command.  The checksum of the head is mended first, or nothing would
 * get further. */
#include "connectors/queue_file.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void mend(char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	ssize_t end = str_find(str_n(p, n), S("\r\nX-Tombolo-End:"));
	ssize_t at = end < 0 ? -1 : str_find(str_n(p + end, n - (size_t)end), S("head="));
	unsigned char sum[MAC_SIZE];

	if (at < 0 || n - (size_t)(end + at) < 5 + 2 * MAC_SIZE)
		return;
	mac_sha256(str_n(p, (size_t)(end + at)), sum);
	for (size_t i = 0; i < MAC_SIZE; i++) {
		p[(size_t)(end + at) + 5 + 2 * i] = digits[sum[i] >> 4];
		p[(size_t)(end + at) + 6 + 2 * i] = digits[sum[i] & 15];
	}
}

static void look(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		must(!chr_is_ctl(s.p[i]));
}

static void write_again(const struct queue_file *f)
{
	struct queue_file again;
	struct buf one, two;
	struct err e;
	size_t used;

	buf_init(&one, 1 << 24);
	buf_init(&two, 1 << 24);
	queue_file_put(&one, f);
	must(!one.full && queue_file_parse(buf_str(&one), &again, &used, &e) == 0 && used == one.n);
	queue_file_put(&two, &again);
	must(str_eq(buf_str(&one), buf_str(&two)));
	queue_file_fini(&again);
	buf_fini(&one);
	buf_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n + 1);
	struct queue_file f;
	struct err e = { 0 };
	size_t used;

	must(copy != NULL);
	memcpy(copy, data, n);
	mend(copy, n);
	if (queue_file_parse(str_n(copy, n), &f, &used, &e) == 0) {
		must(used <= n && f.env.rcpt_n > 0 && f.id != 0);
		look(f.env.from);
		look(f.env.trace_id);
		for (size_t i = 0; i < f.env.rcpt_n; i++) {
			look(f.env.rcpts[i].addr);
			look(f.env.rcpts[i].orcpt);
			look(f.past[i].last);
		}
		write_again(&f);
	} else {
		must(e.code != ERR_NONE);
	}
	queue_file_fini(&f);
	free(copy);
	return 0;
}
