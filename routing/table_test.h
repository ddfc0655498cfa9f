/* routing/table_test.h: for the tests of this room: a routing over a table in a folder of its own, and a configuration
 * made by hand, with the domains of the specification's examples. */
#ifndef ROUTING_TABLE_TEST_H
#define ROUTING_TABLE_TEST_H

#include "routing/recipient.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char dir[64], path[80], file[80];
	struct conf_domain domains[8];
	struct config config;
	struct routing *r;
	struct arena arena;
	struct err e;
};

static inline void fixture_config(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	memcpy(f->dir, "/tmp/tombolo_routing.XXXXXX", 28);
	must(mkdtemp(f->dir) != NULL);
	snprintf(f->path, sizeof f->path, "%s/table", f->dir);
	snprintf(f->file, sizeof f->file, "%s/file", f->dir);
	f->domains[0] = (struct conf_domain){ .name = S("contoso.com"),
					      .routing_domain = S("contoso.mail.cloud.example"),
					      .plus = S("+"),
					      .is_default = true };
	f->domains[1] = (struct conf_domain){ .name = S("shared.example"),
					      .type = DOMAIN_INTERNAL_RELAY,
					      .routing_domain = S("contoso.mail.cloud.example"),
					      .relay_to = S("peer"),
					      .match_subdomains = true };
	f->domains[2] = (struct conf_domain){ .name = S("branch.example"),
					      .type = DOMAIN_EXTERNAL_RELAY,
					      .relay_to = S("host:mx.branch.example:2525") };
	f->domains[3] = (struct conf_domain){ .name = S("exact.example"), .exact_case = true };
	f->domains[4] = (struct conf_domain){ .name = S("island.example"), .own_routing = true };
	f->config.domains = f->domains;
	f->config.domain_n = 5;
	f->config.loop =
		(struct conf_loop){ .max_redirects = 3, .move_grace_ms = 7200000, .disagreement_defer_ms = 14400000 };
	f->config.mode = (struct conf_mode){ .grace_ms = 3600000 };
	f->config.recipients = (struct conf_recipients){ .path = str_c(f->path),
							 .map_bytes = 64 << 20,
							 .delete_threshold = 2,
							 .delete_percent = 10,
							 .group_members = 100000,
							 .expansion_limit = 1000,
							 .expansion_total = 200000 };
	arena_init(&f->arena, 1 << 20);
}

static inline void fixture_open(struct fixture *f)
{
	f->r = routing_open(&f->config, &f->e);
	if (f->r == NULL)
		fail_msg("%s", f->e.text);
}

static inline void fixture_close(struct fixture *f)
{
	char name[120];

	routing_close(&f->r);
	arena_fini(&f->arena);
	for (const char *const *p = (const char *const[]){ "/table/data.mdb", "/table/lock.mdb", "/file", NULL };
	     *p != NULL; p++) {
		snprintf(name, sizeof name, "%s%s", f->dir, *p);
		unlink(name);
	}
	rmdir(f->path);
	rmdir(f->dir);
}

/* A record of one or two addresses. */
static inline int fixture_add(struct fixture *f, const char *address, const char *alias, enum rcpt_loc loc,
			      const char *routing)
{
	struct str addrs[2] = { str_c(address), str_c(alias) };
	struct rcpt_record rec = { .primary = addrs[0],
				   .addrs = addrs,
				   .addr_n = alias != NULL ? 2 : 1,
				   .loc = loc,
				   .routing = str_c(routing) };

	return routing_record_set(f->r, &rec, &f->e);
}

static inline void fixture_write(struct fixture *f, struct str text)
{
	FILE *out = fopen(f->file, "w");

	must(out != NULL);
	must(fwrite(text.p, 1, text.n, out) == text.n);
	fclose(out);
}

#endif
