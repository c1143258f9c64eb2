/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A fit: the strategy that indexes the free blocks of a heap and picks the one
 * that serves a request. To add one, write a file with its table, declare that
 * below and add it to mal_fits[] in fit.c.
 *
 * A fit keeps its links in the tags of free blocks: link0 and link[] of the head
 * tag and, if the block has two granules or more, the same again in the foot
 * tag. It never touches a tag's word nor the bitmap of heads.
 */
#ifndef MAL_FIT_H
#define MAL_FIT_H

#include "heap.h"

struct mal_fit {
	const char *name;

	/*
	 * Bytes of index that a heap of @granules needs beside its tags. No switch
	 * takes longer than clearing them.
	 */
	size_t (*index_bytes)(u32 granules);

	/* Begin with no free block; the index is zeros. */
	void (*init)(struct mal_heap *heap);

	/* The block at @head, of @size, is free and both its tags say so: index it. */
	void (*insert)(struct mal_heap *heap, u32 head, u32 size);

	/* The free block at @head, of @size, is about to change: forget it. */
	void (*remove)(struct mal_heap *heap, u32 head, u32 size);

	/*
	 * The block that the rule picks among those of @size or more; or MAL_NONE.
	 * @size is 1 to the granules of the heap. Changes nothing.
	 */
	u32 (*find)(const struct mal_heap *heap, u32 size);

	/* Find such a block, and forget it: find() and remove() in one. */
	u32 (*take)(struct mal_heap *heap, u32 size);

	/* Granules of the largest free block; 0 if none is free. */
	u32 (*largest)(const struct mal_heap *heap);

	/*
	 * As mal_heap_check(), for the index: what is to be seen of the free block at
	 * @head, of @size; and then all the rest. Tags and bitmap have been checked
	 * before. Whatever the links are, read only inside the arrays.
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

/* Does the index have the free block that begins at @head? Not yet all, during a switch. */
static inline bool mal_is_indexed(const struct mal_heap *heap, u32 head)
{
	return head < heap->indexed;
}

/* Is @link, which may be anything, the head of a free block that is indexed? */
static inline bool mal_is_free_head(const struct mal_heap *heap, u32 link)
{
	return mal_is_indexed(heap, link) && mal_is_head(heap, link) &&
	       !mal_block_used(heap, link);
}

/*
 * The first free block from the one at @head on that is indexed; the end of the heap
 * if there is none. For checks: they go through all of them.
 */
static inline u32 mal_next_indexed(const struct mal_heap *heap, u32 head)
{
	while (head < heap->granules && (mal_block_used(heap, head) || !mal_is_indexed(heap, head)))
		head += mal_block_size(heap, head);
	return head;
}

#endif /* MAL_FIT_H */
