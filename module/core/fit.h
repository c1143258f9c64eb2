/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A fit: the strategy that indexes the free blocks of a heap and picks the one
 * that serves a request. To add a fit, write a file with its table, declare the
 * table below and add it to mal_fits[] in fit.c.
 *
 * A fit keeps its links in the tags of free blocks: in link0 and link[] of the head
 * tag and, if the block has two granules or more, in link0 and link[] of the foot
 * tag. A fit never changes a tag's word or the bitmap of heads.
 */
#ifndef MAL_FIT_H
#define MAL_FIT_H

#include "heap.h"

struct mal_fit {
	const char *name;

	/*
	 * Bytes of index that a heap of @granules needs beside its tags. Clearing
	 * them is what takes longest in a switch.
	 */
	size_t (*index_bytes)(u32 granules);

	/* Make an index of no block; its memory is zeros. */
	void (*init)(struct mal_heap *heap);

	/* Add the free block at @head, of @size, to the index; both its tags are written. */
	void (*insert)(struct mal_heap *heap, u32 head, u32 size);

	/* Remove the free block at @head, of @size, from the index; its tags change later. */
	void (*remove)(struct mal_heap *heap, u32 head, u32 size);

	/*
	 * Pick one of the free blocks of @size or more, by the rule of the fit; MAL_NONE
	 * if there is none. @size is 1 to @heap->granules. Changes nothing.
	 */
	u32 (*find)(const struct mal_heap *heap, u32 size);

	/* find() and remove() in one: pick a block, and remove it from the index. */
	u32 (*take)(struct mal_heap *heap, u32 size);

	/* Granules of the largest block in the index; 0 if the index has none. */
	u32 (*largest)(const struct mal_heap *heap);

	/*
	 * What mal_heap_check() calls for the index: check_block() for each free block
	 * that the index should have, and then check() for the rest. Tags and bitmap
	 * have been checked before. Links may have any value: neither function may
	 * read outside the arrays.
	 */
	const char *(*check_block)(const struct mal_heap *heap, u32 head, u32 size);
	const char *(*check)(const struct mal_heap *heap);
};

extern const struct mal_fit mal_fit_good;
extern const struct mal_fit mal_fit_first;
extern const struct mal_fit mal_fit_best;
extern const struct mal_fit mal_fit_worst;
extern const struct mal_fit mal_fit_next;

/* All fits, the default first; NULL ends the list. */
extern const struct mal_fit *const mal_fits[];

/* The fit of that name, or NULL. */
const struct mal_fit *mal_fit_by_name(const char *name);

/* Does a block begin at @granule, which is inside the heap? */
static inline bool mal_is_head(const struct mal_heap *heap, u32 granule)
{
	mal_step();
	return heap->map[0][granule / 64] >> granule % 64 & 1;
}

/* Does the index have the free block at @head? During a switch, it does not have all yet. */
static inline bool mal_is_indexed(const struct mal_heap *heap, u32 head)
{
	return head < heap->indexed;
}

/* Is @link, which may have any value, the head of a free block in the index? */
static inline bool mal_is_free_head(const struct mal_heap *heap, u32 link)
{
	return mal_is_indexed(heap, link) && mal_is_head(heap, link) &&
	       !mal_block_used(heap, link);
}

/*
 * The first free block in the index that begins at @head or later; the end of the heap if
 * there is none. A block, or the end, is at @head. Only for checks: it looks at each block.
 */
static inline u32 mal_next_indexed(const struct mal_heap *heap, u32 head)
{
	while (head < heap->granules && (mal_block_used(heap, head) || !mal_is_indexed(heap, head)))
		head += mal_block_size(heap, head);
	return head;
}

#endif /* MAL_FIT_H */
