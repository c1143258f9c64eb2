/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A tree of free blocks, for the exact fits. An exact fit puts the blocks in an order,
 * by address or by size, and picks the first block that is large enough.
 *
 * The key of a block is its address, or in an order by size, its size followed by its
 * address; no two keys are equal. The tree is a digital search tree (D. E. Knuth, The
 * Art of Computer Programming, vol. 3, section 6.3), as good fit's tries are: the keys
 * of a node at depth d and of all nodes below it have the same d highest bits; the
 * next bit of a lower node's key says on which side that node hangs. Nodes have no
 * other order: a new node goes to the first empty place on its key's path, and when
 * a node is removed, any leaf below can take its place. So nothing is ever balanced.
 * A path has at most as many nodes as a key has bits: the last bit never tells two
 * blocks apart, since no two free blocks are neighbours.
 *
 * Each node also has the size of the largest block in its subtree. All blocks on the
 * side of the zeros come before all blocks on the side of the ones, so the first block
 * that is large enough is found on one path.
 *
 * An order by size has one tree for each range of sizes from 2^b to 2^(b+1) - 1. A key
 * in that tree has b bits more than an address, so the keys of small blocks are short.
 *
 * The links of a block are in its head tag, so a block of one granule has room for them:
 * the children in link[], the size of the largest block in link0.
 */
#ifndef MAL_TREE_H
#define MAL_TREE_H

#include "fit.h"

/* One tree for each range of sizes from 2^b on, up to MAL_HEAP_MAX. */
#define MAL_TREE_ROOTS	31

/* The most nodes on a path: the bits of an address and of a size. */
#define MAL_TREE_PATH	(30 + 30)

/*
 * No call takes more steps. A find takes two steps per node, a removal four, an insertion
 * one; no call does more than two of each, nor all of these. 50 is for what is done once.
 * By address, paths are half as long.
 */
#define MAL_TREE_STEPS	(10 * MAL_TREE_PATH + 50)

struct mal_tree {
	u32 filled;			/* a bitmap: which roots are not MAL_NONE */
	u32 by_size;			/* the order of the blocks; 0: by address */
	u32 root[MAL_TREE_ROOTS];	/* an order by address has only the first */
};

/* The bits of an address, which is a granule's number. */
static inline unsigned int mal_tree_address_bits(const struct mal_heap *heap)
{
	return mal_high_bit((heap->granules - 1) | 1) + 1;
}

/* The tag of a node; counted as a visit of the node. */
static inline struct mal_tag *mal_tree_node(const struct mal_heap *heap, u32 node)
{
	mal_step();
	return &heap->tags[node];
}

/* Is there a block of @size or more in the subtree at @node, which may be MAL_NONE? */
static inline bool mal_tree_has_room(const struct mal_heap *heap, u32 node, u32 size)
{
	return node != MAL_NONE && mal_tree_node(heap, node)->link0 >= size;
}

/* For a struct mal_fit: */
size_t mal_tree_bytes(u32 granules);
void mal_tree_init(struct mal_heap *heap);
void mal_tree_init_by_size(struct mal_heap *heap);
void mal_tree_insert(struct mal_heap *heap, u32 head, u32 size);
void mal_tree_remove(struct mal_heap *heap, u32 head, u32 size);
u32 mal_tree_find(const struct mal_heap *heap, u32 size);
u32 mal_tree_take(struct mal_heap *heap, u32 size);
u32 mal_tree_largest(const struct mal_heap *heap);
const char *mal_tree_check_block(const struct mal_heap *heap, u32 head, u32 size);
const char *mal_tree_check(const struct mal_heap *heap);

/*
 * The first block of @size or more among @other, a block of @size or more or MAL_NONE,
 * and the subtree at @node, which may be MAL_NONE.
 */
u32 mal_tree_first(const struct mal_heap *heap, u32 node, u32 size, u32 other);

#endif /* MAL_TREE_H */
