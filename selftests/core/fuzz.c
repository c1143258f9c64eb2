// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzz target: any bytes are a script. Built with libFuzzer by scripts/fuzz-core; built
 * without, it runs the scripts of the corpus, or of the folder that is its argument.
 */
#include <dirent.h>

#include "script.h"

#define GRANULES_MAX	4096	/* more would only be slow */
#define BYTES_MAX	65536

static bool run(const unsigned char *bytes, size_t size)
{
	const struct script_head *head = (const void *)bytes;
	struct script_run run;

	if (size < sizeof(*head) || script_u16(head->granules) >= GRANULES_MAX)
		return false;
	return script_run(&run, bytes, size);
}

#ifdef MAL_FUZZER

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size)
{
	if (setjmp(tap_end))
		abort();
	run(bytes, size);
	return 0;
}

#else

static const char *folder = "selftests/core/corpus";

/* True: it is a script. Some of the corpus is what the target refuses. */
static bool run_file(const char *name)
{
	static unsigned char bytes[BYTES_MAX];
	char path[4096];
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	EXPECT_OR(file, "cannot read %s", path);
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	printf("# %s\n", name);
	return run(bytes, size);
}

static void corpus(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned int scripts = 0;

	EXPECT_OR(dir, "cannot read %s", folder);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		scripts += run_file(entry->d_name);
	}
	closedir(dir);
	EXPECT_OR(scripts, "%s has no script", folder);
}

static const struct tap_test tests[] = {
	{ "every script of the corpus", corpus },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		folder = argv[1];
	return TAP_RUN(tests);
}

#endif
