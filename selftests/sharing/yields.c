// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices whose drivers let go of a buffer when they are asked: it moves, and they find it. The
 * driver in edu/ does so from that kernel on from which all kinds of drivers can share a dma-buf.
 */
#include "edu_calls.h"

#define LENGTH	MIB
#define HALF	(LENGTH / 2)
#define SECONDS	100000		/* as in dma.c */

FIXTURE(yields) {
	int fd;
	struct memalloc_alloc buffer;
	struct memalloc_alloc most;
	char *map;
	int dmabuf;
	int edu;		/* two open files of one device */
	int edu_too;
	__s64 was;		/* where the buffer is */
};

FIXTURE_SETUP(yields)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	ASSERT_LE(0, self->dmabuf);
	self->edu = open("/dev/edu0", O_RDWR);
	ASSERT_LE(0, self->edu);
	self->edu_too = open("/dev/edu0", O_RDWR);
	ASSERT_LE(0, self->edu_too);
	ASSERT_EQ(0, leave_two_holes(self->fd, LENGTH, &self->most));
	self->was = offset_of_handle(self->fd, self->buffer.handle);
}

/* What is behind a known address would stay. */
FIXTURE_TEARDOWN(yields)
{
	EXPECT_EQ(0, free_buffer(self->fd, self->most.handle));
	EXPECT_EQ(0, move_on_demand(true));
}

static int attach_yielding(int edu, int dmabuf)
{
	struct edu_attach arg = { .yields = 1 };

	return attach_within(edu, dmabuf, EDU_BOTH_WAYS, &arg);
}

static bool has_let_go(int edu)
{
	return transfer(edu, 0, 1, EDU_TO_DEVICE) == -ENXIO;
}

TEST_F_TIMEOUT(yields, and_finds_what_was_moved, SECONDS)
{
	struct memalloc_compact answer;

	ASSERT_EQ(0, cpu_fills(self->dmabuf, self->map, HALF, 1));
	ASSERT_EQ(0, attach_yielding(self->edu, self->dmabuf));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(0, answer.mapped);
	EXPECT_LE(2 * LENGTH, answer.largest_free);
	EXPECT_NE(self->was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_TRUE(has_let_go(self->edu));
	/* When it let go, that handed over what it had written. */
	EXPECT_EQ(PAGE, first_difference(self->map + HALF, PAGE, 1));
	fill(self->map, HALF, 2);
	ASSERT_EQ(0, call(self->edu, EDU_IOC_MAP, NULL));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	EXPECT_EQ(PAGE, cpu_finds(self->dmabuf, self->map + HALF, PAGE, 2));
}

/* Both have a dma-buf of their own. */
TEST_F_TIMEOUT(yields, as_do_all, SECONDS)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	struct memalloc_compact answer;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, attach_yielding(self->edu, self->dmabuf));
	ASSERT_EQ(0, attach_yielding(self->edu_too, dmabuf));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_LE(2 * LENGTH, answer.largest_free);
	EXPECT_TRUE(has_let_go(self->edu));
	EXPECT_TRUE(has_let_go(self->edu_too));
}

/* While one can't be asked, the other isn't: the buffer would stay all the same. */
TEST_F_TIMEOUT(yields, not_for_nothing, SECONDS)
{
	struct memalloc_compact answer;

	ASSERT_EQ(0, attach_yielding(self->edu, self->dmabuf));
	ASSERT_EQ(0, attach(self->edu_too, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(LENGTH, answer.mapped);
	EXPECT_EQ(self->was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_FALSE(has_let_go(self->edu));
	ASSERT_EQ(0, detach(self->edu_too));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_LE(2 * LENGTH, answer.largest_free);
	EXPECT_TRUE(has_let_go(self->edu));
}

/* One that does not let go keeps the buffer where it is. */
TEST_F_TIMEOUT(yields, or_keeps_it, SECONDS)
{
	struct edu_attach arg = { .yields = EDU_KEEPS };
	struct memalloc_compact answer;

	ASSERT_EQ(0, attach_within(self->edu, self->dmabuf, EDU_BOTH_WAYS, &arg));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(self->was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, answer.largest_free);
	EXPECT_FALSE(has_let_go(self->edu));
	ASSERT_EQ(0, detach(self->edu));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_LE(2 * LENGTH, answer.largest_free);
}

TEST_HARNESS_MAIN
