/* tests/tools/vectors.c: vectors DIR: runs every vector file of DIR that has an implementation.
 *
 * Prints each mismatch; the last line is "N passed, N failed"; the exit status is 1 when anything failed.  A file
 * without an implementation is named and not counted. */
#include "tests/tools/vectors.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct kind {
	const char *name;
	void (*run)(struct vec_file *f);
} kinds[] = {
	{ "routing.csv", vectors_routing },        { "paths.csv", vectors_paths },
	{ "receive-select.csv", vectors_receive }, { "outbound-select.csv", vectors_send },
	{ "certmatch.csv", vectors_certmatch },    { "dn.csv", vectors_dn },
	{ "headers.csv", vectors_headers },        { "addresses.csv", vectors_addresses },
};

/* Takes one cell off the front of *line.  A quoted cell is unquoted in place: the text is ours. */
static struct str take_cell(struct str *line, char separator)
{
	struct str cell;

	if (separator != ',' || line->n == 0 || line->p[0] != '"') {
		str_cut(*line, separator, &cell, line);
		return cell;
	}
	char *to = (char *)(uintptr_t)line->p, *from = to + 1, *end = to + line->n;
	cell = str_n(to, 0);
	for (; from < end; from++) {
		if (*from == '"' && (from + 1 == end || *++from != '"'))
			break;
		to[cell.n++] = *from;
	}
	*line = str_skip(*line, (size_t)(from - line->p));
	if (line->n > 0)
		*line = str_skip(*line, 1);
	return cell;
}

static bool take_line(struct vec_file *f, struct str *line)
{
	while (f->rest.n > 0) {
		str_cut(f->rest, '\n', line, &f->rest);
		if (line->n > 0 && line->p[line->n - 1] == '\r')
			line->n--;
		if (line->n > 0)
			return true;
	}
	return false;
}

static size_t split(struct str line, char separator, struct str cells[VEC_COLUMNS_MAX])
{
	size_t n = 0;

	while (line.n > 0 && n < VEC_COLUMNS_MAX)
		cells[n++] = take_cell(&line, separator);
	return n;
}

bool vec_next(struct vec_file *f, struct vec_row *row)
{
	if (!take_line(f, &row->line))
		return false;
	row->file = f;
	row->cell_n = split(row->line, f->separator, row->cells);
	return true;
}

struct str vec_get(const struct vec_row *row, const char *column)
{
	for (size_t i = 0; i < row->file->column_n && i < row->cell_n; i++)
		if (str_eq(row->file->columns[i], str_c(column)))
			return row->cells[i];
	return STR_NONE;
}

bool vec_is(const struct vec_row *row, const char *column, const char *value)
{
	return str_eq(vec_get(row, column), str_c(value));
}

void vec_check(struct vec_row *row, struct str expected, struct str got)
{
	if (str_eq(expected, got)) {
		row->file->passed++;
		return;
	}
	row->file->failed++;
	printf("%s " STR_FMT "\n  expected " STR_FMT "\n  got      " STR_FMT "\n", row->file->name,
	       STR_ARG(row->cells[0]), STR_ARG(expected), STR_ARG(got));
}

static bool read_all(const char *path, struct buf *text)
{
	char *room;
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while ((room = buf_reserve(text, 65536)) != NULL && (got = read(fd, room, 65536)) > 0)
		buf_commit(text, (size_t)got);
	close(fd);
	return got == 0;
}

static void run_kind(const struct kind *k, struct str text, size_t *passed, size_t *failed)
{
	struct vec_file f = { .name = k->name, .rest = text };
	struct str header;

	if (k->run == NULL) {
		printf("skipped %s (no implementation)\n", k->name);
		return;
	}
	if (!take_line(&f, &header))
		return;
	f.separator = str_chr(header, '|') >= 0 ? '|' : ',';
	f.column_n = split(header, f.separator, f.columns);
	k->run(&f);
	printf("%s: %zu passed, %zu failed\n", f.name, f.passed, f.failed);
	*passed += f.passed;
	*failed += f.failed;
}

int main(int argc, char **argv)
{
	size_t passed = 0, failed = 0;
	char path[4096];
	struct buf text;

	if (argc != 2 || access(argv[1], R_OK | X_OK) != 0) {
		fprintf(stderr, "usage: vectors DIR\n");
		return 2;
	}
	buf_init(&text, 256 << 20);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		buf_reset(&text);
		snprintf(path, sizeof path, "%s/%s", argv[1], kinds[i].name);
		if (read_all(path, &text))
			run_kind(&kinds[i], buf_str(&text), &passed, &failed);
	}
	buf_fini(&text);
	printf("%zu passed, %zu failed\n", passed, failed);
	return failed > 0;
}
