// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unloads the module while the last thing that uses it, a mapping, is going away. The
 * last reference to the module is dropped in the middle of munmap(); the kernel must
 * not need the module after that. Whether it does shows in the kernel's log.
 *
 *   unload FILE SECONDS
 *
 * The victim unmaps on processor 1. Another task preempts it there at a random moment
 * of that, so that processor 0 finds the time to unload the module. How often that came
 * about is told; with little luck, never.
 */
#include "memalloc_test.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define MS	1000000ull	/* ns */

struct shared {
	_Atomic __u64 preempt_at;	/* ns; 0: not wanted */
	atomic_bool unmapping;
	atomic_bool preempted;		/* the victim's processor is busy with something else */
	atomic_bool unloading;		/* the kernel is at it */
	atomic_uint caught;		/* unloaded while the victim was unmapping */
};

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void run_there(int cpu, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (run_on(cpu) ||
	    (priority && sched_setscheduler(0, SCHED_FIFO, &param))) {
		perror("unload: scheduling");
		exit(1);
	}
}

/* Takes processor 1 away for a while at each moment that is asked for. */
static void preempt(struct shared *shared)
{
	run_there(1, 50);
	for (;;) {
		struct timespec at;
		__u64 when;

		while (!(when = shared->preempt_at))
			usleep(200);
		shared->preempt_at = 0;
		at.tv_sec = when / 1000000000;
		at.tv_nsec = when % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		/* Long enough to try; once the module is on its way out, until it is gone. */
		shared->preempted = true;
		for (when = now_ns(); now_ns() < when + (shared->unloading ? 600 : 50) * MS;)
			;
		shared->preempted = false;
	}
}

static void unload(struct shared *shared)
{
	run_there(0, 0);
	for (;;) {
		if (!shared->preempted) {
			usleep(100);
			continue;
		}
		shared->unloading = true;
		if (!syscall(SYS_delete_module, "memalloc", O_NONBLOCK) && shared->unmapping)
			shared->caught++;
		shared->unloading = false;
	}
}

static bool load(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool loaded = !syscall(SYS_finit_module, fd, "size=4M", 0) ||
		      errno == EEXIST || errno == EBUSY;	/* not gone yet */

	close(fd);
	return loaded;
}

/* A mapping that nothing else of the device is left beside; NULL: the module is gone. */
static char *map_alone(void)
{
	struct memalloc_alloc buffer;
	int fd = open_device();
	char *map;

	if (fd < 0 || alloc_buffer(fd, PAGE, &buffer))
		return NULL;
	map = map_buffer(fd, &buffer);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

int main(int argc, char **argv)
{
	struct shared *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void (*const helpers[])(struct shared *) = { preempt, unload };
	__u64 end, moment;
	pid_t pids[2];
	char *map;
	int i;

	if (argc != 3) {
		fprintf(stderr, "usage: unload FILE SECONDS\n");
		return 2;
	}
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		if (!pids[i])
			helpers[i](shared);
	}

	run_there(1, 0);
	srand(1);
	for (end = now_ns() + strtoull(argv[2], NULL, 10) * 1000 * MS; now_ns() < end;) {
		if (!load(argv[1])) {
			perror("unload: loading");
			break;
		}
		map = map_alone();
		if (!map)
			continue;
		*map = 1;

		/* Begin up to 400 us before the moment at which the processor is taken away. */
		moment = now_ns() + 5 * MS;
		shared->preempt_at = moment;
		for (moment -= rand() % 400000; now_ns() < moment;)
			;
		shared->unmapping = true;
		munmap(map, PAGE);
		shared->unmapping = false;
		while (shared->preempt_at || shared->preempted)
			usleep(1000);
	}
	for (i = 0; i < 2; i++)
		kill(pids[i], SIGKILL);
	printf("unloaded %u times during munmap()\n", shared->caught);
	return 0;
}
