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
#include "dmaheap.h"
#include "drivers.h"
#include "edu_calls.h"

#include <sys/time.h>

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
	EXPECT_EQ(0, move_on_demand(true));
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
	const struct {
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

/*
 * Also by who can't write. So nobody else may be given a buffer that CPU and device do not hand
 * over: what the CPU wrote and has not handed over is lost here.
 */
TEST_DMA(whoever_has_the_dmabuf_hands_it_over)
{
	int read_only = export_buffer(self->fd, self->buffer.handle, O_RDONLY);

	ASSERT_LE(0, read_only);
	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	fill(self->map, PAGE, 2);
	ASSERT_EQ(0, cpu_begins(read_only, DMA_BUF_SYNC_READ));
	EXPECT_EQ(PAGE, first_difference(self->map, PAGE, 1));
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
	const struct {
		__u32 max_segment, boundary, longest;
	} limits[] = {
		{ 0, 0, 0 },
		{ 64 * KIB, 0, 64 * KIB },
		{ 48 * KIB, 0, 48 * KIB },
		{ 48 * KIB + 1, 0, 48 * KIB },
		{ PAGE, 0, PAGE },
		{ 0, 64 * KIB, 64 * KIB },
		{ 48 * KIB, 64 * KIB, 32 * KIB },
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

/* Nor does it read what is write-only, which a dma-buf heap makes. */
TEST_DMA(device_only_writes_what_is_write_only)
{
	int write_only = dmaheap_alloc(open_dmaheap(), PAGE, O_WRONLY);

	ASSERT_LE(0, write_only);
	EXPECT_EQ(-EACCES, attach(self->edu, write_only, EDU_BOTH_WAYS));
	EXPECT_EQ(-EACCES, attach(self->edu, write_only, EDU_TO_DEVICE));
	EXPECT_EQ(0, attach(self->edu, write_only, EDU_FROM_DEVICE));
}

/* It stays while the device has it mapped. Then it moves, and the next mapping finds it. */
TEST_DMA(device_finds_what_was_moved)
{
	struct memalloc_compact answer;
	struct memalloc_alloc most;
	__s64 was = offset_of_handle(self->fd, self->buffer.handle);

	ASSERT_EQ(0, leave_two_holes(self->fd, LENGTH, &most));
	ASSERT_EQ(0, cpu_fills(self->dmabuf, self->map, HALF, 1));
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(LENGTH, answer.mapped);
	EXPECT_EQ(LENGTH, answer.largest_free);
	EXPECT_EQ(was, offset_of_handle(self->fd, self->buffer.handle));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, 2 * PAGE));
	EXPECT_EQ(2 * PAGE, cpu_finds(self->dmabuf, self->map + HALF, 2 * PAGE, 1));

	ASSERT_EQ(0, call(self->edu, EDU_IOC_UNMAP, NULL));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(0, answer.mapped);
	EXPECT_LE(2 * LENGTH, answer.largest_free);
	EXPECT_NE(was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(HALF, first_difference(self->map, HALF, 1));
	fill(self->map, HALF, 2);
	ASSERT_EQ(0, call(self->edu, EDU_IOC_MAP, NULL));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, HALF, 2 * PAGE));
	EXPECT_EQ(2 * PAGE, cpu_finds(self->dmabuf, self->map + HALF, 2 * PAGE, 2));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(0, free_buffer(self->fd, most.handle));
}

/* A part of a buffer; of segments of 256 KiB, or of 48 KiB, it takes in none, one or more. */
struct range {
	__u64 offset, length;
};

static const struct range ranges[] = {
	{ 0, 1 },
	{ 1000, 8 },
	{ 48 * KIB - 1, 2 },
	{ 256 * KIB - 7, 14 },
	{ 512 * KIB, 256 * KIB },
	{ MIB - 1, 512 * KIB + 2 },
	{ 2 * MIB + 12345, 23456 },
	{ LENGTH - 4 * KIB, 1 },
	{ LENGTH - 1, 1 },
};

static void copy_range(char *to, const char *from, const struct range *range)
{
	memcpy(to + range->offset, from + range->offset, range->length);
}

static int sync_one(FIXTURE_DATA(dma) * self, const struct range *range, __u32 flags)
{
	return sync_range(self->fd, self->buffer.handle, range->offset, range->length, flags);
}

/* The device has its copy of what fill() with 1 wrote; in memory there is 2 by now. */
static int attach_and_change(FIXTURE_DATA(dma) * self, __u32 direction, __u32 max_segment)
{
	struct edu_attach limits = { .max_segment = max_segment };
	int ret;

	fill(self->map, LENGTH, 1);
	ret = attach_within(self->edu, self->dmabuf, direction, &limits);
	fill(self->map, LENGTH, 2);
	return ret;
}

static char *filled(__u32 seed)
{
	char *memory = malloc(LENGTH);

	fill(memory, LENGTH, seed);
	return memory;
}

static const __u32 max_segments[] = { 0, 48 * KIB };

/* The CPU gets what the device has of the range, and keeps what it has of the rest. */
TEST_DMA(begin_of_a_range)
{
	char *device = filled(1), *expected = filled(2);
	size_t limit, i;

	for (limit = 0; limit < ARRAY_SIZE(max_segments); limit++) {
		ASSERT_EQ(0, attach_and_change(self, EDU_BOTH_WAYS, max_segments[limit]));
		fill(expected, LENGTH, 2);
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			ASSERT_EQ(0, sync_one(self, &ranges[i], MEMALLOC_SYNC_READ));
			copy_range(expected, device, &ranges[i]);
			EXPECT_EQ(0, memcmp(expected, self->map, LENGTH))
				TH_LOG("range %zu, segments %u", i, max_segments[limit]);
		}
		ASSERT_EQ(0, detach(self->edu));
	}
}

/* The device gets what the CPU wrote to the range; all that it has is seen when it is detached. */
TEST_DMA(end_of_a_range)
{
	char *memory = filled(2), *expected = malloc(LENGTH);
	size_t limit, i;

	for (limit = 0; limit < ARRAY_SIZE(max_segments); limit++) {
		ASSERT_EQ(0, attach_and_change(self, EDU_BOTH_WAYS, max_segments[limit]));
		fill(expected, LENGTH, 1);
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			ASSERT_EQ(0, sync_one(self, &ranges[i],
					      MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
			copy_range(expected, memory, &ranges[i]);
		}
		EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
		ASSERT_EQ(0, detach(self->edu));
		EXPECT_EQ(0, memcmp(expected, self->map, LENGTH))
			TH_LOG("segments %u", max_segments[limit]);
	}
}

/* What the device only writes, the CPU hands nothing of to it, and gets the range from it. */
TEST_DMA(range_from_device)
{
	const struct range range = { 3 * PAGE - 1, PAGE };
	char *device = filled(1), *expected = filled(2);

	ASSERT_EQ(0, attach_and_change(self, EDU_FROM_DEVICE, 0));
	ASSERT_EQ(0, sync_one(self, &range, MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	ASSERT_EQ(0, sync_one(self, &range, MEMALLOC_SYNC_WRITE));
	copy_range(expected, device, &range);
	EXPECT_EQ(0, memcmp(expected, self->map, LENGTH));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
}

/* Two pages that a device read from where @from begins: through it, into a buffer of the test. */
static int device_has(FIXTURE_DATA(dma) * self, int edu, int edu_too, __u64 from, char *seen)
{
	struct memalloc_alloc buffer;
	int ret, dmabuf;
	char *map;

	ret = alloc_buffer(self->fd, 2 * PAGE, &buffer);
	if (ret)
		return ret;
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	map = map_buffer(self->fd, &buffer);
	ret = attach(edu_too, dmabuf, EDU_FROM_DEVICE) ?:
		device_copies(edu, from, edu_too, 0, 2 * PAGE) ?:
		detach(edu_too);
	memcpy(seen, map, 2 * PAGE);
	munmap(map, 2 * PAGE);
	close(dmabuf);
	return ret ?: free_buffer(self->fd, buffer.handle);
}

/* A range reaches each device that has the buffer; what they only read, the CPU never gets. */
TEST_DMA(range_to_two_devices)
{
	const struct range range = { 256 * KIB - 10, 20 };
	const size_t around = 256 * KIB - PAGE;
	char *memory = filled(2), *expected = filled(1), seen[2 * PAGE];
	int other = open("/dev/edu1", O_RDWR), other_too = open("/dev/edu1", O_RDWR);
	__u32 direction = EDU_TO_DEVICE;

	ASSERT_LE(0, other);
	ASSERT_LE(0, other_too);
	fill(self->map, LENGTH, 1);
	ASSERT_EQ(0, attach(other, self->dmabuf, direction));
	ASSERT_EQ(0, attach_and_change(self, direction, 0));
	ASSERT_EQ(0, sync_one(self, &range, MEMALLOC_SYNC_READ));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));

	ASSERT_EQ(0, sync_one(self, &range, MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
	copy_range(expected, memory, &range);
	ASSERT_EQ(0, device_has(self, self->edu, self->edu_too, around, seen));
	EXPECT_EQ(0, memcmp(expected + around, seen, sizeof(seen)));
	ASSERT_EQ(0, device_has(self, other, other_too, around, seen));
	EXPECT_EQ(0, memcmp(expected + around, seen, sizeof(seen)));
}

/*
 * CPU and device work on different parts at the same time, and neither loses what it
 * has not handed over yet. With DMA_BUF_IOCTL_SYNC, which is for the whole buffer, each
 * would lose it.
 */
TEST_DMA(cpu_and_device_work_on_different_parts)
{
	const struct range cpus = { 8 * PAGE, PAGE }, devices = { HALF, PAGE };

	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, devices.offset, PAGE));
	fill(self->map + cpus.offset, PAGE, 2);
	ASSERT_EQ(0, sync_one(self, &cpus, MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));

	fill(self->map + 16 * PAGE, PAGE, 3);
	ASSERT_EQ(0, sync_one(self, &devices, MEMALLOC_SYNC_READ));
	EXPECT_EQ(PAGE, first_difference(self->map + devices.offset, PAGE, 1));
	EXPECT_EQ(PAGE, first_difference(self->map + 16 * PAGE, PAGE, 3));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(PAGE, first_difference(self->map + cpus.offset, PAGE, 2));
}

/*
 * A fence of @dmabuf, as a driver sets it whose device is to write to it; vgem's card stands
 * for the device. It has to be told of its end.
 */
static __s64 device_begins(int card, int dmabuf)
{
	__s64 fence, object = create_dumb(card, PAGE);
	struct dma_buf_export_sync_file taken = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_import_sync_file given = { .flags = DMA_BUF_SYNC_WRITE };
	int ret;

	if (object < 0)
		return object;
	fence = card_begins(card, object, VGEM_FENCE_WRITE);
	ret = call(prime_export(card, object), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &taken);
	given.fd = taken.fd;
	ret = ret ?: call(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &given);
	return ret ? ret : fence;
}

/* What the device writes until its fence says that it has finished, is handed over; not before. */
TEST_DMA(begin_waits_for_the_device)
{
	int way, card = open_vgem();
	__s64 fence;
	pid_t child;

	ASSERT_LE(0, card);
	fill(self->map, PAGE, 1);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	for (way = 0; way < 2; way++) {
		const struct range range = { HALF + way * PAGE, PAGE };

		fence = device_begins(card, self->dmabuf);
		ASSERT_LT(0, fence);
		child = fork_child();
		if (!child) {
			if (way ? cpu_begins(self->dmabuf, DMA_BUF_SYNC_READ) :
				  sync_one(self, &range, MEMALLOC_SYNC_READ))
				_exit(1);
			_exit(first_difference(self->map + range.offset, PAGE, 1) == PAGE ? 0 : 2);
		}
		sleep_ms(100);
		ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, range.offset, PAGE));
		EXPECT_EQ(PAGE, first_nonzero(self->map + range.offset, PAGE));
		EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
		ASSERT_EQ(0, card_ends(card, fence));
		EXPECT_EQ(0, wait_child(child))
			TH_LOG("way %d", way);
	}
}

/* 256 KiB of the buffer, around no boundary of anything. */
#define PART_FIRST	(637 * PAGE)
#define PART_LENGTH	(64 * PAGE)

/* The device has that part as if there was nothing else: from its own 0 on, and not behind it. */
TEST_DMA(device_has_a_part)
{
	const int part = export_part(self->fd, self->buffer.handle, O_RDWR, PART_FIRST,
				     PART_LENGTH);
	char *expected = malloc(LENGTH);
	struct edu_attach limits = { .max_segment = 5 * PAGE };

	ASSERT_LE(0, part);
	ASSERT_NE(NULL, expected);
	fill(self->map, LENGTH, 1);
	memcpy(expected, self->map, LENGTH);
	ASSERT_EQ(0, attach_within(self->edu, part, EDU_BOTH_WAYS, &limits));
	EXPECT_EQ((PART_LENGTH / PAGE + 4) / 5, limits.segments);
	ASSERT_EQ(0, device_copies(self->edu, 0, self->edu, PART_LENGTH / 2 + 3, 3 * PAGE));
	memcpy(expected + PART_FIRST + PART_LENGTH / 2 + 3, expected + PART_FIRST, 3 * PAGE);
	EXPECT_EQ(-EINVAL, transfer(self->edu, PART_LENGTH - 1, 2, EDU_TO_DEVICE));
	EXPECT_EQ(-EINVAL, transfer(self->edu, PART_LENGTH, 1, EDU_FROM_DEVICE));
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_EQ(0, memcmp(expected, self->map, LENGTH));
	free(expected);
}

/* SYNC is of the buffer, in bytes of the buffer: of these, the device gets those of its part. */
TEST_DMA(sync_reaches_a_part)
{
	const int part = export_part(self->fd, self->buffer.handle, O_RDWR, PART_FIRST,
				     PART_LENGTH);
	const struct {
		__s64 from, to;		/* what is handed over, in bytes of the part */
	} ranges[] = {
		{ PAGE, 2 * PAGE },
		{ -3 * (__s64)PAGE, PAGE },
		{ PART_LENGTH - PAGE, PART_LENGTH + 5 * PAGE },
		{ -(__s64)PART_FIRST, LENGTH - PART_FIRST },
		{ -(__s64)PART_FIRST, 0 },
		{ PART_LENGTH, LENGTH - PART_FIRST },
	};
	char *expected = malloc(PART_LENGTH), *of_part = self->map + PART_FIRST;
	size_t i;

	ASSERT_LE(0, part);
	ASSERT_NE(NULL, expected);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const __s64 from = ranges[i].from < 0 ? 0 : ranges[i].from;
		const __s64 end = PART_LENGTH, to = ranges[i].to < end ? ranges[i].to : end;

		/* The device writes all of its part, and the CPU sees some of it. */
		fill(self->map, LENGTH, 1);
		memcpy(expected, of_part, PART_LENGTH);
		ASSERT_EQ(0, attach(self->edu, part, EDU_FROM_DEVICE));
		fill(self->map, PART_LENGTH, 2);
		ASSERT_EQ(0, attach(self->edu_too, self->dmabuf, EDU_TO_DEVICE));
		ASSERT_EQ(0, device_copies(self->edu_too, 0, self->edu, 0, PART_LENGTH));
		ASSERT_EQ(0, detach(self->edu_too));
		fill(of_part, PART_LENGTH, 3);
		memcpy(expected, of_part, PART_LENGTH);
		if (from < to)
			memcpy(expected + from, self->map + from, to - from);
		ASSERT_EQ(0, sync_range(self->fd, self->buffer.handle, PART_FIRST + ranges[i].from,
					ranges[i].to - ranges[i].from, MEMALLOC_SYNC_READ));
		EXPECT_EQ(0, memcmp(expected, of_part, PART_LENGTH)) TH_LOG("range %zu", i);
		ASSERT_EQ(0, detach(self->edu));
	}
	free(expected);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Every @ms; 0: not any more. */
static int set_alarm(unsigned int ms)
{
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	const struct timeval time = { .tv_usec = ms * 1000L };
	const struct itimerval timer = { .it_interval = time, .it_value = time };

	return sigaction(SIGALRM, &action, NULL) ?: setitimer(ITIMER_REAL, &timer, NULL);
}

/*
 * It moves when the device has finished, which is waited for, but not for long. Signals that kill
 * nobody change nothing.
 */
TEST_DMA(move_waits_for_the_device)
{
	const __s64 was = offset_of_handle(self->fd, self->buffer.handle);
	struct memalloc_compact answer;
	struct memalloc_alloc most;
	int card = open_vgem();
	__s64 fence;
	pid_t child;

	ASSERT_LE(0, card);
	ASSERT_EQ(0, leave_two_holes(self->fd, LENGTH, &most));
	fence = device_begins(card, self->dmabuf);
	EXPECT_LT(0, fence);
	EXPECT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(was, offset_of_handle(self->fd, self->buffer.handle));
	child = fork_child();
	if (!child) {
		sleep_ms(20);
		_exit(-card_ends(card, fence));
	}
	EXPECT_EQ(0, set_alarm(5));
	EXPECT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(0, set_alarm(0));
	EXPECT_NE(was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, free_buffer(self->fd, most.handle));
}

TEST_HARNESS_MAIN
