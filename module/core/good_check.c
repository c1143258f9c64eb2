// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Checks whether the lists, tries and bitmaps of good fit are consistent. */
#include "good.h"

/*
 * Is @link, which may have any value, the head of a free block of @class that is the
 * first of its list and, in a trie, a child of @parent?
 */
static bool is_first(const struct mal_heap *heap, u32 link, u32 class, u32 parent)
{
	u32 size;

	if (!mal_is_free_head(heap, link))
		return false;
	size = mal_block_size(heap, link);
	return class_of(size) == class && *prev_of(heap->tags, link, size) == MAL_NONE &&
	       (class < GOOD_OPEN_MIN || *parent_of(heap->tags, link, size) == parent);
}

/* Check the links between the free block at @head and its neighbours in the list. */
static const char *check_list(const struct mal_heap *heap, u32 head, u32 size)
{
	u32 next = *next_of(heap->tags, head);
	u32 prev = *prev_of(heap->tags, head, size);

	if (next != MAL_NONE &&
	    (!mal_is_free_head(heap, next) || mal_block_size(heap, next) != size ||
	     *prev_of(heap->tags, next, size) != head))
		return "good fit: a list is broken after a block";
	if (prev != MAL_NONE &&
	    (!mal_is_free_head(heap, prev) || mal_block_size(heap, prev) != size ||
	     *next_of(heap->tags, prev) != head))
		return "good fit: a list is broken before a block";
	return NULL;
}

/* Check that the path of @size leads to @first, and its children hang on the right sides. */
static const char *check_path(const struct mal_heap *heap, u32 first, u32 size)
{
	const struct good *good = heap->index;
	unsigned int open = open_bits(size);
	u32 class = class_of(size);
	u32 at = good->first[class];
	u32 parent = MAL_NONE;
	u32 side, child;

	/* Check that a node is one before its links are read. */
	while (is_first(heap, at, class, parent) && at != first && open) {
		parent = at;
		at = children_of(heap->tags, at)[size >> --open & 1];
	}
	if (at != first || !is_first(heap, at, class, parent))
		return "good fit: the path of a size does not lead to its block";
	if (class < GOOD_OPEN_MIN)
		return NULL;

	for (side = 0; side < 2; side++) {
		child = children_of(heap->tags, first)[side];
		if (child == MAL_NONE)
			continue;
		if (!open || !is_first(heap, child, class, first) ||
		    (mal_block_size(heap, child) >> (open - 1) & 1) != side)
			return "good fit: a block has a wrong child";
	}
	return NULL;
}

/* Check the bitmap of classes, its summary, and the first block of each class. */
static const char *check_classes(const struct mal_heap *heap)
{
	const struct good *good = heap->index;
	u32 last = class_of(heap->granules);
	u32 words = 0;
	u32 class, first;

	for (class = 0; class < GOOD_WORDS * GOOD_CLASSES; class++) {
		first = class <= last ? good->first[class] : MAL_NONE;
		if (good->class_bits[class / GOOD_CLASSES] >> class % GOOD_CLASSES & 1) {
			if (!is_first(heap, first, class, MAL_NONE))
				return "good fit: a class begins with a wrong block";
			words |= 1u << class / GOOD_CLASSES;
		} else if (first != MAL_NONE) {
			return "good fit: a class that has a block is not in the bitmap";
		}
	}
	if (good->word_bits != words)
		return "good fit: the summary of the bitmap is wrong";
	return NULL;
}

const char *mal_good_check_block(const struct mal_heap *heap, u32 head, u32 size)
{
	const char *wrong = check_list(heap, head, size);

	if (!wrong && *prev_of(heap->tags, head, size) == MAL_NONE)
		wrong = check_path(heap, head, size);
	return wrong;
}

const char *mal_good_check(const struct mal_heap *heap)
{
	u32 blocks = 0, listed = 0;
	u32 head, size, at;

	/* All links are mutual: only a block in a ring is in no list that has a first block. */
	for (head = mal_next_indexed(heap, 0); head < heap->granules;
	     head = mal_next_indexed(heap, head + size)) {
		size = mal_block_size(heap, head);
		blocks++;
		if (*prev_of(heap->tags, head, size) != MAL_NONE)
			continue;
		for (at = head; at != MAL_NONE; at = *next_of(heap->tags, at))
			listed++;
	}
	if (listed != blocks)
		return "good fit: a list is a ring";
	return check_classes(heap);
}
