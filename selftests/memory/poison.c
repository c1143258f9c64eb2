// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in which the hardware finds a fault, which the kernel is told of as if it had:
 * nobody gets them any more, and all around them stays usable. They are retired for
 * good, so each test leaves some behind, and the module has to be unloaded after all.
 */
#include "memalloc_test.h"

#include <sys/uio.h>

#define PAGES	8
#define BAD	3		/* the page of a buffer that is poisoned */

FIXTURE(poison) {
	int fd;
	int other;
	__u64 region_length;
	__u64 retired;		/* before */
	struct memalloc_alloc buffer;
	__u64 offset;		/* of its block */
	char *map;
};

FIXTURE_SETUP(poison)
{
	struct memalloc_stats stats;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	self->region_length = stats.region_length;
	self->retired = stats.retired;
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGES * PAGE, &self->buffer));
	self->offset = offset_of_handle(self->fd, self->buffer.handle);
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, PAGES * PAGE, 1);
}

FIXTURE_TEARDOWN(poison)
{
}

/*
 * As if the page at @physical had failed. The kernel says that it can do nothing about
 * a page of ours (EBUSY), but has marked it.
 */
static int poison(__u64 physical)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", physical / PAGE);
	return write_file("/sys/kernel/debug/hwpoison/corrupt-pfn", text);
}

static __u64 retired_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) || *stats_wrong(&stats) ? ~0ULL : stats.retired;
}

static __u64 charged_bytes(int fd)
{
	struct memalloc_limits limits;

	return get_limits(fd, &limits) ? ~0ULL : limits.user_bytes;
}

static int state_at(int fd, __u64 offset)
{
	struct memalloc_block block;
	__u32 count = 1;

	return get_layout(fd, &offset, &block, &count) ? -1 : (int)block.state;
}

/*
 * One page more is retired, that at @offset, and nobody pays for it; all else is free,
 * becomes clean, and can be had.
 */
#define EXPECT_RETIRED(offset)							\
do {										\
	__u64 all = self->retired + PAGE;					\
										\
	EXPECT_EQ(all, retired_bytes(self->fd));				\
	EXPECT_EQ(all, used_bytes(self->fd));					\
	EXPECT_EQ(0, quarantined_bytes(self->fd));				\
	EXPECT_EQ(0, charged_bytes(self->fd));					\
	EXPECT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));			\
	EXPECT_EQ(MEMALLOC_BLOCK_RETIRED, state_at(self->fd, offset));		\
	EXPECT_EQ(self->region_length - all, take_all(self->other));		\
	EXPECT_EQ(MEMALLOC_BLOCK_RETIRED, state_at(self->fd, offset));		\
} while (0)

/* Found while the buffer is used: the rest of it returns when it is freed. */
TEST_F(poison, of_a_used_page)
{
	EXPECT_EQ(-EBUSY, poison(physical(self->fd, &self->buffer, BAD * PAGE)));
	munmap(self->map, PAGES * PAGE);
	EXPECT_EQ(self->retired, retired_bytes(self->fd));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_RETIRED(self->offset + BAD * PAGE);
}

/* The way that programs may test it, which leaves the kernel with a reference. */
TEST_F(poison, by_madvise)
{
	EXPECT_EQ(-1, madvise(self->map + BAD * PAGE, PAGE, MADV_HWPOISON));
	EXPECT_EQ(EBUSY, errno);
	munmap(self->map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_RETIRED(self->offset + BAD * PAGE);
}

/* It is not mapped any more, and its neighbours are. */
TEST_F(poison, is_not_mapped)
{
	int i;

	EXPECT_EQ(-EBUSY, poison(physical(self->fd, &self->buffer, BAD * PAGE)));
	munmap(self->map, PAGES * PAGE);
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(i == BAD ? SIGBUS : 0, touch_signal(self->map + i * PAGE, false))
			TH_LOG("page %d", i);
	}
	EXPECT_EQ(BAD * PAGE, first_difference(self->map, BAD * PAGE, 1));
}

/* In a buffer with huge entries, the page takes along all that its entry maps. */
TEST_F(poison, in_a_huge_entry)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	struct memalloc_info info;
	__u64 offset;
	char *map;

	ASSERT_EQ(0, get_info(self->fd, &info));
	if (!info.huge_mapping || info.huge_mapping > 4 * MIB)
		SKIP(return, "there are no huge entries, or they are too large for that");
	ASSERT_EQ(0, alloc_huge(self->fd, 2 * info.huge_mapping, &buffer));
	ASSERT_EQ(0, query_physical(self->fd, buffer.handle, &query));
	offset = offset_of_handle(self->fd, buffer.handle);
	EXPECT_EQ(-EBUSY, poison(query.physical + BAD * PAGE));
	map = map_at(self->fd, buffer.mmap_offset, buffer.real_length, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(SIGBUS, touch_signal(map + BAD * PAGE, true));
	EXPECT_EQ(SIGBUS, touch_signal(map, false));
	EXPECT_EQ(0, touch_signal(map + info.huge_mapping, true));
	munmap(map, buffer.real_length);
	munmap(self->map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(0, release_all(self->fd));
	EXPECT_RETIRED(offset + BAD * PAGE);
}

/* Found while nobody has it, and before it is zeroed: it is not zeroed, nor given out. */
TEST_F(poison, of_a_free_page)
{
	__u64 bad = physical(self->fd, &self->buffer, BAD * PAGE);
	struct memalloc_alloc buffer;
	char *map;

	munmap(self->map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-EBUSY, poison(bad));
	EXPECT_TRUE(WAIT_UNTIL(dirty_bytes(self->fd) == PAGE));
	/* It would lie there again. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGES * PAGE, &buffer));
	EXPECT_NE(self->offset, (__u64)offset_of_handle(self->fd, buffer.handle));
	EXPECT_EQ(0, dirty_bytes(self->fd));
	EXPECT_EQ(PAGES * PAGE, charged_bytes(self->fd));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(PAGES * PAGE, first_nonzero(map, PAGES * PAGE));
	munmap(map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_RETIRED(self->offset + BAD * PAGE);
}

/* Nor is memory looked at that is clean: who gets it and touches that page is told so. */
TEST_F(poison, of_a_clean_page)
{
	__u64 bad = physical(self->fd, &self->buffer, BAD * PAGE);
	struct memalloc_alloc buffer;
	char *map;
	int i;

	munmap(self->map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	EXPECT_EQ(-EBUSY, poison(bad));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGES * PAGE, &buffer));
	ASSERT_EQ(self->offset, (__u64)offset_of_handle(self->fd, buffer.handle));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(i == BAD ? SIGBUS : 0, touch_signal(map + i * PAGE, true))
			TH_LOG("page %d", i);
	}
	munmap(map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_RETIRED(self->offset + BAD * PAGE);
}

/* A pipe that holds it does not keep it from being retired, nor the one beside it held. */
TEST_F(poison, of_a_pinned_page)
{
	struct iovec data = { self->map + BAD * PAGE, 2 * PAGE };
	char seen[2 * PAGE];
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(2 * PAGE, vmsplice(pipes[1], &data, 1, 0));
	EXPECT_EQ(-EBUSY, poison(physical(self->fd, &self->buffer, BAD * PAGE)));
	munmap(self->map, PAGES * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(self->retired + PAGE, retired_bytes(self->fd));
	EXPECT_EQ(PAGE, quarantined_bytes(self->fd));
	ASSERT_EQ(2 * PAGE, read(pipes[0], seen, 2 * PAGE));
	ASSERT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	EXPECT_RETIRED(self->offset + BAD * PAGE);
}

TEST_HARNESS_MAIN
