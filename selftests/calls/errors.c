// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every errno that is particular to one call, and that the call which gave it
 * has done nothing. Tests are named CALL.ERRNO_WHY. Not here: what all calls
 * share (abi.c), EXPORT, IMPORT, SYNC and mmap() (errors_sharing.c), batches (batch.c), RESIZE
 * (resize_errors.c), NAME (name.c), and EINTR, which only a process that is being killed could
 * see (lifetime.c looks at what such a process leaves).
 */
#include "errors.h"

#include <stddef.h>

/* ALLOC */

FIXTURE(alloc) {
	struct clients c;
	struct memalloc_info info;
};

FIXTURE_SETUP(alloc)
{
	ASSERT_EQ(0, set_up(&self->c));
	ASSERT_EQ(0, get_info(self->c.fd, &self->info));
}

FIXTURE_TEARDOWN(alloc)
{
}

TEST_F(alloc, einval_reserved)
{
	struct memalloc_alloc arg = { .size = sizeof(arg), .length = PAGE };

	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_ALLOC, &arg));
	for (arg.reserved2 = 1; arg.reserved2; arg.reserved2 <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_ALLOC, &arg));
}

TEST_F(alloc, einval_length_zero)
{
	struct memalloc_alloc buffer;

	EXPECT_EQ(-EINVAL, alloc_buffer(self->c.fd, 0, &buffer));
	EXPECT_EQ(0, buffer.handle);
}

TEST_F(alloc, einval_alignment_not_a_power_of_two)
{
	const __u64 wrong[] = { 3, PAGE - 1, PAGE + 1, 3 * PAGE, 5 * MIB, MIB | 1ULL << 63 };
	struct memalloc_alloc buffer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, alloc_aligned(self->c.fd, PAGE, wrong[i], &buffer))
			TH_LOG("alignment %llx", wrong[i]);
	}
}

TEST_F(alloc, einval_alignment_above_maximum)
{
	__u64 alignment = self->info.max_alignment;
	struct memalloc_alloc buffer;

	while (alignment <<= 1)
		EXPECT_EQ(-EINVAL, alloc_aligned(self->c.fd, PAGE, alignment, &buffer))
			TH_LOG("alignment %llx", alignment);
}

/* Neither was asked for with what @arg has besides. */
static int alloc_errno(int fd, struct memalloc_alloc arg)
{
	arg.size = sizeof(arg);
	return call(fd, MEMALLOC_IOC_ALLOC, &arg);
}

TEST_F(alloc, einval_boundary_not_a_power_of_two)
{
	const __u64 wrong[] = { 3 * PAGE, PAGE + 1, 3 * MIB, MIB | 1ULL << 63, ~0ULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
			.length = PAGE, .boundary = wrong[i] }))
			TH_LOG("boundary %llx", wrong[i]);
	}
}

TEST_F(alloc, einval_longer_than_boundary)
{
	const __u64 wrong[][2] = {
		{ PAGE + 1, PAGE }, { 1, PAGE / 2 }, { 1, 1 }, { MIB + 1, MIB }, { ~0ULL, MIB },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
			.length = wrong[i][0], .boundary = wrong[i][1] }))
			TH_LOG("length %llx, boundary %llx", wrong[i][0], wrong[i][1]);
	}
	EXPECT_EQ(0, alloc_errno(self->c.fd, (struct memalloc_alloc){
		.length = MIB, .boundary = MIB }));
}

TEST_F(alloc, einval_mask_too_wide)
{
	__u32 bits;

	for (bits = 65; bits; bits <<= 1)
		EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
			.length = PAGE, .dma_mask_bits = bits }));
	EXPECT_EQ(0, alloc_errno(self->c.fd, (struct memalloc_alloc){
		.length = PAGE, .dma_mask_bits = 64 }));
}

TEST_F(alloc, einval_longer_than_mask_reaches)
{
	__u32 bits;

	for (bits = 1; bits < 64; bits++) {
		__u64 length = 1ULL << bits;

		/* Less than a granule is none. */
		EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
			.length = length < PAGE ? 1 : length + 1, .dma_mask_bits = bits }))
			TH_LOG("%u bits", bits);
	}
}

TEST_F(alloc, einval_window)
{
	const __u64 wrong[][3] = {
		{ PAGE, MIB, MIB - 1 },		/* the wrong way round */
		{ PAGE, MIB, 0 },
		{ PAGE, MIB, MIB + PAGE - 2 },	/* too short */
		{ PAGE, MIB + 1, MIB + 2 * PAGE - 2 },	/* no whole granule */
		{ MIB + 1, MIB, 2 * MIB - 1 },
		{ PAGE, -(__u64)PAGE + 1, ~0ULL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
			.length = wrong[i][0],
			.window_start = wrong[i][1],
			.window_end = wrong[i][2] }))
			TH_LOG("window %zu", i);
	}
	/* Nothing of it is left by the mask. */
	EXPECT_EQ(-EINVAL, alloc_errno(self->c.fd, (struct memalloc_alloc){
		.length = PAGE, .dma_mask_bits = 20, .window_start = MIB, .window_end = ~0ULL }));
}

/* The first page of all memory is nobody's to claim. */
TEST_F(alloc, enomem_nothing_that_the_mask_reaches)
{
	EXPECT_EQ(-ENOMEM, alloc_errno(self->c.fd, (struct memalloc_alloc){
		.length = PAGE, .dma_mask_bits = __builtin_ctzl(PAGE) }));
}

TEST_F(alloc, efbig_length)
{
	const __u64 wrong[] = {
		self->info.region_length + 1, self->info.region_length + PAGE,
		self->info.region_length * 2, 1ULL << 44, 1ULL << 63,
		/* These wrap around when they are rounded up. */
		~0ULL - PAGE + 2, ~0ULL,
	};
	struct memalloc_alloc buffer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EFBIG, alloc_buffer(self->c.fd, wrong[i], &buffer))
			TH_LOG("length %llx", wrong[i]);
	}
	EXPECT_EQ(self->c.buffer.real_length, used_bytes(self->c.fd));
}

TEST_F(alloc, enomem_region_full)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats before, after;

	take_all(self->c.other);
	ASSERT_EQ(0, get_stats(self->c.fd, &before));
	EXPECT_EQ(0, before.free);
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->c.fd, 1, &buffer));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->c.other, self->info.region_length, &buffer));
	ASSERT_EQ(0, get_stats(self->c.fd, &after));
	EXPECT_EQ(before.failures + 2, after.failures);
	EXPECT_EQ(before.allocs, after.allocs);
}

TEST_F(alloc, enomem_no_block_is_large_enough)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;

	ASSERT_EQ(0, get_stats(self->c.fd, &stats));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->c.fd, stats.largest_free + 1, &buffer));
	EXPECT_EQ(0, alloc_buffer(self->c.fd, stats.largest_free, &buffer));
}

TEST_F(alloc, enomem_nothing_aligned)
{
	struct memalloc_alloc buffer;
	__u64 alignment = self->info.max_alignment;

	/* One granule is free in the end, and it is not aligned so. */
	ASSERT_LT(PAGE, alignment);
	take_all(self->c.other);
	ASSERT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	ASSERT_EQ(0, alloc_aligned(self->c.fd, PAGE, alignment, &buffer));
	EXPECT_EQ(-ENOMEM, alloc_aligned(self->c.fd, PAGE, alignment, &buffer));
	EXPECT_EQ(0, alloc_buffer(self->c.fd, PAGE, &buffer));
}

TEST_F(alloc, edquot_above_the_own_limit)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats before, after;

	ASSERT_EQ(0, set_limits(self->c.fd, MEMALLOC_LIMITS_SET_BYTES, 4 * PAGE, 0));
	/* Limits do not hold for an administrator. */
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(0, alloc_buffer(self->c.fd, PAGE, &buffer));
	ASSERT_EQ(0, get_stats(self->c.fd, &before));
	EXPECT_EQ(-EDQUOT, alloc_buffer(self->c.fd, 1, &buffer));
	ASSERT_EQ(0, get_stats(self->c.fd, &after));
	EXPECT_TRUE(same_stats(&before, &after));
}

/* FREE */

FIXTURE(free) {
	struct clients c;
};

FIXTURE_SETUP(free)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(free)
{
}

TEST_F(free, einval_reserved)
{
	struct memalloc_free arg = { .size = sizeof(arg), .handle = self->c.buffer.handle };

	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_FREE, &arg));
	EXPECT_EQ(0, query_errno(self->c.fd, self->c.buffer.handle));
}

TEST_F(free, enoent_never_was)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_handles); i++)
		EXPECT_EQ(-ENOENT, free_buffer(self->c.fd, no_handles[i]));
	EXPECT_EQ(self->c.buffer.real_length, used_bytes(self->c.fd));
}

TEST_F(free, enoent_double)
{
	EXPECT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, free_length(self->c.fd, self->c.buffer.handle, ASKED));
}

TEST_F(free, enoent_other_client)
{
	EXPECT_EQ(-ENOENT, free_buffer(self->c.other, self->c.buffer.handle));
	EXPECT_EQ(0, query_errno(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(self->c.buffer.real_length, used_bytes(self->c.fd));
}

TEST_F(free, erange_other_length)
{
	const __u64 wrong[] = {
		1, ASKED - 1, ASKED + 1, 3 * PAGE, 3 * PAGE + 1, 1ULL << 32 | ASKED, ~0ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-ERANGE, free_length(self->c.fd, self->c.buffer.handle, wrong[i]))
			TH_LOG("length %llu", wrong[i]);
	}
	EXPECT_EQ(self->c.buffer.real_length, used_bytes(self->c.fd));
	EXPECT_EQ(0, free_length(self->c.fd, self->c.buffer.handle, ASKED));
}

/* QUERY */

FIXTURE(query) {
	struct clients c;
};

FIXTURE_SETUP(query)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(query)
{
}

TEST_F(query, enoent_never_was)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_handles); i++)
		EXPECT_EQ(-ENOENT, query_errno(self->c.fd, no_handles[i]));
}

TEST_F(query, enoent_freed)
{
	ASSERT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, query_errno(self->c.fd, self->c.buffer.handle));
}

TEST_F(query, enoent_other_client)
{
	EXPECT_EQ(-ENOENT, query_errno(self->c.other, self->c.buffer.handle));
}

TEST_F(query, einval_no_room_for_the_address)
{
	struct memalloc_query arg = {
		.size = offsetof(struct memalloc_query, physical),
		.flags = MEMALLOC_QUERY_PHYSICAL,
		.handle = self->c.buffer.handle,
	};

	EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_QUERY, &arg));
}

TEST_F(query, enoent_address)
{
	struct memalloc_query query;

	EXPECT_EQ(-ENOENT, query_physical(self->c.other, self->c.buffer.handle, &query));
}

/* RELEASE; what it does, and EPERM, is in told.c */

FIXTURE(release) {
	struct clients c;
	__u64 offset;		/* of a block of three granules that waits for it */
};

FIXTURE_SETUP(release)
{
	struct memalloc_query query;
	struct memalloc_stats stats;

	ASSERT_EQ(0, set_up(&self->c));
	ASSERT_EQ(0, query_physical(self->c.fd, self->c.buffer.handle, &query));
	self->offset = offset_of_handle(self->c.fd, self->c.buffer.handle);
	close(self->c.fd);
	ASSERT_TRUE(WAIT_UNTIL(!get_stats(self->c.other, &stats) && stats.retained));
}

FIXTURE_TEARDOWN(release)
{
	EXPECT_EQ(0, release_block(self->c.other, self->offset, 3 * PAGE));
}

TEST_F(release, einval_all_and_one)
{
	struct memalloc_release arg = { .size = sizeof(arg), .flags = MEMALLOC_RELEASE_ALL };

	arg.offset = self->offset + PAGE;
	EXPECT_EQ(-EINVAL, call(self->c.other, MEMALLOC_IOC_RELEASE, &arg));
	arg.offset = 0;
	arg.length = 3 * PAGE;
	EXPECT_EQ(-EINVAL, call(self->c.other, MEMALLOC_IOC_RELEASE, &arg));
}

TEST_F(release, enoent_no_such_block)
{
	const __u64 wrong[] = {
		self->offset + 1, self->offset + PAGE, self->offset + 3 * PAGE,
		self->offset - PAGE, self->offset | 1ULL << 32, self->offset | 1ULL << 44, ~0ULL,
	};
	struct memalloc_alloc buffer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-ENOENT, release_block(self->c.other, wrong[i], 0))
			TH_LOG("offset %llx", wrong[i]);
	}
	ASSERT_EQ(0, alloc_buffer(self->c.other, PAGE, &buffer));
	EXPECT_EQ(-ENOENT, release_block(self->c.other,
					 offset_of_handle(self->c.other, buffer.handle), 0));
}

TEST_F(release, erange_other_length)
{
	const __u64 wrong[] = {
		1, PAGE, ASKED, 3 * PAGE + 1, 4 * PAGE, 3 * PAGE | 1ULL << 32,
		3 * PAGE | 1ULL << 44, ~0ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-ERANGE, release_block(self->c.other, self->offset, wrong[i]))
			TH_LOG("length %llx", wrong[i]);
	}
}

/* LAYOUT */

FIXTURE(layout) {
	struct clients c;
	struct memalloc_info info;
	struct memalloc_block blocks[2];
	struct memalloc_layout arg;
};

FIXTURE_SETUP(layout)
{
	ASSERT_EQ(0, set_up(&self->c));
	ASSERT_EQ(0, get_info(self->c.fd, &self->info));
	self->arg = (struct memalloc_layout){
		.size = sizeof(self->arg),
		.blocks = (__u64)(uintptr_t)self->blocks,
		.count = ARRAY_SIZE(self->blocks),
		.block_size = sizeof(self->blocks[0]),
	};
}

FIXTURE_TEARDOWN(layout)
{
}

TEST_F(layout, einval_count_zero)
{
	self->arg.count = 0;
	EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg));
}

TEST_F(layout, einval_offset_outside)
{
	const __u64 outside[] = {
		self->info.region_length, self->info.region_length + 1, 1ULL << 44, ~0ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		self->arg.offset = outside[i];
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg))
			TH_LOG("offset %llx", outside[i]);
	}
	self->arg.offset = self->info.region_length - 1;
	EXPECT_EQ(0, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg));
}

TEST_F(layout, einval_block_size)
{
	const __u32 wrong[] = { 0, 1, sizeof(self->blocks[0]) - 1, PAGE + 1, UINT32_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->arg.block_size = wrong[i];
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg))
			TH_LOG("block size %u", wrong[i]);
	}
}

TEST_F(layout, efault_blocks)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	self->arg.blocks = 0;
	EXPECT_EQ(-EFAULT, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg));
	self->arg.blocks = (__u64)(uintptr_t)page;
	EXPECT_EQ(-EFAULT, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg));
	/* No program's, and not near the end of what a 32-bit one has: its stack may lie there. */
	self->arg.blocks = -16ULL * PAGE;
	EXPECT_EQ(-EFAULT, call(self->c.fd, MEMALLOC_IOC_LAYOUT, &self->arg));
	EXPECT_EQ(0, self->arg.offset);
	EXPECT_EQ(ARRAY_SIZE(self->blocks), self->arg.count);
}

/* LIMITS */

FIXTURE(limits) {
	struct clients c;
};

FIXTURE_SETUP(limits)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(limits)
{
}

TEST_F(limits, eperm_above_what_it_was)
{
	struct memalloc_limits limits;

	ASSERT_EQ(0, set_limits(self->c.fd, MEMALLOC_LIMITS_SET_BYTES, 1ULL << 40, 0));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(-EPERM, set_limits(self->c.fd, MEMALLOC_LIMITS_SET_BYTES, (1ULL << 40) + 1, 0));
	EXPECT_EQ(-EPERM, set_limits(self->c.fd, MEMALLOC_LIMITS_SET_BYTES, MEMALLOC_NO_LIMIT, 0));
	ASSERT_EQ(0, get_limits(self->c.fd, &limits));
	EXPECT_EQ(1ULL << 40, limits.client_bytes_max);
	EXPECT_EQ(MEMALLOC_NO_LIMIT, limits.client_buffers_max);
}

TEST_HARNESS_MAIN
