/* tests/tools/bed.c: the test bed: two gateways back to back, and parts that send real mail through them.
 *
 *   bed -b BUILD -c CERTS -f FOLDER_OF_CONFIGURATIONS -d FOLDER [-v PATHS.csv:...] [-n N] [-S SEED] PART...
 *
 * Parts: rows cases journal headers dkim random switch simulate; `stay` keeps the bed up until a signal, for sending by
 * hand. The last line is `N passed, N failed`; docs/TESTBED.md explains what stands where. */
#include "base/log.h"
#include "tests/bed/part.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char usage[] =
	"usage: bed -b BUILD -c CERTS -f CONFIGURATIONS -d FOLDER [-v PATHS.csv:...] [-n N] [-S SEED]\n"
	"           rows | cases | journal | headers | dkim | random | switch | simulate | stay ...\n";

static void stay(struct part *p)
{
	const struct bed *b = p->bed;

	printf("on-prem gateway  127.0.0.1:%u for the Internet, :%u for on-prem servers\n"
	       "cloud gateway    127.0.0.1:%u for the Internet, :%u for cloud servers\n"
	       "folder           %s (onprem.conf, cloud.conf, onprem/log, cloud/log)\n"
	       "commands         %s/tombolo --socket %s/onprem/control ...\n",
	       b->inet[GATE_ONPREM], b->hub[GATE_ONPREM], b->inet[GATE_CLOUD], b->hub[GATE_CLOUD], b->dir, b->build,
	       b->dir);
	fflush(stdout);
	bed_pause(p->bed, INT64_C(1) << 40);
}

static const struct {
	const char *name;
	void (*run)(struct part *p);
} parts[] = {
	{ "rows", part_rows },       { "cases", part_cases },       { "journal", part_journal },
	{ "headers", part_headers }, { "dkim", part_dkim },         { "random", part_random },
	{ "switch", part_switch },   { "simulate", part_simulate }, { "stay", stay },
};

static bool run_part(struct part *p, const char *name)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcmp(parts[i].name, name) == 0) {
			p->name = name;
			parts[i].run(p);
			return true;
		}
	fputs(usage, stderr);
	return false;
}

int main(int argc, char **argv)
{
	static struct bed bed;
	struct part p = { .bed = &bed, .vectors = "", .seed = (uint64_t)time(NULL) };
	const char *dir = NULL;
	bool good = true;
	int option;

	while ((option = getopt(argc, argv, "b:c:f:d:v:n:S:")) != -1) {
		if (option == 'b')
			bed.build = optarg;
		else if (option == 'c')
			bed.certs = optarg;
		else if (option == 'f')
			bed.confs = optarg;
		else if (option == 'd')
			dir = optarg;
		else if (option == 'v')
			p.vectors = optarg;
		else if (option == 'n')
			good &= str_u64(str_c(optarg), 100000000, &p.n);
		else if (option == 'S')
			good &= str_u64(str_c(optarg), UINT64_MAX, &p.seed);
		else
			good = false;
	}
	if (!good || bed.build == NULL || bed.certs == NULL || bed.confs == NULL || dir == NULL || optind == argc) {
		fputs(usage, stderr);
		return 2;
	}
	snprintf(bed.dir, sizeof bed.dir, "%s", dir);
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	bed_open(&bed);
	part_people(&bed);
	for (int i = optind; i < argc && good; i++)
		good = run_part(&p, argv[i]);
	p.name = "end";
	part_check(&p, bed_close(&bed) == 0, "the gateways end as they should");
	printf("%zu passed, %zu failed\n", p.passed, p.failed);
	return !good || p.failed > 0;
}
