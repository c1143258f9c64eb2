// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worked examples of the documents that the project grew from, with the very
 * addresses given there: a granule is one unit of them. They are first fit's, but every
 * fit gives the same.
 */
#include "fixture.h"

/* 20, 30 and 40 of 100 units; then what was given back is used again and merged. */
static void allocate_and_free(const struct mal_fit *fit)
{
	struct mal_heap heap = heap_make_fit(100, fit);

	EXPECT(take(&heap, 20) == 0);
	EXPECT(take(&heap, 30) == 20);
	EXPECT(take(&heap, 40) == 50);
	EXPECT(!mal_block_used(&heap, 90) && mal_block_size(&heap, 90) == 10);
	EXPECT(mal_heap_free(&heap, 20, 30) == 0);
	EXPECT(heap.free == 40 && mal_heap_largest(&heap) == 30);
	EXPECT(take(&heap, 25) == 20);
	EXPECT(mal_heap_free(&heap, 0, 20) == 0);
	EXPECT(heap.free_blocks == 3 && heap.free == 35);
	EXPECT(mal_heap_free(&heap, 20, 25) == 0);	/* merges with both neighbours */
	EXPECT(!mal_block_used(&heap, 0) && mal_block_size(&heap, 0) == 50);
	EXPECT(heap.free == 60 && mal_heap_largest(&heap) == 50);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* What must be refused in the state of the first example, with nothing changed. */
static void errors(const struct mal_fit *fit)
{
	struct mal_heap heap = heap_make_fit(100, fit);

	EXPECT(take(&heap, 20) == 0 && take(&heap, 30) == 20 && take(&heap, 40) == 50);
	EXPECT(mal_heap_free(&heap, 0, 20) == 0);
	EXPECT(take(&heap, 0) == MAL_NONE);
	EXPECT(take(&heap, (u32)-5) == MAL_NONE);
	EXPECT(mal_heap_free(&heap, 999, 10) == -EINVAL);
	EXPECT(mal_heap_free(&heap, 0, 10) == -ENOENT);
	EXPECT(take(&heap, 200) == MAL_NONE);
	EXPECT(heap.free == 30 && heap.used_blocks == 2);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* Every other ten units are used: with most of 100 free, there is no room for 50. */
static void fragmentation(const struct mal_fit *fit)
{
	struct mal_heap heap = heap_make_fit(100, fit);
	u32 at;

	for (at = 0; at < 100; at += 10)
		EXPECT(take(&heap, 10) == at);
	for (at = 10; at < 100; at += 20)
		EXPECT(mal_heap_free(&heap, at, 10) == 0);
	EXPECT(mal_heap_free(&heap, 0, 10) == 0);
	EXPECT(heap.free == 60 && heap.free_blocks == 5);
	EXPECT(mal_heap_largest(&heap) == 20);
	EXPECT(take(&heap, 50) == MAL_NONE);
	EXPECT(take(&heap, 21) == MAL_NONE);
	EXPECT(take(&heap, 20) == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* 100 and 200 bytes of 1 MiB, given back in the order in which they were taken. */
static void one_mebibyte(const struct mal_fit *fit)
{
	struct mal_heap heap = heap_make_fit(1024 * 1024, fit);

	EXPECT(take(&heap, 100) == 0);
	EXPECT(take(&heap, 200) == 100);
	EXPECT(heap.used_blocks == 2 && heap.free == 1024 * 1024 - 300);
	EXPECT(mal_heap_free(&heap, 0, 100) == 0);
	EXPECT(mal_heap_free(&heap, 100, 200) == 0);
	EXPECT(heap.free_blocks == 1 && mal_heap_largest(&heap) == 1024 * 1024);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void with_each_fit(void (*example)(const struct mal_fit *fit))
{
	const struct mal_fit *const *fit;

	for (fit = mal_fits; *fit; fit++)
		example(*fit);
}

static void each_allocate_and_free(void)
{
	with_each_fit(allocate_and_free);
}

static void each_errors(void)
{
	with_each_fit(errors);
}

static void each_fragmentation(void)
{
	with_each_fit(fragmentation);
}

static void each_one_mebibyte(void)
{
	with_each_fit(one_mebibyte);
}

static const struct tap_test tests[] = {
	{ "20, 30 and 40 of 100 units", each_allocate_and_free },
	{ "what is refused", each_errors },
	{ "60 of 100 free, no room for 50", each_fragmentation },
	{ "100 and 200 bytes of 1 MiB", each_one_mebibyte },
};

int main(void)
{
	return TAP_RUN(tests);
}
