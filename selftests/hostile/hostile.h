/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the attacks here share. The attacker, mallory, is nobody but is in the device's
 * group, and has limits. Beside him lives a bystander, another user: a process that has
 * buffers of its own, sees all the time whether they are what they were, and gets and
 * gives back more. In the end he has noticed nothing, all figures are what they were, and
 * nothing is charged to mallory.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "handle_calls.h"
#include "memalloc_test.h"

#include <pthread.h>
#include <sched.h>

#define MALLORY		61010
#define BYSTANDER	61011

/* What mallory may have. It leaves enough of any region that tests load. */
#define USER_BYTES	(32 * MIB)
#define USER_BUFFERS	2000

/* In which the bystander gets, uses and gives back a buffer, on a machine that emulates. */
#define SERVICE_MS	2000

#define KEPT		6

/* In memory that his process shares with us. */
struct bystander {
	struct memalloc_alloc buffers[KEPT];	/* those that he keeps */
	bool ready;
	bool stop;
	bool full;		/* others may take all there is: then he gets nothing */
	unsigned long rounds;
	__u64 slowest_ms;
	char wrong[64];		/* what he has noticed; "" */
};

struct scene {
	int fd;			/* root's client, which looks on */
	int mallory;		/* a client of mallory's */
	struct memalloc_stats before;
	struct bystander *bystander;
	pid_t pid;
	unsigned int slow;	/* see slowness() */
	char wrong[128];
};

#define GET(field)		__atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define SET(field, value)	__atomic_store_n(&(field), value, __ATOMIC_RELEASE)

/* Kernels that look for faults are slower by that much. Root sees which it is. */
static inline unsigned int slowness(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK) ||
	       !access("/sys/kernel/debug/kcsan", F_OK) ? 8 : 1;
}

static inline bool is_whole(char *const *maps, const struct bystander *b)
{
	int i;

	for (i = 0; i < KEPT; i++) {
		const __u64 length = b->buffers[i].real_length;

		if (first_difference(maps[i], length, i) != length)
			return false;
	}
	return true;
}

/*
 * A new buffer comes, is all zero, holds what is written to it, and goes: "" or what is wrong.
 * @full: there may be no room for it.
 */
static inline const char *comes_and_goes(int fd, __u64 length, __u32 seed, bool full)
{
	struct memalloc_alloc buffer;
	const char *wrong = "";
	char *map;
	int err;

	err = alloc_buffer(fd, length, &buffer);
	if (err)
		return full && err == -ENOMEM ? "" : "ALLOC failed";
	map = map_buffer(fd, &buffer);
	if (map == MAP_FAILED)
		return "mmap() failed";
	if (first_nonzero(map, length) != length)
		wrong = "a new buffer is not zero";
	fill(map, length, seed);
	sched_yield();
	if (first_difference(map, length, seed) != length)
		wrong = "a new buffer has changed";
	munmap(map, length);
	return free_buffer(fd, buffer.handle) ? "FREE failed" : wrong;
}

/* A child from fork_child() becomes that user; it still does not outlive its parent. */
static inline int become(uid_t uid)
{
	return as_user(uid) ?: prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static inline const char *stand_by(struct bystander *b, unsigned int service_ms)
{
	int i, other, fd = become(BYSTANDER) ?: open_device();
	__u64 begin, took, random = BYSTANDER;
	const char *wrong;
	char *maps[KEPT];

	/* Half of them he holds as a second client, by a handle that can only read. */
	other = open_device();
	for (i = 0; i < KEPT; i++) {
		struct memalloc_alloc *buffer = &b->buffers[i];
		struct memalloc_import import;
		int dmabuf;

		if (alloc_buffer(fd, PAGE << 2 * (i % 4), buffer))
			return "it can't begin";
		maps[i] = map_buffer(fd, buffer);
		if (maps[i] == MAP_FAILED)
			return "it can't map";
		fill(maps[i], buffer->real_length, i);
		if (i % 2)
			continue;
		dmabuf = export_buffer(fd, buffer->handle, O_RDONLY);
		if (dmabuf < 0 || import_buffer(other, dmabuf, 0, &import) ||
		    free_buffer(fd, buffer->handle))
			return "it can't share";
		close(dmabuf);
	}
	SET(b->ready, true);

	while (!GET(b->stop)) {
		__u64 pages = 1 + random_below(&random, 64);

		if (!is_whole(maps, b))
			return "what it had has changed";
		begin = now_ms();
		wrong = comes_and_goes(fd, pages * PAGE, b->rounds, GET(b->full));
		if (*wrong)
			return wrong;
		took = now_ms() - begin;
		if (took > b->slowest_ms)
			b->slowest_ms = took;
		if (took > service_ms)
			return "it has to wait too long";
		b->rounds++;
		sleep_ms(1);
	}
	return is_whole(maps, b) ? "" : "what it had has changed in the end";
}

/* 0 or a negative errno. */
static inline int begin_scene(struct scene *scene)
{
	struct bystander *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int err = no_limits() ?: set_number("user_bytes", USER_BYTES) ?:
				 set_number("user_buffers", USER_BUFFERS);

	scene->slow = slowness();
	scene->bystander = b;
	scene->fd = open_idle_device();
	if (err || b == MAP_FAILED || scene->fd < 0 || get_stats(scene->fd, &scene->before))
		return err ?: -ENODEV;
	scene->pid = fork_child();
	if (!scene->pid) {
		close(scene->fd);
		snprintf(b->wrong, sizeof(b->wrong), "%s",
			 stand_by(b, SERVICE_MS * scene->slow));
		SET(b->ready, true);
		_exit(0);
	}
	if (!WAIT_UNTIL(GET(b->ready)) || *b->wrong)
		return -EPROTO;
	scene->mallory = open_as(MALLORY);
	return scene->mallory < 0 ? scene->mallory : 0;
}

static inline bool is_charged_nothing(int fd)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && !limits.user_bytes && !limits.user_buffers;
}

/* All is as before the attack. */
static inline bool is_over(const struct scene *scene)
{
	const struct memalloc_stats *before = &scene->before;
	struct memalloc_stats now;

	return is_idle(scene->fd) && !get_stats(scene->fd, &now) && !*stats_wrong(&now) &&
	       now.free == before->free && now.largest_free == before->largest_free &&
	       now.retired == before->retired && now.buffers == before->buffers;
}

/* Mallory is gone, but for threads and descriptors of this process: "" or what is wrong. */
static inline const char *end_scene(struct scene *scene)
{
	struct bystander *b = scene->bystander;
	int mallory, ended;

	as_root();
	close(scene->mallory);
	SET(b->stop, true);
	ended = wait_child(scene->pid);
	no_limits();
	if (ended || *b->wrong) {
		snprintf(scene->wrong, sizeof(scene->wrong), "the bystander: %s (%d)", b->wrong,
			 ended);
		return scene->wrong;
	}
	printf("# the bystander: %lu rounds, the slowest took %llu ms\n", b->rounds, b->slowest_ms);
	if (!b->rounds)
		return "the bystander did nothing";
	if (!WAIT_UNTIL(is_over(scene)))
		return "figures are not what they were";
	mallory = open_as(MALLORY);
	if (!WAIT_UNTIL(is_charged_nothing(mallory)))
		return "mallory is still charged";
	close(mallory);
	return "";
}

/* As wait_child(), for @ms at most: -ETIME if the child hangs. */
static inline int wait_child_ms(pid_t child, unsigned int ms)
{
	__u64 end = now_ms() + ms;
	int status;
	pid_t pid;

	while (!(pid = waitpid(child, &status, WNOHANG)) && now_ms() < end)
		sleep_ms(5);
	if (pid != child)
		return pid ? -errno : -ETIME;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif /* HOSTILE_H */
