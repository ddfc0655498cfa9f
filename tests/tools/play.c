/* tests/tools/play.c: plays scenarios: play -b BUILD_DIR -c CERTS [-v] [-a] FILE.tb...
 *
 * Each file is played by a process of its own, so that a bug in the player costs one scenario.  A file that names cases
 * counts as many times.  Quiet on success; -v names what passed; -a plays again, at the end, what failed, and tells
 * what passed only then as SHAKY.  The last line is `N passed, N failed`. TOMBOLO_PLAY_KEEP=1 keeps each scenario's
 * folder. */
#include "base/log.h"
#include "base/must.h"
#include "tests/play/play.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAYER_S = 300 }; /* the longest life of one scenario */

struct sum {
	size_t passed, failed;
};

/* In a child: its counts go through `sum`, which both share. */
static void play_one(const char *file, const char *build, const char *certs, bool verbose, struct sum *sum)
{
	struct played played = { 0 };

	alarm(PLAYER_S); /* a player that hangs */
	play_scenario(file, build, certs, &played);
	if (verbose)
		fputs(buf_cstr(&played.told), stdout);
	fputs(buf_cstr(&played.failure), stdout);
	fflush(stdout);
	*sum = (struct sum){ played.passed, played.failed };
	buf_fini(&played.told);
	buf_fini(&played.failure);
}

struct job {
	const char *build, *certs;
	bool verbose;
	struct sum *sum; /* shared with the child */
};

/* In a process of its own: whatever a scenario leaves behind goes with it. */
static struct sum play_file(const struct job *job, const char *file)
{
	int status = -1;

	*job->sum = (struct sum){ 0, 1 };
	fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		play_one(file, job->build, job->certs, job->verbose, job->sum);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		printf("%s: the player was ended by signal %d\n", file, WTERMSIG(status));
	return *job->sum;
}

static void count(const struct job *job, const char *file, const char *word, struct sum one, struct sum *all)
{
	all->passed += one.passed;
	all->failed += one.failed;
	if (job->verbose || one.failed > 0)
		printf("%-6s %s\n", one.failed > 0 ? "FAILED" : word, file);
}

static int usage(void)
{
	fputs("usage: play -b BUILD_DIR -c CERTS [-v] [-a] FILE.tb...\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct job job = { 0 };
	struct sum all = { 0 };
	bool twice = false;
	int option;

	while ((option = getopt(argc, argv, "ab:c:v")) != -1) {
		if (option == 'a')
			twice = true;
		else if (option == 'b')
			job.build = optarg;
		else if (option == 'c')
			job.certs = optarg;
		else if (option == 'v')
			job.verbose = true;
		else
			return usage();
	}
	if (job.build == NULL || job.certs == NULL || optind == argc)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	job.sum = mmap(NULL, sizeof *job.sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(job.sum != MAP_FAILED);
	int again = optind; /* the names before this one failed at first */
	for (int i = optind; i < argc; i++) {
		struct sum one = play_file(&job, argv[i]);
		if (twice && one.failed > 0)
			argv[again++] = argv[i];
		else
			count(&job, argv[i], "ok", one, &all);
	}
	for (int i = optind; i < again; i++)
		count(&job, argv[i], "SHAKY", play_file(&job, argv[i]), &all);
	printf("%zu passed, %zu failed\n", all.passed, all.failed);
	return all.failed > 0;
}
