/* SPDX-License-Identifier: MIT */
/* The module's core, in a process. */
#ifndef CORE_H
#define CORE_H

#include "../../module/core/fit.h"

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
