/* tests/kit/letters.h: random messages that are functions of a seed and a number: who gets it, how it is sent, every
 * byte of it.  So a message that arrives can be composed again and compared, and nothing has to be remembered of it.
 *
 * People are numbers too, and a number says what it is: on-prem, in the cloud or nobody; some on-prem ones are
 * addressed by an alias.  Bodies are cut out of a pool of text with leading dots, lone dots and, in its second half,
 * 8-bit bytes. */
#ifndef TESTS_KIT_LETTERS_H
#define TESTS_KIT_LETTERS_H

#include "base/buf.h"

enum { LETTER_RCPTS = 20, LETTER_ADDRESS = 80, LETTER_BODY = 3 << 20, LETTER_MAX = LETTER_BODY + 4096 };
enum side { ONPREM, CLOUD, SIDES, NOBODY = SIDES };

struct letters {
	uint64_t seed, people; /* set before letters_init */
	char *pool;
};

struct letter {
	uint64_t number;
	uint32_t people[LETTER_RCPTS];         /* each once */
	char to[LETTER_RCPTS][LETTER_ADDRESS]; /* as the sender writes it */
	unsigned rcpt_n;
	size_t size, pool_at;
	size_t chunk; /* of a BDAT; 0 = DATA */
	bool eightbit;
};

void letters_init(struct letters *l);
void letters_fini(struct letters *l);

enum side letter_side(uint32_t person);
bool letter_has_alias(uint32_t person);                          /* alsoN@contoso.com */
void letter_put_final(char to[LETTER_ADDRESS], uint32_t person); /* the address at the next hop */
uint64_t letter_draw(uint64_t *state, uint64_t below);           /* a sequence of its own, splitmix64 */
void letter_plan(const struct letters *l, uint64_t number, struct letter *p);
void letter_compose(const struct letters *l, const struct letter *p, struct buf *b); /* replaces what b holds */

#endif
