/* config/config.c: loading, sharing and freeing. */
#include "config/config.h"

#include "base/must.h"
#include "config/check.h"
#include "config/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 1024 * 1024 };

struct conf_private {
	struct arena arena; /* everything the config points to, the config itself too */
	atomic_uint refs;
};

struct config *config_parse(struct str text, const char *name, struct buf *errors)
{
	struct conf_private *p = calloc(1, sizeof *p);
	struct report r;
	struct scan scan;

	must(p != NULL);
	arena_init_sure(&p->arena, SIZE_MAX);
	atomic_init(&p->refs, 1);
	report_init(&r, &p->arena);
	struct config *c = arena_alloc(&p->arena, sizeof *c);
	must(c != NULL);
	c->private = p;
	if (text.n > TEXT_MAX)
		report_error(&r, 0, "larger than a configuration may be (1M)");
	else if (str_chr(text, '\0') >= 0)
		report_error(&r, 0, "this is not a text file");
	else if (parse_text(text, &p->arena, &r, &scan, c))
		check_config(&(struct check){ .c = c, .arena = &p->arena, .scan = &scan, .r = &r });
	report_tell(&r, str_c(name), errors);
	if (r.errors > 0)
		config_unref(&c);
	return c;
}

/* Reads at most one byte more than config_parse takes. */
static int read_file(const char *path, struct buf *text, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return err_sys(e, ERR_IO, "config.load", "open");
	while (n > 0 && text->n <= TEXT_MAX) {
		char *room = buf_reserve(text, 16 * 1024);
		must(room != NULL);
		n = read(fd, room, 16 * 1024);
		if (n > 0)
			buf_commit(text, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		err_sys(e, ERR_IO, "config.load", "read");
	close(fd);
	return n < 0 ? -1 : 0;
}

struct config *config_load(const char *path, struct buf *errors)
{
	struct config *c = NULL;
	struct buf text;
	struct err e;

	buf_init_sure(&text, TEXT_MAX + 64 * 1024);
	if (read_file(path, &text, &e) == 0)
		c = config_parse(buf_str(&text), path, errors);
	else
		buf_addf(errors, "%s: %s\n", path, e.text);
	buf_fini(&text);
	return c;
}

struct config *config_ref(const struct config *c)
{
	unsigned before = atomic_fetch_add(&c->private->refs, 1);

	must(before > 0);
	return (struct config *)(uintptr_t)c;
}

void config_unref(struct config **c)
{
	if (*c == NULL)
		return;
	struct conf_private *p = (*c)->private;
	unsigned before = atomic_fetch_sub(&p->refs, 1);

	must(before > 0);
	if (before == 1) {
		arena_fini(&p->arena);
		free(p);
	}
	*c = NULL;
}

bool conf_in_store(struct str reference)
{
	return str_istarts(reference, S("name:")) || str_istarts(reference, S("sha256:")) ||
	       str_istarts(reference, S("<I>"));
}

bool conf_offers_tls(const struct config *c, const struct conf_receive *r)
{
	return r->starttls && (r->certificate.n > 0 || c->tls.certificate.n > 0 || c->tls.store.n > 0);
}
