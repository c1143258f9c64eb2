// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: fills most of the memory that is free with a pattern, for
 * boots/dirty.sh, and ends. Prints how many MiB.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	const size_t step = 1 << 20;
	size_t left = sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE) / 10 * 9;
	size_t dirtied = 0;

	for (; left > step; left -= step, dirtied++) {
		void *memory = mmap(NULL, step, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 1;
		memset(memory, 0xa5, step);
	}
	printf("%zu\n", dirtied);
	return 0;
}
