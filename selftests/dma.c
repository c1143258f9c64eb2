// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that move data in and out of buffers by DMA: QEMU's edu device, with the
 * driver in edu/. In the VM of boots/swiotlb.sh the kernel makes such a device work on
 * a copy of the buffer (a bounce buffer) for as long as it has the buffer mapped, so each
 * place where memory must be handed over between CPU and device shows when it is missing.
 *
 * A transfer takes the device 100 ms, but the clock of that VM leaps when there is nothing
 * to do: time says nothing there, and the tests' limits are in its seconds.
 */
#include "memalloc_test.h"

#include <linux/dma-buf.h>

#include "edu/edu.h"

#define LENGTH	(4 * MIB)
#define HALF	(LENGTH / 2)
#define SECONDS	100000

#define TEST_DMA(name)	TEST_F_TIMEOUT(dma, name, SECONDS)

FIXTURE(dma) {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;		/* opened O_RDWR */
	int edu;		/* two open files of one device */
	int edu_too;
};

static int attach_within(int edu, int dmabuf, __u32 direction, struct edu_attach *limits)
{
	limits->fd = dmabuf;
	limits->direction = direction;
	return call(edu, EDU_IOC_ATTACH, limits);
}

static int attach(int edu, int dmabuf, __u32 direction)
{
	struct edu_attach no_limits = { 0 };

	return attach_within(edu, dmabuf, direction, &no_limits);
}

static int detach(int edu)
{
	return call(edu, EDU_IOC_DETACH, NULL);
}

static int transfer(int edu, __u64 offset, __u32 length, __u32 direction)
{
	struct edu_transfer arg = { .offset = offset, .length = length, .direction = direction };

	return call(edu, EDU_IOC_TRANSFER, &arg);
}

/* Two open files of one device, or twice the same: what @source has, @target gets. */
static int device_copies(int source, __u64 from, int target, __u64 to, size_t length)
{
	size_t done, n;
	int ret = 0;

	for (done = 0; !ret && done < length; done += n) {
		n = length - done < EDU_MAX_LENGTH ? length - done : EDU_MAX_LENGTH;
		ret = transfer(source, from + done, n, EDU_TO_DEVICE) ?:
			transfer(target, to + done, n, EDU_FROM_DEVICE);
	}
	return ret;
}

/* What programs do around their own accesses; @how: DMA_BUF_SYNC_READ, _WRITE or both. */
static int cpu_begins(int dmabuf, __u64 how)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | how };

	return call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

static int cpu_ends(int dmabuf, __u64 how)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_END | how };

	return call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

static int cpu_fills(int dmabuf, void *memory, size_t length, __u32 seed)
{
	int ret = cpu_begins(dmabuf, DMA_BUF_SYNC_WRITE);

	if (ret)
		return ret;
	fill(memory, length, seed);
	return cpu_ends(dmabuf, DMA_BUF_SYNC_WRITE);
}

/* The answer of first_difference(), or a negative errno. */
static __s64 cpu_finds(int dmabuf, const void *memory, size_t length, __u32 seed)
{
	int ret = cpu_begins(dmabuf, DMA_BUF_SYNC_READ);
	__s64 difference = first_difference(memory, length, seed);

	return ret ?: cpu_ends(dmabuf, DMA_BUF_SYNC_READ) ?: difference;
}

FIXTURE_SETUP(dma)
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
}

FIXTURE_TEARDOWN(dma)
{
}

/* Without this the other tests would find nothing. */
TEST_DMA(device_works_on_a_copy)
{
	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	EXPECT_EQ(PAGE, first_nonzero(self->map + HALF, PAGE));
}

TEST_DMA(map_shows_the_device_what_was_written_before)
{
	fill(self->map, HALF, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, HALF));
	EXPECT_EQ((__s64)HALF, cpu_finds(self->dmabuf, self->map + HALF, HALF, 1));
	EXPECT_EQ((__s64)HALF, cpu_finds(self->dmabuf, self->map, HALF, 1));
}

TEST_DMA(unmap_shows_the_cpu_what_the_device_wrote)
{
	fill(self->map, 64 * KIB, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, 64 * KIB));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(64 * KIB, first_difference(self->map + HALF, 64 * KIB, 1));
	EXPECT_EQ(64 * KIB, first_difference(self->map, 64 * KIB, 1));
}

TEST_DMA(close_shows_the_cpu_what_the_device_wrote)
{
	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	close(self->edu);
	EXPECT_EQ(PAGE, first_difference(self->map + HALF, PAGE, 1));
}

TEST_DMA(end_shows_the_device_what_the_cpu_wrote)
{
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, cpu_fills(self->dmabuf, self->map, PAGE, 1));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(PAGE, first_difference(self->map + HALF, PAGE, 1));
}

TEST_DMA(begin_shows_the_cpu_what_the_device_wrote)
{
	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	ASSERT_EQ(0, cpu_begins(self->dmabuf, DMA_BUF_SYNC_READ));
	EXPECT_EQ(PAGE, first_difference(self->map + HALF, PAGE, 1));
}

/* As long as they please, through one mapping for DMA. */
TEST_DMA(cpu_and_device_take_turns)
{
	__u32 turn;

	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	for (turn = 1; turn <= 10; turn++) {
		size_t from = turn % 2 ? 0 : HALF, to = HALF - from;

		ASSERT_EQ(0, cpu_fills(self->dmabuf, self->map + from, 2 * PAGE, turn));
		ASSERT_EQ(0, device_copies(self->edu, from, self->edu, to, 2 * PAGE));
		ASSERT_EQ((__s64)(2 * PAGE),
			  cpu_finds(self->dmabuf, self->map + to, 2 * PAGE, turn));
	}
}

/* Bytes at odd places, over the ends of pages and segments; those around them stay. */
TEST_DMA(parts_at_odd_places)
{
	static const struct {
		size_t from, to, length;
	} parts[] = {
		{ 0, HALF + 1, 1 },
		{ 3, HALF + PAGE - 1, 2 },
		{ 256 * KIB - 1, HALF + 5 * PAGE + 7, 3 },
		{ 64 * KIB - 13, HALF + 256 * KIB - 1001, 2 * PAGE + 5 },
		{ HALF - PAGE - 1, LENGTH - PAGE - 1, PAGE + 1 },
	};
	char *expected = malloc(LENGTH);
	size_t i;

	ASSERT_NE(NULL, expected);
	fill(self->map, LENGTH, 1);
	memcpy(expected, self->map, LENGTH);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_TO_DEVICE));
	ASSERT_EQ(0, attach(self->edu_too, self->dmabuf, EDU_FROM_DEVICE));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, device_copies(self->edu, parts[i].from, self->edu_too, parts[i].to,
					   parts[i].length));
		memcpy(expected + parts[i].to, expected + parts[i].from, parts[i].length);
	}
	ASSERT_EQ(0, cpu_begins(self->dmabuf, DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, memcmp(expected, self->map, LENGTH));
	EXPECT_EQ(-EINVAL, transfer(self->edu, LENGTH - 1, 2, EDU_TO_DEVICE));
}

/* What one device wrote the other reads, when the CPU has been there in between. */
TEST_DMA(two_devices)
{
	int other = open("/dev/edu1", O_RDWR), other_too = open("/dev/edu1", O_RDWR);
	int order;

	ASSERT_LE(0, other);
	ASSERT_LE(0, other_too);
	for (order = 0; order < 2; order++) {
		ASSERT_EQ(0, cpu_fills(self->dmabuf, self->map, HALF, order));
		if (order)
			ASSERT_EQ(0, attach(other, self->dmabuf, EDU_TO_DEVICE));
		ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
		if (!order)
			ASSERT_EQ(0, attach(other, self->dmabuf, EDU_TO_DEVICE));
		ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, 2 * PAGE));
		EXPECT_EQ((__s64)(2 * PAGE),
			  cpu_finds(self->dmabuf, self->map + HALF, 2 * PAGE, order));
		ASSERT_EQ(0, detach(self->edu));

		ASSERT_EQ(0, attach(other_too, self->dmabuf, EDU_FROM_DEVICE));
		ASSERT_EQ(0, device_copies(other, HALF, other_too, PAGE, 2 * PAGE));
		ASSERT_EQ(0, detach(other));
		ASSERT_EQ(0, detach(other_too));
		EXPECT_EQ(PAGE, first_difference(self->map, PAGE, order));
		EXPECT_EQ(2 * PAGE, first_difference(self->map + PAGE, 2 * PAGE, order));
	}
}

/* The memory is handed over whichever dma-buf of it the device has imported. */
TEST_DMA(any_dmabuf_of_the_buffer_hands_it_over)
{
	int again = export_buffer(self->fd, self->buffer.handle, O_RDONLY);

	ASSERT_LE(0, again);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, cpu_fills(again, self->map, PAGE, 1));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, PAGE));
	EXPECT_EQ((__s64)PAGE, cpu_finds(again, self->map + HALF, PAGE, 1));
}

TEST_DMA(device_only_reads_what_is_read_only)
{
	int read_only = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;

	ASSERT_LE(0, read_only);
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);

	EXPECT_EQ(-EACCES, attach(self->edu, read_only, EDU_BOTH_WAYS));
	EXPECT_EQ(-EACCES, attach(self->edu, read_only, EDU_FROM_DEVICE));
	ASSERT_EQ(0, attach(self->edu, read_only, EDU_TO_DEVICE));
	ASSERT_EQ(0, attach(self->edu_too, dmabuf, EDU_FROM_DEVICE));
	ASSERT_EQ(0, cpu_fills(read_only, self->map, PAGE, 1));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu_too, 0, PAGE));
	EXPECT_EQ((__s64)PAGE, cpu_finds(dmabuf, map, PAGE, 1));
}

/*
 * The driver answers ERANGE to segments that its device, or the kernel on its behalf, does not
 * take. Whatever the limits, they are the whole buffer, in order, and no more than need be.
 */
TEST_DMA(segments_are_as_the_device_takes_them)
{
	static const struct {
		__u32 max_segment, boundary, longest;
	} limits[] = {
		{ 0, 0, 0 },
		{ 64 * KIB, 0, 64 * KIB },
		{ 12 * KIB, 0, 12 * KIB },
		{ 12 * KIB + 1, 0, 12 * KIB },
		{ PAGE, 0, PAGE },
		{ 0, 16 * KIB, 16 * KIB },
		{ 12 * KIB, 16 * KIB, 8 * KIB },
	};
	__u64 longest;
	size_t i;

	fill(self->map, 64 * KIB, 1);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct edu_attach arg = {
			.max_segment = limits[i].max_segment, .boundary = limits[i].boundary,
		};

		ASSERT_EQ(0, attach_within(self->edu, self->dmabuf, EDU_BOTH_WAYS, &arg));
		EXPECT_EQ(256 * KIB, arg.max_mapping);
		longest = limits[i].longest ?: arg.max_mapping;
		EXPECT_EQ((LENGTH + longest - 1) / longest, arg.segments);
		ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, 64 * KIB));
		ASSERT_EQ(0, detach(self->edu));
		EXPECT_EQ(64 * KIB, first_difference(self->map + HALF, 64 * KIB, 1));
		memset(self->map + HALF, 0, 64 * KIB);
	}
}

/* The device alone keeps the buffer, and can still use it. */
TEST_DMA(device_keeps_a_buffer_that_is_freed)
{
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;

	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, attach(self->edu_too, dmabuf, EDU_FROM_DEVICE));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu_too, HALF, PAGE));
	EXPECT_EQ((__s64)PAGE, cpu_finds(dmabuf, map + HALF, PAGE, 1));
	EXPECT_EQ(HALF, first_nonzero(map, HALF));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == LENGTH));
}

TEST_HARNESS_MAIN
