// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena: a heap under a spinlock, with its figures. Nothing that is done
 * under the lock takes longer with more blocks or pages; what has to look at all
 * blocks does so in slices and drops the lock between them.
 */
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/memalloc.h>

#include "arena.h"
#include "buffer.h"
#include "core/fit.h"

int mal_arena_init(struct mal_arena *arena, u32 pages, const struct mal_fit *fit, int node)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;
	size_t bytes = mal_heap_bytes(pages);

	arena->memory = kvmalloc_node(bytes, gfp, node);
	/* The tags of a very large region are more than that allows. */
	if (!arena->memory && bytes > INT_MAX)
		arena->memory = __vmalloc(bytes, gfp);
	if (!arena->memory) {
		pr_err("no memory for the tags, %zu KiB\n", bytes >> 10);
		return -ENOMEM;
	}
	spin_lock_init(&arena->lock);
	mutex_init(&arena->switching);
	mal_heap_init(&arena->heap, arena->memory, pages, fit);
	return 0;
}

void mal_arena_destroy(struct mal_arena *arena)
{
	mutex_destroy(&arena->switching);
	kvfree(arena->memory);
}

void mal_arena_switch(struct mal_arena *arena, const struct mal_fit *fit)
{
	bool more = true;

	mutex_lock(&arena->switching);
	spin_lock(&arena->lock);
	mal_heap_switch(&arena->heap, fit);
	spin_unlock(&arena->lock);
	while (more) {
		cond_resched();
		spin_lock(&arena->lock);
		more = mal_heap_switch_more(&arena->heap, MAL_ARENA_SLICE);
		spin_unlock(&arena->lock);
	}
	mutex_unlock(&arena->switching);
}

const struct mal_fit *mal_arena_fit(struct mal_arena *arena)
{
	const struct mal_fit *fit;

	spin_lock(&arena->lock);
	fit = arena->heap.fit;
	spin_unlock(&arena->lock);
	return fit;
}

/* The heap gave @buffer the block at @first. Under the lock. */
static void allocated(struct mal_arena *arena, struct mal_buffer *buffer, u32 first)
{
	buffer->first = first;
	arena->allocs++;
	arena->allocated += buffer->pages;
	arena->requested += buffer->length;
}

/* Look everywhere, a slice at a time, for a placement that the fit did not find. */
static int sweep(struct mal_arena *arena, struct mal_buffer *buffer, const struct mal_request *req)
{
	u32 cursor = 0;
	int err = -ENOMEM;

	while (err && cursor < arena->heap.granules) {
		u32 first;

		cond_resched();
		spin_lock(&arena->lock);
		first = mal_heap_sweep(&arena->heap, req, (uintptr_t)buffer, &cursor,
				       MAL_ARENA_SLICE);
		if (first != MAL_NONE) {
			allocated(arena, buffer, first);
			err = 0;
		}
		spin_unlock(&arena->lock);
	}
	return err;
}

int mal_arena_alloc(struct mal_arena *arena, struct mal_buffer *buffer, u32 align)
{
	struct mal_request req = { .size = buffer->pages, .align = align };
	bool undecided = false;
	int err = -ENOMEM;
	u32 first;

	spin_lock(&arena->lock);
	first = mal_heap_alloc(&arena->heap, &req, (uintptr_t)buffer);
	if (first != MAL_NONE) {
		allocated(arena, buffer, first);
		err = 0;
	} else {
		undecided = mal_heap_undecided(&arena->heap, &req);
	}
	spin_unlock(&arena->lock);

	return undecided ? sweep(arena, buffer, &req) : err;
}

void mal_arena_free(struct mal_arena *arena, const struct mal_buffer *buffer)
{
	int err;

	spin_lock(&arena->lock);
	err = mal_heap_free(&arena->heap, buffer->first, buffer->pages);
	if (!WARN_ON_ONCE(err)) {
		arena->frees++;
		arena->freed += buffer->pages;
		arena->requested -= buffer->length;
		if (buffer->quarantined)
			arena->quarantined -= buffer->pages;
	}
	spin_unlock(&arena->lock);
}

void mal_arena_quarantine(struct mal_arena *arena, struct mal_buffer *buffer)
{
	spin_lock(&arena->lock);
	buffer->quarantined = true;
	arena->quarantined += buffer->pages;
	spin_unlock(&arena->lock);
}

void mal_arena_count_failure(struct mal_arena *arena)
{
	spin_lock(&arena->lock);
	arena->failures++;
	spin_unlock(&arena->lock);
}

void mal_arena_stats(struct mal_arena *arena, struct memalloc_stats *stats)
{
	const struct mal_heap *heap = &arena->heap;

	/* Half-way to another fit, the heap does not know its largest free block. */
	mutex_lock(&arena->switching);
	spin_lock(&arena->lock);
	stats->region_length = (u64)heap->granules << PAGE_SHIFT;
	stats->free = (u64)heap->free << PAGE_SHIFT;
	stats->largest_free = (u64)mal_heap_largest(heap) << PAGE_SHIFT;
	stats->free_blocks = heap->free_blocks;
	stats->used = (u64)(heap->granules - heap->free) << PAGE_SHIFT;
	stats->requested = arena->requested;
	stats->quarantined = arena->quarantined << PAGE_SHIFT;
	stats->buffers = heap->used_blocks;
	stats->allocs = arena->allocs;
	stats->frees = arena->frees;
	stats->failures = arena->failures;
	stats->allocated = arena->allocated << PAGE_SHIFT;
	stats->freed = arena->freed << PAGE_SHIFT;
	spin_unlock(&arena->lock);
	mutex_unlock(&arena->switching);

	if (stats->free)
		stats->fragmentation = div64_u64(1000 * (stats->free - stats->largest_free),
						 stats->free);
}

u32 mal_arena_layout(struct mal_arena *arena, u32 *cursor,
		     struct mal_arena_block *blocks, u32 max)
{
	const struct mal_heap *heap = &arena->heap;
	u32 head;
	u32 n;

	spin_lock(&arena->lock);
	head = mal_heap_block_of(heap, *cursor);
	for (n = 0; n < min_t(u32, max, MAL_ARENA_SLICE) && head < heap->granules; n++) {
		const struct mal_buffer *buffer = NULL;

		/* A buffer outlives its block, so it can be looked into here. */
		if (mal_block_used(heap, head))
			buffer = (void *)(uintptr_t)mal_block_owner(heap, head);
		blocks[n] = (struct mal_arena_block) {
			.first = head,
			.pages = mal_block_size(heap, head),
			.buffer = buffer,
			.quarantined = buffer && buffer->quarantined,
		};
		head += blocks[n].pages;
	}
	spin_unlock(&arena->lock);
	*cursor = head;
	return n;
}
