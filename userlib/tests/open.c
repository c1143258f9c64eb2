// SPDX-License-Identifier: MIT
/* Opens the device file of its argument: the smallest program that uses the library. */
#include <memalloc.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct memalloc *mem;
	int err = memalloc_open(argv[argc - 1], &mem);

	if (err) {
		fprintf(stderr, "%s: %s\n", argv[argc - 1], strerror(-err));
		return 1;
	}
	memalloc_close(mem);
	return 0;
}
