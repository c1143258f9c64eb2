/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ARENA_H
#define MAL_ARENA_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "arenas.h"
#include "core/heap.h"
#include "magazine.h"

struct memalloc_stats;

/*
 * A heap and its spinlock; and in front of it the arenas of the CPUs, and the magazines of the
 * clients. To the heap, the owner of a used block is its struct mal_block.
 * A granule is a page. Any context that may take a spinlock may call these functions, except
 * those that say that they sleep.
 */
struct mal_arena {
	spinlock_t lock;	/* of all below; innermost: nothing is taken under it */
	struct mutex switching;	/* held during the change to another fit; before @lock */
	bool wants_ready;	/* blocks may be kept ready; under @switching */
	struct mal_heap heap;
	void *memory;		/* tags and index */

	struct mal_figures figures;	/* of what did not go by way of the CPUs or magazines */
	u64 failures;		/* since the arena was made, see struct memalloc_stats */
	/* Now. */
	u64 quarantined;	/* granules */
	u64 retained;		/* granules of @quarantined */
	u64 retired;		/* granules; their blocks have no owner */
	u64 gaps;		/* granules that have no memory; their blocks have @gap as owner */
	struct mal_block gap;
	u32 closing_first;	/* of these, what becomes free becomes a gap */
	u32 closing_end;

	u64 changes;		/* a block came, went, or got another size or state: how often */

	/* What no lock is needed for to read, and other CPUs seldom write. */
	bool keeps_ready	/* they may, and the fit is a good one; under @switching */
		____cacheline_aligned_in_smp;
	struct mal_arenas cpus;
	struct mal_magazines magazines;
};

/* A run of granules in one state, as visitors see it. */
struct mal_arena_piece {
	u32 first;
	u32 granules;
	u32 state;			/* MEMALLOC_BLOCK_* */
	const struct mal_block *block;	/* holds the run; NULL: it is free, retired or a gap */
};

/* Called under the lock, so that the block can be read, too. */
typedef void (*mal_arena_visitor)(const struct mal_arena_piece *piece, void *data);

/*
 * Of @granules, MAL_HEAP_MAX at most, the first @pages have memory. Granules that have none are in
 * gaps: to the heap, blocks that are in use. No blocks are kept ready, until
 * mal_arena_keep_ready(). Sleeps. @release: see arenas.h.
 */
int __must_check mal_arena_init(struct mal_arena *arena, u32 pages, u32 granules,
				const struct mal_fit *fit, int node,
				void (*release)(struct mal_block *block));

/* Nothing is ready any more from now on. Sleeps. */
void mal_arena_stop(struct mal_arena *arena);
void mal_arena_destroy(struct mal_arena *arena);

/*
 * Change to another fit. Sleeps. All blocks stay, and allocations go on: an allocation that
 * finds no block in the half-made index searches all blocks.
 */
void mal_arena_switch(struct mal_arena *arena, const struct mal_fit *fit);
const struct mal_fit *mal_arena_fit(struct mal_arena *arena);

/*
 * Whether CPUs keep blocks ready. They do so with good fit only: every other fit promises which
 * block it picks. Sleeps.
 */
void mal_arena_keep_ready(struct mal_arena *arena, bool wanted);

/* Do CPUs keep blocks ready, but for pauses? Takes no lock: this may change at any time. */
static inline bool mal_arena_keeps_ready(const struct mal_arena *arena)
{
	return READ_ONCE(arena->keeps_ready);
}

/* Release all that is ready, in CPUs' arenas or in magazines. How many granules? Sleeps. */
u64 mal_arena_empty_ready(struct mal_arena *arena);

/* The same; and nothing becomes ready before mal_arena_resume_ready(). */
u64 mal_arena_pause_ready(struct mal_arena *arena);
void mal_arena_resume_ready(struct mal_arena *arena);

/*
 * Take the granules that @req asks for as @block, which must live until mal_arena_free(). If there
 * is no room, what is ready is released first. Sleeps. -ENOMEM; -EINTR: a fatal signal
 * arrived.
 */
int __must_check mal_arena_alloc(struct mal_arena *arena, struct mal_block *block,
				 const struct mal_request *req);

/* The same, of what the heap has. */
int __must_check mal_arena_try_alloc(struct mal_arena *arena, struct mal_block *block,
				     const struct mal_request *req);
void mal_arena_free(struct mal_arena *arena, const struct mal_block *block);

/*
 * Resize @block to @granules and @length bytes. If it shrinks, the granules that are cut off become
 * @part, which must live until mal_arena_free(). If it grows, it takes over all granules of @part,
 * which is the block that follows it.
 */
void mal_arena_resize(struct mal_arena *arena, struct mal_block *block,
		      struct mal_block *part, u32 granules, u64 length);

/*
 * Take as @gap what @block needs of the free block before it, to begin at the first place there
 * that @req allows; no more than the size of both. -ENOENT: there is no free block before it;
 * -ENOMEM: @block could not begin there.
 */
int __must_check mal_arena_alloc_before(struct mal_arena *arena, const struct mal_block *block,
					struct mal_block *gap, const struct mal_request *req);

/* The two blocks change places. They have as many granules, or @other is right before @block. */
void mal_arena_swap(struct mal_arena *arena, struct mal_block *block, struct mal_block *other);

/* Copy a block's name, to the block or from it: MEMALLOC_NAME_LEN bytes, zero-terminated. */
void mal_arena_copy_name(struct mal_arena *arena, u8 *to, const u8 *from);

/*
 * From now on @block has no users, and its granules come back a few at a time. The runs in between,
 * which are not back yet, are its pieces. To the heap each piece is a used block with the same
 * owner, and the link in its tag is the next piece, so nothing has to be allocated. @block must
 * live until it has no granules.
 */
void mal_arena_quarantine(struct mal_arena *arena, struct mal_block *block);

/* The first piece of the quarantined block, which has granules: *@granules from *@first on. */
void mal_arena_first_piece(struct mal_arena *arena, const struct mal_block *block, u32 *first,
			   u32 *granules);

/* The first piece becomes the last one. */
void mal_arena_rotate_pieces(struct mal_arena *arena, struct mal_block *block);

/*
 * Give back @granules from @first on, which are a part of the first piece, or all of it. The rest
 * of the piece after them becomes the first piece, the rest before them the last one.
 */
void mal_arena_free_part(struct mal_arena *arena, struct mal_block *block, u32 first,
			 u32 granules);

/* The same for @granule, which is never given out again. */
void mal_arena_retire(struct mal_arena *arena, struct mal_block *block, u32 granule);

/* Never give out @granule again. False: it is not free now. */
bool mal_arena_retire_free(struct mal_arena *arena, u32 granule);

/* The quarantined block no longer waits for RELEASE. */
void mal_arena_end_retention(struct mal_arena *arena, struct mal_block *block);

/* [@first, @end), which is within a gap and not at its beginning, has memory from now on. */
void mal_arena_open(struct mal_arena *arena, u32 first, u32 end);

/*
 * The memory of [@first, @end), which is between two gaps, or between one and the last granule, is
 * to go: what is free there becomes gaps, at once or as soon as it is free, until
 * mal_arena_end_closing(). One caller at a time, who has paused what is ready. Sleeps.
 */
void mal_arena_begin_closing(struct mal_arena *arena, u32 first, u32 end);

/* Is all of that a gap, or retired? Then it stays so. Sleeps. */
bool mal_arena_is_closed(struct mal_arena *arena);

/*
 * @closed: all of it becomes one gap with those around it. Else its gaps are free again. Sleeps.
 */
void mal_arena_end_closing(struct mal_arena *arena, bool closed);

/* Count an allocation that failed. */
void mal_arena_count_failure(struct mal_arena *arena);

/* Fill in those fields of @stats that an arena knows. Releases what is ready. Sleeps. */
void mal_arena_stats(struct mal_arena *arena, struct memalloc_stats *stats);

/* How often a block of the heap came, went, or got another size or state. */
u64 mal_arena_changes(struct mal_arena *arena);

/*
 * Is the block that holds @granule free? *@end is where the block ends. The answer may be
 * out of date as soon as it is given.
 */
bool mal_arena_is_free(struct mal_arena *arena, u32 granule, u32 *end);

/* Granules that are free, and those of the largest free block. */
u32 mal_arena_count_free(struct mal_arena *arena);
u32 mal_arena_largest(struct mal_arena *arena);

/* The most blocks that are visited under one hold of the lock. */
#define MAL_ARENA_SLICE		32

/* And that get into the index of another fit: each free one goes down a tree's path. */
#define MAL_ARENA_SWITCH_SLICE	16

/*
 * Visit up to @max blocks, and no more than MAL_ARENA_SLICE, from the block that holds
 * *@cursor on. Returns how many. *@cursor becomes where to continue: after the last block,
 * the number of granules of the arena.
 */
u32 mal_arena_visit(struct mal_arena *arena, u32 *cursor, u32 max, mal_arena_visitor visit,
		    void *data);

/* mal_heap_check_slice() of all slices; NULL: nothing is wrong. Sleeps. */
const char *mal_arena_check(struct mal_arena *arena);

#endif /* MAL_ARENA_H */
