/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A tree of free blocks, for the exact fits: each of them is an order of the
 * blocks, of which it picks the first that is large enough.
 *
 * A block's key is its address or, by size, its size and then its
 * address; no two are equal. The tree is a digital search tree (D. E. Knuth, The
 * Art of Computer Programming, vol. 3, section 6.3), as good fit's tries are: a
 * node at depth d agrees with all that hang below it in the d highest bits of
 * the key, and the next bit says on which side they hang. Besides that nodes are in
 * no order: a new one goes to the first empty place on its key's path, and any leaf
 * below can take the place of one that leaves. So nothing is ever balanced, and a
 * path has at most as many nodes as a key has bits, whatever the blocks: the last bit
 * tells no two of them apart, since no two free blocks are neighbours.
 *
 * Each node also has the size of the largest block from it down. All that hangs on
 * the side of the zeros comes before all on the side of the ones, so the first
 * block that is large enough is found on one path.
 *
 * By size, there is one tree for each range from 2^b to 2^(b+1) - 1, so that the
 * keys of small blocks are not longer than those of an address.
 *
 * A block's links are in its head tag: the children in link[], the size of the
 * largest in link0. So one granule is enough for them.
 */
#ifndef MAL_TREE_H
#define MAL_TREE_H

#include "fit.h"

/* One for each size from 2^b on, up to MAL_HEAP_MAX. */
#define MAL_TREE_ROOTS	31

/* The most nodes on a path: the bits of an address and of a size. */
#define MAL_TREE_PATH	(30 + 30)

/*
 * No call takes more steps: two finds of two a node, two removals of four, two
 * insertions of one, of which no call does all; and what is done once. By address, half
 * of that.
 */
#define MAL_TREE_STEPS	(10 * MAL_TREE_PATH + 50)

struct mal_tree {
	u32 filled;			/* roots that are not MAL_NONE */
	u32 by_size;			/* the order of the blocks; 0: by address */
	u32 root[MAL_TREE_ROOTS];	/* by address, only the first */
};

/* Bits of a granule's number. */
static inline unsigned int mal_tree_address_bits(const struct mal_heap *heap)
{
	return mal_high_bit((heap->granules - 1) | 1) + 1;
}

/* The tag of a node: a visit of it. */
static inline struct mal_tag *mal_tree_node(const struct mal_heap *heap, u32 node)
{
	mal_step();
	return &heap->tags[node];
}

/* Is there a block of @size or more from @node, which may be MAL_NONE, down? */
static inline bool mal_tree_has_room(const struct mal_heap *heap, u32 node, u32 size)
{
	return node != MAL_NONE && mal_tree_node(heap, node)->link0 >= size;
}

/* Of a struct mal_fit: */
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
 * The first block of @size or more from @node down, or @other, which may be MAL_NONE,
 * if that comes before it.
 */
u32 mal_tree_first(const struct mal_heap *heap, u32 node, u32 size, u32 other);

#endif /* MAL_TREE_H */
