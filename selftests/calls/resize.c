// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE: what a buffer has after it, and what its mappings, its former memory and the
 * figures look like; each errno of it; and that memory which was cut off is as safe as what
 * was freed. A device that has not finished is in vgem.c, what RESIZE shares with all calls
 * in abi.c.
 */
#include "memalloc_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/uio.h>

#define DISK	"/dev/nvme0n1"
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

/* Take pages of what is free, one by one, and look whether they are zero: how many are not. */
static int look_at_pages(int fd)
{
	struct memalloc_alloc buffers[MEMALLOC_BATCH_MAX];
	int i, bad = 0;

	if (alloc_batch(fd, buffers, ARRAY_SIZE(buffers), PAGE))
		return -1;
	for (i = 0; i < MEMALLOC_BATCH_MAX; i++) {
		char *map = map_buffer(fd, &buffers[i]);

		bad += map == MAP_FAILED || first_nonzero(map, PAGE) != PAGE;
		munmap(map, PAGE);
	}
	return bad;
}

/* Leave no more free than a hole of that size, of which the buffer has none. */
static __u64 leave_free(int fd, __u64 bytes)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;

	if (get_stats(fd, &stats) || stats.free_blocks != 1 ||
	    alloc_buffer(fd, stats.free - bytes, &buffer))
		return 0;
	return get_stats(fd, &stats) ? 0 : stats.free;
}

TEST_F(resize, shorter)
{
	ASSERT_EQ(0, RESIZE(5 * PAGE + 1));
	EXPECT_SIZE(5 * PAGE + 1, 6);
	EXPECT_EQ(6 * PAGE, first_difference(self->map, 6 * PAGE, 1));
	EXPECT_EQ(0, touch_signal(self->map + 6 * PAGE - 1, true));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + 6 * PAGE, false));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + 6 * PAGE, true));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + LENGTH - 1, true));

	EXPECT_EQ(0, map_errno(self->fd, self->buffer.mmap_offset, 6 * PAGE, PROT_WRITE));
	EXPECT_EQ(0, map_errno(self->fd, self->buffer.mmap_offset + 5 * PAGE, PAGE, PROT_WRITE));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, self->buffer.mmap_offset, 7 * PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, self->buffer.mmap_offset + 6 * PAGE, PAGE,
				     PROT_READ));
	EXPECT_EQ(-EINVAL, sync_range(self->fd, self->buffer.handle, 6 * PAGE, 1,
				      MEMALLOC_SYNC_READ));
	EXPECT_EQ(-ERANGE, free_length(self->fd, self->buffer.handle, LENGTH));
	EXPECT_EQ(0, free_length(self->fd, self->buffer.handle, 5 * PAGE + 1));
}

/* The memory is others' at once, and zero. */
TEST_F_TIMEOUT(resize, shorter_gives_memory_back, 60)
{
	__s64 offset = offset_of_handle(self->fd, self->buffer.handle);
	struct memalloc_alloc theirs;

	ASSERT_NE(0, leave_free(self->other, PAGE));
	ASSERT_EQ(PAGE, take_all(self->other));
	ASSERT_EQ(0, RESIZE(PAGE));
	ASSERT_EQ(0, alloc_buffer(self->other, LENGTH - PAGE, &theirs));
	EXPECT_EQ(offset + (__s64)PAGE, offset_of_handle(self->other, theirs.handle));
	ASSERT_EQ(0, free_buffer(self->other, theirs.handle));
	while (!alloc_buffer(self->other, PAGE, &theirs)) {
		char *map = map_buffer(self->other, &theirs);

		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(PAGE, first_nonzero(map, PAGE));
		fill(map, PAGE, 7);
	}
	EXPECT_EQ(PAGE, first_difference(self->map, PAGE, 1));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + PAGE, true));
}

/* Mappings of other processes, a part that was moved, and one that was never touched. */
TEST_F(resize, shorter_in_all_mappings)
{
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *moved = mremap(self->map + 8 * PAGE, 8 * PAGE, 8 * PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, room);
	char *fresh = map_buffer(self->fd, &self->buffer);
	int go[2], ready[2];
	char byte = 0;
	pid_t child;

	ASSERT_NE(MAP_FAILED, (void *)moved);
	ASSERT_NE(MAP_FAILED, (void *)fresh);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	child = fork_child();
	if (!child) {
		__u64 sum = moved[0] + moved[7 * PAGE] + self->map[5 * PAGE];

		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		sum += self->map[4 * PAGE];
		_exit(sum && touch_signal(moved, false) == SIGBUS &&
		      touch_signal(self->map + 5 * PAGE, true) == SIGBUS ? 0 : 2);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, RESIZE(5 * PAGE));
	ASSERT_EQ(1, write(go[1], &byte, 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(SIGBUS, touch_signal(moved + 3 * PAGE, true));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + 5 * PAGE, true));
	EXPECT_EQ(SIGBUS, touch_signal(fresh + 5 * PAGE, true));
	/* Nor does a fault bring in what is around it but not there. */
	EXPECT_EQ(5 * PAGE, first_difference(fresh, 5 * PAGE, 1));
	EXPECT_EQ(SIGBUS, touch_signal(fresh + 5 * PAGE, true));
}

TEST_F(resize, longer)
{
	char *map;

	ASSERT_EQ(0, RESIZE(LENGTH + 1));
	EXPECT_SIZE(LENGTH + 1, PAGES + 1);
	ASSERT_EQ(0, RESIZE(2 * LENGTH));
	EXPECT_SIZE(2 * LENGTH, 2 * PAGES);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	map = map_at(self->fd, self->buffer.mmap_offset, 2 * LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	EXPECT_EQ(LENGTH, first_nonzero(map + LENGTH, LENGTH));
	fill(map, 2 * LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	munmap(map, 2 * LENGTH);
	munmap(self->map, LENGTH);
	EXPECT_EQ(0, free_length(self->fd, self->buffer.handle, 2 * LENGTH));
	EXPECT_EQ(0, used_bytes(self->fd));
	/* First fit begins with those that were the buffer's. */
	ASSERT_EQ(0, switch_to("first"));
	EXPECT_EQ(0, look_at_pages(self->fd));
	ASSERT_EQ(0, switch_to("good"));
}

/* Not even where other clients have soiled it. */
TEST_F(resize, longer_into_dirty_memory)
{
	struct memalloc_alloc theirs;
	char *map;

	ASSERT_EQ(0, switch_to("first"));
	ASSERT_EQ(0, alloc_buffer(self->other, LENGTH, &theirs));
	map = map_buffer(self->other, &theirs);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, LENGTH, 9);
	munmap(map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->other, theirs.handle));
	ASSERT_EQ(0, RESIZE(2 * LENGTH));
	ASSERT_EQ(0, switch_to("good"));
	self->map = map_at(self->fd, self->buffer.mmap_offset, 2 * LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	EXPECT_EQ(LENGTH, first_nonzero(self->map + LENGTH, LENGTH));
}

/* What nobody could have written to is still known to be zero. */
TEST_F(resize, shorter_leaves_clean_memory_clean)
{
	struct memalloc_alloc buffer;

	ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	ASSERT_EQ(0, alloc_buffer(self->fd, MIB, &buffer));
	ASSERT_EQ(0, resize_buffer(self->fd, buffer.handle, PAGE));
	EXPECT_EQ(0, dirty_bytes(self->fd));
	ASSERT_EQ(0, resize_buffer(self->fd, buffer.handle, MIB));
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, dirty_bytes(self->fd));
}

/* The mapping that was there has what is added, and zeros there. */
TEST_F(resize, shorter_and_longer_again)
{
	int i, page;

	for (i = 1; i < PAGES; i++) {
		ASSERT_EQ(0, RESIZE(i * PAGE));
		EXPECT_EQ(SIGBUS, touch_signal(self->map + i * PAGE, true));
		ASSERT_EQ(0, RESIZE(LENGTH));
		EXPECT_EQ(i * PAGE, first_difference(self->map, i * PAGE, 1));
		for (page = i; page < PAGES; page++)
			EXPECT_EQ(PAGE, first_nonzero(self->map + page * PAGE, PAGE));
		fill(self->map, LENGTH, 1);
	}
	EXPECT_SIZE(LENGTH, PAGES);
	EXPECT_NOTHING_DONE();
}

TEST_F(resize, within_a_granule)
{
	ASSERT_EQ(0, RESIZE(LENGTH - 1));
	EXPECT_SIZE(LENGTH - 1, PAGES);
	ASSERT_EQ(0, RESIZE(LENGTH - PAGE + 1));
	EXPECT_SIZE(LENGTH - PAGE + 1, PAGES);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	ASSERT_EQ(0, RESIZE(LENGTH));
	EXPECT_NOTHING_DONE();
}

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

	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
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

/* Pages that are cut off while a pipe holds them are nobody's, and charged, until it is read. */
TEST_F_TIMEOUT(resize, pinned_tail_is_quarantined, 60)
{
	const size_t pinned = 11 * PAGE;
	struct iovec data = { self->map + pinned, PAGE };
	char *seen = malloc(PAGE);
	struct state now;
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &data, 1, 0));
	ASSERT_EQ(0, RESIZE(8 * PAGE));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + pinned, false));

	now = state_of(self->fd);
	EXPECT_STREQ("", stats_wrong(&now.stats));
	EXPECT_EQ(PAGE, now.stats.quarantined);
	EXPECT_EQ(9 * PAGE, now.stats.used);
	EXPECT_EQ(8 * PAGE, now.stats.requested);
	EXPECT_EQ(1, now.stats.buffers);
	EXPECT_EQ(9 * PAGE, now.limits.client_bytes);
	EXPECT_EQ(1, now.limits.client_buffers);

	/* It is in the way, but not of what is before it. */
	EXPECT_EQ(-ENOMEM, RESIZE(LENGTH));
	EXPECT_EQ(0, RESIZE(pinned));
	EXPECT_EQ(-ENOMEM, RESIZE(pinned + 1));
	EXPECT_EQ(now.stats.region_length - pinned - PAGE, take_all(self->other));
	EXPECT_EQ(PAGE, quarantined_bytes(self->fd));

	ASSERT_EQ(PAGE, read(pipes[0], seen, PAGE));
	EXPECT_EQ(pattern(1, pinned / 8), *(__u64 *)seen);
	EXPECT_EQ(0, RESIZE(pinned + PAGE));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
	EXPECT_EQ(8 * PAGE, first_difference(self->map, 8 * PAGE, 1));
	EXPECT_EQ(4 * PAGE, first_nonzero(self->map + 8 * PAGE, 4 * PAGE));
}

/* The charge for it outlives the client and the buffer. */
TEST_F_TIMEOUT(resize, pinned_tail_of_a_client_that_is_gone, 60)
{
	struct iovec data = { self->map + LENGTH - PAGE, PAGE };
	char *seen = malloc(PAGE);
	struct memalloc_limits limits;
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &data, 1, 0));
	ASSERT_EQ(0, RESIZE(PAGE));
	munmap(self->map, LENGTH);
	close(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->other) == PAGE));
	EXPECT_EQ(PAGE, quarantined_bytes(self->other));
	ASSERT_EQ(0, get_limits(self->other, &limits));
	EXPECT_EQ(PAGE, limits.user_bytes);
	EXPECT_EQ(0, limits.user_buffers);
	ASSERT_EQ(PAGE, read(pipes[0], seen, PAGE));
	EXPECT_TRUE(WAIT_UNTIL(is_idle(self->other)));
}

/* Who shrinks large buffers can't use up the offsets that others' large buffers need. */
TEST_F(resize, offsets_do_not_run_out)
{
	const __u64 half = self->before.stats.region_length / 2;
	struct memalloc_alloc buffers[12];
	size_t i;
	char *map;

	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, half + PAGE, &buffers[i]));
		ASSERT_EQ(0, resize_buffer(self->fd, buffers[i].handle, 2 * PAGE));
	}
	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		map = map_at(self->fd, buffers[i].mmap_offset + PAGE, PAGE, PROT_READ | PROT_WRITE);
		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(PAGE, first_nonzero(map, PAGE));
		fill(map, PAGE, 100 + i);
		munmap(map, PAGE);
	}
	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		EXPECT_EQ(-EINVAL, map_errno(self->fd, buffers[i].mmap_offset + 2 * PAGE, PAGE,
					     PROT_READ));
		EXPECT_EQ(-ENOENT, map_errno(self->other, buffers[i].mmap_offset, PAGE, PROT_READ));
		ASSERT_EQ(0, resize_buffer(self->fd, buffers[i].handle, PAGE));
		ASSERT_EQ(0, resize_buffer(self->fd, buffers[i].handle, 2 * PAGE));
		map = map_at(self->fd, buffers[i].mmap_offset, 2 * PAGE, PROT_READ);
		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(2 * PAGE, first_nonzero(map, 2 * PAGE));
		EXPECT_EQ(0, free_buffer(self->fd, buffers[i].handle));
		munmap(map, 2 * PAGE);
	}
	EXPECT_NOTHING_DONE();
}

/* What races against RESIZE, until it says stop. */
struct racer {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
	int disk;
	bool stop;
	unsigned long done;	/* calls of RESIZE */
	unsigned long wrong;
};

static __thread sigjmp_buf gone;

static void on_sigbus(int signal)
{
	siglongjmp(gone, signal);
}

/* What is not there any more is SIGBUS. */
static void write_page(char *map)
{
	if (!sigsetjmp(gone, true))
		fill(map, PAGE, 1);
}

/* Writes all of the mapping. */
static void *touch_all(void *data)
{
	struct racer *racer = data;
	size_t page;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED))
		for (page = 0; page < PAGES; page++)
			write_page(racer->map + page * PAGE);
	return NULL;
}

/* Reads the disk to the end of the mapping; and without a page there, it can't. */
static void *read_disk(void *data)
{
	struct racer *racer = data;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		if (pread(racer->disk, racer->map + LENGTH / 2, LENGTH / 2, 0) < 0 &&
		    errno != EFAULT)
			racer->wrong++;
	}
	return NULL;
}

/* Maps and unmaps what may be there. */
static void *map_some(void *data)
{
	struct racer *racer = data;
	unsigned int i = 0;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		const size_t page = i++ % PAGES;
		char *map = map_at(racer->fd, racer->buffer.mmap_offset + page * PAGE,
				   (PAGES - page) * PAGE, PROT_READ | PROT_WRITE);

		if (map == MAP_FAILED) {
			racer->wrong += errno != EINVAL;
			continue;
		}
		if (!sigsetjmp(gone, true))
			__atomic_store_n(map + (PAGES - page - 1) * PAGE, 1, __ATOMIC_RELAXED);
		munmap(map, (PAGES - page) * PAGE);
	}
	return NULL;
}

static void *resize_at_random(void *data)
{
	struct racer *racer = data;
	__u64 random = 1 + racer->fd + (uintptr_t)&random;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		int err = resize_buffer(racer->fd, racer->buffer.handle,
				 1 + random_below(&random, LENGTH));

		/* Another client may have what is behind. */
		racer->wrong += err && err != -ENOMEM;
		__atomic_fetch_add(&racer->done, !err, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Another client takes what it can get, and nobody but it writes there. */
static void take_and_look(int fd, struct racer *racer)
{
	struct memalloc_alloc buffers[2 * PAGES];
	char *maps[2 * PAGES];
	int i, n;

	for (n = 0; n < 2 * (int)PAGES && !alloc_buffer(fd, PAGE, &buffers[n]); n++) {
		maps[n] = map_buffer(fd, &buffers[n]);
		if (maps[n] == MAP_FAILED || first_nonzero(maps[n], PAGE) != PAGE)
			racer->wrong++;
		fill(maps[n], PAGE, 50 + n);
	}
	sleep_ms(1);
	for (i = 0; i < n; i++) {
		racer->wrong += first_difference(maps[i], PAGE, 50 + i) != PAGE;
		munmap(maps[i], PAGE);
		racer->wrong += !!free_buffer(fd, buffers[i].handle);
	}
}

TEST_F_TIMEOUT(resize, races, 120)
{
	void *(*const work[])(void *) = {
		touch_all, read_disk, map_some, resize_at_random, resize_at_random,
	};
	struct sigaction action = { .sa_handler = on_sigbus };
	struct racer racer = { .fd = self->fd, .buffer = self->buffer, .map = self->map };
	pthread_t threads[ARRAY_SIZE(work)];
	__u64 end = now_ms() + 6000;
	unsigned long rounds;
	size_t i;

	racer.disk = open(DISK, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, racer.disk);
	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	/* So that it takes what is cut off. */
	ASSERT_EQ(2 * PAGE, leave_free(self->other, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(work); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work[i], &racer));
	for (rounds = 0; now_ms() < end; rounds++)
		take_and_look(self->other, &racer);
	__atomic_store_n(&racer.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(work); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(0, racer.wrong);
	EXPECT_LT(2, rounds);
	EXPECT_LT(100, racer.done);
	TH_LOG("%lu times, %lu rounds of the other client", racer.done, rounds);
}

/* The handle goes at any moment; whatever comes first, nothing is left. */
static void *free_soon(void *data)
{
	struct racer *racer = data;

	racer->wrong += free_buffer(racer->fd, racer->buffer.handle) != 0;
	return NULL;
}

static void *export_soon(void *data)
{
	struct racer *racer = data;
	int dmabuf = export_buffer(racer->fd, racer->buffer.handle, O_RDWR);
	struct memalloc_query query;
	char *map;

	/* As long as it is there, all that QUERY tells can be mapped. */
	if (dmabuf >= 0 && !query_buffer(racer->fd, racer->buffer.handle, &query)) {
		map = map_at(dmabuf, 0, query.real_length, PROT_READ);
		racer->wrong += map == MAP_FAILED;
		if (!sigsetjmp(gone, true))
			__atomic_load_n(map + query.real_length - 1, __ATOMIC_RELAXED);
		else
			racer->wrong++;
		munmap(map, query.real_length);
	}
	close(dmabuf);
	return NULL;
}

TEST_F_TIMEOUT(resize, races_with_the_end, 120)
{
	void *(*const work[])(void *) = { free_soon, export_soon };
	struct sigaction action = { .sa_handler = on_sigbus };
	unsigned int round, answers[3] = {};

	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	for (round = 0; round < 2000; round++) {
		struct racer racer = { .fd = self->fd };
		pthread_t thread;
		int err;

		ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &racer.buffer));
		ASSERT_EQ(0, pthread_create(&thread, NULL, work[round % 2], &racer));
		err = resize_buffer(self->fd, racer.buffer.handle, round & 2 ? PAGE : 2 * LENGTH);
		err = resize_buffer(self->fd, racer.buffer.handle, LENGTH / 2 + PAGE) ?: err;
		answers[err == -ENOENT ? 1 : err == -EBUSY ? 2 : 0]++;
		ASSERT_TRUE(!err || err == (round % 2 ? -EBUSY : -ENOENT)) TH_LOG("%d", err);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, racer.wrong);
		if (round % 2)
			ASSERT_EQ(0, free_buffer(self->fd, racer.buffer.handle));
	}
	TH_LOG("%u done, %u freed first, %u exported first", answers[0], answers[1], answers[2]);
	EXPECT_NOTHING_DONE();
}

TEST_HARNESS_MAIN
