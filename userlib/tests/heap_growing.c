// SPDX-License-Identifier: MIT
/*
 * Usage: heap_growing [PATH]
 *
 * Heaps that take chunks as they need them and give them back.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"

static void test_growing(void)
{
	const uint64_t before = used();
	struct memalloc_heap_config config = { .chunk = 64 * KIB, .length = 10 * 64 * KIB + 1 };
	struct memalloc_heap *heap = create(config);
	char *first, *second, *large, *third;
	struct walk all = { .heap = heap, .orderly = true };
	void *none;

	is(used(), before, "growing: has nothing at first");
	is(stats_of(heap).length, 0, "growing: and says so");
	is(memalloc_heap_owns(heap, heap), 0, "growing: owns nothing");
	first = alloc(heap, 60 * KIB);
	is(used(), before + 64 * KIB, "growing: takes a chunk when it needs it");
	is(memalloc_heap_free(heap, first + 64 * KIB), -ENOENT, "growing: ENOENT, not there yet");
	is(memalloc_heap_free(heap, first + 640 * KIB), -EINVAL, "growing: EINVAL, never there");
	second = alloc(heap, 60 * KIB);
	ok(second == first + 60 * KIB, "growing: a block may lie across chunks");
	memset(second, 'x', 60 * KIB);
	large = alloc(heap, 300 * KIB);
	memset(large, 'y', 300 * KIB);
	ok(large == second + 60 * KIB, "growing: more chunks at once");
	is(stats_of(heap).chunks, 7, "growing: no more than it needs");
	is(used(), before + 7 * 64 * KIB, "growing: from the region");
	is(memalloc_heap_alloc(heap, 641 * KIB, &none), -EFBIG, "growing: EFBIG");
	is(memalloc_heap_alloc(heap, 221 * KIB, &none), -ENOMEM, "growing: ENOMEM, its length");
	is(stats_of(heap).chunks, 7, "growing: a failure takes nothing");

	need(memalloc_heap_free(heap, second), "free");
	is(stats_of(heap).chunks, 7, "growing: chunks that are not empty stay");
	third = alloc(heap, 64 * KIB);
	ok(third == first + 420 * KIB, "growing: at the lowest address with room");
	need(memalloc_heap_free(heap, large), "free");
	is(stats_of(heap).chunks, 4, "growing: empty chunks go back, but for one");
	is(used(), before + 4 * 64 * KIB, "growing: to the region");
	is(memalloc_heap_free(heap, large), -ENOENT, "growing: ENOENT, freed before, now gone");
	is(memalloc_heap_owns(heap, large + 100 * KIB), 0, "growing: does not own what is gone");
	is(memalloc_heap_visit(heap, visit, &all), 0, "growing: visit");
	ok(all.orderly && all.used + all.free == 4 * 64 * KIB && all.free == stats_of(heap).free,
	   "growing: visits what is there");
	second = alloc(heap, 350 * KIB);
	ok(second == first + 60 * KIB, "growing: into the hole, with what is free around it");
	is(stats_of(heap).chunks, 8, "growing: with the chunks that were missing");
	need(memalloc_heap_free(heap, second), "free");
	need(memalloc_heap_free(heap, first), "free");
	need(memalloc_heap_free(heap, third), "free");
	is(stats_of(heap).chunks, 1, "growing: one chunk is kept of an empty heap");
	need(memalloc_heap_aligned_alloc(heap, 512 * KIB, 1, (void **)&second), "aligned_alloc");
	ok(!((uintptr_t)second % (512 * KIB)), "growing: aligned");
	need(memalloc_heap_aligned_alloc(heap, 512 * KIB, 1, (void **)&third), "aligned_alloc");
	ok(third == second + 512 * KIB, "growing: aligned, far away");
	is(stats_of(heap).chunks, 3, "growing: aligned, with nothing else in between");
	second = alloc(heap, 500 * KIB);
	is(stats_of(heap).chunks, 9, "growing: until it is needed");
	is(memalloc_heap_destroy(heap, NULL, NULL), 3, "growing: destroy");
	is(used(), before, "growing: gives all back");
}

/* Which chunks go back; and that one block can lie in chunks that are empty and in new ones. */
static void test_growing_and_shrinking(void)
{
	struct memalloc_heap_config config = { .chunk = 64 * KIB, .length = 192 * KIB };
	struct memalloc_heap *heap = create(config);
	char *first = alloc(heap, 64 * KIB), *second = alloc(heap, 64 * KIB);
	char *third = alloc(heap, 64 * KIB), *all;
	void *block;

	need(memalloc_heap_free(heap, second), "free");
	need(memalloc_heap_free(heap, first), "free");
	need(memalloc_heap_free(heap, third), "free");
	is(stats_of(heap).chunks, 1, "growing: the one in the middle is kept");
	all = alloc(heap, 192 * KIB);
	ok(all == first, "growing: around the one in the middle");
	need(memalloc_heap_realloc(heap, all, 1, &block), "realloc");
	ok(block == all, "growing: a block shrinks in its place");
	is(stats_of(heap).chunks, 2, "growing: and chunks go back");
	need(memalloc_heap_free(heap, block), "free");
	is(stats_of(heap).chunks, 1, "growing: down to one that is empty");
	first = alloc(heap, 64 * KIB);
	second = alloc(heap, 64 * KIB);
	need(memalloc_heap_free(heap, second), "free");
	is(stats_of(heap).chunks, 2, "growing: another one is kept when that is not empty");
	need(memalloc_heap_free(heap, first), "free");
	is(stats_of(heap).chunks, 1, "growing: no two are kept");
	first = alloc(heap, 1000);
	memset(first, 'x', 1000);
	is(memalloc_heap_realloc(heap, first, 192 * KIB, &block), 0, "growing: realloc, longer");
	ok(block == first && all_bytes(block, 1000, 'x'),
	   "growing: realloc, in its place, with the chunks that were missing");
	need(memalloc_heap_free(heap, block), "free");
	is(memalloc_heap_destroy(heap, NULL, NULL), 0, "growing: destroy");
}

/* When the region has no more chunks, those that were taken in vain go back. */
static void test_growing_without_memory(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .chunk = MIB });
	struct memalloc_stats stats;
	struct memalloc_buffer rest;
	char *small = alloc(heap, 1);
	uint64_t before;
	void *block;

	need(memalloc_get_stats(mem, &stats, sizeof(stats)), "get_stats");
	need(memalloc_buffer_alloc(mem, stats.largest_free - 3 * MIB, 0, &rest), "alloc");
	before = used();
	is(memalloc_heap_alloc(heap, 6 * MIB, &block), -ENOMEM, "growing: ENOMEM, from the region");
	is(used(), before, "growing: what was taken in vain goes back");
	is(stats_of(heap).chunks, 1, "growing: and is not there");
	is(memalloc_heap_free(heap, small), 0, "growing: free");
	is(memalloc_heap_alloc(heap, 6 * MIB, &block), -ENOMEM, "growing: ENOMEM, once more");
	is(stats_of(heap).chunks, 1, "growing: an empty chunk stays then");
	small = alloc(heap, 1);
	is(memalloc_heap_alloc(heap, 2 * MIB, &block), 0, "growing: what there is can be had");
	memset(block, 'x', 2 * MIB);
	is(memalloc_heap_free(heap, small), 0, "growing: free");
	need(memalloc_buffer_free(mem, &rest), "free");
	is(memalloc_heap_realloc(heap, block, 5 * MIB, &block), 0, "growing: realloc");
	ok(all_bytes(block, 2 * MIB, 'x'), "growing: realloc, with its contents");
	is(memalloc_heap_destroy(heap, NULL, NULL), 1, "growing: destroy");
}

int main(int argc, char **argv)
{
	open_region(argc, argv);
	test_growing();
	test_growing_and_shrinking();
	test_growing_without_memory();
	memalloc_close(mem);
	return tap_done();
}
