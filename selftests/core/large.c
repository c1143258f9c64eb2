// SPDX-License-Identifier: GPL-2.0-only
/* The largest heap. */
#include "fixture.h"

#define MAX	MAL_HEAP_MAX

static void whole(void)
{
	struct mal_heap heap = heap_map(MAX);

	EXPECT(mal_heap_largest(&heap) == MAX);
	EXPECT(take(&heap, MAX + 1) == MAL_NONE);
	EXPECT(take(&heap, MAX) == 0);
	EXPECT(heap.free == 0 && mal_heap_largest(&heap) == 0);
	EXPECT(mal_heap_block_of(&heap, MAX - 1) == 0);
	EXPECT(take(&heap, 1) == MAL_NONE);
	EXPECT(mal_heap_free(&heap, MAX, 0) == -EINVAL);
	EXPECT(mal_heap_free(&heap, MAX - 1, 0) == -ENOENT);
	EXPECT(mal_heap_free(&heap, 0, MAX - 1) == -ERANGE);
	EXPECT(mal_heap_free(&heap, 0, MAX) == 0);
	EXPECT(heap.free == MAX);
	heap_unmap(&heap);
}

static void both_ends(void)
{
	struct mal_heap heap = heap_map(MAX);

	EXPECT(take(&heap, 1) == 0);
	EXPECT(take(&heap, MAX - 2) == 1);
	EXPECT(take(&heap, 1) == MAX - 1);
	EXPECT(mal_heap_block_of(&heap, MAX - 2) == 1);
	EXPECT(mal_heap_block_of(&heap, MAX - 1) == MAX - 1);
	EXPECT(mal_heap_free(&heap, 0, 1) == 0);
	EXPECT(mal_heap_free(&heap, MAX - 1, 1) == 0);
	EXPECT(heap.free == 2 && heap.free_blocks == 2);
	EXPECT(mal_heap_free(&heap, 1, MAX - 2) == 0);
	EXPECT(heap.free_blocks == 1 && mal_heap_largest(&heap) == MAX);
	heap_unmap(&heap);
}

static void alignments(void)
{
	struct mal_heap heap = heap_map(MAX);
	u32 align;

	EXPECT(take(&heap, 1) == 0);
	for (align = 2; align < MAX; align *= 2) {
		EXPECT(take_aligned(&heap, MAX - align, align) == align);
		EXPECT(take_aligned(&heap, 1, align) == MAL_NONE);
		EXPECT(mal_heap_free(&heap, align, MAX - align) == 0);
	}
	for (; align; align *= 2) {
		EXPECT(take_aligned(&heap, 1, align) == MAL_NONE);
		EXPECT(take_aligned(&heap, MAX, align) == MAL_NONE);
	}
	EXPECT(mal_heap_free(&heap, 0, 1) == 0);
	EXPECT(take_aligned(&heap, MAX, 1u << 31) == 0);
	heap_unmap(&heap);
}

/* A sweep from granule 0 on, with the largest alignments there are. */
static void sweep(void)
{
	struct mal_heap heap = heap_map(MAX);
	struct mal_request req = { .size = MAX / 2, .align = MAX / 2 };
	u32 cursor = 0;

	EXPECT(take(&heap, 1) == 0);
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 9) == MAX / 2);
	req = (struct mal_request) { .size = 1, .align = 1u << 31 };
	cursor = 0;
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 9) == MAL_NONE && cursor == MAX);
	heap_unmap(&heap);
}

/* 1, 2, 3; 3, 4, 5; 7, 8, 9; and so on. */
static u32 size_around(u32 i)
{
	return (2u << i / 3) + i % 3 - 1;
}

/* A free block of each of these sizes; the best of them for each size. */
static void every_range(void)
{
	struct mal_heap heap = heap_map(MAX);
	u32 place[3 * 27], i;

	for (i = 0; i < 3 * 27; i++) {
		place[i] = take(&heap, size_around(i));
		EXPECT(take(&heap, 1) == place[i] + size_around(i));
	}
	EXPECT(take(&heap, heap.free) != MAL_NONE && heap.free == 0);
	for (i = 0; i < 3 * 27; i++) {
		EXPECT(mal_heap_free(&heap, place[i], size_around(i)) == 0);
		EXPECT(mal_heap_largest(&heap) == size_around(i));
		EXPECT(mal_heap_block_of(&heap, place[i] + size_around(i) - 1) == place[i]);
	}
	EXPECT(take(&heap, size_around(i - 1) + 1) == MAL_NONE);
	for (i = 6; i < 3 * 27; i++) {
		/* Of three, the first also serves what is one smaller. */
		EXPECT(take(&heap, size_around(i) - !(i % 3)) == place[i]);
		EXPECT(mal_heap_free(&heap, place[i], 0) == 0);
	}
	heap_unmap(&heap);
}

static void bytes(void)
{
	const struct mal_fit *const *fit;
	size_t words = 0;
	u32 bits = MAX;

	EXPECT(MAL_MAP_LEVELS == 5);
	while (bits > 1) {
		bits /= 64;
		words += bits;
	}
	EXPECT(words == (1u << 24) + (1u << 18) + (1u << 12) + 64 + 1);
	/* The index is as large as the largest of all fits, which is good fit's. */
	for (fit = mal_fits; *fit; fit++)
		EXPECT((*fit)->index_bytes(MAX) <= mal_fit_good.index_bytes(MAX));
	EXPECT(mal_heap_bytes(MAX) == 16ull * MAX + 8 * words + mal_fit_good.index_bytes(MAX));
	EXPECT(mal_heap_bytes(1) == 16 + 8 * 5 + mal_fit_good.index_bytes(1));
}

static const struct tap_test tests[] = {
	{ "whole heap of 2^30 granules", whole },
	{ "both ends", both_ends },
	{ "alignments up to 2^31", alignments },
	{ "sweep", sweep },
	{ "sizes around every power of two", every_range },
	{ "bytes of memory", bytes },
};

int main(void)
{
	return TAP_RUN(tests);
}
