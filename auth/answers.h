/* auth/answers.h: what the DNS said, as a table a worker can look things up in.  Views into memory of the owner.
 *
 * Encoded: u16 count, each {u16 type, u8 status, u8 secure, name, u8 values, value*}.  A value is the record's text: an
 * address (4 or 16 bytes), a name, the strings of a TXT put together. */
#ifndef AUTH_ANSWERS_H
#define AUTH_ANSWERS_H

#include "auth/frame.h"

enum rr_type { RR_A = 1, RR_PTR = 12, RR_MX = 15, RR_TXT = 16, RR_AAAA = 28 };
enum rr_status { RR_OK, RR_NXDOMAIN, RR_NODATA, RR_FAILED };

enum { ANSWERS_MAX = 60, ANSWER_VALUES_MAX = 40, ANSWER_NAME = 256, ANSWER_BYTES_MAX = 16384 };

struct answer {
	enum rr_type type;
	enum rr_status status;
	bool secure;
	struct str name; /* compared without case */
	struct str values[ANSWER_VALUES_MAX];
	size_t value_n;
};

struct answers {
	struct answer v[ANSWERS_MAX];
	size_t n;
};

const struct answer *answers_find(const struct answers *a, enum rr_type type, struct str name);
void answers_put(const struct answers *a, struct buf *b);
/* False when `r` holds none or too many; views into its bytes. */
bool answers_read(struct reader *r, struct answers *a);

/* What is to be asked; each once. */
struct needs {
	struct need {
		enum rr_type type;
		char name[ANSWER_NAME];
	} v[ANSWERS_MAX];
	size_t n;
	bool cut; /* there was no room for more */
};
void needs_add(struct needs *n, enum rr_type type, struct str name);
void needs_put(const struct needs *n, struct buf *b);
bool needs_read(struct reader *r, struct needs *n);

/* A name the DNS can be asked for as it is: 1 to 253 printable characters, labels of 1 to 63, no backslash. */
bool rr_is_name(struct str name);

#endif
