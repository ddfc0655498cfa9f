/* tests/fuzz/replay.c: feeds every file of the given folders to the target it is linked with and prints how many. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20 };

static unsigned replay_file(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");

	if (f == NULL || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		if (f != NULL)
			fclose(f);
		return 0;
	}
	uint8_t *data = malloc((size_t)st.st_size + 1); /* its own memory: a sanitizer sees a read behind the end */
	must(data != NULL);
	size_t n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	uint8_t *exact = realloc(data, n > 0 ? n : 1);
	must(exact != NULL);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static unsigned replay_folder(const char *path)
{
	char file[4096];
	unsigned n = 0;
	struct dirent *entry;
	DIR *folder = opendir(path);

	if (folder == NULL) {
		fprintf(stderr, "replay: cannot open %s\n", path);
		exit(2);
	}
	while ((entry = readdir(folder)) != NULL) {
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		n += replay_file(file);
	}
	closedir(folder);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_folder(argv[i]);
	printf("%s: %u inputs replayed\n", argv[0], n);
	return 0;
}
