// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker sends himself signals all the time, so that they come in the middle of each
 * call, and asks for no call to be begun again. No call but a SYNC that waits for a device
 * cares for them: each does what it should. Fatal signals are in lifetime.c and killed.c,
 * SYNC that waits is in vgem.c.
 */
#include "calls.h"
#include "dmaheap.h"

#include <sys/time.h>

#define INTERVAL_US	100
#define LARGE		(16 * MIB)

static int signals;

static void count_signal(int number)
{
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

FIXTURE(signals) {
	struct scene scene;
	struct subject subject;
};

FIXTURE_SETUP(signals)
{
	const struct sigaction action = { .sa_handler = count_signal };
	struct itimerval timer = { { 0, INTERVAL_US }, { 0, INTERVAL_US } };

	ASSERT_EQ(0, begin_scene(&self->scene));
	timer.it_interval.tv_usec *= self->scene.slow;
	ASSERT_EQ(0, as_user(MALLORY));
	ASSERT_EQ(0, make_subject(&self->subject, 3 * PAGE));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
}

FIXTURE_TEARDOWN(signals)
{
	const struct itimerval none = {};

	setitimer(ITIMER_REAL, &none, NULL);
	drop_subject(&self->subject);
	EXPECT_STREQ("", end_scene(&self->scene));
}

TEST_F_TIMEOUT(signals, during_each_call, 600)
{
	const unsigned int rounds = 4000 / self->scene.slow;
	union argument arg;
	size_t which;
	unsigned int i;

	for (which = 0; which < ARRAY_SIZE(hostile_calls); which++) {
		const struct hostile_call *c = &hostile_calls[which];
		const int before = GET(signals);

		for (i = 0; i < rounds || GET(signals) - before < 20; i++) {
			right_argument(c, &self->subject, &arg);
			ASSERT_EQ(0, call(self->subject.fd, c->request, &arg))
				TH_LOG("%s", c->name);
			ASSERT_EQ(0, c->undo(&arg, &self->subject));
		}
		EXPECT_TRUE(is_untouched(&self->subject));
		TH_LOG("%s: %u times, %d signals", c->name, i, GET(signals) - before);
	}
}

/* It has to be zeroed, by the call or in the background while the call waits for that. */
TEST_F_TIMEOUT(signals, while_memory_is_zeroed, 600)
{
	const int fd = self->subject.fd, heap = open_dmaheap();
	struct memalloc_alloc buffer;
	int before, dmabuf, came = 0;
	unsigned int i;
	char *map;

	ASSERT_LE(0, heap);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, make_dirty(fd, LARGE));
		/* Sometimes at once, sometimes when it has begun in the background. */
		if (i % 2)
			sleep_ms(i);
		before = GET(signals);
		ASSERT_EQ(0, alloc_buffer(fd, LARGE, &buffer));
		came += GET(signals) - before;
		map = map_buffer(fd, &buffer);
		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(LARGE, first_nonzero(map, LARGE));
		munmap(map, LARGE);
		ASSERT_EQ(0, free_buffer(fd, buffer.handle));

		ASSERT_EQ(0, make_dirty(fd, LARGE));
		dmabuf = dmaheap_alloc(heap, LARGE, O_RDWR);
		ASSERT_LE(0, dmabuf);
		close(dmabuf);
	}
	EXPECT_LT(0, came);
	EXPECT_TRUE(is_untouched(&self->subject));
	close(heap);
}

/* Other system calls that the module has a part in. */
TEST_F_TIMEOUT(signals, while_it_is_mapped_and_touched, 600)
{
	const unsigned int rounds = 200 / self->scene.slow;
	struct memalloc_alloc buffer;
	unsigned int i, at;

	for (i = 0; i < rounds; i++) {
		int fd = open_device();
		char *map;

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, alloc_buffer(fd, MIB, &buffer));
		map = map_buffer(fd, &buffer);
		ASSERT_NE(MAP_FAILED, (void *)map);
		for (at = 0; at < MIB; at += PAGE)
			ASSERT_EQ(0, map[at]);
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, munmap(map, MIB));
	}
}

TEST_HARNESS_MAIN
