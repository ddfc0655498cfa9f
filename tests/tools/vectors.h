/* tests/tools/vectors.h: what each kind of vector file shares.
 *
 * One kind is one file tests/tools/vectors_KIND.c with one function, named in the table of vectors.c.  The function
 * walks the rows, computes what the product says, and gives both texts to vec_check. */
#ifndef TESTS_TOOLS_VECTORS_H
#define TESTS_TOOLS_VECTORS_H

#include "base/buf.h"

enum { VEC_COLUMNS_MAX = 32 };

struct vec_file {
	const char *name;
	struct str rest; /* lines not read yet */
	char separator;  /* ',' (with "quotes") or '|' (as it is), by the header line */
	struct str columns[VEC_COLUMNS_MAX];
	size_t column_n;
	size_t passed, failed;
};

struct vec_row {
	struct vec_file *file;
	struct str line;
	struct str cells[VEC_COLUMNS_MAX];
	size_t cell_n;
};

bool vec_next(struct vec_file *f, struct vec_row *row);            /* false at the end */
struct str vec_get(const struct vec_row *row, const char *column); /* empty when there is no such cell */
bool vec_is(const struct vec_row *row, const char *column, const char *value);
/* Counts; prints both when they differ. */
void vec_check(struct vec_row *row, struct str expected, struct str got);

void vectors_routing(struct vec_file *f);
void vectors_paths(struct vec_file *f);
void vectors_receive(struct vec_file *f);
void vectors_send(struct vec_file *f);
void vectors_certmatch(struct vec_file *f);
void vectors_dn(struct vec_file *f);
void vectors_headers(struct vec_file *f);
void vectors_addresses(struct vec_file *f);

#endif
