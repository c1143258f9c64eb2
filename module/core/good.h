/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The data structures of good fit. good.c has the algorithm, good_check.c the checks. */
#ifndef MAL_GOOD_H
#define MAL_GOOD_H

#include "fit.h"

#define GOOD_CLASS_BITS	6
#define GOOD_CLASSES		64	/* 2^GOOD_CLASS_BITS: of a range, and in a bitmap word */
#define GOOD_OPEN_MIN		128	/* sizes from here on have open bits */
#define GOOD_WORDS		26	/* of bitmap, for sizes up to MAL_HEAP_MAX */

/*
 * The links of a free block; @size leads to its foot tag. Each block has @next, in
 * link0 of its head tag, and @prev, in link[1] of its foot tag: a block of one granule,
 * whose head and foot are one tag, has room for both. A node of a trie also has
 * @parent, in link[0] of its foot tag, and two children, in link[] of its head tag, so
 * that a walk down a trie reads only head tags. The @word of a free block is its size.
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
	u64 class_bits[GOOD_WORDS];	/* a bitmap: which classes have a block */
	u32 word_bits;		/* a bitmap: which words of @class_bits are not 0 */
	u32 first[];		/* per class: first of the list, root of the trie, or MAL_NONE */
};

/* How many low bits of a size are open in its class. */
static inline unsigned int open_bits(u32 size)
{
	return mal_high_bit(size | GOOD_CLASSES) - GOOD_CLASS_BITS;
}

/*
 * A larger size has the same class or a higher one. Below GOOD_OPEN_MIN, the class is the size.
 * From GOOD_OPEN_MIN on, all sizes of a range, 2^b to 2^(b+1) - 1, have the same number of open
 * bits, and without these bits they are 64 to 127.
 */
static inline u32 class_of(u32 size)
{
	unsigned int open = open_bits(size);

	return open * GOOD_CLASSES + (size >> open);
}

const char *mal_good_check_block(const struct mal_heap *heap, u32 head, u32 size);
const char *mal_good_check(const struct mal_heap *heap);

#endif /* MAL_GOOD_H */
