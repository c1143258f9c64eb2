// SPDX-License-Identifier: GPL-2.0-only
/*
 * A new buffer reads as zeros, whoever had its memory before: every byte is
 * looked at. On a kernel that clears pages by itself (init_on_alloc) the first
 * test says nothing of the module; boots/dirty.sh runs this program on one that
 * does not, on memory that was full of something else.
 */
#include "memalloc_test.h"

FIXTURE(zero) {
	int fd;
	struct memalloc_info info;
};

FIXTURE_SETUP(zero)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &self->info));
}

FIXTURE_TEARDOWN(zero)
{
}

/*
 * Take the whole region in buffers of @length, look at each for a byte that is
 * not zero, and write a pattern over it. Bytes that were looked at; 0: found one.
 */
static __u64 take_look_and_dirty(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	__u64 seen = 0;
	void *map;

	while (!alloc_buffer(fd, length, &buffer)) {
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED || first_nonzero(map, length) != length)
			return 0;
		memset(map, 0xa5, length);
		munmap(map, length);
		seen += length;
	}
	return seen;
}

TEST_F(zero, whole_region_twice)
{
	int round, client;

	for (round = 0; round < 2; round++) {
		client = open_device();
		ASSERT_LE(0, client);
		EXPECT_LT(self->info.region_length - 16 * MIB,
			  take_look_and_dirty(client, 16 * MIB));
		close(client);
		ASSERT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
	}
}

/* Small buffers out of what a large one dirtied, and a large one of what small ones did. */
TEST_F(zero, other_sizes)
{
	const __u64 lengths[] = { MIB, PAGE, 3 * PAGE, 255 * PAGE, MIB };
	struct memalloc_alloc buffers[256];
	__u64 total;
	void *map;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (n = 0, total = 0; total + lengths[i] <= MIB; n++, total += lengths[i]) {
			ASSERT_EQ(0, alloc_buffer(self->fd, lengths[i], &buffers[n]));
			map = map_buffer(self->fd, &buffers[n]);
			ASSERT_NE(MAP_FAILED, map);
			ASSERT_EQ(lengths[i], first_nonzero(map, lengths[i]));
			memset(map, 0xff, lengths[i]);
			munmap(map, lengths[i]);
		}
		while (n--)
			ASSERT_EQ(0, free_buffer(self->fd, buffers[n].handle));
	}
}

/* The bytes between what was asked for and what the buffer has. */
TEST_F(zero, rounded_up_tail)
{
	struct memalloc_alloc buffer;
	char *map;
	int round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &buffer));
		ASSERT_EQ(2 * PAGE, buffer.real_length);
		map = map_buffer(self->fd, &buffer);
		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(2 * PAGE, first_nonzero(map, 2 * PAGE));
		memset(map, 0xff, 2 * PAGE);
		munmap(map, 2 * PAGE);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	}
}

/* What a killed client wrote is not there for the next one. */
TEST_F(zero, after_kill)
{
	struct memalloc_alloc buffer;
	int ready[2];
	pid_t child;
	char byte;
	void *map;

	ASSERT_EQ(0, pipe(ready));
	child = fork_child();
	if (!child) {
		int fd = open_device();

		if (alloc_buffer(fd, 4 * MIB, &buffer))
			_exit(1);
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED)
			_exit(2);
		memset(map, 0xa5, 4 * MIB);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(3);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	ASSERT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));

	ASSERT_EQ(0, alloc_buffer(self->fd, 8 * MIB, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(8 * MIB, first_nonzero(map, 8 * MIB));
}

TEST_HARNESS_MAIN
