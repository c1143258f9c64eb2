// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the calls answer when all is well: INFO, ALLOC, FREE, QUERY, STATS and
 * LAYOUT, and the heap behind them as a client sees it: alignment, exhaustion,
 * merging and fragmentation. EXPORT and IMPORT are in share.c.
 */
#include "memalloc_test.h"

#include <sys/stat.h>

#define MANY	64

/* More than a client's tables have room for at first. */
#define HANDLES	2000

FIXTURE(calls) {
	int fd;
	struct memalloc_info info;
	struct memalloc_stats before;
};

FIXTURE_SETUP(calls)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &self->info));
	ASSERT_EQ(0, get_stats(self->fd, &self->before));
}

FIXTURE_TEARDOWN(calls)
{
}

static bool is_power_of_two(__u64 value)
{
	return value && !(value & (value - 1));
}

/* The figures are in order, and the region is one free block. */
#define EXPECT_ALL_IN_ONE_BLOCK()						\
do {										\
	struct memalloc_stats now;						\
										\
	EXPECT_EQ(0, get_stats(self->fd, &now));				\
	EXPECT_STREQ("", stats_wrong(&now));					\
	EXPECT_EQ(self->info.region_length, now.largest_free);			\
	EXPECT_EQ(1, now.free_blocks);						\
	EXPECT_EQ(0, now.used);							\
} while (0)

TEST_F(calls, device_mode)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
}

TEST_F(calls, info_good)
{
	const struct memalloc_info *info = &self->info;
	const __u64 movable = info->memory & MEMALLOC_MEMORY_PAGES &&
			      !(info->memory & MEMALLOC_MEMORY_CAN_GO) ?
				      MEMALLOC_FEATURE_COMPACT : 0;

	EXPECT_EQ(sizeof(*info), info->size);
	EXPECT_EQ(0, info->flags);
	EXPECT_EQ(MEMALLOC_FEATURE_DMABUF | MEMALLOC_FEATURE_LIMITS |
		  MEMALLOC_FEATURE_PLACEMENT | MEMALLOC_FEATURE_SYNC |
		  MEMALLOC_FEATURE_BATCH | MEMALLOC_FEATURE_RESIZE |
		  MEMALLOC_FEATURE_NAMES | MEMALLOC_FEATURE_PARTS | MEMALLOC_FEATURE_TRANSLATE |
		  movable, info->features);
	EXPECT_EQ(sysconf(_SC_PAGESIZE), info->granule);
	EXPECT_LT(0, info->region_length);
	EXPECT_EQ(0, info->region_length % info->granule);
	EXPECT_LE(-1, info->node);
	EXPECT_TRUE(is_power_of_two(info->max_alignment));
	EXPECT_LE(info->granule, info->max_alignment);
	EXPECT_STREQ(region_name(), (const char *)info->name);
	EXPECT_STREQ("good", (const char *)info->fit);
}

TEST_F(calls, alloc_rounds_up)
{
	const __u64 lengths[] = { 1, 8, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE - 1, MIB, MIB + 1 };
	struct memalloc_alloc buffer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, lengths[i], &buffer));
		EXPECT_NE(0, buffer.handle);
		EXPECT_EQ((lengths[i] + PAGE - 1) & -PAGE, buffer.real_length);
		EXPECT_EQ(0, buffer.mmap_offset % PAGE);
		EXPECT_EQ(lengths[i], buffer.length);
		EXPECT_EQ(buffer.real_length, used_bytes(self->fd));
		EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
	}
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* Of how many buffers the handle or the mmap offset leads elsewhere than it should. */
static int count_wrong(int fd, const struct memalloc_alloc *buffers, bool even_are_free)
{
	struct memalloc_query query;
	int i, wrong = 0;

	for (i = 0; i < HANDLES; i++) {
		int expected = even_are_free && i % 2 == 0 ? -ENOENT : 0;
		__u64 offset = buffers[i].mmap_offset;

		wrong += query_buffer(fd, buffers[i].handle, &query) != expected ||
			 map_errno(fd, offset, PAGE, PROT_READ) != expected ||
			 (!expected && query.mmap_offset != offset);
	}
	return wrong;
}

TEST_F(calls, many_handles_are_found)
{
	static struct memalloc_alloc buffers[HANDLES];
	int i;

	for (i = 0; i < HANDLES; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffers[i]));
	EXPECT_EQ(0, count_wrong(self->fd, buffers, false));
	for (i = 0; i < HANDLES; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	EXPECT_EQ(0, count_wrong(self->fd, buffers, true));
	for (i = 1; i < HANDLES; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	EXPECT_ALL_IN_ONE_BLOCK();
}

TEST_F(calls, alloc_names_are_unique)
{
	struct memalloc_alloc buffers[MANY];
	int i, j;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, (i % 5 + 1) * PAGE, &buffers[i]));
		for (j = 0; j < i; j++) {
			EXPECT_NE(buffers[i].handle, buffers[j].handle);
			EXPECT_TRUE(buffers[i].mmap_offset >=
				    buffers[j].mmap_offset + buffers[j].real_length ||
				    buffers[j].mmap_offset >=
				    buffers[i].mmap_offset + buffers[i].real_length);
		}
	}
}

/* The region begins at a multiple of the largest alignment, so offsets tell. */
TEST_F(calls, alloc_every_alignment)
{
	struct memalloc_alloc buffer;
	__u64 alignment;

	/* Something small at the start, so that the next place is not aligned. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	for (alignment = 1; alignment <= self->info.max_alignment; alignment <<= 1) {
		if (alignment > self->info.region_length / 2)
			break;
		ASSERT_EQ(0, alloc_aligned(self->fd, 3 * PAGE, alignment, &buffer));
		EXPECT_EQ(0, offset_of_handle(self->fd, buffer.handle) % alignment)
			TH_LOG("alignment %llx", alignment);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	}
	EXPECT_LE(64 * MIB, alignment);
}

/* Only one place in the whole region will do; it is found. */
TEST_F(calls, alloc_last_aligned_place)
{
	static struct memalloc_alloc buffers[4096];
	struct memalloc_alloc buffer;
	const __u64 length = 2 * MIB, alignment = 8 * MIB;
	__s64 offset, place = -1;
	int i, n = 0;

	ASSERT_LE(alignment, self->info.max_alignment);
	while (n < (int)ARRAY_SIZE(buffers) && !alloc_buffer(self->fd, length, &buffers[n]))
		n++;
	ASSERT_LE(8, n);
	for (i = 0; i < n; i++) {
		offset = offset_of_handle(self->fd, buffers[i].handle);
		ASSERT_LE(0, offset);
		/* Every other block, of the aligned ones just one. */
		if (offset % alignment == 0 && place < 0)
			place = offset;
		else if (offset % (2 * length) != length)
			continue;
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	}
	ASSERT_LE(0, place);
	ASSERT_EQ(0, alloc_aligned(self->fd, length, alignment, &buffer));
	EXPECT_EQ(place, offset_of_handle(self->fd, buffer.handle));
	ASSERT_EQ(0, move_on_demand(false));
	EXPECT_EQ(-ENOMEM, alloc_aligned(self->fd, length, alignment, &buffer));
	EXPECT_EQ(0, move_on_demand(true));
}

TEST_F(calls, alloc_whole_region)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;

	ASSERT_EQ(0, alloc_buffer(self->fd, self->info.region_length, &buffer));
	EXPECT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(0, stats.free);
	EXPECT_EQ(0, stats.free_blocks);
	EXPECT_EQ(0, stats.largest_free);
	EXPECT_EQ(0, stats.fragmentation);
	EXPECT_EQ(0, free_length(self->fd, buffer.handle, self->info.region_length));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* Fill the region to the last granule in odd sizes; all of it comes back as one block. */
TEST_F(calls, alloc_until_exhausted)
{
	static struct memalloc_alloc buffers[4096];
	__u64 length = 37 * MIB + 5 * PAGE;
	int i, n = 0;

	while (length) {
		ASSERT_LT(n, (int)ARRAY_SIZE(buffers));
		if (alloc_buffer(self->fd, length, &buffers[n]))
			length /= 3;
		else
			n++;
	}
	EXPECT_EQ(self->info.region_length, used_bytes(self->fd));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, 1, &buffers[n]));
	/* 7919 is prime, so this is every buffer once, in no order. */
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i * 7919 % n].handle));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* A block that is given back joins its neighbour before it, behind it, both, or none. */
TEST_F(calls, free_merges)
{
	struct memalloc_alloc a[6];
	const int order[] = { 1, 3, 2, 0, 4, 5 };
	const int more_blocks[] = { 1, 2, 1, 1, 1, 0 };
	struct memalloc_stats stats;
	int i;

	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, 64 * KIB, &a[i]));
	for (i = 1; i < 6; i++) {
		ASSERT_EQ(offset_of_handle(self->fd, a[i - 1].handle) + (__s64)(64 * KIB),
			  offset_of_handle(self->fd, a[i].handle));
	}
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, free_buffer(self->fd, a[order[i]].handle));
		EXPECT_EQ(0, get_stats(self->fd, &stats));
		EXPECT_EQ(1 + more_blocks[i], stats.free_blocks);
		EXPECT_STREQ("", stats_wrong(&stats));
	}
	EXPECT_ALL_IN_ONE_BLOCK();
}

TEST_F(calls, free_checks_length)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &buffer));
	EXPECT_EQ(0, free_length(self->fd, buffer.handle, PAGE + 1));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &buffer));
	EXPECT_EQ(0, free_length(self->fd, buffer.handle, 0));
	EXPECT_ALL_IN_ONE_BLOCK();
}

TEST_F(calls, query_good)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &buffer));
	ASSERT_EQ(0, query_buffer(self->fd, buffer.handle, &query));
	EXPECT_EQ(buffer.handle, query.handle);
	EXPECT_EQ(MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE, query.access);
	EXPECT_EQ(PAGE + 1, query.length);
	EXPECT_EQ(buffer.real_length, query.real_length);
	EXPECT_EQ(buffer.mmap_offset, query.mmap_offset);
}

TEST_F(calls, stats_count)
{
	const struct memalloc_stats *before = &self->before;
	struct memalloc_stats stats;
	struct memalloc_alloc a, b;
	int other = open_device();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &a));
	ASSERT_EQ(0, alloc_buffer(other, 3 * PAGE, &b));
	ASSERT_EQ(-EFBIG, alloc_buffer(self->fd, self->info.region_length + 1, &b));
	ASSERT_EQ(-ENOMEM, alloc_buffer(self->fd, self->info.region_length, &b));
	ASSERT_EQ(-EINVAL, alloc_buffer(self->fd, 0, &b));
	ASSERT_EQ(0, free_buffer(self->fd, a.handle));

	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(self->info.region_length, stats.region_length);
	EXPECT_EQ(3 * PAGE, stats.used);
	EXPECT_EQ(3 * PAGE, stats.requested);
	EXPECT_EQ(0, stats.quarantined);
	EXPECT_EQ(1, stats.buffers);
	EXPECT_EQ(2, stats.clients);
	EXPECT_EQ(before->allocs + 2, stats.allocs);
	EXPECT_EQ(before->frees + 1, stats.frees);
	EXPECT_EQ(before->failures + 2, stats.failures);
	EXPECT_EQ(before->allocated + 5 * PAGE, stats.allocated);
	EXPECT_EQ(before->freed + 2 * PAGE, stats.freed);

	close(other);
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(1, stats.clients);
	EXPECT_EQ(before->frees + 2, stats.frees);
}

TEST_F(calls, stats_requested_is_what_was_asked_for)
{
	struct memalloc_alloc a, b;
	struct memalloc_stats stats;

	ASSERT_EQ(0, alloc_buffer(self->fd, 1, &a));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &b));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(PAGE + 2, stats.requested);
	EXPECT_EQ(3 * PAGE, stats.used);
	ASSERT_EQ(0, free_buffer(self->fd, b.handle));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(1, stats.requested);
}

/* Half of the region is free, in 1 MiB pieces. */
TEST_F(calls, stats_fragmentation)
{
	static __u32 handles[16384];
	struct memalloc_stats stats;
	struct memalloc_alloc buffer;
	int i, n = self->info.region_length / MIB;

	ASSERT_LE(n, (int)ARRAY_SIZE(handles));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, MIB, &buffer));
		handles[offset_of_handle(self->fd, buffer.handle) / MIB] = buffer.handle;
	}
	for (i = 0; i < n; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, handles[i]));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(MIB, stats.largest_free);
	EXPECT_EQ((n + 1) / 2, (int)stats.free_blocks);
	EXPECT_EQ(1000 * ((n + 1) / 2 - 1) / ((n + 1) / 2), (int)stats.fragmentation);
	ASSERT_EQ(0, move_on_demand(false));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, 2 * MIB, &buffer));
	EXPECT_EQ(0, move_on_demand(true));
	for (i = 1; i < n; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, handles[i]));
	EXPECT_ALL_IN_ONE_BLOCK();
}

/* The figures stay in order while buffers of many sizes come and go. */
TEST_F(calls, stats_hold_at_random)
{
	struct memalloc_alloc buffers[MANY] = { 0 };
	struct memalloc_stats stats;
	__u64 used = 0, requested = 0;
	unsigned int seed = 20240229;
	int round, i;

	for (round = 0; round < 1000; round++) {
		i = rand_r(&seed) % MANY;
		if (buffers[i].handle) {
			ASSERT_EQ(0, free_length(self->fd, buffers[i].handle, buffers[i].length));
			used -= buffers[i].real_length;
			requested -= buffers[i].length;
			buffers[i].handle = 0;
		} else {
			ASSERT_EQ(0, alloc_buffer(self->fd, rand_r(&seed) % (64 * KIB) + 1,
						  &buffers[i]));
			used += buffers[i].real_length;
			requested += buffers[i].length;
		}
		ASSERT_EQ(0, get_stats(self->fd, &stats));
		ASSERT_STREQ("", stats_wrong(&stats));
		ASSERT_EQ(used, stats.used);
		ASSERT_EQ(requested, stats.requested);
	}
}

FIXTURE(layout) {
	int fd;
	int other;
	struct memalloc_info info;
	struct memalloc_alloc mine[20];
	struct memalloc_alloc theirs[20];
};

/* Buffers of two clients in turn, and gaps of every third of them. */
FIXTURE_SETUP(layout)
{
	int i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, get_info(self->fd, &self->info));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, (i % 3 + 1) * PAGE, &self->mine[i]));
		ASSERT_EQ(0, alloc_buffer(self->other, (i % 4 + 1) * PAGE, &self->theirs[i]));
	}
	for (i = 0; i < 20; i += 3) {
		ASSERT_EQ(0, free_buffer(self->fd, self->mine[i].handle));
		self->mine[i].handle = 0;
	}
}

FIXTURE_TEARDOWN(layout)
{
}

static int read_layout_of(int fd, struct memalloc_block *blocks, int per_page)
{
	return read_layout(fd, blocks, 256, per_page);
}

TEST_F(layout, tiles_the_region)
{
	const int pages[] = { 256, 7, 2, 1 };
	struct memalloc_block first[256] = { 0 }, blocks[256] = { 0 };
	struct memalloc_stats stats;
	__u64 end = 0, free = 0, free_blocks = 0, largest = 0;
	int i, n = read_layout_of(self->fd, first, 256);
	size_t page;

	for (i = 0; i < n; i++) {
		EXPECT_EQ(end, first[i].offset);
		EXPECT_NE(0, first[i].length);
		end += first[i].length;
		if (first[i].state == MEMALLOC_BLOCK_FREE) {
			free += first[i].length;
			free_blocks++;
			if (first[i].length > largest)
				largest = first[i].length;
			EXPECT_EQ(0, first[i].handle);
		} else {
			EXPECT_EQ(MEMALLOC_BLOCK_USED, first[i].state);
		}
	}
	EXPECT_EQ(self->info.region_length, end);
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(stats.free, free);
	EXPECT_EQ(stats.free_blocks, free_blocks);
	EXPECT_EQ(stats.largest_free, largest);
	EXPECT_EQ(stats.buffers, n - free_blocks);

	for (page = 0; page < ARRAY_SIZE(pages); page++) {
		ASSERT_EQ(n, read_layout_of(self->fd, blocks, pages[page]));
		EXPECT_EQ(0, memcmp(first, blocks, n * sizeof(blocks[0])));
	}
}

TEST_F(layout, says_what_is_mine)
{
	struct memalloc_block blocks[256];
	int i, k, found = 0, n = read_layout_of(self->fd, blocks, 256);

	for (i = 0; i < n; i++) {
		if (!blocks[i].handle)
			continue;
		for (k = 0; k < 20 && self->mine[k].handle != blocks[i].handle; k++)
			;
		ASSERT_LT(k, 20);
		EXPECT_EQ(self->mine[k].real_length, blocks[i].length);
		found++;
	}
	EXPECT_EQ(13, found);

	n = read_layout_of(self->other, blocks, 256);
	for (found = 0, i = 0; i < n; i++)
		found += blocks[i].handle != 0;
	EXPECT_EQ(20, found);
}

TEST_F(layout, starts_inside_a_block)
{
	__s64 offset = offset_of_handle(self->fd, self->mine[2].handle);
	struct memalloc_block block;
	__u64 next = offset + 2 * PAGE + 5;
	__u32 count = 1;

	ASSERT_LE(0, offset);
	ASSERT_EQ(0, get_layout(self->fd, &next, &block, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(offset, (__s64)block.offset);
	EXPECT_EQ(self->mine[2].handle, block.handle);
	EXPECT_EQ(offset + 3 * PAGE, next);
}

/* A newer program's entries are longer; what this kernel does not know is zero. */
TEST_F(layout, longer_entries)
{
	struct long_block {
		struct memalloc_block known;
		__u64 unknown[3];
	} blocks[4];
	struct memalloc_block first[256];
	struct memalloc_layout arg = {
		.size = sizeof(arg),
		.blocks = (__u64)(uintptr_t)blocks,
		.count = 3,
		.block_size = sizeof(blocks[0]),
	};
	int i;

	memset(blocks, 0xff, sizeof(blocks));
	ASSERT_LE(3, read_layout_of(self->fd, first, 256));
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_LAYOUT, &arg));
	EXPECT_EQ(3, arg.count);
	EXPECT_EQ(first[3].offset, arg.offset);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, memcmp(&first[i], &blocks[i].known, sizeof(first[i])));
		EXPECT_EQ(0, blocks[i].unknown[0] | blocks[i].unknown[1] | blocks[i].unknown[2]);
	}
	EXPECT_EQ(~0ULL, blocks[3].known.offset);
}

/* More room than blocks: what is behind the last entry is left alone. */
TEST_F(layout, writes_no_more_than_it_has)
{
	struct memalloc_block blocks[256];
	__u64 offset = 0;
	__u32 count = 256;

	memset(blocks, 0xff, sizeof(blocks));
	ASSERT_EQ(0, get_layout(self->fd, &offset, blocks, &count));
	EXPECT_EQ(self->info.region_length, offset);
	EXPECT_LT(count, 256);
	EXPECT_EQ(~0ULL, blocks[count].offset);
	EXPECT_EQ(self->info.region_length,
		  blocks[count - 1].offset + blocks[count - 1].length);
}

TEST_HARNESS_MAIN
