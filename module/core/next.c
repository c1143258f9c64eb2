// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Next fit: a search begins at the rover, which is where the last block that was taken
 * ends. Of the free blocks that are large enough, next fit picks the one of lowest address
 * from the rover on, or if there is none, the one of lowest address. Requests with
 * constraints begin at the rover, too, but do not move it.
 */
#include "tree.h"

struct next {
	struct mal_tree tree;	/* comes first: tree.c takes the index for a mal_tree */
	u32 rover;		/* where the last block that was taken ends */
};

static size_t next_index_bytes(u32 granules)
{
	(void)granules;
	return sizeof(struct next);
}

/* The first block of @size or more that begins at @from or later, or MAL_NONE. */
static u32 find_from(const struct mal_heap *heap, u32 size, u32 from)
{
	const struct next *next = heap->index;
	unsigned int bits = mal_tree_address_bits(heap);
	u32 node = next->tree.root[0];
	u32 found = MAL_NONE, later = MAL_NONE;
	const struct mal_tag *tag;

	/*
	 * Along the path of @from. Subtrees on its side of the ones come after @from, and the
	 * last one on the path comes first.
	 */
	while (mal_tree_has_room(heap, node, size)) {
		tag = &heap->tags[node];
		if (tag->word >= size && node >= from && node < found)
			found = node;
		if (from >> --bits & 1) {
			node = tag->link[1];
		} else {
			if (mal_tree_has_room(heap, tag->link[1], size))
				later = tag->link[1];
			node = tag->link[0];
		}
	}
	return mal_tree_first(heap, later, size, found);
}

static u32 next_find(const struct mal_heap *heap, u32 size)
{
	const struct next *next = heap->index;
	u32 found = MAL_NONE;

	if (next->rover < heap->granules)
		found = find_from(heap, size, next->rover);
	if (found == MAL_NONE)
		found = mal_tree_find(heap, size);
	return found;
}

static u32 next_take(struct mal_heap *heap, u32 size)
{
	struct next *next = heap->index;
	u32 head = mal_tree_take(heap, size);

	if (head != MAL_NONE)
		next->rover = head + size;
	return head;
}

static const char *next_check(const struct mal_heap *heap)
{
	const struct next *next = heap->index;

	if (next->rover > heap->granules)
		return "next fit: the rover is outside the heap";
	return mal_tree_check(heap);
}

const struct mal_fit mal_fit_next = {
	.name = "next",
	.index_bytes = next_index_bytes,
	.init = mal_tree_init,
	.insert = mal_tree_insert,
	.remove = mal_tree_remove,
	.find = next_find,
	.take = next_take,
	.largest = mal_tree_largest,
	.check_block = mal_tree_check_block,
	.check = next_check,
};
