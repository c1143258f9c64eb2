// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker maps what he has no handle for, all the time and from many threads: the very
 * offset of the victim's buffer. He keeps the lock of his own client busy. None of that
 * takes a reference: once the victim's FREE has returned, the victim is charged nothing, and
 * has room for the next one.
 */
#include "hostile.h"

#define VICTIM		61012
#define LENGTH		(2048 * PAGE)
#define ROUNDS		2000
#define GUESSES		3	/* that begin in a round, at least */
#define MAPPERS		4
#define BUSY		3
#define HANDLES		200	/* of each that keeps the lock busy */

/* In memory that the victim's process shares with us. */
struct victim {
	__u64 offset;		/* that the attacker guesses */
	bool stop;		/* the attacker may */
	unsigned long tried;	/* guesses that have begun, and */
	unsigned long mapped;	/* that got something */
	unsigned long rounds;
	unsigned long charged;	/* so often he was, after FREE */
	unsigned long refused;	/* so often ALLOC was, after that */
	int wrong;		/* another error */
};

FIXTURE(references) {
	struct scene scene;
	struct victim *victim;
	pthread_t threads[MAPPERS + BUSY];
};

static FIXTURE_DATA(references) * attack;

FIXTURE_SETUP(references)
{
	attack = self;
	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, set_number("client_bytes", LENGTH));
	self->victim = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->victim);
	ASSERT_EQ(0, as_user(MALLORY));
}

FIXTURE_TEARDOWN(references)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

static void *map_guessed(void *data)
{
	while (!GET(attack->victim->stop)) {
		void *map;

		__atomic_fetch_add(&attack->victim->tried, 1, __ATOMIC_RELEASE);
		map = map_at(attack->scene.mallory, GET(attack->victim->offset), PAGE, PROT_READ);
		if (map == MAP_FAILED)
			continue;
		__atomic_fetch_add(&attack->victim->mapped, 1, __ATOMIC_RELAXED);
		munmap(map, PAGE);
	}
	return NULL;
}

static void *keep_busy(void *data)
{
	struct memalloc_alloc buffers[HANDLES];
	const int fd = attack->scene.mallory;

	while (!GET(attack->victim->stop))
		if (alloc_batch(fd, buffers, HANDLES, PAGE) || free_batch(fd, buffers, HANDLES))
			return "a batch of the attacker failed";
	return NULL;
}

static int suffer(struct victim *victim, unsigned int rounds)
{
	int fd = become(VICTIM) ?: open_device(), err = 0;
	struct memalloc_limits limits;
	struct memalloc_alloc buffer;
	unsigned long before;

	while (!err && victim->rounds < rounds) {
		err = alloc_buffer(fd, LENGTH, &buffer);
		victim->rounds++;
		if (err == -EDQUOT) {
			victim->refused++;
			err = 0;
			continue;
		}
		if (err)
			break;
		SET(victim->offset, buffer.mmap_offset);
		/* Guesses of this very offset are under way. */
		before = GET(victim->tried);
		while (GET(victim->tried) - before < GUESSES)
			sched_yield();
		/* Read once, straight after it. */
		err = free_buffer(fd, buffer.handle) ?: get_limits(fd, &limits);
		victim->charged += limits.client_bytes || limits.client_buffers ||
				   limits.user_bytes || limits.user_buffers;
	}
	return err;
}

TEST_F_TIMEOUT(references, strangers_take_none, 600)
{
	struct victim *victim = self->victim;
	unsigned int i;
	void *failed;
	pid_t child;

	for (i = 0; i < MAPPERS + BUSY; i++)
		ASSERT_EQ(0, pthread_create(&self->threads[i], NULL,
					    i < MAPPERS ? map_guessed : keep_busy, NULL));
	ASSERT_EQ(0, as_root());
	child = fork_child();
	if (!child) {
		victim->wrong = suffer(victim, ROUNDS / self->scene.slow);
		_exit(0);
	}
	ASSERT_EQ(0, as_user(MALLORY));
	EXPECT_EQ(0, wait_child(child));
	SET(victim->stop, true);
	for (i = 0; i < MAPPERS + BUSY; i++) {
		ASSERT_EQ(0, pthread_join(self->threads[i], &failed));
		EXPECT_EQ(NULL, failed);
	}

	TH_LOG("%lu rounds, %lu guesses", victim->rounds, victim->tried);
	EXPECT_EQ(0, victim->wrong);
	EXPECT_EQ(0, victim->charged);
	EXPECT_EQ(0, victim->refused);
	EXPECT_EQ(0, victim->mapped);
}

TEST_HARNESS_MAIN
