/* connectors/queue_file.h: a queued message as a file: what `queue export` writes and `queue import` reads
 * (docs/QUEUE.md).
 *
 *   X-Tombolo-Queue: 1 id=3KQ8ZC1T7XW4A trace=... arrived=MS ...     the message: where it came from, and how
 *   X-Sender: <a@x.example> ret=hdrs envid=... body=8bitmime          MAIL
 *   X-Receiver: <u@example.net> notify=2 number=0 attempts=3 ...      RCPT, and what became of it; one line each
 *   X-Tombolo-End: size=N sha256=HEX head=HEX                         of the content; of all before "head="
 *   the content, byte for byte, to the end of the file
 *
 * Lines end with CR LF; the content begins with the header of the message, so the whole is a message that any mail
 * program opens.  Values are bytes; blanks, "%" and what is not ASCII are %XX, controls "?".  What is zero or empty is
 * left out.  Unknown lines and keys are refused: a newer version wrote them, and they mean something.
 *
 * Knows: bytes, file descriptors.  Blocks on the disk: not for a loop. */
#ifndef CONNECTORS_QUEUE_FILE_H
#define CONNECTORS_QUEUE_FILE_H

#include "queue/queue.h"
#include "tls/mac.h"

enum { QUEUE_FILE_VERSION = 1, QUEUE_FILE_RCPTS_MAX = 200000, QUEUE_FILE_HEAD_MAX = 128 * 1024 * 1024 };

struct queue_file {
	uint64_t id; /* in the queue that wrote it */
	struct envelope env;
	const struct queue_past *past; /* env.rcpt_n */
	uint64_t size;                 /* content bytes */
	unsigned char sum[MAC_SIZE];   /* their SHA-256 */
	/* of queue_file_read: what the views look into */
	struct buf head;
	struct env_rcpt *rcpts;
	struct queue_past *pasts;
};

/* Appends the head.  Its length does not depend on `sum`. */
void queue_file_put(struct buf *to, const struct queue_file *f);

/* Reads the head from the front of `fd` and checks it; the next byte to be read is the first of the content, whose
 * length has been compared with the file's.  0, or -1 with ERR_SYNTAX | ERR_CORRUPT | ERR_IO: "line N: ...".
 * queue_file_fini in any case. */
int queue_file_read(int fd, struct queue_file *f, struct err *e);
/* The same for bytes in memory: the head and perhaps more; *used is its length. */
int queue_file_parse(struct str bytes, struct queue_file *f, size_t *used, struct err *e);
/* Reads all of the content and compares it with the sum. */
int queue_file_verify(int fd, const struct queue_file *f, struct err *e);
void queue_file_fini(struct queue_file *f);

#endif
