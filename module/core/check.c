// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Checks whether a heap is consistent. Whatever the heap holds, nothing beyond it is read. */
#include "fit.h"

/* Does a block end where the block at @head begins? Its foot tag and its head tag tell. */
static bool follows_a_block(const struct mal_heap *heap, u32 head)
{
	u32 size;

	if (!head)
		return true;
	size = mal_block_size(heap, head - 1);
	return size && size <= head && mal_is_head(heap, head - size) &&
	       heap->tags[head - size].word == heap->tags[head - 1].word;
}

/*
 * Check a block whose head is in the bitmap: its tags, and that blocks are next to it on
 * both sides. If this holds for all heads in the bitmap, and a block begins at granule 0,
 * the bitmap has the heads of all blocks, and no others.
 */
static const char *check_block(const struct mal_heap *heap, u32 head)
{
	u32 size, next;

	if (head >= heap->granules || !follows_a_block(heap, head))
		return "the bitmap has a head where no block begins";
	size = mal_block_size(heap, head);
	if (!size || size > heap->granules - head)
		return "a block is empty or leaves the heap";
	if (heap->tags[head].word != heap->tags[head + size - 1].word)
		return "head and foot of a block differ";
	next = head + size;
	if (next < heap->granules && !mal_is_head(heap, next))
		return "a block's head is not in the bitmap";
	if (!mal_block_used(heap, head) && next < heap->granules && !mal_block_used(heap, next))
		return "two free blocks are neighbours";
	return NULL;
}

/* Check that the index has the block at @head, if it should. */
static const char *check_indexed(const struct mal_heap *heap, u32 head)
{
	if (mal_block_used(heap, head) || !mal_is_indexed(heap, head))
		return NULL;
	return heap->fit->check_block(heap, head, mal_block_size(heap, head));
}

/*
 * Check the summary bit of word @word of the bitmap, and of each word above it whose first bit
 * this is.
 */
static const char *check_summaries(const struct mal_heap *heap, u32 word)
{
	u32 words = mal_map_words(heap->granules);
	unsigned int level;

	for (level = 1; level < MAL_MAP_LEVELS; level++) {
		if (!(heap->map[level][word / 64] >> word % 64 & 1) != !heap->map[level - 1][word])
			return "a summary of the bitmap is wrong";
		/* This is the last bit in use: the rest of its word must be 0. */
		if (word == words - 1 && word % 64 != 63 &&
		    heap->map[level][word / 64] >> (word % 64 + 1))
			return "a summary of the bitmap has bits beyond its end";
		if (word % 64)
			break;
		word /= 64;
		words = mal_map_words(words);
	}
	return NULL;
}

const char *mal_heap_check_slice(const struct mal_heap *heap, u32 *cursor)
{
	const u32 end = mal_map_words(heap->granules) * 64;
	const char *wrong = NULL;
	u32 n, blocks = 0;

	if (heap->indexed > heap->granules)
		return "the indexed part ends beyond the heap";
	if (!(heap->map[0][0] & 1))
		return "a block's head is not in the bitmap";
	for (n = 0; !wrong && n < MAL_CHECK_WORDS; n++) {
		bool index_pass = *cursor >= end;
		u32 at = index_pass ? *cursor - end : *cursor;
		u64 heads = heap->map[0][at / 64] & ~0ull << at % 64;

		for (; !wrong && heads; heads &= heads - 1) {
			u32 head = at / 64 * 64 + mal_low_bit64(heads);

			if (blocks++ == MAL_CHECK_BLOCKS) {
				*cursor += head - at;
				return NULL;
			}
			wrong = index_pass ? check_indexed(heap, head) : check_block(heap, head);
		}
		if (!wrong && !index_pass)
			wrong = check_summaries(heap, at / 64);
		*cursor += 64 - at % 64;
		if (*cursor == 2 * end) {
			*cursor = MAL_NONE;
			break;
		}
	}
	return wrong;
}

/* Check the counters. The blocks have been checked before. */
static const char *check_counters(const struct mal_heap *heap)
{
	u32 free = 0, free_blocks = 0, used_blocks = 0;
	u32 head, size;

	for (head = 0; head < heap->granules; head += size) {
		size = mal_block_size(heap, head);
		if (mal_block_used(heap, head)) {
			used_blocks++;
		} else {
			free_blocks++;
			free += size;
		}
	}
	if (heap->free != free)
		return "the count of free granules is wrong";
	if (heap->free_blocks != free_blocks || heap->used_blocks != used_blocks)
		return "the count of blocks is wrong";
	return NULL;
}

const char *mal_heap_check(const struct mal_heap *heap)
{
	const char *wrong = NULL;
	u32 cursor = 0;

	while (!wrong && cursor != MAL_NONE)
		wrong = mal_heap_check_slice(heap, &cursor);
	if (!wrong)
		wrong = check_counters(heap);
	if (!wrong)
		wrong = heap->fit->check(heap);
	return wrong;
}
