/* auth/keeper.h: the process that makes workers, for tombolod, which may not start a program once it serves.
 *
 *   main, before root is dropped: keeper_start -> one socket a loop
 *   loop: "N"                                  -> a descriptor (the worker's socket) with its number, or a refusal
 *   loop: "K" number                           -> that worker is killed
 *   the socket closes                          -> its workers are killed; the last one: the keeper ends
 *
 * It keeps what rights tombolod was started with, since workers read keys that nobody else may, and does nothing else:
 * it reads five bytes at a time from tombolod and nothing from anybody else. */
#ifndef AUTH_KEEPER_H
#define AUTH_KEEPER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEEPER_SOCKETS_MAX = 64, KEEPER_SOCKET = 3, WORKER_SOCKET = 3 };

enum keeper_verb { KEEPER_NEW = 'N', KEEPER_KILL = 'K' };

struct keeper_ask {
	uint8_t verb;
	uint32_t number; /* K: whom */
} __attribute__((packed));

struct keeper_answer { /* a descriptor comes with it unless number is 0: no worker could be made */
	uint32_t number;
};

/* Starts `program` for the configuration file `config`; fds[0..n-1]: our ends.  `user` as in the configuration. */
int keeper_start(const char *program, const char *config, size_t n, int fds[], struct err *e);

/* The keeper itself, in tombolo-auth; returns when nobody needs it any more. */
int keeper_run(size_t n, const char *config);

#endif
