/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of RESIZE begin with: a buffer, mapped and full, and how it looks after a call. */
#ifndef RESIZE_H
#define RESIZE_H

#include "memalloc_test.h"

#define PAGES	16
#define LENGTH	(PAGES * PAGE)

FIXTURE(resize) {
	int fd;
	int other;
	struct memalloc_alloc buffer;	/* all of it is filled with seed 1, by way of */
	char *map;
	struct state before;
};

#define RESIZE(length)	resize_buffer(self->fd, self->buffer.handle, length)

FIXTURE_SETUP(resize)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, LENGTH, 1);
	self->before = state_of(self->fd);
}

FIXTURE_TEARDOWN(resize)
{
}

/* It is @pages long now, @length of them used, and so say all figures. */
#define EXPECT_SIZE(asked, pages)						\
do {										\
	struct state now = state_of(self->fd);					\
	struct memalloc_query query;						\
										\
	ASSERT_EQ(0, query_buffer(self->fd, self->buffer.handle, &query));	\
	EXPECT_EQ(asked, query.length);						\
	EXPECT_EQ((pages) * PAGE, query.real_length);				\
	EXPECT_EQ(self->buffer.mmap_offset, query.mmap_offset);			\
	EXPECT_STREQ("", stats_wrong(&now.stats));				\
	EXPECT_EQ((pages) * PAGE, now.stats.used);				\
	EXPECT_EQ(asked, now.stats.requested);					\
	EXPECT_EQ(1, now.stats.buffers);					\
	EXPECT_EQ((pages) * PAGE, now.limits.client_bytes);			\
	EXPECT_EQ((pages) * PAGE, now.limits.user_bytes);			\
	EXPECT_EQ(1, now.limits.client_buffers);				\
} while (0)

#define EXPECT_NOTHING_DONE()							\
do {										\
	struct state after = state_of(self->fd);				\
										\
	EXPECT_TRUE(same_stats(&self->before.stats, &after.stats));		\
	EXPECT_EQ(0, memcmp(&self->before.limits, &after.limits, sizeof(after.limits)));	\
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));		\
} while (0)

/* Leave no more free than a hole of that size, of which the buffer has none. */
static inline __u64 leave_free(int fd, __u64 bytes)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;

	if (get_stats(fd, &stats) || stats.free_blocks != 1 ||
	    alloc_buffer(fd, stats.free - bytes, &buffer))
		return 0;
	return get_stats(fd, &stats) ? 0 : stats.free;
}

#endif /* RESIZE_H */
