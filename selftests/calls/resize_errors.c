// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each errno of RESIZE, and that the call which gave it has done nothing. What all calls share
 * is in abi.c.
 */
#include "resize.h"

TEST_F(resize, einval)
{
	struct memalloc_resize arg = { .size = sizeof(arg), .handle = self->buffer.handle };

	EXPECT_EQ(-EINVAL, RESIZE(0));
	arg.length = PAGE;
	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->fd, MEMALLOC_IOC_RESIZE, &arg));
	EXPECT_NOTHING_DONE();
}

TEST_F(resize, enoent)
{
	EXPECT_EQ(-ENOENT, resize_buffer(self->fd, 0, PAGE));
	EXPECT_EQ(-ENOENT, resize_buffer(self->fd, self->buffer.handle + 1, PAGE));
	EXPECT_EQ(-ENOENT, resize_buffer(self->other, self->buffer.handle, PAGE));
	EXPECT_NOTHING_DONE();
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-ENOENT, RESIZE(PAGE));
	/* But mapped it still is. */
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
}

TEST_F(resize, efbig)
{
	const __u64 region = self->before.stats.region_length;
	const __u64 wrong[] = { region + 1, 2 * region, 1ULL << 44 | PAGE, 1ULL << 63, ~0ULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(-EFBIG, RESIZE(wrong[i]));
	EXPECT_NOTHING_DONE();
}

TEST_F(resize, enospc)
{
	struct memalloc_alloc buffer;
	__u64 pages, most;

	for (pages = 1; pages < 70; pages++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, pages * PAGE, &buffer));
		for (most = 2; most / 2 < pages; most *= 2)
			;
		EXPECT_EQ(-ENOSPC, resize_buffer(self->fd, buffer.handle, most * PAGE + 1));
		EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, most * PAGE));
		EXPECT_EQ(-ENOSPC, resize_buffer(self->fd, buffer.handle, most * PAGE + 1));
		EXPECT_EQ(0, map_errno(self->fd, buffer.mmap_offset, most * PAGE, PROT_READ));
		EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
	}
	EXPECT_NOTHING_DONE();
}

TEST_F(resize, enomem_something_is_behind)
{
	__u64 hole = leave_free(self->other, PAGE);
	struct memalloc_alloc buffer;

	ASSERT_EQ(PAGE, hole);
	ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &buffer));
	self->before = state_of(self->fd);
	EXPECT_EQ(-ENOMEM, RESIZE(LENGTH + 1));
	EXPECT_EQ(-ENOMEM, RESIZE(2 * LENGTH));
	EXPECT_NOTHING_DONE();
}

TEST_F(resize, enomem_some_of_it_is_free)
{
	struct memalloc_alloc buffers[8];
	int i;

	/* In the order of their addresses, just behind. */
	ASSERT_EQ(0, switch_to("first"));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &buffers[i]));
	ASSERT_EQ(0, switch_to("good"));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, free_buffer(self->other, buffers[i].handle));
	self->before = state_of(self->fd);
	EXPECT_EQ(-ENOMEM, RESIZE(LENGTH + 3 * PAGE + 1));
	EXPECT_NOTHING_DONE();
	EXPECT_EQ(0, RESIZE(LENGTH + 3 * PAGE));
}

TEST_F(resize, enomem_the_region_ends)
{
	struct memalloc_alloc last;
	struct memalloc_stats stats;

	ASSERT_EQ(0, get_stats(self->fd, &stats));
	ASSERT_EQ(0, alloc_buffer(self->other, stats.largest_free - 4 * PAGE, &last));
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &last));
	EXPECT_EQ(-ENOMEM, resize_buffer(self->fd, last.handle, 5 * PAGE));
	EXPECT_EQ(0, resize_buffer(self->fd, last.handle, 4 * PAGE));
	EXPECT_EQ(-ENOMEM, resize_buffer(self->fd, last.handle, 5 * PAGE));
}

/* Constraints that ALLOC was given hold on. */
TEST_F(resize, enomem_constraints)
{
	struct memalloc_alloc buffer = {
		.size = sizeof(buffer), .length = 3 * PAGE, .alignment = 8 * PAGE,
		.boundary = 4 * PAGE,
	};
	__u64 start;

	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	EXPECT_EQ(-ENOMEM, resize_buffer(self->fd, buffer.handle, 5 * PAGE));
	EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, 4 * PAGE));
	EXPECT_EQ(-ENOMEM, resize_buffer(self->fd, buffer.handle, 5 * PAGE));
	start = physical(self->fd, &buffer, 0);
	ASSERT_NE(0, start);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));

	buffer.alignment = 0;
	buffer.boundary = 0;
	buffer.window_start = start;
	buffer.window_end = start + 4 * PAGE - 1;
	buffer.length = 4 * PAGE;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	EXPECT_EQ(-ENOMEM, resize_buffer(self->fd, buffer.handle, 5 * PAGE));
	EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, PAGE));
	EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, 4 * PAGE));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));

	/* Without them, there it would be possible. */
	buffer.window_end += PAGE;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, 5 * PAGE));
}

TEST_F(resize, edquot)
{
	ASSERT_EQ(0, set_limits(self->fd, MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS,
				LENGTH + 2 * PAGE, 1));
	self->before = state_of(self->fd);
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(-EDQUOT, RESIZE(LENGTH + 2 * PAGE + 1));
	EXPECT_NOTHING_DONE();
	/* It is one buffer as before. */
	EXPECT_EQ(0, RESIZE(LENGTH + 2 * PAGE));
	EXPECT_EQ(-EDQUOT, RESIZE(LENGTH + 2 * PAGE + 1));
	EXPECT_SIZE(LENGTH + 2 * PAGE, PAGES + 2);
	EXPECT_EQ(0, RESIZE(PAGE));
	EXPECT_EQ(0, RESIZE(LENGTH + 2 * PAGE));
}

#define EXPECT_EBUSY()								\
do {										\
	EXPECT_EQ(-EBUSY, RESIZE(PAGE));					\
	EXPECT_EQ(-EBUSY, RESIZE(LENGTH));					\
	EXPECT_EQ(-EBUSY, RESIZE(LENGTH + 1));					\
	EXPECT_NOTHING_DONE();							\
} while (0)

TEST_F(resize, ebusy_exported)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY | O_CLOEXEC);
	char *map;

	ASSERT_LE(0, dmabuf);
	self->before.descriptors++;
	EXPECT_EBUSY();
	/* A mapping of the dma-buf is one of its users. */
	map = map_at(dmabuf, 0, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	close(dmabuf);
	EXPECT_EBUSY();
	munmap(map, PAGE);
	EXPECT_EQ(0, RESIZE(PAGE));
}

TEST_F(resize, ebusy_imported)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	struct memalloc_import import;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &import));
	close(dmabuf);
	EXPECT_EBUSY();
	EXPECT_EQ(-EBUSY, resize_buffer(self->other, import.handle, PAGE));
	ASSERT_EQ(0, free_buffer(self->other, import.handle));
	EXPECT_EQ(0, RESIZE(LENGTH + 1));
}

TEST_F(resize, ebusy_second_handle)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	struct memalloc_import import;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	close(dmabuf);
	EXPECT_EBUSY();
	EXPECT_EQ(-EACCES, resize_buffer(self->fd, import.handle, PAGE));
	ASSERT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_EQ(0, RESIZE(LENGTH - 1));
}

TEST_F(resize, ebusy_told)
{
	struct memalloc_query query;

	/* It would be moved before, which STATS counts. */
	ASSERT_EQ(0, move_on_demand(false));
	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	EXPECT_EQ(0, move_on_demand(true));
	EXPECT_EBUSY();
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
}

/* Whom the buffer was given may not make others pay, but may give back. */
TEST_F(resize, eacces_charged_to_another)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	struct memalloc_import import;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &import));
	close(dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-EACCES, resize_buffer(self->other, import.handle, LENGTH + 1));
	EXPECT_NOTHING_DONE();
	/* Nor can whoever was given the buffer cut off what somebody has mapped. */
	EXPECT_EQ(-EBUSY, resize_buffer(self->other, import.handle, PAGE));
	EXPECT_NOTHING_DONE();
	munmap(self->map, LENGTH);
	EXPECT_EQ(0, resize_buffer(self->other, import.handle, PAGE));
	EXPECT_EQ(-EACCES, resize_buffer(self->other, import.handle, 2 * PAGE));
}

/*
 * Whoever was given the buffer keeps what he has mapped, through a handle or a dma-buf that is
 * gone by now.
 */
TEST_F(resize, ebusy_mapped_by_another)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY | O_CLOEXEC);
	struct memalloc_import import;
	char *map;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &import));
	map = map_at(self->other, import.mmap_offset, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, free_buffer(self->other, import.handle));
	close(dmabuf);
	EXPECT_EBUSY();
	EXPECT_EQ(0, touch_signal(map + LENGTH - PAGE, false));
	munmap(map, LENGTH);

	dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, dmabuf);
	map = map_at(dmabuf, 0, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, map);
	close(dmabuf);
	EXPECT_EBUSY();
	EXPECT_EQ(0, touch_signal(map + LENGTH - PAGE, false));
	/* What is left of a mapping that was split is one still. */
	munmap(map + PAGE, PAGE);
	EXPECT_EBUSY();
	munmap(map, LENGTH);
	EXPECT_EQ(0, RESIZE(PAGE));
}

TEST_F(resize, eacces_read_only)
{
	int fd = open(DEVICE, O_RDONLY);
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(fd, 2 * PAGE, &buffer));
	EXPECT_EQ(-EACCES, resize_buffer(fd, buffer.handle, PAGE));
	EXPECT_EQ(-EACCES, resize_buffer(fd, buffer.handle, 3 * PAGE));
}

TEST_HARNESS_MAIN
