/* connectors/kept_file.h: the bytes of the replay store; between its writer (kept.c) and its reader (kept_read.c).
 *
 *   file    FFFFFFFFFFFFFFFF.kept: | head, 64 bytes | record | record | ...
 *   record  | head, 40 bytes, in clear: lengths, time | meta, sealed | content, sealed |
 *
 * Each file has a key of its own, HMAC(key of the configuration, salt of its head); a part is sealed with its offset in
 * the file as the counter and the head of its record as context, so no part can stand anywhere else.  A file is written
 * by one process, at rising offsets, and given up after the first failure: no counter comes twice.  Numbers are
 * little-endian.  Pure but for kept_list. */
#ifndef CONNECTORS_KEPT_FILE_H
#define CONNECTORS_KEPT_FILE_H

#include "base/buf.h"
#include "routing/token.h"
#include "tls/seal.h"

enum { KEPT_HEAD = 64, KEPT_RECORD = 40, KEPT_NAME = 24, KEPT_META_MAX = 16 << 20 };

struct kept_head {
	int64_t begun_ms;
	unsigned char salt[SEAL_SALT];
	char key_id[16]; /* zero-filled */
};
void kept_put_head(char to[KEPT_HEAD], const struct kept_head *h);
bool kept_get_head(const char from[KEPT_HEAD], struct kept_head *h);

struct kept_lengths { /* sealed */
	uint64_t meta_n, content_n;
	int64_t kept_ms;
};
void kept_put_record(char to[KEPT_RECORD], const struct kept_lengths *l);
bool kept_get_record(const char from[KEPT_RECORD], struct kept_lengths *l);

/* NULL: none of these keys. */
struct seal *kept_seal(const struct token_keys *keys, const struct kept_head *h);

void kept_name(char to[KEPT_NAME], uint64_t number);
/* Numbers of the files there are, ascending; the caller frees. */
int kept_list(const char *path, uint64_t **numbers, size_t *n, struct err *e);

#endif
