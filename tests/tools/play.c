/* tests/tools/play.c: plays scenarios: play -b BUILD_DIR -c CERTS [-v] FILE.tb...
 *
 * Each file is played by a process of its own, so that a bug in the player costs one scenario.  A file that names cases
 * counts as many times.  Quiet on success; -v names what passed.  The last line is `N passed, N failed`.
 * TOMBOLO_PLAY_KEEP=1 keeps each scenario's folder. */
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

int main(int argc, char **argv)
{
	const char *build = NULL, *certs = NULL;
	bool verbose = false;
	size_t passed = 0, failed = 0;
	int option;

	while ((option = getopt(argc, argv, "b:c:v")) != -1) {
		if (option == 'b')
			build = optarg;
		else if (option == 'c')
			certs = optarg;
		else if (option == 'v')
			verbose = true;
		else
			build = NULL;
	}
	if (build == NULL || certs == NULL || optind == argc) {
		fputs("usage: play -b BUILD_DIR -c CERTS [-v] FILE.tb...\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	struct sum *sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(sum != MAP_FAILED);
	for (int i = optind; i < argc; i++) {
		int status = -1;
		*sum = (struct sum){ 0, 1 };
		fflush(stdout);
		pid_t pid = fork();
		must(pid >= 0);
		if (pid == 0) {
			play_one(argv[i], build, certs, verbose, sum);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		bool ok = sum->failed == 0;
		passed += sum->passed;
		failed += sum->failed;
		if (!WIFEXITED(status))
			printf("%s: the player was ended by signal %d\n", argv[i], WTERMSIG(status));
		if (verbose || !ok)
			printf("%s %s\n", ok ? "ok    " : "FAILED", argv[i]);
	}
	printf("%zu passed, %zu failed\n", passed, failed);
	return failed > 0;
}
