// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Best fit: the smallest free block that is large enough; of several of that size,
 * the one of lowest address.
 */
#include "tree.h"

const struct mal_fit mal_fit_best = {
	.name = "best",
	.index_bytes = mal_tree_bytes,
	.init = mal_tree_init_by_size,
	.insert = mal_tree_insert,
	.remove = mal_tree_remove,
	.find = mal_tree_find,
	.take = mal_tree_take,
	.largest = mal_tree_largest,
	.check_block = mal_tree_check_block,
	.check = mal_tree_check,
};
