// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: leaves boots/module.sh plenty of free memory but no large range of
 * it: takes nearly all that is free, pins a page of every MiB (a pipe holds it),
 * and gives the rest back. Says "ready", and waits for its standard input to end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPE_PAGES	16

int main(void)
{
	const size_t page = sysconf(_SC_PAGESIZE), step = 256 * page;
	size_t at, length = sysconf(_SC_AVPHYS_PAGES) / 10 * 9 * page;
	struct rlimit files = { 4096, 4096 };
	int pipes[2], room = 0;
	char byte, *memory;

	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || setrlimit(RLIMIT_NOFILE, &files))
		return 1;
	/* A kernel without huge pages, such as a realtime kernel, says EINVAL. */
	if (madvise(memory, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		return 1;
	for (at = 0; at < length; at += page)
		memory[at] = 1;
	for (at = 0; at < length; at += step) {
		struct iovec pinned = { memory + at, page };

		if (!room) {
			if (pipe(pipes))
				return 1;
			room = PIPE_PAGES;
		}
		if (vmsplice(pipes[1], &pinned, 1, 0) != (ssize_t)page)
			return 1;
		room--;
	}
	munmap(memory, length);
	puts("ready");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
