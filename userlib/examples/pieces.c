// SPDX-License-Identifier: MIT
/*
 * A request that fits into no free block, though enough is free: buffers are moved for it, while
 * their programs go on.
 *
 *   pieces COMMAND...
 *
 * Leaves the region in pieces, runs the command, and asks meanwhile for more than the largest
 * piece. Another process writes to the buffers between the pieces all the time, and reads back what
 * it wrote.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define PIECE		(8 << 20)	/* bytes */
#define PIECES_MAX	64
#define LARGE		(6 * (PIECE))
#define REQUESTS	2
#define WORDS		(PIECE / 4096)	/* one of each page is written to and read back */

/* In memory that both processes share. */
struct tally {
	unsigned long rounds;
	unsigned long wrong;
};

static uint32_t *word(uint32_t *piece, unsigned int i)
{
	return piece + i * (4096 / sizeof(uint32_t));
}

/* The program that has the buffers: writes a number everywhere, and finds it again. */
static void work(uint32_t **pieces, unsigned int n, struct tally *tally)
{
	uint32_t round;
	unsigned int i, k;

	for (round = 1;; round++) {
		for (i = 0; i < n; i++)
			for (k = 0; k < WORDS; k++)
				*word(pieces[i], k) = round * (i + 1) + k;
		/* What is read is read from memory again. */
		atomic_thread_fence(memory_order_seq_cst);
		for (i = 0; i < n; i++)
			for (k = 0; k < WORDS; k++)
				tally->wrong += *word(pieces[i], k) != round * (i + 1) + k;
		atomic_thread_fence(memory_order_seq_cst);
		tally->rounds = round;
	}
}

/* Fill the region with pieces, and free every second one: how many are left. */
static unsigned int make_pieces(struct memalloc *mem, uint32_t **pieces)
{
	struct memalloc_buffer buffers[PIECES_MAX];
	unsigned int n = 0, left = 0, i;

	while (n < PIECES_MAX && !memalloc_buffer_alloc(mem, PIECE, 0, &buffers[n]))
		n++;
	must(n >= 8 && n < PIECES_MAX, "the region has to be of %d to %d MiB", 8 * PIECE >> 20,
	     PIECES_MAX * PIECE >> 20);
	for (i = 0; i < n; i++) {
		if (i % 2)
			memalloc_buffer_free(mem, &buffers[i]);
		else
			pieces[left++] = map_buffer(mem, &buffers[i]);
	}
	return left;
}

static struct memalloc_stats stats_of(struct memalloc *mem)
{
	struct memalloc_stats stats;
	int err = memalloc_get_stats(mem, &stats, sizeof(stats));

	if (err)
		die(err, "the statistics");
	return stats;
}

static pid_t start(char **command)
{
	pid_t child = fork();

	if (child)
		return child;
	execvp(*command, command);
	die(-errno, "%s", *command);
}

int main(int argc, char **argv)
{
	struct memalloc *mem = open_device();
	uint32_t *pieces[PIECES_MAX];
	struct memalloc_stats stats;
	struct tally *tally;
	unsigned int n, i;
	pid_t worker, command;
	int status;

	must(argc > 1, "usage: %s COMMAND...", argv[0]);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (tally == MAP_FAILED)
		die(-errno, "mmap()");
	n = make_pieces(mem, pieces);
	worker = fork();
	if (!worker)
		work(pieces, n, tally);
	command = start(argv + 1);
	sleep(1);

	stats = stats_of(mem);
	printf("  %llu MiB are free, in pieces of %llu MiB at most; %d MiB are asked for, %d\n"
	       "  times.\n",
	       (unsigned long long)stats.free >> 20, (unsigned long long)stats.largest_free >> 20,
	       LARGE >> 20, REQUESTS);
	show_picture(mem, "in pieces");
	for (i = 0; i < REQUESTS; i++) {
		new_buffer(mem, LARGE);
		sleep(1);
	}
	show_picture(mem, "when both have been served");
	if (waitpid(command, &status, 0) != command)
		die(-errno, "waitpid()");
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	must(WIFEXITED(status) && !WEXITSTATUS(status), "%s failed", argv[1]);
	must(tally->rounds && !tally->wrong, "%lu wrong words in %lu rounds", tally->wrong,
	     tally->rounds);

	stats = stats_of(mem);
	must(stats.served_by_moves == REQUESTS, "nothing had to be moved");
	printf("\n  For them, %llu buffers were moved, %llu MiB. A program wrote to these all the\n"
	       "  time and read back what it wrote, %lu times: no wrong word. The longest that it\n"
	       "  waited for a buffer was %llu ms.\n",
	       (unsigned long long)stats.moves, (unsigned long long)stats.moved >> 20,
	       tally->rounds, (unsigned long long)stats.longest_move / 1000000);
	return 0;
}
