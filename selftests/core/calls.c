// SPDX-License-Identifier: GPL-2.0-only
/* Each call of the heap: what it promises, and each of its errors. */
#include "fixture.h"

static void one_granule(void)
{
	struct mal_heap heap = heap_make(1);

	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_largest(&heap) == 1);
	EXPECT(take(&heap, 2) == MAL_NONE);
	EXPECT(take(&heap, 1) == 0);
	EXPECT(mal_heap_largest(&heap) == 0);
	EXPECT(take(&heap, 1) == MAL_NONE);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_free(&heap, 0, 1) == 0);
	EXPECT(take(&heap, 1) == 0);
	heap_drop(&heap);
}

/* Blocks of one granule, whose head and foot are one tag, from all sides. */
static void blocks_of_one(void)
{
	struct mal_heap heap = heap_make(200);
	u32 at;

	for (at = 0; at < 200; at++)
		EXPECT(take(&heap, 1) == at);
	EXPECT(take(&heap, 1) == MAL_NONE);
	for (at = 0; at < 200; at += 2) {
		EXPECT(mal_heap_free(&heap, at, 1) == 0);
		EXPECT_SOUND(&heap);
	}
	EXPECT(heap.free_blocks == 100 && mal_heap_largest(&heap) == 1);
	for (at = 1; at < 200; at += 2) {
		EXPECT(mal_heap_free(&heap, at, 1) == 0);
		EXPECT_SOUND(&heap);
	}
	EXPECT(heap.free_blocks == 1 && mal_heap_largest(&heap) == 200);
	heap_drop(&heap);
}

static void whole_heap(void)
{
	static const u32 sizes[] = {
		2, 63, 64, 65, 127, 128, 4032, 4095, 4096, 4097, 262144, 262145
	};
	struct mal_heap heap;
	u32 i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		heap = heap_make(sizes[i]);
		EXPECT_SOUND(&heap);
		EXPECT(mal_heap_largest(&heap) == sizes[i]);
		EXPECT(take(&heap, sizes[i] + 1) == MAL_NONE);
		EXPECT(take(&heap, sizes[i]) == 0);
		EXPECT(heap.free == 0 && heap.free_blocks == 0 && heap.used_blocks == 1);
		EXPECT_SOUND(&heap);
		EXPECT(mal_heap_free(&heap, 0, 0) == 0);
		EXPECT(take(&heap, sizes[i] - 1) == 0);
		EXPECT(take(&heap, 1) == sizes[i] - 1);
		EXPECT_SOUND(&heap);
		heap_drop(&heap);
	}
}

static void split(void)
{
	struct mal_heap heap = heap_make(10);

	EXPECT(take(&heap, 4) == 0);
	EXPECT(mal_block_used(&heap, 0) && mal_block_size(&heap, 0) == 4);
	EXPECT(!mal_block_used(&heap, 4) && mal_block_size(&heap, 4) == 6);
	EXPECT(heap.free == 6 && heap.free_blocks == 1 && heap.used_blocks == 1);
	EXPECT_SOUND(&heap);
	EXPECT(take(&heap, 6) == 4);
	EXPECT(heap.free == 0 && heap.free_blocks == 0 && heap.used_blocks == 2);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/*
 * Free the middle one of three blocks of 5 whose neighbours are free or used, and
 * expect one free block of @size at @head.
 */
static void coalesce(bool before_free, bool after_free, u32 head, u32 size)
{
	struct mal_heap heap = heap_make(15);

	EXPECT(take(&heap, 5) == 0 && take(&heap, 5) == 5 && take(&heap, 5) == 10);
	if (before_free)
		EXPECT(mal_heap_free(&heap, 0, 5) == 0);
	if (after_free)
		EXPECT(mal_heap_free(&heap, 10, 5) == 0);
	EXPECT(mal_heap_free(&heap, 5, 5) == 0);
	EXPECT(heap.free_blocks == 1 && heap.free == size);
	EXPECT(!mal_block_used(&heap, head) && mal_block_size(&heap, head) == size);
	EXPECT(mal_heap_largest(&heap) == size);
	EXPECT(mal_heap_block_of(&heap, head + size - 1) == head);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void coalesce_with_none(void)
{
	coalesce(false, false, 5, 5);
}

static void coalesce_with_before(void)
{
	coalesce(true, false, 0, 10);
}

static void coalesce_with_after(void)
{
	coalesce(false, true, 5, 10);
}

static void coalesce_with_both(void)
{
	coalesce(true, true, 0, 15);
}

static void owner_is_kept(void)
{
	struct mal_heap heap = heap_make(8);
	struct mal_request req = { .size = 1, .align = 1 };
	u32 cursor = 0;

	EXPECT(mal_heap_alloc(&heap, &req, ~0ull) == 0);
	EXPECT(mal_heap_sweep(&heap, &req, 0x123456789abcdefull, &cursor, 8) == 1);
	EXPECT(take(&heap, 5) == 2);
	EXPECT(mal_heap_free(&heap, 2, 5) == 0);
	EXPECT(mal_block_owner(&heap, 0) == ~0ull);
	EXPECT(mal_block_owner(&heap, 1) == 0x123456789abcdefull);
	heap_drop(&heap);
}

static void alloc_of_nothing(void)
{
	struct mal_heap heap = heap_make(8);
	struct mal_request req = { .size = 0, .align = 8 };
	u32 cursor = 0;

	EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE);
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 8) == MAL_NONE && cursor == 8);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void alloc_of_too_much(void)
{
	struct mal_heap heap = heap_make(8);
	u32 size, cursor;

	for (size = 9; size; size = size << 1 | 1) {
		struct mal_request req = { .size = size, .align = 1u << 31 };

		EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE);
		cursor = 0;
		EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 8) == MAL_NONE && cursor == 8);
		if (size == ~0u)
			break;
	}
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* One granule more is of a class that good fit's index does not have any more. */
static void alloc_of_one_too_many(void)
{
	const struct mal_request req = { .size = 128, .align = 2 };
	struct mal_heap heap = heap_make(127);

	EXPECT(take(&heap, 128) == MAL_NONE);
	EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE && !mal_heap_undecided(&heap, &req));
	EXPECT(heap.free == 127);
	heap_drop(&heap);
}

/* No u32 makes free read outside the arrays, nor give back what is not a used block. */
static void free_of_anything_else(void)
{
	struct mal_heap heap = heap_make(100);
	u32 at, bit;

	EXPECT(take(&heap, 20) == 0 && take(&heap, 30) == 20);
	EXPECT(mal_heap_free(&heap, 0, 0) == 0);
	for (at = 0; at < 300; at++)
		if (at != 20)
			EXPECT(mal_heap_free(&heap, at, 0) == (at < 100 ? -ENOENT : -EINVAL));
	for (bit = 7; bit < 32; bit++) {
		EXPECT(mal_heap_free(&heap, 1u << bit, 0) == -EINVAL);
		EXPECT(mal_heap_free(&heap, -(1u << bit), 0) == -EINVAL);
	}
	EXPECT(mal_heap_free(&heap, MAL_NONE, 0) == -EINVAL);
	EXPECT_SOUND(&heap);
	EXPECT(heap.used_blocks == 1 && heap.free == 70);
	heap_drop(&heap);
}

static void free_twice(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(take(&heap, 10) == 0 && take(&heap, 10) == 10 && take(&heap, 10) == 20);
	EXPECT(mal_heap_free(&heap, 10, 10) == 0);
	EXPECT(mal_heap_free(&heap, 10, 10) == -ENOENT);
	EXPECT(mal_heap_free(&heap, 0, 10) == 0);
	/* By now 10 is inside a free block, and its old tag is still there. */
	EXPECT(mal_heap_free(&heap, 10, 10) == -ENOENT);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* Old tags inside a block, of blocks that were there before, are not believed. */
static void free_inside_a_block(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(take(&heap, 10) == 0 && take(&heap, 10) == 10 && take(&heap, 10) == 20);
	heap.tags[15] = (struct mal_tag) { .word = 5 | MAL_TAG_USED };
	EXPECT(mal_heap_free(&heap, 15, 5) == -ENOENT);
	EXPECT(mal_heap_free(&heap, 19, 10) == -ENOENT);
	EXPECT(heap.used_blocks == 3);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void free_with_wrong_size(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(take(&heap, 10) == 0);
	EXPECT(mal_heap_free(&heap, 0, 9) == -ERANGE);
	EXPECT(mal_heap_free(&heap, 0, 11) == -ERANGE);
	EXPECT(mal_heap_free(&heap, 0, 10 | MAL_TAG_USED) == -ERANGE);
	EXPECT(mal_heap_free(&heap, 0, ~0u) == -ERANGE);
	EXPECT(heap.used_blocks == 1 && heap.free == 20);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_free(&heap, 0, 10) == 0);
	heap_drop(&heap);
}

/* From the beginning, the middle, the end of a block, and all of it. */
static void free_a_part(void)
{
	static const struct {
		u32 place, size, blocks, free_at, free;
	} parts[] = {
		{ 10, 3, 3, 10, 3 }, { 14, 3, 4, 14, 3 }, { 17, 3, 3, 17, 3 },
		{ 10, 10, 2, 10, 10 }, { 10, 1, 3, 10, 1 }, { 15, 1, 4, 15, 1 },
		{ 19, 1, 3, 19, 1 }, { 11, 8, 4, 11, 8 },
	};
	struct mal_heap heap;
	u32 i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		heap = heap_make(30);
		EXPECT(mal_heap_alloc_at(&heap, 0, 10, 5) == 0);
		EXPECT(mal_heap_alloc_at(&heap, 10, 10, 77) == 0);
		EXPECT(mal_heap_alloc_at(&heap, 20, 10, 6) == 0);
		EXPECT(mal_heap_free_part(&heap, parts[i].place, parts[i].size) == 0);
		EXPECT_SOUND(&heap);
		EXPECT(heap.used_blocks == parts[i].blocks && heap.free == parts[i].free);
		EXPECT(!mal_block_used(&heap, parts[i].free_at) &&
		       mal_block_size(&heap, parts[i].free_at) == parts[i].free);
		if (parts[i].place > 10)
			EXPECT(mal_block_owner(&heap, 10) == 77 &&
			       mal_block_size(&heap, 10) == parts[i].place - 10);
		if (parts[i].place + parts[i].size < 20)
			EXPECT(mal_block_owner(&heap, parts[i].place + parts[i].size) == 77);
		heap_drop(&heap);
	}
}

/* The part is merged with what is free beside it; nothing else is given back. */
static void free_parts_merge(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 10, 10, 77) == 0);
	EXPECT(mal_heap_free_part(&heap, 10, 2) == 0);
	EXPECT(mal_heap_free_part(&heap, 18, 2) == 0);
	EXPECT(heap.free_blocks == 2 && mal_block_size(&heap, 0) == 12);
	EXPECT(mal_block_size(&heap, 12) == 6 && mal_block_owner(&heap, 12) == 77);
	EXPECT(mal_block_size(&heap, 18) == 12);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_free_part(&heap, 14, 2) == 0);
	EXPECT(mal_heap_free_part(&heap, 16, 2) == 0);
	EXPECT(mal_heap_free_part(&heap, 12, 2) == 0);
	EXPECT(heap.free == 30 && heap.free_blocks == 1 && heap.used_blocks == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void free_of_no_part(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 10, 5, 0) == 0 && mal_heap_alloc_at(&heap, 15, 5, 0) == 0);
	EXPECT(mal_heap_free_part(&heap, 10, 0) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, 29, 2) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, 0, 31) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, 30, 1) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, 12, MAL_NONE) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, MAL_NONE, 2) == -EINVAL);
	EXPECT(mal_heap_free_part(&heap, 9, 2) == -ENOENT);
	EXPECT(mal_heap_free_part(&heap, 0, 1) == -ENOENT);
	EXPECT(mal_heap_free_part(&heap, 29, 1) == -ENOENT);
	EXPECT(mal_heap_free_part(&heap, 14, 2) == -ENOENT);
	EXPECT(mal_heap_free_part(&heap, 19, 2) == -ENOENT);
	EXPECT(heap.used_blocks == 2 && heap.free == 20);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* On a heap of three bitmap levels, with blocks of all sizes, for every granule. */
static void block_of_every_granule(void)
{
	struct mal_heap heap = heap_make(20000);
	u64 seed = 7;
	u32 at, head, end;

	for (at = 0; at < 20000; at += mal_block_size(&heap, at))
		EXPECT(take(&heap, random_upto(&seed, at < 9000 ? 5 : 9000)) == at ||
		       !mal_block_used(&heap, at));
	head = 0;
	end = mal_block_size(&heap, 0);
	for (at = 0; at < 20000; at++) {
		if (at == end) {
			head = at;
			end += mal_block_size(&heap, at);
		}
		EXPECT(mal_heap_block_of(&heap, at) == head);
	}
	heap_drop(&heap);
}

static void largest(void)
{
	static const u32 sizes[] = { 3, 641, 1, 700, 130, 671, 64, 700 };
	static const u32 then[] = { 82, 641, 641, 700, 700, 700, 700, 700 };
	struct mal_heap heap = heap_make(3000);
	u32 place[8], i;

	for (i = 0; i < 8; i++) {
		place[i] = take(&heap, sizes[i]);
		take(&heap, 1);		/* so that none has a free neighbour */
	}
	EXPECT(mal_heap_largest(&heap) == 82);
	for (i = 0; i < 8; i++) {
		EXPECT(mal_heap_free(&heap, place[i], sizes[i]) == 0);
		EXPECT(mal_heap_largest(&heap) == then[i]);
	}
	EXPECT(take(&heap, 700) != MAL_NONE && take(&heap, 700) != MAL_NONE);
	EXPECT(mal_heap_largest(&heap) == 671);
	EXPECT(take(&heap, 671) != MAL_NONE);
	EXPECT(mal_heap_largest(&heap) == 641);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void fit_by_name(void)
{
	static const char *const names[] = { "good", "first", "best", "worst", "next" };
	u32 i;

	for (i = 0; mal_fits[i]; i++)
		EXPECT(!strcmp(mal_fits[i]->name, names[i]) &&
		       mal_fit_by_name(names[i]) == mal_fits[i]);
	EXPECT(i == sizeof(names) / sizeof(*names));
	EXPECT(mal_fit_by_name("good") == &mal_fit_good);
	EXPECT(mal_fits[0] == &mal_fit_good);
	EXPECT(!mal_fit_by_name("goo"));
	EXPECT(!mal_fit_by_name("goods"));
	EXPECT(!mal_fit_by_name(""));
}

static const struct tap_test tests[] = {
	{ "heap of one granule", one_granule },
	{ "blocks of one granule", blocks_of_one },
	{ "whole heap", whole_heap },
	{ "split", split },
	{ "coalesce with none", coalesce_with_none },
	{ "coalesce with the block before", coalesce_with_before },
	{ "coalesce with the block after", coalesce_with_after },
	{ "coalesce with both", coalesce_with_both },
	{ "owner is kept", owner_is_kept },
	{ "alloc of nothing: MAL_NONE", alloc_of_nothing },
	{ "alloc of too much: MAL_NONE", alloc_of_too_much },
	{ "alloc of one granule too many: MAL_NONE", alloc_of_one_too_many },
	{ "free of what is no used block: EINVAL, ENOENT", free_of_anything_else },
	{ "free twice: ENOENT", free_twice },
	{ "free inside a block: ENOENT", free_inside_a_block },
	{ "free with the wrong size: ERANGE", free_with_wrong_size },
	{ "free a part", free_a_part },
	{ "free parts, which merge", free_parts_merge },
	{ "free of what is no part: EINVAL, ENOENT", free_of_no_part },
	{ "block of every granule", block_of_every_granule },
	{ "largest free block", largest },
	{ "fit by name", fit_by_name },
};

int main(void)
{
	return TAP_RUN(tests);
}
