// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes one free block out of pieces, by moving what lies between.
 *
 * A plan looks at all blocks, one at a time, for the window that is long enough, in which nothing
 * is known to stay where it is, and of which the least has to be copied. Then each buffer in the
 * window moves out of it. The region changes meanwhile, so a plan is a guess: each move finds out
 * for itself whether it can be done. When one can't, its window is given up, and the next plans go
 * round that buffer.
 */
#include <linux/sched/signal.h>

#include "arena.h"
#include "compact.h"
#include "region.h"

/* Buffers that plans go round. With one more failure, a compaction ends. */
#define MAL_OBSTACLES_MAX	32

/* Blocks that are looked at between two chances for others to run. */
#define MAL_LOOK_SLICE		32

struct window {
	u32 start;
	u32 end;
	u32 used;		/* granules that have to be moved */
};

struct plan {
	struct mal_region *region;
	struct mal_compaction *compaction;
	u32 wanted;
	u32 looks;

	u32 obstacles[MAL_OBSTACLES_MAX];	/* granules of blocks that stay, */
	u32 n_obstacles;			/* so many */

	struct window window;	/* the one looked at now, */
	u32 first;		/* granules of the block that it begins with, */
	bool first_is_used;
	struct window best;	/* and the best so far; its end is 0: none */
};

/* A block as it was a moment ago. */
struct look {
	u32 first;
	u32 end;
	bool used;
	bool stays;
};

static void look_at_piece(const struct mal_arena_piece *piece, void *data)
{
	struct look *look = data;

	look->first = piece->first;
	look->end = piece->first + piece->granules;
	look->used = piece->state != MEMALLOC_BLOCK_FREE;
	look->stays = look->used &&
		      (piece->state != MEMALLOC_BLOCK_USED || !piece->block->is_buffer ||
		       mal_buffer_stays(mal_buffer_of(mal_extent_of(piece->block))));
}

/* The block that holds granule @at. */
static struct look look_at(struct plan *plan, u32 at)
{
	struct look look;

	mal_arena_visit(&plan->region->arena, &at, 1, look_at_piece, &look);
	if (++plan->looks % MAL_LOOK_SLICE == 0)
		cond_resched();
	return look;
}

static bool is_obstacle(const struct plan *plan, const struct look *look)
{
	u32 i;

	for (i = 0; i < plan->n_obstacles; i++)
		if (plan->obstacles[i] >= look->first && plan->obstacles[i] < look->end)
			return true;
	return false;
}

static void begin_window(struct plan *plan, u32 start)
{
	plan->window = (struct window) { .start = start, .end = start };
	plan->first = 0;
}

/*
 * The block was seen at the end of the window. It may have become larger since another one was seen
 * there: the window has it from its own end on.
 */
static void lengthen_window(struct plan *plan, const struct look *look)
{
	struct window *window = &plan->window;
	const u32 granules = look->end - window->end;

	if (!plan->first) {
		plan->first = granules;
		plan->first_is_used = look->used;
	}
	window->end += granules;
	if (look->used)
		window->used += granules;
}

/* Without its first block, the window is still long enough: leave the block out. */
static void shorten_window(struct plan *plan)
{
	struct window *window = &plan->window;
	struct look look;

	if (plan->first_is_used)
		window->used -= min(window->used, plan->first);
	window->start += plan->first;
	look = look_at(plan, window->start);
	plan->first = min(look.end, window->end) - window->start;
	plan->first_is_used = look.used;
}

static void find_window(struct plan *plan)
{
	const u32 pages = plan->region->range.pages;
	struct window *window = &plan->window;
	u32 at = 0;

	plan->best = (struct window) { .used = U32_MAX };
	begin_window(plan, 0);
	while (at < pages) {
		const struct look look = look_at(plan, at);

		at = look.end;
		if (look.stays || is_obstacle(plan, &look)) {
			begin_window(plan, at);
			continue;
		}
		lengthen_window(plan, &look);
		while (window->end - window->start - plan->first >= plan->wanted)
			shorten_window(plan);
		if (window->end - window->start >= plan->wanted && window->used < plan->best.used)
			plan->best = *window;
	}
}

struct claim {
	struct look look;
	struct mal_buffer *buffer;	/* NULL: nothing is to be moved, or can be */
};

static void claim_piece(const struct mal_arena_piece *piece, void *data)
{
	struct claim *claim = data;
	struct mal_buffer *buffer;

	look_at_piece(piece, &claim->look);
	claim->buffer = NULL;
	if (!claim->look.used || claim->look.stays)
		return;
	buffer = mal_buffer_of(mal_extent_of(piece->block));
	if (mal_buffer_claim(buffer))
		claim->buffer = buffer;
}

/* Move the buffer out of the window, to lower addresses if there is room. */
static enum mal_stay move_out(struct mal_buffer *buffer, struct mal_payer *payer,
			      const struct window *window)
{
	enum mal_stay stays = MAL_STAYS_NO_ROOM;

	if (window->start)
		stays = mal_move(buffer, payer, 0, window->start);
	if (stays == MAL_STAYS_NO_ROOM)
		stays = mal_move(buffer, payer, window->end, 0);
	return stays;
}

/* Move the claimed buffer, of @pages, within the budget. */
static enum mal_stay move_within_budget(struct mal_compaction *compaction,
					struct mal_buffer *buffer, u32 pages,
					const struct window *window)
{
	enum mal_stay stays;

	if (pages > compaction->budget)
		return MAL_STAYS_NO_ROOM;
	stays = move_out(buffer, compaction->payer, window);
	if (!stays) {
		compaction->budget -= pages;
		compaction->moves++;
		compaction->moved += pages;
	} else if (stays == MAL_STAYS_HELD) {
		compaction->stays[stays] += pages;
	}
	return stays;
}

/* Move all buffers out of the best window. If one stays: why, and a granule of it, *@obstacle. */
static enum mal_stay empty_window(struct plan *plan, u32 *obstacle)
{
	const struct window *window = &plan->best;
	u32 at = window->start;

	while (at < window->end) {
		enum mal_stay stays = MAL_STAYS_GOING;
		struct claim claim;

		*obstacle = at;
		mal_arena_visit(&plan->region->arena, &at, 1, claim_piece, &claim);
		cond_resched();
		if (!claim.look.used)
			continue;
		if (claim.buffer) {
			stays = move_within_budget(plan->compaction, claim.buffer,
						   claim.look.end - claim.look.first, window);
			mal_buffer_end_claim(claim.buffer);
		}
		if (stays)
			return stays;
	}
	return MAL_MOVES;
}

/*
 * Get a free block of @plan->wanted granules. -ENOSPC: that costs too much, or too many stay;
 * -ENOMEM: the kernel itself is out of memory; -EINTR: a fatal signal arrived.
 */
static int make_block(struct plan *plan)
{
	while (mal_arena_largest(&plan->region->arena) < plan->wanted) {
		enum mal_stay stays;

		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!plan->compaction->budget)
			return -ENOSPC;
		find_window(plan);
		/* It is free, though an index that is being made does not have it yet. */
		if (!plan->best.used)
			break;
		if (!plan->best.end || plan->best.used > plan->compaction->budget ||
		    plan->n_obstacles == MAL_OBSTACLES_MAX)
			return -ENOSPC;
		stays = empty_window(plan, &plan->obstacles[plan->n_obstacles]);
		if (stays == MAL_STAYS_NO_MEMORY)
			return -ENOMEM;
		if (stays)
			plan->n_obstacles++;
	}
	return 0;
}

/* As large a free block as can be. The same errors, but for -ENOSPC. */
static int make_largest_block(struct plan *plan)
{
	int err = -ENOSPC;

	plan->wanted = mal_arena_count_free(&plan->region->arena);
	while (err == -ENOSPC && plan->wanted > mal_arena_largest(&plan->region->arena)) {
		err = make_block(plan);
		plan->wanted -= DIV_ROUND_UP(plan->wanted, 8);
	}
	return err == -ENOSPC ? 0 : err;
}

static void count_piece(const struct mal_arena_piece *piece, void *data)
{
	struct mal_compaction *compaction = data;

	if (piece->state == MEMALLOC_BLOCK_USED && piece->block->is_buffer)
		compaction->stays[mal_buffer_stays(mal_buffer_of(mal_extent_of(piece->block)))] +=
			piece->granules;
}

/* What can be seen to stay now. */
static void count_stays(struct mal_region *region, struct mal_compaction *compaction)
{
	u32 at = 0;

	while (at < region->range.pages) {
		mal_arena_visit(&region->arena, &at, MAL_LOOK_SLICE, count_piece, compaction);
		cond_resched();
	}
}

/* Under region->compacting, with nothing ready. */
static int compact(struct mal_region *region, struct mal_compaction *compaction)
{
	struct plan plan = {
		.region = region,
		.compaction = compaction,
		.wanted = compaction->wanted,
	};
	int err;

	lockdep_assert_held(&region->compacting);
	err = plan.wanted ? make_block(&plan) : make_largest_block(&plan);
	compaction->largest = mal_arena_largest(&region->arena);
	count_stays(region, compaction);
	return err == -ENOSPC ? 0 : err;
}

int mal_compact(struct mal_region *region, struct mal_compaction *compaction)
{
	int err;

	if (!mal_can_move(region))
		compaction->budget = 0;
	if (mutex_lock_killable(&region->compacting))
		return -EINTR;
	mal_arena_pause_ready(&region->arena);
	err = compact(region, compaction);
	mal_arena_resume_ready(&region->arena);
	mutex_unlock(&region->compacting);
	return err;
}
