// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Worst fit: the largest free block; of several of that size, the one of lowest
 * address.
 */
#include "tree.h"

static u32 worst_find(const struct mal_heap *heap, u32 size)
{
	u32 largest = mal_tree_largest(heap);

	return size <= largest ? mal_tree_find(heap, largest) : MAL_NONE;
}

const struct mal_fit mal_fit_worst = {
	.name = "worst",
	.index_bytes = mal_tree_bytes,
	.init = mal_tree_init_by_size,
	.insert = mal_tree_insert,
	.remove = mal_tree_remove,
	.find = worst_find,
	.take = mal_tree_take,
	.largest = mal_tree_largest,
	.check_block = mal_tree_check_block,
	.check = mal_tree_check,
};
