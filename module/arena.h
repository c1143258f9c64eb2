/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ARENA_H
#define MAL_ARENA_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "block.h"
#include "core/heap.h"

struct memalloc_stats;

/*
 * A heap and its spinlock. The owner of each used block is its struct mal_block. Granules
 * are pages. What may be called from where: any context that may take a spinlock, unless a
 * function says that it sleeps.
 */
struct mal_arena {
	spinlock_t lock;	/* of all below; innermost, nothing is taken under it */
	struct mutex switching;	/* to another fit; before @lock */
	struct mal_heap heap;
	void *memory;		/* tags and index */

	/* Since the arena was made, in granules; see struct memalloc_stats. */
	u64 allocs;
	u64 frees;
	u64 failures;
	u64 allocated;
	u64 freed;
	/* Now. */
	u64 requested;		/* bytes, of buffers that are not quarantined */
	u64 quarantined;	/* granules */
	u64 retained;		/* granules, of these */
	u64 retired;		/* granules; their blocks have no owner */
};

/* What the arena has at one place. */
struct mal_arena_piece {
	u32 first;
	u32 granules;
	u32 state;			/* MEMALLOC_BLOCK_* */
	const struct mal_block *block;	/* that it is, or is left of; NULL: free or retired */
};

/* Called under the lock, where the block, too, can be looked into. */
typedef void (*mal_arena_visitor)(const struct mal_arena_piece *piece, void *data);

/* Sleeps. @granules is at most MAL_HEAP_MAX. */
int __must_check mal_arena_init(struct mal_arena *arena, u32 granules, const struct mal_fit *fit,
				int node);
void mal_arena_destroy(struct mal_arena *arena);

/*
 * Change to another fit. Sleeps. All blocks stay, and allocations go on: those that
 * do not find a block in the half-made index look everywhere.
 */
void mal_arena_switch(struct mal_arena *arena, const struct mal_fit *fit);
const struct mal_fit *mal_arena_fit(struct mal_arena *arena);

/*
 * Take what @req wants: @block, which must live until mal_arena_free(), gets its place. May
 * sleep. -ENOMEM; -EINTR: a fatal signal arrived.
 */
int __must_check mal_arena_alloc(struct mal_arena *arena, struct mal_block *block,
				 const struct mal_request *req);
void mal_arena_free(struct mal_arena *arena, const struct mal_block *block);

/*
 * Let @block have @granules and @length bytes. If it has more granules now, the others go to
 * @part, which must live until mal_arena_free(); if it has less, they are those that @part
 * has, just behind it, which is left with none.
 */
void mal_arena_resize(struct mal_arena *arena, struct mal_block *block,
		      struct mal_block *part, u32 granules, u64 length);

/* The name of @block: MEMALLOC_NAME_LEN bytes, zero-terminated. */
void mal_arena_set_name(struct mal_arena *arena, struct mal_block *block, const u8 *name);
void mal_arena_get_name(struct mal_arena *arena, const struct mal_block *block, u8 *name);

/*
 * From now on the block has no users, and comes back in parts, between which pieces of it
 * stay: it must live until it has no granules. Each piece is to the heap a used block of the same
 * owner, whose link is the next piece, so nothing has to be allocated.
 */
void mal_arena_quarantine(struct mal_arena *arena, struct mal_block *block);

/* The first piece of the quarantined block, which has one: *@granules from *@first on. */
void mal_arena_first_piece(struct mal_arena *arena, const struct mal_block *block, u32 *first,
			   u32 *granules);

/* The first piece becomes the last one. */
void mal_arena_rotate_pieces(struct mal_arena *arena, struct mal_block *block);

/*
 * Give back @granules from @first on, which are a part of the first piece, or all of it. What is
 * left behind them is the first piece then, and what is left before them the last one.
 */
void mal_arena_free_part(struct mal_arena *arena, struct mal_block *block, u32 first,
			 u32 granules);

/* The same, but nobody gets them any more. */
void mal_arena_retire(struct mal_arena *arena, struct mal_block *block, u32 first, u32 granules);

/* Nobody gets @granule any more, which is free. False: it is not. */
bool mal_arena_retire_free(struct mal_arena *arena, u32 granule);

/* The quarantined block is not retained any more. */
void mal_arena_release(struct mal_arena *arena, struct mal_block *block);

/* Count an allocation that failed, for whatever reason. */
void mal_arena_count_failure(struct mal_arena *arena);

/* Fill in what an arena knows of @stats. */
void mal_arena_stats(struct mal_arena *arena, struct memalloc_stats *stats);

/*
 * Is the block that holds @granule free? *@end is where it ends. By the time that is
 * known, it may not be true any more.
 */
bool mal_arena_is_free(struct mal_arena *arena, u32 granule, u32 *end);

/* The most blocks that one call looks at. */
#define MAL_ARENA_SLICE		32

/*
 * Visit up to @max blocks, and no more than MAL_ARENA_SLICE, from the one that
 * holds *@cursor on; how many it were. *@cursor is where to go on, and the number
 * of granules of the arena after the last.
 */
u32 mal_arena_visit(struct mal_arena *arena, u32 *cursor, u32 max, mal_arena_visitor visit,
		    void *data);

/* What mal_heap_check_slice() finds, all over; NULL: nothing is wrong. Sleeps. */
const char *mal_arena_check(struct mal_arena *arena);

#endif /* MAL_ARENA_H */
