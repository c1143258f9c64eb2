/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Room for a request, though all free blocks are too small: by moving used blocks.
 *
 * A window is a run of blocks, none of which is known to stay where it is. Of the used blocks in
 * it, the small ones can move to free blocks outside; the others can slide down inside the window,
 * so that what is free there ends up in one piece. A plan is the window in which that makes room
 * for the request, and of which the least has to be moved. To find it takes one pass over all
 * blocks, with two ends that only go forward.
 *
 * A block counts as small if it is no larger than the largest free block; and after one has found
 * no room, if it has at most half the size of that one. So the plans become more careful: in the
 * end all blocks slide, which always works.
 *
 * The heap may change at any time, so a plan is a guess. Each move finds out for itself whether it
 * can be done; when it can't, there is another plan, which goes round that block.
 */
#ifndef MAL_ROOM_H
#define MAL_ROOM_H

#include "heap.h"

struct mal_room;

/* How a move ended, or all of them. */
enum mal_outcome {
	MAL_DONE,
	MAL_NO_PLACE,		/* there is none for the block; or too many stay, or plans */
	MAL_STAYS,		/* the block can't be moved now */
	MAL_OVER_BUDGET,	/* more would have to be moved than may be */
	MAL_STOPPED,		/* nothing is to be moved any more */
};

/* A block as it was a moment ago. */
struct mal_seen {
	u32 first;
	u32 end;
	bool used;
	bool stays;		/* it is used, and can't be moved */
};

/* How blocks are seen and moved. All but look() subtract what that costs from room->budget. */
struct mal_mover {
	/* The block that holds granule @at. */
	void (*look)(struct mal_room *room, u32 at, struct mal_seen *seen);

	/* Move the used block that has granule @at to a place in [@lo, @hi). Done if it is gone. */
	enum mal_outcome (*move)(struct mal_room *room, u32 at, u32 lo, u32 hi);

	/*
	 * Move it down as far as the free block before it lets it, and not below @lo. Nothing is to
	 * be done if there is no free block before it. Not MAL_NO_PLACE.
	 */
	enum mal_outcome (*slide)(struct mal_room *room, u32 at, u32 lo);
};

/* Blocks that plans go round, and plans. With one more, the search ends. */
#define MAL_OBSTACLES_MAX	32
#define MAL_PLANS_MAX		40

struct mal_window {
	u32 start;
	u32 end;
	u32 used;		/* granules in used blocks, */
	u32 large;		/* and those of them that are not small */
};

/* The caller fills in what comes first; the rest is zero. */
struct mal_room {
	const struct mal_mover *mover;
	struct mal_request req;
	u32 granules;		/* of the heap */
	u32 largest;		/* granules of the largest free block, then of the small ones */
	u64 budget;		/* granules that may still be moved */

	u32 obstacles[MAL_OBSTACLES_MAX];	/* granules of blocks that stay, */
	u32 n_obstacles;			/* so many */
	struct mal_window window;	/* the one looked at now, */
	u32 first;			/* granules of the block that it begins with, */
	bool first_is_used;
	struct mal_window best;		/* and the best so far; its end is 0: none */
	u32 too_large_below;		/* one of that size has found no place below the window */
};

/*
 * Move blocks until there is room for @room->req. MAL_DONE: there was, at that moment. Otherwise
 * some may have been moved for nothing.
 */
enum mal_outcome mal_make_room(struct mal_room *room);

#endif /* MAL_ROOM_H */
