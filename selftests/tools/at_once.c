// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: processes on all CPUs get a buffer and give it back, again and again and at the same
 * time. QEMU's plugin bench-calls/shared.c watches what they share.
 *
 * Each process has a CPU and an open file of its own. All have the same user. The plugin records
 * from the moment when each has warmed up until the first has done all its pairs. The others stop
 * then, too.
 *
 * The arguments are how many buffers a process gets before it gives them back, and how many of the
 * processes use buffers that are too large for CPUs to keep ready.
 */
#include "bench-calls/mark.h"
#include "memalloc_test.h"

#include <sched.h>
#include <sys/wait.h>

#define WARM_UP		1000
#define PAIRS		5000
#define MAX_HELD	1000
#define SMALL		(4 * KIB)
#define LARGE		MIB

/* In memory that all processes share. */
struct progress {
	int warm;	/* processes that are */
	int failed;	/* likewise */
	bool begun;
	bool over;
};

static struct progress *progress;
static int held;	/* buffers, at the most */

static bool is_over(void)
{
	return __atomic_load_n(&progress->over, __ATOMIC_RELAXED);
}

/* That many, at least. */
static void make_pairs(int fd, __u64 length, int count)
{
	static struct memalloc_alloc buffers[MAX_HELD];
	int i, err = 0;

	for (; count > 0 && !err && !is_over(); count -= held) {
		for (i = 0; i < held && !err; i++)
			err = alloc_buffer(fd, length, &buffers[i]);
		for (i = 0; i < held && !err; i++)
			err = free_buffer(fd, buffers[i].handle);
	}
	if (err) {
		perror("a pair");
		exit(1);
	}
}

/* The last one to be warm has the record begin. */
static void wait_for_all(int processes)
{
	if (__atomic_add_fetch(&progress->warm, 1, __ATOMIC_SEQ_CST) == processes) {
		call_mark(MARK_ON);
		__atomic_store_n(&progress->begun, true, __ATOMIC_SEQ_CST);
	}
	while (!__atomic_load_n(&progress->begun, __ATOMIC_SEQ_CST) && !is_over())
		sched_yield();
}

/* What a process does. */
static void work(int cpu, __u64 length, int processes)
{
	int err = run_on(cpu);
	int fd;

	if (err) {
		fprintf(stderr, "CPU %d: %s\n", cpu, strerror(-err));
		exit(1);
	}
	fd = open_device();
	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", DEVICE, strerror(-fd));
		exit(1);
	}
	make_pairs(fd, length, WARM_UP);
	wait_for_all(processes);
	make_pairs(fd, length, PAIRS);
	if (!__atomic_exchange_n(&progress->over, true, __ATOMIC_SEQ_CST))
		call_mark(MARK_OFF);
	exit(0);
}

int main(int argc, char **argv)
{
	const int large = argc > 2 ? atoi(argv[2]) : 0;
	const int processes = sysconf(_SC_NPROCESSORS_ONLN);
	int i, status;

	held = argc > 1 ? atoi(argv[1]) : 1;
	if (held < 1 || held > MAX_HELD) {
		fprintf(stderr, "%d buffers: at least 1, at most %d\n", held, MAX_HELD);
		return 1;
	}
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED || !make_marks()) {
		perror("mmap");
		return 1;
	}
	for (i = 0; i < processes; i++) {
		const pid_t pid = fork();

		if (!pid)
			work(i, i < large ? LARGE : SMALL, processes);
		if (pid < 0) {
			perror("fork");
			return 1;
		}
	}
	for (i = 0; i < processes; i++) {
		if (wait(&status) < 0 || status) {
			__atomic_store_n(&progress->over, true, __ATOMIC_SEQ_CST);
			progress->failed++;
		}
	}
	return progress->failed != 0;
}
