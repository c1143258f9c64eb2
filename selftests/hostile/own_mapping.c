// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker has the kernel read and write arguments in a mapping of the device itself,
 * none of whose pages is there yet: so a page fault, which asks the module, comes in the middle
 * of each call, of which some are about that very buffer. Meanwhile another thread maps
 * and unmaps buffers of the same client. If a call held what mmap() or a page fault
 * waits for, both would hang.
 */
#include "calls.h"

/* One fault brings in a multiple of that many at most. */
#define WINDOW	(64 * PAGE)
#define LENGTH	(3 * WINDOW)

FIXTURE(own_mapping) {
	struct scene scene;
};

FIXTURE_SETUP(own_mapping)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, as_user(MALLORY));
}

FIXTURE_TEARDOWN(own_mapping)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

struct mapper {
	const struct subject *subject;
	bool stop;
	unsigned long times;
};

static void *map_and_unmap(void *data)
{
	struct mapper *mapper = data;
	const struct memalloc_alloc *buffer = &mapper->subject->buffer;

	while (!GET(mapper->stop)) {
		/* The handle may just have been freed. */
		char *map = map_buffer(mapper->subject->fd, buffer);

		if (map != MAP_FAILED)
			munmap(map, LENGTH);
		SET(mapper->times, mapper->times + 1);
	}
	return NULL;
}

/* In a process of its own, which may hang: 0 or what is wrong, as an exit status. */
static int attack(const struct hostile_call *c, unsigned int rounds)
{
	struct subject subject;
	struct mapper mapper = { .subject = &subject };
	union argument *arg, *alias;
	unsigned int i;
	pthread_t id;
	char *map;

	if (make_subject(&subject, LENGTH))
		return 1;
	map = mmap((void *)(1UL << 40), LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   subject.fd, subject.buffer.mmap_offset);
	alias = map_buffer(subject.fd, &subject.buffer);
	if (map == MAP_FAILED || alias == MAP_FAILED)
		return 2;
	/* The size that an argument begins with is in one window, its end in the next. */
	arg = (union argument *)(map + WINDOW - 8);
	alias = (union argument *)((char *)alias + WINDOW - 8);
	subject.blocks = (struct memalloc_block *)(map + 2 * WINDOW - 8);
	subject.count = 4;
	if (pthread_create(&id, NULL, map_and_unmap, &mapper))
		return 3;
	/* A busy machine may be slow to let the other thread begin. */
	for (i = 0; i < rounds || !GET(mapper.times); i++) {
		right_argument(c, &subject, alias);
		if (madvise(map, LENGTH, MADV_DONTNEED))
			return 4;
		if (call(subject.fd, c->request, arg))
			return 5;
		if (c->undo(alias, &subject))
			return 6;
	}
	SET(mapper.stop, true);
	pthread_join(id, NULL);
	return is_untouched(&subject) ? 0 : 7;
}

TEST_F_TIMEOUT(own_mapping, each_call, 600)
{
	const unsigned int slow = self->scene.slow;
	int status = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hostile_calls) && !status; i++) {
		pid_t child = fork_child();

		if (!child)
			_exit(attack(&hostile_calls[i], 600 / slow));
		status = wait_child_ms(child, 10000 * slow);
		EXPECT_EQ(0, status)
			TH_LOG("%s", hostile_calls[i].name);
	}
}

TEST_HARNESS_MAIN
