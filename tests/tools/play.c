/* tests/tools/play.c: plays scenarios: play -b BUILD_DIR -c CERTS [-v] FILE.tb...
 *
 * Each file is played by a process of its own, so that a bug in the player costs one scenario.  Quiet on success; -v
 * names what passed.  The last line is `N passed, N failed`.  TOMBOLO_PLAY_KEEP=1 keeps each scenario's folder. */
#include "base/log.h"
#include "base/must.h"
#include "tests/play/play.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILURE_MAX = 256 * 1024 };

static int play_one(const char *file, const char *build, const char *certs)
{
	struct buf failure;

	buf_init(&failure, FAILURE_MAX);
	alarm(SCENARIO_MS / 1000 + 10); /* a player that hangs */
	bool passed = play_scenario(file, build, certs, &failure);
	fputs(buf_cstr(&failure), stdout);
	fflush(stdout);
	buf_fini(&failure);
	return passed ? 0 : 1;
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
	for (int i = optind; i < argc; i++) {
		int status = -1;
		fflush(stdout);
		pid_t pid = fork();
		must(pid >= 0);
		if (pid == 0)
			_exit(play_one(argv[i], build, certs));
		waitpid(pid, &status, 0);
		bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
		passed += ok;
		failed += !ok;
		if (!WIFEXITED(status))
			printf("%s: the player was ended by signal %d\n", argv[i], WTERMSIG(status));
		if (verbose || !ok)
			printf("%s %s\n", ok ? "ok    " : "FAILED", argv[i]);
	}
	printf("%zu passed, %zu failed\n", passed, failed);
	return failed > 0;
}
