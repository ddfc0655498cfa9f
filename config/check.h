/* config/check.h: what the option table cannot say: rules across options, and the forms worked out from text.
 * For this room only.
 *
 *   check_config -> check_top, check_domains, check_receives, check_inbounds, check_sends, then the rules between them
 *
 * Each names file, line and connector, and goes on: all errors are reported. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/scan.h"

struct check {
	struct config *c; /* being completed; nobody else has it yet */
	struct arena *arena;
	const struct scan *scan;
	struct report *r;
};

void check_config(struct check *k);

/* The parts; each in a file of its own. */
void check_domains(struct check *k);
void check_milters(struct check *k);
void check_receives(struct check *k);
void check_inbounds(struct check *k);
void check_sends(struct check *k);
void check_tls_policies(struct check *k);
void check_journals(struct check *k); /* after the connectors */
void check_auth(struct check *k);     /* check_auth.c */
void check_beside(struct check *k);

/* Line to name for an option of the i-th item of a section: its own, else that of the item. */
int check_line(const struct check *k, const char *section, size_t i, const char *option);
bool check_written(const struct check *k, const char *section, size_t i, const char *option);

/* The normal form of a domain name, in the arena; false when it is none. */
bool check_domain_name(struct check *k, struct str in, struct str *out);
/* "192.0.2.0/24" and so on; each wrong entry is reported as "WHERE: option: ...". */
void check_ranges(struct check *k, int line, const char *where, const char *option, const struct conf_list *list,
		  struct net_cidr **ranges, size_t *n);
/* Patterns of certificate names, each replaced by its normal form. */
void check_patterns(struct check *k, int line, const char *where, const char *option, struct conf_list *l);
/* A reference to a certificate and the key option beside it. */
void check_certificate(struct check *k, int line, const char *where, struct str certificate, struct str key);
/* `receive "inet"`, as messages begin; in the arena. */
const char *check_where(struct check *k, const char *section, struct str name);

#endif
