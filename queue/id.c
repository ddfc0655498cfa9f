/* queue/id.c: message ids as people read them: 13 characters of Crockford's base32, most significant first. */
#include "queue/queue.h"

enum { ID_CHARS = 13 }; /* 64 bits: the first character carries 4, the others 5 */

static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void queue_put_id(struct buf *b, uint64_t id)
{
	char text[ID_CHARS];

	for (size_t i = ID_CHARS; i-- > 0; id >>= 5)
		text[i] = alphabet[id & 31];
	buf_add(b, str_n(text, sizeof text));
}

bool queue_parse_id(struct str s, uint64_t *id)
{
	uint64_t v = 0;

	if (s.n != ID_CHARS)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 32) : s.p[i];
		ssize_t digit = str_chr(str_n(alphabet, 32), c);
		if (digit < 0 || (i == 0 && digit > 15))
			return false;
		v = v << 5 | (uint64_t)digit;
	}
	*id = v;
	return true;
}
