// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program and tells what it took:
 *
 *   measure FILE COMMAND [ARGUMENT...]
 *
 * Appends to FILE: microseconds that passed, microseconds of processor time, KiB of memory that it,
 * or one of the programs that it started, had at its peak. The exit status is the program's.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(struct timeval time)
{
	return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
	struct timespec before, after;
	struct rusage usage;
	int status;
	pid_t child;
	FILE *file;

	file = argc > 2 ? fopen(argv[1], "ae") : NULL;
	if (!file) {
		fputs("usage: measure FILE COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	child = fork();
	if (!child) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (wait4(child, &status, 0, &usage) != child)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &after);
	fprintf(file, "%lld,%lld,%ld\n",
		(after.tv_sec - before.tv_sec) * 1000000LL +
		(after.tv_nsec - before.tv_nsec) / 1000,
		microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
