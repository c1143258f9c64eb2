// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE: what a buffer has after it, and what its mappings, its former memory and the
 * figures look like. A device that has not finished is in vgem.c, errors are in resize_errors.c,
 * other threads in resize_races.c, what RESIZE shares with all calls in abi.c.
 */
#include "resize.h"

#include <sys/uio.h>

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
TEST_F(resize, shorter_gives_memory_back)
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

/* Not even where other clients have dirtied it. */
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

/* Pages that are cut off while a pipe holds them are nobody's, and charged, until it is read. */
TEST_F(resize, pinned_tail_is_quarantined)
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
TEST_F(resize, pinned_tail_of_a_client_that_is_gone)
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

TEST_HARNESS_MAIN
