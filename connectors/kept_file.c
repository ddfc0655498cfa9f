/* connectors/kept_file.c: see the header. */
#include "connectors/kept_file.h"

#include "base/must.h"

#include <dirent.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static const char file_magic[4] = { 'T', 'B', 'K', '1' }, record_magic[4] = { 'T', 'B', 'K', 'r' };
static const struct str key_use = STR_LIT("tombolo replay store 1");

static void poke64(char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof v);
}

static uint64_t peek64(const char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof v);
	return le64toh(v);
}

/* 4 magic, 4 zero, 8 begun, 32 salt, 16 key id */
void kept_put_head(char to[KEPT_HEAD], const struct kept_head *h)
{
	memset(to, 0, KEPT_HEAD);
	memcpy(to, file_magic, sizeof file_magic);
	poke64(to + 8, (uint64_t)h->begun_ms);
	memcpy(to + 16, h->salt, SEAL_SALT);
	memcpy(to + 48, h->key_id, sizeof h->key_id);
}

bool kept_get_head(const char from[KEPT_HEAD], struct kept_head *h)
{
	if (memcmp(from, file_magic, sizeof file_magic) != 0)
		return false;
	h->begun_ms = (int64_t)peek64(from + 8);
	memcpy(h->salt, from + 16, SEAL_SALT);
	memcpy(h->key_id, from + 48, sizeof h->key_id);
	return true;
}

/* 4 magic, 4 zero, 8 meta, 8 content, 8 time, 8 checksum */
void kept_put_record(char to[KEPT_RECORD], const struct kept_lengths *l)
{
	memset(to, 0, KEPT_RECORD);
	memcpy(to, record_magic, sizeof record_magic);
	poke64(to + 8, l->meta_n);
	poke64(to + 16, l->content_n);
	poke64(to + 24, (uint64_t)l->kept_ms);
	poke64(to + 32, str_hash(str_n(to, 32), 0));
}

bool kept_get_record(const char from[KEPT_RECORD], struct kept_lengths *l)
{
	l->meta_n = peek64(from + 8);
	l->content_n = peek64(from + 16);
	l->kept_ms = (int64_t)peek64(from + 24);
	return memcmp(from, record_magic, sizeof record_magic) == 0 &&
	       peek64(from + 32) == str_hash(str_n(from, 32), 0) && l->meta_n >= SEAL_TAG &&
	       l->meta_n <= KEPT_META_MAX + SEAL_TAG && l->content_n >= SEAL_TAG && l->content_n <= UINT32_MAX;
}

struct seal *kept_seal(const struct token_keys *keys, const struct kept_head *h)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct token_key *k = &keys->v[i];
		if (strncmp(k->id, h->key_id, sizeof h->key_id) == 0)
			return seal_derive(str_n(k->key, k->key_n), key_use, h->salt);
	}
	return NULL;
}

/* ---- names ---- */

void kept_name(char to[KEPT_NAME], uint64_t number)
{
	snprintf(to, KEPT_NAME, "%016llx.kept", (unsigned long long)number);
}

static bool parse_name(struct str name, uint64_t *number)
{
	char *end, copy[KEPT_NAME];

	if (name.n != 21 || !str_ends(name, S(".kept")))
		return false;
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	*number = strtoull(copy, &end, 16);
	return end == copy + 16;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int kept_list(const char *path, uint64_t **numbers, size_t *n, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	uint64_t number;

	*numbers = NULL;
	*n = 0;
	if (d == NULL)
		return err_sys(e, ERR_IO, "replay", "cannot open %s", path);
	while ((entry = readdir(d)) != NULL) {
		if (!parse_name(str_c(entry->d_name), &number))
			continue;
		*numbers = reallocarray(*numbers, *n + 1, sizeof **numbers);
		must(*numbers != NULL);
		(*numbers)[(*n)++] = number;
	}
	closedir(d);
	if (*n > 0)
		qsort(*numbers, *n, sizeof **numbers, by_number);
	return 0;
}
