/* SPDX-License-Identifier: GPL-2.0-only */
/* Moves blocks of a heap, for core/room.c. The owner of a block is its number. */
#ifndef MOVER_H
#define MOVER_H

#include "room.h"

struct mover_block {
	u32 place;
	u32 size;		/* 0: there is no such block */
	u32 align;		/* 1: it may lie anywhere */
	bool stays;		/* as everybody can see */
	bool is_held;		/* as who tries to move it notices, */
	bool is_known_then;	/* and then everybody can see */
};

struct mover {
	struct mal_room room;	/* first */
	struct mal_heap *heap;
	struct mover_block *blocks;
	u64 moved;		/* granules */
	const struct mal_mover *functions;	/* NULL: those below */
};

static inline struct mover *mover_of(struct mal_room *room)
{
	return (struct mover *)room;
}

static void mover_look(struct mal_room *room, u32 at, struct mal_seen *seen)
{
	const struct mover *mover = mover_of(room);
	const struct mal_heap *heap = mover->heap;

	seen->first = mal_heap_block_of(heap, at);
	seen->end = seen->first + mal_block_size(heap, seen->first);
	seen->used = mal_block_used(heap, seen->first);
	seen->stays = seen->used && mover->blocks[mal_block_owner(heap, seen->first)].stays;
}

static enum mal_outcome mover_done(struct mover *mover, struct mover_block *block, u32 place)
{
	block->place = place;
	mover->moved += block->size;
	mover->room.budget -= block->size;
	return MAL_DONE;
}

static struct mover_block *mover_find(const struct mover *mover, u32 at)
{
	return &mover->blocks[mal_block_owner(mover->heap, mal_heap_block_of(mover->heap, at))];
}

static enum mal_outcome mover_stays(struct mover_block *block)
{
	block->stays |= block->is_known_then;
	return MAL_STAYS;
}

/* As a request is served: by the fit, and else by a look at all blocks. */
static inline u32 mover_place(struct mal_heap *heap, const struct mal_request *req, u64 owner)
{
	u32 cursor = 0;
	u32 place = mal_heap_alloc(heap, req, owner);

	if (place == MAL_NONE && mal_heap_undecided(heap, req))
		place = mal_heap_sweep(heap, req, owner, &cursor, MAL_NONE);
	return place;
}

static enum mal_outcome mover_move(struct mal_room *room, u32 at, u32 lo, u32 hi)
{
	struct mover *mover = mover_of(room);
	struct mover_block *block = mover_find(mover, at);
	const struct mal_request req = {
		.size = block->size,
		.align = block->align,
		.lo = lo,
		.hi = hi,
	};
	u32 place;

	if (block->is_held)
		return mover_stays(block);
	place = mover_place(mover->heap, &req, block - mover->blocks);
	if (place == MAL_NONE)
		return MAL_NO_PLACE;
	mal_heap_free(mover->heap, block->place, block->size);
	return mover_done(mover, block, place);
}

static enum mal_outcome mover_slide(struct mal_room *room, u32 at, u32 lo)
{
	struct mover *mover = mover_of(room);
	struct mover_block *block = mover_find(mover, at);
	const struct mal_request req = { .size = block->size, .align = block->align, .lo = lo };
	u32 head, place, gap;

	if (!block->place)
		return MAL_DONE;
	head = mal_heap_block_of(mover->heap, block->place - 1);
	if (mal_block_used(mover->heap, head))
		return MAL_DONE;
	place = mal_request_place(&req, head, block->place + block->size);
	if (block->is_held || place >= block->place)
		return mover_stays(block);
	gap = block->place - place;
	if (mal_heap_alloc_at(mover->heap, place, gap, 0))
		return MAL_STOPPED;
	mal_heap_exchange(mover->heap, place);
	mal_heap_free(mover->heap, place + block->size, gap);
	return mover_done(mover, block, place);
}

static const struct mal_mover mover_of_blocks = {
	.look = mover_look,
	.move = mover_move,
	.slide = mover_slide,
};

static inline enum mal_outcome mover_make_room(struct mover *mover, const struct mal_request *req,
					       u64 budget)
{
	mover->room = (struct mal_room) {
		.mover = mover->functions ? mover->functions : &mover_of_blocks,
		.req = *req,
		.granules = mover->heap->granules,
		.largest = mal_heap_largest(mover->heap),
		.budget = budget,
	};
	return mal_make_room(&mover->room);
}

#endif /* MOVER_H */
