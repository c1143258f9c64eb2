/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ARENA_H
#define MAL_ARENA_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "core/heap.h"

struct mal_buffer;
struct memalloc_stats;

/*
 * A heap and its spinlock. The owner of each used block is the buffer that has
 * it. Granules are pages. What may be called from where: any context that may
 * take a spinlock, unless a function says that it sleeps.
 */
struct mal_arena {
	spinlock_t lock;	/* of all below; innermost, nothing is taken under it */
	struct mutex switching;	/* to another fit; before @lock */
	struct mal_heap heap;
	void *memory;		/* tags and index */

	/* Since the arena was made, in pages; see struct memalloc_stats. */
	u64 allocs;
	u64 frees;
	u64 failures;
	u64 allocated;
	u64 freed;
	/* Now. */
	u64 requested;		/* bytes */
	u64 quarantined;	/* pages */
};

/* One block, as it was under the lock. @buffer may be gone by now: only compare it. */
struct mal_arena_block {
	u32 first;
	u32 pages;
	const struct mal_buffer *buffer;	/* NULL: free */
	bool quarantined;
};

/* Sleeps. @pages is at most MAL_HEAP_MAX. */
int mal_arena_init(struct mal_arena *arena, u32 pages, const struct mal_fit *fit, int node);
void mal_arena_destroy(struct mal_arena *arena);

/*
 * Change to another fit. Sleeps. All blocks stay, and allocations go on: those that
 * do not find a block in the half-made index look everywhere.
 */
void mal_arena_switch(struct mal_arena *arena, const struct mal_fit *fit);
const struct mal_fit *mal_arena_fit(struct mal_arena *arena);

/*
 * Take @buffer->pages at a multiple of @align pages for @buffer, which must live
 * until mal_arena_free(); its place goes to @buffer->first. May sleep. -ENOMEM.
 */
int mal_arena_alloc(struct mal_arena *arena, struct mal_buffer *buffer, u32 align);
void mal_arena_free(struct mal_arena *arena, const struct mal_buffer *buffer);

/* Mark the buffer's block as quarantined; mal_arena_free() takes the mark away. */
void mal_arena_quarantine(struct mal_arena *arena, struct mal_buffer *buffer);

/* Count an allocation that failed, for whatever reason. */
void mal_arena_count_failure(struct mal_arena *arena);

/* Fill in what an arena knows of @stats. */
void mal_arena_stats(struct mal_arena *arena, struct memalloc_stats *stats);

/* The most blocks that one call of mal_arena_layout() reads. */
#define MAL_ARENA_SLICE		32

/*
 * Read up to @max blocks, and no more than MAL_ARENA_SLICE, from the one that
 * holds *@cursor on; how many it were. *@cursor is where to go on, and the number
 * of pages of the arena after the last.
 */
u32 mal_arena_layout(struct mal_arena *arena, u32 *cursor,
		     struct mal_arena_block *blocks, u32 max);

#endif /* MAL_ARENA_H */
