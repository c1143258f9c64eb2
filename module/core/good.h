/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How good fit keeps its blocks, for good.c, which has the algorithm, and for its checks. */
#ifndef MAL_GOOD_H
#define MAL_GOOD_H

#include "fit.h"

#define CLASS_BITS	6
#define CLASSES		64	/* 2^CLASS_BITS: of a range, and bits in a bitmap's word */
#define OPEN		128	/* sizes from here on have open bits */
#define WORDS		26	/* of bitmap, for sizes up to MAL_HEAP_MAX */

/*
 * A free block's links, which need its size to find its foot tag. All blocks have
 * @next, in the head tag's link0, and @prev, in the foot tag's link[1]: a block of
 * one granule, whose head and foot are one tag, has room for both. A node has
 * @parent in the foot tag's link[0] and two children in the head tag's link[], so
 * that a walk down a trie reads head tags only. Their @word is nothing but the size.
 */
static inline u32 *next_of(struct mal_tag *tags, u32 head)
{
	mal_step();
	return &tags[head].link0;
}

static inline u32 *prev_of(struct mal_tag *tags, u32 head, u32 size)
{
	mal_step();
	return &tags[head + size - 1].link[1];
}

static inline u32 *parent_of(struct mal_tag *tags, u32 node, u32 size)
{
	mal_step();
	return &tags[node + size - 1].link[0];
}

static inline u32 *children_of(struct mal_tag *tags, u32 node)
{
	mal_step();
	return tags[node].link;
}

struct good {
	u64 filled[WORDS];	/* classes that have a block */
	u32 words;		/* words of @filled that are not 0 */
	u32 first[];		/* of each class: of the list, root of the trie, or MAL_NONE */
};

/* How many low bits of a size are open in its class. */
static inline unsigned int open_bits(u32 size)
{
	return mal_high_bit(size | CLASSES) - CLASS_BITS;
}

/*
 * Larger sizes have the same class or a higher one. Below OPEN the class is the
 * size. From there on, each count of open bits is that of one range, whose sizes
 * without those bits are 64 to 127.
 */
static inline u32 class_of(u32 size)
{
	unsigned int open = open_bits(size);

	return open * CLASSES + (size >> open);
}

const char *mal_good_check_block(const struct mal_heap *heap, u32 head, u32 size);
const char *mal_good_check(const struct mal_heap *heap);

#endif /* MAL_GOOD_H */
