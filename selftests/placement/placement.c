// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where ALLOC puts buffers that ask for a place, with each fit. The kernel's own table
 * of this process's pages says where they lie. What is refused is in errors.c.
 */
#include "masks.h"

#define MANY	48
#define TRIES	300

FIXTURE(placement) {
	int fd;
	struct memalloc_info info;
	__u64 base;		/* physical, of the region */
	__u64 end;		/* the first address behind it */
};

FIXTURE_VARIANT(placement) {
	const char *fit;
};

FIXTURE_VARIANT_ADD(placement, good) { .fit = "good" };
FIXTURE_VARIANT_ADD(placement, first) { .fit = "first" };
FIXTURE_VARIANT_ADD(placement, best) { .fit = "best" };
FIXTURE_VARIANT_ADD(placement, worst) { .fit = "worst" };
FIXTURE_VARIANT_ADD(placement, next) { .fit = "next" };

FIXTURE_SETUP(placement)
{
	struct memalloc_alloc buffer;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, switch_to(variant->fit));
	ASSERT_EQ(0, get_info(self->fd, &self->info));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	self->base = physical(self->fd, &buffer, 0);
	ASSERT_NE(0, self->base);
	self->base -= offset_of_handle(self->fd, buffer.handle);
	self->end = self->base + self->info.region_length;
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
}

FIXTURE_TEARDOWN(placement)
{
	switch_to("good");
}

static int alloc_placed(int fd, struct memalloc_alloc *buffer)
{
	buffer->size = sizeof(*buffer);
	return call(fd, MEMALLOC_IOC_ALLOC, buffer);
}

/* The region's start, on which what the header says of alignments and boundaries rests. */
TEST_F(placement, region_starts_at_the_largest_alignment)
{
	EXPECT_EQ(0, self->base % self->info.max_alignment);
}

/* Does the buffer lie as it asked to? "" or what is wrong. */
static const char *place_wrong(int fd, const struct memalloc_alloc *buffer)
{
	__u64 first = physical(fd, buffer, 0);
	__u64 last = first + buffer->real_length - 1;

	if (!first || physical(fd, buffer, buffer->real_length - 1) != last)
		return "it is not contiguous";
	if (buffer->alignment && first % buffer->alignment)
		return "it is not aligned";
	if (buffer->boundary && first / buffer->boundary != last / buffer->boundary)
		return "it crosses a boundary";
	if (buffer->dma_mask_bits && buffer->dma_mask_bits < 64 && last >> buffer->dma_mask_bits)
		return "the mask does not reach it";
	return "";
}

/*
 * Many that come and go in a region of holes: each lies as it should. None is larger than
 * 1/32 of the region, so that there is room for all.
 */
TEST_F(placement, constraints_are_met)
{
	struct memalloc_alloc buffers[MANY] = {};
	unsigned int given = 0, orders = 1;
	int i;

	while (orders < 11 && PAGE << orders <= self->info.region_length / 32)
		orders++;
	srandom(1);
	for (i = 0; i < TRIES; i++) {
		struct memalloc_alloc *buffer = &buffers[random() % MANY];
		__u64 boundary = PAGE << random() % orders;

		if (buffer->handle)
			ASSERT_EQ(0, free_buffer(self->fd, buffer->handle));
		*buffer = (struct memalloc_alloc){
			.length = 1 + random() % boundary,
			.alignment = random() % 2 ? PAGE << random() % 6 : 0,
			.boundary = random() % 4 ? boundary : 0,
			.dma_mask_bits = random() % 2 ? 64 - __builtin_clzll(self->end - 1) : 0,
		};
		ASSERT_EQ(0, alloc_placed(self->fd, buffer));
		EXPECT_STREQ("", place_wrong(self->fd, buffer))
			TH_LOG("length %llx alignment %llx boundary %llx mask %u", buffer->length,
			       buffer->alignment, buffer->boundary, buffer->dma_mask_bits);
		given++;
	}
	EXPECT_EQ(TRIES, given);
}

/* The one place that is left, between two boundaries, is found; what would cross one is not. */
TEST_F(placement, boundary_leaves_one_place)
{
	struct memalloc_alloc before, hole, after;
	struct memalloc_alloc three = { .length = 3 * PAGE, .boundary = 4 * PAGE };
	struct memalloc_alloc two = { .length = 2 * PAGE, .boundary = 4 * PAGE };

	/* A hole of 4 pages that begins 2 before a boundary. */
	ASSERT_EQ(0, switch_to("first"));
	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PAGE, &before));
	ASSERT_EQ(0, alloc_buffer(self->fd, 4 * PAGE, &hole));
	ASSERT_EQ(0, alloc_buffer(self->fd, self->info.region_length - 6 * PAGE, &after));
	ASSERT_EQ(0, switch_to(variant->fit));
	ASSERT_EQ(0, free_buffer(self->fd, hole.handle));

	EXPECT_EQ(-ENOMEM, alloc_placed(self->fd, &three));
	EXPECT_EQ(0, alloc_placed(self->fd, &two));
	EXPECT_STREQ("", place_wrong(self->fd, &two));
	two.handle = 0;
	EXPECT_EQ(0, alloc_placed(self->fd, &two));
	EXPECT_STREQ("", place_wrong(self->fd, &two));
	EXPECT_EQ(self->info.region_length, used_bytes(self->fd));
}

/* No answer tells of boundaries that the region's start is not a multiple of. */
TEST_F(placement, larger_boundaries_are_the_largest_alignment)
{
	const __u64 largest = self->info.max_alignment;
	struct memalloc_alloc buffer = { .length = largest, .boundary = 2 * largest };
	__u64 boundary;

	ASSERT_EQ(0, alloc_placed(self->fd, &buffer));
	EXPECT_EQ(0, physical(self->fd, &buffer, 0) % largest);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	for (boundary = largest; boundary; boundary <<= 1) {
		buffer = (struct memalloc_alloc){ .length = largest + 1, .boundary = boundary };
		EXPECT_EQ(-EINVAL, alloc_placed(self->fd, &buffer))
			TH_LOG("boundary %llx", boundary);
		buffer.length = PAGE;
		EXPECT_EQ(0, alloc_placed(self->fd, &buffer))
			TH_LOG("boundary %llx", boundary);
	}
}

/* The bytes that can be had with a mask, in pieces; all must be ones that it reaches. */
static __u64 take_with_mask(int fd, __u32 bits, __u64 length, const char **wrong)
{
	__u64 taken = 0;

	if (bits < 64 && length > 1ULL << bits)
		length = 1ULL << bits;
	for (; length >= PAGE; length = length / 2 & -PAGE) {
		struct memalloc_alloc buffer = { .length = length, .dma_mask_bits = bits };

		while (!alloc_placed(fd, &buffer)) {
			taken += length;
			if (!**wrong)
				*wrong = place_wrong(fd, &buffer);
		}
	}
	return taken;
}

/* Each mask gives all that it reaches of the region, and nothing else. */
TEST_F(placement, masks_reach_what_they_say)
{
	const __u32 enough = 64 - __builtin_clzll(self->end - 1);
	unsigned int cut = 0;
	__u32 bits;

	for (bits = 12; bits <= 64; bits = bits == enough ? 64 : bits + 1) {
		__u64 reach = bits == 64 ? ~0ULL : 1ULL << bits;
		__u64 end = reach < self->end ? reach : self->end;
		__u64 expected = end < self->base ? 0 : end - self->base;
		const bool whole = expected == self->info.region_length;
		const char *wrong = "";
		int client = open_device();

		ASSERT_LE(0, client);
		if (whole) {
			struct memalloc_alloc buffer = { .length = MIB, .dma_mask_bits = bits };

			EXPECT_EQ(0, alloc_placed(client, &buffer));
		} else {
			EXPECT_EQ(expected, take_with_mask(client, bits, MIB, &wrong))
				TH_LOG("%u bits", bits);
		}
		EXPECT_STREQ("", wrong);
		close(client);
		ASSERT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
		cut += expected && !whole;
	}
	/* A boot says so where it has made a region that has a power of two inside. */
	if (getenv("REGION_IS_CUT"))
		EXPECT_LT(0, cut);
}

/* A window is exact, to the granule; only whole ones count. */
TEST_F(placement, windows_are_exact)
{
	__u64 start = self->base + self->info.region_length / 2;
	struct memalloc_alloc buffer = {
		.length = 3 * PAGE, .window_start = start, .window_end = start + 3 * PAGE - 1,
	};
	struct memalloc_query query;
	__u64 around;

	ASSERT_EQ(0, alloc_placed(self->fd, &buffer));
	EXPECT_EQ(start, physical(self->fd, &buffer, 0));
	ASSERT_EQ(0, query_physical(self->fd, buffer.handle, &query));
	EXPECT_EQ(start, query.physical);
	EXPECT_EQ(-ENOMEM, alloc_placed(self->fd, &buffer));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));

	buffer.window_start -= PAGE - 1;
	buffer.window_end += PAGE - 1;
	ASSERT_EQ(0, alloc_placed(self->fd, &buffer));
	EXPECT_EQ(start, physical(self->fd, &buffer, 0));
	buffer.length = PAGE;
	buffer.window_start--;
	buffer.window_end++;
	ASSERT_EQ(0, alloc_placed(self->fd, &buffer));
	around = physical(self->fd, &buffer, 0);
	ASSERT_EQ(0, alloc_placed(self->fd, &buffer));
	/* On both sides of it, in the order of the fit. */
	EXPECT_EQ(2 * start + 2 * PAGE, around + physical(self->fd, &buffer, 0));
	EXPECT_TRUE(around == start - PAGE || around == start + 3 * PAGE);
	EXPECT_EQ(-ENOMEM, alloc_placed(self->fd, &buffer));
}

/* What of it lies outside the region does not count. */
TEST_F(placement, windows_at_the_ends)
{
	const __u64 middle = self->base + self->info.region_length / 2;
	const struct {
		__u64 start, end, physical;	/* 0: ENOMEM */
	} windows[] = {
		{ 0, self->base - 1, 0 },
		{ self->end, ~0ULL, 0 },
		{ 0, self->base + PAGE - 2, 0 },
		{ self->end - PAGE + 1, ~0ULL, 0 },
		{ 0, self->base + PAGE - 1, self->base },
		{ self->end - PAGE, ~0ULL, self->end - PAGE },
		{ middle, middle + PAGE - 1, middle },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		struct memalloc_alloc buffer = {
			.length = PAGE,
			.window_start = windows[i].start,
			.window_end = windows[i].end,
		};

		EXPECT_EQ(windows[i].physical ? 0 : -ENOMEM, alloc_placed(self->fd, &buffer))
			TH_LOG("window %zu", i);
		if (windows[i].physical)
			EXPECT_EQ(windows[i].physical, physical(self->fd, &buffer, 0));
	}
}

/*
 * Boundaries and masks are for everyone; but a mask does not tell where the region lies:
 * hostile/address.c has more of it.
 */
TEST_F(placement, unprivileged)
{
	const __u64 memory_end = read_memory_end();
	pid_t child = fork_child();
	__u32 bits;

	if (!child) {
		if (drop_privileges())
			_exit(100);
		for (bits = 0; bits <= 64; bits++) {
			struct memalloc_alloc buffer = {
				.length = PAGE, .dma_mask_bits = bits, .boundary = PAGE,
			};

			int answer = mask_reaches(bits, self->end, memory_end) ? 0 : -ENOMEM;

			if (bits && bits < (__u32)__builtin_ctzl(PAGE))
				answer = -EINVAL;
			if (alloc_placed(self->fd, &buffer) != answer)
				_exit(bits);
		}
		_exit(200);
	}
	EXPECT_EQ(200, wait_child(child));
}

TEST_HARNESS_MAIN
