/* SPDX-License-Identifier: MIT */
/* The module's core, in a process. */
#ifndef CORE_H
#define CORE_H

#include <sys/mman.h>

#include "../../module/core/fit.h"

/* A heap of @granules with its tags, to be given to core_destroy(). Errors: mmap(2). */
static inline int core_create(struct mal_heap *heap, u32 granules, const struct mal_fit *fit)
{
	void *tags = mmap(NULL, mal_heap_bytes(granules), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (tags == MAP_FAILED)
		return -errno;
	mal_heap_init(heap, tags, granules, fit);
	return 0;
}

static inline void core_destroy(struct mal_heap *heap)
{
	munmap(heap->tags, mal_heap_bytes(heap->granules));
}

/* The largest alignment that blocks of a heap can have, in granules. */
static inline u32 core_max_align(const struct mal_heap *heap)
{
	return 1U << mal_high_bit(heap->granules);
}

/*
 * What to ask of @heap, with granules of 2^@shift bytes, for @length bytes at a multiple of @align.
 * -EINVAL: @length is 0, or @align no alignment of this heap; -EFBIG: the heap has never so much.
 */
static inline int core_request(const struct mal_heap *heap, unsigned int shift, u64 length,
			       u64 align, struct mal_request *req)
{
	const u64 more = (length - 1) >> shift;		/* granules, than one */

	if (!length || !align || align & (align - 1) || align >> shift > core_max_align(heap))
		return -EINVAL;
	if (more >= heap->granules)
		return -EFBIG;
	*req = (struct mal_request) {
		.size = more + 1,
		.align = align >> shift ? align >> shift : 1,
	};
	return 0;
}

/* A block for @req, wherever there is a place for it, or MAL_NONE. May look at all blocks. */
static inline u32 core_alloc(struct mal_heap *heap, const struct mal_request *req, u64 owner)
{
	u32 place = mal_heap_alloc(heap, req, owner);
	u32 cursor = 0;

	if (place == MAL_NONE && mal_heap_undecided(heap, req))
		place = mal_heap_sweep(heap, req, owner, &cursor, heap->granules);
	return place;
}

#endif /* CORE_H */
