// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fits, and changing them while the module is in use, by writing to its parameter.
 */
#include "memalloc_test.h"

#include <pthread.h>
#include <sys/stat.h>

#define BUFFERS		256

static const char *const fits[] = { "first", "best", "worst", "next", "good" };

FIXTURE(fit) {
	int fd;
};

/* The fit that the device says it has. */
static const char *fit_of(int fd)
{
	static struct memalloc_info info;

	return get_info(fd, &info) ? "" : (char *)info.fit;
}

FIXTURE_SETUP(fit)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, switch_to("good"));
}

FIXTURE_TEARDOWN(fit)
{
	switch_to("good");
}

/* Allocates a buffer of @pages, and frees it: where was it? -1: nowhere. */
static __s64 place_of(int fd, __u64 pages)
{
	struct memalloc_alloc buffer;
	__s64 place;

	if (alloc_buffer(fd, pages * PAGE, &buffer))
		return -1;
	place = offset_of_handle(fd, buffer.handle);
	return free_buffer(fd, buffer.handle) ? -1 : place / (__s64)PAGE;
}

TEST_F(fit, each_takes_the_block_that_its_rule_says)
{
	/* Used, free, used ...: the free blocks have 5, 3 and 4 pages, then comes the rest. */
	static const int pages[] = { 1, 5, 1, 3, 1, 4, 1 };
	struct memalloc_alloc buffers[ARRAY_SIZE(pages)];
	unsigned int i;

	ASSERT_EQ(0, switch_to("first"));
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, pages[i] * PAGE, &buffers[i]));
	for (i = 1; i < ARRAY_SIZE(pages); i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));

	EXPECT_EQ(1, place_of(self->fd, 3));
	ASSERT_EQ(0, switch_to("best"));
	EXPECT_EQ(7, place_of(self->fd, 3));
	EXPECT_EQ(11, place_of(self->fd, 4));
	ASSERT_EQ(0, switch_to("good"));
	EXPECT_EQ(7, place_of(self->fd, 3));
	ASSERT_EQ(0, switch_to("worst"));
	EXPECT_EQ(16, place_of(self->fd, 3));
}

TEST_F(fit, switch_keeps_every_block)
{
	static struct memalloc_block before[2 * BUFFERS + 1], after[2 * BUFFERS + 1];
	struct memalloc_alloc buffer;
	struct memalloc_stats stats, stats_after;
	unsigned int i;
	int n;

	for (i = 0; i < BUFFERS; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, (1 + i * 7 % 13) * PAGE, &buffer));
	for (i = 1; i <= BUFFERS; i += 1 + i % 3)
		ASSERT_EQ(0, free_buffer(self->fd, i));
	n = read_layout(self->fd, before, ARRAY_SIZE(before), 64);
	ASSERT_LT(BUFFERS / 2, n);
	ASSERT_EQ(0, get_stats(self->fd, &stats));

	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		ASSERT_EQ(0, switch_to(fits[i]));
		EXPECT_STREQ(fits[i], fit_of(self->fd));
		ASSERT_EQ(n, read_layout(self->fd, after, ARRAY_SIZE(after), 64));
		EXPECT_EQ(0, memcmp(before, after, n * sizeof(after[0])));
		ASSERT_EQ(0, get_stats(self->fd, &stats_after));
		EXPECT_TRUE(same_stats(&stats, &stats_after));
	}
}

TEST_F(fit, switch_einval_unknown)
{
	ASSERT_EQ(0, switch_to("best"));
	EXPECT_EQ(-EINVAL, switch_to("nosuch"));
	EXPECT_EQ(-EINVAL, switch_to("\n"));
	EXPECT_STREQ("best", fit_of(self->fd));
	EXPECT_EQ(0, switch_to("first\n"));
	EXPECT_STREQ("first", fit_of(self->fd));
}

static void *switch_all_the_time(void *stop)
{
	int i;

	for (i = 0; !__atomic_load_n((int *)stop, __ATOMIC_RELAXED); i++)
		if (switch_to(fits[i % ARRAY_SIZE(fits)]))
			return "a switch failed";
	return i < 5 ? "too few switches" : NULL;
}

/*
 * Half of the region is free, in pages: no request for one may fail, and no figure may be wrong,
 * whatever the index has.
 */
TEST_F(fit, allocations_go_on_during_a_switch)
{
	static __u32 handles[8192];
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;
	__u64 end;
	pthread_t thread;
	int stop = 0;
	void *wrong;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
		handles[i] = buffer.handle;
	}
	/* All that is left goes to one buffer. */
	while (!alloc_buffer(self->fd, PAGE << 12, &buffer))
		;
	while (!alloc_buffer(self->fd, PAGE, &buffer))
		;
	for (i = 0; i < ARRAY_SIZE(handles); i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, handles[i]));

	ASSERT_EQ(0, pthread_create(&thread, NULL, switch_all_the_time, &stop));
	for (end = now_ms() + 2000; now_ms() < end; n++) {
		i = n * 2 % ARRAY_SIZE(handles);
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer))
			TH_LOG("after %u allocations", n);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
		ASSERT_EQ(0, get_stats(self->fd, &stats));
		ASSERT_STREQ("", stats_wrong(&stats));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", (char *)wrong);
}

TEST_HARNESS_MAIN
