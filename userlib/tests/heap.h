/* SPDX-License-Identifier: MIT */
/* What tests of heaps share. */
#ifndef HEAP_H
#define HEAP_H

#include <memalloc_heap.h>

#include "probe.h"
#include "region.h"

static inline struct memalloc_heap *create(struct memalloc_heap_config config)
{
	struct memalloc_heap *heap;

	config.size = sizeof(config);
	need(memalloc_heap_create(mem, &config, &heap), "heap_create");
	return heap;
}

static inline char *alloc(struct memalloc_heap *heap, size_t size)
{
	void *block;

	need(memalloc_heap_alloc(heap, size, &block), "heap_alloc");
	return block;
}

static inline struct memalloc_heap_stats stats_of(struct memalloc_heap *heap)
{
	struct memalloc_heap_stats stats;

	need(memalloc_heap_get_stats(heap, &stats, sizeof(stats)), "heap_get_stats");
	return stats;
}

struct walk {
	struct memalloc_heap *heap;
	char *next;
	uint64_t free, largest_free, free_blocks, used, requested, blocks;
	bool orderly;
	int end_after;
};

static inline void walk_block(const struct memalloc_heap_block *block, struct walk *walk)
{
	walk->orderly &= block->length && (!walk->next || (char *)block->address >= walk->next);
	walk->next = (char *)block->address + block->length;
	if (block->requested) {
		walk->used += block->length;
		walk->requested += block->requested;
		walk->blocks++;
		return;
	}
	walk->free += block->length;
	walk->free_blocks++;
	if (block->length > walk->largest_free)
		walk->largest_free = block->length;
}

static inline int visit(const struct memalloc_heap_block *block, void *data)
{
	struct walk *walk = data;

	/* A visitor may use the heap. */
	walk->orderly &= memalloc_heap_owns(walk->heap, block->address) == !!block->requested;
	walk_block(block, walk);
	return --walk->end_after == 0 ? 17 : 0;
}

#endif /* HEAP_H */
