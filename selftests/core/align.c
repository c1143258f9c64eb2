// SPDX-License-Identifier: GPL-2.0-only
/* Aligned requests, and the sweep that has the last word on them. */
#include "oracle.h"

/* Sweep the whole heap in slices of @slice blocks. */
static u32 sweep(struct mal_heap *heap, u32 size, u32 align, u32 slice)
{
	const struct mal_request req = { .size = size, .align = align };
	u32 cursor = 0;
	u32 place;

	do
		place = mal_heap_sweep(heap, &req, 0, &cursor, slice);
	while (place == MAL_NONE && cursor < heap->granules);
	return place;
}

static void remainders_on_both_sides(void)
{
	struct mal_heap heap = heap_make(32);

	EXPECT(take(&heap, 1) == 0);
	EXPECT(take_aligned(&heap, 8, 8) == 8);
	EXPECT(!mal_block_used(&heap, 1) && mal_block_size(&heap, 1) == 7);
	EXPECT(mal_block_used(&heap, 8) && mal_block_size(&heap, 8) == 8);
	EXPECT(!mal_block_used(&heap, 16) && mal_block_size(&heap, 16) == 16);
	EXPECT(heap.free_blocks == 2 && heap.used_blocks == 2 && heap.free == 23);
	EXPECT(mal_heap_block_of(&heap, 7) == 1 && mal_heap_block_of(&heap, 15) == 8);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_free(&heap, 8, 8) == 0);
	EXPECT(heap.free_blocks == 1 && mal_heap_largest(&heap) == 31);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void remainder_before(void)
{
	struct mal_heap heap = heap_make(16);

	EXPECT(take(&heap, 7) == 0);
	EXPECT(take_aligned(&heap, 8, 8) == 8);
	EXPECT(heap.free_blocks == 1 && mal_block_size(&heap, 7) == 1);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void no_remainder(void)
{
	struct mal_heap heap = heap_make(16);

	EXPECT(take(&heap, 8) == 0);
	EXPECT(take_aligned(&heap, 8, 8) == 8);
	EXPECT(heap.free == 0 && heap.free_blocks == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* Free blocks at 3 (8 granules) and 20 (30): the first is smaller, but 8 from 8 don't fit. */
static void second_candidate(void)
{
	struct mal_heap heap = heap_make(50);

	EXPECT(take(&heap, 3) == 0 && take(&heap, 8) == 3 && take(&heap, 9) == 11);
	EXPECT(mal_heap_free(&heap, 3, 8) == 0);
	EXPECT(take_aligned(&heap, 8, 8) == 24);
	EXPECT(take_aligned(&heap, 8, 1) == 3);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/*
 * Of the free blocks [1, 10) and [16, 26) the fit offers the smaller, in which 8 from
 * a multiple of 8 on don't fit; and no block is so large that they fit anyhow.
 */
static void sweep_finds_what_alloc_does_not(void)
{
	struct mal_heap heap;
	u32 slice;

	for (slice = 1; slice < 8; slice++) {
		heap = heap_make(27);
		EXPECT(take(&heap, 1) == 0 && take(&heap, 9) == 1 && take(&heap, 6) == 10);
		EXPECT(take(&heap, 10) == 16 && take(&heap, 1) == 26);
		EXPECT(mal_heap_free(&heap, 16, 10) == 0);
		EXPECT(mal_heap_free(&heap, 1, 9) == 0);
		EXPECT(take_aligned(&heap, 8, 8) == MAL_NONE);
		EXPECT_SOUND(&heap);
		EXPECT(sweep(&heap, 8, 8, slice) == 16);
		EXPECT_SOUND(&heap);
		EXPECT(sweep(&heap, 8, 8, slice) == MAL_NONE);
		heap_drop(&heap);
	}
}

/* A block too small to be sure of, in which the only place is exactly right. */
static void sweep_finds_the_only_place(void)
{
	struct mal_heap heap = heap_make(64);
	u32 cursor = 0;
	const struct mal_request req = { .size = 16, .align = 16 };

	EXPECT(take(&heap, 17) == 0 && take(&heap, 16) == 17 && take(&heap, 15) == 33);
	EXPECT(take(&heap, 16) == 48);
	EXPECT(mal_heap_free(&heap, 48, 16) == 0);
	EXPECT(mal_heap_free(&heap, 17, 16) == 0);
	EXPECT(mal_heap_sweep(&heap, &req, 5, &cursor, 3) == MAL_NONE && cursor == 48);
	EXPECT(mal_heap_sweep(&heap, &req, 5, &cursor, 3) == 48);
	EXPECT(mal_block_owner(&heap, 48) == 5);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void sweep_of_no_blocks(void)
{
	struct mal_heap heap = heap_make(8);
	const struct mal_request req = { .size = 1, .align = 1 };
	u32 cursor = 0;

	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 0) == MAL_NONE && cursor == 0);
	cursor = 8;
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 8) == MAL_NONE && cursor == 8);
	cursor = MAL_NONE;
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 8) == MAL_NONE);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/*
 * The blocks before, at and behind the cursor split and merge between two slices.
 * A place that is there all the time is found all the same.
 */
static void sweep_while_the_heap_changes(void)
{
	const struct mal_request req = { .size = 64, .align = 64 };
	u64 seed = 20;
	u32 round, cursor, place, at, slices = 0;

	for (round = 0; round < 500; round++) {
		struct mal_heap heap = heap_make(1024);

		/* [640, 704) is kept free, all the rest is too small or misplaced. */
		EXPECT(take(&heap, 640) == 0 && take(&heap, 64) == 640 && take(&heap, 320) == 704);
		EXPECT(mal_heap_free(&heap, 0, 640) == 0 && mal_heap_free(&heap, 704, 320) == 0);
		while (take_aligned(&heap, 1, 32) != MAL_NONE)
			;
		while (sweep(&heap, 1, 32, 64) != MAL_NONE)
			;
		EXPECT(mal_heap_free(&heap, 640, 64) == 0);
		cursor = 0;
		do {
			EXPECT(cursor < 1024);
			place = mal_heap_sweep(&heap, &req, 0, &cursor, random_upto(&seed, 3));
			slices++;
			for (at = 0; place == MAL_NONE && at < 8; at++) {
				u32 other = random_u32(&seed) % 1024;

				other = mal_heap_block_of(&heap, other);
				if (other % 32 && mal_block_used(&heap, other))
					EXPECT(mal_heap_free(&heap, other, 0) == 0);
				else if (other != 640 && !mal_block_used(&heap, other) &&
					 other + mal_block_size(&heap, other) <= 640)
					take_block(&heap, other);
				EXPECT_SOUND(&heap);
			}
		} while (place == MAL_NONE);
		EXPECT(place == 640);
		heap_drop(&heap);
	}
	EXPECT(slices > 500 * 8);
}

/* Alignments up to the whole heap and beyond, on a heap that is not a multiple of any. */
static void every_alignment(void)
{
	struct mal_heap heap = heap_make(1000);
	u32 align;

	for (align = 1; align; align *= 2) {
		EXPECT(take_aligned(&heap, 1000, align) == 0);
		EXPECT(take_aligned(&heap, 1, align) == MAL_NONE);
		EXPECT(mal_heap_free(&heap, 0, 1000) == 0);
		EXPECT(take(&heap, 1) == 0);
		if (align < 1000)
			EXPECT(take_aligned(&heap, 1000 - align, align) == align);
		else
			EXPECT(take_aligned(&heap, 1, align) == MAL_NONE &&
			       sweep(&heap, 1, align, 4) == MAL_NONE);
		EXPECT_SOUND(&heap);
		if (align < 1000)
			EXPECT(mal_heap_free(&heap, align, 1000 - align) == 0);
		EXPECT(mal_heap_free(&heap, 0, 1) == 0);
	}
	heap_drop(&heap);
}

static const struct tap_test tests[] = {
	{ "remainders on both sides", remainders_on_both_sides },
	{ "remainder before", remainder_before },
	{ "no remainder", no_remainder },
	{ "second candidate", second_candidate },
	{ "sweep finds what alloc does not", sweep_finds_what_alloc_does_not },
	{ "sweep finds the only place", sweep_finds_the_only_place },
	{ "sweep of no blocks, and from beyond the end", sweep_of_no_blocks },
	{ "sweep while the heap changes", sweep_while_the_heap_changes },
	{ "every alignment", every_alignment },
};

int main(void)
{
	return TAP_RUN(tests);
}
