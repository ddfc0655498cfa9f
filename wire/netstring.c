/* wire/netstring.c: see the header. */
#include "wire/netstring.h"

#include "base/must.h"

enum { DIGITS_MAX = 9 };

/* "12:" -> 12; bytes used, or as netstring_next. */
static ssize_t take_length(struct str in, size_t *length)
{
	size_t i = 0, n = 0;

	while (i < in.n && i <= DIGITS_MAX && chr_is_digit(in.p[i]))
		n = n * 10 + (size_t)(in.p[i++] - '0');
	if (i > DIGITS_MAX || (i > 1 && in.p[0] == '0'))
		return NETSTRING_BAD;
	if (i == in.n)
		return NETSTRING_MORE;
	if (i == 0 || in.p[i] != ':')
		return NETSTRING_BAD;
	*length = n;
	return (ssize_t)i + 1;
}

ssize_t netstring_next(struct str in, size_t max, struct str *value)
{
	size_t length = 0;
	ssize_t head = take_length(in, &length);

	must(max < 1000 * 1000 * 1000);
	if (head <= 0)
		return head;
	if (length > max)
		return NETSTRING_BAD;
	in = str_skip(in, (size_t)head);
	if (in.n <= length)
		return NETSTRING_MORE;
	if (in.p[length] != ',')
		return NETSTRING_BAD;
	*value = str_head(in, length);
	return head + (ssize_t)length + 1;
}

bool netstring_put(struct buf *out, struct str value)
{
	size_t before = out->n;

	buf_addu(out, value.n);
	buf_addc(out, ':');
	buf_add(out, value);
	if (!buf_addc(out, ',')) {
		out->n = before;
		return false;
	}
	return true;
}

bool socketmap_request(struct str value, struct str *map, struct str *key)
{
	return str_cut(value, ' ', map, key) && map->n > 0;
}
