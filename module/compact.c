// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes room by moving buffers: core/room.c decides which, and here is how it sees and moves
 * them. Each look takes the arena's lock for one block, and each move that of one buffer, so the
 * region changes meanwhile.
 */
#include <linux/sched/signal.h>

#include "arena.h"
#include "compact.h"
#include "region.h"

/* Blocks that are looked at between two chances for others to run. */
#define MAL_LOOK_SLICE		32

/* For so long, devices are waited for that have buffers which are to be moved. */
#define MAL_PATIENCE_MS		50

static struct mal_compaction *compaction_of(struct mal_room *room)
{
	return container_of(room, struct mal_compaction, room);
}

/* What a look at a block finds, and what it asks for. */
struct look {
	struct mal_compaction *compaction;
	struct mal_seen *seen;
	bool claims;			/* the buffer that is found is to be claimed, */
	struct mal_buffer *buffer;	/* and is this; NULL: there is none that can be moved */
};

bool mal_compact_allows(const struct mal_buffer *buffer)
{
	const struct mal_region *region = buffer->extent.region;

	return mal_extent_size(&buffer->extent) <= READ_ONCE(region->compact.buffer_max) &&
	       mal_buffer_moves(buffer) < MAL_MOVES_MAX;
}

static bool may_move(const struct mal_compaction *compaction, const struct mal_buffer *buffer)
{
	return !mal_buffer_stays(buffer) && (!compaction->bounded || mal_compact_allows(buffer));
}

static void look_at_piece(const struct mal_arena_piece *piece, void *data)
{
	struct look *look = data;
	struct mal_buffer *buffer = NULL;

	if (piece->state == MEMALLOC_BLOCK_USED && piece->block->is_buffer)
		buffer = mal_buffer_of(mal_extent_of(piece->block));
	if (buffer && !may_move(look->compaction, buffer))
		buffer = NULL;
	*look->seen = (struct mal_seen) {
		.first = piece->first,
		.end = piece->first + piece->granules,
		.used = piece->state != MEMALLOC_BLOCK_FREE,
		.stays = !buffer,
	};
	if (buffer && look->claims && mal_buffer_claim(buffer))
		look->buffer = buffer;
}

static bool has_looked_enough(const struct mal_compaction *compaction)
{
	return compaction->looks_max && compaction->looks >= compaction->looks_max;
}

static void look_at(struct mal_room *room, u32 at, struct mal_seen *seen)
{
	struct mal_compaction *compaction = compaction_of(room);
	struct look look = { .compaction = compaction, .seen = seen };

	mal_arena_visit(&compaction->region->arena, &at, 1, look_at_piece, &look);
	if (seen->first >= compaction->closing_first && seen->first < compaction->closing_end)
		seen->stays = true;
	if (++compaction->looks % MAL_LOOK_SLICE)
		return;
	cond_resched();
	/* What is behind looks like a block that stays: there is no more to look at. */
	if (fatal_signal_pending(current) || has_looked_enough(compaction)) {
		seen->end = room->granules;
		seen->used = true;
		seen->stays = true;
	}
}

/* What has become of @buffer, which was seen before its move. */
static enum mal_outcome count_move(struct mal_compaction *compaction, struct mal_buffer *buffer,
				   const struct mal_seen *seen, enum mal_stay stays)
{
	const u32 granules = seen->end - seen->first;
	const bool moved = buffer->extent.block.first != seen->first;

	if (moved) {
		compaction->moves++;
		compaction->moved += granules;
	}
	/* Its mappings are gone, and it may have been copied, also if it stays. */
	if (moved || (stays && stays != MAL_STAYS_NO_ROOM))
		compaction->room.budget -= granules;
	switch (stays) {
	case MAL_MOVES:
		return MAL_DONE;
	case MAL_STAYS_NO_ROOM:
		return MAL_NO_PLACE;
	case MAL_STAYS_NO_MEMORY:
		compaction->err = -ENOMEM;
		return MAL_STOPPED;
	case MAL_STAYS_HELD:
		compaction->held += granules;
		fallthrough;
	default:
		return MAL_STAYS;
	}
}

/* Move the claimed @buffer, which was seen there. */
static enum mal_outcome move_claimed(struct mal_compaction *compaction, struct mal_buffer *buffer,
				     const struct mal_seen *seen, bool slides, u32 lo, u32 hi)
{
	const u32 pages = seen->end - seen->first;
	enum mal_stay stays;

	/* It may have become longer since it was planned. */
	if (pages > compaction->room.budget)
		return MAL_OVER_BUDGET;
	stays = slides ? mal_slide(buffer, pages, lo, &compaction->patience) :
			 mal_move(buffer, pages, lo, hi, &compaction->patience);
	compaction->last = buffer->bounds;
	compaction->last.req.size = pages;
	return count_move(compaction, buffer, seen, stays);
}

/* Move the buffer that has granule @at: down from there if it @slides, or to [@lo, @hi). */
static enum mal_outcome move_at(struct mal_room *room, u32 at, bool slides, u32 lo, u32 hi)
{
	struct mal_compaction *compaction = compaction_of(room);
	struct mal_seen seen;
	struct look look = { .compaction = compaction, .seen = &seen, .claims = true };
	enum mal_outcome outcome;

	cond_resched();
	if (fatal_signal_pending(current)) {
		compaction->err = -EINTR;
		return MAL_STOPPED;
	}
	mal_arena_visit(&compaction->region->arena, &at, 1, look_at_piece, &look);
	if (!seen.used)
		return MAL_DONE;
	if (!look.buffer)
		return MAL_STAYS;
	outcome = move_claimed(compaction, look.buffer, &seen, slides, lo, hi);
	mal_buffer_end_claim(look.buffer);
	return outcome;
}

static enum mal_outcome move_out(struct mal_room *room, u32 at, u32 lo, u32 hi)
{
	return move_at(room, at, false, lo, hi);
}

static enum mal_outcome slide_down(struct mal_room *room, u32 at, u32 lo)
{
	enum mal_outcome outcome = move_at(room, at, true, lo, 0);

	return outcome == MAL_NO_PLACE ? MAL_STAYS : outcome;
}

static const struct mal_mover buffer_mover = {
	.look = look_at,
	.move = move_out,
	.slide = slide_down,
};

static enum mal_outcome make_room(struct mal_compaction *compaction)
{
	compaction->room.largest = mal_arena_largest(&compaction->region->arena);
	return mal_make_room(&compaction->room);
}

/* As large a free block as can be: tries ever smaller ones. */
static enum mal_outcome make_most_room(struct mal_compaction *compaction)
{
	struct mal_arena *arena = &compaction->region->arena;
	struct mal_request *req = &compaction->room.req;
	enum mal_outcome outcome = MAL_DONE;

	/* No block reaches from one range into another. */
	req->size = min(mal_arena_count_free(arena), compaction->region->ranges.largest);
	while (compaction->room.budget && req->size > mal_arena_largest(arena)) {
		outcome = make_room(compaction);
		if (outcome == MAL_DONE || outcome == MAL_STOPPED)
			break;
		req->size -= DIV_ROUND_UP(req->size, 8);
	}
	return outcome;
}

int mal_compact_begin(struct mal_region *region)
{
	if (mutex_lock_killable(&region->compacting))
		return -EINTR;
	mal_arena_pause_ready(&region->arena);
	return 0;
}

bool mal_compact_try_begin(struct mal_region *region)
{
	if (!mutex_trylock(&region->compacting))
		return false;
	mal_arena_pause_ready(&region->arena);
	return true;
}

void mal_compact_end(struct mal_region *region)
{
	mal_arena_resume_ready(&region->arena);
	mutex_unlock(&region->compacting);
}

enum mal_outcome mal_compact(struct mal_compaction *compaction)
{
	struct mal_region *region = compaction->region;
	struct mal_room *room = &compaction->room;
	enum mal_outcome outcome;

	lockdep_assert_held(&region->compacting);
	if (!mal_can_move(region))
		return MAL_NO_PLACE;
	compaction->patience = msecs_to_jiffies(MAL_PATIENCE_MS);
	room->mover = &buffer_mover;
	room->granules = region->ranges.granules;
	outcome = room->req.size ? make_room(compaction) : make_most_room(compaction);
	if (outcome == MAL_NO_PLACE && fatal_signal_pending(current)) {
		compaction->err = -EINTR;
		return MAL_STOPPED;
	}
	return outcome == MAL_NO_PLACE && has_looked_enough(compaction) ? MAL_OVER_BUDGET : outcome;
}

/* What is counted, up to granule @end. */
struct stays {
	u32 end;
	u64 *granules;
};

static void count_piece(const struct mal_arena_piece *piece, void *data)
{
	const struct stays *stays = data;

	if (piece->first < stays->end && piece->state == MEMALLOC_BLOCK_USED &&
	    piece->block->is_buffer)
		stays->granules[mal_buffer_stays(mal_buffer_of(mal_extent_of(piece->block)))] +=
			piece->granules;
}

/* Make room for the buffer that was tried to be moved last, outside of what is closing. */
static enum mal_outcome make_room_for_last(struct mal_compaction *compaction)
{
	const struct mal_bounds bounds = compaction->last;
	struct mal_region *region = compaction->region;
	struct mal_room *room = &compaction->room;
	enum mal_outcome outcome = MAL_NO_PLACE;
	unsigned int number = 0;
	struct mal_request req;

	while (outcome == MAL_NO_PLACE && mal_arena_count_free(&region->arena) >= bounds.req.size &&
	       mal_bounds_next(&region->ranges, &bounds, &number, &req)) {
		*room = (struct mal_room) {
			.mover = room->mover,
			.req = req,
			.granules = room->granules,
			.budget = room->budget,
		};
		outcome = make_room(compaction);
	}
	return outcome;
}

/* Move the buffer that holds granule @at out of what is closing, and if need be others for it. */
static enum mal_outcome move_away(struct mal_compaction *compaction, u32 at)
{
	enum mal_outcome outcome = move_at(&compaction->room, at, false, 0, 0);
	u32 granules;

	if (outcome != MAL_NO_PLACE)
		return outcome;
	granules = compaction->last.req.size;
	/* What was in vain for a smaller one is so for this one, too. */
	if (granules < compaction->no_room_for) {
		outcome = make_room_for_last(compaction);
		if (outcome == MAL_DONE)
			outcome = move_at(&compaction->room, at, false, 0, 0);
	}
	if (outcome == MAL_NO_PLACE)
		compaction->no_room_for = min(compaction->no_room_for, granules);
	return outcome;
}

enum mal_outcome mal_compact_evacuate(struct mal_compaction *compaction, u32 first, u32 end)
{
	struct mal_region *region = compaction->region;
	struct mal_seen seen;
	u32 at;

	lockdep_assert_held(&region->compacting);
	compaction->patience = msecs_to_jiffies(MAL_PATIENCE_MS);
	compaction->closing_first = first;
	compaction->closing_end = end;
	compaction->no_room_for = MAL_NONE;
	compaction->room.mover = &buffer_mover;
	compaction->room.granules = region->ranges.granules;
	for (at = first; at < end; at = seen.end) {
		struct look look = { .compaction = compaction, .seen = &seen };
		u32 cursor = at;

		mal_arena_visit(&region->arena, &cursor, 1, look_at_piece, &look);
		if (seen.used && !seen.stays && move_away(compaction, at) == MAL_STOPPED)
			return MAL_STOPPED;
		cond_resched();
	}
	return compaction->no_room_for == MAL_NONE ? MAL_DONE : MAL_NO_PLACE;
}

void mal_compact_count_stays(struct mal_region *region, u32 first, u32 end, u64 *stays)
{
	struct stays counted = { .end = end, .granules = stays };
	u32 at = first;

	while (at < end) {
		mal_arena_visit(&region->arena, &at, MAL_LOOK_SLICE, count_piece, &counted);
		cond_resched();
	}
}
