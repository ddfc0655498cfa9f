/* routing/hosts.c: the file of static names. */
#include "routing/hosts.h"

#include "base/must.h"
#include "wire/addr.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20, MEMORY_MAX = 512 << 20, TEXT_MAX = 4096 };

struct reader {
	struct hosts *hosts;
	struct buf rows; /* of struct host_row */
	const char *file;
	size_t line;
	struct err *e;
};

static int bad(struct reader *rd, const char *what, struct str which)
{
	return err_set(rd->e, ERR_SYNTAX, "hosts", "%s:%zu: %s: " STR_FMT, rd->file, rd->line, what, STR_ARG(which));
}

/* A domain name, or one that only the DNS knows: "_spf.example", "a+b.example"; small letters. */
static bool put_key(struct str name, struct buf *key)
{
	if (addr_normalize_domain(name, key))
		return true;
	buf_reset(key);
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= ' ' || name.p[i] > '~' || (name.p[i] == '.' && (i == 0 || name.p[i - 1] == '.')))
			return false;
		buf_addc(key, chr_lower(name.p[i]));
	}
	return key->n > 0 && key->n < 254 && str_chr(name, '_') >= 0;
}

static int add_row(struct reader *rd, struct host_row row, struct str name)
{
	struct buf key;

	buf_init(&key, 512);
	bool good = put_key(name, &key) && arena_dup(&rd->hosts->memory, buf_str(&key), &row.name);
	buf_fini(&key);
	row.line = rd->line;
	if (!good || !buf_add(&rd->rows, str_n(&row, sizeof row)))
		return bad(rd, "not a name", name);
	return 0;
}

/* "MX 10 domain host"; the domain may also come first, as in a zone file. */
static int read_mx(struct reader *rd, struct str rest)
{
	struct host_row row = { .kind = HOST_MX };
	struct str preference = str_word(&rest), name = str_word(&rest), host = str_word(&rest);
	struct buf key;
	uint64_t v;

	if (!str_u64(preference, UINT16_MAX, &v)) {
		struct str domain = preference;
		preference = name;
		name = domain;
	}
	if (!str_u64(preference, UINT16_MAX, &v))
		return bad(rd, "not a preference", preference);
	row.preference = (unsigned)v;
	buf_init(&key, 512);
	bool good = str_eq(host, S(".")) ? buf_add(&key, host) : addr_normalize_domain(host, &key);
	good = good && arena_dup(&rd->hosts->memory, buf_str(&key), &row.exchanger);
	buf_fini(&key);
	if (!good || str_word(&rest).n > 0)
		return bad(rd, "MX PREFERENCE DOMAIN HOST is expected, not", host);
	return add_row(rd, row, name);
}

/* `domain "one" "two"`: the text is onetwo.  Nothing is escaped; a comment may stand behind. */
static int read_txt(struct reader *rd, struct str rest)
{
	struct host_row row = { .kind = HOST_TXT };
	struct str name = str_word(&rest), one;
	struct buf text;
	bool good = true;

	buf_init(&text, TEXT_MAX);
	rest = str_trim(rest);
	for (size_t n = 0; good && (n == 0 || str_starts(rest, S("\""))); n++, rest = str_trim(rest))
		good = str_starts(rest, S("\"")) && str_cut(str_skip(rest, 1), '"', &one, &rest) && buf_add(&text, one);
	good = good && (rest.n == 0 || rest.p[0] == '#') && arena_dup(&rd->hosts->memory, buf_str(&text), &row.text);
	buf_fini(&text);
	return good ? add_row(rd, row, name) : bad(rd, "TXT DOMAIN \"TEXT\" ... is expected for", name);
}

/* The name under which the DNS keeps the name of an address (RFC 1035 3.5, 3596 2.5). */
static void put_reverse(const struct net_addr *a, struct buf *b)
{
	const unsigned char *ip =
		a->sa.sa_family == AF_INET ? (const unsigned char *)&a->v4.sin_addr : a->v6.sin6_addr.s6_addr;

	if (a->sa.sa_family == AF_INET) {
		for (int i = 3; i >= 0; i--)
			buf_addf(b, "%u.", ip[i]);
		buf_add(b, S("in-addr.arpa"));
		return;
	}
	for (int i = 15; i >= 0; i--)
		buf_addf(b, "%x.%x.", ip[i] & 15U, ip[i] >> 4);
	buf_add(b, S("ip6.arpa"));
}

static int read_ptr(struct reader *rd, struct str rest)
{
	struct host_row row = { .kind = HOST_PTR };
	struct str ip = str_word(&rest), name = str_word(&rest);
	struct net_addr a;
	struct buf b;

	if (!net_parse_ip(ip, 0, &a))
		return bad(rd, "not an address", ip);
	buf_init(&b, 512);
	bool good = addr_normalize_domain(name, &b) && arena_dup(&rd->hosts->memory, buf_str(&b), &row.exchanger);
	buf_reset(&b);
	put_reverse(&a, &b);
	int rc = good && str_word(&rest).n == 0 ? add_row(rd, row, buf_str(&b))
						: bad(rd, "PTR ADDRESS NAME is expected, not", name);
	buf_fini(&b);
	return rc;
}

static int read_line(struct reader *rd, struct str line)
{
	struct host_row row = { 0 };
	struct str comment, first, name;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	comment = line;
	if (str_ieq(str_word(&comment), S("TXT")))
		return read_txt(rd, comment); /* "#" may be in the text */
	str_cut(line, '#', &line, &comment);
	first = str_word(&line);
	if (first.n == 0)
		return 0;
	if (str_ieq(first, S("MX")))
		return read_mx(rd, line);
	if (str_ieq(first, S("PTR")))
		return read_ptr(rd, line);
	if (str_ieq(first, S("FAIL"))) {
		row.kind = HOST_FAIL;
		return add_row(rd, row, str_word(&line));
	}
	if (!net_parse_ip(first, 0, &row.addr))
		return bad(rd, "not an address", first);
	while ((name = str_word(&line)).n > 0)
		if (add_row(rd, row, name) != 0)
			return -1;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct host_row *x = a, *y = b;
	int by_name = str_cmp(x->name, y->name);

	if (by_name != 0)
		return by_name;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

int hosts_parse(struct hosts *h, struct str text, const char *name, struct err *e)
{
	struct reader rd = { .hosts = h, .file = name, .e = e };
	struct str line;
	int rc = 0;

	*h = (struct hosts){ 0 };
	arena_init_sure(&h->memory, MEMORY_MAX);
	buf_init(&rd.rows, MEMORY_MAX);
	while (text.n > 0 && rc == 0) {
		str_cut(text, '\n', &line, &text);
		rd.line++;
		rc = read_line(&rd, line);
	}
	h->row_n = rd.rows.n / sizeof *h->rows;
	h->rows = arena_alloc(&h->memory, rd.rows.n + 1);
	must(h->rows != NULL);
	if (h->row_n > 0) {
		memcpy(h->rows, rd.rows.p, rd.rows.n);
		qsort(h->rows, h->row_n, sizeof *h->rows, compare);
	}
	buf_fini(&rd.rows);
	if (rc != 0)
		hosts_fini(h);
	return rc;
}

int hosts_read(struct hosts *h, const char *path, struct err *e)
{
	struct buf text;
	char *room;
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;

	*h = (struct hosts){ 0 };
	if (fd < 0)
		return err_sys(e, ERR_IO, "hosts", "cannot open %s", path);
	buf_init(&text, FILE_MAX);
	while ((room = buf_reserve(&text, 65536)) != NULL && (got = read(fd, room, 65536)) > 0)
		buf_commit(&text, (size_t)got);
	close(fd);
	if (got != 0)
		err_sys(e, ERR_IO, "hosts", "cannot read %s", path);
	else
		rc = hosts_parse(h, buf_str(&text), path, e);
	buf_fini(&text);
	return rc;
}

void hosts_fini(struct hosts *h)
{
	arena_fini(&h->memory);
	*h = (struct hosts){ 0 };
}

const struct host_row *hosts_find(const struct hosts *h, struct str name, enum host_kind kind, size_t *n)
{
	struct host_row want = { .name = name, .kind = kind };
	size_t low = 0, high = h->row_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (compare(&h->rows[mid], &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (high = low; high < h->row_n && h->rows[high].kind == kind && str_eq(h->rows[high].name, name);)
		high++;
	*n = high - low;
	return *n > 0 ? &h->rows[low] : NULL;
}
