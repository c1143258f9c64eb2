// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks that CPUs keep ready: whoever gets one finds nothing of its last owner, no request misses
 * one, and nobody who looks at the region sees a difference.
 */
#include "memalloc_test.h"

#define LARGEST		16	/* granules of a block that is kept ready */
#define KEPT		64	/* granules of each size that a CPU keeps */
#define CPUS		"/sys/devices/system/cpu/"

FIXTURE(ready) {
	int fd;
	__u64 region;
};

/* Have this CPU keep blocks of all sizes ready. */
static int make_ready(int fd)
{
	struct memalloc_alloc buffers[8];
	size_t pages, i;

	for (pages = 1; pages <= LARGEST; pages++) {
		for (i = 0; i < ARRAY_SIZE(buffers); i++)
			if (alloc_buffer(fd, pages * PAGE, &buffers[i]))
				return -ENOMEM;
		for (i = 0; i < ARRAY_SIZE(buffers); i++)
			if (free_buffer(fd, buffers[i].handle))
				return -ENOENT;
	}
	return 0;
}

FIXTURE_SETUP(ready)
{
	struct memalloc_info info;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->region = info.region_length;
	ASSERT_EQ(0, run_on(0));
	ready_bytes(self->fd);
}

FIXTURE_TEARDOWN(ready)
{
	keep_ready(true);
	switch_to("good");
}

#define EXPECT_ALL_IN_ONE_BLOCK()						\
do {										\
	struct memalloc_stats now;						\
										\
	EXPECT_EQ(0, get_stats(self->fd, &now));				\
	EXPECT_STREQ("", stats_wrong(&now));					\
	EXPECT_EQ(self->region, now.largest_free);				\
	EXPECT_EQ(1, now.free_blocks);						\
} while (0)

TEST_F(ready, what_is_freed)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(3 * PAGE, ready_bytes(self->fd));
	EXPECT_EQ(0, ready_bytes(self->fd));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* But what the client keeps itself, see kept.c. */
TEST_F(ready, nothing_large)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, (LARGEST + 1) * PAGE, &buffer));
	ASSERT_EQ(0, touch_buffer(self->fd, &buffer));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, ready_bytes(self->fd));
}

TEST_F(ready, nothing_if_not_wanted)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, make_ready(self->fd));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	ASSERT_EQ(0, keep_ready(false));
	EXPECT_EQ(0, ready_bytes(self->fd));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, ready_bytes(self->fd));
	ASSERT_EQ(0, make_ready(self->fd));
	EXPECT_EQ(0, ready_bytes(self->fd));
	ASSERT_EQ(0, keep_ready(true));
	ASSERT_EQ(0, make_ready(self->fd));
	EXPECT_LT(0, ready_bytes(self->fd));
	EXPECT_EQ(-EINVAL, set_attribute("arenas", "2"));
}

TEST_F(ready, nothing_if_the_fit_tells_the_place)
{
	const char *const fits[] = { "first", "best", "worst", "next" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		ASSERT_EQ(0, switch_to("good"));
		ASSERT_EQ(0, make_ready(self->fd));
		ASSERT_EQ(0, switch_to(fits[i]));
		EXPECT_EQ(0, ready_bytes(self->fd));
		ASSERT_EQ(0, make_ready(self->fd));
		EXPECT_EQ(0, ready_bytes(self->fd));
	}
}

/* A buffer with constraints is not any block of its size. But what is freed is, whoever had it. */
TEST_F(ready, nothing_for_constraints)
{
	struct memalloc_alloc buffers[3], aligned = {
		.size = sizeof(aligned), .length = PAGE, .alignment = 4 * PAGE,
	};
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffers[i]));
	ASSERT_EQ(1 * PAGE, offset_of_handle(self->fd, buffers[1].handle));
	ASSERT_EQ(0, free_buffer(self->fd, buffers[1].handle));
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &aligned));
	EXPECT_EQ(0, offset_of_handle(self->fd, aligned.handle) % (4 * PAGE));
}

/* A buffer that was resized keeps the mmap offset of its first size, also from who comes next. */
TEST_F(ready, nothing_that_was_resized)
{
	struct memalloc_alloc shrunk, beside;

	ASSERT_EQ(0, alloc_buffer(self->fd, 12 * PAGE, &shrunk));
	ASSERT_EQ(0, resize_buffer(self->fd, shrunk.handle, 3 * PAGE));
	ASSERT_EQ(0, alloc_buffer(self->fd, 12 * PAGE, &beside));
	ASSERT_EQ(3 * PAGE, offset_of_handle(self->fd, beside.handle) -
			    offset_of_handle(self->fd, shrunk.handle));
	EXPECT_NE(shrunk.mmap_offset, beside.mmap_offset);
	ASSERT_EQ(0, free_buffer(self->fd, shrunk.handle));
	EXPECT_EQ(0, ready_bytes(self->fd));
	ASSERT_EQ(0, free_buffer(self->fd, beside.handle));
	EXPECT_EQ(0, ready_bytes(self->fd));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* However much is freed. */
TEST_F(ready, not_much)
{
	static struct memalloc_alloc buffers[10 * KEPT];
	__u64 ready;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffers[i]));
	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	ready = ready_bytes(self->fd);
	EXPECT_LE(KEPT / 2 * PAGE, ready);
	EXPECT_GE(KEPT * PAGE, ready);
	EXPECT_ALL_IN_ONE_BLOCK();
}

TEST_F(ready, not_for_long)
{
	ASSERT_EQ(0, make_ready(self->fd));
	sleep_ms(5000);
	EXPECT_EQ(0, ready_bytes(self->fd));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* And then in the background, though nobody makes a call. */
TEST_F(ready, zeroed_without_a_call)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PAGE, &buffer));
	ASSERT_EQ(0, touch_buffer(self->fd, &buffer));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	sleep_ms(5000);
	EXPECT_EQ(0, dirty_bytes(self->fd));
}

/* One CPU gets all there is, page by page, also what the other one keeps ready. */
TEST_F(ready, for_all_cpus_before_a_request_fails)
{
	const __u64 pages = 2048;
	struct memalloc_alloc buffer;
	__u64 i;

	if (run_on(1))
		SKIP(return, "there is one CPU only");
	/* So that it is soon full: what is ready for a second goes back without need. */
	ASSERT_EQ(0, alloc_buffer(self->fd, self->region - pages * PAGE, &buffer));
	ASSERT_EQ(0, make_ready(self->fd));
	ASSERT_EQ(0, run_on(0));
	for (i = 0; i < pages && !alloc_buffer(self->fd, PAGE, &buffer); i++)
		;
	EXPECT_EQ(pages, i);
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, PAGE, &buffer));
}

TEST_F(ready, for_large_requests)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, make_ready(self->fd));
	EXPECT_EQ(0, alloc_buffer(self->fd, self->region, &buffer));
}

TEST_F(ready, though_its_cpu_goes)
{
	struct memalloc_alloc buffer;

	if (run_on(1) || access(CPUS "cpu1/online", W_OK))
		SKIP(return, "no CPU can be taken away");
	ASSERT_EQ(0, make_ready(self->fd));
	ASSERT_EQ(0, run_on(0));
	ASSERT_EQ(0, write_file(CPUS "cpu1/online", "0"));
	EXPECT_EQ(0, alloc_buffer(self->fd, self->region, &buffer));
	EXPECT_EQ(0, write_file(CPUS "cpu1/online", "1"));
}

/* Nothing of whoever had it: name, bytes, handle, charge. */
TEST_F(ready, as_if_new)
{
	struct memalloc_name name = { .size = sizeof(name), .name = "somebody's" };
	struct memalloc_limits limits;
	struct memalloc_alloc mine, other;
	struct memalloc_query query;
	int stranger = open_device();
	char *map;

	ASSERT_LE(0, stranger);
	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PAGE - 5, &mine));
	name.handle = mine.handle;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_NAME, &name));
	map = map_buffer(self->fd, &mine);
	ASSERT_NE(MAP_FAILED, (void *)map);
	memset(map, 0x5a, 2 * PAGE);
	ASSERT_EQ(0, munmap(map, 2 * PAGE));
	ASSERT_EQ(0, free_buffer(self->fd, mine.handle));
	EXPECT_EQ(0, get_limits(self->fd, &limits));
	EXPECT_EQ(0, limits.client_bytes);
	EXPECT_EQ(0, limits.client_buffers);

	ASSERT_EQ(0, alloc_buffer(stranger, 2 * PAGE - 1, &other));
	EXPECT_EQ(mine.mmap_offset, other.mmap_offset);
	EXPECT_EQ(0, query_buffer(stranger, other.handle, &query));
	EXPECT_STREQ("", (const char *)query.name);
	EXPECT_EQ(2 * PAGE - 1, query.length);
	EXPECT_EQ(-ENOENT, query_errno(self->fd, other.handle));
	EXPECT_EQ(-ENOENT, map_errno(self->fd, other.mmap_offset, PAGE, PROT_READ));
	map = map_buffer(stranger, &other);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(2 * PAGE, first_nonzero(map, 2 * PAGE));
	munmap(map, 2 * PAGE);
	EXPECT_EQ(0, get_limits(stranger, &limits));
	EXPECT_EQ(2 * PAGE, limits.client_bytes);
	EXPECT_EQ(1, limits.client_buffers);
	EXPECT_EQ(0, free_buffer(stranger, other.handle));
	EXPECT_EQ(0, get_limits(stranger, &limits));
	EXPECT_EQ(0, limits.client_bytes);
	EXPECT_EQ(0, limits.client_buffers);
	EXPECT_EQ(0, get_limits(self->fd, &limits));
	EXPECT_EQ(0, limits.client_bytes);
}

/* LAYOUT shows no block that is ready. */
TEST_F(ready, unseen)
{
	struct memalloc_block blocks[4];

	ASSERT_EQ(0, make_ready(self->fd));
	ASSERT_EQ(1, read_layout(self->fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks)));
	EXPECT_EQ(MEMALLOC_BLOCK_FREE, blocks[0].state);
	EXPECT_EQ(self->region, blocks[0].length);
}

TEST_HARNESS_MAIN
